r"""The exact mean risk of stochastic momentum in discrete time, from the second moments of its modes.

Gaussian fourth moments close the recursion on E w_j^2, E y_j^2 and E w_j y_j of each mode, for any batch size and any
schedule, with every order of the learning rate kept (``_kernels.advance``). It is iterated step by step at first, and
later in blocks of steps, which are halved until the difference to the blocks before is below the accuracy asked for.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analytic.scaling_laws._kernels import march
from dynamics.algorithms import Rule
from dynamics.errors import ParameterError
from dynamics.stability import Curvature, broken_bound

__all__ = ["Curves", "Nodes", "check_finite", "check_size", "check_stable", "deviations", "recursion"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: Up to here every step is taken; it costs a few milliseconds.
_EXACT = 4_000
#: Length of the first blocks relative to the step at which they begin.
_LENGTH = 0.2
#: A pass of more blocks than this is refused.
_MOST = 2_000_000
#: Growth of the mean risk that is called divergence.
_DIVERGED = 1e10


class Nodes(NamedTuple):
    """Curvatures l with the sum of initial squared errors and the number of modes that each stands for.

    ``floor`` is P_inf and ``variance`` the label noise's variance. These may be any real numbers, as the weights of a
    quadrature are.
    """

    curvature: Array
    error: Array
    modes: Array
    floor: float
    variance: float


class Curves(NamedTuple):
    r"""P and E \|y\|^2 at each time, with what either may be off by."""

    risk: Array
    momentum_norm: Array
    risk_error: Array
    momentum_norm_error: Array


def recursion(nodes: Nodes, rule: Rule, batch_size: int, times: Steps, accuracy: float) -> Curves:
    """Return the mean risk and momentum norm at ``times`` to a relative ``accuracy`` (0: every step is taken).

    Raises
    ------
    ParameterError
        When the mean risk diverges, or the accuracy would need too many blocks.
    """
    check_stable(nodes, rule, batch_size, times)
    last = int(times[-1])
    dense = last if accuracy == 0 else min(last, _EXACT)
    check_size(dense)
    walk = _Walk(nodes, rule, float(batch_size))
    moments = np.zeros((3, nodes.curvature.size))
    moments[0] = nodes.error
    early = times[times <= dense]
    begun, moments = walk.through(np.arange(dense + 1), moments, early)
    late = times[early.size :]
    edges = _blocks(dense, late, rule.jumps)
    found, _ = walk.through(edges, moments, late)
    error = np.zeros_like(found)
    while (np.diff(edges) > 1).any():
        edges = np.unique(np.concatenate([edges, (edges[:-1] + edges[1:]) // 2]))
        before, found = found, walk.through(edges, moments, late)[0]
        error = deviations(before, found)  # of second order: this is about three times the error left
        if (error <= accuracy * np.abs(found)).all():
            break
    exact = np.zeros_like(begun)
    return Curves(*np.hstack([begun, found]), *np.hstack([exact, error]))


def deviations(coarse: Array, fine: Array) -> Array:
    """Return what curves (..., time) on a fine grid may be off by: their difference to a coarse one, nowhere less.

    The relative difference may cross 0 at some time, so that the largest up to each time is taken.
    """
    size = np.abs(fine)  # 0 where there is no momentum
    relative = np.maximum.accumulate(np.abs(fine - coarse) / np.where(size == 0, 1.0, size), axis=-1)
    found: Array = relative * size
    return found


def _blocks(dense: int, times: Steps, jumps: tuple[float, ...]) -> Steps:
    """Return where blocks after ``dense`` begin and end: geometrically, and at all times and jumps."""
    last = int(times[-1]) if times.size else dense
    growing = [dense]
    while growing[-1] < last:
        growing.append(min(last, growing[-1] + max(1, int(_LENGTH * growing[-1]))))
    inside = [step for step in jumps if dense < step < last]
    return np.unique(np.concatenate([growing, times, inside]).astype(np.int64))


class _Walk(NamedTuple):
    """March through blocks of steps."""

    nodes: Nodes
    rule: Rule
    batch_size: float

    def through(self, edges: Steps, moments: Array, times: Steps) -> tuple[Array, Array]:
        """Return P and E |y|^2 at those of the edges that are times, (2, times), and the moments at the last edge."""
        check_size(edges.size)
        nodes, moments = self.nodes, moments.copy()
        lengths = np.diff(edges)
        kept = np.empty((2, edges.size))
        kept[:, 0] = nodes.curvature @ moments[0], moments[1].sum()
        variance = nodes.floor + nodes.variance
        march(
            nodes.curvature, nodes.modes, moments, variance, self.batch_size, self.rule.risk_exponent, lengths,
            *self.rule.at(edges[:-1] + (lengths - 1) / 2.0), kept[0, 1:], kept[1, 1:],
        )  # fmt: skip
        kept[0] += nodes.floor
        check_finite(kept[0], float(nodes.curvature @ nodes.error) + nodes.floor, edges)
        return kept[:, np.searchsorted(edges, times)], moments


def check_size(blocks: int) -> None:
    """Refuse a pass of too many blocks of steps."""
    if blocks > _MOST:
        raise ParameterError(f"accuracy (relative) must be larger: it would need {blocks} blocks of steps")


def check_finite(risk: Array, initial: float, steps: NDArray[Any]) -> None:
    """Refuse a mean risk that has grown beyond all bounds, naming the first of the ``steps`` at which it had."""
    grown = ~(np.abs(risk) <= _DIVERGED * initial)
    if grown.any():
        raise ParameterError(
            f"learning_rate or momentum_rate must be smaller: the mean risk has grown {_DIVERGED:g} times by step "
            f"{steps[int(np.argmax(grown))]:.0f}. Single runs may still converge: simulate them"
        )


def check_stable(nodes: Nodes, rule: Rule, batch_size: int, times: Steps) -> None:
    """Refuse coefficients whose kernel norm at the last step is not below 1, where only Delta changes with the step."""
    if not rule._replace(delta=1.0).constant:
        return
    last = int(times[-1])
    modes = Curvature(nodes.curvature, nodes.modes, nodes.curvature.size)
    if broken := broken_bound(modes, batch_size, rule.at_one(last), last):
        raise ParameterError(f"{broken}. Single runs may still converge: simulate them")
