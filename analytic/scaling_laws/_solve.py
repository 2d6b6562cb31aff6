"""``solve``: every method of the theory of momentum scaling laws behind one door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analytic.scaling_laws._recursion import Curves, Nodes, recursion
from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.algorithms import StochasticAlgorithm
from dynamics.errors import ParameterError, known
from dynamics.parameters import check_between
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, PowerLawSpectrum, Problem, Spectrum, check_pair
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "METHODS_ON_DATA", "solve"]

#: The methods of :func:`solve`, the default first.
METHODS = ("deterministic_equivalent", "recursion")

#: Those that answer for given data.
METHODS_ON_DATA = ("recursion",)

#: What groups of a power law may be off by from its modes, relative to the risk (measured: 1e-10).
_GROUPED = 1e-9
#: What the mean over W may be off by from the deterministic equivalent, times d, relative to the risk.
_FINITE_SIZE = 8.0


def solve(
    problem: Problem,
    algorithm: StochasticAlgorithm,
    times: ArrayLike,
    *,
    method: str = "deterministic_equivalent",
    data: xr.Dataset | None = None,
    accuracy: float = 1e-3,
) -> xr.Dataset:
    r"""Return the mean risk P and the mean squared norm of the momentum over time.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        P is without 1/2 and without the label noise's variance (see :mod:`dynamics.scaling_laws`).
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying, ScheduleFree or GeneralMomentum
        What is left open is chosen from the problem, the same for theory and simulation.
    times : array
        Numbers of completed steps, whole, increasing, not negative.
    method : str
        * ``"deterministic_equivalent"``: the spectrum of random features without a random matrix, at a cost that hardly
          grows with d and v, and the exact recursion on it. ``risk_error`` holds 8 P/d, more than the mean over W was
          found to be off by (measured: 0.5 to 6 P/d), and the error of the integrator.
        * ``"recursion"``: the exact mean over all samples for the modes of a given spectrum, or of the W in ``data``
          (dimensions run, time).
    data : Dataset, optional
        For ``"recursion"`` on PowerLawRandomFeatures: what ``simulations.scaling_laws.sample(problem, runs=...)``
        returns.
    accuracy : float
        Largest relative error of the integrator, from 0 (every step is taken, also beyond the first 4000) to 0.1; the
        error reached is estimated and stored.

    Returns
    -------
    Dataset
        ``risk``, ``momentum_norm``, ``risk_error``, ``momentum_norm_error`` on dimension ``time`` (with data: run,
        time). The attribute ``coefficients`` holds gamma1, gamma2, gamma3 and Delta.

    Raises
    ------
    ParameterError
        For input that is not allowed, a method without meaning for this problem, coefficients that are unstable in the
        mean, or an accuracy that would take too long.

    Examples
    --------
    >>> from dynamics.algorithms import SGD, DanaDecaying
    >>> problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    >>> [f"{solve(problem, one, [10**9]).risk.item():.1e}" for one in (SGD(), DanaDecaying())]
    ['2.0e-11', '1.1e-14']
    """
    check_pair(problem, algorithm)
    when = check_times(times, algorithm).astype(np.int64)
    known("method", method, METHODS)
    accuracy = check_between("accuracy", "largest relative error of the integrator", accuracy, 0.0, 0.1)
    rule = algorithm.rule(problem.curvature)

    def curves(nodes: Nodes) -> Curves:
        return recursion(nodes, rule, algorithm.batch_size, when, accuracy)

    coordinates: dict[str, Any] = {"time": when}
    dims: tuple[str, ...] = ("time",)
    if method == "deterministic_equivalent":
        found = _equivalent(problem, data, curves)
    elif data is None:
        found = curves(_own_nodes(problem))
        if isinstance(problem, PowerLawSpectrum):
            found = _allowing(found, _GROUPED)
    else:
        each = [curves(nodes) for nodes in _data_nodes(problem, data)]
        found = Curves(*(np.stack(part) for part in zip(*each, strict=True)))
        dims = ("run", "time")
        coordinates["run"] = data["run"].values
    seed = None if data is None else data.attrs.get("seed")
    return answer(
        problem, algorithm, {name: (dims, values) for name, values in found._asdict().items()}, coordinates,
        kind="theory", method=method, seed=seed, names=VARIABLES, coefficients=rule.to_json(),
    )  # fmt: skip


def _equivalent(problem: Problem, data: xr.Dataset | None, curves: Any) -> Curves:
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError(
            "method 'deterministic_equivalent' needs PowerLawRandomFeatures: a given spectrum is exact already; use "
            "method='recursion'"
        )
    if data is not None:
        raise ParameterError(f"data must be left out for this method; only {', '.join(METHODS_ON_DATA)} takes them")
    found: Curves = curves(equivalent_nodes(problem))
    return _allowing(found, _FINITE_SIZE / problem.dimension)


def _allowing(found: Curves, relative: float) -> Curves:
    """Add a relative error to what the curves may be off by."""
    return found._replace(
        risk_error=found.risk_error + relative * found.risk,
        momentum_norm_error=found.momentum_norm_error + relative * found.momentum_norm,
    )


def _own_nodes(problem: Problem) -> Nodes:
    if isinstance(problem, PowerLawSpectrum):
        nodes, weights = problem.counting()
        curvature, error = nodes ** (-2.0 * problem.alpha), weights * nodes ** (-2.0 * problem.beta)
        return Nodes(curvature, error, weights, problem.floor, problem.noise**2)
    if not isinstance(problem, Spectrum):
        raise ParameterError(
            "method 'recursion' needs a Spectrum, or data: the modes of random features are those of a drawn W. Take "
            "simulations.scaling_laws.sample, or method='deterministic_equivalent'"
        )
    count = np.ones(len(problem.eigenvalues))
    error = np.array(problem.initial_error, dtype=np.float64)
    return Nodes(np.array(problem.eigenvalues, dtype=np.float64), error, count, problem.floor, problem.noise**2)


def _data_nodes(problem: Problem, data: xr.Dataset) -> Sequence[Nodes]:
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError("data must be left out for a given spectrum, which has its own modes")
    if data.attrs.get("problem") != problem.to_json():
        raise ParameterError(f"data must be drawn for this problem; got {data.attrs.get('problem')}")
    parts = (data[name].values for name in ("eigenvalues", "initial_error", "floor"))
    return [
        Nodes(eigenvalues, error, np.ones_like(eigenvalues), float(floor), problem.noise**2)
        for eigenvalues, error, floor in zip(*parts, strict=True)
    ]
