"""How stable an algorithm is on the spectrum of a problem."""

from __future__ import annotations

from typing import NamedTuple

from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.algorithms import OneRate, StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, Problem, check_pair
from dynamics.stability import Curvature, kernel_norm, largest_stable

__all__ = ["Stability", "stability"]

#: The step at which schedules have reached what they tend to.
_LATE = 1e15


class Stability(NamedTuple):
    """Kernel norm N at late times, and the largest learning rate with N < 1."""

    kernel_norm: float
    largest_learning_rate: float


def stability(problem: Problem, algorithm: StochasticAlgorithm) -> Stability:
    r"""Return how far an algorithm is from where its mean risk stops to converge.

    With constant coefficients the mean risk tends to P_inf/(1 - N). Where they change with the step, N is that of what
    they tend to (of step 10^15): DANA-constant's Delta has gone to 0 there, so that to leading order
    N = (gamma2 Tr + d gamma1 gamma3/gamma2)/(2 B). See :mod:`dynamics.stability` for the formula.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        Of random features, the eigenvalues of the deterministic equivalent.
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying or ScheduleFree
        Its learning rate is varied; what is left open follows it, and other given parameters stay.

    Returns
    -------
    Stability
        ``kernel_norm`` (inf where a single mode is unstable) and ``largest_learning_rate``.

    Raises
    ------
    ParameterError
        For a pair without meaning, and for GeneralMomentum, which has no one learning rate.

    Examples
    --------
    >>> from dynamics.algorithms import SGD
    >>> found = stability(PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=1000), SGD())
    >>> round(found.kernel_norm, 3), round(found.largest_learning_rate, 3)
    (0.321, 0.61)
    """
    check_pair(problem, algorithm)
    if not isinstance(algorithm, OneRate):
        raise ParameterError(f"algorithm must have one learning rate; got {type(algorithm).__name__}")
    curvature = problem.curvature
    modes = curvature
    if isinstance(problem, PowerLawRandomFeatures):
        nodes = equivalent_nodes(problem)
        modes = curvature._replace(eigenvalues=nodes.curvature, multiplicities=nodes.modes)
    at = algorithm.rule(curvature).at_one(_LATE)
    return Stability(kernel_norm(modes, algorithm.batch_size, at), _largest(algorithm, curvature, modes))


def _largest(algorithm: OneRate, curvature: Curvature, modes: Curvature) -> float:
    """Vary the learning rate; what is left open is chosen from the problem's curvature, N is that of the modes."""

    def norm(rate: float) -> float:
        rule = algorithm.model_copy(update={"learning_rate": rate}).rule(curvature)
        return kernel_norm(modes, algorithm.batch_size, rule.at_one(_LATE))

    return largest_stable(norm, modes)
