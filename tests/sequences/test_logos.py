"""Logos of hidden units, nearest sequences, frequencies and entropies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmonium import RBM
from harmonium.sequences import frequencies, logos, nearest, site_entropies, zero_sum
from harmonium.units import Binary, Categorical
from sequences.enumerated import random_model


def test_logos_are_zero_sum_weights_ordered_by_size() -> None:
    rbm = random_model(Categorical(5, 3), Binary(4), 0)
    states = torch.randint(0, 3, (7, 5), generator=torch.Generator().manual_seed(0))
    found = logos(rbm, 3, states)
    moved = zero_sum(rbm)
    weights = moved.weights.detach().reshape(5, 3, 4)
    norms = weights.square().sum((0, 1)).sqrt()
    assert [logo.unit for logo in found] == norms.argsort(descending=True)[:3].tolist()
    rows = torch.eye(3)[states].flatten(1).double()
    for logo in found:
        torch.testing.assert_close(torch.from_numpy(logo.weights), weights[:, :, logo.unit])
        assert logo.norm == pytest.approx(norms[logo.unit].item())
        inputs = rows @ moved.weights.detach()[:, logo.unit]
        torch.testing.assert_close(torch.from_numpy(logo.inputs), inputs)


def test_the_number_of_sites_that_a_unit_reads() -> None:
    rbm = RBM(Categorical(6, 3), 3).double()
    with torch.no_grad():
        weights = rbm.weights.view(6, 3, 3)
        weights[2, 0, 0] = 5.0
        weights[:, 1, 1] = 1.0
    by_unit = {logo.unit: logo for logo in logos(rbm)}
    assert by_unit[0].n_sites == pytest.approx(1) and by_unit[1].n_sites == pytest.approx(6)
    assert by_unit[2].n_sites == 0 and by_unit[2].inputs is None


def test_the_nearest_sequence_is_found_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    some, others = rng.integers(0, 4, (13, 9)), rng.integers(0, 4, (29, 9))
    expected = (some[:, None] != others).sum(-1)
    for pairs, at_once in ((1 << 20, 1 << 20), (30, 7)):
        monkeypatch.setattr("harmonium.sequences.neighbours._PAIRS", pairs)
        monkeypatch.setattr("harmonium.sequences.neighbours._OTHERS", at_once)
        found = nearest(some, others)
        np.testing.assert_array_equal(found.distances, expected.min(1))
        np.testing.assert_array_equal(found.rows, expected.argmin(1))
        own = nearest(others)
        between = (others[:, None] != others).sum(-1)
        np.fill_diagonal(between, 99)
        np.testing.assert_array_equal(own.distances, between.min(1))
        np.testing.assert_array_equal(own.rows, between.argmin(1))


def test_a_long_sequence_is_counted_beyond_a_byte() -> None:
    assert nearest(np.zeros((1, 300), int), np.ones((1, 300), int)).distances[0] == 300


def test_entropies_and_frequencies_follow_weights() -> None:
    rows = np.array([[0, 1], [1, 1], [2, 1], [2, 1]])
    np.testing.assert_allclose(frequencies(rows, 3)[0], [0.25, 0.25, 0.5])
    np.testing.assert_allclose(site_entropies(rows, 3), [1.5 * np.log(2), 0])
    np.testing.assert_allclose(frequencies(rows, 3, [1, 0, 0, 1])[0], [0.5, 0, 0.5])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nearest(np.zeros((2, 3), int), np.zeros((2, 4), int)), "pass as many"),
        (lambda: nearest(np.zeros((1, 3), int)), "no other sequence"),
        (lambda: nearest(np.zeros((2, 3))), "pass numbers of letters"),
        (lambda: nearest(np.full((2, 3), 256)), "pass 0 to 255"),
        (lambda: frequencies(np.full((2, 3), 3), 3), "holds? the letter 3"),
        (lambda: frequencies(np.zeros((2, 3), int), 3, [1]), "a weight for each"),
        (lambda: logos(RBM(Categorical(3, 3), 2), 0), "pass 1 or more"),
        (lambda: logos(RBM(Categorical(3, 3), 2), 1, torch.zeros(2, 4).long()), "has 3 sites"),
    ],
)
def test_what_does_not_fit_is_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
