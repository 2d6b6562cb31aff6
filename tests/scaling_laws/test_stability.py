"""Stability on the spectrum of a problem: exact thresholds, leading orders, exponents, and what there is not."""

import numpy as np
import pytest

from analytic.scaling_laws import edges, solve, stability
from dynamics.algorithms import (
    SGD,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    HeavyBall,
    Nesterov,
    ScheduleFree,
    SGDMomentum,
)
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from dynamics.schedules import Hyperbolic, Power
from dynamics.stability import kernel_norm
from tests.scaling_laws.test_kernel_norm import radius, system

J = np.arange(1, 101.0)
GIVEN = Spectrum(eigenvalues=J**-1.2, initial_error=J**-1.0, floor=0.01)
FEW = Spectrum(eigenvalues=[0.9, 0.3, 0.05], initial_error=[1, 1, 1], floor=0.1)
#: What each algorithm has of learning rate, momentum rate and momentum.
HAVE = {SGD: "l", ScheduleFree: "l", SGDMomentum: "lrm", HeavyBall: "lm", Nesterov: "lm", DanaConstant: "lr",
        DanaDecaying: "lr", GeneralMomentum: "lrm"}  # fmt: skip


CASES = (
    SGD(), SGDMomentum(learning_rate=0.1, momentum_rate=0.2, decay=0.3), SGDMomentum(),
    HeavyBall(momentum=0.6, learning_rate=0.11), Nesterov(momentum=0.7, learning_rate=0.17),
    DanaConstant(decay=4.0, momentum_rate=0.01), DanaDecaying(decay=3.0, momentum_exponent=0.4),
    ScheduleFree(interpolation=0.8),
    GeneralMomentum(gradient_weight=0.6, learning_rate=0.1, momentum_rate=0.25, decay=0.2),
)  # fmt: skip


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("one", CASES, ids=lambda one: one.label)
def test_thresholds_are_those_of_the_linear_system(one, batch):
    """3 % on either side; one parameter at a time, the others as they are, at a step where schedules still change."""
    algorithm = one.model_copy(update={"batch_size": batch})
    found, rule = stability(FEW, algorithm, step=20), algorithm.rule(FEW.curvature)
    given = {} if one.learning_rate or type(one) is ScheduleFree else {"learning_rate": rule.gamma2}
    if type(one) is SGDMomentum:
        given["momentum_rate"] = rule.gamma3

    def stable(name, value, keep):
        at = algorithm.model_copy(update=keep | {name: value}).rule(FEW.curvature).at_one(20)
        return radius(system(np.array(FEW.eigenvalues), batch, at)[0]) < 1

    assert found.kernel_norm == kernel_norm(FEW.curvature, batch, rule.at_one(20))
    for factor in (0.97, 1.03):
        assert stable("learning_rate", found.largest_learning_rate * factor, {}) == (factor < 1)
        if "r" in HAVE[type(one)]:
            assert stable("momentum_rate", found.largest_momentum_rate * factor, given) == (factor < 1)
        if "m" in HAVE[type(one)]:  # 1e-6: where nothing bounds it
            decay = max(1 - found.largest_momentum, 1e-6) * factor
            name, value = ("momentum", 1 - decay) if hasattr(one, "momentum") else ("decay", decay)
            assert stable(name, value, given) == (factor > 1 or found.largest_momentum == 1.0)


@pytest.mark.parametrize("one", CASES, ids=lambda one: one.label)
def test_what_there_is_and_what_there_is_not(one):
    found = stability(FEW, one)._asdict()
    for letter, name in {"l": "learning_rate", "r": "momentum_rate", "m": "momentum"}.items():
        for which in (f"largest_{name}", f"largest_{name}_leading"):
            assert (found[which] is not None) == (letter in HAVE[type(one)])


