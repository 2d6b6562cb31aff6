"""The limit against an oracle that shares nothing with it: the causal (dynamical cavity) recursion, without resolvents.

In the limit n, d -> infinity every feature answers its own past through p_b (the response of block b), every sample
through B; m_b is the part of the teacher not yet learned, C(t, t') the correlation of the errors Fw - W and D(t, t')
that of the residuals Xw - y, times n/d. Each value at t follows from earlier ones: nothing is solved or integrated.
"""

import numpy as np
import pytest

from analytic.double_descent import edges, solve
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from tests.double_descent.common import REFERENCE

ENTRIES = REFERENCE["entries"]
IDS = [entry["params"]["id"] for entry in ENTRIES]


def causal(problem, eta, l2, last):
    """Return R, Q, E_G, E_T after 0 ... last steps of gradient descent; O(last^3) operations."""
    s2, w, c = problem.blocks
    alpha, noise, n = problem.sampling_ratio, problem.noise**2, last + 1
    p, m, A, B = np.zeros((s2.size, n + 1)), np.ones((s2.size, n)), np.zeros(n), np.zeros(n)
    B[0] = alpha
    for k in range(1, n):
        past = p[:, 1:k] @ B[k - 2 :: -1][: k - 1] if k > 1 else 1.0
        p[:, k] = (1 - eta * l2) * p[:, k - 1] - eta * s2 * past
        A[k] = w @ p[:, k]
        B[k] = A[1 : k + 1] @ B[k - 1 :: -1]
        m[:, k] = (1 - eta * l2) * m[:, k - 1] + eta * l2 - eta * s2 * (m[:, :k] @ B[k - 1 :: -1])
    lag = np.subtract.outer(np.arange(n), np.arange(n))
    P, S = np.where(lag > 0, p[:, lag], 0.0), np.where(lag >= 0, B[lag], 0.0)
    C, D = np.zeros((n, n)), np.zeros((n, n))
    for t in range(n):
        kicks = w[:, None] * (P[:, t, :t] @ D[:t, :t])
        row = (w * c * m[:, t]) @ m[:, : t + 1] + np.matmul(P[:, : t + 1, :t], kicks[:, :, None])[:, :, 0].sum(axis=0)
        C[t, : t + 1] = C[: t + 1, t] = row
        D[t, : t + 1] = D[: t + 1, t] = S[: t + 1, : t + 1] @ ((C[: t + 1, : t + 1] + noise) @ S[t, : t + 1]) / alpha
    alignment, twice = (w * c) @ (1 - m), np.diag(C)
    return {
        "alignment": alignment,
        "norm": twice - w @ c + 2 * alignment,
        "generalization_error": twice / 2,
        "training_error": np.diag(D) / (2 * alpha),
    }


def assert_equal(problem, eta, l2, times):
    """To 1e-11: the contours are good to 1e-12 in R and within a factor of a few in the rest, and the recursion rounds
    sums of some hundred terms of the size of the answer. (What is found is 6e-13 or less.)
    """
    expected = causal(problem, eta, l2, times[-1])
    found = solve(problem, GradientDescent(learning_rate=eta, l2=l2), times)
    for name, curve in expected.items():
        assert np.abs(found[name].values - curve[times]).max() < 1e-11, name
    return expected


def from_entry(entry):
    params = entry["params"]
    return TeacherStudent(
        samples=round(1000 * params["alpha"]), dimension=1000, variances=params["s2"], fractions=params["w"],
        teacher_power=params["c"], noise=params["noise"],
    )  # fmt: skip


