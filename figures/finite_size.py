"""How fast the mean over finite samples approaches the limit: the slope of its deviation in the dimension."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from dynamics.double_descent import VARIABLES
from dynamics.errors import ParameterError
from dynamics.results import Variable, answer, rebuild
from figures.comparison import compare

__all__ = ["finite_size_slope"]

_NAMES = {
    **VARIABLES,
    "dimension": Variable("d", "dimension"),
    "deviation": Variable(r"\Delta", "mean over the runs minus the limit"),
    "standard_error": Variable("s", "standard error of the deviation"),
    "slope": Variable("b", "slope of log |deviation| in log dimension"),
    "slope_standard_error": Variable("s_b", "standard error of the slope"),
}


def finite_size_slope(
    pairs: Mapping[int, tuple[xr.Dataset, xr.Dataset]], *, variable: str = "generalization_error"
) -> xr.Dataset:
    r"""Fit \|mean of the runs - limit\| = A d^b at each time, over several dimensions d.

    Parameters
    ----------
    pairs : mapping
        For each dimension, theory (the limit) and runs at the same times.
    variable : str
        The curve to look at.

    Returns
    -------
    Dataset
        ``deviation`` and ``standard_error`` (dimension, time); ``slope`` b and ``slope_standard_error`` (time) of the
        straight line through log \|deviation\| over log d, weighted by their squared relative precision.

    Raises
    ------
    ParameterError
        When there are fewer than two dimensions, or a deviation is not resolved (less than two standard errors, where
        its logarithm means nothing): more runs are needed.
    """
    if len(pairs) < 2:
        raise ParameterError(f"pairs must hold at least two dimensions; got {len(pairs)}")
    compared = [compare(theory, runs).sel(variable=variable) for theory, runs in pairs.values()]
    deviation = np.array([one["deviation"].values for one in compared])
    error = np.array([one["standard_error"].values for one in compared])
    if (weak := np.abs(deviation) < 2.0 * error).any():
        size, place = (int(index) for index in np.argwhere(weak)[0])
        raise ParameterError(
            f"runs must be more: at dimension {list(pairs)[size]}, time {compared[0]['time'].values[place]:g} the "
            f"deviation {deviation[size, place]:.2g} is less than two standard errors ({error[size, place]:.2g})"
        )
    weight = (deviation / error) ** 2
    x = np.log(np.array(list(pairs), dtype=np.float64))[:, None]
    centred = x - (weight * x).sum(axis=0) / weight.sum(axis=0)
    spread = (weight * centred**2).sum(axis=0)
    first = next(iter(pairs.values()))[0]
    return answer(
        rebuild(first.attrs["problem"]),
        rebuild(first.attrs["algorithm"]),
        {
            "deviation": (("dimension", "time"), deviation),
            "standard_error": (("dimension", "time"), error),
            "slope": (("time",), (weight * centred * np.log(np.abs(deviation))).sum(axis=0) / spread),
            "slope_standard_error": (("time",), spread**-0.5),
        },
        {"dimension": np.array(list(pairs)), "time": compared[0]["time"].values},
        kind="comparison",
        method=f"{first.attrs['method']}, finite-size slope",
        names=_NAMES,
    )
