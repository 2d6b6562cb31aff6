"""Method "finite": exact for given inputs, averaged over teacher and label noise in closed form.

The twin iterates gradient descent on d + n problems at once, one for each unit teacher and each unit noise vector: w is
linear in both, so the averages over W and eps are sums of squares of these columns. No eigenbasis, no filter.
"""

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import expm

from analytic.double_descent import solve
from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent
from dynamics.schedules import SoftplusDecay, StepTable, values_at
from tests.double_descent.common import CURVES

BLOCKS = {"variances": [1.0, 0.09, 0.01], "fractions": [0.5, 0.3, 0.2], "teacher_power": [0.7, 1.6, 2.5], "noise": 0.4}
PROBLEMS = {
    name: TeacherStudent(samples=n, dimension=20, **BLOCKS) for name, n in (("n<d", 13), ("n=d", 20), ("n>d", 35))
}
EVERY = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
PENALTY = SoftplusDecay(initial=0.5, rate=0.02)
ALGORITHMS = {
    "default step": GradientDescent(l2=0.05),
    "plain": GradientDescent(learning_rate=0.2),
    "output penalty": GradientDescent(learning_rate=0.2, l2=0.05, output_penalty=0.3),
    "rates": GradientDescent(learning_rate=0.05, rates=[1.0, 3.0, 8.0]),
    "schedules": GradientDescent(
        learning_rate=StepTable(steps=[0, 5], values=[0.2, 0.1]),
        l2=StepTable(steps=[0, 30], values=[0.1, 0.0]),
        output_penalty=PENALTY,
    ),
}


def per_direction(problem, values):
    return np.repeat(np.asarray(values), problem.directions())


def draw(problem, seed=0):
    """Return latent inputs Z ~ N(0, 1/d) and singular values s of F."""
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((problem.samples, problem.dimension)) / np.sqrt(problem.dimension)
    return latent, np.sqrt(per_direction(problem, problem.blocks.variance))


def as_data(*inputs):
    return xr.Dataset({"inputs": (("run", "sample", "direction"), np.stack(inputs))})


def finite(problem, algorithm, times, *inputs):
    return solve(problem, algorithm, times, method="finite", data=as_data(*inputs))


def averaged(problem, latent, features, weights):
    """Return R, Q, E_G, E_T for weights (d, d + n): responses to unit teachers and to unit label noise; any F."""
    d, n = problem.dimension, problem.samples
    scale = np.concatenate([np.sqrt(per_direction(problem, problem.blocks.power)), np.full(n, problem.noise)])
    student = features @ weights * scale
    error = student - np.eye(d, d + n) * scale
    labels = np.hstack([latent, np.eye(n)]) * scale
    residual = latent @ student - labels
    return {
        "alignment": (student[:, :d] * np.diag(scale[:d])).sum() / d,
        "norm": (student**2).sum() / d,
        "generalization_error": (error**2).sum() / (2 * d),
        "training_error": (residual**2).sum() / (2 * n),
    }


def descended(problem, algorithm, times, latent, features):
    """Iterate w <- w - eta_i P [(1 + a_i) X^T X w - X^T y + l_i w] literally; yield the averages at ``times``."""
    inputs = latent @ features
    targets = inputs.T @ np.hstack([latent, np.eye(problem.samples)])
    covariance = inputs.T @ inputs
    rate = algorithm.learning_rate or 1.0 / (np.linalg.norm(inputs, 2) ** 2 + algorithm.l2)
    steps = np.arange(times[-1])
    eta, a, l2 = (values_at(c, steps) for c in (rate, algorithm.output_penalty, algorithm.l2))
    rho = per_direction(problem, algorithm.rates or [1.0, 1.0, 1.0])[:, None]
    weights = np.zeros_like(targets)
    found = []
    for i in range(times[-1] + 1):
        if i in times:
            found.append(averaged(problem, latent, features, weights))
        if i < times[-1]:
            weights = weights - eta[i] * rho * ((1 + a[i]) * covariance @ weights - targets + l2[i] * weights)
    return {name: np.array([values[name] for values in found]) for name in CURVES}


