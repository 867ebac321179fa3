"""The file format for models: safetensors with a checksum, and no pickles.

Tensors are stored as tensors, everything else as JSON in the file's metadata. The modules that
write and read each kind of file define its content.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

_T = TypeVar("_T")

FORMAT = 1
"""Format version of all kinds of files; newer ones are refused, older ones are read."""

# Words of safetensors for types of numbers, in its order: tensors of the last types come first.
_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
    "U64": torch.uint64,
}


def pieces(
    kind: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]
) -> list[bytes | memoryview]:
    """Return the content of a file in pieces: a header, and the memory of each tensor.

    Tensors on the CPU are not copied, so the pieces have to be written before they change. The same
    tensors and configuration always give the same bytes.

    Raises
    ------
    TypeError
        If the configuration holds a value that JSON cannot express.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(config, allow_nan=False, default=_refuse_to_keep)
    header: dict[str, Any] = {
        "__metadata__": {
            "format": f"harmonium {kind}",
            "version": str(FORMAT),
            "config": text,
            "sha256": digest(on_cpu, text),
        }
    }
    order, end = list(_DTYPES.values()), 0
    names = sorted(on_cpu, key=lambda name: (-order.index(on_cpu[name].dtype), name))
    for name in names:
        begin, end = end, end + on_cpu[name].nbytes
        header[name] = {
            "dtype": next(word for word, of in _DTYPES.items() if of == on_cpu[name].dtype),
            "shape": list(on_cpu[name].shape),
            "data_offsets": [begin, end],
        }
    # safetensors itself writes metadata in an order that changes from call to call
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)  # keeps the tensors after it aligned
    return [len(head).to_bytes(8, "little") + head, *(_memory(on_cpu[name]) for name in names)]


def serialize(kind: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> bytes:
    """Return the content of a file as one object: a copy of its `pieces`."""
    return b"".join(pieces(kind, tensors, config))


def read(path: str | Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the tensors and the configuration of a file that `serialize` made.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete file of this kind in a known format.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such {kind} file")
    # opened once: a run in progress may put another file in its place
    with path.open("rb") as file:
        try:
            with safe_open(path, "pt"):  # checks the header against the size of the file
                header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
            metadata = header.pop("__metadata__", {})
            _check_format(path, kind, metadata)
            tensors = _read_tensors(file, header)
        except (SafetensorError, OSError) as error:
            raise ValueError(
                f"{path} is cut off or damaged, or is not a {kind} file ({error}); use an older one"
            ) from error
    text = metadata.get("config", "")
    if digest(tensors, text) != metadata.get("sha256"):
        raise ValueError(f"{path} is damaged: its checksum does not match; use an older one")
    return tensors, json.loads(text)


def _read_tensors(file: BinaryIO, header: Mapping[str, Mapping[str, Any]]) -> dict[str, Tensor]:
    """Read tensors into memory of their own, each once; the file stands behind its header."""
    tensors = {}
    for name in sorted(header, key=lambda name: header[name]["data_offsets"]):
        entry = header[name]
        if entry["dtype"] not in _DTYPES:
            raise SafetensorError(f"{name} has the unknown type {entry['dtype']}")
        tensors[name] = torch.empty(entry["shape"], dtype=_DTYPES[entry["dtype"]])
        memory = _memory(tensors[name])
        if file.readinto(memory) != len(memory):  # type: ignore[attr-defined]
            raise SafetensorError("it has become shorter while it was read")
    return tensors


def _check_format(path: Path, kind: str, metadata: Mapping[str, str]) -> None:
    expected = f"harmonium {kind}"
    came = metadata.get("format", "an unknown format")
    if came != expected:
        raise ValueError(f"{path} holds {came}, not a {expected}; pass the {kind} file of a run")
    version = metadata.get("version", "")
    if not (version.isdecimal() and int(version) <= FORMAT):
        raise ValueError(
            f"{path} has format {version or 'unknown'}, and this harmonium reads up to {FORMAT}; "
            "install a newer harmonium"
        )


def _refuse_to_keep(value: object) -> object:
    raise TypeError(
        f"a file keeps tensors, numbers and text, but the run holds a {type(value).__name__} "
        f"({value!r}); a learning rate, for example, has to be a float"
    )


def digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """SHA-256 of the text and of the tensors' names, types, shapes and bytes, sorted by name."""
    sha256 = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha256.update(_memory(tensor.cpu()))
    return sha256.hexdigest()


def _memory(tensor: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU, without a copy."""
    return tensor.reshape(-1).view(torch.uint8).numpy().data


def all_finite(tensor: Tensor) -> bool:
    """Whether no value is infinite or NaN; found from the extremes, which need no memory."""
    if tensor.numel() == 0:
        return True
    return all(math.isfinite(extreme) for extreme in tensor.aminmax())


def tensors_of(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return a module's tensors by name.

    Raises
    ------
    FloatingPointError
        If one holds values that are not finite; such tensors are never written.
    """
    tensors = {prefix + name: tensor.detach() for name, tensor in module.state_dict().items()}
    for name, tensor in tensors.items():
        if not all_finite(tensor):
            raise FloatingPointError(
                f"{name} holds values that are not finite, so nothing was written; the learning "
                "rate is probably too large"
            )
    return tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Select the tensors whose names start with a prefix, and strip it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with a prefix before their names; `below` is the inverse."""
    return {prefix + name: tensor for name, tensor in tensors.items()}


class Types(Generic[_T]):
    """The types of one family that files name: a file holds a name, and what makes an instance."""

    def __init__(self, *types: Callable[..., _T]) -> None:
        self._types = {kind.__name__: kind for kind in types}

    def find(self, name: str) -> Callable[..., _T]:
        """The type of this name in a file; ValueError if it is unknown."""
        if name not in self._types:
            known = ", ".join(sorted(self._types))
            raise ValueError(f"the file names the type {name!r}; known are {known}")
        return self._types[name]

    def describe(self, value: _T, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A value's type for a file, with the arguments that make it; TypeError if unknown."""
        name = type(value).__name__
        if self._types.get(name) is not type(value):
            raise TypeError(f"a file cannot keep a {name}; known are {', '.join(self._types)}")
        return {"type": name, **arguments}

    def make(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor] | None = None) -> _T:
        """Make an instance from what `describe` returned, and from tensors by argument."""
        arguments = {**config, **(tensors or {})}
        make = self.find(arguments.pop("type"))
        try:
            return make(**arguments)
        except TypeError as error:
            raise ValueError(f"the file's arguments do not fit: {error}") from error


def load_parameters_(
    module: nn.Module, tensors: Mapping[str, Tensor], *, take_over: bool = False
) -> None:
    """Load a file's tensors into the module that the file describes.

    With ``take_over`` they become its parameters, instead of being copied into them.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    try:
        module.load_state_dict(dict(tensors), assign=take_over)
    except RuntimeError as error:
        raise ValueError(f"the file's layers do not fit its tensors: {error}") from error
