"""The two plots of the page: curves above, deviations in standard errors below; made once, then only fed with data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from bokeh.models import Column, ColumnDataSource, DataRange1d, HoverTool
from bokeh.models.annotations import Legend, LegendItem, Span
from bokeh.plotting import figure
from numpy.typing import NDArray

from figures.explorer.controller import MOST_KEPT, Screen
from figures.explorer.curves import Deviation, bands, curves, deviations
from figures.style import COLOURS

__all__ = ["DASHES", "Plots", "spans_decades"]

#: How kept curves are drawn, the oldest first.
DASHES: tuple[Any, ...] = ("dashed", "dotted", "dotdash", [8, 2, 1, 2, 1, 2])
#: Curves whose values span more are drawn on a logarithmic axis.
_SPAN = 30.0
#: About as many points stand for the runs' mean.
_POINTS = 25
_EMPTY: dict[str, tuple[str, ...]] = {
    "theory": ("time", "value"), "kept": ("times", "values", "colour"), "band": ("time", "low", "high"),
    "points": ("time", "mean"), "deviation": ("time", "value", "lowest", "highest"),
}  # fmt: skip


def spans_decades(screen: Screen, variables: Sequence[str]) -> bool:
    """Whether the curves are positive and differ so much that they want a logarithmic axis."""
    answers = [one for one in (screen.theory, screen.runs) if isinstance(one, xr.Dataset)]
    values = [one.value for one in curves(answers[0], variables)] if answers else []
    return bool(values) and all((one > 0).all() and one.max() > _SPAN * one.min() for one in values)


class Plots:
    """Plots for some curves, by their keys and names in words; :meth:`update` feeds them with what a screen shows."""

    def __init__(self, names: dict[str, str], *, logarithmic: bool, time: str) -> None:
        self.logarithmic = logarithmic
        self._sources: dict[str, ColumnDataSource] = {}
        self._fed: list[Any] = []
        self._colours = {key: COLOURS[place % len(COLOURS)] for place, key in enumerate(names)}
        times: Any = DataRange1d(range_padding=0.02, only_visible=True)
        self._above = _figure(time, times, min_height=260, y_axis_type="log" if logarithmic else "linear")
        self._below = _figure(time, times, min_height=150, y_axis_type="linear", y_range=(-10.0, 10.0))
        self._below.yaxis.axis_label = "standard errors"
        self._below.add_layout(Span(location=0, line_color="#888888"))
        self._draw_curves(names)
        for key, colour in self._colours.items():
            self._draw_deviation(key, colour)
        self.root = Column(children=[self._above], sizing_mode="stretch_both")

    def _source(self, kind: str, key: str) -> ColumnDataSource:
        name = f"{kind} {key}"
        self._sources[name] = ColumnDataSource({column: [] for column in _EMPTY[kind]}, name=name)
        return self._sources[name]

    def _draw_curves(self, names: dict[str, str]) -> None:
        plot, hovered = self._above, []
        items: list[Any] = []
        for key, colour in self._colours.items():
            plot.varea("time", "low", "high", source=self._source("band", key), color=colour, alpha=0.25)
        for place, dash in enumerate(DASHES[:MOST_KEPT]):
            kept = plot.multi_line(
                "times",
                "values",
                source=self._source("kept", str(place)),
                color="colour",
                line_dash=dash,
                line_width=1.6,
            )
            items.append(LegendItem(label="", renderers=[kept], visible=False))
        for key, colour in self._colours.items():
            line = plot.line("time", "value", source=self._source("theory", key), color=colour, line_width=2, name=key)
            points = plot.scatter("time", "mean", source=self._source("points", key), color=colour, size=5)
            items.append(LegendItem(label=f"{names[key]}\u2003", renderers=[line, points]))
            hovered.append(line)
        self._kept_items = items[:MOST_KEPT]
        plot.add_layout(Legend(items=items, ncols=2, click_policy="hide", **_SMALL), "above")
        plot.add_tools(_hover(hovered, "value"))

    def _draw_deviation(self, key: str, colour: str) -> None:
        source = self._source("deviation", key)
        line = self._below.line("time", "value", source=source, color=colour, line_width=1.6, name=key)
        for limit in ("lowest", "highest"):
            self._below.line("time", limit, source=source, color=colour, line_dash="dotted")
        self._below.add_tools(_hover([line], "value"))

    def update(self, screen: Screen, variables: Sequence[str]) -> None:
        """Show a screen, unless it is what was shown before but for its words."""
        parts = [screen.theory, screen.runs, screen.comparison, *(answer for _, answer in screen.kept), variables]
        if len(parts) == len(self._fed) and all(new is old for new, old in zip(parts, self._fed, strict=True)):
            return
        self._fed = parts
        data: dict[str, dict[str, Any]] = {}
        if isinstance(screen.theory, xr.Dataset):
            for one in curves(screen.theory, variables):
                data[f"theory {one.key}"] = {"time": one.time, "value": self._drawable(one.value)}
        for place, (_, answer) in enumerate(screen.kept):
            data[f"kept {place}"] = self._kept(answer, variables)
        if screen.runs is not None:
            for band in bands(screen.runs, variables):
                thin = slice(None, None, max(1, band.time.size // _POINTS))
                mean, low, high = (self._drawable(part) for part in (band.mean, band.low, band.high))
                if self.logarithmic:  # a band that reaches 0 goes down, and that of one run is none
                    low = np.where(band.low <= 0.0, 0.1 * mean, low)
                data[f"band {band.key}"] = {"time": band.time, "low": low, "high": high}
                data[f"points {band.key}"] = {"time": band.time[thin], "mean": mean[thin]}
        if screen.comparison is not None:
            found = deviations(screen.comparison, variables)
            data |= {f"deviation {one.key}": dict(zip(_EMPTY["deviation"], one[1:], strict=True)) for one in found}
            self._below.y_range.update(**_range_of(found))
        self._feed(data)
        compared = any(name.startswith("deviation") for name in data)
        rows = [self._above, self._below] if compared else [self._above]
        if self.root.children != rows:
            self.root.children = rows

    def _kept(self, answer: xr.Dataset | str, variables: Sequence[str]) -> dict[str, Any]:
        found = [] if isinstance(answer, str) else curves(answer, variables)
        drawn = [one for one in found if one.key in self._colours]
        return {
            "times": [one.time for one in drawn], "values": [self._drawable(one.value) for one in drawn],
            "colour": [self._colours[one.key] for one in drawn],
        }  # fmt: skip

    def _drawable(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Leave out what a logarithmic axis cannot show."""
        return np.where(values > 0.0, values, np.nan) if self.logarithmic else values

    def _feed(self, data: dict[str, dict[str, Any]]) -> None:
        """Send what there is, and empty what is not there any more; what was empty stays untouched."""
        for name, source in self._sources.items():
            kind = name.partition(" ")[0]
            if name in data:
                source.data = data[name]
            elif len(source.data[_EMPTY[kind][0]]):
                source.data = {column: [] for column in _EMPTY[kind]}

    def label_kept(self, labels: Sequence[str]) -> None:
        """Write in the legend what differs in the kept curves."""
        for place, item in enumerate(self._kept_items):
            item.visible = place < len(labels) and bool(self._sources[f"kept {place}"].data["times"])
            if place < len(labels):
                item.label = {"value": f"{labels[place]}\u2003"}


