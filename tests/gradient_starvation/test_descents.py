"""Descents with a finite step: published ends, their steps written out again, small steps, steps without end."""

import time

import numpy as np
import pytest
from scipy.special import expit, logit

from analytic.gradient_starvation import _descents, fixed_point, solve
from dynamics.algorithms import DualDescent, DualFlow, PrimalDescent, PrimalFlow
from dynamics.errors import ParameterError
from dynamics.gradient_starvation import TwoSamples
from tests.gradient_starvation.common import random_problem


def responses(problem, algorithm, times):
    return solve(problem, algorithm, times).response.values


#: Strengths, responses at the end of 5000 steps: primal with l2, dual, primal with spectral decoupling.
ENDS = [
    (2, (6.120436, 1.639966), (6.11711, 1.63907), (6.372652, 1.707547)),
    (3, (7.068161, 1.583084), (7.06810, 1.58274), (6.372673, 1.707545)),
    (4, (7.812308, 1.466400), (7.81202, 1.46671), (6.372673, 1.707542)),
    (5, (8.466874, 1.327031), (8.46518, 1.32900), (6.372673, 1.707540)),
    (6, (9.076381, 1.180202), (9.07102, 1.18534), (6.372673, 1.707539)),
]


@pytest.mark.parametrize(("strong", "primal", "dual", "decoupled"), ENDS)
def test_ends_of_the_published_descents(strong, primal, dual, decoupled):
    """Detects an off-by-one or a wrong step in the recursions: known to the digits given."""
    l2, sd = ({"l2": 0.01}, {"l2": 0.0, "decoupling": 0.002})
    for penalties, algorithm, expected, digit in (
        (l2, PrimalDescent(learning_rate=0.05), primal, 5e-7),
        (l2, DualDescent(initial=1e-8, learning_rate=3e-6), dual, 5.1e-6),
        (sd, PrimalDescent(learning_rate=0.05), decoupled, 6e-7),
    ):
        problem = TwoSamples(strong=strong, weak=2, coupling=0.5, **penalties)
        found = responses(problem, algorithm, [0, 5000])
        np.testing.assert_allclose(found[:, 1], expected, rtol=0, atol=digit)


def test_descents_step_by_step():
    """Detects a wrong recursion with both penalties and n > r, clipping included, by the formulas written out again."""
    problem = random_problem(np.random.default_rng(8), 5, 3, l2=0.2, decoupling=0.3)
    u, square = problem.presence, problem.strength**2
    z, path = np.zeros(3), [np.zeros(3)]
    for _ in range(30):
        z = z + 0.1 * (square * (u.T @ expit(-u @ z) - 0.3 * z) - 0.2 * z)
        path.append(z)
    found = solve(problem, PrimalDescent(learning_rate=0.1), np.arange(31))
    np.testing.assert_allclose(found.response.T, path, rtol=1e-12, atol=1e-14)
    for eta in (0.01, 3.0):  # the second so large that alpha is thrown from border to border
        alpha, kernel = np.full(5, 0.4), u / (0.2 / square + 0.3) @ u.T
        path = [kernel @ alpha]
        for _ in range(30):
            alpha = np.clip(alpha + eta * (-logit(alpha) - kernel @ alpha), 1e-50, 1 - 1e-7)
            path.append(kernel @ alpha)
        found = solve(problem, DualDescent(learning_rate=eta, initial=0.4), np.arange(31))
        np.testing.assert_allclose(found.margin.T, path, rtol=1e-12)


def test_small_steps_are_flows():
    """Detects a step that is not eta: descents approach flows with an error of first order."""
    problem = TwoSamples(strong=3.0, weak=1.0, coupling=-0.3, l2=0.2, decoupling=0.1)
    for flow, descent, eta in (
        (PrimalFlow(), PrimalDescent, 0.01),
        (DualFlow(initial=0.1), DualDescent, 0.002),
    ):
        exact = responses(problem, flow, [eta * 100])[:, 0]
        options = {} if descent is PrimalDescent else {"initial": 0.1}
        off = [
            np.abs(responses(problem, descent(learning_rate=eta / k, **options), [100 * k])[:, 0] - exact).max()
            for k in (1, 2, 4)
        ]
        np.testing.assert_allclose(np.array(off[:-1]) / off[1:], 2.0, rtol=0.1)


def test_rest_is_rest(monkeypatch):
    """Detects steps that go on for ever when nothing moves: 1e15 of them are answered at once."""
    start = time.perf_counter()
    problem = TwoSamples(l2=1.0)
    found = responses(problem, PrimalDescent(learning_rate=0.05), [10, 10**15])
    assert time.perf_counter() - start < 5
    np.testing.assert_allclose(found[:, 1], fixed_point(problem).response, rtol=1e-13)
    monkeypatch.setattr(_descents, "_MOST", 3.8e8)
    with pytest.raises(ParameterError, match=r"times must end earlier, at about 1e\+07 steps; got 9000000000000000"):
        solve(TwoSamples(l2=1e-30), PrimalDescent(learning_rate=1e-12), [9 * 10**15])
