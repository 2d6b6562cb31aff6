"""What people look at: comparisons of theory and simulation, figures, files and the command line.

The names below are imported on first use, so that importing the package stays quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from figures.comparison import compare
    from figures.drawing import draw
    from figures.explorer import explore
    from figures.files import load, save
    from figures.registry import reproduce
    from figures.reports import describe

__all__ = ["compare", "describe", "draw", "explore", "load", "reproduce", "save"]

_HOMES = {
    "compare": "comparison",
    "describe": "reports",
    "draw": "drawing",
    "explore": "explorer",
    "load": "files",
    "reproduce": "registry",
    "save": "files",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'figures' has no attribute {name!r}")
    return getattr(importlib.import_module(f"figures.{_HOMES[name]}"), name)
