"""``solve``: every method of the theory of epoch-wise double descent behind one door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analytic.double_descent._exact import ASYMPTOTIC, asymptotic_learning_rate, check_accuracy, exact
from analytic.double_descent._finite import finite
from analytic.double_descent._published import published, published_corrected
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import VARIABLES, Problem, check_pair
from dynamics.errors import ParameterError, known
from dynamics.results import answer
from dynamics.times import check_times

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["METHODS", "METHODS_ON_DATA", "solve"]

#: The methods of :func:`solve`, the default first.
METHODS = (*ASYMPTOTIC, "finite", "published", "published_corrected")

#: Those that answer for given data.
METHODS_ON_DATA = ("finite",)


def solve(
    problem: Problem,
    algorithm: GradientFlow | GradientDescent,
    times: ArrayLike,
    *,
    method: str = "exact",
    data: xr.Dataset | None = None,
    accuracy: float = 1e-12,
) -> xr.Dataset:
    r"""Return alignment R, norm Q, generalization error E_G and training error E_T over time.

    Parameters
    ----------
    problem : TwoScale, TeacherStudent or PowerLawTeacherStudent
        All normalisations are those of :mod:`dynamics.double_descent`: E_G has its 1/2 and noiseless labels, E_T is
        \|Xw - y\|^2/(2n).
    algorithm : GradientFlow or GradientDescent
        ``learning_rate=None`` means 1/(lambda_+ + l2) with the edge lambda_+ of the asymptotic spectrum.
    times : array
        Flow times (gradient flow) or whole steps (gradient descent), increasing, not negative.
    method : str
        * ``"exact"``: the limit n, d -> infinity at fixed n/d, for any spectrum, n < d included. The variables
          ``<name>_error`` hold its known distance C(t)/d from the mean over data at this d, an estimate of the next
          term, and the error of the quadrature.
        * ``"next_order"``: the limit plus C(t)/d, off by O(1/d^2).
        * ``"finite"``: exact for the given ``data``, averaged over teacher and noise (dimensions run, time).
        * ``"published"``: the paper's two-scale formula as published, a labelled approximation, off by about 0.1
          for the paper's parameters (more for others) at any d; needs TwoScale with n > d. Its E_G is on noiseless
          labels; it has no training error.
        * ``"published_corrected"``: the same with the missing cross-block term, exact for ridge at 1/t + l2.
    data : Dataset, optional
        For ``"finite"``: what ``simulations.double_descent.sample`` returns.
    accuracy : float
        Largest error of the contour integrals (``"exact"``, ``"next_order"``); it fixes the number of nodes, and the
        error reached is estimated and stored. 1e-14 to 1e-3; relative where E_G is above 1.

    Returns
    -------
    Dataset
        ``alignment``, ``norm``, ``generalization_error``, ``training_error`` on dimension ``time`` (``"finite"``: run,
        time), with ``<name>_error`` where the method knows its own, and ``learning_rate`` where it is one number.

    Raises
    ------
    ParameterError
        For input that is not allowed, a step above the stability bound, a method without meaning for this pair, or an
        accuracy that cannot be reached.

    Examples
    --------
    >>> from dynamics.algorithms import GradientFlow
    >>> from dynamics.double_descent import TwoScale
    >>> problem = TwoScale(samples=110, dimension=100, fast=70, condition_number=7)
    >>> solve(problem, GradientFlow(), [2.59, 12.6]).generalization_error.values.round(4)  # first minimum and peak
    array([0.2541, 0.2739])
    """
    check_pair(problem, algorithm)
    when = check_times(times, algorithm)
    known("method", method, METHODS)
    accuracy = check_accuracy(accuracy)
    if data is not None and method not in METHODS_ON_DATA:
        raise ParameterError(
            f"data must be left out for method {method!r}; only {', '.join(METHODS_ON_DATA)} takes them"
        )
    values: dict[str, Any]
    if method == "finite":
        values = finite(problem, algorithm, when, data)
    elif method in ASYMPTOTIC:
        values = exact(problem, algorithm, when, accuracy=accuracy, next_order=method == "next_order")
    else:
        formula = published if method == "published" else published_corrected
        values = formula(problem, algorithm, when)  # type: ignore[arg-type]
    coordinates: dict[str, Any] = {"time": when}
    if method == "finite":
        assert data is not None
        coordinates["run"] = data["run"].values if "run" in data.coords else np.arange(data.sizes["run"])
    variables: dict[str, tuple[tuple[str, ...], Any]]
    variables = {name: (("run", "time") if item.ndim == 2 else ("time",), item) for name, item in values.items()}
    if isinstance(algorithm, GradientDescent) and method in ASYMPTOTIC:
        step = asymptotic_learning_rate(problem, algorithm)
        if isinstance(step, float):
            variables["learning_rate"] = ((), np.float64(step))
    seed = None if data is None else data.attrs.get("seed")
    return answer(problem, algorithm, variables, coordinates, kind="theory", method=method, seed=seed, names=VARIABLES)
