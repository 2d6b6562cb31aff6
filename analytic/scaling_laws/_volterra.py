r"""Volterra's equation for the mean risk of stochastic gradient descent, with its forcing function and kernel.

Without momentum the modes can be summed away. With the density mu of the squared target (mass P(0) - P_inf), that of
the eigenvalues nu, and q(x) = 1 - 2 gamma x + (1 + 1/B) gamma^2 x^2,

    F(t) = P_inf + int q(x)^t dmu,    K(t) = (gamma^2/B) int x^2 q(x)^t dnu,
    P(t) = F(t) + sum_(s < t) K(t - 1 - s) (P(s) + noise^2),

exactly, in discrete time. For the (simplified) flow q(x)^t is exp(-2 gamma x t), and the sum an integral. The kernel's
sum over all t is the kernel norm. Source: arXiv 2405.15074, whose gamma is ours divided by B, in continuous time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from analytic.scaling_laws._nodes import nodes_of
from analytic.scaling_laws._recursion import Nodes, check_stable
from dynamics.algorithms import SGD
from dynamics.errors import ParameterError
from dynamics.parameters import check_whole
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, Problem, check_pair
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["forcing", "volterra"]

Array = NDArray[np.float64]

#: Most steps that the equation is solved for, a few seconds.
_MOST = 50_000


def forcing(problem: Problem, algorithm: SGD, times: ArrayLike, *, flow: bool = False) -> xr.Dataset:
    """Return forcing function and kernel of Volterra's equation at any times.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        Of random features, the deterministic equivalent.
    algorithm : SGD
        Learning rate gamma and batch size B.
    times : array
        Numbers of completed steps, whole, increasing, not negative.
    flow : bool
        Take exp(-2 gamma x t) for q(x)^t, as arXiv 2405.15074 does.

    Returns
    -------
    Dataset
        ``forcing`` F (the risk if gradients had no noise, P_inf included) and ``kernel`` K on dimension ``time``.

    Raises
    ------
    ParameterError
        For input that is not allowed, an algorithm with momentum, or a learning rate that is unstable in the mean.

    Examples
    --------
    >>> from dynamics.scaling_laws import Spectrum
    >>> found = forcing(Spectrum(eigenvalues=[1.0], initial_error=[1.0], floor=0.1), SGD(learning_rate=0.5), [0, 1])
    >>> found.forcing.values, found.kernel.values
    (array([1.1, 0.6]), array([0.25 , 0.125]))
    """
    nodes, rate = _asked(problem, algorithm)
    when = check_times(times, algorithm).astype(np.int64)
    check_stable(nodes, algorithm.rule(problem.curvature), algorithm.batch_size, when)
    method = "flow" if flow else "volterra"
    return _answer(problem, algorithm, when, method, *_functions(nodes, rate, algorithm.batch_size, when, flow))


def volterra(problem: Problem, algorithm: SGD, last: int) -> xr.Dataset:
    """Return the solution of Volterra's equation at every step up to ``last``: the same risk as ``solve`` gives.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        Of random features, the deterministic equivalent.
    algorithm : SGD
        Learning rate gamma and batch size B.
    last : int
        Last step, at most 50,000: the cost is its square.

    Returns
    -------
    Dataset
        ``risk``, ``forcing`` and ``kernel`` on dimension ``time``.

    Raises
    ------
    ParameterError
        For input that is not allowed, an algorithm with momentum, or a learning rate that is unstable in the mean.

    Examples
    --------
    >>> from dynamics.scaling_laws import Spectrum
    >>> found = volterra(Spectrum(eigenvalues=[1.0], initial_error=[1.0], floor=0.1), SGD(learning_rate=0.5), 2)
    >>> found.risk.values
    array([1.1    , 0.875  , 0.70625])
    """
    last = check_whole("last", last, at_least=0)
    if last > _MOST:
        raise ParameterError(f"last (last step) must be at most {_MOST}, for the cost is its square; got {last}")
    found = forcing(problem, algorithm, np.arange(last + 1))
    risk = found["forcing"].values.copy()
    backwards = found["kernel"].values[::-1].copy()
    for t in range(1, last + 1):
        risk[t] += backwards[last + 1 - t :] @ (risk[:t] + problem.noise**2)
    symbol, meaning = VARIABLES["risk"]
    return found.assign(risk=("time", risk, {"symbol": symbol, "long_name": meaning}))


def _asked(problem: Problem, algorithm: SGD) -> tuple[Nodes, float]:
    check_pair(problem, algorithm)
    if not isinstance(algorithm, SGD):
        raise ParameterError(
            f"algorithm must be SGD, for momentum has no such equation; got {type(algorithm).__name__}"
        )
    return nodes_of(problem)[0], float(algorithm.rule(problem.curvature).at_one(0).gamma2)


def _functions(nodes: Nodes, rate: float, batch: int, times: NDArray[np.int64], flow: bool) -> tuple[Array, Array]:
    """Return F and K at each time."""
    x = nodes.curvature
    step = -2.0 * rate * x
    if flow:
        powers = np.exp(times[:, None] * step)
    else:  # q may be 0, and its 0th power is 1
        powers = np.exp(xlog1py(times[:, None], step + (1.0 + 1.0 / batch) * (rate * x) ** 2))
    return nodes.floor + powers @ (x * nodes.error), rate**2 / batch * (powers @ (x**2 * nodes.modes))


def _answer(
    problem: Problem, algorithm: SGD, times: NDArray[np.int64], method: str, first: Array, kernel: Array
) -> xr.Dataset:
    return answer(
        problem, algorithm, {"forcing": (("time",), first), "kernel": (("time",), kernel)}, {"time": times},
        kind="theory", method=method, names=VARIABLES,
    )  # fmt: skip
