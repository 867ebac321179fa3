"""Weights and names of rows in `Data`: checks, and how they go where their rows go."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium.datasets import Data, Minibatches, OneHot, Scaled, from_array, join_parts
from harmonium.datasets.row_names import RowNames

N = 12


def weighted(weights: Tensor | None = None) -> Data:
    """Rows that tell by value, label, target, weight and name which they are."""
    number = torch.arange(N, dtype=torch.float32)
    return Data(
        "told",
        torch.stack([number, number % 2], 1),
        labels=torch.arange(N) % 2,
        targets=number.unsqueeze(1),
        columns=("number", "parity"),
        parts={"train": range(5), "validation": range(5, 8), "test": range(8, N)},
        weights=number.double() + 1 if weights is None else weights,
        row_names=[f"row {int(n)}" for n in number],
    )


def fits(data: Data, column: int = 0) -> bool:
    """Whether each row has its own weight and name."""
    assert data.weights is not None and data.row_names is not None
    number = data.values[:, column].double()
    return (
        torch.equal(data.weights, number + 1)
        and list(data.row_names) == [f"row {int(n)}" for n in number]
        and [data.row_names[i] for i in range(len(data))] == list(data.row_names)
    )


@pytest.mark.parametrize(
    "derive",
    {
        "itself": lambda data: [data],
        "part": lambda data: [data.part("validation")],
        "join": lambda data: [data.join("validation", "test")],
        "split": Data.split,
        "random": lambda data: data.split_randomly(0.3, seed=4),
        "random in place": lambda data: data.split_randomly_(0.3, seed=4),
        "drawn": lambda data: [data.draw_rows(5, seed=1)],
        "drawn and split": lambda data: data.draw_rows(9, seed=1).split_randomly_(0.3),
        "moved": lambda data: [data.to("cpu")],
        "selected": lambda data: [data.select("number")],
        "labelled": lambda data: [data.join_labels()],
        "encoded": lambda data: [data.with_encoding(Scaled(0, 11))],
        "standardised": lambda data: [data.standardize()],
        "one-hot": lambda data: [data.one_hot(12)],
        "binary": lambda data: [data.as_pictures(1, 2, white=11).binarize()],
        "random states": lambda data: [data.as_pictures(1, 2, 11).binarize_stochastically()],
        "spins": lambda data: [data.as_pictures(1, 2, white=11).binarize().to_spins()],
    }.items(),
    ids=lambda item: item[0],
)
def test_weights_and_names_go_where_their_rows_go(derive: tuple[str, Any]) -> None:
    for derived in derive[1](weighted()):
        assert fits(derived)


def test_rows_that_were_one_hot_keep_weights_and_names() -> None:
    states = torch.eye(3)[[0, 2, 1]].repeat(1, 2)
    data = Data("hot", states, weights=torch.arange(3.0).double(), row_names=["a", "b", "c"])
    numbers = data.from_one_hot()
    assert numbers.weights is not None and numbers.weights.tolist() == [0, 1, 2]
    assert list(numbers.row_names or ()) == ["a", "b", "c"]


def test_what_shares_memory_is_reordered_together() -> None:
    data = weighted()
    other = data.with_encoding(Scaled(0, 11))
    part = data.join("train", "validation", "test")
    data.split_randomly_(0.4, seed=2)
    assert fits(data) and fits(other) and fits(part)
    assert data.values[:, 0].tolist() != list(range(N))


def test_files_are_joined_with_their_weights_and_names() -> None:
    train, _, test = weighted().split()
    assert fits(join_parts({"train": train, "test": test}))
    bare = dataclasses.replace(test, weights=None, row_names=None)
    joined = join_parts({"train": train, "test": bare})
    assert joined.weights is not None and joined.weights.tolist() == [1, 2, 3, 4, 5, 1, 1, 1, 1]
    assert list(joined.row_names or ())[5:] == ["0", "1", "2", "3"]
    neither = dataclasses.replace(train, weights=None, row_names=None)
    joined = join_parts({"train": neither, "test": bare})
    assert joined.weights is None and joined.row_names is None


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3).double(), r"told has 12 rows, but weights of shape \(3,\)"),
        (torch.zeros(N).double(), "all 12 weights of told are 0"),
        (-torch.arange(N).double(), r"11 weights of told are negative .* row 1 .*: -1"),
        (torch.full((N,), float("nan")).double(), "12 weights of told are negative or not finite"),
        (torch.full((N,), float("inf")).double(), "12 weights of told are negative or not finite"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        weighted(weights)


@pytest.mark.parametrize("weights", [torch.ones(N), torch.ones(N).long(), [1.0] * N])
def test_weights_of_another_type_are_refused(weights: Any) -> None:
    with pytest.raises(TypeError, match="weights of told are"):
        weighted(weights)


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["a"] * 3, ValueError, "told has 12 rows, but 3 names of rows; pass one name a row"),
        ("abcdefghijkl", TypeError, "names of rows are .*; pass a sequence of strings"),
        (3, TypeError, "names of rows are .*; pass a sequence of strings"),
        (["a"] * 11 + [1], TypeError, "the name of row 11 is .*; pass a string"),
    ],
)
def test_names_that_are_none_are_refused(names: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        dataclasses.replace(weighted(), row_names=names)


@pytest.mark.parametrize("names", [["", "", ""], ["ä", "日本", ""], ["\udce4", "a" * 1000, "b"]])
def test_names_come_back_as_they_were(names: Sequence[str]) -> None:
    held = RowNames.of(names)
    assert list(held) == list(names) == [held[0], held[1], held[-1]]
    assert list(held[1:]) == list(names[1:])
    assert list(held[::-1]) == list(names[::-1])
    assert names[1] in held and held.index(names[1]) == list(names).index(names[1])
    with pytest.raises(IndexError):
        held[3]


def test_many_names_take_half_as_much_as_a_tuple_of_them() -> None:
    names = [f"A0A0B4J2F2_HUMAN/{n:08}" for n in range(100_000)]
    held = RowNames.of(names)
    of_tuple = sum(map(sys.getsizeof, names)) + 8 * len(names)
    assert sum(x.nbytes for x in (held.text, held.ends, held.order)) < 0.51 * of_tuple
    assert held.take(torch.arange(10)).text.data_ptr() == held.text.data_ptr()


def test_the_effective_number_of_rows() -> None:
    assert weighted().effective_rows == pytest.approx(78**2 / 650)
    assert weighted(torch.full((N,), 0.5).double()).effective_rows == N
    assert dataclasses.replace(weighted(), weights=None).effective_rows == N
    one = torch.zeros(N).double()
    one[3] = 7
    assert weighted(one).effective_rows == 1


def test_weights_change_the_fingerprint_and_names_do_not() -> None:
    data = weighted()
    bare = dataclasses.replace(data, weights=None)
    known = "b8be8231dd4e26db43d28f1ab0b40d0c46e68316b0958cd52b14f34f0879d7e9"
    assert bare.fingerprint() == known
    assert dataclasses.replace(bare, row_names=None).fingerprint() == bare.fingerprint()
    assert data.fingerprint() != bare.fingerprint()
    assert weighted(torch.ones(N).double()).fingerprint() != data.fingerprint()
    assert weighted().fingerprint() == data.fingerprint()


def test_batches_take_the_weights_of_the_data_unless_told_otherwise() -> None:
    batches = Minibatches(weighted(), 5)
    for update in range(6):
        came = batches.weights(update, seed=3)
        assert came is not None
        number = batches.batch(update, seed=3)[:, 0].double()
        torch.testing.assert_close(came, (number + 1) / 6.5, rtol=1e-15, atol=0)
    other = Minibatches(weighted(), 5, torch.ones(N).double())
    assert torch.equal(other.weights(0, 3), torch.ones(5).double())  # type: ignore[arg-type]
    equal = weighted(torch.full((N,), 2.5).double())
    assert Minibatches(equal, 5).weights(0, seed=3) is None


def test_rows_of_weight_0_are_in_no_batch() -> None:
    weights = torch.tensor([0.0, 2.0, 1.0] * 4).double()
    batches = Minibatches(weighted(weights), 3)
    assert len(batches) == 3  # of 8 rows
    seen = [batches.batch(update, seed=1)[:, 0] for update in range(3)]
    came = [batches.weights(update, seed=1) for update in range(3)]
    numbers = torch.cat(seen).long()
    assert numbers.sort().values.tolist() == [1, 2, 4, 5, 7, 8, 10, 11]
    torch.testing.assert_close(torch.cat(came), weights[numbers] / 1.5)  # type: ignore[arg-type]
    message = "batch_size is 9, but told has 8 training rows of a weight above 0; pass 1 to 8"
    with pytest.raises(ValueError, match=message):
        Minibatches(weighted(weights), 9)


@pytest.mark.parametrize(
    "encode",
    [
        lambda data: data,
        lambda data: data.standardize(),
        lambda data: data.with_encoding(OneHot(12)),
        lambda data: data.as_pictures(1, 2, white=11).binarize_stochastically(),
        lambda data: data.join_labels(),
    ],
    ids=["values", "standardised", "one-hot", "random states", "labelled"],
)
def test_moments_are_those_of_repeated_rows(encode: Any) -> None:
    weights = torch.tensor([0, 1, 2, 3] * 3)
    data = dataclasses.replace(weighted(), weights=weights.double())
    again = torch.arange(N).repeat_interleave(weights)
    repeated = Data("again", data.values[again], labels=again % 2)
    for one, other in zip(encode(data).moments(), encode(repeated).moments(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-12)


def test_equal_weights_change_no_bit_of_the_moments() -> None:
    data = from_array(np.random.default_rng(0).normal(size=(50, 3)))
    equal = dataclasses.replace(data, weights=torch.full((50,), 0.3).double())
    for one, other in zip(data.moments(), equal.moments(), strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(data.moments(), data.moments(torch.ones(50)))


def test_weights_and_names_of_an_array() -> None:
    data = from_array(np.eye(3), weights=[1, 2, 0], row_names=np.array(["a", "b", "c"]))
    assert data.weights is not None and data.weights.dtype == torch.float64
    assert data.weights.tolist() == [1, 2, 0] and list(data.row_names or ()) == ["a", "b", "c"]
    own = np.array([0.5, 1.5, 1.0])
    held = from_array(np.eye(3), weights=own).weights
    own[0] = 9
    assert held is not None and held.tolist() == [0.5, 1.5, 1.0]
    with pytest.raises(TypeError, match="weights holds text"):
        from_array(np.eye(3), weights=["a", "b", "c"])
    with pytest.raises(ValueError, match=r"array has 3 rows, but weights of shape \(2,\)"):
        from_array(np.eye(3), weights=[1, 2])
    with pytest.raises(ValueError, match="array has 3 rows, but 1 names of rows"):
        from_array(np.eye(3), row_names=["a"])
