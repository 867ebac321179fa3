"""Reads pickles that contain only NumPy arrays, without running any code in them.

This module holds the unpickler, and the layout of the classic tutorials' ``mnist.pkl.gz``. A pickle
is a program whose names are looked up and called. Here, names never resolve to objects of Python or
NumPy. They resolve to stand-ins that accept only numbers of plain types, so that no crafted type
descriptor reaches NumPy.
"""

from __future__ import annotations

import math
import pickle
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays, Readable, as_bytes, open_unpacked
from harmonium.datasets.narrowing import blocks
from harmonium.datasets.reading import Reading

_PICTURE = (28, 28)
_LAYOUT = "pairs (values, labels) of arrays, as in mnist.pkl.gz: train, validation and test"


class _Type:
    """Stand-in for `numpy.dtype`: a number's kind, size and byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        text = _text(code)
        if text.lstrip("<>|=") not in _TYPES:
            raise pickle.UnpicklingError(f"it holds an array of type {text!r}, not of numbers")
        self.numpy = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if any(part is not None for part in state[2:5]) or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("it holds an array of records, not of numbers")
        self.numpy = self.numpy.newbyteorder(cast(Any, order))


class _Array:
    """Stand-in for an array: empty until its state is set, as in NumPy's pickles."""

    values: NDArray[Any] | None = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, transposed, raw = state
        self.fill(raw, kind, shape, "F" if transposed else "C")

    def fill(self, raw: Any, kind: Any, shape: Any, order: Any) -> _Array:
        """Set the bytes of the array; `numpy.frombuffer` checks that there are enough."""
        if not isinstance(kind, _Type) or not isinstance(raw, bytes | bytearray):
            raise pickle.UnpicklingError("it holds an array of something else than numbers")
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise pickle.UnpicklingError(f"it holds an array of shape {shape}")
        if math.prod(shape) * kind.numpy.itemsize != len(raw):
            raise pickle.UnpicklingError(f"{len(raw)} bytes do not fill an array of shape {shape}")
        self.values = np.frombuffer(raw, kind.numpy).reshape(shape, order=_ORDERS[_text(order)])
        return self


_TYPES = frozenset(
    ["b1", "?", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8"]
)
_ORDERS: dict[str, Any] = {"C": "C", "F": "F"}


def _text(value: Any) -> str:
    """Text of a pickle from Python 2 or 3; version 2 wrote bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _encode(text: str, encoding: str) -> bytes:
    """Stand-in for `_codecs.encode`, with which Python 3 writes bytes for Python 2."""
    if _text(encoding) != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r}")
    return text.encode("latin1")


class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler that knows only arrays of numbers.

    It extends Python's pure-Python unpickler, because the one in C allocates gigabytes if a damaged
    file says so. Reading numbers, which happens in large pieces, is equally fast.
    """

    def __init__(self, stream: Readable) -> None:
        # Text from Python 2 stays bytes: an array's numbers are such a text, of 157 MB in MNIST.
        super().__init__(stream, encoding="bytes")
        # New functions for every pickle, so that no pickle can modify those of another.
        known: dict[str, Any] = {
            "numpy dtype": lambda *arguments: _Type(*arguments),
            "numpy ndarray": "numpy.ndarray",
            "_codecs encode": lambda text, encoding: _encode(text, encoding),
            "__builtin__ bytes": lambda: b"",  # how Python 3 writes empty bytes for Python 2
        }
        for package in ("numpy.core", "numpy._core"):
            known[f"{package}.multiarray _reconstruct"] = lambda *arguments: _Array()
            known[f"{package}.numeric _frombuffer"] = lambda *arguments: _Array().fill(*arguments)
        self._known = known

    def find_class(self, module: str, name: str) -> Any:
        """Look up a stand-in."""
        try:
            return self._known[f"{module} {name}"]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it asks for {module}.{name}, which could run anything"
            ) from None


