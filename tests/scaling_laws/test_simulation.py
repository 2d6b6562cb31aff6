"""Simulation of stochastic momentum: literal samples, modes, and their laws against each other and against theory.

The laws are compared by two-sample Kolmogorov-Smirnov tests, each at the level 1e-6/(number of tests): a false alarm
anywhere has probability 1e-6. With 8000 runs on each side (the slow test) a shift of log P by a seventh of its standard
deviation is seen; with 1500 (the quick one) a third.
"""

import numpy as np
import pytest
from scipy import stats

from analytic.scaling_laws import solve
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying, HeavyBall, Nesterov, ScheduleFree, SGDMomentum
from dynamics.errors import DivergenceError, ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from figures import compare
from simulations.scaling_laws import sample, simulate
from simulations.scaling_laws._sample import features, modes, target

#: The methods that random features have.
METHODS = ("diagonal", "literal")
SMALL = PowerLawRandomFeatures(alpha=0.9, beta=0.6, dimension=15, ambient_dimension=60, noise=0.2)
TIMES = [1, 5, 30, 100]


def per_sample(problem, algorithm, times, runs, seed):
    """O(B d) twin in plain numpy, all runs side by side: B Gaussian vectors in the eigenbasis in each step."""
    rng = np.random.default_rng(seed)
    rule = algorithm.rule(problem.curvature)
    each = [modes(problem, seed, run) for run in range(runs)]
    eigenvalues, w, floor = (np.array(part) for part in zip(*each, strict=True))
    y, kept = np.zeros_like(w), []
    for t in range(times[-1]):
        g1, g2, g3, delta = rule.at_one(t)
        g = np.zeros_like(w)
        for _ in range(algorithm.batch_size):
            u = np.sqrt(eigenvalues) * rng.standard_normal(w.shape)
            error = (u * w).sum(1) - np.sqrt(floor + problem.noise**2) * rng.standard_normal(runs)
            g += u * error[:, None] / algorithm.batch_size
        y = (1 - delta) * y + g1 * g
        w = w - g2 * g - g3 * y
        if t + 1 in times:
            kept.append(floor + (eigenvalues * w**2).sum(1))
    return np.array(kept).T


def same_law(one, two, alarm):
    """Times one by one, and a functional of the path."""
    for a, b in [*zip(one.T, two.T, strict=True), (np.log(one[:, -1] / one[:, 0]), np.log(two[:, -1] / two[:, 0]))]:
        assert stats.ks_2samp(a, b).pvalue > alarm


def laws_agree(algorithm, runs, alarm):
    literal, diagonal = (
        simulate(SMALL, algorithm, TIMES, runs=runs, seed=seed, method=method).risk.values
        for seed, method in ((1, "literal"), (2, "diagonal"))
    )
    twin = per_sample(SMALL, algorithm, TIMES, runs, 3)
    same_law(literal, diagonal, alarm)
    same_law(literal, twin, alarm)


CASES = [SGD(batch_size=1), SGD(batch_size=4), DanaDecaying(batch_size=1), DanaDecaying(batch_size=4)]


@pytest.mark.parametrize("algorithm", CASES[1:3], ids=lambda algorithm: algorithm.label)
def test_literal_and_diagonal_runs_have_the_same_law(algorithm):
    laws_agree(algorithm, 1500, 1e-6 / 20)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", CASES, ids=lambda one: f"{one.label}-{one.batch_size}")
def test_literal_and_diagonal_runs_have_the_same_law_in_long(algorithm):
    laws_agree(algorithm, 8000, 1e-6 / 40)


#: Stable for every one of so small matrices, whose largest eigenvalues differ by a factor of 5.
FAMILY = (
    SGD(), SGDMomentum(learning_rate=0.05), HeavyBall(learning_rate=0.01), Nesterov(learning_rate=0.02), ScheduleFree(),
    DanaConstant(learning_rate=0.1), DanaDecaying(learning_rate=0.1),
)  # fmt: skip


