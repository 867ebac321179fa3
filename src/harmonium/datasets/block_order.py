"""The order of the rows of an epoch where rows lie on disk: shuffled block by block.

Blocks of neighbouring rows come in random order. As many as fit the buffer are taken together, and
their rows come in random order. So each row comes once an epoch, in an order that only seed and
epoch decide, and memory holds one buffer of rows and one number a block.
"""

from __future__ import annotations

from bisect import bisect_right

import torch
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.kernels import permutation
from harmonium.rng import Lane

BLOCK_BYTES = 1 << 18
"""Rows that are read in one go: enough for a disk, and few enough to mix well."""


class BlockOrder:
    """The rows of each epoch, in groups of blocks.

    Parameters
    ----------
    values
        All rows, shape (n_rows, n).
    block, together
        Rows of a block, and blocks that are shuffled together.
    """

    def __init__(self, values: Tensor, block: int, together: int) -> None:
        self.values, self.block, self.together = values, block, together
        self.n_rows = len(values)
        self.n_blocks = -(-self.n_rows // block)
        self.n_groups = -(-self.n_blocks // together)
        self._blocks: tuple[tuple[int, int], Tensor] | None = None
        self._begins: list[int] = []
        self._groups: dict[tuple[int, int, int], Tensor] = {}

    @classmethod
    def of(cls, values: Tensor) -> BlockOrder:
        """The order for these rows, by their bytes."""
        row = values[:1].nbytes
        block = max(1, BLOCK_BYTES // row)
        return cls(values, block, max(1, mapped.BUFFER_BYTES // (block * row)))

    def rows(self, epoch: int, seed: int, start: int, stop: int) -> Tensor:
        """The numbers of the rows from one place of an epoch to another, int64."""
        starts = self._starts(epoch, seed)
        first, last = (bisect_right(starts, place) - 1 for place in (start, stop - 1))
        parts = []
        for number in range(first, last + 1):
            begin = starts[number]
            rows = self._group(epoch, seed, number)
            parts.append(rows[max(0, start - begin) : stop - begin])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _starts(self, epoch: int, seed: int) -> list[int]:
        """Where each group begins in the epoch; one of them has the last block, which is short."""
        self._order(epoch, seed)
        return self._begins

    def _order(self, epoch: int, seed: int) -> Tensor:
        if self._blocks is None or self._blocks[0] != (epoch, seed):
            order = permutation(self.n_blocks, Lane.EPOCH.stream(seed, epoch))
            starts = torch.arange(self.n_groups) * (self.block * self.together)
            place = int((order == self.n_blocks - 1).nonzero()[0, 0])
            starts[place // self.together + 1 :] -= self.n_blocks * self.block - self.n_rows
            self._blocks, self._begins = ((epoch, seed), order), starts.tolist()
        return self._blocks[1]

    def _group(self, epoch: int, seed: int, number: int) -> Tensor:
        """The rows of a group; this one and the one before it are kept."""
        key = epoch, seed, number
        if key not in self._groups:
            now, soon = (self._blocks_of(epoch, seed, each) for each in (number, number + 1))
            numbers = (now[:, None] * self.block + torch.arange(self.block)).flatten()
            numbers = numbers[numbers < self.n_rows]
            stream = Lane.BLOCKS.stream(seed, epoch * self.n_groups + number)
            before = list(self._groups.items())[-1:]
            self._groups = {**dict(before), key: numbers[permutation(len(numbers), stream)]}
            mapped.hold(self.values, self.block, now, soon)
        return self._groups[key]

    def _blocks_of(self, epoch: int, seed: int, number: int) -> Tensor:
        """The blocks of a group; none after the last one."""
        return self._order(epoch, seed)[number * self.together : (number + 1) * self.together]
