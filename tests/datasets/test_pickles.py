"""Pickles: arrays come through, everything else is refused before it can do anything."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import AsIs, Data, Scaled, load
from harmonium.datasets.pickles import load_arrays

REFUSED = "is no pickle of NumPy arrays alone, and nothing else is read"


def loads(content: bytes) -> Any:
    return load_arrays(io.BytesIO(content), "p.pkl")


def read(content: bytes, name: str = "p.pkl.gz") -> Data:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
        return load(path)


def as_python_2(array: np.ndarray) -> bytes:
    """Write the opcodes of Python 2 (protocol 2), in which an array's bytes are a text."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    kind = array.dtype.str.lstrip("<>|").encode()
    order = array.dtype.str[:1].encode()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", n) for n in array.shape) + b"t"
    raw = array.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        b"(K\x01" + shape + b"cnumpy\ndtype\n" + text(kind) + b"K\x00K\x01\x87R"
        b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
        b"T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )


def classic(n: int = 3, columns: int = 784, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        ((rng.integers(0, 256, (rows, columns)) / 256).astype(np.float32), rng.integers(0, 9, rows))
        for rows in range(2, 2 + n)
    ]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@given(
    array=st.sampled_from(["?", "u1", "<i8", ">i4", "<f2", "<f4", ">f8"]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0))
    ),
    transposed=st.booleans(),
)
def test_arrays_round_trip(protocol: int, array: np.ndarray, transposed: bool) -> None:
    source = np.asfortranarray(array) if transposed and array.ndim else array
    loaded = loads(pickle.dumps([source, (source, {"a": 1.5}), None], protocol))
    assert loaded[0] is loaded[1][0]
    assert loaded[2] is None
    assert loaded[0].dtype == array.dtype
    np.testing.assert_array_equal(loaded[0], array)


@given(
    st.sampled_from(["|u1", "<i8", "<f4", ">f4"]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(max_dims=2, min_side=1, max_side=9))
    )
)
def test_arrays_of_python_2(array: np.ndarray) -> None:
    loaded = loads(b"\x80\x02" + as_python_2(array) + b".")
    assert loaded.dtype == array.dtype
    np.testing.assert_array_equal(loaded, array)
    reference = pickle.loads(b"\x80\x02" + as_python_2(array) + b".", encoding="latin1")
    np.testing.assert_array_equal(reference, array)


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch HARMED",), "it asks for (posix|nt).system, which could run anything"),
        (eval, ("1",), "it asks for (builtins|__builtin__).eval"),
        (exec, ("1",), "it asks for (builtins|__builtin__).exec"),
        (getattr, ((), "__class__"), "it asks for (builtins|__builtin__).getattr"),
        (np.load, ("x",), "it asks for numpy.*load"),
        (np.ndarray, ((1,), "O"), REFUSED),
        (np.dtype, ("O",), "an array of type 'O', not of numbers"),
        (np.dtype, ("V8",), "an array of type 'V8'"),
        (np.dtype, ("f4,O",), "an array of type 'f4,O'"),
        (list, ((),), "it asks for (builtins|__builtin__).list"),
        (bytearray, (b"1",), "asks for (builtins|__builtin__).bytearray"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),  # the same in each process
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_else_is_called(
    function: Any,
    arguments: tuple[Any, ...],
    named: str,
    protocol: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    content = pickle.dumps((np.zeros(2), Calls(function, *arguments)), protocol)
    with pytest.raises(ValueError, match=named):
        loads(content)
    with pytest.raises(ValueError, match=REFUSED):
        read(content, "p.pkl")
    assert list(tmp_path.iterdir()) == []


def dtype_state(*state: bytes) -> bytes:
    return b"cnumpy\ndtype\n(U\x02f8K\x00K\x01tR(K\x03" + b"".join(state) + b"tb."


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
DTYPE = b"cnumpy\ndtype\n(U\x02f8K\x00K\x01tR"


@pytest.mark.parametrize(
    "content",
    [
        # A type descriptor with fields, by which NumPy could be made to take numbers for objects.
        dtype_state(b"U\x01<N(U\x01atN", b"K\x08K\x01K\x00"),
        dtype_state(b"U\x01<N(U\x01at}", b"K\x08K\x01K\x00"),
        dtype_state(b"U\x01!NNN", b"K\x08K\x01K\x00"),
        # Arrays of other than their bytes: too few, too many, none, of objects.
        ARRAY + b"(K\x01(K\x02t" + DTYPE + b"\x89U\x08" + bytes(8) + b"tb.",
        ARRAY + b"(K\x01(K\x00t" + DTYPE + b"\x89U\x08" + bytes(8) + b"tb.",
        ARRAY + b"(K\x01(J\xff\xff\xff\xfft" + DTYPE + b"\x89U\x08" + bytes(8) + b"tb.",
        ARRAY + b"(K\x01(K\x01t" + DTYPE + b"\x89(lNatb.",
        ARRAY + b"(K\x01(K\x01tU\x01O\x89U\x08" + bytes(8) + b"tb.",
        ARRAY + b".",
        ARRAY + b"Nb.",
        ARRAY + b"}U\x06valuesK\x01sb.",
        # The stand-ins themselves, changed or returned.
        DTYPE + b".",
        b"cnumpy\nndarray\n}U\x01aK\x01sb.",
        b"cnumpy\ndtype\n.",
        b"cnumpy\ndtype\n(N}U\x08__code__NstbN.",
        b"c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8tR.",
        # Names with dots, extension codes, persistent objects.
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",
        b"\x82\x01.",
        b"U\x01aQ.",
        # Sets and complex things.
        pickle.dumps({1, 2}, 4),
        pickle.dumps(np.float32(1)),
        pickle.dumps(np.array([None])),
        pickle.dumps(np.ma.masked_array([1])),
        # Damage.
        b"",
        b"\x80",
        b"not a pickle",
        b"(((((",
        pickle.dumps(np.zeros(9))[:-20],
        b"\x80\x04\x8e" + b"\xff" * 8 + b".",
    ],
)
def test_prepared_and_damaged_pickles_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=REFUSED):
        loads(content)


