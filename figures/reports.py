"""What a comparison found, in numbers and in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

__all__ = ["describe", "summarize"]


def summarize(comparison: xr.Dataset) -> list[dict[str, Any]]:
    """Return, for each variable, the deviation that uses up most of what is allowed, in plain numbers.

    ``deviation_in_standard_errors`` is None where the runs have no spread.
    """
    rows = []
    for name in comparison["variable"].values:
        one = comparison.sel(variable=name)
        worst = one.isel(_worst(one))
        row: dict[str, Any] = {"variable": str(name), "at": {str(dim): worst[dim].item() for dim in one["mean"].dims}}
        for key in (
            "deviation",
            "deviation_in_standard_errors",
            "lowest",
            "highest",
            "allowance",
            "detectable",
            "theory",
        ):
            value = worst[key].item()
            row[key] = None if np.isnan(value) else value
        rows.append(row)
    return rows


def describe(comparison: xr.Dataset) -> str:
    """Say in a few lines what :func:`figures.compare` found: the verdict, and for each variable the worst deviation.

    The worst deviation is the one that uses up most of what is allowed; with it come its distance in standard errors,
    what is allowed there (and theory's own part of it), and what would have been detected.
    """
    attrs = comparison.attrs
    lines = [
        f"{attrs['verdict']}: {attrs['method']}, {attrs['runs']} runs (independent unit: {attrs['independent_unit']}), "
        f"{attrs['values_compared']} values, false alarm {attrs['false_alarm']:g} in all"
    ]
    for row in summarize(comparison):
        where = ", ".join(f"{dim} {value:g}" for dim, value in row["at"].items())
        sigmas = row["deviation_in_standard_errors"]
        counted = "no spread" if sigmas is None else f"{sigmas:+.2f} standard errors"
        lines.append(
            f"  {row['variable']}: worst at {where}: {row['deviation']:+.3g} ({counted}); allowed {row['lowest']:+.3g} "
            f"to {row['highest']:+.3g}, of which {row['allowance']:.2g} is theory's own; detectable "
            f"{row['detectable']:.2g}"
        )
    lines += [f"  note: {note}" for note in attrs["notes"].split("; ") if note]
    return "\n".join(lines)


def _worst(comparison: xr.Dataset) -> dict[str, int]:
    """Return the position of the deviation that uses up most of its allowed range."""
    deviation = comparison["deviation"].values
    limit = np.where(deviation < 0, -comparison["lowest"].values, comparison["highest"].values)
    used = np.where(
        limit > 0, np.abs(deviation) / np.where(limit > 0, limit, 1.0), np.where(deviation == 0, 0.0, np.inf)
    )
    place = np.unravel_index(int(np.argmax(used)), used.shape)
    return {str(dim): int(index) for dim, index in zip(comparison["deviation"].dims, place, strict=True)}
