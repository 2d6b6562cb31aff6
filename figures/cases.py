"""Several comparisons in one figure: one Dataset, one verdict, one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from dynamics.parameters import Declared, declarations
from figures.reports import summarize
from figures.style import number

__all__ = ["FALSE_ALARM", "agreement", "parameters", "together"]

#: Probability that a figure calls a correct theory a disagreement, over all its comparisons together.
FALSE_ALARM = 1e-6


def together(dimension: str, comparisons: Mapping[Any, xr.Dataset], **attributes: Any) -> xr.Dataset:
    """Join comparisons along a new dimension with these attributes, with the verdict of each and of all."""
    index = xr.DataArray(list(comparisons), dims=dimension, name=dimension)
    data = xr.concat(
        list(comparisons.values()), index, combine_attrs="drop", join="exact", coords="minimal", compat="equals"
    )
    data["verdict"] = (dimension, np.array([one.attrs["verdict"] for one in comparisons.values()]))
    data[dimension].attrs |= attributes
    data.attrs = agreement({(dimension.replace("_", " "), key): one for key, one in comparisons.items()})
    return data


def agreement(comparisons: Mapping[tuple[Any, ...], xr.Dataset]) -> dict[str, Any]:
    """Return the common verdict, the worst deviation in a few words, and both in a sentence; keys name the cases."""
    rows = [(key, row) for key, one in comparisons.items() for row in summarize(one)]

    def used(row: Mapping[str, Any]) -> float:
        limit = row["highest"] if row["deviation"] > 0 else -row["lowest"]
        return abs(row["deviation"]) / limit if limit > 0 else float(row["deviation"] != 0) * np.inf

    case, worst = max(rows, key=lambda item: used(item[1]))
    agree = all(one.attrs["verdict"] == "agree" for one in comparisons.values())
    verdict = "agree" if agree else "disagree"
    name = " ".join(f"{part:g}" if isinstance(part, float) else str(part) for part in case)
    limit = worst["highest"] if worst["deviation"] > 0 else worst["lowest"]
    sigmas = worst["deviation_in_standard_errors"]
    counted = "" if sigmas is None else f" = {sigmas:+.1f} s.e."
    words = f"{worst['deviation']:+.2g}{counted}, allowed {limit:+.2g} (theory's own part {worst['allowance']:.1g})"
    first = next(iter(comparisons.values()))
    sentence = (
        f"Theory and simulation {verdict}: {first.attrs['method']}, {first.attrs['runs']} runs"
        f"{f' for each of {len(comparisons)} cases' if len(comparisons) > 1 else ''}, bands of two standard errors "
        f"(unit: one run), family-wise false alarm {FALSE_ALARM:g}; worst {worst['variable'].replace('_', ' ')} "
        f"({name}): {words}."
    )
    return {"verdict": verdict, "worst": words, "agreement": sentence}


def parameters(*declared: Declared, without: tuple[str, ...] = ()) -> str:
    """Write the parameters of problems and algorithms for a caption: ``$n = 150$, $d = 100$, ...``."""
    parts = []
    for one in declared:
        for name, declaration in declarations(one).items():
            value = getattr(one, name)
            if name in without or value is None or not isinstance(value, (int, float)):
                continue
            parts.append(f"${declaration.symbol} = {number(value)}$")
    return ", ".join(parts)
