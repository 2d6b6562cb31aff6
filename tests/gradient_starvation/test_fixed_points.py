"""Fixed points: independent numbers, many digits, closed forms, laws of large and small penalties, refusals."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, lambertw, xlogy

from analytic.gradient_starvation import fixed_point, large_penalty, scalar_root, small_penalty
from analytic.gradient_starvation._newton import _direction, _length, _value, at_rest
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures, TwoMoons, TwoSamples
from tests.gradient_starvation.common import CASES, NAMES, REFERENCE, of_case, orthonormal, precise, random_problem

SQUARE_HALF = float(np.sqrt(0.5))


def z_of(problem):
    return fixed_point(problem).response.values


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_independent_numbers(case):
    """Detects a wrong equation for either penalty, and a margin or dual variable that is not that of the response."""
    for penalty in ("l2", "sd"):
        found, expected = fixed_point(of_case(case, penalty)), case[f"fixed_point_{penalty}"]
        scale = np.abs(expected["z"]).max()
        np.testing.assert_allclose(found.response, expected["z"], rtol=0, atol=1e-13 * scale)
        np.testing.assert_allclose(found.margin, expected["margins"], rtol=1e-13)
        if penalty == "l2":
            np.testing.assert_allclose(found.dual_variable, expected["alpha"], rtol=1e-13)
    assert found.feature.values.tolist() == list(range(1, case["r"] + 1))
    assert found.sample.values.tolist() == list(range(1, case["n"] + 1))


def test_many_digits_with_both_penalties():
    """Detects lost digits anywhere from l2 = 1e-40 to 1e3, and an error bound that is none."""
    rng = np.random.default_rng(0)
    for number in range(16):
        n = int(rng.integers(2, 6))
        r = int(rng.integers(1, n + 1))
        l2 = 10.0 ** rng.uniform(-40 if r == n else -6, 3)
        problem = random_problem(rng, n, r, l2=l2, decoupling=(number % 2) * 10.0 ** rng.uniform(-6, 0), spread=30.0)
        found = fixed_point(problem)
        exact = precise(problem.presence, problem.strength**2, problem.l2, problem.decoupling, 80)
        z = np.array([float(one) for one in exact])
        off = np.abs(found.response.values - z)
        assert off.max() <= 1e-13 * np.abs(z).max()
        assert (off <= found.response_error).all()
        margin = np.array([float(one) for one in mpmath.matrix(problem.presence.tolist()) * exact])
        assert (np.abs(found.margin.values - margin) <= found.margin_error).all()


def test_many_problems_at_once_are_the_same():
    """Detects problems that end each other's iteration."""
    rng = np.random.default_rng(1)
    presence, penalty = np.array([orthonormal(rng, 4, 3) for _ in range(30)]), 10.0 ** rng.uniform(-5, 2, (30, 3))
    together = at_rest(presence, penalty)
    for k in range(30):
        alone = at_rest(presence[k], penalty[k])
        for one, two in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[k], two, rtol=1e-11, atol=1e-14 * np.abs(two).max())


def test_uncoupled_features_are_scalar_roots():
    """Detects penalties that are added wrongly, and a feature that hears of another."""
    problem = CoupledFeatures(strengths=[5.0, 1.0, 0.3], coupling=np.eye(3).tolist(), l2=0.2, decoupling=0.04)
    penalty = 0.2 / np.array([25.0, 1.0, 0.09]) + 0.04
    np.testing.assert_allclose(z_of(problem), scalar_root(1.0 / penalty), rtol=1e-14)


@pytest.mark.parametrize("coupling", [-0.3, 0.1, 0.6, 0.9])
def test_equal_strengths_have_equal_margins(coupling):
    """Detects a coupling that matters where it must not: z = W1(s^2/l2) U^T 1."""
    problem = TwoSamples(strong=3.0, weak=3.0, coupling=coupling, l2=0.07)
    found = fixed_point(problem)
    np.testing.assert_allclose(found.margin, scalar_root(9.0 / 0.07), rtol=1e-14)
    np.testing.assert_allclose(found.response, scalar_root(9.0 / 0.07) * problem.presence.sum(axis=0), atol=1e-14)