_SMALL: dict[str, Any] = {
    "label_text_font_size": "12px", "padding": 2, "margin": 2, "spacing": 1, "border_line_color": None,
    "label_height": 16, "glyph_height": 16,
}  # fmt: skip


def _figure(time: str, times: Any, **options: Any) -> Any:
    plot = figure(
        x_axis_type="log", x_range=times, sizing_mode="stretch_both", tools="pan,box_zoom,wheel_zoom,reset,save",
        toolbar_location="right", active_drag="box_zoom", **options,
    )  # fmt: skip
    plot.xaxis.axis_label = time
    plot.toolbar.logo = None
    plot.grid.grid_line_alpha = 0.4
    return plot


def _range_of(found: Sequence[Deviation]) -> dict[str, float]:
    """Return a range that shows all deviations and the narrowest limits; wide ones, of no use, may lie beyond."""
    values = [np.abs(one.value[np.isfinite(one.value)]).max(initial=0.0) for one in found]
    limits = [min(np.min(-one.lowest, initial=np.inf), np.min(one.highest, initial=np.inf)) for one in found]
    finite = [float(limit) for limit in limits if np.isfinite(limit)]
    top = 1.2 * max([10.0, *values, *(2.0 * limit for limit in finite)])
    return {"start": -top, "end": top}


def _hover(lines: list[Any], column: str) -> HoverTool:
    tips = [("", "$name"), ("time", "@time{0.000 a}"), (column, f"@{column}{{%.6g}}")]
    return HoverTool(renderers=lines, tooltips=tips, formatters={f"@{column}": "printf"}, line_policy="nearest")
