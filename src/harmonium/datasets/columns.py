"""The roles of table columns: values, labels, targets, or left out.

This module chooses roles from the user's options or from column names, and describes the choice.
The readers convert cells to numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from harmonium.arguments import meant
from harmonium.datasets.naming import keyword
from harmonium.datasets.reading import Column, Reading

Kind = Literal["number", "truth", "text", "empty"]

LABELS = ("label", "labels")
_LABELS_OF_TEXT = ("class", "classes", "y", "target")  # labels, if they hold text
_WHOLE_LABELS = ("class", "classes")  # labels, also if they hold whole numbers
_TARGET = "target"
_SHOWN_VALUES = 3
_SHOWN_COLUMNS = 5
_SHOWN_NAMES = 20


@dataclass(frozen=True)
class Look:
    """Properties of a column.

    Parameters
    ----------
    name
        Its name; None if no column has a name, empty if only this one has none.
    kind
        The kind of its cells: numbers, True and False, text, or nothing.
    whole
        Whether all its numbers are whole.
    examples
        For a text column, some of its values as written.
    """

    name: str | None
    kind: Kind = "number"
    whole: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """The role of each column of a table, by number.

    Parameters
    ----------
    values
        The columns of values.
    label
        The column of labels.
    targets
        The columns of targets.
    notes
        Descriptions of the choices and their reasons.
    named
        As in `Data`.
    """

    values: tuple[int, ...]
    label: int | None
    targets: tuple[int, ...]
    notes: tuple[str, ...]
    named: dict[str, tuple[str, ...]]


def called(number: int, looks: Sequence[Look]) -> str:
    """A column's name in quotes, or its number."""
    name = looks[number].name
    return repr(name) if name else str(number)


def choose(
    looks: Sequence[Look], reading: Reading, name: str, left_out: Sequence[int] = ()
) -> Roles:
    """Choose the role of each column.

    Parameters
    ----------
    looks
        All columns.
    reading
        The user's reading options.
    name
        The name of the table for messages.
    left_out
        Columns that the reader always leaves out, such as an index.

    Raises
    ------
    ValueError
        For columns that do not exist or are named twice, for text columns without a role, and if no
        column of values is left.
    """
    said = _Said(looks, reading, name)
    notes: list[str] = []
    drop = said.columns(reading.drop, "drop")
    label = said.columns(() if reading.label is None else (reading.label,), "label")
    targets = said.columns(reading.target, "target")
    _refuse_twice({"label": label, "target": targets, "drop": drop}, looks)
    if dropped := [number for number in drop if number not in left_out]:
        notes.append(f"left out as asked: {_listed(dropped, looks)}")
    if label:
        notes.append(f"labels: column {called(label[0], looks)}, as asked")
    if targets:
        notes.append(f"targets: {_listed(targets, looks)}, as asked")
    taken = {*left_out, *drop, *label, *targets}
    free = [number for number in range(len(looks)) if number not in taken]
    if not label:
        label = _label_by_name(looks, free)
        if label:
            notes.append(f"labels: column {called(label[0], looks)}, by its name")
    free = [number for number in free if number not in label]
    if not targets:
        targets = [number for number in free if _is_target(looks[number])]
        if targets:
            notes.append(f"targets: {_listed(targets, looks)}, by name")
    values = [number for number in free if number not in targets]
    _refuse_text(looks, targets, name)
    if reading.of_use and reading.table is None:
        _refuse_words(looks, values, name)
    if not looks:
        raise ValueError(f"{name} is empty: it has no columns")
    if not values:
        raise ValueError(
            f"{name} is empty: no column of values is left beside "
            f"{_listed(sorted({*range(len(looks))} - {*values}), looks)}"
        )
    taken_as = {"label": label, "target": targets, "drop": drop}
    named = {role: tuple(looks[n].name or "" for n in found) for role, found in taken_as.items()}
    return Roles(
        tuple(values),
        label[0] if label else None,
        tuple(targets),
        tuple(notes),
        {role: names for role, names in named.items() if names and all(names)},
    )


def place_of(column: Column, looks: Sequence[Look], reading: Reading, name: str, what: str) -> int:
    """The number of a column that the option ``what`` names; ValueError if there is none."""
    return _Said(looks, reading, name).columns((column,), what)[0]


