"""The deterministic equivalent: against 30-digit sums, independent quadratures, and integrals by another contour."""

import numpy as np
import pytest

from analytic.scaling_laws import edges, limit_risk, solve
from analytic.scaling_laws._equivalent import plane
from analytic.scaling_laws._recursion import recursion
from analytic.scaling_laws._strip import equivalent_nodes, strip
from dynamics.algorithms import SGD, Rule
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, Spectrum
from tests.scaling_laws.common import REFERENCE, rule_of

LIMIT, CURVES = REFERENCE["limit_risk"], REFERENCE["deterministic_equivalent"]


def problem_of(case):
    return PowerLawRandomFeatures(
        alpha=case["alpha"], beta=case["beta"], dimension=case["d"], ambient_dimension=case["v"]
    )


def named(case):
    return f"{case['alpha']}-{case['beta']}-{case['d']}"


@pytest.mark.parametrize("case", LIMIT["cases"], ids=named)
def test_floor_and_edges_to_the_last_digits(case):
    problem = problem_of(case)
    assert plane(problem).kp == pytest.approx(case["kp"], rel=LIMIT["rel_tol"])
    assert plane(problem).kp / case["d"] ** (2 * case["alpha"]) == pytest.approx(case["kappa"], rel=LIMIT["rel_tol"])
    assert limit_risk(problem) == pytest.approx(case["P_inf"], rel=1e-13)
    assert edges(problem) == pytest.approx((case["x_min"], case["x_max"]), rel=1e-12)


@pytest.mark.parametrize(("ambient", "dimension"), [(1001, 1000), (2, 1), (31, 30)])
def test_floor_where_there_are_hardly_more_inputs_than_features(ambient, dimension):
    """Against the direct sums, from the side that does not cancel: sum 1/(1 + kp l) = v - d."""
    problem = PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=dimension, ambient_dimension=ambient)
    variance = np.arange(1, ambient + 1.0) ** -1.4
    kp = plane(problem).kp
    assert (1 / (1 + kp * variance)).sum() == pytest.approx(ambient - dimension, rel=1e-12)
    expected = (np.arange(1, ambient + 1.0) ** -3.0 / (1 + kp * variance)).sum()
    assert limit_risk(problem) == pytest.approx(expected, rel=1e-12)
    lowest, highest = edges(problem)
    assert 0 < lowest < highest


@pytest.mark.parametrize("case", CURVES["cases"], ids=named)
def test_forcing_and_kernel(case):
    """F and K of SGD in discrete and in continuous time, within |diff| <= tol |ref| + 1e-9 of the value at t = 0."""
    problem = problem_of(case)
    found, gamma, batch = strip(problem), case["gamma2"], case["B"]
    times = np.array(case["t"], dtype=np.float64)[:, None]
    assert problem.curvature.trace == pytest.approx(
        (np.arange(1, case["v"] + 1.0) ** (-2 * case["alpha"])).sum(), rel=1e-13
    )
    x = found.curvature
    discrete = (1 - 2 * gamma * x + (batch + 1) / batch * (gamma * x) ** 2) ** times
    continuous = np.exp(-2 * gamma * x * times)
    for name, values in (
        ("F_minus_P_inf_discrete", discrete @ found.target),
        ("F_minus_P_inf_continuous", continuous @ found.target),
        ("K_continuous", continuous @ (gamma**2 / batch * x**2 * found.modes)),
    ):
        reference = np.array(case[name])
        assert (np.abs(values - reference) <= 1e-9 * reference + 1e-11 * reference[0]).all(), name


@pytest.mark.parametrize("case", CURVES["cases"], ids=named)
def test_risk_of_four_algorithms(case):
    nodes = equivalent_nodes(problem_of(case))
    for run in case["risk"].values():
        found = recursion(nodes, rule_of(run["hyper"]), case["B"], np.array(case["t_risk"]), 0.0)
        np.testing.assert_allclose(found.risk, run["P"], rtol=1e-10)


