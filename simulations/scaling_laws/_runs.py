"""One run of stochastic momentum: literally on streams of samples, or mode by mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.algorithms import Rule
from dynamics.scaling_laws import PowerLawRandomFeatures, Problem
from dynamics.stability import Curvature
from simulations._normals import key_of
from simulations._streams import Source, stream
from simulations.scaling_laws._kernels import diagonal_steps, literal_steps
from simulations.scaling_laws._sample import features, modes, target

__all__ = ["DIVERGED", "Path", "Steps", "diagonal", "literal", "pieces"]

#: A run has diverged when its risk is more than this many times the risk at theta = 0.
DIVERGED = 1e10
#: Numbers drawn, or multiplications made, between looks at the request to stop.
_LOOK = 10**7
#: Most steps whose samples are drawn together.
_BLOCK = 64

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


class Path(NamedTuple):
    r"""P and \|y\|^2 at the times before divergence, the step at which that was seen (or -1), and then the modes."""

    risk: Array
    momentum_norm: Array
    diverged_at: int = -1
    modes: Curvature | None = None


def pieces(times: Steps, most: int, checkpoint: Callable[[], None]) -> Iterator[tuple[int, Steps]]:
    """Yield for each time, in pieces of at most ``most`` steps, its index and the steps to take; none for time 0."""
    done = 0
    for index, time in enumerate(times.tolist()):
        while True:
            checkpoint()
            end = min(time, done + most)
            yield index, np.arange(done, end)
            done = end
            if done == time:
                break


def diagonal(
    problem: Problem, rule: Rule, batch_size: int, times: Steps, seed: int, run: int,
    checkpoint: Callable[[], None],
) -> Path:  # fmt: skip
    """Train mode by mode: exact in law, at a cost of d random numbers a step for any batch size."""
    found = modes(problem, seed, run)
    count = found.error.size
    curvature, q, y = np.zeros((3, count + count % 2))  # modes come in pairs; a mode without curvature never moves
    curvature[:count], q[:count] = found.eigenvalues, np.sqrt(found.eigenvalues) * found.error
    variance = found.floor + problem.noise**2
    limit = DIVERGED * (float(q @ q) + found.floor) + problem.noise**2
    rng = stream(seed, run, Source.PATH)
    keys = key_of(rng)
    kept = np.empty((2, times.size))
    for index, steps in pieces(times, max(1, _LOOK // count), checkpoint):
        squares = rng.chisquare(batch_size, steps.size)
        first = int(steps[0]) if steps.size else 0
        at = diagonal_steps(
            keys, first, squares, curvature, q, y, variance, float(batch_size), limit,
            rule.risk_exponent, *rule.at(steps),
        )  # fmt: skip
        if at >= 0:
            return Path(kept[0, :index], kept[1, :index], first + at, _each_once(found.eigenvalues))
        kept[:, index] = found.floor + float(q @ q), float((y[:count] ** 2 / found.eigenvalues).sum())
    return Path(kept[0], kept[1])


def literal(
    problem: PowerLawRandomFeatures, rule: Rule, batch_size: int, times: Steps, seed: int, run: int,
    checkpoint: Callable[[], None],
) -> Path:  # fmt: skip
    """Train on fresh inputs x, features W^T x and labels <x, b> + noise; divergence is looked for now and then only."""
    matrix, wanted = features(problem, seed, run), target(problem)
    block = max(1, min(_BLOCK, _LOOK // (10 * batch_size * matrix.shape[0])))
    weights, momentum = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    drawn = _samples(problem, matrix, wanted, batch_size, block, seed, run)
    kept = np.empty((2, times.size))
    done, last = 0, int(times[-1])
    _keep(kept, times == 0, matrix, wanted, weights, momentum)
    while done < last:
        checkpoint()
        inputs, labels = next(drawn)
        # all times within the block are stops
        for stop in np.unique(np.append(times[(times > done) & (times <= done + block)], done + block)).tolist():
            rows = slice(done % block * batch_size, ((stop - 1) % block + 1) * batch_size)
            at = rule.at(np.arange(done, stop))
            literal_steps(
                inputs[rows], labels[rows], weights, momentum, batch_size, matrix, wanted, problem.noise,
                rule.risk_exponent, *at,
            )  # fmt: skip
            done = stop
            if not _keep(kept, times == done, matrix, wanted, weights, momentum):
                before = int(np.searchsorted(times, done))
                own = np.asarray(np.linalg.svd(matrix, compute_uv=False) ** 2, dtype=np.float64)
                return Path(kept[0, :before], kept[1, :before], done, _each_once(own))
    return Path(kept[0], kept[1])


def _samples(
    problem: PowerLawRandomFeatures, matrix: Array, wanted: Array, batch_size: int, block: int, seed: int, run: int
) -> Iterator[tuple[Array, Array]]:
    """Yield features and labels of a block of steps; blocks are the same whatever times are asked for."""
    path, noise = stream(seed, run, Source.PATH), stream(seed, run, Source.LABEL_NOISE)
    while True:
        inputs = path.standard_normal((block * batch_size, matrix.shape[0]))
        yield inputs @ matrix, inputs @ wanted + problem.noise * noise.standard_normal(block * batch_size)


def _keep(
    kept: Array, places: NDArray[np.bool_], matrix: Array, wanted: Array, weights: Array, momentum: Array
) -> bool:
    """Keep P and |y|^2 at these places, if any, and say whether the run goes on."""
    with np.errstate(over="ignore", invalid="ignore"):  # of a run that diverges
        risk = ((matrix @ weights - wanted) ** 2).sum()
        kept[:, places] = np.array([[risk], [momentum @ momentum]])
        return bool(risk <= DIVERGED * (wanted @ wanted))


def _each_once(eigenvalues: Array) -> Curvature:
    return Curvature(eigenvalues, np.ones_like(eigenvalues), eigenvalues.size)
