"""What a user has filled in, as text: checked, turned into a question, written into an address and read from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dynamics.errors import ParameterError, known, shown
from dynamics.parameters import Declared, declarations
from figures.explored import Shown, algorithms_of, begin
from figures.explorer.tracks import NONE, Track, choices_of, text_of, track_of
from figures.phenomena import Phenomenon

__all__ = ["CHOICES", "Form"]

#: What is chosen by name, beside the parameters.
CHOICES = ("problem", "algorithm", "method", "simulation")
#: Longest text that is read; a vector may be typed.
_LONGEST = 400
#: Threads are the machine's business, not the page's.
_HIDDEN = ("workers",)


class Form:
    """The texts of all parameters of a view.

    Parameters
    ----------
    start : Shown
        What the form begins with. Ranges are those declared, widened to the values of ``start``, and of classes that
        it has not to their defaults.
    """

    def __init__(self, start: Shown) -> None:
        self.start = start
        self.fill(start)

    @property
    def phenomenon(self) -> Phenomenon:
        """The phenomenon, which does not change."""
        return self.start.question.phenomenon

    def fill(self, view: Shown) -> None:
        """Take over all values of a view."""
        asked = view.question
        self._view = view
        self.chosen: dict[str, str] = {
            "problem": asked.problem.label, "algorithm": asked.algorithm.label, "method": asked.theory_method,
            "simulation": asked.simulation_method,
        }  # fmt: skip
        self.texts = {name: text_of(getattr(part, name)) for part, name in self._fields()}

    def _parts(self) -> dict[str, Declared]:
        """Return the declared objects of the view by the part of it that they are."""
        asked = self._view.question
        parts = {
            "problem": asked.problem, "algorithm": asked.algorithm, "times": self._view.times,
            "ensemble": asked.ensemble,
        }  # fmt: skip
        return parts if asked.options is None else {**parts, "options": asked.options}

    def _fields(self) -> Iterator[tuple[Declared, str]]:
        for part in self._parts().values():
            yield from ((part, name) for name in type(part).model_fields if name not in _HIDDEN)

    def groups(self) -> dict[str, tuple[type[Declared], tuple[str, ...]]]:
        """Return, for each part of the view, its class and the names of its parameters."""
        return {
            key: (type(part), tuple(name for name in type(part).model_fields if name not in _HIDDEN))
            for key, part in self._parts().items()
        }

    def track(self, name: str) -> Track | None:
        """Return the slider of a parameter, or None where it has no range."""
        cls = next(type(part) for part, field in self._fields() if field == name)
        begun = self.start.question
        parts = (begun.problem, begun.algorithm, self.start.times, begun.ensemble, begun.options)
        own = next((part for part in parts if type(part) is cls), None)
        return track_of(cls, name, start=declarations(cls)[name].default if own is None else getattr(own, name))

    def options(self, choice: str) -> tuple[str, ...]:
        """Return the names that a choice has."""
        chosen = self.phenomenon
        if choice == "problem":
            return tuple(cls.label for cls in chosen.dynamics.PROBLEMS if _can_begin(chosen, cls))
        if choice == "algorithm":
            return tuple(cls.label for cls in algorithms_of(chosen, self._view.question.problem))
        return tuple((chosen.analytic if choice == "method" else chosen.simulations).METHODS)

    def choose(self, choice: str, name: str) -> None:
        """Choose a problem (with all that suits it), an algorithm or a method by name.

        Raises
        ------
        ParameterError
            When there is none of that name.
        """
        known("choice", choice, CHOICES)
        name = known(choice, name, self.options(choice))
        if choice in ("method", "simulation"):
            self.chosen[choice] = name
            return
        chosen, asked = self.phenomenon, self._view.question
        if choice == "problem":
            cls = next(cls for cls in chosen.dynamics.PROBLEMS if cls.label == name)
            self.fill(begin(chosen.name, cls, ensemble=asked.ensemble))
            return
        algorithm = next(cls for cls in chosen.dynamics.ALGORITHMS if cls.label == name)()
        kept: dict[str, Any] = {key: self.chosen[key] for key in ("method", "simulation")}
        times = self._view.times if algorithm.discrete == asked.algorithm.discrete else None
        kept |= {"ensemble": asked.ensemble, "options": asked.options, "times": times}
        self.fill(begin(chosen.name, asked.problem, algorithm, **kept))

    def type(self, name: str, text: str) -> None:
        """Take a text for a parameter; it is checked when the form is read.

        Raises
        ------
        ParameterError
            When there is no such parameter, or the text is too long.
        """
        known("parameter", name, self.texts)
        if len(text) > _LONGEST:
            raise ParameterError(f"{name} must be given in at most {_LONGEST} characters; got {len(text)}")
        self.texts[name] = text.strip()

    def read(self) -> Shown:
        """Return what the form asks for.

        Raises
        ------
        ParameterError
            Naming the parameter that is not allowed, what is allowed and what came.
        """
        parts = {}
        for key, part in self._parts().items():
            cls, names = self.groups()[key]
            made = part.model_copy(update={name: _value(cls, name, self.texts[name]) for name in names})
            for name in names:
                if track := self.track(name):
                    track.check(getattr(made, name))
            parts[key] = made
        times = parts.pop("times")
        methods = {key: self.chosen[key] for key in ("method", "simulation")}
        self._view = Shown(replace(self._view.question, **parts, **methods), times)  # type: ignore[arg-type]
        return self._view

    def query(self) -> dict[str, str]:
        """Return choices and texts for an address."""
        return self.chosen | self.texts

    def restore(self, query: Mapping[str, str]) -> list[str]:
        """Fill in what an address says, and return a notice for everything that is not taken as it came.

        A number beyond its range is moved to the end of the range; what is not allowed otherwise is left as it was.
        """
        notices = []
        for choice in CHOICES:
            if query.get(choice, self.chosen[choice]) != self.chosen[choice]:
                notices += self._chosen_from(choice, query[choice])
        texts = {name: text for name, text in query.items() if name not in CHOICES and text != self.texts.get(name)}
        for name in [*texts]:
            if name not in self.texts:
                notices += self._taken_from(name, texts.pop(name))
        while True:
            try:
                return notices + self._take(texts)
            except ParameterError as error:  # something does not fit: the parameter that is named first
                name = str(error).split(" ", 1)[0]
                if name not in texts:  # or what it must fit to: find out, one after the other
                    break
                del texts[name]
                notices.append(f"not taken from the address: {error}")
        return notices + [notice for name, text in texts.items() for notice in self._taken_from(name, text)]

    def _chosen_from(self, choice: str, name: str) -> list[str]:
        try:
            self.choose(choice, name)
        except ParameterError as error:
            return [f"not taken from the address: {error}"]
        return []

    def _taken_from(self, name: str, text: str) -> list[str]:
        try:
            return self._take({name: text})
        except ParameterError as error:
            return [f"not taken from the address: {error}"]

    def _take(self, texts: Mapping[str, str]) -> list[str]:
        """Read the form with some texts changed, or leave it as it was; say which numbers were moved."""
        before, moved = dict(self.texts), []
        try:
            for name, text in texts.items():
                self.type(name, text)
                if within := self._within(name, text):
                    self.texts[name] = within
                    moved.append(f"{name} = {shown(text)} of the address is out of range; moved to {within}")
            self.read()
        except ParameterError:
            self.texts = before
            raise
        return moved

    def _within(self, name: str, text: str) -> str | None:
        """Return the end of the range that a number is beyond, or None."""
        try:
            value = float(text)
        except ValueError:
            return None
        if (track := self.track(name)) is None or np.isnan(value):
            return None
        nearest = float(np.clip(value, *track.bounds))
        return None if nearest == value else text_of(nearest)


def _value(cls: type[Declared], name: str, text: str) -> Any:
    """Return what a text means to a parameter; numbers, vectors and schedules are read by the class itself."""
    if choices_of(cls, name):
        return text
    return None if text in (NONE, "") else text


def _can_begin(chosen: Phenomenon, cls: type[Declared]) -> bool:
    try:
        begin(chosen.name, cls)
    except ParameterError:
        return False
    return True
