"""Groups of the deterministic equivalent: exact sums, bands on another contour, curves, and drawn matrices."""

import functools

import numpy as np
import pytest
from scipy import stats

from analytic.scaling_laws import _groups as groups_module
from analytic.scaling_laws import edges, limit_risk
from analytic.scaling_laws._groups import equivalent_groups, prepared
from analytic.scaling_laws._recursion import Nodes, recursion
from analytic.scaling_laws._strip import equivalent_nodes, strip
from analytic.scaling_laws._windows import _gauss, gauss_parts
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying, ScheduleFree
from dynamics.errors import ParameterError
from dynamics.groups import groups_in
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from dynamics.times import log_steps
from simulations.scaling_laws import sample
from tests.scaling_laws.test_equivalent import volterra

#: (alpha, beta, d, v or none): every regime, small and large dimensions, hardly more inputs than features.
PROBLEMS = [
    (1.0, 0.7, 10**9), (0.7, 0.8, 3000), (0.3, 0.4, 10**4, 10**7), (1.1, -0.2, 10**4, 10**4 + 1), (0.15, 1.5, 10**9),
    (0.5, 0.1, 1000, 1500),
]  # fmt: skip


def problem_of(alpha, beta, dimension, ambient=None, **more):
    return PowerLawRandomFeatures(
        alpha=alpha, beta=beta, dimension=dimension, ambient_dimension=ambient, **more
    )  # fmt: skip


@functools.cache
def made(*parameters):
    return equivalent_groups(problem_of(*parameters))


def nodes_of(groups, noise=0.0):
    parts = (groups[name].values for name in ("eigenvalues", "initial_error", "multiplicity"))
    return Nodes(*parts, float(groups.floor), noise**2)


def off(problem, algorithm, groups, last=10**6):
    """The largest relative difference of the mean risk and of the momentum norm to the deterministic equivalent."""
    rule, steps = algorithm.rule(problem.curvature), log_steps(last, 30)
    exact, found = (
        recursion(nodes, rule, algorithm.batch_size, steps, 1e-3)
        for nodes in (equivalent_nodes(problem), nodes_of(groups, problem.noise))
    )
    norm = 0.0 if rule.gamma1 == 0 else np.abs(found.momentum_norm / exact.momentum_norm - 1).max()
    return np.abs(found.risk / exact.risk - 1).max(), norm


@pytest.mark.parametrize("case", PROBLEMS, ids=str)
def test_what_is_known_exactly(case):
    """Number of modes, trace and initial risk, by direct sums where they are short; groups that runs can be made on."""
    problem, groups = problem_of(*case), made(*case)
    at, m, p2 = (groups[name].values for name in ("eigenvalues", "multiplicity", "initial_error"))
    trace, risk = problem.curvature.trace, problem.initial_risk
    if problem.ambient < 10**5:
        j = np.arange(1, problem.ambient + 1.0)
        trace, risk = (j ** (-2 * problem.alpha)).sum(), (j ** (-2 * problem.alpha - 2 * problem.beta)).sum()
    assert m.sum() == pytest.approx(problem.dimension, rel=1e-10)
    assert at @ m == pytest.approx(trace, rel=1e-6)
    assert at @ p2 + float(groups.floor) == pytest.approx(risk, rel=1e-10)
    assert float(groups.floor) == limit_risk(problem)
    assert ((m == 1) | (m > 2)).all()
    assert (p2 > 0).all()
    assert (np.diff(at) < 0).all()
    alone = m == 1
    assert (np.diff(alone.astype(int)) <= 0).all()  # the largest eigenvalues, and no others
    lowest, highest = edges(problem)
    assert lowest < at.min()
    assert at.max() < highest
    assert groups_in(groups, problem.to_json()).error == pytest.approx(np.sqrt(p2), rel=1e-15)


