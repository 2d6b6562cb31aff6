"""What surrounds the spectral density: sums over all inputs, answers that do not depend on the way, the figure."""

import numpy as np
import pytest

from analytic.scaling_laws import edges
from analytic.scaling_laws._density_kernels import ROOM, _pole, _rise, cover, rules
from figures.scaling_laws import _density as figure
from tests.scaling_laws.test_density import found, problem_of


def test_nothing_depends_on_the_other_points():
    """A search that takes a wrong turn: N grows, its parts sum to d, and other company does not change an answer."""
    for alpha, dimension, ambient in ((0.6, 10**12, 2**53), (2.5, 300, 301), (0.05, 10**6, None), (5.0, 2**52, 2**53)):
        problem = problem_of(alpha, 0.8, dimension, ambient)
        lowest, highest = edges(problem)
        ends = [lowest * (1 + 1e-9), lowest * 1.01, highest * 0.99, highest * (1 - 1e-9)]
        combs = np.arange(1, 6.0) ** (-2 * alpha) * (1 - 0.3 / np.sqrt(dimension))
        x = np.unique([*np.geomspace(0.5 * lowest, 1.5 * highest, 23), *ends, *combs])
        nu, mu, below, above = found(problem, x)
        assert ((nu >= 0) & (mu >= 0)).all()
        assert ((nu > 0) == (mu > 0)).all()
        assert (np.diff(below) >= -1e-14 * dimension).all()
        np.testing.assert_allclose(below + above, dimension, rtol=1e-14)
        far = ~np.isin(x, ends[::3])  # from edges, where the last digit of x counts
        for some in (np.s_[::2], np.s_[1::2], np.s_[7:8], np.s_[-9:-8]):
            other = found(problem, x[some])
            np.testing.assert_allclose(other[2:], [below[some], above[some]], atol=1e-14 * dimension)
            np.testing.assert_array_equal(other[0] > 0, nu[some] > 0)
            rel = 1e-6 if dimension > 1e15 else 1e-9
            np.testing.assert_allclose(other[0][far[some]], nu[some][far[some]], rtol=rel)
            np.testing.assert_allclose(other[1][far[some]], mu[some][far[some]], rtol=rel)


@pytest.mark.parametrize("last", [1, 31, 4097, 30_011])
@pytest.mark.parametrize("alpha", [0.05, 0.7, 5.0])
def test_rules_sum_what_they_shall(alpha, last):
    """Against direct sums: numbers, squares, 1/(1 - s j^(2 alpha)) and its logarithm; the pole has moved."""
    j = np.arange(1, last + 1.0)
    place, weight = np.empty(ROOM), np.empty(ROOM)
    for rank in (0.7, 33.2, 1000.5, 2e5):
        for angle in (0.0, 1e-3, 0.3, 2.0, 3.1):
            turn = angle / (2 * alpha)
            pole = rank * np.exp(-1j * min(turn, np.pi))
            slack = 2 + abs(pole.imag) / 4
            count = cover(pole + 0.9 * slack, slack, last, *rules(), place, weight)
            x, many = place[:count], weight[:count]
            assert many.sum() == pytest.approx(last, rel=1e-13)
            assert many @ x**2 == pytest.approx((j**2).sum(), rel=1e-13)
            direct, short = (np.exp(1j * angle) * (one / rank) ** (2 * alpha) for one in (j, x))
            assert many @ (1 / (1 - short)) == pytest.approx((1 / (1 - direct)).sum(), rel=1e-12)
            assert many @ np.abs(1 / (1 - short)) ** 2 == pytest.approx(
                (np.abs(1 / (1 - direct)) ** 2).sum(), rel=1e-12
            )
            assert many @ np.angle(1 - 1 / short) == pytest.approx(np.angle(1 - 1 / direct).sum(), rel=1e-12, abs=1e-12)


def test_rules_hold_while_the_pole_moves():
    """Panels that are too long, or a slack with the wrong sign: sum 1/(j - pole), the pole elsewhere than said."""
    last = 20_000
    j = np.arange(1, last + 1.0)
    place, weight = np.empty(ROOM), np.empty(ROOM)
    for rank in np.geomspace(300, 15_000, 7):
        for depth in np.geomspace(20, 6000, 31):
            slack = 2 + depth / 4
            for moved in (1j, -1, 1):
                count = cover(rank - 1j * depth, slack, last, *rules(), place, weight)
                pole = rank - 1j * depth + 0.9 * slack * moved
                expected = (1 / (j - pole)).sum()
                found = weight[:count] @ (1 / (place[:count] - pole))
                assert abs(found - expected) < 1e-12 * abs(1 / (j - pole)).sum()


