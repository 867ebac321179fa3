"""Up-down fine-tuning: its gradients are those of enumeration, and the likelihood rises by it."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import deep_oracle
import oracle
from deep.test_dbn import exact_chains, random_dbn
from deep.test_labels import LABELLED, N_CLASSES, ROWS
from harmonium import Binary, Data, Gibbs, Minibatches, Penalties, Spin, Tempering, training
from harmonium.deep import (
    DBN,
    LayerOptions,
    PretrainingState,
    UpDownState,
    init_randomly_,
    pretraining,
    up_down,
)
from harmonium.deep.bound import log_p
from unit_types import array

N = 20_000


def grads(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def finish(state: UpDownState, data: Data, epochs: int, batch_size: int = 10) -> UpDownState:
    for _ in up_down.updates(state, Minibatches(data, batch_size), epochs):
        pass
    return state


# gradients


@pytest.mark.parametrize("name", ["two layers", "other units", "real codes"])
def test_generative_layers_learn_to_make_what_is_awake(name: str) -> None:
    """The gradient of E_q log p(v | h1), by all hidden states of the first layer."""
    dbn, models = random_dbn(name)
    v = torch.from_numpy(models[0].visible.some_states()[[-1]])
    state = UpDownState.create(dbn, learning_rate=0.0, seed=1)
    up_down.update(state, v.expand(N, -1))
    found = grads(dbn.stack[0])

    rbm = copy.deepcopy(dbn.stack[0]).requires_grad_(True)
    rbm.zero_grad()
    h = torch.from_numpy(models[0].hidden.points()[0])
    q = log_p(rbm.hidden, h, rbm.inputs_h_from_v(v)).exp().detach()
    (-(q * log_p(rbm.visible, v, rbm.inputs_v_from_h(h))).sum()).backward()
    for parameter in ("weights", "visible.bias"):
        expected = rbm.get_parameter(parameter).grad
        # a state differs from its mean by less than 2, and so do the products of two
        assert expected is not None
        assert (found[parameter] - expected).abs().max() < 5 * 2 / N**0.5, parameter
    assert "hidden.bias" not in found


@pytest.mark.parametrize("name", ["two layers", "other units"])
def test_recognition_layers_learn_to_find_what_made_the_dreams(name: str) -> None:
    """The gradient of E_p log q(h1 | v), by all states of both layers."""
    dbn, models = random_dbn(name)
    state = UpDownState.create(dbn, learning_rate=0.0, n_chains=N, sampler=Gibbs(1), seed=1)
    state.chains = exact_chains(models[-1])
    p_above = np.exp(deep_oracle.log_p(models[1:]))
    up_down.update(state, torch.from_numpy(models[0].visible.some_states()[:1]))
    found = grads(dbn.recognition[0])

    v, h = (torch.from_numpy(x.points()[0]) for x in (models[0].visible, models[0].hidden))
    rbm = copy.deepcopy(dbn.recognition[0]).requires_grad_(True)
    rbm.zero_grad()
    downwards = np.exp(
        deep_oracle.log_conditional(models[0].visible, array(h) @ models[0].weights.T)
    )
    p = torch.from_numpy(p_above[:, None] * downwards)  # of (h, v)
    log_q = log_p(rbm.hidden, h[:, None], rbm.inputs_h_from_v(v)[None])
    (-(p * log_q).sum()).backward()
    for parameter in ("weights", "hidden.bias"):
        expected = rbm.get_parameter(parameter).grad
        assert expected is not None
        assert (found[parameter] - expected).abs().max() < 5 * 2 / N**0.5, parameter
    assert "visible.bias" not in found


# learning


def teacher() -> tuple[Data, np.ndarray]:
    """Six pixels in three patterns with noise, and the index of each row among all states."""
    states = oracle.binary(np.zeros(6)).points()[0]
    return Data("patterns", ROWS), oracle.state_index(ROWS.double().numpy(), states)


def models_of(dbn: DBN) -> list[oracle.Model]:
    return [
        oracle.Model(
            oracle.binary(array(rbm.visible.bias)),
            oracle.binary(array(rbm.hidden.bias)),
            array(rbm.weights),
        )
        for rbm in dbn.stack
    ]


def mean_log_likelihood(dbn: DBN, index: np.ndarray) -> float:
    return float(deep_oracle.log_p(models_of(dbn))[index].mean())


def mean_bound(dbn: DBN, index: np.ndarray) -> float:
    upwards = [
        oracle.Model(
            oracle.binary(array(rbm.visible.bias)),
            oracle.binary(array(rbm.hidden.bias)),
            array(rbm.weights),
        )
        for rbm in dbn.recognition[:-1]
    ]
    states = oracle.binary(np.zeros(6)).points()[0]
    shown, counts = np.unique(index, return_counts=True)
    values = [deep_oracle.bound(models_of(dbn), states[i], upwards) for i in shown]
    return float(np.average(values, weights=counts))


@pytest.fixture(scope="module")
def pretrained() -> DBN:
    """A network that greedy learning has taken some way: 2.4 nats, where the rows have 2.0."""
    options = LayerOptions(epochs=100, batch_size=10, n_chains=20, learning_rate=0.2)
    dbn = DBN.of(Binary(6), Binary(4), Binary(4), Binary(4)).double()
    state = PretrainingState.create(dbn, options, seed=1)
    for _ in pretraining.updates(state, teacher()[0]):
        pass
    return dbn


@pytest.mark.parametrize("n_chains", [None, 50])
def test_fine_tuning_raises_the_exact_likelihood_and_the_bound(
    n_chains: int | None, pretrained: DBN
) -> None:
    data, index = teacher()
    dbn = copy.deepcopy(pretrained)
    before, bound_before = mean_log_likelihood(dbn, index), mean_bound(dbn, index)
    state = UpDownState.create(dbn, n_chains=n_chains, learning_rate=0.2, seed=2)
    finish(state, data, epochs=60)
    after, bound_after = mean_log_likelihood(dbn, index), mean_bound(dbn, index)
    assert after > before + 0.05
    assert bound_after > bound_before + 0.05
    assert bound_after < after and bound_before < before


def test_the_same_seed_gives_the_same_bits_and_another_others() -> None:
    data, _ = teacher()
    weights = []
    for seed in (2, 2, 3):
        dbn = DBN.of(Binary(6), Binary(4), Binary(3))
        init_randomly_(dbn.stack, seed=0)
        finish(UpDownState.create(dbn, seed=seed), data, epochs=1)
        weights.append(dbn.stack[0].weights.detach().clone())
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_only_what_the_network_uses_is_trained() -> None:
    data, _ = teacher()
    dbn = DBN.of(Binary(6), Spin(4), Binary(3))
    init_randomly_(dbn.stack)
    state = UpDownState.create(
        dbn, optimizer=lambda own: torch.optim.Adam(own, lr=0.01), n_chains=5, seed=1
    )
    before = {name: p.detach().clone() for name, p in dbn.named_parameters()}
    finish(state, data, epochs=1)
    moved = {n for n, p in dbn.named_parameters() if not torch.equal(p, before[n])}
    assert {*before} - moved == {"rbms.0.hidden.bias", "_upwards.0.visible.bias"}


def test_a_network_without_weights_is_refused() -> None:
    state = UpDownState.create(DBN.of(6, 4, 3))
    with pytest.raises(ValueError, match=r"^all 3 hidden units are alike: their weights are zero"):
        up_down.update(state, ROWS)
    assert state.update == 0 and state.stream.position == 0


def test_a_short_last_batch_counts_for_less() -> None:
    dbn, models = random_dbn("two layers")
    v = torch.from_numpy(models[0].visible.some_states()[:1])
    found = []
    for batch_size in (None, 4):
        state = UpDownState.create(copy.deepcopy(dbn), learning_rate=0.0, seed=1)
        up_down.update(state, v, batch_size)
        found.append({**grads(state.dbn)})
    for name, grad in found[0].items():
        torch.testing.assert_close(found[1][name], grad / 4, rtol=1e-12, atol=1e-15)


def test_labels_are_learnt_with_the_rows() -> None:
    dbn = DBN.of(Binary(6), Binary(6), Binary(8), n_classes=N_CLASSES)
    options = LayerOptions(epochs=20, batch_size=10, n_chains=20, learning_rate=0.2)
    state = PretrainingState.create(dbn, options, seed=1)
    for _ in pretraining.updates(state, LABELLED):
        pass

    def loss() -> float:
        log_p = dbn.class_log_probabilities(ROWS)
        assert LABELLED.labels is not None
        return -float(log_p.gather(1, LABELLED.labels[:, None]).mean())

    before = loss()
    tuned = UpDownState.create(dbn, n_chains=20, learning_rate=0.1, seed=1)
    finish(tuned, LABELLED.join_labels(N_CLASSES), epochs=40)
    assert loss() < before


def test_penalties_of_the_top_rbm_take_part() -> None:
    found = []
    for penalties in (None, Penalties(l2=0.5)):
        dbn, models = random_dbn("two layers")
        state = UpDownState.create(dbn, learning_rate=0.0, penalties=penalties, seed=1)
        up_down.update(state, torch.from_numpy(models[0].visible.some_states()))
        found.append(grads(dbn.top)["weights"])
    torch.testing.assert_close(found[1] - found[0], 0.5 * dbn.top.weights.detach())


def test_the_one_loop_tells_of_its_progress() -> None:
    dbn = DBN.of(Binary(6), Binary(4), Binary(3))
    init_randomly_(dbn.stack)
    state = UpDownState.create(dbn, learning_rate=0.1)
    batches = Minibatches(Data("rows", ROWS), len(ROWS))
    rows = list(training.run(state, batches, 2))
    assert [row["update"] for row in rows] == [1, 2]
    assert rows[0].keys() == {"update", "epoch", "learning_rate", "rows_per_second"}
    with pytest.raises(ValueError, match="reports the progress of its network alone; leave held_"):
        next(training.run(state, batches, 3, held_out=batches.data))


# what is refused


def test_what_cannot_be_fine_tuned_is_refused() -> None:
    dbn = DBN.of(Binary(6), Binary(4), Binary(3))
    with pytest.raises(ValueError, match="the network has 1 hidden layer, and no ways up and down"):
        UpDownState.create(DBN.of(Binary(6), Binary(4)))
    with pytest.raises(ValueError, match="learning_rate is -1; pass 0 or a positive number"):
        UpDownState.create(dbn, learning_rate=-1)
    with pytest.raises(ValueError, match="tempering moves replicas that have to persist"):
        UpDownState.create(dbn, sampler=Tempering())
    with pytest.raises(ValueError, match="n_chains is 0; pass 1 or more"):
        UpDownState.create(dbn, n_chains=0)
    assert not dbn.is_untied


def test_batches_of_another_width_are_refused() -> None:
    state = UpDownState.create(DBN.of(Binary(6), Binary(4), Binary(3)))
    with pytest.raises(ValueError, match=r"has 6 visible columns; pass shape \(rows, 6\)"):
        up_down.update(state, torch.zeros(2, 5))
    labelled = UpDownState.create(DBN.of(Binary(6), Binary(4), Binary(3), n_classes=3))
    with pytest.raises(ValueError, match=r"6 visible columns and 3 of the labels \(Data.join_l"):
        up_down.update(labelled, torch.zeros(2, 6))


def test_a_gradient_that_is_not_finite_stops_before_the_step() -> None:
    dbn = DBN.of(Binary(6), Binary(4), Binary(3))
    init_randomly_(dbn.stack)
    state = UpDownState.create(dbn, learning_rate=0.1)
    before = dbn.stack[0].weights.detach().clone()
    with torch.no_grad():
        dbn.stack[0].visible.bias[1] = float("nan")
    with pytest.raises(FloatingPointError, match="the gradient of update 1 is not finite"):
        up_down.update(state, ROWS)
    assert torch.equal(dbn.stack[0].weights, before) and state.update == 0
