"""`CellColumn`: one column of a table as it was read, before it is decided what it is.

Arrow's columns become such columns here, whatever file or frame they come from. What stands for a
missing value becomes NaN.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.naming import keyword

MISSING_WORDS = frozenset(
    ("", "?", "NA", "N/A", "n/a", "#N/A", "nan", "NaN", "NAN", "null", "NULL", "<NA>")
)  # "none" and "-" may be classes
"""Words for a missing value among words."""

_DATE = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}.*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}", re.A
)


@dataclass(frozen=True)
class CellColumn:
    """The cells of one column.

    Parameters
    ----------
    name
        Its name, or its number.
    dtype
        As in `TableColumn`.
    values
        Numbers, 0 and 1 for False and True, or the numbers of words; NaN where a value is missing.
        float64, shape (n_rows,).
    words
        The words, by their numbers; None for numbers.
    ordered
        Whether the order of the words is the user's, and has a meaning.
    """

    name: str
    dtype: str
    values: NDArray[np.float64]
    words: tuple[str, ...] | None = None
    ordered: bool = False

    @property
    def observed(self) -> NDArray[np.float64]:
        """The values that are there."""
        return self.values[~np.isnan(self.values)]

    def without(self, codes: Iterable[str]) -> CellColumn:
        """The column with NaN in place of the user's own codes for missing values."""
        values = self.values
        for code in codes:
            places: list[float]
            if self.words is not None:
                places = [k for k, word in enumerate(self.words) if word == code]
            else:
                number = _number(code)
                places = [] if number is None else [number]
            for place in places:
                values = np.where(values == place, np.nan, values)
        return self if values is self.values else self._with(values)

    def as_words(self) -> CellColumn:
        """Numbers as the words that they are written as; words as they are."""
        if self.words is not None:
            return self
        there = np.unique(self.observed)
        truths = self.dtype == "bool"
        words = tuple(str(bool(x)) if truths else f"{x:.15g}" for x in there)
        places = np.searchsorted(there, self.values).astype(np.float64)
        places[np.isnan(self.values)] = np.nan
        return CellColumn(self.name, "str", places, words)

    def refuse_dates(self, table: str) -> None:
        """Reject dates that are written as text; names the first."""
        if self.words is None or not self.words:
            return
        used = [self.words[int(k)] for k in np.unique(self.observed)]
        if not used or not all(_DATE.fullmatch(word) for word in used):
            return
        row = int(np.flatnonzero(~np.isnan(self.values))[0])
        word = self.words[int(self.values[row])]
        raise ValueError(
            f"row {row}, column {self.name!r} of {table} holds the date {word!r} (rows counted "
            f"from 0); leave the column out by {keyword('drop', [self.name])}, make numbers of it, "
            f"such as years or days, or take it for words by "
            f"`columns={{{self.name!r}: 'categorical'}}`"
        )

    def _with(self, values: NDArray[np.float64]) -> CellColumn:
        return CellColumn(self.name, self.dtype, values, self.words, self.ordered)


def of_words(name: str, pieces: Sequence[tuple[Sequence[str], NDArray[np.integer]]]) -> CellColumn:
    """A column of words that arrive in pieces: distinct words, and the number of each row's.

    Words are trimmed. A number below 0 is a missing word, and so is a word that says so ("NA").
    """
    codes: dict[str, int] = {}
    numbers = []
    for words, index in pieces:
        table = [_code(word.strip(), codes) for word in words]
        numbers.append(np.array([*table, np.nan], np.float64)[index])
    values = np.concatenate(numbers) if numbers else np.empty(0)
    return CellColumn(name, "str", values, tuple(codes))


def numbers_of_words(column: CellColumn) -> CellColumn:
    """A column whose words are all numbers, as numbers; otherwise the same column."""
    assert column.words is not None
    numbers = [_number(word) for word in column.words]
    if not numbers or any(number is None for number in numbers):
        return column
    table = np.array([*numbers, np.nan], np.float64)
    values = table[np.where(np.isnan(column.values), len(numbers), column.values).astype(np.intp)]
    whole = all("." not in word and "e" not in word.lower() for word in column.words)
    return CellColumn(column.name, "int64" if whole else "float64", values)


