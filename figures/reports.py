"""What a comparison found, in numbers and in words; problems and algorithms in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xarray as xr

from dynamics.errors import ParameterError
from dynamics.parameters import Declared, declarations
from figures.style import number

__all__ = ["as_json", "check_comparison", "describe", "parameters", "summarize"]


def check_comparison(comparison: object) -> None:
    """Refuse what is no comparison."""
    if not isinstance(comparison, xr.Dataset) or comparison.attrs.get("kind") != "comparison":
        raise ParameterError(f"comparison must be what compare returned; got {type(comparison).__name__}")


def summarize(comparison: xr.Dataset) -> list[dict[str, Any]]:
    """Return, for each variable, the tested deviation that uses up most of what is allowed, in plain numbers.

    ``at`` is where it is, ``used`` the used part of what is allowed; ``deviation_in_standard_errors`` is None where the
    runs have no spread.
    """
    rows = []
    for name in comparison["variable"].values:
        one = comparison.sel(variable=name)
        used = _used(one)
        place = np.unravel_index(int(np.argmax(used)), used.shape)
        worst = one.isel(dict(zip(one["deviation"].dims, map(int, place), strict=True)))
        at = {str(dim): worst[dim].item() for dim in one["deviation"].dims}
        row: dict[str, Any] = {"variable": str(name), "at": at, "used": float(used[place])}
        for key in (
            "deviation", "deviation_in_standard_errors", "lowest", "highest", "allowance", "detectable", "theory",
        ):  # fmt: skip
            value = worst[key].item()
            row[key] = None if np.isnan(value) else value
        rows.append(row)
    return rows


def _used(one: xr.Dataset) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the used part of what is allowed at each value; 0 where it is not tested."""
    deviation = one["deviation"].values
    limit = np.where(deviation < 0, -one["lowest"].values, one["highest"].values)
    part = np.abs(deviation) / np.where(limit > 0, limit, 1.0)
    return np.where(one["tested"].values & (deviation != 0), np.where(limit > 0, part, np.inf), 0.0)


def describe(comparison: xr.Dataset) -> str:
    """Say in a few lines what :func:`figures.compare` found: the verdict, and for each variable the worst deviation.

    The worst deviation is the one that uses up most of what is allowed; with it come its distance in standard errors,
    what is allowed there (and how much of it is known error), and what would have been detected.

    Parameters
    ----------
    comparison : Dataset
        What :func:`figures.compare` returned.

    Returns
    -------
    str
        A line for the verdict, one for each variable, and notes.
    """
    check_comparison(comparison)
    attrs = comparison.attrs
    blind = f", blind at {attrs['values_blind']} of them" if attrs["values_blind"] else ""
    lines = [
        f"{attrs['verdict']}: {attrs['method']}, {attrs['runs']} runs (independent unit: {attrs['independent_unit']}), "
        f"{attrs['values_compared']} values{blind}, false alarm {attrs['false_alarm']:g} in all"
    ]
    for row in summarize(comparison):
        sigmas = row["deviation_in_standard_errors"]
        counted = "no spread" if sigmas is None else f"{sigmas:+.3g} standard errors"
        lines.append(
            f"  {row['variable']}: worst ({place_of(row['at'])}): {row['deviation']:+.3g} ({counted}); allowed "
            f"{row['lowest']:+.3g} to {row['highest']:+.3g}, of which {row['allowance']:.2g} is known error; "
            f"detectable {row['detectable']:.2g}"
        )
    lines += [f"  note: {note}" for note in attrs["notes"].splitlines()]
    return "\n".join(lines)


def place_of(at: dict[str, Any]) -> str:
    """Write where a value is: ``condition number 12, time 79``."""
    return ", ".join(
        f"{dim.replace('_', ' ')} {value if isinstance(value, str) else format(value, 'g')}"
        for dim, value in at.items()
    )


def as_json(comparison: xr.Dataset) -> str:
    """Write what :func:`describe` says as JSON, with the question that was asked."""
    attrs = comparison.attrs
    keys = (
        "verdict", "method", "seed", "runs", "independent_unit", "values_compared", "values_blind", "false_alarm",
        "version",
    )  # fmt: skip
    said = {key: attrs[key] for key in keys if key in attrs} | {"notes": attrs["notes"].splitlines()}
    asked = {key: json.loads(attrs[key]) for key in ("problem", "algorithm") if key in attrs}
    return json.dumps({**said, **asked, "variables": summarize(comparison)}, indent=2, allow_nan=False)


def parameters(*declared: Declared, without: tuple[str, ...] = ()) -> str:
    """Write the parameters of problems and algorithms for a caption: ``$n = 150$, $d = 100$, ...``."""
    parts = []
    for one in declared:
        for name, declaration in declarations(one).items():
            value = getattr(one, name)
            if name in without or value is None:
                continue
            if isinstance(value, Declared):
                parts.append(f"${declaration.symbol}$: {value.label} ({parameters(value)})")
            else:
                parts.append(f"${declaration.symbol} = {_value(value)}$")
    return ", ".join(parts)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return rf"\mathrm{{{value}}}"
    if not isinstance(value, tuple):
        return number(value)
    shown = [_value(item) for item in value]
    return f"({', '.join(shown if len(shown) <= 6 else [*shown[:3], '...', shown[-1]])})"
