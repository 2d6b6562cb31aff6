"""The spectrum of random features: eigenvalues of random matrices against the deterministic equivalent's density."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analytic.scaling_laws import edges, spectral_density
from dynamics.results import answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures
from figures.cases import FALSE_ALARM, together
from figures.comparison import compare
from figures.registry import Effect, Preset
from figures.reports import parameters
from figures.style import COLOURS, label, new_figure
from simulations.scaling_laws import sample

Array = NDArray[np.float64]

_SIZE, _RUNS = {"quick": 200, "full": 400}, 100
#: Bins of the bulk, bins of the histogram, and points of the line.
_BULK, _FINE, _LINE = 14, 180, 6000
#: What a mean count may be off by: W is real, which brings 1/4 of an eigenvalue more to the lowest edge, and elsewhere,
#: where bins end in gaps or in the bulk, less than 0.1 (measured).
_LOWEST_OFF, _OFF = 0.4, 0.2


def density_data(preset: Preset, seed: int) -> xr.Dataset:
    """Count the eigenvalues of random matrices in bins, and compare with the closed form."""
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=_SIZE[preset])
    lowest, highest = edges(problem)
    line = spectral_density(problem, np.geomspace(0.7 * lowest, 1.6 * highest, _LINE))
    gaps = _gaps(line)
    cuts = np.concatenate([np.geomspace(0.7 * lowest, gaps[0], _BULK + 1), gaps[1:], [1.6 * highest]])
    drawn = sample(problem, runs=_RUNS, seed=seed)
    values = drawn["eigenvalues"].values
    middle = {"curvature": np.sqrt(cuts[1:] * cuts[:-1])}
    counts = np.diff([(values < cut).sum(axis=1) for cut in cuts], axis=0).T.astype(np.float64)
    below = spectral_density(problem, cuts)["eigenvalues_below"].values
    off = np.where(cuts[:-1] < 1.5 * lowest, _LOWEST_OFF, _OFF)
    theory = answer(
        problem, None, {"eigenvalue_count": (("curvature",), np.diff(below)),
                        "eigenvalue_count_error": (("curvature",), off)},
        middle, kind="theory", method="deterministic_equivalent", names=VARIABLES,
    )  # fmt: skip
    runs = answer(
        problem, None, {"eigenvalue_count": (("run", "curvature"), counts)}, middle | {"run": drawn["run"].values},
        kind="simulation", method="sample", seed=seed, names=VARIABLES,
    )  # fmt: skip
    data = together("case", {"counts": compare(theory, runs, false_alarm=FALSE_ALARM)})
    inputs = np.arange(1, problem.dimension + 1) ** (-2.0 * problem.alpha)
    data["plain"] = ("curvature", np.histogram(inputs, cuts)[0].astype(np.float64))
    data["cut"] = ("end", cuts)
    fine = np.geomspace(cuts[0], cuts[-1], _FINE + 1)
    width = np.log(fine[1] / fine[0])
    data["histogram_end"] = ("fine_end", fine)
    data["histogram"] = ("fine_bin", np.histogram(values, fine)[0] / (_RUNS * width))
    data["line_curvature"] = ("point", line["curvature"].values)
    data["line"] = ("point", (line["curvature"] * line["eigenvalue_density"]).values)
    data["plain_line"] = ("point", line["curvature"].values ** (-0.5 / problem.alpha) / (2.0 * problem.alpha))
    data.attrs["isolated"] = gaps.size
    data.attrs["caption"] = (
        f"{parameters(problem, without=('noise', 'beta'))}, $v = {problem.ambient}$; {_RUNS} matrices $W$. Left: "
        "eigenvalues of $K$ for each e-fold of curvature, $x\\nu'(x)$ (line, 0 in the gaps), those of the matrices "
        "(grey), and the plain power law of the inputs' variances, $x^{-1/2\\alpha}/2\\alpha$ (dashed). The top "
        f"{gaps.size} eigenvalues have bands of their own, in which those of real matrices spread $\\sqrt{{2}}$ times "
        "as widely. Right: mean number of eigenvalues in bins, which end in gaps where there are any, minus theory "
        "(points, two standard errors), what theory may be off by (grey), what is allowed (dotted), and the number of "
        "the $d$ largest variances of the inputs minus theory (crosses)."
    )
    return data


def _gaps(line: xr.Dataset) -> Array:
    """Return a point in the middle of each gap, from the lowest on."""
    x, empty = line["curvature"].values, line["eigenvalue_density"].values == 0
    begins, ends = (np.flatnonzero(empty[a] & ~empty[b]) for a, b in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])))
    middle: Array = np.sqrt(x[begins[:-1] + 1] * x[ends[1:]])
    return middle


def density_effect(data: xr.Dataset) -> Effect:
    """Measure how much worse the plain power law fits than the equivalent."""
    counts = data.isel(variable=0, case=0)
    plain, own = (float(abs(counts["mean"] - counts[name]).max()) for name in ("plain", "theory"))
    return Effect("largest misfit of a count by the plain power law over that by the equivalent", plain / own, 10.0)


def density_draw(data: xr.Dataset) -> Figure:
    """Left: the density over the logarithm of curvature; right: counts minus theory."""
    figure, (left, right) = new_figure(1, 2, size=(12.0, 5.0))
    left.stairs(data["histogram"], data["histogram_end"], fill=True, color="#bbbbbb", label="random matrices")
    x, line = data["line_curvature"].values, data["line"].values
    left.plot(x, line, color=COLOURS[0], label=r"deterministic equivalent $x\nu'(x)$")
    left.plot(x, data["plain_line"], "--", color=COLOURS[1], label=r"plain power law $x^{-1/2\alpha}/2\alpha$")
    left.set(xscale="log", yscale="log", ylim=(0.1, 3.0 * line.max()), xlim=(x[0], x[-1]))
    left.set(xlabel=label(data["curvature"]), ylabel="eigenvalues for each e-fold of curvature")
    left.legend()
    counts = data.isel(variable=0, case=0)
    where, cut, allowance = counts["curvature"].values, data["cut"].values, counts["allowance"].values
    right.stairs(allowance, cut, baseline=-allowance, fill=True, color="#999999", alpha=0.3, label="theory's own error")
    for key in ("lowest", "highest"):
        right.stairs(counts[key], cut, baseline=None, color=COLOURS[0], linestyle=":", linewidth=0.9)
    right.errorbar(
        where, counts["deviation"], 2.0 * counts["standard_error"], [where - cut[:-1], cut[1:] - where], fmt="o",
        color=COLOURS[0], markersize=3.5, linewidth=1.0, label="random matrices",
    )  # fmt: skip
    plain = (counts["plain"] - counts["theory"]).values
    right.plot(where, plain, "x", color=COLOURS[1], label="plain power law")
    right.axhline(0.0, color="#888888", linewidth=0.8)
    most = 2.0 * np.abs(plain).max()
    right.set_yscale("symlog", linthresh=1.0)
    right.set_ylim(-most, most)
    right.set(xscale="log", xlabel=label(data["curvature"]), ylabel="eigenvalues in a bin, minus theory")
    right.legend()
    return figure
