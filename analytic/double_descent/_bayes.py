"""The smallest error that any method can reach."""

from __future__ import annotations

from analytic.double_descent._spectrum import Spectrum, merged
from dynamics.double_descent import Blocks, Problem, check_problem

__all__ = ["bayes_error"]


def bayes_error(problem: Problem) -> float:
    """Return the smallest E_G that any method can reach in the limit: that of the posterior mean.

    It is ridge regression at penalty sigma^2 on features of variance c, whatever the feature variances s^2 are:

        2 E_G = <c zeta/(c + zeta)>,   sigma^2 = zeta (alpha - <c/(c + zeta)>),   zeta >= 0.

    Without noise: 0 for n >= d. For teacher power c = 1: 2 E_G = zeta/(1 + zeta). At finite d it is off by O(1/d).

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        Normalisations as in :mod:`dynamics.double_descent`. Blocks of teacher power 0 are known to hold nothing.

    Returns
    -------
    float
        E_G, with its 1/2, on noiseless labels.

    Raises
    ------
    ParameterError
        For a problem of another phenomenon.

    Examples
    --------
    >>> from dynamics.double_descent import TwoScale
    >>> round(bayes_error(TwoScale(samples=150, dimension=100, noise=0.3)), 5)
    0.06287
    """
    check_problem(problem)
    _, fraction, power = problem.blocks
    taught = power > 0.0
    share = float(fraction[taught].sum())
    if share == 0.0:
        return 0.0
    # directions that teach nothing drop out: the same problem in dimension share * d
    inputs = Blocks(share * power[taught], fraction[taught] / share, power[taught])
    ratio = problem.sampling_ratio / share
    surplus = ratio - 1.0 if share < 1.0 else (problem.samples - problem.dimension) / problem.dimension
    spectrum = Spectrum(merged(inputs), ratio, surplus)
    zeta = spectrum.zeta_of_penalty(problem.noise**2)
    variance = spectrum.blocks.variance
    return float(spectrum.mean(variance * (zeta / (variance + zeta)))) / 2.0
