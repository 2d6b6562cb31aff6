"""How stable an algorithm is on the spectrum of a problem, and how far its parameters are from where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from analytic.scaling_laws._strip import equivalent_nodes
from dynamics.algorithms import GeneralMomentum, HeavyBall, OneRate, Rule, SGDMomentum, StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.parameters import check_between
from dynamics.scaling_laws import PowerLawRandomFeatures, Problem, check_pair
from dynamics.schedules import Schedule
from dynamics.stability import Coefficients, Curvature, kernel_norm, largest_below_one, leading_kernel_norm

__all__ = ["Stability", "stability"]

#: The step at which schedules have reached what they tend to.
_LATE = 1e15
#: Largest rate that a parameter may have.
_MOST = 1e50

_Pair = tuple[float | None, float | None]


class Stability(NamedTuple):
    """Kernel norm N, and the largest parameters with N < 1, each exactly and to leading order (see :func:`stability`).

    None where the algorithm has no such parameter, where it is a schedule, or where no value of it is stable; inf
    where nothing bounds it (of the momentum: 1).
    """

    kernel_norm: float
    kernel_norm_leading: float
    largest_learning_rate: float | None
    largest_learning_rate_leading: float | None
    largest_momentum_rate: float | None
    largest_momentum_rate_leading: float | None
    largest_momentum: float | None
    largest_momentum_leading: float | None


def stability(problem: Problem, algorithm: StochasticAlgorithm, *, step: float = _LATE) -> Stability:
    r"""Return how far an algorithm is from where its mean risk stops to converge.

    With constant coefficients the mean risk tends to P_inf/(1 - N). Where they change with the step, N is that of the
    coefficients at one step, by default of what they tend to: DANA-constant's Delta has gone to 0 there, so that to
    leading order N = (gamma2 Tr + d gamma1 gamma3/gamma2)/(2 B). See :mod:`dynamics.stability` for both formulas.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        Of random features, the eigenvalues of the deterministic equivalent.
    algorithm : SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying, ScheduleFree or GeneralMomentum
        One parameter is varied at a time. What is left open follows the learning rate; when another parameter is
        varied it stays what it is for the algorithm as given.
    step : float
        The step whose coefficients are taken, from 0 to 10^15. DANA-decaying's gamma3 goes to 0 and any momentum rate
        is stable in the end: ask for the last step of a training.

    Returns
    -------
    Stability
        ``kernel_norm`` (inf where a single mode is unstable), ``largest_learning_rate``, ``largest_momentum_rate`` (of
        SGDMomentum, DANA and GeneralMomentum) and ``largest_momentum`` (rho of HeavyBall and Nesterov, 1 - Delta of
        SGDMomentum and GeneralMomentum), and the same names with ``_leading``: to leading order in l times the step
        sizes, which knows no bound of single modes. See :class:`Stability` for None and inf. Learning rates far below
        the largest may be unstable too where the momentum rate is given.

    Raises
    ------
    ParameterError
        For input that is not allowed, a pair without meaning, and step sizes that depend on the risk.

    Examples
    --------
    >>> from dynamics.algorithms import SGD, DanaConstant
    >>> problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=1000)
    >>> found = stability(problem, SGD())
    >>> round(found.kernel_norm, 3), round(found.largest_learning_rate, 3), found.largest_momentum_rate
    (0.321, 0.61, None)
    >>> found = stability(problem, DanaConstant())  # by default 0.5 gamma2/d, gamma2 = 0.304
    >>> [f"{1000 * rate:.3f}" for rate in (found.largest_momentum_rate, found.largest_momentum_rate_leading)]
    ['0.412', '0.456']
    """
    check_pair(problem, algorithm)
    step = check_between("step", "step whose coefficients are taken", step, 0.0, _LATE)
    curvature = problem.curvature
    modes = curvature
    if isinstance(problem, PowerLawRandomFeatures):
        nodes = equivalent_nodes(problem)
        modes = curvature._replace(eigenvalues=nodes.curvature, multiplicities=nodes.modes)
    rule = algorithm.rule(curvature)
    if rule.risk_exponent:
        raise ParameterError(
            f"risk_exponent must be 0: step sizes that depend on the risk have no kernel norm; got {rule.risk_exponent}"
        )
    search = _Search(curvature, modes, algorithm.batch_size, step)
    at, given = rule.at_one(step), _given(algorithm, rule)
    return Stability(
        kernel_norm(modes, algorithm.batch_size, at), leading_kernel_norm(modes, algorithm.batch_size, at),
        *search.learning_rates(algorithm), *search.momentum_rates(given), *search.momenta(given),
    )  # fmt: skip


def _given(algorithm: StochasticAlgorithm, rule: Rule) -> StochasticAlgorithm:
    """Return the algorithm with numbers for what it leaves open and the momentum, or its rate, must not change."""
    found = {}
    if isinstance(algorithm, OneRate) and algorithm.learning_rate is None:
        found["learning_rate"] = rule.gamma3 if isinstance(algorithm, HeavyBall) else rule.gamma2
    if isinstance(algorithm, SGDMomentum) and algorithm.momentum_rate is None:
        found["momentum_rate"] = rule.gamma3
    return algorithm.model_copy(update=found)


def _varies(algorithm: StochasticAlgorithm, name: str) -> bool:
    return name in type(algorithm).model_fields and not isinstance(getattr(algorithm, name), Schedule)


class _Search(NamedTuple):
    """Vary one parameter: what is left open is chosen from the problem's curvature, N is that of the modes.

    Each search begins above all that is stable: exactly, gamma2 l < 2 and gamma1 gamma3 l < 4 for each mode; to leading
    order gamma2 l < 2 B and gamma1 gamma3 l < 2 B (Delta + gamma2 l).
    """

    curvature: Curvature
    modes: Curvature
    batch_size: int
    step: float

    def learning_rates(self, algorithm: StochasticAlgorithm) -> _Pair:
        if not _varies(algorithm, "learning_rate"):
            return None, None
        # of Schedule-Free gamma2 is 1 - s times the rate, and 1 - s may be 1e-16
        high = min(1e18 * self.batch_size / float(self.modes.eigenvalues.max()), _MOST)
        return self._largest(algorithm, "learning_rate", 1e-12 / self.modes.trace, high)

    def momentum_rates(self, given: StochasticAlgorithm) -> _Pair:
        if not _varies(given, "momentum_rate"):
            return None, None
        unit = self._at(given, "momentum_rate", 1.0)
        weight = float(unit.gamma1) * float(unit.gamma3)
        if weight == 0.0:  # of a momentum that is always 0
            return self._largest(given, "momentum_rate", 1.0, 1.0)
        high = min(10.0 * self.batch_size**2 / (weight * float(self.modes.eigenvalues.max())), _MOST)
        return self._largest(given, "momentum_rate", min(1e-40 / (weight * self.modes.trace), high), high)

    def momenta(self, given: StochasticAlgorithm) -> _Pair:
        """Vary 1/Delta = 1/(1 - rho)."""
        if _varies(given, "momentum"):
            pair = self._largest(given, "momentum", 1.0, 1e12, lambda long: 1.0 - 1.0 / long)
        elif isinstance(given, SGDMomentum | GeneralMomentum) and _varies(given, "decay"):
            pair = self._largest(given, "decay", 1.0, 1e12, lambda long: 1.0 / long)
        else:
            return None, None
        exact, leading = (None if long is None else 1.0 - 1.0 / long for long in pair)
        return exact, leading

    def _at(self, base: StochasticAlgorithm, name: str, value: float) -> Coefficients:
        return base.model_copy(update={name: value}).rule(self.curvature).at_one(self.step)

    def _largest(
        self, base: StochasticAlgorithm, name: str, low: float, high: float, value: Callable[[float], float] = float
    ) -> _Pair:
        """Return the largest stable value in both senses."""

        def of(norm: Callable[[Curvature, int, Coefficients], float]) -> float | None:
            return largest_below_one(
                lambda x: norm(self.modes, self.batch_size, self._at(base, name, value(x))), low, high
            )

        return of(kernel_norm), of(leading_kernel_norm)
