"""Exact curves for given data, averaged in closed form over teacher and label noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import Problem
from dynamics.errors import ParameterError
from dynamics.filters import spectral_filters
from dynamics.schedules import values_at
from dynamics.threads import single_threaded

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["finite"]

Array = NDArray[Any]


def finite(
    problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, data: xr.Dataset | None
) -> dict[str, Array]:
    """Return R, Q, E_G and E_T of shape (runs, times) for the inputs X of ``data``, through the SVD of X.

    With M = V L V^T, Theta = diag(c/s2) and h = 1 - L f,

        R = (1/d) sum_i L_i f_i (V^T diag(c) V)_ii
        2 E_G = (1/d) sum_ij h_i h_j (V^T Theta V)_ij (V^T S2 V)_ij + (sigma^2/d) sum_i f_i^2 L_i (V^T S2 V)_ii
        E_T = (1/2n) [sum_i L_i h_i^2 (V^T Theta V)_ii + sigma^2 (sum_i h_i^2 + n - d)]

    (arXiv 2112.03215, eqs. 9-10, extended to any teacher power, to E_T and to n < d). ``learning_rate=None`` is each
    sample's own 1/(largest eigenvalue + l2). ``<name>_error`` bounds the rounding: d eps times the ratio of the largest
    to the smallest singular value that is not zero, relative to the curve at t = 0.
    """
    if data is None or "inputs" not in data:
        raise ParameterError(
            "data must be given for method 'finite', with the variable inputs; simulations.double_descent.sample makes "
            "it"
        )
    inputs = np.asarray(data["inputs"], dtype=np.float64)
    expected = (problem.samples, problem.dimension)
    if inputs.ndim != 3 or inputs.shape[1:] != expected:
        raise ParameterError(f"data.inputs must have shape (runs, {expected[0]}, {expected[1]}); got {inputs.shape}")
    if not np.isfinite(inputs).all():
        raise ParameterError("data.inputs must be finite")
    with single_threaded():
        runs = [_one(problem, algorithm, times, x) for x in inputs]
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def _one(problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, inputs: Array) -> dict[str, Array]:
    n, d = inputs.shape
    s2, power = (np.repeat(values, problem.directions()) for values in (problem.blocks.variance, problem.blocks.power))
    if algorithm.rates is not None:
        rates = np.repeat(np.asarray(algorithm.rates), problem.directions())
        inputs, s2 = inputs * np.sqrt(rates), s2 * rates
    _, singular, v = np.linalg.svd(inputs)
    eigenvalues = np.zeros(d)
    eigenvalues[: singular.size] = singular**2
    step: Any = None
    if isinstance(algorithm, GradientDescent):
        step = algorithm.learning_rate
        if step is None:
            step = 1.0 / (eigenvalues[0] + float(values_at(algorithm.l2, np.zeros(1, dtype=np.int64))[0]))
    f, h = spectral_filters(algorithm, eigenvalues, times, step)
    features, target = (v * s2) @ v.T, (v * (power / s2)) @ v.T
    sigma2 = problem.noise**2
    alignment = (eigenvalues * f) @ (v**2 @ power) / d
    twice = (((h @ (features * target)) * h).sum(axis=1) + sigma2 * (f**2 * eigenvalues) @ np.diag(features)) / d
    left = (h**2 * eigenvalues) @ np.diag(target) + sigma2 * ((h**2).sum(axis=1) + n - d)
    mean_power = problem.blocks.mean_power
    curves = {
        "alignment": alignment,
        "norm": twice - mean_power + 2.0 * alignment,
        "generalization_error": twice / 2.0,
        "training_error": left / (2.0 * n),
    }
    rounding = d * np.finfo(float).eps * singular[0] / singular[-1] * (mean_power + sigma2)
    return curves | {f"{name}_error": np.full(times.size, rounding) for name in curves}
