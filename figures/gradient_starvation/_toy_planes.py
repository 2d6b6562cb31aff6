"""Two coupled features in the plane: who starves whom over strengths and coupling, and the flow of the responses."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.special import expit

from analytic.gradient_starvation import critical_ratio, elasticity_grid, fixed_point, hard_margin, solve
from dynamics.algorithms import PrimalDescent, PrimalFlow
from dynamics.gradient_starvation import TwoSamples
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, new_figure, number
from simulations.gradient_starvation import simulate

Array = NDArray[np.float64]

_POINTS = {"quick": 60, "full": 240}
#: L2 penalty and spectral decoupling of each map, s_2 = 2.
_PENALTIES = ((1e-6, 0.0), (1e-2, 0.0), (1.0, 0.0), (1e-2, 1e-2))
#: Penalties of each flow, the weak feature's strength being 2 and the coupling 1/2.
_FLOWS = {
    "no penalty": {"l2": 0.0}, "L2": {"l2": 0.01}, "spectral decoupling": {"l2": 0.0, "decoupling": 0.002},
}  # fmt: skip
_STRENGTHS = (2.0, 6.0)
_WIDTH, _HEIGHT = 11.0, 2.2
_STEPS = np.unique(np.rint(np.geomspace(1, 200_000, 40)).astype(np.int64))


def map_data(preset: Preset, seed: int) -> xr.Dataset:
    """Elasticities over the plane of strengths and coupling."""
    count = _POINTS[preset]
    # even numbers of points: none of them is on a line where nothing happens
    ratio, coupling = np.geomspace(1 / 8, 8, count), np.linspace(-0.705, 0.705, count)
    found = [
        elasticity_grid(2.0 * ratio[:, None], 2.0, coupling, l2, decoupling) for l2, decoupling in _PENALTIES
    ]  # fmt: skip
    data = xr.Dataset(
        {"elasticity": (("penalties", "ratio", "coupling"), np.array(found))},
        {"penalties": np.arange(len(_PENALTIES)), "ratio": ratio, "coupling": coupling},
    )
    data.attrs["caption"] = (
        "Two samples, $s_2 = 2$. Elasticity $d \\ln |z_2^*|/d \\ln s_1^2$ of the second response at rest: below 0 "
        "(orange) the first feature starves the second. Dashed: $s_1 = s_2$, $s = 0$; solid: the ratio of strengths at "
        "which, as penalties vanish, soft starvation becomes hard. With a negative coupling $s$ the features change "
        "sides. With decoupling features are more equal than their strengths. Theory only; nothing is simulated here."
    )
    return data


def map_effect(data: xr.Dataset) -> Effect:
    """Count where the elasticity has the sign that it must have, at every penalty: that of -s ln(s_1/s_2)."""
    expected = -np.sign(data["coupling"]) * np.sign(np.log(data["ratio"]))
    right = np.sign(data["elasticity"]) == expected
    return Effect("part of the plane in which starvation is where it must be", float(right.mean()), 1.0)


def map_draw(data: xr.Dataset) -> Figure:
    """Draw a map for each penalty."""
    figure, panels = new_figure(1, len(_PENALTIES), size=(13.5, 4.2), sharex=True, sharey=True)
    for axes, (l2, decoupling), values in zip(panels, _PENALTIES, data["elasticity"].values, strict=True):
        image = axes.pcolormesh(
            data["ratio"], data["coupling"], values.T, cmap="PuOr", vmin=-1.0, vmax=1.0, shading="nearest",
            rasterized=True,
        )  # fmt: skip
        for line in _critical(l2, decoupling):
            axes.plot(*line, color="#000000", linewidth=1.0)
        axes.axvline(1.0, color="#000000", linestyle="--", linewidth=0.8)
        axes.axhline(0.0, color="#000000", linestyle="--", linewidth=0.8)
        words = rf", \lambda_{{\mathrm{{SD}}}} = {number(decoupling)}" if decoupling else ""
        title = rf"$\lambda = {number(l2)}{words}$"
        axes.set(xscale="log", xlabel="$s_1/s_2$", xlim=(1 / 8, 8), ylim=(-0.705, 0.705), title=title)
        axes.set_xticks([0.25, 0.5, 1, 2, 4], labels=["1/4", "1/2", "1", "2", "4"])
        axes.minorticks_off()
        axes.grid(visible=False)
    panels[0].set_ylabel("coupling $s$")
    figure.colorbar(image, ax=panels, label=r"$d \ln |z_2^*|/d \ln s_1^2$", shrink=0.9)
    return figure


def _critical(l2: float, decoupling: float) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Return s_1/s_2 and s on the borders of the hard phases: p_2/p_1 is critical for s > 0, p_1/p_2 for s < 0.

    p_j = l2/s_j^2 + decoupling, of which only the ratio l2 to decoupling matters; s_2 = 2. There may be no border.
    """
    s = np.linspace(0.004, 0.705, 400)
    rho, weak = np.array([critical_ratio(one) for one in s]), l2 / 4.0 + decoupling
    lines = []
    for strong, sign in ((weak / rho, 1.0), (weak * rho, -1.0)):
        there = strong > decoupling
        lines.append((np.sqrt(l2 / (4.0 * (strong[there] - decoupling))), sign * s[there]))
    return lines[0], lines[1]


