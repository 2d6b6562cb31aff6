"""The explorer's sentences, as HTML: everything that came from outside is escaped."""

from __future__ import annotations

import html
import re

import xarray as xr

from dynamics.algorithms import Algorithm
from dynamics.results import time_of
from figures.explorer.controller import Screen
from figures.explorer.tracks import symbol_html

__all__ = ["log_html", "progress_html", "seen_html", "time_words"]

_RED = "#a40000"
_GREEN = "#00563d"


def seen_html(screen: Screen, problem: str, before: str) -> str:
    """Say what is to be seen: what is not allowed, why there is no theory, the phenomenon's sentence, the verdict.

    While the sentence is not known, the one ``before`` stays, pale, so that the page does not jump.
    """
    lines = []
    if problem:
        lines.append(f'<b style="color:{_RED}">Not allowed:</b> {html.escape(problem)}')
    if isinstance(screen.theory, str):
        lines.append(f'<b style="color:{_RED}">No theory:</b> {html.escape(screen.theory)}')
    if screen.seen:
        lines.append(html.escape(screen.seen))
    elif screen.asking and before:
        lines.append(f'<span style="opacity:0.5">{html.escape(before)}</span>')
    if isinstance(screen.theory, xr.Dataset) and "run" in screen.theory.dims:
        count = screen.theory.sizes["run"]
        lines.append(f"Theory is for given data: {f'the mean over those of {count} runs' if count > 1 else 'run 0'}.")
    if screen.comparison is not None:
        lines += _verdict(screen)
    return "<br>".join(lines)


def _verdict(screen: Screen) -> list[str]:
    assert screen.comparison is not None  # that is why it was called
    found = screen.comparison.attrs
    colour = _GREEN if found["verdict"] == "agree" else _RED
    # each look at more runs is a test of its own
    line = (
        f'<b style="color:{colour}">Theory and simulation {html.escape(found["verdict"])}</b>: {found["runs"]} runs, '
        f"{found['values_compared']} values, false alarm {found['false_alarm']:g} at each look"
    )
    notes = [html.escape(note) for note in str(found["notes"]).splitlines()]
    if not notes:
        return [line]
    folded = "<br>".join(notes)  # so that the plots stay where they are
    return [f"<details><summary>{line}; notes: {len(notes)}</summary><small>{folded}</small></details>"]


def progress_html(screen: Screen) -> str:
    """Say how many runs there are."""
    if screen.runs is None or screen.shown is None:
        return "simulating ..." if screen.simulating else ""
    done, wanted = screen.runs.sizes["run"], screen.shown.question.ensemble.runs
    return f'<progress max="{wanted}" value="{done}"></progress> {done} of {wanted} runs'


def log_html(screen: Screen) -> str:
    """Return the last messages, the newest first."""
    lines = "<br>".join(html.escape(line) for line in reversed(screen.messages))
    return f'<div style="max-height:7em;overflow-y:auto;font-size:12px" tabindex="0">{lines}</div>'


def time_words(algorithm: Algorithm) -> str:
    """Name the time axis: "steps t", "flow time τ"."""
    time = time_of(algorithm)
    return f"{time.meaning} {re.sub('<[^>]*>', '', symbol_html(time.symbol))}"
