"""The three parametrisations, the times, and the form of every answer."""

import json
from importlib.metadata import version

import numpy as np
import pytest
import xarray as xr

import dynamics
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import (
    PROBLEMS,
    VARIABLES,
    PowerLawTeacherStudent,
    TeacherStudent,
    TwoScale,
    check_pair,
    check_problem,
    trained_blocks,
)
from dynamics.errors import DivergenceError, ParameterError
from dynamics.results import Variable, answer, rebuild
from dynamics.schedules import SoftplusDecay
from dynamics.times import check_increasing, check_times, log_steps
from figures import load, save

EPS = float(np.finfo(np.float64).eps)
FLOW, DESCENT = GradientFlow(), GradientDescent()


def test_blocks_of_the_two_scales():
    """p of d directions have singular value 1, the others 1/kappa; every power is 1."""
    blocks = TwoScale(samples=30, dimension=8, fast=3, condition_number=40).blocks
    np.testing.assert_allclose(blocks.variance, [1, 1 / 1600], rtol=2 * EPS)
    np.testing.assert_array_equal(blocks.fraction, [3 / 8, 5 / 8])
    np.testing.assert_array_equal(blocks.power, [1, 1])
    for fast in (0, 8):
        assert TwoScale(dimension=8, fast=fast).blocks.fraction.tolist() == [fast / 8, 1 - fast / 8]


def test_blocks_given_one_by_one():
    problem = TeacherStudent(variances=[2, 0.5, 0.1], fractions=[0.5, 0.3, 0.2], teacher_power=[0, 1, 4])
    np.testing.assert_array_equal(problem.blocks.variance, [2, 0.5, 0.1])
    np.testing.assert_array_equal(problem.blocks.fraction, [0.5, 0.3, 0.2])
    np.testing.assert_array_equal(problem.blocks.power, [0, 1, 4])
    assert problem.blocks.mean_power == pytest.approx(0.3 + 0.8, rel=4 * EPS)
    left_open = TeacherStudent(variances=[2, 0.5, 0.1]).blocks
    np.testing.assert_allclose(left_open.fraction, np.ones(3) / 3, rtol=EPS)
    np.testing.assert_array_equal(left_open.power, [1, 1, 1])


def test_fractions_sum_to_one_up_to_rounding():
    """0.1 + 0.2 + 0.7 and ten times 0.1 miss 1 by rounding; 1e-9 is no rounding."""
    assert TeacherStudent(variances=[1] * 10, fractions=[0.1] * 10).fractions == (0.1,) * 10
    with pytest.raises(ParameterError, match=r"fractions .* must sum to 1; got 1.000000001"):
        TeacherStudent(variances=[1, 2], fractions=[0.5, 0.500000001])


@pytest.mark.parametrize("exponent", [0.0, 0.7, 2.5])
@pytest.mark.parametrize("dimension", [1, 2, 57])
def test_blocks_of_the_power_law(dimension, exponent):
    """Variance k^-a, power k^-b up to a factor, mean power 1 (d roundings)."""
    problem = PowerLawTeacherStudent(dimension=dimension, variance_exponent=1.3, teacher_exponent=exponent)
    blocks = problem.blocks
    assert [part.shape for part in blocks] == [(dimension,)] * 3
    for k in (1, 2, dimension):
        if k <= dimension:
            assert blocks.variance[k - 1] == pytest.approx(k**-1.3, rel=4 * EPS)
            assert blocks.power[k - 1] / blocks.power[0] == pytest.approx(k**-exponent, rel=8 * EPS)
    assert blocks.mean_power == pytest.approx(1, rel=(dimension + 4) * EPS)
    np.testing.assert_array_equal(blocks.fraction, np.full(dimension, 1 / dimension))
    np.testing.assert_array_equal(problem.directions(), np.ones(dimension))


