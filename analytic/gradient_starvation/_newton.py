r"""Fixed points: the minimum of a strictly convex function, by Newton's method for many problems at once.

With penalties p_j = l2/s_j^2 + decoupling the responses at rest solve p_j z_j = (U^T sigma(-U z))_j: they minimise

    F(z) = sum_i log(1 + exp(-(U z)_i)) + sum_j p_j z_j^2/2,    with the Hessian P = diag(p) + U^T D U,

D = diag(alpha (1 - alpha)), alpha = sigma(-U z). A Newton step is the least-squares solution of the rows
sqrt(D_i) U_i and sqrt(p_j) e_j. They may differ by a hundred orders of magnitude, so that P itself is not formed, and
large rows come first: after small ones, as with large penalties, the QR decomposition would drown these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

__all__ = ["Rest", "at_rest"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
#: Smaller steps, relative to the largest response, end the iteration.
_LAST_STEP = 1e-14
#: Below this, a step that has not become smaller by a factor 2 is rounding.
_ROUNDING_STEP = 1e-6
#: Decrements below this part of F are lost in its rounding: such a step is taken in full.
_SEARCHED = 1e-10
_HALVINGS = 60
#: Errors by rounding, relative to the responses, from which on there is no answer.
_UNCERTAIN = 1e-6
_WHY = "the samples are barely separable, or in part, and the penalties too small to decide; larger ones will do"


class Rest(NamedTuple):
    """Responses (..., r), margins and alpha (..., n) at rest, bounds of their rounding errors, and P^-1 (..., r, r)."""

    response: Array
    margin: Array
    dual: Array
    response_error: Array
    margin_error: Array
    inverse: Array


def at_rest(presence: Array, penalty: Array) -> Rest:
    """Return the fixed points of problems with matrices U (..., n, r) and positive penalties p (..., r).

    Raises
    ------
    ArithmeticError
        Where rounding decides: some combinations of features separate the samples and others do not, while the
        penalties are almost nothing.
    """
    shape = np.broadcast_shapes(presence.shape[:-2], penalty.shape[:-1])
    n, r = presence.shape[-2:]
    u = np.broadcast_to(presence, (*shape, n, r)).reshape(-1, n, r)
    p = np.broadcast_to(penalty, (*shape, r)).reshape(-1, r)
    found = _measured(u, p, _iterate(u, p))
    scale = np.abs(found.response).max(axis=-1) + 1.0 / (1.0 + p.min(axis=-1))
    uncertain = found.response_error.max(axis=-1) / scale
    if not (uncertain <= _UNCERTAIN).all():
        raise ArithmeticError(f"rounding leaves responses at rest uncertain by {np.max(uncertain):.1g}: {_WHY}")
    return Rest(*(part.reshape((*shape, *part.shape[1:])) for part in found))


def _iterate(u: Array, p: Array) -> Array:
    """Return the responses, up to rounding."""
    count, r = p.shape
    z, before = np.zeros((count, r)), np.full(count, np.inf)
    active = np.arange(count)
    # each step gains about 1 in the margins, which end near log(1/p)
    most = 100 + 2 * int(np.log1p(1.0 / p.min()))
    for _ in range(most):
        if not active.size:
            return z
        matrix, weights, at = u[active], p[active], z[active]
        direction, decrement = _direction(matrix, weights, at)
        length = _length(matrix, weights, at, direction, decrement)
        z[active] = at + length[:, None] * direction
        size, scale = np.abs(direction).max(axis=1), np.abs(z[active]).max(axis=1)
        stuck = (size <= _ROUNDING_STEP * scale) & (size > 0.5 * before[active])
        before[active] = size
        active = active[~((size <= _LAST_STEP * scale) | stuck)]
    raise ArithmeticError(f"Newton's method did not settle in {most} steps: {_WHY}")


def _factor(u: Array, p: Array, z: Array) -> Array:
    """Return R (..., r + 1, r + 1) of the rows and, as last column, the right-hand side of the Newton step."""
    margin = _times(u, z)
    root = np.sqrt(expit(margin) * expit(-margin))
    weights = np.sqrt(p)
    samples = np.concatenate([root[..., None] * u, np.exp(-0.5 * margin)[..., None]], axis=-1)
    features = np.concatenate([weights[..., None] * np.eye(p.shape[-1]), -(weights * z)[..., None]], axis=-1)
    rows = np.concatenate([samples, features], axis=-2)
    order = np.argsort(-np.abs(rows[..., :-1]).max(axis=-1), axis=-1)
    return np.asarray(np.linalg.qr(np.take_along_axis(rows, order[..., None], axis=-2), mode="r"))


def _direction(u: Array, p: Array, z: Array) -> tuple[Array, Array]:
    """Return the Newton step and its decrement -g.d."""
    factor = _factor(u, p, z)
    right = factor[..., :-1, -1:]
    direction = np.linalg.solve(factor[..., :-1, :-1], right)[..., 0]
    return np.asarray(direction, dtype=np.float64), (right[..., 0] ** 2).sum(axis=-1)


def _length(u: Array, p: Array, z: Array, direction: Array, decrement: Array) -> Array:
    """Return how much of each step is taken: halved until F falls enough, where F can tell."""
    length = np.ones(z.shape[0])
    before = _value(u, p, z)
    open_ = np.flatnonzero(decrement > _SEARCHED * before)
    for _ in range(_HALVINGS):
        trial = z[open_] + length[open_, None] * direction[open_]
        falls = _value(u[open_], p[open_], trial) <= before[open_] - 1e-4 * length[open_] * decrement[open_]
        open_ = open_[~falls]
        if not open_.size:
            break
        length[open_] *= 0.5
    return length


def _value(u: Array, p: Array, z: Array) -> Array:
    margin = _times(u, z)
    return np.asarray(np.logaddexp(0.0, -margin).sum(axis=-1) + 0.5 * (p * z * z).sum(axis=-1))


def _measured(u: Array, p: Array, z: Array) -> Rest:
    """Return what belongs to the responses, after a last step with P^-1, and bounds of the errors.

    Rounding in p z - U^T alpha, of which that in u = U z is a part, moves z by P^-1 times as much. The last step is
    there for the weakest features: in the least-squares problem they suffer from the rounding of the others.
    """
    inverse = _inverse(u, p, z)
    last = _times(inverse, _times(np.swapaxes(u, -1, -2), expit(-_times(u, z))) - p * z)
    z = z + last
    margin, size = _times(u, z), np.abs(u)
    dual, products = expit(-margin), _times(size, np.abs(z))
    moved = dual * (1.0 + expit(margin) * products)
    residual = 4.0 * _EPS * (_times(np.swapaxes(size, -1, -2), moved) + p * np.abs(z))
    error = _times(np.abs(inverse), residual) + np.abs(last)
    return Rest(z, margin, dual, error, _times(size, error) + 4.0 * _EPS * products, inverse)


def _times(matrix: Array, vector: Array) -> Array:
    """Return the product of each matrix with its vector."""
    return np.asarray((matrix @ vector[..., None])[..., 0])


def _inverse(u: Array, p: Array, z: Array) -> Array:
    """Return P^-1; for small margins from D = 1/4 - t^2, for what couples features is the small t^2, not 1/4."""
    root = np.linalg.inv(_factor(u, p, z)[..., :-1, :-1])
    general = root @ np.swapaxes(root, -1, -2)
    margin = _times(u, z)
    small = np.abs(margin).max(axis=-1) < 1.0
    if small.any():
        t = 0.5 * np.tanh(0.5 * margin[small])
        m = np.swapaxes(u[small], -1, -2) @ (t[..., None] ** 2 * u[small])
        general[small] = np.linalg.inv((p[small] + 0.25)[..., None] * np.eye(p.shape[-1]) - m)
    return np.asarray(general)
