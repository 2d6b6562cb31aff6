"""``solve``: every method of the theory of momentum scaling laws behind one door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytic.scaling_laws._flow import flow
from analytic.scaling_laws._nodes import nodes_of
from analytic.scaling_laws._recursion import Curves, Nodes, deviations, recursion
from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.algorithms import StochasticAlgorithm
from dynamics.errors import ParameterError, known
from dynamics.parameters import check_between
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, Problem, check_pair
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "METHODS_ON_DATA", "solve"]

Array = NDArray[np.float64]

#: The methods of :func:`solve`, the default first.
METHODS = ("deterministic_equivalent", "recursion", "flow", "flow_simplified")
_FLOWS = METHODS[2:]

#: Those that answer for given data.
METHODS_ON_DATA = ("recursion",)

#: Grid step of the coarse quadrature: its error is several times that of the one taken.
_COARSE = 0.14
_MEAN_FIELD = "the step sizes depend on the risk of each run, of which theory takes the mean"


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
          found to be off by (measured: 0.5 to 6 P/d), and the errors of quadrature and integrator.
        * ``"recursion"``: the exact mean over all samples for the modes of a given spectrum, or of the W in ``data``
          (dimensions run, time).
        * ``"flow"``: the differential equation of public code, on the same spectra: the exact mean of steps at random
          (Poisson) times. ``discretisation`` is by how much its risk exceeds that of the discrete steps.
        * ``"flow_simplified"``: the same with the lowest orders only; it is off at all times.
    data : Dataset, optional
        For ``"recursion"`` on PowerLawRandomFeatures: what ``simulations.scaling_laws.sample(problem, runs=...)``
        returns.
    accuracy : float
        Largest relative error of the integrator, from 0 (every step is taken, also beyond the first 4000; not for
        flows) to 0.1; the error reached is estimated and stored.

    Returns
    -------
    Dataset
        ``risk``, ``momentum_norm``, ``risk_error``, ``momentum_norm_error`` on dimension ``time`` (with data: run,
        time). The attribute ``coefficients`` holds gamma1, gamma2, gamma3 and Delta; ``caveat``, where there is one,
        says what the method neglects and the errors do not hold: that the flow is not the algorithm, or that steps
        which depend on the risk of a run take the mean risk here.

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
    if accuracy == 0 and method in _FLOWS:
        raise ParameterError(f"accuracy must be above 0 for method {method!r}, which has no steps of its own; got 0")
    rule = algorithm.rule(problem.curvature)

    def stepwise(nodes: Nodes) -> Curves:
        return recursion(nodes, rule, algorithm.batch_size, when, accuracy)

    def flowing(nodes: Nodes) -> Curves:
        return flow(nodes, rule, algorithm.batch_size, when, accuracy, simplified=method == _FLOWS[1])

    curves = flowing if method in _FLOWS else stepwise
    coordinates: dict[str, Any] = {"time": when}
    dims: tuple[str, ...] = ("time",)
    if data is not None:
        each = [curves(nodes) for nodes in _drawn(problem, data, method)]
        found = Curves(*(np.stack(part) for part in zip(*each, strict=True)))
        dims = ("run", "time")
        coordinates["run"] = data["run"].values
    else:
        _check_method(problem, method)
        nodes, neglected = nodes_of(problem)
        found = _allowing(curves(nodes), neglected)
        if isinstance(problem, PowerLawRandomFeatures):
            found = _off_by(found, curves(equivalent_nodes(problem, _COARSE)))
    caveat = [_MEAN_FIELD] if rule.risk_exponent else []
    variables = {}
    if method in _FLOWS:
        steps = stepwise(nodes)
        variables["discretisation"] = found.risk - steps.risk
        caveat.append(_off(variables["discretisation"], steps.risk))
    variables |= found._asdict()
    return answer(
        problem, algorithm, {name: (dims, values) for name, values in variables.items()}, coordinates, kind="theory",
        method=method, seed=None if data is None else data.attrs.get("seed"), names=VARIABLES,
        coefficients=rule.to_json(), **({"caveat": "; ".join(caveat)} if caveat else {}),
    )  # fmt: skip


def _off(difference: Array, risk: Array) -> str:
    """Say by how much a flow is off the discrete steps."""
    relative = np.abs(difference) / np.where(risk > 0.0, risk, 1.0)  # without floor and error both risks are 0
    return f"the risk of the flow is off that of the discrete steps by up to {100.0 * relative.max():.2g} per cent"


def _check_method(problem: Problem, method: str) -> None:
    """Refuse a method that has no meaning for a problem without data."""
    random = isinstance(problem, PowerLawRandomFeatures)
    if random and method == "recursion":
        raise ParameterError(
            "method 'recursion' needs a Spectrum, or data: the modes of random features are those of a drawn W. Take "
            "simulations.scaling_laws.sample, or method='deterministic_equivalent'"
        )
    if not random and method == "deterministic_equivalent":
        raise ParameterError(
            "method 'deterministic_equivalent' needs PowerLawRandomFeatures: a given spectrum is exact already; use "
            "method='recursion'"
        )


def _allowing(found: Curves, relative: float) -> Curves:
    """Add a relative error to what the curves may be off by."""
    return found._replace(
        risk_error=found.risk_error + relative * found.risk,
        momentum_norm_error=found.momentum_norm_error + relative * found.momentum_norm,
    )


def _off_by(found: Curves, coarse: Curves) -> Curves:
    """Add to what the curves may be off by how far those of a coarser quadrature are away."""
    risk, norm = (deviations(other, own) for own, other in zip(found[:2], coarse[:2], strict=True))
    return found._replace(risk_error=found.risk_error + risk, momentum_norm_error=found.momentum_norm_error + norm)


def _drawn(problem: Problem, data: xr.Dataset, method: str) -> Sequence[Nodes]:
    """Return the nodes of each drawn matrix."""
    if method not in METHODS_ON_DATA:
        raise ParameterError(f"data must be left out for this method; only {', '.join(METHODS_ON_DATA)} takes them")
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError("data must be left out for a given spectrum, which has its own modes")
    if data.attrs.get("problem") != problem.to_json():
        raise ParameterError(f"data must be drawn for this problem; got {data.attrs.get('problem')}")
    parts = (data[name].values for name in ("eigenvalues", "initial_error", "floor"))
    return [
        Nodes(eigenvalues, error, np.ones_like(eigenvalues), float(floor), problem.noise**2)
        for eigenvalues, error, floor in zip(*parts, strict=True)
    ]
