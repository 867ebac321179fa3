"""A categorical unit that is missing in rows: gradients against autograd and enumeration."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import (
    RBM,
    CenteredGradient,
    Data,
    Minibatches,
    PlainGradient,
    checkpoint,
    train_dbn,
    training,
)
from harmonium.classification import HybridGradient, class_columns
from harmonium.datasets import UNKNOWN_LABEL, Mask
from harmonium.deep import DBN, classification_rbm
from harmonium.gradient import (
    Gradient,
    Incomplete,
    MissingUnit,
    Phase,
    lone_units,
    observe,
    summed_out,
    weigh,
)
from harmonium.rng import Lane
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, ReLU, Spin, Units
from phases import one_thread, phase, visible_distribution, weighted_phase  # noqa: F401
from unit_types import BY_NAME, UnitType, array, randomise_

close = {"rtol": 1e-10, "atol": 1e-11}

# Visible layers, and the columns of the unit that is missing: at the end, in front, or in between.
VISIBLE: dict[str, tuple[Callable[[], Units], slice]] = {
    "class": (lambda: Mixed(Binary(2), Categorical(1, 3)), slice(2, 5)),
    "in front": (lambda: Mixed(Categorical(1, 3), Spin(2)), slice(0, 3)),
    "one of two": (lambda: Categorical(2, 3), slice(3, 6)),
    "beside numbers": (
        lambda: Mixed(Gaussian(2, learn_precision=True), Categorical(1, 4), Binary(1)),
        slice(2, 6),
    ),
}
PAIRS = [("class", hidden) for hidden in BY_NAME.values()]
PAIRS += [(n, BY_NAME[h]) for n in VISIBLE if n != "class" for h in ("binary", "drelu", "mixed")]
every_pair: Callable[[Callable[..., None]], Callable[..., None]] = pytest.mark.parametrize(
    ("name", "hidden"), PAIRS, ids=str
)
every_hidden = pytest.mark.parametrize("hidden", BY_NAME.values(), ids=str)

N = 7
UNKNOWN = torch.tensor([1, 2, 5])
WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 3.0, 1.0, 0.25, 0.0], dtype=torch.float64)


def shares(weights: Tensor | None) -> Tensor:
    """What each row counts."""
    weights = torch.ones(N, dtype=torch.float64) if weights is None else weights
    return weights / weights.sum()


def random_model(name: str, hidden: UnitType, n_hidden: int = 2, scale: float = 0.7) -> RBM:
    rbm = RBM(VISIBLE[name][0](), hidden.make(n_hidden)).double()
    randomise_(rbm, 1, scale)
    return rbm


def rows_of(rbm: RBM, n: int = N, lane: Lane = Lane.SAMPLES) -> Tensor:
    """Rows of no particular distribution, all of them complete."""
    return rbm.visible.sample(torch.zeros(n, rbm.visible.n_columns).double(), lane.stream(3))


def candidates(v: Tensor, columns: slice) -> Tensor:
    """Each row with each state of the unit, shape (states, rows, columns)."""
    width = columns.stop - columns.start
    filled = v.expand(width, *v.shape).clone()
    filled[..., columns] = torch.eye(width, dtype=v.dtype)[:, None]
    return filled


def observed_free_energy(rbm: RBM, v: Tensor, unknown: Tensor, columns: slice) -> Tensor:
    """Minus the log of what is observed of each row, up to log Z."""
    free = rbm.free_energy(v)
    of_states = rbm.free_energy(candidates(v[unknown], columns))
    return free.index_put((unknown,), -torch.logsumexp(-of_states, 0))


def autograd(rbm: RBM, loss: Tensor) -> dict[str, Tensor]:
    named = {name: p for name, p in rbm.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {
        name: torch.zeros_like(p) if grad is None else grad
        for (name, p), grad in zip(named.items(), found, strict=True)
    }


def gradients(rbm: RBM) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in rbm.named_parameters()
        if p.requires_grad
    }


def data_phase(rbm: RBM, v: Tensor, columns: slice, weights: Tensor | None = None) -> Phase:
    """The positive phase where the unit is missing in some rows; garbage stands in its place."""
    v = v.clone()
    v[UNKNOWN, columns] = float("nan")
    found = observe(rbm, v, [MissingUnit(UNKNOWN, columns)], weights)
    return found if weights is None else weigh(found, weights)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@every_pair
def test_the_gradient_is_autograd_of_what_was_observed(
    name: str, hidden: UnitType, weights: Tensor | None
) -> None:
    rbm, columns = random_model(name, hidden), VISIBLE[name][1]
    v, chains = rows_of(rbm), rows_of(rbm, 4, Lane.STARTS)
    share = shares(weights)
    of_rows = observed_free_energy(rbm, v, UNKNOWN, columns)
    expected = autograd(rbm, share @ of_rows - rbm.free_energy(chains).mean())
    PlainGradient().write_(rbm, data_phase(rbm, v, columns, weights), phase(rbm, chains))
    torch.testing.assert_close(gradients(rbm), expected, **close)


@every_hidden
def test_the_gradient_is_that_of_the_enumerated_likelihood(hidden: UnitType) -> None:
    """By finite differences of log p(x), from the oracle alone."""
    rbm, columns = random_model("class", hidden, 1, scale=0.5), VISIBLE["class"][1]
    v = rows_of(rbm)

    def model() -> oracle.Model:
        bias = array(rbm.visible.bias)
        visible = oracle.side_by_side(oracle.binary(bias[:2]), oracle.categorical(bias[2:], 3))
        return oracle.Model(visible, hidden.twin(rbm.hidden), array(rbm.weights))

    def log_likelihood() -> float:
        points, volume = model().visible.points()
        log_z = oracle.logsumexp(volume - model().free_energy(points))
        free = model().free_energy(array(candidates(v, columns)))
        of_rows = oracle.logsumexp(-free, axis=0)
        known = np.setdiff1d(np.arange(N), UNKNOWN)
        of_rows[known] = -model().free_energy(array(v[known]))
        return float((of_rows - log_z).mean())

    PlainGradient().write_(
        rbm, data_phase(rbm, v, columns), weighted_phase(rbm, *visible_distribution(model()))
    )
    step = 1e-4
    for p in (p for p in rbm.parameters() if p.requires_grad):
        assert p.grad is not None
        for place in np.ndindex(*p.shape):
            ends = []
            with torch.no_grad():
                before = p[place].item()
                for end in (-2, -1, 1, 2):
                    p[place] = before + end * step
                    ends.append(log_likelihood())
                p[place] = before
            slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step)
            assert p.grad[place].item() == pytest.approx(-slope, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@every_pair
def test_the_centred_gradient_is_the_plain_one_in_other_coordinates(
    name: str, hidden: UnitType, weights: Tensor | None
) -> None:
    rbm, columns = random_model(name, hidden), VISIBLE[name][1]
    data = data_phase(rbm, rows_of(rbm), columns, weights)
    chains = phase(rbm, rows_of(rbm, 4, Lane.STARTS))
    PlainGradient().write_(rbm, data, chains, 0.5)
    plain = gradients(rbm)
    mu, lam = (
        torch.linspace(low, 0.8, units.n_columns, dtype=torch.float64)
        for low, units in ((-0.2, rbm.visible), (0.1, rbm.hidden))
    )
    CenteredGradient(0.0, visible_offset=mu.clone(), hidden_offset=lam.clone()).write_(
        rbm, data, chains, 0.5
    )
    by_visible, by_hidden = plain["visible.bias"], plain["hidden.bias"]
    weight = plain["weights"] - torch.outer(mu, by_hidden) - torch.outer(by_visible, lam)
    expected = plain | {
        "weights": weight,
        "visible.bias": by_visible - weight @ lam,
        "hidden.bias": by_hidden - weight.T @ mu,
    }
    torch.testing.assert_close(gradients(rbm), expected, **close)


def log_loss(rbm: RBM, v: Tensor) -> Tensor:
    """Minus log p(class | x) of each row."""
    free = rbm.free_energy(candidates(v, class_columns(rbm)))
    return -((-free).log_softmax(0).T * v[:, class_columns(rbm)]).sum(1)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["alike", "weighted"])
@pytest.mark.parametrize("generative", [0.0, 0.3])
@every_hidden
def test_the_discriminative_term_is_a_sum_over_rows_with_a_class(
    hidden: UnitType, generative: float, weights: Tensor | None
) -> None:
    rbm, columns = random_model("class", hidden), VISIBLE["class"][1]
    v, chains = rows_of(rbm), rows_of(rbm, 4, Lane.STARTS)
    share = shares(weights)
    known = share.clone()
    known[UNKNOWN] = 0
    of_rows = observed_free_energy(rbm, v, UNKNOWN, columns)
    loss = known @ log_loss(rbm, v) + generative * (
        share @ of_rows - rbm.free_energy(chains).mean()
    )
    expected = autograd(rbm, 0.5 * loss)
    nothing = {"visible_offset": torch.zeros(5).double()}
    nothing["hidden_offset"] = torch.zeros(rbm.hidden.n_columns).double()
    HybridGradient(generative, rate=0.0, **nothing).write_(
        rbm, data_phase(rbm, v, columns, weights), phase(rbm, chains), 0.5
    )
    torch.testing.assert_close(gradients(rbm), expected, **close)


def test_rows_without_any_class_have_no_discriminative_term() -> None:
    rbm, columns = random_model("class", BY_NAME["binary"]), VISIBLE["class"][1]
    data = observe(rbm, rows_of(rbm), [MissingUnit(torch.arange(N), columns)])
    HybridGradient(0.0).write_(rbm, data, data)
    assert not any(grad.any() for grad in gradients(rbm).values())


def test_gradients_without_the_covariance_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product of means, taken for the mean of products, is seen by the tests above."""
    real = summed_out._sum_out

    def broken(*arguments: object) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        p, means, covariance = real(*arguments)  # type: ignore[arg-type]
        return p, means, torch.zeros_like(covariance)

    monkeypatch.setattr(summed_out, "_sum_out", broken)
    with pytest.raises(AssertionError):
        test_the_gradient_is_autograd_of_what_was_observed("class", BY_NAME["binary"], None)


def test_two_units_may_be_missing_in_two_rows() -> None:
    rbm = random_model("one of two", BY_NAME["relu"])
    v = rows_of(rbm)
    first, second = torch.tensor([0, 4]), torch.tensor([3])
    found = observe(rbm, v, [MissingUnit(first, slice(0, 3)), MissingUnit(second, slice(3, 6))])
    of_rows = observed_free_energy(rbm, v, first, slice(0, 3))
    of_rows[3] = observed_free_energy(rbm, v, second, slice(3, 6))[3]
    chains = rows_of(rbm, 4, Lane.STARTS)
    expected = autograd(rbm, of_rows.mean() - rbm.free_energy(chains).mean())
    PlainGradient().write_(rbm, found, phase(rbm, chains))
    torch.testing.assert_close(gradients(rbm), expected, **close)


# Which units are missing


def test_lone_units_are_found_wherever_they_stand() -> None:
    visible = Mixed(Binary(2), Categorical(2, 3), Gaussian(1))
    observed = torch.ones(6, 9, dtype=torch.bool)
    observed[1, 2:5] = False  # the first categorical unit
    observed[2, 5:8] = False  # the second one
    observed[3, 2:8] = False  # both
    observed[4, 0] = False  # a binary unit
    observed[5, 2:5] = observed[5, 8] = False  # a categorical and a real-valued one
    missing, others = lone_units(visible, observed)
    assert [(m.rows.tolist(), m.columns) for m in missing] == [
        ([1], slice(2, 5)),
        ([2], slice(5, 8)),
    ]
    assert others.tolist() == [3, 4, 5]
    missing, others = lone_units(visible, torch.ones(6, 9, dtype=torch.bool))
    assert not missing and not len(others)


# Training


def test_chains_of_cd_start_at_classes_drawn_from_their_probabilities() -> None:
    """Hidden unit y is on where the class is y, and so tells which class was drawn."""
    rbm = RBM(Mixed(Binary(2), Categorical(1, 3)), Binary(3)).double()
    with torch.no_grad():
        rbm.weights.zero_()
        rbm.weights[2:] = 60 * torch.eye(3)
        rbm.hidden.bias.fill_(-30)
        rbm.visible.bias[2:] = torch.tensor([0.0, 0.7, -0.4])
    n = 4000
    v = torch.zeros(n, 5).double()
    h = torch.empty(n, 3).double()
    missing = [MissingUnit(torch.arange(n), slice(2, 5))]
    found = observe(rbm, v, missing, None, h, Lane.CHAINS.stream(1))
    p = found.visible["bias"][0, 2:]
    torch.testing.assert_close(p, rbm.visible.bias.detach()[2:].softmax(0))
    assert torch.equal(h.sum(1), torch.ones(n).double())
    assert oracle.chi_square(h.sum(0).numpy(), p.numpy()) > 1e-3


def state_of(hidden: Units, gradient: Gradient, n_chains: int | None) -> TrainingState:
    rbm = RBM(Mixed(Binary(3), Categorical(1, 3)), hidden)
    randomise_(rbm, 1)
    return TrainingState.create(rbm, gradient=gradient, n_chains=n_chains, seed=2)


def few_labels(n: int = 40, n_without: int = 25) -> Data:
    """Rows of three binary values, and which of them come with a class."""
    x = (torch.rand(n, 3, generator=torch.Generator().manual_seed(1)) < 0.4).float()
    labels = x.sum(1).long().clamp_max(2)
    labels[:n_without] = -1
    return Data("few", x, labels=labels)


LEARNERS: list[tuple[Units, Gradient, int | None]] = [
    (Binary(4), CenteredGradient(), 5),
    (Binary(4), CenteredGradient(), None),
    (Binary(4), HybridGradient(0.3, dropout=0.5), 5),
    (ReLU(3), PlainGradient(), 5),
]
every_learner = pytest.mark.parametrize(("hidden", "gradient", "n_chains"), LEARNERS, ids=repr)


@every_learner
def test_rows_that_are_complete_train_to_the_same_bits(
    hidden: Units, gradient: Gradient, n_chains: int | None
) -> None:
    found = []
    for is_told in (False, True):
        state = state_of(copy.deepcopy(hidden), copy.deepcopy(gradient), n_chains)
        batch = few_labels(n_without=0).join_labels().rows(torch.arange(20))
        for _ in range(3):
            training.update(state, Incomplete(batch, ()) if is_told else batch)
        found.append(state.rbm.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


@every_learner
def test_a_resumed_training_makes_the_same_bits(
    tmp_path: Path, hidden: Units, gradient: Gradient, n_chains: int | None
) -> None:
    batches = Minibatches(few_labels().join_labels(), 10)
    found = []
    for is_stopped in (False, True):
        state = state_of(copy.deepcopy(hidden), copy.deepcopy(gradient), n_chains)
        for update in training.updates(state, batches, 3):
            if is_stopped and update == 5:
                break
        if is_stopped:
            checkpoint.save(state, tmp_path / "state.safetensors")
            state = checkpoint.load(tmp_path / "state.safetensors")
            for _ in training.updates(state, batches, 3):
                pass
        assert state.update == 12
        assert state.completions is None  # nothing had to be drawn
        found.append(state.rbm.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_what_stands_for_a_missing_label_is_not_read() -> None:
    found = []
    for stands in (0, 2):
        data = few_labels().join_labels()
        values = data.values.clone()
        values[:25, -1] = stands
        data = dataclasses.replace(data, values=values)
        state = state_of(Binary(4), HybridGradient(0.3), 5)
        state.rbm.init_from_data_(data, seed=0)
        for _ in training.updates(state, Minibatches(data, 10), 2):
            pass
        found.append(state.rbm.state_dict())
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_a_class_is_summed_out_whatever_else_is_missing() -> None:
    visible = Mixed(Binary(2), Categorical(1, 3))
    observed = torch.ones(4, 5, dtype=torch.bool)
    observed[1, 2:] = False
    observed[2, 1:] = False
    observed[3, 0] = False
    missing, others = lone_units(visible, observed)
    assert [(m.rows.tolist(), m.columns) for m in missing] == [([1, 2], slice(2, 5))]
    assert others.tolist() == [2, 3]


def test_values_and_labels_may_be_missing_together() -> None:
    """Values are drawn, the class is summed out, and the two make one positive phase."""
    data = few_labels().join_labels()
    assert data.mask is not None
    observed = data.mask.observed()
    observed[5:15, 1] = False
    observed[30:, 0] = False
    data = dataclasses.replace(data, mask=Mask.of(observed))
    state = state_of(Binary(4), HybridGradient(0.3), 5)
    for _ in training.updates(state, Minibatches(data, 10), 2):
        pass
    assert state.completions is not None
    assert all(p.isfinite().all() for p in state.rbm.parameters())


# Data


def test_labels_that_are_missing_are_in_the_mask() -> None:
    x = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    data = Data("some", x, labels=torch.tensor([1, -1, UNKNOWN_LABEL, 0])).join_labels()
    rows = data.masked_rows(torch.arange(4))
    assert rows.observed[:, :2].all()
    assert rows.observed[:, 2:].tolist() == [
        [True, True],
        [False, False],
        [False, False],
        [True] * 2,
    ]
    assert rows.states[[0, 3], 2:].tolist() == [[0, 1], [1, 0]]
    mean, _ = data.moments()
    torch.testing.assert_close(mean, torch.tensor([0.5, 0.5, 0.5, 0.5]).double())
    assert "2 of 4 rows have no label" in data.notes
    complete = Data("all", x, labels=torch.tensor([1, 0, 1, 0])).join_labels()
    assert complete.mask is None and not complete.notes


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([-1, -1, -1], r"^none of the 3 rows of x has a label; give some of them one$"),
        ([-1, 1, 1], r"^all 2 labels of x are 1 \(1 rows have none\); to tell classes apart"),
        ([-2, 0, 1], r"^1 labels of x are negative \(the least is -2\); number the classes from 0"),
    ],
)
def test_labels_that_teach_nothing_are_refused(labels: list[int], message: str) -> None:
    data = Data("x", torch.zeros(3, 2), labels=torch.tensor(labels))
    with pytest.raises(ValueError, match=message):
        data.join_labels()


def test_judging_leaves_rows_without_a_label_out() -> None:
    rbm = state_of(Binary(4), PlainGradient(), None).rbm
    data = few_labels()
    assert data.labels is not None
    known = (data.labels >= 0).nonzero()[:, 0]
    alone = data.take(known).join_labels(3)
    assert classification_rbm.judge(rbm, data.join_labels(3)) == classification_rbm.judge(
        rbm, alone
    )


def test_a_stack_with_label_units_learns_from_rows_without_a_label(tmp_path: Path) -> None:
    """The same data without those labels make another model."""
    found = []
    for n_without in (0, 60):
        data = few_labels(80, n_without)
        run = train_dbn(
            data, layers=[5, 4], labels=True, epochs=2, seed=1, out=tmp_path / str(n_without)
        )
        assert run.is_finished
        assert isinstance(run.model, DBN)
        top = run.model.top
        assert top.weights.isfinite().all()
        found.append(top.weights)
    assert not torch.equal(*found)
