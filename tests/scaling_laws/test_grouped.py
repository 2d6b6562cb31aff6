"""The grouped simulator: its law against the O(d) one, its mean against the recursion, its limits, and its groups.

Laws are compared by two-sample Kolmogorov-Smirnov tests, mostly on a spectrum whose eigenvalues repeat: P and |y|^2 at
six times and log(P_100/P_10), which are 13 numbers for each of six cases. Each is tested at 1e-6/78, so that a false
alarm anywhere has probability 1e-6. With 2000 runs on each side a difference of 0.1 of the distribution functions is
seen, which is a shift by a quarter of a standard deviation; with 8000 (the slow tests, a family of their own) one of
0.05, an eighth. Means are tested apart, the 96 of them at 1e-6 together: a deviation of 0.2 standard deviations of a
run is seen.
"""

import numpy as np
import pytest
from scipy import stats

from analytic.scaling_laws import solve
from analytic.scaling_laws._recursion import Nodes, recursion
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
from dynamics.groups import Groups, power_law_groups
from dynamics.scaling_laws import Spectrum
from dynamics.schedules import Hyperbolic, Power, unchecked
from figures import compare
from figures.verdicts import verdicts
from simulations._streams import Source, stream
from simulations.scaling_laws import _grouped, simulate
from simulations.scaling_laws._grouped import grouped
from simulations.scaling_laws._grouped_kernels import grouped_steps, triangular
from simulations.scaling_laws._runs import diagonal
from tests.scaling_laws.common import power_nodes

TIMES = np.array([1, 3, 10, 30, 100, 200])
LEVELS, SIZES = (1.0, 0.6, 0.2, 0.05, 0.01), (1, 2, 3, 10, 40)
REPEATED = Spectrum(
    eigenvalues=np.repeat(LEVELS, SIZES), initial_error=np.random.default_rng(5).gamma(0.5, 1.0, sum(SIZES)),
    floor=0.02, noise=0.1,
)  # fmt: skip
SINGLE = Spectrum(eigenvalues=[1.0, 0.7, 0.3, 0.02], initial_error=[0.3, 1.0, 0.0, 4.0], floor=0.02, noise=0.1)
#: All four coefficients at work; one where they change with the step, one where the momentum lasts for ever.
RULES = {
    "momentum": Rule(0.7, 0.05, 0.04, 0.2),
    "dana decaying": Rule(1.0, 0.1, Power(scale=0.05, exponent=-0.7), Hyperbolic(offset=4.0)),
}
CASES = [(name, batch) for name in RULES for batch in (1, 4)]
ALARM = 1e-6 / 78
MEANS = 1e-6 / 96


def runs_by_modes(problem, name, batch, runs):
    """P and |y|^2, each (run, time), of the simulator that follows every mode."""
    each = [diagonal(problem, RULES[name], batch, TIMES, 1, run, unchecked)[:2] for run in range(runs)]
    return np.array(each).transpose(1, 0, 2)


def by_groups(groups, name, batch, runs, noise=0.1):
    rngs = [stream(2, run, Source.PATH) for run in range(runs)]
    each = [grouped(groups, noise, RULES[name], batch, TIMES, rng, unchecked)[:2] for rng in rngs]
    return np.array(each).transpose(1, 0, 2)


def worst(problem, name, batch, runs):
    """The smallest p-value of the comparisons of laws."""
    one, two = runs_by_modes(problem, name, batch, runs), by_groups(problem.groups, name, batch, runs)
    pairs = [pair for mine, other in zip(one, two, strict=True) for pair in zip(mine.T, other.T, strict=True)]
    pairs.append(tuple(np.log(risk[:, 4] / risk[:, 2]) for risk in (one[0], two[0])))
    return min(stats.ks_2samp(*pair).pvalue for pair in pairs)


