"""What can be downloaded: the picture, the data, the Python lines."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from figures.explorer.controller import Screen
from figures.explorer.lines import data_of, python_lines
from figures.files import netcdf_bytes

__all__ = ["produce"]

#: The options of matplotlib, which a picture sets for itself, are the process's.
_DRAWING = threading.Lock()
_PICTURES = {"png": "image/png", "svg": "image/svg+xml"}


def produce(kind: str, screen: Screen, variables: Sequence[str], *, logarithmic: bool) -> tuple[bytes, str, str] | None:
    """Return content, type and name of a file of one kind (png, svg, data, lines), or None of another kind."""
    name = "explored" if screen.shown is None else screen.shown.question.phenomenon.name
    if kind in _PICTURES:
        from figures.explorer.picture import picture
        from figures.style import picture_bytes

        with _DRAWING:
            drawn = picture_bytes(picture(screen, variables, logarithmic=logarithmic), kind)
        return drawn, _PICTURES[kind], f"{name}.{kind}"
    if kind == "data":
        return netcdf_bytes(data_of(screen)), "application/x-netcdf", f"{name}.nc"
    if kind == "lines":
        return python_lines(screen).encode(), "text/x-python; charset=utf-8", f"{name.replace('-', '_')}.py"
    return None
