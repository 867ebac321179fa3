"""Files that hold whole arrays: NumPy's own and IDX; finding the reader; damaged files."""

from __future__ import annotations

import gzip
import io
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import FORMATS, AsIs, Data, Scaled, load
from harmonium.datasets import arrays as arrays_module

DTYPES = ["u1", "i1", "<i2", ">i4", "<i8", "?", "<f2", "<f4", ">f4", "<f8", ">f8"]
IDX_CODES = {"u1": 0x08, "i1": 0x09, ">i2": 0x0B, ">i4": 0x0C, ">f4": 0x0D, ">f8": 0x0E}
SHAPES = array_shapes(min_dims=2, max_dims=3, max_side=7)


def any_array(dtypes: list[str]) -> st.SearchStrategy[np.ndarray]:
    # Numbers that every type holds exactly, so that nothing but the reader is under test.
    small = st.integers(0, 100).map(lambda n: n % 2)
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: arrays(dtype, SHAPES, elements=small if dtype == "?" else st.integers(0, 100))
    )


def idx(array: np.ndarray, code: int | None = None) -> bytes:
    kind = array.dtype.str.lstrip("|")
    head = struct.pack(">HBB", 0, IDX_CODES[kind] if code is None else code, array.ndim)
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def npz(**members: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **members)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def read(name: str, content: bytes) -> Data:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return load(path)


def assert_holds(data: Data, array: np.ndarray) -> None:
    assert data.values.tolist() == array.reshape(len(array), -1).astype(float).tolist()
    assert data.image_shape == (array.shape[1:] if array.ndim == 3 else None)
    assert data.values.is_contiguous()
    whole = array.dtype.kind in "iub"
    assert data.values.dtype == (torch.uint8 if whole else torch.float32)


@given(any_array(DTYPES), st.booleans())
def test_npy_round_trip(array: np.ndarray, transposed: bool) -> None:
    assert_holds(read("a.npy", npy(np.asfortranarray(array) if transposed else array)), array)


@given(any_array(DTYPES), st.booleans())
def test_npz_round_trip(array: np.ndarray, transposed: bool) -> None:
    content = npz(data=np.asfortranarray(array) if transposed else array)
    assert_holds(read("a.NPZ", content), array)


@given(any_array(list(IDX_CODES)), st.booleans())
def test_idx_round_trip(array: np.ndarray, compressed: bool) -> None:
    content = idx(array)
    name = "images-idx-ubyte.gz" if compressed else "images-idx-ubyte"
    assert_holds(read(name, gzip.compress(content) if compressed else content), array)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.idx"])
@pytest.mark.parametrize("transposed", [False, True])
def test_arrays_of_several_blocks(
    name: str, transposed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays_module, "_BLOCK_BYTES", 64)
    array = np.random.default_rng(0).normal(size=(37, 5)).astype(">f8")
    source = np.asfortranarray(array) if transposed else array
    write = {"a.npy": npy, "a.npz": lambda a: npz(x=a), "a.idx": idx}[name]
    content = write(array if name == "a.idx" else source)
    assert read(name, content).values.equal(torch.from_numpy(array.astype(np.float32)))


def test_nan_in_a_later_block_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays_module, "_BLOCK_BYTES", 64)
    array = np.zeros((30, 3))
    array[29, 2] = np.nan
    mask = read("a.npy", npy(array)).mask
    assert mask is not None
    assert (~mask.observed()).nonzero().tolist() == [[29, 2]]


def test_a_file_keeps_its_name_and_has_no_parts() -> None:
    data = read("mine.npy", npy(np.array([[3, 200]], np.uint8)))
    assert (data.name, dict(data.parts), data.labels) == ("mine.npy", {}, None)
    assert data.encoding == AsIs()


def test_grey_pictures_are_scaled() -> None:
    assert read("a.idx", idx(np.full((2, 3, 3), 200, np.uint8))).encoding == Scaled(0, 255)


def test_targets_of_npz() -> None:
    data = read("a.npz", npz(rows=np.eye(2), targets=np.array([[0.5, 1], [2, 3]])))
    assert data.targets is not None
    assert data.targets.tolist() == [[0.5, 1.0], [2.0, 3.0]]
    assert data.values.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("key", ["data", "x", "X", "values", "anything"])
@pytest.mark.parametrize("labels", ["labels", "y"])
def test_npz_names(key: str, labels: str) -> None:
    data = read("a.npz", npz(**{labels: np.array([4, 5]), key: np.eye(2), "other": np.zeros(9)}))
    assert data.values.tolist() == [[1, 0], [0, 1]]
    assert data.labels is not None
    assert data.labels.tolist() == [4, 5]


