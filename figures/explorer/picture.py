"""The explorer's screen as a matplotlib figure: curves with the band of the runs above, deviations below."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from figures.drawing import draw_band, draw_limits, in_standard_errors
from figures.explorer.controller import Screen
from figures.explorer.curves import Curve, bands, curves, deviations
from figures.explorer.naming import difference
from figures.reports import describe, parameters
from figures.style import COLOURS, captioned, label, styled

__all__ = ["KEPT_STYLES", "draw_screen", "panels", "picture", "plain"]

#: How the lines of each kept view are broken.
KEPT_STYLES: tuple[Any, ...] = ("--", ":", "-.", (0, (8, 2, 1, 2, 1, 2)))
_KEPT_COLOUR = "#555555"
#: Letters in a line of the legend.
_LEGEND_WIDTH = 46
_WIDTH, _HEIGHT, _LINE = 7.0, {1: 4.2, 2: 6.0}, 0.145


def picture(screen: Screen, variables: Sequence[str], *, logarithmic: bool) -> Figure:
    """Draw what the explorer shows.

    Above: theory as lines, kept theory broken, the mean over the runs as points with a band of two standard errors.
    Below, once there is a comparison: simulation minus theory in standard errors, between the limits of what is
    allowed, dotted.

    Parameters
    ----------
    screen : Screen
        What there is to be seen.
    variables : list of str
        The quantities to be drawn, of those that the screen has.
    logarithmic : bool
        Whether the vertical axis is logarithmic; values that are not above 0 are left out then.

    Returns
    -------
    Figure
        Of matplotlib, not of pyplot.
    """
    with styled():
        figure = Figure(layout="constrained")
        axes = panels(figure, screen, variables)
        left_out = draw_screen(screen, variables, *axes, logarithmic=logarithmic)
        figure.set_size_inches(_WIDTH, _HEIGHT[len(axes)])
        captioned(figure, "\n".join(_caption(screen, left_out)))
        lines = figure.get_supxlabel().count("\n") + 1
        figure.set_figheight(_HEIGHT[len(axes)] + _LINE * lines)
    return figure


def panels(figure: FigureBase, screen: Screen, variables: Sequence[str]) -> tuple[Axes, ...]:
    """Make the axes that a screen needs: one for the curves, and one for deviations where there are any."""
    compared = screen.comparison is not None and any(one.time.size for one in deviations(screen.comparison, variables))
    ratios = (3, 2) if compared else (1,)
    return tuple(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)[:, 0])


def draw_screen(
    screen: Screen, variables: Sequence[str], top: Axes, bottom: Axes | None = None, *, logarithmic: bool
) -> int:
    """Draw a screen into given axes, and return how many curves have values that a logarithmic axis leaves out."""
    names = _names(screen, variables)
    colours = {key: COLOURS[at % len(COLOURS)] for at, key in enumerate(names)}
    if screen.shown is None or not names:
        top.set_axis_off()
        top.text(0.5, 0.5, "There are no curves to be seen.", ha="center", transform=top.transAxes)
        return 0
    left_out = [_line(top, one, colours[one.key], "-", logarithmic) for one in _of(screen.theory, variables)]
    for style, (_, answer) in zip(KEPT_STYLES, screen.kept, strict=False):
        left_out += [_line(top, one, colours[one.key], style, logarithmic) for one in _of(answer, variables)]
    for band in [] if screen.runs is None else bands(screen.runs, variables):
        mean = _positive(band.mean) if logarithmic else band.mean
        draw_band(top, band.time, mean, band.low, band.high, colours[band.key])
        left_out.append(logarithmic and bool((band.mean <= 0.0).any()))
    top.set(xscale="log", yscale="log" if logarithmic else "linear", title=_title(screen))
    if logarithmic and not np.isfinite(top.dataLim.minposy):  # nothing is above 0, which gives no limits
        top.set_ylim(0.1, 1.0)
    _legend(top, screen, names, colours)
    if bottom is not None and screen.comparison is not None:
        for one in deviations(screen.comparison, variables):
            draw_limits(bottom, one.time, one.value, one.lowest, one.highest, colours[one.key])
        in_standard_errors(bottom)
    answers = [screen.theory, screen.runs, *(answer for _, answer in screen.kept)]
    time = next(one["time"] for one in answers if isinstance(one, xr.Dataset))
    (bottom or top).set_xlabel(label(time))
    return sum(left_out)


def plain(text: str) -> str:
    """Return a text so that none of it is taken for a formula."""
    return text.replace("$", r"\$")


def _of(answer: xr.Dataset | str | None, variables: Sequence[str]) -> list[Curve]:
    return curves(answer, variables) if isinstance(answer, xr.Dataset) else []


def _names(screen: Screen, variables: Sequence[str]) -> dict[str, str]:
    """Return the name of each curve by its key, those of theory first."""
    answers = [screen.theory, *(answer for _, answer in screen.kept), screen.runs]
    found: dict[str, str] = {}
    for answer in answers:
        for one in _of(answer, variables):
            found.setdefault(one.key, one.name)
    return found


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values > 0.0, values, np.nan)


def _line(axes: Axes, one: Curve, colour: str, style: Any, logarithmic: bool) -> bool:
    """Draw a line, and return whether some of its values are left out."""
    values = _positive(one.value) if logarithmic else one.value
    axes.plot(one.time, values, color=colour, linestyle=style)
    return logarithmic and bool((one.value <= 0.0).any())


def _legend(axes: Axes, screen: Screen, names: dict[str, str], colours: dict[str, str]) -> None:
    """Name the colours, and the ways in which lines are broken."""
    handles = [Line2D([], [], color=colours[key], label=plain(name)) for key, name in names.items()]
    for style, (kept, answer) in zip(KEPT_STYLES, screen.kept, strict=False):
        if screen.shown is not None and isinstance(answer, xr.Dataset):
            said = textwrap.fill(plain(difference(screen.shown, kept)), _LEGEND_WIDTH)
            handles.append(Line2D([], [], color=_KEPT_COLOUR, linestyle=style, label=said))
    axes.legend(handles=handles)


def _title(screen: Screen) -> str:
    if screen.comparison is not None:
        said = str(screen.comparison.attrs["verdict"])
    else:
        done = 0 if screen.runs is None else screen.runs.sizes["run"]
        said = f"{done} of {screen.shown.question.ensemble.runs if screen.shown else 0} runs"
    return f"theory (lines), runs (points, band of two standard errors): {said}"


def _caption(screen: Screen, left_out: int) -> list[str]:
    """Say what was asked, what is missing and why, what is to be seen, and what the comparison found."""
    if screen.shown is None:
        return ["Nothing has been asked yet."]
    lines = [_asked(screen)]
    if isinstance(screen.theory, str):
        lines.append(f"No theory: {screen.theory}")
    for kept, answer in screen.kept:
        if isinstance(answer, str):
            lines.append(f"No theory for {difference(screen.shown, kept)}: {answer}")
    if screen.seen:
        lines.append(screen.seen)
    if left_out:
        have = "1 curve has" if left_out == 1 else f"{left_out} curves have"
        lines.append(f"{have} values that are not above 0; the logarithmic axis leaves these out.")
    if screen.comparison is not None:
        lines.append(describe(screen.comparison))
    return [lines[0], *map(plain, lines[1:])]


def _asked(screen: Screen) -> str:
    """Say in words and symbols what theory and runs on the screen answer."""
    assert screen.shown is not None
    asked = screen.shown.question
    if isinstance(screen.theory, xr.Dataset):  # which has settled what was left open
        asked = asked.settled()
    declared, said = [asked.problem, asked.algorithm], f"{asked.problem.label}, {asked.algorithm.label}"
    said += f"; theory: {asked.theory_method}"
    if screen.runs is not None:
        said += f"; simulation: {asked.simulation_method}, seed {asked.ensemble.seed}"
        declared += [asked.options] if asked.options else []
    return f"{said}; {parameters(*declared)}."
