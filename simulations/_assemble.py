"""From the results of single runs to one answer, in which every missing value is explained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dynamics.algorithms import Algorithm
from dynamics.errors import DivergenceError, Interrupted
from dynamics.parameters import Declared
from dynamics.results import Variable, answer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Run", "assemble", "raise_first"]


class Run(NamedTuple):
    """One run: curves of each teacher, first step at which one of them diverged (or -1), numbers, broken bound.

    The curves are tuples of arrays over the last dimension, in the order of the names given to :func:`assemble`.
    """

    curves: Sequence[tuple[Any, ...]]
    diverged_at: int
    scalars: Mapping[str, float]
    broken: str


def assemble(
    problem: Declared,
    algorithm: Algorithm | None,
    results: Sequence[Run | None],
    names: Sequence[str],
    scalars: Sequence[str],
    axis: tuple[str, Any],
    runs: range,
    teachers: int = 1,
    *,
    symbols: Mapping[str, Variable],
    interrupted: bool,
    **attributes: Any,
) -> xr.Dataset:
    """Make the answer of an ensemble; ``axis`` is the last dimension, "time" or "penalty", with its values.

    ``names`` are those of the curves, ``scalars`` those of the numbers that each run has, ``symbols`` describes both.

    A run that was not finished (None) holds nan and is "cancelled"; a diverged one holds nan from its step on. Of an
    ensemble that was ``interrupted`` the answer comes as that of the exception (Interrupted).
    """
    name, along = axis
    curves = np.full((len(names), len(runs), teachers, len(along)), np.nan)
    diverged_at = np.full(len(runs), -1, dtype=np.int64)
    per_run = {key: np.full(len(runs), np.nan) for key in scalars}
    for r, run in enumerate(results):
        if run is None:
            continue
        diverged_at[r] = run.diverged_at
        for key in scalars:
            per_run[key][r] = run.scalars[key]
        alive = len(along) if run.diverged_at < 0 else int(np.searchsorted(along, run.diverged_at))
        for m, of_teacher in enumerate(run.curves):
            curves[:, r, m, :alive] = [values[:alive] for values in of_teacher]
    finished = np.array([run is not None for run in results])
    outcome = np.where(finished, np.where(diverged_at < 0, "finished", "diverged"), "cancelled")
    one = (slice(None), 0) if teachers == 1 else ()
    dims = ("run",) if teachers == 1 else ("run", "teacher")
    variables: dict[str, Any] = {key: ((*dims, name), values[one]) for key, values in zip(names, curves, strict=True)}
    variables |= {key: (("run",), values) for key, values in per_run.items()}
    variables["outcome"] = (("run",), outcome)
    if name == "time":
        variables["diverged_at"] = (("run",), diverged_at)
    coordinates = {"run": np.array(runs)} | ({} if teachers == 1 else {"teacher": np.arange(teachers)}) | {name: along}
    made = answer(
        problem,
        algorithm,
        variables,
        coordinates,
        kind="simulation",
        names=symbols,
        random_dimensions="run" if teachers == 1 else "run teacher",
        **attributes,
    )
    if (outcome != "finished").any():
        for key in names:
            made[key].attrs["missing"] = "nan from diverged_at on in diverged runs, and in cancelled runs"
    if interrupted:
        raise Interrupted(f"interrupted; {finished.sum()} of {len(runs)} runs were finished and are kept", partial=made)
    return made


def raise_first(results: Sequence[Run | None], runs: range, made: xr.Dataset) -> None:
    """Raise for the first run that diverged, if any; ``made`` is the answer that marks it."""
    for number, run in zip(runs, results, strict=True):
        if run is not None and run.diverged_at >= 0:
            raise DivergenceError(
                f"run {number} diverged at step {run.diverged_at}: {run.broken}. Lower it, or keep such runs with "
                "on_divergence='mark'",
                step=run.diverged_at,
                bound=run.broken,
                partial=made,
            )
