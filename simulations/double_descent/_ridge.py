"""Ridge regression on the same sampled data."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dynamics.double_descent import VARIABLES, Problem
from dynamics.errors import ParameterError
from dynamics.times import check_increasing
from simulations._assemble import Run, assemble
from simulations._ensemble import run_all
from simulations.double_descent._data import per_direction
from simulations.double_descent._eigenbasis import Curves, decompose
from simulations.double_descent._setting import check_setting, students

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ridge"]


def ridge(
    problem: Problem,
    penalties: ArrayLike,
    *,
    runs: int,
    seed: int = 0,
    teacher: str = "sampled",
    teachers: int = 1,
    test_samples: int | None = None,
    first_run: int = 0,
    workers: int | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Return R, Q, E_G and E_T of w = (X^T X + penalty)^-1 X^T y over (run, penalty), or (run, teacher, penalty).

    Parameters
    ----------
    problem, runs, seed, teacher, teachers, test_samples, first_run, workers, progress
        As for :func:`simulate`, with the same data and the same variables.
    penalties : array
        Increasing, not negative; 0 is the minimum-norm least-squares solution.

    Returns
    -------
    Dataset
        alignment, norm, generalization_error, training_error; per run largest_eigenvalue of X^T X, and outcome.

    Raises
    ------
    ParameterError
        For input that is not allowed, or penalty 0 where the smallest singular values of X are rounding errors.
    Interrupted
        As for :func:`simulate`.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> ridge(TwoScale(samples=30, dimension=10, fast=6), [0, 0.1], runs=5).generalization_error[:, 0].values.round(6)
    array([0., 0., 0., 0., 0.])
    """
    along = check_increasing("penalties", penalties)
    setting = check_setting(
        problem, runs=runs, first_run=first_run, seed=seed, teacher=teacher, teachers=teachers,
        test_samples=test_samples, workers=workers, points=along.size,
    )  # fmt: skip
    scale = np.sqrt(per_direction(problem, problem.blocks.variance))

    def one(run: int, stop: threading.Event) -> Run:
        drawn, fresh = setting.draw(run)
        basis = decompose(drawn.inputs, scale)
        rounding = np.finfo(np.float64).eps * max(drawn.inputs.shape) * basis.singular[0]
        if along[0] == 0 and basis.singular[-1] <= rounding:
            raise ParameterError(
                "penalties must be above 0 here: the smallest singular value of the inputs, "
                f"{basis.singular[-1]:.1e}, is lost in rounding ({rounding:.1e})"
            )
        total = basis.eigenvalues + along[:, None]
        f, h = 1.0 / total, along[:, None] / total
        curves = [measured(f, h) for _, measured in students(setting, drawn, fresh, basis)]
        return Run(curves, -1, {"largest_eigenvalue": float(basis.eigenvalues[0])}, "")

    results, interrupted = run_all(one, setting.runs, workers=setting.workers, progress=progress, label="ridge")
    return assemble(
        problem, None, results, Curves._fields, ("largest_eigenvalue",), ("penalty", along), setting.runs,
        setting.curves_per_run, symbols=VARIABLES, method="ridge", interrupted=interrupted, **setting.attributes,
    )  # fmt: skip
