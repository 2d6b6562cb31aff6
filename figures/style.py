"""How pictures look: one set of matplotlib options, colours that colour-blind readers can tell apart, captions."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import xarray as xr
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["COLOURS", "captioned", "label", "new_figure", "number", "picture_bytes", "styled"]

#: Okabe and Ito's palette, without its yellow, which is too light for lines.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")

_OPTIONS: Any = {
    "axes.grid": True,
    "axes.prop_cycle": mpl.rcsetup.cycler(color=COLOURS),
    "axes.titlesize": 10,
    "figure.dpi": 130,
    "font.size": 9,
    "grid.alpha": 0.25,
    "legend.fontsize": 8,
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,
    "savefig.dpi": 130,
    "svg.fonttype": "path",
    "svg.hashsalt": "learning-dynamics",  # names inside a file follow from its content alone
}

#: What each kind of file would tell of when and by what it was made.
_UNTOLD = {"pdf": "CreationDate", "png": "Software", "svg": "Date"}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the package's matplotlib options within the block, whatever the user's own are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_OPTIONS)
        yield


def new_figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **grid: Any) -> tuple[Figure, Any]:
    """Make a figure (not pyplot's, so nothing global is touched) and its array of axes."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, **grid)


def label(variable: xr.DataArray) -> str:
    """Return the axis label of a variable: meaning and symbol, from its declaration."""
    symbol, meaning = variable.attrs.get("symbol"), variable.attrs.get("long_name", str(variable.name))
    return f"{meaning} ${symbol}$" if symbol else str(meaning)


def number(value: float) -> str:
    r"""Write a number as mathematics, without dollars: five digits, powers of ten where they are shorter.

    Examples
    --------
    >>> print(number(150), number(0.1265), number(1e5), number(3.2e-08))
    150 0.1265 10^{5} 3.2 \cdot 10^{-8}
    """
    digits, _, exponent = f"{value:.5g}".partition("e")
    if not exponent:
        return digits
    power = f"10^{{{int(exponent)}}}"
    return power if digits == "1" else rf"{digits} \cdot {power}"


def captioned(figure: Figure, caption: str) -> None:
    """Write the caption under the picture, wrapped to its width."""
    figure.supxlabel(
        _wrapped(caption, int(figure.get_size_inches()[0] * 17.5)),
        x=0.01,
        ha="left",
        fontsize=7.5,
        linespacing=1.35,
        color="#333333",
    )


def _wrapped(text: str, width: int) -> str:
    """Break lines between words, never within a formula, whose commands count for about one letter each."""
    return "\n".join(_wrapped_line(line, width) for line in text.splitlines())


def _wrapped_line(text: str, width: int) -> str:
    lines, length = [""], 0
    for word in re.findall(r"(?:\$[^$]*\$|\S)+", text):
        shown = len(re.sub(r"\\[a-zA-Z]+|[${}^_\\]", "", word)) + word.count("\\")
        if length and length + 1 + shown > width:
            lines, length = [*lines, ""], 0
        lines[-1] += f" {word}" if length else word
        length += 1 + shown
    return "\n".join(lines)


def picture_bytes(figure: Figure, kind: str) -> bytes:
    """Return the figure as a PNG, PDF or SVG file that depends on nothing but the figure (no date inside)."""
    buffer = io.BytesIO()
    with styled():
        figure.savefig(buffer, format=kind, metadata={_UNTOLD[kind]: None})
    return buffer.getvalue()
