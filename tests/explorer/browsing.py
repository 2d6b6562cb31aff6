"""The explorer's page in a real browser: what the tests do there, and when the page has come to rest."""

import asyncio
import contextlib
import os
import re
import shutil
import time
import warnings
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest
from bokeh.models.widgets import Widget

from dynamics.errors import ParameterError
from figures.explored import begin
from figures.explorer.curves import curves
from figures.explorer.form import Form
from figures.explorer.streaming import REFUSALS, theory_of

ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
LAPTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
_PATIENCE = 40.0
#: What bokeh says of plots without curves, where theory has no answer.
_EMPTY_AXIS = re.compile(r"could not (determine \w+ data value for log axis|set initial ranges)")
#: What user and server change in widgets.
_SHARED = ("value", "active", "text", "tags", "disabled")

_SAME = """(ours) => Bokeh.documents[0] !== undefined && ours.every(([id, name, value]) => {
  const model = Bokeh.documents[0].get_model_by_id(id);
  return model !== null && JSON.stringify(model[name]) == JSON.stringify(value);
})"""
_SOURCES = """() => {
  const found = {};
  for (const model of Bokeh.documents[0].get_model_by_name("plots").references())
    if (model.type == "ColumnDataSource") {
      const columns = {};
      for (const [name, column] of Object.entries(model.data))
        columns[name] = Array.from(column, (one) => typeof one == "object" ? Array.from(one) : one);
      found[model.name] = columns;
    }
  return found;
}"""


