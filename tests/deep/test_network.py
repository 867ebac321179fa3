"""Classifiers and regressors: what layers pass on, what is shared, and what is refused."""

from __future__ import annotations

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from deep.networks import N_COLUMNS, binary_stack, labelled, stack
from harmonium import RBM, Binary, Categorical, Data, Gaussian, Minibatches, Purpose, Spin, Stream
from harmonium.datasets import UNKNOWN_LABEL, Scaled
from harmonium.deep import (
    Autoencoder,
    Classifier,
    Dropout,
    FinetuningState,
    Network,
    Regressor,
    finetuning,
    init_randomly_,
    without_labels,
)
from harmonium.units import Mixed
from unit_types import UNIT_TYPES, UnitType, array, randomise_

PLAIN = (nn.Linear, nn.Sigmoid, nn.Tanh, nn.Softmax, nn.Flatten, nn.Unflatten)

# Those whose means are modules of torch.nn.
SIMPLE = [unit_type for unit_type in UNIT_TYPES if unit_type.make(1).activation() is not None]
every_simple_type = pytest.mark.parametrize("unit_type", SIMPLE, ids=str)


def rows(n: int = 5, columns: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(size=(n, columns)))


def with_random_outputs(network: Network, seed: int = 50) -> Network:
    randomise_(network.last, seed)
    return network


def mean(rbm: RBM, x: np.ndarray) -> np.ndarray:
    """The mean of hidden units from its definition."""
    inputs = x @ array(rbm.weights) + array(rbm.hidden.bias)
    match rbm.hidden:
        case Binary():
            return 1 / (1 + np.exp(-inputs))
        case Spin():
            return np.tanh(inputs)
        case Gaussian():
            return inputs / np.exp(array(rbm.hidden.log_precision))
    weights = np.exp(inputs.reshape(len(x), -1, rbm.hidden.width))
    return (weights / weights.sum(-1, keepdims=True)).reshape(len(x), -1)


# What it computes


@every_simple_type
def test_a_hidden_layer_passes_on_its_mean(unit_type: UnitType) -> None:
    rbms = stack("binary", unit_type.name, unit_type.name, sizes=(3, 4, 2))
    network = with_random_outputs(Classifier(rbms, range(4)))
    x = array(rows())
    for rbm in rbms:
        x = mean(rbm, x)
    logits = x @ array(network.last.weights) + array(network.last.units.bias)
    np.testing.assert_allclose(array(network(rows())), logits, rtol=1e-12, atol=1e-13)


def test_probabilities_and_labels_of_a_classifier() -> None:
    network = with_random_outputs(Classifier(stack("binary", "spin", sizes=(3, 2)), [7, 2, 4]))
    assert isinstance(network, Classifier)
    logits = array(network(rows()))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(array(network.probabilities(rows())), p, rtol=1e-12)
    np.testing.assert_allclose(array(network.log_probabilities(rows())), np.log(p), rtol=1e-12)
    assert network.predict(rows()).tolist() == np.array([2, 4, 7])[p.argmax(1)].tolist()


def test_extreme_logits_stay_finite() -> None:
    network = Classifier([], [0, 1], Gaussian(1))
    with torch.no_grad():
        network.last.weights.copy_(torch.tensor([[1e4, -1e4]]))
    v, targets = torch.tensor([[1.0], [-1.0]]), torch.tensor([1, 0])
    assert network.log_probabilities(v).isfinite().all()
    assert network.losses(network.inputs(v), targets).tolist() == [2e4, 2e4]


@every_simple_type
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_a_plain_sequential_has_the_same_outputs(unit_type: UnitType, kind: str) -> None:
    rbms = stack("binary", unit_type.name, "binary", sizes=(3, 4, 2))
    moments = torch.tensor([3.0, -70.0]), torch.tensor([0.01, 40.0])
    network = Classifier(rbms, range(4)) if kind == "classifier" else Regressor(rbms, *moments)
    with_random_outputs(network)
    plain = network.to_sequential()
    assert all(isinstance(module, PLAIN) for module in plain)
    torch.testing.assert_close(plain(rows()), network(rows()), rtol=1e-12, atol=1e-12)
    # in any number of dimensions, as torch.nn takes them
    torch.testing.assert_close(plain(rows()[0]), network(rows())[0], rtol=1e-12, atol=1e-12)
    before = [p.clone() for p in network.parameters()]
    with torch.no_grad():
        for parameter in plain.parameters():
            parameter.zero_()
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))


