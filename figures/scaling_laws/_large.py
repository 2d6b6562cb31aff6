"""Stochastic training at a dimension that no matrix has: groups of the spectrum of random features, over theory."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analytic.scaling_laws import equivalent_groups, solve
from dynamics.algorithms import SGD, DanaDecaying, ScheduleFree, StochasticAlgorithm
from dynamics.scaling_laws import PowerLawRandomFeatures
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.drawing import draw_curves, draw_deviations
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, label, new_figure
from simulations.scaling_laws import simulate

ALGORITHMS: tuple[StochasticAlgorithm, ...] = (
    SGD(batch_size=16), ScheduleFree(batch_size=16), DanaDecaying(batch_size=16),
)  # fmt: skip
_RUNS, _LAST = {"quick": 30, "full": 40}, {"quick": 12_000, "full": 300_000}


def large_data(preset: Preset, seed: int) -> xr.Dataset:
    """Compare runs of a billion random features with the deterministic equivalent."""
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**9)
    groups, times = equivalent_groups(problem), log_steps(_LAST[preset], 36)
    compared, single = {}, []
    for algorithm in ALGORITHMS:
        runs = simulate(problem, algorithm, times, runs=_RUNS[preset], seed=seed, method="grouped", groups=groups)
        theory = solve(problem, algorithm, times, method="deterministic_equivalent")
        compared[algorithm.label] = compare(theory, runs, false_alarm=FALSE_ALARM / len(ALGORITHMS))
        single.append(runs["risk"].isel(run=0).values)
    data = together("algorithm_name", compared)
    data["single_run"] = (("algorithm_name", "time"), np.array(single))
    data.attrs["caption"] = (
        f"{parameters(problem)}; batch size 16, default coefficients. The spectrum of the runs is the deterministic "
        f"equivalent's, the same in all: its $10^9$ eigenvalues are {groups.sizes['group']} groups of modes, whose "
        f"mean risk is that of theory up to {groups.attrs['bias']:.0e} of it, which is allowed for. Left: mean risk in "
        "theory (lines), mean over the runs (points, band of two standard errors), the first run of each (faint). "
        "Right: deviation in standard errors where it is tested, and what is allowed (dotted)."
    )
    return data


def large_effect(data: xr.Dataset) -> Effect:
    """Measure how far DANA-decaying gets below SGD, in theory and in the runs."""
    last = data.sel(variable="risk").isel(time=-1)
    ratios = [
        float(last[kind].sel(algorithm_name="sgd") / last[kind].sel(algorithm_name="dana-decaying"))
        for kind in ("theory", "mean")
    ]
    return Effect("risk of SGD over that of DANA-decaying at the last step", min(ratios), 2.0)


def large_draw(data: xr.Dataset) -> Figure:
    """Left: the curves; right: the deviations."""
    figure, (left, right) = new_figure(1, 2, size=(12.0, 4.8))
    for colour, name in zip(COLOURS, data["algorithm_name"].values, strict=False):
        one = data.sel(variable="risk", algorithm_name=name)
        draw_curves(left, one, colour, str(name))
        left.plot(data["time"], one["single_run"], color=colour, linewidth=0.6, alpha=0.6)
        draw_deviations(right, one, colour)
    right.axhline(0.0, color="#888888", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel=label(data["time"]), ylabel="risk $P$")
    right.set(xscale="log", xlabel=label(data["time"]), ylabel="deviation in standard errors")
    left.legend()
    return figure