def mean_is_exact(groups, name, batch, runs=2000, noise=0.1):
    nodes = Nodes(groups.eigenvalue, groups.error**2, groups.multiplicity, groups.floor, noise**2)
    exact = np.array(recursion(nodes, RULES[name], batch, TIMES, 0.0)[:2])
    off = by_groups(groups, name, batch, runs, noise) - exact[:, None]
    skew = np.nan_to_num(stats.skew(off, axis=1))
    found = verdicts(
        {
            "theory": exact, "mean": exact + off.mean(1), "deviation": off.mean(1), "allowance": np.zeros_like(exact),
            "standard_error": off.std(1, ddof=1) / np.sqrt(runs), "skewness": skew,
        }, runs, MEANS,
    )  # fmt: skip
    assert found["tested"].all()
    assert found["allowed"].all(), found["deviation_in_standard_errors"]


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_same_law_as_mode_by_mode(name, batch):
    assert worst(REPEATED, name, batch, 2000) > ALARM


@pytest.mark.slow
@pytest.mark.parametrize(("name", "batch"), CASES)
def test_same_law_as_mode_by_mode_in_long(name, batch):
    assert worst(REPEATED, name, batch, 8000) > ALARM


@pytest.mark.parametrize(("name", "batch"), CASES)
def test_mean_is_the_recursion(name, batch):
    mean_is_exact(REPEATED.groups, name, batch)


#: Every algorithm, with coefficients that the power law of a spectrum without one would choose.
FAMILY = (
    SGD(), SGDMomentum(), HeavyBall(), Nesterov(), DanaConstant(decay=4), ScheduleFree(),
    DanaDecaying(decay=4, momentum_exponent=0.7), GeneralMomentum(
        gradient_weight="power:0.7,-0.1", learning_rate="power:0.1,-0.2", momentum_rate="power:0.05,-0.4",
        decay="hyperbolic:3",
    ),
)  # fmt: skip


@pytest.mark.parametrize("batch", [1, 4, 64])
@pytest.mark.parametrize("one", FAMILY, ids=lambda one: one.label)
def test_mean_of_every_algorithm_is_the_recursion(one, batch):
    """All 24 at a false alarm of 1e-6; deviations are seen from a hundredth (large batches) to half of the risk."""
    algorithm = one.model_copy(update={"batch_size": batch})
    runs = simulate(REPEATED, algorithm, TIMES, runs=400, seed=batch, method="grouped")
    found = compare(solve(REPEATED, algorithm, TIMES, method="recursion"), runs, false_alarm=1e-6 / 24)
    assert found.attrs["verdict"] == "agree"
    assert float((found.detectable / found.theory).median()) < 0.6


@pytest.mark.parametrize("name", RULES)
def test_mean_with_multiplicities_between_the_whole_numbers(name):
    error = np.array([0.0, 1.0, 0.5, 2.0])
    mean_is_exact(Groups(np.array([0.8, 0.3, 0.1, 0.02]), np.array([2.0, 2.3, 3.5, 40.7]), error, 0.05), name, 1)


def test_no_error_at_first_is_a_start_like_others():
    """The momentum is zero as always; what moves the weights is the floor."""
    groups = REPEATED.groups
    mean_is_exact(groups._replace(error=np.zeros(5)), "momentum", 2)


def test_groups_of_one_mode_are_the_modes():
    groups = SINGLE.groups
    assert (groups.multiplicity == 1).all()
    assert worst(SINGLE, "momentum", 1, 2000) > ALARM
    mean_is_exact(groups, "momentum", 1)


def test_one_pair_at_rest_is_moved_by_two_numbers():
    """Where one pair is all there is, its two noises must be independent: that does not show in the mean."""
    pair = Spectrum(eigenvalues=[0.5, 0.5], initial_error=[0.0, 0.0], floor=0.02, noise=0.1)
    assert worst(pair, "momentum", 1, 2000) > ALARM


def test_only_a_mode_alone_has_a_sign():
    """p of several modes is a length, b always; of one mode p is the error itself, which crosses zero, and b is 0."""
    rng, seen = np.random.default_rng(0), []
    state = np.array([[1.0, 1.0, 1.0, 1.0], [0.0] * 4, [0.0] * 4])
    curvature, m = np.full(4, 0.3), np.array([1.0, 2.0, 2.5, 30.0])
    for _ in range(300):
        one = np.ones(1)
        assert grouped_steps(rng, curvature, m, state, 0.1, 1.0, 1e9, 0.0, one, 0.1 * one, 0.05 * one, 0.3 * one) < 0
        seen.append(state.copy())
    p, _, b = np.array(seen).transpose(1, 2, 0)
    assert p[0].min() < -0.1 < 0.1 < p[0].max()
    assert (b[0] == 0).all()
    assert (p[1:] > 0).all()
    assert (b[1:] > 0).all()


