"""What strengths do to responses: independent numbers, symbolic and numerical derivatives, the theorem, its limits."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest

from analytic.gradient_starvation import (
    elasticity,
    elasticity_grid,
    fixed_point,
    large_penalty,
    scalar_root,
    sensitivity,
)
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures, TwoSamples
from tests.gradient_starvation.common import CASES, NAMES, of_case, orthonormal, precise, random_problem

DRAWS = 10_000


def j_of(problem):
    return sensitivity(problem).sensitivity.values


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_independent_numbers(case):
    """Detects a wrong power of s, a transposed matrix, and a wrong sign rule."""
    found, expected = sensitivity(of_case(case)), case["sensitivity_l2"]
    exact = np.array(expected["dz_i_ds2_j"])
    np.testing.assert_allclose(found.sensitivity, exact, rtol=0, atol=1e-12 * np.abs(exact).max())
    np.testing.assert_array_equal(found.starves, expected["starves"])


def test_central_differences_with_many_digits():
    """Detects a wrong formula with both penalties at once, from l2 = 1e-20 to 100, and an error bound that is none."""
    rng = np.random.default_rng(0)
    for number in range(6):
        n = int(rng.integers(2, 5))
        r = n if number % 2 else max(1, n - 1)
        l2 = 10.0 ** (rng.uniform(-20, 2) if r == n else rng.uniform(-4, 2))
        problem = random_problem(rng, n, r, l2=l2, decoupling=(number % 3) * 0.01)
        exact = np.empty((r, r))
        with mpmath.workdps(70):
            for j in range(r):
                square = [mpmath.mpf(one) ** 2 for one in problem.strengths]
                step, ends = square[j] * mpmath.mpf(10) ** -20, []
                for side in (1, -1):
                    moved = list(square)
                    moved[j] += side * step
                    ends.append(precise(problem.presence, moved, l2, problem.decoupling, 70))
                exact[:, j] = [float((up - down) / (2 * step)) for up, down in zip(*ends, strict=True)]
        found = sensitivity(problem)
        off = np.abs(found.sensitivity.values - exact)
        assert off.max() <= 1e-13 * np.abs(exact).max()
        assert (off <= found.sensitivity_error).all()


def test_symbolic_derivative_of_the_two_by_two_system():
    """Detects a wrong implicit derivative, by one that sympy takes of the equations as they stand."""
    import sympy

    z1, z2, a, b, s, l2, sd = sympy.symbols("z1 z2 a b s l2 sd", positive=True)
    c = sympy.sqrt(1 - s**2)
    alpha = [1 / (1 + sympy.exp(margin)) for margin in (c * z1 - s * z2, s * z1 + c * z2)]
    equations = sympy.Matrix(
        [(l2 / a + sd) * z1 - c * alpha[0] - s * alpha[1], (l2 / b + sd) * z2 + s * alpha[0] - c * alpha[1]]
    )
    both = [equations.jacobian([z1, z2]).tolist(), equations.jacobian([a, b]).tolist()]
    by_sympy = sympy.lambdify((z1, z2, a, b, s, l2, sd), both, "numpy")
    rng = np.random.default_rng(1)
    for _ in range(40):
        problem = TwoSamples(
            strong=rng.uniform(0.5, 6), weak=rng.uniform(0.5, 6), coupling=rng.uniform(-0.9, 0.9),
            l2=10 ** rng.uniform(-2, 1), decoupling=10 ** rng.uniform(-3, 0),
        )  # fmt: skip
        z = fixed_point(problem).response.values
        moved, causes = by_sympy(*z, *problem.strength**2, problem.coupling, problem.l2, problem.decoupling)
        exact = -np.linalg.solve(moved, causes)
        np.testing.assert_allclose(j_of(problem), exact, rtol=0, atol=1e-12 * np.abs(exact).max())


def test_decoupling_alone_starves_no_feature():
    """Detects a sensitivity or starvation without l2, where n > r and features are coupled all the same."""
    rng = np.random.default_rng(8)
    starved = 0
    for _ in range(10):
        problem = random_problem(rng, 6, 3, l2=0.0, decoupling=0.02)
        found = sensitivity(problem)
        assert not found.sensitivity.values.any()
        assert not found.starves.values.any()
        starved += sensitivity(problem.model_copy(update={"l2": 1e-9})).starves.values.any()
    assert starved >= 3


def test_starvation_is_mutual_and_own_growth_is_certain():
    """Detects an inverse that is not symmetric or not positive; signs of the columns of U must drop out."""
    rng = np.random.default_rng(2)
    for _ in range(100):
        n = int(rng.integers(2, 7))
        problem = random_problem(rng, n, int(rng.integers(2, n + 1)), l2=10 ** rng.uniform(-2, 2))
        found, z = sensitivity(problem), fixed_point(problem).response.values
        j, starves = found.sensitivity.values, found.starves.values
        np.testing.assert_array_equal(starves, starves.T)
        assert (np.sign(z) * np.diag(j) > 0).all()
        np.testing.assert_array_equal(starves, (np.sign(z)[:, None] * j < 0) & ~np.eye(z.size, dtype=bool))
        turned = np.array(problem.coupling) * np.where(np.arange(z.size) == 0, -1, 1)
        other = sensitivity(problem.model_copy(update={"coupling": turned.tolist()}))
        np.testing.assert_array_equal(other.starves, starves)
        np.testing.assert_allclose(other.sensitivity[0], -j[0], rtol=1e-10)


def draws(rng, low, high, count=DRAWS):
    return np.exp(rng.uniform(np.log(low), np.log(high), count))


def test_the_theorem():
    """Detects a strong feature that helps both samples and does not starve the other: in none of the draws."""
    rng = np.random.default_rng(3)
    weak, coupling = draws(rng, 0.01, 100), rng.uniform(0.01, 0.70, DRAWS)
    found = elasticity_grid(weak * draws(rng, 1.01, 30), weak, coupling, draws(rng, 1e-9, 1e3))
    assert (found < 0).all()
    # far in both limits, where 1/4 and the strengths differ by all digits there are; and with spectral decoupling
    few = 1000
    ratio, coupling = draws(rng, 1.01, 30, few), coupling[:few]
    assert (elasticity_grid(ratio, 1.0, coupling, draws(rng, 1e3, 1e12, few)) < 0).all()
    assert (elasticity_grid(ratio, 1.0, coupling, draws(rng, 1e-60, 1e-20, few)) < 0).all()
    both = draws(rng, 1e-4, 10, few), draws(rng, 1e-4, 10, few)
    assert (elasticity_grid(ratio, 1.0, coupling, *both) < 0).all()


def test_what_the_theorem_needs():
    """Detects starvation where the strong feature is not the one that both samples share, in 5000 draws each."""
    rng = np.random.default_rng(4)
    weak, ratio, l2 = draws(rng, 0.01, 100, 5000), draws(rng, 1.01, 30, 5000), draws(rng, 1e-6, 1e2, 5000)
    coupling = rng.uniform(0.01, 0.70, 5000)
    assert (elasticity_grid(weak, weak * ratio, coupling, l2) > 0).all()
    assert (elasticity_grid(weak * ratio, weak, -coupling, l2) > 0).all()
    # beyond 1/sqrt 2 features change sides: s and c are exchanged
    assert (elasticity_grid(weak * ratio, weak, np.sqrt(1 - coupling**2), l2) < 0).all()


#: d ln z_2/d ln s_1^2 for s_2 = 2 and s_1/s_2 = 1.5, 2, 4 (inner), s = .1, .3, .5, .7, rounded to three digits.
TABLE = {
    1e-3: [[-0.008, -0.013, -0.051], [-0.038, -0.075, -0.511], [-0.079, -0.161, -0.600], [-0.102, -0.201, -0.487]],
    1e-2: [[-0.010, -0.016, -0.050], [-0.045, -0.086, -0.438], [-0.091, -0.178, -0.539], [-0.118, -0.224, -0.499]],
    0.1: [[-0.012, -0.019, -0.049], [-0.052, -0.095, -0.338], [-0.101, -0.188, -0.473], [-0.128, -0.236, -0.491]],
    1.0: [[-0.009, -0.018, -0.044], [-0.037, -0.076, -0.225], [-0.070, -0.145, -0.367], [-0.089, -0.180, -0.415]],
    10.0: [[-0.000, -0.002, -0.015], [-0.002, -0.009, -0.071], [-0.004, -0.017, -0.137], [-0.005, -0.022, -0.171]],
}


@pytest.mark.parametrize("l2", TABLE)
def test_table_of_elasticities(l2):
    """Detects an elasticity with respect to s instead of s^2, or of the wrong feature."""
    found = elasticity_grid([3.0, 4.0, 8.0], 2.0, np.array([[0.1], [0.3], [0.5], [0.7]]), l2)
    np.testing.assert_allclose(found, TABLE[l2], atol=5.001e-4)


def test_elasticities_are_logarithmic_derivatives():
    """Detects a matrix that is not d ln|z_i|/d ln s_j^2, by differences, and a grid that is not its corner."""
    rng = np.random.default_rng(5)
    problem = random_problem(rng, 4, 3, l2=0.3, decoupling=0.02)
    found = elasticity(problem)
    for j in range(3):
        ends = []
        for side in (1, -1):
            strengths = np.array(problem.strengths)
            strengths[j] *= np.exp(side * 5e-5)
            moved = problem.model_copy(update={"strengths": strengths})
            ends.append(np.log(np.abs(fixed_point(moved).response.values)))
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-4, found[:, j], atol=1e-7)
    two = TwoSamples(strong=5.0, weak=1.5, coupling=-0.4, l2=0.02, decoupling=0.003)
    corner = elasticity_grid(5.0, 1.5, -0.4, 0.02, 0.003)
    assert elasticity(two)[1, 0] == pytest.approx(corner, rel=1e-12)


def test_large_penalties():
    """Detects a power of l2 other than -4: the law's relative error must fall like 1/l2."""
    problem = random_problem(np.random.default_rng(6), 4, 3, l2=1.0)
    off = []
    for l2 in (1e3, 2e3, 4e3):
        one = problem.model_copy(update={"l2": l2, "decoupling": l2 / 5})
        off.append(np.abs(j_of(one) / large_penalty(one).sensitivity - 1))
    for before, after in pairwise(off):
        np.testing.assert_allclose(before / after, 2.0, rtol=0.05)
    assert off[-1].max() < 0.05


