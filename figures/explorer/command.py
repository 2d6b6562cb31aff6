"""``dynamics explore``: the command line's words turned into the view to begin with, and a page or a window."""

from __future__ import annotations

import sys
import threading
import webbrowser
from dataclasses import replace
from typing import Any

from dynamics.parameters import Declared
from figures.asking import Ensemble
from figures.explored import FlowTimes, Shown, StepTimes, begin
from figures.explorer import serve
from figures.phenomena import Phenomenon, phenomena, phenomenon
from figures.questions import inner_app, pick, signed

__all__ = ["explore_command"]


def explore_command(words: list[str]) -> int:
    """Explore what the words say, until Ctrl-C or until the window is closed, and return the exit code."""
    name = words.pop(0) if words and not words[0].startswith("-") else phenomena()[0]
    chosen = phenomenon(name)
    classes, words = _classes(chosen, words)
    inner = inner_app("explore", chosen, classes["problem"], classes["algorithm"])

    start = begin(name, classes["problem"], _algorithm(chosen, classes))

    def view(parts: dict[str, Any]) -> Shown:
        return _changed(start, parts)

    inner.default(signed(_explore, classes, view, problem=start.question.problem))
    return int(inner(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)


def _classes(chosen: Phenomenon, words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the declared classes whose parameters are options, and the words without the choice of them."""
    problem, words = pick(words, "problem", chosen.dynamics.PROBLEMS)
    start = type(begin(chosen.name, problem).question.algorithm)
    others = [cls for cls in chosen.dynamics.ALGORITHMS if cls is not start]
    algorithm, words = pick(words, "algorithm", (start, *others))
    times = StepTimes if algorithm.discrete else FlowTimes
    classes = {"problem": problem, "algorithm": algorithm, "times": times, "ensemble": Ensemble}
    if options := getattr(chosen.simulations, "OPTIONS", None):
        classes["options"] = options
    return classes, words


def _algorithm(chosen: Phenomenon, classes: dict[str, Any]) -> Any:
    """Return the algorithm to begin with: the phenomenon's own choice, or the class's defaults."""
    start = begin(chosen.name, classes["problem"]).question.algorithm
    return start if type(start) is classes["algorithm"] else classes["algorithm"]()


def _changed(start: Shown, parts: dict[str, Declared]) -> Shown:
    """Return a view with the parameters that were given on the command line, and the start's own for the rest."""

    def over(own: Declared | None, given: Declared) -> Declared:
        if own is None or type(own) is not type(given):
            return given
        return own.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})

    asked = start.question
    made: dict[str, Any] = {key: over(getattr(asked, key), part) for key, part in parts.items() if key != "times"}
    return Shown(replace(asked, **made), over(start.times, parts["times"]))  # type: ignore[arg-type]


def _explore(
    start: Shown,
    *,
    method: str | None = None,
    simulation: str | None = None,
    window: bool = False,
    no_browser: bool = False,
    port: int = 5006,
    host: str = "127.0.0.1",
) -> int:
    """Explore, until Ctrl-C or until the window is closed.

    Parameters
    ----------
    method
        Method of the theory to begin with.
    simulation
        Method of the simulation to begin with.
    window
        A window of matplotlib instead of a page in the browser; it needs no extra.
    no_browser
        Print the page's address only, and leave it to you to open it.
    port
        Where to serve the page; the next free one if it is in use.
    host
        Address to serve the page at. Any but the default lets other machines in.
    """
    asked = start.question
    asked = replace(asked, method=method or asked.method, simulation=simulation or asked.simulation)
    start = Shown(asked, start.times)
    if window:
        from figures.explorer.window import window as opened

        opened(start)
        return 0
    server = serve(start, host=host, port=port)
    for line in (server.notice, server.warning):
        if line:
            print(f"dynamics: {line}", file=sys.stderr)
    print(f"exploring at {server.url} (Ctrl-C ends it)", flush=True)
    if not no_browser:  # which may take its time
        threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
    server.run()
    return 0