@pytest.mark.parametrize("name", RULES)
def test_huge_batches_are_gradient_descent(name):
    """The noise is 1/sqrt(B) of the gradient, 3e-8, for each of 56 modes and 200 steps."""
    groups = REPEATED.groups
    found = grouped(groups, 0.1, RULES[name], 2**50, TIMES, np.random.default_rng(0), unchecked)
    w, y, kept = groups.error, np.zeros(5), []
    for t in range(TIMES[-1]):
        g1, g2, g3, delta = RULES[name].at_one(t)
        gradient = groups.eigenvalue * w
        y = (1 - delta) * y + g1 * gradient
        w = w - g2 * gradient - g3 * y
        kept.append((groups.floor + groups.eigenvalue @ w**2, y @ y))
    expected = np.array(kept)[TIMES - 1].T
    np.testing.assert_allclose(found.risk, expected[0], rtol=100 * 2.0**-25)
    np.testing.assert_allclose(found.momentum_norm, expected[1], rtol=100 * 2.0**-25)


@pytest.mark.parametrize("scale", [1.0, 1e-170, 1e170])
def test_the_triangular_factor_keeps_lengths_and_the_angle(scale):
    rng = np.random.default_rng(1)
    frames = [*rng.standard_normal((200, 2, 3)), np.zeros((2, 3)), np.array([[-2.0, 0, 0], [3.0, 4.0, -5.0]])]
    frames += [np.array([[0.0, 0, 0], [1.0, -2, 2]]), np.array([[0, -1e-9, 0], [1.0, 2, 3]]), np.array([[1.0] * 3] * 2)]
    for w, y in frames:
        p, a, b = (part / scale for part in triangular(*(scale * w), *(scale * y)))
        np.testing.assert_allclose([p * p, p * a, a * a + b * b], [w @ w, w @ y, y @ y], rtol=1e-12, atol=1e-14)
        assert b >= 0


def test_without_floor_and_noise_the_risk_may_vanish():
    groups = Groups(np.array([1.0, 0.5]), np.array([1.0, 3.0]), np.zeros(2), 0.0)
    found = grouped(groups, 0.0, RULES["momentum"], 1, TIMES, np.random.default_rng(0), unchecked)
    assert not found.risk.any()
    assert not found.momentum_norm.any()


def test_divergence_is_seen_at_its_step():
    rule = Rule(0.0, 20.0, 0.0, 1.0)
    found = grouped(REPEATED.groups, 0.1, rule, 1, np.array([0, 2, 3000]), np.random.default_rng(0), unchecked)
    at = found.diverged_at
    assert 2 < at < 100
    assert found.risk.size == found.momentum_norm.size == 2
    before = np.array([0, 2, at - 1])
    again = grouped(REPEATED.groups, 0.1, rule, 1, before, np.random.default_rng(0), unchecked)
    assert again.diverged_at == -1
    assert again.risk[-1] <= 1e10 * REPEATED.initial_risk


def test_the_generator_is_all_there_is(monkeypatch):
    """The same bits from the same stream, however the steps are divided, and whenever one looks."""

    def run(times, seed=7):
        return grouped(REPEATED.groups, 0.1, RULES["dana decaying"], 3, times, stream(seed, 0, Source.PATH), unchecked)

    whole, again, late = run(TIMES), run(TIMES), run(TIMES[3:])
    monkeypatch.setattr(_grouped, "_LOOK", 35)
    pieces, other = run(TIMES), run(TIMES, 8)
    for name in ("risk", "momentum_norm"):
        bits = [getattr(path, name).tobytes() for path in (whole, again, pieces)]
        assert bits[0] == bits[1] == bits[2]
        assert getattr(late, name).tobytes() == getattr(whole, name)[3:].tobytes()
        assert (getattr(other, name) != getattr(whole, name)).all()


