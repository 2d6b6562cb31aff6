"""The best dimension for a compute budget: against all dimensions where they are few, and against the power laws."""

import numpy as np
import pytest

from analytic.scaling_laws import exponents, solve
from analytic.scaling_laws._optimal import compute_optimal
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying, HeavyBall
from dynamics.errors import ParameterError
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum

ALGORITHMS = pytest.mark.parametrize(
    "algorithm", [SGD(), DanaConstant(), DanaDecaying()], ids=lambda algorithm: algorithm.label
)


def risks(problem, algorithm, compute, dimensions):
    """Risk of each dimension, in the order given; inf for what diverges or has no inputs of its own."""
    found = []
    for d in dimensions:
        try:
            sized = type(problem)(**{**dict(problem), "dimension": d})
            found.append(float(solve(sized, algorithm, [int(compute) // d]).risk[0]))
        except ParameterError:
            found.append(np.inf)
    return np.array(found)


@pytest.mark.parametrize(
    ("alpha", "beta", "compute", "algorithm"),
    [
        (0.8, 0.3, 10, SGD()),
        (0.8, 0.3, 10, DanaDecaying()),
        pytest.param(1.0, 0.7, 97, DanaConstant(), marks=pytest.mark.slow),
    ],
)
def test_all_dimensions_where_they_are_few(alpha, beta, compute, algorithm):
    problem = PowerLawRandomFeatures(alpha=alpha, beta=beta)
    found = compute_optimal(problem, algorithm, [compute])
    every = risks(problem, algorithm, compute, range(1, compute + 1))
    assert found.dimension[0] == np.argmin(every) + 1
    assert found.risk[0] == every.min()
    assert found.steps[0] == compute // (np.argmin(every) + 1)


@pytest.mark.slow
@ALGORITHMS
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.7), (0.8, 0.3), (1.0, 1.3), (0.4, 0.8)])
def test_all_dimensions_where_whole_numbers_matter(alpha, beta, algorithm):
    """At f = 1e4, in a wide range; between two neighbours with as many steps the larger is never worse."""
    problem = PowerLawRandomFeatures(alpha=alpha, beta=beta)
    found = compute_optimal(problem, algorithm, [10**4])
    every = risks(problem, algorithm, 10**4, range(20, 300))
    assert found.risk[0] == every.min()
    assert found.dimension[0] == np.argmin(every) + 20


@pytest.mark.slow
@pytest.mark.parametrize("compute", [850_000, 1_150_000])
def test_the_lower_of_two_minima(compute):
    """DANA-constant at (1.5, 3) has one near t ~ d^2 and one near t ~ d, which change places at 1e6."""
    problem, algorithm = PowerLawRandomFeatures(alpha=1.5, beta=3.0), DanaConstant()
    sizes = np.geomspace(90, 1000, 11).astype(int)
    curve = risks(problem, algorithm, compute, sizes)
    minima = np.flatnonzero((curve[1:-1] < curve[:-2]) & (curve[1:-1] < curve[2:])) + 1
    assert minima.size == 2
    best = sizes[curve.argmin()]
    assert (best > 300) == (compute < 10**6)
    found = compute_optimal(problem, algorithm, [compute])
    assert curve.min() * 0.995 < found.risk[0] <= curve.min()
    assert found.dimension[0] == pytest.approx(best, rel=0.15)


@pytest.mark.slow
def test_no_neighbour_is_better():
    """At f = 1e9 to the accuracy of the integrator, within 1 per cent and at distances up to a factor of 2."""
    problem, algorithm = PowerLawRandomFeatures(alpha=0.8, beta=0.6, ambient_ratio=2.5), HeavyBall(batch_size=4)
    found = compute_optimal(problem, algorithm, [1e9])
    best, least = int(found.dimension[0]), float(found.risk[0])
    near = risks(problem, algorithm, 10**9, [round(best * factor) for factor in (0.98, 0.99, 1.01, 1.02)])
    assert (near >= least * (1 - 1e-4)).all()
    far = risks(problem, algorithm, 10**9, [round(best * factor) for factor in (0.5, 0.8, 1.25, 2.0)])
    assert (far > least * 1.005).all()
    sides = far[[0, 3]] / least - 1  # log P is nearly a parabola in log d: neither side is much steeper
    assert 0.5 < sides[0] / sides[1] < 2.0


@pytest.mark.slow
def test_a_given_number_of_inputs_limits_the_features():
    """With 24 inputs the best of all d < 24 may be 23, where hardly any floor is left; every d is compared."""
    problem = PowerLawRandomFeatures(alpha=0.7, beta=0.8, dimension=5, ambient_dimension=24)
    compute = [10**3, 10**6]
    found = compute_optimal(problem, SGD(), compute)
    for i, budget in enumerate(compute):
        every = risks(problem, SGD(), budget, range(1, 24))
        assert (found.dimension[i], found.risk[i]) == (np.argmin(every) + 1, every.min())
    assert found.dimension[-1] == 23


def test_a_ratio_of_inputs_and_label_noise_are_kept():
    """At a ratio of 1.3, d = 1 has no input of its own; noise of the labels makes fewer features better."""
    problem = PowerLawRandomFeatures(alpha=0.7, beta=0.8, ambient_ratio=1.3)
    algorithm = SGD(batch_size=8)
    found = compute_optimal(problem, algorithm, [30])
    every = risks(problem, algorithm, 30, range(1, 31))
    assert (found.dimension[0], found.risk[0]) == (np.argmin(every) + 1, every.min())
    noisy = compute_optimal(problem.model_copy(update={"noise": 0.5}), algorithm, [30])
    assert noisy.risk[0] > found.risk[0] * 1.05


def test_sizes_at_which_the_mean_diverges_are_left_out():
    """A given learning rate is stable up to some d, as the trace grows; d = 1 and 2 are unstable by default."""
    problem, algorithm = PowerLawRandomFeatures(alpha=0.4, beta=0.8), SGD(learning_rate=0.2)
    found = compute_optimal(problem, algorithm, [120])
    every = risks(problem, algorithm, 120, range(1, 45))
    assert np.isinf(every[-1])
    assert (found.dimension[0], found.risk[0]) == (np.argmin(every) + 1, every.min())
    problem = PowerLawRandomFeatures(alpha=1.0, beta=0.7)
    assert compute_optimal(problem, SGD(), [3]).dimension[0] == 3
    with pytest.raises(ParameterError, match=r"compute 2 allows no dimension .*: .* kernel norm"):
        compute_optimal(problem, SGD(), [2, 3])


def test_several_budgets_at_once_and_what_is_in_the_answer():
    """The scan is shared, but each budget has its own search; more compute is never worse."""
    problem, algorithm, compute = (
        PowerLawRandomFeatures(alpha=0.9, beta=0.6, dimension=7),
        DanaDecaying(),
        [20.5, 20.9, 150],
    )
    found = compute_optimal(problem, algorithm, compute)
    for i, budget in enumerate(compute):
        one = compute_optimal(problem, algorithm, [budget])
        assert (one.dimension[0], one.risk[0]) == (found.dimension[i], pytest.approx(float(found.risk[i]), rel=1e-5))
        d, t = int(found.dimension[i]), int(found.steps[i])
        assert d * t <= budget < d * (t + 1)
        exact = solve(problem.model_copy(update={"dimension": d}), algorithm, [t])
        assert found.risk[i] == pytest.approx(float(exact.risk[0]), rel=1e-4)
        assert found.risk_error[i] == pytest.approx(float(exact.risk_error[0]), rel=1e-3)
    assert found.risk[0] == found.risk[1] > found.risk[2]
    assert found.sizes == {"compute": 3}
    assert {
        "kind": "theory",
        "method": "deterministic_equivalent",
        "problem": problem.to_json(),
    }.items() <= found.attrs.items()
    assert [found[name].attrs["symbol"] for name in ("compute", "dimension", "steps", "risk")] == [
        "f",
        "d^*",
        "t^*",
        "P",
    ]


@pytest.mark.slow
@ALGORITHMS
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.7), (0.8, 0.3)])
def test_power_laws_from_1e14_to_1e16(alpha, beta, algorithm):
    """Phases II and Ia; measured differences are 1e-4 to 2.5e-3 for the loss, 1e-3 to 6e-3 for the size."""
    found = compute_optimal(PowerLawRandomFeatures(alpha=alpha, beta=beta), algorithm, [1e14, 1e16])
    law = exponents(alpha, beta, algorithm.label)
    assert -np.diff(np.log10(found.risk))[0] / 2 == pytest.approx(law.loss, abs=4e-3)
    assert np.diff(np.log10(found.dimension))[0] / 2 == pytest.approx(law.size, abs=0.01)


