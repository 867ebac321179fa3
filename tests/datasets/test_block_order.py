"""Shuffling by blocks: every row once an epoch, a function of seed and epoch, in bounded memory."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, Minibatches, load, mapped
from harmonium.datasets.block_order import BlockOrder


@pytest.mark.parametrize(
    ("n", "block", "together"), [(100, 7, 3), (98, 7, 2), (5, 9, 4), (64, 1, 8)]
)
def test_every_row_comes_once_an_epoch(n: int, block: int, together: int) -> None:
    order = BlockOrder(torch.empty(n, 1), block, together)
    seen = set()
    for epoch in range(4):
        ends = [*range(0, n, 11), n]
        rows = torch.cat([order.rows(epoch, 3, a, b) for a, b in pairwise(ends)])
        assert rows.sort().values.tolist() == list(range(n))
        seen.add(tuple(rows.tolist()))
    assert len(seen) == 4


def test_any_place_can_be_asked_for_directly() -> None:
    one, other = (BlockOrder(torch.empty(1000, 1), 13, 5) for _ in range(2))
    forward = [one.rows(2, 9, start, start + 50) for start in range(0, 1000, 50)]
    backward = [other.rows(2, 9, start, start + 50) for start in reversed(range(0, 1000, 50))]
    assert all(map(torch.equal, forward, reversed(backward)))


def test_rows_of_a_group_are_mixed_and_come_from_blocks_all_over_the_file() -> None:
    order = BlockOrder(torch.empty(100_000, 1), 100, 50)
    rows = order.rows(0, 1, 0, 5000)
    assert len((rows // 100).unique()) == 50
    # a shuffled order has a mean step of a third of its span, within 5 standard errors
    within = torch.searchsorted((rows // 100).unique(), rows // 100)
    steps = within.diff().abs().double()
    assert abs(steps.mean() - 50 / 3) < 5 * steps.std() / len(steps) ** 0.5
    assert (rows // 100).unique().double().mean().sub(500).abs() < 5 * 1000 / 12**0.5 / 50**0.5


def numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buffer: int) -> Data:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(mapped, "BUFFER_BYTES", buffer)
    monkeypatch.setattr("harmonium.datasets.block_order.BLOCK_BYTES", 40)
    np.save(tmp_path / "rows.npy", np.arange(300, dtype=np.float32)[:, None])
    return load(tmp_path / "rows.npy", on_disk=True)


def test_minibatches_of_rows_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = Minibatches(numbered(tmp_path, monkeypatch, 400), 32)
    for epoch in range(2):
        drawn = [batches.batch(epoch * len(batches) + i, seed=1) for i in range(len(batches))]
        assert torch.cat(drawn).flatten().sort().values.tolist() == list(range(300))
    fresh = Minibatches(load(tmp_path / "rows.npy", on_disk=True), 32)
    assert torch.equal(fresh.batch(13, seed=1), batches.batch(13, seed=1))
    assert batches.rows(3, 1).tolist() == batches.batch(3, 1).flatten().tolist()


def test_rows_that_fit_the_buffer_are_shuffled_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_disk = Minibatches(numbered(tmp_path, monkeypatch, 1200), 32)
    in_memory = Minibatches(load(tmp_path / "rows.npy", on_disk=False), 32)
    for update in (0, 5, 17):
        assert torch.equal(on_disk.batch(update, 2), in_memory.batch(update, 2))


def test_rows_of_weight_0_on_disk_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = numbered(tmp_path, monkeypatch, 400)
    weights = torch.ones(300)
    weights[4] = 0
    with pytest.raises(ValueError, match=r"299 of the 300 rows of rows.npy have a weight above 0"):
        Minibatches(data, 10, weights)


def test_a_change_of_the_file_is_found_while_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = Minibatches(numbered(tmp_path, monkeypatch, 400), 100)
    batches.batch(0, 1)
    with (tmp_path / "rows.npy").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="has changed while its rows were in use"):
        batches.batch(1, 1)
