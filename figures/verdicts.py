r"""The arithmetic of a verdict: standard errors between runs, what is allowed, what would be detected.

A deviation is allowed up to

    allowance + rounding + critical value x standard error,

where the allowance is what theory declares to neglect (its variables ``<name>_error``) and what the simulation does
(its attribute ``bias``, relative to theory), rounding is 8 units in the last place of the curve, and the critical value
is Student's, widened where the runs are skewed by the inverse of Hall's transformation (P. Hall, J. R. Stat. Soc. B 54,
221 (1992)): without it skewed runs fail a correct theory too often. Where a few runs carry the mean, |skewness| >
0.3 sqrt(runs), no test of the mean is of any use: such values are not tested. Measured at a level of 2.5e-9 for each
value, the real one is below it for normal runs, and above it by a factor of 2, 5, 11 for skewness 0.5, 1, 2 of 100
runs, or 4, 46 for skewness 0.5, 1 of 20 runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from dynamics.errors import ParameterError

__all__ = ["statistics", "verdicts"]

Array = NDArray[Any]

_ROUNDING = 8 * np.finfo(np.float64).eps
#: Largest |skewness|/sqrt(runs) at which a mean is tested.
_MOST_SKEWED = 0.3
#: Probability that a deviation called detectable is not detected.
_MISSED = 1e-3


def statistics(
    theory: xr.Dataset, runs: xr.Dataset, name: str, axes: Sequence[str], inner: Sequence[str]
) -> dict[str, Array]:
    """Return theory, mean, standard errors, deviation, allowance and skewness of one variable, each over the axes.

    ``inner`` are the dimensions of randomness within a run, outermost first. They are averaged first, so that the
    standard error, taken between runs, contains every source of randomness once.
    """
    curve, error = theory[name], theory.get(f"{name}_error", xr.zeros_like(theory[name]))
    for what, values in (("theory", curve), ("allowance of theory", error), ("finished runs", runs[name])):
        if not np.isfinite(values.values).all():
            raise ParameterError(f"{name} must be finite in what is compared; it is not in the {what}")
    if "bias" in runs.attrs:
        error = error + float(runs.attrs["bias"]) * abs(curve)
    own = [dim for dim in inner if dim in runs[name].dims]
    simulated = runs[name].mean(own[1:], skipna=False) if own[1:] else runs[name]
    number = simulated.sizes["run"]
    within = xr.zeros_like(runs[name].isel(dict.fromkeys(["run", *own], 0), drop=True))
    if own and simulated.sizes[own[0]] > 1:
        each = simulated.var(own[0], ddof=1, skipna=False).mean("run", skipna=False)
        within = (each / (simulated.sizes[own[0]] * number)) ** 0.5
    simulated = simulated.mean(own[0], skipna=False) if own else simulated
    if "run" in curve.dims:
        curve = curve.sel(run=runs["run"])
        error = error.sel(run=runs["run"]) if "run" in error.dims else error
    difference = (simulated - curve).transpose("run", *axes).values
    return {
        "theory": _over(curve.mean("run") if "run" in curve.dims else curve, axes),
        "mean": _over(simulated.mean("run"), axes),
        "standard_error": difference.std(axis=0, ddof=1) / np.sqrt(number),
        "standard_error_within": _over(within, axes),
        "deviation": difference.mean(axis=0),
        "allowance": _over(error.max("run") if "run" in error.dims else error, axes),
        "skewness": _skewness(difference),
    }


def _over(values: xr.DataArray, axes: Sequence[str]) -> Array:
    return np.asarray(values.transpose(*axes).values, dtype=np.float64)


def _skewness(values: Array) -> Array:
    """Return the skewness over the first axis; 0 where all values are equal."""
    centred = values - values.mean(axis=0)
    largest = np.abs(centred).max(axis=0)
    unit = centred / np.where(largest == 0, 1.0, largest)  # whose powers do not underflow
    square = (unit**2).mean(axis=0)
    skewness: Array = (unit**3).mean(axis=0) / np.where(square == 0, 1.0, square) ** 1.5
    return skewness


def verdicts(values: dict[str, Array], runs: int, level: float) -> dict[str, Array]:
    """Return the allowed range of every deviation at two-sided ``level``, and whether it is kept."""
    critical = float(stats.t.isf(level / 2.0, runs - 1))
    error = values["standard_error"]
    allowance = values["allowance"] + _ROUNDING * np.maximum(np.abs(values["theory"]), np.abs(values["mean"]))
    low, high = (_hall(values["skewness"], side * critical, runs) for side in (-1.0, 1.0))
    lowest = -allowance + error * np.minimum(low, -critical)
    highest = allowance + error * np.maximum(high, critical)
    flat = error == 0
    tested = np.abs(values["skewness"]) <= _MOST_SKEWED * np.sqrt(runs)
    return {
        "deviation_in_standard_errors": np.where(flat, np.nan, values["deviation"] / np.where(flat, 1.0, error)),
        "lowest": lowest,
        "highest": highest,
        "detectable": np.maximum(-lowest, highest) + error * float(stats.t.isf(_MISSED, runs - 1)),
        "tested": tested,
        "allowed": ~tested | ((lowest <= values["deviation"]) & (values["deviation"] <= highest)),
    }


def _hall(skewness: Array, limit: float, runs: int) -> Array:
    """Invert Hall's transformation of a studentised mean: the t value at which the corrected one is ``limit``."""
    root = np.sqrt(runs)
    shift = skewness / root * (limit - skewness / (6.0 * root))
    straight = skewness == 0
    return np.where(straight, limit, 3.0 * root / np.where(straight, 1.0, skewness) * (np.cbrt(1.0 + shift) - 1.0))
