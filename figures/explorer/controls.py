"""The widgets of the page, made from the declarations: for each parameter a field and, if it has a range, a slider."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from typing import Any

from bokeh.models import Column, Row
from bokeh.models.widgets import Div, Select, Slider, TextInput

from dynamics.parameters import declarations
from figures.explorer.form import CHOICES, Form
from figures.explorer.tracks import NONE, choices_of, number_in, symbol_html, text_of

__all__ = ["Controls"]

#: In what order the parts of a view stand on the page, and what is written over them.
_HEADINGS = {"problem": "Problem", "algorithm": "Algorithm", "times": "Times", "options": "Simulation", "ensemble": ""}
#: Styles, as text: a model of bokeh would belong to one document only.
_FIELD = ".bk-input { font-size: 13px; padding: 2px 6px; min-height: 26px; height: 26px }"
_LABEL = "label { font-size: 13px; line-height: 1.25; overflow-wrap: anywhere }"


class Controls:
    """Widgets for a form.

    Parameters
    ----------
    form : Form
        What is filled in.
    typed : callable
        ``typed(name, text)``, after a parameter was given by its field, slider or menu.
    chosen : callable
        ``chosen(choice, name)``, after a problem, algorithm or method was chosen.
    """

    def __init__(self, form: Form, typed: Callable[[str, str], None], chosen: Callable[[str, str], None]) -> None:
        self._form = form
        self._typed = typed
        self._chosen = chosen
        self._syncing = False
        self._fields: dict[str, Any] = {}
        self._sliders: dict[str, Slider] = {}
        self.root = Column(children=[], sizing_mode="stretch_width")
        self.build()

    def build(self) -> None:
        """Make the widgets anew, for the problem and algorithm that the form has now."""
        self._fields, self._sliders = {}, {}
        groups = self._form.groups()
        children: list[Any] = []
        for part, heading in _HEADINGS.items():
            if heading:
                children.append(Div(text=f"<h2>{heading}</h2>", stylesheets=[_HEADING]))
            children += [self._choice(choice) for choice in _CHOICES_OF.get(part, ())]
            cls, names = groups.get(part, (None, ()))
            children += [] if cls is None else [self._parameter(cls, name) for name in names]
        self.root.children = children

    def _show(self, name: str) -> None:
        """Show the text of one parameter in its field and slider, without taking that for the user's doing."""
        self._syncing = True
        try:
            text = self._form.texts[name]
            self._fields[name].value = text
            number = number_in(text)
            if name in self._sliders and (track := self._form.track(name)) and (number is not None or text == NONE):
                self._sliders[name].value = track.nearest(number)
        finally:
            self._syncing = False

    def _choice(self, choice: str) -> Any:
        options: Any = list(self._form.options(choice))
        select = Select(
            title={"method": "theory"}.get(choice, choice), value=self._form.chosen[choice], options=options,
            sizing_mode="stretch_width", stylesheets=[_FIELD], css_classes=[f"choice-{choice}"],
        )  # fmt: skip
        select.on_change("value", lambda _, __, new: None if self._syncing else self._chosen(choice, str(new)))
        return select

    def _parameter(self, cls: Any, name: str) -> Any:
        item = declarations(cls)[name]
        words = f"{name.replace('_', ' ')}: {item.meaning}"
        symbol = symbol_html(item.symbol)
        symbol = "" if symbol == name else f"<i>{symbol}</i> "  # not: seed seed
        options: Any = list(choices_of(cls, name))
        if options:
            field: Any = Select(value=self._form.texts[name], options=options)
        else:
            field = TextInput(value=self._form.texts[name], max_length=400)
        field.update(stylesheets=[_FIELD], css_classes=[f"field-{name}"], html_attributes={"aria-label": words})
        field.on_change("value", lambda _, __, new: self._entered(name, str(new)))
        self._fields[name] = field
        label = Div(text=f"<label>{symbol}{html.escape(words)}</label>", stylesheets=[_LABEL])
        label.update(sizing_mode="stretch_width", margin=(5, 5, 1, 5))
        track = self._form.track(name)
        if track is None:
            field.sizing_mode = "stretch_width"
            field.margin = (0, 5, 0, 5)
            return Column(children=[label, field], sizing_mode="stretch_width")
        field.update(width=92, margin=(0, 5, 0, 5))
        slider = Slider(
            start=0, end=len(track.values) - 1, step=1, value=track.nearest(number_in(self._form.texts[name])),
            show_value=False, sizing_mode="stretch_width", margin=(6, 10, 0, 5), name=name,
            css_classes=[f"slider-{name}"],
        )  # fmt: skip
        slider.on_change("value", lambda _, __, new: self._moved(name, new))
        self._sliders[name] = slider
        row = Row(children=[field, slider], sizing_mode="stretch_width")
        return Column(children=[label, row], sizing_mode="stretch_width")

    def _entered(self, name: str, text: str) -> None:
        if self._syncing:
            return
        self._typed(name, text)
        self._show(name)

    def _moved(self, name: str, position: Any) -> None:
        track = self._form.track(name)
        if self._syncing or track is None or not math.isfinite(position):
            return
        place = min(max(int(position), 0), len(track.values) - 1)
        self._typed(name, text_of(track.values[place]))
        self._syncing = True
        try:
            self._fields[name].value = self._form.texts[name]  # the slider stays under the user's hand
        finally:
            self._syncing = False


_CHOICES_OF = {"problem": CHOICES[:1], "algorithm": CHOICES[1:3], "options": CHOICES[3:]}
_HEADING = "h2 { font-size: 15px; margin: 8px 0 0; border-bottom: 1px solid #999; width: 100% }"
