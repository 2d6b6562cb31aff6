"""The mean over finite samples minus the exact limit falls like 1/d: 5,000 draws for each of d = 25, 50, 100, 200.

Prints the deviations of E_G at three times, where they are large, and their slope in log d with its standard error.
"""

import sys
import time

import numpy as np

from analytic.double_descent import solve
from dynamics.algorithms import GradientFlow
from dynamics.double_descent import TwoScale
from figures import compare
from figures.finite_size import slope_in_size
from simulations.double_descent import simulate

TIMES = np.array([100.0, 1e3, 1e5])


def main(runs: int = 5000) -> None:
    start = time.perf_counter()
    compared, flow = {}, GradientFlow()
    for d in (25, 50, 100, 200):
        # p/d = 0.5 has no whole p at d = 25: there p = 12, compared with the limit at p/d = 0.48
        problem = TwoScale(samples=4 * d // 5, dimension=d, fast=d // 2, condition_number=20.0, noise=0.2)
        drawn = simulate(problem, flow, TIMES, runs=runs, seed=d, teacher="averaged", progress=sys.stderr.isatty())
        compared[d] = compare(solve(problem, flow, TIMES), drawn)
    result = slope_in_size(compared, "generalization_error")
    print(f"{runs} draws a size, {time.perf_counter() - start:.0f} s")
    print(result[["deviation", "standard_error"]].to_dataframe().to_string())
    print(result[["slope", "slope_standard_error"]].to_dataframe().to_string())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
