"""The autoencoder: a stack unrolled, codes, rows of codes, and what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import oracle
from deep.networks import N_COLUMNS, binary_stack, labelled, stack
from harmonium import RBM, Binary, Categorical, Data, Gaussian, Minibatches, Spin
from harmonium.deep import DBN, Autoencoder, FinetuningState, finetuning
from unit_types import BY_NAME, UNIT_TYPES, UnitType, array, random_rbm, randomise_

SIMPLE = [unit_type for unit_type in UNIT_TYPES if unit_type.make(1).activation() is not None]


def rows(n: int = 5, columns: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=(n, columns)))


@pytest.mark.parametrize("unit_type", SIMPLE, ids=str)
def test_it_begins_as_the_stack_goes_up_and_down(unit_type: UnitType) -> None:
    rbms = stack("binary", unit_type.name, "gaussian", sizes=(3, 4, 2))
    network, dbn = Autoencoder(rbms), DBN(rbms)
    codes = dbn.mean_up(rows())
    torch.testing.assert_close(network.encode(rows()), codes)
    torch.testing.assert_close(network.decode(codes), dbn.mean_down(codes))
    torch.testing.assert_close(network(rows()), dbn.mean_down(codes))


@pytest.mark.parametrize("unit_type", SIMPLE, ids=str)
def test_a_plain_sequential_has_the_same_outputs(unit_type: UnitType) -> None:
    network = Autoencoder(stack("binary", unit_type.name, "gaussian", sizes=(3, 4, 2)))
    encoder, decoder = network.to_sequential()
    torch.testing.assert_close(encoder(rows()), network.encode(rows()), rtol=1e-12, atol=1e-12)
    codes = network.encode(rows())
    torch.testing.assert_close(decoder(codes), network.decode(codes), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(network.to_sequential()(rows()), network(rows()))


def test_gaussian_codes_are_linear_in_the_layer_below() -> None:
    rbms = stack("binary", "binary", "gaussian", sizes=(3, 4, 2))
    network = Autoencoder(rbms)
    below = rbms[0].mean_h_from_v(rows())
    slope = rbms[1].weights / rbms[1].hidden.log_precision.exp()
    offset = rbms[1].hidden.bias / rbms[1].hidden.log_precision.exp()
    torch.testing.assert_close(network.encode(rows()), below @ slope + offset)


def test_both_ways_are_copies_that_come_apart() -> None:
    rbms = binary_stack(N_COLUMNS, 5, 3)
    before = [parameter.clone() for rbm in rbms for parameter in rbm.parameters()]
    network = Autoencoder(rbms)
    state = FinetuningState.create(network, learning_rate=0.5)
    for _ in finetuning.updates(state, Minibatches(labelled(), 8), 2):
        pass
    after = [parameter for rbm in rbms for parameter in rbm.parameters()]
    assert all(torch.equal(p, q) for p, q in zip(before, after, strict=True))
    up, down = network.encoder[0].weights, network.decoder[-1].weights
    assert not torch.equal(up, rbms[0].weights)
    assert not torch.equal(up, down.T)


@pytest.mark.parametrize("visible", UNIT_TYPES, ids=str)
def test_the_loss_is_what_the_units_say(visible: UnitType) -> None:
    rbm, model = random_rbm(visible, BY_NAME["binary"], sizes=(3, 2))
    network = Autoencoder([rbm])
    points = model.visible.points()[0]
    v = torch.from_numpy(points[:: max(1, len(points) // 50)])
    losses = array(network.losses(network.inputs(v), v))
    scores = network.scores(network.inputs(v), v)
    np.testing.assert_allclose(losses, array(scores["loss"]))
    expected = squared = array((network(v) - v).square().sum(-1))
    np.testing.assert_allclose(array(scores["squared_error"]), squared)
    if rbm.visible.states is not None:
        inputs = array(network.encode(v)) @ array(rbm.weights).T
        expected = cross_entropy(model.visible, inputs, array(v))
    elif "mixed" in visible.name:
        return  # both kinds in one row: the tests of reconstruction errors have it
    np.testing.assert_allclose(losses, expected, rtol=1e-9, atol=1e-12)


def cross_entropy(layer: oracle.Layer, inputs: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Minus log p(v | inputs) by enumeration."""
    points = layer.points()[0]
    log_weights = layer.log_weights(inputs)[1]
    place = [int(np.abs(points - row).sum(1).argmin()) for row in v]
    normaliser = np.logaddexp.reduce(log_weights, axis=-1)
    return normaliser - log_weights[np.arange(len(v)), place]


def test_grey_values_count_as_probabilities() -> None:
    network = Autoencoder(stack("binary", "binary", sizes=(3, 2)))
    v = rows()
    expected = functional.binary_cross_entropy(network(v), v, reduction="none").sum(1)
    torch.testing.assert_close(network.losses(network.inputs(v), v), expected)


def test_extreme_inputs_have_finite_losses() -> None:
    rbm = RBM(Binary(3), Gaussian(2))
    with torch.no_grad():
        rbm.weights.fill_(1e4)
    network = Autoencoder([rbm])
    v = torch.tensor([[0.0, 1.0, 0.5]])
    loss = network.losses(network.inputs(v), v)
    loss.sum().backward()
    assert loss.isfinite().all()
    assert all(
        p.grad is not None and p.grad.isfinite().all()
        for p in network.parameters()
        if p.requires_grad
    )


def test_it_learns_to_compress() -> None:
    # two numbers decide everything in seven columns
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(2, N_COLUMNS))
    values = generator.normal(size=(300, 2)) @ mixing
    data = Data("plane", torch.from_numpy(values).float())
    rbm = RBM(Gaussian(N_COLUMNS), Gaussian(2))
    randomise_(rbm, 1, 0.1)
    network = Autoencoder([rbm])
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.02)
    state = FinetuningState.create(network, optimizer=optimizer)
    for _ in finetuning.updates(state, Minibatches(data, 100), 150):
        pass
    error = finetuning.evaluate(network, data)["squared_error"]
    assert error < 1e-3 * (values**2).sum(1).mean()
    assert network.codes(data).shape == (300, 2)


def test_codes_of_data_are_those_of_their_rows() -> None:
    network = Autoencoder(binary_stack(N_COLUMNS, 4, 2))
    data = labelled(2100)
    codes = network.codes(data)
    assert not codes.requires_grad
    torch.testing.assert_close(codes, network.encode(data.values))


# What is refused


def test_an_empty_stack_is_refused() -> None:
    with pytest.raises(ValueError, match="an autoencoder needs a stack of one RBM or more"):
        Autoencoder([])


def test_a_stack_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the hidden units Binary\(n=2\), but RBM 2 above it the"):
        Autoencoder([RBM(Binary(3), Binary(2)), RBM(Spin(2), Binary(2))])
    with pytest.raises(ValueError, match="the RBMs do not fit together"):
        Autoencoder([RBM(Binary(3), Binary(6)), RBM(Categorical(2, 3), Binary(2))])


def test_rows_and_codes_of_another_width_are_refused() -> None:
    network = Autoencoder(binary_stack(5, 4, 2))
    with pytest.raises(
        ValueError, match="rows have 7 columns, but this network takes 5; pass shape"
    ):
        network.encode(torch.zeros(1, 7))
    with pytest.raises(
        ValueError, match=r"codes have 3 columns, but this autoencoder's have 2; pa"
    ):
        network.decode(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="small has 7 columns, but this network takes 5"):
        network.codes(labelled())
