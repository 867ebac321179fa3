"""Files with several named arrays: finds rows, labels and targets, and the part they belong to.

This module chooses by names and shapes, for both .npz and .mat files. A reader lists its arrays,
and reads those that are needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harmonium.datasets.arrays import Arrays
from harmonium.datasets.classes import Answers, answers
from harmonium.datasets.joining import ORDER
from harmonium.datasets.reading import Column, Reading

Role = Literal["values", "labels", "targets"]

_VALUES = ("data", "x", "X", "values")  # in this order, before all others
_ROLE_WORDS: dict[str, Role] = {
    **dict.fromkeys(
        ("x", "data", "values", "images", "rows", "features", "inputs", "samples", "xs"), "values"
    ),
    **dict.fromkeys(("y", "label", "labels", "class", "classes", "ys"), "labels"),
    **dict.fromkeys(("target", "targets"), "targets"),
}
_PART_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


@dataclass(frozen=True)
class Named:
    """The meaning of an array's name."""

    key: str
    part: str | None
    role: Role | None

    @classmethod
    def of(cls, key: str) -> Named:
        """Read a name such as ``x_train``, ``trainLabels`` or ``test_data``."""
        if key in ("arr_0", "arr_1"):  # numpy.savez(file, X, y)
            return cls(key, None, "values" if key == "arr_0" else "labels")
        words = [word.lower() for word in _WORD.findall(key)]
        roles: Sequence[Role] = [_ROLE_WORDS[word] for word in words if word in _ROLE_WORDS]
        parts = [_PART_WORDS[word] for word in words if word in _PART_WORDS]
        if len(words) != len(roles) + len(parts) or len(parts) > 1 or not words:
            return cls(key, None, None)
        if len(roles) > 1:  # such as data_labels
            roles = [role for role in roles if role != "values"][:1] or roles[:1]
        return cls(key, parts[0] if parts else None, roles[0] if roles else "values")


