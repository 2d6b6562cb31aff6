r"""What the strength of one feature does to the response of another.

From p z = U^T sigma(-U z), p_j = l2/s_j^2 + decoupling, by implicit differentiation

    d z_i/d s_j^2 = (l2 z_j/s_j^4) [P^-1]_ij,    P = diag(p) + U^T D U,    D = diag(sigma(u) sigma(-u)).

P^-1 is symmetric and positive: the response of a feature grows with its own strength, and starvation is mutual in sign,
though not in size. Spectral decoupling alone (l2 = 0) takes the strengths out altogether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components

from analytic.gradient_starvation._fixed_point import NAMES, coordinates, penalties, rest_of
from analytic.gradient_starvation._newton import Rest, at_rest
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import Coupled
from dynamics.results import answer

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["elasticity", "elasticity_grid", "sensitivity"]

Array = NDArray[np.float64]

_EPS = float(np.finfo(np.float64).eps)
#: What is below this many bounds of its rounding error counts as 0.
_ZERO = 16.0


class _Inverse(NamedTuple):
    """P^-1, and what rounding may have done to it."""

    value: Array
    error: Array


def sensitivity(problem: Coupled) -> xr.Dataset:
    r"""Return how the responses at rest change with the square of each strength, and which feature starves which.

    Feature j starves feature i when the *size* of z_i shrinks as s_j grows, sign(z_i) dz_i/ds_j^2 < 0; the signs of the
    columns of U, which mean nothing, drop out.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        At least one of l2 and decoupling above 0.

    Returns
    -------
    Dataset
        ``sensitivity`` dz_i/ds_j^2 on (feature i, cause j), ``sensitivity_error``, which bounds its rounding, and
        ``starves``: true where feature i is starved by feature j. It is false where the derivative or z_i is 0 up to
        rounding.

    Raises
    ------
    ParameterError, ArithmeticError
        As :func:`fixed_point`.

    Examples
    --------
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> found = sensitivity(TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=0.01))
    >>> found.sensitivity.values.round(4), found.starves.values
    (array([[ 0.086 , -0.049 ],
           [-0.0163,  0.1351]]), array([[False,  True],
           [ True, False]]))
    """
    rest = rest_of(problem)
    inverse = _inverse(problem.presence, penalties(problem), rest)
    factor = _factor(problem, rest)
    value = factor * inverse.value
    uncertain = rest.response_error / np.where(rest.response == 0.0, 1.0, np.abs(rest.response))
    error = np.abs(factor) * inverse.error + np.abs(value) * uncertain
    learned = np.abs(rest.response) > _ZERO * rest.response_error
    sign = np.where(learned, np.sign(rest.response), 0.0)
    shrinks = sign[:, None] * sign * inverse.value < -_ZERO * inverse.error
    variables: dict[str, Any] = {
        "sensitivity": (("feature", "cause"), value),
        "sensitivity_error": (("feature", "cause"), error),
        "starves": (("feature", "cause"), shrinks & (problem.l2 > 0.0)),
    }
    axes = coordinates(problem)
    axes = {"feature": axes["feature"], "cause": axes["feature"]}
    return answer(problem, None, variables, axes, kind="theory", method="sensitivity", names=NAMES)


def elasticity(problem: Coupled) -> Array:
    r"""Return the matrix E_ij = d ln \|z_i\|/d ln s_j^2: by which power of s_j^2 the response of feature i changes.

    Of two features E[1, 0] says how much of the second the first takes away; it is negative where it does.

    Parameters
    ----------
    problem : TwoSamples or CoupledFeatures
        At least one of l2 and decoupling above 0.

    Returns
    -------
    array
        E, of shape (r, r).

    Raises
    ------
    ParameterError
        As :func:`fixed_point`, and when a response is 0, for which there is no logarithm.
    ArithmeticError
        As :func:`fixed_point`.

    Examples
    --------
    >>> from dynamics.gradient_starvation import TwoSamples
    >>> float(elasticity(TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=0.01))[1, 0].round(3))
    -0.178
    """
    rest = rest_of(problem)
    if (np.abs(rest.response) <= _ZERO * rest.response_error).any():
        which = 1 + int(np.argmin(np.abs(rest.response) / rest.response_error))
        raise ParameterError(f"problem must have responses that are not 0; that of feature {which} is, up to rounding")
    inverse = _inverse(problem.presence, penalties(problem), rest)
    return np.asarray(_factor(problem, rest) * inverse.value * problem.strength**2 / rest.response[:, None])


def elasticity_grid(
    strong: ArrayLike, weak: ArrayLike, coupling: ArrayLike, l2: ArrayLike, decoupling: ArrayLike = 0.0
) -> Array:
    r"""Return d ln \|z_2\|/d ln s_1^2 of many problems of two samples at once, as maps need it.

    Parameters
    ----------
    strong, weak, coupling, l2, decoupling : arrays
        The parameters of :class:`dynamics.gradient_starvation.TwoSamples`, of shapes that broadcast. The elements are
        in the ranges that it allows, and l2 is above 0.

    Returns
    -------
    array
        Of the broadcast shape; nan, where coupling^2 is 1/2 up to rounding: there z_2 is 0.

    Raises
    ------
    ParameterError
        When a value is out of range.

    Examples
    --------
    >>> elasticity_grid(strong=[3.0, 4.0, 8.0], weak=2.0, coupling=0.5, l2=0.01).round(3)
    array([-0.091, -0.178, -0.539])
    """
    parts = np.broadcast_arrays(
        *(np.asarray(one, dtype=np.float64) for one in (strong, weak, coupling, l2, decoupling))
    )
    one, two, s, penalty, also = parts
    for name, values, low, high in (
        ("strong", one, 1e-25, 1e25), ("weak", two, 1e-25, 1e25), ("l2", penalty, 1e-200, 1e50),
        ("decoupling", also, 0.0, 1e50), ("coupling", s, -1.0 + 1e-12, 1.0 - 1e-12),
    ):  # fmt: skip
        bad = ~((values >= low) & (values <= high))
        if bad.any():
            raise ParameterError(f"{name} must be in [{low:.13g}, {high:.13g}]; got {values[bad][0]:g}")
    c = np.sqrt((1.0 - s) * (1.0 + s))
    presence = np.stack([np.stack([c, -s], axis=-1), np.stack([s, c], axis=-1)], axis=-2)
    square = np.stack([one, two], axis=-1) ** 2
    rest = at_rest(presence, penalty[..., None] / square + also[..., None])
    z = rest.response
    learned = np.abs(z[..., 1]) > _ZERO * rest.response_error[..., 1]
    ratio = z[..., 0] / np.where(learned, z[..., 1], np.nan)
    return np.asarray(penalty / square[..., 0] * ratio * rest.inverse[..., 1, 0])


def _factor(problem: Coupled, rest: Rest) -> Array:
    """Return l2 z_j/s_j^4."""
    square = problem.strength**2
    return np.asarray((problem.l2 / square) * (rest.response / square))


def _inverse(presence: Array, penalty: Array, rest: Rest) -> _Inverse:
    """Return P^-1 and what the rounding of P, and of the margins in D, does to it.

    Margins below 1 enter by tanh(u/2)^2/4 = 1/4 - D only. Features that no chain of samples joins have 0 there; the
    factorisation, in which all of them meet, would leave rounding.
    """
    size, margin = np.abs(presence), np.abs(rest.margin)
    curvature = rest.dual * (1.0 - rest.dual)
    if margin.max() < 1.0:
        t = 0.5 * np.tanh(0.5 * margin)
        moved, diagonal = t * rest.margin_error + 4.0 * _EPS * t * t, penalty + 0.25
    else:
        moved, diagonal = curvature * (rest.margin_error + 4.0 * _EPS), penalty + (size.T**2) @ curvature
    off = (size.T * moved) @ size + 4.0 * _EPS * np.diag(diagonal)
    _, group = connected_components(size.T @ size > 0.0)
    inverse = np.where(group[:, None] == group, rest.inverse, 0.0)
    absolute = np.abs(inverse)
    return _Inverse(inverse, absolute @ off @ absolute)
