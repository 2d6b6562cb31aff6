"""How far theory and simulation are apart, in standard errors, and whether that is allowed.

One independent unit is one *run* (one draw of the data). Whatever was drawn within a run (teachers, label noise) is
averaged first. With theory for the very same draws the differences are taken run by run. The verdict is one family-wise
test over all variables and times (Bonferroni); :mod:`figures.verdicts` says what is allowed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamics.errors import ParameterError, shown
from dynamics.parameters import check_whole
from dynamics.results import Variable, answer
from figures.verdicts import statistics, verdicts

__all__ = ["compare"]

Array = NDArray[Any]

_NAMES = {
    "theory": Variable("T", "theory"),
    "mean": Variable(r"\bar S", "mean over the runs"),
    "standard_error": Variable("s", "standard error of the mean over the runs"),
    "standard_error_within": Variable("s_w", "part of the standard error that comes from within the runs"),
    "deviation": Variable(r"\Delta", "simulation minus theory"),
    "deviation_in_standard_errors": Variable(r"\Delta/s", "simulation minus theory, in standard errors"),
    "allowance": Variable("a", "deviation that theory itself declares to neglect"),
    "skewness": Variable("g", "skewness of the runs"),
    "lowest": Variable(r"\Delta_-", "lowest deviation allowed"),
    "highest": Variable(r"\Delta_+", "highest deviation allowed"),
    "detectable": Variable(r"\Delta_d", "smallest deviation that is called a disagreement 999 times of 1000"),
    "tested": Variable("", "whether the runs are regular enough for their mean to be tested"),
    "allowed": Variable("v", "whether the deviation is allowed, or not tested"),
    "variable": Variable("", "quantity compared"),
}


def compare(
    theory: xr.Dataset, runs: xr.Dataset, *, variables: Sequence[str] | None = None, false_alarm: float = 1e-6
) -> xr.Dataset:
    """Compare theory with simulated runs of the same problem and algorithm at the same times.

    Parameters
    ----------
    theory : Dataset
        An answer of ``analytic``; its variables ``<name>_error`` are the allowance.
    runs : Dataset
        An answer of ``simulations`` with at least two finished runs.
    variables : list of str, optional
        What to compare, on the same axes; by default every curve that both have on the axes of the first of them.
    false_alarm : float
        Probability that a correct theory is called a disagreement anywhere, over all variables and times together
        (for nearly normal runs; see :mod:`figures.verdicts` for skewed ones).

    Returns
    -------
    Dataset
        On (variable, time or whatever the answers share): theory, mean, standard_error, standard_error_within (what
        the draws within a run contribute to it), deviation, deviation_in_standard_errors (nan, and explained, where all
        runs are equal), allowance, skewness, lowest and highest allowed deviation, detectable, tested, allowed.
        Attributes: ``verdict`` ("agree" or "disagree"), ``false_alarm``, ``values_compared``, ``values_blind`` (at
        which not even a deviation as large as the whole curve would be seen), ``runs``, ``independent_unit``, ``notes``
        (lines), and problem, algorithm, methods, seed and version.

    Raises
    ------
    ParameterError
        When the two are not answers to the same question (the differing parameter is named), there is too little to
        compare, or a value is not finite.

    Examples
    --------
    >>> from analytic.double_descent import solve
    >>> from dynamics.algorithms import GradientFlow
    >>> from dynamics.double_descent import TwoScale
    >>> from simulations.double_descent import simulate
    >>> question = TwoScale(samples=60, dimension=40, fast=20), GradientFlow(), [0.1, 1.0, 10.0]
    >>> result = compare(solve(*question), simulate(*question, runs=50))
    >>> result.attrs["verdict"], dict(result.sizes)
    ('agree', {'variable': 4, 'time': 3})
    """
    if not isinstance(false_alarm, (int, float)) or not 1e-100 <= false_alarm <= 0.5:
        raise ParameterError(
            f"false_alarm (probability of a false alarm) must be in [1e-100, 0.5]; got {shown(false_alarm)}"
        )
    _check_same_question(theory, runs)
    notes = _notes(theory, runs)
    kept = _finished(runs, notes)
    names, axes = _shared_variables(theory, kept, variables, notes)
    inner = _inner(theory, kept, names, axes)
    columns = [statistics(theory, kept, name, axes, inner) for name in names]
    values = {key: np.stack([column[key] for column in columns]) for key in columns[0]}
    count = int(values["mean"].size)
    values |= verdicts(values, kept.sizes["run"], false_alarm / count)
    blind = _blind(values, names, notes)
    diverged = "outcome" in runs and bool((runs["outcome"] == "diverged").any())
    agree = bool(values["allowed"].all()) and not diverged
    result = answer(
        theory.attrs["problem"],
        theory.attrs.get("algorithm"),
        {key: (("variable", *axes), item) for key, item in values.items()},
        {"variable": np.array(names)},
        kind="comparison",
        method=f"{theory.attrs['method']} against {runs.attrs['method']}",
        seed=runs.attrs.get("seed"),
        names=_NAMES,
        verdict="agree" if agree else "disagree",
        false_alarm=false_alarm,
        values_compared=count,
        values_blind=blind,
        runs=kept.sizes["run"],
        independent_unit="run",
        notes="\n".join(notes),
    )
    symbols = [runs[name].attrs.get("symbol", name) for name in names]
    result = result.assign_coords(
        symbol=("variable", np.array(symbols), {"long_name": "symbol of the quantity compared"})
    )
    result["deviation_in_standard_errors"].attrs["nan"] = (
        "where all runs are equal there is no standard error to count in"
    )
    numbered = {axis: (axis, _along(theory, axis)) for axis in axes if axis not in theory.coords}
    return result.assign_coords({axis: theory[axis] for axis in axes if axis in theory.coords} | numbered)


def _check_same_question(theory: xr.Dataset, runs: xr.Dataset) -> None:
    for name, data, kind in (("theory", theory, "theory"), ("runs", runs, "simulation")):
        if not isinstance(data, xr.Dataset) or data.attrs.get("kind") != kind:
            raise ParameterError(f"{name} must be an answer of a {kind}; got {type(data).__name__}")
        if not isinstance(data.attrs.get("problem"), str) or "method" not in data.attrs:
            raise ParameterError(f"{name} must say in its attributes which problem it answers, and how")
    for part in ("problem", "algorithm"):
        mine, other = (_described(data, part) for data in (theory, runs))
        for key in [*mine, *(key for key in other if key not in mine)]:
            if mine.get(key) != other.get(key):
                raise ParameterError(
                    f"theory and runs must answer the same question; {part} {key} is {mine.get(key)!r} in theory and "
                    f"{other.get(key)!r} in the runs"
                )
    if theory.attrs.get("variant") != runs.attrs.get("variant"):
        raise ParameterError(f"theory must not be a variant that the runs are not: {theory.attrs.get('variant')}")
    if "run" in theory.dims and theory.attrs.get("seed") != runs.attrs.get("seed"):
        raise ParameterError(
            f"theory and runs must be of the same draws; theory's data have seed {theory.attrs.get('seed')}, the runs "
            f"{runs.attrs.get('seed')}"
        )
    if "run" not in runs.dims:
        raise ParameterError("runs must have the dimension run")
    for dim in set(theory.dims) & set(runs.dims):
        if not np.array_equal(_along(theory, dim), _along(runs, dim)):
            raise ParameterError(f"theory and runs must have the same {dim}")


def _along(data: xr.Dataset, dim: Any) -> Array:
    """Return the values along a dimension, or numbers where it has none."""
    return np.asarray(data[dim].values) if dim in data.coords else np.arange(data.sizes[dim])


def _described(data: xr.Dataset, part: str) -> dict[str, Any]:
    try:
        return dict(json.loads(data.attrs.get(part, "{}")))
    except (TypeError, ValueError):
        raise ParameterError(f"attribute {part} must be JSON text; got {shown(data.attrs[part])}") from None


def _notes(theory: xr.Dataset, runs: xr.Dataset) -> list[str]:
    """Say what a reader of the verdict must know."""
    notes = [f"{data.attrs['caveat']}" for data in (theory, runs) if "caveat" in data.attrs]
    if "own_default" in runs.attrs and "run" not in theory.dims:
        notes.append(
            f"{runs.attrs['own_default']} was left open: theory took the asymptotic default, each run its own, and "
            "they differ at finite size (give both the same number)"
        )
    if not any(str(name).endswith("_error") and str(name).removesuffix("_error") in theory for name in theory):
        notes.append(f"method {theory.attrs['method']} declares no error of its own, so nothing is allowed for")
    return notes


def _finished(runs: xr.Dataset, notes: list[str]) -> xr.Dataset:
    kept = runs
    if "outcome" in runs:
        outcomes = runs["outcome"].values
        kept = runs.isel(run=np.flatnonzero(outcomes == "finished"))
        for outcome in sorted(set(outcomes.tolist()) - {"finished"}):
            number = int((outcomes == outcome).sum())
            notes.append(f"{number} of {runs.sizes['run']} runs {outcome}, and left out of the means")
        if "diverged" in outcomes:
            notes.append("runs that diverged are a disagreement, whatever the others do")
    check_whole("runs (finished ones)", kept.sizes["run"], at_least=2)
    if "run" in kept.coords and not kept.indexes["run"].is_unique:
        raise ParameterError("runs must be independent; some of their numbers occur twice")
    return kept


def _shared_variables(
    theory: xr.Dataset, runs: xr.Dataset, wanted: Sequence[str] | None, notes: list[str]
) -> tuple[list[str], list[str]]:
    """Return the variables to compare and their common axes."""
    both = [str(name) for name in theory.data_vars if name in runs and "run" in runs[name].dims]
    axes = {name: [str(dim) for dim in theory[name].dims if dim != "run"] for name in both}
    if wanted is None:
        names = [name for name in both if axes[name] and set(axes[name]) <= set(runs[name].dims)]
        if left := [name for name in both if axes[name] and name not in names]:
            notes.append(f"not compared, for the runs lack a dimension of theory's: {', '.join(left)}")
        if others := [name for name in names if axes[name] != axes[names[0]]]:
            notes.append(f"not compared, for they are not on ({', '.join(axes[names[0]])}): {', '.join(others)}")
            names = [name for name in names if name not in others]
    else:
        names = list(wanted)
        if missing := [name for name in names if name not in both or not set(axes[name]) <= set(runs[name].dims)]:
            raise ParameterError(f"variables must be among {', '.join(both)}; got {', '.join(map(str, missing))}")
    if not names:
        raise ParameterError("theory and runs have no curve in common")
    if len({tuple(axes[name]) for name in names}) > 1:
        known = ", ".join(f"{name} on {axes[name]}" for name in names)
        raise ParameterError(f"variables must be chosen on the same axes; there are {known}")
    if not all(theory.sizes[axis] for axis in axes[names[0]]):
        raise ParameterError("theory and runs must have at least one value along each axis")
    return names, axes[names[0]]


def _inner(theory: xr.Dataset, runs: xr.Dataset, names: Sequence[str], axes: Sequence[str]) -> list[str]:
    """Return the dimensions of randomness within a run, outermost first, as the simulation declares them."""
    declared = str(runs.attrs.get("random_dimensions", "run")).split()
    for name in names:
        if other := set(map(str, runs[name].dims)) - {"run", *axes, *declared}:
            raise ParameterError(f"theory must have the dimensions {sorted(other)} of the runs too, in {name}")
    return [dim for dim in declared if dim != "run"]


def _blind(values: dict[str, Array], names: Sequence[str], notes: list[str]) -> int:
    """Count the values at which not even a deviation as large as the whole curve would be seen, and say why."""
    blind = ~values["tested"]
    if irregular := int(blind.sum()):
        notes.append(f"{irregular} values are not tested: a few of the runs carry their mean")
    for row, name in enumerate(names):
        whole = max(np.abs(values["theory"][row]).max(), np.abs(values["mean"][row]).max())
        blunt = values["tested"][row] & (values["detectable"][row] > whole)
        if not blunt.any():
            continue
        own = np.median(values["allowance"][row][blunt] / values["detectable"][row][blunt]) > 0.5
        why = "theory allows itself so large an error there" if own else "there are too few runs"
        notes.append(
            f"{name}: at {blunt.sum()} of {blunt.size} values even a deviation as large as the whole curve can pass: "
            f"{why}"
        )
        blind[row] |= blunt
    return int(blind.sum())
