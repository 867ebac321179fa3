"""Data: named data sets, readers for users' files, encodings, splits, mini-batches.

This module collects the public names, with the functions that find data by name or path.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harmonium.arguments import meant
from harmonium.datasets import digits, large, memory, mnist, readers, sources
from harmonium.datasets.data import Data
from harmonium.datasets.downloads import Progress, quiet
from harmonium.datasets.encodings import (
    AsIs,
    Encoding,
    Labelled,
    OneHot,
    Scaled,
    Standardized,
    Stochastic,
    TableEncoding,
    Threshold,
)
from harmonium.datasets.labels import UNKNOWN_LABEL, has_label
from harmonium.datasets.large import join_parts
from harmonium.datasets.mapped import cache_folder
from harmonium.datasets.masks import (
    Mask,
    MaskedRows,
    has_missing,
    masked_rows,
    refuse_missing,
)
from harmonium.datasets.matching import match_columns, refuse_other_scale
from harmonium.datasets.memory import as_weights, from_array, from_sequences, weighed_by_file
from harmonium.datasets.minibatches import Minibatches, Rows, check_rows
from harmonium.datasets.reading import Column, Insertions, Reading, UnknownLetters
from harmonium.datasets.similarity import sequence_weights
from harmonium.datasets.weighing import WeightedRows

__all__ = [
    "FORMATS",
    "UNKNOWN_LABEL",
    "AsIs",
    "Data",
    "Encoding",
    "Labelled",
    "Mask",
    "MaskedRows",
    "Minibatches",
    "OneHot",
    "Progress",
    "Reading",
    "Rows",
    "Scaled",
    "Standardized",
    "Stochastic",
    "TableEncoding",
    "Threshold",
    "WeightedRows",
    "as_weights",
    "cache_folder",
    "check_rows",
    "fetch",
    "from_array",
    "from_sequences",
    "has_label",
    "has_missing",
    "join_parts",
    "load",
    "masked_rows",
    "match_columns",
    "names",
    "quiet",
    "read",
    "refuse_missing",
    "refuse_other_scale",
    "sequence_weights",
    "weighed_by_file",
]

FORMATS = readers.FORMATS

_NAMES = {
    "digits": "1,797 handwritten digits of 8 × 8 pixels, 17 grey values; comes with scikit-learn",
    "mnist": "70,000 handwritten digits of 28 × 28 pixels, 256 grey values; fetched once, 55 MB",
}


def names() -> dict[str, str]:
    """Return the named data sets, each with a one-line description."""
    return dict(_NAMES)


def fetch(name: str, *, progress: Progress = quiet) -> Path:
    """Make sure that a complete copy of a named set is on this machine; return its path.

    Parameters
    ----------
    name
        One of `names`.
    progress
        Called with the name of a file, the bytes received, and its total bytes or None.

    Raises
    ------
    ValueError
        For an unknown name.
    OSError
        If no source provides the set, with the reason for each.
    """
    if name not in _NAMES:
        raise ValueError(f"there is no data set {name!r}; {_hint(name, _NAMES)}")
    if name == "digits":
        return digits.path()
    mnist.fetch(cache_folder() / name, progress)
    return cache_folder() / name


def load(
    source: str | Path | Sequence[str | Path],
    *,
    label: Column | None = None,
    target: Column | Sequence[Column] | None = None,
    drop: Column | Sequence[Column] | None = None,
    header: bool | None = None,
    array: str | None = None,
    labels_file: str | Path | None = None,
    sequences: Column | None = None,
    alphabet: str | None = None,
    insertions: Insertions | None = None,
    unknown: UnknownLetters | None = None,
    max_gaps_row: float | None = None,
    max_gaps_column: float | None = None,
    weights: str | Path | None = None,
    transpose: bool | None = None,
    columns: Mapping[str | int, str] | None = None,
    kinds: Mapping[str | int, str] | None = None,
    missing_values: str | float | Sequence[str | float] | None = None,
    on_disk: bool | None = None,
    progress: Progress = quiet,
) -> Data:
    """Load a named data set, a file, or several files of the same columns.

    Parameters
    ----------
    source
        One of `names`, or the path of a file in one of the `FORMATS`. Write ``./mnist`` for a file
        with the name of a set. A pattern such as ``part-*.parquet``, or a list of paths, names
        several files, whose rows follow each other; ``file.h5:/path/inside`` an array in a file.
    label, target, drop
        Columns of a table that hold the labels or the targets, or that are left out: by name, or by
        number from 0; negative numbers count from the last column. By default, a column named label
        or labels holds the labels, and columns named target or target_... hold the targets.
    header
        Whether line 1 of a text file names the columns; None decides from its content.
    array
        The name of the array with the rows, in a file with several arrays: in HDF5 its path, in a
        zip the name of a file.
    labels_file
        A file that holds only the labels.
    sequences
        The column of a table that holds aligned sequences, which are then the values.
    alphabet
        The letters of an alignment: ``"protein"``, ``"rna"``, ``"dna"``, or the letters themselves,
        such as ``"HP"``; None guesses, and a note says so.
    insertions
        ``"drop"`` (default) or ``"refuse"`` lower-case letters and dots of an alignment.
    unknown
        Read letters such as X, B or N as gaps (``"gap"``, the default), ``"drop"`` their sequences,
        or ``"refuse"`` them.
    max_gaps_row, max_gaps_column
        Leave out sequences, and then sites, with a larger share of gaps.
    weights
        A file with one weight a row.
    transpose
        Whether the columns of an array are the rows, as in recordings of shape (neurons, bins).
    columns
        Kinds of columns by name, as in `harmonium.train`: ``"binary"``, ``"categorical"``,
        ``"ordinal"``, ``"binned"``, ``"gaussian"``, ``"binomial"`` or ``"poisson"``. Each column
        then gets units of its own, as in tables that hold words; columns that are not named are
        judged by what they hold.
    kinds
        The earlier name of ``columns``.
    missing_values
        Further spellings of missing values, such as -1 or 999. Empty cells, NaN, None, ``?`` and
        ``NA`` are missing anyway.
    on_disk
        Leave rows on disk, or read them into memory; by default rows stay on disk that take more
        than a quarter of the free memory. A ``.npy`` file of bytes, booleans or float32 is used
        where it lies; others are converted once, into the cache folder (`cache_folder`).
    progress
        As for `fetch`, which is called if the set is not on this machine yet.

    Raises
    ------
    OSError
        FileNotFoundError if there is no such set or file; others if a file cannot be opened or a
        set cannot be fetched.
    TypeError, ValueError
        For a file that cannot be read, and for data that are empty, ragged, of an unsupported shape
        or type, that hold infinity, or columns or rows without any value.
    ImportError
        If a library that reads the format is not installed; says how to install it.
    """
    if None not in (columns, kinds):
        raise TypeError("`columns` and `kinds` say the same; pass `columns` alone")
    reading = Reading.of(
        label=label,
        target=target,
        drop=drop,
        header=header,
        array=array,
        labels_file=labels_file,
        sequences=sequences,
        alphabet=alphabet,
        insertions=insertions,
        unknown=unknown,
        max_gaps_row=max_gaps_row,
        max_gaps_column=max_gaps_column,
        weights=weights,
        transpose=transpose,
        kinds=columns if kinds is None else kinds,
        missing_values=missing_values,
        on_disk=on_disk,
    )
    return read(source, reading, progress=progress)


def read(source: Any, reading: Reading, *, progress: Progress = quiet) -> Data:
    """Load as `load` does, with all reading options in one object; also rows in memory."""
    if not isinstance(source, str | Path) and not sources.is_list(source):
        return memory.read(source, reading)
    if isinstance(source, str) and source in _NAMES:
        if said := dataclasses.replace(reading, on_disk=reading.on_disk or None).said:
            unneeded = ", ".join(f"`{option}`" for option in said)
            raise ValueError(
                f"{source} is a named set, which is read as it is; leave out {unneeded}"
            )
        return (
            digits.load() if source == "digits" else mnist.load(cache_folder() / source, progress)
        )
    found = sources.find(source, reading)
    if found is None:
        path = Path(source).expanduser()
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        near = [*_NAMES, *siblings] if path.name == str(source) else siblings
        raise FileNotFoundError(
            f"there is no file {str(source)!r}, nor a data set of that name; "
            f"{_hint(path.name, near)}"
        )
    return large.read(*found, progress)


def _hint(name: str, existing: list[str] | dict[str, str]) -> str:
    return meant(name, existing, f"the sets are {', '.join(_NAMES)}")
