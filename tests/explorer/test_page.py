"""The explorer's page in a browser: what is set is what is drawn, and nothing that is typed breaks it."""

from urllib.parse import urlencode

import numpy as np
import pytest

pytest.importorskip("bokeh")

from figures.explored import Explored, begin
from figures.explorer.form import Form
from figures.explorer.tracks import text_of
from figures.phenomena import phenomena, phenomenon
from tests.explorer.browsing import LAPTOP, PHONE, check_curves, refusal, wait

pytestmark = pytest.mark.browser
EACH = pytest.mark.parametrize("name", phenomena())
PROBLEMS = pytest.mark.parametrize(
    ("name", "problem"), [(name, one) for name in phenomena() for one in Form(begin(name)).options("problem")]
)
#: Never a number, whatever is asked for.
NONSENSE = ("abc", "<script>alert(1)</script><img src=x onerror=alert(1)>", "__import__('os')", "x" * 500)
SUSPICIOUS = ("", "1e999", "-1")
#: What a field holds.
LONGEST = 400


def number_fields(name):
    form = Form(begin(name))
    return [field for part, fields in form.groups().values() for field in fields if form.track(field)]


@EACH
def test_the_page_shows_what_theory_says(tab, name):
    tab.open(name)
    assert tab.page.title() == f"{name} · learning-dynamics"
    assert tab.problem() == ""
    start = begin(name)
    asked, times = start.question.settled(), start.times.values()
    answer = asked.phenomenon.analytic.solve(asked.problem, asked.algorithm, times, method=asked.theory_method)
    drawn = tab.theory()
    assert drawn
    for key, (drawn_times, values) in drawn.items():
        variable, *place = key.split()
        (other,) = set(answer[variable].dims) - {"time"} or {None}
        expected = answer[variable] if other is None else answer[variable].sel({other: int(place[0])})
        np.testing.assert_array_equal(drawn_times, answer["time"])
        np.testing.assert_array_equal(values, expected)
    assert tab.shown() == Form(start).read()


@EACH
def test_every_slider_leads_to_its_own_curves(tab, name):
    tab.open(name)
    texts = Form(begin(name)).texts
    for field in number_fields(name):
        track = Form(begin(name)).track(field)
        values = [text_of(value) for value in track.values]
        for key, text in (("Home", values[0]), ("End", values[-1]), ("ArrowLeft", values[-2])):
            tab.slide(field, key)
            check_slider(tab, field, [text])
        box = tab.page.locator(f".slider-{field} .noUi-target").bounding_box()
        tab.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        middle, near = len(values) // 2, max(2, len(values) // 40)
        check_slider(tab.settle(), field, values[middle - near : middle + near + 1])
        tab.type(field, texts[field])
        assert tab.problem() == ""
        assert dict(tab.query())[field] == texts[field]
    check_curves(tab)


def check_slider(tab, field, texts):
    text = tab.field(field).input_value()
    assert text in texts
    if problem := tab.problem():
        assert refusal(tab.name, **{field: text}) == problem
        assert problem.split()[0] in Form(begin(tab.name)).texts
        assert dict(tab.query())[field] != text  # the address is that of the curves
    else:
        assert dict(tab.query())[field] == text
        check_curves(tab)


@EACH
def test_dragging_a_slider_ends_where_the_hand_lets_go(tab, name):
    tab.open(name)
    field = number_fields(name)[0]
    handle = tab.page.locator(f".slider-{field} .noUi-handle").bounding_box()
    target = tab.page.locator(f".slider-{field} .noUi-target").bounding_box()
    y = handle["y"] + handle["height"] / 2
    tab.page.mouse.move(handle["x"] + handle["width"] / 2, y)
    tab.page.mouse.down()
    for part in np.linspace(0.9, 0.6, 40):
        tab.page.mouse.move(target["x"] + part * target["width"], y)
    tab.page.mouse.up()
    tab.settle()
    track = Form(begin(name)).track(field)
    place = [text_of(value) for value in track.values].index(tab.field(field).input_value())
    assert abs(place / (len(track.values) - 1) - 0.6) < 0.02
    assert tab.problem() == refusal(name, **{field: tab.field(field).input_value()})


@EACH
def test_nothing_that_is_typed_breaks_the_page(tab, name):
    tab.open(name)
    form = Form(begin(name))
    elements = tab.page.locator("script, img").count()
    before = tab.sources()
    for field, text in form.texts.items():
        if not tab.field(field).count():  # a menu
            continue
        for typed in SUSPICIOUS:
            check_typed(tab, field, typed)
        tab.type(field, text)
        for typed in NONSENSE:
            assert check_typed(tab, field, typed).startswith(field)
        tab.settle()
        assert tab.sources() == before
        tab.type(field, text)
        assert tab.problem() == ""
        assert tab.sources() == before
    assert tab.page.locator("script, img").count() == elements
    check_curves(tab)


def check_typed(tab, field, typed):
    """Type a text, and return what is said against it; the sentence is that of the form, and names a parameter."""
    refused = refusal(tab.name, **{field: typed[:LONGEST]})
    tab.type(field, typed, settle=not refused)
    if refused:
        tab.wait_for_problem(refused)
        assert refused.split()[0] in Form(begin(tab.name)).texts
    else:
        assert tab.problem() == ""
    return refused


