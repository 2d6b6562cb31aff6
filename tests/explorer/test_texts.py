"""How values and symbols are written."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics.parameters import declarations
from dynamics.schedules import Hyperbolic, Power, RunningMean, SoftplusDecay, StepTable
from figures import comparison
from figures.explorer.tracks import symbol_html, text_of
from figures.phenomena import phenomena, phenomenon
from tests.explorer.views import CLASSES, PARAMETERS

# --- text


@settings(max_examples=300, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_text_of_floats_is_exact(value):
    assert float(text_of(value)) == value
    assert len(text_of(value)) <= 24


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"), (3, "3"), (10**15 + 1, "1000000000000001"), (0.1, "0.1"), (1e-5, "1e-05"), (1 / 3, repr(1 / 3)),
        (123456.789, "123456.789"), (1234567.0, "1234567.0"), (0.0, "0"), ((1.0, 1e-30), "1,1e-30"), ((0.5,), "0.5"),
        ((1 / 3, 2), f"{1 / 3!r},2"), (((1.0, 0.0), (0.0, 1.0)), "[[1.0, 0.0], [0.0, 1.0]]"), ("averaged", "averaged"),
    ],
)  # fmt: skip
def test_how_values_are_written(value, text):
    assert text_of(value) == text


SCHEDULES = [
    SoftplusDecay(initial=1 / 3, rate=1e-7), StepTable(steps=(0, 10), values=(0.3, 1 / 7)), Power(scale=0.01),
    Hyperbolic(offset=1e15 + 0.5), RunningMean(),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: schedule.label)
def test_schedules_are_read_back_exactly(schedule):
    coefficients = [(cls, name) for cls, name in PARAMETERS if "Schedule" in str(cls.model_fields[name].annotation)]
    assert len(coefficients) >= 7
    for cls, name in coefficients:
        assert getattr(cls(**{name: text_of(schedule)}), name) == schedule


# --- symbols


def symbols():
    """All symbols that are declared, and what theory, simulation and comparison call their variables."""
    found = [declarations(cls)[name].symbol for cls, name in PARAMETERS]
    found += [item.symbol for chosen in map(phenomenon, phenomena()) for item in chosen.dynamics.VARIABLES.values()]
    return sorted({*found, *(item.symbol for item in comparison._NAMES.values()), r"\tau", "t"})


@pytest.mark.parametrize("symbol", symbols())
def test_symbols_are_plain_html(symbol):
    """Nothing of LaTeX is left, no tags but sub and sup, and all Greek letters are letters."""
    found = symbol_html(symbol)
    assert not set(found) & set("\\{}_^&$")
    assert set(re.findall(r"<[^>]*>", found)) <= {"<sub>", "</sub>", "<sup>", "</sup>"}
    assert found.count("<sub>") == found.count("</sub>")
    text = re.sub(r"<[^>]*>", " ", found)
    kept = {"".join(parts) for parts in re.findall(r"\\mathrm\{([^}]*)\}|\\(max|min)|\{(\w+)\}", symbol)}
    for word in re.findall(r"[A-Za-z]{2,}", text):
        assert word in kept


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        (r"\lambda", "λ"), (r"\Delta", "Δ"), (r"\varphi", "φ"), (r"\vartheta", "ϑ"), (r"\bar u", "ū"),
        (r"\lambda_{\mathrm{SD}}", "λ<sub>SD</sub>"), ("s_b^2", "s<sub>b</sub><sup>2</sup>"), ("d^*", "d<sup>*</sup>"),
        (r"P_\infty", "P<sub>∞</sub>"), (r"\Vert y\Vert^2", "‖y‖<sup>2</sup>"), (r"\mu'(x)", "μ'(x)"),
        (r"n_{\mathrm{test}}", "n<sub>test</sub>"), (r"\lambda_{\max}", "λ<sub>max</sub>"), ("E_G", "E<sub>G</sub>"),
    ],
)  # fmt: skip
def test_symbols_in_words(symbol, found):
    assert unicodedata.normalize("NFC", symbol_html(symbol)) == found


def test_symbols_of_one_page_differ():
    """Two parameters beside each other have two symbols."""
    for cls in CLASSES:
        shown = [symbol_html(item.symbol) for item in declarations(cls).values()]
        assert len(set(shown)) == len(shown), cls
