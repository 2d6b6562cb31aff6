"""The paper's two-scale formula as published (arXiv 2112.03215, eqs. 14-16), and with its missing term.

The formula is ridge regression at penalty lambda = 1/t + l2. Its a_i solve lambda_i = (a_i - alpha_i)(1 - 1/a_i), one
equation for each block alone, where the truth is

    lambda_i = (a_i - alpha_i)(1 - 1/a_1 - 1/a_2),   that is   a_i = alpha_i (1 + zeta/s_i^2):

once the fast block is learned, slow features see n - p samples, not n. With the right a_i the published equations for
R and Q are exact; as published E_G is off by up to 0.1, at any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytic.double_descent._exact import spectrum_of
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, TwoScale
from dynamics.errors import ParameterError, known
from dynamics.results import answer
from dynamics.schedules import is_constant
from dynamics.times import check_increasing

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PAPER_SCALE", "published", "published_corrected", "published_ridge"]

#: The paper's singular values are 0.5 and 0.5/kappa: fitted, so that 1/t mimics a step of 1/(largest eigenvalue).
PAPER_SCALE = 0.5

Array = NDArray[np.float64]


def published(problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array) -> dict[str, Array]:
    """Return R, Q and E_G (noiseless labels) of the formula as published.

    Gradient descent at its default step: t steps are ridge at 1/t + l2 with singular values 0.5 and 0.5/kappa. Gradient
    flow: time tau is ridge at 1/tau + l2 with the problem's own singular values.
    """
    return _over_time(problem, algorithm, times, corrected=False)


def published_corrected(problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array) -> dict[str, Array]:
    """Return the same with the missing cross-block term: exact ridge at that penalty."""
    return _over_time(problem, algorithm, times, corrected=True)


def published_ridge(
    problem: Problem,
    penalties: ArrayLike,
    *,
    corrected: bool = False,
    scale: float = 1.0,
    learn: Literal["both", "fast", "slow"] = "both",
    slow_penalties: ArrayLike | None = None,
) -> xr.Dataset:
    """Return the formula over the ridge penalty.

    Parameters
    ----------
    problem : TwoScale
        With n > d and both blocks present.
    penalties : array
        lambda, increasing, above 0.
    corrected : bool
        Restore the missing term.
    scale : float
        Singular value of the fast features (the slow ones' is scale/kappa); the paper takes 0.5.
    learn : str
        "fast" freezes the slow block at the largest penalty (the first time), "slow" the fast block at the smallest
        (the last time), as in the paper's figure 1.
    slow_penalties : array, optional
        Penalties of the slow block where they differ from the fast block's.

    Returns
    -------
    Dataset
        ``alignment``, ``norm``, ``generalization_error`` on dimension ``penalty``.
    """
    values = check_increasing("penalties", penalties)
    slow = values if slow_penalties is None else check_increasing("slow_penalties", slow_penalties)
    if values[0] == 0 or slow[0] == 0:
        raise ParameterError("penalties must be above 0 in the published formula; got 0")
    if slow.shape != values.shape:
        raise ParameterError(f"slow_penalties must be as many as penalties, {values.size}; got {slow.size}")
    known("learn", learn, ("both", "fast", "slow"))
    if corrected and slow_penalties is not None:
        raise ParameterError("slow_penalties must be left out when corrected: the exact answer has one penalty")
    _check(problem)
    first, second = _coefficients(problem, np.stack([values, slow]) / scale**2, corrected=corrected)
    if learn == "fast":
        second = np.full_like(second, second[-1])
    elif learn == "slow":
        first = np.full_like(first, first[0])
    variables = {name: (("penalty",), item) for name, item in _order_parameters(problem, first, second).items()}
    method = "published_corrected" if corrected else "published"
    return answer(problem, None, variables, {"penalty": values}, kind="theory", method=method, names=VARIABLES)


def _over_time(
    problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, *, corrected: bool
) -> dict[str, Array]:
    _check(problem)
    if algorithm.rates is not None:
        raise ParameterError(f"rates must be left out in the published formula; got {algorithm.rates}")
    scale = 1.0
    if isinstance(algorithm, GradientDescent):
        scale = PAPER_SCALE
        if algorithm.learning_rate is not None or algorithm.output_penalty != 0.0 or not is_constant(algorithm.l2):
            raise ParameterError(
                "learning_rate and output_penalty must be left out, and l2 constant, in the published formula; got "
                f"{algorithm!r}"
            )
    started = times > 0
    penalty = 1.0 / times[started] + float(algorithm.l2)  # type: ignore[arg-type]
    first, second = _coefficients(problem, np.stack([penalty, penalty]) / scale**2, corrected=corrected)
    curves = _order_parameters(problem, first, second)
    untrained = {"alignment": 0.0, "norm": 0.0, "generalization_error": 0.5}
    whole = {name: np.full(times.size, value) for name, value in untrained.items()}
    for name, values in curves.items():
        whole[name][started] = values
    return whole


def _check(problem: Problem) -> None:
    if not isinstance(problem, TwoScale):
        raise ParameterError(f"problem must be TwoScale for the published formula; got {type(problem).__name__}")
    if problem.samples <= problem.dimension:
        raise ParameterError(
            f"samples must be above dimension = {problem.dimension} for the published formula: it solves each block "
            f"alone, and so learns everything from fewer samples than unknowns; got {problem.samples}. Method exact "
            "holds there"
        )
    if not 0 < problem.fast < problem.dimension:
        raise ParameterError(
            f"fast must be above 0 and below dimension = {problem.dimension} for the published formula, which has two "
            f"blocks; got {problem.fast}"
        )


def _coefficients(problem: Problem, penalties: Array, *, corrected: bool) -> tuple[Array, Array]:
    """Return a_1, a_2 over the penalties (2, k) of the blocks, for singular values 1 and 1/kappa."""
    blocks = problem.blocks
    alone = problem.sampling_ratio / blocks.fraction  # alpha_i = n/(block's directions)
    if corrected:
        spectrum = spectrum_of(problem)
        zeta = np.array([spectrum.zeta_of_penalty(float(value)) for value in penalties[0]])
        a = [alpha * (1.0 + zeta / s2) for alpha, s2 in zip(alone, blocks.variance, strict=True)]
        return a[0], a[1]
    relative = penalties / (blocks.fraction * blocks.variance)[:, None]
    middle = 1.0 - alone[:, None] - relative
    root = np.sqrt(middle**2 + 4.0 * relative)
    # two forms of one root: each cancels where the other does not
    with np.errstate(divide="ignore"):
        excess = np.where(middle < 0, (root - middle) / 2.0, 2.0 * relative / (middle + root))
    return 1.0 + excess[0], 1.0 + excess[1]


def _order_parameters(problem: Problem, first: Array, second: Array) -> dict[str, Array]:
    """Return R, Q and E_G from a_1, a_2: exact equations, whatever the a_i."""
    alpha, noise = problem.sampling_ratio, problem.noise**2
    alpha_1, alpha_2 = alpha / problem.blocks.fraction
    r_1, r_2 = alpha / first, alpha / second
    b_1, b_2 = alpha_1 / (first**2 - alpha_1), alpha_2 / (second**2 - alpha_2)
    c_1 = 1.0 + noise - 2.0 * r_2 - (2.0 - first) / first * alpha
    c_2 = 1.0 + noise - 2.0 * r_1 - (2.0 - second) / second * alpha
    norm = (b_1 * b_2 * (c_1 + c_2) + b_1 * c_1 + b_2 * c_2) / (1.0 - b_1 * b_2)
    alignment = r_1 + r_2
    return {"alignment": alignment, "norm": norm, "generalization_error": (1.0 - 2.0 * alignment + norm) / 2.0}
