"""``solve``: responses and margins of coupled features over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analytic.gradient_starvation._descents import dual_descent, primal_descent
from analytic.gradient_starvation._fixed_point import coordinates
from analytic.gradient_starvation._flows import Paths, dual_flow, primal_flow
from analytic.gradient_starvation._linearised import linearised
from dynamics.algorithms import Algorithm, DualDescent, DualFlow, MomentumDescent, PrimalDescent
from dynamics.errors import ParameterError, known
from dynamics.gradient_starvation import VARIABLES, Coupled, Problem, TwoMoons, check_pair
from dynamics.parameters import check_between
from dynamics.results import answer
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "METHODS_ON_DATA", "solve"]

#: The methods of :func:`solve`, the default first.
METHODS = ("responses", "linearised")

#: Those that answer for given data.
METHODS_ON_DATA = ("linearised",)


def solve(
    problem: Problem,
    algorithm: Algorithm,
    times: ArrayLike,
    *,
    method: str = "responses",
    data: xr.Dataset | None = None,
    accuracy: float = 1e-9,
) -> xr.Dataset:
    r"""Return responses z and margins u = U z of coupled features over time, or what a linearised network learns.

    =============  =================================================================================================
    PrimalFlow     dz/dt = S^2 (U^T sigma(-U z) - decoupling z) - l2 z, from 0
    PrimalDescent  the same with the difference divided by eta for the derivative, exactly
    DualFlow       d alpha/dt = -logit(alpha) - K alpha, z_j = (U^T alpha)_j/p_j, p_j = l2/s_j^2 + decoupling,
                   K = U diag(1/p) U^T
    DualDescent    the same with the difference divided by eta, alpha kept within [1e-50, 1 - 1e-7]
    =============  =================================================================================================

    Parameters
    ----------
    problem : TwoSamples, CoupledFeatures or TwoMoons
        The loss is a sum over samples, of networks the mean (see :mod:`dynamics.gradient_starvation` for all
        conventions). There is no theory of ColoredDigits.
    algorithm : PrimalFlow, PrimalDescent, DualFlow or DualDescent; for TwoMoons MomentumDescent
        Dual ones need l2 or decoupling above 0.
    times : array
        Flow times, or whole numbers of steps, increasing, not negative.
    method : str
        * ``"responses"``: the equations above, for coupled features.
        * ``"linearised"``: for TwoMoons, the network of each run linearised at its start (:func:`linearised`).
    data : Dataset, optional
        For ``"linearised"``: what ``simulations.gradient_starvation.sample(problem, runs=...)`` returns.
    accuracy : float
        Largest error of a flow's responses, relative to the largest response at the same time, from 1e-11 to 0.1; the
        error reached is estimated and stored, and mostly far smaller. Descents are exact up to rounding.

    Returns
    -------
    Dataset
        ``response`` on (feature, time) and ``margin`` on (sample, time), with ``response_error`` and ``margin_error``.
        Features and samples are counted from 1. For networks the answer of :func:`linearised`.

    Raises
    ------
    ParameterError
        For input that is not allowed, a pair without meaning, a step at which the penalties alone make the responses
        grow without end, a dual algorithm without penalties, or steps that would take too long.
    ArithmeticError
        When a flow of widely different strengths cannot be followed.

    Examples
    --------
    >>> from dynamics.algorithms import PrimalFlow
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> for strong in (2.0, 4.0, 6.0):  # the second response, early and late
    ...     print(solve(TwoSamples(strong=strong), PrimalFlow(), [0.5, 5.0, 500.0]).response[1].values.round(3))
    [0.289 1.038 1.64 ]
    [0.272 0.861 1.467]
    [0.233 0.644 1.185]
    """
    check_pair(problem, algorithm)
    known("method", method, METHODS)
    if method in METHODS_ON_DATA:
        return _linearised(problem, algorithm, times, data)
    if not isinstance(problem, Coupled):
        raise ParameterError(
            "method 'responses' needs TwoSamples or CoupledFeatures; for TwoMoons use 'linearised'; got "
            f"{type(problem).__name__}"
        )
    if data is not None:
        raise ParameterError(f"data must be left out for this method; only {', '.join(METHODS_ON_DATA)} takes them")
    when = check_times(times, algorithm)
    accuracy = check_between("accuracy", "largest relative error of the responses", accuracy, 1e-11, 0.1)
    paths = _paths(problem, algorithm, when, accuracy)
    variables: dict[str, Any] = {
        name: (("feature" if name.startswith("response") else "sample", "time"), values)
        for name, values in paths._asdict().items()
    }
    axes = {**coordinates(problem), "time": when}
    return answer(problem, algorithm, variables, axes, kind="theory", method=method, names=VARIABLES)


def _linearised(problem: Problem, algorithm: Algorithm, times: ArrayLike, data: xr.Dataset | None) -> xr.Dataset:
    if not isinstance(problem, TwoMoons) or not isinstance(algorithm, MomentumDescent):
        raise ParameterError(
            f"method 'linearised' needs TwoMoons and MomentumDescent; got {type(problem).__name__}, {algorithm.label}"
        )
    if data is None:
        raise ParameterError("data must be given for method 'linearised': simulations.gradient_starvation.sample")
    return linearised(problem, algorithm, times, data)


def _paths(problem: Coupled, algorithm: Algorithm, times: Any, accuracy: float) -> Paths:
    if isinstance(algorithm, PrimalDescent):
        return primal_descent(problem, algorithm, times)
    if isinstance(algorithm, DualDescent):
        return dual_descent(problem, algorithm, times)
    flow_times = np.asarray(times, dtype=np.float64)
    if isinstance(algorithm, DualFlow):
        return dual_flow(problem, algorithm, flow_times, accuracy)
    return primal_flow(problem, flow_times, accuracy)
