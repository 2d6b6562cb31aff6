"""Runs on the explorer's page in a browser: they stream in, end when they are told to, and can be taken home."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("bokeh")

import figures
from figures.explored import begin
from figures.explorer.curves import bands, curves
from figures.explorer.form import Form
from figures.phenomena import phenomena
from tests.explorer.browsing import check_curves, wait

pytestmark = pytest.mark.browser
EACH = pytest.mark.parametrize("name", phenomena())
#: Of a phenomenon, texts with which its runs take long, and others with which one of them diverges.
LONG = {
    "double-descent": {"dimension": "400", "samples": "600", "runs": "1000"},
    "gradient-starvation": {"last": "1000000", "count": "500", "runs": "1000"},
    "scaling-laws": {"runs": "1000"},
}
UNSTABLE = {
    "double-descent": ("gradient-descent", {"learning_rate": "1", "last": "10000", "runs": "8"}),
    "gradient-starvation": ("primal-descent", {"learning_rate": "1", "l2": "10", "runs": "8"}),
    "scaling-laws": ("sgd", {"learning_rate": "1", "runs": "8", "last": "10000"}),
}
_DRAWN = "Bokeh.documents[0].get_model_by_name"
_PROGRESS = """() => {
  window.seenRuns ??= [];
  const found = [...Bokeh.documents[0].all_models].map((one) => /<progress max="(\\d+)" value="(\\d+)"/.exec(one.text));
  for (const one of found) if (one && seenRuns.at(-1) != +one[2]) seenRuns.push(+one[2]);
  return seenRuns.length;
}"""


def set_texts(tab, texts):
    for field, text in texts.items():
        tab.type(field, text)
    assert tab.problem() == ""


def start_long(tab, name):
    tab.open(name)
    set_texts(tab, LONG[name])
    tab.press("simulate")
    tab.page.wait_for_function(f"() => ({_PROGRESS})() >= 2")


@EACH
def test_runs_stream_in_and_are_compared(tab, name):
    tab.open(name)
    set_texts(tab, {"runs": "40"})
    assert tab.page.locator(".bk-Figure").count() == 1
    tab.press("simulate")
    tab.page.wait_for_function(f"() => ({_PROGRESS})() && {_DRAWN}('log').text.includes('finished: 40 of 40 runs')")
    tab.settle()
    seen = tab.page.evaluate(f"() => ({_PROGRESS})() && seenRuns")
    assert seen == sorted(seen)
    assert seen[-1] == 40
    assert tab.page.locator(".bk-Figure").count() == 2
    assert "Theory and simulation agree: 40 runs" in tab.text("seen")
    shown = tab.shown()
    runs = shown.question.settled().simulated(shown.times.values())
    drawn = tab.sources()
    for band in bands(runs, [key.split()[0] for key in tab.theory()]):
        np.testing.assert_array_equal(drawn[f"band {band.key}"]["time"], band.time)
        np.testing.assert_array_equal(drawn[f"band {band.key}"]["high"], band.high)
    assert any(name.startswith("deviation ") and one["time"] for name, one in drawn.items())
    check_curves(tab)


@pytest.mark.parametrize(
    ("name", "problem"), [(name, one) for name in phenomena() for one in Form(begin(name)).options("problem")]
)
def test_runs_of_every_problem_are_drawn(tab, name, problem):
    tab.open(name)
    tab.choose("choice-problem", problem)
    set_texts(tab, {"runs": "2", "last": "100"})
    tab.press("simulate")
    tab.wait_for_log("simulation finished: 2 of 2 runs")
    tab.settle()
    drawn = tab.sources()
    found = {key.partition(" ")[2] for key, one in drawn.items() if key.startswith("band ") and one["time"]}
    assert found == set(tab.theory()) or (found and not tab.theory())


@EACH
def test_stop_keeps_what_is_finished(tab, name):
    start_long(tab, name)
    begun = time.monotonic()
    tab.press("stop")
    wait(lambda: not tab.own.controller.screen.simulating, 20.0)
    assert time.monotonic() - begun < 20.0  # s, of work that would take minutes
    tab.wait_for_log("simulation stopped: ")
    tab.settle()
    done = int(tab.text("log").split("simulation stopped: ")[1].split()[0])
    assert 2 <= done < 1000
    assert f"{done} runs" in tab.text("seen")
    assert any(key.startswith("band ") and one["time"] for key, one in tab.sources().items())
    tab.type("runs", "2")
    tab.press("simulate")
    tab.wait_for_log("simulation finished: 2 of 2 runs")


@EACH
def test_another_view_ends_the_runs(tab, name):
    start_long(tab, name)
    tab.type("seed", "7")
    tab.wait_for_log("simulation stopped: ")
    tab.settle()
    drawn = tab.sources()
    assert not [key for key, one in drawn.items() if key.split()[0] in {"band", "points", "deviation"} and one["time"]]
    assert "runs" not in tab.text("seen")
    assert tab.page.locator(".bk-Figure").count() == 1
    check_curves(tab)


@EACH
def test_divergence_is_told(tab, name):
    tab.open(name)
    algorithm, texts = UNSTABLE[name]
    tab.choose("choice-algorithm", algorithm)
    set_texts(tab, texts)
    tab.press("simulate")
    tab.wait_for_log("simulation diverged")
    line = tab.text("log").split("\n")[0]
    assert "run" in line
    assert "step" in line
    assert any(sign in line for sign in ("<", ">", "below", "above", "at most", "exceed", "2/"))
    tab.settle()
    tab.choose("choice-algorithm", Form(begin(name)).chosen["algorithm"])
    tab.slide("runs", "Home")
    assert tab.problem() == ""


@EACH
def test_downloads_are_what_is_seen(tab, name, tmp_path):
    tab.open(name)
    tab.press("keep")
    wait(tab.kept)
    field = next(field for field in Form(begin(name)).texts if field in {"noise", "strong"})
    tab.slide(field, "PageUp")
    tab.type("runs", "6")
    tab.press("simulate")
    tab.wait_for_log("simulation finished: 6 of 6 runs")
    tab.settle()
    files = {kind: download(tab, kind, tmp_path) for kind in ("png", "svg", "data", "lines")}
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert len(files["png"].read_bytes()) > 10000
    assert b"<svg" in files["svg"].read_bytes()[:2000]
    check_data(tab, files["data"])
    assert files["lines"].read_text() == tab.text("lines") == lines_of(files["data"])


def download(tab, kind, folder):
    with tab.page.expect_download() as found:
        tab.page.locator(f".download-{kind}").click()
    assert found.value.suggested_filename.startswith(tab.name[:6])
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


def lines_of(path):
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as root:
        return root.attrs["python"]


def check_data(tab, path):
    drawn, shown = tab.sources(), tab.theory()
    names = tuple(dict.fromkeys(key.split()[0] for key in shown))
    found = {one.key: one for one in curves(figures.load(path, group="theory"), names)}
    for key, (times, values) in shown.items():
        np.testing.assert_array_equal(found[key].time, times)
        np.testing.assert_array_equal(found[key].value[~np.isnan(values)], values[~np.isnan(values)])
    for band in bands(figures.load(path, group="runs"), names):
        np.testing.assert_array_equal(drawn[f"band {band.key}"]["high"], band.high)
    kept = curves(figures.load(path, group="kept_1"), names)
    for one, values in zip(kept, map(np.array, drawn["kept 0"]["values"]), strict=True):
        np.testing.assert_array_equal(one.value[~np.isnan(values)], values[~np.isnan(values)])
    assert figures.load(path, group="comparison").attrs["verdict"] in tab.text("seen")


@pytest.mark.parametrize("name", phenomena()[:1])
def test_the_lines_compute_the_same_numbers_in_another_interpreter(tab, name, tmp_path):
    tab.open(name)
    tab.type("runs", "6")
    tab.press("simulate")
    tab.wait_for_log("simulation finished: 6 of 6 runs")
    tab.settle()
    data, lines = (download(tab, kind, tmp_path) for kind in ("data", "lines"))
    more = "\nimport figures\nfor name in ('theory', 'runs', 'comparison'):\n    figures.save(globals()[name], name)\n"
    lines.write_text(lines.read_text() + more)
    for threads in ("1", "2"):
        folder = tmp_path / threads
        folder.mkdir()
        counts = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
        subprocess.run([sys.executable, lines], cwd=folder, env=os.environ | counts, check=True, capture_output=True)
        for group in ("theory", "runs", "comparison"):
            there, here = figures.load(folder / group), figures.load(data, group=group)
            assert there.equals(here)


def test_tabs_know_nothing_of_each_other_but_wait(tabs):
    name, other = phenomena()[0], phenomena()[-1]
    first, second = tabs(), tabs()
    start_long(first, name)
    second.open(other)
    before = second.theory()
    second.type("runs", "2")
    second.press("simulate")
    second.wait_for_log("waiting for the simulation of another page to end")
    assert "waiting" not in first.text("log")
    first.press("stop")
    first.wait_for_log("simulation stopped")
    second.wait_for_log("simulation finished: 2 of 2 runs")
    assert all((before[key][1] == values).all() for key, (_, values) in second.theory().items())
    assert second.query() != first.query()
    third = tabs().open(name)
    assert dict(third.query())["runs"] == Form(begin(name)).texts["runs"]
    assert third.text("log") == ""


@EACH
def test_what_is_downloaded_is_of_the_own_page(tabs, name, tmp_path):
    first, second = tabs().open(name), tabs().open(name)
    second.slide("count", "Home")
    for tab in (first, second):
        folder = tmp_path / str(tab is first)
        folder.mkdir()
        theory = figures.load(download(tab, "data", folder), group="theory")
        assert theory.sizes["time"] == len(next(iter(tab.theory().values()))[0])
    assert len(next(iter(first.theory().values()))[0]) > len(next(iter(second.theory().values()))[0])


@EACH
def test_closing_the_tab_ends_the_work(tabs, name):
    tab = tabs()
    start_long(tab, name)
    threads, controller = tab.own.controller._threads, tab.own.controller
    assert all(one.is_alive() for one in threads)
    tab.page.close()
    wait(lambda: not any(one.is_alive() for one in threads), 10.0, "the end of the work")
    assert controller._closed
    assert not [one for one in threading.enumerate() if one.name == "simulation"]
