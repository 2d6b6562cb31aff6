"""The limit n, d -> infinity: stored numbers, closed forms and limits.

Stored numbers have 12 digits, so that half a unit of the last one is 5e-12 for values from 1 on; ``exact`` at its
default promises 1e-12 for R and a factor of a few more for the rest. ``CLOSE`` is the sum of both.
"""

import math

import numpy as np
import pytest

from analytic.double_descent import edges, ridge, solve
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.schedules import SoftplusDecay
from tests.double_descent.common import BLOCKS, CURVES, REFERENCE

CLOSE = 1e-11

PROBLEMS = {
    name: TeacherStudent(samples=n, dimension=10, **BLOCKS) for name, n in (("n<d", 7), ("n=d", 10), ("n>d", 17))
}
POWER_LAWS = {
    f"power law {name}": PowerLawTeacherStudent(
        samples=n, dimension=300, variance_exponent=1.2, teacher_exponent=0.7, noise=0.5
    )
    for name, n in (("n<d", 180), ("n>d", 420))
}
EVERY = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
SPECTRA = pytest.mark.parametrize("problem", (PROBLEMS | POWER_LAWS).values(), ids=PROBLEMS | POWER_LAWS)
ENTRY = pytest.mark.parametrize(
    "entry", REFERENCE["entries"], ids=[entry["params"]["id"] for entry in REFERENCE["entries"]]
)


def largest(difference):
    return float(np.abs(difference).max())


# --- stored numbers


def from_entry(entry, **changes):
    p = entry["params"]
    values = {"variances": p["s2"], "fractions": p["w"], "teacher_power": p["c"], "noise": p["noise"]} | changes
    return TeacherStudent(samples=round(1000 * p["alpha"]), dimension=1000, **values)


@ENTRY
def test_gradient_flow_of_the_reference(entry):
    flow, stored = GradientFlow(l2=entry["params"]["l2"]), entry["gf"]
    found = solve(from_entry(entry), flow, stored["tau"])
    for name, key in zip(CURVES, ("R", "Q", "EG", "train_half_mse"), strict=True):
        assert largest(found[name].values - stored[key]) < CLOSE, name
    bias = solve(from_entry(entry, noise=0.0), flow, stored["tau"])["generalization_error"].values
    assert largest(bias - stored["EG_bias"]) < CLOSE
    assert largest(found["generalization_error"].values - bias - stored["EG_var"]) < CLOSE


@ENTRY
def test_gradient_descent_of_the_reference(entry):
    stored, problem = entry["gd"], from_entry(entry)
    found = solve(problem, GradientDescent(learning_rate=stored["eta"], l2=entry["params"]["l2"]), stored["steps"])
    for name, key in zip(CURVES, ("R", "Q", "EG"), strict=False):
        assert largest(found[name].values - stored[key]) < CLOSE, name


@ENTRY
def test_edges_of_the_reference(entry):
    """Rounding only: lambda_- at kappa = 1e5 is 1e-11 of 1, yet found to 1e-13 of itself (2e-16 is usual)."""
    assert edges(from_entry(entry)) == pytest.approx((entry["lambda_minus"], entry["lambda_plus"]), rel=1e-13, abs=0)


@pytest.mark.parametrize("stored", REFERENCE["q_regularised_gd"], ids=["regularised", "plain"])
def test_output_penalty_of_the_reference(stored):
    problem = TwoScale(samples=120, dimension=100, fast=70, condition_number=stored["kappa"])
    schedule = SoftplusDecay(initial=stored["alpha_init"], rate=stored["rate"])
    found = solve(problem, GradientDescent(output_penalty=schedule), stored["steps"])
    assert 1.0 / edges(problem)[1] == pytest.approx(stored["eta"], rel=1e-14)  # the default step
    for name, key in zip(CURVES, ("R", "Q", "EG"), strict=False):
        assert largest(found[name].values - stored[key]) < CLOSE, name


@pytest.mark.parametrize("stored", REFERENCE["per_feature_lr"], ids=["cured", "half"])
def test_rates_of_the_reference(stored):
    problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=stored["kappa"], noise=stored["noise"])
    found = solve(problem, GradientFlow(rates=[1.0, stored["lr_slow_over_fast"]]), stored["tau"])
    assert largest(found["generalization_error"].values - stored["EG"]) < CLOSE


@pytest.mark.parametrize("stored", REFERENCE["infinite_kappa"], ids=["n>d", "n<d"])
def test_two_phases_of_the_reference(stored):
    """At kappa = 1e6 the phases are apart to O(kappa^-2): 2 alpha phi2 tau/kappa^2 < 2e-10 of phase 2 is in phase 1."""
    ratio = 1e6
    problem = TwoScale(
        samples=round(100 * stored["alpha"]), dimension=100, fast=round(100 * stored["phi"]), condition_number=ratio,
        noise=stored["noise"],
    )  # fmt: skip
    for times, key in (
        (np.array(stored["phase1_tau"]), "phase1_2EG"),
        (ratio**2 * np.array(stored["phase2_tau_over_kappa2"]), "phase2_2EG"),
    ):
        found = solve(problem, GradientFlow(), times)["generalization_error"].values
        assert largest(2 * found - stored[key]) < 1e-9


