"""``observe``: networks in training on two moons, their responses and their outputs over the plane."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.classifiers import Sample, Statistics, plane
from dynamics.errors import ParameterError, known
from dynamics.gradient_starvation import VARIABLES, TwoMoons, check_pair
from dynamics.memory import check_memory
from dynamics.networks import check_features, tangent_features, tangent_modes, turn
from dynamics.parameters import check_whole
from dynamics.results import answer
from dynamics.times import check_times
from simulations._assemble import Run, assemble
from simulations._ensemble import check_runs, check_workers, raise_if_set, run_all
from simulations.gradient_starvation._moons import draw_sample, initial_network
from simulations.gradient_starvation._network import PRECISIONS, Network, check_training, train

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["observe"]

Array = NDArray[Any]


class _Seen(NamedTuple):
    """One run: its curves, responses (T, features) at the times before divergence, outputs at the points."""

    run: Run
    responses: Array
    outputs: Array


def observe(
    problem: TwoMoons,
    algorithm: MomentumDescent | Adam,
    times: ArrayLike,
    *,
    runs: int,
    seed: int = 0,
    first_run: int = 0,
    workers: int | None = None,
    features: int = 8,
    pixels: int = 0,
    precision: str = "single",
) -> xr.Dataset:
    r"""Train networks as ``simulate`` does, bit for bit, and return what can be seen of them besides.

    Parameters
    ----------
    problem : TwoMoons
        Data and initial weights are drawn anew in every run.
    algorithm : MomentumDescent or Adam
        On the mean loss.
    times : array
        Numbers of completed epochs, whole, increasing, not negative.
    runs, first_run, seed, workers
        As for ``simulate``.
    features : int
        How many responses to keep, those of the strongest features of the tangent kernel at the start (one hidden layer
        only); there are as many as samples.
    pixels : int
        Outputs on so many by so many points of [-2, 2]^2, before the rotation, after the last epoch; none for 0.
    precision : str
        ``"single"`` or ``"double"``.

    Returns
    -------
    Dataset
        The statistics of ``simulate`` (run, time); with one hidden layer ``response`` z = U^T Y f (run, feature, time);
        with pixels ``output`` f (run, second_coordinate, first_coordinate). Diverged runs hold nan.

    Raises
    ------
    ParameterError
        For input that is not allowed, a pair without meaning, or arrays beyond the memory budget.
    Interrupted
        On Ctrl-C; ``partial`` has the statistics of all runs that were finished.

    Examples
    --------
    >>> seen = observe(TwoMoons(hidden_units=50), MomentumDescent(), [0, 100], runs=2, features=3, pixels=5)
    >>> seen["response"].shape, seen["output"].shape
    ((2, 3, 2), (2, 5, 5))
    """
    check_pair(problem, algorithm)
    if not isinstance(problem, TwoMoons):
        raise ParameterError(f"problem must be TwoMoons to be observed; got {type(problem).__name__}")
    when = check_times(times, algorithm).astype(np.int64)
    known("precision", precision, PRECISIONS)
    numbers, threads = check_runs(runs, first_run), check_workers(workers)
    seed, pixels = check_whole("seed", seed, at_least=0), check_whole("pixels", pixels, at_least=0)
    features = check_features(features, problem.samples, problem.hidden_units)
    check_training(problem, algorithm, min(threads, len(numbers)))
    check_memory(
        4 * len(numbers) * ((len(Statistics._fields) + features) * when.size + pixels**2),
        "runs, features, pixels or the number of times must be smaller",
    )
    axis, points = plane(pixels)

    def one(run: int, stop: threading.Event) -> _Seen:
        return _seen(problem, algorithm, when, seed, run, partial(raise_if_set, stop), precision, features, points)

    results, interrupted = run_all(one, numbers, workers=threads, progress=False, label="observe")
    made = assemble(
        problem, algorithm, [None if seen is None else seen.run for seen in results], Statistics._fields, (),
        ("time", when), numbers, symbols=VARIABLES, method="literal", seed=seed, precision=precision,
        interrupted=interrupted,
    )  # fmt: skip
    # an interrupted ensemble has left with an exception: every run is there
    seen = [one for one in results if one is not None]
    variables: dict[str, Any] = {}
    if problem.hidden_layers == 1:
        responses = np.full((len(numbers), features, when.size), np.nan)
        for place, one_run in enumerate(seen):
            responses[place, :, : one_run.responses.shape[0]] = one_run.responses.T
        variables["response"] = (("run", "feature", "time"), responses)
    if pixels:
        variables["output"] = (
            ("run", "second_coordinate", "first_coordinate"),
            np.stack([one_run.outputs.reshape(pixels, pixels) for one_run in seen]),
        )  # fmt: skip
    coordinates: dict[str, Any] = {"feature": np.arange(1, features + 1)} if "response" in variables else {}
    if pixels:
        coordinates |= {"first_coordinate": axis, "second_coordinate": axis}
    more = answer(
        problem, algorithm, variables, coordinates, kind="simulation", method="literal", seed=seed, names=VARIABLES
    )
    return made.assign_coords(more.coords).assign(more.data_vars)


def _seen(
    problem: TwoMoons, algorithm: MomentumDescent | Adam, times: NDArray[np.int64], seed: int, run: int,
    checkpoint: Callable[[], None], precision: str, features: int, points: Array,
) -> _Seen:  # fmt: skip
    """Train one run and look at it."""
    watch: Callable[[Network, Sample], Any] = _nothing
    if problem.hidden_layers == 1:
        sample = draw_sample(problem, seed, run)
        start = tangent_features(initial_network(problem, seed, run), sample.inputs @ turn(problem.rotation).T)
        _, presence = tangent_modes(start, sample.labels)
        watch = partial(_responses, presence=presence[:, :features])
    trained = train(problem, algorithm, times, seed, run, checkpoint, precision, watch)
    responses = np.array(trained.watched) if problem.hidden_layers == 1 else np.empty((0, 0))
    outputs = np.full(len(points), np.nan)
    if trained.diverged_at < 0 and len(points):
        outputs = trained.network.values(points)
    path = [tuple(trained.curves.values())]
    return _Seen(Run(path, trained.diverged_at, {}, ""), responses.reshape(-1, features), outputs)


def _nothing(network: Network, sample: Sample) -> None:
    """Look at nothing."""


def _responses(network: Network, sample: Sample, presence: Array) -> Array:
    return np.asarray((sample.labels * network.values(sample.inputs)) @ presence)
