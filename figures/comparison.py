r"""How far theory and simulation are apart, in standard errors, and whether that is allowed.

One independent unit is one *run* (one draw of the data). Whatever was averaged within a run (teachers, label noise) is
averaged first, so that the standard error, taken between runs, contains every source of randomness once. With theory
for the very same draws (method "finite") the differences are taken run by run.

The verdict is one family-wise test over all variables and times. A deviation is allowed up to

    allowance + critical value x standard error,

where the allowance is what theory itself declares to neglect (its variables ``<name>_error``) and the critical value is
Student's, at ``false_alarm`` / (number of values compared), widened where the runs are skewed by the inverse of Hall's
transformation (P. Hall, J. R. Stat. Soc. B 54, 221 (1992)): without it skewed runs fail a correct theory too often.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from dynamics.errors import ParameterError
from dynamics.parameters import check_whole
from dynamics.results import Variable, answer, rebuild

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
    "lowest": Variable(r"\Delta_-", "lowest deviation allowed"),
    "highest": Variable(r"\Delta_+", "highest deviation allowed"),
    "detectable": Variable(r"\Delta_d", "smallest deviation that would almost surely be called a disagreement"),
    "allowed": Variable("v", "whether the deviation is allowed"),
    "variable": Variable("", "quantity compared"),
}


def compare(theory: xr.Dataset, runs: xr.Dataset, *, false_alarm: float = 1e-6) -> xr.Dataset:
    """Compare theory with simulated runs of the same problem and algorithm at the same times.

    Parameters
    ----------
    theory : Dataset
        An answer of ``analytic``; its variables ``<name>_error`` are the allowance.
    runs : Dataset
        An answer of ``simulations`` with at least two finished runs.
    false_alarm : float
        Probability that a correct theory is called a disagreement anywhere, over all variables and times together.

    Returns
    -------
    Dataset
        On (variable, time or whatever the answers share): theory, mean, standard_error, standard_error_within (what
        teachers and noise within a run contribute to it), deviation, deviation_in_standard_errors (nan, and explained,
        where all runs are equal), allowance, lowest and highest allowed deviation, detectable, allowed. Attributes:
        ``verdict`` ("agree" or "disagree"), ``false_alarm``, ``values_compared``, ``runs``, ``independent_unit``,
        ``notes``, and problem, algorithm, methods, seed and version.

    Raises
    ------
    ParameterError
        When the two are not answers to the same question (the differing parameter is named), or there is too little to
        compare.
    """
    if not 0 < false_alarm < 1:
        raise ParameterError(f"false_alarm (probability of a false alarm) must be in (0, 1); got {false_alarm!r}")
    _check_same_question(theory, runs)
    notes = _notes(theory, runs)
    kept = _finished(runs, notes)
    names = _shared_variables(theory, kept)
    axes = [dim for dim in theory[names[0]].dims if dim != "run"]
    columns = [_statistics(theory, kept, name, axes) for name in names]
    values = {key: np.stack([column[key] for column in columns]) for key in columns[0]}
    count = int(values["mean"].size)
    values |= _verdicts(values, kept.sizes["run"], false_alarm / count)
    blunt = [
        name for name, far, curve in zip(names, values["detectable"], values["theory"], strict=True)
        if np.max(far) > np.max(np.abs(curve))
    ]  # fmt: skip
    if blunt:
        notes.append(f"too few runs: even a deviation as large as the curve itself can pass for {', '.join(blunt)}")
    diverged = "outcome" in runs and bool((runs["outcome"] == "diverged").any())
    agree = bool(values["allowed"].all()) and not diverged
    dims = ("variable", *map(str, axes))
    result = answer(
        rebuild(theory.attrs["problem"]),
        rebuild(theory.attrs["algorithm"]) if "algorithm" in theory.attrs else None,
        {key: (dims, item) for key, item in values.items() if key != "skewness"},
        {"variable": np.array(names)},
        kind="comparison",
        method=f"{theory.attrs['method']} against {runs.attrs['method']}",
        seed=runs.attrs.get("seed"),
        names=_NAMES,
        verdict="agree" if agree else "disagree",
        false_alarm=false_alarm,
        values_compared=count,
        runs=kept.sizes["run"],
        independent_unit=runs.attrs.get("independent_unit", "run"),
        notes="; ".join(notes),
    )
    symbols = [runs[name].attrs.get("symbol", name) for name in names]
    result = result.assign_coords(
        symbol=("variable", np.array(symbols), {"long_name": "symbol of the quantity compared"})
    )
    result["deviation_in_standard_errors"].attrs["nan"] = (
        "where all runs are equal there is no standard error to count in"
    )
    return result.assign_coords({axis: theory[axis] for axis in axes})


def _check_same_question(theory: xr.Dataset, runs: xr.Dataset) -> None:
    for name, data, kind in (("theory", theory, "theory"), ("runs", runs, "simulation")):
        if not isinstance(data, xr.Dataset) or data.attrs.get("kind") != kind:
            raise ParameterError(f"{name} must be an answer of a {kind}; got {type(data).__name__}")
    for part in ("problem", "algorithm"):
        mine, other = (json.loads(data.attrs.get(part, "{}")) for data in (theory, runs))
        for key in [*mine, *(key for key in other if key not in mine)]:
            if mine.get(key) != other.get(key):
                raise ParameterError(
                    f"theory and runs must answer the same question; {part} {key} is {mine.get(key)!r} in theory and "
                    f"{other.get(key)!r} in the runs"
                )
    if "run" in theory.dims and theory.attrs.get("seed") != runs.attrs.get("seed"):
        raise ParameterError(
            f"theory and runs must be of the same draws; theory's data have seed {theory.attrs.get('seed')}, the runs "
            f"{runs.attrs.get('seed')}"
        )
    if "run" not in runs.dims:
        raise ParameterError("runs must have the dimension run")
    for dim in set(theory.dims) & set(runs.dims):
        if not theory.indexes[dim].equals(runs.indexes[dim]):
            raise ParameterError(f"theory and runs must have the same {dim}")


def _notes(theory: xr.Dataset, runs: xr.Dataset) -> list[str]:
    """Say what a reader of the verdict must know."""
    notes = []
    algorithm = json.loads(theory.attrs.get("algorithm", "{}"))
    if "learning_rate" in algorithm and algorithm["learning_rate"] is None and "run" not in theory.dims:
        notes.append(
            "learning_rate was left open: theory took the asymptotic default, each run its own, and they differ at "
            "finite size (give both the same number)"
        )
    if not any(str(name).endswith("_error") and str(name).removesuffix("_error") in theory for name in theory):
        notes.append(f"method {theory.attrs['method']} declares no error of its own, so nothing is allowed for")
    return notes


def _finished(runs: xr.Dataset, notes: list[str]) -> xr.Dataset:
    if "outcome" in runs:
        kept = runs.isel(run=np.flatnonzero((runs["outcome"] == "finished").values))
        for outcome in ("diverged", "cancelled"):
            number = int((runs["outcome"] == outcome).sum())
            if number:
                notes.append(f"{number} of {runs.sizes['run']} runs {outcome} and are left out of the means")
    else:
        kept = runs
    check_whole("runs (finished ones)", kept.sizes["run"], at_least=2)
    return kept


def _shared_variables(theory: xr.Dataset, runs: xr.Dataset) -> list[str]:
    """Return the curves that both have: on the same dimensions apart from those averaged within the runs."""
    names = []
    for name in theory.data_vars:
        axes = set(theory[name].dims) - {"run"}
        if name in runs and "run" in runs[name].dims and axes and axes <= set(runs[name].dims):
            names.append(str(name))
    if not names:
        raise ParameterError("theory and runs have no curve in common")
    return names


def _statistics(theory: xr.Dataset, runs: xr.Dataset, name: str, axes: list[Any]) -> dict[str, Array]:
    """Return theory, mean, standard errors, deviation, allowance and skewness of one variable, each over the axes."""
    simulated = runs[name].transpose("run", ..., *axes)
    inner = [dim for dim in simulated.dims if dim != "run" and dim not in axes]
    number = simulated.sizes["run"]
    within = np.zeros(simulated.shape[1 + len(inner) :])
    if inner and (each := int(np.prod([simulated.sizes[dim] for dim in inner]))) > 1:
        within = np.sqrt(simulated.var(inner, ddof=1).mean("run").values / (each * number))
    simulated = simulated.mean(inner) if inner else simulated
    curve = theory[name]
    if "run" in curve.dims:
        curve = curve.sel(run=runs["run"])
    difference = (simulated - curve).transpose("run", *axes).values
    error = theory.get(f"{name}_error", xr.zeros_like(theory[name]))
    spread = difference.std(axis=0, ddof=1)
    return {
        "theory": curve.mean("run").values if "run" in curve.dims else curve.values,
        "mean": simulated.mean("run").values,
        "standard_error": spread / np.sqrt(number),
        "standard_error_within": within,
        "deviation": difference.mean(axis=0),
        "allowance": error.max("run").values if "run" in error.dims else error.values,
        "skewness": _skewness(difference),
    }


def _skewness(values: Array) -> Array:
    """Return the skewness over the first axis; 0 where all values are equal."""
    centred = values - values.mean(axis=0)
    spread = values.std(axis=0)
    flat = spread == 0
    return np.where(flat, 0.0, (centred**3).mean(axis=0) / np.where(flat, 1.0, spread) ** 3)


def _verdicts(values: dict[str, Array], runs: int, level: float) -> dict[str, Array]:
    """Return the allowed range of every deviation at two-sided ``level``, and whether it is kept."""
    critical = float(stats.t.isf(level / 2.0, runs - 1))
    error, allowance = values["standard_error"], values["allowance"]
    low, high = (_hall(values["skewness"], side * critical, runs) for side in (-1.0, 1.0))
    lowest = -allowance + error * np.minimum(low, -critical)
    highest = allowance + error * np.maximum(high, critical)
    flat = error == 0
    return {
        "deviation_in_standard_errors": np.where(flat, np.nan, values["deviation"] / np.where(flat, 1.0, error)),
        "lowest": lowest,
        "highest": highest,
        "detectable": np.maximum(-lowest, highest) + error * float(stats.norm.isf(level)),
        "allowed": (lowest <= values["deviation"]) & (values["deviation"] <= highest),
    }


def _hall(skewness: Array, limit: float, runs: int) -> Array:
    """Invert Hall's transformation of a studentised mean: the t value at which the corrected one is ``limit``."""
    root = np.sqrt(runs)
    shift = skewness / root * (limit - skewness / (6.0 * root))
    straight = skewness == 0
    return np.where(straight, limit, 3.0 * root / np.where(straight, 1.0, skewness) * (np.cbrt(1.0 + shift) - 1.0))
