"""Spectral filters against plain twins: recursions and closed forms in Decimal, and in complex numbers.

Digits of a power (1 - x)^t: rounding x = eta (...) three times moves it by 3 eps t |x / (1 - x)| of itself, rounding
the exponent t log|1 - x| by 2 eps |t log|1 - x||. ``power_error`` is their sum. Twins have 400 digits, 40 of them left
where 1 - L f cancels to 1e-360, below all floats.
"""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.errors import ParameterError
from dynamics.filters import MAX_SCHEDULED_STEPS, spectral_filters
from dynamics.schedules import SoftplusDecay, StepTable, values_at

EPS = float(np.finfo(np.float64).eps)
CHUNK, DIGITS = 65_536, 400
EIGENVALUES = np.array([0.0, 1e-12, 3e-4, 0.2, 0.9, 1.7, 2.9])
STEPS = np.array([0, 1, 2, 3, 10, 57, 300])


def twin(step, penalty, l2, eigenvalue, times):
    """f and h of plain gradient descent on one direction, in many digits; each coefficient a function of the step.

    w <- w - eta [(1 + a) L w + l w - L w*] with w* = 1 moves w = L f; h = 1 - w.
    """
    f, found = Decimal(0), {}
    with localcontext() as context:
        context.prec = DIGITS
        L = Decimal(eigenvalue)
        for i in range(int(times[-1]) + 1):
            if i in times:
                found[i] = (f, 1 - L * f)
            eta, a, lam = (Decimal(float(c(i))) for c in (step, penalty, l2))
            f -= eta * ((1 + a) * L * f + lam * f - 1)
    return [found[int(t)] for t in times]


def power_error(x, times):
    """Relative error of (1 - x)^t in floats (see above), but for a few units at the end."""
    x = np.abs(x)
    return EPS * times[:, None] * (3 * x / np.abs(1 - x) + 2 * np.abs(np.log(np.abs(1 - x))))


def same(got, expected, allowed, what):
    """|got - expected| <= allowed, all of shape (times, eigenvalues)."""
    assert got.shape == expected.shape
    excess = np.abs(got - expected) - allowed
    worst = np.unravel_index(np.argmax(excess), excess.shape)
    assert excess[worst] <= 0, f"{what} at {worst}: {got[worst]!r}, expected {expected[worst]!r}"


def as_array(pairs, place):
    """One component of twins, eigenvalue after eigenvalue, as (times, eigenvalues)."""
    return np.array([[float(pair[place]) for pair in row] for row in pairs]).T


@pytest.mark.parametrize("l2", [0.0, 0.03])
@pytest.mark.parametrize("penalty", [0.0, 0.35])
@pytest.mark.parametrize("eta", [0.013, 0.31, 0.45])
def test_descent_equals_the_recursion(eta, penalty, l2):
    """Steps below and above eta rate = 1/2, and above 1 (negative base): f and h to the digits that rounding leaves."""
    algorithm = GradientDescent(learning_rate=eta, l2=l2, output_penalty=penalty)
    f, h = spectral_filters(algorithm, EIGENVALUES, STEPS)
    pairs = [twin(lambda _: eta, lambda _: penalty, lambda _: l2, L, STEPS) for L in EIGENVALUES]
    rate = (1 + penalty) * EIGENVALUES + l2
    exact_f, exact_h = as_array(pairs, 0), as_array(pairs, 1)
    decay = np.abs(1 - eta * rate) ** STEPS[:, None]
    lost = decay * power_error(eta * rate, STEPS)
    same(f, exact_f, lost / np.where(rate > 0, rate, 1.0) + 20 * EPS * np.abs(exact_f), "f")
    keep = penalty * EIGENVALUES + l2
    same(h, exact_h, lost + 20 * EPS * (decay + keep * (np.abs(exact_f) + decay * eta)), "h")


