"""Ensembles of the simulation: the same bits in any order, what an answer says of itself, and what is refused."""

import numpy as np
import pytest

from dynamics import ParameterError
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import PowerLawTeacherStudent, TeacherStudent, TwoScale
from dynamics.results import rebuild
from simulations.double_descent import ridge, sample, simulate
from tests.double_descent.common import CURVES, TALL, same_bits


@pytest.mark.parametrize("teacher", ["sampled", "averaged"])
def test_bits_do_not_depend_on_workers_or_on_the_subset(teacher):
    problem, times = TwoScale(samples=60, dimension=50, fast=30, noise=0.2), np.geomspace(0.1, 1e4, 20)

    def run(**options):
        return simulate(problem, GradientFlow(), times, seed=13, teacher=teacher, **options)

    alone = run(runs=6, workers=1)
    assert same_bits(alone, run(runs=6, workers=2))
    assert same_bits(alone, run(runs=6, workers=4))
    assert same_bits(alone.isel(run=slice(2, 5)), run(runs=3, first_run=2, workers=2))
    path = ridge(problem, [0.0, 1.0], runs=6, seed=13, teacher=teacher, workers=1)
    part = ridge(problem, [0.0, 1.0], runs=2, first_run=4, seed=13, teacher=teacher, workers=2)
    assert same_bits(path.isel(run=slice(4, 6)), part)


def test_a_teacher_is_the_same_for_any_number_of_teachers():
    one = simulate(TALL, GradientFlow(), [2.0], runs=3, seed=1)
    three = simulate(TALL, GradientFlow(), [2.0], runs=3, seed=1, teachers=3)
    assert one.norm.dims == ("run", "time")
    assert three.norm.dims == ("run", "teacher", "time")
    for name in CURVES:
        assert one[name].values.tobytes() == three[name].values[:, 0].tobytes()
        assert len(np.unique(three[name])) == 9


def test_answer_says_where_it_came_from():
    algorithm = GradientDescent(l2=0.1)
    runs = simulate(TALL, algorithm, [0, 5], runs=2, seed=17, first_run=4)
    assert runs.attrs["kind"] == "simulation"
    assert runs.attrs["method"] == "eigenbasis"
    assert runs.attrs["random_dimensions"] == "run"
    assert runs.attrs["own_default"] == "learning_rate"
    assert "own_default" not in simulate(TALL, GradientDescent(learning_rate=0.1), [0], runs=1).attrs
    assert simulate(TALL, algorithm, [0], runs=2, teachers=3).attrs["random_dimensions"] == "run teacher"
    assert (runs.attrs["seed"], runs.attrs["teacher"]) == (17, "sampled")
    assert (rebuild(runs.attrs["problem"]), rebuild(runs.attrs["algorithm"])) == (TALL, algorithm)
    assert runs.run.values.tolist() == [4, 5]
    assert runs.time.dtype == np.int64
    assert (runs.outcome == "finished").all()
    assert (runs.diverged_at == -1).all()
    assert "missing" not in runs.norm.attrs
    assert ridge(TALL, [1.0], runs=1).attrs["method"] == "ridge"


def test_power_law_problem_runs():
    problem = PowerLawTeacherStudent(samples=14, dimension=10, variance_exponent=1.5, teacher_exponent=0.5, noise=0.1)
    runs = simulate(problem, GradientFlow(), [1e12], runs=3)
    limit = ridge(problem, [0.0], runs=3)
    assert runs.norm.values == pytest.approx(limit.norm.values, rel=1e-8)


GOOD = {"problem": TALL, "algorithm": GradientDescent(), "times": [0, 1], "runs": 1}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"runs": 0}, "runs must be a whole number, at least 1; got 0"),
        ({"runs": 2.5}, "runs must be a whole number"),
        ({"seed": -1}, "seed must be a whole number, at least 0"),
        ({"seed": float("nan")}, "seed must be a whole number"),
        ({"teachers": True}, "teachers must be a whole number"),
        ({"first_run": -1}, "first_run must be a whole number, at least 0"),
        ({"workers": 0}, "workers must be a whole number, at least 1"),
        ({"test_samples": 0}, "test_samples must be a whole number, at least 1"),
        ({"method": "exact"}, "method must be one of eigenbasis, literal; got 'exact'"),
        ({"teacher": "mean"}, "teacher must be one of sampled, averaged; got 'mean'"),
        ({"on_divergence": "ignore"}, "on_divergence must be one of raise, mark"),
        ({"teacher": "averaged", "teachers": 2}, "teachers must be 1 where teacher is 'averaged'"),
        ({"teacher": "averaged", "test_samples": 9}, "test_samples needs teacher='sampled'"),
        ({"teacher": "averaged", "method": "literal"}, "method 'literal' needs teacher='sampled'"),
        ({"algorithm": GradientFlow(), "method": "literal"}, "method 'literal' needs gradient-descent"),
        ({"times": [0, 2 * 10**8], "method": "literal"}, "times must be at most 100000000 steps for method 'literal'"),
        ({"times": []}, "times must be a non-empty list"),
        ({"times": [1, 1]}, "times must be strictly increasing"),
        ({"times": [0.5]}, "times must be whole numbers of steps"),
        ({"times": [0, float("inf")]}, "times must be finite"),
        ({"algorithm": GradientDescent(rates=[1, 2])}, "rates .* must be one per block, 3; got 2"),
        ({"algorithm": TALL}, "algorithm must be one of GradientFlow, GradientDescent"),
        ({"problem": GradientFlow()}, "problem must be one of TwoScale"),
        ({"problem": TeacherStudent(samples=5, dimension=5)}, "fractions must give whole numbers of directions"),
        ({"problem": TwoScale(samples=10**6, dimension=10**5, fast=1)}, "this would need [0-9,]+ bytes"),
        ({"runs": 10**9}, "runs, .* must be smaller: this would need"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(changed, message):
    with pytest.raises(ParameterError, match=message):
        simulate(**(GOOD | changed))


@pytest.mark.parametrize("penalties", [[], [-1.0], [1.0, 0.5], [float("nan")], "x"])
def test_bad_penalties_are_refused(penalties):
    with pytest.raises(ParameterError, match="penalties must be"):
        ridge(TALL, penalties, runs=1)


def test_bad_samples_are_refused():
    for options, message in (
        ({"runs": 0}, "runs"),
        ({"runs": 10**9}, "bytes"),
        ({"runs": 1, "teachers": 0}, "teachers"),
    ):
        with pytest.raises(ParameterError, match=message):
            sample(TALL, **options)
    with pytest.raises(ParameterError, match="problem must be one of"):
        sample(GradientFlow(), runs=1)
