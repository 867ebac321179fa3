"""Weights of sequences: exact thresholds, and the definitions of seven packages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmonium import datasets, kernels
from harmonium.datasets import from_array, from_sequences, sequence_weights
from harmonium.kernels import reference
from harmonium.rng import Lane

# Five sites, of which four are exactly 80 %. Sequences 0 and 2 are copies, 1 differs from them in
# one site; 4 is part of 3; 5 and 6 share nothing but gaps.
SEVEN = ["AAAAA", "AAAAC", "AAAAA", "CCCCC", "CCC--", "D----", "E----"]

BY_HAND = {
    # 0, 1 and 2 are alike, and so are 5 and 6, by four gaps
    "harmonium": [1 / 3, 1 / 3, 1 / 3, 1, 1, 1 / 2, 1 / 2],
    "rbms": [1 / 3, 1 / 3, 1 / 3, 1, 1, 1 / 2, 1 / 2],
    # exactly 80 % is not enough: the copies alone are alike
    "adabmdca": [1 / 2, 1, 1 / 2, 1, 1, 1, 1],
    "pydca": [1 / 2, 1, 1 / 2, 1, 1, 1, 1],
    "dcautils": [1 / 2, 1, 1 / 2, 1, 1, 1, 1],
    # and copies do not count
    "pgm": [1, 1, 0, 1, 1, 1, 1],
    # all three letters of 4 are those of 3, but 3 has five
    "evcouplings": [1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1, 1],
    "eve": [1 / 2, 1, 1 / 2, 1, 1 / 2, 1, 1],
}


@pytest.mark.parametrize("definition", BY_HAND)
def test_weights_are_those_computed_by_hand(definition: str) -> None:
    data = from_sequences(SEVEN, alphabet="protein")
    weights = sequence_weights(data, definition=definition)  # type: ignore[arg-type]
    assert weights.dtype == torch.float64
    assert weights.tolist() == BY_HAND[definition]


def test_gaps_and_copies_may_not_count() -> None:
    data = from_sequences(SEVEN, alphabet="protein")
    assert sequence_weights(data, gaps=False).tolist() == BY_HAND["evcouplings"]
    without = sequence_weights(data, duplicates=False).tolist()
    assert without == [1 / 2, 1 / 2, 0, 1, 1, 1 / 2, 1 / 2]


def test_a_distance_is_rounded_down_by_one_package() -> None:
    # 20 % of six sites are 1.2: one difference is allowed, but not below ⌊1.2⌋
    data = from_sequences(["AAAAAA", "AAAAAC"])
    assert sequence_weights(data).tolist() == [0.5, 0.5]
    assert sequence_weights(data, definition="adabmdca").tolist() == [0.5, 0.5]
    assert sequence_weights(data, definition="dcautils").tolist() == [1, 1]


def test_a_sequence_of_gaps_alone_is_like_none() -> None:
    data = from_sequences(["-----", "-----", "AAAAA"], alphabet="protein")
    assert sequence_weights(data).tolist() == [0.5, 0.5, 1]
    assert sequence_weights(data, gaps=False).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("n_sites", "percent"),
    [(n, p) for n in (5, 10, 15, 35, 70, 95, 100) for p in (70, 80, 90, 95) if n * p % 100 == 0],
)
def test_the_threshold_is_exact(n_sites: int, percent: int) -> None:
    """Where a share of the sites is whole, that many equal letters are enough, and one less not."""
    needed = percent * n_sites // 100
    first = "A" * n_sites
    enough = "A" * needed + "C" * (n_sites - needed)
    fewer = "C" + enough[1:]
    data = from_sequences([first, enough, fewer], alphabet="dna")
    weights = sequence_weights(data, percent / 100)
    assert weights[0] == 0.5
    stricter = sequence_weights(data, percent / 100, definition="adabmdca")
    assert stricter[0] == 1


def by_brute_force(values: np.ndarray, needs: np.ndarray, ignored: int | None = None) -> list[int]:
    counts = []
    for i, row in enumerate(values):
        equal = ((values == row) & (row != ignored if ignored is not None else True)).sum(1)
        near = equal >= needs[i]
        near[i] = False
        counts.append(int(near.sum()))
    return counts


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (700, 5), (600, 33), (1100, 100), (530, 300)])
@pytest.mark.parametrize("ignored", [None, 2])
def test_kernels_count_neighbours(shape: tuple[int, int], ignored: int | None) -> None:
    stream = Lane.CHECKED.stream(7)
    draws = kernels.uniform(shape, stream)
    # families of rows, so that there are pairs on both sides of any threshold
    values = (draws * 3).byte()
    values[1::2] = torch.where(draws[1::2] < 0.8, values[::2][: len(values) // 2], values[1::2])
    needs = (kernels.uniform((shape[0], 1), stream)[:, 0] * (shape[1] + 2)).long()
    found = kernels.neighbours(values, needs, ignored)
    assert found.tolist() == by_brute_force(values.numpy(), needs.numpy(), ignored)
    assert torch.equal(found, reference.neighbours(values, needs, ignored))


def test_threads_change_nothing() -> None:
    values = (kernels.uniform((1500, 20), Lane.CHECKED.stream(3)) * 2).byte()
    needs = torch.full((1500,), 14)
    n_threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = kernels.neighbours(values, needs)
        torch.set_num_threads(2)
        assert torch.equal(kernels.neighbours(values, needs), alone)
    finally:
        torch.set_num_threads(n_threads)
    assert 0 < int(alone.sum()) < 1500 * 1499


def test_rows_of_zeros_and_ones_can_be_alike() -> None:
    data = from_array([[0, 1, 1, 0, 1], [0, 1, 1, 1, 1], [1, 0, 0, 1, 0]])
    assert datasets.sequence_weights(data).tolist() == [0.5, 0.5, 1]


def test_what_has_no_such_weights_is_refused() -> None:
    data = from_sequences(SEVEN, alphabet="protein")
    for identity in (0.0, 1.5, -1):
        with pytest.raises(ValueError, match=r"identity is .*; pass a share above 0, up to 1"):
            sequence_weights(data, identity)
    with pytest.raises(ValueError, match="definition is 'mine'; pass one of harmonium, rbms"):
        sequence_weights(data, definition="mine")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="gaps=False is another definition than 'pydca'"):
        sequence_weights(data, gaps=False, definition="pydca")
    with pytest.raises(ValueError, match="has no gaps to leave out"):
        sequence_weights(from_sequences(["HP", "PP"], alphabet="HP"), gaps=False)
    with pytest.raises(ValueError, match="holds no categories of one byte"):
        sequence_weights(from_array([[0.5, 1.0]]))
    with pytest.raises(ValueError, match=r"values are torch.int64 of shape \(2, 2\)"):
        kernels.neighbours(torch.zeros(2, 2, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ValueError, match="values go up to 255; pass numbers below 254"):
        kernels.neighbours(torch.full((2, 2), 255).byte(), torch.zeros(2, dtype=torch.int64))
