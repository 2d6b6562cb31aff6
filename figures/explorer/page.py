"""One page of the explorer: a form, a controller and plots, joined in a document of the browser's session."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jinja2
from bokeh.document import Document
from bokeh.models import Column, Row
from bokeh.models.widgets import Button, CheckboxButtonGroup, Div, PreText, RadioButtonGroup, Select

from dynamics.errors import ParameterError
from figures.explored import Explored, Shown
from figures.explorer.controller import MOST_KEPT, Controller, Screen
from figures.explorer.controls import Controls
from figures.explorer.curves import names_of, shown_variables
from figures.explorer.files import produce
from figures.explorer.form import Form
from figures.explorer.lines import python_lines
from figures.explorer.naming import difference
from figures.explorer.plots import Plots, spans_decades
from figures.explorer.words import log_html, progress_html, seen_html, time_words
from figures.phenomena import phenomena

__all__ = ["Page"]

#: After the last change, in ms, the slower parts of the page follow: address, Python lines, names of kept curves.
_REST = 250
_AXES = ("automatic", "linear", "logarithmic")
_WIDE: dict[str, Any] = {"sizing_mode": "stretch_width"}
_WRAP: Any = {"flex-wrap": "wrap"}
#: On a phone, buttons go on below.
_NARROW = ".bk-btn-group { flex-wrap: wrap }"


class Page:
    """Fill a document, and answer what its user does.

    Parameters
    ----------
    document : Document
        Of a session; the controller ends with it.
    start : Shown
        What is shown first.
    query : mapping of str to list of str
        What the address says instead.
    offer : callable
        ``offer(document, producer)`` returns the address under which the browser finds what ``producer(kind)`` makes.
    gate, theory_gate : semaphore
        How many simulations, and questions to theory, may be at work in all pages.
    """

    def __init__(
        self,
        document: Document,
        start: Shown,
        query: Mapping[str, list[str]],
        *,
        offer: Callable[[Document, Any], str],
        gate: threading.Semaphore,
        theory_gate: threading.Semaphore,
    ) -> None:
        self._document = document
        self._form = Form(start)
        self._explored = Explored.of(start.question.phenomenon)
        self._kept: tuple[Shown, ...] = ()
        self._problem = ""
        self._sentence = ""
        self._pending = threading.Event()
        self._rest: Any = None
        self._variables: tuple[str, ...] = ()
        self._picked: tuple[str, ...] = ()  # by the user, also where a problem or method has only some of them
        self._plotted: Any = None
        self._plots: Plots | None = None
        self.controller = Controller(self._changed, gate, theory_gate)
        document.on_session_destroyed(lambda _: self.controller.close())
        for notice in self._restore(query):
            self.controller.say(notice)
        self._downloads = offer(document, self._produce)
        self._build()
        self._ask()

    def _restore(self, query: Mapping[str, list[str]]) -> list[str]:
        """Take over what an address says, and return what is to be said about it."""
        notices = self._form.restore({name: values[-1] for name, values in query.items() if name != "kept"})
        for text in query.get("kept", [])[:MOST_KEPT]:
            other = Form(self._form.start)
            notices += other.restore(dict(parse_qsl(text[:4000], keep_blank_values=True)))
            self._kept = (*self._kept, other.read())
        return notices

    def _build(self) -> None:
        """Make the widgets and the document."""
        self._controls = Controls(self._form, self._typed, self._chose)
        self._seen = Div(text="", sizing_mode="stretch_width", html_attributes={"aria-live": "polite"})
        self._log = Div(text="", sizing_mode="stretch_width", html_attributes={"role": "log"}, css_classes=["log"])
        self._lines = PreText(text="", sizing_mode="stretch_width", css_classes=["lines"])
        self._address = Div(text="", tags=[""], visible=False, name="address")
        self._holder = Column(children=[Div(text="computing ...")], sizing_mode="stretch_both")
        name = self._form.phenomenon.name
        parts = {
            "seen": self._seen, "plots": self._holder, "actions": self._actions(), "log": self._log,
            "lines": self._lines, "controls": Column(children=[self._presets(), self._controls.root], **_WIDE),
        }  # fmt: skip
        for key, root in parts.items():
            root.name = key
            self._document.add_root(root)
        self._document.title = f"{name} · learning-dynamics"
        self._document.template = jinja2.Environment(autoescape=True).from_string(
            Path(__file__).with_name("page.html").read_text()
        )
        self._document.template_variables.update({"phenomenon": name, "phenomena": phenomena()})

    def _actions(self) -> Column:
        """Return buttons, links and choices that stand below the plots."""
        self._simulate = Button(label="Simulate", button_type="primary", css_classes=["simulate"])
        self._stop = Button(label="Stop", disabled=True, css_classes=["stop"])
        keep, clear = (
            Button(label="Keep curves", css_classes=["keep"]),
            Button(label="Clear kept", css_classes=["clear"]),
        )
        for button, action in (
            (self._simulate, self._start_runs), (self._stop, self.controller.stop), (keep, self._keep),
            (clear, self._clear),
        ):  # fmt: skip
            button.on_click(action)
        self._progress = Div(text="")
        self._which = CheckboxButtonGroup(labels=[], active=[], css_classes=["variables"], stylesheets=[_NARROW])
        self._which.on_change("active", lambda _, __, new: self._select(new))
        self._axis = RadioButtonGroup(labels=list(_AXES), active=_AXES.index(self._explored.axis), css_classes=["axis"])
        self._axis.on_change("active", lambda _, __, ___: self._paint())
        links = " · ".join(
            f'<a href="{self._downloads}{kind}" download class="download-{kind}">{words}</a>'
            for kind, words in (("png", "PNG"), ("svg", "SVG"), ("data", "data (netCDF)"), ("lines", "Python"))
        )
        buttons = Row(children=[self._simulate, self._stop, keep, clear, self._progress], styles=_WRAP)
        choices = Row(children=[self._which, self._axis, Div(text=links, margin=(10, 5, 5, 15))], styles=_WRAP)
        return Column(children=[buttons, choices, self._address], **_WIDE)

    def _presets(self) -> Any:
        titles: list[Any] = [preset.title for preset in self._explored.presets]
        menu = Select(title="presets", options=["", *titles], value="", css_classes=["presets"], **_WIDE)
        menu.on_change("value", lambda _, __, new: self._preset(str(new)))
        menu.visible = bool(titles)
        return menu

    def _preset(self, title: str) -> None:
        for preset in self._explored.presets:
            if preset.title == title:
                self._form.fill(preset.shown)
                self._kept = preset.kept
                self._controls.build()
                self._ask()

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Show what is not allowed, and leave the rest as it was."""
        try:
            yield
        except ParameterError as error:
            self._problem = str(error)
            self._changed()

    def _typed(self, name: str, text: str) -> None:
        with self._refusing():
            self._form.type(name, text)
            self._ask()

    def _chose(self, choice: str, name: str) -> None:
        with self._refusing():
            self._form.choose(choice, name)
            if choice in ("problem", "algorithm"):
                self._controls.build()
            self._ask()

    def _ask(self) -> None:
        """Ask the controller for what the form says."""
        with self._refusing():
            shown = self._form.read()
            if self._problem:
                self._problem = ""
                self._changed()
            self.controller.show(shown, self._kept)

    def _start_runs(self) -> None:
        with self._refusing():
            if not self.controller.simulate(self._form.read()):
                self.controller.say("the last simulation has not ended yet; stop it, or wait")

    def _keep(self) -> None:
        if (shown := self.controller.screen.shown) is not None and shown not in self._kept:
            self._kept = (*self._kept, shown)[-MOST_KEPT:]
            self._ask()

    def _clear(self) -> None:
        self._kept = ()
        self._ask()

    def _select(self, active: list[int]) -> None:
        variables = tuple(name for place, name in enumerate(self._which.labels) if place in active)
        if set(variables) != set(self._variables):  # the page has them in another order
            self._variables = self._picked = variables
            self._paint()

    def _produce(self, kind: str) -> tuple[bytes, str, str] | None:
        logarithmic = self._plots is not None and self._plots.logarithmic
        return produce(kind, self.controller.screen, self._variables, logarithmic=logarithmic)

    def _changed(self) -> None:
        """Paint soon, from any thread; what changes until then is painted with it."""
        if not self._pending.is_set():
            self._pending.set()
            self._document.add_next_tick_callback(self._paint)

    def _paint(self) -> None:
        """Show the screen as it is now."""
        self._pending.clear()
        screen = self.controller.screen
        self._document.hold("collect")
        try:
            fresh = self._replot(screen)
            if self._plots is not None:
                self._plots.update(screen, self._variables)
                if fresh:  # with its data, which the browser could not place before
                    self._holder.children = [self._plots.root]
            for div, text in (
                (self._seen, seen_html(screen, self._problem, self._sentence)),
                (self._log, log_html(screen)),
                (self._progress, progress_html(screen)),
            ):
                if div.text != text:  # what is the same is not sent again
                    div.text = text
            self._sentence = screen.seen or self._sentence
            if self._stop.disabled == screen.simulating:
                self._stop.disabled, self._simulate.disabled = not screen.simulating, screen.simulating
        finally:
            self._document.unhold()
        if self._rest is not None:
            self._document.remove_timeout_callback(self._rest)
        self._rest = self._document.add_timeout_callback(self._follow, _REST)

    def _replot(self, screen: Screen) -> bool:
        """Make new plots when other curves are to be shown, or on another axis, and say so."""
        have = shown_variables(screen)
        if not set(self._variables) & set(have) or list(self._which.labels) != list(have):
            kept = tuple(name for name in self._picked if name in have)
            self._variables = kept or self._explored.first_curves(have)
            self._which.update(labels=list(have), active=[have.index(name) for name in self._variables])
        if screen.shown is None:
            return False
        names, asked = names_of(screen, self._variables), screen.shown.question
        time = time_words(asked.algorithm)
        plotted = (type(asked.problem), tuple(names), self._axis.active, time)
        if not names and self._plots is not None and plotted[0] is not self._plotted[0]:  # nothing, not even empty axes
            self._plots = self._plotted = None
            self._holder.children = [Div(text="no curves yet")]
        if plotted == self._plotted or not names:
            return False
        self._plotted = plotted
        self._plots = Plots(names, logarithmic=self._logarithmic(), time=time)
        return True

    def _logarithmic(self) -> bool:
        if self._axis.active == 0:
            return spans_decades(self.controller.screen, self._variables)
        return self._axis.active == _AXES.index("logarithmic")

    def _follow(self) -> None:
        """Bring the slower parts of the page up to date."""
        self._rest = None
        screen = self.controller.screen
        if screen.shown is None:
            return
        if screen.asking:  # for long
            self._progress.text = "theory is being asked ..."
            self._seen.text = seen_html(replace(screen, seen=""), self._problem, self._sentence)
        query = [*Form(screen.shown).query().items(), *(("kept", urlencode(Form(one).query())) for one in self._kept)]
        self._address.tags = [urlencode(query)]
        if self._plots is not None:
            self._plots.label_kept([difference(screen.shown, one) for one, _ in screen.kept])
        self._lines.text = python_lines(screen)
