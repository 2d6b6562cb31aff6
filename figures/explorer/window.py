"""The explorer in a window of matplotlib: the same curves as on the page, with a slider for each parameter."""

from __future__ import annotations

import math
import textwrap
import threading
from collections.abc import Callable
from typing import Any

from matplotlib.backend_bases import TimerBase
from matplotlib.backends.registry import BackendFilter, backend_registry
from matplotlib.figure import Figure
from matplotlib.widgets import Button, CheckButtons, RadioButtons, Slider

from dynamics.errors import ParameterError
from figures.explored import Explored, Shown
from figures.explorer.controller import Controller, Screen
from figures.explorer.curves import shown_variables
from figures.explorer.form import Form
from figures.explorer.picture import draw_screen, panels
from figures.explorer.tracks import Track, number_in, text_of
from figures.style import COLOURS, styled

__all__ = ["Window", "window"]

_SIZE, _DPI = (12.5, 7.6), 100
#: The timer looks for news this often, in milliseconds.
_INTERVAL = 30
#: More sliders than this stand in two columns.
_ONE_COLUMN = 12
#: Space for the handle between a slider and the texts beside it.
_BESIDE = 0.03
#: Edges of the plots within their part of the window.
_MARGINS = {"left": 0.1, "right": 0.98, "bottom": 0.09, "top": 0.94, "hspace": 0.06}
#: Letters in a line below, and lines there.
_LETTERS, _LINES = 180, 3
_RED = "#a40000"


def window(start: Shown) -> None:
    """Open a window on a view, and return when it is closed.

    Parameters
    ----------
    start : Shown
        What is shown first, such as :func:`figures.explored.begin` returns.

    Raises
    ------
    ParameterError
        When matplotlib's backend has no windows.
    """
    from matplotlib import pyplot  # which replaces a backend that finds no display

    name = pyplot.get_backend()
    if name.lower() not in backend_registry.list_builtin(BackendFilter.INTERACTIVE):  # type: ignore[no-untyped-call]
        raise _no_windows(name)
    try:
        opened = Window(start)
    except ImportError as error:  # the backend is named, but what it needs is not there
        raise _no_windows(f"{name} ({error})") from error
    opened.show()


def _no_windows(came: str) -> ParameterError:
    return ParameterError(
        f"the backend of matplotlib must be one that opens windows; got {came}. Install a GUI toolkit (Tk or PySide6, "
        "say) and name its backend in the environment variable MPLBACKEND (tkagg, qtagg), or explore on the page, "
        "which needs no toolkit but the extra 'explore' of this package"
    )