@EVERY
@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=ALGORITHMS)
def test_equals_iterated_descent(problem, algorithm):
    """To 1e-12: 300 contracting steps of sums over 20 terms round by 300 * 20 eps = 1.3e-12 at worst, 1e-14 usually."""
    times = [0, 1, 2, 3, 10, 41, 300]
    draws = [draw(problem, seed) for seed in (0, 1)]
    found = finite(problem, algorithm, times, *(latent * s for latent, s in draws))
    assert found["alignment"].dims == ("run", "time")
    for run, (latent, s) in enumerate(draws):
        for name, curve in descended(problem, algorithm, times, latent, np.diag(s)).items():
            assert np.abs(found[name].values[run] - curve).max() < 1e-12, name


@EVERY
@pytest.mark.parametrize("l2", [0.0, 0.07])
def test_equals_flow_by_matrix_exponential(problem, l2):
    """w(tau) = (1 - e^{-tau(M + l2)}) (M + l2)^+ X^T y; expm's scaling and squaring loses some digits: 1e-11."""
    latent, s = draw(problem)
    inputs = latent * s
    times = np.array([0.0, 0.05, 1.0, 7.0, 200.0])
    found = finite(problem, GradientFlow(l2=l2), times, inputs)
    drift = inputs.T @ inputs + l2 * np.eye(20)
    targets = inputs.T @ np.hstack([latent, np.eye(problem.samples)])
    for k, time in enumerate(times):
        # the integral of e^{-s M} over s up to tau is a corner of the exponential of a block matrix
        block = expm(time * np.block([[-drift, np.eye(20)], [np.zeros((20, 40))]]))
        expected = averaged(problem, latent, np.diag(s), block[:20, 20:] @ targets)
        for name in CURVES:
            assert abs(found[name].values[0, k] - expected[name]) < 1e-11, name


@EVERY
def test_rates_of_the_flow(problem):
    rates = [1.0, 3.0, 8.0]
    latent, s = draw(problem)
    inputs, root = latent * s, np.sqrt(per_direction(problem, rates))
    found = finite(problem, GradientFlow(rates=rates), [0.3, 5.0, 80.0], inputs)
    scaled = inputs * root
    targets = scaled.T @ np.hstack([latent, np.eye(problem.samples)])
    for k, time in enumerate((0.3, 5.0, 80.0)):
        block = expm(time * np.block([[-scaled.T @ scaled, np.eye(20)], [np.zeros((20, 40))]]))
        expected = averaged(problem, latent, np.diag(s), root[:, None] * (block[:20, 20:] @ targets))
        for name in CURVES:
            assert abs(found[name].values[0, k] - expected[name]) < 1e-11, name


@pytest.mark.parametrize("samples", [13, 35])
def test_rotations_of_the_features_change_nothing(samples):
    """F = U S V^T with Haar U and V: iterating with it on Z equals the diagonal formula on X' = Z U S, teacher power 1.

    So the simulators and "finite" may leave the rotations out: Z U is as Gaussian as Z. 60 * 20 eps = 3e-13 at worst.
    """
    problem = TeacherStudent(samples=samples, dimension=20, **{**BLOCKS, "teacher_power": [1.0, 1.0, 1.0]})
    rng = np.random.default_rng(5)
    u, v = (np.linalg.qr(rng.standard_normal((20, 20)))[0] for _ in range(2))
    latent, s = draw(problem)
    algorithm, times = GradientDescent(learning_rate=0.2, l2=0.02), [1, 8, 60]
    found = finite(problem, algorithm, times, latent @ u * s)
    for name, curve in descended(problem, algorithm, times, latent, u * s @ v.T).items():
        assert np.abs(found[name].values[0] - curve).max() < 3e-13, name


def test_one_sample_one_direction_by_hand():
    """d = n = 1: w = f(L) x y with L = x^2 = s2 z^2, and h = 1 - L f."""
    problem = TeacherStudent(samples=1, dimension=1, variances=[0.25], teacher_power=[3.0], noise=0.5)
    x, time = 0.6, 2.0
    found = finite(problem, GradientFlow(), [time], np.array([[x]])).isel(run=0, time=0)
    h = np.exp(-time * x**2)
    learned, noise = 1 - h, 0.25 * (1 - h) ** 2 / x**2 * 0.25
    expected = {
        "alignment": 3 * learned, "norm": 3 * learned**2 + noise, "generalization_error": (3 * h**2 + noise) / 2,
        "training_error": h**2 * (3 * x**2 / 0.25 + 0.25) / 2,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, rel=1e-14), name


