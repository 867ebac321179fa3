"""Completed rows: known columns are held, and the rest is what enumeration says, given them."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest
import torch
from torch import Tensor

import deep_oracle
import oracle
from deep.test_labels import N_CLASSES, deep_log_p_of_visible, joint, labelled_dbn
from harmonium import RBM, Binary, Categorical, Purpose, Stream
from harmonium.deep import (
    DBN,
    Completion,
    HiddenSampler,
    MetropolisWithinGibbs,
    PseudoGibbs,
    complete,
)
from harmonium.sampling import ChainState, Clamp, SamplingSchedule, sample
from unit_types import BY_NAME, array, randomise_

N_CHAINS = 3_000
LEAST_P = 1e-6
# networks so small forget their start within a few sweeps
ENOUGH = SamplingSchedule(n_warmup=30, n_samples=1, sweeps_per_sample=1)
SAMPLERS = (PseudoGibbs(), MetropolisWithinGibbs(), MetropolisWithinGibbs((0.5,)))
every_sampler = pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)

STACKS = {
    "one layer": (("binary", 4), ("binary", 3)),
    "two layers": (("binary", 4), ("binary", 3), ("binary", 3)),
    "three layers": (("binary", 4), ("binary", 3), ("binary", 2), ("binary", 3)),
    "other units": (("categorical", 2), ("spin", 3), ("categorical", 1), ("binary", 2)),
    "real codes": (("spin", 3), ("gaussian", 1), ("binary", 2)),
    "mixed units": (("mixed", 3), ("mixed", 3), ("binary", 2)),
}
DEEP = [name for name in STACKS if name != "one layer"]


def stream() -> Stream:
    return Stream(1, Purpose.DREAM)


def random_dbn(
    name: str, *, untied: bool = False, scale: float = 1.0
) -> tuple[DBN, list[oracle.Model]]:
    """A network with random parameters in float64, and its RBMs in the oracle.

    Where it is untied, its ways upwards lead elsewhere than those downwards come from.
    """
    layers = [(BY_NAME[kind], n) for kind, n in STACKS[name]]
    dbn = DBN.of(*(kind.make(n) for kind, n in layers)).double()
    randomise_(dbn, seed=3, scale=scale)
    if untied:
        for up in dbn.untie_().recognition[:-1]:
            elsewhere = copy.deepcopy(up)
            randomise_(elsewhere, seed=4, scale=scale)
            with torch.no_grad():
                up.weights.lerp_(elsewhere.weights, 0.4)
                up.hidden.bias.lerp_(elsewhere.hidden.bias, 0.4)
    models = [
        oracle.Model(below.twin(rbm.visible), above.twin(rbm.hidden), array(rbm.weights))
        for rbm, (below, _), (above, _) in zip(dbn.stack, layers, layers[1:], strict=False)
    ]
    return dbn, models


def first_unit(dbn: DBN) -> tuple[Tensor, Clamp]:
    """Rows to start at, all of them alike, of which the first visible unit is held."""
    _, units = dbn.visible.groups[0]
    assert units.states is not None
    start = dbn.visible.mode(dbn.visible.bias.new_zeros(N_CHAINS, dbn.visible.n_columns))
    values = torch.full((dbn.visible.n_columns,), torch.nan, dtype=torch.float64)
    values[: units.width] = units.states[-1]
    return start, Clamp(torch.arange(len(values)) < units.width, values)


def p_given(models: list[oracle.Model], held: np.ndarray) -> np.ndarray:
    """Probability of each visible point given what is held; NaN elsewhere in ``held``."""
    v = models[0].visible.points()[0]
    agrees = (np.isnan(held) | (v == held)).all(1)
    p = np.where(agrees, np.exp(deep_oracle.log_p(models)), 0)
    return p / p.sum()


def p_value(completion: Completion, models: list[oracle.Model], p: np.ndarray) -> float:
    index = oracle.state_index(array(completion.visible), models[0].visible.points()[0])
    return oracle.chi_square(np.bincount(index, minlength=len(p)), p)


def completed(dbn: DBN, sampler: HiddenSampler | None) -> tuple[Completion, np.ndarray]:
    start, clamp = first_unit(dbn)
    (completion,) = complete(dbn, start, clamp, ENOUGH, stream(), sampler=sampler)
    return completion, array(clamp.values)


# what is exact


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("shares", [(1.0,), (0.5,)])
@pytest.mark.parametrize("untied", [False, True])
def test_metropolis_within_gibbs_follows_the_posterior(
    name: str, untied: bool, shares: tuple[float, ...]
) -> None:
    dbn, models = random_dbn(name, untied=untied)
    completion, held = completed(dbn, MetropolisWithinGibbs(shares))
    p = p_given(models, held)
    assert p_value(completion, models, p) > LEAST_P
    # means vary less than states, which vary by less than the square of their range, 2
    expected = p @ models[0].visible.points()[0]
    assert np.abs(array(completion.means).mean(0) - expected).max() < 5 * 2 / np.sqrt(N_CHAINS)


@pytest.mark.parametrize("name", DEEP)
def test_what_is_no_posterior_is_noticed(name: str) -> None:
    """Draws upwards that are all accepted are another distribution, and so are pseudo-Gibbs'."""

    class Upwards(HiddenSampler):
        def __call__(
            self, dbn: DBN, v: Tensor, hidden: list[Tensor], labels: Tensor | None, stream: Stream
        ) -> None:
            hidden[:] = [dbn.sample_up(v, stream, n) for n in range(1, len(dbn))]

    dbn, models = random_dbn(name, untied=True, scale=2.5)
    for sampler in (Upwards(), PseudoGibbs()):
        completion, held = completed(dbn, sampler)
        assert p_value(completion, models, p_given(models, held)) < LEAST_P