# --- closed forms


def isotropic(times, alpha, fraction, power, noise):
    """Return 2 E_G of one block of variance 1 and width ``fraction``: averages over the Marchenko-Pastur density.

    e^{-2 tau L} and (1 - e^{-tau L})^2/L on L = alpha + phi + 2 sqrt(alpha phi) cos(theta), with the midpoint rule in
    theta, which converges geometrically.
    """
    theta = (np.arange(4000) + 0.5) * (np.pi / 4000)
    eigenvalues = alpha + fraction + 2 * math.sqrt(alpha * fraction) * np.cos(theta)
    weights = 4 * alpha * fraction * np.sin(theta) ** 2 / (2 * np.pi * eigenvalues) * (np.pi / 4000)
    decay = np.exp(-np.multiply.outer(times, eigenvalues))
    null = power * max(fraction - alpha, 0.0)
    return (power * decay**2 + noise**2 * (1 - decay) ** 2 / eigenvalues) @ weights + null


@pytest.mark.parametrize("samples", [3, 60, 99, 100, 101, 250, 4000])
def test_one_block_is_the_marchenko_pastur_average(samples):
    """kappa = 1 (merged blocks) and any variance, which is a unit of time."""
    times = np.array([0.0, 0.01, 0.3, 1.0, 4.0, 30.0, 1e3])
    expected = isotropic(times, samples / 100, 1.0, 1.0, 0.7) / 2
    merged = solve(TwoScale(samples=samples, dimension=100, condition_number=1, noise=0.7), GradientFlow(), times)
    assert largest(merged["generalization_error"].values - expected) < CLOSE
    one = TeacherStudent(samples=samples, dimension=100, variances=[0.3], teacher_power=[1.7], noise=0.7)
    found = solve(one, GradientFlow(), times / 0.3)["generalization_error"].values
    assert largest(found - isotropic(times, samples / 100, 1.0, 1.7, 0.7) / 2) < CLOSE


@pytest.mark.parametrize(("alpha", "fraction"), [(1.5, 0.6), (0.8, 0.5), (1.0, 0.7)])
def test_far_apart_blocks_learn_one_after_the_other(alpha, fraction):
    """kappa to 1e5, times to 1e12: fast ones with the slow ones as noise, then slow ones with n - p samples.

    The composite of both phases is off by a constant over kappa^2: 100 times less at 1e5 than at 1e4 (within 2 %).
    """
    rest, noise = 1 - fraction, 0.3
    plateau = rest + (noise**2 + rest) * fraction / (alpha - fraction)
    off = []
    for ratio in (1e4, 1e5):
        times = np.geomspace(1e-2, 100 * ratio**2, 60)
        first = rest + isotropic(times, alpha, fraction, 1.0, math.sqrt(noise**2 + rest))
        second = alpha / (alpha - fraction) * isotropic(times / ratio**2, alpha - fraction, rest, 1.0, noise)
        composite = first + second + noise**2 * fraction / (alpha - fraction) - plateau
        problem = TwoScale(
            samples=round(100 * alpha), dimension=100, fast=round(100 * fraction), condition_number=ratio, noise=noise
        )
        off.append(largest(2 * solve(problem, GradientFlow(), times)["generalization_error"].values - composite))
    assert off[1] < 1e-8
    assert off[0] / off[1] == pytest.approx(100, rel=0.02)


@SPECTRA
@pytest.mark.parametrize("penalty", [1e-3, 0.2])
def test_laplace_transform_over_time_is_ridge(problem, penalty):
    r"""R(lambda) = lambda \int e^{-lambda tau} R(tau) dtau, since the filter 1 - e^{-tau L} turns into L/(L + lambda).

    Likewise e^{-2 tau L} -> lambda/(L + lambda) in E_T (at twice the rate), and the variance's (1 - e^{-tau L})^2/L ->
    2/(L + lambda) - 1/(L + lambda/2). What stands on the right is a real root zeta, found here by bisection, no
    contour. The trapezoidal rule in u = log(tau rate) errs by e^{-pi^2/step}, the cut at u = -17 by e^{-34}.
    """
    s2, w, c = problem.blocks
    alpha, noise = problem.sampling_ratio, problem.noise**2
    step = 0.2
    u = np.arange(-17.0, 4.4, step)
    weights = step * np.exp(u - np.exp(u))

    def curves(rate, **changes):
        return solve(problem.model_copy(update=dict(**changes)), GradientFlow(), np.exp(u) / rate)

    def zeta(value):
        low, high = value / alpha, (value + w @ s2) / alpha
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if middle * (alpha - w @ (s2 / (s2 + middle))) < value else (low, middle)
        return low

    noisy, clean = curves(penalty), curves(penalty, noise=0.0)
    root, half = zeta(penalty), zeta(penalty / 2)
    assert abs(weights @ noisy["alignment"].values - w @ (c * s2 / (s2 + root))) < CLOSE
    variance = 2 * root / penalty * (w @ (s2 / (s2 + root))) - 2 * half / penalty * (w @ (s2 / (s2 + half)))
    difference = (noisy["generalization_error"] - clean["generalization_error"]).values
    assert abs(2 * (weights @ difference) / noise - variance) < CLOSE / noise
    left = penalty * (w @ (c / (s2 + root))) + noise * (w @ (root / (s2 + root)) + alpha - 1)
    fitted = (w @ c + noise) / 2 - curves(2 * penalty)["training_error"].values
    assert abs((w @ c + noise) / 2 - weights @ fitted - left / (2 * alpha)) < CLOSE


