"""The data that simulations draw: their variances, their independence, their addresses."""

import math

import numpy as np
import pytest
from scipy import stats

from dynamics.double_descent import TeacherStudent
from simulations.double_descent import sample
from tests.double_descent.common import TALL, WIDE, same_bits, scale_of

EPS = np.finfo(float).eps


def test_inputs_teachers_and_noise_have_their_variances():
    """Sums of squares of normals over their variance are chi-squared: two-sided 1e-6 each, exactly.

    With 4,000 to 120,000 squares this sees variances that are off by 11 % to 2 % (n for d, s for s^2, sd for variance).
    """
    problem = TeacherStudent(
        samples=30, dimension=20, variances=[4.0, 0.01], fractions=[0.2, 0.8], teacher_power=[3.0, 0.5], noise=0.3
    )
    data = sample(problem, runs=250, seed=11, teachers=4)
    fast = problem.directions()[0]
    groups = [
        (data.inputs[:, :, :fast], 4.0 / 20),
        (data.inputs[:, :, fast:], 0.01 / 20),
        (data.teacher_weights[..., :fast], 3.0),
        (data.teacher_weights[..., fast:], 0.5),
        (data.label_noise, 0.3**2),
    ]
    for values, variance in groups:
        total = float((values**2).sum()) / variance
        low, high = (q(5e-7, values.size) for q in (stats.chi2.ppf, stats.chi2.isf))
        assert low < total < high, values.name
        # the sum itself is N(0, size variance)
        assert abs(float(values.sum())) < stats.norm.isf(5e-7) * math.sqrt(values.size * variance)


def test_sources_are_independent():
    """Over R runs the scalar products of two sources, k entries each, are N(0, R k) to O(1/(R k)): two-sided 1e-6.

    Sources that share a stream, even in part, would give sqrt(R k) = 110 instead of about 1.
    """
    data = sample(TALL, runs=600, seed=4, teachers=2)
    latent = data.inputs.values / scale_of(TALL) * np.sqrt(TALL.dimension)
    power = np.sqrt(np.repeat(TALL.blocks.power, TALL.directions()))
    sources = [latent[:, 0], *np.moveaxis(data.teacher_weights.values / power, 1, 0)]
    sources += [*np.moveaxis(data.label_noise.values[..., : TALL.dimension] / TALL.noise, 1, 0)]
    pairs = [(one * two).sum() for k, one in enumerate(sources) for two in sources[:k]]
    assert np.abs(pairs).max() < stats.norm.isf(1e-6 / (2 * len(pairs))) * math.sqrt(600 * TALL.dimension)


def test_labels_are_those_of_the_teacher():
    data = sample(WIDE, runs=3, seed=5, teachers=2)
    latent = data.inputs / scale_of(WIDE)
    expected = np.einsum("rsd,rmd->rms", latent, data.teacher_weights) + data.label_noise
    # 20 products and sums of numbers of order 1: 20 eps each, and as much for the division by s
    assert np.abs(data.labels - expected).max() < 100 * EPS
    assert data.inputs.dims == ("run", "sample", "direction")
    assert data.teacher_weights.dims == ("run", "teacher", "direction")
    assert data.label_noise.dims == data.labels.dims == ("run", "teacher", "sample")
    assert "teacher" not in sample(WIDE, runs=1).dims


def test_sources_vary_alone():
    """Noise level, teacher power and variances are scales: they leave the other draws as they are."""
    base = sample(TALL, runs=2, seed=3)
    louder = sample(TALL.model_copy(update={"noise": 0.8}), runs=2, seed=3)
    assert same_bits(base[["inputs", "teacher_weights"]], louder[["inputs", "teacher_weights"]])
    assert louder.label_noise.values == pytest.approx(2 * base.label_noise.values, rel=4 * EPS)
    stronger = sample(TALL.model_copy(update={"teacher_power": (2.8, 6.4, 10.0)}), runs=2, seed=3)
    assert same_bits(base[["inputs", "label_noise"]], stronger[["inputs", "label_noise"]])
    assert stronger.teacher_weights.values == pytest.approx(2 * base.teacher_weights.values, rel=4 * EPS)


def test_draws_are_addressed_by_run_and_teacher():
    many = sample(TALL, runs=6, seed=2, teachers=3, workers=2)
    part = sample(TALL, runs=2, seed=2, teachers=1, first_run=3, workers=1)
    expected = many.isel(run=[3, 4], teacher=0)
    assert same_bits(part, expected)
    assert part.run.values.tolist() == [3, 4]
    other = sample(TALL, runs=1, seed=3)
    assert not np.intersect1d(other.inputs, many.inputs).size
