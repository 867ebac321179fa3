"""The model of ratings against its definition: enumerated probabilities and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chi2

from harmonium.kernels import Rated
from harmonium.ratings import RatingRBM
from harmonium.ratings.state import contrast_
from harmonium.rng import Lane
from small_ratings import KINDS, PAIRS, ROWS, SCALE, log_p, model, rated, rows_of, states

NAMES = ["-".join(str(value) for value in kind.values()) for kind in KINDS]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=NAMES)


def in_float64(rbm: RatingRBM) -> dict[str, torch.Tensor]:
    named = rbm.named_parameters()
    return {name: each.detach().double().requires_grad_() for name, each in named}


def with_levels(row: Rated, levels: torch.Tensor) -> Rated:
    return Rated(row.starts, row.columns, levels, row.n_columns)


def free_energies(rbm: RatingRBM, row: Rated, pairs: Rated) -> torch.Tensor:
    """Of all states of one row."""
    exposure = rbm.exposure(pairs)
    found = [
        rbm.free_energy(with_levels(row, levels), exposure) for levels in states(len(row.columns))
    ]
    return torch.cat(found)


@each_kind
def test_a_free_energy_is_that_of_the_definition(kind: dict[str, Any]) -> None:
    rbm = model(**kind)
    parts, rows, known = in_float64(rbm), rows_of(ROWS), rows_of(PAIRS)
    energies = rbm.free_energy(ROWS, rbm.exposure(PAIRS))
    for number, (row, pairs) in enumerate(zip(rows, known, strict=True)):
        index = torch.tensor([number])
        log_z = (-free_energies(rbm, ROWS.take(index), PAIRS.take(index))).logsumexp(0)
        expected = log_p(rbm, parts, row, sorted(pairs))
        assert float(-energies[number] - log_z) == pytest.approx(expected.item(), abs=1e-5)


@each_kind
def test_a_predicted_rating_has_the_enumerated_probability(kind: dict[str, Any]) -> None:
    rbm = model(1, **kind)
    parts = in_float64(rbm)
    inputs = rbm.inputs_h_from_v(ROWS, rbm.exposure(PAIRS))
    for number, (row, pairs) in enumerate(zip(rows_of(ROWS), rows_of(PAIRS), strict=True)):
        for column in range(4):
            others = {c: level for c, level in row.items() if c != column}
            known = sorted(pairs)
            logs = [
                log_p(rbm, parts, others | {column: level}, known) for level in range(len(SCALE))
            ]
            wanted = torch.stack(logs).softmax(0)
            asked = torch.tensor([number]), torch.tensor([column])
            own = torch.tensor([row[column]]) if column in row else None
            found = rbm.probabilities(inputs, *asked, own)[0]
            torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@each_kind
def test_the_gradient_is_that_of_the_observed_log_likelihood(kind: dict[str, Any]) -> None:
    """With the chains of one sweep replaced by all states of each row, at their probabilities."""
    rbm = model(2, **kind)
    parts = in_float64(rbm)
    rows, known = rows_of(ROWS), rows_of(PAIRS)
    loss = -sum(log_p(rbm, parts, r, sorted(p)) for r, p in zip(rows, known, strict=True))
    loss.backward()  # type: ignore[union-attr]
    total = {name: torch.zeros_like(each) for name, each in rbm.named_parameters()}
    for number in range(ROWS.n_rows):
        index = torch.tensor([number])
        row, pairs = ROWS.take(index), PAIRS.take(index)
        exposure = rbm.exposure(pairs)
        observed = torch.sigmoid(rbm.inputs_h_from_v(row, exposure))
        weights = (-free_energies(rbm, row, pairs)).softmax(0)
        for levels, p in zip(states(len(row.columns)), weights.tolist(), strict=True):
            chain = with_levels(row, levels)
            hidden = torch.sigmoid(rbm.inputs_h_from_v(chain, exposure))
            contrast_(rbm, (row, observed), (chain, hidden), pairs, p)
            for name, each in rbm.named_parameters():
                assert each.grad is not None
                total[name] += each.grad
    for name, part in parts.items():
        assert part.grad is not None
        torch.testing.assert_close(total[name].double(), part.grad, atol=2e-5, rtol=1e-4)


@each_kind
def test_a_sweep_leaves_the_distribution_of_a_row_as_it_is(kind: dict[str, Any]) -> None:
    rbm, n = model(3, **kind), 20_000
    row, pairs = rated([{0: 0, 1: 0, 3: 0}]), rated([{0: 0, 1: 0, 3: 0}])
    p = (-free_energies(rbm, row, pairs)).softmax(0)
    draw = torch.Generator().manual_seed(5)
    drawn = torch.multinomial(p, n, replacement=True, generator=draw)
    many, known = (each.take(torch.zeros(n, dtype=torch.int64)) for each in (row, pairs))
    chains = with_levels(many, states(3)[drawn].reshape(-1))
    exposure = rbm.exposure(known)
    stream = Lane.CHAINS.stream(11)
    hidden = torch.sigmoid(rbm.inputs_h_from_v(chains, exposure))
    binary = (torch.rand(hidden.shape, generator=draw) < hidden).float()
    moved, inputs = rbm.sweep(binary, chains, exposure, stream)
    torch.testing.assert_close(inputs, rbm.inputs_h_from_v(moved, exposure))
    code = (moved.levels.view(n, 3) * torch.tensor([9, 3, 1])).sum(1)
    counts = code.bincount(minlength=27).double()
    expected = n * p
    rare = expected < 5  # states of which there are too few for the test count as one
    counts = torch.cat([counts[~rare], counts[rare].sum()[None]])
    expected = torch.cat([expected[~rare], expected[rare].sum()[None]])
    statistic = float(((counts - expected).square() / expected.clamp_min(1)).sum())
    assert statistic < chi2.isf(1e-6, len(counts) - 1)
    assert not torch.equal(moved.levels, chains.levels)


def test_more_pairs_than_ratings_change_the_prediction() -> None:
    rbm = model(4, conditional=True)
    own, more = rated([{0: 0}]), rated([{0: 0, 2: 0}])
    row = rated([{0: 2}])
    found = [
        rbm.probabilities(
            rbm.inputs_h_from_v(row, rbm.exposure(pairs)), torch.tensor([0]), torch.tensor([2])
        )
        for pairs in (own, more)
    ]
    assert not torch.allclose(found[0], found[1])


def test_biases_begin_at_the_frequencies_of_levels() -> None:
    rbm = RatingRBM(SCALE, 4, 2).init_from_data_(ROWS, seed=3)
    share = rbm.bias.softmax(1)
    counts = torch.zeros(4, 3)
    for row in rows_of(ROWS):
        for column, level in row.items():
            counts[column, level] += 1
    of_all = (counts.sum(0) + 1 / 3) / (counts.sum() + 1)
    wanted = (counts + 5 * of_all) / (counts.sum(1, keepdim=True) + 5)
    torch.testing.assert_close(share, wanted)
    assert rbm.weights.std() > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"scale": (1, 1, 2)}, "ascending order"),
        ({"scale": (3,)}, "pass 2 to 100"),
        ({"n_hidden": 0}, "n_hidden is 0; pass 1 or more"),
        ({"level_weights": "cubic"}, "pass 'linear' or 'free'"),
        ({"rank": 2, "conditional": False}, "leave one of them out"),
    ],
)
def test_a_model_that_cannot_be_is_refused(arguments: dict[str, Any], told: str) -> None:
    chosen: dict[str, Any] = {"scale": SCALE, "n_columns": 4, "n_hidden": 2, **arguments}
    with pytest.raises(ValueError, match=told):
        RatingRBM(**chosen)
