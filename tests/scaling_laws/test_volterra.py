"""Volterra's equation for the risk of SGD: the same risk as the recursion, its kernel, and its continuous form."""

import numpy as np
import pytest

from analytic.scaling_laws import forcing, solve, volterra
from dynamics.algorithms import SGD, SGDMomentum
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from tests.scaling_laws.common import REFERENCE

GIVEN = Spectrum(eigenvalues=[0.9, 0.5, 0.5, 0.01], initial_error=[1.0, 0.2, 3.0, 7.0], floor=0.3, noise=0.4)


@pytest.mark.parametrize(
    ("problem", "rate", "batch"),
    [
        (GIVEN, 0.4, 1), (GIVEN, 0.7, 5), (PowerLawSpectrum(alpha=0.6, beta=0.4, dimension=10**6, floor=0.1), 0.05, 2),
        (PowerLawRandomFeatures(alpha=0.8, beta=0.9, dimension=500, noise=0.2), 0.2, 3),
    ],
)  # fmt: skip
def test_its_solution_is_the_recursion(problem, rate, batch):
    """Two routes with the modes in common: every step of three hundred, label noise and floor included."""
    algorithm = SGD(learning_rate=rate, batch_size=batch)
    method = "deterministic_equivalent" if isinstance(problem, PowerLawRandomFeatures) else "recursion"
    expected = solve(problem, algorithm, np.arange(301), method=method)
    found = volterra(problem, algorithm, 300)
    np.testing.assert_allclose(found.risk, expected.risk, rtol=1e-11)
    assert found.attrs["kind"] == "theory"


@pytest.mark.parametrize("case", REFERENCE["deterministic_equivalent"]["cases"], ids=lambda case: f"{case['alpha']}")
def test_independent_numbers(case):
    problem = PowerLawRandomFeatures(
        alpha=case["alpha"], beta=case["beta"], dimension=case["d"], ambient_dimension=case["v"]
    )
    algorithm = SGD(learning_rate=case["gamma2"], batch_size=case["B"])
    steps, flow = forcing(problem, algorithm, case["t"]), forcing(problem, algorithm, case["t"], flow=True)
    for found, name in (
        (steps.forcing - case["P_inf"], "F_minus_P_inf_discrete"),
        (flow.forcing - case["P_inf"], "F_minus_P_inf_continuous"), (flow.kernel, "K_continuous"),
    ):  # fmt: skip
        reference = np.array(case[name])
        assert (np.abs(found.values - reference) <= 1e-7 * reference + 1e-9 * reference[0]).all(), name


def test_the_kernel_sums_up_to_the_kernel_norm():
    """SGD: N = sum gamma l/(2B - (B + 1) gamma l), and gamma Tr/(2B) in the flow."""
    algorithm, steps = SGD(learning_rate=0.3, batch_size=3), np.arange(5000)
    x = np.array(GIVEN.eigenvalues)
    kernel = forcing(GIVEN, algorithm, steps).kernel.values
    assert kernel.sum() == pytest.approx((0.3 * x / (6 - 4 * 0.3 * x)).sum(), rel=1e-10)
    slow = SGD(learning_rate=1e-3, batch_size=3)
    flow = forcing(GIVEN, slow, np.unique(np.append(0, np.geomspace(1, 2e6, 4000).astype(int))), flow=True)
    assert flow.kernel.integrate("time").item() == pytest.approx(1e-3 * x.sum() / 6, rel=1e-4)


def test_the_flow_solves_the_continuous_equation():
    """P(t) = F(t) + int K(t - s) (P(s) + noise^2) ds for the simplified flow, by Simpson's rule over steps of 1."""
    algorithm, steps = SGD(learning_rate=0.01, batch_size=2), np.arange(401)
    parts = forcing(GIVEN, algorithm, steps, flow=True)
    risk = solve(GIVEN, algorithm, steps, method="flow_simplified", accuracy=1e-8).risk.values
    simpson = np.ones(401)
    simpson[1:-1:2], simpson[2:-1:2] = 4, 2
    noisy = (simpson / 3 * parts.kernel.values[::-1] * (risk + GIVEN.noise**2)).sum()
    assert risk[-1] == pytest.approx(parts.forcing.values[-1] + noisy, rel=1e-7)


def test_a_mode_that_one_step_brings_home():
    """gamma l = 1 with huge batches: q = 0, whose 0th power is 1."""
    one = Spectrum(eigenvalues=[1.0], initial_error=[2.0], floor=0.5)
    found = forcing(one, SGD(learning_rate=1.0, batch_size=2**53), [0, 1, 9])
    np.testing.assert_allclose(found.forcing, [2.5, 0.5, 0.5], rtol=1e-12)


def test_bad_questions():
    with pytest.raises(ParameterError, match="algorithm must be SGD, for momentum has no such equation"):
        volterra(GIVEN, SGDMomentum(), 5)
    with pytest.raises(ParameterError, match="kernel norm"):
        forcing(GIVEN, SGD(learning_rate=1.2), [5])
    with pytest.raises(ParameterError, match=r"last \(last step\) must be at most 50000.*got 50001"):
        volterra(GIVEN, SGD(), 50_001)