def test_real_columns_are_completed() -> None:
    dbn = DBN.of(BY_NAME["gaussian"].make(2), Binary(2), Binary(2)).double()
    randomise_(dbn, seed=3, scale=0.7)
    models = [
        oracle.Model(BY_NAME[kind].twin(rbm.visible), BY_NAME["binary"].twin(rbm.hidden), w)
        for kind, rbm, w in (
            ("gaussian", dbn.stack[0], array(dbn.stack[0].weights)),
            ("binary", dbn.top, array(dbn.top.weights)),
        )
    ]
    v = models[0].visible.points()[0]
    held = v[np.abs(v[:, 0] - 1.2).argmin(), 0]
    clamp = Clamp(torch.tensor([True, False]), torch.tensor([held, torch.nan]).double())
    start = torch.zeros(N_CHAINS, 2, dtype=torch.float64)
    exact = MetropolisWithinGibbs()
    (completion,) = complete(dbn, start, clamp, ENOUGH, stream(), sampler=exact)
    p = np.where(v[:, 0] == held, np.exp(deep_oracle.log_p(models)), 0)
    p /= p.sum()
    mean = p @ v[:, 1]
    std = np.sqrt(p @ v[:, 1] ** 2 - mean**2)
    assert (completion.visible[:, 0] == held).all()
    assert abs(completion.visible[:, 1].mean() - mean) < 5 * std / np.sqrt(N_CHAINS)


def test_completions_and_their_classes_follow_the_posterior() -> None:
    dbn, models = labelled_dbn()
    completion, held = completed(dbn, MetropolisWithinGibbs())
    expected = joint(models[1]).T @ np.exp(deep_log_p_of_visible(models))  # (classes, visible)
    v = models[0].visible.points()[0]
    expected = np.where((np.isnan(held) | (v == held)).all(1), expected, 0)
    index = oracle.state_index(array(completion.visible), v)
    assert completion.classes is not None
    counts = np.bincount(array(completion.classes).astype(int) * len(v) + index, minlength=48)
    assert oracle.chi_square(counts, (expected / expected.sum()).ravel()) > LEAST_P


@pytest.mark.parametrize("chosen", range(N_CLASSES))
def test_completions_of_a_class_follow_the_posterior_given_the_class(chosen: int) -> None:
    dbn, models = labelled_dbn()
    start, clamp = first_unit(dbn)
    classes = torch.full((N_CHAINS,), chosen)
    exact = MetropolisWithinGibbs()
    (completion,) = complete(dbn, start, clamp, ENOUGH, stream(), classes=classes, sampler=exact)
    assert completion.classes is not None and (completion.classes == chosen).all()
    expected = joint(models[1])[:, chosen] @ np.exp(deep_log_p_of_visible(models))
    v, held = models[0].visible.points()[0], array(clamp.values)
    expected = np.where((np.isnan(held) | (v == held)).all(1), expected, 0)
    assert p_value(completion, models, expected / expected.sum()) > LEAST_P


@every_sampler
def test_a_network_of_one_layer_is_an_rbm(sampler: HiddenSampler) -> None:
    dbn, _ = random_dbn("one layer")
    start, clamp = first_unit(dbn)
    schedule = SamplingSchedule(2, 3, 4)
    chains = ChainState(start.clone(), torch.zeros(N_CHAINS, 3, dtype=torch.float64))
    ours, theirs = stream(), stream()
    expected = sample(dbn.top, chains, schedule, theirs, clamp)
    for completion, now in zip(
        complete(dbn, start, clamp, schedule, ours, sampler=sampler), expected, strict=True
    ):
        assert torch.equal(completion.visible, now.visible)
    assert ours == theirs


# what all have in common


@every_sampler
@pytest.mark.parametrize("name", STACKS)
def test_known_columns_never_change(name: str, sampler: HiddenSampler) -> None:
    dbn, _ = random_dbn(name)
    start, _ = first_unit(dbn)
    rows = start[:40] if name != "two layers" else torch.rand(40, 4).double()
    width = dbn.visible.groups[0][1].width
    clamp = Clamp(torch.arange(dbn.visible.n_columns) < width, rows)
    before, free = rows.clone(), set()
    for completion in complete(dbn, rows, clamp, SamplingSchedule(0, 5, 3), stream()):
        for shown in (completion.visible, completion.means):
            assert torch.equal(shown[:, :width], before[:, :width])
        free |= {tuple(row) for row in completion.visible[:, width:].tolist()}
    assert torch.equal(rows, before)
    assert len(free) > 1