def test_two_steps_by_hand():
    """w_1 = eta X^T y and w_2 = w_1 + eta (X^T y - M w_1), with the moments of Z^T Z for d -> infinity: alpha, and

    E Z^T Z A Z^T Z = alpha^2 A + alpha tr(A)/d. Rounding only: 1e-14 relative.
    """
    problem = TeacherStudent(
        samples=3, dimension=2, variances=[2.0, 0.5], fractions=[0.25, 0.75], teacher_power=[3.0, 0.2], noise=0.4
    )
    s2, w, c = problem.blocks
    eta, alpha, labels = 0.1, 1.5, w @ c + problem.noise**2
    found = causal(problem, eta, 0.0, 2)
    first = eta * alpha * (w @ (c * s2))
    assert found["alignment"][1] == pytest.approx(first, rel=1e-14)
    norm = eta**2 * (alpha**2 * (w @ (c * s2**2)) + alpha * labels * (w @ s2**2))
    assert found["norm"][1] == pytest.approx(norm, rel=1e-14)
    second = 2 * first - eta**2 * (alpha**2 * (w @ (c * s2**2)) + alpha * (w @ s2) * (w @ (c * s2)))
    assert found["alignment"][2] == pytest.approx(second, rel=1e-14)
    assert found["training_error"][0] == pytest.approx(labels / 2, rel=1e-14)


def entries(last):
    return pytest.mark.parametrize(("entry", "last"), [(entry, last) for entry in ENTRIES], ids=IDS)


def check_entry(entry, last):
    """The recursion against the stored numbers (12 digits: half a unit is 5e-12 from 1 on) and against the contours."""
    steps = [step for step in entry["gd"]["steps"] if step <= last]
    found = assert_equal(from_entry(entry), entry["gd"]["eta"], entry["params"]["l2"], steps)
    for name, stored in (("alignment", "R"), ("norm", "Q"), ("generalization_error", "EG")):
        assert np.abs(found[name][steps] - entry["gd"][stored][: len(steps)]).max() < 1e-11, name


@entries(100)
def test_reference_entries(entry, last):
    check_entry(entry, last)


@pytest.mark.slow
@entries(1000)
def test_reference_entries_to_the_last_step(entry, last):
    assert entry["gd"]["steps"][-1] == last
    check_entry(entry, last)


BLOCKS = {
    "variances": [1.0, 0.05, 0.002],
    "fractions": [0.5, 0.3, 0.2],
    "teacher_power": [0.5, 1.9, 0.4],
    "noise": 0.35,
}
SPREAD = {"variance_exponent": 1.3, "teacher_exponent": 0.8, "noise": 0.5}
PROBLEMS = {
    "3 blocks, n < d": (TeacherStudent(samples=7, dimension=10, **BLOCKS), 0.03, 300),
    "3 blocks, n = d": (TeacherStudent(samples=10, dimension=10, **BLOCKS), 0.01, 300),
    "3 blocks, n > d": (TeacherStudent(samples=17, dimension=10, **BLOCKS), 0.0, 300),
    "power law, n < d": (PowerLawTeacherStudent(samples=90, dimension=150, **SPREAD), 0.0, 60),
    "power law, n > d": (PowerLawTeacherStudent(samples=200, dimension=150, **SPREAD), 0.02, 60),
    "many samples": (TwoScale(samples=2000, dimension=100, condition_number=5, noise=1.5), 0.1, 120),
    "hardly any samples": (TwoScale(samples=3, dimension=100, condition_number=5, noise=1.5), 0.0, 120),
}


@pytest.mark.parametrize(("problem", "l2", "last"), PROBLEMS.values(), ids=PROBLEMS)
def test_other_problems(problem, l2, last):
    eta = 0.9 / (edges(problem)[1] + l2)
    assert_equal(problem, eta, l2, [0, 1, 2, 3, 7, last // 5, last - 1, last])


@pytest.mark.parametrize("l2", [0.0, 0.4])
@pytest.mark.parametrize("samples", [8, 15])
def test_just_below_the_stability_bound(samples, l2):
    """At 0.99 of it: the fastest modes overshoot at every step, and the norm goes up and down."""
    problem = TeacherStudent(samples=samples, dimension=10, **BLOCKS)
    eta = 0.99 * 2.0 / (edges(problem)[1] + l2)
    found = assert_equal(problem, eta, l2, [1, 2, 3, 20, 21, 100, 101, 200])["norm"]
    assert found[1] > found[2] < found[3]


@pytest.mark.slow
@pytest.mark.parametrize("problem", [problem for problem, _, last in PROBLEMS.values() if last > 60])
def test_other_problems_for_long(problem):
    eta = 1.0 / (edges(problem)[1] + 0.01)
    assert_equal(problem, eta, 0.01, [500, 999, 1000])
