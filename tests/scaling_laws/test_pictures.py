"""The figures of scaling laws, where the numbers are known, and the exponents on the command line."""

import functools

import numpy as np
import pytest

from analytic.scaling_laws import exponents, solve
from dynamics.algorithms import SGD, DanaConstant, DanaDecaying
from dynamics.scaling_laws import PowerLawRandomFeatures
from figures import reproduce
from figures.cli import run
from figures.scaling_laws._fronts import _crossings, _fitted, _slopes, fronts_effect
from figures.scaling_laws._maps import maps_effect


@functools.cache
def quick(name):
    return reproduce(f"scaling-laws/{name}")


def test_phases_stand_where_they_belong():
    picture, data = quick("phases")
    texts = {text.get_text(): text.get_position() for text in picture.axes[0].texts}
    assert len(texts) == 7
    for name, (alpha, beta) in texts.items():
        # the name may be wider than its region: its middle lies within
        assert data["phase"].sel(alpha=alpha, beta=beta, method="nearest") == name
    drawn = picture.axes[0].collections[0].get_array()
    assert len(set(np.ma.compressed(np.ma.masked_invalid(drawn)).tolist())) == 7
    where = {"alpha": 1.0, "beta": 0.7, "method": "nearest"}
    near = data.sel(**where)
    for algorithm in ("sgd", "dana-constant", "dana-decaying"):
        expected = exponents(float(near["alpha"]), float(near["beta"]), algorithm)
        assert (near["loss"].sel(algorithm_name=algorithm), near["size"].sel(algorithm_name=algorithm)) == expected
    assert np.isnan(data["loss"].sel(alpha=0.2, beta=0.1, method="nearest")).all()


def test_a_gain_where_there_is_none_is_no_effect():
    _, data = quick("phases")
    wrong = data.copy(deep=True)
    wrong["loss"].loc[{"algorithm_name": "dana-decaying", "alpha": wrong["alpha"][5]}] += 0.1
    assert maps_effect(data).measured == 7
    assert maps_effect(wrong).measured == 0


def test_fronts_of_power_laws_are_found():
    """P = d^-1 + d/f: curves of d and 2 d cross at f = 2 d^2, on P = 3/(2 d), so that P ~ f^-1/2."""
    dimensions = 100.0 * 2 ** np.arange(5)
    compute = np.geomspace(1e2, 1e9, 300) * np.ones((5, 1))
    front = _crossings(compute, 1 / dimensions[:, None] + dimensions[:, None] / compute)
    np.testing.assert_allclose(front[:, 0], 2 * dimensions[:-1] ** 2, rtol=1e-2)
    np.testing.assert_allclose(front[:, 1], 1.5 / dimensions[:-1], rtol=1e-2)
    middle, slopes = _slopes(front)
    np.testing.assert_allclose(slopes, 0.5, atol=5e-3)
    np.testing.assert_allclose(middle, np.sqrt(front[:-1, 0] * front[1:, 0]), rtol=1e-12)
    exponent, error = _fitted(front, 0)
    assert exponent == pytest.approx(0.5, abs=5e-3)
    assert 0 < error < 0.01


@pytest.mark.slow
def test_the_figure_of_fronts():
    _, data = quick("fronts")
    assert data.attrs["verdict"] == "agree"
    assert data["exact"].values == pytest.approx([12 / 17, 12 / 17, 0.8, 36 / 41], rel=1e-12)
    exponent, error = data["fitted"].sel(algorithm_name="sgd").values
    assert exponent == pytest.approx(12 / 17, abs=2e-3)
    assert 0 < error < 1e-3
    swapped = data.assign_coords(algorithm_name=data["algorithm_name"].values[::-1])
    assert fronts_effect(swapped).measured < 0


def test_loss_curves_agree_with_both_theories():
    _, data = quick("loss-curves")
    assert data.attrs["verdict"] == "agree"
    assert data.sizes["algorithm_name"] == 7
    assert data["single_run"].shape == (7, data.sizes["time"])
    assert float(data["single_run"][0, 0]) != float(data["mean"].sel(variable="risk")[0, 0, 0])


