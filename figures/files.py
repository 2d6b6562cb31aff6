"""Saving and loading answers: one netCDF file, written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import xarray as xr

from dynamics.errors import ParameterError, shown

__all__ = ["check_free", "load", "netcdf_bytes", "save", "write_bytes"]


def save(answer: xr.Dataset, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write an answer, a comparison or a figure's data to a netCDF file, and return its path.

    The file appears whole or not at all, whatever happens while it is written.

    Parameters
    ----------
    answer : Dataset
        Its attributes (problem, algorithm, method, seed, versions) are written with it.
    path : str or path
        The file, in a folder that exists.
    overwrite : bool
        Replace the file if it exists.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ParameterError
        When the file exists (and ``overwrite`` is not set) or the folder cannot be written.
    """
    check_free(path, overwrite=overwrite)
    return write_bytes(netcdf_bytes(answer), path, overwrite=overwrite)


def netcdf_bytes(answer: xr.Dataset | xr.DataTree) -> bytes:
    """Return an answer, or several as its groups, as a netCDF file."""
    if not isinstance(answer, (xr.Dataset, xr.DataTree)):
        raise ParameterError(f"answer must be a Dataset; got {type(answer).__name__}")
    return bytes(answer.to_netcdf(engine="h5netcdf"))


def load(path: str | os.PathLike[str], *, group: str | None = None) -> xr.Dataset:
    """Read back what :func:`save` or the explorer wrote, into memory.

    Parameters
    ----------
    path : str or path
        The file.
    group : str, optional
        Of a file of the explorer: "theory", "runs", "comparison", "kept_1", ...

    Returns
    -------
    Dataset

    Raises
    ------
    ParameterError
        When there is no such file, it is not netCDF, or it has no such group.
    """
    path = _path(path)
    if not path.is_file():
        raise ParameterError(f"path must be an existing file; got {path}")
    try:
        return xr.load_dataset(path, engine="h5netcdf", group=group)
    except Exception as error:  # damaged files make the libraries below raise almost anything
        part = "" if group is None else f" with the group {group}"
        raise ParameterError(f"path must be a netCDF file{part}; {path} cannot be read: {error}") from error


def write_bytes(content: bytes, path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Write next to the target, flush to the disk, and move into place."""
    path = _path(path)
    check_free(path, overwrite=overwrite)
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.{threading.get_ident()}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ParameterError(f"path must be a file that can be written; {path}: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _path(path: str | os.PathLike[str]) -> Path:
    """Return the path, or say that no file can have that name: no text, a NUL in it, too long, in no folder."""
    try:
        found = Path(path)
        os.stat(found)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # the folder is looked at by check_free
        return found
    except (TypeError, ValueError, OSError) as error:
        raise ParameterError(f"path must be the name of a file; got {shown(path)}: {error}") from None
    return found


def check_free(path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Refuse at once a target that exists or whose folder cannot be written."""
    path = _path(path)
    if path.exists() and not path.is_file():
        raise ParameterError(f"path must be a file; {path} is {'a folder' if path.is_dir() else 'something else'}")
    if path.exists() and not overwrite:
        raise ParameterError(f"path must not exist yet (or say overwrite); got {path}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ParameterError(f"path must lie in a folder that can be written; got {path.parent}")
