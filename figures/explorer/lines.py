"""What is on the screen as Python lines that compute it again, bit for bit, and as one netCDF file."""

from __future__ import annotations

from typing import Any

import xarray as xr

from dynamics.errors import ParameterError
from dynamics.parameters import Declared
from dynamics.schedules import Schedule
from figures.asking import Question
from figures.explored import Shown
from figures.explorer.controller import Screen

__all__ = ["data_of", "python_lines"]


def python_lines(screen: Screen) -> str:
    """Return Python lines that compute everything on the screen: ``theory``, ``runs``, ``comparison``, ``kept_1``, ...

    Names are those of the groups of :func:`data_of`.
    """
    if screen.shown is None:
        return ""
    body = _question(screen.shown)
    body += _theory("theory", screen.shown, screen.theory, _runs_of(screen))
    if screen.runs is not None:
        body += _simulation(screen.shown, _runs_of(screen))
    if screen.comparison is not None:
        body += ["comparison = figures.compare(theory, runs)", "print(figures.describe(comparison))"]
    for number, (shown, answer) in enumerate(screen.kept, start=1):
        body += ["", *_question(shown), *_theory(f"kept_{number}", shown, answer, 1)]
    every = [screen.shown, *(shown for shown, _ in screen.kept)]
    return "\n".join([*_imports(every, screen), "", *body, ""])


def _runs_of(screen: Screen) -> int:
    return 1 if screen.runs is None else int(screen.runs.sizes["run"])


def _module(shown: Shown) -> str:
    return shown.question.phenomenon.name.replace("-", "_")


def _imports(every: list[Shown], screen: Screen) -> list[str]:
    """Return the imports that the lines need, sorted as one sorts them."""
    names = sorted({_module(shown) for shown in every})
    lines = [f"import analytic.{name}" for name in names]
    if screen.comparison is not None:
        lines.append("import figures")
    if screen.runs is not None or any(shown.question.on_data for shown in every):
        lines += [f"import simulations.{name}" for name in names]
    objects: dict[str, set[str]] = {}
    for shown in every:
        asked = _settled(shown)
        for one in (asked.problem, asked.algorithm):
            for part in (one, *(value for _, value in one if isinstance(value, Schedule))):
                objects.setdefault(_home(part), set()).add(type(part).__name__)
    if any(shown.times.line.startswith("log_steps") for shown in every):
        objects["dynamics.times"] = {"log_steps"}
    lines += [f"from {home} import {', '.join(sorted(found))}" for home, found in sorted(objects.items())]
    return ["import numpy as np", "", *lines] if any("np." in shown.times.line for shown in every) else lines


def _home(part: Declared) -> str:
    return ".".join(word for word in type(part).__module__.split(".") if not word.startswith("_"))


def _settled(shown: Shown) -> Question:
    """Return the question that was answered; where a default is refused, and so is the answer, as it was asked."""
    try:
        return shown.question.settled()
    except ParameterError:
        return shown.question


def _question(shown: Shown) -> list[str]:
    asked = _settled(shown)
    return [f"problem = {asked.problem!r}", f"algorithm = {asked.algorithm!r}", f"times = {shown.times.line}"]


def _theory(name: str, shown: Shown, answer: xr.Dataset | str | None, runs: int) -> list[str]:
    if not isinstance(answer, xr.Dataset):
        return [f"# no {name}: {' '.join(str(answer).splitlines())}"]
    asked = shown.question
    module, lines, data = _module(shown), [], ""
    if asked.on_data:
        lines.append(f"data = simulations.{module}.sample(problem, runs={runs}, seed={asked.ensemble.seed})")
        data = ", data=data"
    call = f"analytic.{module}.solve(problem, algorithm, times, method={asked.theory_method!r}{data})"
    return [*lines, f"{name} = {call}"]


def _simulation(shown: Shown, runs: int) -> list[str]:
    asked = shown.question
    module, method = _module(shown), asked.simulation_method
    settings: dict[str, Any] = {
        "runs": runs,
        "seed": asked.ensemble.seed,
        "method": method,
        **dict(asked.options or ()),
    }
    given = [f"{name}={value!r}" for name, value in settings.items()]
    if (prepared := getattr(asked.phenomenon.analytic, "prepared", None)) and prepared(asked.problem, method):
        given.append(f"**analytic.{module}.prepared(problem, {method!r})")
    return [
        f"runs = simulations.{module}.simulate(problem, algorithm, times, {', '.join(given)}, on_divergence='mark')"
    ]


def data_of(screen: Screen) -> xr.DataTree:
    """Return all answers on the screen as groups of one file: theory, runs, comparison, kept_1, ...

    Its attribute ``python`` holds the lines that compute them again.
    """
    kept = {f"kept_{number}": answer for number, (_, answer) in enumerate(screen.kept, start=1)}
    found = {"theory": screen.theory, "runs": screen.runs, "comparison": screen.comparison, **kept}
    groups = {name: one for name, one in found.items() if isinstance(one, xr.Dataset)}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs={"python": python_lines(screen)}), **groups})
