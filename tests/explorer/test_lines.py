"""The Python lines of a screen compute what its file holds, bit for bit."""

import ast
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import figures
from dynamics.algorithms import GradientDescent, GradientFlow
from dynamics.double_descent import TwoScale
from dynamics.errors import ParameterError
from figures.comparison import compare
from figures.explored import StepTimes
from figures.explorer.controller import Screen
from figures.explorer.lines import data_of, python_lines
from figures.explorer.streaming import stream, theory_of
from figures.files import netcdf_bytes
from simulations.double_descent import TeacherDraws
from tests.explorer.views import DIVERGING, REFUSED, SCALES, VIEWS, double, presets, with_runs

ROOT = Path(__file__).parents[2]


def answered(shown):
    """What theory says, or why it does not, as on the screen."""
    try:
        return theory_of(shown)
    except ParameterError as error:
        return str(error)


def screen_of(shown, *, batches=None, kept=()):
    """A screen as the controller makes it, with the runs of some batches or, by default, of all."""
    screen = Screen(shown, answered(shown), kept=tuple((one, answered(one)) for one in kept))
    for number, batch in enumerate(stream(shown, threading.Event())):
        if number == batches:
            break
        theory = screen.theory if batch.theory is None else batch.theory
        comparison = None
        if not isinstance(theory, str):
            try:
                comparison = compare(theory, batch.runs)
            except ParameterError:
                comparison = None
        screen = replace(screen, theory=theory, runs=batch.runs, comparison=comparison)
    return screen


def computed(screen):
    """Run the lines, and return what they leave."""
    names = {}
    exec(compile(python_lines(screen), "lines", "exec"), names)
    return {name: value for name, value in names.items() if isinstance(value, xr.Dataset)}


def check(screen, path):
    """The file has what the lines compute, and nothing else; and the lines themselves."""
    path.write_bytes(netcdf_bytes(data_of(screen)))
    found = computed(screen)
    groups = {"theory": screen.theory, "runs": screen.runs, "comparison": screen.comparison}
    groups |= {f"kept_{number}": answer for number, (_, answer) in enumerate(screen.kept, start=1)}
    groups = {name: one for name, one in groups.items() if isinstance(one, xr.Dataset)}
    assert set(found) - {"data"} == set(groups)
    for name, one in groups.items():
        loaded = figures.load(path, group=name)
        xr.testing.assert_equal(found[name], loaded)
        xr.testing.assert_equal(one, loaded)
        for key in loaded.variables:
            if loaded[key].dtype.kind == "f":
                assert found[name][key].values.tobytes() == loaded[key].values.tobytes() == one[key].values.tobytes()
    assert xr.load_dataset(path, engine="h5netcdf").attrs["python"] == python_lines(screen)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("key", VIEWS)
def test_every_kind_of_view(key, tmp_path, capsys):
    screen = screen_of(VIEWS[key])
    found = check(screen, tmp_path / "screen.nc")
    assert ("theory" in found) == (key not in REFUSED)
    assert found["runs"].sizes["run"] == VIEWS[key].question.ensemble.runs
    if screen.comparison is not None:
        assert found["comparison"].attrs["verdict"] == screen.comparison.attrs["verdict"]
        assert screen.comparison.attrs["verdict"] in capsys.readouterr().out


def test_most_views_are_compared():
    screens = [screen_of(VIEWS[key], batches=1) for key in ("flow", "finite", "recursion", "responses", "moons")]
    assert all(screen.comparison is not None for screen in screens)


@pytest.mark.parametrize("key", ["flow", "finite", "recursion", "responses", "moons"])
def test_without_runs(key, tmp_path):
    """Theory on data is that of the first run."""
    found = check(Screen(VIEWS[key], theory_of(VIEWS[key])), tmp_path / "screen.nc")
    assert found["theory"].sizes.get("run", 1) == 1


