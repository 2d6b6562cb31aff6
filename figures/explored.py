"""What is on the explorer's screen, and what a phenomenon may say about how it is to be explored.

A phenomenon needs none of it: its declared parameters are enough. ``figures.<phenomenon>.EXPLORED`` adds what they do
not know: good starting points, presets, the curves to show first, and a sentence about what is to be seen.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from dynamics.algorithms import Algorithm
from dynamics.errors import ParameterError
from dynamics.parameters import Declared, parameter
from dynamics.times import log_steps
from figures.asking import Ensemble, Question
from figures.phenomena import Phenomenon, phenomenon

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Explored", "FlowTimes", "Preset", "Shown", "StepTimes", "Times", "algorithms_of", "begin"]

#: Runs that the explorer offers at first: enough for a band, soon done.
_RUNS = 64


class Times(Declared):
    """The times at which curves are drawn, evenly in the logarithm."""

    @abstractmethod
    def values(self) -> NDArray[Any]:
        """Return the times."""

    @property
    @abstractmethod
    def line(self) -> str:
        """The times as a Python expression."""


class FlowTimes(Times):
    """Flow times from ``first`` to ``last``."""

    first: float = parameter(
        1e-2, symbol=r"\tau_1", meaning="first flow time shown", above=0.0, at_most=1e50, scale="log",
        explore=(1e-4, 1.0),
    )  # fmt: skip
    last: float = parameter(
        1e6, symbol=r"\tau_T", meaning="last flow time shown", above=0.0, at_most=1e50, scale="log",
        explore=(10.0, 1e8),
    )  # fmt: skip
    count: int = parameter(
        150, symbol="m", meaning="number of times shown", at_least=2, at_most=10**4, scale="log", explore=(10, 500)
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.first >= self.last:
            raise self.refused("first", f"must be below last = {self.last:g}", self.first)
        return self

    def values(self) -> NDArray[Any]:
        """Return the times."""
        return np.geomspace(self.first, self.last, self.count)

    @property
    def line(self) -> str:
        """The times as a Python expression."""
        return f"np.geomspace({self.first!r}, {self.last!r}, {self.count!r})"


class StepTimes(Times):
    """Whole steps from 1 to ``last``, fewer than ``count`` where they would not be distinct."""

    last: int = parameter(
        10**5, symbol="T", meaning="last step shown", at_least=1, at_most=2**53 - 1, scale="log", explore=(10, 10**6)
    )
    count: int = parameter(
        120, symbol="m", meaning="number of times shown", at_least=2, at_most=10**4, scale="log", explore=(10, 500)
    )

    def values(self) -> NDArray[Any]:
        """Return the times."""
        return log_steps(self.last, self.count)

    @property
    def line(self) -> str:
        """The times as a Python expression."""
        return f"log_steps({self.last!r}, {self.count!r})"


@dataclass(frozen=True)
class Shown:
    """A question with the times at which it is asked: one set of curves on the screen."""

    question: Question
    times: Times


@dataclass(frozen=True)
class Preset:
    """A view by name: what is shown, and what is kept beside it as dashed theory."""

    title: str
    shown: Shown
    kept: tuple[Shown, ...] = ()


@dataclass(frozen=True)
class Explored:
    """What a phenomenon says of how to explore it.

    ``starts`` are where to begin for problem classes whose own defaults do not do. ``curves`` are groups of variables
    to show first, of which the first group that there is counts, and ``axis`` is how their axis is at first.
    ``seen(problem, algorithm, theory)`` says in a sentence or two what is to be seen; ``theory`` is None where there is
    none.
    """

    starts: tuple[Shown, ...] = ()
    presets: tuple[Preset, ...] = ()
    curves: tuple[tuple[str, ...], ...] = ()
    axis: Literal["automatic", "linear", "logarithmic"] = "automatic"
    seen: Callable[[Any, Any, xr.Dataset | None], str] | None = None

    def first_curves(self, have: Sequence[str]) -> tuple[str, ...]:
        """Return which of the variables that there are to show first; where nothing is said, the first one."""
        groups = (tuple(name for name in group if name in have) for group in self.curves)
        return next((group for group in groups if group), tuple(have[:1]))

    @classmethod
    def of(cls, chosen: Phenomenon) -> Explored:
        """Return what the phenomenon says, or nothing."""
        found = getattr(chosen.figures, "EXPLORED", None)
        return found if isinstance(found, cls) else cls()


def begin(
    name: str, problem: Declared | type[Declared] | None = None, algorithm: Algorithm | None = None, **choices: Any
) -> Shown:
    """Return where to begin: the phenomenon's own start for such a problem, with what is given in place of it.

    ``problem`` is one, or a class of them, by default the first; ``choices`` are fields of :class:`Question`, or
    ``times``.
    """
    chosen = phenomenon(name)
    kind = chosen.dynamics.PROBLEMS[0] if problem is None else problem if isinstance(problem, type) else type(problem)
    start = next((one for one in Explored.of(chosen).starts if type(one.question.problem) is kind), None)
    if not isinstance(problem, Declared):
        problem = kind() if start is None else start.question.problem
    own: dict[str, Any] = {"ensemble": Ensemble(runs=_RUNS), "times": None}
    if options := getattr(chosen.simulations, "OPTIONS", None):
        own["options"] = options()
    if start is not None:
        asked = start.question
        algorithm = asked.algorithm if algorithm is None else algorithm
        times = start.times if algorithm.discrete == asked.algorithm.discrete else None
        own |= {"method": asked.method, "simulation": asked.simulation, "times": times}
        own |= {"options": asked.options or own.get("options"), "ensemble": asked.ensemble}
    algorithm = algorithms_of(chosen, problem)[0]() if algorithm is None else algorithm
    own |= choices
    times = own.pop("times") or (StepTimes() if algorithm.discrete else FlowTimes())
    return Shown(Question(chosen, problem, algorithm, **own), times)


def algorithms_of(chosen: Phenomenon, problem: Declared) -> tuple[type[Algorithm], ...]:
    """Return the algorithms that have a meaning for a problem, the default first."""
    check = getattr(chosen.dynamics, "check_pair", None)
    return tuple(cls for cls in chosen.dynamics.ALGORITHMS if check is None or _fits(check, problem, cls))


def _fits(check: Callable[[Any, Any], None], problem: Declared, cls: type[Algorithm]) -> bool:
    try:
        check(problem, cls())
    except ParameterError:
        return False
    return True
