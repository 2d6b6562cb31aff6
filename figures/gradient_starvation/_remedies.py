"""Figure 3 of arXiv 2011.09468: what helps against gradient starvation on two moons, and what does not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from dynamics.algorithms import Adam, MomentumDescent
from dynamics.gradient_starvation import TwoMoons
from figures.cases import FALSE_ALARM, together
from figures.gradient_starvation._moons import EASY, PIXELS, asked, checked, draw_plane
from figures.registry import Effect, Preset
from figures.style import new_figure
from simulations.gradient_starvation._observe import observe

__all__ = ["remedies_data", "remedies_draw", "remedies_effect"]

#: The one that helps, and the others that are descent with momentum.
_PENALTY = "penalty on outputs"
_OTHERS = (
    "none", "weight decay 0.01", "10 times longer", "rotated by 45 degrees", "dropout 0.7", "batch normalization",
    "5 hidden layers",
)  # fmt: skip
#: Parts of the epochs after which networks are compared with their linearisation.
_PARTS = (0.1, 1.0)
_BOX = {"facecolor": "#ffffff", "alpha": 0.8, "edgecolor": "none", "pad": 2.0}
_SHOWN = {"nonlinearity": "NL", "second_share": "GS", "shifted_accuracy": "OOD"}


class _Remedy(NamedTuple):
    """What is trained, for how many epochs."""

    problem: TwoMoons
    algorithm: MomentumDescent | Adam
    epochs: int


def _remedies(preset: Preset) -> tuple[dict[str, _Remedy], dict[str, _Remedy]]:
    """Return the ten of the paper, those that have a linearisation first; five layers are narrower or trained less."""
    epochs = {"quick": 1000, "full": 10_000}[preset]
    descent = MomentumDescent()

    def changed(**values: Any) -> TwoMoons:
        return EASY.model_copy(update=values)

    deep = {"quick": (changed(hidden_layers=5, hidden_units=100), 1000), "full": (changed(hidden_layers=5), 2000)}
    linear = {
        "none": _Remedy(EASY, descent, epochs),
        "weight decay 0.01": _Remedy(EASY, MomentumDescent(weight_decay=0.01), epochs),
        "10 times longer": _Remedy(EASY, descent, 10 * epochs),
        "rotated by 45 degrees": _Remedy(changed(rotation=45.0), descent, epochs),
        _PENALTY: _Remedy(EASY, MomentumDescent(output_penalty=0.003), epochs),
    }
    other = {
        "Adam, 0.0001": _Remedy(EASY, Adam(learning_rate=1e-4), epochs),
        "Adam, 0.003": _Remedy(EASY, Adam(learning_rate=3e-3), epochs),
        "dropout 0.7": _Remedy(changed(dropout=0.7), descent, epochs),
        "batch normalization": _Remedy(changed(normalization="batch"), descent, epochs),
        "5 hidden layers": _Remedy(deep[preset][0], descent, deep[preset][1]),
    }
    return linear, other


def remedies_data(preset: Preset, seed: int) -> xr.Dataset:
    """Train with each of them, and compare with the linearisation where there is one."""
    runs, few = {"quick": (6, 1), "full": (10, 2)}[preset]
    linear, other = _remedies(preset)
    compared, planes = {}, []
    for name, (problem, algorithm, epochs) in linear.items():
        assert isinstance(algorithm, MomentumDescent)
        times = np.rint(epochs * np.array(_PARTS)).astype(np.int64)
        one, more = checked((problem, algorithm), times, runs, seed, FALSE_ALARM / len(linear))
        compared[name] = one.assign_coords(time=np.array(_PARTS))
        last = one[["theory", "mean"]].sel(variable=list(_SHOWN)).isel(time=-1, drop=True).drop_vars("symbol")
        kept = more[["theory_output", "mean_output", "inputs", "labels"]]
        planes.append(kept.merge(last.rename(theory="theory_statistic", mean="mean_statistic", variable="statistic")))
    nothing = xr.full_like(planes[0][["theory_output", "theory_statistic"]], np.nan)
    for problem, algorithm, epochs in other.values():
        seen = observe(problem, algorithm, [epochs], runs=few, seed=seed, pixels=PIXELS).mean("run").isel(time=-1)
        statistic = xr.concat([seen[name] for name in _SHOWN], planes[0]["statistic"])
        found = xr.Dataset({"mean_output": seen["output"], "mean_statistic": statistic})
        planes.append(found.drop_vars("time").merge(nothing).merge(planes[0][["inputs", "labels"]]))
    names = xr.DataArray([*linear, *other], dims="remedy", name="remedy")
    data = together("case", compared, long_name="remedy with a linearisation")
    shown = xr.concat([one.drop_attrs() for one in planes], names, join="exact", coords="minimal", compat="equals")
    data = data.merge(shown, join="exact", combine_attrs="override")
    data["time"].attrs = {"long_name": "part of the epochs"}
    for empty in nothing:
        data[empty].attrs["missing"] = "nan where there is no linearisation"
    data.attrs["caption"] = _caption(linear["none"], other["5 hidden layers"], runs, few)
    return data


def _caption(plain: _Remedy, deep: _Remedy, runs: int, few: int) -> str:
    return (
        f"{asked(plain.problem, MomentumDescent())} and {plain.epochs} epochs, but for what the titles say; 5 hidden "
        f"layers: $H = {deep.problem.hidden_units}$, {deep.epochs} epochs. Mean output of {runs} networks (where there "
        f"is no linearisation, {few}), its zero line (black), that of their linearisations (green, dashed), data of "
        "the first run. NL: deviation of the boundary from a line; GS: share of $x_2$ in the gradient; OOD: accuracy "
        "on data with $\\Delta = -0.5$; in brackets those of the linearisations. Rotated data are shown, and their "
        "statistics taken, in the coordinates before the rotation. Penalty on outputs: $c = 0.003$."
    )


def remedies_effect(data: xr.Dataset) -> Effect:
    """Measure how much more of the curved feature is learned with the penalty than with any other remedy of descent."""
    bent = data["mean_statistic"].sel(statistic="nonlinearity")
    ratio = float(bent.sel(remedy=_PENALTY) / bent.sel(remedy=list(_OTHERS)).max())
    return Effect("nonlinearity with the penalty on outputs relative to the most by other remedies", ratio, 1.8)


def _words(one: xr.Dataset) -> str:
    """Write the statistics, and those of the linearisation in brackets."""
    lines = []
    for key, short in _SHOWN.items():
        theory, mean = (float(one[f"{kind}_statistic"].sel(statistic=key)) for kind in ("theory", "mean"))
        lines.append(f"{short} {mean:.2f}" + (f" ({theory:.2f})" if np.isfinite(theory) else ""))
    return "\n".join(lines)


def remedies_draw(data: xr.Dataset) -> Figure:
    """Ten planes; the penalty on outputs comes last."""
    figure, axes = new_figure(2, 5, size=(16.5, 7.9), sharex=True, sharey=True)
    order = [*(name for name in data["remedy"].values if name != _PENALTY), _PENALTY]
    for panel, name in zip(axes.flat, order, strict=True):
        one = data.sel(remedy=name)
        draw_plane(panel, one, str(name))
        panel.text(0.03, 0.03, _words(one), transform=panel.transAxes, fontsize=7.5, va="bottom", bbox=_BOX)
        panel.label_outer()
    return figure