@pytest.mark.parametrize(("alpha", "beta", "j"), [(1.0, 0.7, 1), (1.0, 0.7, 9), (0.8, -0.1, 3)])
def test_bands_on_a_circle_around_them(alpha, beta, j):
    """Mean eigenvalue and target of band j by residues: a whole circle in z, the resolvent by a fixed point, all sums.

    m = 1/(1 + (1/d) sum lambda/(lambda m - z)), tr (K - z)^(-1) = -d m/z, and sum b^2 lambda/(lambda m - z).
    """
    problem = problem_of(alpha, beta, 3000)
    d, i = problem.dimension, np.arange(1, problem.ambient + 1.0)
    variance, power = i ** (-2 * alpha), i ** (-2 * alpha - 2 * beta)
    groups = made(alpha, beta, 3000)
    centre = j ** (-2 * alpha)
    radius = 0.4 * (centre - (j + 1.0) ** (-2 * alpha))
    turn = np.exp(2j * np.pi * (np.arange(24) + 0.5) / 24)
    first = target = 0.0
    for z, weight in zip(centre + radius * turn, radius * turn / 24, strict=True):
        m = 1.0
        for _ in range(60):
            m = 1 / (1 + (variance / (variance * m - z)).sum() / d)
        first += -weight * (-d * m / z) * z
        target += -weight * (power / (variance * m - z)).sum()
    assert groups.multiplicity[j - 1] == 1
    assert float(groups.eigenvalues[j - 1]) == pytest.approx(first.real, rel=1e-9)
    found = float(groups.initial_error[j - 1] * groups.eigenvalues[j - 1])
    assert found == pytest.approx(target.real, rel=1e-9)


def test_a_rule_from_its_moments():
    """Of equal masses, Legendre's; of one point of mass 3, that point, and nothing of more nodes."""
    for n in (1, 2, 4, 6):
        k = np.arange(2 * n)
        nodes, weights = _gauss((1.0 - (-1.0) ** (k + 1)) / (k + 1))
        expected = np.polynomial.legendre.leggauss(n)
        np.testing.assert_allclose(nodes, expected[0], atol=1e-11)
        np.testing.assert_allclose(weights, expected[1], rtol=1e-10)
    assert _gauss(3.0 * 0.5 ** np.arange(4)) is None
    np.testing.assert_allclose(_gauss(3.0 * 0.5 ** np.arange(2)), [[0.5], [3.0]], rtol=1e-15)


#: Problems, and the largest difference of curves: of SGD and DANA-constant, and of DANA-decaying.
CURVES = [
    ((1.0, 0.7, 10**9), 2e-6, 2e-4), ((0.3, 0.4, 10**4, 10**7), 8e-4, 8e-4), ((0.7, 0.8, 3000), 2e-3, 2e-3),
    ((0.15, 1.5, 10**9), 3e-7, 3e-7), ((1.1, -0.2, 10**4, 10**4 + 1), 8e-4, 8e-4),
]  # fmt: skip


@pytest.mark.parametrize(("case", "plain", "decaying"), CURVES, ids=str)
def test_curves_are_those_of_the_deterministic_equivalent(case, plain, decaying):
    problem, groups = problem_of(*case), made(*case)
    for algorithm, most in ((SGD(), plain), (DanaConstant(batch_size=4), plain), (DanaDecaying(), decaying)):
        assert off(problem, algorithm, groups)[0] < most, algorithm.label


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_curves_of_random_problems(seed):
    """Also with label noise, and batch sizes between: the bias is more than the difference, and it is not large."""
    rng = np.random.default_rng(seed)
    alpha, ratio = rng.uniform(0.2, 2.0), rng.uniform(1.01, 20.0)
    d = int(10 ** rng.uniform(4, 12))
    problem = problem_of(alpha, rng.uniform(0.55 - alpha, 2.0), d, int(ratio * d), noise=rng.choice([0.0, 0.1]))
    groups = equivalent_groups(problem)
    assert groups.attrs["bias"] < (3e-3 if alpha < 1 else 9e-3) + 900 / d
    for cls in (SGD, DanaConstant, DanaDecaying, ScheduleFree):
        for batch in (1, 30):
            assert max(off(problem, cls(batch_size=batch), groups)) < groups.attrs["bias"]


def test_the_bias_is_three_times_the_largest_difference(monkeypatch):
    """Of groups that are wrong on purpose: with all errors 1 per cent too large, 1 per cent of the first risk."""
    problem = problem_of(1.0, 0.7, 10**4)
    parts = gauss_parts(problem)
    worse = parts._replace(target=1.01 * parts.target)
    monkeypatch.setattr(groups_module, "_LAST", 1)
    assert groups_module._bias(problem, worse) == pytest.approx(0.03, rel=0.05)


def test_the_answer_is_the_callers_own():
    """What is changed in one answer does not change the next."""
    one = equivalent_groups(problem_of(0.7, 0.8, 3000))
    one["eigenvalues"][:] = 0.0
    assert (equivalent_groups(problem_of(0.7, 0.8, 3000)).eigenvalues > 0).all()


