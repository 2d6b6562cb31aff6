"""How fast the mean over finite samples approaches the limit: the slope of its deviation in the size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from dynamics.errors import ParameterError
from figures.cases import together

__all__ = ["slope_in_size"]


def slope_in_size(comparisons: Mapping[int, xr.Dataset], variable: str) -> xr.Dataset:
    r"""Fit \|mean of the runs - limit\| = A N^b at each time (or whatever the axes are), over several sizes N.

    Parameters
    ----------
    comparisons : mapping
        For each size, what :func:`figures.compare` returned, on the same axes.
    variable : str
        The curve to look at.

    Returns
    -------
    Dataset
        The comparisons of this variable on dimension ``size``, with ``slope`` b and ``slope_standard_error`` of the
        straight line through log \|deviation\| over log N, weighted by the squared relative precision.

    Raises
    ------
    ParameterError
        When there are fewer than two sizes, or a deviation is not resolved (less than two standard errors, where its
        logarithm means nothing): more runs are needed.
    """
    if len(comparisons) < 2:
        raise ParameterError(f"comparisons must be of at least two sizes; got {len(comparisons)}")
    data = together("size", {size: one.sel(variable=[variable]) for size, one in comparisons.items()})
    data = data.isel(variable=0)
    ratio = abs(data["deviation"]) / data["standard_error"]
    if (ratio < 2.0).any():
        weakest = ratio.where(ratio == ratio.min(), drop=True)
        raise ParameterError(
            f"runs must be more: the deviation is only {float(ratio.min()):.2g} standard errors at size "
            f"{weakest['size'].values[0]}"
        )
    x = np.log(data["size"].astype(float))
    weight = ratio**2
    centred = x - (weight * x).sum("size") / weight.sum("size")
    spread = (weight * centred**2).sum("size")
    slope = (weight * centred * np.log(abs(data["deviation"]))).sum("size") / spread
    return data.assign(slope=slope, slope_standard_error=spread**-0.5)