def field_data(preset: Preset, seed: int) -> xr.Dataset:
    """Flows of the responses from 0 and from elsewhere, with weights trained by small steps for comparison."""
    count = {"quick": 40, "full": 120}[preset]
    z = np.meshgrid(np.linspace(-0.5, _WIDTH, count), np.linspace(-0.6, _HEIGHT, count), indexing="ij")
    slopes, lines, compared, rest = [], [], {}, []
    for name, penalties in _FLOWS.items():
        parts = {}
        for strong in _STRENGTHS:
            problem = TwoSamples(strong=strong, weak=2.0, coupling=0.5, **penalties)
            slopes.append(_slope(problem, np.array(z)))
            lines.append(solve(problem, PrimalFlow(), np.append(0.0, np.geomspace(1e-3, 1e4, 200))).response.values)
            algorithm = PrimalDescent(learning_rate=0.05)
            parts[strong] = compare(
                solve(problem, algorithm, _STEPS), simulate(problem, algorithm, _STEPS, runs=3, seed=seed),
                variables=["response"], false_alarm=FALSE_ALARM / (len(_FLOWS) * len(_STRENGTHS)),
            )  # fmt: skip
            unpenalised = problem.l2 == problem.decoupling == 0.0
            rest.append((hard_margin if unpenalised else fixed_point)(problem).response.values)
        compared[name] = together("strong", parts, symbol="s_1", long_name="strength of the first feature")
    data = together("penalty", compared)
    both = (len(_FLOWS), len(_STRENGTHS))
    data["slope"] = (("penalty", "strong", "feature", "z_1", "z_2"), np.reshape(slopes, (*both, 2, count, count)))
    data["flow"] = (("penalty", "strong", "feature", "flow_time"), np.reshape(lines, (*both, 2, 201)))
    data["rest"] = (("penalty", "strong", "feature"), np.reshape(rest, (*both, 2)))
    data = data.assign_coords(z_1=z[0][:, 0], z_2=z[1][0])
    shared = parameters(TwoSamples(weak=2.0, coupling=0.5), without=("strong", "l2", "decoupling"))
    data.attrs["caption"] = (
        f"{shared}. Gradient flow of the responses (thin), where $\\dot z_1 = 0$ and $\\dot z_2 = 0$ (dotted, dashed), "
        "the flow from 0 (thick), weights trained with $\\eta = 0.05$ (points; the verdict is on their own recursion), "
        "and the fixed point (star). Without penalty: the direction in which the responses grow for ever (grey). "
        "$\\lambda = 0.01$; $\\lambda_{\\mathrm{SD}} = 0.002$."
    )
    return data


def _slope(problem: TwoSamples, z: Array) -> Array:
    """Return dz/dt of the primal flow at points z (feature, ...)."""
    u, square = problem.presence, problem.strength[:, None, None] ** 2
    alpha = expit(-np.tensordot(u, z, axes=1))
    return np.asarray(square * (np.tensordot(u.T, alpha, axes=1) - problem.decoupling * z) - problem.l2 * z)


def field_effect(data: xr.Dataset) -> Effect:
    """Measure how much of the second feature s_1 = 6 takes away that s_1 = 2 does not, with L2 over decoupling."""
    last = data.sel(variable="response", feature=2).isel(time=-1)
    ratios = []
    for kind in ("theory", "mean"):
        over = last[kind].sel(strong=_STRENGTHS[0]) / last[kind].sel(strong=_STRENGTHS[1])
        ratios.append(float(over.sel(penalty="L2") / over.sel(penalty="spectral decoupling")))
    return Effect("loss of the second response to a strong first one, L2 relative to decoupling", min(ratios), 1.3)


def field_draw(data: xr.Dataset) -> Figure:
    """Draw a row for each strength, a column for each penalty."""
    size = (len(_STRENGTHS), len(_FLOWS))
    figure, panels = new_figure(*size, size=(13.0, 7.6), sharex=True, sharey=True)
    for row, strong in zip(panels, data["strong"].values, strict=True):
        for axes, penalty in zip(row, data["penalty"].values, strict=True):
            _draw_field(axes, data.sel(strong=strong, penalty=penalty, variable="response"))
            axes.set_title(rf"{penalty}, $s_1 = {strong:g}$")
        row[0].set_ylabel("$z_2$")
    for axes in panels[-1]:
        axes.set_xlabel("$z_1$")
    return figure


def _draw_field(axes: Axes, one: xr.Dataset) -> None:
    x, y, slope = one["z_1"].values, one["z_2"].values, one["slope"].values
    axes.streamplot(x, y, slope[0].T, slope[1].T, color="#bbbbbb", linewidth=0.6, density=1.1, arrowsize=0.7)
    for colour, line, part in zip(COLOURS, (":", "--"), slope, strict=False):
        axes.contour(x, y, part.T, [0.0], colors=colour, linestyles=line, linewidths=1.2)
    axes.plot(*one["flow"].values, color=COLOURS[2], linewidth=2.0)
    axes.plot(*one["mean"].transpose("feature", "time").values, "o", color="#000000", markersize=2.6)
    rest = one["rest"].values
    if one["penalty"].item() == "no penalty":
        axes.plot(*(rest[:, None] * np.array([0.0, 20.0])), color="#777777", linewidth=1.2)
    else:
        axes.plot(*rest, "*", color=COLOURS[5], markersize=13, markeredgecolor="#000000", zorder=5)
    axes.set(xlim=(-0.5, _WIDTH), ylim=(-0.6, _HEIGHT))
    axes.grid(visible=False)
