"""What errors write down, and the checks that functions share."""

import math

import numpy as np
import pytest

from dynamics.double_descent import TwoScale
from dynamics.errors import ParameterError, known, shown
from dynamics.parameters import check_whole

ENDLESS = [1.0]
ENDLESS.append(ENDLESS)


def refusal(cls, **values):
    """The message of the refusal."""
    with pytest.raises(ParameterError) as caught:
        cls(**values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"), (0.1, "0.1"), (None, "None"), ("abc", "'abc'"), (2**256 - 1, str(2**256 - 1)),
        (-(2**256), "an integer of 257 bits"), (10**5000, "an integer of 16610 bits"), ("x" * 81, None),
        ([10**5000] * 100, None), (np.eye(9), None), (np.eye(2), "array([[1., 0.],        [0., 1.]])"),
        (dict.fromkeys(range(99), "y" * 99), None),
        (ENDLESS, "[1.0, [1.0, [1.0, [...]]]]"), ("a\nb", r"'a\nb'"),
    ],
    ids=lambda value: shown(value)[:20],
)  # fmt: skip
def test_whatever_came_is_shown_on_one_short_line(value, text):
    """Six items of at most 80 characters, and two for each separation, at most twice: ten lines."""
    line = shown(value)
    assert "\n" not in line
    assert len(line) < 1000
    assert line == text or (text is None and "..." in line)


def test_a_value_that_cannot_be_written_is_named_by_its_type():
    class Broken:
        def __repr__(self):
            raise RuntimeError

    assert shown(Broken()).startswith("<Broken instance at ")
    assert "got <Broken instance at " in refusal(TwoScale, noise=Broken())


def test_known_names():
    assert known("method", "exact", ("exact", "finite")) == "exact"
    with pytest.raises(ParameterError, match=r"^method must be one of exact, finite; got 'zzz'$"):
        known("method", "zzz", ("exact", "finite"))
    with pytest.raises(ParameterError, match=r"got None$"):
        known("method", None, ("none", "finite"))
    with pytest.raises(ParameterError, match=r"got 'finit' \(did you mean finite\?\)$"):
        known("method", "finit", ("exact", "finite"))


@pytest.mark.parametrize("value", [3, 3.0, np.int8(3), np.uint64(3), np.float32(3), 1e9, 2**63 - 1])
def test_whole_counts_pass(value):
    number = check_whole("runs", value, at_least=3)
    assert number == value
    assert type(number) is int


@pytest.mark.parametrize(
    "value",
    [2, -1, 3.5, True, np.True_, None, "5", "1e3", [5], np.array(5), 1j, math.nan, math.inf, -math.inf,
     np.float64("nan"), 2**63, float(2**63), 10**400, -(10**5000), {}],
    ids=lambda value: shown(value)[:20],
)  # fmt: skip
def test_other_counts_are_refused(value):
    with pytest.raises(ParameterError) as caught:
        check_whole("runs", value, at_least=3)
    assert str(caught.value) == f"runs must be a whole number, at least 3; got {shown(value)}"
