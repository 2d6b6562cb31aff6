"""The picture of a comparison shows the numbers of the comparison."""

import numpy as np
import pytest
import xarray as xr

from dynamics.errors import ParameterError
from figures import compare, draw
from figures.style import label, number, picture_bytes
from tests.made_up import TIMES, simulated, theory


@pytest.fixture
def drawn():
    values = np.random.default_rng(0).normal([1.0, 2.0, 3.0], size=(30, 3))
    result = compare(theory([1.0, 2.5, 3.0], error=0.01), simulated(values))
    return result.sel(variable="alignment"), draw(result)


def test_above_are_theory_mean_and_two_standard_errors(drawn):
    one, figure = drawn
    line, points = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), one["theory"])
    np.testing.assert_array_equal(points.get_ydata(), one["mean"])
    edges = figure.axes[0].collections[0].get_paths()[0].vertices
    for k, time in enumerate(TIMES):
        y = edges[edges[:, 0] == time, 1]
        band = one["mean"].values[k] + np.array([-2, 2]) * one["standard_error"].values[k]
        assert (y.min(), y.max()) == pytest.approx(tuple(band))


def test_below_are_deviations_in_standard_errors_and_their_limits(drawn):
    one, figure = drawn
    curve, low, high = figure.axes[1].lines[:3]
    np.testing.assert_array_equal(curve.get_ydata(), one["deviation_in_standard_errors"])
    np.testing.assert_allclose(low.get_ydata(), one["lowest"] / one["standard_error"])
    np.testing.assert_allclose(high.get_ydata(), one["highest"] / one["standard_error"])
    assert "standard errors" in figure.axes[1].get_ylabel()
    assert figure.axes[1].get_xlabel() == r"flow time $\tau$"


def test_title_says_the_verdict_and_the_caption_the_question(drawn):
    _, figure = drawn
    assert figure.axes[0].get_title().endswith(": agree")
    caption = figure._supxlabel.get_text()
    assert r"$n = 30$, $d = 20$, $\sigma = 0.2$, $p = 12$, $\kappa = 50$, $\lambda = 0$." in caption
    wrong = compare(theory([9.0] * 3), simulated(np.random.default_rng(0).normal(size=(9, 3)) * 1e-3))
    assert draw(wrong).axes[0].get_title().endswith("disagree")


def test_what_has_no_spread_is_drawn_without_it():
    figure = draw(compare(theory([1.0, 2.0]), simulated([[1.0, 2.0]] * 3)))
    assert len(figure.axes) == 2


def test_what_cannot_be_drawn_is_refused(drawn):
    result = compare(theory([0.0] * 3, error=0.01), simulated(np.random.default_rng(0).normal(size=(9, 3))))
    with pytest.raises(ParameterError, match="variables must be among alignment"):
        draw(result, variables=["norm"])
    with pytest.raises(ParameterError, match="one axis"):
        draw(xr.concat([result, result], "case"))
    for wrong in (theory([1.0]), None, xr.Dataset()):
        with pytest.raises(ParameterError, match="comparison must be what compare returned"):
            draw(wrong)


def test_labels_numbers_and_bytes(drawn):
    assert label(theory([1.0])["alignment"]) == "alignment of student and teacher $R$"
    assert [number(value) for value in (3, 0.25, 1e-3, 12345.6)] == ["3", "0.25", "0.001", "12346"]
    assert [number(value) for value in (1e-8, 2.5e7)] == ["10^{-8}", r"2.5 \cdot 10^{7}"]
    _, figure = drawn
    assert b"CreationDate" not in picture_bytes(figure, "pdf")
    assert b"Software" not in picture_bytes(figure, "png")


def test_an_svg_depends_on_nothing_but_the_figure(drawn):
    _, figure = drawn
    first = picture_bytes(figure, "svg")
    assert first == picture_bytes(figure, "svg")
    assert first.startswith(b"<?xml")
    for left_out in (b"dc:date", b"<text"):  # letters are paths, for fonts differ from machine to machine
        assert left_out not in first
