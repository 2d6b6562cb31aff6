"""``dynamics explore`` and ``figures.explore``: what serves the page begins, ends and dies without leaving anything."""

import contextlib
import http.server
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("bokeh")

import figures
from dynamics.errors import ParameterError
from dynamics.parameters import declarations
from figures.explored import begin
from figures.explorer.form import Form
from figures.phenomena import phenomena, phenomenon
from tests.explorer.browsing import LAPTOP, Tab, answer, wait

pytestmark = pytest.mark.browser
COMMAND = [sys.executable, "-c", "from figures.cli import main; main()", "explore"]
NAME = phenomena()[0]


@contextlib.contextmanager
def exploring(*words):
    """Run ``dynamics explore`` in a process group of its own, up to where it says its address."""
    words = [*COMMAND, *words, "--no-browser"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            line = running.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:(\d+)/\S+", line)
            assert found, (line, running.stderr.read())
            yield running, found[0]
        finally:
            if running.poll() is None:
                running.kill()


def in_group(group):
    """Processes of a group that are still there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, itself = stat.read_text().rpartition(")")[2].split()[:3]
            found += [stat.parent.name] if int(itself) == group and state != "Z" else []
    return found


@pytest.fixture
def context(browser):
    one = browser.new_context(viewport=LAPTOP)
    yield one
    one.close()


def changed():
    """A number of the first problem with a value that is not the usual one."""
    form = Form(begin(NAME))
    field = next(field for field in form.groups()["problem"][1] if form.track(field))
    return field, form.track(field)


def test_a_killed_server_is_missed_and_its_successor_takes_over(context):
    with exploring(NAME, "--port", "0", "--runs", "1000") as (running, url):
        tab = Tab(context, url).open(NAME)
        field, _ = changed()
        tab.slide(field, "PageUp")
        text = tab.field(field).input_value()
        tab.page.wait_for_function("(words) => location.search.includes(words)", arg=f"{field}={text}")
        query, curves = urlsplit(tab.page.url).query, tab.theory()
        tab.press("simulate")
        tab.page.wait_for_function(
            "() => document.title && Bokeh.documents[0].get_model_by_name('plots').references()"
            " && [...Bokeh.documents[0].all_models].some((one) => /<progress/.test(one.text))"
        )
        assert tab.faults == []
        running.send_signal(signal.SIGKILL)
        running.wait(5)
        assert wait(lambda: not in_group(running.pid), 5.0, "the end of all processes")
        tab.page.get_by_text(re.compile("connection|reconnect", re.IGNORECASE)).first.wait_for()
    port = str(urlsplit(url).port)
    with exploring(NAME, "--port", port) as (_, other):
        assert urlsplit(other).port == int(port)
        assert other != url
        again = Tab(context, other).open(NAME, query)
        assert again.field(field).input_value() == text
        wait(
            lambda: (
                {key: values.tolist() for key, (_, values) in again.theory().items()}
                == {key: values.tolist() for key, (_, values) in curves.items()}
            ),
            what="the same curves",
        )
        assert again.faults == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_within_seconds(context, number):
    with exploring(NAME, "--port", "0", "--runs", "1000") as (running, url):
        tab = Tab(context, url).open(NAME)
        tab.press("simulate")
        tab.page.wait_for_function("() => [...Bokeh.documents[0].all_models].some((one) => /<progress/.test(one.text))")
        begun = time.monotonic()
        running.send_signal(number)
        out, err = running.communicate(timeout=30)
        assert time.monotonic() - begun < 20.0
        assert running.returncode in {0, 130}
        assert "Traceback" not in out + err
        assert in_group(running.pid) == []


def test_a_taken_port_gives_way_and_says_so(context):
    with exploring("--port", "0") as (_, url):
        port = urlsplit(url).port
        with exploring("--port", str(port)) as (second, other):
            assert port < urlsplit(other).port <= port + 20
            second.send_signal(signal.SIGINT)
            assert f"port {port} is in use; this is {urlsplit(other).port}" in second.communicate(timeout=10)[1]


def test_the_command_begins_with_what_it_is_told(context):
    field, track = changed()
    text = f"{track.values[-10]:g}"
    with exploring(NAME, "--port", "0", f"--{field.replace('_', '-')}", text) as (_, url):
        tab = Tab(context, url).open(NAME)
        assert tab.field(field).input_value() == text
        assert tab.faults == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["nothing"], "phenomenon"), ([NAME, "--port", "-1"], "port"), ([NAME, "--host", "no such host"], "host"),
        ([NAME, "--no-such"], "--no-such"), ([NAME, "--algorithm", "none"], "algorithm"),
    ],
)  # fmt: skip
def test_what_is_refused_is_one_line(words, named):
    done = subprocess.run([*COMMAND, *words, "--no-browser"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert named in done.stderr


@pytest.mark.parametrize("name", phenomena())
def test_help_names_every_option(name):
    done = subprocess.run([*COMMAND, name, "--help"], capture_output=True, text=True, timeout=60, check=True)
    words = ["--port", "--host", "--no-browser", "--window", "--method"]
    words += [f"--{field.replace('_', '-')}" for field in declarations(phenomenon(name).dynamics.PROBLEMS[0])]
    assert [word for word in words if word not in done.stdout] == []


@contextlib.contextmanager
def notebook(frame):
    """Serve a page of another origin with a frame in it."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<!doctype html><link rel=icon href=data:,><h1>notebook</h1>{frame}".encode())

        def log_message(self, *what):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("name", phenomena())
def test_a_notebook_shows_the_page_in_a_frame(context, name):
    explorer = figures.explore(begin(name).question.problem, port=0)
    try:
        frame = explorer._repr_html_()
        assert f'src="{explorer.url}"' in frame
        assert explorer.url in repr(explorer)
        faults = []
        with notebook(frame) as address:
            page = context.new_page()
            page.on("console", lambda one: faults.append(one.text) if one.type in {"error", "warning"} else None)
            page.goto(address)
            inside = page.frame_locator("iframe")
            form = Form(begin(name))
            field = next(one for one in form.groups()["problem"][1] if form.track(one))
            handle = inside.locator(f".slider-{field} .noUi-handle")
            handle.wait_for()
            inside.locator(".bk-Figure").wait_for()
            handle.focus()
            before = inside.locator(f".field-{field} input").input_value()
            handle.press("PageUp")
            wait(lambda: inside.locator(f".field-{field} input").input_value() != before)
            page.close()
        assert faults == []
    finally:
        explorer.stop()
    assert not [one for one in threading.enumerate() if one.name == "explorer-server"]
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(explorer.url, timeout=5)


def test_explore_begins_with_what_it_is_given(context):
    field, track = changed()
    problem = begin(NAME).question.problem.model_copy(update={field: track.values[-10]})
    explorer = figures.explore(problem, port=0)
    try:
        tab = Tab(context, explorer.url).open(NAME)
        assert tab.shown().question.problem == problem
        found = answer(begin(NAME, problem))
        for key, (_, values) in tab.theory().items():
            assert (values == found[key].values).all()
    finally:
        explorer.stop()
    with pytest.raises(ParameterError, match="phenomenon must be one of"):
        figures.explore("nothing", port=0)