def test_a_pickle_changes_nothing_for_the_next_one() -> None:
    poison = b"cnumpy\ndtype\n(N}U\x0c__defaults__(I1\ntstbN."
    with pytest.raises(ValueError, match=REFUSED):
        loads(poison)
    np.testing.assert_array_equal(loads(pickle.dumps(np.arange(3))), np.arange(3))


def test_deep_and_circular_pickles_are_refused() -> None:
    circular: list[Any] = []
    circular.append(circular)
    for content in (pickle.dumps(circular), b"]" * 100_000 + b"a" * 99_999 + b"."):
        with pytest.raises(ValueError, match="it is nested too deeply"):
            loads(content)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for start in (b"", b"\x80\x04", ARRAY, DTYPE):
        try:
            loads(start + content)
        except ValueError as error:
            assert REFUSED in str(error)


@pytest.mark.parametrize("name", ["mnist.pkl.gz", "mnist.pkl"])
def test_the_classic_layout(name: str) -> None:
    parts = classic()
    data = read(pickle.dumps(tuple(parts), 2), name)
    assert {part: list(rows) for part, rows in data.parts.items()} == {
        "train": [0, 1],
        "validation": [2, 3, 4],
        "test": [5, 6, 7, 8],
    }
    assert data.labels is not None
    assert data.labels.tolist() == np.concatenate([labels for _, labels in parts]).tolist()
    assert data.values.dtype == torch.uint8
    assert data.values.tolist() == np.concatenate([256 * x for x, _ in parts]).tolist()
    assert (data.encoding, data.image_shape) == (Scaled(0, 255), (28, 28))


def test_the_classic_layout_of_python_2() -> None:
    parts = classic()
    content = b"".join(b"(" + as_python_2(x) + as_python_2(y) + b"t" for x, y in parts)
    data = read(b"\x80\x02(" + content + b"t.")
    assert data.values.equal(read(pickle.dumps(parts)).values)
    assert len(data.part("test")) == 4


def test_other_values_stay_what_they_are() -> None:
    (x, y), test = classic(2, 5)
    data = read(pickle.dumps([(x, y), test]))
    assert list(data.parts) == ["train", "test"]
    assert data.values.equal(torch.from_numpy(np.concatenate([x, test[0]])))
    assert (data.encoding, data.image_shape) == (AsIs(), None)
    pictures = [(x / 3, y) for x, y in classic()]
    data = read(pickle.dumps(pictures))
    assert data.values.equal(torch.from_numpy(np.concatenate([x for x, _ in pictures])))
    whole = [(np.full((2, 3, 3), 7), [1, 2])] * 2
    data = read(pickle.dumps(whole))
    assert (data.values.dtype, data.image_shape) == (torch.uint8, (3, 3))


@pytest.mark.parametrize(
    ("loaded", "message"),
    [
        (np.zeros((3, 3)), "is not of the layout that is read: pairs"),
        (classic(1), "is not of the layout"),
        ([(np.zeros((2, 2)), None, 1)] * 3, "is not of the layout"),
        ([([[1.0]], [1])] * 3, "is not of the layout"),
        ([(np.zeros((2, 2)), [0, 1]), (np.zeros((2, 3)), [0, 1])], r"shapes \[\(2, 2\), \(2, 3\)"),
        ([(np.zeros(2), [0, 1])] * 2, "their rows need one shape"),
        ([(np.zeros((2, 2)), [0, 1]), (np.zeros((2, 2)), [0])], r"part test .* 2 rows, but labels"),
        ([(np.zeros((2, 2)), None)] * 2, r"part train of p.pkl.gz has 2 rows, but labels of shap"),
        ([(np.full((2, 2), np.inf), [0, 1])] * 2, "0 NaN and 8 infinities"),
    ],
)
def test_other_layouts_are_refused(loaded: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(pickle.dumps(loaded))
