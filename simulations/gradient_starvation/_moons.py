"""Two moons: data and initial weights of each run, and what theory needs to know of them."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dynamics.classifiers import Sample
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import VARIABLES, TwoMoons
from dynamics.memory import check_memory
from dynamics.networks import TwoLayer
from dynamics.parameters import check_whole
from dynamics.results import answer
from simulations._ensemble import check_runs, check_workers
from simulations._streams import Source, stream

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SHIFTED_MARGIN", "draw_layers", "draw_moons", "draw_sample", "initial_network", "sample"]

Array = NDArray[np.float64]

#: Margin and number of the data on which the first coordinate is no guide.
SHIFTED_MARGIN = -0.5
_SHIFTED = 4000
_ROWS = ("first weight", "second weight", "bias", "output weight")


def draw_moons(samples: int, margin: float, noise: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw inputs (a, h) (samples, 2) and labels (samples,); the first half has label -1.

    With (p, q) a noisy point of the arc of its class, h = p - 1/2, v = q - 0.3 y less its mean, a = -y (|v| + margin).
    """
    half = samples // 2
    t = np.linspace(0.0, math.pi, half)
    y = np.repeat([-1.0, 1.0], half)
    points = np.concatenate(
        [np.stack([np.cos(t), np.sin(t)], axis=1), np.stack([1.0 - np.cos(t), 0.5 - np.sin(t)], axis=1)]
    )
    points += noise * rng.standard_normal(points.shape)
    v = points[:, 1] - 0.3 * y
    v -= v.mean()
    return np.stack([-y * (np.abs(v) + margin), points[:, 0] - 0.5], axis=1), y


def draw_sample(problem: TwoMoons, seed: int, run: int) -> Sample:
    """Draw the training data of a run, and fresh ones of margin -1/2; not rotated."""
    inputs, labels = draw_moons(problem.samples, problem.margin, problem.noise, stream(seed, run, Source.INPUTS))
    fresh = stream(seed, run, Source.TEST_INPUTS)
    return Sample(inputs, labels, *draw_moons(_SHIFTED, SHIFTED_MARGIN, problem.noise, fresh))


def draw_layers(problem: TwoMoons, seed: int, run: int) -> list[tuple[Array, Array]]:
    """Draw weights (outputs, inputs) and biases of each layer, uniform in +-1/sqrt(inputs), input to output."""
    rng = stream(seed, run, Source.FEATURES)
    sizes = [2, *[problem.hidden_units] * problem.hidden_layers, 1]
    layers = []
    for before, after in pairwise(sizes):
        drawn = rng.uniform(-1.0, 1.0, (after, before + 1)) / math.sqrt(before)
        layers.append((drawn[:, :before], drawn[:, before]))
    return layers


def initial_network(problem: TwoMoons, seed: int, run: int) -> TwoLayer:
    """Draw the network of one hidden layer that training starts from."""
    (weights, biases), (out, bias) = draw_layers(problem, seed, run)
    return TwoLayer(np.vstack([weights.T, biases, out]), float(bias[0]))


def sample(
    problem: TwoMoons, *, runs: int, seed: int = 0, first_run: int = 0, workers: int | None = None
) -> xr.Dataset:
    """Return the data and the initial weights that ``simulate`` trains with the same seed, bit for bit.

    Parameters
    ----------
    problem : TwoMoons
        With one hidden layer.
    runs, first_run : int
        The runs ``first_run`` ... ``first_run + runs - 1``; each has independent streams addressed by its number.
    seed : int
        The seed of all streams.
    workers : int, optional
        Taken as elsewhere; drawing needs but one thread.

    Returns
    -------
    Dataset
        ``inputs`` (run, sample, coordinate) before the rotation, ``labels`` (sample), ``shifted_inputs`` and
        ``shifted_labels``, 4000 fresh data with margin -1/2; ``initial_weights`` (run, row, unit), the rows being both
        weights, bias and output weight of each unit, and ``initial_bias`` (run) of the output.

    Raises
    ------
    ParameterError
        For input that is not allowed, more than one hidden layer, or arrays beyond the memory budget.

    Examples
    --------
    >>> data = sample(TwoMoons(samples=20, hidden_units=7), runs=3)
    >>> data["inputs"].shape, data["initial_weights"].shape
    ((3, 20, 2), (3, 4, 7))
    """
    if not isinstance(problem, TwoMoons):
        raise ParameterError(f"problem must be TwoMoons to be sampled; got {type(problem).__name__}")
    if problem.hidden_layers != 1:
        raise problem.refused("hidden_layers", "must be 1 for the weights to be sampled", problem.hidden_layers)
    numbers, seed = check_runs(runs, first_run), check_whole("seed", seed, at_least=0)
    check_workers(workers)
    size = 4 * (2 * (problem.samples + _SHIFTED) + 4 * problem.hidden_units)
    check_memory(len(numbers) * size, "runs, samples or hidden_units must be smaller")
    samples = [draw_sample(problem, seed, run) for run in numbers]
    networks = [initial_network(problem, seed, run) for run in numbers]
    variables = {
        "inputs": (("run", "sample", "coordinate"), np.stack([one.inputs for one in samples])),
        "labels": (("sample",), samples[0].labels),
        "shifted_inputs": (("run", "shifted_sample", "coordinate"), np.stack([one.shifted_inputs for one in samples])),
        "shifted_labels": (("shifted_sample",), samples[0].shifted_labels),
        "initial_weights": (("run", "row", "unit"), np.stack([one.units for one in networks])),
        "initial_bias": (("run",), np.array([one.bias for one in networks])),
    }
    return answer(
        problem, None, variables, {"run": np.array(numbers), "row": np.array(_ROWS)}, kind="simulation",
        method="sample", seed=seed, names=VARIABLES,
    )  # fmt: skip
