"""What is said on the command line arrives where it is meant to."""

import json

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import analytic.double_descent
import simulations.double_descent
from dynamics.algorithms import GradientFlow
from dynamics.double_descent import TwoScale
from figures import load, registry
from figures.cli import run
from simulations.double_descent import simulate

SMALL = ["--samples", "24", "--dimension", "16", "--fast", "8", "--condition-number", "5", "--noise", "0.2"]
QUESTION = ["double-descent", *SMALL, "--runs", "12", "--times", "1,10,100"]


@pytest.mark.parametrize("words", [["figure", "double-descent/fig1"], ["figures", "--paper", "arXiv:2112.03215"]])
def test_options_of_figures(words, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("figures.production.produce", lambda names, **options: seen.append((list(names), options)) or 0)
    assert run([*words, "--seed", "7e0", "--full", "--out", str(tmp_path)]) == 0
    assert run([*words, "--quick"]) == 0
    assert run(words) == 0
    assert seen[0][1] == {"preset": "full", "out": tmp_path, "seed": 7, "overwrite": False}
    assert seen[1] == seen[2]
    assert (seen[1][1]["preset"], seen[1][1]["seed"]) == ("quick", 0)
    assert len(seen[0][0]) == (1 if words[0] == "figure" else 5)


def recorded(verdicts, seen):
    """A stand-in for ``reproduce`` that notes its arguments."""

    def reproduce(name, *, preset="quick", seed=0):
        seen.append((name, preset, seed))
        if verdicts[name] == "interrupted":
            raise KeyboardInterrupt
        return registry.Reproduction(Figure(), xr.Dataset(attrs={"seconds": 1.0, "verdict": verdicts[name]}))

    return reproduce


def test_one_disagreeing_figure_is_exit_code_1(monkeypatch, tmp_path, capsys):
    verdicts, seen = {"double-descent/fig1": "disagree", "double-descent/fig3": "agree"}, []
    monkeypatch.setattr("figures.production.reproduce", recorded(verdicts, seen))
    assert run(["figure", *verdicts, "--out", str(tmp_path), "--seed", "5", "--full"]) == 1
    assert seen == [(name, "full", 5) for name in verdicts]
    said = capsys.readouterr()
    assert "full preset: about 130 s" in said.err
    assert [line.split()[2] for line in said.out.splitlines()[1:]] == ["disagree", "agree"]
    assert run(["figure", "double-descent/fig3", "--out", str(tmp_path / "b")]) == 0


def test_interrupted_figures_name_only_what_is_missing(monkeypatch, tmp_path, capsys):
    verdicts = {"double-descent/fig1": "agree", "double-descent/fig3": "interrupted", "double-descent/fig4": "agree"}
    monkeypatch.setattr("figures.production.reproduce", recorded(verdicts, []))
    assert run(["figure", *verdicts, "--out", str(tmp_path)]) == 130
    assert "not made: double-descent/fig3, double-descent/fig4\n" in capsys.readouterr().err


def test_ctrl_c_anywhere_is_exit_code_130(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("figures.cli.ask", interrupted)
    assert run(["compare", *QUESTION]) == 130
    assert capsys.readouterr().err == "dynamics: interrupted\n"


def test_seed_reaches_theory_and_runs(tmp_path):
    assert run(["compare", *QUESTION, "--seed", "5", "--out", str(tmp_path / "c.nc")]) == 0
    problem = TwoScale(samples=24, dimension=16, fast=8, condition_number=5, noise=0.2)
    expected = simulate(problem, GradientFlow(), [1, 10, 100], runs=12, seed=5)["norm"].mean("run")
    found = load(tmp_path / "c.nc")
    assert found.attrs["seed"] == 5
    np.testing.assert_allclose(found["mean"].sel(variable="norm"), expected, rtol=1e-14)
    assert run(["compare", *QUESTION, "--method", "finite", "--seed", "5"]) == 0
    assert run(["solve", *QUESTION, "--method", "finite", "--seed", "5", "--out", str(tmp_path / "t.nc")]) == 0
    assert load(tmp_path / "t.nc").attrs["seed"] == 5


def test_false_alarm_and_json(capsys):
    assert run(["compare", *QUESTION, "--false-alarm", "0.001", "--json"]) in (0, 1)
    said = json.loads(capsys.readouterr().out)
    assert said["false_alarm"] == 0.001
    assert {"verdict", "method", "seed", "runs", "notes", "problem", "algorithm", "variables"} < set(said)


def test_options_of_simulate(tmp_path, capsys):
    out = str(tmp_path / "r.nc")
    words = ["simulate", "double-descent", *SMALL, "--runs", "4", "--algorithm", "gradient-descent", "--out", out]
    words += ["--times", "0,2000"]
    assert run([*words, "--simulation", "literal"]) == 0
    assert load(out).attrs["method"] == "literal"
    assert run([*words, "--learning-rate", "9", "--on-divergence", "mark", "--overwrite"]) == 0
    assert (load(out)["outcome"] == "diverged").all()
    assert run([*words, "--learning-rate", "9", "--overwrite"]) == 2
    assert "on_divergence='mark'" in capsys.readouterr().err
    assert run([*words, "--teachers", "3", "--test-samples", "20", "--overwrite"]) == 0
    assert dict(load(out)["norm"].sizes) == {"run": 4, "teacher": 3, "time": 2}
    assert load(out).attrs["test_samples"] == 20


def test_files_in_the_way_are_seen_before_anything_is_computed(tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("computed")

    monkeypatch.setattr(simulations.double_descent, "simulate", never)
    monkeypatch.setattr(analytic.double_descent, "solve", never)
    target = tmp_path / "a.nc"
    target.write_bytes(b"mine")
    for command in ("solve", "simulate", "compare"):
        assert run([command, *QUESTION, "--out", str(target)]) == 2
    assert target.read_bytes() == b"mine"
