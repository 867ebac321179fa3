"""The format of the files that hold models: safetensors with a checksum, free of pickles.

Tensors are tensors; everything else is JSON in the file's metadata. What is in a file of which
kind is the business of the modules that write and read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_in
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

_T = TypeVar("_T")

FORMAT = 1
"""Version of all kinds of files; a newer one is refused, an older one is read."""


def serialize(kind: str, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> bytes:
    """The content of a file: tensors, and in its metadata what JSON can hold.

    The same tensors and configuration always give the same bytes.

    Raises
    ------
    TypeError
        If the configuration holds what JSON cannot.
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
    """The same safetensors file with its header in order of names.

    Safetensors writes metadata in an order that changes from call to call, and the same run has
    to end in the same bytes.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    ordered = json.dumps(json.loads(content[8:end]), sort_keys=True, separators=(",", ":"))
    header = ordered.encode()
    header += b" " * (-len(header) % 8)  # the tensors behind it stay aligned
    return len(header).to_bytes(8, "little") + header + content[end:]


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the configuration of a file that `serialize` made.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is no whole file of this kind and of a format that is known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such {kind} file")
    # read once, and not piece by piece: a run that goes on may put another file in its place
    content = path.read_bytes()
    try:
        tensors = tensors_in(content)
    except SafetensorError as error:
        raise ValueError(
            f"{path} is cut off or damaged, or no {kind} file at all ({error}); use an older one"
        ) from error
    end = 8 + int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8:end]).get("__metadata__", {})
    _check_format(path, kind, metadata)
    text = metadata.get("config", "")
    if digest(tensors, text) != metadata.get("sha256"):
        raise ValueError(f"{path} is damaged: its checksum does not fit; use an older one")
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
    """SHA-256 over the text, and names, types, shapes and bytes of tensors in order of name."""
    sha256 = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def lookup(types: Mapping[str, _T], name: str) -> _T:
    """What a file's name of a type stands for, from a table of those that are known.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if name not in types:
        raise ValueError(f"the file names the type {name!r}; known are {', '.join(sorted(types))}")
    return types[name]


def name_in(types: Mapping[str, type[object]], value: object) -> str:
    """The name under which a file keeps a value's type: one that `lookup` finds again.

    Raises
    ------
    TypeError
        If the type is none of the table's.
    """
    name = type(value).__name__
    if types.get(name) is not type(value):
        raise TypeError(f"a file cannot keep a {name}; known are {', '.join(types)}")
    return name


def load_parameters_(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give a module that a file describes the tensors of that file.

    Raises
    ------
    ValueError
        If they do not fit.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        raise ValueError(f"the file's layers do not fit its tensors: {error}") from error
