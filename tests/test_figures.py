"""The figures: registered, made, their effects present, their files and the table."""

import json

import pytest

import dynamics
from dynamics.errors import ParameterError
from dynamics.results import rebuild
from figures import load, registry, reproduce
from figures.cli import run
from figures.registry import Effect, Recipe

NAMES = [
    "double-descent/fig1", "double-descent/fig3", "double-descent/fig4", "double-descent/fig5cd",
    "double-descent/fig6-left", "double-descent/formulas", "double-descent/threshold", "double-descent/landscape",
    "gradient-starvation/fig1", "gradient-starvation/fig2", "gradient-starvation/fig3", "gradient-starvation/fig6",
    "gradient-starvation/digits", "gradient-starvation/rest", "gradient-starvation/map", "gradient-starvation/field",
    "scaling-laws/loss-curves", "scaling-laws/fronts", "scaling-laws/large",
    "scaling-laws/density", "scaling-laws/phases",
]  # fmt: skip

#: Theory only, or training only.
ONE_SIDED = ("scaling-laws/phases", "gradient-starvation/map", "gradient-starvation/digits")


def test_all_figures_are_registered_under_their_paper():
    assert list(registry.recipes()) == NAMES
    assert list(registry.recipes("arXiv:2112.03215")) == NAMES[:5]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_figure_shows_its_effect_and_agrees(name):
    """With another seed than the default: a false alarm has probability 1e-6 for each figure."""
    _, data = reproduce(name, seed=1)
    assert data.attrs.get("verdict") == (None if name in ONE_SIDED else "agree")
    assert "at least" in data.attrs["effect"]


def test_files_and_table_of_a_figure(tmp_path, capsys):
    words = ["figure", "double-descent/formulas", "--quick", "--out", str(tmp_path)]
    assert run(words) == 0
    table = capsys.readouterr().out
    assert "agree" in table
    assert "formulas.png" in table
    folder = tmp_path / "double-descent"
    assert sorted(path.name for path in folder.iterdir()) == ["formulas.nc", "formulas.pdf", "formulas.png"]
    assert load(folder / "formulas.nc").attrs["figure"] == "double-descent/formulas"
    assert run(words) == 2
    assert "must not exist yet" in capsys.readouterr().err
    again = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".nc"}
    assert run([*words, "--overwrite"]) == 0
    assert {name: (folder / name).read_bytes() for name in again} == again


def test_saved_figures_say_where_they_come_from():
    _, data = reproduce("double-descent/formulas", seed=4)
    assert (data.attrs["paper"], data.attrs["preset"], data.attrs["seed"]) == ("own", "quick", 4)
    assert json.loads(data.attrs["libraries"])["learning-dynamics"] == dynamics.__version__
    assert rebuild(data["problem"].item()).samples == 110
    assert data["method"].item() == "exact against ridge"
    assert data.attrs["agreement"].startswith("Theory and simulation agree: exact against ridge; 500 runs")
    assert "false alarm 1e-06 in all" in data.attrs["agreement"]


def test_a_figure_that_cannot_be_made_does_not_stop_the_others(tmp_path, capsys, monkeypatch):
    def sometimes(name, **options):
        if name == "double-descent/fig1":
            raise ArithmeticError("planted")
        return reproduce(name, **options)

    monkeypatch.setattr("figures.production.reproduce", sometimes)
    names = ["double-descent/fig1", "double-descent/formulas"]
    assert run(["figure", *names, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "double-descent/fig1: planted" in said.err
    assert "not made" in said.out
    assert "formulas.png" in said.out


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
