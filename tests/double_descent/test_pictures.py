"""The data of the figures of double descent, where the numbers are known."""

import numpy as np
import pytest

from dynamics.double_descent import TwoScale
from dynamics.results import rebuild
from figures.double_descent._common import depth
from tests.double_descent.common import quick


def test_depth_of_a_second_descent():
    assert depth(np.array([0.5, 0.2, 0.3, 0.1])) == pytest.approx(0.1)  # rises by 0.1, then falls by 0.2
    assert depth(np.array([0.5, 0.1, 0.3, 0.2])) == pytest.approx(0.1)  # rises by 0.2, then falls by 0.1
    assert depth(np.array([0.5, 0.3, 0.2, 0.1])) == 0.0
    assert depth(np.array([0.5, 0.3, 0.4, 0.6])) == 0.0  # rises, and stays


def check(curve, table):
    """A curve over steps against an independent table of four digits."""
    for step, value in table.items():
        assert float(curve.sel(time=step)) == pytest.approx(value, abs=6e-5), step


def test_figure_1():
    picture, data = quick("fig1")
    assert data.attrs["verdict"] == "agree"
    assert data["verdict"].sel(case="both").values.tolist() == ["agree", "agree"]
    assert data["method"].sel(case="both").values.tolist() == [
        "exact against literal (eigenbasis beyond 10000 steps)", "exact against eigenbasis",
    ]  # fmt: skip
    assert rebuild(data["problem"].values[0, 0]) == TwoScale(
        samples=130, dimension=100, fast=70, condition_number=100.0
    )
    assert rebuild(data["algorithm"].values[0, 0]).learning_rate == pytest.approx(1 / 3.9079084045642944, rel=1e-14)
    exact = {1: 0.3357, 2: 0.2886, 5: 0.2533, 10: 0.2536, 100: 0.3210, 1000: 0.3152, 10_000: 0.2444, 100_000: 0.0572}
    check(data["theory"].sel(variable="generalization_error", case="both", teacher="sampled"), exact)
    check(data["published_both"], {1: 0.3715, 10: 0.2477, 100: 0.2873, 1000: 0.3006, 10_000: 0.1952, 100_000: 0.0323})
    # the paper's picture: the fast features' minimum and end, and the way of the slow ones
    assert float(data["published_fast"].min()) == pytest.approx(0.2462, abs=2e-4)
    assert float(data["published_fast"][-1]) == pytest.approx(0.3249, abs=1e-4)
    check(data["published_slow"], {1: 0.3250, 1000: 0.3052, 10_000: 0.1956, 100_000: 0.0323})
    # fast features end, and slow ones begin, on the plateau of an infinite condition number: 0.3 + 0.3 * 0.7/0.6
    for curve in (data["exact_fast"][-1], data["exact_slow"][0], data["published_fast"][-1]):
        assert float(curve) == pytest.approx(0.325, abs=1e-4)
    # one after the other: each alone is close to both together in its own phase, up to kappa^-2 t and the like
    for curve, part in (("exact_fast", slice(1, 20)), ("exact_slow", slice(3000, None))):
        difference = data[curve] - data["theory"].sel(variable="generalization_error", case="both", teacher="sampled")
        assert abs(difference.sel(time=part)).max() < 1e-3
    assert len(picture.axes) == 2
    text = "".join(item.get_text() for item in picture.texts) + picture._supxlabel.get_text()
    for symbol in ("$n = 130$", "$d = 100$", "$p = 70$", "kappa = 100", "sigma = 0"):
        assert symbol in text.replace("\n", " ")


@pytest.mark.slow
def test_figure_3():
    data = quick("fig3").data.sel(variable="generalization_error", teacher="sampled")
    steps = (1, 3, 10, 100, 1000, 10_000, 100_000)
    for training, ratio, values in (
        ("gradient descent", 1.0, (0.2735, 0.1525, 0.0578, 0.0010, 0, 0, 0)),
        ("gradient descent", 50.0, (0.3452, 0.2921, 0.2953, 0.3273, 0.2803, 0.0932, 0.0017)),
        ("gradient descent", 1e5, (0.3453, 0.2922, 0.2959, 0.3333, 0.3333, 0.3333, 0.3333)),
        ("ridge at 2/t", 1.0, (0.2227, 0.1138, 0.0401, 0.0017, 0, 0, 0)),
        ("ridge at 2/t", 50.0, (0.3323, 0.2865, 0.2874, 0.3129, 0.2455, 0.0711, 0.0039)),
        ("ridge at 2/t", 1e5, (0.3324, 0.2868, 0.2885, 0.3244, 0.3324, 0.3332, 0.3333)),
    ):
        curve = data["theory"].sel(training=training, condition_number=ratio)
        check(curve, dict(zip(steps, values, strict=True)))
    fitted = dict(zip(steps, (0.3324, 0.2866, 0.2876, 0.3150, 0.2554, 0.0748, 0.0035), strict=True))
    check(data["published"].sel(condition_number=50.0), fitted)


