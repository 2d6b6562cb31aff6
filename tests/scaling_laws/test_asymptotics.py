"""Power laws of the risk with their constants: derived again, and against the deterministic equivalent."""

import numpy as np
import pytest
import sympy

from analytic.scaling_laws import limit_risk, solve, stability
from analytic.scaling_laws._asymptotics import _lasting, asymptotics
from analytic.scaling_laws._recursion import Nodes, recursion
from analytic.scaling_laws._strip import strip
from dynamics.algorithms import (
    SGD,
    DanaConstant,
    DanaDecaying,
    GeneralMomentum,
    HeavyBall,
    Nesterov,
    Rule,
    ScheduleFree,
    SGDMomentum,
)
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum
from dynamics.stability import Coefficients

GENERAL = GeneralMomentum(gradient_weight=2.0, learning_rate=0.1, momentum_rate=0.02, decay=0.2, batch_size=2)
CONSTANT = [SGD(batch_size=3), SGDMomentum(), HeavyBall(batch_size=4), Nesterov(batch_size=2), GENERAL]
CHANGING = [DanaConstant(), DanaDecaying(), ScheduleFree()]


def named(algorithm):
    return algorithm.label


def problem_of(alpha, beta, dimension, **others):
    return PowerLawRandomFeatures(alpha=alpha, beta=beta, dimension=dimension, **others)


# --- the constants


@pytest.mark.parametrize(("alpha", "beta"), [("3/4", "1/4"), ("3/4", "7/8"), ("1", "3/2")])
def test_constants_are_integrals_over_the_densities(alpha, beta):
    """Each part by sympy: sums over inputs j as integrals over x = j^(-2 alpha), at an effective time of 7/3."""
    a, b = sympy.Rational(alpha), sympy.Rational(beta)
    x, theta = sympy.symbols("x theta", positive=True)
    j = x ** (-1 / (2 * a))
    density = -sympy.diff(j, x)  # of inputs, which is that of modes
    kept = sympy.exp(-2 * theta * x)
    point = sympy.integrate(j ** (-2 * a - 2 * b) * density * kept, (x, 0, sympy.oo))
    kernel = sympy.integrate(x**2 * density * kept, (x, 0, sympy.oo))
    # resolvent of the features at their own scale: f_mu = sum b^2 S, S = (1/d) sum 1/(1 - s j^(2 alpha)), s -> x + i 0
    distorted = sympy.integrate(x * density * kept, (x, 0, sympy.oo)) * sympy.zeta(2 * b)

    rate, d = 0.01, 10**9
    problem = problem_of(float(a), float(b), d)
    found = asymptotics(problem, SGD(learning_rate=rate, batch_size=3), [1, 700])
    here = {theta: sympy.Rational(7)}
    assert found.effective_time[1] == pytest.approx(7.0)
    assert found.point_part[1] == pytest.approx(float(point.subs(here)), rel=1e-12)
    if b > sympy.Rational(1, 2):
        assert found.distortion_part[1] == pytest.approx(float(distorted.subs(here)) / d, rel=1e-12)
        i = np.arange(1, 10**6 + 1.0)
        steps = 3 / (2 * 3 * rate - 4 * rate**2 * i ** (-2 * float(a)))  # of discrete SGD, per mode
        correction = (i ** (-2 * float(b)) * (steps - 0.5 / rate)).sum()
        total = float(sympy.zeta(2 * b)) * 0.5 / rate + correction
        expected = float(kernel.subs(here)) * rate**2 / 3 * total
        assert found.noise_part[1] == pytest.approx(expected, rel=1e-9)


#: (alpha, beta): F/(F_pp + F_ac) and K/K_pp at t = 1e3, 1e5, 1e7 from another code, d = 1e7, gamma = 0.5/Tr.
MEASURED = {
    (0.8, 0.7): ((1.0000, 0.9995, 0.983), (1.0000, 1.0001, 1.0019)),
    (1.0, 0.3): ((1.0000, 1.0001, 1.0011), (1.0000, 1.0000, 1.0000)),
}


