"""Normal numbers by key and place: against plain Python, and as random numbers.

Statistical tests are at fixed keys and at levels of 1e-6 or less in all; each says what it would see.
"""

import math

import numpy as np
import pytest
from scipy import stats

from dynamics.kernels import vector_kernel
from simulations._normals import key_of, normal_pair

_MASK = 2**64 - 1


@vector_kernel
def fill(keys, first, out):
    for i in range(out.shape[1]):
        out[0, i], out[1, i] = normal_pair((keys[0], keys[1]), np.uint64(first + i))


def drawn(keys, first, count):
    out = np.empty((2, count))
    fill(np.array(keys, dtype=np.uint64), first, out)
    return out


def word(keys, place):
    z = (keys[0] + place * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30) ^ keys[1]) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def pair(keys, place):
    first, second = word(keys, 2 * place), word(keys, 2 * place + 1)
    radius = math.sqrt(-2 * math.log(((first >> 11) + 1) * 2.0**-53))
    angle = (second >> 12) * 2.0**-52 * math.pi / 2
    return ((-1) ** (second & 1) * radius * math.cos(angle), (-1) ** (second >> 1 & 1) * radius * math.sin(angle))


@pytest.mark.parametrize("keys", [(0, 0), (2**64 - 1, 2**63 + 12345), (81985529216486895, 1147797409030816545)])
def test_they_are_box_and_mullers(keys):
    expected = np.array([pair(keys, 2**40 + i) for i in range(3000)]).T
    np.testing.assert_allclose(drawn(keys, 2**40, 3000), expected, rtol=1e-14, atol=1e-14)


def test_words_are_splitmix64():
    """Without the second key: the published first numbers of that generator from seed 1234567."""
    golden = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [word((1234567, 0), i + 1) for i in range(3)] == golden


def test_the_logarithm_at_its_ends():
    """u = 1 gives radius 0, the smallest u the largest radius, 8.57; all finite."""
    numbers = drawn((3, 5), 0, 10**6)
    assert np.isfinite(numbers).all()
    assert np.hypot(*numbers).max() <= math.sqrt(106 * math.log(2))


def test_any_part_of_the_sequence_is_the_same():
    whole = drawn((17, 99), 1000, 500)
    assert whole[:, 123:321].tobytes() == drawn((17, 99), 1123, 198).tobytes()


def test_their_moments_and_tails():
    """2e7 numbers: a variance off by 0.2 %, a fourth moment off by 0.3 %, a fifth of the numbers beyond 4, are seen."""
    numbers = drawn((2024, 11), 0, 10**7).ravel()
    moments = []
    power = np.ones_like(numbers)
    for _ in range(6):
        power *= numbers
        moments.append(power.mean())
    spread = [1, 2, 15, 96, 945, 10170]
    for k, (moment, variance) in enumerate(zip(moments, spread, strict=True), start=1):
        normal = 0 if k % 2 else math.prod(range(1, k, 2))
        assert abs(moment - normal) < 5.7 * math.sqrt(variance / numbers.size), k
    for limit in (3, 4):
        expected = 2 * stats.norm.sf(limit) * numbers.size
        assert abs((np.abs(numbers) > limit).sum() - expected) < 5.7 * math.sqrt(expected)
    assert stats.kstest(numbers[: 10**6], "norm").pvalue > 1e-7


def test_neighbours_partners_and_other_runs_are_independent():
    """Correlations, also of squares and signs, to 5.7 standard errors (a false alarm in 1e8): 0.003 would be seen."""
    one, partner = drawn((2024, 11), 0, 4 * 10**6)
    others = {
        "partner": partner, "next": np.roll(one, 1), "other key": drawn((2025, 11), 0, one.size)[0],
        "same places, other second key": drawn((2024, 12), 0, one.size)[0],
    }  # fmt: skip
    for name, other in others.items():
        for a, b in ((one, other), (one**2 - 1, other**2 - 1), (np.sign(one), np.sign(other))):
            assert abs((a * b).mean()) < 5.7 * a.std() * b.std() / math.sqrt(one.size), name


def test_keys_come_from_the_runs_own_stream():
    first, again, other = (key_of(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.dtype == np.uint64
    assert first.tolist() == again.tolist() != other.tolist()
