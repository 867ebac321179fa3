"""Label units in the top RBM: p(y | features) is exact, dreams of chosen classes are of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import logsumexp

import deep_oracle
import oracle
from harmonium import (
    RBM,
    Binary,
    Categorical,
    ChainState,
    Data,
    Gibbs,
    Mixed,
    Purpose,
    Spin,
    Stream,
)
from harmonium.deep import (
    DBN,
    LayerOptions,
    PretrainingState,
    pretraining,
)
from harmonium.sampling import SamplingSchedule, start_random
from unit_types import array, randomise_

N_CHAINS = 20_000
N_CLASSES = 3
LEAST_P = 1e-6
QUICK = LayerOptions(epochs=2, batch_size=10, n_chains=10)

# Three classes of pictures that differ, with some noise, and their labels.
CLASSES = torch.arange(60) % N_CLASSES
_NOISE = torch.rand(60, 6, generator=torch.Generator().manual_seed(0)) < 0.05
ROWS = torch.eye(3).repeat_interleave(2, 1)[CLASSES].logical_xor(_NOISE).float()
LABELLED = Data("labelled", ROWS, labels=CLASSES)


def labelled_dbn() -> tuple[DBN, list[oracle.Model]]:
    """Four pixels, three hidden units beside three classes, and two at the top."""
    dbn = DBN.of(Binary(4), Binary(3), Binary(2), n_classes=N_CLASSES).double()
    randomise_(dbn, seed=4, scale=1.0)
    lower, top = dbn.stack
    bias = array(top.visible.bias)
    seen = oracle.side_by_side(oracle.binary(bias[:3]), oracle.categorical(bias[3:], N_CLASSES))
    models = [
        oracle.Model(
            oracle.binary(array(lower.visible.bias)),
            oracle.binary(array(lower.hidden.bias)),
            array(lower.weights),
        ),
        oracle.Model(seen, oracle.binary(array(top.hidden.bias)), array(top.weights)),
    ]
    return dbn, models


def joint(top: oracle.Model) -> np.ndarray:
    """p(features, class) by enumeration, (n_features_states, n_classes)."""
    states = top.visible.points()[0]
    log_p = -top.free_energy(states)
    p = np.exp(log_p - logsumexp(log_p))
    table = np.zeros((8, N_CLASSES))
    for state, of_state in zip(states, p, strict=True):
        table[int(state[:3] @ [4, 2, 1]), state[3:].argmax()] += of_state
    return table


def stream() -> Stream:
    return Stream(2, Purpose.SAMPLE)


def test_label_units_stand_behind_the_features_of_the_top_rbm() -> None:
    dbn, _ = labelled_dbn()
    assert (dbn.n_features, dbn.n_classes) == (3, N_CLASSES)
    assert isinstance(dbn.top.visible, Mixed)
    assert DBN.of(Binary(4), Binary(3)).n_classes is None
    assert DBN.of(Binary(4), Binary(3), Spin(2)).n_classes is None


def test_class_probabilities_are_those_of_the_top_rbm() -> None:
    dbn, models = labelled_dbn()
    p = joint(models[1])
    expected = np.log(p / p.sum(1, keepdims=True))
    f = models[1].visible.points()[0][::N_CLASSES, :3]
    found = DBN([dbn.stack[0], dbn.top])._log_p_of_classes(torch.from_numpy(f))
    np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-10)

    v = torch.from_numpy(models[0].visible.points()[0])
    log_p = dbn.class_log_probabilities(v)
    assert torch.equal(log_p, dbn._log_p_of_classes(dbn.mean_up(v, n_layers=1)))
    assert torch.equal(dbn.classify(v), log_p.argmax(-1))
    np.testing.assert_allclose(array(log_p.exp().sum(-1)), 1, rtol=0, atol=1e-12)


def test_means_at_the_top_are_those_of_all_classes() -> None:
    dbn, models = labelled_dbn()
    top = models[1]
    p = joint(top)
    p = p / p.sum(1, keepdims=True)
    f = top.visible.points()[0][::N_CLASSES, :3]
    by_class = [
        top.hidden.moments(np.hstack([f, np.eye(N_CLASSES)[[k] * 8]]) @ top.weights)[0]
        for k in range(N_CLASSES)
    ]
    expected = sum(p[:, [k]] * by_class[k] for k in range(N_CLASSES))
    # features that are certain come through a lower RBM that only copies them
    copy = RBM(Binary(3), Binary(3)).double()
    with torch.no_grad():
        copy.weights.copy_(200 * torch.eye(3))
        copy.hidden.bias.fill_(-100)
    stack = DBN([copy, dbn.top])
    found = stack.mean_up(torch.from_numpy(f))
    np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-9)

    n = 20_000
    drawn = stack.sample_up(torch.from_numpy(f).repeat_interleave(n, 0), stream())
    frequencies = array(drawn).reshape(8, n, 2).mean(1)
    assert np.abs(frequencies - expected).max() < 5 * 0.5 / np.sqrt(n)


def test_dreams_follow_the_network_with_their_classes() -> None:
    dbn, models = labelled_dbn()
    v, h = oracle.Joint(models[1]).draw(N_CHAINS, seed=0)
    chains = ChainState(torch.from_numpy(v), torch.from_numpy(h))
    (dream,) = dbn.sample(chains, SamplingSchedule(2, 1, 1), stream())
    downwards = np.exp(deep_log_p_of_visible(models))
    expected = np.einsum("fk,fv->vk", joint(models[1]), downwards)
    index = oracle.state_index(array(dream.visible), models[0].visible.points()[0])
    assert dream.classes is not None
    counts = np.bincount(index * N_CLASSES + array(dream.classes).astype(int), minlength=48)
    assert oracle.chi_square(counts, expected.ravel()) > LEAST_P


def deep_log_p_of_visible(models: list[oracle.Model]) -> np.ndarray:
    h = models[0].hidden.points()[0]
    return deep_oracle.log_conditional(models[0].visible, h @ models[0].weights.T)


@pytest.mark.parametrize("chosen", range(N_CLASSES))
def test_dreams_of_a_class_follow_the_network_given_the_class(chosen: int) -> None:
    dbn, models = labelled_dbn()
    chains = start_random(dbn.top, N_CHAINS, stream())
    clamp = dbn.clamp_classes(torch.full((N_CHAINS,), chosen))
    # a network so small forgets its start within a few sweeps
    (dream,) = dbn.sample(chains, SamplingSchedule(60, 1, 1), stream(), clamp)
    assert dream.classes is not None and (dream.classes == chosen).all()
    p = joint(models[1])[:, chosen]
    expected = (p / p.sum()) @ np.exp(deep_log_p_of_visible(models))
    index = oracle.state_index(array(dream.visible), models[0].visible.points()[0])
    assert oracle.chi_square(np.bincount(index, minlength=16), expected) > LEAST_P


def test_each_chain_has_a_class_of_its_own() -> None:
    dbn, _ = labelled_dbn()
    classes = torch.tensor([2, 0, 1, 1])
    chains = start_random(dbn.top, 4, stream())
    for dream in dbn.sample(
        chains, SamplingSchedule(1, 3, 2), stream(), dbn.clamp_classes(classes)
    ):
        assert dream.classes is not None and torch.equal(dream.classes, classes)


def test_down_from_the_top_leads_past_the_labels() -> None:
    dbn, models = labelled_dbn()
    h = models[1].hidden.points()[0]
    f = models[1].visible.moments(h @ models[1].weights.T)[0][:, :3]
    expected = models[0].visible.moments(f @ models[0].weights.T)[0]
    found = dbn.mean_down(torch.from_numpy(h))
    np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-10)
    assert dbn.sample_down(torch.from_numpy(h), stream()).shape == (4, 4)


# learning


@pytest.mark.parametrize("units", [Binary, Spin])
def test_the_top_layer_learns_from_features_beside_labels(units: type[Binary | Spin]) -> None:
    dbn = DBN.of(Binary(6), units(4), Binary(3), n_classes=N_CLASSES)
    state = PretrainingState.create(dbn, QUICK)
    for _ in pretraining.updates(state, LABELLED):
        if state.layer == 1:
            break
    data, _ = state.data(LABELLED)
    states = data.rows(torch.arange(60), Stream(1, Purpose.ENCODE))
    dbn.top.visible.check(states, "states")
    assert set(states[:, :4].unique().tolist()) == {-1.0 if units is Spin else 0.0, 1.0}
    # what is certain is never drawn otherwise
    assert torch.equal(states[:, 4:], torch.eye(3)[CLASSES])


def test_pretraining_with_labels_learns_the_classes() -> None:
    options = LayerOptions(
        epochs=60, batch_size=10, n_chains=20, learning_rate=0.2, sampler=Gibbs(2)
    )
    dbn = DBN.of(Binary(6), Binary(6), Binary(8), n_classes=N_CLASSES)
    state = PretrainingState.create(dbn, options, seed=1)
    rows = list(pretraining.run(state, LABELLED, held_out=LABELLED))
    assert {row["layer"] for row in rows} == {1, 2}
    right = (dbn.classify(ROWS) == CLASSES).float().mean()
    assert right > 1 / 3 + 5 * (2 / 9 / len(ROWS)) ** 0.5
    # and the network dreams of pictures that it takes for the class that it was asked for
    classes = torch.arange(300) % N_CLASSES
    chains = start_random(dbn.top, 300, stream())
    (dream,) = dbn.sample(chains, SamplingSchedule(50, 1, 1), stream(), dbn.clamp_classes(classes))
    nearest = (dream.visible @ torch.eye(3).repeat_interleave(2, 1).T).argmax(1)
    # five standard errors above the third that chance would give
    assert (nearest == classes).float().mean() > 1 / 3 + 5 * (2 / 9 / 300) ** 0.5


def finish(dbn: DBN, data: Data, held_out: Data | None = None) -> None:
    state = PretrainingState.create(dbn, QUICK)
    for _ in pretraining.updates(state, data, held_out):
        pass


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (
            None,
            "the label units need the class of each row, but rows has no labels; pass data",
        ),
        (CLASSES - 1, "rows has the label -1, but the classes of the 3 label units are 0 to 2"),
        (CLASSES * 2, "rows has the label 4, but the classes of the 3 label units are 0 to 2"),
    ],
)
@pytest.mark.parametrize("watched", [False, True])
def test_labels_that_are_missing_or_wrong_are_refused_before_anything_is_trained(
    labels: torch.Tensor | None, said: str, watched: bool
) -> None:
    dbn = DBN.of(Binary(6), Binary(4), Binary(3), n_classes=N_CLASSES)
    rows = Data("rows", ROWS, labels=labels)
    with pytest.raises(ValueError, match=said):
        finish(dbn, *((LABELLED, rows) if watched else (rows,)))
    assert not dbn.stack[0].weights.any()


def test_what_needs_label_units_is_refused_without_them() -> None:
    dbn = DBN.of(Binary(4), Binary(3), Binary(2))
    for call in (dbn.classify, dbn.class_log_probabilities):
        with pytest.raises(ValueError, match="the network has no label units; make it with"):
            call(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="the network has no label units"):
        dbn.clamp_classes(torch.tensor([0]))
    with pytest.raises(ValueError, match="there are 1 hidden layers; pass 2 or more"):
        DBN.of(Binary(4), Binary(3), n_classes=3)


@pytest.mark.parametrize("classes", [[3], [-1], [[0]]])
def test_classes_that_are_not_there_are_refused(classes: list[object]) -> None:
    dbn, _ = labelled_dbn()
    with pytest.raises(ValueError, match=r"pass shape \(n_chains,\), from 0 to 2"):
        dbn.clamp_classes(torch.tensor(classes))


def test_label_units_have_no_place_in_the_middle() -> None:
    labelled = RBM(Mixed(Binary(3), Categorical(1, 3)), Binary(2))
    rbms = [RBM(Binary(4), Binary(3)), labelled, RBM(Binary(2), Binary(2))]
    with pytest.raises(ValueError, match="the RBMs do not fit together: RBM 1 has"):
        DBN(rbms)
    assert DBN(rbms[:2]).n_classes == 3