def test_units_without_a_plain_module_say_so() -> None:
    rbm = RBM(Binary(3), Mixed(Binary(2), Spin(1)))
    network = Classifier([rbm], [0, 1])
    assert network(torch.zeros(2, 3)).shape == (2, 2)
    with pytest.raises(
        ValueError, match=r"Mixed units are no module of torch\.nn; use the network"
    ):
        network.to_sequential()


# What is shared


def test_layers_are_those_of_the_stack() -> None:
    rbms = binary_stack(7, 4, 3)
    network = Classifier(rbms, [0, 1])
    trained = {id(parameter) for parameter in network.parameters()}
    assert {id(rbm.weights) for rbm in rbms} <= trained
    assert {id(rbm.hidden.bias) for rbm in rbms} <= trained
    # the way down is none of its business
    assert not {id(rbm.visible.bias) for rbm in rbms} & trained
    copied = Classifier(copy.deepcopy(rbms), [0, 1])
    assert not trained & {id(parameter) for parameter in copied.parameters()}


def test_outputs_begin_at_zero_where_the_stack_is() -> None:
    network = Classifier(stack("binary", "binary", sizes=(3, 2)), range(4))
    assert network.dtype == torch.float64
    assert network(rows()).count_nonzero() == 0


# An empty stack


def test_an_empty_stack_is_multinomial_logistic_regression() -> None:
    data = labelled()
    network = Classifier.for_data([], data)
    randomise_(network, 3)
    v, targets = data.values, network.targets(data)
    (network.losses(network.inputs(v), targets).mean()).backward()
    p, x = array(network.probabilities(v)), array(v)
    p[np.arange(len(p)), targets.numpy()] -= 1
    np.testing.assert_allclose(array(network.last.weights.grad), x.T @ p / len(p), atol=1e-7)
    np.testing.assert_allclose(array(network.last.units.bias.grad), p.mean(0), atol=1e-7)


def test_scores_of_a_classifier() -> None:
    network = with_random_outputs(Classifier([], range(3), Gaussian(N_COLUMNS)))
    assert isinstance(network, Classifier)
    data = labelled()
    targets = network.targets(data)
    scores = network.scores(network.inputs(data.values), targets)
    predicted = network.predict(data.values)
    assert scores["error"].mean() == (predicted != data.labels).float().mean()
    picked = network.log_probabilities(data.values)[torch.arange(len(data)), targets]
    torch.testing.assert_close(scores["loss"], -picked)


def test_scores_of_a_regressor_are_in_the_targets_units() -> None:
    network = Regressor.for_data([], labelled())
    data = labelled()
    assert data.targets is not None
    scores = network.scores(network.inputs(data.values), network.targets(data))
    # without weights it predicts the mean, which leaves the whole variance
    assert scores["loss"].mean().item() == pytest.approx(1, rel=1e-5)
    variance = data.targets.var(0, correction=0).sum().item()
    assert scores["squared_error"].mean().item() == pytest.approx(variance, rel=1e-5)
    np.testing.assert_allclose(array(network(data.values))[0], array(data.targets.mean(0)), 1e-5)


def test_a_constant_target_is_learnt_as_it_is() -> None:
    data = dataclasses.replace(labelled(), targets=torch.full((60, 1), 4.0))
    network = Regressor.for_data([], data)
    assert network.targets(data).count_nonzero() == 0
    assert network(data.values).unique().tolist() == [4.0]


