"""What all algorithms have in common."""

from __future__ import annotations

from typing import ClassVar

from dynamics.parameters import Declared
from dynamics.schedules import Schedule

__all__ = ["Algorithm"]


class Algorithm(Declared):
    """Base of all algorithms; ``discrete`` tells whether time counts steps (True) or is flow time (False)."""

    discrete: ClassVar[bool]

    @property
    def scheduled(self) -> bool:
        """Whether any coefficient changes with the step."""
        return any(isinstance(getattr(self, name), Schedule) for name in type(self).model_fields)
