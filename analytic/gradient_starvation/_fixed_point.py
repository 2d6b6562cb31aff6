"""Where training ends: responses, margins and dual variables at rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analytic.gradient_starvation._newton import Rest, at_rest
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import VARIABLES, Coupled
from dynamics.results import Variable, answer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["NAMES", "check_coupled", "coordinates", "fixed_point", "penalties", "rest_of"]

Array = NDArray[np.float64]

#: Symbols and meanings, with those of what only theory answers with.
NAMES: Mapping[str, Variable] = {
    **VARIABLES,
    "dual_variable": Variable(r"\alpha_i", "dual variable of a sample"),
    "cause": Variable("j", "feature whose strength is changed"),
    "sensitivity": Variable(r"\partial z_i/\partial s_j^2", "change of a response with the square of a strength"),
    "starves": Variable("", "whether a feature's response shrinks as another's strength grows"),
    "support": Variable("", "whether a sample is a support vector"),
}

#: Smaller penalties than this, relative to s^2, are below the range of floats.
_SMALLEST = 1e-280


def fixed_point(problem: Coupled) -> xr.Dataset:
    r"""Return what responses, margins and dual variables are at rest, where every flow and every stable descent ends.

    They solve l2 z_j/s_j^2 + decoupling z_j = (U^T alpha)_j with alpha_i = sigma(-u_i) and u = U z, that is, z
    minimises a strictly convex function (:mod:`analytic.gradient_starvation`); primal and dual descent end there alike.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        At least one of l2 and decoupling above 0. Where n >= r is no separation of all samples, they may be as small,
        relative to s^2, as 1e-280.

    Returns
    -------
    Dataset
        ``response`` z on ``feature``, ``margin`` u and ``dual_variable`` alpha on ``sample``; ``response_error`` and
        ``margin_error`` bound what rounding does. Features and samples are counted from 1.

    Raises
    ------
    ParameterError
        When the problem has no coupled features, or l2 and decoupling are both 0: then the responses grow for ever,
        and :func:`hard_margin` gives their direction.
    ArithmeticError
        Where rounding decides: some combinations of features separate the samples and others do not, while the
        penalties are almost nothing.

    Examples
    --------
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> for strong in (2.0, 4.0, 6.0):  # the stronger the first feature, the less is learned of the second
    ...     print(fixed_point(TwoSamples(strong=strong, weak=2.0, coupling=0.5, l2=0.01)).response.values.round(4))
    [6.1204 1.64  ]
    [7.812  1.4668]
    [9.071  1.1853]
    """
    found = rest_of(problem)
    variables: dict[str, Any] = {
        "response": (("feature",), found.response), "response_error": (("feature",), found.response_error),
        "margin": (("sample",), found.margin), "margin_error": (("sample",), found.margin_error),
        "dual_variable": (("sample",), found.dual),
    }  # fmt: skip
    return answer(problem, None, variables, coordinates(problem), kind="theory", method="fixed_point", names=NAMES)


def rest_of(problem: Coupled) -> Rest:
    """Return the fixed point of one problem."""
    check_coupled(problem)
    return at_rest(problem.presence, penalties(problem))


def check_coupled(problem: Coupled) -> None:
    """Refuse what has no coupled features."""
    if not isinstance(problem, Coupled):
        raise ParameterError(f"problem must be TwoSamples or CoupledFeatures; got {type(problem).__name__}")


def penalties(problem: Coupled) -> Array:
    """Return p_j = l2/s_j^2 + decoupling of each feature, all above 0."""
    found = problem.l2 / problem.strength**2 + problem.decoupling
    if problem.l2 == problem.decoupling == 0.0:
        raise ParameterError(
            "l2 or decoupling must be above 0: without them there is no fixed point, the responses grow for ever along "
            "the direction that hard_margin gives"
        )
    if found.min() < _SMALLEST:
        must = f"must make l2/s_j^2 + decoupling at least {_SMALLEST:g} for every feature, or both be 0"
        raise ParameterError(f"l2 and decoupling {must}; got {found.min():g}")
    return found


def coordinates(problem: Coupled) -> dict[str, Any]:
    """Return the numbers of features and samples, from 1."""
    n, r = problem.presence.shape
    return {"feature": np.arange(1, r + 1), "sample": np.arange(1, n + 1)}
