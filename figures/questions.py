"""One question on the command line: a problem, an algorithm, times; theory, runs, or both compared."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from dynamics.errors import Interrupted, ParameterError, known
from dynamics.parameters import Declared
from figures.asking import Ensemble, Question
from figures.phenomena import Phenomenon, phenomena, phenomenon
from figures.time_texts import read_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["INTERRUPTED", "ask", "inner_app", "pick", "signed"]

#: Exit code after Ctrl-C, as of a program that the signal ended.
INTERRUPTED = 130


def ask(action: str, name: str, words: list[str]) -> int:
    """Answer one question given by command-line words, and return the exit code."""
    if name in ("", "--help", "-h"):
        usage = f"usage: dynamics {action} PHENOMENON [options]; phenomena: {', '.join(phenomena())}"
        print(usage, file=sys.stdout if name else sys.stderr)
        return 0 if name else 2
    chosen = phenomenon(name)
    problem, words = pick(words, "problem", chosen.dynamics.PROBLEMS)
    algorithm, words = pick(words, "algorithm", chosen.dynamics.ALGORITHMS)
    classes: dict[str, Any] = {"problem": problem, "algorithm": algorithm, "ensemble": Ensemble}
    if action != "solve" and (options := getattr(chosen.simulations, "OPTIONS", None)):
        classes["options"] = options
    inner = inner_app(action, chosen, problem, algorithm)
    inner.default(signed(_ACTIONS[action], classes, lambda parts: Question(chosen, **parts)))
    return int(inner(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)


def inner_app(action: str, chosen: Phenomenon, problem: type[Declared], algorithm: type[Declared]) -> App:
    """Return the command line of one action on one phenomenon, for the problem and algorithm chosen."""
    inner = App(
        name=f"dynamics {action} {chosen.name}", version_flags=[], help_format="plaintext",
        suppress_keyboard_interrupt=False,
        # what is explored begins with values of its own
        default_parameter=Parameter(negative=(), show_default=action != "explore"),
    )  # fmt: skip
    inner.help = (
        f"{problem.label} trained by {algorithm.label}. Other problems (--problem): "
        f"{', '.join(cls.label for cls in chosen.dynamics.PROBLEMS)}; other algorithms (--algorithm): "
        f"{', '.join(cls.label for cls in chosen.dynamics.ALGORITHMS)}."
    )
    return inner


def pick(words: list[str], option: str, classes: tuple[type[Any], ...]) -> tuple[type[Any], list[str]]:
    """Take ``--option NAME`` out of the words and return the class of that name, the first class by default."""
    labels = {cls.label: cls for cls in classes}
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag == f"--{option}":
            used = 1 if equals else 2
            if not equals:
                value = words[place + 1] if place + 1 < len(words) else ""
            return labels[known(option, value, labels)], words[:place] + words[place + used :]
    return classes[0], words


def signed(
    action: Any, classes: dict[str, type[Declared]], make: Callable[[dict[str, Any]], Any], **defaults: Declared
) -> Any:
    """Give the action a signature with the declared parameters of problem, algorithm and ensemble as its options.

    Its first argument is what ``make`` makes of the objects that the options give, or of ``defaults``.
    """

    def command(**values: Any) -> int:
        parts = {name: values.pop(name, None) or defaults.get(name) or cls() for name, cls in classes.items()}
        return int(action(make(parts), **values))

    own = list(inspect.signature(action, eval_str=True).parameters.values())[1:]
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name) or _default(cls),
            annotation=Annotated[cls, Parameter(name="*", group=cls.label)],
        )
        for name, cls in classes.items()
    ]  # fmt: skip
    command.__signature__ = inspect.Signature(shared + own)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in shared + own}
    command.__doc__ = action.__doc__
    return command


def _default(cls: type[Declared]) -> Any:
    needs = any(field.is_required() for field in cls.model_fields.values())
    return inspect.Parameter.empty if needs else cls()


def _solve(
    asked: Question,
    *,
    out: Path,
    times: str | None = None,
    method: str | None = None,
    overwrite: bool = False,
) -> int:
    """Write what theory says to a netCDF file.

    Parameters
    ----------
    out
        The file to write.
    times
        first:last:count, evenly in the logarithm, or numbers with commas.
    method
        Method of the theory; the first in `dynamics list` by default. One that is exact for given data takes the draws
        of runs and seed.
    overwrite
        Replace the file if it exists.
    """
    from figures.files import check_free, save

    check_free(out, overwrite=overwrite)
    when = read_times(times, asked.algorithm)
    save(replace(asked, method=method).theory(when), out, overwrite=overwrite)
    return 0


def _simulate(
    asked: Question,
    *,
    out: Path,
    times: str | None = None,
    simulation: str | None = None,
    on_divergence: Literal["raise", "mark"] = "raise",
    overwrite: bool = False,
) -> int:
    """Write simulated runs to a netCDF file.

    Parameters
    ----------
    out
        The file to write.
    times
        first:last:count, evenly in the logarithm, or numbers with commas.
    simulation
        Method of the simulation; the first in `dynamics list` by default.
    on_divergence
        Keep runs that diverge, marked, instead of ending with an error.
    overwrite
        Replace the file if it exists.
    """
    from figures.files import check_free, save

    check_free(out, overwrite=overwrite)
    when = read_times(times, asked.algorithm)
    answer, code = _runs(replace(asked, simulation=simulation), when, on_divergence)
    save(answer, out, overwrite=overwrite)
    return code


def _compare(
    asked: Question,
    *,
    times: str | None = None,
    method: str | None = None,
    simulation: str | None = None,
    false_alarm: float = 1e-6,
    json: bool = False,
    out: Path | None = None,
    picture: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Compare theory with simulated runs; exit code 1 when they disagree.

    Parameters
    ----------
    times
        first:last:count, evenly in the logarithm, or numbers with commas.
    method
        Method of the theory; the first in `dynamics list` by default.
    simulation
        Method of the simulation; the first in `dynamics list` by default.
    false_alarm
        Probability that a correct theory is said to disagree, over all values together.
    json
        Print the verdict as JSON.
    out
        Write the comparison to this netCDF file.
    picture
        Draw the comparison to this PNG or PDF file.
    overwrite
        Replace files that exist.
    """
    from figures.comparison import compare
    from figures.files import check_free, save
    from figures.reports import as_json, describe

    for path in (out, picture):
        if path is not None:
            check_free(path, overwrite=overwrite)
    if picture is not None:
        known("picture's ending", picture.suffix, (".png", ".pdf"))
        if picture == out:
            raise ParameterError(f"out and picture must be two files; both are {out}")
    when = read_times(times, asked.algorithm)
    asked = replace(asked, method=method, simulation=simulation).settled()
    theory = asked.theory(when)
    runs, code = _runs(asked, when, "mark")
    comparison = compare(theory, runs, false_alarm=false_alarm)
    print(as_json(comparison) if json else describe(comparison))
    if out is not None:
        save(comparison, out, overwrite=overwrite)
    if picture is not None:
        _draw(comparison, picture, overwrite=overwrite)
    return code or int(comparison.attrs["verdict"] != "agree")


def _runs(asked: Question, times: Any, on_divergence: str) -> tuple[xr.Dataset, int]:
    """Return the runs and an exit code: of an interrupted ensemble what is finished (if anything), and 130."""
    try:
        return asked.simulated(times, on_divergence=on_divergence, progress=sys.stderr.isatty()), 0
    except Interrupted as stopped:
        if not (stopped.partial["outcome"] == "finished").any():
            raise
        print(f"dynamics: {stopped}", file=sys.stderr)
        return stopped.partial, INTERRUPTED


def _draw(comparison: xr.Dataset, path: Path, *, overwrite: bool) -> None:
    from figures.drawing import draw
    from figures.files import write_bytes
    from figures.style import picture_bytes

    write_bytes(picture_bytes(draw(comparison), path.suffix[1:]), path, overwrite=overwrite)


_ACTIONS: dict[str, Any] = {"compare": _compare, "solve": _solve, "simulate": _simulate}