#: Literal runs of batches of 64 take seconds.
BATCHES = [(method, batch) for method in METHODS for batch in (1, 4, 64)]
SOME = [pytest.param(*pair, marks=[pytest.mark.slow] if pair == ("literal", 64) else []) for pair in BATCHES]


@pytest.mark.parametrize("one", FAMILY, ids=lambda one: one.label)
@pytest.mark.parametrize(("method", "batch"), SOME)
def test_mean_risk_is_the_recursion_for_the_same_features(one, batch, method):
    """Run by run; a false alarm has probability 1e-6 in all. What is seen: a tenth of the risk, or less."""
    algorithm, times, draws = (
        one.model_copy(update={"batch_size": batch}),
        [0, 1, 2, 7, 40, 200],
        {"runs": 100, "seed": 6},
    )
    runs = simulate(SMALL, algorithm, times, method=method, **draws)
    theory = solve(SMALL, algorithm, times, method="recursion", data=sample(SMALL, **draws))
    found = compare(theory, runs, false_alarm=1e-6 / 42)
    assert found.attrs["verdict"] == "agree"
    seen = (found.detectable / found.theory).sel(variable="risk").values[found.tested.sel(variable="risk").values]
    assert np.median(seen) < 3.0


@pytest.mark.slow
@pytest.mark.parametrize("cls", [SGD, DanaDecaying], ids=lambda cls: cls.label)
def test_mean_over_features_is_the_deterministic_equivalent(cls):
    """Within what it allows itself, 8 P/d, at a false alarm of 1e-6; a deviation of 0.1 P would be seen."""
    problem = PowerLawRandomFeatures(alpha=0.8, beta=0.6, dimension=100)
    algorithm, times = cls(batch_size=16), [1, 10, 100, 1000]
    found = compare(solve(problem, algorithm, times), simulate(problem, algorithm, times, runs=1000, seed=3))
    assert found.attrs["verdict"] == "agree"
    risk = found.sel(variable="risk")
    assert (risk.detectable < 0.25 * risk.theory).all()


def test_modes_are_those_of_the_covariance():
    """K = W^T D W by itself: eigenvalues, P_inf as a least-squares residual, errors along the eigenvectors."""
    matrix, wanted = features(SMALL, 4, 7), target(SMALL)
    found = modes(SMALL, 4, 7)
    values, vectors = np.linalg.eigh(matrix.T @ matrix)
    np.testing.assert_allclose(found.eigenvalues, values[::-1], rtol=1e-9)
    best, (floor,), *_ = np.linalg.lstsq(matrix, wanted, rcond=None)
    assert found.floor == pytest.approx(floor, rel=1e-9)
    np.testing.assert_allclose(found.error**2, (vectors[:, ::-1].T @ best) ** 2, rtol=1e-6)
    j = np.arange(1, 61.0)
    np.testing.assert_allclose(wanted, j**-1.5, rtol=1e-14)
    scaled = matrix * j[:, None] ** 0.9 * np.sqrt(15)
    assert abs(scaled.mean()) < 5 / 30
    assert scaled.std() == pytest.approx(1, abs=5 / np.sqrt(2 * 900))


@pytest.mark.parametrize("method", METHODS)
def test_same_bits_for_any_threads_and_subsets(method):
    options = {"seed": 9, "method": method}
    whole = simulate(SMALL, DanaDecaying(), TIMES, runs=6, workers=1, **options)
    threads = simulate(SMALL, DanaDecaying(), TIMES, runs=6, workers=2, **options)
    part = simulate(SMALL, DanaDecaying(), TIMES, runs=2, first_run=3, **options)
    for name in ("risk", "momentum_norm"):
        assert whole[name].values.tobytes() == threads[name].values.tobytes()
        assert whole[name].values[3:5].tobytes() == part[name].values.tobytes()
    other = simulate(SMALL, DanaDecaying(), TIMES, runs=6, seed=10, method=method)
    assert not (other.risk.values == whole.risk.values).any()
    # a run does not depend on when it is looked at
    late = simulate(SMALL, DanaDecaying(), TIMES[2:], runs=6, **options)
    assert late.risk.values.tobytes() == whole.risk.values[:, 2:].tobytes()


