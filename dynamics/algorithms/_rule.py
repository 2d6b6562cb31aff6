"""The four coefficients of stochastic momentum over the steps."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.schedules import Schedule, values_at
from dynamics.stability import Coefficients

__all__ = ["Rule"]


class Rule(NamedTuple):
    """gamma1, gamma2, gamma3 and Delta, each a number or a schedule.

    gamma2 and gamma3 are divided by (P + s^2)^risk_exponent, where P is the risk before the step.
    """

    gamma1: float | Schedule
    gamma2: float | Schedule
    gamma3: float | Schedule
    delta: float | Schedule
    risk_exponent: float = 0.0

    def at(self, steps: NDArray[Any]) -> Coefficients:
        """Return the four coefficients at each of ``steps``, of P + s^2 = 1."""
        return Coefficients(*(values_at(value, steps) for value in self[:4]))

    def at_one(self, step: float) -> Coefficients:
        """Return the four coefficients at one step, of P + s^2 = 1, as numbers."""
        return Coefficients(*(float(values_at(value, np.array([step]))[0]) for value in self[:4]))

    def to_json(self) -> str:
        """Write the coefficients, numbers or schedules, as JSON text."""
        written = {
            name: value.model_dump(mode="json") if isinstance(value, Schedule) else value
            for name, value in self._asdict().items()
        }
        if not self.risk_exponent:
            del written["risk_exponent"]
        return json.dumps(written)

    @property
    def jumps(self) -> tuple[float, ...]:
        """Steps before which a coefficient is not smooth."""
        return tuple(sorted({step for value in self if isinstance(value, Schedule) for step in value.jumps}))

    @property
    def constant(self) -> bool:
        """Whether no coefficient changes with the step or the risk."""
        return not self.risk_exponent and not any(isinstance(value, Schedule) for value in self)
