"""Step sizes divided by a power of the current risk: runs are exact, theory takes the mean risk for that of a run."""

import numpy as np
import pytest

from analytic.scaling_laws import solve
from analytic.scaling_laws._flow import flow
from analytic.scaling_laws._recursion import recursion
from dynamics.algorithms import SGD, GeneralMomentum, Rule
from dynamics.errors import DivergenceError
from dynamics.scaling_laws import PowerLawRandomFeatures, Spectrum
from dynamics.schedules import Hyperbolic, Power
from dynamics.stability import Curvature
from figures import compare
from simulations.scaling_laws import simulate
from simulations.scaling_laws._kernels import literal_steps
from tests.scaling_laws.common import power_nodes
from tests.scaling_laws.test_simulation import same_law

RULE = Rule(1.0, 0.05, Power(scale=0.02, exponent=-0.5), Hyperbolic(offset=4.0), 0.5)
ALGORITHM = GeneralMomentum(
    batch_size=3, learning_rate=0.03, momentum_rate="power:0.01,-0.6", decay="hyperbolic:4", risk_exponent=0.5
)  # fmt: skip


def by_hand(nodes, rule, batch, last):
    """Every step by the plain recursion with coefficients of its own."""
    at, risks = nodes, []
    moments = np.array([nodes.error, 0 * nodes.error, 0 * nodes.error])
    x, m = nodes.curvature, nodes.modes
    for t in range(last + 1):
        risk = nodes.floor + x @ moments[0]
        risks.append(risk)
        total = risk + at.variance
        g1, g2, g3, delta = rule.at_one(t)
        g2, g3, a = g2 / total**rule.risk_exponent, g3 / total**rule.risk_exponent, 1 - delta
        rho, xi, chi = moments
        square = x**2 * rho + (x**2 * rho + x * m * total) / batch
        # moments of w' = w - (g2 + g1 g3) g - g3 a y and of y' = a y + g1 g, with E g w = l rho and E g y = l chi
        g = g2 + g1 * g3
        moments = np.array([
            rho + g**2 * square + (g3 * a) ** 2 * xi - 2 * g * x * rho - 2 * g3 * a * chi + 2 * g * g3 * a * x * chi,
            a**2 * xi + g1**2 * square + 2 * a * g1 * x * chi,
            a * chi + g1 * x * rho - g * a * x * chi - g * g1 * square - g3 * a**2 * xi - g3 * a * g1 * x * chi,
        ])  # fmt: skip
    return np.array(risks)


def test_every_step():
    """With label noise the divisor is the root of P + s^2: what a run can measure."""
    nodes = power_nodes(0.7, 0.8, 40, 0.01, variance=0.04)
    found = recursion(nodes, RULE, 2, np.arange(60), 0.0)
    np.testing.assert_allclose(found.risk, by_hand(nodes, RULE, 2, 59), rtol=1e-12)


def test_blocks_reach_their_accuracy():
    """The middle of a block is found by iteration; of second order, as without."""
    nodes, times = power_nodes(0.7, 0.8, 60, 1e-4), np.unique(np.geomspace(1, 60_000, 20).astype(np.int64))
    every = recursion(nodes, RULE, 1, times, 0.0)
    for accuracy in (1e-2, 1e-5):
        found = recursion(nodes, RULE, 1, times, accuracy)
        np.testing.assert_allclose(found.risk, every.risk, rtol=accuracy)
        # blocks at the edge of stability, where this ends: the estimate is no bound
        assert (np.abs(found.risk - every.risk) <= 2 * found.risk_error + 1e-12 * every.risk).all()
    edge = SGD().largest_rate(Curvature(nodes.curvature, nodes.modes, 60), 0.0)
    assert 0.9 * edge < 0.05 / np.sqrt(every.risk[-1]) < edge


def test_the_flow_of_gradient_descent_in_closed_form():
    """One mode, B -> infinity, gamma/sqrt(P): sqrt P falls linearly in the simplified flow, by gamma l a unit time."""
    nodes = power_nodes(1.0, 0.5, 1)
    found = flow(nodes, Rule(0.0, 0.02, 0.0, 1.0, 0.5), 2**53, np.array([0, 10, 30]), 1e-9, simplified=True)
    np.testing.assert_allclose(np.sqrt(found.risk), 1 - 0.02 * np.array([0, 10, 30]), rtol=1e-8)


def test_flow_and_steps_meet():
    """Late, where a step changes little; step sizes themselves have grown a hundred times by then."""
    nodes, times = power_nodes(0.7, 0.8, 60, 1e-4), np.array([20_000, 100_000])
    rule = Rule(1.0, 0.002, Power(scale=0.001, exponent=-0.5), Hyperbolic(offset=4.0), 0.5)
    steps, flowing = recursion(nodes, rule, 1, times, 1e-6), flow(nodes, rule, 1, times, 1e-6, simplified=False)
    np.testing.assert_allclose(flowing.risk, steps.risk, rtol=2e-3)
    assert steps.risk[1] < 1e-3