def test_targets_of_one_hundred_million_and_one_are_learnt_as_well_as_small_ones() -> None:
    """float32 counts in eights there."""
    data = labelled()
    small = data.values[:, :1].double() - 1
    here = dataclasses.replace(data, targets=small)
    there = dataclasses.replace(data, targets=small + 1e8)
    fitted = []
    for of_data in (here, there):
        network = Regressor.for_data([], of_data)
        rows = Minibatches(of_data, 20)
        state = FinetuningState.create(network, learning_rate=0.1)
        for _ in finetuning.updates(state, rows, 40):
            pass
        fitted.append((network.targets(of_data), network(of_data.values).double()))
    torch.testing.assert_close(fitted[0][0], fitted[1][0], rtol=0, atol=1e-6)
    torch.testing.assert_close(fitted[0][1], fitted[1][1] - 1e8, rtol=0, atol=1e-4)
    residual = (fitted[1][1] - 1e8 - small).square().mean() / small.var(correction=0)
    assert residual < 0.3  # after 40 updates; of the mean alone it is 1


# A start at random


def test_a_random_start_is_wide_enough_and_a_function_of_the_seed() -> None:
    rbms = [RBM(Binary(200), Binary(100)), RBM(Binary(100), Spin(50))]
    init_randomly_(rbms, seed=1)
    for rbm, widening in zip(rbms, (4, 1), strict=True):
        bound = widening * math.sqrt(6 / sum(rbm.weights.shape))
        assert rbm.weights.abs().max() <= bound
        n = rbm.weights.numel()
        # of a uniform distribution: variance bound^2 / 3, with a relative error of sqrt(0.8 / n)
        assert rbm.weights.var().item() == pytest.approx(bound**2 / 3, rel=5 * (0.8 / n) ** 0.5)
        assert abs(rbm.weights.mean().item()) < 5 * bound / (3 * n) ** 0.5
        assert rbm.hidden.bias.count_nonzero() == 0
    again = [RBM(Binary(200), Binary(100))]
    init_randomly_(again, seed=1)
    assert torch.equal(again[0].weights, rbms[0].weights)
    init_randomly_(again, seed=2)
    assert not torch.equal(again[0].weights, rbms[0].weights)


# Dropout


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    drop = Dropout(inputs=0.2, hidden=0.5).draws(Stream(0, Purpose.FINETUNE))
    assert drop is not None
    n = 200
    for layer, share in ((0, 0.2), (1, 0.5), (2, 0.5)):
        dropped = drop(torch.full((n, n), 3.0), layer)
        kept = dropped != 0
        assert dropped[kept].unique().item() == pytest.approx(3 / (1 - share), rel=1e-6)
        deviation = math.sqrt(share * (1 - share)) / n
        assert kept.double().mean().item() == pytest.approx(1 - share, abs=5 * deviation)
        # of a row or of a column no more or less than of all
        for dim in (0, 1):
            spread = kept.double().mean(dim).std().item() / (deviation * math.sqrt(n))
            assert spread == pytest.approx(1, abs=5 / math.sqrt(2 * n))


def test_dropout_moves_the_stream_by_one_draw_for_each_layer_that_has_any() -> None:
    stream = Stream(0, Purpose.FINETUNE)
    drop = Dropout(hidden=0.5).draws(stream)
    assert drop is not None
    x = torch.ones(3, 4)
    assert drop(x, 0) is x
    first = drop(x, 1)
    assert stream.position == 1
    assert not torch.equal(first, drop(x, 2))
    again = Dropout(hidden=0.5).draws(Stream(0, Purpose.FINETUNE))
    assert again is not None
    assert torch.equal(again(x, 1), first)
    assert Dropout().draws(stream) is None


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_shares_that_are_none_are_refused(share: float) -> None:
    with pytest.raises(ValueError, match=r"dropout of inputs is .*; pass a share from 0 to below"):
        Dropout(inputs=share)
    with pytest.raises(ValueError, match="dropout of hidden is"):
        Dropout(hidden=share)


