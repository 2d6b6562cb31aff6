"""Exact curves for given data, averaged in closed form over teacher and label noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import Problem, check_conditioning, trained_blocks
from dynamics.errors import ParameterError
from dynamics.filters import spectral_filters
from dynamics.results import rebuild
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
    to the smallest singular value that is not zero, relative to the larger of the curve and the labels' variance.
    """
    trained_blocks(problem, algorithm)  # refuses rates that do not fit
    check_conditioning(problem)
    inputs = _inputs(problem, data)
    with single_threaded():
        runs = [_one(problem, algorithm, times, x) for x in inputs]
    return {name: np.stack([run[name] for run in runs]) for name in runs[0]}


def _inputs(problem: Problem, data: object) -> Array:
    """Return the inputs (run, sample, direction) of the data, or say what is wrong with them."""
    import xarray as xr

    if not isinstance(data, xr.Dataset) or "inputs" not in data:
        raise ParameterError(
            "data must be given for method 'finite': a Dataset with the variable inputs, as "
            f"simulations.double_descent.sample makes it; got {type(data).__name__}"
        )
    found, dims = data["inputs"], ("run", "sample", "direction")
    sizes = (found.sizes.get("run", 0), problem.samples, problem.dimension)
    if found.dims != dims or found.shape != sizes or sizes[0] == 0:
        raise ParameterError(
            f"data.inputs must have the dimensions {dims} with at least one run, {sizes[1]} samples and {sizes[2]} "
            f"directions; got {dict(found.sizes)}"
        )
    if found.dtype.kind not in "iuf" or not np.isfinite(found.values).all() or not found.any(dims[1:]).all():
        raise ParameterError("data.inputs must be finite numbers, not all 0 in any run")
    if "problem" in data.attrs:
        other = rebuild(data.attrs["problem"])
        if not isinstance(other, Problem) or not np.array_equal(_per_direction(other)[0], _per_direction(problem)[0]):
            raise ParameterError(f"data must be drawn for the variances of {problem!r}; they were drawn for {other!r}")
    return np.asarray(found.values, dtype=np.float64)


def _per_direction(problem: Problem) -> tuple[Array, Array]:
    """Return variance and teacher power of each direction, each (d,)."""
    counts = problem.directions()
    return np.repeat(problem.blocks.variance, counts), np.repeat(problem.blocks.power, counts)


def _one(problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, inputs: Array) -> dict[str, Array]:
    n, d = inputs.shape
    s2, power = _per_direction(problem)
    if algorithm.rates is not None:
        rates = np.repeat(np.asarray(algorithm.rates), problem.directions())
        inputs, s2 = inputs * np.sqrt(rates), s2 * rates
    _, singular, v = np.linalg.svd(inputs)
    eigenvalues = np.zeros(d)
    eigenvalues[: singular.size] = singular**2
    step: Any = None
    if isinstance(algorithm, GradientDescent):
        step = algorithm.step_size(float(eigenvalues[0]))
        if broken := algorithm.broken_bound(step, float(eigenvalues[0]), int(times[-1])):
            raise ParameterError(f"{broken}. Lower it, or simulate with on_divergence='mark'")
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
    rounding = d * np.finfo(float).eps * singular[0] / singular[-1]
    errors = {f"{name}_error": rounding * np.maximum(np.abs(curves[name]), mean_power + sigma2) for name in curves}
    return curves | errors
