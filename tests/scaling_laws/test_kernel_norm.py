"""The kernel norm: against the whole linear system, its leading order against limits, the search, and the words.

The linear system of the second moments of (w, y) is written down by other code, for a curvature that is no diagonal
matrix: a mean map and the fourth moments of Gaussian features.
"""

import numpy as np
import pytest

from dynamics.algorithms import SGDMomentum
from dynamics.errors import ParameterError
from dynamics.stability import (
    Coefficients,
    Curvature,
    broken_bound,
    kernel_norm,
    largest_below_one,
    leading_kernel_norm,
)


def system(eigenvalues, batch, at, coupled=True):
    """The linear map of the moments (2d x 2d, flat) of (w, y) in one step, and what a unit of P adds to them.

    E g g^T = (1 + 1/B) K C K + K P/B with C = E w w^T and P = tr K C; without coupling P does not come from C.
    """
    d, (g1, g2, g3, delta) = eigenvalues.size, at
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((d, d)))
    k, one = rotation @ np.diag(eigenvalues) @ rotation.T, np.eye(d)
    step = np.block([[one - (g2 + g3 * g1) * k, -g3 * (1 - delta) * one], [g1 * k, (1 - delta) * one]])
    kick = np.vstack([-(g2 + g3 * g1) * one, g1 * one])
    columns = []
    for moment in np.eye(4 * d * d).reshape(-1, 2 * d, 2 * d):
        spread = k @ moment[:d, :d] @ k + coupled * k * np.trace(k @ moment[:d, :d])
        columns.append((step @ moment @ step.T + kick @ spread @ kick.T / batch).ravel())
    return np.array(columns).T, (kick @ k @ kick.T / batch).ravel(), np.kron([[1, 0], [0, 0]], k).ravel()


