"""What is missing, summed over in every exact way, is what enumeration and quadrature find."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from harmonium import RBM, imputation
from harmonium.datasets import MaskedRows
from harmonium.imputation import exact
from harmonium.imputation.clamped import ClampedRows
from harmonium.imputation.probabilities import log_normalisers
from harmonium.rng import Purpose, Stream
from harmonium.units import Binary, Categorical
from holes import WAY, Holes, by_hidden
from own_units import OWN_TYPES
from unit_types import (
    BY_NAME,
    PAIRS,
    PARTLY_GAUSSIAN,
    PARTLY_POISSON,
    UnitType,
    columns_by_unit,
    random_rbm,
    randomise_,
)

MORE = [
    (PARTLY_GAUSSIAN, BY_NAME["binary"]),
    (PARTLY_GAUSSIAN, BY_NAME["gaussian"]),
    (PARTLY_POISSON, BY_NAME["spin"]),
]
ALL = [pair for pair in [*PAIRS, *MORE] if pair[1].name != "gaussian-learned"]
every_pair = pytest.mark.parametrize(
    ("visible", "hidden"), ALL, ids=[f"{visible}-{hidden}" for visible, hidden in ALL]
)


@cache
def holes_of(visible: UnitType, hidden: UnitType) -> Holes:
    return Holes.of(visible, hidden)


@every_pair
def test_log_normalisers_are_those_of_the_oracle(visible: UnitType, hidden: UnitType) -> None:
    holes = holes_of(visible, hidden)
    clamped = ClampedRows.of(holes.rbm, holes.rows, torch.float64)
    known = {row: logsumexp(log_weights) for row, _, log_weights in holes.known}
    compared = 0
    for rows, posterior in exact.posteriors(clamped):
        if posterior is None:
            continue
        for row, value in zip(rows.tolist(), posterior.log_normalisers.tolist(), strict=True):
            if row in known:
                assert value == pytest.approx(known[row], abs=1e-10)
                compared += 1
    assert compared >= 1


@every_pair
def test_means_and_single_units_are_those_of_the_oracle(
    visible: UnitType, hidden: UnitType
) -> None:
    holes = holes_of(visible, hidden)
    clamped = ClampedRows.of(holes.rbm, holes.rows, torch.float64)
    by_unit = columns_by_unit(holes.rbm.visible)
    known = {row: (full, softmax(log_p)) for row, full, log_p in holes.known}
    for rows, posterior in exact.posteriors(clamped):
        if posterior is None:
            continue
        means = posterior.means()
        for place, row in enumerate(rows.tolist()):
            if row not in known:
                continue
            full, p = known[row]
            assert means[place].numpy() == pytest.approx(p @ full, abs=1e-9)
            for unit in holes.missing(row)[:1]:
                points = clamped.units.points(unit)
                if points is None:
                    continue
                found = posterior.of_unit(unit, points)[place].numpy()
                own = full[:, by_unit[unit]]
                for power in (1, 2):
                    moment = found @ points.states.numpy() ** power
                    assert moment == pytest.approx(p @ own**power, abs=1e-8)


@pytest.mark.parametrize("hidden", ["binary", "categorical", "mixed"])
@pytest.mark.parametrize("visible", ["binary", "categorical", "gaussian", "relu", "poisson"])
def test_both_enumerations_agree(
    visible: str, hidden: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holes = Holes.of(BY_NAME[visible], BY_NAME[hidden], sizes=(4, 5), scale=0.7)
    by_cost = log_normalisers(holes.rbm, holes.rows)
    completed = imputation.complete_rows(holes.rbm, holes.rows, 1)
    monkeypatch.setattr(*WAY, by_hidden)
    again = log_normalisers(holes.rbm, holes.rows)
    assert again.lower.tolist() == pytest.approx(by_cost.lower.tolist(), abs=1e-9)
    means = imputation.complete_rows(holes.rbm, holes.rows, 1).means
    assert means.numpy() == pytest.approx(completed.means.numpy(), abs=1e-8)


@pytest.mark.parametrize("kind", OWN_TYPES, ids=lambda kind: kind.__name__)
def test_units_of_somebody_else(kind: type) -> None:
    rbm = RBM(kind(3), Binary(2)).double()
    randomise_(rbm, 1)
    states = torch.tensor([[-1.0, 0, 2], [1, 2, 0]]).double()
    observed = torch.tensor([[True, False, False], [False, True, False]])
    found = log_normalisers(rbm, MaskedRows(states, observed))
    for row in range(2):
        tables = [torch.arange(-1, 3).double() if not seen else states[row, i : i + 1]
                  for i, seen in enumerate(observed[row])]  # fmt: skip
        every = torch.cartesian_prod(*tables)
        truth = (-rbm.free_energy(every)).logsumexp(0)
        assert float(found.lower[row]) == pytest.approx(truth.item(), abs=1e-10)


def test_units_without_weights_cost_nothing() -> None:
    """Sixty of them have 2^60 states, under hidden units that cannot be enumerated."""
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["gaussian"], sizes=(64, 3), seed=2)
    with torch.no_grad():
        rbm.weights[4:] = 0
    states = torch.zeros(1, 64, dtype=torch.float64)
    observed = torch.zeros(1, 64, dtype=torch.bool)
    found = log_normalisers(rbm, MaskedRows(states, observed))
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4)
    padded = torch.cat([every, torch.zeros(16, 60).double()], 1)
    alone = torch.nn.functional.softplus(rbm.visible.bias[4:]).sum()
    truth = (-rbm.free_energy(padded)).logsumexp(0) + alone
    assert bool(found.is_exact[0])
    assert float(found.lower[0]) == pytest.approx(truth.item(), abs=1e-10)
    means = imputation.complete_rows(rbm, MaskedRows(states, observed), 3).means
    assert means[0, 4:].tolist() == pytest.approx(rbm.visible.bias[4:].sigmoid().tolist())


@pytest.mark.parametrize("visible", ["binary", "gaussian", "categorical", "poisson", "mixed"])
def test_what_stands_at_missing_places_is_not_read(visible: str) -> None:
    holes = Holes.of(BY_NAME[visible], BY_NAME["binary"])
    other = torch.where(holes.rows.observed, holes.rows.states, holes.rows.states.flip(0))
    nan = torch.where(holes.rows.observed, holes.rows.states, torch.nan)
    expected = imputation.complete_rows(holes.rbm, holes.rows, 2)
    for states in (other, nan):
        found = imputation.complete_rows(holes.rbm, MaskedRows(states, holes.rows.observed), 2)
        assert torch.equal(found.means, expected.means)
        assert torch.equal(found.draws, expected.draws)


def test_rows_far_from_zero_are_those_near_it() -> None:
    """Gaussian columns at a million: the same answers, a million further up."""
    rbm, _ = random_rbm(BY_NAME["gaussian"], BY_NAME["binary"], sizes=(3, 4), seed=3)
    far, offset = copy.deepcopy(rbm), 2.0**20
    with torch.no_grad():
        far.visible.bias.add_(offset * rbm.visible.precision)
        far.hidden.bias.sub_(offset * rbm.weights.sum(0))
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).double()
    observed = torch.tensor([[True, True, False], [False, True, False], [False] * 3, [True] * 3])
    near = imputation.complete_rows(rbm, MaskedRows(x, observed), 2)
    found = imputation.complete_rows(far, MaskedRows(x + offset, observed), 2)
    assert (found.means - offset).numpy() == pytest.approx(near.means.numpy(), abs=1e-6)


def test_a_broken_sum_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the inputs from observed units were forgotten, the comparison would tell."""
    holes = Holes.of(BY_NAME["binomial"], BY_NAME["binary"])
    truth = [holes.log_normaliser(row) for row in range(len(holes.units))]
    good = log_normalisers(holes.rbm, holes.rows).lower
    assert good.tolist() == pytest.approx(truth, abs=1e-10)
    of = ClampedRows.of

    def forgetful(*arguments: object) -> ClampedRows:
        found = of(*arguments)
        return replace(found, inputs=torch.zeros_like(found.inputs))

    monkeypatch.setattr(ClampedRows, "of", forgetful)
    bad = log_normalisers(holes.rbm, holes.rows).lower
    assert np.abs(bad.numpy() - truth).max() > 0.01


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (MaskedRows(torch.zeros(2, 3), torch.zeros(2, 4, dtype=torch.bool)), "observed"),
        (MaskedRows(torch.zeros(2, 6), torch.zeros(2, 6)), "booleans"),
        (
            MaskedRows(torch.zeros(1, 6), torch.tensor([[True, False, False] * 2])),
            "some columns of a unit",
        ),
        (MaskedRows(torch.full((1, 6), 3.0), torch.ones(1, 6, dtype=torch.bool)), "visible"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows: MaskedRows, words: str) -> None:
    rbm = RBM(Categorical(2, 3), Binary(2))
    with pytest.raises((ValueError, TypeError), match=words):
        imputation.complete_rows(rbm, rows, 2, None, Stream(0, Purpose.SAMPLE))
