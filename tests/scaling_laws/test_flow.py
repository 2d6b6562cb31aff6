"""The flow of the second moments: against independent numbers, the matrix exponential and a Poisson clock."""

import numpy as np
import pytest
from scipy.linalg import expm

from analytic.scaling_laws import solve
from analytic.scaling_laws._flow import flow
from analytic.scaling_laws._flow_kernels import STAGES, WEIGHTS
from analytic.scaling_laws._recursion import Nodes, recursion
from dynamics.algorithms import SGD, DanaDecaying, GeneralMomentum, Rule, ScheduleFree, SGDMomentum
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from dynamics.schedules import Hyperbolic, StepTable
from tests.scaling_laws.common import REFERENCE, power_nodes, rule_of

SPECTRA = REFERENCE["explicit_spectrum"]
BOTH = pytest.mark.parametrize("simplified", [False, True], ids=["full", "simplified"])


@BOTH
@pytest.mark.parametrize("case", SPECTRA["cases"], ids=lambda case: f"{case['alpha']}-{case['B']}")
def test_independent_numbers(case, simplified):
    """SGD, momentum and both kinds of DANA, by another method with extrapolation."""
    nodes = power_nodes(case["alpha"], case["beta"], case["d"], case["P_inf"])
    for run in case["runs"].values():
        found = flow(nodes, rule_of(run["hyper"]), case["B"], np.array(case["t"]), 1e-6, simplified=simplified)
        expected = np.array(run["P_simplified_ode" if simplified else "P_full_ode"])
        np.testing.assert_allclose(found.risk, expected, rtol=SPECTRA["rel_tol_ode"])


def generator(nodes, rule, batch, simplified):
    """The matrix of the whole linear flow on (rho, xi, chi) of all modes and the constant 1, as derived on paper."""
    g1, g2, g3, delta = rule[:4]
    a, g = 1 - delta, g2 + g1 * g3
    n = nodes.curvature.size
    whole = np.zeros((3 * n + 1, 3 * n + 1))
    floor = nodes.floor + nodes.variance
    for k, (x, m) in enumerate(zip(nodes.curvature, nodes.modes, strict=True)):
        rho, xi, chi = k, n + k, 2 * n + k
        if simplified:
            whole[rho, [rho, chi]] = -2 * g2 * x, -2 * g3
            whole[xi, [xi, chi]] = -2 * delta, 2 * g1 * x
            whole[chi, [rho, xi, chi]] = g1 * x, -g3, -(delta + g2 * x)
            kicks = {rho: g2**2, xi: g1**2}
        else:
            # w' = (1 - g l) w - g3 a y, y' = g1 l w + a y: the mean step, squared
            step = np.array([[1 - g * x, -g3 * a], [g1 * x, a]])
            for one, (i, j) in {rho: (0, 0), xi: (1, 1), chi: (0, 1)}.items():
                whole[one, rho] = step[i, 0] * step[j, 0]
                whole[one, xi] = step[i, 1] * step[j, 1]
                whole[one, chi] = step[i, 0] * step[j, 1] + step[i, 1] * step[j, 0]
                whole[one, one] -= 1
            kicks = {rho: g**2, xi: g1**2, chi: -g * g1}
        for one, kick in kicks.items():
            whole[one, :n] += kick * x * m / batch * nodes.curvature
            whole[one, -1] += kick * x * m / batch * floor
            if not simplified:
                whole[one, rho] += kick * x * x / batch  # 1/B of the gradient's own square beyond its mean squared
    return whole


@BOTH
@pytest.mark.parametrize("rule", [Rule(0.8, 0.05, 0.03, 0.2), Rule(0.0, 0.3, 0.0, 1.0), Rule(1.0, 0.0, 0.04, 0.1)])
def test_matrix_exponential(rule, simplified):
    """Constant coefficients, several modes in a node, floor and label noise, risk and momentum norm, B = 3."""
    nodes = Nodes(
        np.array([0.9, 0.5, 0.07, 2e-3]), np.array([1.0, 4.0, 0.3, 9.0]), np.array([1.0, 2.0, 1.0, 3.0]), 0.2, 0.09
    )  # fmt: skip
    times = np.array([0, 1, 7, 60, 2000])
    found = flow(nodes, rule, 3, times, 1e-8, simplified=simplified)
    whole = generator(nodes, rule, 3, simplified)
    start = np.concatenate([nodes.error, np.zeros(8), [1.0]])
    for i, t in enumerate(times):
        at = expm(whole * float(t)) @ start
        np.testing.assert_allclose(found.risk[i], 0.2 + nodes.curvature @ at[:4], rtol=1e-8)
        np.testing.assert_allclose(found.momentum_norm[i], at[4:8].sum(), rtol=1e-8, atol=1e-14)


def test_mean_over_a_poisson_clock():
    """The full flow at t is the mean of the recursion over a Poisson number of steps; constant coefficients."""
    from scipy.stats import poisson

    nodes, rule = power_nodes(0.7, 0.8, 50, 1e-2), Rule(0.7, 0.1, 0.05, 0.3)
    steps = recursion(nodes, rule, 2, np.arange(200), 0.0)
    times = np.array([1, 5, 40])
    found = flow(nodes, rule, 2, times, 1e-9, simplified=False)
    weights = poisson.pmf(np.arange(200), times[:, None])
    np.testing.assert_allclose(found.risk, weights @ steps.risk, rtol=1e-9)
    np.testing.assert_allclose(found.momentum_norm, weights @ steps.momentum_norm, rtol=1e-9)


