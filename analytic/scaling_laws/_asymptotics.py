r"""The risk's power laws with their constants: what its parts tend to for 1 << theta << d^(2 alpha).

Above the spectrum's lower edge the density of modes is x^(-1 - 1/(2 alpha))/(2 alpha), that of the squared target
[x^((2 beta - 1)/(2 alpha)) + (zeta(2 beta)/d) x^(-1/(2 alpha))]/(2 alpha). At the effective time theta = gamma t a mode
of curvature x has kept e^(-2 theta x) of its squared error. With c = 1 + (2 beta - 1)/(2 alpha), p = 2 - 1/(2 alpha),
forcing (the risk without the gradients' noise) and kernel (the later risk per risk now) are therefore F_0 + F_pp + F_ac
and K_pp with

    F_pp = Gamma(c)/(2 alpha) (2 theta)^(-c),    F_ac = zeta(2 beta)/(2 alpha d) Gamma(p - 1) (2 theta)^(1 - p),
    K_pp = gamma^2/(2 alpha B) Gamma(p) (2 theta)^(-p).

The risk solves P = F + K * (P + s^2), s^2 the variance of the label noise. Where F falls more slowly than K, P + s^2
tends to (F + s^2)/(1 - N). Else K_pp remembers the first steps, and adds I K_pp/(1 - N)^2, where I is the sum over all
steps of the target's own part of F - F_0. The first steps are no small ones: in discrete time, with a = 1 - Delta,
x = gamma_2 l, y = gamma_1 gamma_3 l and u, q as in :mod:`dynamics.stability`,

    I = sum_j j^(-2 beta) r_(l_j),    l_j = j^(-2 alpha),
    r_l = B [Delta + 2 a y/((1 + a)(Delta + a x))]/[(Delta gamma_2 + gamma_1 gamma_3)(2 B - B u - q)],

which is 1/(2 gamma) for small l, and B/(2 B gamma - (B + 1) gamma^2 l) for SGD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma as gamma_function
from scipy.special import zeta

from analytic.scaling_laws._equivalent import limit_risk
from analytic.scaling_laws._recursion import Nodes, check_stable
from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.algorithms import OneRate, Rule, StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, check_pair
from dynamics.stability import Coefficients, Curvature, broken_bound, responses
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["asymptotics"]

Array = NDArray[np.float64]


def asymptotics(problem: PowerLawRandomFeatures, algorithm: StochasticAlgorithm, times: ArrayLike) -> xr.Dataset:
    r"""Return the parts of the risk as power laws of time, with constants.

    The effective time is theta = (gamma2 + gamma1 gamma3(t)/Delta(t)) t. For constant coefficients the ratio of the
    mean risk to ``risk`` tends to 1 for 1 << theta << d^(2 alpha), and for theta >> d^(2 alpha); between, it is of
    order 1. Where coefficients change with the step (DANA, Schedule-Free) only the powers hold, and constants are right
    in order of magnitude.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        P is without 1/2 and without the label noise's variance s^2.
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying or ScheduleFree
        Or GeneralMomentum with constant coefficients.
    times : array
        Numbers of completed steps, whole, increasing, at least 1.

    Returns
    -------
    Dataset
        On dimension ``time``: ``effective_time`` theta and, with c = 1 + (2 beta - 1)/(2 alpha), p = 2 - 1/(2 alpha),

        * ``floor_part`` F_0 = P_inf, the exact one;
        * ``point_part`` F_pp = Gamma(c)/(2 alpha) (2 theta)^(-c);
        * ``distortion_part`` F_ac = zeta(2 beta)/(2 alpha d) Gamma(p-1) (2 theta)^(1-p), 0 for 2 alpha <= 1 or
          2 beta <= 1;
        * ``noise_part`` I K_pp with K_pp = gamma^2/(2 alpha B) Gamma(p) (2 theta)^(-p), where gamma is theta/t at
          step 0, and I, the sum of the target's part of the risk over all steps without noise, about
          zeta(2 beta)/(2 gamma). It is 0 for alpha <= 1/4, and for 2 beta <= 1, where it is no term of its own;
        * ``kernel_norm`` N(t) = sum_j k_(l_j) (1 - e^(-2 theta l_j)), the noise fed back so far. For 2 alpha > 1 it
          tends to the kernel norm N soon; for 2 alpha < 1 only when theta is of order d^(2 alpha);
        * ``risk`` [F_0 + F_pp + F_ac + s^2 + noise_part/(1 - N(t))]/(1 - N(t)) - s^2.

    Raises
    ------
    ParameterError
        For input that is not allowed, coefficients that are unstable in the mean, momentum that does not decay, and
        where theta is so small that its powers overflow.

    Examples
    --------
    >>> from dynamics.algorithms import SGD
    >>> from analytic.scaling_laws import solve
    >>> problem = PowerLawRandomFeatures(alpha=1.0, beta=0.3, dimension=10**7)
    >>> exact, laws = (theory(problem, SGD(), [10**4, 10**6]).risk.values for theory in (solve, asymptotics))
    >>> (exact / laws).round(3)
    array([1.007, 1.001])
    """
    check_pair(problem, algorithm)
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError(f"problem must be PowerLawRandomFeatures; got {type(problem).__name__}")
    when = check_times(times, algorithm).astype(np.int64)
    if when[0] < 1:
        raise ParameterError("times must be at least 1, for power laws of time; got 0")
    rule = algorithm.rule(problem.curvature)
    if not (isinstance(algorithm, OneRate) or rule.constant):
        raise ParameterError("algorithm GeneralMomentum must have constant coefficients to have an effective time")
    start = rule.at_one(0.0)
    theta = _rate(rule.at(when.astype(np.float64))) * when
    floor = np.full(when.size, limit_risk(problem))
    parts = _forcing(problem, theta) | {"noise_part": _noise(problem, algorithm.batch_size, start, theta)}
    _check_finite(when, theta, parts)
    nodes = equivalent_nodes(problem)
    check_stable(nodes, rule, algorithm.batch_size, when)
    norm = _fed_back(nodes, rule, algorithm.batch_size, when, theta)
    variance = problem.noise**2
    forced = floor + parts["point_part"] + parts["distortion_part"] + variance
    risk = (forced + parts["noise_part"] / (1.0 - norm)) / (1.0 - norm) - variance
    variables = {"risk": risk, "floor_part": floor, **parts, "kernel_norm": norm, "effective_time": theta}
    return answer(
        problem, algorithm, {name: (("time",), values) for name, values in variables.items()}, {"time": when},
        kind="theory", method="asymptotics", names=VARIABLES, coefficients=rule.to_json(),
    )  # fmt: skip


def _rate(at: Coefficients) -> Array:
    """Return gamma = theta/t: the step of the gradient and that of the momentum which it leaves behind."""
    delta = np.asarray(at.delta)
    if not (delta > 0.0).all():
        raise ParameterError("decay (weight that the momentum loses in each step) must be above 0; got 0")
    found = np.asarray(at.gamma2 + at.gamma1 * at.gamma3 / delta)
    if not (found > 0.0).all():
        raise ParameterError("learning_rate or momentum_rate must be above 0: nothing is learned")
    return found


def _power(exponent: float, theta: Array) -> Array:
    """Return Gamma(c) (2 theta)^(-c), the integral of x^(c - 1) e^(-2 theta x); it may overflow."""
    with np.errstate(over="ignore"):
        found: Array = gamma_function(exponent) * (2.0 * theta) ** -exponent
    return found


def _forcing(problem: PowerLawRandomFeatures, theta: Array) -> dict[str, Array]:
    """Return F_pp and F_ac."""
    double, surplus = 2.0 * problem.alpha, 2.0 * problem.beta - 1.0
    distortion = np.zeros_like(theta)
    if double > 1.0 and surplus > 0.0:
        distortion = zeta(1.0 + surplus) / (double * problem.dimension) * _power(1.0 - 1.0 / double, theta)
    return {"point_part": _power(1.0 + surplus / double, theta) / double, "distortion_part": distortion}


def _noise(problem: PowerLawRandomFeatures, batch_size: int, start: Coefficients, theta: Array) -> Array:
    """Return I K_pp, for the coefficients at the start, of which K_pp remembers the noise."""
    double = 2.0 * problem.alpha
    if problem.alpha <= 0.25 or problem.beta <= 0.5:
        return np.zeros_like(theta)
    rate = float(_rate(start))
    nodes, weights = problem.counting()
    # the sum goes on beyond v, of which power laws know nothing; what steps of finite size add falls like l
    added = _lasting(nodes**-double, batch_size, start) - 0.5 / rate
    lasting = zeta(2.0 * problem.beta) * 0.5 / rate + float(weights @ (nodes ** (-2.0 * problem.beta) * added))
    return lasting * rate**2 / (double * batch_size) * _power(2.0 - 1.0 / double, theta)


def _lasting(eigenvalues: Array, batch_size: int, at: Coefficients) -> Array:
    """Return r_l: a mode's risk without noise, summed over all steps, relative to its squared error at the start."""
    g1, g2, g3, delta = (float(value) for value in at)
    a, x, y = 1.0 - delta, g2 * eigenvalues, g1 * g3 * eigenvalues
    drift, noise, kept = x, x, np.full_like(x, delta)
    if g1 * g3 > 0.0:  # where the momentum moves no weights, a may be -1
        lag = delta + a * x
        drift, noise = x + y / (1.0 + a), x + y * (1.0 + a * x / (1.0 + a)) / lag
        kept = kept + 2.0 * a * y / ((1.0 + a) * lag)
    found: Array = batch_size * kept / ((delta * g2 + g1 * g3) * (2.0 * batch_size - batch_size * drift - noise))
    return found


def _fed_back(nodes: Nodes, rule: Rule, batch_size: int, when: NDArray[np.int64], theta: Array) -> Array:
    """Return N(t), with the coefficients of step t."""
    found = np.empty(when.size)
    modes = Curvature(nodes.curvature, nodes.modes, nodes.curvature.size)
    for i, step in enumerate(when.tolist()):
        at = rule.at_one(step)
        share = -np.expm1(-2.0 * theta[i] * nodes.curvature)
        each = responses(nodes.curvature, batch_size, at)
        found[i] = (nodes.modes * share) @ each if np.isfinite(each).all() else np.inf
        if found[i] >= 1.0:
            raise ParameterError(broken_bound(modes, batch_size, at, step))
    return found


def _check_finite(when: NDArray[np.int64], theta: Array, parts: dict[str, Array]) -> None:
    for values in parts.values():
        if np.isinf(values).any():
            first = int(np.argmax(np.isinf(values)))
            raise ParameterError(
                f"times must be larger: at step {when[first]} the effective time is {theta[first]:g}, and its powers "
                "overflow"
            )
