"""Aligned sequences in a column of a table, with labels and targets in others.

The column of sequences is named by the user; a run that has learned from an alignment takes one
that is called sequence, as in the tables of its samples. A column called name, names, id or ids
names the rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.alignments import from_words
from harmonium.datasets.arrays import Arrays
from harmonium.datasets.cells import lines_of
from harmonium.datasets.classes import Classes
from harmonium.datasets.columns import Look, called, choose, place_of
from harmonium.datasets.layouts import find_layout
from harmonium.datasets.reading import Reading

_SEQUENCES = ("sequence", "sequences")
_NAMES = ("name", "names", "id", "ids")

_Cells = Callable[[int], list[str]]


def with_sequences(path: Path, reading: Reading) -> Reading:
    """The reading of a table for a run of sequences: with the column that is called so, if any."""
    if reading.sequences is not None or not reading.of_use or reading.alphabet is None:
        return reading
    if path.name.lower().endswith(".parquet"):
        import pyarrow.parquet

        names = pyarrow.parquet.read_schema(path).names
    else:
        names = find_layout(path, reading).names or ()
    found = next((name for name in names if str(name).lower() in _SEQUENCES), None)
    return dataclasses.replace(reading, sequences=found)


def read_sequences(path: Path, reading: Reading) -> Arrays:
    """Read the alignment in column ``reading.sequences`` of a text table or a Parquet file.

    ``reading.drop`` names sites, as for a file of sequences; columns that are nothing are left out.

    Raises
    ------
    ValueError
        If there is no such column, for targets that are not numbers, and for whatever is wrong with
        the sequences.
    """
    names, cells = (_parquet if path.name.lower().endswith(".parquet") else _text)(path, reading)
    looks = [Look(name) for name in names]
    assert reading.sequences is not None
    place = place_of(reading.sequences, looks, reading, path.name, "sequences")
    roles = choose(looks, dataclasses.replace(reading, drop=()), path.name)
    if place == roles.label or place in roles.targets:
        raise ValueError(
            f"column {called(place, looks)} of {path.name} cannot hold sequences and something "
            "else; name another column"
        )
    rest = [number for number in roles.values if number != place]
    named = next((n for n in rest if str(looks[n].name).lower() in _NAMES), None)
    arrays = from_words(None if named is None else cells(named), cells(place), reading, path.name)
    kept = slice(None) if arrays.kept is None else arrays.kept
    left_out = [called(number, looks) for number in rest if number != named]
    notes = [f"sequences: column {called(place, looks)}, as asked", *roles.notes]
    if left_out:
        notes.append(f"left out: columns {', '.join(left_out)}")
    labels = classes = targets = None
    if roles.label is not None:
        values, codes = np.unique(cells(roles.label), return_inverse=True)
        of_label = Classes()
        of_label.add(values.tolist(), codes)
        if of_label.n_missing and not reading.of_use:
            raise ValueError(
                f"{path.name} has {of_label.n_missing:,} rows without a label in column "
                f"{called(roles.label, looks)}; fill them in, or leave those rows out"
            )
        labels, classes = of_label.labels(reading)
        labels = labels[kept]
    if roles.targets:
        targets = np.stack([_numbers(cells(n), path.name) for n in roles.targets], 1)[kept]
    return dataclasses.replace(
        arrays,
        labels=labels,
        classes=classes,
        targets=targets,
        notes=[*notes, *arrays.notes],
        named={**roles.named, **arrays.named},
        row_names=None if named is None else arrays.row_names,
    )


def _text(path: Path, reading: Reading) -> tuple[Sequence[str | None], _Cells]:
    layout = find_layout(path, reading)
    rows = [layout.cells(line) for number, line in lines_of(path) if number > layout.skipped]
    for row, cells in enumerate(rows):
        if len(cells) != layout.n_columns:
            raise ValueError(
                f"row {row} of {path.name} has {len(cells)} values, but line {layout.first_line} "
                f"has {layout.n_columns}; all lines need as many"
            )
    return layout.names or [None] * layout.n_columns, lambda number: [row[number] for row in rows]


def _parquet(path: Path, reading: Reading) -> tuple[Sequence[str | None], _Cells]:
    import pyarrow as pa
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name} is damaged, or no Parquet file: {error}") from None

    def cells(number: int) -> list[str]:
        return ["" if cell is None else str(cell) for cell in table.column(number).to_pylist()]

    return table.schema.names, cells


def _numbers(cells: list[str], name: str) -> NDArray[np.float64]:
    try:
        return np.array(cells, np.float64)
    except ValueError as error:
        raise ValueError(f"the targets of {name} are not all numbers: {error}") from None