class Window:
    """The figure with its controls, and what they do; works without being shown.

    Parameters
    ----------
    start : Shown
        What is shown first. Problem and algorithm stay the same, all that has a range can be moved.
    """

    def __init__(self, start: Shown) -> None:
        from matplotlib import pyplot

        self.form = Form(start)
        self.sliders: dict[str, Slider] = {}
        self._explored = Explored.of(start.question.phenomenon)
        self._refused = ""
        self._drawn: tuple[Any, ...] = ()
        with styled():
            self.figure: Figure = pyplot.figure(figsize=_SIZE, dpi=_DPI)
            upper, lower = self.figure.subfigures(2, 1, squeeze=False, height_ratios=(8, 1))[:, 0]
            self.plots, self._controls = upper.subfigures(1, 2, squeeze=False, width_ratios=(2, 1))[0]
            self._add_sliders()
            self._add_choices()
            self.warning = lower.text(0.02, 0.95, "", color=_RED, va="top", parse_math=False)
            self.status = lower.text(0.02, 0.95, "", va="top", parse_math=False)
        self._timer: TimerBase = self.figure.canvas.new_timer(interval=_INTERVAL)
        self._timer.add_callback(self.refresh)
        self.figure.canvas.mpl_connect("close_event", lambda _: self._end())
        self._news = threading.Event()
        self.controller = Controller(self._news.set)  # from other threads: drawing is left to the timer
        self._ask()

    def _add_sliders(self) -> None:
        tracks = {name: self.form.track(name) for _, names in self.form.groups().values() for name in names}
        moved = {name: track for name, track in tracks.items() if track is not None}
        columns = 1 if len(moved) <= _ONE_COLUMN else 2
        rows = math.ceil(len(moved) / columns)
        for place, (name, track) in enumerate(moved.items()):
            column, row = divmod(place, rows)
            left = column / columns + 0.14
            bounds = (left, 0.93 - 0.62 * row / rows, 1.0 / columns - 0.32, 0.03)
            self.sliders[name] = self._slider(name, track, bounds)

    def _slider(self, name: str, track: Track, bounds: tuple[float, float, float, float]) -> Slider:
        position = track.nearest(number_in(self.form.texts[name]))
        slider = Slider(
            self._controls.add_axes(bounds), f"${track.declaration.symbol}$", 0, len(track.values) - 1,
            valinit=position, valstep=1, color=COLOURS[0], initcolor="none",
        )  # fmt: skip
        slider.label.set_x(-_BESIDE / bounds[2])
        slider.valtext.set_x(1.0 + _BESIDE / bounds[2])
        slider.valtext.set_text(self.form.texts[name])  # which may lie between two positions
        slider.on_changed(lambda value: self._moved(name, track, round(value)))
        return slider

    def _add_choices(self) -> None:
        methods = self.form.options("method")
        axes = self._controls.add_axes((0.05, 0.1, 0.56, 0.18), title="theory")
        self.methods = RadioButtons(axes, methods, active=methods.index(self.form.chosen["method"]))
        self.methods.on_clicked(lambda name: self._chosen(str(name)))
        self.logarithmic = CheckButtons(self._controls.add_axes((0.66, 0.21, 0.29, 0.07)), ["log y"])
        self.logarithmic.on_clicked(lambda _: self._news.set())
        self.buttons = {
            "Simulate": self._button("Simulate", (0.05, 0.02, 0.42, 0.055), self.simulate),
            "Stop": self._button("Stop", (0.53, 0.02, 0.42, 0.055), self.stop),
        }

    def _button(self, words: str, bounds: tuple[float, float, float, float], pressed: Callable[[], None]) -> Button:
        button = Button(self._controls.add_axes(bounds), words)
        button.on_clicked(lambda _: pressed())
        return button

    def _moved(self, name: str, track: Track, position: int) -> None:
        self.form.type(name, text_of(track.values[position]))
        self.sliders[name].valtext.set_text(self.form.texts[name])
        self._ask()

    def _chosen(self, method: str) -> None:
        self.form.choose("method", method)
        self._ask()

    def _ask(self) -> Shown | None:
        """Ask theory about what the form says; where that is not allowed, say why and leave the curves."""
        self._refused, shown = "", None
        try:
            shown = self.form.read()
        except ParameterError as error:
            self._refused = f"Not allowed: {error}"
        else:
            self.controller.show(shown)
        self._news.set()
        return shown

    def simulate(self) -> None:
        """Start the runs of what the form says."""
        shown = self._ask()
        if shown is not None and not self.controller.simulate(shown):
            self.controller.say("not simulated: other runs are still at work")

    def stop(self) -> None:
        """End the runs; those that are finished stay."""
        self.controller.stop()

    def refresh(self) -> None:
        """Show what has changed since the last time."""
        if not self._news.is_set():
            return
        self._news.clear()  # before the screen is read, lest a change in between be missed
        screen, logarithmic = self.controller.screen, self.logarithmic.get_status()[0]
        drawn = (screen.shown, screen.theory, screen.kept, screen.runs, screen.comparison, logarithmic)
        if len(self._drawn) != len(drawn) or any(a is not b for a, b in zip(drawn, self._drawn, strict=True)):
            self._drawn = drawn
            self._draw(screen, logarithmic)
        self._say(screen)
        self.figure.canvas.draw_idle()

    def variables(self, screen: Screen) -> tuple[str, ...]:
        """Return the quantities that are drawn: those that the phenomenon names first."""
        return self._explored.first_curves(shown_variables(screen))

    def _draw(self, screen: Screen, logarithmic: bool) -> None:
        variables = self.variables(screen)
        with styled():
            self.plots.clear()
            axes = panels(self.plots, screen, variables)
            self.plots.subplots_adjust(**_MARGINS)
            draw_screen(screen, variables, *axes, logarithmic=logarithmic)

    def _say(self, screen: Screen) -> None:
        """Write below what is not allowed, in red, or what is to be seen; and what happened last."""
        none = f"No theory: {screen.theory}" if isinstance(screen.theory, str) else ""
        wrong, seen = _lines(self._refused or none), _lines(screen.seen)
        self.warning.set_text(wrong)
        last = [*screen.messages[-1:], *(["theory is being asked ..."] if screen.asking else [])]
        self.status.set_text("\n".join(["\n" * wrong.count("\n") if wrong else seen, *last]))

    def show(self) -> None:
        """Show the window until it is closed."""
        from matplotlib import pyplot

        self._timer.start()
        try:
            pyplot.show(block=True)
        finally:
            self.close()

    def close(self) -> None:
        """Close the window and end all work."""
        from matplotlib import pyplot

        self._end()
        pyplot.close(self.figure)

    def _end(self) -> None:
        self._timer.stop()
        self.controller.close()


def _lines(text: str) -> str:
    """Break a text into few lines."""
    return "\n".join(textwrap.wrap(text, _LETTERS, max_lines=_LINES, placeholder=" ..."))
