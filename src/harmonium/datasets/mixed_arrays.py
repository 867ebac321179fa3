"""What readers hand on of a table whose columns each get units of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays
from harmonium.datasets.cell_columns import CellColumn
from harmonium.datasets.classes import Classes
from harmonium.datasets.columns import Look, Roles
from harmonium.datasets.mixed_tables import holds_words, of_numbers, values_of
from harmonium.datasets.reading import Reading


def is_mixed(looks: Sequence[Look], roles: Roles, reading: Reading) -> bool:
    """Whether columns get units of their own: if some hold text, or somebody has said so."""
    if reading.of_use:
        return reading.table is not None
    said = bool(reading.kinds) or reading.table is not None
    return said or any(looks[number].kind == "text" for number in roles.values)


def said_of_words(reading: Reading) -> frozenset[str]:
    """The names of columns whose cells are words, whatever they look like."""
    if reading.table is not None:
        return frozenset(one.name for one in reading.table.columns if holds_words(one))
    return frozenset(column for column, kind in reading.kinds if kind == "categorical")


def arrays_of(
    cells: Sequence[CellColumn],
    classes: Classes | None,
    targets: Sequence[NDArray[Any]],
    roles: Roles,
    notes: Sequence[str],
    reading: Reading,
    name: str,
    row_names: Sequence[str] | None,
) -> Arrays:
    """What a reader has found in a mixed table; raises what `values_of` raises.

    Parameters
    ----------
    cells
        The columns of values.
    classes
        The labels.
    targets
        The columns of targets.
    roles, notes, row_names
        As in `Arrays`.
    reading, name
        How the table is read, and its name for messages.
    """
    found = values_of(cells, reading, name)
    labels = names = None
    if classes is not None:
        labels, names = classes.labels(reading)
        notes = [*notes, *classes.notes(reading)]
    named = dict(roles.named)
    if found.left_out:
        named["drop"] = (*named.get("drop", ()), *found.left_out)
    return Arrays(
        found.values,
        labels,
        found.table.names,
        targets=np.stack(targets, 1) if targets else None,
        classes=names,
        notes=[*notes, *found.notes],
        named=named,
        row_names=row_names,
        observed=np.ones(found.values.shape, bool) if found.observed is None else found.observed,
        table=found.table,
    )


def by_column(arrays: Arrays, reading: Reading, name: str) -> Arrays:
    """Rows of numbers as a mixed table, if the user or a model says so; otherwise unchanged."""
    if not reading.kinds and reading.table is None:
        return arrays
    if arrays.values.ndim != 2:
        raise ValueError(
            f"`columns` is for tables, and {name} holds pictures of shape "
            f"{arrays.values.shape[1:]}; leave it out"
        )
    found = of_numbers(arrays.values, arrays.columns, reading, name)
    return replace(
        arrays,
        values=found.values,
        columns=found.table.names,
        notes=[*arrays.notes, *found.notes],
        named={**arrays.named, **({"drop": found.left_out} if found.left_out else {})},
        observed=np.ones(found.values.shape, bool) if found.observed is None else found.observed,
        table=found.table,
    )
