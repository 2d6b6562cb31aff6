"""The curves of a screen, ready to be drawn by anything: theory, what is kept, the runs' band, deviations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from figures.explorer.controller import Screen

__all__ = ["Band", "Curve", "Deviation", "bands", "curves", "deviations", "names_of", "shown_variables", "variables_of"]

Array = NDArray[np.float64]


class Curve(NamedTuple):
    """One curve: its key, such as ``response 2``, its name in words, and its values over time."""

    key: str
    name: str
    time: Array
    value: Array


class Band(NamedTuple):
    """The mean over the runs, and two standard errors to either side (nan where there is one run only)."""

    key: str
    time: Array
    mean: Array
    low: Array
    high: Array


class Deviation(NamedTuple):
    """Simulation minus theory in standard errors, and what is allowed, at the times that are tested."""

    key: str
    time: Array
    value: Array
    lowest: Array
    highest: Array


def variables_of(answer: xr.Dataset) -> tuple[str, ...]:
    """Return the variables of an answer that are curves over time, without what theory allows them to be off by."""
    names = [str(name) for name in answer.data_vars if "time" in answer[name].dims]
    allowed = {f"{name}_error" for name in names}
    return tuple(name for name in names if answer[name].dtype.kind == "f" and name not in allowed)


def curves(answer: xr.Dataset, variables: Sequence[str]) -> list[Curve]:
    """Return the curves of some variables; those of each draw (run, teacher) are averaged."""
    found = []
    for key, one in _each(answer, variables):
        mean = one.mean([dim for dim in one.dims if dim != "time"], skipna=False, keep_attrs=True)
        found.append(Curve(key, _words(one, key), _times(answer), np.asarray(mean.values, dtype=np.float64)))
    return found


def bands(runs: xr.Dataset, variables: Sequence[str]) -> list[Band]:
    """Return mean and band of the finished runs; a run's mean over its teachers counts once."""
    runs = runs.isel(run=np.flatnonzero((runs["outcome"] == "finished").values))
    found = []
    for key, one in _each(runs, variables):
        each = one.mean([dim for dim in one.dims if dim not in ("time", "run")], skipna=False).transpose("run", "time")
        if not each.sizes["run"]:
            continue
        mean = each.values.mean(axis=0)
        error = np.full_like(mean, np.nan)
        if each.sizes["run"] > 1:
            error = each.values.std(axis=0, ddof=1) / np.sqrt(each.sizes["run"])
        found.append(Band(key, _times(runs), mean, mean - 2.0 * error, mean + 2.0 * error))
    return found


def deviations(comparison: xr.Dataset, variables: Sequence[str]) -> list[Deviation]:
    """Return the deviations of some variables where there is a standard error to count in and the mean is tested."""
    compared = [str(name) for name in comparison["variable"].values]
    found = []
    for name in variables:
        if name not in compared:
            continue
        for key, one in _selected(comparison.sel(variable=name), name):
            error = one["standard_error"].values
            kept = (error > 0.0) & one["tested"].values
            parts = (one[part].values[kept] for part in ("deviation", "lowest", "highest"))
            found.append(Deviation(key, _times(one)[kept], *(part / error[kept] for part in parts)))
    return found


def _each(answer: xr.Dataset, variables: Sequence[str]) -> list[tuple[str, xr.DataArray]]:
    """Return the wanted variables one by one along their own dimensions, such as features."""
    have = variables_of(answer)
    return [(key, one[name]) for name in variables if name in have for key, one in _selected(answer[[name]], name)]


def _selected(data: xr.Dataset, name: str) -> list[tuple[str, xr.Dataset]]:
    dims = set().union(*(data[part].dims for part in data.data_vars)) - {"time", "run", "teacher"}
    own = sorted(str(dim) for dim in dims)
    places = itertools.product(*(range(data.sizes[dim]) for dim in own))
    found = []
    for place in places:
        one = data.isel(dict(zip(own, place, strict=True)))
        labels = (f"{one[dim].item()}" if dim in one.coords else f"{at}" for dim, at in zip(own, place, strict=True))
        found.append((" ".join([name, *labels]), one))
    return found


def _words(one: xr.DataArray, key: str) -> str:
    """Name a curve: what it is, and which one of them."""
    return " ".join([str(one.attrs.get("long_name", one.name)), *key.split()[1:]])


def _times(data: xr.Dataset | xr.DataArray) -> Array:
    return np.asarray(data["time"].values, dtype=np.float64)


def shown_variables(screen: Screen) -> tuple[str, ...]:
    """Return the variables that a screen has, of theory or else of the runs."""
    answer = _answer(screen)
    return () if answer is None else variables_of(answer)


def names_of(screen: Screen, variables: Sequence[str]) -> dict[str, str]:
    """Return the names in words of the curves of some variables, by their keys."""
    answer = _answer(screen)
    return {} if answer is None else {key: _words(one, key) for key, one in _each(answer, variables)}


def _answer(screen: Screen) -> xr.Dataset | None:
    return screen.theory if isinstance(screen.theory, xr.Dataset) else screen.runs