@pytest.mark.parametrize(("batch", "largest"), [(1, 0.437), (4, 1.180), (32, 1.877)])
def test_largest_rates_of_sgd(batch, largest):
    """Three digits of another code; sum gamma l/(2B - (B+1) gamma l) = 1 to the last one; 2B/Tr to leading order."""
    found = stability(GIVEN, SGD(batch_size=batch))
    assert found.largest_learning_rate == pytest.approx(largest, abs=6e-4)
    x = found.largest_learning_rate * J**-1.2
    assert (x / (2 * batch - (batch + 1) * x)).sum() == pytest.approx(1, rel=1e-9)
    assert found.largest_learning_rate_leading == pytest.approx(2 * batch / (J**-1.2).sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("batch", "exact", "leading"), [(1, 2.003e-3, 2.082e-3), (4, 2.848e-2, 3.099e-2), (4000, None, 39.99)]
)
def test_largest_momentum_rate_of_dana_constant(batch, exact, leading):
    """Of another code, with its leading order: gamma2 Tr + d gamma1 gamma3/gamma2 = 2B."""
    trace = (J**-1.2).sum()
    rate = 0.5 * min(batch / trace, 1)
    found = stability(GIVEN, DanaConstant(batch_size=batch, decay=4, momentum_rate=1e-3))
    assert exact is None or found.largest_momentum_rate == pytest.approx(exact, rel=3e-4)
    assert found.largest_momentum_rate_leading == pytest.approx(leading, rel=3e-4)
    assert found.largest_momentum_rate_leading == pytest.approx((2 * batch - rate * trace) * rate / 100, rel=1e-9)
    assert found.kernel_norm_leading == pytest.approx((rate * trace + 100 * 1e-3 / rate) / (2 * batch), rel=1e-9)


def test_leading_orders_of_constant_momentum():
    """The heavy ball's eta/(1-rho), and Nesterov's saturation."""
    found = stability(GIVEN, HeavyBall(batch_size=7, learning_rate=1e-6, momentum=0.99))
    trace = (J**-1.2).sum()
    assert found.kernel_norm_leading == pytest.approx(1e-6 * trace / 0.01 / 14, rel=1e-9)
    assert found.kernel_norm == pytest.approx(found.kernel_norm_leading, rel=1e-3)
    assert found.largest_momentum_leading == pytest.approx(1 - 1e-6 * trace / 14, rel=1e-9)
    found = stability(GIVEN, Nesterov(batch_size=7, learning_rate=1e-5, momentum=1 - 1e-6))
    x = 1e-5 * J**-1.2
    assert found.kernel_norm_leading == pytest.approx((x / (1e-6 + x)).sum() / 14, rel=1e-4)


@pytest.mark.parametrize(("alpha", "slope", "within"), [(1.0, 2.0, 0.006), (0.7, 1.41, 0.03)])
def test_critical_rates_grow_with_the_batch_as_the_spectrum_says(alpha, slope, within):
    """Heavy ball: B (1-rho). Nesterov: B^(2 alpha) (1-rho), as long as the rate stays small."""
    problem = PowerLawSpectrum(alpha=alpha, beta=0.7, dimension=200_000)
    for cls, expected, tolerance in ((HeavyBall, 1.0, 1e-5), (Nesterov, slope, within)):
        momenta, batches = (1 - 1e-9, 1 - 1e-8), (4, 16, 64)
        pairs = [[cls(batch_size=batch, momentum=rho) for batch in batches] for rho in momenta]
        rates = np.array([[stability(problem, one).largest_learning_rate for one in row] for row in pairs])
        np.testing.assert_allclose(np.diff(np.log(rates), axis=1) / np.log(4), expected, atol=tolerance)
        np.testing.assert_allclose(rates[1] / rates[0], 10, rtol=1e-3)


def test_the_decay_of_the_momentum_rate_that_keeps_step_with_the_modes():
    """DANA-decaying at kappa_3 = 1/(2 alpha) has one bound at all steps; DANA-constant's falls like t^-kappa_3."""
    problem = PowerLawSpectrum(alpha=0.8, beta=0.7, dimension=10**7)
    for exponent, slope in ((None, 0.0), (0.0, -0.625), (1.0, 0.375)):
        algorithm = DanaDecaying(learning_rate=0.01, momentum_exponent=exponent)
        found = [stability(problem, algorithm, step=step).largest_momentum_rate for step in (1e5, 1e6, 1e7)]
        np.testing.assert_allclose(np.diff(np.log10(found)), slope, atol=0.01)
    found = [stability(problem.model_copy(update={"dimension": d}), DanaConstant()) for d in (10**5, 10**6, 10**7)]
    np.testing.assert_allclose(np.diff(np.log10([one.largest_momentum_rate for one in found])), -1, atol=0.01)


def test_the_mean_risk_ends_below_and_is_refused_above():
    """At P_inf/(1 - N)."""
    rate = stability(GIVEN, SGD()).largest_learning_rate
    below, above = SGD(learning_rate=0.97 * rate), SGD(learning_rate=1.03 * rate)
    risk = solve(GIVEN, below, [10**6], method="recursion").risk.values
    assert risk[0] == pytest.approx(0.01 / (1 - stability(GIVEN, below).kernel_norm), rel=1e-3)
    with pytest.raises(ParameterError, match="kernel norm"):
        solve(GIVEN, above, [3000], method="recursion")


