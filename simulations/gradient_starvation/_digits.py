"""Coloured digits: real images of 8 x 8 pixels in one of two colours, and test images that lack colour or digit.

The 1797 handwritten digits of Alpaydin and Kaynak (UCI Machine Learning Repository, "Optical Recognition of Handwritten
Digits"), which scikit-learn brings along. Pixels are from 0 to 1, and an input is two copies of them, one for each
colour, the other of which is dark. In each run 1400 images, shuffled, are for training, by turns in the first and the
second environment, and 397 for the test.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.errors import MissingLibraryError
from dynamics.gradient_starvation import ColoredDigits
from dynamics.memory import check_memory
from simulations._streams import Source, stream

__all__ = ["PIXELS", "TRAINING", "Digits", "check_digits", "draw_digits", "images", "painted"]

Array = NDArray[np.floating[Any]]

PIXELS = 64
#: Images for training, an even number; the others are for the test.
TRAINING = 1400
_BRIGHTEST = 16.0
#: The stream of inputs shuffles the images; this one of its repetitions colours them.
_COLOURS = 1


class Digits(NamedTuple):
    """One run: inputs (n, 128), labels -1 and 1, environments 0 and 1; the first ``in_first`` rows have colour 0.

    ``tests`` holds inputs by name, all for ``test_labels``: ``shifted``, the coloured test images; ``grey``, the same
    with half of the light in either colour; ``blank``, their colours on even images, as bright as the mean of the
    training images; and ``grey_blank``, even images in grey, which tell nothing.
    """

    inputs: Array
    labels: Array
    environments: NDArray[np.int64]
    in_first: int
    tests: Mapping[str, Array]
    test_labels: Array


@functools.cache
def images() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the images (1797, 64), pixels from 0 to 1, and whether each shows a digit below 5.

    Raises
    ------
    MissingLibraryError
        Without scikit-learn.
    """
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError as error:
        raise MissingLibraryError(
            "problem ColoredDigits needs the images that come with scikit-learn, which is missing "
            f"(pip install learning-dynamics[digits]): {error}"
        ) from None
    pixels, digits = datasets.load_digits(return_X_y=True)
    return (pixels / _BRIGHTEST).astype(np.float32), digits < 5


def check_digits(problem: ColoredDigits, at_once: int) -> None:
    """Refuse networks beyond the memory budget, ``at_once`` of them, and a missing scikit-learn, before any run."""
    h = problem.hidden_units
    check_memory(at_once * h * (5 * (2 * PIXELS + h + 4) + 5 * TRAINING), "hidden_units or workers must be smaller")
    images()


def painted(pixels: Array, light: Array) -> Array:
    """Return inputs (n, 128): pixels (n, 64) times the light (n, 2) of each colour.

    Examples
    --------
    >>> painted(np.array([[0.0, 1.0]]), np.array([[1.0, 0.5]]))
    array([[0. , 1. , 0. , 0.5]])
    """
    product: Array = light[:, :, None] * pixels[:, None, :]
    return product.reshape(len(pixels), -1)


def draw_digits(problem: ColoredDigits, seed: int, run: int, dtype: type[np.floating[Any]] = np.float32) -> Digits:
    """Draw one run: which images train, which labels are wrong, and the colours; each from a stream of its own.

    Where a probability of flips is larger, the flips of a smaller one stay. Training rows are ordered by colour.
    """
    pixels, small = images()
    count = small.size
    order = stream(seed, run, Source.INPUTS).permutation(count)
    wrong, unlike = (
        stream(seed, run, *of).random(count) for of in ((Source.LABEL_NOISE,), (Source.INPUTS, _COLOURS))
    )  # fmt: skip
    environments = np.arange(count) % 2
    flip = np.array([problem.first_flip, problem.second_flip])[environments]
    flip[TRAINING:] = problem.test_flip
    positive = small[order] ^ (wrong < problem.flip)
    colour = (positive ^ (unlike < flip)).astype(np.int64)

    labels, shown = np.where(positive, 1.0, -1.0).astype(dtype), pixels[order].astype(dtype)
    first = np.argsort(colour[:TRAINING], kind="stable")
    light = np.eye(2, dtype=dtype)[colour]
    test, grey = shown[TRAINING:], np.full_like(light[TRAINING:], 0.5)
    even = np.full_like(test, shown[:TRAINING].mean())
    tests = {
        "shifted": painted(test, light[TRAINING:]), "grey": painted(test, grey),
        "blank": painted(even, light[TRAINING:]), "grey_blank": painted(even, grey),
    }  # fmt: skip
    return Digits(
        painted(shown[first], light[first]), labels[first], environments[first], int((colour[:TRAINING] == 0).sum()),
        tests, labels[TRAINING:],
    )  # fmt: skip