def test_figure_4():
    data = quick("fig4").data.sel(teacher="averaged")
    steps = (10, 100, 1000, 10_000)
    for ratio, published, exact in (
        (1, (0.1027, 0.0121, 0.0003, 0), (0.1050, 0.0214, 0.0010, 0)),
        (7, (0.2451, 0.1580, 0.0268, 0.0008), (0.2559, 0.2526, 0.0723, 0.0050)),
        (12, (0.2579, 0.2403, 0.0820, 0.0051), (0.2666, 0.3319, 0.1553, 0.0237)),
        (30, (0.2640, 0.3109, 0.2500, 0.0551), (0.2715, 0.3807, 0.3274, 0.1169)),
        (100, (0.2651, 0.3278, 0.3783, 0.2676), (0.2723, 0.3904, 0.4033, 0.3352)),
        (1000, (0.2652, 0.3295, 0.3988, 0.4088), (0.2724, 0.3914, 0.4124, 0.4116)),
        (1e5, (0.2652, 0.3296, 0.3991, 0.4111), (0.2724, 0.3914, 0.4125, 0.4125)),
    ):
        one = data.sel(condition_number=ratio)
        check(one["theory"].sel(variable="generalization_error"), dict(zip(steps, exact, strict=True)))
        check(one["published_generalization_error"], dict(zip(steps, published, strict=True)))
    seven, plateau = data.sel(condition_number=7.0, time=100), data.sel(condition_number=1e5, time=10_000)
    for found, expected in (
        (seven["theory"].sel(variable=["alignment", "norm"]), (0.751, 1.007)),
        ([seven["published_alignment"], seven["published_norm"]], (0.745, 0.806)),
        (plateau["theory"].sel(variable=["alignment", "norm"]), (0.7, 1.225)),
    ):
        np.testing.assert_allclose(found, expected, atol=6e-4)


def test_figure_5():
    """The published curves include the noise of the test labels, 0.02, and are those of a problem of half the scale."""
    data = quick("fig5cd").data.sel(teacher="sampled")
    steps = (1, 10, 20, 100, 1000, 10_000)
    for penalty, published, exact in (
        (0.1265, (0.3925, 0.2708, 0.2573, 0.2462, 0.2437, 0.2435), (0.3389, 0.2294, 0.2244, 0.2236, 0.2236, 0.2236)),
        (3.207e-3, (0.3834, 0.2374, 0.2305, 0.2639, 0.2937, 0.2953), (0.3264, 0.2154, 0.2267, 0.2866, 0.2930, 0.2927)),
        (1e-8, (0.3832, 0.2366, 0.2308, 0.2733, 0.2674, 0.1261), (0.3261, 0.2159, 0.2296, 0.3084, 0.3052, 0.1614)),
    ):
        one = data.sel(slice=penalty)
        check(one["theory"].sel(variable="generalization_error"), dict(zip(steps, exact, strict=True)))
        check(one["published"], dict(zip(steps, published, strict=True)))
    for name, corner in (("exact_map", 0.1614 + 0.02), ("published_map", 0.1261)):
        assert float(data[name].isel(penalty=-1, time=-1)) == pytest.approx(corner, abs=6e-5)
        assert data[name].dims == ("penalty", "time")


def test_figure_6():
    data = quick("fig6-left").data.sel(variable="generalization_error", teacher="sampled")
    steps = (1, 3, 10, 100, 1000, 10_000, 100_000)
    for training, values in (
        ("plain", (0.3412, 0.2755, 0.2614, 0.3412, 0.2736, 0.0755, 0.0023)),
        ("with Q-regularisation", (0.3412, 0.2910, 0.2653, 0.2721, 0.2235, 0.0759, 0.0023)),
    ):
        check(data["theory"].sel(training=training), dict(zip(steps, values, strict=True)))
    assert float(data["shrunk"].sel(time=10)) == pytest.approx(0.2541, abs=6e-4)  # at d = 100
