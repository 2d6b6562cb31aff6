r"""Epoch-wise double descent: an anisotropic linear student learns from a linear teacher.

Latent inputs z ~ N(0, I_d / d); teacher W with independent components W_i ~ N(0, c_b), labels y = z.W + eps with
eps ~ N(0, sigma^2). The student sees the features x = F^T z (n samples X = Z F) and trains w from 0 on
1/2 |Xw - y|^2 (a sum, not a mean). Only the eigenvalues s_b^2 of F^T F matter, so F = diag(s) without loss of
generality (rotations of Gaussian z, isotropic within each block, change nothing).

Order parameters, with T = |W|^2 / d (its mean <c> is 1 in the paper):

* alignment R = W^T F w / d,
* norm Q = |F w|^2 / d,
* generalization error E_G = (T - 2R + Q)/2, on fresh *noiseless* labels (noisy labels would add sigma^2/2); it starts
  at <c>/2,
* training error E_T = |Xw - y|^2 / (2n).

Source: Pezeshki, Mitra, Bengio, Lajoie, "Multi-scale feature learning dynamics", arXiv 2112.03215.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from dynamics.algorithms import Algorithm, GradientDescent, GradientFlow
from dynamics.errors import ParameterError
from dynamics.parameters import Declared, NotNegativeVector, PositiveVector, parameter
from dynamics.results import Variable

__all__ = [
    "ALGORITHMS",
    "PROBLEMS",
    "VARIABLES",
    "Blocks",
    "PowerLawTeacherStudent",
    "Problem",
    "TeacherStudent",
    "TwoScale",
    "check_conditioning",
    "check_pair",
    "check_problem",
    "trained_blocks",
]

#: Symbols and meanings of what theory and simulation answer with.
VARIABLES: Mapping[str, Variable] = {
    "alignment": Variable("R", "alignment of student and teacher"),
    "norm": Variable("Q", "squared norm of the student"),
    "generalization_error": Variable("E_G", "generalization error on noiseless labels"),
    "training_error": Variable("E_T", "training error"),
    "penalty": Variable(r"\lambda", "L2 penalty on the weights"),
    "teacher": Variable("m", "independent draw of teacher and label noise, given the data"),
    "learning_rate": Variable(r"\eta", "step size used"),
    "largest_eigenvalue": Variable(r"\lambda_{\max}", "largest eigenvalue of X^T X"),
}


class Blocks(NamedTuple):
    """Blocks of feature directions: variance s_b^2, fraction w_b of all, teacher power c_b; each (blocks,)."""

    variance: NDArray[np.float64]
    fraction: NDArray[np.float64]
    power: NDArray[np.float64]

    @property
    def mean_power(self) -> float:
        """<c> = sum_b w_b c_b, the mean of |W|^2 / d."""
        return float(self.fraction @ self.power)


class Problem(Declared):
    """What all parametrisations of the problem share."""

    samples: int = parameter(
        150, symbol="n", meaning="number of training samples", at_least=1, at_most=2**53, scale="log",
        explore=(10, 1000),
    )  # fmt: skip
    dimension: int = parameter(
        100, symbol="d", meaning="number of feature directions", at_least=1, at_most=2**53, scale="log",
        explore=(10, 1000),
    )  # fmt: skip
    noise: float = parameter(
        0.0, symbol=r"\sigma", meaning="standard deviation of the label noise", at_least=0.0, at_most=1e50,
        explore=(0.0, 1.0),
    )  # fmt: skip

    @property
    @abstractmethod
    def blocks(self) -> Blocks:
        """Variance, fraction and teacher power of each block of directions."""

    @property
    def sampling_ratio(self) -> float:
        """Alpha = n/d, samples per direction."""
        return self.samples / self.dimension

    def directions(self) -> NDArray[np.int64]:
        """Return the whole number of directions in each block, as a simulation needs them.

        Raises
        ------
        ParameterError
            When a fraction of the dimension is not a whole number of directions.
        """
        exact = self.blocks.fraction * self.dimension
        counts = np.rint(exact).astype(np.int64)
        wrong = np.abs(exact - counts) > 1e-9 * self.dimension
        if wrong.any():
            b = int(np.argmax(wrong))
            raise ParameterError(
                f"fractions must give whole numbers of directions for a simulation; block {b} would have "
                f"{exact[b]:g} of the {self.dimension}"
            )
        return counts


class TeacherStudent(Problem):
    """A teacher-student problem given by its blocks of feature directions (see the module for all normalisations).

    E_G carries its 1/2 and is measured on noiseless labels. With sum_b w_b c_b = 1 (as in the paper) the label variance
    without noise is 1 and sigma^2 is a noise-to-signal ratio; other teacher powers are allowed and scale with E_G.

    Examples
    --------
    >>> problem = TeacherStudent(samples=130, variances=[1, 1e-2, 1e-4], fractions=[0.5, 0.3, 0.2])
    >>> problem.sampling_ratio
    1.3
    """

    variances: PositiveVector = parameter(
        (1.0, 1e-3), symbol="s_b^2", meaning="variance of the features in each block, above 0", scale="log"
    )
    fractions: NotNegativeVector | None = parameter(
        None, symbol="w_b", meaning="fraction of the directions in each block; none means equal ones"
    )
    teacher_power: NotNegativeVector | None = parameter(
        None, symbol="c_b", meaning="teacher's power per direction in each block; none means 1"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        count = len(self.variances)
        for name, values in (("fractions", self.fractions), ("teacher_power", self.teacher_power)):
            if values is not None and len(values) != count:
                raise self.refused(name, f"must have one value per block, {count}", values)
        if self.fractions is not None and abs(sum(self.fractions) - 1.0) > 1e-12 * (count + 1):
            raise self.refused("fractions", "must sum to 1", sum(self.fractions))
        return self

    @property
    def blocks(self) -> Blocks:
        """Variance, fraction and teacher power of each block of directions."""
        count = len(self.variances)
        fraction = np.full(count, 1.0 / count) if self.fractions is None else np.array(self.fractions, dtype=np.float64)
        power = np.ones(count) if self.teacher_power is None else np.array(self.teacher_power, dtype=np.float64)
        return Blocks(np.array(self.variances, dtype=np.float64), fraction, power)


class TwoScale(Problem):
    """The paper's problem: p fast directions of singular value 1 and d - p slow ones of singular value 1/kappa.

    Examples
    --------
    >>> TwoScale(samples=150, dimension=100, fast=60, condition_number=50).blocks.variance
    array([1.e+00, 4.e-04])
    """

    fast: int = parameter(60, symbol="p", meaning="number of fast feature directions", at_least=0, explore=(1, 1000))
    condition_number: float = parameter(
        50.0, symbol=r"\kappa", meaning="ratio of the singular values of fast and slow features", at_least=1.0,
        at_most=1e12, scale="log", explore=(1.0, 1e5),
    )  # fmt: skip

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.fast > self.dimension:
            hint = "" if "fast" in self.model_fields_set else ", its default: give fast too"
            raise self.refused("fast", f"must be at most dimension = {self.dimension}", self.fast, hint)
        return self

    @property
    def blocks(self) -> Blocks:
        """Variance, fraction and teacher power of the fast and the slow block."""
        fast = self.fast / self.dimension
        slow = (self.dimension - self.fast) / self.dimension
        return Blocks(np.array([1.0, self.condition_number**-2.0]), np.array([fast, slow]), np.ones(2))


class PowerLawTeacherStudent(Problem):
    """Feature variances s_k^2 = k^-nu_s and teacher power c_k proportional to k^-nu_c with mean 1, k = 1 ... d.

    Each direction is a block of its own, so ``dimension`` is at most 10^5 (a gigabyte in theory).

    Examples
    --------
    >>> PowerLawTeacherStudent(samples=30, dimension=3, variance_exponent=2).blocks.variance.round(3)
    array([1.   , 0.25 , 0.111])
    """

    variance_exponent: float = parameter(
        1.0, symbol=r"\nu_s", meaning="decay exponent of the feature variances", at_least=0.0, explore=(0.0, 4.0)
    )
    teacher_exponent: float = parameter(
        0.0, symbol=r"\nu_c", meaning="decay exponent of the teacher's power", at_least=0.0, at_most=100.0,
        explore=(0.0, 3.0),
    )  # fmt: skip

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.dimension > 10**5:
            raise self.refused("dimension", "must be at most 100000 for a power law", self.dimension)
        most = 50 / math.log10(max(self.dimension, 2))
        if self.variance_exponent > most:
            must = f"must be at most {most:g} at dimension = {self.dimension}, for a last variance of 1e-50"
            raise self.refused("variance_exponent", must, self.variance_exponent)
        return self

    @property
    def blocks(self) -> Blocks:
        """Variance, fraction 1/d and teacher power of each direction."""
        k = np.arange(1, self.dimension + 1, dtype=np.float64)
        power = k**-self.teacher_exponent
        return Blocks(k**-self.variance_exponent, np.full(k.size, 1.0 / k.size), power / power.mean())


#: An error of 1e-10 in E_G.
_WORST_CONDITIONED = 1e11

#: The parametrisations of the problem and the algorithms that have a meaning here, the default first.
PROBLEMS: tuple[type[Problem], ...] = (TwoScale, TeacherStudent, PowerLawTeacherStudent)
ALGORITHMS: tuple[type[Algorithm], ...] = (GradientFlow, GradientDescent)


def check_pair(problem: Declared, algorithm: Declared) -> None:
    """Refuse a problem or an algorithm of another phenomenon, naming the ones that exist here."""
    check_problem(problem)
    _check_class("algorithm", algorithm, ALGORITHMS)


def check_problem(problem: Declared) -> None:
    """Refuse a problem of another phenomenon, naming the ones that exist here."""
    _check_class("problem", problem, PROBLEMS)


def _check_class(name: str, value: object, allowed: tuple[type[Declared], ...]) -> None:
    if not isinstance(value, allowed):
        have = ", ".join(cls.__name__ for cls in allowed)
        raise ParameterError(f"{name} must be one of {have} for double descent; got {type(value).__name__}")


def check_conditioning(problem: Problem) -> None:
    """Refuse averages over teachers, given the data, where rounding would drown them.

    They are quadratic forms whose entries reach the square of the ratio of the features' standard deviations: measured,
    E_G is off by about 1e-32 of it.
    """
    variance = problem.blocks.variance[problem.blocks.fraction > 0]
    ratio = math.sqrt(variance.max() / variance.min())
    if ratio > _WORST_CONDITIONED:
        raise ParameterError(
            f"the ratio of the features' standard deviations must be at most {_WORST_CONDITIONED:g} for averages over "
            f"teachers, whose rounding errors grow like its square; got {ratio:g}. Sampled teachers have no such limit"
        )


def trained_blocks(problem: Problem, algorithm: GradientFlow | GradientDescent) -> Blocks:
    """Return the blocks as the algorithm sees them: rates rho_b turn s_b^2 into rho_b s_b^2.

    With w = P^(1/2) v, training w at rates P is training v at rate 1 on the features X P^(1/2); R, Q and the errors are
    the same, and so is the teacher's power per direction. An L2 penalty on w is not one on v, and is refused.
    """
    blocks = problem.blocks
    if algorithm.rates is None:
        return blocks
    if len(algorithm.rates) != blocks.variance.size:
        raise algorithm.refused("rates", f"must be one per block, {blocks.variance.size}", len(algorithm.rates))
    if algorithm.l2 != 0.0:
        must = "cannot be combined with l2: the penalty is not isotropic in the rescaled features, no closed form holds"
        raise algorithm.refused("rates", must, f"rates {algorithm.rates}, l2 {algorithm.l2!r}")
    variance = blocks.variance * np.asarray(algorithm.rates)
    if variance.min() < 1e-60 or variance.max() > 1e60:
        must = "must leave the variances of the features, times the rates, in [1e-60, 1e60]"
        raise algorithm.refused("rates", must, algorithm.rates)
    return blocks._replace(variance=variance)
