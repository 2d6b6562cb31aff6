"""Files appear whole or not at all, and come back as they were."""

import os

import numpy as np
import pytest
import xarray as xr

from dynamics.errors import ParameterError
from figures import load, save
from figures.files import write_bytes


@pytest.fixture
def data():
    return xr.Dataset(
        {"curve": ("time", np.array([0.1, 0.2, 1 / 3])), "name": ("time", np.array(["a", "bb", "c"]))},
        {"time": np.array([1, 10, 10**12])},
        {"verdict": "agree", "false_alarm": 1e-6},
    )


def test_round_trip_is_exact(tmp_path, data):
    path = save(data, tmp_path / "one.nc")
    back = load(path)
    xr.testing.assert_identical(back, data)
    assert back["time"].dtype == np.int64
    assert os.listdir(tmp_path) == ["one.nc"]


def test_existing_file_is_kept_unless_told(tmp_path, data):
    path = tmp_path / "one.nc"
    path.write_bytes(b"mine")
    with pytest.raises(ParameterError, match="must not exist yet"):
        save(data, path)
    assert path.read_bytes() == b"mine"
    save(data, path, overwrite=True)
    assert load(path).attrs["verdict"] == "agree"


def test_unwritable_places_are_refused(tmp_path, data):
    with pytest.raises(ParameterError, match="folder that can be written"):
        save(data, tmp_path / "missing" / "one.nc")
    with pytest.raises(ParameterError, match="is a folder"):
        save(data, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ParameterError, match="folder that can be written"):
        save(data, tmp_path / "file" / "one.nc")


def test_a_failing_write_leaves_nothing(tmp_path, monkeypatch):
    def broken(handle):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(ParameterError, match="disk full"):
        write_bytes(b"content", tmp_path / "one.nc", overwrite=False)
    assert os.listdir(tmp_path) == []


def test_unreadable_files_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="existing file"):
        load(tmp_path / "none.nc")
    (tmp_path / "text.nc").write_text("no netCDF")
    with pytest.raises(ParameterError, match="cannot be read"):
        load(tmp_path / "text.nc")
