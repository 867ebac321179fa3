"""Arrays as they are written: labels under any usual name, parts, sparse matrices, MATLAB."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch

from harmonium.datasets import Data, load

X = np.arange(60).reshape(20, 3) % 7
Y = np.arange(20) % 3


@pytest.fixture
def read(tmp_path: Path):
    def read_npz(said: dict[str, Any] | None = None, /, *unnamed: Any, **arrays: Any) -> Data:
        path = tmp_path / "a.npz"
        np.savez(path, *unnamed, **arrays)
        return load(path, **(said or {}))

    return read_npz


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        *(("X", key) for key in ("Y", "y", "labels", "label", "target", "classes", "y_train")),
        *((f"{x}_train", f"{y}_train") for x, y in (("x", "y"), ("X", "Y"), ("data", "labels"))),
        ("train_data", "train_labels"),
        ("trainX", "trainY"),
        ("images", "labels"),
        ("features", "class"),
    ],
)
def test_labels_under_every_usual_name(read, rows: str, labels: str) -> None:
    data = read({}, **{rows: X, labels: Y})
    assert data.values.tolist() == X.tolist()
    assert data.labels.tolist() == Y.tolist()
    assert f"labels: array {labels}" in data.notes


def test_labels_under_any_name_that_is_said(read) -> None:
    data = read({"label": "klass"}, x=X, klass=Y, y=Y[::-1])
    assert (data.labels.tolist(), data.values.tolist()) == (Y.tolist(), X.tolist())
    assert "labels: array klass" in data.notes
    assert read({"target": "price"}, x=X, price=Y / 2).targets.tolist() == (Y / 2)[:, None].tolist()


def test_rows_are_no_labels(read) -> None:
    with pytest.raises(ValueError, match=r"array 'x' of a\.npz holds the rows; it cannot be their"):
        read({"label": "x"}, x=X, klass=Y)


def test_labels_that_savez_numbered(read) -> None:
    data = read({}, X, Y)
    assert data.labels.tolist() == Y.tolist()
    assert data.notes == ("rows: array arr_0", "labels: array arr_1")


@pytest.mark.parametrize("shape", [(20, 1), (1, 20)])
def test_labels_in_a_column_or_a_row(read, shape) -> None:
    assert read({}, X=X, y=Y.reshape(shape)).labels.tolist() == Y.tolist()


def test_one_hot_labels_are_decoded(read) -> None:
    data = read({}, X=X, y=np.eye(3)[Y])
    assert data.labels.tolist() == Y.tolist()
    assert "labels: array y, one-hot of 3 classes" in data.notes


def test_labels_in_words(read) -> None:
    words = np.array(["no", "yes"])[Y % 2]
    for kept in (words, words.astype("S3"), words[:, None]):
        data = read({}, X=X, y=kept)
        assert data.classes == ("no", "yes")
        assert data.labels.tolist() == (Y % 2).tolist()


def test_numbers_with_decimals_are_targets(read) -> None:
    for key in ("y", "target", "targets", "y_train"):
        data = read({}, X=X, **{key: Y + 0.5})
        assert data.labels is None
        assert data.targets.tolist() == (Y + 0.5)[:, None].tolist()
    assert read({}, X=X, targets=Y).targets.tolist() == Y[:, None].tolist()


def test_what_is_not_used_is_said(read) -> None:
    data = read({}, X=X, y=Y, weights=np.ones(20), comment=np.ones((2, 2)))
    assert data.notes[-1] == "not used: weights (20,), comment (2, 2)"


def test_the_four_arrays_of_keras(read) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (20, 4, 5)).astype(np.uint8)
    data = read({}, x_train=pictures[:12], y_train=Y[:12], x_test=pictures[12:], y_test=Y[12:])
    assert data.image_shape == (4, 5)
    assert data.parts == {"train": range(12), "test": range(12, 20)}
    assert data.part("test").values.tolist() == pictures[12:].reshape(8, -1).tolist()
    assert data.part("test").labels.tolist() == Y[12:].tolist()


def test_the_three_arrays_of_density_files(read) -> None:
    parts = {"train_data": X[:9].astype(float), "test_data": X[14:], "valid_data": X[9:14] / 2}
    data = read({}, **parts)
    assert list(data.parts.items()) == [
        ("train", range(9)), ("validation", range(9, 14)), ("test", range(14, 20)),
    ]  # fmt: skip
    assert data.part("validation").values.tolist() == (X[9:14] / 2).tolist()
    assert data.part("test").values.tolist() == X[14:].tolist()


def test_labels_of_some_parts_alone_are_named_as_unused(read) -> None:
    data = read({}, x_train=X[:9], y_train=Y[:9], x_test=X[9:])
    assert data.labels is None
    assert "labels are not used: the test rows have none" in data.notes


def test_words_of_parts_are_numbered_together(read) -> None:
    words = np.array(["b", "c", "a"])
    data = read({}, x_train=X[:2], y_train=words[:2], x_test=X[2:3], y_test=words[2:])
    assert (data.labels.tolist(), data.classes) == ([1, 2, 0], ("a", "b", "c"))


def test_an_array_can_be_named(read) -> None:
    two = {"a": X, "b": X + 1}
    with pytest.raises(ValueError, match=r"holds a \(20, 3\), b \(20, 3\); name .* by `array`"):
        read({}, **two)
    assert read({"array": "b"}, **two).values.tolist() == (X + 1).tolist()
    with pytest.raises(ValueError, match=r"a.npz has no array 'c'; it holds a \(20, 3\)"):
        read({"array": "c"}, **two)


def test_two_tables_that_savez_numbered_are_unclear(read) -> None:
    with pytest.raises(ValueError, match=r"holds arr_0 \(20, 3\), arr_1 \(5, 3\); name"):
        read({}, X, X[:5])


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float64, bool, np.uint8])
def test_sparse_matrices_of_scipy(tmp_path: Path, kind: str, dtype: type) -> None:
    dense = np.random.default_rng(0).integers(0, 3, (30, 8)).astype(dtype)
    scipy.sparse.save_npz(tmp_path / "a.npz", scipy.sparse.coo_matrix(dense).asformat(kind))
    data = load(tmp_path / "a.npz")
    assert data.values.dtype == (torch.float32 if dtype is np.float64 else torch.uint8)
    assert np.array_equal(data.values.numpy(), dense)


def test_sparse_matrices_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, format=np.array(b"dok"), shape=np.array([1, 3]), data=np.ones(1))
    with pytest.raises(ValueError, match=r"in the format 'dok' .*; CSR, .* save matrix.tocsr"):
        load(path)
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix((10**6, 10**6), dtype=np.float32))
    with pytest.raises(ValueError, match=r"dense rows take 3725 GiB; .*toarray\(\)"):
        load(path)
    broken = {"indices": np.array([9]), "indptr": np.array([0, 1]), "data": np.ones(1)}
    np.savez(path, format=np.array(b"csr"), shape=np.array([1, 3]), **broken)
    with pytest.raises(ValueError, match=r"damaged: its sparse matrix has indices beyond"):
        load(path)
    blocks = broken | {"data": np.ones((1, 1, 2)), "indices": np.array([1])}
    np.savez(path, format=np.array(b"bsr"), shape=np.array([1, 3]), **blocks)
    with pytest.raises(ValueError, match=r"damaged: its sparse matrix has indices beyond"):
        load(path)
    diagonals = {"offsets": np.array([0, 1]), "data": np.ones((1, 3))}
    np.savez(path, format=np.array(b"dia"), shape=np.array([1, 3]), **diagonals)
    with pytest.raises(ValueError, match=r"damaged: 1 diagonals have 2 offsets"):
        load(path)


def test_blocks_and_diagonals_of_a_sparse_matrix_are_where_scipy_has_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blocks = scipy.sparse.random(12, 20, 0.2, rng=rng).tobsr(blocksize=(3, 4))
    bands = scipy.sparse.dia_matrix((rng.random((4, 9)), [-3, 0, 2, 7]), shape=(6, 8))
    for matrix in (blocks, bands, bands.T):
        scipy.sparse.save_npz(tmp_path / "a.npz", matrix)
        assert np.allclose(load(tmp_path / "a.npz").values.numpy(), matrix.toarray(), atol=1e-6)


def test_entries_of_a_sparse_matrix_that_stand_twice_add_up(tmp_path: Path) -> None:
    twice = scipy.sparse.coo_matrix((np.array([200, 100], np.uint8), ([0, 0], [1, 1])), (1, 2))
    scipy.sparse.save_npz(tmp_path / "a.npz", twice)
    assert load(tmp_path / "a.npz").values.tolist() == [[0, 300]]


# MATLAB


def test_a_file_of_matlab(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"data": X, "labels": Y, "about": "words"})
    data = load(path)
    assert data.values.tolist() == X.tolist()
    assert data.labels.tolist() == Y.tolist()
    scipy.io.savemat(path, {"counts": scipy.sparse.csc_matrix(X)})
    assert load(path).values.tolist() == X.tolist()
    scipy.io.savemat(path, {"a": X, "b": X})
    with pytest.raises(ValueError, match=r"a.mat holds a \(20, 3\), b \(20, 3\); name"):
        load(path)
    assert load(path, array="a").values.tolist() == X.tolist()


def test_a_table_of_matlab_that_lies_on_its_side_is_remarked(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"spikes": np.ones((3, 90))})
    assert "3 rows of 90 columns: if the columns are" in load(tmp_path / "a.mat").notes[-1]


def test_damaged_files_of_matlab_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(ValueError, match=r"a.mat is damaged, or no file of MATLAB's"):
        load(path)


# IDX, and labels of a second file


def idx(array: np.ndarray) -> bytes:
    head = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("pictures", ["train-images-idx3-ubyte", "t10k-images.idx3-ubyte"])
def test_labels_of_pictures_in_idx_are_found_beside_them(tmp_path: Path, pictures: str) -> None:
    labels = pictures.replace("images", "labels").replace("idx3", "idx1")
    (tmp_path / pictures).write_bytes(idx(np.zeros((20, 2, 2))))
    assert load(tmp_path / pictures).labels is None
    (tmp_path / labels).write_bytes(idx(Y))
    data = load(tmp_path / pictures)
    assert data.labels.tolist() == Y.tolist()
    assert data.notes == (f"labels: {labels}, which lies beside it",)
    (tmp_path / labels).write_bytes(idx(Y[:7]))
    with pytest.raises(ValueError, match=r"has 7 labels, but .* has 20 rows; pass the file"):
        load(tmp_path / pictures)


def test_a_file_of_labels_can_be_named(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "y.txt").write_text("\n".join(np.array(["b", "a"])[Y % 2]))
    assert load(tmp_path / "x.npy", labels_file=tmp_path / "y.npy").labels.tolist() == Y.tolist()
    assert load(tmp_path / "x.npy", labels_file=tmp_path / "y.txt").classes == ("a", "b")
    with pytest.raises(FileNotFoundError, match=r"`labels_file` is .*, and there is no such file"):
        load(tmp_path / "x.npy", labels_file=tmp_path / "z.npy")
    with pytest.raises(ValueError, match=r"x.npy holds no labels: pass a file of one whole number"):
        load(tmp_path / "x.npy", labels_file=tmp_path / "x.npy")


def test_columns_of_an_array_by_number(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.column_stack([X, Y]))
    data = load(tmp_path / "x.npy", label=-1, drop=0)
    assert data.labels.tolist() == Y.tolist()
    assert data.values.tolist() == X[:, 1:].tolist()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"header": True}, "`header` is for tables of text"),
        ({"array": "a"}, "`array` is for files"),
    ],
)
def test_what_is_said_of_a_file_of_another_format_is_refused(tmp_path, said, message) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "x.npy", **said)


def test_a_header_of_python_2_comes_without_a_remark_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(2))
    old = (tmp_path / "a.npy").read_bytes().replace(b"(2, 2), }", b"(2L, 2L)}")
    assert b"2L" in old
    (tmp_path / "a.npy").write_bytes(old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(tmp_path / "a.npy").values.tolist() == [[1, 0], [0, 1]]


def test_text_of_another_suffix_is_read_if_it_holds_numbers(tmp_path: Path) -> None:
    (tmp_path / "u1.base").write_text("1\t1\t5\t874965758\n1\t2\t3\t876893171\n")
    assert load(tmp_path / "u1.base").values.shape == (2, 4)