def test_where_the_pole_is():
    """Power and sheet of j = s^(-1/(2 alpha))."""
    s = 1e-3 * (-0.3 + 0.2j)
    assert _pole(-0.3, 0.04, 1e-3, 0.8) == pytest.approx(s ** (-1 / 1.6), rel=1e-14)
    assert _pole(2.0, 0.0, 0.1, 5.0) == pytest.approx(0.2**-0.1, rel=1e-14)
    assert _pole(-0.3, 0.04, 1e-3, 0.2) == pytest.approx(-(abs(s) ** -2.5), rel=1e-14)


@pytest.mark.parametrize("sigma", [1.0, 0.25, 3.0**-2.0, 1e-6, 0.9e-6, -1e-14, 0.0])
def test_the_height_over_any_point(sigma):
    """A root that depends on the guess, too few nodes after a bad one, no root at a pole, exactly: sum |phi|^2 = d."""
    x, d, last = 0.5, 10**6, 2 * 10**6
    arrays = [np.empty(ROOM) for _ in range(3)]

    def height(guess):
        found, settled, *_ = _rise(sigma / x, guess, x, 1.0, last, float(d), float(last - d), *rules(), *arrays)
        assert settled
        return found

    cold = height(0.0)
    assert cold > 0
    variance = np.arange(1, last + 1.0) ** -2
    assert (variance**2 / ((variance - sigma) ** 2 + cold * x * x)).sum() == pytest.approx(d, rel=1e-11)
    for guess in (1e-6, 0.9, 1.1, 1e3, 1e8):
        assert height(guess * cold) == pytest.approx(cold, rel=1e-11, abs=0)


def test_no_height_in_a_gap():
    """From any guess the point comes down to the axis, exactly."""
    arrays = [np.empty(ROOM) for _ in range(3)]
    for guess in (0.0, 1e-8, 1.0, 1e6):
        found, settled, *_ = _rise(1.0, guess, 0.17, 1.0, 4000, 1000.0, 3000.0, *rules(), *arrays)
        assert (found, settled) == (0.0, True)


@pytest.mark.parametrize("last", [2**53, 2**53 - 1, 3 * 2**51 + 12345])
def test_there_is_room_for_all_nodes(last):
    """Memory behind the arrays: half of the room is never used, wherever the pole is."""
    place, weight = np.empty(ROOM), np.empty(ROOM)
    ranks = np.concatenate([np.geomspace(1, 3 * last, 150), [last - 5.0, last, last + 3e6]])
    counts = [
        cover(rank * np.exp(-1j * turn), 2 + rank * np.sin(turn) / 4, last, *rules(), place, weight)
        for rank in ranks for turn in (0.0, 1e-12, 1e-4, 0.1, 1.0, np.pi)
    ]  # fmt: skip
    assert max(counts) < ROOM / 2


def test_the_figure_of_a_small_problem(monkeypatch):
    """Bins that miss or double eigenvalues, a histogram of the wrong scale, an effect without reason."""
    monkeypatch.setattr(figure, "_SIZE", {"quick": 50})
    monkeypatch.setattr(figure, "_RUNS", 60)
    data = figure.density_data("quick", 2)
    counts = data.isel(variable=0, case=0)
    assert data.attrs["verdict"] == "agree"
    assert data.attrs["isolated"] == 3
    np.testing.assert_allclose(counts["theory"][-3:], 1.0, rtol=1e-12)
    for name in ("theory", "mean", "plain"):
        assert float(counts[name].sum()) == pytest.approx(50, abs=0.2)
    width = np.diff(np.log(data["histogram_end"].values))
    assert data["histogram"].values @ width == pytest.approx(50, abs=0.2)
    x = np.log(data["line_curvature"].values)
    assert np.trapezoid(data["line"].values, x) == pytest.approx(50, abs=0.1)
    middle = np.abs(x - np.log(0.25)).argmin()
    assert float(data["plain_line"][middle]) == pytest.approx(1.0, rel=1e-2)
    effect = figure.density_effect(data)
    assert effect.measured > effect.required
    without = data.copy(deep=True)
    without["theory"][...] = without["plain"].values
    assert figure.density_effect(without).measured < effect.required
    left, right = figure.density_draw(data).axes
    np.testing.assert_array_equal(left.lines[0].get_ydata(), data["line"].values)
    plain = next(line for line in right.lines if line.get_label() == "plain power law")
    np.testing.assert_allclose(plain.get_ydata(), (counts["plain"] - counts["theory"]).values)
