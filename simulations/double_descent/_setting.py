"""What ``simulate`` and ``ridge`` share: the checked setting of an ensemble, and one run's data in its eigenbasis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.double_descent import Problem, check_conditioning, check_problem
from dynamics.errors import ParameterError, known
from dynamics.memory import check_memory
from dynamics.parameters import Declared, check_whole, parameter
from simulations._ensemble import check_runs, check_workers
from simulations.double_descent._data import Draw, draw, fresh_inputs, per_direction
from simulations.double_descent._eigenbasis import (
    Amplitudes,
    Curves,
    Eigenbasis,
    averaged,
    averaged_amplitudes,
    sampled,
    sampled_amplitudes,
)

__all__ = ["Setting", "TeacherDraws", "check_setting", "students"]

Array = NDArray[np.float64]


class TeacherDraws(Declared):
    """How a run treats teachers and test inputs; the parameters of the same names of ``simulate``."""

    teacher: Literal["sampled", "averaged"] = parameter(
        "sampled", symbol=r"\mathrm{teacher}", meaning="sampled, or averaged in closed form"
    )
    teachers: int = parameter(
        1, symbol="M", meaning="draws of teacher and label noise for each draw of the inputs", at_least=1,
        scale="log", explore=(1, 30),
    )  # fmt: skip
    test_samples: int | None = parameter(
        None, symbol=r"n_{\mathrm{test}}", meaning="fresh inputs to measure the error on, by default exactly",
        at_least=1, scale="log", explore=(10, 1000),
    )  # fmt: skip


class Setting(NamedTuple):
    """A checked ensemble: which runs, how many teachers (0: the average over them), how many fresh inputs."""

    problem: Problem
    runs: range
    seed: int
    teachers: int
    test_samples: int | None
    workers: int

    @property
    def curves_per_run(self) -> int:
        """Teachers whose curves a run has; the average over teachers is one."""
        return max(self.teachers, 1)

    @property
    def attributes(self) -> dict[str, Any]:
        """What an answer says of the ensemble."""
        known: dict[str, Any] = {"seed": self.seed, "teacher": "sampled" if self.teachers else "averaged"}
        return known if self.test_samples is None else known | {"test_samples": self.test_samples}

    def draw(self, run: int) -> tuple[Draw, Array | None]:
        """Draw the data of one run, and its fresh test inputs if it has any."""
        drawn = draw(self.problem, self.seed, run, self.teachers)
        if self.test_samples is None:
            return drawn, None
        return drawn, fresh_inputs(self.problem, self.seed, run, self.test_samples)


def check_setting(
    problem: Problem,
    *,
    runs: int,
    first_run: int,
    seed: int,
    teacher: str,
    teachers: int,
    test_samples: int | None,
    workers: int | None,
    points: int,
) -> Setting:
    """Check what describes an ensemble, its memory for ``points`` times or penalties included."""
    check_problem(problem)
    problem.directions()  # refuses fractions that are no whole numbers of directions
    numbers = check_runs(runs, first_run)
    seed, teachers = check_whole("seed", seed, at_least=0), check_whole("teachers", teachers, at_least=1)
    if test_samples is not None:
        test_samples = check_whole("test_samples", test_samples, at_least=1)
    threads = check_workers(workers)
    if known("teacher", teacher, ("sampled", "averaged")) == "averaged":
        if teachers != 1:
            raise ParameterError(f"teachers must be 1 where teacher is 'averaged'; got {teachers}")
        if test_samples is not None:
            raise ParameterError(f"test_samples needs teacher='sampled': the average is exact; got {test_samples}")
        check_conditioning(problem)
        teachers = 0
    n, d, fresh = problem.samples, problem.dimension, test_samples or 0
    # data and its decomposition; kernels of an average; filters and outputs with their copies; fresh inputs
    one = 5 * n * d + teachers * (d + 2 * n) + 5 * d * d + 6 * points * d + fresh * (d + 2 * points)
    check_memory(
        min(threads, len(numbers)) * one + 4 * len(numbers) * max(teachers, 1) * points,
        "samples, dimension, runs, teachers, test_samples, workers or the number of times must be smaller",
    )
    return Setting(problem, numbers, seed, teachers, test_samples, threads)


def students(
    setting: Setting, drawn: Draw, fresh: Array | None, basis: Eigenbasis
) -> Iterator[tuple[Amplitudes, Callable[[Array, Array], Curves]]]:
    """Yield, for each teacher, the squared amplitudes of its labels and the function from filters to curves."""
    problem = setting.problem
    if not setting.teachers:
        power = per_direction(problem, problem.blocks.power)
        squares = averaged_amplitudes(basis, power, problem.noise)
        yield squares, partial(averaged, basis, squares, power, problem.noise)
    for weights, labels in zip(drawn.teachers, drawn.labels, strict=True):
        amplitude, squares = sampled_amplitudes(basis, labels)
        yield squares, partial(sampled, basis, amplitude, squares, weights, fresh)
