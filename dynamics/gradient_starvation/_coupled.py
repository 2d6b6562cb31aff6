"""Linear models whose features are present in the same samples."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import AfterValidator, BeforeValidator, model_validator

from dynamics.errors import ParameterError
from dynamics.parameters import Declared, PositiveVector, parameter

__all__ = ["Coupled", "CoupledFeatures", "Problem", "TwoSamples"]

Array = NDArray[np.float64]

#: Columns whose products differ from those of orthonormal ones by more are refused.
_ORTHONORMAL = 1e-10


class Problem(Declared):
    """What all problems of gradient starvation share: nothing but their kind."""


class Coupled(Problem):
    """Features that are present in the same samples; everything depends on strengths, coupling and penalties only."""

    l2: float = parameter(
        0.01, symbol=r"\lambda", meaning="L2 penalty on the weights", at_least=0.0, at_most=1e50, scale="log",
        explore=(1e-4, 10.0),
    )  # fmt: skip
    decoupling: float = parameter(
        0.0, symbol=r"\lambda_{\mathrm{SD}}", meaning="penalty on the squared outputs (spectral decoupling)",
        at_least=0.0, at_most=1e50, scale="log", explore=(0.0, 1.0),
    )  # fmt: skip

    @property
    @abstractmethod
    def strength(self) -> Array:
        """Strengths s_j, shape (r,)."""

    @property
    @abstractmethod
    def presence(self) -> Array:
        """The matrix U, shape (n, r), with orthonormal columns."""


class TwoSamples(Coupled):
    """Two features in two samples, U = [[c, -s], [s, c]]: the strong feature helps both, the weak one hurts the first.

    s is ``coupling`` and c = sqrt(1 - s^2); a negative s makes the strong feature hurt the second sample.

    Examples
    --------
    >>> TwoSamples(strong=4.0, coupling=0.6).presence
    array([[ 0.8, -0.6],
           [ 0.6,  0.8]])
    """

    strong: float = parameter(
        4.0, symbol="s_1", meaning="strength of the first feature", at_least=1e-25, at_most=1e25, scale="log",
        explore=(0.5, 10.0),
    )  # fmt: skip
    weak: float = parameter(
        2.0, symbol="s_2", meaning="strength of the second feature", at_least=1e-25, at_most=1e25, scale="log",
        explore=(0.5, 10.0),
    )  # fmt: skip
    coupling: float = parameter(
        0.5, symbol="s", meaning="how strongly either feature is present in the other's sample", above=-1.0,
        at_most=1.0 - 1e-12, explore=(-0.7, 0.7),
    )  # fmt: skip

    @property
    def strength(self) -> Array:
        """Strengths s_1 and s_2."""
        return np.array([self.strong, self.weak])

    @property
    def presence(self) -> Array:
        """The matrix U."""
        s = self.coupling
        c = math.sqrt((1.0 - s) * (1.0 + s))
        return np.array([[c, -s], [s, c]])


def _as_rows(value: object) -> object:
    if isinstance(value, (int, float)):
        return [[value]]
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, (int, float)) for item in value):
        return [[item] for item in value]
    return value


def _frozen(rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise ValueError("must be a matrix: rows of equal length")
    return tuple(tuple(row) for row in rows)


Matrix = Annotated[Sequence[Sequence[float]], BeforeValidator(_as_rows), AfterValidator(_frozen)]


class CoupledFeatures(Coupled):
    """Any strengths and any coupling: n samples, r <= n features.

    Examples
    --------
    >>> problem = CoupledFeatures.from_features([[3.0, 0.0], [0.0, 2.0]], labels=[1, -1])
    >>> problem.strengths
    (3.0, 2.0)
    """

    strengths: PositiveVector = parameter(symbol="s_j", meaning="strength of each feature, above 0", scale="log")
    coupling: Matrix = parameter(symbol="U", meaning="how each feature is present in each sample, rows are samples")

    @model_validator(mode="after")
    def _check(self) -> Self:
        u = np.array(self.coupling, dtype=np.float64)
        if u.shape[1] != len(self.strengths):
            must = f"must have one column for each of the {len(self.strengths)} strengths"
            raise self.refused("coupling", must, f"shape {u.shape}")
        off = float(np.abs(u.T @ u - np.eye(u.shape[1])).max())
        if not off <= _ORTHONORMAL:
            must = f"must have orthonormal columns, to {_ORTHONORMAL:g}"
            raise self.refused("coupling", must, f"columns whose products are off by up to {off:.3g}")
        return self

    @property
    def strength(self) -> Array:
        """Strengths s_j, shape (r,)."""
        return np.array(self.strengths, dtype=np.float64)

    @property
    def presence(self) -> Array:
        """The matrix U, shape (n, r)."""
        return np.array(self.coupling, dtype=np.float64)

    @classmethod
    def from_features(
        cls, features: ArrayLike, labels: ArrayLike, *, l2: float = 0.01, decoupling: float = 0.0
    ) -> CoupledFeatures:
        """Return the problem of n samples with given features Phi (n, m) and labels -1 or 1: Y Phi = U S V^T.

        Singular values below n times rounding are zero: they are no features. The sign of each column of U, which the
        decomposition leaves open, is chosen so that the sum of its entries (that is U^T 1) is not negative.

        Raises
        ------
        ParameterError
            For features that are no finite matrix or all zero, and labels that are not as many -1 and 1.
        """
        phi, y = np.atleast_2d(np.asarray(features, dtype=np.float64)), np.asarray(labels, dtype=np.float64)
        if phi.ndim != 2 or not phi.any() or not np.isfinite(phi).all():
            raise ParameterError(f"features must be a finite matrix (samples, features), not zero; got {phi.shape}")
        if y.shape != phi.shape[:1] or not np.isin(y, (-1.0, 1.0)).all():
            raise ParameterError(f"labels must be -1 or 1 for each of the {phi.shape[0]} samples; got {labels!r}")
        u, s, _ = np.linalg.svd(y[:, None] * phi, full_matrices=False)
        kept = s > s[0] * max(phi.shape) * np.finfo(np.float64).eps
        u = u[:, kept] * np.where(u[:, kept].sum(axis=0) < 0.0, -1.0, 1.0)
        return cls(strengths=s[kept], coupling=u.tolist(), l2=l2, decoupling=decoupling)