@pytest.mark.parametrize("cls", [SGD, SGDMomentum, HeavyBall, Nesterov])
def test_random_features_have_the_thresholds_of_their_equivalent(cls):
    """Small rates: to leading order N = gamma_eff Tr/(2B), with the momentum's share; large batches: single modes."""
    problem = PowerLawRandomFeatures(alpha=0.8, beta=0.5, dimension=300)
    rate, trace = 1e-5, problem.curvature.trace
    effective = {"sgd": rate, "sgd-momentum": 2 * rate, "heavy-ball": 10 * rate, "nesterov": 10 * rate}[cls.label]
    found = stability(problem, cls(batch_size=3, learning_rate=rate))
    assert found[:2] == pytest.approx((effective * trace / 6,) * 2, rel=2e-4)
    largest = cls(batch_size=3, learning_rate=found.largest_learning_rate)
    assert stability(problem, largest).kernel_norm == pytest.approx(1, rel=1e-6)
    if cls is SGD:
        top = 2 / edges(problem).highest
        assert top * 0.98 < stability(problem, SGD(batch_size=10**9)).largest_learning_rate <= top


def test_the_momentum_is_varied_at_the_rates_that_there_are():
    """What is left open follows the learning rate only."""
    algorithm = SGDMomentum()
    _, rate, momentum_rate, _ = algorithm.rule(GIVEN.curvature)[:4]
    fixed = SGDMomentum(learning_rate=rate, momentum_rate=momentum_rate)
    assert 0.9 < stability(GIVEN, algorithm).largest_momentum < 1.0
    assert stability(GIVEN, algorithm)[4:] == stability(GIVEN, fixed)[4:]


def test_a_power_law_of_any_size():
    """Ever more modes of ever less curvature lower the threshold a little."""
    small, large = (PowerLawSpectrum(alpha=1.0, beta=0.7, dimension=d) for d in (10**3, 10**12))
    one, two = (stability(problem, SGD()).largest_learning_rate for problem in (small, large))
    assert one == pytest.approx(two, rel=2e-3)
    assert one > two


def test_none_and_no_bound():
    """Heavy ball at eta l_max = 3 is stable only with momentum, and at 5 with none; whole batches bound no momentum."""
    found = stability(FEW, HeavyBall(learning_rate=3 / 0.9, momentum=0.2, batch_size=10**9))
    assert found.kernel_norm == np.inf
    assert 0.5 < found.largest_momentum < 1 - 1e-9
    assert stability(FEW, HeavyBall(learning_rate=5 / 0.9)).largest_momentum is None
    assert stability(FEW, Nesterov(learning_rate=0.1, batch_size=1000)).largest_momentum == 1.0
    assert 0.1 < stability(FEW, HeavyBall(learning_rate=0.5)).largest_momentum < 0.45
    assert stability(FEW, DanaConstant(decay=4, learning_rate=3.0)).largest_momentum_rate is None
    vanishing = DanaDecaying(decay=4, momentum_exponent=10.0, learning_rate=0.1)
    assert stability(FEW, vanishing).largest_momentum_rate == np.inf
    idle = GeneralMomentum(gradient_weight=0.0, decay=0.5)
    assert stability(FEW, idle)[4:] == (np.inf, np.inf, 1.0, 1.0)
    assert stability(FEW, idle.model_copy(update={"learning_rate": 9.0}))[4:] == (None,) * 4
    free = ScheduleFree(interpolation=1 - 1e-12)
    assert stability(FEW, free).largest_learning_rate == pytest.approx(1e12 * stability(FEW, SGD())[2], rel=3e-3)
    scheduled = GeneralMomentum(learning_rate=Power(scale=0.1), momentum_rate=Power(scale=0.1), decay=Hyperbolic())
    assert stability(FEW, scheduled)[2:] == (None,) * 6


def test_what_has_no_kernel_norm_is_refused():
    with pytest.raises(ParameterError, match="risk_exponent must be 0"):
        stability(GIVEN, GeneralMomentum(risk_exponent=0.5))
    with pytest.raises(ParameterError, match="step whose coefficients are taken"):
        stability(GIVEN, SGD(), step=-1)
