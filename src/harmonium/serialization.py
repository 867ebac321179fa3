"""The file format for models: safetensors with a checksum, and no pickles.

Tensors are stored as tensors, everything else as JSON in the file's metadata. The modules that
write and read each kind of file define its content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_in
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

_T = TypeVar("_T")

FORMAT = 1
"""Format version of all kinds of files; newer ones are refused, older ones are read."""


def serialize(kind: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> bytes:
    """Return the content of a file: tensors, with JSON values in its metadata.

    The same tensors and configuration always give the same bytes.

    Raises
    ------
    TypeError
        If the configuration holds a value that JSON cannot express.
    """
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(config, allow_nan=False, default=_refuse_to_keep)
    metadata = {
        "format": f"harmonium {kind}",
        "version": str(FORMAT),
        "config": text,
        "sha256": digest(on_cpu, text),
    }
    return _in_fixed_order(to_bytes(on_cpu, metadata))


def _in_fixed_order(content: bytes) -> bytes:
    """Sort the header of a safetensors file by name.

    Safetensors writes metadata in an order that changes from call to call, but the same run has to
    produce the same bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    ordered = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":"))
    header = ordered.encode()
    header += b" " * (-len(header) % 8)  # keeps the tensors after it aligned
    return len(header).to_bytes(8, "little") + header + content[end:]


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
    # read in one go: a run in progress may replace the file
    content = path.read_bytes()
    try:
        tensors = tensors_in(content)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or damaged, or is not a {kind} file ({error}); use an older one"
        ) from error
    end = 8 + int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8:end]).get("__metadata__", {})
    _check_format(path, kind, metadata)
    text = metadata.get("config", "")
    if digest(tensors, text) != metadata.get("sha256"):
        raise ValueError(f"{path} is damaged: its checksum does not match; use an older one")
    return tensors, json.loads(text)


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
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def tensors_of(module: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """Return a module's tensors by name.

    Raises
    ------
    FloatingPointError
        If one holds values that are not finite; such tensors are never written.
    """
    tensors = {prefix + name: tensor.detach() for name, tensor in module.state_dict().items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
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


def load_parameters_(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a file's tensors into the module that the file describes.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise ValueError(f"the file's layers do not fit its tensors: {error}") from error
