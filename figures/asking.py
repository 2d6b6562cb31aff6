"""A whole question: a problem, what trains it, and how theory and simulation are to answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from dynamics.errors import known
from dynamics.parameters import Declared, parameter
from figures.phenomena import Phenomenon

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Ensemble", "Question"]


class Ensemble(Declared):
    """Independent runs of a simulation."""

    runs: int = parameter(
        100, symbol="N", meaning="number of independent runs", at_least=1, scale="log", explore=(2, 1000)
    )
    seed: int = parameter(0, symbol=r"\mathrm{seed}", meaning="seed of all random streams", at_least=0)
    workers: int | None = parameter(
        None, symbol=r"\mathrm{workers}", meaning="threads, by default one per processor; no number depends on it",
        at_least=1,
    )  # fmt: skip


@dataclass(frozen=True)
class Question:
    """What is asked of one phenomenon; no method means the first one of theory or simulation.

    ``options`` are those of the phenomenon's own simulation.
    """

    phenomenon: Phenomenon
    problem: Any
    algorithm: Any
    ensemble: Ensemble = Ensemble()  # noqa: RUF009 - frozen
    options: Declared | None = None
    method: str | None = None
    simulation: str | None = None

    @property
    def theory_method(self) -> str:
        """The method of theory, checked."""
        methods = self.phenomenon.analytic.METHODS
        return known("method", methods[0] if self.method is None else self.method, methods)

    @property
    def simulation_method(self) -> str:
        """The method of the simulation, checked."""
        methods = self.phenomenon.simulations.METHODS
        return known("simulation", methods[0] if self.simulation is None else self.simulation, methods)

    def settled(self) -> Self:
        """Fill in the defaults that theory and simulation would choose differently at finite size."""
        settled = getattr(self.phenomenon.analytic, "settled", None)
        if settled is None:
            return self
        return replace(self, algorithm=settled(self.problem, self.algorithm, self.theory_method))

    @property
    def on_data(self) -> bool:
        """Whether the method of theory answers for given data, those of the runs."""
        sampled = getattr(self.phenomenon.simulations, "SAMPLED", self.phenomenon.dynamics.PROBLEMS)
        methods = getattr(self.phenomenon.analytic, "METHODS_ON_DATA", ())
        return self.theory_method in methods and isinstance(self.problem, tuple(sampled))

    def theory(self, times: Any, *, first_run: int = 0) -> xr.Dataset:
        """Ask theory, for the data of the runs where it answers for given data."""
        given = {}
        if self.on_data:
            draws = dict(self.ensemble) | {"first_run": first_run}
            given["data"] = self.phenomenon.simulations.sample(self.problem, **draws)
        method = self.theory_method
        answer: xr.Dataset = self.phenomenon.analytic.solve(self.problem, self.algorithm, times, method=method, **given)
        return answer

    def simulated(
        self, times: Any, *, first_run: int = 0, on_divergence: str = "raise", progress: bool = False
    ) -> xr.Dataset:
        """Simulate the runs of the ensemble."""
        settings = dict(self.ensemble) | dict(self.options or ())
        settings |= {"first_run": first_run, "on_divergence": on_divergence, "progress": progress}
        method = self.simulation_method
        if prepared := getattr(self.phenomenon.analytic, "prepared", None):  # simulations know no theory
            settings |= prepared(self.problem, method)
        answer: xr.Dataset = self.phenomenon.simulations.simulate(
            self.problem, self.algorithm, times, method=method, **settings
        )
        return answer
