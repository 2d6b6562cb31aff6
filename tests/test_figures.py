"""The figures: registered, their effects present, their data right where the paper's numbers are known."""

import numpy as np
import pytest

from dynamics.errors import ParameterError
from figures import load, registry, reproduce
from figures.cli import run
from figures.double_descent._common import depth
from figures.registry import Effect, Recipe

NAMES = [
    "double-descent/fig1", "double-descent/fig3", "double-descent/fig4", "double-descent/fig5cd",
    "double-descent/fig6-left", "double-descent/formulas", "double-descent/threshold", "double-descent/landscape",
]  # fmt: skip


def test_all_figures_are_registered_under_their_paper():
    assert list(registry.recipes()) == NAMES
    assert list(registry.recipes("arXiv:2112.03215")) == NAMES[:5]


def test_depth_of_a_second_descent():
    assert depth(np.array([0.5, 0.2, 0.3, 0.1])) == pytest.approx(0.1)  # rises by 0.1, then falls by 0.2
    assert depth(np.array([0.5, 0.1, 0.3, 0.2])) == pytest.approx(0.1)  # rises by 0.2, then falls by 0.1
    assert depth(np.array([0.5, 0.3, 0.2, 0.1])) == 0.0
    assert depth(np.array([0.5, 0.3, 0.4, 0.6])) == 0.0  # rises, and stays


def test_figure_1_shows_two_descents_and_the_published_values():
    picture, data = reproduce("double-descent/fig1")
    assert data.attrs["verdict"] == "agree"
    exact = data["theory"].sel(variable="generalization_error", case="both")
    at = {1: (0.3357, 0.3715), 10: (0.2536, 0.2477), 100_000: (0.0572, 0.0323)}
    for step, (true, published) in at.items():
        if step in data["time"].values:
            assert float(exact.sel(time=step)) == pytest.approx(true, abs=1e-4)
            assert float(data["published_both"].sel(time=step)) == pytest.approx(published, abs=1e-4)
    assert float(data["published_fast"][0]) == pytest.approx(float(data["published_both"][0]), abs=1e-12)
    assert float(data["published_slow"][-1]) == pytest.approx(float(data["published_both"][-1]), abs=1e-12)
    assert len(picture.axes) == 2
    text = "".join(item.get_text() for item in picture.texts) + picture._supxlabel.get_text()
    for symbol in ("$n = 130$", "$d = 100$", "$p = 70$", "kappa = 100", "sigma = 0"):
        assert symbol in text.replace("\n", " ")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_shows_its_effect_and_agrees(name):
    """With another seed than the default: a false alarm has probability 1e-6 for each figure."""
    _, data = reproduce(name, seed=1)
    assert data.attrs["verdict"] == "agree"
    assert "at least" in data.attrs["effect"]


def test_files_and_table_of_a_figure(tmp_path, capsys, monkeypatch):
    quick = reproduce("double-descent/fig1")
    monkeypatch.setattr("figures.production.reproduce", lambda *_, **__: quick)
    assert run(["figure", "double-descent/fig1", "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "agree" in table
    assert "fig1.png" in table
    folder = tmp_path / "double-descent"
    assert sorted(path.name for path in folder.iterdir()) == ["fig1.nc", "fig1.pdf", "fig1.png"]
    assert load(folder / "fig1.nc").attrs["figure"] == "double-descent/fig1"
    assert run(["figure", "double-descent/fig1", "--out", str(tmp_path)]) == 2
    assert "must not exist yet" in capsys.readouterr().err
    assert run(["figure", "double-descent/fig1", "--out", str(tmp_path), "--overwrite"]) == 0


def test_a_missing_effect_is_an_error(monkeypatch):
    chosen = registry.recipe("double-descent/fig6-left")
    fake = Recipe(
        chosen.name,
        chosen.paper,
        chosen.title,
        lambda *_: quick_data(),
        chosen.draw,
        lambda _: Effect("x", 0.01, 0.02),
        1,
    )
    monkeypatch.setattr(registry, "recipe", lambda _: fake)
    with pytest.raises(ArithmeticError, match=r"does not show its effect, x: 0\.01 \(at least 0\.02\)"):
        reproduce(chosen.name)


def quick_data():
    import xarray as xr

    return xr.Dataset()


def test_an_interrupted_figure_is_not_half_made(tmp_path, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("figures.production.reproduce", interrupted)
    assert run(["figure", "double-descent/fig1", "--out", str(tmp_path)]) == 130
    assert "not made: double-descent/fig1" in capsys.readouterr().err
    assert list((tmp_path / "double-descent").iterdir()) == []


def test_unknown_names_and_presets_are_refused():
    with pytest.raises(ParameterError, match="did you mean double-descent/fig3"):
        reproduce("double-descent/fig33")
    with pytest.raises(ParameterError, match="preset must be one of quick, full"):
        reproduce("double-descent/fig1", preset="slow")