def test_a_feature_that_explains_all_labels_leaves_nothing():
    """Detects a weak feature that is learned although the first column of U is constant."""
    rng = np.random.default_rng(2)
    u = np.linalg.qr(np.column_stack([np.ones(5), rng.standard_normal((5, 4))]))[0]
    u[:, 0] = np.abs(u[:, 0])
    found = fixed_point(CoupledFeatures(strengths=[2.0, 9.0, 5.0, 1.0, 0.5], coupling=u.tolist(), l2=0.3))
    root = scalar_root(4.0 / 0.3)
    np.testing.assert_allclose(found.response, np.append(np.sqrt(5.0) * root, np.zeros(4)), atol=1e-14)
    half = fixed_point(TwoSamples(strong=1.0, weak=50.0, coupling=SQUARE_HALF, l2=0.3)).response
    np.testing.assert_allclose(half, [np.sqrt(2.0) * scalar_root(1.0 / 0.3), 0.0], atol=1e-14)


def test_one_feature_in_many_samples():
    """Detects a matrix that is taken for a square one: l2 z = s^2 sum_i U_i sigma(-U_i z)."""
    u = orthonormal(np.random.default_rng(3), 7, 1)
    found = z_of(CoupledFeatures(strengths=[1.7], coupling=u.tolist(), l2=0.4))
    root = brentq(lambda z: 0.4 * z - 1.7**2 * (u[:, 0] * expit(-u[:, 0] * z)).sum(), -50, 50, xtol=1e-14)
    np.testing.assert_allclose(found, [root], rtol=1e-12)


def test_spectral_decoupling_does_not_know_strengths():
    """Detects an S in the fixed point of spectral decoupling; with r = n all margins are W1(1/decoupling)."""
    rng = np.random.default_rng(4)
    for n, r in ((4, 4), (6, 3)):
        u = orthonormal(rng, n, r).tolist()
        one, two = (
            fixed_point(CoupledFeatures(strengths=rng.uniform(0.1, 9, r), coupling=u, l2=0.0, decoupling=0.003))
            for _ in range(2)
        )
        np.testing.assert_array_equal(one.response, two.response)
        if n == r:
            np.testing.assert_allclose(one.margin, scalar_root(1 / 0.003), rtol=1e-13)
        else:
            assert np.ptp(one.margin.values) > 0.1


def test_the_dual_variables_maximise_the_dual():
    """Detects a dual variable that is not the maximiser of sum H(alpha) - alpha K alpha/2, written out again."""
    rng = np.random.default_rng(5)
    problem = random_problem(rng, 5, 4, l2=0.2, decoupling=0.01)
    a = problem.presence * problem.strength
    kernel = a @ np.linalg.inv(0.2 * np.eye(4) + 0.01 * a.T @ a) @ a.T

    def dual(alpha):
        return -(xlogy(alpha, alpha) + xlogy(1 - alpha, 1 - alpha)).sum() - alpha @ kernel @ alpha / 2

    best = fixed_point(problem).dual_variable.values
    for _ in range(200):
        other = np.clip(best * (1 + 1e-3 * rng.standard_normal(5)), 1e-9, 1 - 1e-9)
        assert dual(other) < dual(best)


@pytest.mark.parametrize("row", REFERENCE["scalar_root_u(1+exp u)=c"], ids=lambda row: f"{row['c']:g}")
def test_scalar_roots(row):
    """Detects Lambert's W in place of W1."""
    assert scalar_root(row["c"]) == pytest.approx(row["u"], rel=1e-15, abs=0)
    assert lambertw(row["c"]).real == pytest.approx(row["plain_lambert_w"], rel=1e-14)


def test_scalar_roots_of_any_size():
    """Detects overflow, a start that does not converge, and digits lost to log c; also the two expansions."""
    c = 10.0 ** np.linspace(-300, 300, 61)
    for value, root in zip(c, scalar_root(c), strict=True):
        with mpmath.workdps(40):
            exact = mpmath.findroot(lambda u, c=value: u * (1 + mpmath.exp(u)) / c - 1, root, tol=1e-60)
            assert abs(exact - root) <= 4e-16 * exact
    small, large = np.array([1e-3, 1e-4]), np.array([1e8, 1e12])
    w = lambertw(large).real
    np.testing.assert_allclose(scalar_root(small), small / 2 - small**2 / 8, rtol=1e-6)
    assert (np.abs(scalar_root(large) - w + w**2 / (large * (1 + w))) <= 0.01 * w**2 / large).all()


