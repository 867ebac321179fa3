"""Tables whose columns each get units of their own: from cells to values and their encoding.

Readers hand in columns as they were read (`CellColumn`). Of a new table each column is judged by
what it holds, or is what the user says; rows for a trained model are read as in training, in any
order of columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import meant
from harmonium.datasets import holes, kinds
from harmonium.datasets.cell_columns import CellColumn
from harmonium.datasets.encodings import TableEncoding
from harmonium.datasets.encodings.table_columns import Categories, TableColumn
from harmonium.datasets.masks import Mask
from harmonium.datasets.naming import keyword, listed
from harmonium.datasets.reading import Reading


@dataclass(frozen=True)
class MixedValues:
    """The values of a mixed table.

    Attributes
    ----------
    values
        float64, shape (n_rows, n); the first observed value of its column where one is missing.
    observed
        True for each value that is observed, shape (n_rows, n); None if all are.
    table
        The columns.
    notes
        What was decided.
    left_out
        The names of columns that are no part of the model.
    """

    values: NDArray[np.float64]
    observed: NDArray[np.bool] | None
    table: TableEncoding
    notes: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def values_of(cells: Sequence[CellColumn], reading: Reading, name: str) -> MixedValues:
    """The values of a table, in the columns of a model or in columns of its own.

    Raises
    ------
    ValueError
        For columns that cannot be what they are said to be, that do not fit the model, and
        categories that did not occur in training; for names of columns that do not exist or stand
        twice; if no column is left, and for rows without any value.
    """
    twice = [column for column, n in Counter(one.name for one in cells).items() if n > 1]
    if twice:
        raise ValueError(
            f"{name} has two columns named {listed(twice)}; give each its own name, as a model of "
            "mixed columns finds them by name"
        )
    cells = [one.without(reading.missing_values) for one in cells]
    for one in cells:
        _refuse_infinity(one, name)
    if reading.table is not None:
        return _as_in_training(cells, reading.table, reading, name)
    names = {one.name: number for number, one in enumerate(cells)}
    for column, _ in reading.kinds:
        if column not in names:
            raise ValueError(
                f"`columns` names {column!r}, but {name} has no such column of values; "
                + meant(column, names, f"they are {listed(list(names))}")
            )
    told = dict(reading.kinds)
    columns: list[TableColumn] = []
    kept: list[NDArray[np.float64]] = []
    out: list[kinds.LeftOut] = []
    for one in cells:
        kind = told.get(one.name)
        own = kinds.judged(one, name) if kind is None else kinds.said(one, kind, name)
        if isinstance(own, kinds.LeftOut):
            out.append(own)
            continue
        columns.append(own)
        fitting = one.as_words() if holds_words(own) else one
        kept.append(_numbered(fitting, own, "other", name)[0])
    if not columns:
        remedy = "name the kind of a column by `columns`"
        if all(one.is_constant for one in out):
            remedy = "pass rows that differ"
        raise ValueError(f"no column of {name} is left: {_reasons(out)}; {remedy}")
    notes = [f"left out: {_reasons(out)}"] if out else []
    return _filled(kept, TableEncoding(tuple(columns)), notes, reading, name, out)


def _refuse_infinity(one: CellColumn, name: str) -> None:
    """Reject numbers that are infinite; names the first."""
    infinite = np.flatnonzero(np.isinf(one.values))
    if len(infinite):
        others = f", as {len(infinite):,} rows do" if len(infinite) > 1 else ""
        raise ValueError(
            f"row {infinite[0]}, column {one.name!r} of {name} holds "
            f"{one.values[infinite[0]]:g}{others} (rows counted from 0); make finite numbers of "
            "such cells, or empty ones, which are missing"
        )


def _as_in_training(
    cells: Sequence[CellColumn], table: TableEncoding, reading: Reading, name: str
) -> MixedValues:
    """The columns of a model, found by name; by place if the file has no names."""
    by_name = {one.name: one for one in cells}
    names = table.names
    numbered = [str(number) for number in range(len(cells))]
    if len(cells) == len(names) and list(by_name) == numbered and set(names) != set(by_name):
        by_name = dict(zip(names, cells, strict=True))
    missing = [column for column in names if column not in by_name]
    extra = [column for column in by_name if column not in names]
    if (missing and not reading.lacks_columns) or extra or len(missing) == len(names):
        lacks = f"lacks {listed(missing)}" if missing else ""
        has = f"has {listed(extra)} beside them" if extra else ""
        remedy = "rename or add the missing columns" if missing else "drop the extra columns"
        raise ValueError(
            f"the columns of {name} are not those of the training data: it "
            f"{' and '.join(filter(None, [lacks, has]))}; {remedy}"
            + (f" ({keyword('drop', extra)})" if extra else "")
        )
    n_rows = len(cells[0].values)
    kept, notes = [], []
    if missing:
        notes.append(f"{name} lacks {listed(missing)}, missing in all rows")
    for column in table.columns:
        one = by_name.get(column.name)
        if one is None:
            kept.append(np.full(n_rows, np.nan))
            continue
        values, n_unseen = _numbered(_fitting(one, column, name), column, reading.unseen, name)
        if n_unseen:
            notes.append(
                f"column {column.name!r}: {n_unseen:,} cells hold no category of training and "
                f"count as {'missing' if reading.unseen == 'missing' else repr('other')}"
            )
        kept.append(values)
    return _filled(kept, table, notes, reading, name, [])


def _fitting(one: CellColumn, column: TableColumn, name: str) -> CellColumn:
    """Cells as words where the column of the model holds words, and as numbers elsewhere."""
    if holds_words(column):
        return one.as_words()
    if one.words is None:
        return one
    row = next(iter(np.flatnonzero(~np.isnan(one.values)).tolist()), None)
    if row is None:
        return CellColumn(one.name, column.dtype, one.values)
    raise ValueError(
        f"row {row}, column {column.name!r} of {name} holds {one.words[int(one.values[row])]!r}, "
        f"and the model was trained on numbers there (rows counted from 0); make numbers of the "
        "column's cells"
    )


def holds_words(column: TableColumn) -> bool:
    """Whether the cells of a column are words."""
    if not isinstance(column, Categories):
        return False
    return any(isinstance(category, str) for category in column.categories)


def _numbered(
    one: CellColumn, column: TableColumn, unseen: str, name: str
) -> tuple[NDArray[np.float64], int]:
    """The values of a column, NaN where they are missing; and how many cells were not known."""
    if not isinstance(column, Categories):
        wrong = np.flatnonzero(~np.isnan(one.values) & column.fault(one.values))
        if len(wrong):
            raise ValueError(
                f"row {wrong[0]}, column {column.name!r} of {name} holds "
                f"{one.values[wrong[0]]:g}, and {column.kind} columns hold {column.wanted()} "
                "(rows counted from 0)"
            )
        return one.values, 0
    known = {category: number for number, category in enumerate(column.categories)}
    there = np.unique(one.observed)
    asked = [one.words[int(x)] if one.words is not None else x for x in there.tolist()]
    numbers = np.array([known.get(category, -1) for category in asked], np.float64)
    rows = np.flatnonzero(~np.isnan(one.values))
    values = one.values.copy()
    values[rows] = numbers[np.searchsorted(there, one.values[rows])]
    strange = np.flatnonzero(values == -1)
    if not len(strange):
        return values, 0
    if unseen == "missing":
        values[strange] = np.nan
    elif unseen == "other" and column.pools:
        values[strange] = len(column.categories) - 1
    else:
        cell = one.values[strange[0]]
        shown = one.words[int(cell)] if one.words is not None else float(cell)
        remedy = "`unseen='missing'` takes such cells for missing"
        if column.pools:
            remedy = "`unseen='other'` takes such cells for the category of rare ones"
        raise ValueError(
            f"row {strange[0]}, column {column.name!r} of {name} holds {shown!r}, which did not "
            f"occur in training, as in {len(strange):,} of {len(values):,} rows (counted from 0); "
            f"{remedy}"
        )
    return values, len(strange)


def _filled(
    kept: list[NDArray[np.float64]],
    table: TableEncoding,
    notes: list[str],
    reading: Reading,
    name: str,
    out: Sequence[kinds.LeftOut],
) -> MixedValues:
    values = np.stack(kept, 1)
    left_out = tuple(one.name for one in out)
    observed = ~np.isnan(values)
    if observed.all():
        return MixedValues(values, None, table, tuple(notes), left_out)
    if not reading.of_use:
        holes.refuse_empty_rows(observed, name)
    firsts = np.where(observed.any(0), values[observed.argmax(0), np.arange(len(kept))], np.nan)
    for place in np.flatnonzero(np.isnan(firsts)):
        firsts[place] = _some_value(table.columns[place])
    values = np.where(observed, values, firsts)
    notes.append(holes.told(observed, table.names))
    return MixedValues(values, observed, table, tuple(notes), left_out)


def _some_value(column: TableColumn) -> float:
    """A value that can be encoded, for a column that is wholly missing in rows of use."""
    return next(x for x in (0.0, 1.0) if not column.fault(np.array([x]))[0])


def refitted(table: TableEncoding, values: Tensor, mask: Mask | None) -> TableEncoding:
    """The same kinds of columns, with means, deviations and bins of these rows alone."""
    wide = values.cpu().double().numpy()
    seen = None if mask is None else mask.observed().cpu().numpy()
    columns = []
    for place, column in enumerate(table.columns):
        own = wide[:, place] if seen is None else wide[seen[:, place], place]
        columns.append(kinds.refitted(column, own))
    return TableEncoding(tuple(columns))


def recoded(
    values: Tensor, mask: Mask | None, own: TableEncoding, reading: Reading, name: str
) -> MixedValues:
    """The values of one table as those of another, which `Reading.table` says.

    Parameters
    ----------
    values, mask
        As of `Data`.
    own
        What the values are encoded by.
    reading, name
        As of `values_of`, which says what is raised.
    """
    wide = values.cpu().double().numpy().copy()
    if mask is not None:
        wide[~mask.observed().cpu().numpy()] = np.nan
    frame = own.to_frame(wide)
    cells = []
    for place, column in enumerate(own.columns):
        if holds_words(column):
            assert isinstance(column, Categories)
            words = tuple(map(str, column.categories))
            cells.append(CellColumn(column.name, column.dtype, wide[:, place], words))
        else:
            cells.append(
                CellColumn(column.name, column.dtype, frame[column.name].astype(np.float64))
            )
    return values_of(cells, reading, name)


def of_numbers(
    values: NDArray[Any], names: Sequence[str] | None, reading: Reading, name: str
) -> MixedValues:
    """Rows of numbers, NaN where they are missing, as a mixed table."""
    wide = values.astype(np.float64)
    called = names or [str(number) for number in range(wide.shape[1])]
    columns = [
        CellColumn(called[n], _dtype_of(wide[:, n]), wide[:, n]) for n in range(wide.shape[1])
    ]
    return values_of(columns, reading, name)


def _dtype_of(cells: NDArray[np.float64]) -> str:
    there = cells[~np.isnan(cells)]
    return "int64" if (there == np.floor(there)).all() else "float64"


def _reasons(out: Sequence[kinds.LeftOut]) -> str:
    return "; ".join(f"{one.name!r} ({one.why})" for one in out)
