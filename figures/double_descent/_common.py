"""What the figures of double descent share: the step size, checked ensembles, and the depth of a second descent."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analytic.double_descent import edges, solve
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import Problem
from dynamics.times import log_steps
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.drawing import draw_curves
from figures.registry import Preset
from figures.style import label
from simulations.double_descent import simulate

__all__ = [
    "LITERAL_STEPS",
    "PAPER",
    "PUBLISHED",
    "RUNS",
    "against",
    "checked",
    "curve",
    "depth",
    "descent",
    "draw_case",
    "error_axes",
    "steps",
]

PAPER = "arXiv:2112.03215"
#: Runs of each ensemble; the paper has 100.
RUNS = {"quick": 100, "full": 1000}
_STEPS_PER_DECADE = {"quick": 10, "full": 20}

#: Up to here runs iterate the algorithm literally; beyond, the same draws go on in the eigenbasis.
LITERAL_STEPS = 10_000

#: How published curves are drawn.
PUBLISHED: dict[str, Any] = {"linestyle": "--", "linewidth": 1.1}


def descent(problem: Problem, **options: Any) -> GradientDescent:
    """Return gradient descent at the step 1/lambda_+ of the limit, the same number for theory and every run."""
    return GradientDescent(learning_rate=1.0 / edges(problem)[1], **options)


def steps(decades: int, preset: Preset) -> NDArray[np.int64]:
    """Return whole steps from 1 to 10^decades, evenly in the logarithm, the powers of ten among them."""
    return log_steps(10**decades, decades * _STEPS_PER_DECADE[preset] + 1)


def checked(
    problem: Problem,
    algorithm: GradientFlow | GradientDescent,
    times: NDArray[Any],
    preset: Preset,
    seed: int,
    *,
    cases: int = 1,
) -> xr.Dataset:
    """Compare exact theory with runs, as one of ``cases`` of a figure: see :func:`against`.

    Sampled teachers are those of literal iteration as far as ``LITERAL_STEPS``; averages over them, a sharper test,
    are taken on the same draws of the inputs in the eigenbasis.
    """
    averaged = simulate(problem, algorithm, times, runs=RUNS[preset], seed=seed, teacher="averaged")
    sampled = _sampled(problem, algorithm, times, runs=RUNS[preset], seed=seed)
    return against(solve(problem, algorithm, times), sampled, averaged, cases=cases)


def against(theory: xr.Dataset, sampled: xr.Dataset, averaged: xr.Dataset, *, cases: int) -> xr.Dataset:
    """Compare theory with runs of a sampled teacher and with averages over it, on the dimension ``teacher``."""
    alarm = FALSE_ALARM / (2 * cases)
    both = {"sampled": sampled, "averaged": averaged}
    return together("teacher", {name: compare(theory, runs, false_alarm=alarm) for name, runs in both.items()})


def _sampled(
    problem: Problem, algorithm: GradientFlow | GradientDescent, times: NDArray[Any], **draws: Any
) -> xr.Dataset:
    """Iterate literally as far as asked (flow has no steps), and go on in the eigenbasis."""
    early = times[times <= LITERAL_STEPS] if algorithm.discrete else times[:0]
    late = times[early.size :]
    parts = [
        simulate(problem, algorithm, when, method=method, **draws)
        for method, when in (("literal", early), ("eigenbasis", late))
        if when.size
    ]
    if len(parts) == 1:
        return parts[0]
    joined = xr.concat(
        parts, "time", data_vars="minimal", coords="minimal", compat="override", combine_attrs="override"
    )
    return joined.assign_attrs(method=f"literal (eigenbasis beyond {LITERAL_STEPS} steps)")


def curve(data: xr.Dataset, kind: str, variable: str = "generalization_error") -> NDArray[np.float64]:
    """Return one curve of a comparison: kind "theory", "mean" or "standard_error"."""
    return np.asarray(data[kind].sel(variable=variable).values, dtype=np.float64)


def depth(values: NDArray[np.float64]) -> float:
    """Return how deep a double descent is: the largest rise above what came before that is also fallen again later."""
    rise = values - np.minimum.accumulate(values)
    fall = values - np.minimum.accumulate(values[::-1])[::-1]
    return float(np.minimum(rise, fall).max())


def draw_case(axes: Axes, data: xr.Dataset, colour: str, name: str) -> None:
    """Draw E_G of one comparison: exact theory as a line, the runs as points with their band."""
    draw_curves(axes, data.sel(variable="generalization_error"), colour, name)


def error_axes(axes: Axes, time: xr.DataArray, title: str, *, top: float = 0.5) -> None:
    """Label axes for a generalization error over time."""
    axes.set_xscale("log")
    axes.set_ylim(0.0, top)
    axes.set_xlabel(label(time))
    axes.set_ylabel("generalization error $E_G$")
    axes.set_title(title)
