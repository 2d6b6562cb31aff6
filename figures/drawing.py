"""The picture of a comparison: curves with the band of the runs above, deviations in standard errors below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dynamics.errors import ParameterError
from dynamics.results import rebuild
from figures.reports import check_comparison, describe, parameters
from figures.style import COLOURS, captioned, label, new_figure, styled

__all__ = ["draw", "draw_band", "draw_curves", "draw_deviations", "draw_limits", "in_standard_errors"]
Array = NDArray[Any]

#: In standard errors: linear up to 10, then powers of ten.
_TICKS = (*(-(10.0**k) for k in range(15, 0, -1)), -5.0, 0.0, 5.0, *(10.0**k for k in range(1, 16)))


def draw(comparison: xr.Dataset, *, variables: Sequence[str] | None = None) -> Figure:
    """Draw a comparison over its one axis (time or penalty) and return the matplotlib figure.

    Above: theory as lines, the mean over the runs as points with a band of two standard errors. Below: simulation minus
    theory in standard errors (linear up to 10, logarithmic beyond), between the limits of the family-wise test, dotted.

    Parameters
    ----------
    comparison : Dataset
        What :func:`figures.compare` returned.
    variables : list of str, optional
        Only these quantities.

    Returns
    -------
    Figure
        Of matplotlib, not of pyplot.

    Raises
    ------
    ParameterError
        When the comparison has more than one axis, or lacks one of ``variables``.
    """
    check_comparison(comparison)
    axes_names = [str(dim) for dim in comparison["mean"].dims if dim != "variable"]
    if len(axes_names) != 1:
        raise ParameterError(f"comparison must have one axis to be drawn over; got {axes_names}")
    names = [str(name) for name in comparison["variable"].values]
    wanted = names if variables is None else list(variables)
    if missing := [name for name in wanted if name not in names]:
        raise ParameterError(f"variables must be among {', '.join(names)}; got {', '.join(missing)}")
    with styled():
        figure, (top, bottom) = new_figure(2, 1, size=(7.0, 6.4), sharex=True, height_ratios=(3, 2))
        for colour, name in zip(COLOURS * len(wanted), wanted, strict=False):
            one = comparison.sel(variable=name)
            draw_curves(top, one, colour, f"${one['symbol'].item()}$")
            draw_deviations(bottom, one, colour)
        top.set_title(
            f"theory (lines) and simulation (points, band of two standard errors): {comparison.attrs['verdict']}"
        )
        top.legend()
        in_standard_errors(bottom)
        values = comparison[axes_names[0]].values
        if values.dtype.kind in "iuf" and (values > 0).sum() > 1:
            bottom.set_xscale("log" if (values > 0).all() else "symlog", **_around_zero(values))
        bottom.set_xlabel(label(comparison[axes_names[0]]))
        asked = [rebuild(comparison.attrs[key]) for key in ("problem", "algorithm") if key in comparison.attrs]
        captioned(figure, f"{parameters(*asked)}.\n{describe(comparison)}")
    return figure


def draw_curves(axes: Axes, one: xr.Dataset, colour: str, name: str) -> None:
    """Draw theory as a line, the mean of the runs as points and their band of two standard errors."""
    (axis,) = (one[dim] for dim in one["mean"].dims)
    x, mean, error = axis.values, one["mean"].values, one["standard_error"].values
    axes.plot(x, one["theory"].values, color=colour, label=name)
    draw_band(axes, x, mean, mean - 2 * error, mean + 2 * error, colour)


def draw_band(axes: Axes, x: Array, mean: Array, low: Array, high: Array, colour: str) -> None:
    """Draw a mean as about 25 points, and the band around it."""
    axes.fill_between(x, low, high, color=colour, alpha=0.25, linewidth=0)
    every = max(1, x.size // 25)
    axes.plot(x[::every], mean[::every], "o", color=colour, markersize=2.8)


def draw_deviations(axes: Axes, one: xr.Dataset, colour: str) -> None:
    """Draw the deviation in standard errors where it is tested, and the limits of what is allowed, dotted."""
    (axis,) = (one[dim] for dim in one["mean"].dims)
    error = one["standard_error"].values
    shown = (error > 0) & one["tested"].values
    x, scale = axis.values[shown], error[shown]
    lowest, highest = (one[key].values[shown] / scale for key in ("lowest", "highest"))
    draw_limits(axes, x, one["deviation_in_standard_errors"].values[shown], lowest, highest, colour)


def draw_limits(axes: Axes, x: Array, deviation: Array, lowest: Array, highest: Array, colour: str) -> None:
    """Draw a deviation as a line, between dotted limits."""
    axes.plot(x, deviation, color=colour)
    for limit in (lowest, highest):
        axes.plot(x, limit, ":", color=colour, linewidth=0.9)


def in_standard_errors(axes: Axes) -> None:
    """Let an axis of deviations be linear up to 10 standard errors and logarithmic beyond, and mark zero."""
    axes.axhline(0.0, color="#888888", linewidth=0.8)
    axes.set_yscale("symlog", linthresh=10.0)
    seen = [tick for tick in _TICKS if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
    axes.set_yticks(seen, labels=[f"{tick:g}" for tick in seen])
    axes.set_ylabel("deviation in standard errors")


def _around_zero(values: Array) -> dict[str, float]:
    """Return where a symlog axis becomes linear: below the smallest positive value."""
    return {} if (values > 0).all() else {"linthresh": float(np.abs(values[values != 0]).min())}
