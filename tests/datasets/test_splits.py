"""Splits of rows that have labels: a share of each class, and a row of each to learn from."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmonium.datasets import Data
from harmonium.datasets.encodings import OneHot
from harmonium.kernels import permutation
from harmonium.rng import Purpose, Stream


def labelled(labels: list[int]) -> Data:
    values = torch.arange(len(labels), dtype=torch.float32).unsqueeze(1)
    return Data("mine", values, labels=torch.tensor(labels), targets=2 * values)


def held_out_of(data: Data, share: float, seed: int, stratified: bool = True) -> torch.Tensor:
    return data.split_randomly(share, seed, stratified)[1].values.flatten().long()


@given(
    st.lists(st.integers(-1, 3), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 2**64 - 1),
)
def test_every_class_stays_in_training(labels: list[int], share: float, seed: int) -> None:
    data = labelled(labels)
    train, held_out = data.split_randomly(share, seed)
    assert train.labels is not None and held_out.labels is not None
    assert len(held_out) and len(train) + len(held_out) == len(labels)
    assert held_out.labels.equal(data.labels[held_out.values.flatten().long()])
    if len(set(labels)) < len(labels):
        assert set(train.labels.tolist()) == set(labels)
        # never more rows than were asked for; fewer only where classes would lose their last row
        wanted = min(max(1, round(share * len(labels))), len(labels) - 1)
        assert len(held_out) == min(wanted, len(labels) - len(set(labels)))


@given(st.integers(0, 2**64 - 1), st.sampled_from([0.1, 0.25, 0.5]))
def test_each_class_gives_its_share(seed: int, share: float) -> None:
    labels = [0] * 80 + [1] * 40 + [2] * 20
    held_out = labelled(labels).split_randomly(share, seed)[1].labels
    assert held_out is not None
    counts = held_out.bincount(minlength=3)
    assert (counts - share * torch.tensor([80, 40, 20])).abs().max() <= 1


def test_rows_of_a_class_are_drawn_at_random() -> None:
    counts = torch.zeros(40)
    data = labelled([0, 1] * 20)
    for seed in range(400):
        counts[held_out_of(data, 0.25, seed)] += 1
    # each row is among 10 of 40 in 400 splits: 100 ± 8.7 (binomial)
    assert (counts - 100).abs().max() < 5 * 8.7


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_a_split_without_labels_takes_the_rows_it_always_took(n: int) -> None:
    plain = Data("mine", torch.arange(float(n)).unsqueeze(1))
    expected = permutation(n, Stream(7, Purpose.SPLIT))[: max(1, round(0.1 * n))]
    assert set(held_out_of(plain, 0.1, 7).tolist()) == set(expected.tolist())
    same = labelled([row % 2 for row in range(n)])
    assert held_out_of(same, 0.1, 7, stratified=False).equal(held_out_of(plain, 0.1, 7))


def test_labels_no_two_of_which_are_alike_are_no_classes() -> None:
    numbered = labelled(list(range(20)))
    assert held_out_of(numbered, 0.1, 3).equal(held_out_of(numbered, 0.1, 3, stratified=False))


@given(st.lists(st.integers(0, 3), min_size=2, max_size=60), st.integers(0, 2**64 - 1))
def test_a_split_in_place_is_the_same_split(labels: list[int], seed: int) -> None:
    expected = labelled(labels).split_randomly(0.3, seed)
    parts = labelled(labels).split_randomly_(0.3, seed)
    for part, of_copies in zip(parts, expected, strict=True):
        assert set(part.values.flatten().tolist()) == set(of_copies.values.flatten().tolist())
        assert part.labels is not None
        assert part.labels.equal(torch.tensor(labels)[part.values.flatten().long()])


def alignment(letters: list[int]) -> Data:
    values = torch.tensor([[letter, letter % 3] for letter in letters], dtype=torch.uint8)
    return Data("mine", values, OneHot(21, letters="ACDEFGHIKLMNPQRSTVWY-"))


@given(
    st.lists(st.integers(0, 20), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 2**64 - 1),
)
def test_copies_of_a_sequence_stay_together(letters: list[int], share: float, seed: int) -> None:
    train, held_out = alignment(letters).split_randomly(share, seed)
    assert sorted(letters) == sorted(
        (*train.values[:, 0].tolist(), *held_out.values[:, 0].tolist())
    )
    different = len(set(letters))
    if different > 1:
        apart = set(held_out.values[:, 0].tolist())
        assert not apart & set(train.values[:, 0].tolist())
        assert len(apart) == min(max(1, round(share * different)), different - 1)
    else:
        assert len(held_out) and len(train)


def test_sequences_without_copies_are_split_as_other_rows_are() -> None:
    held_out = alignment(list(range(20))).split_randomly(0.25, 3)[1].values[:, 0]
    assert held_out.long().equal(held_out_of(labelled(list(range(20))), 0.25, 3))


def test_distinct_sequences_are_held_out_at_random() -> None:
    counts = torch.zeros(20)
    data = alignment([letter for letter in range(20) for _ in range(1 + letter % 4)])
    for seed in range(400):
        counts[data.split_randomly(0.25, seed)[1].values[:, 0].unique().long()] += 1
    # each is among 5 of 20 in 400 splits: 100 ± 8.7 (binomial)
    assert (counts - 100).abs().max() < 5 * 8.7
