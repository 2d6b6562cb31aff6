"""Training in weight space: against the recursion of responses, its own steps in numpy, stability, and streams."""

import numpy as np
import pytest
from scipy.special import expit, logit

from analytic.gradient_starvation import fixed_point, solve
from dynamics.algorithms import DualDescent, DualFlow, PrimalDescent, PrimalFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import CoupledFeatures, TwoSamples
from simulations._streams import Source, stream
from simulations.gradient_starvation import _weights
from simulations.gradient_starvation._weights import draw_features, stability_bound, weights
from tests.gradient_starvation.common import random_problem

TIMES = np.append(0, np.unique(np.geomspace(1, 5000, 40).astype(np.int64)))
L2, DECOUPLING = {"l2": 0.01}, {"l2": 0.0, "decoupling": 0.002}


def nothing():
    """No request to stop."""


def train(problem, algorithm, times, seed=0, run=0):
    return weights(problem, algorithm, np.asarray(times, dtype=np.int64), seed, run, nothing)


def compared(problem, algorithm, times, seed=0, run=0):
    """Theory and simulation, and the largest deviations of responses and margins."""
    theory, found = solve(problem, algorithm, times), train(problem, algorithm, times, seed, run)
    assert found.diverged_at == -1
    for name in ("response", "margin"):
        assert (np.abs(getattr(found, name) - theory[name].values) <= theory[f"{name}_error"].values).all()
    return theory, found


@pytest.mark.parametrize("strong", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(
    ("penalties", "algorithm"),
    [
        (L2, PrimalDescent(learning_rate=0.05)),
        (DECOUPLING, PrimalDescent(learning_rate=0.05)),
        (L2, DualDescent(initial=1e-8, learning_rate=3e-6)),
    ],
    ids=["l2", "decoupling", "dual"],
)
def test_the_published_runs(strong, penalties, algorithm):
    """Detects that responses are not a closed description of the weights: 5000 steps agree to 1e-12."""
    problem = TwoSamples(strong=strong, weak=2, coupling=0.5, **penalties)
    theory, found = compared(problem, algorithm, TIMES, seed=strong)
    np.testing.assert_allclose(found.response, theory.response, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.margin, theory.margin, rtol=0, atol=1e-12)
    assert (theory.response_error < 1e-10).all()


@pytest.mark.parametrize(("l2", "decoupling"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.1), (0.02, 0.03), (1e-9, 0.5)])
def test_any_coupling_and_penalty(l2, decoupling):
    """Detects a wrong penalty, n > r that is not handled, and a wrong declared error, also with strengths 1 to 1e7."""
    rng = np.random.default_rng(1)
    problem = random_problem(rng, 6, 4, l2=l2, decoupling=decoupling)
    wide = problem.model_copy(update={"strengths": [3.0, 1.0, 1e-3, 3e-7]})
    for one in (problem, wide):
        compared(one, PrimalDescent(learning_rate=0.04), TIMES)
        if l2 + decoupling > 0.0:
            compared(one, DualDescent(initial=0.2, learning_rate=1e-4), TIMES)


@pytest.mark.parametrize("algorithm", [PrimalDescent(learning_rate=0.05), DualDescent(learning_rate=1e-3)])
def test_features_and_labels_do_not_matter(algorithm):
    """Detects responses that depend on V or on the labels, and runs that have the same ones."""
    problem = random_problem(np.random.default_rng(2), 5, 3, l2=0.1, decoupling=0.02)
    runs = [train(problem, algorithm, [1, 10, 1000], 3, run).response for run in range(4)]
    for run in runs[1:]:
        np.testing.assert_allclose(run, runs[0], rtol=1e-11)
    drawn = [draw_features(problem, 3, run) for run in range(4)]
    assert len({features.tobytes() for features, _ in drawn}) == 4
    assert len({labels.tobytes() for _, labels in drawn}) > 1
    signs = stream(3, 2, Source.TEACHER).choice(np.array([-1.0, 1.0]), 5)  # not of the stream that features come from
    np.testing.assert_array_equal(drawn[2][1], signs)
    for features, labels in drawn:
        assert features.shape == (5, 6)
        assert set(labels) <= {-1.0, 1.0}
        expected = (problem.presence * problem.strength**2) @ problem.presence.T
        signed = labels[:, None] * features
        np.testing.assert_allclose(signed @ signed.T, expected, atol=1e-13 * problem.strength.max() ** 2)