# --- limits


@SPECTRA
def test_start(problem):
    """E_G = <c>/2, E_T = (<c> + sigma^2)/2, and 1 - 2 E_G/<c> = 2 alpha <c s2> tau/<c> + O(tau^2).

    Two times, extrapolated: the curvature is left, tau^2 = 1e-8 times some alpha^2; rounding is 1e-13/tau = 1e-9.
    """
    s2, w, c = problem.blocks
    times = np.array([0.0, 5e-5, 1e-4])
    for algorithm, at in ((GradientFlow(), times), (GradientDescent(), [0, 1])):
        start = solve(problem, algorithm, at).isel(time=0)
        expected = {"alignment": 0.0, "norm": 0.0, "generalization_error": w @ c / 2}
        expected["training_error"] = (w @ c + problem.noise**2) / 2
        for name, value in expected.items():
            assert abs(start[name].item() - value) < CLOSE, name
    error = solve(problem, GradientFlow(l2=0.1), times)["generalization_error"].values
    slopes = (w @ c - 2 * error[1:]) / times[1:]
    assert 2 * slopes[0] - slopes[1] == pytest.approx(2 * problem.sampling_ratio * (w @ (c * s2)), abs=1e-6)


ENDS = {
    f"{name}, l2 = {l2}": (problem, l2)
    for name, problem in (PROBLEMS | POWER_LAWS).items()
    for l2 in (0.0, 0.05)
    if l2 or problem.sampling_ratio != 1.0  # the next test
}


@pytest.mark.parametrize(("problem", "l2"), ENDS.values(), ids=ENDS)
def test_end_is_ridge(problem, l2):
    """After 80 relaxation times of the slowest mode e^{-80} is left."""
    left, right = edges(problem)
    last = 80.0 / (left + l2)
    expected = ridge(problem, [l2])
    for algorithm, time in ((GradientFlow(l2=l2), last), (GradientDescent(l2=l2), math.ceil(last * (right + l2)))):
        found = solve(problem, algorithm, [time])
        for name in CURVES:
            assert abs(found[name].item() - expected[name].item()) < CLOSE, name


def test_end_at_as_many_samples_as_directions():
    """The density of small eigenvalues is L^(-1/2): 1 - R falls like tau^(-1/2), and label noise adds tau^(1/2).

    The next terms are smaller by another tau^(-1/2), with constants of some 100 = kappa^2/5: 1e-4 at tau = 1e12.
    """
    problem = PROBLEMS["n=d"]
    noisy = solve(problem, GradientFlow(), [1e12, 1e14])["generalization_error"].values
    assert noisy[1] / noisy[0] == pytest.approx(10, rel=1e-4)
    clean = solve(problem.model_copy(update={"noise": 0.0}), GradientFlow(), [1e14, 1e16, 1e26])
    left = problem.blocks.mean_power - clean["alignment"].values
    assert left[0] / left[1] == pytest.approx(10, rel=1e-4)
    for name in ("generalization_error", "training_error"):
        assert abs(clean[name].values[-1]) < CLOSE, name


def test_end_without_penalty_at_more_samples_is_known():
    """E_G = sigma^2/(2(alpha - 1)), E_T = sigma^2 (1 - 1/alpha)/2, whatever the spectrum and the teacher."""
    problem = PROBLEMS["n>d"]
    end = solve(problem, GradientFlow(), [100.0 / edges(problem)[0]])
    assert end["generalization_error"].item() == pytest.approx(0.16 / (2 * 0.7), abs=CLOSE)
    assert end["training_error"].item() == pytest.approx(0.16 * (1 - 1 / 1.7) / 2, abs=CLOSE)


@EVERY
def test_small_steps_are_the_flow(problem):
    """At equal flow time the difference falls like the step, and extrapolating it away leaves its square."""
    times = np.array([1.0, 4.0, 64.0])
    flow = solve(problem, GradientFlow(l2=0.03), times)
    apart = []
    for step in (1 / 256, 1 / 512):
        descent = solve(problem, GradientDescent(learning_rate=step, l2=0.03), times / step)
        apart.append({name: descent[name].values - flow[name].values for name in CURVES})
    for name in CURVES:
        assert largest(apart[0][name]) > 1e-5  # there is something to extrapolate
        assert largest(2 * apart[1][name] - apart[0][name]) < 20 * (1 / 256) ** 2 * 0.1, name
