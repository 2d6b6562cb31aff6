"""Stability on the spectrum of a problem: exact thresholds, leading orders, and what happens on either side."""

import numpy as np
import pytest

from analytic.scaling_laws import edges, solve, stability
from dynamics.algorithms import SGD, DanaConstant, GeneralMomentum, HeavyBall, Nesterov, SGDMomentum
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum

J = np.arange(1, 101.0)
GIVEN = Spectrum(eigenvalues=J**-1.2, initial_error=J**-1.0, floor=0.01)


@pytest.mark.parametrize(("batch", "largest"), [(1, 0.437), (4, 1.180), (32, 1.877)])
def test_largest_rates_of_sgd(batch, largest):
    """Three digits of another code; sum gamma l/(2B - (B+1) gamma l) = 1 to the last one."""
    rate = stability(GIVEN, SGD(batch_size=batch)).largest_learning_rate
    assert rate == pytest.approx(largest, abs=6e-4)
    x = rate * J**-1.2
    assert (x / (2 * batch - (batch + 1) * x)).sum() == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize(("batch", "exact", "leading"), [(1, 2.003e-3, 2.082e-3), (4, 2.848e-2, 3.099e-2)])
def test_largest_momentum_rate_of_dana_constant(batch, exact, leading):
    """Of another code, with its leading order: gamma2 Tr + d gamma1 gamma3/gamma2 = 2B."""
    trace = (J**-1.2).sum()
    rate = 0.5 * min(batch / trace, 1)
    assert (2 * batch - rate * trace) * rate / 100 == pytest.approx(leading, rel=3e-4)
    below, above = (
        stability(GIVEN, DanaConstant(batch_size=batch, momentum_rate=exact * factor, decay=4)).kernel_norm
        for factor in (0.999, 1.001)
    )
    assert below < 1 < above


@pytest.mark.parametrize("factor", [0.97, 1.03])
def test_the_mean_risk_decays_below_and_grows_above(factor):
    rate = factor * stability(GIVEN, SGD()).largest_learning_rate
    if factor < 1:
        risk = solve(GIVEN, SGD(learning_rate=rate), [10**6], method="recursion").risk.values
        norm = stability(GIVEN, SGD(learning_rate=rate)).kernel_norm
        assert risk[0] == pytest.approx(0.01 / (1 - norm), rel=1e-3)
    else:
        with pytest.raises(ParameterError, match="kernel norm"):
            solve(GIVEN, SGD(learning_rate=rate), [3000], method="recursion")


@pytest.mark.parametrize("cls", [SGD, SGDMomentum, HeavyBall, Nesterov])
def test_random_features_have_the_thresholds_of_their_equivalent(cls):
    """Small rates: to leading order N = gamma_eff Tr/(2B), with the momentum's share; large batches: single modes."""
    problem = PowerLawRandomFeatures(alpha=0.8, beta=0.5, dimension=300)
    trace = problem.curvature.trace
    rate = 1e-5
    effective = {"sgd": rate, "sgd-momentum": 2 * rate, "heavy-ball": 10 * rate, "nesterov": 10 * rate}[cls.label]
    found = stability(problem, cls(batch_size=3, learning_rate=rate))
    assert found.kernel_norm == pytest.approx(effective * trace / 6, rel=2e-4)
    if cls is SGD:
        top = 2 / edges(problem).highest
        assert top * 0.98 < stability(problem, SGD(batch_size=10**9)).largest_learning_rate <= top


def test_a_power_law_of_any_size():
    small, large = (PowerLawSpectrum(alpha=1.0, beta=0.7, dimension=d) for d in (10**3, 10**12))
    one, two = (stability(problem, SGD()).largest_learning_rate for problem in (small, large))
    assert one == pytest.approx(two, rel=2e-3)
    assert one > two


def test_what_has_no_one_rate_is_refused():
    with pytest.raises(ParameterError, match="must have one learning rate; got GeneralMomentum"):
        stability(GIVEN, GeneralMomentum())
