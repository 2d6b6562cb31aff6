"""Making figures in bulk: files in a folder, and a table of what agreed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from dynamics.errors import ParameterError
from figures.files import check_free, save, write_bytes
from figures.registry import Preset, recipe, reproduce
from figures.style import picture_bytes

__all__ = ["produce"]

_ENDINGS = ("png", "pdf", "nc")


def produce(names: Sequence[str], *, preset: Preset, out: Path, seed: int, overwrite: bool) -> int:
    """Make the figures in turn, print a line for each, and return the exit code: 1 when any of them disagrees.

    All names and files are checked before anything is computed. Interrupted, it keeps and lists what is finished.
    """
    recipes = [recipe(name) for name in dict.fromkeys(names)]
    targets = {item.name: _targets(out, item.name, overwrite=overwrite) for item in recipes}
    if preset == "full":
        print(f"full preset: about {sum(item.cost for item in recipes):.0f} s on two cores", file=sys.stderr)
    rows, code = [], 0
    try:
        for item in tqdm(recipes, unit="figure", disable=not sys.stderr.isatty()):
            picture, data = reproduce(item.name, preset=preset, seed=seed)
            for ending in _ENDINGS[:2]:
                write_bytes(picture_bytes(picture, ending), targets[item.name][ending], overwrite=overwrite)
            save(data, targets[item.name]["nc"], overwrite=overwrite)
            verdict = data.attrs.get("verdict", "theory only")
            code = max(code, int(verdict == "disagree"))
            rows.append(
                (
                    item.name,
                    f"{data.attrs['seconds']:.1f}",
                    verdict,
                    data.attrs.get("worst", "-"),
                    str(targets[item.name]["png"]),
                )
            )
    except KeyboardInterrupt:
        missing = [item.name for item in recipes[len(rows) :]]
        print(f"dynamics: interrupted; not made: {', '.join(missing)}", file=sys.stderr)
        code = 130
    print(_table(("figure", "seconds", "verdict", "worst deviation", "file"), rows))
    return code


def _targets(out: Path, name: str, *, overwrite: bool) -> dict[str, Path]:
    """Return the files of one figure, in a folder for its phenomenon; make the folder, refuse what is in the way."""
    paths = {ending: out / f"{name}.{ending}" for ending in _ENDINGS}
    folder = paths["png"].parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"out must be a folder that can be written; got {out}: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise ParameterError(f"out must be a folder that can be written; got {out}")
    for path in paths.values():
        check_free(path, overwrite=overwrite)
    return paths


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )
