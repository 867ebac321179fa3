"""Rows with missing values: both ways to train on them, against enumeration."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import (
    RBM,
    Data,
    Gibbs,
    Minibatches,
    PlainGradient,
    checkpoint,
    training,
)
from harmonium.datasets import Mask, MaskedRows
from harmonium.gradient import Phase
from harmonium.rng import Lane
from harmonium.sampling import ChainState
from harmonium.training import Completions, TrainingState
from harmonium.units import Binary, Binomial, Categorical, Gaussian, LinearUnits, Mixed
from missing_rows import (
    both_ways,
    by_quadrature,
    data_of,
    every_kind,
    of_columns,
    rows_of_model,
    units_missing,
    with_holes,
)
from phases import one_thread  # noqa: F401
from unit_types import (
    BY_NAME,
    UNIT_TYPES,
    UnitType,
    array,
    random_rbm,
)

SOME = [(BY_NAME[name], BY_NAME["binary"]) for name in BY_NAME if "fixed" not in name]
SOME += [(BY_NAME["binary"], hidden) for hidden in UNIT_TYPES if hidden.name != "binary"]
some_pairs = pytest.mark.parametrize(
    ("visible", "hidden"), SOME, ids=[f"{visible}-{hidden}" for visible, hidden in SOME]
)


def everything(data: Data) -> tuple[Tensor, MaskedRows]:
    index = torch.arange(len(data))
    return index, data.masked_rows(index)


# Missing at random: completions


@some_pairs
def test_completions_are_draws_given_what_is_observed(visible: UnitType, hidden: UnitType) -> None:
    # rows of the model, of which half is hidden and drawn again, are rows of the model
    both_lines = visible.is_continuous and hidden.is_continuous
    rbm, model = random_rbm(visible, hidden, sizes=(2, 1 if both_lines else 2), scale=0.5)
    n = 3000
    states = rows_of_model(model, n, 1).float().double()
    observed = units_missing(rbm, n, 2)
    data = with_holes(states, observed)
    completions = Completions.begin(rbm.visible, data, seed=3)
    index, rows = everything(data)
    begun = completions.complete_(rbm, index, rows, 0)
    v = completions.complete_(rbm, index, rows, 25)
    assert torch.equal(v[observed], states[observed])
    assert (v != begun).any()
    h = rbm.sample_h_from_v(v, Lane.SAMPLES.stream(4))
    if "poisson" in f"{visible}{hidden}":  # no table of states: mean and spread of each column
        other = rows_of_model(model, n, 5)
        for moment in (v, v.square()):
            fresh = other if moment is v else other.square()
            error = ((moment.var(0) + fresh.var(0)) / n).sqrt()
            assert ((moment.mean(0) - fresh.mean(0)).abs() < 4.5 * error).all()
        return
    assert oracle.Joint(model).p_value(array(v), array(h)) > 1e-4


def test_completions_persist_in_few_bytes() -> None:
    layer = Mixed(Binary(3), Categorical(2, 300), Gaussian(1), Binomial(1, trials=40))
    rbm = RBM(layer, 4)
    observed = units_missing(rbm, 40, 0)
    data = with_holes(layer.sample_alone(40, Lane.SAMPLES.stream(0)), observed)
    completions = Completions.begin(layer, data, seed=0)
    missing = ~observed
    numbers = [int(missing[:, columns].sum()) // units.width for columns, units in layer.groups]
    assert [len(states) for states in completions.kept] == numbers
    types = [torch.uint8, torch.int16, torch.float32, torch.uint8]
    assert [states.dtype for states in completions.kept] == types
    index, rows = everything(data)
    v = completions.complete_(rbm, index, rows, 2)
    layer.check(v, "rows")
    # rows in another order, without a sweep, are the same rows
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    again = completions.complete_(rbm, order, data.masked_rows(order), 0)
    assert torch.equal(again, v[order])


def test_completions_of_other_rows_are_refused() -> None:
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["binary"])
    states = rows_of_model(model, 30, 1)
    observed = units_missing(rbm, 30, 2)
    completions = Completions.begin(rbm.visible, with_holes(states, observed), seed=0)
    with pytest.raises(ValueError, match="go on with the rows that it began with"):
        completions.find_(rbm.visible, with_holes(states, observed | observed.flip(0)))


def test_part_of_a_unit_is_refused() -> None:
    observed = torch.tensor([[True, False, True]])
    data = Data("part", torch.tensor([[1.0, 0.0, 0.0]]), mask=Mask.of(observed))
    with pytest.raises(ValueError, match="some of the 3 columns of a unit are missing"):
        Completions.begin(Categorical(1, 3), data, seed=0)


# The gradient of each way is the enumerated one


@dataclass
class Recording(PlainGradient):
    """Keeps the phases that it gets."""

    phases: list[Phase] = field(default_factory=list)

    def write_(self, rbm, data, chains, scale=1.0, stream=None) -> None:  # type: ignore[no-untyped-def]
        self.phases = [data, chains]
        super().write_(rbm, data, chains, scale, stream)


def log_p_of_observed(model: oracle.Model, v: oracle.Array, observed: oracle.Array) -> float:
    """Log-probability of what is observed of a row under the model of all columns."""
    points, volume = model.visible.points()
    log_z = oracle.logsumexp(volume - model.free_energy(points))
    if observed.all():
        return float(-model.free_energy(v) - log_z)
    own, volume = of_columns(model.visible, ~observed).points()
    completed = np.tile(v, (len(own), 1))
    completed[:, ~observed] = own
    return float(oracle.logsumexp(volume - model.free_energy(completed)) - log_z)


def log_p_of_own(model: oracle.Model, v: oracle.Array, observed: oracle.Array) -> float:
    """Log-probability of a row under the model of its observed columns alone."""
    if not observed.any():
        return 0.0
    own = oracle.Model(of_columns(model.visible, observed), model.hidden, model.weights[observed])
    points, volume = own.visible.points()
    log_z = oracle.logsumexp(volume - own.free_energy(points))
    return float(-own.free_energy(v[observed]) - log_z)


def enumerated_loss(
    rbm: RBM, model: oracle.Model, v: Tensor, observed: Tensor, missing: str
) -> Tensor:
    """Minus the log-probability of what is observed of a row, with a gradient."""
    known, every = torch.where(observed, v, 0.0), torch.ones_like(observed)
    if missing == "random":
        of_row = by_quadrature(rbm, known, model.visible, ~observed)
        expected = log_p_of_observed(model, array(v), observed.numpy())
        found = of_row - by_quadrature(rbm, known, model.visible, every)
    else:
        of_row = -rbm.free_energy(known)
        expected = log_p_of_own(model, array(v), observed.numpy())
        found = of_row - by_quadrature(rbm, torch.zeros_like(v), model.visible, observed)
    # the oracle sums over the hidden states, too
    assert found.item() == pytest.approx(expected, abs=1e-6)
    return -found


def standard_error(rbm: RBM, name: str, i: int, phases: list[Phase], n_rows: int) -> float:
    """Of one number of the gradient, from the spread within the phases; rows come in 4 kinds."""
    variance = 0.0
    for which, each in enumerate(phases):
        rows, weights = each.unweighed or (each, None)
        if name == "weights":
            of_v, of_h = divmod(i, rbm.weights.shape[1])
            x = rows.visible["bias"][:, of_v] * rows.hidden["bias"][:, of_h]
        else:
            layer, _, own = name.partition(".")
            x = getattr(rows, layer)[own][:, i]
        if weights is not None:
            x = x * weights / weights.mean()
        kinds = x.view(4, -1) if which == 0 or n_rows == len(x) else x.unsqueeze(0)
        variance += float(kinds.var(1).mean()) / len(x)
    return variance**0.5


def distance(
    visible: UnitType,
    hidden: UnitType,
    missing: training.Missing,
    *,
    scale: float,
    broken: str = "",
    weighed: bool = False,
) -> float:
    """How many standard errors an update's gradient is from the enumerated one, at most.

    Broken updates do not move completions or do not clamp them, or have chains of all columns.
    """
    sizes = (2, 1) if visible.is_continuous or "poisson" in visible.name else (3, 2)
    rbm, model = random_rbm(visible, hidden, sizes=sizes, seed=6, scale=scale)
    n = 4000
    four = rows_of_model(model, 4, 1).float().double()
    observed = units_missing(rbm, 4, 11)
    observed[0] = True
    assert not observed.all()
    copies = torch.arange(4).repeat_interleave(n // 4)
    data = with_holes(four[copies], observed[copies])
    state = TrainingState.create(
        rbm,
        n_chains=None,
        gradient=(gradient := Recording()),
        sampler=Gibbs(15),
        learning_rate=0.0,
        missing=missing,
    )
    pairs = zip(four, observed, strict=True)
    losses = torch.stack([enumerated_loss(rbm, model, *row, missing) for row in pairs])
    share = torch.tensor([1.0, 2.0, 0.5, 3.0] if weighed else [1.0] * 4).double()
    weights = share[copies] if weighed else None
    loss = (losses * share).sum() / share.sum()
    named = {name: p for name, p in rbm.named_parameters() if p.requires_grad}
    expected = torch.autograd.grad(loss, list(named.values()))
    index, rows = everything(data)
    if missing == "random":
        state.chains = ChainState(*(torch.from_numpy(x) for x in oracle.draw(model, n, 2)))
        completions = Completions.begin(rbm.visible, data, 0)
        v = completions.complete_(rbm, index, rows, 0 if broken == "not moved" else 15)
        if broken == "not clamped":
            for _ in range(15):
                h = rbm.sample_h_from_v(v, completions.stream)
                v = rbm.sample_v_from_h(h, completions.stream)
        training.update(state, v, weights=weights)
    else:
        training.update(state, rows.where_observed() if broken else rows, weights=weights)
    most = 0.0
    for (name, parameter), slopes in zip(named.items(), expected, strict=True):
        assert parameter.grad is not None
        for i, slope in enumerate(slopes.view(-1)):
            error = standard_error(rbm, name, i, gradient.phases, n)
            off = abs(parameter.grad.view(-1)[i] - slope).item()
            most = max(most, off / (error + 1e-9))
    return most


@both_ways
@some_pairs
def test_the_update_follows_the_log_likelihood_of_what_is_observed(
    visible: UnitType, hidden: UnitType, missing: training.Missing
) -> None:
    # of some hundred normal numbers in all cases together, none is 5 errors away
    assert distance(visible, hidden, missing, scale=0.4) < 5


@both_ways
@pytest.mark.parametrize("name", ["binary", "mixed", "gaussian-learned"])
def test_rows_with_holes_count_by_weight(name: str, missing: training.Missing) -> None:
    assert distance(BY_NAME[name], BY_NAME["binary"], missing, scale=0.4, weighed=True) < 5


@pytest.mark.parametrize(
    ("missing", "broken"),
    [("random", "not moved"), ("random", "not clamped"), ("observed", "chains of all columns")],
)
@pytest.mark.parametrize("name", ["binary", "categorical", "spin"])
def test_broken_updates_are_noticed(name: str, missing: training.Missing, broken: str) -> None:
    assert distance(BY_NAME[name], BY_NAME["binary"], missing, scale=1.0, broken=broken) > 8


# Resuming, and what is refused


@both_ways
@every_kind
def test_a_resumed_training_has_the_same_bits(
    kind: str, missing: training.Missing, tmp_path: Path
) -> None:
    def begun() -> tuple[TrainingState, Minibatches]:
        data, rbm = data_of(kind)
        n_chains = 10 if missing == "random" else None
        state = TrainingState.create(rbm, n_chains=n_chains, missing=missing, learning_rate=0.05)
        return state, Minibatches(data, 25)

    whole, batches = begun()
    list(training.updates(whole, batches, 4))
    stopped, batches = begun()
    for update in training.updates(stopped, batches, 4):
        if update == 5:
            break
    checkpoint.save(stopped, tmp_path / "stopped")
    resumed = checkpoint.load(tmp_path / "stopped")
    assert resumed.missing == missing
    list(training.updates(resumed, batches, 4))
    checkpoint.save(whole, tmp_path / "whole")
    checkpoint.save(resumed, tmp_path / "resumed")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()
    assert (whole.completions is not None) == (missing == "random")


def test_rows_without_holes_are_an_ordinary_batch() -> None:
    data, _ = data_of("mixed")
    whole = data.masked_rows(torch.arange(30))
    found = []
    for batch in (whole.states, MaskedRows(whole.states, torch.ones_like(whole.observed))):
        _, rbm = data_of("mixed")
        state = TrainingState.create(rbm, n_chains=None)
        training.update(state, batch)
        found.append(dict(rbm.named_parameters()))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_an_epoch_of_rows_of_which_none_has_a_hole_has_the_usual_bits() -> None:
    data, rbm = data_of("binary")
    states = rows = torch.where(data.mask.observed(), data.values, 0.0)  # type: ignore[union-attr]
    found = []
    for hole in (False, True):  # a row of weight 0 has the only one
        seen = torch.ones(61, 6, dtype=torch.bool)
        seen[60, 0] = not hole
        states = torch.cat([rows, rows[:1]])
        weights = torch.ones(61).double()
        weights[60] = 0
        data = Data("nearly", states, mask=Mask.of(seen), weights=weights)
        rbm = RBM(6, 4).init_from_data_(Data("rows", rows), seed=0)
        state = TrainingState.create(rbm, n_chains=10)
        list(training.updates(state, Minibatches(data, 20), 3))
        found.append(dict(rbm.named_parameters()))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_what_cannot_be_assumed_is_refused() -> None:
    data, rbm = data_of("binary")
    with pytest.raises(ValueError, match="pass 'random' or 'observed'"):
        TrainingState.create(rbm, missing="zero")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_chains=None"):
        TrainingState.create(rbm, missing="observed")
    state = TrainingState.create(rbm, n_chains=10)
    with pytest.raises(ValueError, match="n_chains=None"):
        training.update(state, data.masked_rows(torch.arange(10)))


class FromOne(LinearUnits):
    """Units with the states 1 and 2, whose statistics do not vanish at zero."""

    states = torch.tensor([[1.0], [2.0]])

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        return {"bias": x + 1}


def test_units_that_do_not_vanish_at_zero_are_refused_by_name() -> None:
    FromOne.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="FromOne unit has statistics that are not zero"):
        TrainingState.create(RBM(FromOne(3), 2), n_chains=None, missing="observed")
