"""The contour: right roots, the quadrature's own error estimate, and refusals."""

import numpy as np
import pytest

from analytic.double_descent import solve
from analytic.double_descent._contour import choose_nodes, contour
from analytic.double_descent._exact import spectrum_of
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.errors import ParameterError
from dynamics.filters import spectral_filters


def around(problem, times):
    spectrum, flow = spectrum_of(problem), GradientFlow()
    nodes, error, encloses = choose_nodes(spectrum, lambda x: spectral_filters(flow, x, times), times[-1], 1e-12)
    return spectrum, contour(spectrum, nodes, encloses), error


@pytest.mark.parametrize("samples", [5, 60, 99, 100, 101, 250])
@pytest.mark.parametrize("variances", [[1.0], [3.0, 1e-3], [1.0, 0.3, 1e-2, 1e-6]])
def test_zeta_is_the_physical_root_of_the_polynomial(samples, variances):
    """z prod(s2_b + zeta) + zeta [alpha prod - sum_b w_b s2_b prod_{c != b}] = 0 has one root with Im z Im zeta < 0 and
    df2(zeta, conj zeta) < alpha; numpy's companion matrix finds all of them to about 1e-9 relative.
    """
    count = len(variances)
    fraction = np.arange(1, count + 1) / (count * (count + 1) / 2)
    problem = TeacherStudent(samples=samples, dimension=100, variances=variances, fractions=fraction)
    spectrum, found, _ = around(problem, np.geomspace(0.1, 1e4, 9))
    s2, w, alpha = spectrum.blocks.variance, spectrum.blocks.fraction, samples / 100
    for z, zeta in zip(found.z[::7], found.zeta[::7], strict=True):
        if z == 0:  # the null space's own node
            np.testing.assert_allclose(w @ (s2 / (s2 + zeta)), alpha, rtol=1e-12)
            continue
        whole = np.poly(-s2)
        lost = sum(w[b] * s2[b] * np.poly(-np.delete(s2, b)) for b in range(s2.size))
        roots = np.roots(np.polyadd(z * whole, np.polymul([1.0, 0.0], np.polysub(alpha * whole, lost))))
        df2 = np.array([w @ (s2**2 / abs(s2 + root) ** 2) for root in roots])
        physical = roots[(roots.imag * z.imag < 0) & (df2 < alpha * (1 + 1e-9))]
        assert physical.size == 1
        np.testing.assert_allclose(zeta, physical[0], rtol=1e-6)
        np.testing.assert_allclose(-zeta * (alpha - w @ (s2 / (s2 + zeta))), z, rtol=1e-9)


@pytest.mark.parametrize("accuracy", [1e-4, 1e-8, 1e-12])
def test_accuracy_asked_for_is_reached_and_paid_for(accuracy):
    problem = TwoScale(samples=80, dimension=100, fast=50, condition_number=200.0, noise=0.3)
    times = np.geomspace(1e-2, 1e7, 60)
    best = solve(problem, GradientFlow(), times, accuracy=1e-14)
    rough = solve(problem, GradientFlow(), times, accuracy=accuracy)
    for name in ("alignment", "norm", "generalization_error", "training_error"):
        assert float(abs(best[name] - rough[name]).max()) <= 10 * accuracy


def test_the_contour_flattens_for_large_steps():
    """At 0.99 of the stability bound the filter grows away from the axis; the answer still meets the flow's late "
    "limit."""
    problem = TwoScale(samples=150, dimension=100, fast=60, condition_number=3.0, noise=0.2)
    right = spectrum_of(problem).edges()[1]
    descent = GradientDescent(learning_rate=1.98 / right)
    late = solve(problem, descent, [10**6])
    np.testing.assert_allclose(late["generalization_error"], 0.04 / (2 * 0.5), rtol=1e-10)
    np.testing.assert_allclose(late["alignment"], 1.0, rtol=1e-10)


def test_what_cannot_be_done_is_refused():
    problem = TwoScale()
    for accuracy in (0.0, 1e-16, 0.1, np.nan):
        with pytest.raises(ParameterError, match="accuracy"):
            solve(problem, GradientFlow(), [1.0], accuracy=accuracy)
    right = spectrum_of(problem).edges()[1]
    with pytest.raises(ParameterError, match=r"learning_rate \(step size\) must be at most 2/"):
        solve(problem, GradientDescent(learning_rate=2.01 / right), [1])
