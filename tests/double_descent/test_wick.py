"""The limit and its first correction in 1/d at the first steps, against averages over X that are exact at any size.

After t steps of gradient descent R, Q, E_G and E_T are polynomials in X. The mean over Gaussian X of
tr(M A_1 M A_2 ... M A_k)/d is a sum over Wick pairings of the 2k factors X (M = X^T X): a pairing gives a power of 1/d,
a power of alpha for each loop of samples, and <product of s^2 and A> for each loop of directions.
"""

import functools
import math
from collections import defaultdict

import numpy as np
import pytest

from analytic.double_descent import solve
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TeacherStudent
from dynamics.schedules import StepTable
from tests.double_descent.common import BLOCKS, CURVES


def pairings(items):
    """Every way to split the items into pairs."""
    if not items:
        yield []
        return
    first, *rest = items
    for i, partner in enumerate(rest):
        for more in pairings(rest[:i] + rest[i + 1 :]):
            yield [(first, partner), *more]


@functools.cache
def diagrams(k):
    """For each pairing: the number of sample loops, and which matrices each loop of directions passes.

    Factor i of M has the ends 2i (before it A_{i-1}) and 2i + 1 (behind it A_i).
    """
    found = []
    for pairs in pairings(list(range(2 * k))):
        partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
        samples = [{i} for i in range(k)]
        for a, b in pairs:
            joined = [part for part in samples if part & {a // 2, b // 2}]
            samples = [part for part in samples if part not in joined] + [set.union(*joined)]
        directions, left = [], set(range(2 * k))
        while left:
            end, passed = min(left), []
            while end in left:  # along a matrix to the neighbouring factor's end, then along a pair
                passed.append(end // 2 if end % 2 else (end // 2 - 1) % k)
                other = (end + 1) % (2 * k) if end % 2 else (end - 1) % (2 * k)
                left -= {end, other}
                end = partner[other]
            directions.append(tuple(passed))
        found.append((len(samples), directions))
    return found


def trace(matrices, blocks, alpha):
    """Return E tr(M A_1 ... M A_k)/d for diagonal A as coefficients of 1/d^0, 1/d^1, ..."""
    k, scaled = len(matrices), [matrix * blocks.variance for matrix in matrices]
    found = defaultdict(float)
    for samples, directions in diagrams(k):
        value = alpha**samples
        for passed in directions:
            value *= blocks.fraction @ math.prod(scaled[index] for index in passed)
        # n^loops and d^loops, 1/d for each pair, 1/d in front
        found[k + 1 - samples - len(directions)] += value
    return [found[power] for power in range(max(found) + 1)]


def word(first, matrix, second, other, blocks, alpha):
    """E tr(M^first A M^second B)/d up to 1/d."""
    one = np.ones_like(matrix)
    if first + second == 0:
        return np.array([blocks.fraction @ (matrix * other), 0.0])
    if first == 0 or second == 0:
        matrices = [one] * (first + second - 1) + [matrix * other]
    else:
        matrices = [one] * (first - 1) + [matrix] + [one] * (second - 1) + [other]
    return np.array([*trace(matrices, blocks, alpha), 0.0])[:2]


def exact_curves(problem, steps):
    """Limit and coefficient of 1/d of the four curves, for (step size, l2, output penalty) of each step."""
    blocks, alpha, noise = problem.blocks, problem.sampling_ratio, problem.noise**2
    f = np.zeros(1)
    for eta, l2, penalty in steps:
        f = np.convolve(f, [1.0 - eta * l2, -eta * (1.0 + penalty)])
        f[0] += eta
    h = np.append(1.0, -f)
    s2, c, one = blocks.variance, blocks.power, np.ones_like(blocks.power)

    def single(coefficients, matrix):
        return sum(value * word(k, matrix, 0, one, blocks, alpha) for k, value in enumerate(coefficients))

    pairs = ((i, j) for i in range(h.size) for j in range(h.size))
    bias = sum(h[i] * h[j] * word(i, s2, j, c / s2, blocks, alpha) for i, j in pairs)
    twice = bias + noise * single(np.append(0.0, np.convolve(f, f)), s2)
    squares = np.convolve(h, h)
    fit = single(np.append(0.0, squares), c / s2) + noise * (single(squares, one) + np.array([alpha - 1.0, 0.0]))
    alignment = single(np.append(0.0, f), c)
    curves = (alignment, twice - [blocks.mean_power, 0.0] + 2 * alignment, twice / 2, fit / (2 * alpha))
    return dict(zip(CURVES, curves, strict=True))


@pytest.mark.parametrize("samples", [40, 100, 230])
def test_limit_and_first_correction(samples):
    """Two steps of every coefficient, to the accuracy of the contour times d."""
    problem = TeacherStudent(samples=samples, dimension=100, **BLOCKS)
    table = {"learning_rate": [0.2, 0.13], "l2": [0.3, 0.05], "output_penalty": [0.1, 0.6]}
    algorithm = GradientDescent(**{name: StepTable(steps=[0, 1], values=values) for name, values in table.items()})
    expected = exact_curves(problem, list(zip(*table.values(), strict=True)))
    limit, corrected = (solve(problem, algorithm, [2], method=method) for method in ("exact", "next_order"))
    for name in CURVES:
        assert limit[name].item() == pytest.approx(expected[name][0], abs=1e-12), name
        assert 100 * (corrected[name] - limit[name]).item() == pytest.approx(expected[name][1], abs=1e-10), name
        assert abs(expected[name][1]) > 1e-4  # there is something to see
