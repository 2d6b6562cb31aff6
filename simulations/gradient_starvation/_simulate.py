"""``simulate``: gradient descent of linear models in weight space, and full-batch training of networks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.algorithms import Adam, Algorithm, DualDescent, PrimalDescent
from dynamics.classifiers import Statistics
from dynamics.errors import Interrupted, ParameterError, known
from dynamics.gradient_starvation import VARIABLES, ColoredDigits, Coupled, Problem, TwoMoons, check_pair
from dynamics.memory import check_memory
from dynamics.parameters import Declared, check_whole, parameter
from dynamics.times import check_times
from simulations._assemble import Run, assemble, raise_first
from simulations._ensemble import check_runs, check_workers, raise_if_set, run_all
from simulations.gradient_starvation._digits import check_digits
from simulations.gradient_starvation._digits_training import CURVES, train_digits
from simulations.gradient_starvation._network import PRECISIONS, check_training, train
from simulations.gradient_starvation._weights import stability_bound, weights

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "Precision", "simulate"]

#: The methods of :func:`simulate`, the default first.
METHODS = ("literal",)

_TOO_LARGE = "learning_rate is too large for this network"


class Precision(Declared):
    """How numbers are held in the training of networks; the parameter of the same name of ``simulate``."""

    precision: Literal["single", "double"] = parameter(
        "single", symbol=r"\mathrm{precision}", meaning="floating-point numbers in the training of networks"
    )


class _Training(NamedTuple):
    """The names of the curves, and a run's curves by them with the step of divergence (or -1)."""

    names: tuple[str, ...]
    one: Callable[[int, Callable[[], None]], tuple[Mapping[str, Any], int]]
    broken: str


