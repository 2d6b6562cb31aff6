"""The exact mean risk: against a matrix recursion, independent numbers; the block integrator against every step."""

import numpy as np
import pytest

from analytic.scaling_laws import solve
from analytic.scaling_laws._recursion import Nodes, _Walk, recursion
from dynamics.algorithms import SGD, DanaDecaying, GeneralMomentum, Rule
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, Spectrum
from dynamics.schedules import Hyperbolic, Power, StepTable
from simulations.scaling_laws import sample
from tests.scaling_laws.common import REFERENCE, power_nodes, rule_of

SPECTRA = REFERENCE["explicit_spectrum"]
RULES = {
    "sgd": Rule(0.0, 0.17, 0.0, 1.0),
    "momentum": Rule(0.8, 0.05, 0.03, 0.2),
    "heavy ball": Rule(1.0, 0.0, 0.04, 0.1),
    "dana constant": Rule(1.0, 0.17, 4e-4, Hyperbolic(offset=4.0)),
    "dana decaying": Rule(1.0, 0.17, Power(scale=0.03, exponent=-0.7), Hyperbolic(offset=4.0)),
}


@pytest.mark.parametrize("case", SPECTRA["cases"], ids=lambda case: f"{case['alpha']}-{case['B']}")
def test_independent_numbers(case):
    nodes = power_nodes(case["alpha"], case["beta"], case["d"], case["P_inf"])
    for run in case["runs"].values():
        found = recursion(nodes, rule_of(run["hyper"]), case["B"], np.array(case["t"]), 0.0)
        np.testing.assert_allclose(found.risk, run["P_discrete"], rtol=SPECTRA["rel_tol_discrete"])
        assert not found.risk_error.any()


def by_matrices(eigenvalues, start, variance, rule, batch, last):
    """Second moments of (w, y) as full matrices, in a rotated basis: E g g^T = (1+1/B) K C K + K (tr K C + P_inf)/B."""
    d = eigenvalues.size
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((d, d)))
    k = rotation @ np.diag(eigenvalues) @ rotation.T
    w = rotation @ start
    moment = np.zeros((2 * d, 2 * d))
    moment[:d, :d] = np.outer(w, w)
    one = np.eye(d)
    risks, norms = [], []
    for t in range(last + 1):
        risks.append(np.trace(k @ moment[:d, :d]))
        norms.append(np.trace(moment[d:, d:]))
        g1, g2, g3, delta = rule.at_one(t)
        # (w, y)' = mean of the map (w, y) -> (w - g2 g - g3 y', y'), y' = (1 - delta) y + g1 g, with g = K w + noise
        step = np.block([[one - (g2 + g3 * g1) * k, -g3 * (1 - delta) * one], [g1 * k, (1 - delta) * one]])
        kick = np.vstack([-(g2 + g3 * g1) * one, g1 * one])
        spread = (k @ moment[:d, :d] @ k + k * (np.trace(k @ moment[:d, :d]) + variance)) / batch
        moment = step @ moment @ step.T + kick @ spread @ kick.T
    return np.array(risks), np.array(norms)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("batch", [1, 4])
def test_matrix_recursion_in_any_basis(rule, batch):
    """Label noise and floor enter the variance of the residual alike; only the floor is part of the risk."""
    eigenvalues, start = np.array([0.9, 0.5, 0.5, 0.07, 0.002]), np.array([1.0, -2.0, 0.3, 0.5, -3.0])
    nodes = Nodes(eigenvalues, start**2, np.ones(5), 0.2, 0.3**2)
    found = recursion(nodes, rule, batch, np.arange(41), 0.0)
    risk, norm = by_matrices(eigenvalues, start, 0.2 + 0.09, rule, batch, 40)
    np.testing.assert_allclose(found.risk, risk + 0.2, rtol=1e-12)
    np.testing.assert_allclose(found.momentum_norm, norm, rtol=1e-12)


def test_modes_of_equal_curvature_are_one_node():
    together = Nodes(np.array([0.5, 0.1]), np.array([3.0, 1.0]), np.array([2.0, 3.0]), 0.1, 0.0)
    apart = Nodes(
        np.array([0.5, 0.5, 0.1, 0.1, 0.1]), np.array([1.0, 2.0, 0.2, 0.3, 0.5]), np.ones(5), 0.1, 0.0
    )  # fmt: skip
    for rule in RULES.values():
        one, two = (recursion(nodes, rule, 2, np.arange(200), 0.0) for nodes in (together, apart))
        np.testing.assert_allclose(one.risk, two.risk, rtol=1e-12)
        np.testing.assert_allclose(one.momentum_norm, two.momentum_norm, rtol=1e-12)


def test_no_kick_of_its_own_in_large_batches():
    """B -> infinity without momentum is gradient descent: every mode shrinks by 1 - gamma l."""
    nodes = power_nodes(0.7, 0.8, 30)
    found = recursion(nodes, Rule(0.0, 0.4, 0.0, 1.0), 2**53, np.arange(100), 0.0)
    expected = [(nodes.curvature * nodes.error * (1 - 0.4 * nodes.curvature) ** (2 * t)).sum() for t in range(100)]
    np.testing.assert_allclose(found.risk, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "momentum", "dana constant", "dana decaying"])
