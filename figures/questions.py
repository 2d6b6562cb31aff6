"""One question on the command line: a problem, an algorithm, times; theory, runs, or both compared."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from cyclopts import App, Parameter

from dynamics.errors import Interrupted, ParameterError, known
from dynamics.parameters import Declared, parameter
from figures.phenomena import Phenomenon, phenomena, phenomenon
from figures.time_texts import read_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["INTERRUPTED", "Ensemble", "Question", "ask"]

#: Exit code after Ctrl-C, as of a program that the signal ended.
INTERRUPTED = 130


class Ensemble(Declared):
    """Independent runs of a simulation."""

    runs: int = parameter(
        100, symbol="N", meaning="number of independent runs", at_least=1, scale="log", explore=(2, 1000)
    )
    seed: int = parameter(0, symbol=r"\mathrm{seed}", meaning="seed of all random streams", at_least=0)
    workers: int | None = parameter(
        None, symbol=r"\mathrm{workers}", meaning="threads, by default one per processor; no number depends on it",
        at_least=1,
    )  # fmt: skip


class Question(NamedTuple):
    """What was asked: problem, algorithm, ensemble, and the options of the phenomenon's own simulation."""

    problem: Any
    algorithm: Any
    ensemble: Ensemble
    options: Declared | None = None


def ask(action: str, name: str, words: list[str]) -> int:
    """Answer one question given by command-line words, and return the exit code."""
    if name in ("", "--help", "-h"):
        usage = f"usage: dynamics {action} PHENOMENON [options]; phenomena: {', '.join(phenomena())}"
        print(usage, file=sys.stdout if name else sys.stderr)
        return 0 if name else 2
    chosen = phenomenon(name)
    problem, words = _pick(words, "problem", chosen.dynamics.PROBLEMS)
    algorithm, words = _pick(words, "algorithm", chosen.dynamics.ALGORITHMS)
    inner = App(
        name=f"dynamics {action} {name}", version_flags=[], help_format="plaintext", suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )  # fmt: skip
    classes: dict[str, Any] = {"problem": problem, "algorithm": algorithm, "ensemble": Ensemble}
    if action != "solve" and (options := getattr(chosen.simulations, "OPTIONS", None)):
        classes["options"] = options
    inner.default(_signed(_ACTIONS[action], chosen, classes))
    inner.help = (
        f"{problem.label} trained by {algorithm.label}. Other problems (--problem): "
        f"{', '.join(cls.label for cls in chosen.dynamics.PROBLEMS)}; other algorithms (--algorithm): "
        f"{', '.join(cls.label for cls in chosen.dynamics.ALGORITHMS)}."
    )
    return int(inner(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)


def _pick(words: list[str], option: str, classes: tuple[type[Any], ...]) -> tuple[type[Any], list[str]]:
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


def _signed(action: Any, chosen: Phenomenon, classes: dict[str, type[Declared]]) -> Any:
    """Give the action a signature with the declared parameters of problem, algorithm and ensemble as its options."""

    def command(**values: Any) -> int:
        asked: dict[str, Any] = {name: values.pop(name) if name in values else cls() for name, cls in classes.items()}
        return int(action(chosen, Question(**asked), **values))

    own = list(inspect.signature(action, eval_str=True).parameters.values())[2:]
    shared = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=_default(cls),
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
    chosen: Phenomenon,
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
    save(_theory(chosen, asked, when, _method(chosen, method)), out, overwrite=overwrite)
    return 0


def _simulate(
    chosen: Phenomenon,
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
    answer, code = _runs(chosen, asked, when, simulation, on_divergence)
    save(answer, out, overwrite=overwrite)
    return code


def _compare(
    chosen: Phenomenon,
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
    when, method = read_times(times, asked.algorithm), _method(chosen, method)
    if settled := getattr(chosen.analytic, "settled", None):  # defaults of theory and sample may differ at finite size
        asked = asked._replace(algorithm=settled(asked.problem, asked.algorithm, method))
    theory = _theory(chosen, asked, when, method)
    runs, code = _runs(chosen, asked, when, simulation, "mark")
    comparison = compare(theory, runs, false_alarm=false_alarm)
    print(as_json(comparison) if json else describe(comparison))
    if out is not None:
        save(comparison, out, overwrite=overwrite)
    if picture is not None:
        _draw(comparison, picture, overwrite=overwrite)
    return code or int(comparison.attrs["verdict"] != "agree")


def _method(chosen: Phenomenon, method: str | None) -> str:
    methods = chosen.analytic.METHODS
    return known("method", methods[0] if method is None else method, methods)


def _theory(chosen: Phenomenon, asked: Question, times: Any, method: str) -> xr.Dataset:
    given = {}
    sampled = getattr(chosen.simulations, "SAMPLED", chosen.dynamics.PROBLEMS)
    if method in getattr(chosen.analytic, "METHODS_ON_DATA", ()) and isinstance(asked.problem, tuple(sampled)):
        given["data"] = chosen.simulations.sample(asked.problem, **dict(asked.ensemble))
    answer: xr.Dataset = chosen.analytic.solve(asked.problem, asked.algorithm, times, method=method, **given)
    return answer


def _runs(
    chosen: Phenomenon, asked: Question, times: Any, simulation: str | None, on_divergence: str
) -> tuple[xr.Dataset, int]:
    """Return the runs and an exit code: of an interrupted ensemble what is finished (if anything), and 130."""
    methods = chosen.simulations.METHODS
    method = known("simulation", methods[0] if simulation is None else simulation, methods)
    options = dict(asked.ensemble) | dict(asked.options or ())
    options |= {"on_divergence": on_divergence, "progress": sys.stderr.isatty()}
    if prepared := getattr(chosen.analytic, "prepared", None):  # simulations know no theory
        options |= prepared(asked.problem, method)
    try:
        return chosen.simulations.simulate(asked.problem, asked.algorithm, times, method=method, **options), 0
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