# What is refused


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (("binary", "spin", Binary(2), "binary"), r"RBM 1 has the hidden units Spin\(n=2\), but"),
        (("binary", Binary(3), Binary(2), "binary"), r"hidden units Binary\(n=3\), but RBM 2"),
        (
            ("binary", Categorical(2, 3), Categorical(3, 2), "binary"),
            r"Categorical\(n=2, n_categories=3\), but RBM 2",
        ),
    ],
)
def test_a_stack_whose_units_do_not_fit_is_refused(layers: tuple, message: str) -> None:
    below, above = stack(*layers[:2], sizes=(3, 2)), stack(*layers[2:], sizes=(2, 2))
    for make in (
        lambda rbms: Classifier(rbms, [0, 1]),
        lambda rbms: Regressor(rbms, torch.zeros(1), torch.ones(1)),
    ):
        with pytest.raises(ValueError, match=message):
            make([*below, *above])


def test_a_stack_with_label_units_is_refused() -> None:
    rbms = [RBM(Binary(4), Binary(3)), RBM(Mixed(Binary(3), Categorical(1, 2)), Binary(2))]
    message = r"the top RBM of the stack has label units .*; pass without_labels"
    for make in (lambda: Classifier(rbms, [0, 1]), lambda: Autoencoder(rbms)):
        with pytest.raises(ValueError, match=message):
            make()


def test_a_stack_without_its_label_units_can_be_read_upwards() -> None:
    lower, top = binary_stack(4, 3)[0], RBM(Mixed(Binary(3), Categorical(1, 2)), Binary(2))
    randomise_(top, 5)
    bottom, bare = without_labels([lower, top])
    assert bottom is lower
    assert torch.equal(bare.weights, top.weights[:3])
    assert torch.equal(bare.visible.bias, top.visible.bias[:3])
    h = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    nobody_says = torch.cat([h, torch.zeros(5, 2)], 1)
    torch.testing.assert_close(bare.mean_h_from_v(h), top.mean_h_from_v(nobody_says))
    network = Classifier([bottom, bare], [0, 1])
    assert network(torch.zeros(2, 4)).shape == (2, 2)
    with torch.no_grad():
        bare.weights.zero_()
    assert top.weights.count_nonzero() > 0
    plain = binary_stack(4, 3, 2)
    assert without_labels(plain) == plain
    assert without_labels([top]) == [top]  # its labels are rows


def test_rows_that_nobody_describes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the stack is empty, so that nothing says.*pass visible"):
        Classifier([], [0, 1])
    with pytest.raises(ValueError, match="the stack says what the rows are; leave visible out"):
        Classifier(binary_stack(7, 2), [0, 1], Gaussian(7))


def change(data: Data, **fields: object) -> Data:
    return dataclasses.replace(data, **fields)  # type: ignore[arg-type]


def relabelled(row: int, label: int) -> Data:
    data = labelled()
    assert data.labels is not None
    labels = data.labels.clone()
    labels[row] = label
    return change(data, labels=labels)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (change(labelled(), labels=None), "small has no labels, and a classifier needs one for"),
        (relabelled(5, -1), r"1 labels of small are negative \(the first is -1, at row 5\); numb"),
        (
            relabelled(5, UNKNOWN_LABEL),
            r"^1 of 60 rows of small have no label; leave them out with Data.labelled\(\)$",
        ),
        (
            change(labelled(), labels=torch.full((60,), 4)),
            "all 60 labels of small are 4; a classifier needs rows of two or more classes",
        ),
    ],
)
def test_labels_that_nothing_can_be_learnt_from_are_refused(data: Data, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Classifier.for_data([], data)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"small has 60 rows, but labels of shape \(59,\)"):
        change(labelled(), labels=torch.zeros(59).long())


@pytest.mark.parametrize(("row", "label", "listed"), [(3, 9, "9"), (0, 1, "1")])
def test_classes_that_were_not_learnt_are_refused(row: int, label: int, listed: str) -> None:
    network = Classifier([], [0, 2, 5], Gaussian(N_COLUMNS))
    known = change(labelled(), labels=torch.tensor([0, 2, 5] * 20))
    assert network.targets(known).tolist() == [0, 1, 2] * 20
    assert known.labels is not None
    known.labels[row] = label
    message = rf"small has 1 rows of classes that were not learnt: {listed}; this classifier knows"
    with pytest.raises(ValueError, match=message + r" 0, 2, 5\. Leave those rows out"):
        network.targets(known)


