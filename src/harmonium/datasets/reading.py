"""`Reading`: the user's options for a file or a table, where its reader must not guess.

This module defines the options and their checks; the readers interpret them.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Column = str | int
"""A column by name, or by number from 0; negative numbers count from the last."""


@dataclass(frozen=True)
class Reading:
    """How to read a file or a table.

    Parameters
    ----------
    label
        The column of labels; None recognises it by name.
    target
        The columns of targets; empty recognises them by name.
    drop
        Columns to leave out.
    header
        Whether the first line of a text file names the columns; None decides from its content.
    array
        The array with the rows, in an archive of several.
    labels_file
        A file that holds only the labels, such as for an IDX file of pictures.
    classes
        Names of the classes 0, 1, ... of a model that will classify the rows. Other labels then
        count as unknown, like missing ones.
    n_columns
        Number of columns of values that a model expects. If given, the columns named above may be
        missing, because rows to be classified need no labels.
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
        """Create it from one or several columns, as the user gives them.

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
        """Whether rows are read for a trained model."""
        return self.n_columns is not None

    @property
    def is_said(self) -> bool:
        """Whether the user gave any option."""
        return self.names_columns or (self.header, self.array, self.labels_file) != (None,) * 3

    @property
    def names_columns(self) -> bool:
        """Whether any column is named."""
        return self.label is not None or bool(self.target or self.drop)


def columns_of(text: str | None) -> tuple[Column, ...]:
    """Columns separated by commas; names with commas are quoted."""
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
