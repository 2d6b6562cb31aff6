"""The problems of gradient starvation: from features and labels, and what is refused; ``simulate`` as users call it."""

import numpy as np
import pytest

from analytic.gradient_starvation import fixed_point, solve
from dynamics.algorithms import Adam, DualFlow, MomentumDescent, PrimalDescent, PrimalFlow
from dynamics.errors import DivergenceError, ParameterError
from dynamics.gradient_starvation import ColoredDigits, CoupledFeatures, TwoMoons, TwoSamples
from dynamics.results import rebuild
from figures import compare
from simulations.gradient_starvation import sample, simulate


def test_features_and_labels_make_the_problem():
    """Y Phi = U S V^T, labels included: those of Phi alone would give other margins; rank 2 of 4 samples, 3 weights."""
    rng = np.random.default_rng(3)
    phi, y = rng.standard_normal((4, 2)) @ rng.standard_normal((2, 3)), np.array([1, -1, -1, 1])
    problem = CoupledFeatures.from_features(phi, y, l2=0.3, decoupling=0.1)
    assert len(problem.strengths) == 2
    gram = (problem.presence * problem.strength**2) @ problem.presence.T
    np.testing.assert_allclose(gram, (y[:, None] * phi) @ (y[:, None] * phi).T, atol=1e-12)
    assert (problem.presence.sum(axis=0) >= 0).all()
    assert rebuild(problem.to_json()) == problem
    # the minimum of the loss in weight space: its gradient is 0 there
    u = fixed_point(problem).margin.values
    theta = np.linalg.lstsq(y[:, None] * phi, u, rcond=None)[0]
    gradient = -(y[:, None] * phi).T @ (1 / (1 + np.exp(u))) + 0.3 * theta + 0.1 * (y[:, None] * phi).T @ u
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], [1, 0], "labels must be -1 or 1 for each of the 2 samples"),
        ([[1.0, 0.0], [0.0, 1.0]], [1], "labels must be -1 or 1"), ([[0.0]], [1], "features must be a finite matrix"),
        ([[np.nan]], [1], "features must be a finite matrix"),
    ],
)  # fmt: skip
def test_bad_features(features, labels, words):
    with pytest.raises(ParameterError, match=words):
        CoupledFeatures.from_features(features, labels)


def test_bad_couplings():
    with pytest.raises(ParameterError, match=r"orthonormal columns, to 1e-10.*off by up to 0.1"):
        CoupledFeatures(strengths=[3, 2], coupling=[[1, 0], [0.1, 1]])
    with pytest.raises(ParameterError, match="one column for each of the 2 strengths"):
        CoupledFeatures(strengths=[3, 2], coupling=[[1], [0]])
    with pytest.raises(ParameterError, match="rows of equal length"):
        CoupledFeatures(strengths=[3, 2], coupling=[[1, 0], [0]])
    with pytest.raises(ParameterError, match=r"strong \(strength of the first feature\) must be at least"):
        TwoSamples(strong=0)
    with pytest.raises(ParameterError, match=r"samples .* must be even"):
        TwoMoons(samples=31)


def test_runs_have_all_features_and_samples_and_agree():
    """Three samples of two features: every response and margin of every run, in their order."""
    u = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 2)))[0]
    problem = CoupledFeatures(strengths=[3.0, 1.0], coupling=u, l2=0.05, decoupling=0.02)
    algorithm, times = PrimalDescent(learning_rate=0.1), [0, 1, 30]
    runs, theory = simulate(problem, algorithm, times, runs=3), solve(problem, algorithm, times)
    assert dict(runs.sizes) == {"run": 3, "feature": 2, "sample": 3, "time": 3}
    for name in ("response", "margin"):
        np.testing.assert_allclose(runs[name][1], theory[name], atol=1e-13)
        assert compare(theory, runs, variables=[name]).attrs["verdict"] == "agree"


def test_networks_by_the_front_door():
    problem, algorithm = TwoMoons(samples=20, hidden_units=200), MomentumDescent(output_penalty=0.01)
    runs = simulate(problem, algorithm, [0, 50], runs=4, seed=2)
    theory = solve(problem, algorithm, [0, 50], method="linearised", data=sample(problem, runs=4, seed=2))
    assert compare(theory, runs).attrs["verdict"] == "agree"
    double = simulate(problem, algorithm, [0, 50], runs=1, seed=2, precision="double")
    assert (runs.attrs["precision"], double.attrs["precision"]) == ("single", "double")
    one = simulate(problem, algorithm, [0, 50], runs=1, seed=2, first_run=3, workers=1)
    assert one.nonlinearity.values.tobytes() == runs.nonlinearity[3:].values.tobytes()


def test_a_run_that_diverges_names_its_bound():
    problem, algorithm = TwoSamples(l2=1.0, strong=1.0, weak=0.5), PrimalDescent(learning_rate=2.5)
    with pytest.raises(DivergenceError, match=r"learning_rate 2\.5 must be at most"):
        simulate(problem, algorithm, [1000], runs=1)
    marked = simulate(problem, algorithm, [1000], runs=1, on_divergence="mark")
    assert marked.outcome.values.tolist() == ["diverged"]


@pytest.mark.parametrize(
    ("problem", "algorithm", "words"),
    [
        (TwoSamples(), PrimalFlow(), "a flow has no steps"), (TwoSamples(), DualFlow(), "a flow has no steps"),
        (TwoSamples(), MomentumDescent(), "algorithm must be one of PrimalDescent"),
        (TwoMoons(), PrimalDescent(), "algorithm must be one of MomentumDescent, Adam for TwoMoons"),
        (ColoredDigits(), MomentumDescent(), "algorithm must be Adam for ColoredDigits"),
        (TwoMoons(), Adam(invariance=1.0), "invariance"),
    ],
)  # fmt: skip
def test_pairs_without_meaning(problem, algorithm, words):
    with pytest.raises(ParameterError, match=words):
        simulate(problem, algorithm, [1], runs=2)


def test_methods_without_meaning():
    with pytest.raises(ParameterError, match="for TwoMoons use 'linearised'"):
        solve(TwoMoons(), MomentumDescent(), [1])
    with pytest.raises(ParameterError, match="method 'linearised' needs TwoMoons"):
        solve(TwoSamples(), PrimalDescent(), [1], method="linearised")
    with pytest.raises(ParameterError, match="data must be given"):
        solve(TwoMoons(), MomentumDescent(), [1], method="linearised")
    with pytest.raises(ParameterError, match="data must be left out"):
        solve(TwoSamples(), PrimalDescent(), [1], data=3)
