"""The published two-scale formula: transcribed right, off by what it is off, refused where it has no meaning."""

import numpy as np
import pytest

from analytic.double_descent import edges, published_ridge, ridge, solve
from analytic.double_descent._published import _learned
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.schedules import SoftplusDecay
from tests.double_descent.common import REFERENCE

ENTRIES = [entry for entry in REFERENCE["entries"] if "paper_formula" in entry]
VARIABLES = ("alignment", "norm", "generalization_error")


def two_scale(samples, fast, ratio, noise, dimension=100):
    return TwoScale(samples=samples, dimension=dimension, fast=fast, condition_number=ratio, noise=noise)


def of_entry(entry):
    paper = entry["params"]["paper"]
    return two_scale(paper["n"], paper["p"], paper["kappa"], entry["params"]["noise"], paper["d"])


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["params"]["id"])
def test_reference_numbers(entry):
    """Stored to 12 digits, from an independent transcription; tolerance 1e-9, of the a_i 1e-11 relative."""
    stored, problem, l2 = entry["paper_formula"], of_entry(entry), entry["params"]["l2"]
    if problem.samples <= problem.dimension:
        with pytest.raises(ParameterError, match="fewer samples than unknowns"):
            solve(problem, GradientDescent(l2=l2), stored["t"], method="published")
        return
    found = solve(problem, GradientDescent(l2=l2), stored["t"], method="published")
    for name, key in zip(VARIABLES, ("R", "Q", "EG_without_noise_term"), strict=True):
        np.testing.assert_allclose(found[name], stored[key], rtol=0, atol=1e-11, err_msg=name)
    penalty = (1.0 / np.array(stored["t"]) + l2) / 0.5**2
    share, rest = _learned(problem, np.stack([penalty, penalty]), corrected=False)
    alone = problem.sampling_ratio / problem.blocks.fraction[:, None]  # a_i = alpha_i/x_i
    np.testing.assert_allclose(alone / share, [stored["a1"], stored["a2"]], rtol=1e-11)
    np.testing.assert_allclose(share + rest, 1.0, rtol=1e-15)


def test_formula_in_its_own_words():
    """Equations 14-16 in plain words, away from every default, where the naive square root does not cancel."""
    n, d, p, ratio, noise, l2, t = 130, 100, 40, 3.0, 0.7, 0.02, 3.0
    lam, s1, s2 = 1 / t + l2, 0.5, 0.5 / ratio
    a = []
    for alpha, phi, s in ((n / p, p / d, s1), (n / (d - p), 1 - p / d, s2)):
        x = lam / (phi * s**2)
        a.append(1 + 2 * x / (1 - alpha - x + np.sqrt((1 - alpha - x) ** 2 + 4 * x)))
    b1, b2 = (alpha / (one**2 - alpha) for alpha, one in zip((n / p, n / (d - p)), a, strict=True))
    r1, r2 = n / d / a[0], n / d / a[1]
    c1 = 1 + noise**2 - 2 * r2 - (2 - a[0]) / a[0] * n / d
    c2 = 1 + noise**2 - 2 * r1 - (2 - a[1]) / a[1] * n / d
    q = (b1 * b2 * c2 + b1 * c1) / (1 - b1 * b2) + (b1 * b2 * c1 + b2 * c2) / (1 - b1 * b2)
    found = solve(two_scale(n, p, ratio, noise, d), GradientDescent(l2=l2), [3], method="published")
    np.testing.assert_allclose(found["alignment"], r1 + r2, rtol=1e-12)
    np.testing.assert_allclose(found["norm"], q, rtol=1e-12)
    np.testing.assert_allclose(found["generalization_error"], (1 - 2 * (r1 + r2) + q) / 2, rtol=1e-12)


PENALTIES = np.geomspace(1e-12, 1e2, 400)