@pytest.mark.parametrize("key", ["flow", "finite", "teachers", "recursion", "moons"])
def test_stopped(key, tmp_path):
    """The lines ask for the runs that are there, not for those that were wanted."""
    screen = screen_of(with_runs(VIEWS[key], 30), batches=1)
    assert screen.runs.sizes["run"] == 2
    found = check(screen, tmp_path / "screen.nc")
    assert found["runs"].sizes["run"] == 2


def test_diverged(tmp_path):
    screen = screen_of(DIVERGING)
    assert screen.comparison.attrs["verdict"] == "disagree"
    found = check(screen, tmp_path / "screen.nc")
    assert (found["runs"]["outcome"] == "diverged").any()
    assert found["comparison"].attrs["verdict"] == "disagree"


def test_kept_views(tmp_path):
    """Each with its own problem, algorithm, times and method, and that on data with its own first run."""
    kept = (
        VIEWS["finite"], replace(VIEWS["descent"], times=StepTimes(last=99, count=5)), VIEWS["three scales"],
        VIEWS["published"],
    )  # fmt: skip
    screen = screen_of(VIEWS["flow"], kept=kept)
    found = check(screen, tmp_path / "screen.nc")
    assert {"kept_1", "kept_2", "kept_3", "kept_4"} <= set(found)
    assert found["kept_1"].sizes["run"] == 1
    assert found["kept_2"].sizes["time"] == 5
    assert not found["kept_1"].equals(found["theory"])


def test_kept_views_that_theory_refuses(tmp_path):
    """A comment says so, and the numbers of the others stay what they are."""
    bad = double(algorithm=GradientFlow(rates=(1.0, 1.0, 1.0)))
    screen = screen_of(VIEWS["flow"], kept=(VIEWS["finite"], bad, VIEWS["descent"]))
    assert isinstance(screen.kept[1][1], str)
    found = check(screen, tmp_path / "screen.nc")
    assert {"kept_1", "kept_3"} <= set(found)
    assert "# no kept_2: rates " in python_lines(screen)


@pytest.mark.parametrize(
    "shown",
    [
        double(algorithm=GradientFlow(rates=(1.0, 1.0, 1.0))), double(algorithm=GradientDescent(output_penalty=3.0)),
        double(algorithm=GradientDescent(learning_rate=30.0)), VIEWS["digits"], VIEWS["moons, no theory"],
        double(TwoScale(samples=10, dimension=20, fast=12), method="published"),
    ],
)  # fmt: skip
def test_refused_theory(shown, tmp_path):
    """Even where it is a default that is refused."""
    screen = Screen(shown, answered(shown))
    assert isinstance(screen.theory, str)
    assert check(screen, tmp_path / "screen.nc") == {}
    assert f"# no theory: {screen.theory}" in python_lines(screen).splitlines()


@pytest.mark.parametrize("words", ["one\ntwo", "one\r\nimport os", "one\u2028two", "one\x0ctwo", ""])
def test_refusals_of_several_lines_stay_comments(words):
    screen = Screen(VIEWS["flow"], words, kept=((VIEWS["flow"], words),))
    lines = python_lines(screen)
    assert not {"os", "two"} & set(names_in(lines))
    assert computed(screen) == {}


def names_in(lines):
    return [node.id for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Name)]


def test_no_screen_no_lines():
    assert python_lines(Screen()) == ""
    assert list(data_of(Screen()).children) == []


