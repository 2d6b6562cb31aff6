"""Declared schedules: how a coefficient of an algorithm changes with the step, as data that can be written down."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BeforeValidator,
    Field,
    InstanceOf,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from dynamics.errors import ParameterError
from dynamics.parameters import Declared, NotNegative, NotNegativeVector, Vector, parameter

__all__ = [
    "SCHEDULES",
    "Coefficient",
    "Hyperbolic",
    "Power",
    "RunningMean",
    "Schedule",
    "SoftplusDecay",
    "StepSize",
    "StepTable",
    "chunks",
    "sum_of",
    "unchecked",
    "values_at",
]

_CHUNK = 1 << 16


class Schedule(Declared):
    """A coefficient a_i at step i = 0, 1, 2, ... (the value that step i + 1 uses is a_i)."""

    @abstractmethod
    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``, which may lie between whole ones."""

    @property
    def jumps(self) -> tuple[float, ...]:
        """Steps before which the coefficient is not smooth."""
        return ()

    def to_json(self) -> str:
        """Write class and parameters as JSON text; the class says already which schedule it is."""
        written = json.loads(super().to_json())
        del written["schedule"]
        return json.dumps(written)

    @model_serializer(mode="wrap")
    def _with_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"schedule": self.label, **handler(self)}


class SoftplusDecay(Schedule):
    """a_i = initial * log(1 + exp(-rate i)) / log 2: ``initial`` at step 0, then to zero like exp(-rate i).

    The schedule of the Q-regularisation of Pezeshki et al. (arXiv 2112.03215, figure 6).
    """

    initial: float = parameter(
        0.6, symbol="a_0", meaning="value at step 0", at_least=0.0, at_most=1e50, explore=(0.0, 0.9)
    )
    rate: float = parameter(
        1e-3, symbol="r", meaning="decay rate per step", above=0.0, at_most=1e50, scale="log", explore=(1e-5, 1)
    )

    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``."""
        values: NDArray[np.float64] = self.initial * np.log1p(np.exp(-self.rate * steps)) / np.log(2.0)
        return values


class StepTable(Schedule):
    """Piecewise constant: ``values[k]`` from step ``steps[k]`` on; ``steps`` starts at 0 and increases."""

    steps: Vector = parameter((0.0,), symbol="i_k", meaning="steps at which the value changes, the first one 0")
    values: NotNegativeVector = parameter((0.0,), symbol="a_k", meaning="value from each of these steps on")

    @model_validator(mode="after")
    def _check(self) -> StepTable:
        starts = np.asarray(self.steps)
        if len(self.steps) != len(self.values):
            raise self.refused("values", f"must be as many as the steps, {len(self.steps)}", self.values)
        if starts[0] != 0 or np.any(np.diff(starts) <= 0) or np.any(starts != np.rint(starts)):
            raise self.refused("steps", "must be whole, start at 0 and increase", self.steps)
        return self

    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``."""
        return np.asarray(self.values, dtype=np.float64)[np.searchsorted(self.steps, steps, side="right") - 1]

    @property
    def jumps(self) -> tuple[float, ...]:
        """Steps from which on the value is another one."""
        return tuple(self.steps[1:])


class Power(Schedule):
    """a_i = scale * (1 + i)^exponent."""

    scale: float = parameter(
        1.0, symbol="a_0", meaning="value at step 0, and scale of the power", at_least=0.0, at_most=1e50, scale="log",
        explore=(1e-4, 1.0),
    )  # fmt: skip
    exponent: float = parameter(
        -0.5, symbol="p", meaning="exponent of 1 + step", at_least=-10.0, at_most=10.0, explore=(-2.0, 1.0)
    )

    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``."""
        values: NDArray[np.float64] = self.scale * (1.0 + steps) ** self.exponent
        return values


class Hyperbolic(Schedule):
    """a_i = offset / (offset + i), which is 1 at step 0 and offset/i later."""

    offset: float = parameter(
        4.0, symbol=r"\delta", meaning="steps after which the value is 1/2", above=0.0, at_most=1e50, scale="log",
        explore=(1.0, 100.0),
    )  # fmt: skip

    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``."""
        values: NDArray[np.float64] = self.offset / (self.offset + steps)
        return values


class RunningMean(Schedule):
    """a_i = 1/max(i, 1): the weight of the newest value in a running mean."""

    def at(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Return the value at each of ``steps``."""
        return 1.0 / np.maximum(np.asarray(steps, dtype=np.float64), 1.0)

    @property
    def jumps(self) -> tuple[float, ...]:
        """Where it begins to fall."""
        return (1.0,)


#: The schedules that text and files can name.
SCHEDULES: tuple[type[Schedule], ...] = (SoftplusDecay, StepTable, Power, Hyperbolic, RunningMean)


def _from_text(value: Any) -> Any:
    """Read ``softplus-decay:0.6,0.001`` and the dictionaries that files hold; pass numbers and schedules on."""
    if isinstance(value, str):
        name, _, rest = value.partition(":")
        cls = _kind(name)
        # several numbers for one parameter, as in step-table:0,10;0.3,0.1, need another mark between parameters
        texts = rest.split(";" if ";" in rest else ",") if rest else []
        if len(texts) > len(cls.model_fields):
            raise ValueError(f"must have at most {len(cls.model_fields)} numbers for {name}")
        return cls(**dict(zip(cls.model_fields, texts, strict=False)))
    if isinstance(value, dict) and "schedule" in value:
        return _kind(value["schedule"])(**{key: item for key, item in value.items() if key != "schedule"})
    if not isinstance(value, (int, float, Schedule)):
        raise _unknown()
    return value


def _kind(name: Any) -> type[Schedule]:
    for kind in SCHEDULES:
        if kind.label == name:
            return kind
    raise _unknown()


def _unknown() -> ValueError:
    return ValueError(f"must be a number or one of the schedules {', '.join(kind.label for kind in SCHEDULES)}")


_Scheduled = SerializeAsAny[InstanceOf[Schedule]]
#: A number from 0 to 1e50, or a schedule.
Coefficient = Annotated[NotNegative | _Scheduled, BeforeValidator(_from_text)]
#: The same without an upper bound: too large a step diverges, and is reported as that.
StepSize = Annotated[Annotated[float, Field(ge=0.0)] | _Scheduled, BeforeValidator(_from_text)]


def sum_of(schedule: Schedule, begin: int, end: int) -> float:
    """Return the sum of a schedule over the steps begin <= i < end."""
    return sum(float(values_at(schedule, steps).sum()) for steps in chunks(begin, end))


def unchecked() -> None:
    """Do nothing: the default of what long loops call between pieces, so that they can be ended by an exception."""


def chunks(begin: int, end: int) -> Iterator[NDArray[np.int64]]:
    """Yield the steps begin <= i < end in pieces that memory holds with ease."""
    return (np.arange(at, min(at + _CHUNK, end)) for at in range(begin, end, _CHUNK))


def values_at(coefficient: float | Schedule, steps: NDArray[Any]) -> NDArray[np.float64]:
    """Return the coefficient at each of ``steps``.

    Examples
    --------
    >>> values_at(StepTable(steps=[0, 10], values=[0.5, 0.1]), np.array([0, 9, 10, 99]))
    array([0.5, 0.5, 0.1, 0.1])
    """
    if not isinstance(coefficient, Schedule):
        return np.full(steps.shape, float(coefficient))
    values = coefficient.at(steps)
    if not np.isfinite(values).all():
        raise ParameterError(f"schedule {coefficient!r} must be finite at every step")
    return values