def test_large_penalties():
    """Detects a wrong leading term of responses or sensitivities: errors must fall like 1/l2 to nothing."""
    rng = np.random.default_rng(6)
    problem = random_problem(rng, 4, 3, l2=1e3, decoupling=0.0)
    off = []
    for l2 in (1e3, 2e3, 4e3):
        one = problem.model_copy(update={"l2": l2, "decoupling": 3 * l2})
        off.append(np.abs(z_of(one) / large_penalty(one).response - 1).max())
    np.testing.assert_allclose(np.array(off[:-1]) / off[1:], 2.0, rtol=0.02)


def test_penalties_of_any_size():
    """Detects small rows that drown large ones: z = U^T 1/(2 p) to all digits where p is 1e24 and more."""
    rng = np.random.default_rng(7)
    for l2 in (1e30, 1e45):
        problem = random_problem(rng, 5, 4, l2=l2, spread=1e3)
        np.testing.assert_allclose(z_of(problem), large_penalty(problem).response, rtol=1e-14)
        mixed = problem.model_copy(update={"strengths": np.append(1e25, problem.strengths[1:])})
        assert (fixed_point(mixed).response_error <= 1e-13 * np.abs(z_of(mixed)).max()).all()


def test_small_penalties():
    """Detects a wrong direction or a wrong offset: the error must fall like 1/log(1/l2), in both phases."""
    for strong in (4.0, 6.0):
        off = []
        for l2 in (1e-20, 1e-40, 1e-80):
            problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5, l2=l2)
            off.append(np.abs(z_of(problem) - small_penalty(problem)).max())
        assert off[0] < 0.15
        assert off[1] < 0.62 * off[0]
        assert off[2] < 0.62 * off[1]
    equal = TwoSamples(strong=2.0, weak=2.0, coupling=0.3, l2=0.05)
    np.testing.assert_allclose(small_penalty(equal), z_of(equal), rtol=1e-13)
    decoupled = TwoSamples(strong=7.0, weak=2.0, coupling=0.3, l2=0.0, decoupling=0.05)
    np.testing.assert_allclose(small_penalty(decoupled), z_of(decoupled), rtol=1e-13)


def test_no_penalty_no_fixed_point():
    """Detects a made-up answer where responses grow for ever."""
    with pytest.raises(ParameterError, match=r"l2 or decoupling must be above 0.*hard_margin"):
        fixed_point(TwoSamples(l2=0.0))
    with pytest.raises(ParameterError, match="at least 1e-280"):
        fixed_point(TwoSamples(l2=1e-300))
    with pytest.raises(ParameterError, match="problem must be TwoSamples or CoupledFeatures; got TwoMoons"):
        fixed_point(TwoMoons())


def test_rounding_that_decides_is_said():
    """Detects silent nonsense where samples are separable in part, along a direction that rounding has tilted."""
    half = np.array([[SQUARE_HALF, 0.0], [-SQUARE_HALF, 0.0], [0.0, 1.0]])
    tilted = half @ np.array([[0.8, -0.6], [0.6, 0.8]])
    found = z_of(CoupledFeatures(strengths=[1, 1], coupling=tilted.tolist(), l2=1e-3))
    np.testing.assert_allclose(found, scalar_root(1e3) * np.array([0.6, 0.8]), rtol=1e-12)
    with pytest.raises(ArithmeticError, match="barely separable, or in part"):
        fixed_point(CoupledFeatures(strengths=[1, 1], coupling=tilted.tolist(), l2=1e-20))


def test_steps_that_are_too_long_are_halved():
    """Detects a search that gives up: from 0, forty times Newton's step leads uphill, and the part taken downhill."""
    u, p, z = orthonormal(np.random.default_rng(5), 3, 2)[None], np.array([[0.02, 0.3]]), np.zeros((1, 2))
    direction, decrement = _direction(u, p, z)
    far, start = 40.0 * direction, _value(u, p, z)
    assert _value(u, p, z + far) > start
    taken = _length(u, p, z, far, 40.0 * decrement)
    assert 1 / 64 <= taken[0] <= 1 / 2
    assert _value(u, p, z + taken[:, None] * far) < start
    assert _length(u, p, z, direction, decrement) == 1.0
