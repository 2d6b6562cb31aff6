"""Ridge in the limit: reference numbers, limits in closed form, other routes to the same numbers, finite samples."""

import numpy as np
import pytest

from analytic.double_descent import bayes_error, edges, optimal_ridge, ridge, solve
from analytic.double_descent._exact import spectrum_of
from dynamics.algorithms import GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from tests.double_descent.common import REFERENCE

THREE = TeacherStudent(
    samples=130, dimension=100, noise=0.4,
    variances=[2.0, 0.1, 3e-4], fractions=[0.5, 0.3, 0.2], teacher_power=[0.6, 1.8, 2.3],
)  # fmt: skip


def from_reference(entry, dimension=10_000):
    """Make the problem of a reference entry: only n/d matters in the limit."""
    params = entry["params"]
    size = {"samples": round(params["alpha"] * dimension), "dimension": dimension, "noise": params["noise"]}
    return TeacherStudent(variances=params["s2"], fractions=params["w"], teacher_power=params["c"], **size)


BLOCKS = REFERENCE["entries"]


@pytest.mark.parametrize("entry", BLOCKS, ids=lambda entry: entry["params"]["id"])
def test_reference_numbers(entry):
    """Stored to 12 digits; their tolerance is 1e-9 (best error 1e-8, its penalty 1e-3: the minimum is flat)."""
    problem, stored = from_reference(entry), entry["ridge"]
    found = ridge(problem, stored["lam"])
    for name, key in (("alignment", "R"), ("norm", "Q"), ("generalization_error", "EG")):
        np.testing.assert_allclose(found[name], stored[key], rtol=0, atol=5e-11, err_msg=name)
    spectrum = spectrum_of(problem)
    zeta = [spectrum.zeta_of_penalty(penalty) for penalty in stored["lam"]]
    np.testing.assert_allclose(zeta, stored["zeta"], rtol=2e-11)
    left, right = edges(problem)
    np.testing.assert_allclose(right, entry["lambda_plus"], rtol=1e-13)
    np.testing.assert_allclose(left, entry["lambda_minus"], rtol=1e-12, atol=0)


@pytest.mark.parametrize("entry", BLOCKS, ids=lambda entry: entry["params"]["id"])
def test_reference_optimum(entry):
    """The reference looks no lower than a penalty of 1e-8: below it ours must be better, above it the same."""
    problem, best = from_reference(entry), entry["ridge"]["best"]
    found = optimal_ridge(problem)
    if found.penalty <= 1e-8:
        assert found.generalization_error <= best["EG"] * (1 + 1e-9)
        near = ridge(problem, np.geomspace(best["lam"], 1.1 * best["lam"], 5))["generalization_error"].values
        assert near[0] == pytest.approx(best["EG"], abs=1e-9)
    else:
        assert found.generalization_error == pytest.approx(best["EG"], abs=1e-9)
        assert found.penalty == pytest.approx(best["lam"], rel=1e-3)


@pytest.mark.parametrize("samples", [70, 100, 101, 150, 5000])
@pytest.mark.parametrize("noise", [1e-8, 1e-4, 0.3, 1.0, 40.0])
def test_isotropic_optimum_is_the_noise(samples, noise):
    """One block of variance 1 and power 1: the posterior mean is ridge at sigma^2, however small or large it is.

    The error rises by (curvature/2)(step in log penalty)^2: where that is rounding the penalty is not determined. The
    curvature is at least 1e-3 where noise is 0.3 or 1.
    """
    found = optimal_ridge(TwoScale(samples=samples, dimension=100, condition_number=1, noise=noise))
    problem = TwoScale(samples=samples, dimension=100, condition_number=30, noise=noise)
    assert found.generalization_error == pytest.approx(bayes_error(problem), rel=1e-13)
    assert optimal_ridge(problem).generalization_error > found.generalization_error * (1 - 1e-13)
    if noise in {0.3, 1.0} and samples < 5000:
        assert found.penalty == pytest.approx(noise**2, rel=1e-5)


