"""The one form of every answer: an ``xarray.Dataset`` that says where it came from.

Theory and simulation make their answers here, with the same variable names, symbols and attributes, and neither
imports the other.
"""

from __future__ import annotations

import functools
import importlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import dynamics
from dynamics.errors import ParameterError, shown
from dynamics.parameters import Declared

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Variable", "answer", "rebuild", "versions"]

_LIBRARIES = ("numpy", "scipy", "numba", "xarray")


class Variable(NamedTuple):
    """How a variable of an answer is written and what it means; the axis label comes from here."""

    symbol: str
    meaning: str


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of the package, of Python and of the libraries that numbers depend on."""
    found = {"learning-dynamics": dynamics.__version__, "python": platform.python_version()}
    return found | {name: version(name) for name in _LIBRARIES}


def answer(
    problem: Declared,
    algorithm: Declared | None,
    variables: Mapping[str, tuple[tuple[str, ...], Any]],
    coordinates: Mapping[str, Any],
    *,
    kind: str,
    method: str,
    seed: int | None = None,
    names: Mapping[str, Variable],
    **attributes: Any,
) -> xr.Dataset:
    """Make an answer: variables as (dimensions, values), coordinates by dimension, provenance in the attributes.

    ``kind`` is "theory" or "simulation"; ``names`` declares symbol and meaning of variables and coordinates. Attributes
    are problem and algorithm (JSON, see :func:`rebuild`), method, seed (simulations), version and library versions.
    """
    import xarray as xr

    def described(name: str) -> dict[str, str]:
        if name in names:
            return {"symbol": names[name].symbol, "long_name": names[name].meaning}
        of = names.get(name.removesuffix("_error"))
        return (
            {} if of is None else {"symbol": rf"\Delta {of.symbol}", "long_name": f"allowed error of the {of.meaning}"}
        )

    data = {name: (dims, values, described(name)) for name, (dims, values) in variables.items()}
    coords = {name: (name, values, described(name)) for name, values in coordinates.items()}
    attrs: dict[str, Any] = {"kind": kind, "method": method, "problem": problem.to_json()}
    if algorithm is not None:
        attrs["algorithm"] = algorithm.to_json()
    if seed is not None:
        attrs["seed"] = seed
    attrs |= {"version": dynamics.__version__, "libraries": json.dumps(versions())}
    return xr.Dataset(data, coords, attrs | attributes)


def rebuild(text: str) -> Declared:
    """Make the problem or algorithm again that an answer's attribute describes.

    Raises
    ------
    ParameterError
        When the text does not describe a problem or algorithm of this package.

    Examples
    --------
    >>> from dynamics.algorithms import GradientFlow
    >>> rebuild(GradientFlow(l2=0.1).to_json())
    GradientFlow(rates=None, l2=0.1)
    """
    try:
        values = json.loads(text)
        module, _, name = values.pop("class").partition(":")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        raise ParameterError(f"not the description of a problem or algorithm: {shown(text)}") from None
    if module.split(".")[0] != "dynamics":
        raise ParameterError(f"a problem or algorithm must come from dynamics; got {shown(module)}")
    try:
        cls = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f"not the description of a problem or algorithm: {error}") from None
    if not (isinstance(cls, type) and issubclass(cls, Declared)):
        raise ParameterError(f"{name} is no problem or algorithm")
    return cls(**values)