def simulate(
    problem: Problem,
    algorithm: Algorithm,
    times: ArrayLike,
    *,
    runs: int,
    seed: int = 0,
    method: str = "literal",
    precision: str = "single",
    first_run: int = 0,
    workers: int | None = None,
    on_divergence: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    r"""Train and return what was learned over (run, time).

    Parameters
    ----------
    problem : TwoSamples, CoupledFeatures, TwoMoons or ColoredDigits
        Each run draws its own inputs and labels, and for networks its own initial weights.
    algorithm : PrimalDescent or DualDescent for coupled features; MomentumDescent or Adam for networks
        ColoredDigits take Adam.
    times : array
        Numbers of completed steps (epochs), whole, increasing, not negative.
    runs, first_run : int
        The runs ``first_run`` ... ``first_run + runs - 1``. Each has independent streams addressed by its number: any
        subset, in any number of threads, gives the same bits.
    seed : int
        The seed of all streams.
    method : str
        ``"literal"``: gradients of the loss by all weights.
    precision : str
        ``"single"`` or ``"double"``, for networks; coupled features are always trained in double precision.
    workers : int, optional
        Threads; none means one per processor.
    on_divergence : str
        ``"raise"`` or ``"mark"``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset
        Coupled features: ``response`` (run, feature, time) and ``margin`` (run, sample, time), which are the same in
        all runs up to rounding. TwoMoons: the fields of :class:`dynamics.classifiers.Statistics`. ColoredDigits:
        accuracies and entropies (nats) in training and tests. And outcome ("finished", "diverged", "cancelled") and
        diverged_at (step at which that was seen, or -1).

    Raises
    ------
    ParameterError
        For input that is not allowed, a pair without meaning, arrays beyond the memory budget, or scikit-learn, which
        has the digits, missing.
    DivergenceError
        When a run diverged and ``on_divergence`` is "raise"; ``partial`` is the answer that "mark" would have given.
    Interrupted
        On Ctrl-C; ``partial`` is the answer with all runs that were finished, the others "cancelled" and nan.

    Examples
    --------
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> found = simulate(TwoSamples(), PrimalDescent(), [0, 100, 5000], runs=2)
    >>> found.response[0].values.round(3)
    array([[0.   , 5.944, 7.812],
           [0.   , 0.861, 1.466]])
    """
    check_pair(problem, algorithm)
    when = check_times(times, algorithm)
    known("method", method, METHODS)
    known("on_divergence", on_divergence, ("raise", "mark"))
    known("precision", precision, PRECISIONS)
    numbers, threads = check_runs(runs, first_run), check_workers(workers)
    seed = check_whole("seed", seed, at_least=0)
    training = _training(problem, algorithm, when.astype(np.int64), seed, precision, min(threads, len(numbers)))
    check_memory(4 * len(numbers) * when.size * len(training.names), "runs or the number of times must be smaller")

    def one(run: int, stop: threading.Event) -> Run:
        curves, diverged_at = training.one(run, partial(raise_if_set, stop))
        return Run([tuple(curves[name] for name in training.names)], diverged_at, {}, training.broken)

    results, interrupted = run_all(one, numbers, workers=threads, progress=progress, label="simulate")
    try:
        made = assemble(
            problem, algorithm, results, training.names, (), ("time", when), numbers, symbols=VARIABLES, method=method,
            seed=seed, precision="double" if isinstance(problem, Coupled) else precision, interrupted=interrupted,
        )  # fmt: skip
    except Interrupted as stopped:
        stopped.partial = _stacked(problem, stopped.partial)
        raise
    made = _stacked(problem, made)
    if on_divergence == "raise":
        raise_first(results, numbers, made)
    return made


def _training(
    problem: Problem, algorithm: Algorithm, times: NDArray[np.int64], seed: int, precision: str, at_once: int
) -> _Training:
    """Return the function that makes one run, after checks that are the same for all runs."""
    if isinstance(problem, TwoMoons):
        check_training(problem, algorithm, at_once)

        def moons(run: int, checkpoint: Callable[[], None]) -> tuple[Mapping[str, Any], int]:
            found = train(problem, algorithm, times, seed, run, checkpoint, precision)  # type: ignore[arg-type]
            return found.curves, found.diverged_at

        return _Training(Statistics._fields, moons, _TOO_LARGE)
    if isinstance(problem, ColoredDigits):
        if not isinstance(algorithm, Adam):
            raise ParameterError(f"algorithm must be Adam for ColoredDigits; got {algorithm.label}")
        check_digits(problem, at_once)
        return _Training(
            CURVES, lambda run, checkpoint: train_digits(problem, algorithm, times, seed, run, checkpoint, precision),
            _TOO_LARGE,
        )  # fmt: skip
    assert isinstance(problem, Coupled)  # there are no others
    if not isinstance(algorithm, (PrimalDescent, DualDescent)):
        raise ParameterError(
            f"algorithm must be PrimalDescent or DualDescent to be simulated, for a flow has no steps; got "
            f"{algorithm.label}"
        )

    def coupled(run: int, checkpoint: Callable[[], None]) -> tuple[Mapping[str, Any], int]:
        response, margin, diverged_at = weights(problem, algorithm, times, seed, run, checkpoint)
        rows = {"response": response, "margin": margin}
        return {f"{name} {i}": row for name, block in rows.items() for i, row in enumerate(block)}, diverged_at

    samples, features = problem.presence.shape
    names = (*(f"response {j}" for j in range(features)), *(f"margin {i}" for i in range(samples)))
    broken = stability_bound(problem, algorithm) if isinstance(algorithm, PrimalDescent) else _TOO_LARGE
    return _Training(names, coupled, broken)


def _stacked(problem: Problem, made: xr.Dataset) -> xr.Dataset:
    """Put the curves of coupled features, and those of samples, side by side."""
    import xarray as xr

    if not isinstance(problem, Coupled):
        return made

    kept = made[[name for name in made.data_vars if " " not in str(name)]]
    for name, axis in (("response", "feature"), ("margin", "sample")):
        parts = [made[key] for key in made.data_vars if str(key).startswith(f"{name} ")]
        joined = xr.concat(parts, axis).transpose("run", axis, "time").rename(name)
        symbol, meaning = VARIABLES[name]
        joined.attrs |= {"symbol": symbol, "long_name": meaning}
        kept = kept.assign({name: joined}).assign_coords({axis: np.arange(1, len(parts) + 1)})
    return kept