def chromium():
    """Where the browser is, or a failure that says how to get one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None or not os.path.exists(found):
        pytest.fail(
            "the browser tests need Chromium: `apt-get install chromium`, or set CHROMIUM to the path of one", False
        )
    return found


@contextlib.contextmanager
def browser():
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield running
        finally:
            running.close()


def wait(true, seconds=_PATIENCE, what="it"):
    """Return what comes true in time."""
    end = time.monotonic() + seconds
    while True:
        if found := true():
            return found
        assert time.monotonic() < end, f"{what} took longer than {seconds:g} s"
        time.sleep(0.02)


class Tab:
    """A page in a browser, on a server of this process (whose ``pages`` are known) or of another one."""

    def __init__(self, context, server_url, pages=None, loop=None):
        self.page = context.new_page()
        self.page.set_default_timeout(1000 * _PATIENCE)
        self._start = server_url.rsplit("/", 1)[0]
        self._pages, self._loop = pages, loop
        self.faults, self.hosts = [], set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        self.page.on("response", self._answered)
        self.page.on("dialog", self._dialog)
        self.name, self.own = "", None

    def _console(self, message):
        if message.type in {"error", "warning"} and not _EMPTY_AXIS.search(message.text):
            self.faults.append(f"{message.type}: {message.text}")

    def _failed(self, request):
        if "download/" not in request.url:  # which the browser takes over from the page
            self.faults.append(f"failed: {request.url} {request.failure}")

    def _answered(self, response):
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.url}")

    def _dialog(self, dialog):
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, name, query="", *, settle=True):
        """Open the page of a phenomenon."""
        before = 0 if self._pages is None else len(self._pages)
        self.name = name
        self.page.goto(f"{self._start}/{name}{'?' + query if query else ''}")
        return self._found(before, settle)

    def reload(self):
        before = 0 if self._pages is None else len(self._pages)
        self.page.reload()
        return self._found(before, True)

    def _found(self, before, settle):
        self.page.wait_for_function("() => window.Bokeh?.documents[0]?.get_model_by_name('address') != null")
        if self._pages is not None:
            self.own = wait(lambda: self._pages[before:], what="the page on the server")[-1]
        if settle:
            self.settle()
        return self

    def settle(self, *, seconds=_PATIENCE):
        """Wait until theory has answered the last request and both sides of the page are the same."""
        if self._pages is None:
            self.page.wait_for_function("() => Bokeh.documents[0].get_model_by_name('address').tags[0] != ''")
            return self
        wait(lambda: self._same() and self._at_rest(), seconds, f"the page at {self.page.url}")
        return self

    def _at_rest(self):
        own, screen = self.own, self.own.controller.screen
        return screen.shown and not (screen.asking or own._pending.is_set() or own._rest)

    def _same(self):
        """Whether the server is at rest, and the widgets of the browser are its own."""

        async def widgets():  # where no callback is halfway through
            found = []
            for model in self.own._document.models if self._at_rest() else ():
                if isinstance(model, Widget):
                    found += [(model.id, name, getattr(model, name)) for name in _SHARED if name in model.properties()]
            return found

        ours = asyncio.run_coroutine_threadsafe(widgets(), self._loop).result(_PATIENCE)
        return bool(ours) and self.page.evaluate(_SAME, ours)

    # What there is to be seen

    def text(self, name):
        """Text of a part of the page: seen, log, lines, ..."""
        html = self.page.evaluate("(name) => Bokeh.documents[0].get_model_by_name(name).text", name)
        return self.page.evaluate(
            "(html) => new DOMParser().parseFromString(html.replaceAll('<br>', '\\n'), 'text/html').body.textContent",
            html,
        )

    def sources(self):
        """What the plots draw: columns of numbers by name."""
        return self.page.evaluate(_SOURCES)

    def theory(self):
        """The curves of theory by key, as (times, values)."""
        return {
            name.removeprefix("theory "): (np.array(one["time"], float), np.array(one["value"], float))
            for name, one in self.sources().items()
            if name.startswith("theory ") and one["time"]
        }

    def kept(self):
        """Kept views, each with the number of points and the sum of all values of its curves."""
        return [
            one["values"] for name, one in sorted(self.sources().items()) if name.startswith("kept ") and one["times"]
        ]

    def query(self):
        """What the address says."""
        return parse_qsl(urlsplit(self.page.url).query, keep_blank_values=True)

    def shown(self):
        """The view that the address asks for."""
        form = Form(begin(self.name))
        assert form.restore({name: value for name, value in self.query() if name != "kept"}) == []
        return form.read()

    def problem(self):
        """The red sentence about what is not allowed, or ''."""
        line = self.text("seen").split("\n")[0]
        return line.removeprefix("Not allowed: ") if line.startswith("Not allowed:") else ""

    def field(self, name):
        return self.page.locator(f".field-{name} input")

    def wait_for_problem(self, words):
        """Wait until the red sentence is a certain one."""
        self.page.wait_for_function(
            """(words) => new DOMParser().parseFromString(Bokeh.documents[0].get_model_by_name("seen").text
              .split("<br>")[0], "text/html").body.textContent == "Not allowed: " + words""",
            arg=words,
        )

    # What is done

    def type(self, name, text, *, settle=True):
        self.field(name).fill(text)
        self.field(name).press("Enter")
        return self.settle() if settle else self

    def slide(self, name, key):
        """Move a slider by a key."""
        handle = self.page.locator(f".slider-{name} .noUi-handle")
        handle.focus()
        handle.press(key)
        return self.settle()

    def choose(self, choice, label):
        self.page.locator(f".{choice} select").select_option(label)
        return self.settle()

    def press(self, name):
        """Press a button."""
        self.page.locator(f".{name} button").click()

    def wait_for_log(self, words, count=1, seconds=_PATIENCE):
        """Wait until the log says something so many times."""
        self.page.wait_for_function(
            "([words, count]) => Bokeh.documents[0].get_model_by_name('log').text.split(words).length > count",
            arg=[words, count], timeout=1000 * seconds,
        )  # fmt: skip


def answer(shown):
    """What theory says of a view, or why it does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return theory_of(shown)
    except REFUSALS as error:
        return str(error)


def check_curves(tab):
    """The curves are those of the parameters that the address names, or a sentence says why there are none."""
    shown, drawn = tab.shown(), tab.theory()
    expected = answer(shown)
    if isinstance(expected, str):
        assert drawn == {}
        assert f"No theory: {' '.join(expected.split())}" in " ".join(tab.text("seen").split())
        return
    assert drawn
    assert "No theory" not in tab.text("seen")
    found = {one.key: one for one in curves(expected, [key.split()[0] for key in drawn])}
    assert set(drawn) <= set(found)
    for key, (times, values) in drawn.items():
        np.testing.assert_array_equal(times, found[key].time)
        missing = np.isnan(values)  # on a logarithmic axis
        assert (found[key].value[missing] <= 0.0).all() or np.isnan(found[key].value[missing]).all()
        np.testing.assert_array_equal(values[~missing], found[key].value[~missing])


def refusal(name, **texts):
    """What is said when some texts are typed into the form of a phenomenon, or ''."""
    form = Form(begin(name))
    try:
        for key, text in texts.items():
            form.type(key, text)
        form.read()
    except ParameterError as error:
        return str(error)
    return ""
