"""Double descent: this package against plain numpy loops that compute the same numbers, one thread, paired runs.

Each row alternates the two candidates and prints the ratio of their median CPU times, and how well the numbers agree.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TwoScale
from dynamics.schedules import SoftplusDecay
from dynamics.times import log_steps
from simulations.double_descent import ridge, sample, simulate

SEEDS, RATIOS = 3, (1.0, 10.0, 50.0)


def problem(ratio: float) -> TwoScale:
    return TwoScale(samples=150, dimension=100, fast=60, condition_number=ratio)


def figure_by_loops(times: np.ndarray, draws: dict[float, Any]) -> np.ndarray:
    """Error of gradient descent and of ridge at 2/t, and norm of the averaged student, one time after the other."""
    found = np.empty((3, len(RATIOS), SEEDS, times.size))
    for row, ratio in enumerate(RATIOS):
        features = np.sqrt(np.repeat(problem(ratio).blocks.variance, problem(ratio).directions()))
        for seed in range(SEEDS):
            x, y = (draws[ratio][name].values[seed] for name in ("inputs", "labels"))
            teacher = draws[ratio]["teacher_weights"].values[seed]
            d = x.shape[1]
            eigenvalues, v = np.linalg.eigh(x.T @ x)
            for place, t in enumerate(times):
                kept = np.diag(1.0 - np.abs(1.0 - eigenvalues / eigenvalues[-1]) ** t)
                w = v @ kept @ np.diag(1.0 / eigenvalues) @ v.T @ x.T @ y
                found[0, row, seed, place] = np.sum((teacher - features * w) ** 2) / (2 * d)
                w = np.linalg.inv(x.T @ x + 2.0 / t * np.eye(d)) @ x.T @ y
                found[1, row, seed, place] = np.sum((teacher - features * w) ** 2) / (2 * d)
                a = np.diag(features) @ v @ kept @ v.T @ np.diag(1.0 / features)
                found[2, row, seed, place] = np.trace(a.T @ a) / d
    return found


def figure_by_package(times: np.ndarray) -> np.ndarray:
    """Compute the same through the public functions, sampling included."""
    found = np.empty((3, len(RATIOS), SEEDS, times.size))
    for row, ratio in enumerate(RATIOS):
        one = problem(ratio)
        found[0, row] = simulate(one, GradientDescent(), times, runs=SEEDS, workers=1)["generalization_error"]
        found[1, row] = ridge(one, 2.0 / times[::-1], runs=SEEDS, workers=1)["generalization_error"][:, ::-1]
        averaged = simulate(one, GradientDescent(), times, runs=SEEDS, workers=1, teacher="averaged")
        found[2, row] = averaged["norm"]
    return found


def schedule_by_loop(times: np.ndarray, data: Any, features: np.ndarray, fresh: np.ndarray) -> np.ndarray:
    """Q-regularised gradient descent, with training and test error of every epoch as in a training script."""
    x, y, teacher = (data[name].values[0] for name in ("inputs", "labels", "teacher_weights"))
    step, schedule = 1.0 / np.linalg.eigvalsh(x.T @ x)[-1], SoftplusDecay()
    labels, test = fresh @ teacher, fresh * features
    w, training = np.zeros(x.shape[1]), np.empty(times[-1] + 1)
    for i in range(times[-1] + 1):
        residual = x @ w - y
        training[i] = np.mean(residual**2) / 2
        np.mean((test @ w - labels) ** 2)
        w = w - step * (x.T @ (residual + schedule.at(np.array(i)) * (residual + y)))
    return training[times]


def paired(name: str, slow: Callable[[], Any], fast: Callable[[], Any], repeats: int) -> None:
    """Alternate the two, print the ratio of median CPU times and the largest difference of the numbers."""
    fast()  # compile and warm up
    spent: dict[str, list[float]] = {"slow": [], "fast": []}
    for _ in range(repeats):
        for key, function in (("slow", slow), ("fast", fast)):
            start = time.process_time()
            value = function()
            spent[key].append(time.process_time() - start)
            if key == "slow":
                reference = value
    medians = {key: statistics.median(values) for key, values in spent.items()}
    print(
        f"{name}: loops {medians['slow']:.3f} s, package {medians['fast']:.4f} s, ratio "
        f"{medians['slow'] / medians['fast']:.0f}, largest difference {np.abs(reference - value).max():.1e}"
    )


def main() -> None:
    with threadpool_limits(1):
        times = log_steps(1_000_000, 100)
        draws = {ratio: sample(problem(ratio), runs=SEEDS) for ratio in RATIOS}
        paired(
            f"figure, {times.size} times", lambda: figure_by_loops(times, draws), lambda: figure_by_package(times), 5
        )
        one = TwoScale(samples=120, dimension=100, fast=70, condition_number=30.0)
        data = sample(one, runs=1)
        features = np.sqrt(np.repeat(one.blocks.variance, one.directions()))
        fresh = np.random.default_rng(0).standard_normal((1000, 100)) / 10.0
        steps = log_steps(100_000, 400)
        scheduled = GradientDescent(output_penalty=SoftplusDecay())
        paired(
            f"schedule, 1e5 epochs, {steps.size} of them plotted",
            lambda: schedule_by_loop(steps, data, features, fresh),
            lambda: simulate(one, scheduled, steps, runs=1, workers=1, test_samples=1000)["training_error"].values[0],
            3,
        )


if __name__ == "__main__":
    main()