class Archive:
    """The arrays of a file.

    Parameters
    ----------
    name
        The name of the file for messages.
    shapes
        Shapes of all arrays, by name.
    read
        Reads one array.
    """

    def __init__(
        self,
        name: str,
        shapes: Mapping[str, tuple[int, ...]],
        read: Callable[[str], NDArray[Any]],
    ) -> None:
        self.name, self.shapes, self.read = name, shapes, read
        self.named = [Named.of(key) for key in shapes]

    def arrays(self, reading: Reading) -> Arrays:
        """Rows, labels, targets and parts.

        Raises
        ------
        TypeError, ValueError
            If it is unclear which array holds the rows, or if parts do not fit together.
        """
        said = self._take_named(reading)
        if reading.array is None:
            parts = {
                named.part: named.key
                for named in self.named
                if named.part is not None and named.role == "values" and self._is_table(named.key)
            }
            if "train" in parts and len(parts) > 1:
                return self._of_parts({part: parts[part] for part in ORDER if part in parts})
            key = self._rows()
        else:
            key = self._chosen(reading.array)
        if key in said.values():
            raise ValueError(
                f"array {key!r} of {self.name} holds the rows; it cannot be their labels or "
                f"targets as well; the file holds {self._listed()}"
            )
        values, used = self.read(key), {key}
        if key == "samples" and self._is_of_chains():
            values = values.reshape(-1, values.shape[-1])
        found = self._answers(len(values) if values.ndim else 0, Named.of(key).part, used)
        notes = [f"rows: array {key}"] if len(self.shapes) > 1 else []
        return Arrays(
            values,
            found.labels,
            targets=found.targets,
            classes=found.classes,
            notes=[*notes, *found.notes, *self._left_out(used)],
            named={role: (name,) for role, name in said.items() if name in used},
        )

    def _take_named(self, reading: Reading) -> dict[str, str]:
        """Use only the arrays that the user names as labels or targets; returns them."""
        one_target = reading.target[0] if len(reading.target) == 1 else None
        said: dict[Role, Column | None] = {"labels": reading.label, "targets": one_target}
        keys = {role: key for role, key in said.items() if isinstance(key, str)}
        keys = {role: key for role, key in keys.items() if key in self.shapes}
        roles = {key: role for role, key in keys.items()}
        others = {n.key: None if n.role in keys else n.role for n in self.named}
        self.named = [Named(n.key, n.part, roles.get(n.key, others[n.key])) for n in self.named]
        return {role.removesuffix("s"): key for role, key in keys.items()}

    def _chosen(self, key: str) -> str:
        if key not in self.shapes:
            raise ValueError(f"{self.name} has no array {key!r}; it holds {self._listed()}")
        return key

    def _rows(self) -> str:
        for key in _VALUES:
            if key in self.shapes:
                return key
        of_train = [named for named in self.named if named.part in (None, "train")]
        by_name = [n.key for n in of_train if n.role == "values" and self._is_table(n.key)]
        unclear = [
            named.key
            for named in self.named
            if self._is_table(named.key) and named.role not in ("labels", "targets")
        ]
        if "arr_0" in by_name and self._is_table("arr_1") and not self._fits("arr_1", "arr_0"):
            by_name, unclear = [], ["arr_0", "arr_1"]  # two tables, of which none is an answer
        for tables in (by_name, unclear):
            if len(tables) == 1:
                return tables[0]
        raise ValueError(
            f"{self.name} holds {self._listed()}; name the array of rows one of "
            f"{', '.join(_VALUES)}, that of labels labels or y, and that of targets targets; or "
            "say which are the rows by `array`"
        )

    def _is_of_chains(self) -> bool:
        """Whether these are the samples of a model, shape (n_chains, n_samples, n_columns)."""
        shape = self.shapes["samples"]
        return len(shape) == 3 and self.shapes.get("means") == shape

    def _fits(self, key: str, rows: str) -> bool:
        return self.shapes[key][:1] == self.shapes[rows][:1]

    def _is_table(self, key: str) -> bool:
        shape = self.shapes.get(key, ())
        is_vector = len(shape) == 2 and 1 in shape and Named.of(key).role != "values"
        return len(shape) in (2, 3) and not is_vector

    def _answers(self, n_rows: int, part: str | None, used: set[str]) -> Answers:
        """Labels and targets of rows, by the names of arrays."""
        found = Answers()
        for role in ("labels", "targets"):
            candidates = [
                named.key
                for named in self.named
                if named.role == role and named.part in (part, None if part else "train")
            ]
            # an array that numpy.savez called arr_1 may be anything
            candidates = [
                key for key in candidates
                if key != "arr_1" or self.shapes[key][:1] == (n_rows,)
            ]  # fmt: skip
            for key in sorted(candidates, key=lambda key: key not in ("labels", "y")):
                one = answers(self.read(key), role == "targets" and key != "target", key)
                if (one.labels is not None and found.labels is not None) or (
                    one.targets is not None and found.targets is not None
                ):
                    continue
                used.add(key)
                found = found.with_(one)
        return found

    def _of_parts(self, keys: Mapping[str, str]) -> Arrays:
        tables = {part: self.read(key) for part, key in keys.items()}
        shapes = {table.shape[1:] for table in tables.values()}
        if len(shapes) > 1:
            raise ValueError(
                f"the parts of {self.name} have rows of different shapes: {self._listed()}; pass "
                "one of them by `array`"
            )
        used = set(keys.values())
        found = {part: self._answers(len(table), part, used) for part, table in tables.items()}
        notes = [f"{part} rows: array {key}" for part, key in keys.items()]
        for what in ("labels", "targets"):
            there = [part for part in keys if getattr(found[part], what) is not None]
            if there and len(there) < len(keys):
                without = ", ".join(part for part in keys if part not in there)
                notes.append(f"{what} are not used: the {without} rows have none")
        parts: dict[str, range] = {}
        start = 0
        for part, table in tables.items():
            parts[part] = range(start, start := start + len(table))
        joined = Answers.joined([found[part] for part in keys])
        values = list(tables.values())
        dtype = np.result_type(*values)
        return Arrays(
            np.concatenate([table.astype(dtype, copy=False) for table in values]),
            joined.labels,
            parts=parts,
            targets=joined.targets,
            classes=joined.classes,
            notes=[*notes, *joined.notes, *self._left_out(used)],
        )

    def _left_out(self, used: set[str]) -> Sequence[str]:
        unused = [key for key in self.shapes if key not in used]
        if not unused:
            return ()
        return (f"not used: {', '.join(f'{key} {self.shapes[key]}' for key in unused)}",)

    def _listed(self) -> str:
        return ", ".join(f"{key} {shape}" for key, shape in self.shapes.items()) or "no arrays"