def test_conditions_of_order_four():
    """All eight of them, and stiff accuracy: the sums over rooted trees of at most four nodes."""
    a, b, c = WEIGHTS, WEIGHTS[-1], STAGES
    np.testing.assert_allclose(a.sum(axis=1), c, atol=1e-15)
    sums = [b.sum(), b @ c, b @ c**2, b @ a @ c, b @ c**3, b @ (c * (a @ c)), b @ a @ c**2, b @ a @ a @ c]
    np.testing.assert_allclose(sums, [1, 1 / 2, 1 / 3, 1 / 6, 1 / 4, 1 / 8, 1 / 12, 1 / 24], atol=1e-14)
    # bounded by 1 on the imaginary axis and 0 at infinity
    one = np.ones(5)
    for z in (1j, 10j, -1e9):
        size = abs(1 + z * (b @ np.linalg.solve(np.eye(5) - z * a, one)))
        assert size < 1 if z.imag else size < 1e-6


def test_a_jump_is_met_exactly():
    """Before step 40 the large rate, then the small one; a step across it would be off by its length."""
    nodes = power_nodes(0.7, 0.8, 20, 1e-3)
    rule = Rule(0.0, StepTable(steps=[0, 40], values=[0.3, 0.01]), 0.0, 1.0)
    found = flow(nodes, rule, 1, np.array([40, 100]), 1e-8, simplified=False)
    first, second = (Rule(0.0, rate, 0.0, 1.0) for rate in (0.3, 0.01))
    start = np.concatenate([nodes.error, np.zeros(40), [1.0]])
    at = expm(generator(nodes, second, 1, False) * 60.0) @ expm(generator(nodes, first, 1, False) * 40.0) @ start
    np.testing.assert_allclose(found.risk[1], nodes.floor + nodes.curvature @ at[:20], rtol=1e-8)


@pytest.mark.parametrize("algorithm", [SGD(), SGDMomentum(), DanaDecaying(), ScheduleFree()])
def test_late_flow_is_the_discrete_algorithm(algorithm):
    """Off by less than 1e-3 after 1e5 steps, and by 3 to 30 per cent at first, which the answer says."""
    problem = PowerLawSpectrum(alpha=0.7, beta=0.8, dimension=1000, floor=1e-4)
    times = np.array([0, 5, 10, 10**5])
    flowing, steps = (solve(problem, algorithm, times, method=method) for method in ("flow", "recursion"))
    off = (flowing.risk / steps.risk - 1).values
    assert off[0] == 0
    assert 0.03 < off[1:3].max() < 0.3
    assert abs(off[3]) < 1e-3
    np.testing.assert_allclose(flowing.discretisation, flowing.risk - steps.risk, rtol=1e-10, atol=1e-16)
    assert flowing.attrs["caveat"].endswith(f"by up to {100 * np.abs(off).max():.2g} per cent")
    assert (flowing.risk_error < 2e-3 * flowing.risk).all()  # the difference to the steps is no error of the flow


def test_on_random_features_and_at_once():
    """d = 1e9 to 1e12 steps; the allowance for one matrix W is that of the deterministic equivalent."""
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    times = [0, 10**4, 10**12]
    flowing, steps = (solve(problem, SGD(), times, method=method) for method in ("flow", "deterministic_equivalent"))
    np.testing.assert_allclose(flowing.risk[1:], steps.risk[1:], rtol=2e-3)
    assert (flowing.risk_error >= 8e-9 * flowing.risk).all()


def test_noisy_simplified_flow_has_the_simplified_kernel_norm():
    """SGD on a floor tends to P_inf/(1 - N) with N = sum gamma l/(2B), not with the exact kernel norm."""
    nodes = power_nodes(0.7, 0.8, 30, 0.1)
    found = flow(nodes, Rule(0.0, 0.2, 0.0, 1.0), 2, np.array([10**7]), 1e-6, simplified=True)
    assert found.risk[0] == pytest.approx(0.1 / (1 - 0.2 * nodes.curvature.sum() / 4), rel=1e-6)


def test_bad_questions():
    problem = Spectrum(eigenvalues=[1.0, 0.1], initial_error=[1.0, 1.0])
    with pytest.raises(ParameterError, match="accuracy must be above 0 for method 'flow'"):
        solve(problem, SGD(), [10], method="flow", accuracy=0)
    with pytest.raises(ParameterError, match="data must be left out for this method; only recursion"):
        solve(problem, SGD(), [10], method="flow_simplified", data=3)
    with pytest.raises(ParameterError, match="kernel norm"):
        solve(problem, SGD(learning_rate=1.9), [10], method="flow")
    with pytest.raises(ParameterError, match=r"accuracy \(relative\) must be larger"):
        solve(problem, GeneralMomentum(learning_rate=0.1, decay=Hyperbolic()), [10**9], method="flow", accuracy=1e-200)
    nothing = Spectrum(eigenvalues=[1.0], initial_error=[0.0])
    assert solve(nothing, SGD(), [0, 10], method="flow").attrs["caveat"].endswith("by up to 0 per cent")
