"""Coloured digits: which images are shown in which colour, with which labels."""

import importlib
import sys

import numpy as np
import pytest
from scipy import stats

from dynamics.errors import ParameterError
from dynamics.gradient_starvation import ColoredDigits
from simulations.gradient_starvation import _digits
from simulations.gradient_starvation._digits import TRAINING, check_digits, draw_digits
from tests.gradient_starvation.digits_common import needs_digits


@needs_digits
def test_every_image_is_used_once_in_one_colour():
    """Detects lost or doubled images, pixels off scale, both colours lit, rows out of the order of colours."""
    data = draw_digits(ColoredDigits(), 5, 2)
    both = np.concatenate([data.inputs, data.tests["shifted"]])
    dark = both.reshape(-1, 2, 64).sum(2) == 0
    assert (dark.sum(1) == 1).all()
    pixels, _ = _digits.images()
    assert sorted(map(bytes, both.reshape(-1, 2, 64).sum(1))) == sorted(map(bytes, pixels))
    assert (pixels.min(), pixels.max(), pixels.shape) == (0.0, 1.0, (1797, 64))
    datasets = importlib.import_module("sklearn.datasets")
    np.testing.assert_array_equal(_digits.images()[1], np.isin(datasets.load_digits().target, [0, 1, 2, 3, 4]))
    colours = dark[:TRAINING, 0].astype(int)
    assert (np.diff(colours) >= 0).all()
    assert (colours == 0).sum() == data.in_first
    assert np.bincount(data.environments).tolist() == [700, 700]
    assert data.inputs.dtype == data.labels.dtype == np.float32


@needs_digits
def test_labels_and_colours_are_what_they_should_be_without_chance():
    """Detects mixed-up environments, a colour by digit instead of label, labels of other images, wrong signs."""
    pixels, small = _digits.images()
    of_image = dict(zip(map(bytes, pixels), small, strict=True))
    sure = ColoredDigits(flip=0.0, first_flip=0.0, second_flip=1.0, test_flip=1.0)
    data = draw_digits(sure, 1, 0)
    for inputs, labels in ((data.inputs, data.labels), (data.tests["shifted"], data.test_labels)):
        shown = inputs.reshape(-1, 2, 64).sum(1)
        assert [of_image[bytes(image)] for image in shown] == (labels > 0).tolist()
    colours = data.inputs[:, 64:].any(1)
    np.testing.assert_array_equal(colours == (data.labels > 0), data.environments == 0)
    np.testing.assert_array_equal(data.tests["shifted"][:, 64:].any(1), data.test_labels < 0)
    noisy = draw_digits(sure.model_copy(update={"flip": 0.5}), 1, 0)  # the colour follows the label, not the digit
    np.testing.assert_array_equal(noisy.inputs[:, 64:].any(1) == (noisy.labels > 0), noisy.environments == 0)


@needs_digits
def test_flips_have_their_probabilities():
    """Detects swapped or halved probabilities; binomial tails together below 1e-7 for these five."""
    pixels, small = _digits.images()
    of_image = dict(zip(map(bytes, pixels), small, strict=True))
    problem = ColoredDigits(flip=0.23, first_flip=0.31, second_flip=0.07, test_flip=0.85)
    counts = np.zeros((5, 2), dtype=int)
    for run in range(8):
        data = draw_digits(problem, 9, run)
        kinds = [(data.inputs, data.labels, data.environments), (data.tests["shifted"], data.test_labels, 2)]
        for place, (inputs, labels, which) in enumerate(kinds):
            digit = np.array([of_image[bytes(image)] for image in inputs.reshape(-1, 2, 64).sum(1)])
            wrong, unlike = digit != (labels > 0), inputs[:, 64:].any(1) != (labels > 0)
            counts[place] += wrong.sum(), wrong.size
            for e in np.unique(which):
                counts[2 + e] += unlike[which == e].sum(), (np.asarray(which) == e).sum() if place == 0 else unlike.size
    for (seen, of), p in zip(counts, (0.23, 0.23, 0.31, 0.07, 0.85), strict=True):
        assert min(stats.binom.cdf(seen, of, p), stats.binom.sf(seen - 1, of, p)) > 1e-8


@needs_digits
def test_wrong_labels_do_not_meet_wrong_colours_more_often():
    """Detects one stream for both: the flips agree in half of the images, two-sided binomial tail 1e-8."""
    fair, small = ColoredDigits(flip=0.5, first_flip=0.5, second_flip=0.5, test_flip=0.5), ColoredDigits(flip=0.0)
    data, right = draw_digits(fair, 6, 0), draw_digits(small, 6, 0)
    unlike = data.tests["shifted"][:, 64:].any(1) != (data.test_labels > 0)
    agree = (unlike == (data.test_labels != right.test_labels)).sum()
    assert stats.binomtest(int(agree), 397, 0.5).pvalue > 1e-8


@needs_digits
def test_draws_have_streams_of_their_own():
    """Detects a draw that moves another: paired comparisons between problems and between algorithms rest on it."""
    base = draw_digits(ColoredDigits(), 4, 1)
    for other in (ColoredDigits(test_flip=0.2, hidden_units=9), ColoredDigits(hidden_units=5)):
        again = draw_digits(other, 4, 1)
        assert again.inputs.tobytes() == base.inputs.tobytes()
        assert again.test_labels.tobytes() == base.test_labels.tobytes()
    other = draw_digits(ColoredDigits(), 4, 2).tests["grey"]
    assert (other == base.tests["grey"]).all(axis=1).mean() < 0.1  # other images, whatever their colours
    more = draw_digits(ColoredDigits(test_flip=0.95), 4, 1)
    unlike = [(one.tests["shifted"][:, 64:].any(1) != (one.test_labels > 0)) for one in (base, more)]
    assert (unlike[0] <= unlike[1]).all()
    assert unlike[0].sum() < unlike[1].sum()
    colourless = draw_digits(ColoredDigits(flip=0.4), 4, 1)
    np.testing.assert_array_equal(colourless.tests["grey"], base.tests["grey"])


@needs_digits
def test_test_images_without_colour_or_digit():
    """Detects test images of another light, blank ones that show a digit, colours of the wrong images."""
    data = draw_digits(ColoredDigits(), 3, 3, np.float64)
    test = data.tests["shifted"].reshape(-1, 2, 64)
    np.testing.assert_array_equal(data.tests["grey"], np.tile(test.sum(1) / 2, 2))
    mean = data.inputs.sum() / (TRAINING * 64)
    lit = test.any(2)
    np.testing.assert_allclose(data.tests["blank"], np.repeat(lit * mean, 64, axis=1), rtol=1e-12)
    np.testing.assert_allclose(data.tests["grey_blank"], mean / 2, rtol=1e-12)
    assert data.tests["grey_blank"].shape == (397, 128)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "sklearn.datasets", raising=False)
    _digits.images.cache_clear()
    with pytest.raises(ParameterError, match=r"scikit-learn, which is missing \(pip install learning-dynamics\[digits"):
        check_digits(ColoredDigits(), 1)
    _digits.images.cache_clear()


def test_too_large_networks_are_refused_before_they_are_made():
    with pytest.raises(ParameterError, match="hidden_units or workers must be smaller"):
        check_digits(ColoredDigits(hidden_units=10**4), 3)