def test_matrices_have_this_spectrum_on_average():
    """Sums of exp(-l t) and of l w^2 exp(-l t) over the modes of 16 matrices: within 8/d and standard errors.

    The false alarm is 1e-6 for all six; what is allowed is below 20 per cent.
    """
    problem = problem_of(0.5, 0.1, 300)
    groups, drawn = nodes_of(equivalent_groups(problem)), sample(problem, runs=16, seed=3)
    at, squares = drawn["eigenvalues"].values, drawn["initial_error"].values
    for t in (0.3, 3.0, 30.0):
        decay, own = np.exp(-at * t), np.exp(-groups.curvature * t)
        for each, expected in (
            (decay.sum(1), groups.modes @ own), ((at * squares * decay).sum(1), groups.curvature * groups.error @ own),
        ):  # fmt: skip
            allowed = 8 / 300 * expected + stats.t.isf(1e-6 / 12, 15) * each.std(ddof=1) / 4
            assert abs(each.mean() - expected) < allowed < 0.2 * expected


def test_a_given_spectrum_has_groups_of_its_own():
    with pytest.raises(ParameterError, match="problem must be PowerLawRandomFeatures"):
        equivalent_groups(Spectrum(eigenvalues=[1.0], initial_error=[1.0]))


def test_steep_spectra_have_coarser_groups_and_no_negative_errors():
    """Where mu/nu varies too much within a window for targets at more nodes."""
    groups = made(0.1, 0.6, 10**4)
    assert (groups.initial_error > 0).all()
    assert 1e-3 < groups.attrs["bias"] < 0.1


@pytest.mark.parametrize(
    ("name", "off", "words"),
    [("multiplicity", 1e-8, "number of modes"), ("eigenvalue", 2e-3, "trace"), ("target", 1e-8, "initial risk")],
)
def test_wrong_sums_are_refused(name, off, words, monkeypatch):
    problem = problem_of(0.7, 0.8, 4000)
    parts = gauss_parts(problem)
    wrong = parts._replace(**{name: (1.0 + off) * getattr(parts, name)})
    monkeypatch.setattr(groups_module, "gauss_parts", lambda problem: wrong)
    with pytest.raises(ParameterError, match=words):
        equivalent_groups(problem)


def test_groups_are_prepared_for_those_who_need_them():
    assert prepared(problem_of(0.7, 0.8, 3000), "diagonal") == {}
    assert prepared(PowerLawSpectrum(), "grouped") == {}
    assert prepared(problem_of(0.7, 0.8, 3000), "grouped")["groups"].equals(made(0.7, 0.8, 3000))


@pytest.mark.parametrize("case", [(1.0, 0.7, 1, 2), (1.0, 0.7, 30), (0.7, 0.8, 100), (0.05, 0.6, 100)], ids=str)
def test_small_dimensions_are_refused(case):
    """Also those at which the algorithms for the bias are unstable."""
    with pytest.raises(ParameterError, match="method='diagonal'"):
        equivalent_groups(problem_of(*case))


@pytest.mark.parametrize(("alpha", "beta", "dimension"), [(1.0, -0.3, 10**9), (5.0, -4.0, 10**6), (0.8, 0.49, 10**6)])
def test_targets_that_grow_do_not_drown_the_others(alpha, beta, dimension):
    """sum b_j^2 is up to 1e43 times the initial risk here, and no part of any weight."""
    problem = problem_of(alpha, beta, dimension)
    assert strip(problem).target.sum() + limit_risk(problem) == pytest.approx(problem.initial_risk, rel=1e-11)


def test_a_growing_target_on_another_contour():
    problem = problem_of(1.2, -0.6, 200, 700)
    gamma = 0.3 / problem.curvature.trace
    expected = volterra(problem, gamma, 2, 300)
    rule = SGD(learning_rate=gamma, batch_size=2).rule(problem.curvature)
    found = recursion(equivalent_nodes(problem), rule, 2, np.arange(301), 0.0)
    np.testing.assert_allclose(found.risk, expected, rtol=1e-9)


def test_a_fast_falling_target_keeps_the_digits_of_its_tail():
    """The tail is (1/d) sum b_j^2 of random features; two quadratures agree on its decay."""
    problem = problem_of(1.0, 3.0, 10**9)
    times = np.geomspace(1.0, 1e12, 25)[:, None]
    one, two = (np.exp(-found.curvature * times) @ found.target for found in (strip(problem), strip(problem, 0.08)))
    np.testing.assert_allclose(one, two, rtol=3e-9)
