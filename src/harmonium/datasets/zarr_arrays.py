"""Zarr: arrays in a folder, by their path inside it, through the package zarr."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, check_type
from harmonium.datasets.hdf5 import arrays_by_slices
from harmonium.datasets.optional import needed
from harmonium.datasets.reading import Reading

_ONLY = "values"  # how the array of a folder that holds one and no group is called


def read_zarr(path: Path, reading: Reading) -> Arrays:
    """Read one array of a folder of Zarr; `array` is its path in it.

    Raises
    ------
    ImportError
        If zarr is not installed.
    TypeError, ValueError
        If it is unclear which array holds the rows, and for damaged folders.
    """
    with opened_zarr(path, reading) as arrays:
        return dataclasses.replace(arrays, values=_array_of(arrays.values, path.name))


@contextmanager
def opened_zarr(path: Path, reading: Reading) -> Iterator[Arrays]:
    """The same, with values that are read by slices."""
    with needed("zarr", path.name):
        import zarr
    try:
        root = zarr.open(str(path), mode="r")
        found = {_ONLY: root} if hasattr(root, "dtype") else dict(_below(root))
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path.name} is damaged, or no folder of Zarr: {error}") from None
    array = reading.array and reading.array.strip("/")
    yield arrays_by_slices(path.name, found, dataclasses.replace(reading, array=array), _array_of)


def _below(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays in a group and in those below it, by their paths."""
    for name in sorted(group):
        one = group[name]
        if hasattr(one, "dtype"):
            yield prefix + name, one
        else:
            yield from _below(one, f"{prefix}{name}/")


def _array_of(array: Any, name: str) -> NDArray[Any]:
    values = np.asarray(array[...])
    if values.dtype.kind in "OT":
        return values.astype(str)
    check_type(values.dtype, name)
    return values