def truths_of_words(column: CellColumn) -> CellColumn:
    """A column whose words are all True and False, as booleans; otherwise the same column."""
    assert column.words is not None
    spelled = {word: word.lower() == "true" for word in column.words}
    if not {word.lower() for word in spelled} <= {"true", "false"}:
        return column
    table = np.array([*spelled.values(), np.nan], np.float64)
    values = table[np.where(np.isnan(column.values), len(spelled), column.values).astype(np.intp)]
    return CellColumn(column.name, "bool", values)


def of_arrow(name: str, column: Any, table: str) -> CellColumn:
    """A column of Arrow: numbers, booleans, text or categories.

    Raises
    ------
    TypeError
        For dates, lists and other cells; names the row and the column.
    """
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = column.chunk(0) if column.num_chunks else pa.array([], kind)
    if types.is_null(kind):
        return CellColumn(name, "float64", np.full(len(column), np.nan))
    if types.is_dictionary(kind) and is_text(kind.value_type):
        words = tuple(map(str, column.dictionary.to_pylist()))
        numbers = column.indices.cast("float64").fill_null(np.nan)
        said = _said_missing(words)
        values = numbers.to_numpy(zero_copy_only=False)
        values = np.where(np.isin(values, said), np.nan, values)
        return CellColumn(name, "category", values, words, bool(kind.ordered))
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if is_text(kind):
        encoded = column.dictionary_encode()
        words = tuple(map(str, encoded.dictionary.to_pylist()))
        index = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return of_words(name, [(words, index)])
    if types.is_boolean(kind):
        numbers = column.cast("uint8").cast("float64").fill_null(np.nan)
        return CellColumn(name, "bool", numbers.to_numpy(zero_copy_only=False))
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        dtype = str(kind.to_pandas_dtype().__name__) if not types.is_decimal(kind) else "float64"
        numbers = column.cast("float64", safe=False).fill_null(np.nan)
        return CellColumn(name, dtype, numbers.to_numpy(zero_copy_only=False).astype(np.float64))
    row = next((n for n, valid in enumerate(column.is_valid().to_pylist()) if valid), 0)
    raise TypeError(
        f"row {row}, column {name!r} of {table} holds {_shown(column, row)} ({kind}; rows counted "
        f"from 0), and models learn from numbers, booleans and words; leave the column out by "
        f"{keyword('drop', [name])}, or make numbers of it"
    )


def refuse_objects(frame: Any, table: str) -> None:
    """Reject dates, lists and other objects in the columns of a pandas frame; names the first."""
    pd: Any = sys.modules["pandas"]
    for name in frame.columns:
        column = frame[name]
        if getattr(getattr(column, "dtype", None), "kind", None) != "O":
            continue
        for row, cell in enumerate(column):
            # numbers, text and None
            if isinstance(cell, str | int | float | np.number | np.bool | None) or cell is pd.NA:
                continue
            raise TypeError(
                f"row {row}, column {str(name)!r} of {table} holds {cell!r} "
                f"({type(cell).__name__}; rows counted from 0), and models learn from numbers, "
                f"booleans and words; leave the column out by {keyword('drop', [str(name)])}, or "
                "make numbers of it"
            )
        kinds = {"text" if isinstance(cell, str) else "numbers" for cell in column.dropna()}
        if len(kinds) > 1:
            is_text: Callable[[Any], bool] = lambda cell: isinstance(cell, str)  # noqa: E731
            first = next(row for row, cell in enumerate(column) if is_text(cell))
            raise TypeError(
                f"column {str(name)!r} of {table} holds numbers and text, the first text in row "
                f"{first} (counted from 0): {column.iloc[first]!r}; make it one or the other"
            )


def is_text(kind: Any) -> bool:
    """Whether a type of Arrow is text."""
    from pyarrow import types

    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or (hasattr(types, "is_string_view") and types.is_string_view(kind))
    )


def _shown(column: Any, row: int) -> str:
    cell = column[row].as_py() if len(column) else None
    return repr(str(cell)) if hasattr(cell, "isoformat") else repr(cell)


def _said_missing(words: Sequence[str]) -> list[int]:
    return [number for number, word in enumerate(words) if word.strip() in MISSING_WORDS]


def _code(word: str, codes: dict[str, int]) -> float:
    return float("nan") if word in MISSING_WORDS else codes.setdefault(word, len(codes))


def _number(word: str) -> float | None:
    try:
        number = float(word)
    except ValueError:
        return None
    return number if np.isfinite(number) and "_" not in word else None
