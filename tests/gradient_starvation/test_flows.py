"""Trajectories: independent numbers, closed forms and quadratures, other integrators, limits, and refusals."""

import numpy as np
import pytest
from scipy.integrate import quad, solve_ivp
from scipy.special import expit, logit

from analytic.gradient_starvation import fixed_point, scalar_root, solve, uncoupled_flow
from dynamics.algorithms import DualDescent, DualFlow, MomentumDescent, PrimalDescent, PrimalFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures, TwoMoons, TwoSamples
from tests.gradient_starvation.common import CASES, NAMES, REFERENCE, of_case, orthonormal, random_problem

PATHS = {"l2": PrimalFlow(), "sd": PrimalFlow(), "dual": DualFlow(initial=0.01)}


def responses(problem, algorithm, times, **options):
    return solve(problem, algorithm, times, **options).response.values


@pytest.mark.parametrize("case", CASES, ids=NAMES)
@pytest.mark.parametrize("kind", PATHS)
def test_independent_numbers(case, kind):
    """Detects a wrong equation of any flow; the dual numbers are of 25 digits, the primal ones good to 1e-10."""
    path = case[f"trajectory_{kind}"]
    found = solve(of_case(case, "sd" if kind == "sd" else "l2"), PATHS[kind], path["times"])
    exact = np.array(path["z"]).T
    np.testing.assert_allclose(found.response, exact, rtol=0, atol=2e-10)
    if kind == "dual":
        assert (np.abs(found.response - exact) <= found.response_error).all()
    np.testing.assert_allclose(found.margin, np.array(case["U"]) @ exact, rtol=0, atol=2e-9)


@pytest.mark.parametrize("row", REFERENCE["uncoupled_unregularised_flow"], ids=lambda row: f"{row['u0']}")
def test_closed_form_of_a_feature_on_its_own(row):
    """Detects an error in u + exp(u) = u_0 + exp(u_0) + s^2 t."""
    s = np.sqrt(row["s_squared"])
    assert uncoupled_flow(s, [row["t"]], initial=row["u0"])[0] == pytest.approx(row["u"], rel=1e-14)


def test_closed_form_against_its_equation():
    """Detects digits lost at small and large times: t = (u - u_0 + exp(u) - exp(u_0))/s^2."""
    times = np.append(0.0, 10.0 ** np.arange(-12, 13, dtype=np.float64))
    for initial in (-30.0, -1.0, 0.0, 0.5, 20.0):
        u = uncoupled_flow(0.7, times, initial=initial)
        assert u[0] == pytest.approx(initial, abs=1e-15)
        grown = (u - initial) + np.exp(initial) * np.expm1(u - initial)
        digits = 2e-15 * (1 + abs(initial)) * (1 + np.exp(initial))
        np.testing.assert_allclose(grown[1:], 0.49 * times[1:], rtol=1e-12, atol=digits)
    for bad in ({"strength": 0.0}, {"initial": 1e3}, {"times": [1e201]}, {"times": [-1.0]}):
        with pytest.raises(ParameterError, match=next(iter(bad))):
            uncoupled_flow(**{"strength": 1.0, "times": [1.0]} | bad)


@pytest.mark.parametrize("coupling", [0.0, 0.4, -0.8])
def test_flows_of_equal_strengths(coupling):
    """Detects a coupling that matters where it must not: all margins follow the closed form, from 1e-6 to 1e12."""
    problem = TwoSamples(strong=1.7, weak=1.7, coupling=coupling, l2=0.0)
    times = 10.0 ** np.arange(-6, 13, 3)
    u = uncoupled_flow(1.7, times)
    found = solve(problem, PrimalFlow(), times)
    np.testing.assert_allclose(found.response, problem.presence.sum(axis=0)[:, None] * u, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.margin, [u, u], rtol=1e-11)


def test_primal_quadrature():
    """Detects a wrong penalty in the flow: t = integral of (1 + e^v)/(s^2 - rate v (1 + e^v)), rate = l2 + sd s^2."""
    problem = CoupledFeatures(strengths=[3.0, 0.5], coupling=np.eye(2).tolist(), l2=0.05, decoupling=0.02)
    for j, (s, root) in enumerate(zip(problem.strength, fixed_point(problem).response.values, strict=True)):
        ends = root * np.array([0.1, 0.6, 0.95])
        rate = 0.05 + 0.02 * s**2
        times = [quad(lambda v, s=s, r=rate: 1 / (s**2 / (1 + np.exp(v)) - r * v), 0, end)[0] for end in ends]
        np.testing.assert_allclose(responses(problem, PrimalFlow(), times)[j], ends, rtol=1e-9)


