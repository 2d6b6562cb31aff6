"""What the phenomena say of themselves: their starts and presets can be asked, and what is to be seen is true."""

import functools
import math
import re
from dataclasses import replace

import pytest

from dynamics.errors import ParameterError
from dynamics.gradient_starvation import ColoredDigits, TwoMoons
from dynamics.parameters import Declared, declarations
from dynamics.scaling_laws import PowerLawRandomFeatures, PowerLawSpectrum, Spectrum
from figures.asking import Ensemble
from figures.explored import Explored, FlowTimes, StepTimes, algorithms_of, begin
from figures.explorer.curves import variables_of
from figures.phenomena import phenomena, phenomenon

EXPLORED = {name: Explored.of(phenomenon(name)) for name in phenomena()}
#: Every view by name.
VIEWS = {f"{name}: start {type(s.question.problem).__name__}": s for name in EXPLORED for s in EXPLORED[name].starts}
VIEWS |= {f"{name}: {one.title}": one.shown for name in EXPLORED for one in EXPLORED[name].presets}
VIEWS |= {
    f"{name}: {one.title}, kept {k}": kept
    for name in EXPLORED
    for one in EXPLORED[name].presets
    for k, kept in enumerate(one.kept)
}
double_descent = EXPLORED["double-descent"].seen


@functools.cache
def solved(view):
    return None if isinstance(VIEWS[view].question.problem, ColoredDigits) else asked(VIEWS[view])


def asked(shown):
    """The answer of theory to a settled question; none where it is refused. One run of networks is enough."""
    question = shown.question.settled()
    if isinstance(question.problem, TwoMoons):
        question = replace(question, ensemble=Ensemble(runs=1))
    try:
        return question.theory(shown.times.values())
    except ParameterError:
        return None


def outside(declared):
    """Numeric parameters that are not within the range worth exploring."""
    for name, one in declarations(declared).items():
        value = getattr(declared, name)
        if isinstance(value, Declared):
            yield from outside(value)
        elif one.explore and isinstance(value, int | float) and not one.explore[0] <= value <= one.explore[1]:
            yield f"{name} = {value}"


def said(text):
    assert text == text.strip()
    assert "  " not in text
    assert not re.search(r"\b(nan|inf|None|[Tt]rue|[Ff]alse)\b", text), text
    return text


def test_titles_are_unique_and_every_class_has_a_view():
    for name, explored in EXPLORED.items():
        titles = [one.title for one in explored.presets]
        assert len(set(titles)) == len(titles)
        assert 4 <= len(titles) <= 7
        assert len({type(one.question.problem) for one in explored.starts}) == len(explored.starts)
        for cls in phenomenon(name).dynamics.PROBLEMS:
            assert type(begin(name, cls).question.problem) is cls


@pytest.mark.parametrize("view", VIEWS)
def test_views_can_be_asked_and_spoken_of(view):
    shown = VIEWS[view]
    question = shown.question
    assert not [*outside(question.problem), *outside(question.algorithm)]
    assert not [*outside(shown.times), *outside(question.ensemble)]
    assert isinstance(shown.times, StepTimes if question.algorithm.discrete else FlowTimes)
    theory, settled = solved(view), question.settled()
    assert (theory is None) == isinstance(question.problem, ColoredDigits)
    explored = EXPLORED[question.phenomenon.name]
    first = () if theory is None else explored.first_curves(variables_of(theory))
    assert theory is None or any(first and set(first) <= set(group) for group in explored.curves)
    assert question.simulation_method in question.phenomenon.simulations.METHODS
    assert len(said(explored.seen(settled.problem, settled.algorithm, theory))) > 40


def test_presets_show_what_their_titles_say():
    last = {view: solved(view) for view in VIEWS if not isinstance(VIEWS[view].question.problem, ColoredDigits)}

    def end(title, name, **place):
        (view,) = [view for view in last if view.endswith(title)]
        return float(last[view][name].isel(time=-1, **place).mean())

    dana = "scaling-laws: DANA-decaying against SGD in phase II"
    assert end(dana, "risk") < end(f"{dana}, kept 0", "risk")
    noise = "gradients keeps the risk above its floor; a batch of 16 removes most of it"
    assert end(noise, "risk") > 3 * end(f"{noise}, kept 0", "risk")
    starved = "starved feature: s₁ = 6, against s₁ = 2, with s₂ = 2"
    assert end(starved, "response", feature=1) < 0.8 * end(f"{starved}, kept 0", "response", feature=1)
    same = "the second response is the same"
    assert end(same, "response", feature=1) == pytest.approx(end(f"{same}, kept 0", "response", feature=1), rel=1e-3)
    moons = "two moons, spectral decoupling against weight decay alone"
    assert end(moons, "nonlinearity") > 3 * end(f"{moons}, kept 0", "nonlinearity")
    words = {view: double_descent(VIEWS[view].question.problem, VIEWS[view].question.algorithm, last[view])
             for view in last if view.startswith("double-descent")}  # fmt: skip
    assert [words[f"double-descent: start {name}"].split()[0] for name in ("TwoScale", "TeacherStudent")] == [
        "Double", "Triple",
    ]  # fmt: skip
    for start, this, kept in (("figure 4", "Double", "Single"), ("figure 5d", "Single", "Double")):
        (view,) = [view for view in words if f": {start}" in view and "kept" not in view]
        assert (words[view].split()[0], words[f"{view}, kept 0"].split()[0]) == (this, kept)


def stations(declared):
    """Both ends and the middle of every slider, one after the other; refused ones left out."""
    yield declared
    for name, one in declarations(declared).items():
        if one.explore is None:
            continue
        low, high = one.explore
        middle = math.sqrt(low * high) if one.scale == "log" and low > 0 else (low + high) / 2
        for value in (low, middle, high):
            whole = isinstance(getattr(declared, name), int) or name == "ambient_dimension"
            try:
                yield declared.model_copy(update={name: round(value) if whole else value})
            except ParameterError:
                continue


PAIRS = [
    (name, cls, algorithm)
    for name in EXPLORED
    for cls in phenomenon(name).dynamics.PROBLEMS
    for algorithm in algorithms_of(phenomenon(name), begin(name, cls).question.problem)[:3]
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "cls", "algorithm"), PAIRS, ids=lambda one: getattr(one, "label", one))
def test_every_slider(name, cls, algorithm):
    start, seen = begin(name, cls).question.problem, EXPLORED[name].seen
    method = "recursion" if isinstance(start, Spectrum | PowerLawSpectrum) else None
    times = StepTimes(last=300, count=4) if algorithm.discrete else FlowTimes(first=0.1, last=300.0, count=12)
    pairs = [(problem, algorithm()) for problem in stations(start)]
    if cls not in (PowerLawRandomFeatures, PowerLawSpectrum):  # dear: their algorithms are those of Spectrum
        pairs += [(start, one) for one in stations(algorithm())]
    for problem, one in pairs:
        network = isinstance(problem, TwoMoons | ColoredDigits)
        shown = begin(name, problem, one, method=method, times=times)
        assert len(said(seen(problem, one, None if network else asked(shown)))) > 20
        if problem is start:
            said(seen(problem, one, None))