@dataclass(frozen=True)
class _Said:
    """Finds the columns that the user names in a table."""

    looks: Sequence[Look]
    reading: Reading
    name: str

    def columns(self, wanted: Sequence[Column], what: str) -> list[int]:
        """Their numbers, in the given order."""
        found = [self._number(column, what) for column in wanted]
        return [number for number in dict.fromkeys(found) if number is not None]

    def _number(self, column: Column, what: str) -> int | None:
        n = len(self.looks)
        named = [number for number, look in enumerate(self.looks) if look.name == str(column)]
        if not named and isinstance(column, str):
            lower = column.casefold()
            named = [
                k for k, look in enumerate(self.looks) if (look.name or "").casefold() == lower
            ]
        if len(named) > 1:
            raise ValueError(
                f"{self.name} has {len(named)} columns named {column!r} (numbers "
                f"{', '.join(map(str, named))}); pass the number of the one that `{what}` means"
            )
        if named:
            return named[0]
        number = _whole(column)
        if number is None:
            if self.reading.of_use:
                return None
            self._refuse(str(column), what)
        if self.reading.of_use and n == self.reading.n_columns:
            return None  # the file has only the columns of values
        if not -n <= number < n:
            if self.reading.of_use:
                return None
            raise ValueError(
                f"`{what}` is column {number}, but {self.name} has the columns 0 to {n - 1}"
            )
        return number % n

    def _refuse(self, column: str, what: str) -> NoReturn:
        names = [look.name for look in self.looks if look.name]
        if not names:
            raise ValueError(
                f"`{what}` is {column!r}, but the columns of {self.name} have no names; pass a "
                f"number from 0 to {len(self.looks) - 1} (in a text, `header=True` takes line 1 "
                "for names)"
            )
        listed = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
        raise ValueError(
            f"`{what}` is {column!r}, but {self.name} has no such column; "
            + meant(column, names, f"its columns are {listed}")
        )


def _whole(column: Column) -> int | None:
    if isinstance(column, int):
        return column
    digits = column.removeprefix("-")
    return int(column) if digits.isascii() and digits.isdigit() else None


def _refuse_twice(roles: dict[str, list[int]], looks: Sequence[Look]) -> None:
    first: dict[int, str] = {}
    for role, numbers in roles.items():
        for number in numbers:
            if number in first:
                raise ValueError(
                    f"column {called(number, looks)} is named by `{first[number]}` and by "
                    f"`{role}`; it can be one of them"
                )
            first[number] = role


def _label_by_name(looks: Sequence[Look], free: Sequence[int]) -> list[int]:
    """The first column whose name marks it as labels, if any."""
    lower = {number: (looks[number].name or "").lower() for number in free}
    for names, fits in (
        (LABELS, lambda look: True),
        (_LABELS_OF_TEXT, lambda look: look.kind == "text"),
        (_WHOLE_LABELS, lambda look: look.kind == "truth" or look.whole),
    ):
        for name in names:
            found = [number for number in free if lower[number] == name and fits(looks[number])]
            if found:
                return found[:1]
    return []


def _is_target(look: Look) -> bool:
    name = (look.name or "").lower()
    return name in (_TARGET, f"{_TARGET}s") or name.startswith(f"{_TARGET}_")


def _refuse_text(looks: Sequence[Look], targets: Sequence[int], name: str) -> None:
    """Reject targets that are words."""
    text = _of_text(looks, targets)
    if text:
        what = "targets" if len(text) > 1 else "target"
        label = keyword("label", [looks[text[-1]].name or text[-1]])
        why = f"targets are numbers: {label} takes {called(text[-1], looks)} for the classes; "
        raise ValueError(_holds_text(looks, text, f"{name} holds text in the {what}", why))


def _refuse_words(looks: Sequence[Look], values: Sequence[int], name: str) -> None:
    """Reject words in rows for a model that was trained on numbers."""
    text = _of_text(looks, values)
    if text:
        what = "columns" if len(text) > 1 else "the column"
        why = "the model was trained on numbers: "
        raise ValueError(_holds_text(looks, text, f"{name} holds text in {what}", why))


def _of_text(looks: Sequence[Look], numbers: Sequence[int]) -> list[int]:
    return [number for number in numbers if looks[number].kind == "text"]


def _holds_text(looks: Sequence[Look], text: Sequence[int], where: str, why: str) -> str:
    """The message that these columns hold text; ends with how to leave them out."""
    shown = [
        f"{called(number, looks)} ({', '.join(map(repr, looks[number].examples))}, ...)"
        for number in text[:_SHOWN_COLUMNS]
    ]
    more = f" and {len(text) - len(shown)} more" if len(text) > len(shown) else ""
    drop = keyword("drop", [looks[number].name or number for number in text])
    them = "them" if len(text) > 1 else "it"
    return f"{where} {', '.join(shown)}{more}, and {why}{drop} leaves {them} out"


def _listed(numbers: Sequence[int], looks: Sequence[Look]) -> str:
    shown = ", ".join(called(number, looks) for number in numbers[:_SHOWN_NAMES])
    more = f" and {len(numbers) - _SHOWN_NAMES} more" if len(numbers) > _SHOWN_NAMES else ""
    return f"column{'s' if len(numbers) > 1 else ''} {shown}{more}"
