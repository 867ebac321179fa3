#!/usr/bin/env bash
# zarr 3.1.6: an Array has a shape and is iterated over row by row, but has no length.
#
# Expected: len(array) is array.shape[0], as for NumPy's arrays, h5py's datasets, and zarr before 3.0.
# Seen:     len(array) raises TypeError: object of type 'Array' has no len(). list(array) gives its rows
#           all the same, because it is indexed from 0 until an IndexError, and array[0:2], array.shape,
#           array.ndim and array.dtype are as expected. So code that reads h5py's datasets by slices fails
#           on zarr's arrays only where it asks for their length.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet zarr==3.1.6 h5py==3.16.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import h5py
import numpy as np
import zarr

rows = np.arange(10).reshape(5, 2)
array = zarr.create_array("a.zarr", data=rows)
with h5py.File("a.h5", "w") as file:
    file["a"] = rows
    assert len(rows) == len(file["a"]) == 5
assert array.shape == (5, 2) and (array[0:2] == rows[0:2]).all()
assert len(list(array)) == 5
try:
    length = len(array)
except TypeError as error:
    print(f"len: {error}; list: {len(list(array))} rows")
else:
    raise SystemExit(f"an array of zarr has the length {length}")
PYTHON