@pytest.mark.parametrize("shown", list(presets()))
def test_lines_of_presets_say_what_is_shown(shown):
    """Their imports are sorted and all there is; nothing is computed here."""
    screen = Screen(shown, xr.Dataset(), kept=((VIEWS["flow"], xr.Dataset()),), runs=xr.Dataset(coords={"run": [0]}))
    lines = python_lines(screen)
    tree = ast.parse(lines)
    imported = {(alias.asname or alias.name).split(".")[0] for node in ast.walk(tree) if isinstance(
        node, ast.Import | ast.ImportFrom) for alias in node.names}  # fmt: skip
    assigned = {"problem", "algorithm", "times", "theory", "runs", "data", "kept_1"}
    assert set(names_in(lines)) <= imported | assigned
    asked = shown.question
    assert f"problem = {asked.problem!r}\n" in lines
    assert f"times = {shown.times.line}\n" in lines
    assert f"seed={asked.ensemble.seed}, method={asked.simulation_method!r}" in lines
    assert f"method={asked.theory_method!r}" in lines
    assert "workers" not in lines  # no number depends on them


def test_the_whole_text():
    shown = double(
        SCALES, GradientDescent(learning_rate=0.1, l2="power:0.01,-0.5"), method="finite",
        simulation="literal", runs=3, seed=7, options=TeacherDraws(teachers=2),
    )  # fmt: skip
    screen = Screen(shown, xr.Dataset(), runs=xr.Dataset(coords={"run": [0, 1]}), comparison=xr.Dataset())
    assert (
        python_lines(screen)
        == """\
import analytic.double_descent
import figures
import simulations.double_descent
from dynamics.algorithms import GradientDescent
from dynamics.double_descent import TwoScale
from dynamics.schedules import Power
from dynamics.times import log_steps

problem = TwoScale(samples=30, dimension=20, noise=0.2, fast=12, condition_number=50.0)
algorithm = GradientDescent(rates=None, learning_rate=0.1, l2=Power(scale=0.01, exponent=-0.5), output_penalty=0.0)
times = log_steps(40, 8)
data = simulations.double_descent.sample(problem, runs=2, seed=7)
theory = analytic.double_descent.solve(problem, algorithm, times, method='finite', data=data)
runs = simulations.double_descent.simulate(problem, algorithm, times, runs=2, seed=7, method='literal', \
teacher='sampled', teachers=2, test_samples=None, on_divergence='mark')
comparison = figures.compare(theory, runs)
print(figures.describe(comparison))
"""
    )


# --- another interpreter


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """One screen of each phenomenon: its lines, which save what they compute, and its file."""
    folder, scripts = tmp_path_factory.mktemp("lines"), []
    for number, (shown, kept) in enumerate((
        (VIEWS["teachers"], (VIEWS["finite"], VIEWS["descent"])), (VIEWS["recursion"], (VIEWS["coefficients"],)),
        (VIEWS["grouped"], ()), (VIEWS["moons"], (VIEWS["coupled"],)),
    )):  # fmt: skip
        screen = screen_of(shown, kept=kept)
        path = folder / f"screen_{number}.nc"
        path.write_bytes(netcdf_bytes(data_of(screen)))
        names = list(data_of(screen).children)
        saves = [f"figures.save({name}, OUT + '/{number}_{name}.nc')" for name in names]
        scripts.append(("\n".join([python_lines(screen), "import figures", *saves, ""]), path, names))
    return scripts


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_in_a_fresh_interpreter_with_any_number_of_threads(several, threads, tmp_path):
    """Run as a file, with no more than what the lines import."""
    script = tmp_path / "lines.py"
    script.write_text("\n".join([f"OUT = {str(tmp_path)!r}", *(lines for lines, _, _ in several)]))
    limits = {f"{name}_NUM_THREADS": threads for name in ("NUMBA", "OMP", "OPENBLAS", "MKL")}
    environment = os.environ | limits | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("agree") >= 4
    for number, (_, path, names) in enumerate(several):
        assert {"theory", "runs", "comparison"} <= set(names)
        for name in names:
            here, there = figures.load(path, group=name), figures.load(tmp_path / f"{number}_{name}.nc")
            xr.testing.assert_equal(here, there)
            for key in here.variables:
                if here[key].dtype.kind == "f":
                    assert np.array_equal(here[key].values.view(np.uint64), there[key].values.view(np.uint64))