@pytest.mark.parametrize(("alpha", "expected"), [(0.7, -0.8228), (0.95, -0.7146), (1.2, -0.6485)])
def test_crossings_of_risk_and_momentum(alpha, expected):
    """Independent numbers: the kappa at which (log P/2 - log |y|^2)/log T = kappa at T = 1e6, gamma3 = (1 + t)^kappa.

    They come from an implicit Euler method and a grid of kappa, on which the crossing is interpolated here too.
    """
    grid = np.linspace(-1.5, -0.2, 30, endpoint=False)
    place = int(np.searchsorted(grid, expected))
    nodes, trace = power_nodes(alpha, 0.5, 1000), (np.arange(1, 4001.0) ** (-2 * alpha)).sum()
    above = []
    for kappa in grid[place - 1 : place + 1]:
        rule = Rule(
            1.0, 0.1 / np.sqrt(1000) * 0.5 / trace, Power(scale=1.0, exponent=kappa),
            Hyperbolic(offset=4 + (alpha + 0.5) / alpha), 0.5,
        )  # fmt: skip
        found = flow(nodes, rule, 1, np.array([10**6]), 1e-2, simplified=False)
        above.append(np.log(found.risk[0] / 2 / found.momentum_norm[0]) / np.log(1e6) - kappa)
    crossing = grid[place - 1] + above[0] / (above[0] - above[1]) * (grid[1] - grid[0])
    assert crossing == pytest.approx(expected, abs=1.5e-4)


def test_exponent_zero_is_none():
    nodes = power_nodes(0.7, 0.8, 20, 0.1)
    plain = recursion(nodes, Rule(*RULE[:4]), 1, np.arange(50), 0.0)
    tiny = recursion(nodes, RULE._replace(risk_exponent=1e-15), 1, np.arange(50), 0.0)
    np.testing.assert_allclose(plain.risk, tiny.risk, rtol=1e-12)
    assert "risk_exponent" not in Rule(*RULE[:4]).to_json()
    assert '"risk_exponent": 0.5' in RULE.to_json()


def test_large_batches_leave_no_noise():
    """Then the mean field is exact, run by run: all three simulators against theory, 1e-3 by B = 1e9."""
    algorithm = ALGORITHM.model_copy(update={"batch_size": 10**9})
    problem = Spectrum(eigenvalues=[1.0, 0.3, 0.3, 0.02], initial_error=[1.0, 2.0, 0.5, 3.0], floor=0.05, noise=0.2)
    times = [0, 3, 10, 40]
    theory = solve(problem, algorithm, times, method="recursion")
    for method in ("diagonal", "grouped"):
        runs = simulate(problem, algorithm, times, runs=2, method=method)
        np.testing.assert_allclose(runs.risk, np.broadcast_to(theory.risk, (2, 4)), rtol=1e-3)


def test_literal_steps_on_given_samples():
    """Against plain numpy: both step sizes are divided by (P + s^2)^(1/2), with the risk before the step."""
    rng = np.random.default_rng(2)
    matrix, target = rng.standard_normal((9, 4)) / 3, rng.standard_normal(9)
    inputs = rng.standard_normal((3 * 25, 9))
    features, labels = inputs @ matrix, inputs @ target + 0.7 * rng.standard_normal(3 * 25)
    theta, y = np.zeros(4), np.zeros(4)
    rule = Rule(0.8, 0.3, Power(scale=0.2, exponent=-0.5), Hyperbolic(offset=4.0), 0.5)
    for t in range(25):
        g1, g2, g3, delta = rule.at_one(t)
        root = np.sqrt(((matrix @ theta - target) ** 2).sum() + 0.7**2)
        rows = slice(3 * t, 3 * t + 3)
        gradient = features[rows].T @ (features[rows] @ theta - labels[rows]) / 3
        y = (1 - delta) * y + g1 * gradient
        theta = theta - (g2 * gradient + g3 * y) / root
    found, momentum = np.zeros(4), np.zeros(4)
    literal_steps(features, labels, found, momentum, 3, matrix, target, 0.7, 0.5, *rule.at(np.arange(25)))
    np.testing.assert_allclose(found, theta, rtol=1e-12)
    np.testing.assert_allclose(momentum, y, rtol=1e-12)


def test_literal_runs_agree_with_diagonal_ones():
    """Kolmogorov-Smirnov at 1e-6 in all over four times: a wrong divisor shifts the late risk by far more than sd/5."""
    problem = PowerLawRandomFeatures(alpha=0.8, beta=0.6, dimension=8, ambient_dimension=20, noise=1.0)
    times = [2, 10, 40, 120]
    one, two = (simulate(problem, ALGORITHM, times, runs=1500, seed=seed, method=method) for seed, method in
                ((3, "literal"), (4, "diagonal")))  # fmt: skip
    same_law(one.risk.values, two.risk.values, 1e-6 / 5)


def test_theory_says_what_it_takes():
    """A comparison says that theory is a mean field; without the exponent there is nothing to say."""
    problem, times = Spectrum(eigenvalues=[1.0, 0.1], initial_error=[1.0, 1.0], floor=0.1), [0, 10, 50]
    runs = simulate(problem, ALGORITHM, times, runs=20)
    theory = solve(problem, ALGORITHM, times, method="recursion")
    assert "theory takes the mean" in compare(theory, runs).attrs["notes"]
    plain = ALGORITHM.model_copy(update={"risk_exponent": 0.0})
    assert "caveat" not in solve(problem, plain, times, method="recursion").attrs


def test_a_run_that_diverges_names_no_bound_that_is_none():
    """Steps that grow faster than the risk shrinks them."""
    problem = Spectrum(eigenvalues=[1.0, 0.1], initial_error=[1.0, 1.0], floor=0.1)
    algorithm = GeneralMomentum(learning_rate="power:5,3", decay=1.0, risk_exponent=0.5)
    with pytest.raises(DivergenceError, match="no bound on the mean for step sizes that depend on the risk"):
        simulate(problem, algorithm, [400], runs=1)


@pytest.mark.parametrize("power", [-0.1, 1.5, float("nan")])
def test_bad_exponents(power):
    with pytest.raises(ValueError, match="risk_exponent"):
        GeneralMomentum(risk_exponent=power)
