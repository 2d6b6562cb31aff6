"""The picture of a comparison: curves with the band of the runs above, deviations in standard errors below."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dynamics.errors import ParameterError
from figures.reports import describe
from figures.style import COLOURS, captioned, label, new_figure, styled

__all__ = ["draw", "draw_curves", "draw_deviations"]


def draw(comparison: xr.Dataset, *, variables: Sequence[str] | None = None) -> Figure:
    """Draw a comparison over its one axis (time or penalty) and return the matplotlib figure.

    Above: theory as lines, the mean over the runs as points with a band of two standard errors. Below: simulation minus
    theory in standard errors, with the range that the family-wise test allows shaded.

    Raises
    ------
    ParameterError
        When the comparison has more than one axis, or lacks one of ``variables``.
    """
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
        positive = comparison[axes_names[0]].values > 0
        if positive.sum() > 1:
            bottom.set_xscale("log" if positive.all() else "symlog")
        bottom.set_xlabel(label(comparison[axes_names[0]]))
        bottom.set_ylabel("deviation in\nstandard errors")
        captioned(figure, describe(comparison))
    return figure


def draw_curves(axes: Axes, one: xr.Dataset, colour: str, name: str) -> None:
    """Draw theory as a line, the mean of the runs as points and their band of two standard errors."""
    (axis,) = (one[dim] for dim in one["mean"].dims)
    x, mean, error = axis.values, one["mean"].values, one["standard_error"].values
    axes.plot(x, one["theory"].values, color=colour, label=name)
    axes.fill_between(x, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.25, linewidth=0)
    every = max(1, x.size // 25)
    axes.plot(x[::every], mean[::every], "o", color=colour, markersize=2.8)


def draw_deviations(axes: Axes, one: xr.Dataset, colour: str) -> None:
    """Draw the deviation in standard errors, and shade what the test allows."""
    (axis,) = (one[dim] for dim in one["mean"].dims)
    error = one["standard_error"].values
    spread = error > 0
    x, scale = axis.values[spread], error[spread]
    axes.axhline(0.0, color="#888888", linewidth=0.8)
    axes.plot(x, one["deviation_in_standard_errors"].values[spread], color=colour)
    low, high = (one[key].values[spread] / scale for key in ("lowest", "highest"))
    top = max(np.abs(one["deviation_in_standard_errors"].values[spread]).max(initial=0.0), float(np.median(high)))
    axes.fill_between(x, np.maximum(low, -3 * top), np.minimum(high, 3 * top), color=colour, alpha=0.1, linewidth=0)
