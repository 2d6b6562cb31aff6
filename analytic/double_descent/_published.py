r"""The paper's two-scale formula as published (arXiv 2112.03215, eqs. 14-16), and with its missing term.

The formula is ridge regression at penalty lambda = 1/t + l2. Its a_i solve lambda_i = (a_i - alpha_i)(1 - 1/a_i), with
lambda_i = lambda/(phi_i s_i^2) and alpha_i = alpha/phi_i: one equation for each block alone, where the truth is

    lambda_i = (a_i - alpha_i)(1 - 1/a_1 - 1/a_2),   that is   a_i = alpha_i (1 + zeta/s_i^2):

once the fast block is learned, slow features see n - p samples, not n. With the right a_i the published equations for
R and Q are exact; as published E_G is off by about 0.1 for the paper's parameters, at any size, and more for others.

Those equations are written here with x_i = alpha_i/a_i, the share of block i that is learned, and y_i = 1 - x_i. The
published c_1 and c_2 are both 1 + sigma^2 + alpha - 2R, and b_i = x_i^2/(alpha_i - x_i^2), so that

    R = <x>,   alpha (1 - D) = alpha - 1 + <y (1 + x)>,   where alpha D = <x^2>
    Q = D (alpha - 1 + 2 <y> + sigma^2)/(1 - D)
    2 E_G = (<y^2> + sigma^2 D)/(1 - D)

with <g> = phi_1 g_1 + phi_2 g_2: the same numbers, without the cancellation of 1 - 2R + Q once all is learned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analytic.double_descent._exact import spectrum_of
from analytic.double_descent._ridge import check_penalties
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, TwoScale
from dynamics.errors import ParameterError, known
from dynamics.parameters import check_between
from dynamics.results import answer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["PAPER_SCALE", "published", "published_corrected", "published_ridge"]

#: The paper's singular values are 0.5 and 0.5/kappa: fitted, so that 1/t mimics a step of 1/(largest eigenvalue).
PAPER_SCALE = 0.5

Array = NDArray[np.float64]


class _Learned(NamedTuple):
    """Share x of each block that is learned and the rest y = 1 - x, each (2, penalties)."""

    share: Array
    rest: Array


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
    """Return the formula (arXiv 2112.03215, eqs. 14-16) over the ridge penalty.

    Parameters
    ----------
    problem : TwoScale
        With n > d and both blocks present.
    penalties : array
        lambda, increasing, in [1e-100, 1e50].
    corrected : bool
        Restore the missing term: the answer is then that of ``ridge`` at lambda/scale^2.
    scale : float
        Singular value of the fast features (the slow ones' is scale/kappa), in [1e-20, 1e20]; the paper takes 0.5.
    learn : str
        "fast" freezes the slow block at the largest penalty (the first time), "slow" the fast block at the smallest
        (the last time), as in the paper's figure 1.
    slow_penalties : array, optional
        Penalties of the slow block where they differ from the fast block's.

    Returns
    -------
    Dataset
        ``alignment``, ``norm``, ``generalization_error`` (noiseless labels) on dimension ``penalty``.

    Raises
    ------
    ParameterError
        For input that is not allowed.

    Examples
    --------
    >>> problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=50)
    >>> for corrected in (False, True):  # as published, and exactly
    ...     print(published_ridge(problem, [7e-4], corrected=corrected).generalization_error.values.round(3))
    [0.117]
    [0.167]
    """
    values = check_penalties("penalties", penalties, none=False)
    slow = values
    if slow_penalties is not None:
        slow = check_penalties("slow_penalties", slow_penalties, none=False)
    if slow.shape != values.shape:
        raise ParameterError(f"slow_penalties must be as many as penalties, {values.size}; got {slow.size}")
    scale = check_between("scale", "singular value of the fast features", scale, 1e-20, 1e20)
    known("learn", learn, ("both", "fast", "slow"))
    if corrected and slow_penalties is not None:
        raise ParameterError("slow_penalties must be left out when corrected: the exact answer has one penalty")
    _check(problem)
    learned = _learned(problem, np.stack([values, slow]) / scale**2, corrected=corrected)
    for part in learned:
        if learn == "fast":
            part[1] = part[1, -1]
        elif learn == "slow":
            part[0] = part[0, 0]
    variables = {name: (("penalty",), curve) for name, curve in _order_parameters(problem, learned).items()}
    method = "published_corrected" if corrected else "published"
    plain = scale == 1.0 and learn == "both" and slow_penalties is None
    variant: dict[str, Any] = (
        {} if plain else {"variant": f"scale {scale:g}, learn {learn}, penalties of the slow block {slow.tolist()}"}
    )
    return answer(
        problem, None, variables, {"penalty": values}, kind="theory", method=method, names=VARIABLES, **variant
    )


def _over_time(
    problem: Problem, algorithm: GradientFlow | GradientDescent, times: Array, *, corrected: bool
) -> dict[str, Array]:
    _check(problem)
    if algorithm.rates is not None:
        raise ParameterError(f"rates must be left out in the published formula; got {algorithm.rates}")
    scale = 1.0
    if isinstance(algorithm, GradientDescent):
        scale = PAPER_SCALE
        if algorithm.learning_rate is not None or algorithm.output_penalty != 0.0 or algorithm.scheduled:
            raise ParameterError(
                "learning_rate and output_penalty must be left out, and l2 constant, in the published formula; got "
                f"{algorithm!r}"
            )
    with np.errstate(divide="ignore", over="ignore"):  # time 0 is an infinite penalty, at which nothing is learned
        penalties = (1.0 / times + float(algorithm.l2)) / scale**2  # type: ignore[arg-type]
    return _order_parameters(problem, _learned(problem, np.stack([penalties, penalties]), corrected=corrected))


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


def _learned(problem: Problem, penalties: Array, *, corrected: bool) -> _Learned:
    """Return what is learned at the penalties (2, k) of the blocks, for singular values 1 and 1/kappa."""
    variance, fraction = problem.blocks.variance[:, None], problem.blocks.fraction[:, None]
    if corrected:
        spectrum = spectrum_of(problem)
        zeta = np.array([spectrum.zeta_of_penalty(float(value)) for value in penalties[0]])
        return _Learned(variance / (variance + zeta), 1.0 / (1.0 + variance / zeta))
    alone = problem.sampling_ratio / fraction  # alpha_i = n/(block's directions)
    strength = fraction * variance / penalties  # 1/lambda_i; the quadratic for a_i, in a form without cancellation
    linear = 1.0 + 2.0 * strength * (1.0 + alone)
    root = np.hypot(strength * (alone - 1.0), np.sqrt(linear))
    total = 1.0 + strength * (1.0 + alone) + root
    return _Learned(2.0 * alone * strength / total, (1.0 + linear / (root + strength * (alone - 1.0))) / total)


def _order_parameters(problem: Problem, learned: _Learned) -> dict[str, Array]:
    """Return R, Q and E_G: exact equations, if only x and y were right (see the module)."""
    alpha, noise, fraction = problem.sampling_ratio, problem.noise**2, problem.blocks.fraction
    x, y = learned
    surplus = (problem.samples - problem.dimension) / problem.dimension
    rest = surplus + fraction @ (y * (1.0 + x))  # alpha (1 - D)
    squares = fraction @ x**2  # alpha D
    return {
        "alignment": fraction @ x,
        "norm": squares * (surplus + 2.0 * (fraction @ y) + noise) / rest,
        "generalization_error": (alpha * (fraction @ y**2) + noise * squares) / (2.0 * rest),
    }