def test_weak_coupling():
    """Detects a wrong first order in s: -s (l2 u_1/s_1^4) (D_2 - D_1)/((l2/s_1^2 + D_1)(l2/s_2^2 + D_2))."""
    u = scalar_root(np.array([9.0, 4.0]) / 0.1)
    d = 1 / (2 * np.cosh(u / 2)) ** 2
    for s, off in ((0.01, 0.02), (0.001, 0.002)):
        first = -s * 0.1 * u[0] / 81 * (d[1] - d[0]) / ((0.1 / 9 + d[0]) * (0.1 / 4 + d[1]))
        assert j_of(TwoSamples(strong=3, weak=2, coupling=s, l2=0.1))[1, 0] == pytest.approx(first, rel=off)


@pytest.mark.parametrize(
    ("problem", "starved"),
    [
        (TwoSamples(strong=3, weak=2, coupling=0.0), False),
        (TwoSamples(strong=2, weak=2, coupling=0.3), False),
        (TwoSamples(strong=2, weak=2, coupling=0.3, l2=1e-30), False),
        (TwoSamples(strong=9, weak=2, coupling=float(np.sqrt(0.5))), False),
        (TwoSamples(strong=9, weak=2, coupling=0.3, l2=0.0, decoupling=0.1), False),
        (TwoSamples(strong=1e7, weak=2, coupling=0.3), True),
        (TwoSamples(strong=3, weak=2, coupling=0.3, l2=1e9), True),
        (TwoSamples(strong=3, weak=2, coupling=0.3, l2=1e-60), True),
    ],
    ids=["uncoupled", "equal", "equal, tiny l2", "complete", "decoupled", "far stronger", "large l2", "tiny l2"],
)
def test_zero_up_to_rounding_is_no_starvation(problem, starved):
    """Detects rounding that is taken for starvation, and starvation that is taken for rounding."""
    np.testing.assert_array_equal(sensitivity(problem).starves, [[False, starved], [starved, False]])


