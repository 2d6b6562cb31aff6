"""The command line ``dynamics``: figures, comparisons, single answers.

Options of a phenomenon's commands are the declared parameters of the problem and algorithm chosen. Exit codes: 0 done,
1 theory and simulation disagree, 2 the input is not allowed, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.exceptions import CycloptsError
from pydantic import ValidationError

from dynamics.errors import DivergenceError, ParameterError
from dynamics.results import versions

__all__ = ["main"]

INTERRUPTED = 130

app = App(
    name="dynamics",
    help="Theory and simulation of learning dynamics, side by side, checking each other.",
    version=lambda: "\n".join(f"{name} {number}" for name, number in versions().items()),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

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
            raise
        print(f"dynamics: {_one_line(error)}", file=sys.stderr)
        return 2
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
    *names: str, full: bool = False, out: Path = Path("pictures"), seed: int = 0, overwrite: bool = False
) -> int:
    """Make figures by name: PNG, PDF and the data as netCDF.

    Parameters
    ----------
    names
        Names as in ``dynamics list``, for example double-descent/fig3.
    full
        The full preset instead of the quick one.
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
    full: bool = False,
    out: Path = Path("pictures"),
    seed: int = 0,
    overwrite: bool = False,
) -> int:
    """Make all figures, or all of one paper: PNG, PDF and the data as netCDF, and a table of their agreement.

    Parameters
    ----------
    paper
        Only the figures of this paper, for example arXiv:2112.03215.
    full
        The full preset instead of the quick one.
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


def _phenomenon_command(name: str, action: str, summary: str) -> None:
    """Register a command that reads PHENOMENON, --problem and --algorithm first and all other options from them."""

    def command(phenomenon: Words = "", *words: Words) -> int:
        from figures.questions import ask

        return ask(action, phenomenon, list(words))

    command.__doc__ = (
        f"{summary}\n\nUsage: dynamics {name} PHENOMENON [--problem NAME] [--algorithm NAME] [options]; "
        f"`dynamics {name} PHENOMENON --help` lists the options of the problem and algorithm chosen."
    )
    app.command(command, name=name, help_flags=[])


for _name, _summary in (
    ("compare", "Compare theory with simulated runs; exit code 1 when they disagree."),
    ("solve", "Write what theory says to a netCDF file."),
    ("simulate", "Write simulated runs to a netCDF file."),
):
    _phenomenon_command(_name, _name, _summary)