@every_sampler
def test_chains_have_known_columns_and_classes_of_their_own(sampler: HiddenSampler) -> None:
    dbn, _ = labelled_dbn()
    mask = torch.tensor([[True, False, False, True], [False, True, True, True]])
    rows = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 1]]).double()
    classes = torch.tensor([2, 0])
    for completion in complete(
        dbn,
        rows,
        Clamp(mask, rows),
        SamplingSchedule(1, 4, 2),
        stream(),
        classes=classes,
        sampler=sampler,
    ):
        assert torch.equal(completion.visible[mask], rows[mask])
        assert completion.classes is not None and torch.equal(completion.classes, classes)


def test_the_default_draws_upwards_and_downwards() -> None:
    dbn, _ = random_dbn("three layers")
    assert torch.equal(completed(dbn, None)[0].visible, completed(dbn, PseudoGibbs())[0].visible)


def test_acceptance_is_told_of_what_can_be_rejected() -> None:
    dbn, _ = random_dbn("two layers")
    start, clamp = first_unit(dbn)
    exact = MetropolisWithinGibbs((1.0, 0.5, 0.25))
    none, some = complete(dbn, start, clamp, SamplingSchedule(0, 2, 6), stream(), sampler=exact)
    assert none.acceptance is None and some.acceptance is not None
    assert some.acceptance.shape == (N_CHAINS, 3)
    assert some.acceptance.min() > 0 and some.acceptance.max() <= 1
    assert completed(dbn, PseudoGibbs())[0].acceptance is None


def test_what_is_proposed_by_its_own_posterior_is_accepted() -> None:
    """The second RBM is the first one upside down: then recognition is the posterior."""
    lower = RBM(Binary(4), Binary(3)).double()
    randomise_(lower, seed=3, scale=1.0)
    upper = RBM(lower.hidden, lower.visible).double()
    with torch.no_grad():
        upper.weights.copy_(lower.weights.T)
    completion, _ = completed(DBN([lower, upper]), MetropolisWithinGibbs())
    assert completion.acceptance is not None
    assert completion.acceptance.min() > 1 - 1e-9


# what is refused


@pytest.mark.parametrize(
    ("rows", "mask", "values", "message"),
    [
        ([[0.0] * 5] * 2, [True] * 4, [1.0] * 4, "visible has 5 columns, but this RBM has 4"),
        ([0.0] * 4, [True] * 4, [1.0] * 4, "pass (n_chains, columns), one row per chain"),
        ([[0.0] * 4] * 2, [True] * 3, [1.0] * 3, "visible has 3 columns, but this RBM has 4"),
        ([[0.0] * 4] * 2, [[True] * 4] * 3, [1.0] * 4, "mask has shape (3, 4), but there are 2"),
        ([[0.0] * 4] * 2, [True] * 4, [1.0] * 4, "mask holds all 4 visible columns, and nothing"),
        ([[0.0] * 4] * 2, [True] * 4, [9.0] * 4, "values to hold: 8 of 8 values are not between"),
        ([[9.0] * 4] * 2, [False] * 4, [0.0] * 4, "values to hold: 8 of 8 values are not between"),
    ],
)
def test_rows_that_cannot_be_completed_are_refused_at_once(
    rows: list[object], mask: list[object], values: list[float], message: str
) -> None:
    dbn, _ = random_dbn("two layers")
    clamp, s = Clamp(torch.tensor(mask), torch.tensor(values)), stream()
    with pytest.raises(ValueError, match=re.escape(message)):
        complete(dbn, torch.tensor(rows), clamp, ENOUGH, s)
    assert s == stream()


def test_a_clamp_through_a_unit_is_refused() -> None:
    dbn = DBN.of(Categorical(2, 3), Binary(2), Binary(2))
    clamp = Clamp(torch.tensor([True, True, False] + [False] * 3), torch.zeros(6))
    with pytest.raises(ValueError, match=r"^mask holds some of the 3 columns of a unit"):
        complete(dbn, torch.eye(3).repeat(2, 2), clamp, ENOUGH, stream())


def test_classes_that_do_not_fit_are_refused() -> None:
    dbn, _ = labelled_dbn()
    rows, clamp = torch.zeros(2, 4), Clamp(torch.arange(4) < 2, torch.zeros(4))
    for classes, message in (([0, 1, 2], "there are 3 classes and 2 chains; pass one each"),
                             ([0, 3], r"classes are \[0, 3\]; pass shape")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            complete(dbn, rows, clamp, ENOUGH, stream(), classes=torch.tensor(classes))
    plain, _ = random_dbn("two layers")
    with pytest.raises(ValueError, match="the network has no label units; make it with"):
        complete(plain, rows, clamp, ENOUGH, stream(), classes=torch.tensor([0, 1]))


@pytest.mark.parametrize("shares", [(), (0.0,), (0.5, 1.5), (float("nan"),)])
def test_proposals_of_nothing_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="pass one share of the hidden units or more, each above"):
        MetropolisWithinGibbs(shares)