@EVERY
def test_default_step_is_each_samples_own(problem):
    inputs = [latent * s for latent, s in (draw(problem, seed) for seed in range(3))]
    found = finite(problem, GradientDescent(l2=0.3), [1, 20], *inputs)
    for run, x in enumerate(inputs):
        step = 1.0 / (np.linalg.svd(x)[1][0] ** 2 + 0.3)
        given = finite(problem, GradientDescent(learning_rate=step, l2=0.3), [1, 20], x)
        for name in CURVES:
            assert np.abs(found[name].values[run] - given[name].values[0]).max() < 1e-13, name


@pytest.mark.parametrize("ratio", [1e3, 1e5])
def test_stated_error_covers_slow_features(ratio):
    """Rotating the samples changes nothing but the rounding of X, by eps |X|: the sensitivity the stated error bounds.

    Eigenvalues span 1e-12 ... 4 at a condition number of 1e5, where the eigenvalues of X^T X would be off by 1e-5.
    """
    problem = TeacherStudent(
        samples=30,
        dimension=20,
        variances=[1.0, ratio**-2.0],
        fractions=[0.5, 0.5],
        teacher_power=[0.5, 1.5],
        noise=0.3,
    )
    latent, s = draw(problem)
    times = np.geomspace(0.1, 10 * ratio**2, 30)
    found = finite(problem, GradientFlow(), times, latent * s)
    rotation = np.linalg.qr(np.random.default_rng(2).standard_normal((30, 30)))[0]
    again = finite(problem, GradientFlow(), times, rotation @ (latent * s))
    for name in CURVES:
        difference = np.abs(found[name].values - again[name].values)
        stated = found[f"{name}_error"].values
        assert (difference <= 2 * stated).all(), name
        assert stated.max() < 1e-13 * ratio


def test_bad_data_are_refused():
    problem = PROBLEMS["n<d"]
    latent, s = draw(problem)
    good = as_data(latent * s)
    assert solve(problem, GradientFlow(), [1.0], method="finite", data=good).sizes == {"run": 1, "time": 1}
    with pytest.raises(ParameterError, match="data must be given"):
        solve(problem, GradientFlow(), [1.0], method="finite")
    with pytest.raises(ParameterError, match="inputs"):
        solve(problem, GradientFlow(), [1.0], method="finite", data=good.rename(inputs="outputs"))
    for inputs in (latent[None, :-1], latent[None, :, 1:], latent, latent.T[None]):
        bad = xr.Dataset({"inputs": (("run", "sample", "direction")[-inputs.ndim :], inputs)})
        with pytest.raises(ParameterError, match=r"inputs.* 13 samples and 20 directions"):
            solve(problem, GradientFlow(), [1.0], method="finite", data=bad)
    for renamed in ({"run": "draw"}, {"sample": "direction", "direction": "sample"}):
        with pytest.raises(ParameterError, match="dimensions"):
            solve(problem, GradientFlow(), [1.0], method="finite", data=good.rename(renamed))
    with pytest.raises(ParameterError, match="at least one run"):
        solve(problem, GradientFlow(), [1.0], method="finite", data=good.isel(run=[]))
    for wrong in (good.astype(complex), good * 0, {"inputs": latent}, 5):
        with pytest.raises(ParameterError, match="data"):
            solve(problem, GradientFlow(), [1.0], method="finite", data=wrong)
    other = problem.model_copy(update={"variances": [1.0, 0.09, 0.02]})
    with pytest.raises(ParameterError, match=r"drawn for the variances of .* they were drawn for"):
        solve(problem, GradientFlow(), [1.0], method="finite", data=good.assign_attrs(problem=other.to_json()))
    quieter = problem.model_copy(update={"noise": 0.0})
    solve(quieter, GradientFlow(), [1.0], method="finite", data=good.assign_attrs(problem=problem.to_json()))
    with pytest.raises(ParameterError, match="data must be left out for method 'exact'; only finite"):
        solve(problem, GradientFlow(), [1.0], data=good)
    with pytest.raises(ParameterError, match="one per block"):
        solve(problem, GradientFlow(rates=[1, 2]), [1.0], method="finite", data=good)
    broken = latent.copy()
    broken[3, 4] = np.nan
    with pytest.raises(ParameterError, match="finite"):
        finite(problem, GradientFlow(), [1.0], broken)
    odd = TeacherStudent(samples=13, dimension=20, variances=[1, 0.1], fractions=[0.33, 0.67])
    with pytest.raises(ParameterError, match="whole numbers of directions"):
        finite(odd, GradientFlow(), [1.0], latent)
