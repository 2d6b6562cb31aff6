"""One question on the command line: a problem, an algorithm, times; theory, runs, or both compared."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import xarray as xr
from cyclopts import App, Parameter

from dynamics.algorithms import Algorithm
from dynamics.errors import known
from dynamics.parameters import Declared
from figures.comparison import compare
from figures.files import check_free, save
from figures.phenomena import Phenomenon, phenomena, phenomenon
from figures.reports import describe, summarize
from figures.times import read_times

__all__ = ["ask"]


def ask(action: str, name: str, words: list[str]) -> int:
    """Answer one question given by command-line words, and return the exit code."""
    if name in ("", "--help", "-h"):
        print(f"usage: dynamics {action} PHENOMENON [options]; phenomena: {', '.join(phenomena())}")
        return 0 if name else 2
    chosen = phenomenon(name)
    problem, words = _pick(words, "problem", chosen.dynamics.PROBLEMS)
    algorithm, words = _pick(words, "algorithm", chosen.dynamics.ALGORITHMS)
    inner = App(
        name=f"dynamics {action} {name}", version_flags=[], help_format="plaintext", suppress_keyboard_interrupt=False
    )
    inner.default(_signed(_ACTIONS[action], chosen, problem, algorithm))
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


def _signed(action: Any, chosen: Phenomenon, problem: type[Declared], algorithm: type[Algorithm]) -> Any:
    """Give the action a signature with the declared parameters of problem and algorithm as its options."""

    def command(**values: Any) -> int:
        return int(action(chosen, **{"problem": problem(), "algorithm": algorithm()} | values))

    own = list(inspect.signature(action, eval_str=True).parameters.values())[3:]
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=cls(),
            annotation=Annotated[cls, Parameter(name="*", group=cls.label)],
        )
        for name, cls in (("problem", problem), ("algorithm", algorithm))
    ]
    command.__signature__ = inspect.Signature(shared + own)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in shared + own}
    command.__doc__ = action.__doc__
    return command


def _solve(
    chosen: Phenomenon,
    problem: Any,
    algorithm: Any,
    *,
    out: Path,
    times: str | None = None,
    method: str | None = None,
    runs: int = 100,
    seed: int = 0,
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
        Method of the theory; the first in `dynamics list` by default.
    runs
        Draws of the data, for a method that is exact for given data.
    seed
        Seed of these draws.
    overwrite
        Replace the file if it exists.
    """
    check_free(out, overwrite=overwrite)
    save(
        _theory(chosen, problem, algorithm, read_times(times, algorithm), method, runs, seed), out, overwrite=overwrite
    )
    return 0


def _simulate(
    chosen: Phenomenon,
    problem: Any,
    algorithm: Any,
    *,
    out: Path,
    times: str | None = None,
    simulation: str | None = None,
    runs: int = 100,
    seed: int = 0,
    workers: int | None = None,
    mark: bool = False,
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
    runs
        Number of independent runs.
    seed
        Seed of the runs.
    workers
        Threads; the numbers do not depend on it.
    mark
        Keep runs that diverge, marked, instead of ending with an error.
    overwrite
        Replace the file if it exists.
    """
    check_free(out, overwrite=overwrite)
    answer = _runs(
        chosen, problem, algorithm, read_times(times, algorithm), simulation,
        runs=runs, seed=seed, workers=workers, on_divergence="mark" if mark else "raise",
    )  # fmt: skip
    save(answer, out, overwrite=overwrite)
    return _interrupted(answer)


def _compare(
    chosen: Phenomenon,
    problem: Any,
    algorithm: Any,
    *,
    times: str | None = None,
    method: str | None = None,
    simulation: str | None = None,
    runs: int = 100,
    seed: int = 0,
    workers: int | None = None,
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
    runs
        Number of independent runs.
    seed
        Seed of the runs.
    workers
        Threads; the numbers do not depend on it.
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
    for path in (out, picture):
        if path is not None:
            check_free(path, overwrite=overwrite)
    if picture is not None:
        known("picture's ending", picture.suffix, (".png", ".pdf"))
    when = read_times(times, algorithm)
    theory = _theory(chosen, problem, algorithm, when, method, runs, seed)
    algorithm, theory = _same_step(chosen, problem, algorithm, theory, method)
    simulated = _runs(
        chosen, problem, algorithm, when, simulation, runs=runs, seed=seed, workers=workers, on_divergence="mark"
    )
    comparison = compare(theory, simulated, false_alarm=false_alarm)
    print(_as_json(comparison) if json else describe(comparison))
    if out is not None:
        save(comparison, out, overwrite=overwrite)
    if picture is not None:
        _draw(comparison, picture, overwrite=overwrite)
    return _interrupted(simulated) or int(comparison.attrs["verdict"] != "agree")


def _theory(
    chosen: Phenomenon, problem: Any, algorithm: Any, times: Any, method: str | None, runs: int, seed: int
) -> xr.Dataset:
    method = known("method", method or chosen.analytic.METHODS[0], chosen.analytic.METHODS)
    given = {}
    if method in getattr(chosen.analytic, "METHODS_ON_DATA", ()):
        given["data"] = chosen.simulations.sample(problem, runs=runs, seed=seed)
    answer: xr.Dataset = chosen.analytic.solve(problem, algorithm, times, method=method, **given)
    return answer


def _same_step(
    chosen: Phenomenon, problem: Any, algorithm: Any, theory: xr.Dataset, method: str | None
) -> tuple[Any, xr.Dataset]:
    """Give both the step that theory takes by default: their own defaults differ at finite size."""
    if getattr(algorithm, "learning_rate", 0.0) is not None or "learning_rate" not in theory:
        return algorithm, theory
    fixed = type(algorithm)(**{**algorithm.model_dump(), "learning_rate": float(theory["learning_rate"])})
    return fixed, chosen.analytic.solve(
        problem, fixed, theory["time"].values, method=method or chosen.analytic.METHODS[0]
    )


def _runs(
    chosen: Phenomenon, problem: Any, algorithm: Any, times: Any, simulation: str | None, **options: Any
) -> xr.Dataset:
    method = known("simulation", simulation or chosen.simulations.METHODS[0], chosen.simulations.METHODS)
    answer: xr.Dataset = chosen.simulations.simulate(
        problem, algorithm, times, method=method, progress=sys.stderr.isatty(), **options
    )
    return answer


def _interrupted(answer: xr.Dataset) -> int:
    """Return the exit code of an interrupted ensemble, after saying what was kept; 0 for a complete one."""
    if not answer.attrs.get("cancelled"):
        return 0
    kept = int((answer["outcome"] == "finished").sum())
    print(f"dynamics: interrupted; {kept} of {answer.sizes['run']} runs were finished and kept", file=sys.stderr)
    return 130


def _as_json(comparison: xr.Dataset) -> str:
    attrs = {
        key: comparison.attrs[key] for key in ("verdict", "method", "runs", "values_compared", "false_alarm", "notes")
    }
    return json.dumps({**attrs, "variables": summarize(comparison)}, indent=2)


def _draw(comparison: xr.Dataset, path: Path, *, overwrite: bool) -> None:
    from figures.drawing import draw
    from figures.files import write_bytes
    from figures.style import picture_bytes

    write_bytes(picture_bytes(draw(comparison), path.suffix[1:]), path, overwrite=overwrite)


_ACTIONS: dict[str, Any] = {"compare": _compare, "solve": _solve, "simulate": _simulate}
