"""HDF5 files, AnnData's and MATLAB 7.3's among them, laid out by h5py as their owners do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import torch

from harmonium.datasets import Reading, load, read

h5py = pytest.importorskip("h5py")

X = np.random.default_rng(0).integers(0, 4, (20, 3))
Y = np.arange(20) % 3


def write(path: Path, **arrays: object) -> Path:
    """Datasets by their paths; ``__`` stands for ``/``."""
    with h5py.File(path, "w") as file:
        for key, values in arrays.items():
            file[key.replace("__", "/")] = values
    return path


@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i4", "f2", "<f4", ">f4", ">f8", "?"])
def test_types_of_numbers(tmp_path: Path, dtype: str) -> None:
    data = load(write(tmp_path / "a.h5", spikes=X.astype(dtype)))
    assert data.values.tolist() == X.astype(dtype).astype(float).tolist()
    assert data.values.dtype == (torch.float32 if "f" in dtype else torch.uint8)


def test_a_table_by_its_path(tmp_path: Path) -> None:
    path = write(tmp_path / "a.hdf5", one__a=X, two__b=X + 1, about="words")
    with pytest.raises(ValueError, match=r"holds about \(\), one/a \(20, 3\), two/b \(20, 3\); na"):
        load(path)
    for array in ("two/b", "/two/b"):
        data = load(path, array=array)
        assert data.values.tolist() == (X + 1).tolist()
        assert data.notes[0] == "rows: array two/b"
    with pytest.raises(ValueError, match=r"a.hdf5 has no array 'two'; it holds about \(\), one/a"):
        load(path, array="two")


def test_labels_by_name_and_parts(tmp_path: Path) -> None:
    words = np.array(["b", "a", "c"])[Y].tolist()
    data = load(write(tmp_path / "a.h5", data=X, labels=words))
    assert data.classes == ("a", "b", "c")
    assert data.labels.tolist() == [[1, 0, 2][k] for k in Y]
    data = load(write(tmp_path / "b.h5", train__x=X, test__x=X[:5], train__y=Y, test__y=Y[:5]))
    assert {part: len(rows) for part, rows in data.parts.items()} == {"train": 20, "test": 5}
    assert data.part("test").labels.tolist() == Y[:5].tolist()


def test_compressed_pieces_and_pictures(tmp_path: Path) -> None:
    pictures = np.arange(20 * 4 * 5).reshape(20, 4, 5) % 256
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=pictures, chunks=(7, 2, 5), compression="gzip")
    data = load(tmp_path / "a.h5")
    assert data.image_shape == (4, 5)
    assert data.values.tolist() == pictures.reshape(20, -1).tolist()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            np.zeros((3, 2), [("a", "i4"), ("b", "f4")]),
            TypeError,
            "array 'x' of a.h5 holds records",
        ),
        (np.zeros((3, 2), np.complex64), TypeError, r"array 'x' of a.h5 holds complex; pass boo"),
        (np.array([[b"a", b"b"]]), TypeError, r"a.h5 holds text; pass booleans"),
        (np.zeros((2, 2, 2, 2)), ValueError, r"a.h5 has shape \(2, 2, 2, 2\), but data are rows"),
        (np.float64(3), ValueError, r"a.h5 has shape \(\), but data are rows"),
        (np.zeros((0, 2)), ValueError, r"a.h5 is empty: its shape is \(0, 2\)"),
        (
            np.full((2, 2), np.nan),
            ValueError,
            r"2 columns of a.h5 have no value in any of the 2 rows",
        ),
    ],
)
def test_arrays_that_are_refused(
    tmp_path: Path, values: np.ndarray, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load(write(tmp_path / "a.h5", x=values))


def test_rows_of_different_lengths_are_no_numbers(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (3, 2), h5py.vlen_dtype(np.int32))
    with pytest.raises(TypeError, match=r"array 'x' of a.h5 holds Python objects"):
        load(tmp_path / "a.h5")


@pytest.mark.parametrize("name", ["a.h5", "a.h5ad", "a.mat"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    whole = write(tmp_path / name, X=X).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{name} is damaged, or no HDF5 file: .*truncated"):
        load(tmp_path / name)
    if name != "a.mat":
        (tmp_path / name).write_bytes(b"nothing of the kind" * 99)
        with pytest.raises(ValueError, match=f"{name} is damaged, or no HDF5 file: "):
            load(tmp_path / name)


def test_a_file_without_arrays(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["nothing"] = h5py.Empty("f4")
        file.create_group("group")
    with pytest.raises(ValueError, match=r"a.h5 holds no arrays; name the array of rows"):
        load(tmp_path / "a.h5")


# AnnData, as its specification 0.1.0 has it: https://anndata.readthedocs.io/en/stable/fileformat


def write_anndata(path: Path, X: object, **layers: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for table, prefix, n in (("obs", "cell", 20), ("var", "gene", 3)):
            group = file.create_group(table)
            group.attrs.update({"_index": "id", "encoding-type": "dataframe"})
            group["id"] = [f"{prefix}{k}" for k in range(n)]
            group["other"] = np.arange(n)
        if isinstance(X, np.ndarray):
            file["X"] = X
        else:
            group = file.create_group("X")
            group.attrs.update({"encoding-type": f"{X.format}_matrix", "shape": X.shape})
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(X, part)
        for key, values in layers.items():
            file[key.replace("__", "/")] = values
    return path


@pytest.mark.parametrize("kind", ["array", "csr", "csc"])
def test_anndata(tmp_path: Path, kind: str) -> None:
    values = X if kind == "array" else scipy.sparse.csr_matrix(X).asformat(kind)
    data = load(write_anndata(tmp_path / "a.h5ad", values))
    assert data.values.tolist() == X.tolist()
    assert data.columns == ("gene0", "gene1", "gene2")
    assert list(data.row_names) == [f"cell{k}" for k in range(20)]


def test_other_tables_of_anndata(tmp_path: Path) -> None:
    more = {"layers__raw": X + 1, "obsm__pca": X[:, :2] / 2, "uns__colours": X}
    path = write_anndata(tmp_path / "a.h5ad", X, **more)
    data = load(path)
    assert data.notes == ("rows: array X", "not used: layers/raw (20, 3), obsm/pca (20, 2)")
    data = load(path, array="layers/raw")
    assert data.values.tolist() == (X + 1).tolist()
    assert data.columns == ("gene0", "gene1", "gene2")
    data = load(path, array="obsm/pca", drop=0)
    assert data.values.tolist() == (X[:, 1:2] / 2).tolist()
    assert data.columns is None
    assert data.row_names[3] == "cell3"
    with pytest.raises(
        ValueError, match=r"a.h5ad has no array 'uns/colours'; it holds X \(20, 3\)"
    ):
        load(path, array="uns/colours")
    with h5py.File(path, "a") as file:
        del file["X"], file["obs"].attrs["_index"]
    with pytest.raises(ValueError, match=r"a.h5ad has no array 'X'; it holds layers/raw \(20, 3\)"):
        load(path)
    assert load(path, array="layers/raw").row_names is None


# MATLAB 7.3: HDF5 after 512 bytes, dimensions in reverse order, the class in an attribute


def write_matlab(path: Path, **variables: tuple[str, np.ndarray]) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, (kind, values) in variables.items():
            file[name] = values.T
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")
    return path


def codes(*words: str) -> np.ndarray:
    return np.array([list(map(ord, word)) for word in words], np.uint16)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("double", "f8"), ("uint8", "u1"), ("logical", "u1"), ("int16", "i2")]
)
def test_matlab(tmp_path: Path, kind: str, dtype: str) -> None:
    path = write_matlab(tmp_path / "a.mat", data=(kind, X.astype(dtype)))
    assert load(path).values.tolist() == X.tolist()


def test_variables_of_matlab(tmp_path: Path) -> None:
    words = codes(*(["no ", "yes", "no "] * 6 + ["no ", "yes"]))
    path = write_matlab(tmp_path / "a.mat", counts=("uint8", X), labels=("char", words))
    with h5py.File(path, "a") as file:
        file["#refs#/a"] = X
        file.create_dataset("cells", (2, 1), h5py.ref_dtype)
        file["cells"].attrs["MATLAB_class"] = np.bytes_("cell")
        file.create_group("struct")["field"] = X
        file["empty"] = np.array([0, 0], np.uint64)
        file["empty"].attrs.update({"MATLAB_empty": 1, "MATLAB_class": np.bytes_("double")})
    data = load(path)
    assert data.values.tolist() == X.tolist()
    assert data.classes == ("no", "yes")
    assert data.labels.tolist() == [0, 1, 0] * 6 + [0, 1]
    assert data.notes[-1] == ("not read, because they hold no plain numbers: cells, empty, struct")


@pytest.mark.parametrize("dense", [X, np.zeros((4, 3))])
@pytest.mark.parametrize("is_logical", [False, True])
def test_sparse_matrices_of_matlab(tmp_path: Path, dense: np.ndarray, is_logical: bool) -> None:
    path = write_matlab(tmp_path / "a.mat")
    matrix = scipy.sparse.csc_matrix(dense)
    with h5py.File(path, "a") as file:
        group = file.create_group("counts")
        kind = np.bytes_("logical" if is_logical else "double")
        group.attrs.update({"MATLAB_class": kind, "MATLAB_sparse": np.uint64(len(dense))})
        group["jc"] = matrix.indptr.astype(np.uint64)
        if matrix.nnz:  # MATLAB leaves these out where there is nothing
            group["ir"] = matrix.indices.astype(np.uint64)
            group["data"] = matrix.data.astype(np.uint8 if is_logical else np.float64)
    wanted = dense > 0 if is_logical else dense
    assert load(path).values.tolist() == wanted.astype(float).tolist()


def test_matlab_without_arrays_and_on_its_side(tmp_path: Path) -> None:
    path = write_matlab(tmp_path / "a.mat", spikes=("uint8", np.ones((3, 90), np.uint8)))
    assert "if the columns are the rows, pass `transpose=True`" in load(path).notes[-1]
    with pytest.raises(ValueError, match=r"a.mat has no array 'x'; it holds spikes \(3, 90\)"):
        load(path, array="x")
    with pytest.raises(ValueError, match=r"b.mat holds no arrays; name the array"):
        load(write_matlab(tmp_path / "b.mat"))


# Arrays whose columns are the rows


def test_a_transposed_array(tmp_path: Path) -> None:
    path = write_matlab(tmp_path / "a.mat", data=("uint8", X.T), labels=("double", Y[:, None]))
    data = load(path, transpose=True, drop=0)
    assert data.values.tolist() == X[:, 1:].tolist()
    assert data.labels.tolist() == Y.tolist()
    assert "transposed, as asked: columns are the rows" in data.notes
    assert not any("pass `transpose" in note for note in data.notes)


def test_names_are_transposed_too(tmp_path: Path) -> None:
    data = load(write_anndata(tmp_path / "a.h5ad", X), transpose=True, drop="cell3")
    assert data.values.tolist() == np.delete(X.T, 3, 1).tolist()
    assert list(data.row_names) == ["gene0", "gene1", "gene2"]
    assert data.columns[:4] == ("cell0", "cell1", "cell2", "cell4")


def test_what_cannot_be_transposed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", x=np.zeros((3, 4, 5)))
    with pytest.raises(ValueError, match=r"`transpose` is for one array .*, and a.h5 holds pict"):
        load(path, transpose=True)
    path = write(tmp_path / "a.h5", x_train=X, x_test=X)
    with pytest.raises(ValueError, match=r"a.h5 holds the parts train, test; leave it out"):
        load(path, transpose=True)
    (tmp_path / "a.csv").write_text("1,2\n3,4\n")
    with pytest.raises(ValueError, match=r"`transpose` is for files of arrays, and a.csv is none"):
        load(tmp_path / "a.csv", transpose=True)
    frame = pytest.importorskip("pandas").DataFrame({"a": [1, 2]})
    with pytest.raises(ValueError, match="`transpose` is for arrays, and array is a table"):
        read(frame, Reading.of(transpose=True))
    assert read(X, Reading.of(transpose=True)).values.tolist() == X.T.tolist()
