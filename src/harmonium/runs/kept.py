"""Rows passed in memory, such as an array or a data frame, which their run stores itself.

To resume and evaluate a run, its rows must be available even after the directory has moved.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harmonium import datasets
from harmonium.datasets import Data, Encoding, Mask, mapped
from harmonium.datasets.reading import Reading, columns_of
from harmonium.datasets.row_names import RowNames
from harmonium.files import write_whole
from harmonium.runs.rows import kinds_of, refuse_columns
from harmonium.serialization import pieces, read
from harmonium.topics import Documents, save_documents

NAME = "data.safetensors"
"""The file in the directory of the run."""

HERE = f"./{NAME}"
"""Its name in the configuration of a run."""

_KIND = "data"
_TEXT, _ENDS = "row_names.text", "row_names.ends"  # names of rows, as `RowNames` hold them


def save(data: Data, path: Path) -> None:
    """Write rows with everything that is known about them."""
    tensors = {"values": data.values, "labels": data.labels, "targets": data.targets}
    tensors["weights"] = data.weights
    tensors["mask"] = None if data.mask is None else data.mask.bits
    names = None if data.row_names is None else RowNames.of(data.row_names).packed()
    if names is not None:
        tensors |= {_TEXT: names.text, _ENDS: names.ends}
    config = {
        "name": data.name,
        "encoding": data.encoding.to_config(),
        "image_shape": data.image_shape,
        "parts": {part: [rows.start, rows.stop] for part, rows in data.parts.items()},
        "columns": data.columns,
        "classes": data.classes,
        "notes": data.notes,
        "named": dict(data.named),
        "row_names": None if names is None else names.header,
    }
    there = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    write_whole(path, pieces(_KIND, there, config))


def load(path: Path) -> Data:
    """Read the rows that `save` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged.
    """
    tensors, config = read(path, _KIND)
    shape, header, names = config["image_shape"], config.get("row_names"), None
    bits = tensors.get("mask")
    if header is not None:
        ends = tensors[_ENDS]
        names = RowNames(tensors[_TEXT], ends, torch.arange(len(ends) - 1), header)
    return Data(
        config["name"],
        tensors["values"],
        Encoding.from_config(config["encoding"]),
        labels=tensors.get("labels"),
        targets=tensors.get("targets"),
        image_shape=None if shape is None else (shape[0], shape[1]),
        parts={part: range(*ends) for part, ends in config["parts"].items()},
        columns=None if config["columns"] is None else tuple(config["columns"]),
        classes=None if config["classes"] is None else tuple(config["classes"]),
        notes=tuple(config["notes"]),
        named={role: tuple(columns) for role, columns in config["named"].items()},
        weights=tensors.get("weights"),
        row_names=names,
        mask=None if bits is None else Mask(bits, tensors["values"].shape[1]),
    )


def refuse_options_of_files(reading: Reading) -> None:
    """Reject options that say how a file is read.

    Raises
    ------
    ValueError
        Names the first.
    """
    for name in ("sequences", *reading.of_alignments):
        if getattr(reading, name) is not None:
            raise ValueError(
                f"`{name}` is for files, and the rows are in memory; leave it out, and make "
                "data of sequences (`harmonium.datasets.from_sequences`)"
            )
    if reading.on_disk:
        raise ValueError(
            "`on_disk` is for files, and the rows are in memory; leave it out, or pass the path of "
            "a file of them, such as one that `numpy.save` writes"
        )


@contextmanager
def named(data: Any, **columns: Any) -> Iterator[str]:
    """A name of the data for the options: a named set, a path, or a temporary file with the rows.

    Parameters
    ----------
    data
        The name of a set, a path, or rows in memory: `Data`, or whatever `datasets.from_array`
        takes, a sparse matrix of SciPy, or `Documents` of counts of words.
    columns
        ``label``, ``target``, ``drop``, ``columns``, ``missing_values`` and ``weights`` for rows in
        memory.
    """
    if isinstance(data, str | Path):
        yield str(data)
        return
    if isinstance(data, Documents):
        refuse_columns(columns)
    elif isinstance(data, Data):
        if mapped.is_large(data.values):
            raise ValueError(
                f"{data.name} is on disk, and a run keeps a copy of rows that it gets in memory; "
                "pass the path of the file"
            )
        weights, kinds = columns.pop("weights", None), columns.pop("columns", None)
        refuse_columns(columns)
        if kinds is not None:
            data = data.by_column(kinds_of(kinds))
        if weights is not None:
            data = dataclasses.replace(data, weights=datasets.as_weights(weights))
    else:
        if hasattr(data, "tocsr") and hasattr(data, "toarray"):
            data = data.toarray()
        # where columns are named one by one, `columns` says their kinds
        kinds = kinds_of(columns.pop("columns", None))
        if isinstance(columns.get("missing_values"), str):
            columns["missing_values"] = columns_of(columns["missing_values"])
        data = datasets.from_array(data, kinds=kinds, **columns)
    with TemporaryDirectory(prefix="harmonium-") as folder:
        path = Path(folder) / NAME
        if isinstance(data, Documents):
            save_documents(data, path)
        else:
            save(data, path)
        del data  # the run reads its own copy, and what was converted for it goes
        yield str(path)


def moved(source: str, run: Path, below: str = "") -> str:
    """Move rows from a temporary file into their run; returns the name of the data from then on.

    Parameters
    ----------
    source
        The data as named in the options.
    run
        The new directory.
    below
        The folder in it, such as ``layers/1``, whose configuration names the data.
    """
    shutil.move(source, run / NAME)
    return "../" * len(Path(below).parts) + (NAME if below else HERE)
