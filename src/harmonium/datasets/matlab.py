"""Reading .mat files of MATLAB 4 and 5 by SciPy.

What belongs here is the file. Which array is what is chosen as in an .npz.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.archives import Archive
from harmonium.datasets.arrays import Arrays
from harmonium.datasets.reading import Reading

_LYING = 20  # times as many columns as rows are more likely rows
_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_mat(path: Path, reading: Reading) -> Arrays:
    """Read a file as ``save`` of MATLAB or ``scipy.io.savemat`` writes it.

    Raises
    ------
    ValueError
        For files of version 7.3, which are HDF5, damaged ones, and where it is not clear which
        array holds the rows.
    """
    import scipy.io
    from scipy.sparse import issparse

    with path.open("rb") as stream:
        begin = stream.read(520)
    if begin.startswith(b"MATLAB 7.3") or _HDF5 in begin:
        raise ValueError(
            f"{path.name} is of MATLAB's version 7.3, which is HDF5, and not read; save it by "
            "save(..., '-v7') in MATLAB, or read it by h5py and save the array by numpy.save"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of variables that stand twice, or are not read
            content = scipy.io.loadmat(path)
    except MemoryError:
        raise ValueError(
            f"{path.name} is damaged, or too large: it promises more than memory holds"
        ) from None
    except OSError:
        raise
    except Exception as error:  # what a damaged file raises is whatever SciPy happens to meet
        raise ValueError(f"{path.name} is damaged, or no file of MATLAB's: {error}") from None
    found: dict[str, Any] = {
        key: value
        for key, value in content.items()
        if not key.startswith("__") and (issparse(value) or _is_numeric(value))
    }

    def array(key: str) -> NDArray[Any]:
        value = found[key]
        return _dense(value, f"{key} of {path.name}") if issparse(value) else np.asarray(value)

    shapes = {key: value.shape for key, value in found.items()}
    arrays = Archive(path.name, shapes, array).arrays(reading)
    shape = arrays.values.shape
    if len(shape) == 2 and shape[0] * _LYING < shape[1]:
        note = (
            f"{shape[0]} rows of {shape[1]:,} columns: if the columns are the rows, save the "
            "transposed array"
        )
        arrays = dataclasses.replace(arrays, notes=(*arrays.notes, note))
    return arrays


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "biufUS"


def _dense(matrix: Any, name: str) -> NDArray[Any]:
    from harmonium.datasets.sparse import read_sparse

    coo = matrix.tocoo()
    parts = {
        "format": np.array(b"coo"),
        "shape": np.array(coo.shape),
        "data": coo.data,
        "row": coo.row,
        "col": coo.col,
    }
    return read_sparse(parts.__getitem__, name)
