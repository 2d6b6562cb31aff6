"""The command line ``dynamics``: figures, comparisons, single answers.

Options of a phenomenon's commands are the declared parameters of the problem and algorithm chosen. Exit codes: 0 done,
1 theory and simulation disagree, 2 the input is not allowed or the answer cannot be had, 70 a fault of the program,
130 interrupted.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, Token
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

from dynamics.errors import DivergenceError, ParameterError, shown
from dynamics.parameters import check_whole
from dynamics.results import versions
from figures.questions import INTERRUPTED, ask

__all__ = ["main"]

_FAULT = 70

app = App(
    name="dynamics",
    help="Theory and simulation of learning dynamics, side by side, checking each other.",
    version=lambda: "\n".join(f"{name} {number}" for name, number in versions().items()),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


def _whole(_: object, tokens: Sequence[Token]) -> int:
    """Read a count as problems do: 1e3 is one, 2.5 is not, and is not rounded either."""
    text = tokens[0].value
    try:
        return check_whole(tokens[0].keyword or "number", float(text), at_least=0)
    except ValueError:
        raise ParameterError(f"seed must be a whole number, at least 0; got {shown(text)}") from None


Seed = Annotated[int, Parameter(converter=_whole)]
Full = Annotated[bool, Parameter(name="--full", negative="--quick")]
Words = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; an error is one line, or a traceback with ``--debug``."""
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except KeyboardInterrupt:
        print("dynamics: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (CycloptsError, ValidationError, ParameterError, DivergenceError, ArithmeticError, OSError) as error:
        if debug:
            traceback.print_exc()
        else:
            print(f"dynamics: {_one_line(error)}", file=sys.stderr)
        return 2
    except Exception:  # a crash must not look like the disagreement that exit code 1 means
        traceback.print_exc()
        return _FAULT
    return int(code or 0)


def _one_line(error: Exception) -> str:
    """Say it in one line; of a report by pydantic (cyclopts passes it on as a cause) keep our own words."""
    report = error.__cause__ if isinstance(error.__cause__, ValidationError) else error
    if isinstance(report, ValidationError):
        text = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in report.errors(include_url=False))
    else:
        text = str(report)
    return " ".join(text.split()) or type(error).__name__


@app.command(name="list")
def list_() -> None:
    """List the phenomena with their problems, algorithms and methods, and all figures."""
    from figures.phenomena import phenomena, phenomenon
    from figures.registry import recipes

    for name in phenomena():
        one = phenomenon(name)
        print(name)
        print(f"  problems     {', '.join(cls.label for cls in one.dynamics.PROBLEMS)}")
        print(f"  algorithms   {', '.join(cls.label for cls in one.dynamics.ALGORITHMS)}")
        print(f"  theory       {', '.join(one.analytic.METHODS)}")
        print(f"  simulation   {', '.join(one.simulations.METHODS)}")
    print("figures")
    for item in recipes().values():
        print(f"  {item.name:44} {item.paper:16} full ~{item.cost:.0f} s  {item.title}")


@app.command
def figure(
    *names: str, full: Full = False, out: Path = Path("pictures"), seed: Seed = 0, overwrite: bool = False
) -> int:
    """Make figures by name: PNG, PDF and the data as netCDF.

    Parameters
    ----------
    names
        Names as `dynamics list` shows them, for example double-descent/fig3.
    full
        The full preset (many runs, fine grids) instead of the quick one.
    out
        Folder for the files; it is made when missing.
    seed
        Seed of the simulated runs.
    overwrite
        Replace files that exist.
    """
    from figures.production import produce

    if not names:
        raise ParameterError("names must be at least one figure; see dynamics list, or dynamics figures for all")
    return produce(names, preset="full" if full else "quick", out=out, seed=seed, overwrite=overwrite)


@app.command
def figures(
    *,
    paper: str | None = None,
    full: Full = False,
    out: Path = Path("pictures"),
    seed: Seed = 0,
    overwrite: bool = False,
) -> int:
    """Make all figures, or all of one paper: PNG, PDF and the data as netCDF, and a table of their agreement.

    Parameters
    ----------
    paper
        Only the figures of this paper, for example arXiv:2112.03215.
    full
        The full preset (many runs, fine grids) instead of the quick one.
    out
        Folder for the files; it is made when missing.
    seed
        Seed of the simulated runs.
    overwrite
        Replace files that exist.
    """
    from figures.production import produce
    from figures.registry import recipes

    return produce(list(recipes(paper)), preset="full" if full else "quick", out=out, seed=seed, overwrite=overwrite)


@app.command
def exponents(*, alpha: float, beta: float) -> None:
    """Print the phase of momentum scaling laws, and the compute-optimal exponents of all algorithms with formulas.

    The risk falls like f^-loss at the best dimension d ~ f^size, for the compute f = d t. The formulas hold in the
    whole region around the point.

    Parameters
    ----------
    alpha
        Exponent of the inputs: x_j has variance j^(-2 alpha).
    beta
        Exponent of the target: b_j = j^(-beta).
    """
    from figures.phenomena import phenomenon

    chosen = phenomenon("scaling-laws")
    print(f"phase {chosen.analytic.phase(alpha, beta)}")
    for cls in chosen.dynamics.ALGORITHMS[:-1]:
        loss, size = chosen.analytic.exponents(alpha, beta, cls.label)
        formulas = chosen.analytic.exponent_formulas(alpha, beta, cls.label)
        print(f"{cls.label:15} loss {loss:.6f} = {formulas.loss}  size {size:.6f} = {formulas.size}")


def _phenomenon_command(name: str, summary: str) -> None:
    """Register a command that reads PHENOMENON, --problem and --algorithm first and all other options from them."""

    def command(phenomenon: Words = "", *words: Words) -> int:
        return ask(name, phenomenon, list(words))

    command.__doc__ = (
        f"{summary}\n\nUsage: dynamics {name} PHENOMENON [--problem NAME] [--algorithm NAME] [options]; "
        f"`dynamics {name} PHENOMENON --help` lists the options of the problem and algorithm chosen."
    )
    app.command(command, name=name, help_flags=[])


@app.command(help_flags=[])
def explore(phenomenon: Words = "", *words: Words) -> int:
    """Move sliders, see theory at once and runs stream in over it, in the browser (extra `explore`) or in a window.

    Usage: dynamics explore [PHENOMENON] [--problem NAME] [--algorithm NAME] [options]; `dynamics explore PHENOMENON
    --help` lists the options of the problem and algorithm chosen.
    """
    from figures.explorer.command import explore_command

    return explore_command([word for word in (phenomenon, *words) if word])


for _name, _summary in (
    ("compare", "Compare theory with simulated runs; exit code 1 when they disagree."),
    ("solve", "Write what theory says to a netCDF file."),
    ("simulate", "Write simulated runs to a netCDF file."),
):
    _phenomenon_command(_name, _summary)