def test_features_are_spread_evenly():
    """Detects a V that is not uniform: means of its entries over 4000 runs, false alarm 1e-7 (18 entries, 5.8 s.e.)."""
    problem = CoupledFeatures(strengths=[1.0, 1.0, 1.0], coupling=np.eye(3).tolist())
    drawn = np.array(
        [labels[:, None] * features for features, labels in (draw_features(problem, 0, k) for k in range(4000))]
    )
    errors = drawn.std(axis=0) / np.sqrt(4000)
    assert (np.abs(drawn.mean(axis=0)) < 5.8 * errors).all()
    np.testing.assert_allclose((drawn**2).mean(axis=0), 1 / 6, rtol=0.1)


def test_steps_in_numpy():
    """Detects a wrong gradient: the loss is written out, and its gradient taken by differences."""
    problem = random_problem(np.random.default_rng(3), 4, 3, l2=0.2, decoupling=0.3)
    features, labels = draw_features(problem, 5, 1)

    def loss(theta):
        outputs = features @ theta
        fit = np.logaddexp(0.0, -labels * outputs).sum()
        return fit + 0.2 / 2 * theta @ theta + 0.3 / 2 * outputs @ outputs

    theta = np.zeros(6)
    found = train(problem, PrimalDescent(learning_rate=0.1), range(21), 5, 1)
    for step in range(21):
        np.testing.assert_allclose(found.margin[:, step], labels * (features @ theta), atol=1e-8)
        ends = [[loss(theta + side * h * one) for one in np.eye(6)] for h in (1e-4, 2e-4) for side in (1, -1)]
        near, far = ((np.array(ends[k]) - ends[k + 1]) / (2e-4 * (1 + k // 2)) for k in (0, 2))
        theta = theta - 0.1 * (4 * near - far) / 3


def test_dual_steps_in_numpy():
    """Detects a wrong kernel, by A (l2 + decoupling A^T A)^-1 A^T in weight space, and wrong borders of alpha."""
    problem = random_problem(np.random.default_rng(4), 4, 3, l2=0.2, decoupling=0.3)
    features, labels = draw_features(problem, 5, 1)
    a = labels[:, None] * features
    kernel = a @ np.linalg.solve(0.2 * np.eye(6) + 0.3 * a.T @ a, a.T)
    for eta in (0.02, 4.0):
        alpha = np.full(4, 0.3)
        found = train(problem, DualDescent(learning_rate=eta, initial=0.3), range(21), 5, 1)
        for step in range(21):
            np.testing.assert_allclose(found.margin[:, step], kernel @ alpha, rtol=1e-9)
            alpha = np.clip(alpha - eta * (logit(alpha) + kernel @ alpha), 1e-50, 1 - 1e-7)


def test_both_ends_are_the_fixed_point():
    """Detects descents that end elsewhere."""
    problem = random_problem(np.random.default_rng(5), 5, 4, l2=0.3, decoupling=0.1)
    rest = fixed_point(problem).response
    for algorithm in (PrimalDescent(learning_rate=0.1), DualDescent(initial=0.5, learning_rate=0.01)):
        found = train(problem, algorithm, [10**5])
        np.testing.assert_allclose(found.response[:, 0], rest, rtol=1e-12)


def loss_of(problem, response, margin):
    """The loss at theta = V S^-1 z, the smallest weights with these responses."""
    penalty = problem.l2 / problem.strength**2 + problem.decoupling
    return np.logaddexp(0.0, -margin).sum(axis=0) + 0.5 * penalty @ response**2


def test_the_loss_falls_below_the_bound():
    """Detects a wrong bound: just below it the loss falls in every step, for random problems."""
    rng = np.random.default_rng(6)
    for _ in range(30):
        problem = random_problem(rng, 4, 4, l2=10 ** rng.uniform(-3, 1), decoupling=10 ** rng.uniform(-3, 0))
        strongest = problem.strength.max() ** 2
        eta = 0.999 * 2.0 / ((0.25 + problem.decoupling) * strongest + problem.l2)
        found = train(problem, PrimalDescent(learning_rate=eta), range(60))
        assert found.diverged_at == -1
        loss = loss_of(problem, found.response, found.margin)
        assert (np.diff(loss) <= 1e-12 * loss[1:]).all()
        assert f"= {eta / 0.999:.6g} the loss falls" in stability_bound(problem, PrimalDescent(learning_rate=eta))


def test_divergence_is_seen_where_it_must_be():
    """Detects a divergence that is missed or made up, around 2/(l2 + decoupling s_1^2), and values after it."""
    problem = TwoSamples(strong=4.0, weak=2.0, coupling=0.5, l2=1.0, decoupling=0.125)
    above, below = (PrimalDescent(learning_rate=eta) for eta in (1.05 * 2 / 3, 0.999 * 2 / 3))
    times = np.array([0, 5, 50, 10**5])
    found = train(problem, above, times)
    assert 50 < found.diverged_at < 1000
    assert np.isfinite(found.response[:, :3]).all()
    assert np.isnan(found.response[:, 3]).all()
    assert np.isnan(found.margin[:, 3]).all()
    before = train(problem, above, [found.diverged_at - 1, found.diverged_at])
    assert np.abs(before.margin[:, 0]).max() <= 1e10 * max(1.0, 0.7 * 20.0)
    assert np.isnan(before.margin[:, 1]).all()
    with pytest.raises(ParameterError, match=r"learning_rate .* must be at most .* = 0.666667"):
        solve(problem, above, times)
    assert "= 0.666667" in stability_bound(problem, above)
    assert train(problem, below, times).diverged_at == -1
    solve(problem, below, times)
    huge = TwoSamples(strong=1e20, weak=1.0, l2=0.0)
    assert "no learning_rate throws" in stability_bound(huge, above)
    assert train(huge, PrimalDescent(learning_rate=1.0), [1, 100]).diverged_at == -1


def test_steps_are_taken_in_pieces(monkeypatch):
    """Detects a run that cannot be stopped, and one whose bits depend on its pieces or on the times asked for."""
    problem = random_problem(np.random.default_rng(7), 4, 3, l2=0.1)
    for algorithm in (PrimalDescent(learning_rate=0.05), DualDescent(learning_rate=1e-3)):
        whole = train(problem, algorithm, [3, 1000])
        looks = []
        monkeypatch.setattr(_weights, "_LOOK", 240)
        pieces = weights(problem, algorithm, np.array([0, 7, 1000]), 0, 0, lambda looks=looks: looks.append(1))
        monkeypatch.undo()
        assert len(looks) >= 60
        np.testing.assert_array_equal(pieces.response[:, -1], whole.response[:, -1])

    def stop():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        weights(problem, PrimalDescent(), np.array([10]), 0, 0, stop)


def test_late_divergence_in_pieces(monkeypatch):
    """Detects a step of divergence that is counted from the start of its piece."""
    problem, algorithm = TwoSamples(l2=3.0), PrimalDescent(learning_rate=0.7)
    whole = train(problem, algorithm, [1000]).diverged_at
    monkeypatch.setattr(_weights, "_LOOK", 100)
    assert train(problem, algorithm, [40, 1000]).diverged_at == whole > 100


def test_what_has_no_steps_is_refused():
    """Detects a flow that is simulated, and a dual ascent of a problem without dual."""
    for algorithm in (PrimalFlow(), DualFlow()):
        with pytest.raises(ParameterError, match=f"PrimalDescent or DualDescent.*; got {algorithm.label}"):
            train(TwoSamples(), algorithm, [1])
    with pytest.raises(ParameterError, match="l2 or decoupling must be above 0"):
        train(TwoSamples(l2=0.0), DualDescent(), [1])


def test_the_first_step():
    """Detects labels with the wrong sign: after one step z = eta S^2 U^T 1/2."""
    problem = random_problem(np.random.default_rng(8), 3, 2, l2=0.7, decoupling=0.4)
    found = train(problem, PrimalDescent(learning_rate=0.3), [0, 1])
    assert not found.response[:, 0].any()
    expected = 0.3 * problem.strength**2 * (problem.presence.T @ expit(np.zeros(3)))
    np.testing.assert_allclose(found.response[:, 1], expected, rtol=1e-13)
