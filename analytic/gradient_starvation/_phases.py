r"""Where in the plane of strengths and coupling a feature is starved, and how hard.

Two samples, U = [[c, -s], [s, c]]. What counts is how strong each feature is for the penalties, 1/p_j with
p_j = l2/s_j^2 + decoupling (without spectral decoupling s_j^2, up to a factor). Swapping samples and features, and
turning signs, leads from every coupling to one in [0, 1/sqrt 2]: s and c may be exchanged, and for s < 0 the features.
"""

from __future__ import annotations

import math

import numpy as np

from analytic.gradient_starvation._fixed_point import penalties
from dynamics.errors import ParameterError, shown
from dynamics.gradient_starvation import TwoSamples

__all__ = ["critical_ratio", "phase"]

#: Differences that rounding makes of nothing.
_ROUNDING = 8.0 * float(np.finfo(np.float64).eps)


def critical_ratio(coupling: float) -> float:
    r"""Return rho_c = c (c + s)/(s (c - s)), the ratio s_1^2/s_2^2 above which starvation of the second is hard.

    Up to it both samples stay support vectors as the penalties vanish, z_2/z_1 tends to (c - s)/(c + s), and the
    strengths drop out. Above it the first sample is none any more, z_2/z_1 tends to (s_2^2/s_1^2) c/s, and
    d ln z_2/d ln s_1^2 to -s^2 s_1^2/(s^2 s_1^2 + c^2 s_2^2). The smallest rho_c is 3 + 2 sqrt 2, at s = sin(pi/8).

    Parameters
    ----------
    coupling : float
        s, above 0 and below 1/sqrt 2: the first feature helps both samples, the second hurts the first.

    Returns
    -------
    float
        rho_c.

    Raises
    ------
    ParameterError
        When the coupling is out of range.

    Examples
    --------
    >>> round(critical_ratio(0.5), 4)
    6.4641
    """
    ok = isinstance(coupling, (int, float, np.floating)) and not isinstance(coupling, bool)
    if not (ok and 0.0 < coupling < math.sqrt(0.5)):
        raise ParameterError(f"coupling (coupling of the features) must be in (0, 1/sqrt 2); got {shown(coupling)}")
    s = float(coupling)
    c = math.sqrt((1.0 - s) * (1.0 + s))
    return c * (c + s) / (s * (c - s))


def phase(problem: TwoSamples) -> str:
    r"""Return which kind of interaction the two features have.

    ========== ==========================================================================================
    uncoupled  s = 0: each feature is learned as if it were alone
    helping    the feature that both samples share is the weaker one: strength of one helps the other
    balanced   both are equally strong, or l2 is 0: strength of one does not matter to the other
    soft       starvation, at any l2, which vanishes slowly as the penalties do
    hard       starvation, at any l2, which stays: the ratio of strengths is above :func:`critical_ratio`
    complete   coupling^2 = 1/2: one feature explains all labels, the other is not learned at all
    ========== ==========================================================================================

    Parameters
    ----------
    problem : TwoSamples
        Without any penalty the phase is that of l2 -> 0.

    Returns
    -------
    str
        One of the names above.

    Raises
    ------
    ParameterError
        For another problem, and for penalties beyond the range of floats.

    Examples
    --------
    >>> [phase(TwoSamples(strong=strong, weak=2.0, coupling=0.5)) for strong in (1.0, 2.0, 4.0, 6.0)]
    ['helping', 'balanced', 'soft', 'hard']
    >>> phase(TwoSamples(strong=6.0, weak=2.0, coupling=0.5, l2=0.0, decoupling=0.002))
    'balanced'
    """
    if not isinstance(problem, TwoSamples):
        raise ParameterError(f"problem must be TwoSamples; got {type(problem).__name__}")
    s = abs(problem.coupling)
    c = math.sqrt((1.0 - s) * (1.0 + s))
    if s == 0.0:
        return "uncoupled"
    if abs(s - c) <= _ROUNDING:
        return "complete"
    unpenalised = problem.l2 == problem.decoupling == 0.0
    first, second = problem.strength**-2.0 if unpenalised else penalties(problem)
    if problem.coupling < 0.0:
        first, second = second, first
    ratio = second / first
    if abs(ratio - 1.0) <= _ROUNDING:
        return "balanced"
    if ratio < 1.0:
        return "helping"
    return "soft" if ratio <= critical_ratio(min(s, c)) else "hard"