def radius(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


def test_kernel_norm_is_that_of_the_linear_system():
    """Finite if all modes are stable by themselves, then tr K C of a unit risk; below 1 if all together are."""
    rng, seen = np.random.default_rng(6), [0, 0, 0]
    for _ in range(300):
        eigenvalues, batch = rng.uniform(0.02, 1.2, 2), int(rng.choice([1, 2, 8, 1000]))
        at = Coefficients(*rng.uniform([0, 0, 0, 0], [2, 2, 0.7, rng.choice([1.0, 2.0])]))
        found = kernel_norm(Curvature(eigenvalues, np.ones(2), 2), batch, at)
        matrix, force, risk = system(eigenvalues, batch, at, coupled=False)
        assert np.isfinite(found) == (radius(matrix) < 1)
        assert (found < 1) == (radius(system(eigenvalues, batch, at)[0]) < 1)
        if np.isfinite(found):
            assert found == pytest.approx(risk @ np.linalg.solve(np.eye(16) - matrix, force), rel=1e-8)
        seen[0 if found < 1 else 1 if np.isfinite(found) else 2] += 1
    assert min(seen) > 20


def test_leading_order_is_the_limit_of_small_steps_for_any_decay():
    """Off by a multiple of the step size, from decays much longer than the modes' to no memory at all."""
    curvature = Curvature(np.array([1.0, 0.1, 1e-3]), np.array([1.0, 2.0, 5.0]), 8)
    for power in (0.0, 0.5, 1.0, 2.0, 4.0):  # Delta = small^power: 1, above, like, and below gamma_2 l
        for weight in (0.0, 0.3, 30.0):
            off = []
            for small in (1e-3, 1e-4):
                delta = small**power
                at = Coefficients(0.7, small, weight * small * (delta + small), delta)
                off.append(kernel_norm(curvature, 3, at) / leading_kernel_norm(curvature, 3, at) - 1)
            assert abs(off[0]) < 40 * 1e-3
            assert abs(off[1]) < 0.15 * abs(off[0])


def test_leading_order_by_hand():
    """gamma1 gamma3 = 0.06, B = 5, at two curvatures."""
    curvature = Curvature(np.array([2.0, 0.5]), np.array([1.0, 3.0]), 4)
    by_hand = 2.0 * (0.1 + 0.06 / (0.05 + 0.2)) + 1.5 * (0.1 + 0.06 / (0.05 + 0.05))
    assert leading_kernel_norm(curvature, 5, Coefficients(0.3, 0.1, 0.2, 0.05)) == pytest.approx(by_hand / 10)


def test_momentum_that_nothing_ends():
    """gamma2 = Delta = 0: no bound is kept; where the momentum moves nothing, its decay does not matter."""
    curvature = Curvature(np.array([1.0, 0.5]), np.ones(2), 2)
    for norm in (kernel_norm, leading_kernel_norm):
        assert norm(curvature, 10**6, Coefficients(1.0, 0.0, 1e-9, 0.0)) == np.inf
        assert norm(curvature, 10, Coefficients(1.0, 0.0, 0.0, 0.0)) == 0.0
        for at in ((1.0, 0.1, 0.0, 0.0), (0.0, 0.1, 0.3, 0.5), (0.0, 0.1, 0.3, 7.0)):
            assert norm(curvature, 10, Coefficients(*at)) == norm(curvature, 10, Coefficients(0.0, 0.1, 0.0, 1.0)) > 0
    assert kernel_norm(curvature, 10, Coefficients(1.0, 0.1, 1e-9, 2.0)) == np.inf


def test_the_largest_of_an_interval_is_found():
    """Also of one of 7 %, of all, and of none; never outside of the bounds."""
    for low, high in ((1e-3, 2e5), (3.0, 3.21), (1e-12, 1e-11), (0.5, 1e9)):
        asked = []
        found = largest_below_one(lambda x: asked.append(x) or (0.5 if low < x < high else 2.0), 1e-12, 1e9)  # noqa: B023
        assert found == (pytest.approx(high, rel=3e-12) if high < 1e9 else pytest.approx(1e9, rel=3e-12))
        assert min(asked) >= 1e-12
        assert max(asked) <= 1e9
    assert largest_below_one(lambda x: 0.5, 1.0, 2.0) == np.inf
    assert largest_below_one(lambda x: 1.0, 1e-6, 1e6) is None


def test_a_default_rate_is_above_those_that_the_momentum_makes_unstable():
    """A given gamma3 and a small Delta: gamma2 must be large enough, too, and where none is the user is told."""
    curvature = Curvature(np.array([0.9, 0.3, 0.05]), np.ones(3), 3)
    algorithm = SGDMomentum(momentum_rate=0.02, decay=1e-3)
    rate = algorithm.rule(curvature).gamma2
    assert algorithm.model_copy(update={"learning_rate": rate / 50}).norm_at(curvature, 0) > 1
    assert algorithm.norm_at(curvature, 0) < 1
    assert algorithm.model_copy(update={"learning_rate": 2.001 * rate}).norm_at(curvature, 0) > 1
    with pytest.raises(ParameterError, match="momentum_rate or momentum must be smaller, or learning_rate given"):
        SGDMomentum(momentum_rate=5.0, decay=1e-3).rule(curvature)


def test_a_broken_bound_says_by_what_factor_and_what_helps():
    curvature = Curvature(np.array([0.5, 2.0, 0.1]), np.ones(3), 3)
    assert broken_bound(curvature, 1, Coefficients(0.0, 0.2, 0.0, 1.0), 7) == ""
    at = Coefficients(0.0, 0.45, 0.0, 1.0)
    text, norm = broken_bound(curvature, 1, at, 7), kernel_norm(curvature, 1, at)
    assert "must be smaller, or batch_size larger: the kernel norm at step 7 must be below 1" in text
    assert f"is {norm:.6g} (gamma1 = 0, gamma2 = 0.45" in text
    text = broken_bound(curvature, 3, Coefficients(0.0, 0.9, 0.0, 1.0), 7)  # 2 B/(B + 1) = 1.5
    assert "or batch_size larger" in text
    assert "is inf, for the mode of curvature 2 alone exceeds its limit 1.2 times" in text
    text = broken_bound(curvature, 3, Coefficients(0.0, 1.1, 0.0, 1.0), 7)
    assert "batch_size larger" not in text
    text = broken_bound(curvature, 10**9, Coefficients(1.0, 0.0, 6.0, 0.5), 7)  # eta l < 2 (1 + rho)
    assert "curvature 2 alone exceeds its limit 4 times" in text