def load_arrays(stream: Readable, name: str) -> Any:
    """Load a pickle of arrays of numbers in tuples, lists and dictionaries.

    Raises
    ------
    ValueError
        For a pickle that is damaged or holds anything else; nothing in it is run.
    """
    try:
        return _unwrap(_ArrayUnpickler(stream).load())
    except RecursionError:
        reason = "it is nested too deeply"
    except (OSError, zlib.error):
        raise
    except Exception as error:
        # A damaged pickle can raise any exception.
        reason = str(error) or type(error).__name__
    raise ValueError(
        f"{name} is no pickle of NumPy arrays alone, and nothing else is read: {reason}"
    )


def _unwrap(loaded: Any) -> Any:
    match loaded:
        case _Array(values=values):
            if values is None:
                raise pickle.UnpicklingError("it holds an array without numbers")
            return values
        case tuple() | list():
            return [_unwrap(item) for item in loaded]
        case dict():
            return {_unwrap(key): _unwrap(value) for key, value in loaded.items()}
        case bytes() | str() | int() | float() | None:
            return loaded
    raise pickle.UnpicklingError(f"it holds a {type(loaded).__name__}")


def read_pickle(path: Path, reading: Reading) -> Arrays:
    """Read a file in the layout of ``mnist.pkl.gz``, gzipped or not."""
    with open_unpacked(path) as stream:
        return read_layout(stream, path.name)


def read_layout(stream: Readable, name: str) -> Arrays:
    """Read two or three pairs (values, labels): train, optionally validation, and test.

    Pictures of 28 × 28 whose values are all multiples of 1/256 are read as grey values, uint8.
    """
    match load_arrays(stream, name):
        case [[np.ndarray(), _], [np.ndarray(), _]] as pairs:
            names = ["train", "test"]
        case [[np.ndarray(), _], [np.ndarray(), _], [np.ndarray(), _]] as pairs:
            names = ["train", "validation", "test"]
        case _:
            raise ValueError(f"{name} is not of the layout that is read: {_LAYOUT}")
    values = [values for values, _ in pairs]
    labels = [np.asarray(labels) for _, labels in pairs]
    del pairs  # only the values: _joined releases each after copying it
    shapes = [part.shape for part in values]
    if len({shape[1:] for shape in shapes}) > 1 or min(map(len, shapes)) < 2:
        raise ValueError(f"the parts of {name} have shapes {shapes}; their rows need one shape")
    for part, shape, own in zip(names, shapes, labels, strict=True):
        if own.shape != shape[:1]:
            raise ValueError(
                f"part {part} of {name} has {shape[0]} rows, but labels of shape {own.shape}; "
                "one label a row is needed"
            )
    ends = [sum(shape[0] for shape in shapes[: part + 1]) for part in range(len(shapes))]
    parts = dict(zip(names, map(range, [0, *ends], ends), strict=True))
    return Arrays(_joined(values, name), np.concatenate(labels), parts=parts)


def _joined(parts: list[NDArray[Any]], name: str) -> NDArray[Any]:
    """Copy the parts into one array and release each, to avoid a second copy."""
    width, n_rows = parts[0].shape[1:], sum(map(len, parts))
    whole = all(part.dtype.kind in "biu" for part in parts)
    if math.prod(width) == math.prod(_PICTURE) and all(map(_is_grey, parts)):
        scale, values = 256, np.empty((n_rows, *_PICTURE), np.uint8)
    else:
        scale, values = 1, np.empty((n_rows, *width), np.float32)
    n = 0
    with np.errstate(all="ignore"):  # beyond float32: infinity, which is refused later
        while parts:
            for block in blocks(parts.pop(0)):
                values[n : n + len(block)] = (block * scale).reshape(-1, *values.shape[1:])
                n += len(block)
    return as_bytes(values) if whole else values


def _is_grey(values: NDArray[Any]) -> bool:
    """Whether every value is exactly a grey value from 0 to 255, divided by 256."""
    if values.dtype.kind != "f":
        return False
    with np.errstate(all="ignore"):  # values that are not finite are not grey values
        return all(
            bool(((block >= 0) & (block < 1) & (block * 256 == np.floor(block * 256))).all())
            for block in blocks(values)
        )