def test_spectral_decoupling_has_one_clock():
    """Detects a speed of spectral decoupling that is not s^2: z_j(t) = f(s_j^2 t) with the same f for all."""
    problem = CoupledFeatures(strengths=[3.0, 0.5], coupling=np.eye(2).tolist(), l2=0.0, decoupling=0.02)
    z = responses(problem, PrimalFlow(), np.array([1.0, 4.0, 36.0, 144.0]) / 9.0)
    np.testing.assert_allclose(z[1, 2:], z[0, :2], rtol=1e-10)


def test_dual_quadrature():
    """Detects a wrong kernel or clock of the dual flow: both penalties, or any strengths if r = n and l2 = 0."""
    coupled = CoupledFeatures(
        strengths=[3.0, 1.0, 0.4], coupling=orthonormal(np.random.default_rng(0), 3, 3).tolist(), l2=0.0, decoupling=0.3
    )
    alone = CoupledFeatures(strengths=[2.0], coupling=[[1.0]], l2=0.8, decoupling=0.1)
    for problem, kernel in ((coupled, 1 / 0.3), (alone, 1 / (0.8 / 4 + 0.1))):
        rest = expit(-scalar_root(kernel))
        ends = 0.02 + (rest - 0.02) * np.array([0.05, 0.5, 0.99])
        times = [quad(lambda a, k=kernel: 1 / (-logit(a) - k * a), 0.02, end)[0] for end in ends]
        margin = solve(problem, DualFlow(initial=0.02), times).margin.values
        np.testing.assert_allclose(margin, kernel * ends * np.ones_like(margin), rtol=1e-8)


@pytest.mark.parametrize(("n", "r"), [(4, 4), (6, 3)])
def test_another_integrator(n, r):
    """Detects a wrong Jacobian or coupling in the flows of general problems, which nothing above has."""
    rng = np.random.default_rng(n)
    problem, times = random_problem(rng, n, r, l2=0.3, decoupling=0.05), np.array([0.02, 0.3, 2.0, 9.0])
    u, square = problem.presence, problem.strength**2
    kernel = u @ np.diag(1 / (0.3 / square + 0.05)) @ u.T

    def primal(_, z):
        return square * (u.T @ expit(-u @ z) - 0.05 * z) - 0.3 * z

    def dual(_, alpha):
        return -logit(alpha) - kernel @ alpha

    for algorithm, slope, start in (
        (PrimalFlow(), primal, np.zeros(r)),
        (DualFlow(initial=0.3), dual, np.full(n, 0.3)),
    ):
        twin = solve_ivp(slope, (0, 9), start, method="DOP853", t_eval=times, rtol=1e-12, atol=1e-13).y
        z = twin if algorithm.label == "primal-flow" else u.T @ kernel @ twin
        found = solve(problem, algorithm, times)
        np.testing.assert_allclose(found.response, z, rtol=0, atol=1e-10 * np.abs(z).max())
        np.testing.assert_allclose(found.margin, u @ z, rtol=0, atol=1e-10 * np.abs(z).max())


@pytest.mark.parametrize("accuracy", [1e-1, 1e-3, 1e-5, 1e-7])
def test_accuracy_is_reached_and_estimated(accuracy):
    """Detects an error estimate that is none: it covers the error, and is no larger than was asked for."""
    problem, times = TwoSamples(strong=6.0, weak=2.0, l2=0.01), np.append(0.0, np.geomspace(1e-4, 1e3, 60))
    for algorithm in (PrimalFlow(), DualFlow(initial=1e-3)):
        best, found = (solve(problem, algorithm, times, accuracy=one) for one in (1e-11, accuracy))
        for name in ("response", "margin"):
            off = np.abs(found[name] - best[name])
            assert (off <= found[f"{name}_error"] + best[f"{name}_error"]).all()
        largest = np.abs(found.response).max("feature")
        assert (found.response_error <= accuracy * largest).all()
        relative = (found.response_error.max("feature") / largest).values[1:]
        assert (np.diff(relative) >= -1e-12 * relative[1:]).all()  # also where the two answers happen to cross
        assert found.response_error.max() > 1e-14