def test_optimum_with_little_noise_at_as_many_samples_as_directions():
    """Small zeta at n = d: 2 E_G = (zeta^2 A + sigma^2)/(2 zeta B), A = <c/s^4>, B = <1/s^2>, lambda = zeta^2 B.

    So 2 E_G = sigma sqrt(A)/B at lambda = sigma^2 B/A, up to a relative zeta/min(s^2), here below 1e-5.
    """
    problem = THREE.model_copy(update={"samples": 100, "noise": 1e-6})
    s2, fraction, power = problem.blocks
    a, b = fraction @ (power / s2**2), fraction @ (1 / s2)
    found = optimal_ridge(problem)
    assert found.generalization_error == pytest.approx(1e-6 * np.sqrt(a) / b / 2, rel=1e-5)
    assert found.penalty == pytest.approx(1e-12 * b / a, rel=1e-4)


@pytest.mark.parametrize("samples", [60, 100, 140])
@pytest.mark.parametrize(("variance", "power"), [(1e-30, 1.0), (1e20, 1e-12), (3.0, 1e8)])
def test_optimum_scales_with_variance_and_power(samples, variance, power):
    """s^2 -> k s^2 takes lambda to k lambda; c -> e c with sigma^2 -> e sigma^2 takes E_G to e E_G."""
    plain = THREE.model_copy(update={"samples": samples})
    scaled = TeacherStudent(
        samples=samples, dimension=100, noise=plain.noise * np.sqrt(power), fractions=plain.fractions,
        variances=np.multiply(variance, plain.variances), teacher_power=np.multiply(power, plain.teacher_power),
    )  # fmt: skip
    found, expected = optimal_ridge(scaled), optimal_ridge(plain)
    assert found.generalization_error == pytest.approx(power * expected.generalization_error, rel=1e-12)
    assert found.penalty == pytest.approx(variance * expected.penalty, rel=1e-5)


def test_optimum_at_the_ends():
    """Without noise n >= d learns all from no penalty; a weak teacher needs a large one, sigma^2 <s^4>/<c s^2>.

    That is up to a relative s^2/penalty, 1e-6 here; the error at the minimum is below the untrained one by a relative
    7.5e-7, whose square root of rounding leaves 3e-5 of the penalty.
    """
    for samples in (100, 150):
        assert optimal_ridge(TwoScale(samples=samples, dimension=100)) == (0.0, 0.0)
    assert optimal_ridge(TeacherStudent(teacher_power=[0, 0], noise=0.5)) == (np.inf, 0.0)
    weak = optimal_ridge(TeacherStudent(teacher_power=[1e-6, 1e-6], noise=1.0))
    assert 0.49e-6 < weak.generalization_error < 0.5e-6
    assert weak.penalty == pytest.approx((1 + 1e-6) / (1e-6 * (1 + 1e-3)), rel=3e-4)


@pytest.mark.parametrize("alpha", [0.4, 1.0, 2.5])
def test_one_block_is_the_marchenko_pastur_law(alpha):
    """zeta solves alpha zeta^2/s2 + (alpha - 1 - lambda/s2) zeta - lambda = 0; edges are s2 (sqrt(alpha) -+ 1)^2."""
    s2, power, noise = 0.3, 1.7, 0.6
    problem = TeacherStudent(
        samples=int(100 * alpha), dimension=100, variances=[s2], teacher_power=[power], noise=noise
    )
    for penalty in (1e-6, 0.02, 1.0, 50.0):
        linear = s2 * (alpha - 1.0) - penalty
        zeta = (-linear + np.sqrt(linear**2 + 4 * alpha * penalty * s2)) / (2 * alpha)
        if linear > 0:  # the other form of the same root, which does not cancel
            zeta = 2 * penalty * s2 / (linear + np.sqrt(linear**2 + 4 * alpha * penalty * s2))
        r = 1 / (s2 + zeta)
        slack = 1 - (s2 * r) ** 2 / alpha
        error = (power * (zeta * r) ** 2 + noise**2 * (s2 * r) ** 2 / alpha) / slack / 2
        found = ridge(problem, [penalty])
        np.testing.assert_allclose(found["generalization_error"], error, rtol=1e-9)
        np.testing.assert_allclose(found["alignment"], power * s2 * r, rtol=1e-12)
    left, right = edges(problem)
    np.testing.assert_allclose([left, right], s2 * (np.sqrt(alpha) + np.array([-1, 1])) ** 2, rtol=1e-13, atol=1e-16)


