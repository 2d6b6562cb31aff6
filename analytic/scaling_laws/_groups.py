"""Groups of modes that stand for the deterministic equivalent, for stochastic runs at any dimension."""

from __future__ import annotations

import functools
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from analytic.scaling_laws._equivalent import check_features, limit_risk
from analytic.scaling_laws._recursion import Nodes, recursion
from analytic.scaling_laws._strip import equivalent_nodes
from analytic.scaling_laws._windows import Parts, gauss_parts, no_groups
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying, ScheduleFree, StochasticAlgorithm
from dynamics.errors import ParameterError
from dynamics.results import Variable, answer
from dynamics.scaling_laws import VARIABLES, PowerLawRandomFeatures
from dynamics.times import log_steps

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["equivalent_groups", "prepared"]

#: Relative errors allowed: of sums that are known exactly, of the trace; and the largest bias.
_SUMS, _TRACE, _BIAS = 1e-9, 1e-3, 0.1
#: The bias is so many times the largest difference up to this step, with these algorithms and batch sizes.
_MARGIN, _LAST = 3.0, 10**6
_ALGORITHMS: tuple[type[StochasticAlgorithm], ...] = (SGD, DanaConstant, DanaDecaying, ScheduleFree)
_BATCHES = (1, 4096)

_NAMES = {
    **VARIABLES,
    "eigenvalues": Variable("l", "eigenvalue of each group"),
    "initial_error": Variable("p^2", "sum of the squared initial errors of each group"),
}


def equivalent_groups(problem: PowerLawRandomFeatures) -> xr.Dataset:
    """Return a few hundred groups of modes with the spectrum of the deterministic equivalent.

    They are what ``simulations.scaling_laws.simulate(..., method="grouped", groups=...)`` takes for random features:
    stochastic runs at any dimension, on the deterministic spectrum instead of that of a random matrix.

    Parameters
    ----------
    problem : PowerLawRandomFeatures
        Its dimension should be 1000 or more.

    Returns
    -------
    Dataset
        On dimension ``group``, largest eigenvalue first: ``eigenvalues`` l, ``multiplicity`` m (1, or any number above
        2) and ``initial_error`` p^2, the sum of w_j^2 over the modes of the group. ``floor`` is P_inf, and the risk at
        step 0 is floor + sum l p^2.

        The attribute ``bias`` says how exact that is: three times the largest relative difference to method
        "deterministic_equivalent" in the mean risk and momentum norm of SGD, DANA-constant, DANA-decaying and
        Schedule-Free (default coefficients, batch sizes 1 and 4096) up to step 10^6. Measured on 123 problems, alpha
        from 0.2 to 2: the difference is at most 1e-3 for d >= 10^6 and alpha below 1, 3e-3 for alpha up to 2, and 300/d
        for smaller d; in the risk of SGD and DANA-constant at batch size 1, 8/d + 6e-6. That much comes from the width
        of bands, which single eigenvalues have not; more from oscillations, which are hard to resolve. For alpha above
        2 it is the other method that does not resolve them. Algorithms that oscillate more, as heavy ball does with
        huge batches, may be off by more.

    Raises
    ------
    ParameterError
        When the problem is no PowerLawRandomFeatures, or the groups would be too coarse: their bias is above 0.1, or
        what is known exactly is not met. That is so for small dimensions, or alpha near 0.05.

    Examples
    --------
    >>> groups = equivalent_groups(PowerLawRandomFeatures(alpha=1.0, beta=0.7, dimension=10**6))
    >>> round(groups.sizes["group"], -2), f"{float(groups.multiplicity.sum()):.3f}", groups.attrs["bias"] < 1e-3
    (300, '1000000.000', True)
    """
    check_features(problem)
    found, bias = _found(problem)
    values = {
        "eigenvalues": found.eigenvalue, "multiplicity": found.multiplicity,
        "initial_error": found.target / found.eigenvalue,
    }  # fmt: skip
    variables: dict[str, tuple[tuple[str, ...], Any]] = {key: (("group",), item) for key, item in values.items()}
    variables["floor"] = ((), limit_risk(problem))
    return answer(
        problem, None, variables, {"group": np.arange(found.target.size)}, kind="theory",
        method="deterministic_equivalent", names=_NAMES, bias=bias,
    ).copy(deep=True)  # fmt: skip


def prepared(problem: object, method: str) -> dict[str, xr.Dataset]:
    """Return what ``simulations.scaling_laws.simulate`` needs of theory for a problem and a method.

    Parameters
    ----------
    problem : PowerLawRandomFeatures, PowerLawSpectrum or Spectrum
        What is simulated.
    method : str
        A method of the simulation.

    Returns
    -------
    dict
        Keyword arguments: ``groups`` for method "grouped" on random features, else nothing.

    Raises
    ------
    ParameterError
        When :func:`equivalent_groups` finds none.

    Examples
    --------
    >>> problem = PowerLawRandomFeatures(dimension=10**4)
    >>> list(prepared(problem, "grouped")), list(prepared(problem, "diagonal"))
    (['groups'], [])
    """
    if method == "grouped" and isinstance(problem, PowerLawRandomFeatures):
        return {"groups": equivalent_groups(problem)}
    return {}


@functools.lru_cache(maxsize=8)
def _found(problem: PowerLawRandomFeatures) -> tuple[Parts, float]:
    """Return the groups and their bias, checked."""
    found = gauss_parts(problem)
    _check_sums(problem, found)
    bias = _bias(problem, found)
    if bias > _BIAS:
        raise no_groups(f"their mean risk would be off by up to {bias:.1g}")
    return found, bias


def _check_sums(problem: PowerLawRandomFeatures, found: Parts) -> None:
    """Compare with what is known exactly."""
    for what, value, exact, allowed in (
        ("number of modes", found.multiplicity.sum(), problem.dimension, _SUMS),
        ("trace", found.multiplicity @ found.eigenvalue, problem.curvature.trace, _TRACE),
        ("initial risk", found.target.sum() + limit_risk(problem), problem.initial_risk, _SUMS),
    ):
        if not abs(value / exact - 1.0) <= allowed:
            raise no_groups(f"the {what} of groups would be {value:.12g} instead of {exact:.12g}")


def _bias(problem: PowerLawRandomFeatures, found: Parts) -> float:
    """Return three times the largest difference to the deterministic equivalent, relative to the curves."""
    exact, steps = equivalent_nodes(problem), log_steps(_LAST, 100)
    own = Nodes(found.eigenvalue, found.target / found.eigenvalue, found.multiplicity, exact.floor, exact.variance)
    off = 0.0
    for cls, batch_size in itertools.product(_ALGORITHMS, _BATCHES):
        rule = cls(batch_size=batch_size).rule(problem.curvature)
        try:
            theory, mine = (np.array(recursion(nodes, rule, batch_size, steps, 1e-3)[:2]) for nodes in (exact, own))
        except ParameterError as error:
            raise no_groups(
                f"{cls.label} is unstable at its default coefficients and batch size {batch_size}"
            ) from error
        there = theory > 0.0  # there is no momentum in SGD, nor at step 0
        off = max(off, float(np.abs(mine[there] / theory[there] - 1.0).max()))
    return _MARGIN * off