@pytest.mark.parametrize("cls", PROBLEMS)
def test_what_all_problems_share(cls):
    problem = cls(samples=90, dimension=60, noise=0.3)
    assert problem.sampling_ratio == 1.5
    blocks = problem.blocks
    assert blocks.fraction.sum() == pytest.approx(1, rel=60 * EPS)
    assert len({part.shape for part in blocks}) == 1
    assert all(part.dtype == np.float64 for part in blocks)
    directions = problem.directions()
    assert directions.dtype == np.int64
    assert directions.sum() == 60


def test_directions_are_whole_numbers():
    assert TwoScale(dimension=7, fast=3).directions().tolist() == [3, 4]
    assert TwoScale(dimension=7, fast=0).directions().tolist() == [0, 7]
    rounded = TeacherStudent(variances=[1, 2, 3], fractions=[0.07, 0.29, 0.64], dimension=100)
    assert (0.07 * 100, 0.29 * 100) == (7.000000000000001, 28.999999999999996)
    assert rounded.directions().tolist() == [7, 29, 64]
    with pytest.raises(ParameterError, match=r"block 1 would have 2\.8 of the 14"):
        TeacherStudent(variances=[1, 2, 3], fractions=[0.5, 0.2, 0.3], dimension=14).directions()
    with pytest.raises(ParameterError, match="whole numbers of directions"):
        TeacherStudent(variances=[1, 2], dimension=7).directions()


def test_rates_rescale_variances_only():
    problem = TeacherStudent(variances=[2, 0.5], fractions=[0.3, 0.7], teacher_power=[3, 4])
    for algorithm in (GradientFlow(rates=[10, 0.25]), GradientDescent(rates=[10, 0.25])):
        blocks = trained_blocks(problem, algorithm)
        np.testing.assert_array_equal(blocks.variance, [20, 0.125])
        np.testing.assert_array_equal(blocks.fraction, problem.blocks.fraction)
        np.testing.assert_array_equal(blocks.power, problem.blocks.power)
    np.testing.assert_array_equal(trained_blocks(problem, FLOW).variance, [2, 0.5])
    with pytest.raises(ParameterError, match=r"rates \(.*\) must be one per block, 2; got 3"):
        trained_blocks(problem, GradientFlow(rates=[1, 2, 3]))
    for algorithm in (GradientFlow(rates=[1, 2], l2=0.25), GradientDescent(rates=[1, 2], l2=SoftplusDecay())):
        with pytest.raises(ParameterError, match=r"rates .* combined with l2: .* got 'rates \(1\.0, 2\.0\), l2"):
            trained_blocks(problem, algorithm)
    with pytest.raises(ParameterError, match=r"rates .* in \[1e-60, 1e60\]"):
        trained_blocks(problem.model_copy(update={"variances": [1e-40, 1.0]}), GradientFlow(rates=[1e-40, 1.0]))


def test_pairs_that_have_no_meaning_here_are_refused():
    for cls in PROBLEMS:
        check_pair(cls(), FLOW)
        check_pair(cls(), DESCENT)
        check_problem(cls())
    have = "TwoScale, TeacherStudent, PowerLawTeacherStudent for double descent; got"
    for wrong, name in ((FLOW, "GradientFlow"), (None, "NoneType"), (TwoScale, "ModelMetaclass")):
        with pytest.raises(ParameterError, match=f"problem must be one of {have} {name}"):
            check_pair(wrong, FLOW)
        with pytest.raises(ParameterError, match=f"problem must be one of {have} {name}"):
            check_problem(wrong)
    with pytest.raises(ParameterError, match=r"algorithm must be one of GradientFlow, GradientDescent .* got TwoScale"):
        check_pair(TwoScale(), TwoScale())


