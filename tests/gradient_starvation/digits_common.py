"""What the tests of coloured digits share."""

import importlib.util

import numpy as np
import pytest

from dynamics.algorithms import Adam
from dynamics.gradient_starvation import ColoredDigits
from simulations.gradient_starvation._digits_training import train_digits

needs_digits = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="the images are scikit-learn's")

SLOW_SD = Adam(learning_rate=1e-4, output_penalty=1.0, switch=450)
FAST_SD = Adam(learning_rate=1e-3, output_penalty=1.0, switch=100)
IRM = Adam(learning_rate=1e-3, invariance=1e4, switch=100, weight_decay=2e-3)


def trained(algorithm, times, run, problem=None, seed=2024, **options):
    """The curves of one run, which must not diverge."""
    course = train_digits(problem or ColoredDigits(), algorithm, np.array(times), seed, run, lambda: None, **options)
    assert course.diverged_at == -1
    return course.curves
