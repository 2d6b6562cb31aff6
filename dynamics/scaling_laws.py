r"""Scaling laws of stochastic momentum on power-law random features.

Inputs x in R^v with independent x_j ~ N(0, j^(-2 alpha)); target <x, b> + noise xi with b_j = j^(-beta), xi ~ N(0, 1);
features u = W^T x in R^d with W_ij ~ N(0, 1/d) and d < v; prediction <u, theta>. With D = diag(j^(-2 alpha)):

* risk P = E (<u, theta> - <x, b>)^2 = \|D^(1/2) (W theta - b)\|^2, *without* a factor 1/2 and *without* noise^2;
* the gradient is that of *half* the squared error, averaged over the batch;
* K = W^T D W has eigenvalues l_j; theta* = K^(-1) W^T D b; P_inf = P(theta*), the floor;
* in the eigenbasis of K, w = theta - theta* and P = P_inf + sum_j l_j w_j^2; the momentum norm is \|y\|^2.

Nothing else about W, alpha, beta and v enters: a problem may be given as a :class:`Spectrum`.

Sources: arXiv 2505.16098 (DANA) and arXiv 2405.15074 (four plus three phases). The latter takes the *sum* over the
batch: its learning rate is ours divided by B. Public code of the former reports P/2 from simulations.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Self

import numpy as np
from pydantic import model_validator

from dynamics.algorithms import (
    SGD,
    Algorithm,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    HeavyBall,
    Nesterov,
    ScheduleFree,
    SGDMomentum,
)
from dynamics.counting import Counting, counting_rule
from dynamics.errors import ParameterError
from dynamics.groups import Groups, groups_of, power_law_groups
from dynamics.parameters import Declared, NotNegativeVector, PositiveVector, parameter
from dynamics.results import Variable
from dynamics.stability import Curvature

__all__ = [
    "ALGORITHMS",
    "PROBLEMS",
    "VARIABLES",
    "PowerLawRandomFeatures",
    "PowerLawSpectrum",
    "Problem",
    "Spectrum",
    "check_pair",
]

#: Symbols and meanings of what theory and simulation answer with.
VARIABLES: Mapping[str, Variable] = {
    "risk": Variable("P", "risk"),
    "momentum_norm": Variable(r"\Vert y\Vert^2", "squared norm of the momentum"),
    "discretisation": Variable(r"\delta P", "risk of the flow minus that of the discrete steps"),
    "forcing": Variable("F", "risk without the noise of the gradients"),
    "kernel": Variable("K", "later risk from the gradients' noise, per risk now"),
    "floor_part": Variable(r"F_0", "smallest risk that the features can reach"),
    "point_part": Variable(r"F_{pp}", "risk from what is not learned yet of the target"),
    "distortion_part": Variable(r"F_{ac}", "risk from the target's distortion by the features"),
    "noise_part": Variable(r"I K_{pp}", "risk from the gradients' noise in the first steps"),
    "effective_time": Variable(r"\vartheta", "effective time"),
    "kernel_norm": Variable(r"N", "share of the risk that comes from the gradients' noise"),
    "compute": Variable("f", "compute: features times steps"),
    "dimension": Variable("d^*", "best number of features"),
    "steps": Variable("t^*", "steps with the best number of features"),
    "curvature": Variable("x", "curvature"),
    "eigenvalue_density": Variable(r"\nu'(x)", "eigenvalues per unit of curvature"),
    "target_density": Variable(r"\mu'(x)", "squared target per unit of curvature"),
    "eigenvalues_below": Variable("N(x)", "number of eigenvalues below"),
    "eigenvalues_above": Variable("d - N(x)", "number of eigenvalues above"),
    "eigenvalue_count": Variable("n", "eigenvalues in a bin"),
    "group": Variable("g", "group of modes of one eigenvalue"),
    "multiplicity": Variable("m", "number of modes in each group, 1 or any number above 2"),
    "mode": Variable("j", "eigenvector of the features' covariance, largest eigenvalue first"),
    "eigenvalues": Variable("l_j", "eigenvalue of the features' covariance"),
    "initial_error": Variable("w_j^2", "squared initial error along each eigenvector"),
    "floor": Variable(r"P_\infty", "smallest risk that the features can reach"),
}

#: Angle of the sector, around the positive axis, in which sums over the spectrum are exact: that of s in 1/(1 - s/l).
SECTOR = 0.25


class Problem(Declared):
    """What all parametrisations of the problem share."""

    noise: float = parameter(
        0.0, symbol="s", meaning="standard deviation of the label noise", at_least=0.0, at_most=1e50, explore=(0.0, 1.0)
    )

    @property
    @abstractmethod
    def curvature(self) -> Curvature:
        """The curvatures that default coefficients are chosen from."""

    @property
    @abstractmethod
    def initial_risk(self) -> float:
        """P at theta = 0, for random features the same for every W."""

    @property
    def groups(self) -> Groups:
        """Groups of equal eigenvalues, where the spectrum is given."""
        raise ParameterError(f"problem must have a given spectrum; {type(self).__name__} has not")


class _PowerLaw(Problem):
    """Power laws of j in curvature and target, for random features of them or as they are."""

    alpha: float = parameter(
        1.0, symbol=r"\alpha", meaning="exponent of the inputs: x_j has variance j^(-2 alpha)", at_least=0.05,
        at_most=5.0, explore=(0.1, 2.0),
    )  # fmt: skip
    beta: float = parameter(
        0.7, symbol=r"\beta", meaning="exponent of the target: b_j = j^(-beta)", at_least=-5.0, at_most=5.0,
        explore=(0.0, 2.0),
    )  # fmt: skip
    dimension: int = parameter(
        200, symbol="d", meaning="number of features", at_least=1, at_most=2**52, scale="log", explore=(10, 10**9)
    )

    @property
    @abstractmethod
    def ambient(self) -> int:
        """Number of inputs."""

    def counting(self) -> Counting:
        """Return nodes and weights for sums over all inputs j of functions of j^(-2 alpha) and j^(-beta)."""
        return counting_rule(self.ambient, SECTOR / (2.0 * self.alpha))

    @property
    def curvature(self) -> Curvature:
        """The variances j^(-2 alpha) of the inputs; for random features their sum Tr is the mean of the trace of K."""
        nodes, weights = self.counting()
        return Curvature(nodes ** (-2.0 * self.alpha), weights, self.dimension, self.alpha, self.beta)

    @property
    def initial_risk(self) -> float:
        """P at theta = 0: the sum of j^(-2 alpha - 2 beta)."""
        nodes, weights = self.counting()
        return float(weights @ nodes ** (-2.0 * (self.alpha + self.beta)))


class PowerLawRandomFeatures(_PowerLaw):
    """Random features of inputs and targets that follow power laws (see the module for all normalisations).

    Examples
    --------
    >>> problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=1000)
    >>> problem.ambient, round(problem.curvature.trace, 4)
    (4000, 1.6447)
    >>> PowerLawRandomFeatures(dimension=1000, ambient_ratio=2.5).ambient
    2500
    """

    ambient_dimension: int | None = parameter(
        None, symbol="v", meaning="number of inputs, finite; none: from their ratio to the features", scale="log",
        at_least=2, at_most=2**53, explore=(100, 10**12),
    )  # fmt: skip
    ambient_ratio: float | None = parameter(
        None, symbol="v/d", meaning="inputs per feature, rounded to a whole number of inputs; none means 4",
        scale="log", above=1.0, at_most=2.0**53, explore=(1.1, 100.0),
    )  # fmt: skip

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.alpha + self.beta <= 0.5:
            must = (
                f"must be above 1/2 - alpha = {0.5 - self.alpha:g}: below, the floor does not fall with the dimension"
            )
            raise self.refused("beta", f"{must}, and there is no power law", self.beta)
        if self.ambient_dimension is not None and self.ambient_ratio is not None:
            must = f"must be left out where ambient_dimension is given, {self.ambient_dimension}"
            raise self.refused("ambient_ratio", must, self.ambient_ratio)
        if self.ambient_ratio is not None and not self.dimension < self.ambient <= 2**53:
            must = f"must give more than dimension = {self.dimension} inputs, and at most 2^53"
            raise self.refused("ambient_ratio", f"{must}: it gives {self.ambient}", self.ambient_ratio)
        if self.ambient <= self.dimension:
            raise self.refused("ambient_dimension", f"must be above dimension = {self.dimension}", self.ambient)
        return self

    @property
    def ambient(self) -> int:
        """Number of inputs v: as given, or the ratio times d, rounded."""
        if self.ambient_dimension is not None:
            return self.ambient_dimension
        return 4 * self.dimension if self.ambient_ratio is None else round(self.ambient_ratio * self.dimension)


class Spectrum(Problem):
    """A problem given by its modes: one drawn W in its eigenbasis, or any spectrum that one likes.

    Examples
    --------
    >>> problem = Spectrum(eigenvalues=[1.0, 0.25], initial_error=[1.0, 2.0], floor=0.1)
    >>> problem.initial_risk
    1.6
    """

    eigenvalues: PositiveVector = parameter(symbol="l_j", meaning="curvature of each mode, above 0", scale="log")
    initial_error: NotNegativeVector = parameter(
        symbol="w_j^2", meaning="squared error of the weights along each mode at step 0"
    )
    floor: float = parameter(
        0.0, symbol=r"P_\infty", meaning="risk that no weights can avoid", at_least=0.0, at_most=1e50, scale="log",
        explore=(1e-6, 1.0),
    )  # fmt: skip

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.initial_error) != len(self.eigenvalues):
            must = f"must have one value for each eigenvalue, {len(self.eigenvalues)}"
            raise self.refused("initial_error", must, len(self.initial_error))
        return self

    @property
    def curvature(self) -> Curvature:
        """The eigenvalues, each once."""
        values = np.array(self.eigenvalues, dtype=np.float64)
        return Curvature(values, np.ones_like(values), values.size)

    @property
    def initial_risk(self) -> float:
        """P at theta = 0."""
        return self.floor + float(np.dot(self.eigenvalues, self.initial_error))

    @property
    def groups(self) -> Groups:
        """Groups of exactly equal eigenvalues."""
        return groups_of(self.eigenvalues, self.initial_error, self.floor)


class PowerLawSpectrum(_PowerLaw):
    """The inputs themselves as features: l_j = j^(-2 alpha), w_j^2 = j^(-2 beta), j = 1 ... d, and a floor.

    Examples
    --------
    >>> problem = PowerLawSpectrum(alpha=1.0, beta=0.7, dimension=10**9)
    >>> problem.groups.eigenvalue.size
    365
    """

    floor: float = parameter(
        0.0, symbol=r"P_\infty", meaning="risk that no weights can avoid", at_least=0.0, at_most=1e50, scale="log",
        explore=(1e-6, 1.0),
    )  # fmt: skip

    @property
    def groups(self) -> Groups:
        """A few hundred groups for all modes; the mean risk is that of the modes to 1e-10."""
        return power_law_groups(self.alpha, self.beta, self.dimension, self.floor)

    @property
    def ambient(self) -> int:
        """Number of inputs, which are the features."""
        return self.dimension

    @property
    def initial_risk(self) -> float:
        """P at theta = 0: the sum of j^(-2 alpha - 2 beta), and the floor."""
        return self.floor + super().initial_risk


#: The parametrisations of the problem and the algorithms that have a meaning here, the default first.
PROBLEMS: tuple[type[Problem], ...] = (PowerLawRandomFeatures, PowerLawSpectrum, Spectrum)
ALGORITHMS: tuple[type[Algorithm], ...] = (
    SGD, SGDMomentum, HeavyBall, Nesterov, DanaConstant, DanaDecaying, ScheduleFree, GeneralMomentum,
)  # fmt: skip


def check_pair(problem: Declared, algorithm: Declared) -> None:
    """Refuse a problem or an algorithm of another phenomenon, naming the ones that exist here."""
    for name, value, allowed in (("problem", problem, PROBLEMS), ("algorithm", algorithm, ALGORITHMS)):
        if not isinstance(value, allowed):
            have = ", ".join(cls.__name__ for cls in allowed)
            raise ParameterError(f"{name} must be one of {have} for scaling laws; got {type(value).__name__}")