def test_an_integrator_that_is_worse_than_it_says_is_asked_again(monkeypatch):
    """Detects a first answer that is taken as it comes: here every answer is off by 1000 times its tolerance."""
    asked = []

    def poor(flow, times, tolerance):
        asked.append(tolerance)
        return np.ones((2, times.size)) * (1.0 + 1e3 * tolerance)

    monkeypatch.setattr("analytic.gradient_starvation._flows.collocate", poor)
    found = solve(TwoSamples(), PrimalFlow(), [1.0, 2.0], accuracy=1e-6)
    assert len(asked) > 2
    np.testing.assert_allclose(found.response, 1.0, rtol=1e-6)
    assert (found.response_error <= 1.1e-6).all()


@pytest.mark.parametrize(
    ("problem", "algorithm", "end"),
    [
        (TwoSamples(strong=6.0, l2=0.01), PrimalFlow(), 1e6),
        (TwoSamples(strong=6.0, l2=0.0, decoupling=1e-3), PrimalFlow(), 1e9),
        (TwoSamples(strong=1e10, weak=1e-10, l2=1.0), PrimalFlow(), 1e50),
        (TwoSamples(strong=4.0, l2=0.01), DualFlow(initial=0.3), 1e4),
        (TwoSamples(strong=4.0, l2=1e-4), DualFlow(initial=0.01), 1.0),
        (TwoSamples(strong=4.0, l2=1e-40), DualFlow(initial=1e-8), 1e-36),
        (TwoSamples(strong=4.0, l2=0.01), DualFlow(initial=1 - 1e-12), 1.0),
        (TwoSamples(strong=4.0, l2=0.01), DualFlow(initial=1e-60), 1.0),
    ],
)
def test_flows_end_at_the_fixed_point(problem, algorithm, end):
    """Detects a flow that loses its way: stiff, over many scales, or with alpha pressed to 1e-50 and back."""
    found = solve(problem, algorithm, end * np.append(0.0, np.geomspace(1e-12, 1.0, 25)))
    rest = fixed_point(problem)
    np.testing.assert_allclose(found.response[:, -1], rest.response, rtol=1e-9)
    assert (found.response_error[:, -1] <= 1e-9 * np.abs(found.response[:, -1]).max()).all()


def test_the_way_back_from_the_border():
    """Detects a dual variable that stays at 0 once it has been pressed there, by an implicit rule of order 1."""
    problem, times = TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=1e-4), np.array([1e-4, 3e-4])
    kernel = problem.presence * problem.strength**2 / 1e-4 @ problem.presence.T
    ends = []
    for steps in (3000, 6000, 12000):  # backward Euler in v: sigma(-w) + h (K sigma(-w) - w) = sigma(-v)
        w, h, kept = np.full(2, -logit(0.01)), 3e-4 / steps, []
        for step in range(steps):
            before = expit(-w)
            for _ in range(60):
                alpha = expit(-w)
                off = alpha + h * (kernel @ alpha - w) - before
                move = np.linalg.solve(-(np.eye(2) + h * kernel) * (alpha * (1 - alpha)) - h * np.eye(2), off)
                w = w - move
                if np.abs(move).max() < 1e-10 * (1 + np.abs(w).max()):
                    break
            if (step + 1) in (steps // 3, steps):
                kept.append(problem.strength**2 / 1e-4 * (problem.presence.T @ expit(-w)))
        ends.append(np.array(kept).T)
    rest = 2 * ends[2] - ends[1]
    found = responses(problem, DualFlow(initial=0.01), times)
    assert np.abs(rest / found - 1).max() < 0.2 * np.abs(ends[2] / found - 1).max()
    np.testing.assert_allclose(rest, found, rtol=2e-3)


def test_speeds_at_the_start_and_at_the_end():
    """Detects rates other than s_j^2 (U^T 1)_j/2 at first, and s_j^2 (d + sd), d = sd w (1 - sd w), in the end."""
    problem = TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=0.0, decoupling=0.002)
    start = responses(problem, PrimalFlow(), [1e-6])[:, 0] / 1e-6
    np.testing.assert_allclose(start, problem.strength**2 * problem.presence.sum(axis=0) / 2, rtol=1e-5)
    z = responses(problem, PrimalFlow(), [400.0, 410.0], accuracy=1e-11)[1]
    left = fixed_point(problem).response.values[1] - z
    w = float(scalar_root(500.0))
    rate = 4.0 * (0.002 * w * (1 - 0.002 * w) + 0.002)
    assert np.log(left[0] / left[1]) / 10.0 == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    ("strong", "l2", "sd"),
    [(4.0, (13.2, 32.1), (5.5, 35.5)), (6.0, (10.1, 58.4), (2.1, 41.4)), (2.0, (21.1, 21.1), (24.6, 24.6))],
)
def test_times_to_ninety_percent(strong, l2, sd):
    """Detects wrong clocks: times at which each response reaches 90 % of its own limit, known to 0.05."""
    for penalties, expected in (({"l2": 0.01}, l2), ({"l2": 0.0, "decoupling": 0.002}, sd)):
        problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5, **penalties)
        rest = fixed_point(problem).response.values
        for j in range(2):
            z = responses(problem, PrimalFlow(), [expected[j] - 0.06, expected[j] + 0.06])[j]
            assert z[0] < 0.9 * rest[j] < z[1]