def test_equal_eigenvalues_are_merged_and_nothing_else():
    groups = REPEATED.groups
    np.testing.assert_array_equal(groups.eigenvalue, LEVELS)
    np.testing.assert_array_equal(groups.multiplicity, SIZES)
    parts = np.split(np.array(REPEATED.initial_error), np.cumsum(SIZES)[:-1])
    np.testing.assert_allclose(groups.error**2, [part.sum() for part in parts], rtol=1e-14)
    assert groups.floor == REPEATED.floor
    near = Spectrum(eigenvalues=[0.5, 0.5 + 1e-17, 0.5 + 1e-15], initial_error=[1.0, 2.0, 4.0]).groups
    np.testing.assert_array_equal(near.multiplicity, [1, 2])
    np.testing.assert_allclose(near.error**2, [4.0, 3.0], rtol=1e-15)


@pytest.mark.parametrize("multiplicity", [0.0, 0.5, 1.5, -1.0, np.nan])
def test_multiplicities_without_a_law_are_refused(multiplicity):
    groups = Groups(np.ones(2), np.array([1.0, multiplicity]), np.ones(2), 0.1)
    with pytest.raises(ParameterError, match="multiplicity of a group must be 1 or at least 2"):
        grouped(groups, 0.0, RULES["momentum"], 1, TIMES, np.random.default_rng(0), unchecked)


POWERS = [(0.7, 0.8), (1.0, 0.3), (1.0, 1.2), (0.4, 0.7)]
FINER = [(16, 2.0, 2), (16, 1.5, 2), (32, 1.5, 3), (32, 1.3, 4)]


@pytest.mark.parametrize(("alpha", "beta"), POWERS)
def test_sums_over_the_spectrum(alpha, beta):
    """Number of modes, trace and risk: to 1e-9 as recommended, to 1e-12 from five nodes on a panel."""
    j = np.arange(1, 4001.0)
    exact = np.array([4000, (j ** (-2 * alpha)).sum(), (j ** (-2 * (alpha + beta))).sum()])
    for nodes, rtol in ((4, 1e-9), (5, 1e-12), (6, 1e-13)):
        x, m, p, _ = power_law_groups(alpha, beta, 4000, ratio=1.3, nodes=nodes)
        np.testing.assert_allclose([m.sum(), m @ x, x @ p**2], exact, rtol=rtol)
        assert m.sum() == pytest.approx(4000, rel=1e-14)
        assert ((m == 1) | (m > 2)).all()


@pytest.mark.parametrize("dimension", [1, 31, 32, 33, 40, 45, 1000, 10**9, 2**52])
def test_groups_for_every_dimension(dimension):
    for direct, ratio, nodes in [*FINER, (1, 1.05, 7), (5, 3.0, 8)]:
        groups = power_law_groups(1.0, 0.7, dimension, 0.1, direct=direct, ratio=ratio, nodes=nodes)
        assert groups.multiplicity.sum() == pytest.approx(dimension, rel=1e-13)
        assert ((groups.multiplicity == 1) | (groups.multiplicity > 2)).all()
        assert (np.diff(groups.eigenvalue) < 0).all()
    assert groups.floor == 0.1


def bias(alpha, beta, rule, last):
    """Largest relative error of the mean risk, for each of the settings from coarse to fine."""
    times = np.unique(np.geomspace(1, last, 60).astype(np.int64))
    exact = recursion(power_nodes(alpha, beta, 4000, 1e-4), rule, 1, times, 0.0).risk
    found = []
    for direct, ratio, nodes in FINER:
        x, m, p, floor = power_law_groups(alpha, beta, 4000, 1e-4, direct=direct, ratio=ratio, nodes=nodes)
        risk = recursion(Nodes(x, p**2, m, floor, 0.0), rule, 1, times, 0.0).risk
        found.append(np.abs(risk / exact - 1).max())
    return found


@pytest.mark.parametrize(("alpha", "beta"), POWERS)
@pytest.mark.parametrize("name", ["sgd", "dana decaying"])
def test_groups_in_place_of_modes_change_the_mean_by_less_than_1e_6(alpha, beta, name):
    rate = 0.5 * min(1.0, 1.0 / (np.arange(1, 4001.0) ** (-2 * alpha)).sum())
    momentum = Power(scale=0.2 * rate, exponent=-0.5 / alpha)
    rule = Rule(0.0, rate, 0.0, 1.0) if name == "sgd" else Rule(1.0, rate, momentum, Hyperbolic(offset=5.0))
    found = bias(alpha, beta, rule, 30_000)
    assert found[-1] < 1e-6
    assert (np.array(found[1:]) < np.array(found[:-1])).all()
