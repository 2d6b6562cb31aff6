"""Scaling laws: the laws of all simulators against each other and their means against theory, for all algorithms.

On small random features (v = 60, d = 15, one W for all runs) literal runs and a plain twin of cost B d are compared
with runs mode by mode, and on a spectrum whose eigenvalues repeat runs by groups with those mode by mode: two-sample
Kolmogorov-Smirnov tests of log P and of |y|^2 at four times (of the twin only log P), and of log(P_60/P_5), which is of
the whole path. Means are compared with the exact recursion. A false alarm anywhere has probability 1e-6
for the laws and 1e-6 for the means. With 8000 runs on each side a difference of 0.055 between two distribution
functions is seen, which is a shift by a seventh of a standard deviation.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from threadpoolctl import threadpool_limits

from analytic.scaling_laws import solve
from dynamics.algorithms import GeneralMomentum, StochasticAlgorithm
from figures import compare
from simulations.scaling_laws import _runs, _sample, sample, simulate
from tests.scaling_laws import test_grouped
from tests.scaling_laws.test_simulation import FAMILY, SMALL, per_sample

TIMES = [1, 5, 20, 60]
BATCHES = (1, 4, 64)
ALARM = 1e-6
GENERAL = GeneralMomentum(
    gradient_weight="power:0.7,-0.1", learning_rate="power:0.1,-0.2", momentum_rate="power:0.02,-0.4",
    decay="hyperbolic:4",
)  # fmt: skip

Array = NDArray[np.float64]


class Case(NamedTuple):
    """An algorithm with its batch size, on random features or on the spectrum that repeats."""

    spectrum: bool
    algorithm: StochasticAlgorithm
    runs: int
    seed: int


class Found(NamedTuple):
    """P-values of the laws and, of these, of the path; deviations of the means in standard errors; if these agree."""

    p: list[float]
    paths: list[float]
    z: list[float]
    agree: bool
    seconds: float


def laws(one: Any, two: Any) -> Iterator[float]:
    """Yield the p-values of two simulators with P and |y|^2 (run, time) each, or P alone."""
    for mine, other in zip(one, two, strict=False):
        for a, b in zip(mine.T, other.T, strict=True):
            if a.any() or b.any():  # without momentum |y|^2 is 0
                yield stats.ks_2samp(a, b).pvalue
    yield stats.ks_2samp(*(np.log(risk[:, -1] / risk[:, 1]) for risk in (one[0], two[0]))).pvalue


def curves(runs: Any) -> tuple[Array, Array]:
    return runs.risk.values, runs.momentum_norm.values


def one_matrix() -> Any:
    """Return a context in which every run has the same W: the laws are those of its samples alone."""
    matrix = _sample.features(SMALL, 0, 0)
    context = contextlib.ExitStack()
    for module in (_sample, _runs):
        context.enter_context(mock.patch.object(module, "features", return_value=matrix))
    return context


def means(theory: Any, made: Sequence[Any], comparisons: int) -> tuple[list[float], bool]:
    """Return the deviations of each simulator's mean from theory, and whether all of them agree."""
    found = [compare(theory, runs, false_alarm=ALARM / comparisons) for runs in made]
    # without momentum |y|^2 is 0 and has no deviation
    z = [one.deviation_in_standard_errors.values[one.tested.values & (one.theory.values > 0)] for one in found]
    return np.concatenate(z).tolist(), all(one.attrs["verdict"] == "agree" for one in found)


def measure(case: Case, comparisons: int) -> Found:
    """Run all simulators of one case, each with a seed of its own."""
    begun = time.perf_counter()
    spectrum, algorithm, runs, seed = case
    problem, method = (test_grouped.REPEATED, "grouped") if spectrum else (SMALL, "literal")
    with threadpool_limits(1), one_matrix():
        made = [
            simulate(problem, algorithm, TIMES, runs=runs, seed=own, method=by, workers=1)
            for by, own in ((method, seed), ("diagonal", seed + 1))
        ]
        other, modes = (curves(one) for one in made)
        each = [list(laws(other, modes))]
        if not spectrum:
            each.append(list(laws([per_sample(SMALL, algorithm, TIMES, runs, seed + 2)], modes)))
        data = {} if spectrum else {"data": sample(SMALL, runs=1)}
        theory = solve(problem, algorithm, TIMES, method="recursion", **data)
    z, agree = means(theory if spectrum else theory.isel(run=0, drop=True), made, comparisons)
    return Found(list(itertools.chain(*each)), [p[-1] for p in each], z, agree, time.perf_counter() - begun)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=8000, help="of each simulator in each case")
    options.add_argument("--processes", type=int, default=os.cpu_count())
    given = options.parse_args()
    many = [(False, (*FAMILY, GENERAL)), (True, test_grouped.FAMILY)]
    whole = [(spectrum, one, batch) for spectrum, family in many for one, batch in itertools.product(family, BATCHES)]
    cases = [
        Case(spectrum, one.model_copy(update={"batch_size": batch}), given.runs, 1000 + 10 * number)
        for number, (spectrum, one, batch) in enumerate(whole)
    ]
    p, paths, z, agree = [], [], [], True
    with ProcessPoolExecutor(given.processes, multiprocessing.get_context("spawn")) as pool:
        done = pool.map(measure, cases, itertools.repeat(2 * len(cases)))
        for case, found in zip(cases, done, strict=True):
            which = "grouped, modes" if case.spectrum else "literal, twin, modes"
            print(
                f"{case.algorithm.label}, B = {case.algorithm.batch_size}, {which}: {len(found.p)} laws, smallest p "
                f"{min(found.p):.2g}; {len(found.z)} means, largest |z| {np.abs(found.z).max():.2f}; "
                f"{found.seconds:.1f} s",
                flush=True,
            )
            p, z, agree = p + found.p, z + found.z, agree and found.agree
            paths += found.paths
    same = min(p) > ALARM / len(p)
    print(
        f"{len(p)} p-values, smallest {min(p):.2g} (one law: above {ALARM / len(p):.1g}), uniform with p = "
        f"{stats.kstest(p, 'uniform').pvalue:.2g} (too small, for those of one case depend on each other), those of "
        f"the {len(paths)} paths alone with p = {stats.kstest(paths, 'uniform').pvalue:.2g}; {len(z)} means, largest "
        f"|z| {np.abs(z).max():.2f}: laws {'agree' if same else 'DIFFER'}, means {'agree' if agree else 'DIFFER'}"
    )
    sys.exit(not (same and agree))


if __name__ == "__main__":
    main()
