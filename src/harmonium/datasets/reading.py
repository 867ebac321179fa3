"""`Reading`: what a person says about a file or a table, where its reader must not guess.

What belongs here are these words and their checks. What a reader makes of them is its business.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Column = str | int
"""A column by its name, or by its number from 0; negative numbers count from the last one."""


@dataclass(frozen=True)
class Reading:
    """How a file or a table is to be read.

    Parameters
    ----------
    label
        The column of labels; None leaves it to its name.
    target
        The columns of targets; none leaves them to their names.
    drop
        Columns to leave out.
    header
        Whether the first line of a text holds the names of the columns; None looks for itself.
    array
        The array of rows in an archive of several.
    labels_file
        A file that holds the labels and nothing else, such as that of an IDX file of pictures.
    classes
        Names of the classes 0, 1, ... of a model that is to judge the rows. Labels of other names
        are then unknown, as those without a value are.
    n_columns
        How many columns of values a model expects. With it, columns that are named above may be
        missing: rows to be judged need no labels.
    """

    label: Column | None = None
    target: tuple[Column, ...] = ()
    drop: tuple[Column, ...] = ()
    header: bool | None = None
    array: str | None = None
    labels_file: Path | None = None
    classes: tuple[str, ...] | None = None
    n_columns: int | None = None

    @classmethod
    def of(
        cls,
        *,
        label: Column | None = None,
        target: Column | Sequence[Column] | None = None,
        drop: Column | Sequence[Column] | None = None,
        header: bool | None = None,
        array: str | None = None,
        labels_file: str | Path | None = None,
    ) -> Reading:
        """Take columns one or several, as a person gives them.

        Raises
        ------
        TypeError
            For a column that is neither a name nor a number.
        """
        return cls(
            None if label is None else _columns(label, "label")[0],
            _columns(target, "target"),
            _columns(drop, "drop"),
            header,
            array,
            None if labels_file is None else Path(labels_file).expanduser(),
        )

    @property
    def of_use(self) -> bool:
        """Whether rows are read for a model that has been trained."""
        return self.n_columns is not None

    @property
    def is_said(self) -> bool:
        """Whether a person says anything."""
        return self.names_columns or (self.header, self.array, self.labels_file) != (None,) * 3

    @property
    def names_columns(self) -> bool:
        """Whether any column is named."""
        return self.label is not None or bool(self.target or self.drop)


def columns_of(text: str | None) -> tuple[Column, ...]:
    """Columns that are written with commas between them; names with commas stand in quotes."""
    if text is None:
        return ()
    cells = next(csv.reader([text], skipinitialspace=True))
    return tuple(cell.strip() for cell in cells if cell.strip())


def _columns(given: Column | Sequence[Column] | None, what: str) -> tuple[Column, ...]:
    if given is None:
        return ()
    listed = [given] if isinstance(given, str | int) else list(given)
    for column in listed:
        if isinstance(column, bool) or not isinstance(column, str | int):
            raise TypeError(
                f"{what} is {given!r}; pass the name of a column, or its number from 0, or several"
            )
    return tuple(listed)
