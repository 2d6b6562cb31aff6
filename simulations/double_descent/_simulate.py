"""``simulate``: draw data, train on it, and measure the student against the teacher that was drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, check_pair, trained_blocks
from dynamics.errors import ParameterError, known
from dynamics.filters import MAX_SCHEDULED_STEPS, spectral_filters
from dynamics.schedules import Schedule
from dynamics.times import check_times
from simulations._assemble import Run, assemble, raise_first
from simulations._ensemble import raise_if_set, run_all
from simulations.double_descent._data import per_direction
from simulations.double_descent._eigenbasis import Curves, decompose
from simulations.double_descent._literal import MAX_LITERAL_STEPS, literal
from simulations.double_descent._setting import Setting, check_setting, students
from simulations.double_descent._stability import Descent

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "simulate"]

#: The methods of :func:`simulate`, the default first.
METHODS = ("eigenbasis", "literal")

Array = NDArray[Any]


def simulate(
    problem: Problem,
    algorithm: GradientFlow | GradientDescent,
    times: ArrayLike,
    *,
    runs: int,
    seed: int = 0,
    method: str = "eigenbasis",
    teacher: str = "sampled",
    teachers: int = 1,
    test_samples: int | None = None,
    first_run: int = 0,
    workers: int | None = None,
    on_divergence: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    r"""Train on sampled data and return R, Q, E_G and E_T over (run, time), or (run, teacher, time).

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        With whole numbers of directions in every block; normalisations as in :mod:`dynamics.double_descent`.
    algorithm : GradientFlow or GradientDescent
        ``learning_rate=None`` means 1/(L_max + l2) with the largest eigenvalue L_max of each run's own X^T X.
    times : array
        Flow times (gradient flow) or whole steps (gradient descent), increasing, not negative.
    runs, first_run : int
        The runs ``first_run`` ... ``first_run + runs - 1``. Each has independent streams addressed by its number: any
        subset, in any number of threads, gives the same bits.
    seed : int
        The seed of all streams; the data are those of :func:`sample`.
    method : str
        * ``"eigenbasis"``: the trained weights in closed form through the SVD of X, at any time.
        * ``"literal"``: explicit iteration, gradient descent only, at most 1e8 steps.
    teacher : str
        ``"sampled"``: alignment R = W.Fw/d, norm Q = \|Fw\|^2/d and E_G = \|W - Fw\|^2/(2d) of the teacher W that was
        drawn. ``"averaged"``: their exact average over teacher and label noise, given X (eigenbasis only).
    teachers : int
        Draws of teacher and label noise for each draw of X; more than one adds the dimension ``teacher``.
    test_samples : int, optional
        Measure E_G on so many fresh inputs (noiseless labels, the same inputs for all teachers of a run) instead of
        exactly.
    workers : int, optional
        Threads; none means one per processor.
    on_divergence : str
        ``"raise"`` or ``"mark"``. A run has diverged at the first step after which \|Xw - y\| > 1e10 \|y\|, if that is
        no later than the last of the times.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Dataset
        alignment, norm, generalization_error, training_error = \|Xw - y\|^2/(2n); per run largest_eigenvalue of X^T X
        (with ``rates`` P: of P^(1/2) X^T X P^(1/2)) and, for a constant step, learning_rate; outcome ("finished",
        "diverged", "cancelled") and diverged_at (step at which its first teacher diverged, or -1).

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
    >>> from dynamics.double_descent import TwoScale
    >>> problem = TwoScale(samples=30, dimension=10, fast=6, condition_number=10)
    >>> runs = simulate(problem, GradientFlow(), [0, 10, 1e6], runs=100)
    >>> runs.generalization_error.mean("run").values.round(2)
    array([0.5 , 0.15, 0.  ])
    """
    check_pair(problem, algorithm)
    when = check_times(times, algorithm)
    known("method", method, METHODS)
    known("on_divergence", on_divergence, ("raise", "mark"))
    trained_blocks(problem, algorithm)  # refuses rates that do not fit the blocks
    setting = check_setting(
        problem, runs=runs, first_run=first_run, seed=seed, teacher=teacher, teachers=teachers,
        test_samples=test_samples, workers=workers, points=when.size,
    )  # fmt: skip
    _check_method(method, setting, algorithm, when)

    def one(run: int, stop: threading.Event) -> Run:
        checkpoint = partial(raise_if_set, stop)
        if method == "literal":
            assert isinstance(algorithm, GradientDescent)  # _check_method has refused gradient flow
            return _literal(setting, algorithm, when, run, checkpoint)
        return _eigenbasis(setting, algorithm, when, run, checkpoint)

    results, interrupted = run_all(one, setting.runs, workers=setting.workers, progress=progress, label="simulate")
    scalars, own = ["largest_eigenvalue"], {}
    if isinstance(algorithm, GradientDescent) and not isinstance(algorithm.learning_rate, Schedule):
        scalars.append("learning_rate")
        own = {} if algorithm.learning_rate is not None else {"own_default": "learning_rate"}
    made = assemble(
        problem, algorithm, results, Curves._fields, scalars, ("time", when), setting.runs, setting.curves_per_run,
        symbols=VARIABLES, method=method, interrupted=interrupted, **setting.attributes, **own,
    )  # fmt: skip
    if on_divergence == "raise":
        raise_first(results, setting.runs, made)
    return made


def _check_method(method: str, setting: Setting, algorithm: GradientFlow | GradientDescent, times: Array) -> None:
    last = int(times[-1]) if algorithm.discrete else 0
    if method == "literal":
        if isinstance(algorithm, GradientFlow):
            raise ParameterError(
                "method 'literal' needs gradient-descent: gradient flow has no steps to iterate; "
                "use method='eigenbasis'"
            )
        if not setting.teachers:
            raise ParameterError("method 'literal' needs teacher='sampled': an average has no weights to iterate")
        if last > MAX_LITERAL_STEPS:
            raise ParameterError(
                f"times must be at most {MAX_LITERAL_STEPS} steps for method 'literal'; got {last}. "
                "Use method='eigenbasis'"
            )
    elif isinstance(algorithm, GradientDescent) and algorithm.scheduled and last > MAX_SCHEDULED_STEPS:
        raise ParameterError(f"times must be at most {MAX_SCHEDULED_STEPS} steps with a schedule; got {last}")


def _rates(setting: Setting, algorithm: GradientFlow | GradientDescent) -> Array:
    """Relative learning rate of each direction, shape (d,)."""
    blocks = setting.problem.blocks.variance.size
    return per_direction(setting.problem, np.ones(blocks) if algorithm.rates is None else np.asarray(algorithm.rates))


def _scalars(largest: float, descent: Descent | None) -> dict[str, float]:
    known = {"largest_eigenvalue": largest}
    return known | {"learning_rate": descent.step} if descent and isinstance(descent.step, float) else known


def _eigenbasis(
    setting: Setting, algorithm: GradientFlow | GradientDescent, times: Array, run: int, checkpoint: Callable[[], None]
) -> Run:
    """Train in closed form. Rates P are those of w = P^(1/2) v: v is trained at rate 1 on the features X P^(1/2)."""
    drawn, fresh = setting.draw(run)
    scale = np.sqrt(per_direction(setting.problem, trained_blocks(setting.problem, algorithm).variance))
    basis = decompose(drawn.inputs * np.sqrt(_rates(setting, algorithm)), scale)
    last = int(times[-1]) if algorithm.discrete else 0
    descent = Descent.on(algorithm, float(basis.eigenvalues[0])) if isinstance(algorithm, GradientDescent) else None
    broken = descent.broken_bound(last, checkpoint) if descent else ""
    f, h = spectral_filters(algorithm, basis.eigenvalues, times, descent.step if descent else None, checkpoint)
    curves, diverged_at = [], []
    for squares, measured in students(setting, drawn, fresh, basis):
        at = descent.first_divergence(basis.eigenvalues, squares, last, checkpoint) if descent and broken else -1
        alive = times.size if at < 0 else int(np.searchsorted(times, at))  # filters may overflow after that
        curves.append(measured(f[:alive], h[:alive]))
        diverged_at.append(at)
    return Run(curves, _first(diverged_at), _scalars(float(basis.eigenvalues[0]), descent), broken)


def _literal(
    setting: Setting, algorithm: GradientDescent, times: Array, run: int, checkpoint: Callable[[], None]
) -> Run:
    """Iterate explicitly, for one teacher after the other."""
    drawn, fresh = setting.draw(run)
    rates = _rates(setting, algorithm)
    scale = np.sqrt(per_direction(setting.problem, setting.problem.blocks.variance))
    largest = float(np.linalg.svd(drawn.inputs * np.sqrt(rates), compute_uv=False)[0]) ** 2
    descent = Descent.on(algorithm, largest)
    done = [
        literal(drawn.inputs, labels, weights, scale, descent, rates, times, fresh, checkpoint)
        for weights, labels in zip(drawn.teachers, drawn.labels, strict=True)
    ]
    broken = descent.broken_bound(int(times[-1]), checkpoint)
    return Run([curves for curves, _ in done], _first(at for _, at in done), _scalars(largest, descent), broken)


def _first(steps: Iterable[int]) -> int:
    """Return the first step of divergence among the teachers', -1 standing for none."""
    return min((at for at in steps if at >= 0), default=-1)
