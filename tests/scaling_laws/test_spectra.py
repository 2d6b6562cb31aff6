"""Given spectra: the problem, its groups, and the three methods that answer for it."""

import numpy as np
import pytest

from analytic.scaling_laws import solve
from analytic.scaling_laws._recursion import Nodes, recursion
from dynamics.algorithms import SGD, DanaDecaying, HeavyBall
from dynamics.errors import DivergenceError, ParameterError
from dynamics.results import rebuild
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from figures import compare
from simulations.scaling_laws import simulate

LAW = PowerLawSpectrum(alpha=0.8, beta=0.6, dimension=60, floor=0.02, noise=0.3)


def test_the_problem_by_hand():
    j = np.arange(1, 61.0)
    assert LAW.initial_risk == pytest.approx(0.02 + (j**-2.8).sum(), rel=1e-13)
    assert LAW.curvature.trace == pytest.approx((j**-1.6).sum(), rel=1e-13)
    assert (LAW.curvature.dimension, LAW.curvature.alpha, LAW.curvature.beta) == (60, 0.8, 0.6)
    assert rebuild(LAW.to_json()) == LAW
    assert PowerLawSpectrum(dimension=10**15).groups.multiplicity.sum() == pytest.approx(1e15, rel=1e-12)


def test_theory_of_the_law_is_that_of_its_modes():
    j = np.arange(1, 3001.0)
    law = PowerLawSpectrum(alpha=0.8, beta=0.6, dimension=3000, floor=0.02, noise=0.3)
    modes = Spectrum(eigenvalues=j**-1.6, initial_error=j**-1.2, floor=0.02, noise=0.3)
    rates = {"learning_rate": 0.2, "momentum_rate": 0.01, "momentum_exponent": 0.6, "decay": 4}
    times = [0, 1, 10, 100, 1000, 4000]
    one, two = (solve(problem, DanaDecaying(**rates), times, method="recursion") for problem in (law, modes))
    np.testing.assert_allclose(one.risk, two.risk, rtol=1e-12)
    np.testing.assert_allclose(one.momentum_norm, two.momentum_norm, rtol=1e-12)
    groups = law.groups
    nodes = Nodes(groups.eigenvalue, groups.error**2, groups.multiplicity, 0.02, 0.09)
    of_groups = recursion(nodes, DanaDecaying(**rates).rule(law.curvature), 1, np.array(times), 0.0)
    np.testing.assert_allclose(of_groups.risk, two.risk, rtol=2e-10)
    np.testing.assert_allclose(of_groups.momentum_norm, two.momentum_norm, rtol=2e-10)


@pytest.mark.parametrize("method", ["diagonal", "grouped"])
@pytest.mark.parametrize("algorithm", [SGD(batch_size=4), DanaDecaying(batch_size=4)], ids=lambda one: one.label)
def test_runs_agree_with_the_recursion(method, algorithm):
    """At a false alarm of 1e-6/4 each; a tenth of the risk would be seen at most times."""
    times = [0, 1, 3, 10, 100, 1000]
    runs = simulate(LAW, algorithm, times, runs=400, seed=4, method=method)
    found = compare(solve(LAW, algorithm, times, method="recursion"), runs, false_alarm=2.5e-7)
    assert found.attrs["verdict"] == "agree"
    risk = found.sel(variable="risk")
    assert np.median((risk.detectable / risk.theory).values[1:]) < 0.5


def test_groups_of_a_given_spectrum_are_answered_for_too():
    repeated = Spectrum(eigenvalues=[1.0, 0.2, 0.2, 0.2], initial_error=[1, 2, 0, 3], floor=0.1)
    times = [0, 1, 10, 50]
    runs = simulate(repeated, SGD(batch_size=2), times, runs=400, method="grouped")
    assert compare(solve(repeated, SGD(batch_size=2), times, method="recursion"), runs).attrs["verdict"] == "agree"


def test_same_bits_for_any_threads_and_subsets():
    options = {"seed": 9, "method": "grouped"}
    whole = simulate(LAW, DanaDecaying(), [1, 5, 90], runs=6, workers=1, **options)
    threads = simulate(LAW, DanaDecaying(), [1, 5, 90], runs=6, workers=2, **options)
    part = simulate(LAW, DanaDecaying(), [5, 90], runs=2, first_run=3, **options)
    assert whole.risk.values.tobytes() == threads.risk.values.tobytes()
    assert whole.risk.values[3:5, 1:].tobytes() == part.risk.values.tobytes()


def test_divergence_of_groups_says_which_bound_broke():
    with pytest.raises(DivergenceError, match=r"run 0 diverged at step \d+: .*kernel norm at step \d+ must be below 1"):
        simulate(LAW, HeavyBall(learning_rate=1.2, momentum=0.9), [3000], runs=1, method="grouped")


def test_random_features_have_no_groups_and_laws_no_equivalent():
    with pytest.raises(ParameterError, match="must have a given spectrum; PowerLawRandomFeatures has not"):
        _ = PowerLawRandomFeatures().groups
    with pytest.raises(ParameterError, match="use method='recursion'"):
        solve(LAW, SGD(), [1])
