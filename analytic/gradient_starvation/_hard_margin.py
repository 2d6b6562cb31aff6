r"""Without penalties the responses grow for ever; their direction is that of the largest smallest margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from analytic.gradient_starvation._fixed_point import NAMES, check_coupled, coordinates, penalties
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import Coupled
from dynamics.results import answer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Separation", "hard_margin", "separation"]

Array = NDArray[np.float64]

#: Weights of samples, relative to the largest, and margins, relative to 1, that count as 0 and as 1.
_TOLERANCE = 1e-9


class Separation(NamedTuple):
    """The smallest z with U z >= 1, and the weights a >= 0 of the samples: p_j z_j = (U^T a)_j."""

    response: Array
    weight: Array


def hard_margin(problem: Coupled) -> xr.Dataset:
    r"""Return the direction of the responses as the penalties vanish, and so of training without any.

    It is that of the hard-margin problem: the smallest sum_j p_j z_j^2 at which every margin (U z)_i is at least 1,
    p_j = l2/s_j^2 + decoupling; where both are 0, as for gradient flow without penalties, p_j = 1/s_j^2. Samples whose
    margin is above 1 no longer matter in the end. Responses approach the direction as slowly as 1/log(1/l2).

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        Only the ratio of l2 and decoupling matters.

    Returns
    -------
    Dataset
        ``response`` on ``feature``, scaled so that the smallest margin is 1, ``margin`` on ``sample``, and ``support``,
        true for the samples that the direction depends on.

    Raises
    ------
    ParameterError
        When no responses give every sample a positive margin, so that those at rest stay finite as penalties vanish.
    ArithmeticError
        Where rounding decides which samples matter.

    Examples
    --------
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> hard_margin(TwoSamples(strong=4.0, weak=2.0, coupling=0.5)).support.values  # s_1^2/s_2^2 = 4
    array([ True,  True])
    >>> hard_margin(TwoSamples(strong=6.0, weak=2.0, coupling=0.5)).support.values  # 9, above 6.46
    array([False,  True])
    """
    check_coupled(problem)
    unpenalised = problem.l2 == problem.decoupling == 0.0
    found = separation(problem.presence, 1.0 / problem.strength**2 if unpenalised else penalties(problem))
    variables: dict[str, Any] = {
        "response": (("feature",), found.response),
        "margin": (("sample",), problem.presence @ found.response),
        "support": (("sample",), found.weight > 0.0),
    }
    return answer(problem, None, variables, coordinates(problem), kind="theory", method="hard_margin", names=NAMES)


def separation(presence: Array, penalty: Array) -> Separation:
    """Solve the hard-margin problem as a least-distance problem (Lawson and Hanson), then again on its support."""
    unit = np.sqrt(penalty / penalty.max())
    rows = presence / unit
    scale = np.abs(rows).max()
    # the least-squares problem [rows^T; 1^T] a = (0, 1), a >= 0, has no residual where nothing separates
    system = np.vstack([rows.T / scale, np.ones(rows.shape[0])])
    weight, residual = nnls(system, np.append(np.zeros(rows.shape[1]), 1.0))
    if not residual > _TOLERANCE:
        raise ParameterError(
            "problem must be separable: no responses give every sample a positive margin, so that those at rest stay "
            "finite as the penalties vanish"
        )
    support = weight > _TOLERANCE * weight.max()
    # the smallest w = unit z with margin 1 on the support
    w = np.linalg.lstsq(rows[support], np.ones(int(support.sum())), rcond=None)[0]
    weight = np.zeros(rows.shape[0])
    weight[support] = np.linalg.lstsq(rows[support].T, w, rcond=None)[0]
    margin = rows @ w
    if not (margin.min() >= 1.0 - _TOLERANCE and (weight >= 0.0).all()):
        raise ArithmeticError("rounding decides which samples are support vectors; the samples are barely separable")
    return Separation(w / unit, weight * penalty.max())
