r"""Coupled features as a linear model: weights theta in R^m and m > r inputs of n labelled samples.

Each run draws an orthonormal V (m, r) and labels y, which no response depends on: Phi = Y U S V^T. The primal descent
takes theta <- theta - eta [-Phi^T (y sigma(-u)) + l2 theta + decoupling Phi^T f], f = Phi theta, u = y f. Its Hessian
is at most (1/4 + decoupling) A^T A + l2, A = Y Phi, so that the loss falls in every step when

    eta < 2/((1/4 + decoupling) s_1^2 + l2),

with the largest strength s_1. As the slope of the logistic loss is bounded, the weights leave every bound only when
eta > 2/(decoupling s_1^2 + l2). The dual ascent takes alpha <- alpha - eta [logit(alpha) + K alpha], clipped, with
K = A (l2 + decoupling A^T A)^-1 A^T, which it takes from the matrix A; margins are u = K alpha.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import Algorithm, DualDescent, PrimalDescent
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import Coupled
from dynamics.kernels import kernel
from simulations._streams import Source, stream

__all__ = ["Weights", "draw_features", "stability_bound", "weights"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: Weights beyond those that features need.
_SPARE = 3
#: A run has diverged when an output is more than this many times as large as the first step can make it, and 1.
_DIVERGED = 1e10
#: Multiplications between looks at the request to stop.
_LOOK = 10**7
_DUAL_RANGE = (1e-50, 1.0 - 1e-7)


class Weights(NamedTuple):
    """Responses (r, times) and margins (n, times), nan from the step on at which the run was seen to diverge, or -1."""

    response: Array
    margin: Array
    diverged_at: int


def draw_features(problem: Coupled, seed: int, run: int) -> tuple[Array, Array]:
    """Draw features Phi (n, r + 3) with Y Phi = U S V^T, V uniform, and labels (n,)."""
    u, s = problem.presence, problem.strength
    n, r = u.shape
    v, triangle = np.linalg.qr(stream(seed, run, Source.FEATURES).standard_normal((r + _SPARE, r)))
    v = v * np.sign(np.diag(triangle))  # uniform only with this choice of signs
    labels: Array = stream(seed, run, Source.TEACHER).choice(np.array([-1.0, 1.0]), n)
    return labels[:, None] * ((u * s) @ v.T), labels


def weights(
    problem: Coupled, algorithm: Algorithm, times: Steps, seed: int, run: int, checkpoint: Callable[[], None]
) -> Weights:
    """Train one run by gradient descent in weight space, or by ascent of its dual, and return z = U^T u and u.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        The loss is a sum over samples.
    algorithm : PrimalDescent or DualDescent
        The latter needs l2 or decoupling above 0.
    times : array
        Numbers of completed steps, increasing.
    seed, run : int
        Address of the streams of features and labels.
    checkpoint : callable
        Called now and then; what it raises ends the run.

    Raises
    ------
    ParameterError
        For flows, which have no steps, and for a dual ascent without any penalty.
    """
    features, labels = draw_features(problem, seed, run)
    if isinstance(algorithm, PrimalDescent):
        return _primal(problem, algorithm, features, labels, times, checkpoint)
    if isinstance(algorithm, DualDescent):
        return _dual(problem, algorithm, labels[:, None] * features, times, checkpoint)
    must = "must be PrimalDescent or DualDescent to be simulated, for a flow has no steps"
    raise ParameterError(f"algorithm {must}; got {algorithm.label}")


def stability_bound(problem: Coupled, algorithm: PrimalDescent) -> str:
    """Say at which step size the descent of a problem cannot fail, and at which its weights leave every bound."""
    strongest = float(problem.strength.max()) ** 2
    safe = 2.0 / ((0.25 + problem.decoupling) * strongest + problem.l2)
    penalty = problem.decoupling * strongest + problem.l2
    falls = f"below 2/((1/4 + decoupling) s_1^2 + l2) = {safe:.6g} the loss falls in every step"
    if penalty == 0.0:
        return f"without penalties no learning_rate throws the weights farther in each step; {falls}"
    return (
        f"learning_rate {algorithm.learning_rate:.6g} must be at most 2/(decoupling s_1^2 + l2) = {2.0 / penalty:.6g} "
        f"for the penalties not to throw the weights farther in each step; {falls}"
    )


def _primal(
    problem: Coupled, algorithm: PrimalDescent, features: Array, labels: Array, times: Steps,
    checkpoint: Callable[[], None],
) -> Weights:  # fmt: skip
    """Train the weights from 0."""
    eta, columns = algorithm.learning_rate, np.ascontiguousarray(features.T)
    theta, outputs = np.zeros(features.shape[1]), np.zeros(features.shape[0])
    limit = _DIVERGED * max(1.0, eta * float((features**2).sum()))
    kept = np.full((labels.size, times.size), np.nan)
    done, at = 0, -1
    for index, time in enumerate(times.tolist()):
        while done < time and at < 0:
            checkpoint()
            count = min(time - done, max(1, _LOOK // features.size))
            steps = _descend(
                features, columns, labels, theta, outputs, eta, problem.l2, problem.decoupling, limit, count
            )  # fmt: skip
            at = done + steps if steps >= 0 else -1
            done += count
        if at >= 0:
            break
        kept[:, index] = labels * outputs
    return Weights(problem.presence.T @ kept, kept, at)


@kernel
def _descend(
    features: Array, columns: Array, labels: Array, theta: Array, outputs: Array, eta: float, l2: float,
    decoupling: float, limit: float, count: int,
) -> int:  # fmt: skip
    """Take steps in place, ``outputs`` belonging to theta; return -1, or after how many an output was beyond the limit.

    ``columns`` are the transposed features: both are there so that all inner loops run along memory.
    """
    n, m = features.shape
    gradient = np.empty(m)
    for step in range(count):
        for k in range(m):
            gradient[k] = l2 * theta[k]
        for i in range(n):
            slope = decoupling * outputs[i] - labels[i] / (1.0 + math.exp(labels[i] * outputs[i]))
            for k in range(m):
                gradient[k] += features[i, k] * slope
        outputs[:] = 0.0
        for k in range(m):
            theta[k] -= eta * gradient[k]
            for i in range(n):
                outputs[i] += columns[k, i] * theta[k]
        for i in range(n):
            if not abs(outputs[i]) <= limit:  # also true for nan
                return step + 1
    return -1


def _dual(
    problem: Coupled, algorithm: DualDescent, signed: Array, times: Steps, checkpoint: Callable[[], None]
) -> Weights:
    """Train the dual variables; K comes from A = Y Phi alone, whose rank is known."""
    if problem.l2 == problem.decoupling == 0.0:
        raise ParameterError("l2 or decoupling must be above 0 for the dual descent; got 0 for both")
    left, strength, _ = np.linalg.svd(signed, full_matrices=False)
    r = problem.strength.size
    square = strength[:r] ** 2
    matrix = (left[:, :r] * (square / (problem.l2 + problem.decoupling * square))) @ left[:, :r].T
    alpha = np.full(signed.shape[0], algorithm.initial)
    kept = np.empty((alpha.size, times.size))
    done = 0
    for index, time in enumerate(times.tolist()):
        while done < time:
            checkpoint()
            count = min(time - done, max(1, _LOOK // matrix.size))
            _ascend(matrix, alpha, algorithm.learning_rate, *_DUAL_RANGE, count)
            done += count
        kept[:, index] = matrix @ alpha
    return Weights(problem.presence.T @ kept, kept, -1)


@kernel
def _ascend(matrix: Array, alpha: Array, eta: float, low: float, high: float, count: int) -> None:
    """Take steps of the dual ascent in place."""
    for _ in range(count):
        margin = matrix @ alpha
        for i in range(alpha.size):
            new = alpha[i] + eta * (-math.log(alpha[i] / (1.0 - alpha[i])) - margin[i])
            alpha[i] = min(max(new, low), high)
