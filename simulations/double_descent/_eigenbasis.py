"""One run through the singular value decomposition of its inputs: every filter and any time at once.

With X = U diag(S) V^T (k = min(n, d) singular values, L = S^2) training from w = 0 gives w = V f(L) S U^T y and the
residual X w - y = -(U h(L) U^T y + the part of y outside U). The decomposition is of X, not of X^T X, whose small
eigenvalues would lose twice as many digits; and only the k nonzero modes take part, so that no filter is ever asked
for its value at L = 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Amplitudes", "Curves", "Eigenbasis", "averaged", "averaged_amplitudes", "decompose", "measure", "sampled",
           "sampled_amplitudes"]  # fmt: skip

Array = NDArray[np.float64]


class Curves(NamedTuple):
    """R, Q, E_G and E_T at each time (or penalty), for one teacher."""

    alignment: Array
    norm: Array
    generalization_error: Array
    training_error: Array


class Eigenbasis(NamedTuple):
    """SVD of the inputs: ``left`` U (n, k), ``singular`` S (k,), ``right`` V^T (d, d), and F = diag(``scale``) (d,)."""

    left: Array
    singular: Array
    right: Array
    scale: Array

    @property
    def eigenvalues(self) -> Array:
        """The k nonzero eigenvalues L of X^T X, largest first."""
        return self.singular**2


class Amplitudes(NamedTuple):
    """What there is to fit: squared labels in each mode (k,), and the sum of squares that no weights can fit."""

    modes: Array
    rest: float

    def residual(self, h: Array) -> Array:
        """|X w - y|^2 for residual filters h (..., k)."""
        return h**2 @ self.modes + self.rest


def decompose(inputs: Array, scale: Array) -> Eigenbasis:
    """Decompose the inputs X = Z diag(scale)."""
    n, d = inputs.shape
    left, singular, right = np.linalg.svd(inputs, full_matrices=n < d)  # either way U is (n, k) and V^T is (d, d)
    return Eigenbasis(left, singular, right, scale)


def measure(outputs: Array, teacher: Array, fresh: Array | None) -> tuple[Array, Array, Array]:
    """Return R = W.Fw/d, Q = |Fw|^2/d and E_G for ``outputs`` Fw (times, d) and one teacher W (d,).

    E_G is |W - Fw|^2/(2d), the mean over all inputs of (z.W - z.Fw)^2/2; with ``fresh`` inputs z (count, d) their mean.
    """
    d = teacher.size
    wrong = teacher - outputs
    error = (wrong**2).sum(axis=1) / d if fresh is None else ((fresh @ wrong.T) ** 2).mean(axis=0)
    return (outputs * teacher).sum(axis=1) / d, (outputs**2).sum(axis=1) / d, error / 2.0


def sampled_amplitudes(basis: Eigenbasis, labels: Array) -> tuple[Array, Amplitudes]:
    """Return the labels' signed amplitudes U^T y and their squares."""
    n, k = basis.left.shape
    amplitude = basis.left.T @ labels
    outside = labels - basis.left @ amplitude if n > k else np.zeros(n)
    return amplitude, Amplitudes(amplitude**2, float(outside @ outside))


def sampled(
    basis: Eigenbasis, amplitude: Array, squares: Amplitudes, teacher: Array, fresh: Array | None, f: Array, h: Array
) -> Curves:
    """Return the curves of one teacher for filters f and h (times, k)."""
    n, k = basis.left.shape
    weights = (f * (basis.singular * amplitude)) @ basis.right[:k]
    return Curves(*measure(weights * basis.scale, teacher, fresh), squares.residual(h) / (2.0 * n))


def averaged_amplitudes(basis: Eigenbasis, power: Array, noise: float) -> Amplitudes:
    """Return the mean squares of the labels over W_i ~ N(0, c_i) and label noise, given the inputs."""
    n, k = basis.left.shape
    aligned = (basis.right[:k] ** 2) @ (power / basis.scale**2)
    return Amplitudes(basis.eigenvalues * aligned + noise**2, noise**2 * (n - k))


def averaged(basis: Eigenbasis, squares: Amplitudes, power: Array, noise: float, f: Array, h: Array) -> Curves:
    """Return the curves averaged over W_i ~ N(0, c_i) and label noise, given the inputs, for filters (times, k).

    The student is F w = A W + B eps with A = F V (L f) V^T F^-1 and B = F V f S U^T, so that with C = diag(c)

        R = tr(A C)/d,    Q = [tr(A C A^T) + sigma^2 tr(B B^T)]/d,
        2 E_G = [tr((1 - A) C (1 - A)^T) + sigma^2 tr(B B^T)]/d.

    Each trace is a quadratic form in the filters with the kernel (V^T F^2 V) o (V^T F^-1 C F^-1 V).
    """
    (n, k), d = basis.left.shape, basis.scale.size
    students, targets = basis.right * basis.scale, basis.right * (np.sqrt(power) / basis.scale)
    kernel = (students @ students.T) * (targets @ targets.T)
    learned = basis.eigenvalues * f
    missing = np.ones((f.shape[0], d))  # h = 1 in the null space of X
    missing[:, :k] = h
    from_noise = noise**2 * ((f * basis.singular) ** 2 @ (students[:k] ** 2).sum(axis=1))
    return Curves(
        learned @ (basis.right[:k] ** 2 @ power) / d,
        (((learned @ kernel[:k, :k]) * learned).sum(axis=1) + from_noise) / d,
        (((missing @ kernel) * missing).sum(axis=1) + from_noise) / (2.0 * d),
        squares.residual(h) / (2.0 * n),
    )
