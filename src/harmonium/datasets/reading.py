"""`Reading`: the user's options for a file or a table, where its reader must not guess.

This module defines the options and their checks; the readers interpret them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from harmonium.arguments import described, meant
from harmonium.datasets.alphabets import alphabet_of

if TYPE_CHECKING:
    from harmonium.datasets.encodings import TableEncoding
    from harmonium.datasets.encodings.table_columns import Kind
    from harmonium.datasets.stored import Stored as Data

Column = str | int
"""A column by name, or by number from 0; negative numbers count from the last."""

Insertions = Literal["drop", "refuse"]
UnknownLetters = Literal["gap", "drop", "refuse"]
Unseen = Literal["other", "missing", "error"]

# What a trained model says of rows to be read for it.
_OF_MODELS = ("classes", "n_columns", "table", "unseen", "lacks_columns", "is_piece")


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
    transpose
        Whether the columns of an array are the rows.
    labels_file
        A file that holds only the labels, such as for an IDX file of pictures.
    classes
        Names of the classes 0, 1, ... of a model that will classify the rows. Other labels then
        count as unknown, like missing ones.
    sequences
        The column of a table that holds aligned sequences, which are then the values.
    alphabet
        The letters of an alignment: protein, rna, dna, or the letters themselves; None guesses.
    insertions
        Whether insertions of an alignment (lower case and dots) are dropped or refused.
    unknown
        Whether unknown letters, such as X or N, become gaps, or their sequences are dropped or
        refused.
    max_gaps_row, max_gaps_column
        The largest share of gaps of a sequence and of a site that is kept; None keeps all.
        Sequences are judged first, and sites by the sequences that are left.
    weights
        A file that holds only the weights of the rows.
    n_columns
        Number of columns of values that a model expects. If given, the columns named above may be
        missing, because rows to be classified need no labels.
    kinds
        The kinds of columns of a table that the user names; each column then gets its own units.
    missing_values
        Further spellings of missing values, such as -1 or 999.
    table
        The columns that a model was trained on, if it was on a mixed table: cells then become the
        values that they were in training.
    unseen
        What a category is that did not occur in training: the column's `other`, missing, or an
        error.
    on_disk
        Whether rows stay on disk, and are read as they are used; None for rows that take more than
        a quarter of the free memory.
    lacks_columns
        Whether columns that a model was trained on may be lacking, and are then missing in all
        rows.
    is_piece
        Whether these rows are some of a data set, in which a column may have no value.
    """

    label: Column | None = None
    target: tuple[Column, ...] = ()
    drop: tuple[Column, ...] = ()
    header: bool | None = None
    array: str | None = None
    labels_file: Path | None = None
    classes: tuple[str, ...] | None = None
    n_columns: int | None = None
    sequences: Column | None = None
    alphabet: str | None = None
    insertions: Insertions | None = None
    unknown: UnknownLetters | None = None
    max_gaps_row: float | None = None
    max_gaps_column: float | None = None
    weights: Path | None = None
    transpose: bool = False
    kinds: tuple[tuple[str, Kind], ...] = ()
    missing_values: tuple[str, ...] = ()
    table: TableEncoding | None = None
    unseen: Unseen = "other"
    lacks_columns: bool = False
    on_disk: bool | None = None
    is_piece: bool = False

    def __post_init__(self) -> None:
        """Reject what no alignment could be read with."""
        if self.alphabet is not None:
            alphabet_of(self.alphabet)
        known_words = {"insertions": Insertions, "unknown": UnknownLetters, "unseen": Unseen}
        for name, known in known_words.items():
            value = getattr(self, name)
            if value is not None and value not in get_args(known):
                raise ValueError(f"`{name}` is {value!r}; pass {' or '.join(get_args(known))}")
        for name in ("max_gaps_row", "max_gaps_column"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"`{name}` is {share}; pass a share from 0 to 1, such as 0.3")

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
        sequences: Column | None = None,
        alphabet: str | None = None,
        insertions: Insertions | None = None,
        unknown: UnknownLetters | None = None,
        max_gaps_row: float | None = None,
        max_gaps_column: float | None = None,
        weights: str | Path | None = None,
        transpose: bool | None = None,
        kinds: Mapping[str | int, str] | None = None,
        missing_values: str | float | Sequence[str | float] | None = None,
        unseen: Unseen | None = None,
        on_disk: bool | None = None,
    ) -> Reading:
        """Create it from one or several columns, as the user gives them.

        Raises
        ------
        TypeError
            For a column that is neither a name nor a number.
        ValueError
            For a kind of column that there is not.
        """
        return cls(
            None if label is None else _columns(label, "label")[0],
            _columns(target, "target"),
            _columns(drop, "drop"),
            header,
            array,
            None if labels_file is None else Path(labels_file).expanduser(),
            sequences=None if sequences is None else _columns(sequences, "sequences")[0],
            alphabet=alphabet,
            insertions=insertions,
            unknown=unknown,
            max_gaps_row=max_gaps_row,
            max_gaps_column=max_gaps_column,
            weights=None if weights is None else Path(weights).expanduser(),
            transpose=bool(transpose),
            kinds=_kinds(kinds or {}),
            missing_values=_spellings(missing_values),
            unseen="other" if unseen is None else unseen,
            on_disk=on_disk,
        )

    def of_another_part(self, data: Data) -> Reading:
        """How other rows of the same run are read: with the classes, letters and sites of these."""
        from harmonium.datasets.encodings import TableEncoding

        table = data.encoding if isinstance(data.encoding, TableEncoding) else None
        if data.alphabet is None:
            return replace(self, labels_file=None, weights=None, classes=data.classes, table=table)
        return replace(
            self,
            labels_file=None,
            weights=None,
            classes=data.classes,
            alphabet=data.alphabet,
            drop=data.named.get("drop", ()),
            max_gaps_column=None,
        )

    @property
    def of_use(self) -> bool:
        """Whether rows are read for a trained model."""
        return self.n_columns is not None

    @property
    def said(self) -> list[str]:
        """The options that the user gave."""
        own = (option for option in fields(self) if option.name not in _OF_MODELS)
        return [option.name for option in own if getattr(self, option.name) != option.default]

    @property
    def of_alignments(self) -> list[str]:
        """The options that the user gave and that only alignments have."""
        names = ("alphabet", "insertions", "unknown", "max_gaps_row", "max_gaps_column")
        return [name for name in names if getattr(self, name) is not None]

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


def _kinds(given: Mapping[str | int, str]) -> tuple[tuple[str, Kind], ...]:
    from harmonium.datasets.encodings.table_columns import KINDS

    if not isinstance(given, Mapping):
        raise TypeError(
            f"`columns` is {described(given)}; pass the kinds of columns by their names, such as "
            "{'age': 'gaussian'}"
        )
    for column, kind in given.items():
        if kind not in KINDS:
            known = meant(str(kind), KINDS, f"columns are {', '.join(KINDS)}")
            raise ValueError(f"`columns={{{column!r}: {kind!r}}}` is no kind of column; {known}")
    return tuple((str(column), cast("Kind", kind)) for column, kind in given.items())


def _spellings(given: str | float | Sequence[str | float] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    listed = [given] if isinstance(given, str | int | float) else list(given)
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise TypeError(
                f"`missing_values` is {described(given)}; pass what stands for a missing value, "
                "such as -1 or 'unknown', or several"
            )
    return tuple(map(str, listed))