def test_one_draw_is_a_problem_and_many_are_a_dataset():
    one, many = sample(SMALL, seed=3, first_run=1), sample(SMALL, runs=3, seed=3)
    np.testing.assert_array_equal(one.eigenvalues, many.eigenvalues[1])
    np.testing.assert_array_equal(one.initial_error, many.initial_error[1])
    assert (one.floor, one.noise) == (float(many.floor[1]), 0.2)
    runs = simulate(one, SGD(), [0, 50], runs=4)
    np.testing.assert_allclose(runs.risk[:, 0], one.initial_risk, rtol=1e-12)
    np.testing.assert_allclose(one.initial_risk, SMALL.initial_risk, rtol=1e-12)


def test_without_floor_and_noise_the_risk_may_vanish():
    """One mode at its own inverse curvature in huge batches: gone in one step, and nothing moves any more."""
    problem = Spectrum(eigenvalues=[1.0], initial_error=[1.0])
    runs = simulate(problem, SGD(batch_size=2**40, learning_rate=1.0), [0, 1, 500], runs=3)
    assert (runs.risk[:, 0] == 1.0).all()
    assert (runs.risk[:, 1] < 1e-9).all()
    assert (runs.risk[:, 2] >= 0).all()
    assert np.isfinite(runs.risk).all()


@pytest.mark.parametrize("method", METHODS)
def test_divergence_says_when_and_why(method):
    unstable = HeavyBall(learning_rate=0.9, momentum=0.9)
    with pytest.raises(
        DivergenceError, match=r"run 0 diverged at step \d+: .*kernel norm at step \d+ must be below 1"
    ) as e:
        simulate(SMALL, unstable, [0, 3000], runs=2, method=method)
    marked = simulate(SMALL, unstable, [0, 3000], runs=2, method=method, on_divergence="mark")
    assert marked.outcome.values.tolist() == ["diverged", "diverged"]
    assert e.value.step == marked.diverged_at[0]
    assert e.value.partial.identical(marked)
    assert np.isnan(marked.risk[:, 1]).all()
    assert np.isfinite(marked.risk[:, 0]).all()


@pytest.mark.parametrize(
    ("problem", "options", "words"),
    [
        (SMALL, {"runs": 0}, "runs"), (SMALL, {"times": [1.5]}, "whole numbers of steps for sgd"),
        (SMALL, {"times": []}, "times"), (SMALL, {"method": "litteral"}, r"did you mean literal\?"),
        (SMALL, {"seed": -1}, "seed"), (SMALL, {"on_divergence": "x"}, "on_divergence"),
        (Spectrum(eigenvalues=[1], initial_error=[1]), {"method": "literal"}, "needs PowerLawRandomFeatures"),
        (SMALL, {"method": "grouped"}, "needs a Spectrum or PowerLawSpectrum"),
        (PowerLawSpectrum(dimension=10**10), {}, "dimension must be smaller, or method='grouped'.* bytes"),
        (SMALL.model_copy(update={"ambient_dimension": 10**12}), {}, r"this would need [\d,]+ bytes"),
    ],
)  # fmt: skip
def test_bad_questions(problem, options, words):
    with pytest.raises(ParameterError, match=words):
        simulate(problem, SGD(), **({"times": [1], "runs": 2} | options))


def test_only_random_features_are_sampled():
    with pytest.raises(ParameterError, match="to be sampled; got Spectrum"):
        sample(Spectrum(eigenvalues=[1], initial_error=[1]))
    with pytest.raises(ParameterError, match="bytes"):
        sample(PowerLawRandomFeatures(dimension=100_000))
