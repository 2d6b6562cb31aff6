"""The command line: exit codes, one-line errors, files, times, and what Ctrl-C leaves behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analytic.double_descent import edges
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TeacherStudent, TwoScale
from dynamics.errors import Interrupted, ParameterError
from dynamics.parameters import PositiveVector, parameter
from figures import load
from figures.cli import run
from figures.time_texts import read_times

ROOT = Path(__file__).parents[1]
SMALL = ["--samples", "24", "--dimension", "16", "--fast", "8", "--condition-number", "5", "--noise", "0.2"]
QUESTION = ["double-descent", *SMALL, "--runs", "12", "--times", "1,10,100"]


def test_compare_agrees_with_exit_code_0_and_json(capsys):
    assert run(["compare", *QUESTION, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "agree"
    assert [row["variable"] for row in said["variables"]] == [
        "alignment", "norm", "generalization_error", "training_error",
    ]  # fmt: skip
    assert said["runs"] == 12


def test_compare_disagrees_with_exit_code_1(capsys):
    # the published formula is off by 0.05, which 400 runs at d = 100 see beyond doubt
    words = ["compare", "double-descent", "--samples", "110", "--fast", "70", "--condition-number", "30"]
    words += ["--algorithm", "gradient-descent", "--method", "published", "--runs", "400", "--times", "100,300"]
    assert run(words) == 1
    assert capsys.readouterr().out.startswith("disagree: published against eigenbasis, 400 runs")


def test_default_step_is_the_same_number_for_theory_and_runs(capsys, tmp_path):
    words = ["compare", *QUESTION, "--algorithm", "gradient-descent", "--out", str(tmp_path / "c.nc")]
    assert run(words) == 0
    assert "left open" not in capsys.readouterr().out
    rate = json.loads(load(tmp_path / "c.nc").attrs["algorithm"])["learning_rate"]
    problem = TwoScale(samples=24, dimension=16, fast=8, condition_number=5)
    assert rate == 1 / edges(problem)[1]


def test_finite_theory_is_of_the_same_draws(capsys):
    assert run(["compare", *QUESTION, "--method", "finite"]) == 0
    assert "agree: finite against eigenbasis" in capsys.readouterr().out


def test_solve_and_simulate_write_what_python_gives(tmp_path):
    import analytic.double_descent
    import simulations.double_descent
    from dynamics.double_descent import TeacherStudent

    problem = TeacherStudent(samples=20, dimension=10, variances=[1, 0.1], fractions=[0.4, 0.6], noise=0.1)
    words = ["double-descent", "--problem", "teacher-student", "--samples", "20", "--dimension", "10", "--noise", "0.1"]
    words += ["--variances", "1,0.1", "--fractions", "0.4,0.6", "--l2", "0.01", "--times", "0,3.5"]
    flow = GradientFlow(l2=0.01)
    assert run(["solve", *words, "--out", str(tmp_path / "theory.nc")]) == 0
    expected = analytic.double_descent.solve(problem, flow, [0, 3.5])
    np.testing.assert_array_equal(load(tmp_path / "theory.nc")["norm"], expected["norm"])
    assert run(["simulate", *words, "--runs", "3", "--seed", "4", "--out", str(tmp_path / "runs.nc")]) == 0
    simulated = simulations.double_descent.simulate(problem, flow, [0, 3.5], runs=3, seed=4)
    back = load(tmp_path / "runs.nc")
    np.testing.assert_array_equal(back["norm"], simulated["norm"])
    assert back.attrs["problem"] == problem.to_json()


def test_compare_draws_a_picture(tmp_path):
    assert run(["compare", *QUESTION, "--picture", str(tmp_path / "c.png")]) == 0
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["compare", "doubledescent"], "did you mean double-descent?"),
        (["compare", "double-descent", "--problem", "two-scales"], "did you mean two-scale?"),
        (["compare", "double-descent", "--algorithm", "sgd"], "algorithm must be one of gradient-flow"),
        (["compare", "double-descent", "--method", "exakt"], "did you mean exact?"),
        (["compare", "double-descent", "--simulation", "literally"], "did you mean literal?"),
        (["compare", "double-descent", "--nois", "0.1"], "--nois"),
        (["compare", "double-descent", "--noise", "-1"], "noise (standard deviation of the label noise)"),
        (["compare", "double-descent", "--noise", "nan"], "noise (standard deviation of the label noise)"),
        (["compare", "double-descent", "--fast", "101"], "fast (number of fast feature directions)"),
        (["compare", "double-descent", "--condition-number", "0.5"], "at least 1"),
        (["compare", "double-descent", "--runs", "0"], "runs"),
        (["compare", "double-descent", "--times", "3,2"], "strictly increasing"),
        (["compare", "double-descent", "--times", "1:10"], "first:last:count"),
        (["compare", "double-descent", "--times", "nan"], "finite"),
        (["compare", "double-descent", "--times", "1:10:1e12"], "with a count of 2 to 1000000"),
        (["compare", "double-descent", "--times", "1:10:nan"], "with a count of 2 to 1000000"),
        (["compare", "double-descent", "--times", "1,2:5"], "or numbers with commas; got '1,2:5'"),
        (["compare", "double-descent", "--runs", "2.5"], "runs (number of independent runs) must be a whole number"),
        (["compare", "double-descent", "--seed", "-1"], "seed (seed of all random streams) must be at least 0"),
        (["compare", "double-descent", "--teacher", "mean"], "must be 'sampled' or 'averaged'; got 'mean'"),
        (["compare", "double-descent", "--method", ""], "method must be one of exact"),
        (["compare", "double-descent", "--out", "a.png", "--picture", "a.png"], "out and picture must be two files"),
        (["figure", "fig3x", "--seed", "1"], "figure must be one of"),
        (["figure", "fig3"], "did you mean double-descent/fig3?"),
        (["figure", "double-descent/fig3", "--seed", "1.5"], "seed must be a whole number"),
        (["compare", "double-descent", "--times", ""], "first:last:count"),
        (["solve", "double-descent", "--out", "missing/folder/a.nc"], "folder that can be written"),
        (["solve", "double-descent"], "--out"),
        (["figure"], "names must be at least one"),
        (["figure", "double-descent/fig2"], "did you mean double-descent/fig"),
        (["figures", "--paper", "arXiv:2112.0321"], "did you mean arXiv:2112.03215?"),
        (["figures", "--out", "/proc/none"], "out must be a folder that can be written"),
        (["plot"], "plot"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("dynamics: ")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_traceback_on_request_and_a_code_of_its_own_for_faults(capsys, monkeypatch):
    assert run(["compare", "double-descent", "--noise", "-1", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err

    def fault(*_, **__):
        raise TypeError("a fault of the program")

    monkeypatch.setattr("figures.comparison.compare", fault)
    assert run(["compare", *QUESTION]) == 70
    assert "a fault of the program" in capsys.readouterr().err


@pytest.mark.parametrize("problem", ["two-scale", "teacher-student", "power-law-teacher-student"])
@pytest.mark.parametrize("algorithm", ["gradient-flow", "gradient-descent"])
def test_every_problem_and_algorithm_with_nothing_but_defaults(problem, algorithm, capsys):
    words = [
        "compare",
        "double-descent",
        "--problem",
        problem,
        "--algorithm",
        algorithm,
        "--times",
        "1,10",
        "--runs",
        "1e1",
    ]
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("agree: exact against eigenbasis, 10 runs")
    assert run([*words, "--teacher", "averaged"]) == 0
    assert run([*words, "--method", "finite"]) == 0


def test_a_problem_with_a_required_parameter(capsys, monkeypatch):
    class Given(TeacherStudent):
        """The same, but the variances must be given."""

        variances: PositiveVector = parameter(symbol="s_b^2", meaning="variance of the features in each block")

    import dynamics.double_descent as layer

    monkeypatch.setattr(layer, "PROBLEMS", (*layer.PROBLEMS, Given))
    words = ["compare", "double-descent", "--problem", "given", "--times", "1,10", "--runs", "10"]
    assert run([*words, "--help"]) == 0
    assert "variance of the features in each block" in capsys.readouterr().out
    assert run(words) == 2
    assert "variances" in capsys.readouterr().err


def test_help_needs_no_theory_and_no_pictures():
    code = "import sys; from figures.cli import run; run(['compare', 'double-descent', '--help']); "
    heavy = ("matplotlib", "xarray", "scipy.stats", "analytic.double_descent")
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_unstable_step_is_refused_with_its_bound(capsys):
    assert run(["compare", *QUESTION, "--algorithm", "gradient-descent", "--learning-rate", "3"]) == 2
    assert "learning_rate (step size) must be at most 2/" in capsys.readouterr().err


def test_existing_files_are_kept_before_anything_is_computed(tmp_path, capsys):
    target = tmp_path / "a.nc"
    target.write_bytes(b"mine")
    for command in ("solve", "simulate", "compare"):
        assert run([command, *QUESTION, "--out", str(target)]) == 2
        assert "must not exist yet" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"


def test_times_are_spaced_in_the_logarithm():
    np.testing.assert_allclose(read_times("1e-2:1e2:5", GradientFlow()), [0.01, 0.1, 1, 10, 100], rtol=1e-14)
    steps = read_times("1:1000:7", GradientDescent())
    assert steps.dtype == np.int64
    np.testing.assert_array_equal(steps, [1, 3, 10, 32, 100, 316, 1000])
    np.testing.assert_array_equal(read_times("0,5", GradientDescent()), [0, 5])
    with pytest.raises(ParameterError, match="whole"):
        read_times("0.5,5", GradientDescent())


@pytest.mark.parametrize("words", [["--help"], ["compare", "--help"], ["figure", "--help"], ["list"], ["--version"]])
def test_help_version_and_list_say_something(words, capsys):
    assert run(words) == 0
    said = capsys.readouterr().out
    expected = {"--version": "learning-dynamics", "list": "double-descent/fig3"}.get(words[0], "Usage")
    assert expected.lower() in said.lower()


def test_help_of_a_question_lists_the_declared_parameters(capsys):
    assert run(["compare", "double-descent", "--algorithm", "gradient-descent", "--help"]) == 0
    said = capsys.readouterr().out
    for option in ("--condition-number", "ratio of the singular values", "--output-penalty", "--false-alarm"):
        assert option in said


def test_interrupted_ensemble_keeps_what_is_finished(tmp_path, capsys, monkeypatch):
    import simulations.double_descent as layer

    complete, kept = layer.simulate, 5

    def interrupted(*arguments, **options):
        answer = complete(*arguments, **options)
        outcome = answer["outcome"].copy(data=["finished"] * kept + ["cancelled"] * (12 - kept))
        raise Interrupted("interrupted; some runs were finished and are kept", partial=answer.assign(outcome=outcome))

    monkeypatch.setattr(layer, "simulate", interrupted)
    assert run(["simulate", *QUESTION, "--out", str(tmp_path / "part.nc")]) == 130
    assert "some runs were finished and are kept" in capsys.readouterr().err
    assert (load(tmp_path / "part.nc")["outcome"] == "cancelled").sum() == 7
    assert run(["compare", *QUESTION]) == 130
    assert "7 of 12 runs cancelled" in capsys.readouterr().out
    kept = 0
    assert run(["simulate", *QUESTION, "--out", str(tmp_path / "none.nc")]) == 130
    assert not (tmp_path / "none.nc").exists()
