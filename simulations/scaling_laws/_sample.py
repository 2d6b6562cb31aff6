"""Random features: one matrix W in each run, reduced to the modes in which training happens."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from dynamics.errors import ParameterError
from dynamics.memory import check_memory
from dynamics.parameters import check_whole
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, PowerLawSpectrum, Problem, Spectrum
from simulations._ensemble import check_runs, check_workers, run_all
from simulations._streams import Source, stream

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Modes", "check_features", "features", "modes", "sample"]

Array = NDArray[np.float64]


class Modes(NamedTuple):
    """Eigenvalues l of K, errors w = -Q^T theta* at step 0, and P_inf; what training needs to know of W."""

    eigenvalues: Array
    error: Array
    floor: float


def features(problem: PowerLawRandomFeatures, seed: int, run: int) -> Array:
    """Draw D^(1/2) W, shape (v, d)."""
    d, v = problem.dimension, problem.ambient
    drawn: Array = stream(seed, run, Source.FEATURES).standard_normal((v, d))
    drawn *= (np.arange(1, v + 1, dtype=np.float64) ** -problem.alpha / math.sqrt(d))[:, None]
    return drawn


def target(problem: PowerLawRandomFeatures) -> Array:
    """Return D^(1/2) b, shape (v,)."""
    return np.arange(1, problem.ambient + 1, dtype=np.float64) ** -(problem.alpha + problem.beta)


def modes(problem: Problem, seed: int, run: int) -> Modes:
    """Return the modes of one run; a given spectrum has the same in every run.

    With D^(1/2) W = U S V^T: l = S^2, theta* = V S^(-1) U^T D^(1/2) b, and P_inf is what of D^(1/2) b lies outside U.
    The decomposition is of D^(1/2) W, not of K, whose small eigenvalues would lose twice as many digits.
    """
    if isinstance(problem, Spectrum):
        error = -np.sqrt(np.array(problem.initial_error, dtype=np.float64))
        return Modes(np.array(problem.eigenvalues, dtype=np.float64), error, problem.floor)
    if isinstance(problem, PowerLawSpectrum):
        j = np.arange(1, problem.dimension + 1, dtype=np.float64)
        return Modes(j ** (-2.0 * problem.alpha), -(j**-problem.beta), problem.floor)
    assert isinstance(problem, PowerLawRandomFeatures)
    left, singular, _ = np.linalg.svd(features(problem, seed, run), full_matrices=False)
    wanted = target(problem)
    inside = left.T @ wanted
    outside = wanted - left @ inside
    return Modes(singular**2, -inside / singular, float(outside @ outside))


def check_features(problem: Problem, at_once: int) -> None:
    """Refuse matrices W beyond the memory budget before they are drawn, ``at_once`` of them."""
    if isinstance(problem, PowerLawRandomFeatures):
        numbers = at_once * 4 * problem.dimension * (problem.ambient + problem.dimension)
        check_memory(numbers, "dimension, ambient_dimension or workers must be smaller, or method='grouped'")
    if isinstance(problem, PowerLawSpectrum):
        check_memory(at_once * 8 * problem.dimension, "dimension must be smaller, or method='grouped'")


@overload
def sample(problem: PowerLawRandomFeatures, *, seed: int = 0, first_run: int = 0) -> Spectrum: ...
@overload
def sample(
    problem: PowerLawRandomFeatures, *, runs: int, seed: int = 0, first_run: int = 0, workers: int | None = None
) -> xr.Dataset: ...
def sample(
    problem: PowerLawRandomFeatures,
    *,
    runs: int | None = None,
    seed: int = 0,
    first_run: int = 0,
    workers: int | None = None,
) -> Spectrum | xr.Dataset:
    """Return the random features that ``simulate`` trains with the same seed, bit for bit, as modes.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        A matrix W (v, d) is drawn in each run.
    runs : int, optional
        Number of matrices; none means one, as a problem of its own.
    seed : int
        Each run has an independent stream of this seed.
    first_run : int
        Number of the first run.
    workers : int, optional
        Threads; none means one per processor. The bits do not depend on it.

    Returns
    -------
    Spectrum or Dataset
        Without ``runs`` a Spectrum. With them ``eigenvalues`` of K (run, mode), largest first, ``initial_error``
        (run, mode), the squared components of theta* along them, and ``floor`` P_inf (run).

    Raises
    ------
    ParameterError
        For input that is not allowed, or matrices beyond the memory budget.

    Examples
    --------
    >>> one = sample(PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10))
    >>> len(one.eigenvalues), dict(sample(PowerLawRandomFeatures(dimension=10), runs=3).sizes)
    (10, {'run': 3, 'mode': 10})
    """
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError(f"problem must be PowerLawRandomFeatures to be sampled; got {type(problem).__name__}")
    numbers = check_runs(1 if runs is None else runs, first_run)
    seed, threads = check_whole("seed", seed, at_least=0), check_workers(workers)
    check_features(problem, min(threads, len(numbers)))
    check_memory(4 * len(numbers) * problem.dimension, "runs or dimension must be smaller")

    def one(run: int, stop: threading.Event) -> Modes:
        return modes(problem, seed, run)

    drawn, interrupted = run_all(one, numbers, workers=threads, progress=False, label="sample")
    if interrupted:
        raise KeyboardInterrupt
    eigenvalues, error, floor = (np.array(part) for part in zip(*drawn, strict=True))
    if runs is None:
        return Spectrum(
            eigenvalues=eigenvalues[0], initial_error=error[0] ** 2, floor=float(floor[0]), noise=problem.noise
        )
    variables = {
        "eigenvalues": (("run", "mode"), eigenvalues),
        "initial_error": (("run", "mode"), error**2),
        "floor": (("run",), floor),
    }
    return answer(
        problem, None, variables, {"run": np.array(numbers)}, kind="simulation", method="sample", seed=seed,
        names=VARIABLES,
    )  # fmt: skip