def test_two_block_zeta_is_the_positive_root_of_the_cubic():
    problem = TwoScale(samples=80, dimension=100, fast=30, condition_number=4.0)
    (s1, s2), (w1, w2) = problem.blocks.variance, problem.blocks.fraction
    alpha, penalty = 0.8, 0.05
    cubic = [
        alpha, alpha * (s1 + s2) - w1 * s1 - w2 * s2 - penalty,
        (alpha - 1) * s1 * s2 - penalty * (s1 + s2), -penalty * s1 * s2,
    ]  # fmt: skip
    roots = np.roots(cubic)
    positive = roots[(abs(roots.imag) < 1e-12) & (roots.real > 0)].real
    np.testing.assert_allclose(spectrum_of(problem).zeta_of_penalty(penalty), positive, rtol=1e-12)


@pytest.mark.parametrize("samples", [60, 100, 170])
def test_zeta_solves_its_equation_for_many_blocks(samples):
    """Plain form lambda = zeta (alpha - df1), which at these penalties loses no more than two digits."""
    problem = PowerLawTeacherStudent(samples=samples, dimension=100, variance_exponent=1.3)
    spectrum, s2 = spectrum_of(problem), problem.blocks.variance
    for penalty in (1e-2, 1.0, 100.0):
        zeta = spectrum.zeta_of_penalty(penalty)
        np.testing.assert_allclose(zeta * (samples / 100 - np.mean(s2 / (s2 + zeta))), penalty, rtol=1e-12)


def test_no_penalty():
    """n > d: all is learned, E_G = sigma^2/(2(alpha - 1)), E_T = sigma^2 (alpha - 1)/(2 alpha). n < d: E_T = 0."""
    more = ridge(THREE, [0.0])
    power = THREE.blocks.mean_power
    np.testing.assert_allclose(more["alignment"], power, rtol=1e-14)
    np.testing.assert_allclose(more["generalization_error"], 0.16 / (2 * 0.3), rtol=1e-13)
    np.testing.assert_allclose(more["training_error"], 0.16 * 0.3 / (2 * 1.3), rtol=1e-13)
    fewer = ridge(THREE.model_copy(update={"samples": 70}), [0.0, 1e-9])
    assert fewer["training_error"][0] == 0.0
    np.testing.assert_allclose(fewer["generalization_error"][1], fewer["generalization_error"][0], rtol=1e-5)
    # towards no penalty E_T goes like its square, up to a relative lambda/zeta_0^2 or so
    small = ridge(THREE.model_copy(update={"samples": 70}), [1e-13, 1e-12])["training_error"].values
    assert small[1] / small[0] == pytest.approx(100.0, rel=1e-6)
    # the value of an independent derivation, at alpha = 0.8
    known = TwoScale(samples=80, dimension=100, fast=50, condition_number=20, noise=0.3)
    np.testing.assert_allclose(ridge(known, [0.0])["generalization_error"], 0.516392912, atol=5e-10)


def test_equal_numbers_of_samples_and_directions():
    noiseless = TwoScale(samples=100, dimension=100, fast=50, condition_number=5)
    found = ridge(noiseless, [0.0, 1e-14])
    np.testing.assert_allclose(found["generalization_error"], 0.0, atol=1e-6)
    np.testing.assert_array_equal(found["generalization_error"][0], 0.0)
    with pytest.raises(ParameterError, match="diverges at 0"):
        ridge(TwoScale(samples=100, dimension=100, fast=50, noise=0.1), [0.0, 1.0])


def test_infinite_penalty_learns_nothing():
    found = ridge(THREE, [1e12])
    power, noise = THREE.blocks.mean_power, THREE.noise**2
    np.testing.assert_allclose(found["alignment"], 0.0, atol=1e-11)
    np.testing.assert_allclose(found["generalization_error"], power / 2, rtol=1e-11)
    np.testing.assert_allclose(found["training_error"], (power + noise) / 2, rtol=1e-11)


