"""`RowNames`: the names of many rows in little memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, overload

import torch
from torch import Tensor

from harmonium.arguments import described

HEADER = "row"
"""What names of rows are called where the source does not say."""

_AT_ONCE = 10_000  # names decoded at a time


class RowNames(Sequence[str]):
    """Names of rows: one UTF-8 text, where each name ends in it, and the order of the rows.

    A selection of rows shares the text, and costs 8 bytes a row. A million names of 25 characters
    take 41 MB, where a tuple of as many `str` takes 86 MB; files hold the three tensors as they
    are.

    Parameters
    ----------
    text
        All names, one after the other, in UTF-8: uint8, shape (n_bytes,).
    ends
        Where name number i starts and ends in it: int64, shape (n_names + 1,), from 0 on.
    order
        The number of the name of each row, int64, shape (n_rows,), on the CPU. It is reordered in
        place together with the rows.
    header
        What the names are called at the head of a column of them.
    """

    def __init__(self, text: Tensor, ends: Tensor, order: Tensor, header: str = HEADER) -> None:
        self.text, self.ends, self.order, self.header = text, ends, order, header

    @classmethod
    def of(cls, names: Iterable[str], header: str = HEADER) -> RowNames:
        """Store names, one for each row; `RowNames` are returned as they are.

        Raises
        ------
        TypeError
            If one of them is not a `str`, or all of them are one.
        """
        if isinstance(names, RowNames):
            return names
        if isinstance(names, str) or not isinstance(names, Iterable):
            raise TypeError(f"names of rows are {described(names)}; pass a sequence of strings")
        text, sizes = bytearray(), []
        for number, name in enumerate(names):
            if not isinstance(name, str):
                raise TypeError(f"the name of row {number} is {described(name)}; pass a string")
            encoded = name.encode(errors="surrogateescape")
            text += encoded
            sizes.append(len(encoded))
        ends = torch.tensor([0, *accumulate(sizes)])
        held = torch.frombuffer(text, dtype=torch.uint8) if text else torch.zeros(0).byte()
        return cls(held, ends, torch.arange(len(sizes)), header)

    @classmethod
    def joined(cls, parts: Sequence[RowNames]) -> RowNames:
        """The names of several sets of rows, in one order."""
        ends, order = [torch.zeros(1, dtype=torch.int64)], []
        n_bytes = n_names = 0
        for part in parts:
            ends.append(part.ends[1:] + n_bytes)
            order.append(part.order + n_names)
            n_bytes += len(part.text)
            n_names += len(part.ends) - 1
        text = torch.cat([part.text for part in parts])
        return cls(text, torch.cat(ends), torch.cat(order), parts[0].header)

    def take(self, rows: slice | Tensor) -> RowNames:
        """The names of some rows; those of a slice are reordered with these."""
        chosen = self.order[rows if isinstance(rows, slice) else rows.cpu()]
        return RowNames(self.text, self.ends, chosen, self.header)

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> RowNames: ...
    def __getitem__(self, index: int | slice) -> str | RowNames:
        """The name of one row, or the names of a slice of them."""
        if isinstance(index, slice):
            return self.take(torch.tensor(range(len(self))[index], dtype=torch.int64))
        number = int(self.order[index])
        begin, end = self.ends[number : number + 2].tolist()
        return self.text[begin:end].numpy().tobytes().decode(errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        # views of the tensors, and lists of plain numbers, are ten times as fast as single items
        held: Any = self.text.numpy()
        text = memoryview(held)
        for numbers in self.order.split(_AT_ONCE):
            begins, ends = self.ends[numbers].tolist(), self.ends[numbers + 1].tolist()
            for begin, end in zip(begins, ends, strict=True):
                yield str(text[begin:end], "utf-8", "surrogateescape")

    def __repr__(self) -> str:
        shown = ", ".join(map(repr, self[:3]))
        return f"RowNames({len(self)}: {shown}{', …' if len(self) > 3 else ''})"
