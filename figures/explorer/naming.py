"""What tells two views apart, in as few words as a legend has room for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynamics.parameters import Declared, declarations
from figures.explored import Shown
from figures.explorer.tracks import text_of

__all__ = ["difference"]

#: Longer lists of numbers are cut.
_MOST = 4


def difference(shown: Shown, kept: Shown) -> str:
    """Say in what the theory of a kept view differs from that shown: ``learning_rate 0.1``, ``method published``.

    Runs do not matter, for only theory is kept, but where theory answers for the data of a seed.

    Examples
    --------
    >>> from figures.explored import begin
    >>> difference(begin("double-descent"), begin("double-descent", method="published"))
    'method published'
    """
    ours, theirs = shown.question, kept.question
    said = [*_other(ours.problem, theirs.problem), *_other(ours.algorithm, theirs.algorithm)]
    if ours.theory_method != theirs.theory_method:
        said.append(f"method {theirs.theory_method}")
    if theirs.on_data and ours.ensemble.seed != theirs.ensemble.seed:
        said.append(f"seed {theirs.ensemble.seed}")
    if type(shown.times) is type(kept.times):
        said += _other(shown.times, kept.times)
    return ", ".join(said) or "as shown"


def _other(ours: Declared, theirs: Declared) -> Iterator[str]:
    """Name another class, and the values that are neither ours nor, where we have none, what they are by default."""
    if type(ours) is not type(theirs):
        yield theirs.label
    for name, declaration in declarations(theirs).items():
        value = getattr(theirs, name)
        if value != getattr(ours, name, declaration.default):
            yield f"{name} {_short(value)}"


def _short(value: Any) -> str:
    if isinstance(value, Declared):
        inner = ", ".join(f"{name} {_short(one)}" for name, one in value)
        return f"{value.label} ({inner})" if inner else value.label
    if isinstance(value, tuple) and len(value) > _MOST:
        return ",".join([*map(text_of, value[:2]), "...", text_of(value[-1])])
    return text_of(value)