@pytest.mark.parametrize("samples", [70, 130])
def test_ridge_is_where_gradient_flow_with_a_penalty_ends(samples):
    """The contour integrals share no formula with the closed form; at tau l2 = 40 they differ by less than e^-40."""
    problem = THREE.model_copy(update={"samples": samples})
    end = solve(problem, GradientFlow(l2=0.05), [800.0])
    closed = ridge(problem, [0.05])
    for name in ("alignment", "norm", "generalization_error", "training_error"):
        np.testing.assert_allclose(end[name], closed[name], rtol=0, atol=2e-11, err_msg=name)
        # and so is what each may be off at finite size
        np.testing.assert_allclose(end[f"{name}_error"], closed[f"{name}_error"], rtol=0.5, atol=1e-10)


@pytest.mark.parametrize("samples", [24, 60])
def test_mean_of_finite_ridge_is_the_limit_plus_its_correction(samples):
    """400 draws at d = 40, averaged over teacher and noise in closed form with plain linear algebra.

    Five standard errors (two-sided 6e-7 for each of 8 values) around limit + C/d, within the terms that theory
    neglects. An error of a factor 2 in C/d, or in any part of it, is 3 to 30 standard errors.
    """
    d, runs, penalty = 40, 400, 0.05
    problem = TeacherStudent(
        samples=samples, dimension=d, variances=[1.0, 0.2], fractions=[0.6, 0.4], teacher_power=[1.2, 0.7], noise=0.4
    )
    s2, power = (np.repeat(item, problem.directions()) for item in (problem.blocks.variance, problem.blocks.power))
    rng = np.random.default_rng(7)
    values = np.empty((runs, 4))
    for run in range(runs):
        x = rng.standard_normal((samples, d)) / np.sqrt(d) * np.sqrt(s2)
        inverse = np.linalg.inv(x.T @ x + penalty * np.eye(d))
        map_teacher = np.sqrt(s2)[:, None] * (inverse @ x.T @ x) / np.sqrt(s2)  # F w for labels Z W
        map_noise = np.sqrt(s2)[:, None] * (inverse @ x.T)
        hat = np.eye(samples) - x @ inverse @ x.T
        z = x / np.sqrt(s2)
        norm = np.sum(map_teacher**2 @ power) + 0.16 * np.sum(map_noise**2)
        wrong = np.sum((np.eye(d) - map_teacher) ** 2 @ power) + 0.16 * np.sum(map_noise**2)
        training = np.sum((hat @ z) ** 2 @ power) + 0.16 * np.sum(hat**2)
        values[run] = np.trace(map_teacher * power) / d, norm / d, wrong / (2 * d), training / (2 * samples)
    limit = ridge(problem, [penalty])
    error = values.std(axis=0, ddof=1) / np.sqrt(runs)
    deviation = values.mean(axis=0) - [
        limit[name].item() for name in ("alignment", "norm", "generalization_error", "training_error")
    ]
    allowed = [
        limit[f"{name}_error"].item() for name in ("alignment", "norm", "generalization_error", "training_error")
    ]
    assert (np.abs(deviation) <= allowed + 5 * error).all()
    # and what is allowed is not more than what is there: the first correction is the better part of it (but for E_T,
    # whose correction is small)
    assert (np.abs(deviation) + 5 * error >= 0.6 * np.array(allowed))[:3].all()


def test_bad_penalties_are_refused():
    for penalties, said in (
        ([], "non-empty"),
        ([-1.0], "not negative"),
        ([2.0, 1.0], "strictly increasing"),
        ([np.nan], "finite"),
        ([0.0, 1e-101], r"0 or in \[1e-100, 1e50\]; got 1e-101"),
        ([1.0, 1e51], r"0 or in \[1e-100, 1e50\]; got 1e\+51"),
    ):
        with pytest.raises(ParameterError, match=said):
            ridge(THREE, penalties)
    for function in (lambda problem: ridge(problem, [1.0]), optimal_ridge):
        with pytest.raises(ParameterError, match="problem must be one of TwoScale"):
            function(GradientFlow())
