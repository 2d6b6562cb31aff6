"""Scaling laws: simulators against plain numpy loops, against the drawing of normals, and theory against every step.

One thread, paired runs, medians of CPU times; each row prints its ratio.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from analytic.scaling_laws._recursion import Nodes, recursion
from analytic.scaling_laws._strip import equivalent_nodes, strip
from dynamics.algorithms import DanaConstant, DanaDecaying
from dynamics.kernels import vector_kernel
from dynamics.scaling_laws import PowerLawRandomFeatures
from simulations._normals import normal_pair
from simulations.scaling_laws._kernels import diagonal_steps


def seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def paired(slow: Callable[[], Any], fast: Callable[[], Any], repeats: int = 5) -> tuple[float, float]:
    """Return the median CPU times of the two, run in turn after one run of each."""
    slow(), fast()
    times = [(seconds(slow), seconds(fast)) for _ in range(repeats)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def literal_loop(v: int, d: int, batch: int, steps: int) -> Callable[[], Any]:
    """Return DANA-constant on streams of samples as one would write it in numpy."""
    rng = np.random.default_rng(0)
    scale = np.arange(1, v + 1.0) ** -1.0
    matrix, target = rng.standard_normal((v, d)) / np.sqrt(d), np.arange(1, v + 1.0) ** -0.7

    def loop() -> Any:
        theta, y = np.zeros(d), np.zeros(d)
        for t in range(steps):
            x = rng.standard_normal((batch, v)) * scale
            features = x @ matrix
            gradient = features.T @ (features @ theta - x @ target) / batch
            y = (1 - 4 / (4 + t)) * y + gradient
            theta = theta - 0.3 * gradient - 0.3 / d * y
        return theta

    return loop


def diagonal_loop(d: int, batch: int, steps: int) -> Callable[[], Any]:
    """Return the same by the package's kernel, chi-square numbers included."""
    j = np.arange(1, d + 1.0)
    keys, rng = np.array([1, 2], dtype=np.uint64), np.random.default_rng(0)
    times, one = np.arange(steps), np.ones(steps)
    rule = (one, 0.3 * one, 0.3 / d * one, 4 / (4 + times))

    def loop() -> Any:
        squares = rng.chisquare(batch, steps)
        q, y = j**-1.7, np.zeros(d)
        return diagonal_steps(keys, 0, squares, j**-2.0, q, y, 1e-4, float(batch), 1e10, 0.0, *rule)

    return loop


@vector_kernel
def draw(keys: Any, steps: int, out: Any) -> None:
    """Draw the normals of so many steps and do nothing with them."""
    half = out.size // 2
    pair = (keys[0], keys[1])
    for i in range(steps):
        place = np.uint64(i) * np.uint64(half)
        for j in range(half):
            out[j], out[j + half] = normal_pair(pair, place + np.uint64(j))


def simulators() -> None:
    for v, d, steps in ((2000, 500, 400), (4000, 1000, 200), (8000, 2000, 60)):
        for batch in (1, 10):
            many = 100 * steps
            slow, fast = paired(literal_loop(v, d, batch, steps // batch + 1), diagonal_loop(d, batch, many))
            ratio = slow / (steps // batch + 1) / (fast / many)
            print(f"(v, d) = ({v}, {d}), B = {batch}: {many / fast:.3g} steps/s, {ratio:.0f} times the numpy loop")
        out, keys = np.empty(d), np.array([1, 2], dtype=np.uint64)
        drawn, whole = paired(lambda: draw(keys, many, out), diagonal_loop(d, 1, many))  # noqa: B023
        _, large = paired(diagonal_loop(d, 1, many), diagonal_loop(d, 10**6, many))
        print(
            f"    {many * d / whole:.3g} normals/s, {whole / drawn:.2f} times the drawing; B = 1e6: {large / whole:.3f}"
        )


def theory() -> None:
    j = np.arange(1, 1001.0)
    nodes, times = Nodes(j**-2.0, j**-1.4, np.ones(1000), 1e-4, 0.0), np.unique(np.geomspace(1, 1e6, 200).astype(int))
    rule = DanaConstant(decay=4, learning_rate=0.3).rule(PowerLawRandomFeatures(dimension=1000).curvature)
    every, blocks = paired(
        lambda: recursion(nodes, rule, 1, times, 0.0), lambda: recursion(nodes, rule, 1, times, 1e-3), 3
    )
    print(f"1000 modes, 1e6 steps: every step {every:.2f} s, blocks to 1e-3 {blocks:.3f} s, ratio {every / blocks:.0f}")
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    times = np.unique(np.geomspace(1, 1e9, 200).astype(int))
    rule = DanaDecaying().rule(problem.curvature)

    def build() -> Any:
        strip.cache_clear()
        return equivalent_nodes(problem)

    built, curve = paired(build, lambda: recursion(equivalent_nodes(problem), rule, 1, times, 1e-2))
    print(f"d = 1e9, v = 4e9: quadrature {1e3 * built:.0f} ms, a curve to 1e9 steps at 1e-2 {1e3 * curve:.0f} ms")


if __name__ == "__main__":
    with threadpool_limits(1):
        simulators()
        theory()