def test_named_arrays_come_first() -> None:
    assert read("a.npz", npz(other=np.zeros((5, 5)), x=np.eye(2))).values.tolist() == [
        [1, 0],
        [0, 1],
    ]


class Trap:
    """Unpickling this would raise; no reader of arrays may come so far."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise AssertionError('run')",))


OBJECTS = np.array([[Trap()]], dtype=object)
RECORDS = np.zeros((2, 2), dtype=[("a", "f4")])


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        ("z.npy", b"", ValueError, "z.npy is empty: 0 bytes"),
        ("a.npy", npy(np.zeros(3)), ValueError, r"a.npy has shape \(3,\), but data are rows"),
        ("b.npy", npy(np.zeros((1, 2, 3, 4))), ValueError, r"shape \(1, 2, 3, 4\)"),
        ("c.npy", npy(np.float32(3)), ValueError, r"c.npy has shape \(\)"),
        ("d.npy", npy(np.zeros((0, 3))), ValueError, r"d.npy is empty: its shape is \(0, 3\)"),
        ("e.npy", npy(OBJECTS), TypeError, "e.npy holds Python objects"),
        ("f.npy", npy(RECORDS), TypeError, "f.npy holds records"),
        ("g.npy", npy(np.array([["text"]])), TypeError, "g.npy holds text"),
        ("h.npy", b"no array at all", ValueError, "h.npy is damaged, or no array of NumPy's"),
        ("i.npy", b"\x93NUMPY\x09\x09", ValueError, "i.npy is damaged, or no array of NumPy's"),
        ("j.npy", npy(np.zeros((9, 9)))[:-8], ValueError, "cut off: .* 648 bytes .* 640 are there"),
        ("a.npz", npz(data=OBJECTS), TypeError, "array 'data' of a.npz holds Python objects"),
        ("b.npz", npz(a=np.eye(2), b=np.eye(3)), ValueError, r"holds a \(2, 2\), b \(3, 3\); name"),
        ("c.npz", npz(), ValueError, "c.npz holds no arrays"),
        ("d.npz", b"PK nothing", ValueError, "d.npz is damaged, or not what its name says"),
        ("e.npz", npz(x=np.eye(2), y=np.arange(3)), ValueError, r"2 rows, but .* shape \(3,\)"),
        ("a", idx(np.zeros((9, 9), np.uint8))[:-1], ValueError, "a is cut off"),
        ("b", idx(np.zeros((9, 9), np.uint8)) + b"1", ValueError, r"b is longer than .* \(9, 9\)"),
        ("c", idx(np.zeros(9, np.uint8)), ValueError, r"c has shape \(9,\)"),
        (
            "d.gz",
            gzip.compress(idx(np.ones((99, 9), np.uint8)))[:-9],
            ValueError,
            "d.gz is damaged",
        ),
        (
            "a.doc",
            b"My dear 2 friends",
            ValueError,
            "a.doc is of a type not read; these are: .npy, .npz, .csv",
        ),
        ("b.csv.gz", gzip.compress(b"1,2\n")[:-9], ValueError, "b.csv.gz is damaged"),
        ("c.txt", b"\0\0", ValueError, "c.txt is no text in UTF-8"),
        ("c.bin", b"\0\0", ValueError, "c.bin is of a type not read"),
        ("d", idx(np.zeros((1, 1), np.uint8), 0x0A), ValueError, "d is of a type not read"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else "",
)
def test_other_files_are_refused(
    name: str, content: bytes, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read(name, content)


@pytest.mark.parametrize("shape", ["(99999999999, 99999999)", "(9999999999999, 3)", "(-1, 3)"])
def test_a_header_that_promises_too_much_is_refused(shape: str) -> None:
    content = npy(np.zeros((1, 1)))
    start = content.index(b"{")
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}".encode()
    content = content[:start] + header.ljust(len(content[start:-9])) + b"\n"
    with pytest.raises(ValueError, match=r"a.npy (is damaged|says that it holds an array|is cut)"):
        read("a.npy", content)


def test_a_member_that_is_broken_is_said() -> None:
    content = bytearray(npz(x=np.random.default_rng(0).normal(size=(50, 50))))
    content[200:220] = bytes(20)
    with pytest.raises(ValueError, match=r"a.npz is damaged, or not what its name says"):
        read("a.npz", bytes(content[:-30]))
    with pytest.raises(ValueError, match=r"x.npy of a.npz is damaged"):
        read("a.npz", bytes(content))


def test_other_members_of_an_archive_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(npz(x=np.eye(2)))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "not an array")
    assert load(path).values.tolist() == [[1, 0], [0, 1]]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; pass a file"):
        load(tmp_path)


def test_the_formats_are_named() -> None:
    for suffix in (".npy", ".npz", ".csv", ".parquet", "IDX", ".pkl.gz"):
        assert suffix in FORMATS
