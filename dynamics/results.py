"""The one form of every answer: an ``xarray.Dataset`` that says where it came from.

Theory and simulation make their answers here, with the same variable names, symbols and attributes, and neither
imports the other.
"""

from __future__ import annotations

import functools
import importlib
import inspect
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

    from dynamics.algorithms import Algorithm

__all__ = ["Variable", "answer", "rebuild", "time_of", "versions"]

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


#: What every phenomenon's answers have: how runs are numbered and how they end.
_RUNS: Mapping[str, Variable] = {
    "run": Variable("r", "independent run"),
    "outcome": Variable("o", "how the run ended: finished, diverged or cancelled"),
    "diverged_at": Variable("t_d", "step at which the run diverged, -1 if it did not"),
}


def time_of(algorithm: Algorithm) -> Variable:
    """Return how time is written for an algorithm: completed steps t of an iteration, flow time tau of a flow."""
    return Variable("t", "steps") if algorithm.discrete else Variable(r"\tau", "flow time")


def answer(
    problem: Declared | str,
    algorithm: Algorithm | str | None,
    variables: Mapping[str, tuple[tuple[str, ...], Any]],
    coordinates: Mapping[str, Any],
    *,
    kind: str,
    method: str,
    seed: int | None = None,
    names: Mapping[str, Variable],
    **attributes: Any,
) -> xr.Dataset:
    """Make an answer.

    Parameters
    ----------
    problem, algorithm
        What was asked, as objects or as the text that another answer holds; no algorithm where nothing is trained.
    variables : mapping
        Dimensions and values of each variable; ``<name>_error`` is what theory allows ``<name>`` to be off by.
    coordinates : mapping
        Values along each dimension.
    kind : str
        "theory" or "simulation".
    method, seed
        How it was computed, and with which random numbers.
    names : mapping
        Symbol and meaning of the phenomenon's own variables; time, run and outcomes are known.
    **attributes
        Further ones.

    Returns
    -------
    Dataset
        Its attributes are problem and algorithm (JSON, see :func:`rebuild`), kind, method, seed, version, library
        versions and the further ones.
    """
    import xarray as xr

    times = {} if algorithm is None or isinstance(algorithm, str) else {"time": time_of(algorithm)}
    known = {**_RUNS, **names, **times}

    def described(name: str) -> dict[str, str]:
        if name in known:
            return {"symbol": known[name].symbol, "long_name": known[name].meaning}
        of = known.get(name.removesuffix("_error"))
        if of is None:
            return {}
        return {"symbol": rf"\Delta {of.symbol}", "long_name": f"allowed error of the {of.meaning}"}

    data = {name: (dims, values, described(name)) for name, (dims, values) in variables.items()}
    coords = {name: (name, values, described(name)) for name, values in coordinates.items()}
    attrs: dict[str, Any] = {"kind": kind, "method": method, "problem": _written(problem)}
    if algorithm is not None:
        attrs["algorithm"] = _written(algorithm)
    if seed is not None:
        attrs["seed"] = seed
    attrs |= {"version": dynamics.__version__, "libraries": json.dumps(versions())}
    return xr.Dataset(data, coords, attrs | attributes)


def _written(declared: Declared | str) -> str:
    return declared if isinstance(declared, str) else declared.to_json()


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
    if not (isinstance(cls, type) and issubclass(cls, Declared)) or inspect.isabstract(cls):
        raise ParameterError(f"{name} is no problem or algorithm")
    return cls(**values)
