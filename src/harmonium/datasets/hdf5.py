"""HDF5 through h5py: tables by their path inside the file, and AnnData's .h5ad.

Files of MATLAB 7.3, which are HDF5, are opened here, and read in `matlab`. What h5py does with a
damaged file is h5py's matter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.archives import Archive
from harmonium.datasets.arrays import Arrays, check_type
from harmonium.datasets.optional import needed
from harmonium.datasets.reading import Reading
from harmonium.datasets.sparse import read_sparse

_FORMATS = {"csr_matrix": b"csr", "csc_matrix": b"csc"}
_TABLES_OF_ANNDATA = ("X", "layers/", "obsm/", "raw/X")


def read_h5(path: Path, reading: Reading) -> Arrays:
    """Read one table of an HDF5 file; `array` is its path inside the file.

    Raises
    ------
    TypeError, ValueError
        If it is unclear which table holds the rows, if the named one is not there or holds no
        numbers, and for damaged files.
    ImportError
        If h5py is not installed.
    """
    with opened(path) as file:
        return _archive(path.name, found_in(file), _at(reading))


@contextmanager
def opened_h5(path: Path, reading: Reading) -> Iterator[Arrays]:
    """The same, with values that are read by slices while the file is open.

    Raises
    ------
    ValueError
        If the rows come in several arrays, as parts.
    """
    with opened(path) as file:
        yield arrays_by_slices(path.name, found_in(file), _at(reading), array_of)


def arrays_by_slices(
    name: str,
    found: Mapping[str, Any],
    reading: Reading,
    read: Callable[[Any, str], NDArray[Any]],
) -> Arrays:
    """What an archive says of its arrays, of which the values are the open array itself."""
    shapes = {key: _shape(what) for key, what in found.items()}
    empty: dict[int, str] = {}

    def array(key: str) -> NDArray[Any]:
        if len(shapes[key]) < 2 or not hasattr(found[key], "dtype"):
            return read(found[key], f"array {key!r} of {name}")
        # takes no memory, and is known again by its address
        nothing = np.lib.stride_tricks.as_strided(
            np.empty(1, found[key].dtype), shapes[key], (0,) * len(shapes[key])
        )
        empty[id(nothing)] = key
        kept.append(nothing)
        return nothing

    kept: list[NDArray[Any]] = []
    arrays = Archive(name, shapes, array).arrays(reading)
    key = empty.get(id(arrays.values))
    if key is None and isinstance(arrays.values, np.ndarray) and not arrays.parts:
        return arrays
    if key is None:
        raise ValueError(
            f"{name} holds its rows in several arrays, and they are left on disk; name one of "
            "them by `array`, or pass `on_disk=False`, which reads them into memory"
        )
    return dataclasses.replace(arrays, values=found[key])


def read_h5ad(path: Path, reading: Reading) -> Arrays:
    """Read a table of AnnData's: ``X``, or the one that `array` names, such as ``layers/counts``.

    Names of observations name the rows, names of variables the columns. Raises what `read_h5`
    raises.
    """
    with opened(path) as file:
        found = {
            key: what for key, what in found_in(file).items() if key.startswith(_TABLES_OF_ANNDATA)
        }
        reading = _at(dataclasses.replace(reading, array=reading.array or "X"))
        arrays = _archive(path.name, found, reading)
        assert reading.array is not None
        rows, width = arrays.values.shape[:1], arrays.values.shape[-1]
        variables = "raw/var" if reading.array == "raw/X" else "var"
        columns = None if reading.array.startswith("obsm/") else _index(file, variables)
        names = _index(file, "obs")
        return dataclasses.replace(
            arrays,
            columns=columns if columns is not None and len(columns) == width else None,
            row_names=names if names is not None and (len(names),) == rows else None,
        )


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """An HDF5 file to read from; what h5py says of a damaged one is said of the file."""
    with needed("hdf5", path.name):
        import h5py
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path.name} is damaged, or no HDF5 file: {error}") from None


def found_in(group: Any) -> dict[str, Any]:
    """The arrays and sparse matrices below a group, by their paths; empty ones are none."""
    import h5py

    found: dict[str, Any] = {}
    sparse: list[str] = []

    def add(key: str, what: Any) -> None:
        if key.startswith(tuple(sparse)):  # a part of a sparse matrix
            return
        if isinstance(what, h5py.Dataset):
            if what.shape is not None:
                found[key] = what
        elif is_sparse(what):
            sparse.append(f"{key}/")
            found[key] = what

    group.visititems(add)
    return found


def array_of(dataset: Any, name: str) -> NDArray[Any]:
    """The numbers or words of an array, or the dense rows of a sparse matrix.

    Raises
    ------
    TypeError
        If they are records, references or other objects.
    """
    import h5py

    if is_sparse(dataset):
        kind = np.array(_FORMATS[dataset.attrs["encoding-type"]])
        parts = {"format": kind, "shape": dataset.attrs["shape"]}
        return read_sparse(lambda part: np.asarray(parts.get(part, dataset.get(part))), name)
    if h5py.check_string_dtype(dataset.dtype):
        return np.array(dataset.asstr(errors="replace")[()], dtype=str)
    check_type(dataset.dtype, name)
    values: NDArray[Any] = np.asarray(dataset[()])
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def is_sparse(group: Any) -> bool:
    """Whether a group holds a sparse matrix as AnnData writes them."""
    return group.attrs.get("encoding-type") in _FORMATS and "shape" in group.attrs


def _archive(name: str, found: dict[str, Any], reading: Reading) -> Arrays:
    shapes = {key: _shape(what) for key, what in found.items()}
    return Archive(
        name, shapes, lambda key: array_of(found[key], f"array {key!r} of {name}")
    ).arrays(reading)


def _shape(what: Any) -> tuple[int, ...]:
    return tuple(map(int, what.attrs["shape"] if is_sparse(what) else what.shape))


def _at(reading: Reading) -> Reading:
    """The same, with a path as h5py lists it."""
    return dataclasses.replace(reading, array=reading.array and reading.array.strip("/"))


def _index(file: Any, table: str) -> list[str] | None:
    """The names of the rows of a table of AnnData's; None if they are stored in another way."""
    import h5py

    frame = file.get(table)
    key = None if frame is None else frame.attrs.get("_index")
    index = frame.get(key) if isinstance(frame, h5py.Group) and isinstance(key, str) else None
    if not isinstance(index, h5py.Dataset) or not h5py.check_string_dtype(index.dtype):
        return None
    return [str(name) for name in index.asstr(errors="replace")[()]]