@pytest.mark.parametrize("algorithm", [FLOW, DESCENT], ids=["flow", "descent"])
@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([], "non-empty"), ([[1, 2]], "shape .1, 2."), ([1, 3, 3], "strictly increasing; got 3 at index 2"),
        ([3, 2], "strictly increasing; got 2 at index 1"), ([-1, 0], "not negative; got -1 at index 0"),
        ([0, np.nan], "finite; got nan at index 1"), ([0, np.inf], "finite; got inf at index 1"),
        (["a"], "numbers; got"), ([1j], "numbers; got"), ([10**400], "numbers; got"), (["1", "2"], "numbers; got"),
        (True, "numbers; got True"), (np.array([1 + 0j]), "numbers; got"), (np.datetime64("2020"), "numbers; got"),
        ([[1], [2, 3]], "numbers; got"), ([10**5000], "numbers; got .an integer"), ("abc" * 999, r"a\.\.\.b"),
    ],
)  # fmt: skip
def test_times_that_are_none(algorithm, times, words):
    with pytest.raises(ParameterError, match=f"^times must be .*{words}"):
        check_times(times, algorithm)


def test_times_of_flow_and_descent():
    assert check_times([0, 0.5, 1e19], FLOW).tolist() == [0, 0.5, 1e19]
    assert check_times(5, FLOW).tolist() == [5]
    steps = check_times([0, 3.0, 1e12, 2**53 - 1], DESCENT)
    assert steps.dtype == np.int64
    assert steps.tolist() == [0, 3, 10**12, 2**53 - 1]
    with pytest.raises(ParameterError, match=r"whole numbers of steps for gradient-descent; got 1.5 at index 1"):
        check_times([0, 1.5], DESCENT)
    for late in (2**53, 2**53 + 1, 2**63):  # 2^53 + 1 is no float: it would be taken for its neighbour
        with pytest.raises(ParameterError, match=r"below 2\^53 steps; got .* at index 1"):
            check_times([1, late], DESCENT)
    with pytest.raises(ParameterError, match=r"^penalties must be strictly increasing"):
        check_increasing("penalties", [1, 0.5])


@pytest.mark.parametrize(("last", "count"), [(10, 4), (1000, 50), (10**15, 31), (7, 2), (123_456, 1)])
def test_log_steps(last, count):
    """Whole, distinct, from 1 to ``last``; where whole numbers are dense, ratios are equal up to rounding, 1/step."""
    steps = log_steps(last, count)
    assert steps.dtype == np.int64
    assert steps[-1] == last
    assert steps[0] == (1 if count > 1 else last)
    assert np.all(np.diff(steps) > 0)
    assert steps.size <= count
    dense = steps[steps > 100]
    if dense.size > 2:
        ratio = last ** (1 / (count - 1))
        np.testing.assert_allclose(dense[1:] / dense[:-1], ratio, rtol=1 / 100)


def test_log_steps_of_few_and_of_none():
    assert log_steps(5, 100).tolist() == [1, 2, 3, 4, 5]
    assert log_steps(1, 1).tolist() == [1]
    assert log_steps(1000, 7).tolist() == [1, 3, 10, 32, 100, 316, 1000]
    assert log_steps(2**53 - 1, 3).tolist() == [1, 94906266, 2**53 - 1]
    with pytest.raises(ParameterError, match=r"^last must be below 2\^53; got 9007199254740992$"):
        log_steps(2**53, 3)
    for last, count, name in ((0, 3, "last"), (3.5, 3, "last"), (3, 0, "count"), (3, True, "count")):
        with pytest.raises(ParameterError, match=f"^{name} must be a whole number, at least 1"):
            log_steps(last, count)


def an_answer(algorithm=DESCENT, seed=7):
    problem = TeacherStudent(samples=9, variances=[1 / 3, 1e-17])
    values = np.array([0.1, np.nan, 1 / 3])
    variables = {"alignment": (("time",), values), "alignment_error": (("time",), values), "own": (("time",), values)}
    return problem, answer(
        problem, algorithm, variables, {"time": np.array([1, 2, 10**15])},
        kind="simulation", method="eigenbasis", seed=seed, names=VARIABLES, runs=12,
    )  # fmt: skip