@pytest.mark.parametrize(("alpha", "beta", "dimension"), [(1.0, 0.7, 10**9), (0.3, 0.4, 300), (2.2, 0.6, 60)])
def test_moments_of_the_quadrature(alpha, beta, dimension):
    """The number of modes, the trace of K, and the squared target are known exactly."""
    problem = PowerLawRandomFeatures(alpha=alpha, beta=beta, dimension=dimension)
    found = strip(problem)
    assert found.modes.sum() == pytest.approx(dimension, rel=1e-10)
    assert found.modes @ found.curvature == pytest.approx(problem.curvature.trace, rel=1e-11)
    assert found.target.sum() + limit_risk(problem) == pytest.approx(problem.initial_risk, rel=1e-11)


def volterra(problem, gamma, batch, last):
    """The risk of SGD by forcing and kernel, on a half circle in the s plane, with sums over all inputs."""
    j = np.arange(1, problem.ambient + 1.0)
    variance, target, d = j ** (-2 * problem.alpha), j ** (-2 * problem.beta), problem.dimension
    where = plane(problem)
    low, high = (where.lower - 1 / where.kp) / 2, 1 + 1.5 * where.above
    u = np.exp(np.arange(-36, 36, 0.05) + 0.5j * np.pi)
    s = (low + high * u) / (1 + u)
    phi = variance / (variance - s[:, None])
    share, square = phi.sum(1) / d, (phi**2).sum(1) / d
    z, weight = s * (1 - share), 0.05 / np.pi * (high - low) * u / (1 + u) ** 2 * (1 - square)
    forced = weight * (phi * target).sum(1) / (1 - share)
    counted = weight * -d / s
    decay = 1 - 2 * gamma * z + (batch + 1) / batch * (gamma * z) ** 2
    powers = decay ** np.arange(last + 1)[:, None]
    forcing = limit_risk(problem) + (powers @ forced).imag
    kernel = gamma**2 / batch * (powers @ (counted * z**2)).imag
    risk = np.empty(last + 1)
    for t in range(last + 1):
        risk[t] = forcing[t] + kernel[:t][::-1] @ risk[:t]
    return risk


@pytest.mark.parametrize(
    ("alpha", "beta", "ambient", "dimension", "batch"),
    [(0.7, 0.8, 4000, 1000, 1), (1.1, 0.3, 5000, 500, 4), (0.35, 0.6, 600, 150, 2), (1.0, 1.0, 33, 30, 1)],
)
def test_sgd_is_the_volterra_equation_on_another_contour(alpha, beta, ambient, dimension, batch):
    problem = PowerLawRandomFeatures(alpha=alpha, beta=beta, dimension=dimension, ambient_dimension=ambient)
    gamma = 0.3 / problem.curvature.trace
    expected = volterra(problem, gamma, batch, 300)
    found = recursion(equivalent_nodes(problem), Rule(0.0, gamma, 0.0, 1.0), batch, np.arange(301), 0.0)
    np.testing.assert_allclose(found.risk, expected, rtol=1e-9)


def test_large_dimensions_follow_the_power_law():
    """P_inf -> zeta(2 beta)/(kappa d^(2 alpha)), kappa = ((2 alpha/pi) sin(pi/(2 alpha)))^(2 alpha), for v >> d."""
    problem = PowerLawRandomFeatures(alpha=1.0, beta=1.0, dimension=10**6, ambient_dimension=10**12)
    kappa = (2 / np.pi) ** 2
    assert limit_risk(problem) * kappa * 1e12 == pytest.approx(np.pi**2 / 6, rel=1e-3)


def test_what_has_no_deterministic_equivalent_is_refused():
    one = Spectrum(eigenvalues=[1.0], initial_error=[1.0])
    for function in (limit_risk, edges):
        with pytest.raises(ParameterError, match="problem must be PowerLawRandomFeatures"):
            function(one)
    with pytest.raises(ParameterError, match="use method='recursion'"):
        solve(one, SGD(), [1])