#: (alpha, beta), algorithm: local loss exponents between crossings of d = 1e4, 10^4.5, ..., 1e8, from another code.
FRONTS = {
    (0.8, 0.3, "sgd"): [0.4599, 0.4605, 0.4609, 0.4611, 0.4613, 0.4613],
    (1.0, 0.7, "sgd"): [0.7071, 0.7069, 0.7066, 0.7064, 0.7063, 0.7062, 0.7061],
    (1.0, 0.7, "dana-decaying"): [0.8749, 0.8784, 0.8800, 0.8803, 0.8802, 0.8799, 0.8796],
    (1.0, 1.3, "dana-constant"): [0.7378, 0.7821, 0.7908, 0.7953, 0.7974, 0.7987],
    (1.0, 1.3, "dana-decaying"): [0.8795, 0.8854, 0.8898, 0.8928, 0.8950, 0.8964, 0.8975],
}


@pytest.mark.slow
@pytest.mark.parametrize(("alpha", "beta", "name"), FRONTS)
def test_fronts_up_to_1e8_reach_the_exact_exponents(alpha, beta, name):
    """Local exponents as another code found them, and the last within 0.01 of the exact one."""
    dimensions = np.rint(10 ** np.arange(4, 8.1, 0.5)).astype(int)
    compute, risk = [], []
    for d in dimensions:
        problem = PowerLawRandomFeatures(alpha=alpha, beta=beta, dimension=d)
        trace = problem.curvature.trace
        algorithm = {
            "sgd": SGD(),
            "dana-constant": DanaConstant(momentum_rate=0.25 / trace / d),
            "dana-decaying": DanaDecaying(momentum_rate=0.1 / trace),
        }[name]
        steps = np.unique(np.geomspace(10, min(1e3 * d ** (2 * alpha), 1e15), 300).astype(np.int64))
        compute.append(d * steps.astype(float))
        risk.append(solve(problem, algorithm, steps).risk.values)
    _, slopes = _slopes(_crossings(compute, risk))
    expected = np.array(FRONTS[alpha, beta, name])
    np.testing.assert_allclose(slopes[: expected.size], expected, atol=4e-3)
    assert slopes[-1] == pytest.approx(exponents(alpha, beta, name).loss, abs=0.01)


def test_exponents_on_the_command_line(capsys):
    assert run(["exponents", "--alpha", "1.0", "--beta", "0.7"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "phase II"
    assert len(lines) == 8
    assert lines[1].split()[:3] == ["sgd", "loss", "0.705882"]
    assert lines[1].endswith("size 0.411765 = beta/(alpha + beta)")
    assert lines[6].split()[:3] == ["dana-decaying", "loss", "0.878049"]
    assert "size 0.512195 = beta*(4*alpha - 1)/" in lines[6]
    assert run(["exponents", "--alpha", "0.2", "--beta", "0.1"]) == 2
    assert "there is no power law" in capsys.readouterr().err


def test_comparing_on_the_command_line(capsys):
    words = ["compare", "scaling-laws", "--dimension", "30", "--runs", "60", "--times", "1,10,100", "--batch-size", "8"]
    assert run([*words, "--algorithm", "dana-decaying"]) == 0
    assert capsys.readouterr().out.startswith("agree: deterministic_equivalent against diagonal, 60 runs")
    assert run([*words, "--method", "recursion", "--simulation", "literal"]) == 0
    assert capsys.readouterr().out.startswith("agree: recursion against literal, 60 runs")
    spectrum = ["--problem", "spectrum", "--eigenvalues", "1,0.2", "--initial-error", "1,3", "--floor", "0.1"]
    words = ["compare", "scaling-laws", *spectrum, "--runs", "60", "--times", "1,10,100", "--method", "recursion"]
    assert run(words) == 0
    assert capsys.readouterr().out.startswith("agree: recursion against diagonal, 60 runs")