@pytest.mark.parametrize("classes", [[], [3], [3, 3]])
def test_fewer_than_two_classes_are_refused(classes: list[int]) -> None:
    with pytest.raises(ValueError, match="a classifier needs two or more of them"):
        Classifier([], classes, Gaussian(2))


def test_negative_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="classes hold -1; number them from 0"):
        Classifier([], [-1, 1], Gaussian(2))


def test_targets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="small has no targets, and a regressor needs them"):
        Regressor.for_data([], change(labelled(), targets=None))
    network = Regressor.for_data([], labelled())
    with pytest.raises(ValueError, match="small has 1 targets a row, but this regressor predicts"):
        network.targets(change(labelled(), targets=torch.zeros(60, 1)))
    with pytest.raises(ValueError, match=r"mean has shape \(2,\) and std \(1,\); pass both"):
        Regressor([], torch.zeros(2), torch.ones(1), Gaussian(3))
    for bad in (math.nan, -1.0):
        with pytest.raises(ValueError, match="mean or std is not finite, or a std is negative"):
            Regressor([], torch.zeros(1), torch.tensor([bad]), Gaussian(3))


def test_rows_of_another_width_are_refused() -> None:
    network = Classifier(binary_stack(4, 2), [0, 1])
    with pytest.raises(
        ValueError, match="rows have 7 columns, but this network takes 4; pass shape"
    ):
        network(labelled().values)
    with pytest.raises(ValueError, match="small has 7 columns, but this network takes 4; pass"):
        network.check(labelled())


@pytest.mark.parametrize(
    ("visible", "bad", "message"),
    [
        (
            Binary(7),
            1.5,
            r"small: 1 of \d+ values are not between 0 and 1.*the first is 1.5, at \[1004, 2\]",
        ),
        (Binary(7), math.inf, "not between 0 and 1"),
        (Gaussian(7), math.nan, r"1 of \d+ values are not finite \(the first is nan, at \[1004"),
    ],
)
def test_features_that_are_no_states_are_refused(
    visible: Binary | Gaussian, bad: float, message: str
) -> None:
    data = labelled(1200)
    data.values[1004, 2] = bad
    for network in (
        Classifier([RBM(visible, Binary(2))], [0, 1, 2]),
        Classifier([], [0, 1, 2], visible),
    ):
        with pytest.raises(ValueError, match=message):
            network.check(data)
        with pytest.raises(ValueError, match=message):
            network.outputs(data)


def test_outputs_of_data_are_those_of_their_rows() -> None:
    network = with_random_outputs(Classifier(binary_stack(7, 3), range(3)))
    values = torch.randint(0, 256, (2500, 7), generator=torch.Generator().manual_seed(0))
    data = Data("grey", values.to(torch.uint8), Scaled(0, 255))
    with torch.no_grad():
        expected = network(data.rows(torch.arange(2500)))
    torch.testing.assert_close(network.outputs(data), expected)
    assert not network.outputs(data).requires_grad
    drawn = data.binarize_stochastically()
    assert torch.equal(network.outputs(drawn), network.outputs(drawn))


def test_a_network_moves_with_its_visible_units_kind(device: torch.device) -> None:
    network = Classifier(binary_stack(7, 3), range(3)).to(device)
    data = labelled().to(device)
    assert network.outputs(data).device.type == device.type
    assert network.targets(data).device.type == device.type


def test_dropout_reaches_rows_and_hidden_layers() -> None:
    rbms = binary_stack(7, 4, 3)
    network = with_random_outputs(Classifier(rbms, range(3)))
    v = labelled().values
    seen: list[tuple[int, int]] = []

    def note(x: torch.Tensor, layer: int) -> torch.Tensor:
        seen.append((layer, x.shape[1]))
        return torch.zeros_like(x) if layer == 2 else x

    inputs = network.inputs(v, note)
    assert seen == [(0, 7), (1, 4), (2, 3)]
    assert inputs.count_nonzero() == 0