def test_blocks_are_of_second_order(name):
    """Slope 2 +- 0.1 in their length, from step 1024 on, for modes slower than a block; many of each make it noisy."""
    nodes = Nodes(np.linspace(1e-4, 2e-3, 5), np.linspace(1, 3, 5), np.full(5, 300.0), 0.01, 0.0)
    times = np.array([2048, 5120, 9216])
    walk = _Walk(nodes, RULES[name], 1.0)
    moments = np.zeros((3, 5))
    moments[0] = nodes.error
    _, moments = walk.through(np.arange(1025), moments, times[:0])
    (exact, _), _ = walk.through(np.arange(1024, 9217), moments, times)
    off = []
    for length in (128, 64, 32, 16):
        (risk, _), _ = walk.through(np.arange(1024, 9217, length), moments, times)
        off.append(np.abs(risk / exact - 1).max())
    np.testing.assert_allclose(np.log2(np.array(off[:-1]) / np.array(off[1:])), 2.0, atol=0.1)


@pytest.mark.parametrize("name", ["sgd", "momentum", "dana constant", "dana decaying"])
def test_accuracy_is_reached_and_estimated(name):
    nodes, times = power_nodes(0.7, 0.8, 200, 1e-4), np.unique(np.geomspace(1, 10**5, 40).astype(np.int64))
    for accuracy in (1e-2, 1e-4, 1e-6):
        found, every = (recursion(nodes, RULES[name], 1, times, value) for value in (accuracy, 0.0))
        for mine, exact, error in zip(found[:2], every[:2], found[2:], strict=True):
            np.testing.assert_allclose(mine, exact, rtol=accuracy)
            assert (np.abs(mine - exact) <= error + 1e-12 * exact).all()
    assert found.risk_error.any()


def test_a_jump_far_out_is_a_border_of_blocks():
    nodes = power_nodes(0.7, 0.8, 20, 1e-3)
    rule = Rule(0.0, StepTable(steps=[0, 20_011], values=[0.3, 0.01]), 0.0, 1.0)
    times = np.array([20_010, 20_011, 20_012, 30_000])
    found, every = (recursion(nodes, rule, 1, times, accuracy) for accuracy in (1e-6, 0.0))
    np.testing.assert_allclose(found.risk, every.risk, rtol=1e-6)


def test_what_is_asked_is_what_is_taken():
    """A Spectrum and drawn random features are the same, label noise included; the answer says which rule it took."""
    problem = PowerLawRandomFeatures(alpha=0.8, beta=0.5, dimension=12, noise=0.4)
    data = sample(problem, runs=3, seed=5)
    times, algorithm = [0, 7, 300], DanaDecaying(batch_size=3)
    drawn = solve(problem, algorithm, times, method="recursion", data=data)
    assert drawn["risk"].dims == ("run", "time")
    for run in range(3):
        one = Spectrum(
            eigenvalues=data.eigenvalues[run], initial_error=data.initial_error[run], floor=float(data.floor[run]),
            noise=0.4,
        )  # fmt: skip
        rule = algorithm.rule(problem.curvature)  # a Spectrum has no alpha, and another trace
        own = GeneralMomentum(
            batch_size=3, learning_rate=rule.gamma2, momentum_rate=rule.gamma3, decay=rule.delta
        )  # fmt: skip
        found = solve(one, own, times, method="recursion")
        np.testing.assert_array_equal(found.risk, drawn.risk[run])
        assert found.attrs["coefficients"] == drawn.attrs["coefficients"]
    np.testing.assert_allclose(drawn.risk[:, 0], problem.initial_risk, rtol=1e-12)


def test_a_large_dimension_takes_no_longer():
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9, ambient_dimension=4 * 10**9)
    found = solve(problem, SGD(), [0, 10**6, 10**12])
    assert found.risk[0] == pytest.approx(problem.initial_risk, rel=1e-9)
    assert (found.risk_error <= 8e-9 * found.risk + 1e-3 * found.risk).all()
    assert (np.diff(found.risk) < 0).all()


@pytest.mark.parametrize(
    ("algorithm", "words"),
    [
        (SGD(learning_rate=1.3), "the kernel norm at step 100 must be below 1"),
        (GeneralMomentum(learning_rate=0.01, momentum_rate=Power(scale=3.0, exponent=0.5), decay=0.01), "has grown 1e"),
    ],
)
def test_unstable_coefficients_are_refused(algorithm, words):
    problem = PowerLawRandomFeatures(dimension=20)
    with pytest.raises(ParameterError, match="learning_rate or momentum_rate must be smaller") as caught:
        solve(problem, algorithm, [100])
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"accuracy": -1}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"method": "recursion"}, "needs a Spectrum, or data"),
        ({"method": "recursions"}, "did you mean recursion?"),
        ({"data": 3}, "data must be left out"),
    ],
)
def test_bad_questions(options, words):
    with pytest.raises(ParameterError, match=words.replace("?", r"\?")):
        solve(PowerLawRandomFeatures(dimension=20), SGD(), [100], **options)


def test_data_of_another_problem_are_refused():
    data = sample(PowerLawRandomFeatures(dimension=5), runs=2)
    with pytest.raises(ParameterError, match="data must be drawn for this problem"):
        solve(PowerLawRandomFeatures(dimension=5, noise=0.1), SGD(), [1], method="recursion", data=data)
    with pytest.raises(ParameterError, match="left out for a given spectrum"):
        solve(Spectrum(eigenvalues=[1], initial_error=[1]), SGD(), [1], method="recursion", data=data)


def test_an_accuracy_that_would_take_for_ever_is_refused():
    with pytest.raises(ParameterError, match="accuracy"):
        solve(Spectrum(eigenvalues=[0.1], initial_error=[1]), SGD(), [10**9], method="recursion", accuracy=0)
