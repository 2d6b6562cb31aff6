"""Scaling laws by groups: the time of a group and step, and of a million steps at a thousand million modes.

One thread, CPU times. The drawing alone is what a step costs at least: two normals and a chi-square number for each
group of more than two modes, and one normal for a mode alone.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dynamics.algorithms import Rule
from dynamics.groups import Groups, power_law_groups
from dynamics.kernels import kernel
from dynamics.schedules import Hyperbolic, Power, unchecked
from simulations.scaling_laws._grouped import grouped

RULE = Rule(1.0, 0.3, Power(scale=0.06, exponent=-0.5), Hyperbolic(offset=5.0))


def seconds(function: Callable[[], Any]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def run(groups: Groups, steps: int, batch_size: int = 1) -> Callable[[], Any]:
    times = np.array([steps])
    return lambda: grouped(groups, 0.0, RULE, batch_size, times, np.random.default_rng(0), unchecked)


@kernel
def draw(rng: Any, steps: int, multiplicity: Any, out: Any) -> None:
    """Draw the numbers of so many steps and do nothing with them."""
    for _ in range(steps):
        for k in range(out.size):
            out[k] = rng.standard_normal()
            if multiplicity[k] > 1.0:
                out[k] += rng.standard_normal()
            if multiplicity[k] > 2.0:
                out[k] += rng.chisquare(multiplicity[k] - 2.0)


def drawing(groups: Groups, steps: int) -> Callable[[], Any]:
    rng, out = np.random.default_rng(0), np.empty(groups.multiplicity.size)

    def loop() -> None:
        draw(rng, steps, groups.multiplicity, out)

    return loop


def main() -> None:
    steps = 20_000
    for dimension in (10**3, 10**6, 10**9):
        groups = power_law_groups(1.0, 0.7, dimension, 1e-4)
        count = groups.eigenvalue.size
        runs = {
            "": run(groups, steps), ", B = 1e6": run(groups, steps, 10**6),
            ", drawing alone": drawing(groups, steps),
        }  # fmt: skip
        for name, one in runs.items():
            one()
            each = statistics.median(seconds(one) for _ in range(5)) / steps
            print(f"d = {dimension:.0e}, {count} groups{name}: {1e9 * each / count:.1f} ns, {1e6 * each:.2f} us a step")
    print(f"d = 1e9, 1e6 steps: {seconds(run(groups, 10**6)):.1f} s")


if __name__ == "__main__":
    main()
