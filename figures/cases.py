"""Several comparisons in one figure: one Dataset, one verdict, one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from figures.reports import place_of, summarize

__all__ = ["FALSE_ALARM", "agreement", "together"]

#: Probability that a figure calls a correct theory a disagreement, over all its comparisons together.
FALSE_ALARM = 1e-6


def together(dimension: str, comparisons: Mapping[Any, xr.Dataset], **attributes: Any) -> xr.Dataset:
    """Join comparisons along a new dimension with these attributes, with the verdict of each and of all.

    What each was asked stays with it: the variables problem, algorithm and method.
    """
    parts = list(comparisons.values())
    index = xr.DataArray(list(comparisons), dims=dimension, name=dimension)
    data = xr.concat(
        [one.drop_attrs(deep=False) for one in parts], index, join="exact", coords="minimal", compat="equals"
    )
    for key in ("problem", "algorithm", "method", "verdict"):
        if key not in data and all(key in one.attrs for one in parts):
            data[key] = (dimension, np.array([one.attrs[key] for one in parts]))
    data[dimension].attrs |= attributes
    data.attrs = agreement(data, parts)
    return data


def agreement(data: xr.Dataset, parts: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return the common verdict of the ``parts`` that ``data`` joins, the worst deviation, and both in a sentence."""
    worst = max(summarize(data), key=lambda row: float(row["used"]))
    verdict = "agree" if all(one.attrs["verdict"] == "agree" for one in parts) else "disagree"
    limit = worst["highest"] if worst["deviation"] > 0 else worst["lowest"]
    sigmas = worst["deviation_in_standard_errors"]
    counted = "" if sigmas is None else f" = {sigmas:+.1f} s.e."
    words = f"{worst['deviation']:+.2g}{counted}, allowed {limit:+.2g}"
    methods = ", ".join(dict.fromkeys(name for one in parts for name in one.attrs["method"].split(", ")))
    alarm = sum(one.attrs["false_alarm"] for one in parts)
    total = sum(one.attrs.get("comparisons", 1) for one in parts)
    runs = "/".join(dict.fromkeys(str(one.attrs["runs"]) for one in parts))
    named = f"{worst['variable'].replace('_', ' ')} ({place_of(worst['at'])})"
    each = f" in each of {total} comparisons" if total > 1 else ""
    sentence = (
        f"Theory and simulation {verdict}: {methods}; {runs} runs (the independent unit){each}, bands of two standard "
        f"errors, false alarm {alarm:.2g} in all; worst {named}: {words}, of which {worst['allowance']:.1g} is "
        f"known error; {worst['detectable']:.2g} would be seen."
    )
    return {
        "verdict": verdict, "worst": words, "agreement": sentence, "method": methods, "runs": runs,
        "false_alarm": alarm, "comparisons": total,
    }  # fmt: skip
