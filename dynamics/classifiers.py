"""What a classifier in the plane has learned, in numbers: how bent its boundary is, and which coordinate it goes by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sample", "Statistics", "measure", "nonlinearity", "plane", "second_share"]

Array = NDArray[np.float64]

#: Rows in which the decision boundary is looked for, and the points along each.
_ROWS = np.linspace(-1.2, 1.2, 49)
_ALONG = np.linspace(-2.0, 2.0, 401)


class Sample(NamedTuple):
    """Training inputs (n, 2) and labels -1 or 1 (n,), and those by which ``shifted_accuracy`` is measured."""

    inputs: Array
    labels: Array
    shifted_inputs: Array
    shifted_labels: Array


class Statistics(NamedTuple):
    """What a classifier learned, in numbers; see :func:`measure`."""

    nonlinearity: float
    second_share: float
    shifted_accuracy: float
    training_accuracy: float
    training_loss: float
    mean_margin: float


def measure(function: Callable[[Array], Array], gradient: Callable[[Array], Array], sample: Sample) -> Statistics:
    """Return what a classifier learned.

    Parameters
    ----------
    function, gradient
        Points (m, 2) to outputs (m,), whose sign is the class, and to their derivatives (m, 2).
    sample : Sample
        The training data, and data on which the first coordinate is no guide.

    Returns
    -------
    Statistics
        * ``nonlinearity``: :func:`nonlinearity` of the decision boundary;
        * ``second_share``: :func:`second_share` of the gradient at the training inputs;
        * ``shifted_accuracy``, ``training_accuracy``: the part of the data with y f > 0;
        * ``training_loss``, ``mean_margin``: the means of log(1 + exp(-y f)) and of y f over the training data.
    """
    margins = sample.labels * function(sample.inputs)
    shifted = sample.shifted_labels * function(sample.shifted_inputs)
    return Statistics(
        nonlinearity(function),
        second_share(gradient(sample.inputs)),
        float((shifted > 0.0).mean()),
        float((margins > 0.0).mean()),
        float(np.logaddexp(0.0, -margins).mean()),
        float(margins.mean()),
    )


def nonlinearity(function: Callable[[Array], Array]) -> float:
    """Return how far the boundary f = 0 is from a straight line: the standard deviation of its residuals.

    In each of 49 rows, second coordinate from -1.2 to 1.2, the boundary is where f changes sign nearest to first
    coordinate 0, within [-2, 2]; rows that it does not cross are left out (two points are always on a line).

    Examples
    --------
    >>> round(nonlinearity(lambda x: x[:, 0] - x[:, 1] ** 2), 6), round(nonlinearity(lambda x: x[:, 0] + x[:, 1]), 6)
    (0.446934, 0.0)
    """
    first, second = np.meshgrid(_ALONG, _ROWS)
    values = function(np.stack([first.ravel(), second.ravel()], axis=1)).reshape(first.shape)
    before, after = values[:, :-1], values[:, 1:]
    changes = (before > 0.0) != (after > 0.0)
    share = before / np.where(changes, before - after, 1.0)
    places = np.where(changes, _ALONG[:-1] + share * np.diff(_ALONG), np.inf)
    nearest = places[np.arange(_ROWS.size), np.abs(places).argmin(axis=1)]
    crossed = np.isfinite(nearest)
    if crossed.sum() < 3:
        return 0.0
    line = np.stack([np.ones(crossed.sum()), _ROWS[crossed]], axis=1)
    fitted = line @ np.linalg.lstsq(line, nearest[crossed])[0]
    return float((nearest[crossed] - fitted).std())


def second_share(gradient: Array) -> float:
    """Return mean |df/dx_2| / (mean |df/dx_1| + mean |df/dx_2|); a function without any gradient has share 0.

    Examples
    --------
    >>> second_share(np.array([[3.0, 0.0], [-3.0, 2.0]]))
    0.25
    """
    first, second = np.abs(gradient).mean(axis=0)
    return float(second / (first + second)) if first + second > 0.0 else 0.0


def plane(pixels: int) -> tuple[Array, Array]:
    """Return values from -2 to 2 along either coordinate, and all points of the grid, the first coordinate fastest.

    Examples
    --------
    >>> axis, points = plane(2)
    >>> points
    array([[-2., -2.],
           [ 2., -2.],
           [-2.,  2.],
           [ 2.,  2.]])
    """
    axis = np.linspace(-2.0, 2.0, pixels)
    first, second = np.meshgrid(axis, axis)
    return axis, np.stack([first.ravel(), second.ravel()], axis=1)
