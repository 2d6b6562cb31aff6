"""The best single factor for a student, at each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamics.algorithms import Algorithm
from dynamics.double_descent import VARIABLES, Problem
from dynamics.errors import ParameterError
from dynamics.results import Variable, answer, rebuild

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["shrinkage"]

_NAMES = {**VARIABLES, "factor": Variable("R/Q", "factor by which the student is shrunk")}


def shrinkage(solution: xr.Dataset) -> xr.Dataset:
    """Return what scaling the student by the best single factor at each time would give: w -> w/(1 + a).

    E_G = <c>/2 - R/(1 + a) + Q/(2(1 + a)^2) is smallest at 1/(1 + a) = R/Q, where E_G = <c>/2 - R^2/(2Q). (Early in
    training R/Q is above 1: the best student is longer.) It can be beaten by what treats eigenvalues differently.

    Parameters
    ----------
    solution : Dataset
        An answer of ``solve`` or ``ridge`` with alignment and norm.

    Returns
    -------
    Dataset
        ``factor`` R/Q and ``generalization_error``, on the dimensions of the answer. A student of Q < 1e-10 <c>, whose
        R/Q would be rounding, keeps its length (factor 1). At w = 0 every factor gives <c>/2; there is no limit as
        t -> 0, where R/Q grows without bound because the first step, however small, has a direction.

    Raises
    ------
    ParameterError
        When ``solution`` is not such an answer.

    Examples
    --------
    >>> from analytic.double_descent import solve
    >>> from dynamics.algorithms import GradientFlow
    >>> from dynamics.double_descent import TwoScale
    >>> best = shrinkage(solve(TwoScale(samples=110, fast=70), GradientFlow(), [0.0, 1.0, 30.0]))
    >>> best.factor.values.round(2), best.generalization_error.values.round(3)
    (array([1.  , 1.16, 0.59]), array([0.5  , 0.276, 0.293]))
    """
    if not isinstance(getattr(solution, "attrs", None), dict):
        raise ParameterError(f"solution must be a Dataset; got {type(solution).__name__}")
    problem = rebuild(solution.attrs.get("problem", ""))
    algorithm = rebuild(solution.attrs["algorithm"]) if "algorithm" in solution.attrs else None
    theory = solution.attrs.get("kind") == "theory" and "alignment" in solution and "norm" in solution
    if not theory or not isinstance(problem, Problem) or not isinstance(algorithm, Algorithm | None):
        raise ParameterError("solution must be an answer of the theory of double descent with alignment and norm")
    overlap, norm = solution["alignment"], solution["norm"]
    power = problem.blocks.mean_power
    trained = norm > 1e-10 * power
    factor = (overlap / norm.where(trained, 1.0)).where(trained, 1.0)
    error = power / 2.0 - factor * overlap + factor**2 * norm / 2.0
    dims = tuple(str(dim) for dim in overlap.dims)
    values = {"factor": (dims, factor.values), "generalization_error": (dims, error.values)}
    coordinates = {dim: solution[dim].values for dim in dims}
    return answer(
        problem, algorithm, values, coordinates, kind="theory", method="shrinkage", names=_NAMES, variant="shrunk"
    )