@pytest.mark.parametrize("eta", [0.013, 0.31, 0.9, 1.7])
def test_descent_keeps_the_relative_digits_of_a_late_h(eta):
    """h = (1 - eta L)^t down to 1e-290: 1 - L f would be left with none."""
    L = 0.9
    last = int(-290 * math.log(10) / math.log(abs(1 - eta * L)))
    times = np.array([last // 3, last - 1, last])
    _, h = spectral_filters(GradientDescent(learning_rate=eta), np.array([L]), times)
    with localcontext() as context:
        context.prec = DIGITS
        exact = [float((1 - Decimal(eta) * Decimal(L)) ** int(t)) for t in times]
    assert 0 < abs(h[-1, 0]) < 1e-280
    np.testing.assert_array_less(np.abs(h[:, 0] / exact - 1), power_error(np.array([eta * L]), times)[:, 0] + 10 * EPS)


@pytest.mark.parametrize("l2", [0.0, 0.03])
def test_flow_equals_the_exponential(l2):
    """f = (1 - e^(-tau r)) / r, h = 1 - L f with r = L + l2; rounding tau r costs tau r units."""
    times = np.array([0.0, 1e-13, 0.2, 1.0, 37.0, 1e12])
    L = EIGENVALUES
    f, h = spectral_filters(GradientFlow(l2=l2), L, times)
    with localcontext() as context:
        context.prec = DIGITS
        pairs = [[_flow(Decimal(float(x)), Decimal(l2), Decimal(float(tau))) for tau in times] for x in L]
    exact_f, exact_h = as_array(pairs, 0), as_array(pairs, 1)
    same(f, exact_f, 10 * EPS * exact_f, "f")
    exponent = np.minimum(np.multiply.outer(times, L + l2), 800)
    same(h, exact_h, EPS * (np.exp(-exponent) * (5 + 2 * exponent) + 10 * l2 * exact_f), "h")


def _flow(eigenvalue, l2, tau):
    rate = eigenvalue + l2
    f = (1 - (-tau * rate).exp()) / rate if rate else tau
    return f, 1 - eigenvalue * f


@pytest.mark.parametrize("tau_L", [1e-300, 1e-18, 1e-9])
def test_tiny_exponents_leave_f_all_digits(tau_L):
    """f = tau (1 - tau L / 2 + ...): the next term, (tau L)^2 / 6, is below eps."""
    tau = 3.7
    f, h = spectral_filters(GradientFlow(), np.array([tau_L / tau]), np.array([tau]))
    assert f[0, 0] == pytest.approx(tau * (1 - tau_L / 2), rel=4 * EPS)
    assert h[0, 0] == pytest.approx(1 - tau_L, abs=2 * EPS)
    # descent: f = eta t (1 - (t - 1) eta L / 2 + ...)
    f, h = spectral_filters(GradientDescent(learning_rate=0.37), np.array([tau_L / 3.7]), np.array([10]))
    assert f[0, 0] == pytest.approx(3.7 * (1 - 0.45 * tau_L), rel=4 * EPS)
    assert h[0, 0] == pytest.approx(1 - tau_L, abs=2 * EPS)


@pytest.mark.parametrize("dtype", [float, complex])
def test_zero_eigenvalue(dtype):
    """A direction without data: f = tau, or eta t, and h = 1; with an l2 penalty f saturates at 1 / l2, still h = 1."""
    zero = np.zeros(1, dtype=dtype)
    f, h = spectral_filters(GradientFlow(), zero, np.array([0.0, 0.3, 1e12]))
    np.testing.assert_array_equal(f[:, 0], [0.0, 0.3, 1e12])
    np.testing.assert_array_equal(h[:, 0], [1, 1, 1])
    times = np.array([0, 3, 10**12])
    f, h = spectral_filters(GradientDescent(learning_rate=0.25, output_penalty=0.4), zero, times)
    np.testing.assert_array_equal(f[:, 0], 0.25 * times)
    np.testing.assert_array_equal(h[:, 0], [1, 1, 1])
    f, h = spectral_filters(GradientDescent(learning_rate=0.25, l2=0.5), zero, times)
    # f and h end as quotients by l2 = 1/2: exact
    assert (f[0, 0], f[-1, 0], h[0, 0], h[-1, 0]) == (0, 2, 1, 1)
    assert f[1, 0] == pytest.approx(2 * (1 - 0.875**3), rel=10 * EPS)


@pytest.mark.parametrize("dtype", [float, complex])
def test_a_step_that_hits_the_minimum(dtype):
    """eta L = 1 exactly: one step, and (1 - eta L)^t is 0, not small and not nan."""
    L = np.array([2.0], dtype=dtype)
    f, h = spectral_filters(GradientDescent(learning_rate=0.5), L, np.array([0, 1, 2, 7, 10**12]))
    np.testing.assert_array_equal(f[:, 0], [0, 0.5, 0.5, 0.5, 0.5])
    np.testing.assert_array_equal(h[:, 0], [1, 0, 0, 0, 0])


def test_negative_base_alternates():
    """eta L = 1.5: h = (-1/2)^t, exact in binary but for the rounding of t log 2 (t <= 9: 10 units)."""
    times = np.array([0, 1, 2, 3, 8, 9])
    f, h = spectral_filters(GradientDescent(learning_rate=0.75), np.array([2.0]), times)
    exact = (-0.5) ** times.astype(float)
    np.testing.assert_allclose(h[:, 0], exact, rtol=10 * EPS)
    np.testing.assert_allclose(f[:, 0], (1 - exact) / 2, rtol=10 * EPS, atol=0)
    assert spectral_filters(GradientDescent(learning_rate=0.75), np.array([2.0]), np.array([10**12 + 1]))[1][0, 0] == 0


def test_unstable_step_grows_with_alternating_sign():
    """eta L = 3: h = (-2)^t, 1 - h = 2 f; it overflows quietly, and is then not finite."""
    f, h = spectral_filters(GradientDescent(learning_rate=1.5), np.array([2.0]), np.array([4, 5, 5000]))
    np.testing.assert_allclose(h[:2, 0], [16, -32], rtol=20 * EPS)
    np.testing.assert_allclose(f[:2, 0], [-7.5, 16.5], rtol=20 * EPS)
    assert not np.isfinite(f[2, 0])


ALGORITHMS = [
    GradientFlow(),
    GradientFlow(l2=0.07),
    GradientDescent(learning_rate=0.3),
    GradientDescent(learning_rate=0.3, l2=0.07, output_penalty=0.6),
    GradientDescent(learning_rate=0.3, l2=SoftplusDecay(initial=0.2, rate=0.05), output_penalty=0.6),
    GradientDescent(learning_rate=StepTable(steps=[0, 3], values=[0.3, 0.05]), output_penalty=SoftplusDecay(rate=0.1)),
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("turn", [1.0, 1j], ids=["real", "complex"])
def test_both_filters_fit_together(algorithm, turn):
    """h = 1 - L f, and at t = 0 nothing has happened: rounding of the two sides, 300 steps of a few units each."""
    L = EIGENVALUES * (1.0 if turn == 1.0 else np.exp(0.4j))
    f, h = spectral_filters(algorithm, L, STEPS)
    np.testing.assert_array_equal(f[0], 0)
    np.testing.assert_array_equal(h[0], 1)
    assert f.shape == (STEPS.size, L.size)
    np.testing.assert_allclose(h, 1 - L * f, rtol=0, atol=100 * EPS)


@pytest.mark.parametrize("algorithm", ALGORITHMS[2:])
def test_complex_eigenvalues_equal_the_recursion(algorithm):
    """Around the spectrum, as theory needs it: the plain recursion in complex numbers, 57 steps of a few units each."""
    L = np.array([0.4 + 0.3j, 1.1 - 0.8j, -0.05 + 1e-3j, 2.0 + 0.01j, 1e-14 + 1e-14j])
    times = STEPS[STEPS < 100]
    f, h = spectral_filters(algorithm, L, times)
    for k, eigenvalue in enumerate(L):
        w = 0j
        for i in range(int(times[-1]) + 1):
            if i in times:
                row = list(times).index(i)
                assert abs(f[row, k] - w) <= 500 * EPS * (abs(w) + 1e-300)
                assert abs(h[row, k] - (1 - eigenvalue * w)) <= 500 * EPS
            now = np.array([i])
            eta, a, lam = (
                float(values_at(c, now)[0]) for c in (algorithm.learning_rate, algorithm.output_penalty, algorithm.l2)
            )
            w = w - eta * (((1 + a) * eigenvalue + lam) * w - 1)


def test_complex_flow_equals_the_closed_form_and_its_equation():
    """d h/d tau = -L h for l2 = 0, by a fourth-order difference: off by tau-step^4 |L|^5 / 30 and eps / step."""
    L = np.array([0.4 + 0.3j, 1.1 - 0.8j, -0.05 + 1e-3j])
    step = 1e-3
    around = 2.0 + step * np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    f, h = spectral_filters(GradientFlow(), L, around)
    slope = (h[0] - 8 * h[1] + 8 * h[3] - h[4]) / (12 * step)
    np.testing.assert_allclose(slope, -L * h[2], rtol=0, atol=step**4 * 10 / 30 + 10 * EPS / step)
    np.testing.assert_allclose(h[2], [np.exp(-2 * x) for x in L], rtol=10 * EPS)
    np.testing.assert_allclose(f[2], [(1 - np.exp(-2 * x)) / x for x in L], rtol=100 * EPS)


@pytest.mark.parametrize(
    ("eta", "penalty", "l2"),
    [
        (0.31, SoftplusDecay(initial=0.6, rate=0.02), 0.0),
        (StepTable(steps=[0, 3, 50], values=[0.3, 0.05, 0.5]), 0.2, SoftplusDecay(initial=0.1, rate=0.01)),
        (0.31, StepTable(steps=[0, 10], values=[0.9, 0.0]), StepTable(steps=[0, 57], values=[0.0, 0.2])),
    ],
)
def test_schedules_equal_the_recursion(eta, penalty, l2):
    """Each step rounds f and h by about 5 units of the largest value so far (|1 - drop| <= 1): 300 steps."""
    f, h = spectral_filters(GradientDescent(learning_rate=eta, l2=l2, output_penalty=penalty), EIGENVALUES, STEPS)

    def of(coefficient):
        return lambda i: values_at(coefficient, np.array([i]))[0]

    pairs = [twin(of(eta), of(penalty), of(l2), L, STEPS) for L in EIGENVALUES]
    exact_f, exact_h = as_array(pairs, 0), as_array(pairs, 1)
    assert np.abs(exact_h).max() <= 1
    same(f, exact_f, 5 * EPS * STEPS[:, None] * np.maximum.accumulate(exact_f), "f")
    same(h, exact_h, 5 * EPS * STEPS[:, None] * np.ones_like(exact_h), "h")


def test_a_constant_schedule_equals_a_number_across_chunks():
    """Times on both sides of each chunk of 65536 steps; f and h of the stepped form lose up to 5 units a step."""
    eta, l2, penalty = 0.2, 1e-4, 0.3
    times = np.array([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1])
    L = np.array([0.0, 1e-5, 1e-3, 2.0])
    for count in range(1, times.size + 1):  # each of them as the last, too
        some = times[:count]
        plain = spectral_filters(GradientDescent(learning_rate=eta, l2=l2, output_penalty=penalty), L, some)
        table = StepTable(steps=[0, 7], values=[eta, eta])
        stepped = spectral_filters(GradientDescent(learning_rate=table, l2=l2, output_penalty=penalty), L, some)
        for got, expected in zip(stepped, plain, strict=True):
            np.testing.assert_allclose(got, expected, rtol=5 * EPS * 2 * CHUNK)


def test_a_change_at_the_chunk_boundary_comes_at_its_step():
    """Without penalties h is the product of (1 - eta_i L): a change one step early or late is a factor 0.9 / 0.4."""
    L, times = np.array([1e-4, 0.5]), np.array([CHUNK - 1, CHUNK, CHUNK + 1, CHUNK + 2])
    table = StepTable(steps=[0, CHUNK, CHUNK + 1], values=[0.0, 1.2, 0.2])
    _, h = spectral_filters(GradientDescent(learning_rate=table), L, times)
    fast, slow = 1 - 1.2 * L, 1 - 0.2 * L
    np.testing.assert_allclose(h, [np.ones(2), np.ones(2), fast, fast * slow], rtol=4 * EPS)


def test_scheduled_h_keeps_its_relative_digits():
    """(1 - eta L)^2000 = 1e-194 by steps: 3 units each."""
    eta, L = 0.4, 0.5
    table = StepTable(steps=[0], values=[eta])
    _, h = spectral_filters(GradientDescent(learning_rate=table), np.array([L]), np.array([2000]))
    with localcontext() as context:
        context.prec = DIGITS
        exact = float((1 - Decimal(eta) * Decimal(L)) ** 2000)
    assert h[0, 0] == pytest.approx(exact, rel=2000 * 3 * EPS, abs=0)


def test_learning_rate_given_by_the_caller():
    """It stands in where the algorithm leaves it open, and only there."""
    L, times = np.array([0.3, 1.1]), np.array([1, 5])
    with pytest.raises(ParameterError, match=r"learning_rate .* must be given"):
        spectral_filters(GradientDescent(), L, times)
    expected = spectral_filters(GradientDescent(learning_rate=0.4, l2=0.1), L, times)
    np.testing.assert_array_equal(spectral_filters(GradientDescent(l2=0.1), L, times, 0.4), expected)
    np.testing.assert_array_equal(spectral_filters(GradientDescent(learning_rate=0.4, l2=0.1), L, times, 0.9), expected)
    scheduled = GradientDescent(l2=StepTable(steps=[0], values=[0.1]))
    np.testing.assert_allclose(spectral_filters(scheduled, L, times, 0.4), expected, rtol=50 * EPS)


def test_too_many_scheduled_steps_are_refused():
    algorithm = GradientDescent(learning_rate=0.1, l2=SoftplusDecay())
    with pytest.raises(ParameterError, match=f"times must be at most {MAX_SCHEDULED_STEPS} .*; got {10**9 + 1}"):
        spectral_filters(algorithm, np.ones(1), np.array([1, 10**9 + 1]))


def test_rates_are_left_to_the_caller():
    plain, rated = (spectral_filters(flow, EIGENVALUES, STEPS) for flow in (GradientFlow(), GradientFlow(rates=[3])))
    np.testing.assert_array_equal(rated, plain)
