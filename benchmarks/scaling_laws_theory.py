"""Scaling laws: what a theory curve costs over all modes and over nodes, step by step, in blocks and as a flow.

DANA-decaying on the power law l_j = j^-2, w_j^2 = j^-1.4; 100 times, evenly spaced in log t. CPU times of one thread,
medians of runs in turn, after set-up. Errors are the largest at any of the times, relative to the exact recursion over
all modes. The implicit Euler scheme in log time, dt = 0.01, is a stand-in in plain numpy, vectorised over the modes,
for public code that needs another library: of the same scheme and of first order, but not that code, and not its speed.
The flow solves the same equation; its errors are those after step 1000, before which no flow is the algorithm.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scaling_laws_speed import paired
from threadpoolctl import threadpool_limits

from analytic.scaling_laws._flow import flow
from analytic.scaling_laws._recursion import Nodes, recursion
from dynamics.algorithms import DanaDecaying, Rule
from dynamics.groups import power_law_groups
from dynamics.scaling_laws import PowerLawSpectrum

ALPHA, BETA, FLOOR = 1.0, 0.7, 1e-4
SIZES = ((1000, 10**6), (4000, 10**5), (16_000, 10**4))
#: Modes kept, ratio of panels, nodes on each: to 1e-4, and to 1e-5.
QUADRATURES = ((16, 2.0, 4), (32, 1.5, 3))
STEP = 0.01

Array = NDArray[np.float64]


def all_modes(dimension: int) -> Nodes:
    j = np.arange(1, dimension + 1.0)
    return Nodes(j ** (-2 * ALPHA), j ** (-2 * BETA), np.ones(dimension), FLOOR, 0.0)


def some_nodes(dimension: int, direct: int, ratio: float, count: int) -> Nodes:
    x, m, p, floor = power_law_groups(ALPHA, BETA, dimension, FLOOR, direct=direct, ratio=ratio, nodes=count)
    return Nodes(x, p**2, m, floor, 0.0)


def solved(matrix: Any, right: Any) -> tuple[Array, ...]:
    """Solve 3 x 3 systems by cofactors, all modes at once."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    x, y, z = right
    p, q, r = e * i - f * h, f * g - d * i, d * h - e * g
    whole = a * p + b * q + c * r
    return (
        (x * p + y * (c * h - b * i) + z * (b * f - c * e)) / whole,
        (x * q + y * (a * i - c * g) + z * (c * d - a * f)) / whole,
        (x * r + y * (b * g - a * h) + z * (a * e - b * d)) / whole,
    )


def implicit_euler(nodes: Nodes, rule: Rule, times: NDArray[np.int64]) -> Array:
    """Return the risk of dv/dtau = e^tau ((A - 1) v + h P), tau = log(1 + t), for a batch of one sample.

    The coefficients are those of the end of each step, and P, linear in v, is solved for with it.
    """
    x = nodes.curvature
    v: tuple[Array, ...] = (nodes.error, np.zeros_like(x), np.zeros_like(x))
    grid = np.arange(0.0, np.log1p(times[-1]) + STEP, STEP)
    at = np.array(rule.at(np.expm1(grid))).T
    risk = np.empty(grid.size)
    risk[0] = nodes.floor + x @ v[0]
    for k in range(1, grid.size):
        (g1, g2, g3, delta), w = at[k], STEP * np.exp(grid[k])
        a, g, own = 1.0 - delta, g2 + g1 * g3, 2.0 * x * x
        matrix = (
            (1 - w * (g * g * own - 2 * g * x), -w * (g3 * a) ** 2, 2 * w * g3 * a * (1 - g * x)),
            (-w * g1 * g1 * own, 1 - w * (a * a - 1), -2 * w * a * g1 * x),
            (-w * (g1 * x - g * g1 * own), w * g3 * a * a, 1 - w * (a * (1 - (g + g3 * g1) * x) - 1)),
        )
        free, forced = solved(matrix, v), solved(matrix, (w * g * g * x, w * g1 * g1 * x, -w * g * g1 * x))
        risk[k] = (nodes.floor + x @ free[0]) / (1.0 - x @ forced[0])
        v = tuple(one + risk[k] * other for one, other in zip(free, forced, strict=True))
    return np.interp(np.log1p(times), grid, risk)


def row(dimension: int, last: int) -> None:
    rule = DanaDecaying().rule(PowerLawSpectrum(alpha=ALPHA, beta=BETA, dimension=dimension).curvature)
    times = np.unique(np.geomspace(1, last, 100).astype(np.int64))
    modes = all_modes(dimension)

    def curve(nodes: Nodes, accuracy: float) -> Callable[[], Array]:
        return lambda: recursion(nodes, rule, 1, times, accuracy).risk

    def flowing(nodes: Nodes) -> Callable[[], Array]:
        return lambda: flow(nodes, rule, 1, times, 1e-3, simplified=False).risk

    def off(risk: Array, after: int = 0) -> float:
        return float(np.abs(risk / exact - 1.0)[times > after].max())

    def stand_in() -> Array:
        return implicit_euler(modes, rule, times)

    every = curve(modes, 0.0)
    exact = every()
    euler, blocks = paired(stand_in, curve(modes, 1e-4), 3)
    _, fluid = paired(stand_in, flowing(modes), 3)
    print(
        f"d = {dimension}, T = {last:.0e}: numpy stand-in {euler:.3f} s, error {off(stand_in(), 1000):.1e}; blocks to "
        f"1e-4 over all modes {1e3 * blocks:.1f} ms, error {off(curve(modes, 1e-4)()):.1e}; flow {1e3 * fluid:.2f} ms, "
        f"error {off(flowing(modes)(), 1000):.1e}, stand-in/flow {euler / fluid:.3g} (target 30)"
    )
    for quadrature in QUADRATURES:
        nodes = some_nodes(dimension, *quadrature)
        slow, fast = paired(every, curve(nodes, 0.0), 3)
        _, blocks = paired(curve(nodes, 0.0), curve(nodes, 1e-4), 9)
        _, fluid = paired(curve(nodes, 0.0), flowing(nodes), 9)
        print(
            f"    {nodes.curvature.size} nodes: every step, all modes {slow:.3f} s, nodes {1e3 * fast:.2f} ms, ratio "
            f"{slow / fast:.0f}, error {off(curve(nodes, 0.0)()):.1e}; blocks {1e3 * blocks:.2f} ms, "
            f"error {off(curve(nodes, 1e-4)()):.1e}, every step, all modes/blocks {slow / blocks:.0f}; "
            f"flow {1e3 * fluid:.2f} ms, error {off(flowing(nodes)(), 1000):.1e}, stand-in/flow {euler / fluid:.3g} "
            "(target 300)"
        )


def main() -> None:
    print("targets: a curve on nodes below 1 ms, every step of 1e6 on nodes below 0.15 s")
    for dimension, last in SIZES:
        row(dimension, last)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
