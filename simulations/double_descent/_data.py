"""The data of one run: inputs, teachers and noisy labels, each source of randomness from a stream of its own."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.double_descent import VARIABLES, Problem, check_problem
from dynamics.memory import check_memory
from dynamics.parameters import check_whole
from dynamics.results import Variable, answer
from simulations._ensemble import check_runs, check_workers, run_all
from simulations._streams import Source, stream

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Draw", "draw", "fresh_inputs", "per_direction", "sample"]

Array = NDArray[np.float64]

_NAMES = {
    **VARIABLES,
    "inputs": Variable("X", "features of the training samples"),
    "teacher_weights": Variable("W", "teacher"),
    "label_noise": Variable(r"\epsilon", "label noise"),
    "labels": Variable("y", "labels of the training samples"),
}


class Draw(NamedTuple):
    """One run: inputs X = Z F (n, d), and for each of m teachers W (m, d), noise (m, n) and labels y = Z W + noise."""

    inputs: Array
    teachers: Array
    label_noise: Array
    labels: Array


def per_direction(problem: Problem, values: Array) -> Array:
    """Repeat one value per block for each of its directions: shape (d,)."""
    repeated: Array = np.repeat(values, problem.directions())
    return repeated


def draw(problem: Problem, seed: int, run: int, teachers: int) -> Draw:
    """Draw one run. Each teacher has its own streams, so that it is the same for any number of teachers."""
    n, d = problem.samples, problem.dimension
    latent = stream(seed, run, Source.INPUTS).standard_normal((n, d)) / math.sqrt(d)
    spread = np.sqrt(per_direction(problem, problem.blocks.power))
    weights, errors, labels = np.empty((teachers, d)), np.empty((teachers, n)), np.empty((teachers, n))
    for m in range(teachers):
        weights[m] = spread * stream(seed, run, Source.TEACHER, m).standard_normal(d)
        errors[m] = problem.noise * stream(seed, run, Source.LABEL_NOISE, m).standard_normal(n)
        labels[m] = latent @ weights[m] + errors[m]
    return Draw(latent * np.sqrt(per_direction(problem, problem.blocks.variance)), weights, errors, labels)


def fresh_inputs(problem: Problem, seed: int, run: int, count: int) -> Array:
    """Draw latent test inputs z ~ N(0, I/d), shape (count, d)."""
    d = problem.dimension
    return stream(seed, run, Source.TEST_INPUTS).standard_normal((count, d)) / math.sqrt(d)


def sample(
    problem: Problem, *, runs: int, seed: int = 0, teachers: int = 1, first_run: int = 0, workers: int | None = None
) -> xr.Dataset:
    """Return the data that ``simulate`` trains on with the same seed, bit for bit.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        With whole numbers of directions in every block. F = diag(s): directions come block by block.
    runs : int
        Number of draws of the inputs; they are the runs ``first_run`` ... ``first_run + runs - 1``.
    seed : int
        Every run, and in it inputs, each teacher and each label noise, has an independent stream of this seed.
    teachers : int
        Draws of teacher and label noise for each draw of the inputs.
    first_run : int
        Number of the first run.
    workers : int, optional
        Threads; none means one per processor. The bits do not depend on it.

    Returns
    -------
    Dataset
        ``inputs`` X (run, sample, direction) with X = Z F, Z_ij ~ N(0, 1/d); ``teacher_weights`` W (run, direction)
        with W_i ~ N(0, c_b); ``label_noise`` (run, sample); ``labels`` (run, sample) = Z W + noise. With several
        teachers the last three have the dimension ``teacher`` after ``run``.

    Raises
    ------
    ParameterError
        For input that is not allowed, fractional numbers of directions, or data beyond the memory budget.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> dict(sample(TwoScale(samples=15, dimension=10, fast=4), runs=2).sizes)
    {'run': 2, 'sample': 15, 'direction': 10}
    """
    check_problem(problem)
    problem.directions()  # refuses fractions that are no whole numbers of directions
    numbers = check_runs(runs, first_run)
    seed, teachers = check_whole("seed", seed, at_least=0), check_whole("teachers", teachers, at_least=1)
    threads = check_workers(workers)
    n, d = problem.samples, problem.dimension
    check_memory(
        2 * len(numbers) * (n * d + teachers * (d + 2 * n)), "runs, teachers, samples or dimension must be smaller"
    )

    def one(run: int, stop: threading.Event) -> Draw:
        return draw(problem, seed, run, teachers)

    drawn, interrupted = run_all(one, numbers, workers=threads, progress=False, label="sample")
    if interrupted:
        raise KeyboardInterrupt
    of_teacher = ("run", "teacher") if teachers > 1 else ("run",)
    parts: dict[str, Any] = dict(zip(Draw._fields, map(np.stack, zip(*drawn, strict=True)), strict=True))
    if teachers == 1:
        parts |= {name: values[:, 0] for name, values in parts.items() if name != "inputs"}
    variables = {
        "inputs": (("run", "sample", "direction"), parts["inputs"]),
        "teacher_weights": ((*of_teacher, "direction"), parts["teachers"]),
        "label_noise": ((*of_teacher, "sample"), parts["label_noise"]),
        "labels": ((*of_teacher, "sample"), parts["labels"]),
    }
    coordinates = {"run": np.array(numbers)} | ({"teacher": np.arange(teachers)} if teachers > 1 else {})
    return answer(problem, None, variables, coordinates, kind="simulation", method="sample", seed=seed, names=_NAMES)