@PROBLEMS
def test_every_choice_settles(tab, name, problem):
    tab.open(name)
    tab.choose("choice-problem", problem)
    check_choice(tab, problem=problem)
    for choice in ("method", "simulation", "algorithm"):
        menu = tab.page.locator(f".choice-{choice} option")
        options = menu.evaluate_all("(found) => found.map((one) => one.value)")
        form = Form(begin(name))
        form.choose("problem", problem)
        assert tuple(options) == form.options(choice)
        before = set(tab.theory())
        for option in [*(one for one in options if one != form.chosen[choice]), form.chosen[choice]]:
            tab.choose(f"choice-{choice}", option)
            check_choice(tab, **{choice: option})
        assert set(tab.theory()) == before  # though some methods know less


def check_choice(tab, **chosen):
    assert chosen.items() <= dict(tab.query()).items()
    assert tab.problem() == ""
    check_curves(tab)


@EACH
def test_every_preset_settles(tab, name):
    tab.open(name)
    presets = Explored.of(phenomenon(name)).presets
    assert presets
    for preset in presets:
        tab.choose("presets", preset.title)
        assert tab.problem() == ""
        assert tab.shown() == Form(preset.shown).read()
        assert len(tab.kept()) == len(preset.kept)
        check_curves(tab)


@EACH
def test_the_address_restores_what_is_shown(tab, name):
    tab.open(name)
    algorithm = Form(begin(name)).options("algorithm")[1]
    tab.choose("choice-algorithm", algorithm)
    tab.press("keep")
    wait(tab.kept)
    for field in [field for field in number_fields(name) if tab.field(field).count()][:3]:
        tab.slide(field, "PageDown")
        if tab.problem():
            tab.slide(field, "PageUp")
    texts = dict(tab.query())
    fields, sources, seen, lines = texts_of(tab, texts), tab.sources(), tab.text("seen"), tab.text("lines")
    assert len(tab.kept()) == 1
    assert texts["algorithm"] == algorithm
    tab.reload()
    assert dict(tab.query()) == texts
    assert texts_of(tab, texts) == fields
    assert tab.sources() == sources
    assert (tab.text("seen"), tab.text("lines")) == (seen, lines)
    assert tab.text("log") == ""
    tab.press("clear")
    wait(lambda: tab.kept() == [])
    tab.settle()
    tab.reload()
    assert tab.kept() == []


def texts_of(tab, names):
    return {name: tab.field(name).input_value() for name in names if tab.field(name).count()}


@EACH
def test_addresses_are_not_trusted(tab, name):
    form = Form(begin(name))
    field, other, third = number_fields(name)[:3]
    beyond = {field: "1e300", other: "<script>alert(1)</script>", "<b>": "1", "algorithm": "<i>none</i>"}
    tab.open(name, urlencode(beyond))
    log = tab.text("log")
    end = text_of(form.track(field).bounds[1])
    assert f"{field} = '1e300' of the address is out of range; moved to {end}" in log or f"{field} must" in log
    assert f"not taken from the address: {other} " in log
    assert "not taken from the address: parameter must be one of" in log
    assert "not taken from the address: algorithm must be one of" in log
    assert tab.page.locator(".log b, .log i, .log script").count() == 0
    check_curves(tab)
    inside = text_of(form.track(third).values[-2])
    tab.open(name, urlencode({third: inside, "kept": urlencode({third: "<script>alert(1)</script>"})}))
    assert tab.field(third).input_value() == inside
    assert f"not taken from the address: {third} " in tab.text("log")
    assert tab.page.locator(".log script").count() == 0


@EACH
@pytest.mark.parametrize("size", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_page_fits_the_screen(tabs, name, size):
    tab = tabs(viewport=size)
    tab.open(name)
    assert tab.page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")
    seen = [".bk-Figure", ".simulate button"] if size is PHONE else [
        ".bk-Figure", ".simulate button", ".stop button", ".keep button", ".variables", ".download-data",
    ]  # fmt: skip
    for part in seen:
        box = tab.page.locator(part).first.bounding_box()
        assert box["width"] > 20
        assert box["height"] > 10
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        assert box["y"] + box["height"] <= size["height"]


@EACH
def test_the_keyboard_is_enough(tab, name):
    tab.open(name)
    field = number_fields(name)[0]
    focus = "() => { let one = document.activeElement; while (one?.shadowRoot?.activeElement) one = "
    focus += "one.shadowRoot.activeElement; const host = (node) => node.getRootNode().host; let found = [];"
    focus += "for (let node = one; node; node = host(node)) found.push(...(host(node)?.classList ?? []));"
    focus += "return [one?.className ?? '', ...found].join(' ') }"

    def reach(words):
        for _ in range(120):
            if words in tab.page.evaluate(focus):
                return
            tab.page.keyboard.press("Tab")
        raise AssertionError(f"{words} cannot be reached by Tab")

    reach("simulate")
    tab.page.keyboard.press("Enter")
    tab.wait_for_log("simulation finished")
    assert len(tab.sources()) > len(tab.theory())
    reach(f"field-{field}")
    text = tab.field(field).input_value()
    tab.page.keyboard.press("ControlOrMeta+a")
    tab.page.keyboard.type("abc")
    tab.page.keyboard.press("Enter")
    assert tab.settle().problem().startswith(field)
    tab.page.keyboard.press("ControlOrMeta+a")
    tab.page.keyboard.type(text)
    reach("noUi-handle")
    assert tab.settle().problem() == ""
    tab.page.keyboard.press("ArrowRight")
    assert tab.settle().field(field).input_value() != text
    check_slider(tab, field, [tab.field(field).input_value()])