def test_an_answer_says_where_it_came_from():
    problem, data = an_answer()
    assert rebuild(data.attrs["problem"]) == problem
    assert rebuild(data.attrs["algorithm"]) == DESCENT
    assert {name: data.attrs[name] for name in ("kind", "method", "seed", "runs", "version")} == {
        "kind": "simulation", "method": "eigenbasis", "seed": 7, "runs": 12, "version": dynamics.__version__,
    }  # fmt: skip
    libraries = json.loads(data.attrs["libraries"])
    assert libraries["learning-dynamics"] == dynamics.__version__
    assert libraries["python"].count(".") == 2
    for name in ("numpy", "scipy", "numba", "xarray"):
        assert libraries[name] == version(name)
    assert data["alignment"].attrs == {"symbol": "R", "long_name": "alignment of student and teacher"}
    assert data["alignment_error"].attrs["symbol"] == r"\Delta R"
    assert "alignment of student" in data["alignment_error"].attrs["long_name"]
    assert data["own"].attrs == {}
    assert data["time"].attrs["symbol"] == "t"
    without = an_answer(algorithm=None, seed=None)[1]
    assert not {"algorithm", "seed"} & set(without.attrs)
    assert "seed" in an_answer(seed=0)[1].attrs


def test_a_name_that_ends_in_error_is_found_before_its_stem():
    names = {"training_error": Variable("E_T", "training error"), "training": Variable("x", "no")}
    data = answer(TwoScale(), None, {"training_error": ((), 1.0)}, {}, kind="theory", method="exact", names=names)
    assert data["training_error"].attrs["symbol"] == "E_T"


def test_an_answer_comes_back_from_its_file_as_it_was(tmp_path):
    problem, data = an_answer()
    back = load(save(data, tmp_path / "answer.nc"))
    xr.testing.assert_identical(back, data)
    assert back["time"].dtype == np.int64
    assert rebuild(back.attrs["problem"]) == problem
    assert rebuild(back.attrs["algorithm"]) == DESCENT


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not the description"), ("[]", "not the description"), ("3", "not the description"),
        ("null", "not the description"), (None, "not the description"), ("{}", "not the description"),
        ('{"class": 1}', "not the description"), ('{"class": "dynamics.nothing:X"}', "not the description"),
        ('{"class": "dynamics.double_descent:Nothing"}', "no attribute 'Nothing'"),
        ('{"class": "os:system"}', "must come from dynamics; got 'os'"),
        ('{"class": "dynamicsx:X"}', "must come from dynamics; got 'dynamicsx'"),
        ('{"class": "figures.cli:main"}', "must come from dynamics; got 'figures.cli'"),
        ("[" * 10**5, "not the description"), (b"\xff", "not the description"),
        ('{"class": "dynamics.double_descent:TwoScale", "self": 1}', "self is not a parameter of TwoScale"),
        ('{"class": "dynamics.results:importlib"}', "importlib is no problem"),
        ('{"class": "dynamics.errors:ParameterError"}', "ParameterError is no problem"),
        ('{"class": "dynamics.double_descent:check_pair"}', "check_pair is no problem"),
        ('{"class": "dynamics.double_descent:Problem"}', "Problem is no problem"),
        ('{"class": "dynamics.double_descent:TwoScale", "nois": 1}', "nois is not a parameter of TwoScale"),
        ('{"class": "dynamics.double_descent:TwoScale", "noise": -1}', "noise .* must be at least 0; got -1"),
    ],
)  # fmt: skip
def test_foreign_text_is_refused(text, words):
    with pytest.raises(ParameterError, match=words):
        rebuild(text)


def test_every_variable_has_symbol_and_meaning():
    assert all(item.symbol and item.meaning and "$" not in item.symbol for item in VARIABLES.values())
    assert len({item.symbol for item in VARIABLES.values()}) == len(VARIABLES)


def test_the_two_errors():
    error = DivergenceError("away", step=3, bound="eta < 2")
    assert (str(error), error.step, error.bound, error.partial) == ("away", 3, "eta < 2", None)
    assert isinstance(error, ArithmeticError)
    assert issubclass(ParameterError, ValueError)
