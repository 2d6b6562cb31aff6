"""From a declared parameter to a slider: its positions, its label, and how values are written and read."""

from __future__ import annotations

import functools
import json
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import numpy as np

from dynamics.errors import ParameterError, shown
from dynamics.parameters import Declaration, Declared, declarations
from dynamics.schedules import Schedule

__all__ = ["NONE", "Track", "choices_of", "number_in", "symbol_html", "text_of", "track_of"]

#: How the value None is written: something is left to be chosen from the rest.
NONE = "none"
#: Positions of a slider.
_POSITIONS = 200
#: Where a logarithmic slider that begins at 0 goes on, relative to its end.
_AFTER_ZERO = 1e-5


@dataclass(frozen=True)
class Track:
    """A slider: the values at its positions, in increasing order, after None where that is allowed."""

    declaration: Declaration
    values: tuple[Any, ...]

    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value."""
        numbers = [value for value in self.values if value is not None]
        return numbers[0], numbers[-1]

    def nearest(self, value: Any) -> int:
        """Return the position next to a value; that of a value which is no number is the first."""
        if value is None or not isinstance(value, (int, float)):
            return 0
        low, high = self.bounds

        def even(number: float) -> float:
            """Return a number on the scale on which the positions are even."""
            if self.declaration.scale == "linear":
                return number
            return math.log(max(number, low or _AFTER_ZERO * high / 2.0))

        distances = [math.inf if one is None else abs(even(one) - even(value)) for one in self.values]
        return int(np.argmin(distances))

    def check(self, value: Any) -> None:
        """Refuse a number beyond the ends of the slider: what is computed for a page stays bounded.

        Raises
        ------
        ParameterError
            Naming the parameter, the range and what came.
        """
        low, high = self.bounds
        if isinstance(value, (int, float)) and not low <= value <= high:
            name, meaning = self.declaration.name, self.declaration.meaning
            raise ParameterError(
                f"{name} ({meaning}) must be from {low:g} to {high:g} here; got {shown(value)}. Start the explorer with"
                f" --{name.replace('_', '-')} to widen the range"
            )


@functools.cache  # a form is read with each move of a slider
def track_of(cls: type[Declared], name: str, *, start: Any = None) -> Track | None:
    """Return the slider of a parameter, widened to its value at the ``start``; None where no range is declared."""
    item = declarations(cls)[name]
    if item.explore is None:
        return None
    low, high = item.explore
    if isinstance(start, (int, float)):
        low, high = min(low, start), max(high, start)
    if item.scale == "linear":
        values = np.linspace(low, high, _POSITIONS + 1)
    else:
        values = np.geomspace(low or _AFTER_ZERO * high, high, _POSITIONS)
        values = values if low else np.concatenate([[0.0], values])
    optional = (None,) if type(None) in get_args(cls.model_fields[name].annotation) else ()
    return Track(item, optional + _rounded(values, low, high, whole=_whole(cls, name)))


def _whole(cls: type[Declared], name: str) -> bool:
    annotation = cls.model_fields[name].annotation
    return annotation is int or int in get_args(annotation)


def _rounded(values: Any, low: float, high: float, *, whole: bool) -> tuple[Any, ...]:
    """Round to whole numbers or three digits (of the range, on a linear scale); the ends stay what they are."""
    if whole:
        whole_ones = {round(float(value)) if value < 1000 else int(float(f"{value:.3g}")) for value in values[1:-1]}
        return _between(int(low), int(high), whole_ones)
    digits = 3 - math.ceil(math.log10(max(abs(low), abs(high))))
    linear = bool(np.isclose(np.diff(values), values[1] - values[0]).all())
    rounded = {round(float(value), digits) if linear else float(f"{value:.3g}") for value in values[1:-1]}
    return _between(float(low), float(high), rounded)


def _between(low: float, high: float, values: set[Any]) -> tuple[Any, ...]:
    """Return the ends and what lies between them: rounding may lead out of a narrow range."""
    return (low, *sorted(value for value in values if low < value < high), high)


def choices_of(cls: type[Declared], name: str) -> tuple[str, ...]:
    """Return the words that a parameter may be, or nothing where it is a number."""
    annotation = cls.model_fields[name].annotation
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def text_of(value: Any) -> str:
    """Write a value so that it is read back exactly."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, tuple) and all(isinstance(item, (int, float)) for item in value):
        return ",".join(text_of(item) for item in value)
    if isinstance(value, (tuple, list)):
        return json.dumps(value)
    return json.dumps(value.model_dump(mode="json")) if isinstance(value, Schedule) else str(value)


def number_in(text: str) -> float | None:
    """Return the number that a text is; None where it is left open, or is something else."""
    try:
        return float(text)
    except ValueError:
        return None


#: (A bar is put over the letter that follows it.)
_SIGNS = {"infty": "∞", "Vert": "‖", "ell": "ℓ", "varphi": "φ", "vartheta": "ϑ"}


def symbol_html(latex: str) -> str:
    r"""Write a declared symbol as HTML: Greek letters, subscripts and superscripts.

    Examples
    --------
    >>> symbol_html(r"\lambda_{\mathrm{SD}}"), symbol_html("s_b^2"), symbol_html(r"P_\infty")
    ('λ<sub>SD</sub>', 's<sub>b</sub><sup>2</sup>', 'P<sub>∞</sub>')
    """
    text = re.sub(r"\\mathrm\{([^{}]*)\}", r"\1", latex)
    text = re.sub(r"\\bar (\w)", "\\1\N{COMBINING MACRON}", text)
    text = re.sub(r"\\([A-Za-z]+) ?", lambda found: _sign(found[1]), text)
    for mark, tag in (("_", "sub"), ("^", "sup")):
        text = re.sub(rf"\{mark}(?:\{{([^{{}}]*)\}}|(.))", rf"<{tag}>\1\2</{tag}>", text)
    return text


def _sign(name: str) -> str:
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return _SIGNS.get(name) or unicodedata.lookup(f"GREEK {case} LETTER {name.upper().replace('LAMBDA', 'LAMDA')}")
    except KeyError:  # the name of a function, such as max
        return name
