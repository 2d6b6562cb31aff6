"""One run by explicit iteration on its sampled data: the ground truth that the eigenbasis is tested against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulations.double_descent._eigenbasis import Curves, measure
from simulations.double_descent._kernels import descend
from simulations.double_descent._stability import DIVERGED, Descent

__all__ = ["MAX_LITERAL_STEPS", "literal"]

#: More steps of a run than this are refused (about ten minutes at n = 150, d = 100).
MAX_LITERAL_STEPS = 10**8
#: Multiplications between looks at the request to stop: a tenth of a second or so.
_LOOK = 10**8

Array = NDArray[np.float64]


def literal(
    inputs: Array,
    labels: Array,
    teacher: Array,
    scale: Array,
    descent: Descent,
    rates: Array,
    times: NDArray[np.int64],
    fresh: Array | None,
    checkpoint: Callable[[], None],
) -> tuple[Curves, int]:
    """Iterate from w = 0 and return the curves at ``times`` before divergence, and the step of divergence or -1.

    ``rates`` (d,) are the relative learning rates P; ``scale`` (d,) is the diagonal of F in X = Z F. ``checkpoint`` is
    called now and then; what it raises ends the run.
    """
    n, d = inputs.shape
    transposed = np.ascontiguousarray(inputs.T)
    weights, outputs = np.zeros(d), np.zeros(n)
    kept, residual = np.empty((times.size, d)), np.empty(times.size)
    limit = DIVERGED**2 * float(labels @ labels)
    done, diverged_at, chunk = 0, -1, max(1, _LOOK // (2 * n * d))
    for index, time in enumerate(times.tolist()):
        while done < time and diverged_at < 0:
            checkpoint()
            end = min(time, done + chunk)
            eta, penalty, l2 = descent.coefficients(np.arange(done, end))
            found = descend(inputs, transposed, labels, rates, weights, outputs, limit, eta, penalty, l2)
            diverged_at = done + found if found >= 0 else -1
            done = end
        if diverged_at >= 0:
            kept, residual = kept[:index], residual[:index]
            break
        kept[index], residual[index] = weights, ((outputs - labels) ** 2).sum()
    return Curves(*measure(kept * scale, teacher, fresh), residual / (2.0 * n)), diverged_at
