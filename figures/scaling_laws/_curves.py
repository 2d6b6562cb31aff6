"""Loss curves of all algorithms: runs over random features against theory on their spectra and on the limit's."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analytic.scaling_laws import limit_risk, solve
from dynamics.algorithms import (
    SGD,
    DanaConstant,
    DanaDecaying,
    HeavyBall,
    Nesterov,
    ScheduleFree,
    SGDMomentum,
    StochasticAlgorithm,
)
from dynamics.scaling_laws import PowerLawRandomFeatures
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.drawing import draw_curves
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, label, new_figure
from simulations.scaling_laws import sample, simulate

_BATCH = 16
ALGORITHMS: tuple[StochasticAlgorithm, ...] = tuple(
    cls(batch_size=_BATCH) for cls in (SGD, SGDMomentum, HeavyBall, Nesterov, ScheduleFree, DanaConstant, DanaDecaying)
)
_RUNS = {"quick": 40, "full": 100}
_SIZE = {"quick": 200, "full": 400}
_LAST = {"quick": 20_000, "full": 100_000}


def loss_curves_data(preset: Preset, seed: int) -> xr.Dataset:
    """Compare the runs of each algorithm with theory for their own W, and with the deterministic equivalent."""
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=_SIZE[preset])
    times = log_steps(_LAST[preset], 36)
    spectra = sample(problem, runs=_RUNS[preset], seed=seed)
    alarm = FALSE_ALARM / (2 * len(ALGORITHMS))
    compared, single = {}, []
    for algorithm in ALGORITHMS:
        runs = simulate(problem, algorithm, times, runs=_RUNS[preset], seed=seed)
        theories = {
            "recursion": solve(problem, algorithm, times, method="recursion", data=spectra),
            "deterministic equivalent": solve(problem, algorithm, times),
        }
        both = {name: compare(theory, runs, false_alarm=alarm) for name, theory in theories.items()}
        compared[algorithm.label] = together("theory_method", both)
        single.append(runs["risk"].isel(run=0).values)
    data = together("algorithm_name", compared)
    data["single_run"] = (("algorithm_name", "time"), np.array(single))
    data.attrs["floor"] = limit_risk(problem)
    data.attrs["caption"] = (
        f"{parameters(problem)}; batch size {_BATCH}; what else the algorithms need is their default. Risk $P$ without "
        "1/2; a new $W$ in every run. Left: deterministic equivalent (lines), mean over the runs (points, band of two "
        "standard errors), the first run of each (faint), $P_\\infty$ (dotted). Right: mean over the runs relative to "
        "the deterministic equivalent, which may be off by $8/d$ (grey), and the exact recursion for the same matrices "
        "(dashed)."
    )
    return data


def loss_curves_effect(data: xr.Dataset) -> Effect:
    """Measure how far DANA-decaying gets below SGD, in theory and in the runs."""
    risk = data.sel(variable="risk", theory_method="deterministic equivalent")
    ratios = [
        float((risk[kind].sel(algorithm_name="sgd") / risk[kind].sel(algorithm_name="dana-decaying")).max())
        for kind in ("theory", "mean")
    ]
    return Effect("largest ratio of the risk of SGD to that of DANA-decaying", min(ratios), 1.25)


def loss_curves_draw(data: xr.Dataset) -> Figure:
    """Left: the curves; right: the runs and the recursion relative to the deterministic equivalent."""
    figure, (left, right) = new_figure(1, 2, size=(12.0, 5.2))
    risk = data.sel(variable="risk")
    for colour, name in zip(COLOURS, data["algorithm_name"].values, strict=True):
        one = risk.sel(algorithm_name=name)
        limit = one.sel(theory_method="deterministic equivalent")
        draw_curves(left, limit, colour, str(name))
        left.plot(data["time"], one["single_run"], color=colour, linewidth=0.6, alpha=0.5)
        _draw_ratio(right, one, limit, colour)
    left.axhline(data.attrs["floor"], color="#555555", linestyle=":", linewidth=1.0)
    left.set(xscale="log", yscale="log", xlabel=label(data["time"]), ylabel="risk $P$")
    left.legend()
    allowed = (limit["allowance"] / limit["theory"]).values
    right.fill_between(data["time"], 1.0 - allowed, 1.0 + allowed, color="#999999", alpha=0.25, linewidth=0)
    right.set(
        xscale="log",
        xlabel=label(data["time"]),
        ylabel="risk relative to the deterministic equivalent",
        ylim=(0.4, 1.6),
    )
    return figure


def _draw_ratio(axes: Axes, one: xr.Dataset, limit: xr.Dataset, colour: str) -> None:
    time, base = limit["time"].values, limit["theory"].values
    mean, error = limit["mean"].values / base, limit["standard_error"].values / base
    axes.fill_between(time, mean - 2 * error, mean + 2 * error, color=colour, alpha=0.15, linewidth=0)
    axes.plot(time, mean, color=colour, linewidth=1.0)
    axes.plot(time, one["theory"].sel(theory_method="recursion") / base, "--", color=colour, linewidth=1.0)