def test_logarithms_of_nothing_are_refused():
    """Detects an elasticity of a response that is 0."""
    with pytest.raises(ParameterError, match="that of feature 2 is, up to rounding"):
        elasticity(TwoSamples(strong=9, weak=2, coupling=float(np.sqrt(0.5))))
    grid = elasticity_grid(9.0, 2.0, [0.7, np.sqrt(0.5), 0.71], 0.1)
    np.testing.assert_array_equal(np.isnan(grid), [False, True, False])
    for bad in ({"l2": 0.0}, {"strong": -1.0}, {"coupling": 1.0}, {"weak": np.nan}, {"decoupling": -0.1}):
        with pytest.raises(ParameterError, match=f"{next(iter(bad))} must be in"):
            elasticity_grid(**{"strong": 2.0, "weak": 1.0, "coupling": 0.1, "l2": 1.0} | bad)


def test_wide_strengths():
    """Detects a sensitivity of weak features that drowns in that of strong ones: strengths from 1e-5 to 1e5."""
    u = orthonormal(np.random.default_rng(7), 3, 3)
    problem = CoupledFeatures(strengths=[1e5, 1.0, 1e-5], coupling=u.tolist(), l2=1e-6)
    found = sensitivity(problem)
    assert (found.sensitivity_error.values <= 1e-10 * np.abs(found.sensitivity.values)).all()


@pytest.mark.parametrize("l2", [1e-6, 0.01, 1.0])
def test_features_of_other_samples_starve_nobody(l2):
    """Detects the rounding of a factorisation, in which all features meet, that is taken for starvation."""
    rng = np.random.default_rng(0)
    u = np.zeros((7, 4))
    u[:3, :2], u[3:, 2:] = orthonormal(rng, 3, 2), orthonormal(rng, 4, 2)
    found = sensitivity(CoupledFeatures(strengths=[6.0, 3.0, 2.0, 1.0], coupling=u.tolist(), l2=l2))
    for rows, columns in ((slice(2), slice(2, 4)), (slice(2, 4), slice(2))):
        assert not found.starves.values[rows, columns].any()
        assert (np.abs(found.sensitivity.values) <= found.sensitivity_error.values)[rows, columns].all()