@pytest.mark.slow
def test_budgets_from_1e2_to_1e18():
    """No gap, no jump: d* grows, the local exponent of the loss tends to that of the law."""
    compute = 10.0 ** np.arange(2, 19, 2)
    found = compute_optimal(PowerLawRandomFeatures(alpha=1.0, beta=1.3), SGD(), compute)
    slopes = -np.diff(np.log10(found.risk)) / 2
    assert (np.diff(found.dimension) > 0).all()
    assert (np.abs(slopes[3:] - 0.75) < 0.01).all()
    assert slopes[-1] == pytest.approx(0.75, abs=2e-3)


@pytest.mark.parametrize(
    ("problem", "compute", "options", "words"),
    [
        (PowerLawSpectrum(), [10], {}, "problem must be PowerLawRandomFeatures"),
        (PowerLawRandomFeatures(), [0.5, 10], {}, "compute .* must be at least 1; got 0.5"),
        (PowerLawRandomFeatures(), [10, 10], {}, "compute must be strictly increasing"),
        (PowerLawRandomFeatures(), [], {}, "compute must be a non-empty"),
        (PowerLawRandomFeatures(), ["x"], {}, "compute must be numbers"),
        (PowerLawRandomFeatures(), [10], {"accuracy": 0.0}, "accuracy"),
        (PowerLawRandomFeatures(), [1e40], {}, "compute must be below"),
        (PowerLawRandomFeatures(dimension=2, ambient_dimension=5), [1e17], {}, "compute must be below"),
    ],
)
def test_bad_questions(problem, compute, options, words):
    with pytest.raises(ParameterError, match=words):
        compute_optimal(problem, SGD(), compute, **options)
