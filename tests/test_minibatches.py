"""Minibatches: every row once an epoch, in an order that only seed and epoch decide."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from harmonium import defaults
from harmonium.datasets import Data, Minibatches, Scaled, Stochastic


def numbered(n: int) -> Data:
    """Rows that hold their own number."""
    return Data("numbered", torch.arange(n, dtype=torch.float32).unsqueeze(1))


@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (12, 4), (5, 5), (4, 1), (7, 6)])
def test_every_row_comes_once_an_epoch(n: int, batch_size: int) -> None:
    batches = Minibatches(numbered(n), batch_size)
    assert len(batches) == -(-n // batch_size)
    for epoch in range(3):
        drawn = [batches.batch(epoch * len(batches) + i, seed=1) for i in range(len(batches))]
        assert [len(batch) for batch in drawn[:-1]] == [batch_size] * (len(batches) - 1)
        assert torch.cat(drawn).flatten().sort().values.tolist() == list(range(n))


def test_the_order_is_another_in_each_epoch_and_for_each_seed() -> None:
    batches = Minibatches(numbered(50), 50)
    orders = [tuple(batches.batch(*key).flatten().tolist()) for key in ((0, 1), (1, 1), (0, 2))]
    assert len({*orders, tuple(range(50))}) == 4


def test_a_batch_depends_on_seed_and_update_alone() -> None:
    data = Data("grey", torch.arange(60, dtype=torch.uint8).reshape(20, 3), Stochastic(0, 60))
    forward, backward = Minibatches(data, 6), Minibatches(data, 6)
    first = [forward.batch(update, seed=3) for update in range(12)]
    last = [backward.batch(update, seed=3) for update in reversed(range(12))]
    for a, b in zip(first, reversed(last), strict=True):
        assert torch.equal(a, b)


def test_stochastic_binarisation_is_redrawn_every_epoch() -> None:
    n_rows, n_columns, n_epochs = 30, 40, 50
    data = Data("half", torch.full((n_rows, n_columns), 128, dtype=torch.uint8), Stochastic(0, 256))
    batches = Minibatches(data, n_rows)
    epochs = torch.stack([batches.batch(epoch, seed=4) for epoch in range(n_epochs)])
    assert not any(torch.equal(a, b) for a, b in pairwise(epochs))
    # every pixel of every row is a fair coin anew: no place of the batch is the same throughout
    mean = epochs.mean(0)
    error = 0.5 / n_epochs**0.5
    assert mean.std().item() == pytest.approx(error, rel=5 / (2 * n_rows * n_columns) ** 0.5)


def test_rows_stay_as_they_are_stored_and_come_as_states() -> None:
    values = torch.tensor([[0, 255], [51, 102]], dtype=torch.uint8)
    batches = Minibatches(Data("grey", values, Scaled(0, 255)), 2)
    batch = batches.batch(0, seed=5)
    assert batch.dtype == torch.float32
    assert sorted(map(tuple, batch.tolist())) == [(0.0, 1.0), pytest.approx((0.2, 0.4))]
    batch.zero_()
    assert batches.data.values is values
    assert values.tolist() == [[0, 255], [51, 102]]


def test_values_of_the_rows_come_with_their_states() -> None:
    data, batches = numbered(10), Minibatches(numbered(10), 4)
    labels = torch.arange(10) * 7
    for update in range(6):
        states, values = batches.batch_with(labels, update, seed=1)
        assert torch.equal(states, batches.batch(update, seed=1))
        rows = batches.rows(update, seed=1)
        assert torch.equal(states, data.rows(rows))
        assert torch.equal(values, 7 * rows)


@pytest.mark.parametrize("batch_size", [0, -1, 11])
def test_batches_that_are_empty_or_larger_than_the_data_are_refused(batch_size: int) -> None:
    message = f"batch_size is {batch_size}, but numbered has 10 training rows; pass 1 to 10"
    with pytest.raises(ValueError, match=message):
        Minibatches(numbered(10), batch_size)


def test_the_default_size_is_the_common_one() -> None:
    assert Minibatches(numbered(1000)).batch_size == defaults.BATCH_SIZE


def test_weights_come_with_their_rows_and_have_a_mean_of_one() -> None:
    weights = torch.tensor([3.0, 1.0, 1.0, 5.0, 2.0])
    batches = Minibatches(numbered(5), 2, weights)
    for update in range(6):
        rows = batches.batch(update, seed=6).flatten().long()
        came = batches.weights(update, seed=6)
        assert came is not None
        torch.testing.assert_close(came, weights[rows].double() / 2.4, rtol=1e-15, atol=0)
    assert Minibatches(numbered(5), 2).weights(0, seed=6) is None


@pytest.mark.parametrize(
    "weights", [[1.0, 2.0], [0.0, 0.0, 0.0], [1.0, -1.0, 1.0], [1.0, float("nan"), 1.0]]
)
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match=r"weights have shape \(\d,\), or are negative"):
        Minibatches(numbered(3), 2, torch.tensor(weights))