def test_strong_features_overshoot():
    """Detects a wrong way to the right end: maxima of z_1 with l2, and with spectral decoupling."""
    for penalties, when, most in (({"l2": 0.01}, 59.5, 9.165), ({"l2": 0.0, "decoupling": 0.002}, 9.2, 6.553)):
        problem = TwoSamples(strong=6.0, weak=2.0, coupling=0.5, **penalties)
        times = np.linspace(1, 100, 991)
        z = responses(problem, PrimalFlow(), times)[0]
        assert z.max() == pytest.approx(most, abs=6e-4)
        assert times[z.argmax()] == pytest.approx(when, abs=0.11)


def test_many_features():
    """Detects a wrong equation in the integrator for many unknowns, against closed forms with 45 features."""
    u = orthonormal(np.random.default_rng(9), 45, 45).tolist()
    equal = CoupledFeatures(strengths=np.full(45, 1.3), coupling=u, l2=0.0)
    times = [0.0, 0.1, 10.0, 1e4]
    found = solve(equal, PrimalFlow(), times)
    np.testing.assert_allclose(found.margin, np.ones((45, 1)) * uncoupled_flow(1.3, times), rtol=1e-8)
    decoupled = equal.model_copy(update={"decoupling": 0.3, "strengths": np.linspace(0.1, 3, 45)})
    few = CoupledFeatures(strengths=[1.0], coupling=[[1.0]], l2=0.0, decoupling=0.3)
    many, one = (solve(problem, DualFlow(initial=0.02), times) for problem in (decoupled, few))
    np.testing.assert_allclose(many.margin, np.ones((45, 1)) * one.margin.values, rtol=1e-8)


def test_times_of_any_kind():
    """Detects an answer that depends on which other times are asked for; and time 0 alone."""
    problem = TwoSamples(l2=0.02)
    for algorithm in (PrimalFlow(), DualFlow(initial=0.2)):
        many = responses(problem, algorithm, np.append(0.0, np.geomspace(1e-3, 1e2, 21)))
        few = responses(problem, algorithm, [0.0, 1e2])
        np.testing.assert_allclose(few, many[:, [0, -1]], rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose(responses(problem, algorithm, [0.0]), many[:, :1], rtol=1e-14)
    assert not responses(problem, PrimalFlow(), [0.0]).any()


@pytest.mark.parametrize(
    ("problem", "algorithm", "options", "words"),
    [
        (TwoSamples(l2=3.0), PrimalDescent(learning_rate=0.7), {}, "learning_rate .* must be at most .* = 0.666667"),
        (TwoSamples(l2=0.0), DualFlow(), {}, "l2 or decoupling must be above 0"),
        (TwoSamples(l2=0.0), DualDescent(), {}, "l2 or decoupling must be above 0"),
        (TwoSamples(), PrimalFlow(), {"method": "response"}, "did you mean responses"),
        (TwoSamples(), PrimalFlow(), {"accuracy": 1e-12}, "accuracy .* must be a number in"),
        (TwoSamples(), MomentumDescent(), {}, "algorithm must be one of PrimalDescent, PrimalFlow"),
        (TwoMoons(), MomentumDescent(), {}, "needs TwoSamples or CoupledFeatures.*; got TwoMoons"),
    ],
)
def test_bad_questions(problem, algorithm, options, words):
    """Detects an answer where there is none."""
    with pytest.raises(ParameterError, match=words):
        solve(problem, algorithm, [1], **options)