@pytest.mark.parametrize(
    ("case", "off"),
    [
        ((150, 60, 50, 0.0), (0.056, 0.048, 0.049)),
        ((110, 70, 30, 0.0), (0.085, 0.089, 0.112)),
        ((110, 70, 100, 0.0), (0.084, 0.095, 0.114)),
        ((130, 70, 100, 0.0), (0.063, 0.046, 0.071)),
        ((120, 80, 40, 0.2), (0.058, 0.079, 0.084)),
    ],
)
def test_published_is_off_by_its_known_amounts_and_corrected_is_exact(case, off):
    """Off as tabulated to three digits. Corrected, E_G keeps its digits down to 1e-20 of itself, late without noise."""
    problem = two_scale(*case)
    exact = ridge(problem, PENALTIES)
    published = published_ridge(problem, PENALTIES)
    corrected = published_ridge(problem, PENALTIES, corrected=True)
    for name, amount in zip(VARIABLES, off, strict=True):
        assert float(abs(exact[name] - published[name]).max()) == pytest.approx(amount, abs=6e-4), name
        np.testing.assert_allclose(corrected[name], exact[name], rtol=0, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(corrected[VARIABLES[2]], exact[VARIABLES[2]], rtol=1e-13)


def test_late_times():
    """y_i -> lambda_i/(alpha_i - 1) and 2 E_G -> alpha <y^2>/(alpha - 1) without noise, up to a relative y, 1e-9.

    1 - 2R + Q, from the published equations word by word, is rounding of 1e-16 here.
    """
    problem, penalty = two_scale(150, 60, 50.0, 0.0), 1e-13
    fraction, variance = problem.blocks.fraction, problem.blocks.variance
    y = penalty / (fraction * variance) / (1.5 / fraction - 1)
    late = published_ridge(problem, [penalty])
    np.testing.assert_allclose(late["generalization_error"], 1.5 * fraction @ y**2 / 0.5 / 2, rtol=1e-8)
    np.testing.assert_allclose(1 - late["alignment"], fraction @ y, atol=3e-16)


def test_barely_more_samples_than_directions():
    """n = d + 1 = 10^6 + 1: everything is divided by alpha - 1, which costs the digits of n/d and no others, 1e-10."""
    problem, penalties = two_scale(10**6 + 1, 3 * 10**5, 20.0, 0.1, 10**6), np.geomspace(1e-9, 10, 7)
    corrected, exact = published_ridge(problem, penalties, corrected=True), ridge(problem, penalties)
    for name in VARIABLES:
        np.testing.assert_allclose(corrected[name], exact[name], rtol=1e-9, err_msg=name)


def test_published_is_right_at_both_ends_but_not_at_equal_scales():
    problem = two_scale(150, 60, 50.0, 0.2)
    ends = [1e-11, 1e6]
    for name in VARIABLES:
        np.testing.assert_allclose(published_ridge(problem, ends)[name], ridge(problem, ends)[name], atol=1e-5)
    equal = two_scale(150, 60, 1.0, 0.0)
    np.testing.assert_allclose(ridge(equal, [1 / 15])["generalization_error"], 0.0109, atol=5e-5)
    np.testing.assert_allclose(published_ridge(equal, [1 / 15])["generalization_error"], 0.0047, atol=5e-5)


def test_scale_is_a_rescaled_penalty_and_time_is_its_inverse():
    problem, times = two_scale(150, 60, 20.0, 0.3), np.array([2.0, 30.0, 400.0])
    penalties = 1 / times[::-1] + 0.01
    for corrected, method in ((False, "published"), (True, "published_corrected")):
        half = published_ridge(problem, penalties, corrected=corrected, scale=0.5)
        whole = published_ridge(problem, 4 * penalties, corrected=corrected)
        descent = solve(problem, GradientDescent(l2=0.01), times, method=method)
        flow = solve(problem, GradientFlow(l2=0.01), times, method=method)
        for name in VARIABLES:
            np.testing.assert_allclose(half[name], whole[name], rtol=1e-13)
            np.testing.assert_allclose(descent[name], half[name].values[::-1], rtol=1e-13)
            own = published_ridge(problem, penalties, corrected=corrected)[name].values[::-1]
            np.testing.assert_allclose(flow[name], own, rtol=1e-13)
    np.testing.assert_allclose(
        published_ridge(problem, 4 * penalties, corrected=True)["norm"],
        ridge(problem, 4 * penalties)["norm"],
        rtol=1e-12,
    )


@pytest.mark.parametrize("method", ["published", "published_corrected"])
def test_first_and_last_time(method):
    """Time 0 is exactly untrained, without a step to it from the earliest times; late there is sigma^2/(alpha - 1)."""
    problem = two_scale(150, 60, 20.0, 0.3)
    found = solve(problem, GradientDescent(), [0, 1], method=method)
    assert [found[name].values[0] for name in VARIABLES] == [0.0, 0.0, 0.5]
    assert 0 < found["generalization_error"].values[1] < 0.5
    flow = solve(problem, GradientFlow(), [0.0, 5e-324, 1e-300, 1e-12, 1e300], method=method)
    assert [flow[name].values[0] for name in VARIABLES] == [0.0, 0.0, 0.5]
    np.testing.assert_allclose(flow["alignment"][:4], [0, 0, 0, 1.5e-12 * (0.6 + 0.4 / 400)], rtol=1e-11, atol=1e-290)
    np.testing.assert_allclose(flow["generalization_error"], [0.5, 0.5, 0.5, 0.5, 0.09], rtol=1e-11)


def test_frozen_blocks_of_figure_1():
    """Values read from the published curves of figure 1, to their four digits."""
    problem = two_scale(130, 70, 100.0, 0.0)
    times = np.array([1e-3, 14.0, 1e3, 1e4, 1e5, 1e8])
    curves = {
        learn: published_ridge(problem, 1 / times[::-1], scale=0.5, learn=learn)["generalization_error"].values[::-1]
        for learn in ("fast", "slow", "both")
    }
    np.testing.assert_allclose(curves["fast"][[1, 4]], [0.2462, 0.3249], atol=6e-5)
    np.testing.assert_allclose(curves["slow"][[1, 2, 3, 4]], [0.3247, 0.3052, 0.1956, 0.0324], atol=1e-4)
    assert curves["fast"][0] == curves["both"][0]
    assert curves["slow"][-1] == curves["both"][-1]


def test_a_penalty_of_each_block():
    problem, penalties = two_scale(150, 60, 50.0, 0.0), np.array([1e-3, 1e-2, 1e-1])
    same = published_ridge(problem, penalties, slow_penalties=penalties)["norm"]
    np.testing.assert_array_equal(same, published_ridge(problem, penalties)["norm"])
    # the published script of figure 3: 2/t on the fast block, 4/t on the slow one
    t = np.array([1e5, 1e4, 1e3, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0])
    found = published_ridge(problem, 2 / t, slow_penalties=4 / t)["generalization_error"]
    expected = [0.0035, 0.0748, 0.2554, 0.3029, 0.3150, 0.3064, 0.2876, 0.2866, 0.3324]
    np.testing.assert_allclose(found, expected, atol=6e-5)


def test_no_meaning_no_answer():
    fine = two_scale(150, 60, 50.0, 0.0)
    for problem, said in (
        (two_scale(100, 60, 5.0, 0.0), "samples must be above dimension"),
        (two_scale(150, 0, 5.0, 0.0), "two blocks"),
        (two_scale(150, 100, 5.0, 0.0), "two blocks"),
        (TeacherStudent(), "problem must be TwoScale"),
    ):
        with pytest.raises(ParameterError, match=said):
            solve(problem, GradientDescent(), [1], method="published")
    for algorithm, said in (
        (GradientDescent(learning_rate=0.1), "learning_rate and output_penalty"),
        (GradientDescent(output_penalty=0.1), "learning_rate and output_penalty"),
        (GradientDescent(l2=SoftplusDecay()), "l2 constant"),
        (GradientFlow(rates=[1, 2]), "rates must be left out"),
    ):
        with pytest.raises(ParameterError, match=said):
            solve(fine, algorithm, [1], method="published_corrected")
    for options, said in (
        ({"penalties": [0.0, 1.0]}, r"penalties must be in \[1e-100, 1e50\]; got 0"),
        ({"penalties": [1.0], "slow_penalties": [1e60]}, r"slow_penalties must be in \[1e-100, 1e50\]; got 1e\+60"),
        ({"penalties": [1.0], "scale": 0.0}, "scale .* got 0"),
        ({"penalties": [1.0], "scale": np.nan}, "scale .* got nan"),
        ({"penalties": [1.0], "slow_penalties": [1.0, 2.0]}, "as many"),
        ({"penalties": [1.0], "learn": "none"}, "learn must be one of both"),
        ({"penalties": [1.0], "corrected": True, "slow_penalties": [1.0]}, "one penalty"),
    ):
        with pytest.raises(ParameterError, match=said):
            published_ridge(fine, **options)


def test_kappa_7_of_figure_4_has_a_double_descent_that_the_published_curve_misses():
    problem = two_scale(110, 70, 7.0, 0.0)
    times = np.unique(np.rint(np.geomspace(1, 1e4, 200))).astype(int)
    published = solve(problem, GradientDescent(), times, method="published")["generalization_error"].values
    exact = solve(problem, GradientFlow(), times / edges(problem)[1])["generalization_error"].values
    assert (np.diff(published) < 0).all()
    first = exact[:20].argmin()
    assert exact[first:].max() - exact[first] > 0.0195