@pytest.mark.parametrize(("alpha", "beta"), MEASURED)
def test_forcing_and_kernel_tend_to_their_power_laws(alpha, beta):
    problem = problem_of(alpha, beta, 10**7)
    found = asymptotics(problem, SGD(), [10**3, 10**5, 10**7])
    quadrature, theta = strip(problem), found.effective_time.values[:, None]
    x, p, rate = quadrature.curvature, 2 - 1 / (2 * alpha), 0.5 / problem.curvature.trace
    forcing = np.exp(-2 * theta * x) @ quadrature.target
    kernel = np.exp(-2 * theta * x) @ (x**2 * quadrature.modes)
    law = float(sympy.gamma(p)) / (2 * alpha) * (2 * rate * found.time.values) ** -p
    first, second = MEASURED[alpha, beta]
    np.testing.assert_allclose(forcing / (found.point_part + found.distortion_part), first, atol=6e-4)
    np.testing.assert_allclose(kernel / law, second, atol=6e-5)


@pytest.mark.parametrize(
    "at",
    [
        Coefficients(0.0, 0.3, 0.0, 1.0), Coefficients(1.0, 0.2, 0.02, 0.1), Coefficients(0.7, 0.0, 0.3, 0.4),
        Coefficients(2.0, 0.1, 0.02, 0.2), Coefficients(1.0, 0.3, 0.0, 2.0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("batch", [1, 5])
def test_sum_over_all_steps_of_a_mode_without_noise(at, batch):
    """Step by step, with no other mode to make noise; a mode's own noise counts."""
    curvature = np.array([1.0, 0.3, 0.02])
    expected = []
    for x in curvature:
        nodes = Nodes(np.array([x]), np.ones(1), np.zeros(1), 0.0, 0.0)
        rule = Rule(at.gamma1, at.gamma2, at.gamma3, at.delta)
        if at.gamma1 * at.gamma3 == 0:  # momentum that moves nothing has no limit of its own
            rule = Rule(0.0, at.gamma2, 0.0, 1.0)
        expected.append(recursion(nodes, rule, batch, np.arange(8000), 0.0).risk.sum())
    np.testing.assert_allclose(_lasting(curvature, batch, at), expected, rtol=1e-9)


# --- the risk


@pytest.mark.parametrize("algorithm", CONSTANT, ids=named)
def test_risk_tends_to_the_laws_in_phases_ia_ii_and_iii(algorithm):
    """At d = 1e12 the ratio comes close to 1, closer each time, with no constant missing. F, then K decays last."""
    points = [(0.9, 0.7), (1.0, 2.0), (1.0, 0.3), (0.7, 1.2)]
    for alpha, beta in points if algorithm.label in ("sgd", "heavy-ball") else points[:2]:
        problem, times = problem_of(alpha, beta, 10**12), [10**4, 10**6, 10**8]
        ratio = solve(problem, algorithm, times).risk / asymptotics(problem, algorithm, times).risk
        off = np.abs(ratio.values - 1)
        assert (off < [0.04, 7e-3, 2e-3]).all(), (alpha, beta, off)
        assert off[2] < off[0] / 4


def test_two_terms_in_phase_iii():
    """Noise makes up nearly all of the risk there: what is missing would be seen."""
    problem, times = problem_of(1.0, 2.0, 10**12), [10**6, 10**8]
    found = asymptotics(problem, SGD(), times)
    norm = stability(problem, SGD()).kernel_norm
    np.testing.assert_allclose(solve(problem, SGD(), times).risk, found.noise_part / (1 - norm) ** 2, rtol=3e-3)


def test_risk_tends_to_the_laws_for_small_alpha():
    """Phases Ib and IVa: N(t) is far from N there, as most noise comes from the smallest eigenvalues."""
    for alpha, beta, times in ((0.4, 0.3, [10**6, 10**7]), (0.4, 0.8, [10**6, 10**8])):
        problem = problem_of(alpha, beta, 10**14)
        found = asymptotics(problem, SGD(), times)
        np.testing.assert_allclose(solve(problem, SGD(), times).risk, found.risk, rtol=7e-4)
        assert (found.kernel_norm < 0.01).all()
        assert stability(problem, SGD()).kernel_norm > 0.2


@pytest.mark.parametrize("algorithm", [SGD(), HeavyBall(batch_size=2)], ids=named)
def test_label_noise(algorithm):
    """P + s^2 -> (F + s^2)/(1 - N), and how N comes about makes up the approach to it."""
    problem, times = problem_of(0.9, 0.7, 10**12, noise=0.5), [10**3, 10**4, 10**5, 10**6]
    found = asymptotics(problem, algorithm, times)
    np.testing.assert_allclose(solve(problem, algorithm, times).risk / found.risk, 1, atol=1.5e-3)
    norm = stability(problem, algorithm).kernel_norm
    assert found.risk[-1] == pytest.approx(0.25 * norm / (1 - norm), rel=5e-3)


@pytest.mark.parametrize("algorithm", [GENERAL, *CHANGING], ids=named)
def test_after_all_is_learned(algorithm):
    """For theta >> d^(2 alpha): (P_inf + s^2)/(1 - N) - s^2, for every algorithm."""
    problem = problem_of(0.8, 0.9, 12, noise=0.3)
    found = asymptotics(problem, algorithm, [10**12])
    assert solve(problem, algorithm, [10**12]).risk[0] == pytest.approx(float(found.risk[0]), rel=2e-3)


@pytest.mark.parametrize("algorithm", CHANGING, ids=named)
def test_powers_and_orders_of_magnitude_for_changing_coefficients(algorithm):
    """Where F_pp rules and theta has its fastest growth: slopes to some per cent, values within a factor of 3."""
    speed, times = {
        "dana-constant": (2.0, [10**9, 10**10]), "dana-decaying": (5 / 3, [10**6, 10**8]),
    }.get(algorithm.label, (1.0, [10**5, 10**7]))  # fmt: skip
    problem = problem_of(1.5, 0.3, 10**6)
    exact, laws = (theory(problem, algorithm, times).risk.values for theory in (solve, asymptotics))
    assert (np.abs(np.log(exact / laws)) < np.log(3)).all()
    for risk in (exact, laws):
        slope = np.diff(np.log(risk)) / np.diff(np.log(times))
        assert slope == pytest.approx(-speed * (1 - 0.4 / 3), abs=0.035)


def test_noise_of_changing_coefficients():
    """DANA-constant in phase III: K_pp falls like theta^(-p) with the rate of the first steps before it."""
    problem, times = problem_of(1.0, 2.0, 10**6), [10**3, 10**5]
    laws = asymptotics(problem, DanaConstant(), times)
    assert (laws.noise_part / (laws.point_part + laws.distortion_part) > [20, 1]).all()
    np.testing.assert_allclose(solve(problem, DanaConstant(), times).risk / laws.risk, 1, atol=0.03)
    first = asymptotics(problem, SGD(), times)  # of which DANA-constant is hardly different until t ~ d
    np.testing.assert_allclose(laws.noise_part[0] / first.noise_part[0], 1, atol=5e-3)


# --- what is in the answer


def test_effective_time():
    """As the algorithms define it, written out."""
    problem, times = problem_of(0.8, 0.9, 40), np.array([1, 7, 300])
    rate = 0.5 / problem.curvature.trace
    delta = 1 + max(2 + 0.8 / 0.8, 2 - 1 / 0.8, 3)
    dana = DanaDecaying(momentum_rate=0.1)
    expected = [
        (SGD(learning_rate=0.2), 0.2 * times),
        (HeavyBall(learning_rate=0.1, momentum=0.75), 0.4 * times),
        (Nesterov(learning_rate=0.1, momentum=0.75), 0.4 * times),
        (SGDMomentum(learning_rate=0.1, momentum_rate=0.03, decay=0.2), 0.25 * times),
        (GeneralMomentum(gradient_weight=2.0, learning_rate=0.1, momentum_rate=0.02, decay=0.2), 0.3 * times),
        (DanaConstant(), rate * times * (1 + 0.5 / 40 * (delta + times) / delta)),
        (dana, rate * times + 0.1 * (1 + times) ** (-1 / 1.6) * (delta + times) / delta * times),
        (ScheduleFree(learning_rate=0.2, interpolation=0.7), 0.2 * times * (0.3 + 0.7 * times / (times + 1))),
    ]
    for algorithm, theta in expected:
        found = asymptotics(problem, algorithm, times)
        np.testing.assert_allclose(found.effective_time, theta, rtol=1e-12, err_msg=algorithm.label)


def test_parts_that_do_not_exist_are_0():
    for alpha, beta, distortion, noise in (
        (0.5, 0.8, False, True), (0.51, 0.51, True, True), (0.8, 0.5, False, False), (0.25, 0.8, False, False),
        (0.26, 0.8, False, True), (0.3, 0.3, False, False),
    ):  # fmt: skip
        found = asymptotics(problem_of(alpha, beta, 1000), SGD(), [10, 1000])
        assert (found.distortion_part > 0).all() == distortion
        assert (found.noise_part > 0).all() == noise
        assert not (found.distortion_part < 0).any()
        assert distortion or not found.distortion_part.any()
        assert noise or not found.noise_part.any()


def test_the_answer():
    problem, algorithm, times = problem_of(0.8, 0.7, 50, noise=0.2), HeavyBall(batch_size=2), [3, 40, 10**7]
    found = asymptotics(problem, algorithm, times)
    np.testing.assert_array_equal(found.floor_part, [limit_risk(problem)] * 3)
    norm = found.kernel_norm
    forced = found.floor_part + found.point_part + found.distortion_part + 0.04 + found.noise_part / (1 - norm)
    np.testing.assert_allclose(found.risk, forced / (1 - norm) - 0.04, rtol=1e-12)
    assert norm[-1] == pytest.approx(stability(problem, algorithm).kernel_norm, rel=1e-9)
    assert (np.diff(norm) > 0).all()
    assert {"kind": "theory", "method": "asymptotics"}.items() <= found.attrs.items()
    assert all(found[name].attrs["symbol"] for name in found.variables)
    assert found.point_part.attrs["symbol"] == "F_{pp}"


def test_noise_fed_back_so_far():
    """To first order gamma/(2B) sum_j l_j (1 - e^(-2 gamma l_j t)), at a learning rate where that is enough."""
    problem = problem_of(0.4, 0.7, 500)
    quadrature, times = strip(problem), np.array([100, 10**4, 10**6])
    found = asymptotics(problem, SGD(learning_rate=1e-4, batch_size=2), times)
    shares = 1 - np.exp(-2e-4 * times[:, None] * quadrature.curvature)
    np.testing.assert_allclose(
        found.kernel_norm, 1e-4 / 4 * shares @ (quadrature.curvature * quadrature.modes), rtol=1e-3
    )


# --- what is refused


@pytest.mark.parametrize(
    ("problem", "algorithm", "times", "words"),
    [
        (PowerLawSpectrum(), SGD(), [1], "problem must be PowerLawRandomFeatures"),
        (problem_of(1.0, 0.7, 50), SGD(), [0, 1], "times must be at least 1"),
        (problem_of(1.0, 0.7, 50), SGD(), [2, 1], "times must be strictly increasing"),
        (problem_of(1.0, 0.7, 50), SGD(learning_rate=1.2), [5], "kernel norm at step 5 must be below 1"),
        (problem_of(1.0, 0.7, 50), DanaDecaying(momentum_rate=3.0), [5], "kernel norm at step"),
        (problem_of(1.0, 0.7, 50), GeneralMomentum(learning_rate="power:0.1,-0.5"), [5], "constant coefficients"),
        (problem_of(1.0, 0.7, 50), GeneralMomentum(risk_exponent=0.5), [5], "constant coefficients"),
        (problem_of(1.0, 0.7, 50), GeneralMomentum(decay=0.0), [5], "decay .* must be above 0"),
        (problem_of(1.0, 0.7, 50), GeneralMomentum(learning_rate=0.0), [5], "nothing is learned"),
        (problem_of(0.05, 5.0, 10**12), SGD(), [1], "times must be larger: at step 1"),
    ],
)
def test_bad_questions(problem, algorithm, times, words):
    with pytest.raises(ParameterError, match=words):
        asymptotics(problem, algorithm, times)
