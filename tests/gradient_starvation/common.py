"""What the tests of coupled features share.

``reference.json`` holds fixed points and sensitivities from Newton's method with 40 digits and central differences,
dual trajectories with 25 digits, and primal ones of two integrators that agree to 1e-10; tolerances are inside.
"""

import json
from pathlib import Path

import mpmath
import numpy as np

from dynamics.gradient_starvation import CoupledFeatures

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
CASES = REFERENCE["cases"]
NAMES = [case["name"] for case in CASES]


def of_case(case, penalty="l2"):
    """The problem of a case with its L2 penalty, or with spectral decoupling instead."""
    l2, decoupling = (case["lam_l2"], 0.0) if penalty == "l2" else (0.0, case["lam_sd"])
    strengths = np.sqrt(case["s_squared"])
    return CoupledFeatures(strengths=strengths, coupling=case["U"], l2=l2, decoupling=decoupling)


def orthonormal(rng, n, r):
    """A random matrix U."""
    return np.linalg.qr(rng.standard_normal((n, r)))[0]


def random_problem(rng, n, r, *, l2, decoupling=0.0, spread=3.0):
    """Random coupling, strengths over a factor ``spread`` either way."""
    strengths = np.exp(rng.uniform(-1, 1, r) * np.log(spread))
    return CoupledFeatures(strengths=strengths, coupling=orthonormal(rng, n, r).tolist(), l2=l2, decoupling=decoupling)


def precise(presence, square, l2, decoupling, digits=60):
    """Fixed point z by Newton's method from 0 with many digits: (l2/s^2 + decoupling) z = U^T sigma(-U z)."""
    with mpmath.workdps(digits):
        r = presence.shape[1]
        u = mpmath.matrix(presence.tolist())
        for _ in range(4):  # orthonormal to all digits, as is meant
            u = u * (3 * mpmath.eye(r) - u.T * u) / 2
        p = [mpmath.mpf(l2) / one + decoupling for one in map(mpmath.mpf, square)]
        z = mpmath.matrix(r, 1)
        value = loss_of(u, p, z)
        for _ in range(500):
            alpha = [1 / (1 + mpmath.exp(margin)) for margin in u * z]
            gradient = u.T * mpmath.matrix(alpha) - mpmath.diag(p) * z
            curved = mpmath.diag(p) + u.T * mpmath.diag([a * (1 - a) for a in alpha]) * u
            step = mpmath.lu_solve(curved, gradient)
            while loss_of(u, p, z + step) > value and mpmath.norm(step) > mpmath.mpf(10) ** (-digits // 2):
                step /= 2
            z, value = z + step, loss_of(u, p, z + step)
            if mpmath.norm(step, mpmath.inf) <= mpmath.mpf(10) ** (8 - digits) * mpmath.norm(z, mpmath.inf):
                return z
    raise AssertionError("no convergence")


def loss_of(u, p, z):
    """The function that the fixed point minimises."""
    return (
        sum(mpmath.log1p(mpmath.exp(-margin)) for margin in u * z)
        + sum(a * b**2 for a, b in zip(p, z, strict=True)) / 2
    )
