"""``simulate``: stochastic momentum on random features, or on a given spectrum."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from dynamics.algorithms import Rule, StochasticAlgorithm
from dynamics.errors import ParameterError, known
from dynamics.groups import Groups, groups_in
from dynamics.memory import check_memory
from dynamics.parameters import check_whole
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures, Problem, check_pair
from dynamics.stability import broken_bound
from dynamics.times import check_times
from simulations._assemble import Run, assemble, raise_first
from simulations._ensemble import check_runs, check_workers, raise_if_set, run_all
from simulations._streams import Source, stream
from simulations.scaling_laws._grouped import grouped
from simulations.scaling_laws._runs import Path, Steps, diagonal, literal
from simulations.scaling_laws._sample import check_features

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "simulate"]

#: The methods of :func:`simulate`, the default first.
METHODS = ("diagonal", "literal", "grouped")

_CURVES = ("risk", "momentum_norm")


def simulate(
    problem: Problem,
    algorithm: StochasticAlgorithm,
    times: ArrayLike,
    *,
    runs: int,
    seed: int = 0,
    method: str = "diagonal",
    groups: xr.Dataset | None = None,
    first_run: int = 0,
    workers: int | None = None,
    on_divergence: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    r"""Train by stochastic momentum and return risk and momentum norm over (run, time).

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        Random features are drawn anew in every run, those of :func:`sample`; a spectrum is the same in all of them.
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying, ScheduleFree or GeneralMomentum
        What is left open is chosen from the problem, the same for every run and for theory.
    times : array
        Numbers of completed steps, whole, increasing, not negative.
    runs, first_run : int
        The runs ``first_run`` ... ``first_run + runs - 1``. Each has independent streams addressed by its number: any
        subset, in any number of threads, gives the same bits.
    seed : int
        The seed of all streams.
    method : str
        * ``"diagonal"``: the modes of K with d normal numbers and a chi-square number in each step, exact in law for
          any batch size.
        * ``"grouped"``: three random numbers for each group of equal eigenvalues in each step, exact in law for the
          groups of a given spectrum: those of equal eigenvalues, or, of a PowerLawSpectrum, of :mod:`dynamics.groups`;
          for random features the ``groups`` given. Those stand for the deterministic equivalent: all runs then have the
          same spectrum, and the fluctuation from W to W is left out, as the attributes ``spectrum`` and ``caveat`` say.
        * ``"literal"``: fresh inputs x, features W^T x and labels in each step; the ground truth.
    groups : Dataset, optional
        For ``"grouped"`` on PowerLawRandomFeatures: what ``analytic.scaling_laws.equivalent_groups(problem)`` returns.
        The runs take over its attribute ``bias``, the relative error of the curves that a comparison allows for.
    workers : int, optional
        Threads; none means one per processor.
    on_divergence : str
        ``"raise"`` or ``"mark"``. A run has diverged when its risk is above 1e10 times that of theta = 0, looked for at
        every step (diagonal) or now and then (literal).
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset
        ``risk`` P (no 1/2, without the label noise's variance) and ``momentum_norm`` \|y\|^2 after so many steps;
        outcome ("finished", "diverged", "cancelled") and diverged_at (step at which that was seen, or -1). The
        attribute ``coefficients`` holds gamma1, gamma2, gamma3 and Delta.

    Raises
    ------
    ParameterError
        For input that is not allowed, a pair or method without meaning, or arrays beyond the memory budget.
    DivergenceError
        When a run diverged and ``on_divergence`` is "raise"; ``partial`` is the answer that "mark" would have given.
    Interrupted
        On Ctrl-C; ``partial`` is the answer with all runs that were finished, the others "cancelled" and nan.

    Examples
    --------
    >>> from dynamics.algorithms import SGD
    >>> runs = simulate(PowerLawRandomFeatures(dimension=20), SGD(batch_size=4), [0, 100, 1000], runs=20)
    >>> runs.risk.mean("run").values.round(3)
    array([1.139, 0.018, 0.011])
    """
    check_pair(problem, algorithm)
    when = check_times(times, algorithm)
    known("method", method, METHODS)
    known("on_divergence", on_divergence, ("raise", "mark"))
    numbers, threads = check_runs(runs, first_run), check_workers(workers)
    seed = check_whole("seed", seed, at_least=0)
    own = _groups(problem, method, groups)
    if method != "grouped":
        check_features(problem, min(threads, len(numbers)))
    check_memory(4 * len(numbers) * when.size, "runs or the number of times must be smaller")
    rule = algorithm.rule(problem.curvature)
    train = _method(method, problem, own, rule, algorithm.batch_size, when.astype(np.int64), seed)

    def one(run: int, stop: threading.Event) -> Run:
        path = train(run, partial(raise_if_set, stop))
        return Run([path[:2]], path.diverged_at, {}, _broken(path, rule, algorithm.batch_size))

    results, interrupted = run_all(one, numbers, workers=threads, progress=progress, label="simulate")
    made = assemble(
        problem, algorithm, results, _CURVES, (), ("time", when), numbers, symbols=VARIABLES, method=method, seed=seed,
        coefficients=rule.to_json(), interrupted=interrupted, **_declared(groups),
    )  # fmt: skip
    if on_divergence == "raise":
        raise_first(results, numbers, made)
    return made


def _groups(problem: Problem, method: str, given: xr.Dataset | None) -> Groups | None:
    """Return the groups that a method takes: the problem's own ones, or those given for random features."""
    needed = method == "grouped" and isinstance(problem, PowerLawRandomFeatures)
    if given is not None and not needed:
        raise ParameterError("groups must be left out, except for method 'grouped' on PowerLawRandomFeatures")
    if needed and given is None:
        raise ParameterError(
            "method 'grouped' needs a Spectrum or PowerLawSpectrum, or groups: the eigenvalues of random features do "
            "not repeat. Pass groups=analytic.scaling_laws.equivalent_groups(problem)"
        )
    if given is not None:
        return groups_in(given, problem.to_json())
    return problem.groups if method == "grouped" else None


def _declared(groups: xr.Dataset | None) -> dict[str, Any]:
    """Return what is to be said of runs on groups that were given."""
    if groups is None:
        return {}
    bias = float(groups.attrs.get("bias", 0.0))
    caveat = (
        "the runs have the spectrum of the deterministic equivalent, without the fluctuation from W to W; that it is "
        f"made of groups changes curves by up to {100.0 * bias:.1g} per cent, which is allowed for"
    )
    return {"spectrum": "deterministic equivalent", "bias": bias, "caveat": caveat}


def _method(
    method: str, problem: Problem, groups: Groups | None, rule: Rule, batch_size: int, times: Steps, seed: int
) -> Callable[[int, Callable[[], None]], Path]:
    """Return the function that makes one run."""
    if groups is not None:
        return lambda run, checkpoint: grouped(
            groups, problem.noise, rule, batch_size, times, stream(seed, run, Source.PATH), checkpoint
        )
    if method == "diagonal":
        return lambda run, checkpoint: diagonal(problem, rule, batch_size, times, seed, run, checkpoint)
    if not isinstance(problem, PowerLawRandomFeatures):
        raise ParameterError("method 'literal' needs PowerLawRandomFeatures: a spectrum has no inputs to draw")
    return lambda run, checkpoint: literal(problem, rule, batch_size, times, seed, run, checkpoint)


def _broken(path: Path, rule: Rule, batch_size: int) -> str:
    """Say which bound a diverged run broke, on its own eigenvalues, when it was seen to diverge."""
    step = path.diverged_at
    if step < 0:
        return ""
    assert path.modes is not None  # they come with every run that diverged
    if rule.risk_exponent:
        return (
            "learning_rate or momentum_rate must be smaller; there is no bound on the mean for step sizes that depend "
            "on the risk of the run"
        )
    return broken_bound(path.modes, batch_size, rule.at_one(step), step) or (
        f"the kernel norm at step {step} is below 1: with these coefficients kept the mean risk would converge; "
        "they were larger before, or this run is a rare one; learning_rate or momentum_rate is too large"
    )
