"""Making figures in bulk: files in a folder, and a table of what agreed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from dynamics.errors import DivergenceError, MissingLibraryError, ParameterError
from figures.files import check_free, netcdf_bytes, write_bytes
from figures.registry import Preset, Recipe, recipe, reproduce
from figures.style import picture_bytes

__all__ = ["produce"]

_ENDINGS = ("png", "pdf", "nc")
_HEAD = ("figure", "seconds", "verdict", "worst deviation", "file")


def produce(names: Sequence[str], *, preset: Preset, out: Path, seed: int, overwrite: bool) -> int:
    """Make the figures in turn, print a line for each, and return the exit code.

    1 when any of them disagrees, 2 when one could not be made (the others are made all the same), 130 when interrupted:
    then what is finished is kept and listed. All names and places are checked before anything is computed.
    """
    recipes = [recipe(name) for name in dict.fromkeys(names)]
    for item in recipes:
        _check_place(out, item.name, overwrite=overwrite)
    if preset == "full":
        print(f"full preset: about {sum(item.cost for item in recipes):.0f} s on two cores", file=sys.stderr)
    rows: list[tuple[str, ...]] = [_HEAD]
    code = 0
    try:
        for item in tqdm(recipes, unit="figure", disable=not sys.stderr.isatty()):
            row, result = _one(item, preset, out, seed, overwrite=overwrite)
            rows.append(row)
            code = max(code, result)
    except KeyboardInterrupt:
        missing = [item.name for item in recipes[len(rows) - 1 :]]
        print(f"dynamics: interrupted; not made: {', '.join(missing)}", file=sys.stderr)
        code = 130
    print(_table(rows))
    return code


def _one(item: Recipe, preset: Preset, out: Path, seed: int, *, overwrite: bool) -> tuple[tuple[str, ...], int]:
    """Make one figure and its three files, and return its line of the table and its exit code."""
    try:
        picture, data = reproduce(item.name, preset=preset, seed=seed)
    except (ArithmeticError, DivergenceError, MissingLibraryError) as error:
        print(f"dynamics: {item.name}: {error}", file=sys.stderr)
        return (item.name, "-", "not made", "-", "-"), 2
    files = {ending: picture_bytes(picture, ending) for ending in _ENDINGS[:2]} | {"nc": netcdf_bytes(data)}
    paths = _paths(out, item.name)
    for ending, content in files.items():
        write_bytes(content, paths[ending], overwrite=overwrite)
    verdict = data.attrs.get("verdict", "not compared")
    worst = data.attrs.get("worst", "-")
    return (item.name, f"{data.attrs['seconds']:.1f}", verdict, worst, str(paths["png"])), int(verdict == "disagree")


def _paths(out: Path, name: str) -> dict[str, Path]:
    """Return the files of one figure, in a folder for its phenomenon."""
    return {ending: out / f"{name}.{ending}" for ending in _ENDINGS}


def _check_place(out: Path, name: str, *, overwrite: bool) -> None:
    """Make the folder of a figure's files, and refuse what is in the way of them."""
    paths = _paths(out, name)
    try:
        paths["png"].parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"out must be a folder that can be written; got {out}: {error.strerror}") from None
    for path in paths.values():
        check_free(path, overwrite=overwrite)


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
