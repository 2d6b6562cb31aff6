"""The plane of alpha and beta: phases, compute-optimal exponents, and what momentum gains over SGD."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from analytic.scaling_laws import exponents, phase
from dynamics.parameters import declarations
from dynamics.scaling_laws import PowerLawRandomFeatures
from figures.registry import Effect, Preset
from figures.style import COLOURS, new_figure

PHASES = ("Ia", "Ib", "Ic", "II", "III", "IVa", "IVb")
ALGORITHMS = ("sgd", "dana-constant", "dana-decaying")
_POINTS = {"quick": 45, "full": 160}
#: Where the names stand, in the middle of their regions.
_PLACES = {
    "Ia": (1.0, 0.2), "Ib": (0.4, 0.35), "Ic": (0.13, 1.1), "II": (1.15, 0.75), "III": (0.85, 1.25),
    "IVa": (0.4, 1.0), "IVb": (0.27, 1.35),
}  # fmt: skip


def maps_data(preset: Preset, seed: int) -> xr.Dataset:
    """Phase and exponents over the plane; nan where there is no power law."""
    count = _POINTS[preset]
    # between the lines between phases, on which a point belongs to one side
    alpha, beta = 0.0503 + 1.449 * np.arange(count) / (count - 1), -0.2497 + 1.749 * np.arange(count) / (count - 1)
    names = np.array([[phase(a, b) for b in beta] for a in alpha])
    found = np.full((2, len(ALGORITHMS), count, count), np.nan)
    for i, j in zip(*np.nonzero(names != "none"), strict=True):
        for k, algorithm in enumerate(ALGORITHMS):
            found[:, k, i, j] = exponents(alpha[i], beta[j], algorithm)
    declared = declarations(PowerLawRandomFeatures)
    axes = {
        name: (name, values, {"symbol": declared[name].symbol, "long_name": name})
        for name, values in (("alpha", alpha), ("beta", beta))
    }
    plane = ("algorithm_name", "alpha", "beta")
    data = xr.Dataset(
        {"loss": (plane, found[0]), "size": (plane, found[1]), "phase": (("alpha", "beta"), names)},
        {**axes, "algorithm_name": list(ALGORITHMS)},
    )
    data.attrs["caption"] = (
        "Exact compute-optimal exponents, $P \\sim f^{-\\eta}$ at the best dimension $d^* \\sim f^{\\xi}$ for a "
        "compute $f = d t$, at fixed batch size and $v/d$. Hatched: $\\xi = 1/2$, whatever the problem. White: no "
        "power law, $\\alpha + \\beta \\leq 1/2$. Theory only; nothing is simulated here."
    )
    return data


def maps_effect(data: xr.Dataset) -> Effect:
    """Count the phases, where DANA-decaying gains on SGD wherever 2 alpha > 1 and nowhere else."""
    loss = data["loss"]
    gain = (loss.sel(algorithm_name="dana-decaying") - loss.sel(algorithm_name="sgd")).values
    steep = np.broadcast_to(data["alpha"].values[:, None] > 0.5, gain.shape)
    law = np.isfinite(gain)
    if (gain[law & steep] <= 0).any() or np.abs(gain[law & ~steep]).max() > 1e-12:
        return Effect("gain of DANA-decaying over SGD where 2 alpha > 1, and only there", 0.0, 1.0)
    return Effect("phases in the plane", float(len(set(np.unique(data["phase"])) - {"none"})), 7.0)


def maps_draw(data: xr.Dataset) -> Figure:
    """Above: phases, loss exponent and size exponent of SGD; below: those of DANA-decaying, and both gains."""
    figure, axes = new_figure(2, 3, size=(12.5, 8.0), sharex=True, sharey=True)
    numbers = dict(zip(PHASES, range(len(PHASES)), strict=True)) | {"none": np.nan}
    index = np.vectorize(numbers.__getitem__, otypes=[float])(data["phase"].values)
    axes[0, 0].pcolormesh(
        data["alpha"], data["beta"], index.T, cmap=ListedColormap(COLOURS), alpha=0.55, shading="nearest",
        rasterized=True, vmin=-0.5, vmax=6.5,
    )  # fmt: skip
    for name, (x, y) in _PLACES.items():
        axes[0, 0].text(x, y, name, ha="center", va="center", fontsize=10)
    axes[0, 0].set_title("phases")
    loss, size = data["loss"], data["size"]
    sgd = loss.sel(algorithm_name="sgd")
    panels = [
        (axes[0, 1], sgd, "loss exponent $\\eta$ of SGD", "viridis", 1.1),
        (axes[0, 2], size.sel(algorithm_name="sgd"), "size exponent $\\xi$ of SGD", "viridis", 0.75),
        (axes[1, 0], loss.sel(algorithm_name="dana-decaying"), "loss exponent of DANA-decaying", "viridis", 1.1),
        (axes[1, 1], loss.sel(algorithm_name="dana-constant") - sgd, "gain of DANA-constant over SGD", "magma", 0.3),
        (axes[1, 2], loss.sel(algorithm_name="dana-decaying") - sgd, "gain of DANA-decaying over SGD", "magma", 0.3),
    ]
    for place, values, title, colours, top in panels:
        image = place.pcolormesh(
            data["alpha"], data["beta"], values.T, cmap=colours, shading="nearest", rasterized=True, vmin=0.0, vmax=top
        )
        figure.colorbar(image, ax=place)
        place.set_title(title)
    half = np.where(np.abs(size.sel(algorithm_name="sgd") - 0.5) < 1e-12, 1.0, np.nan)
    axes[0, 2].contourf(data["alpha"], data["beta"], half.T, levels=[0.5, 1.5], colors="none", hatches=["///"])
    for place in axes.flat:
        place.grid(visible=False)
    for place in axes[1]:
        place.set_xlabel(r"$\alpha$")
    for place in axes[:, 0]:
        place.set_ylabel(r"$\beta$")
    return figure
