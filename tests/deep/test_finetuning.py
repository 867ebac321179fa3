"""Fine-tuning: its updates, what stops it, what it keeps, and what it refuses."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from deep.networks import N_COLUMNS, binary_stack, labelled
from harmonium import Data, Minibatches, training
from harmonium.deep import (
    Autoencoder,
    Classifier,
    Dropout,
    FinetuningState,
    Network,
    Patience,
    Regressor,
    finetuning,
    init_randomly_,
)
from unit_types import array

EVERYTHING = {
    "momentum": 0.5,
    "weight_decay": 0.01,
    "dropout": Dropout(0.2, 0.5),
    "max_norm": 1.0,
}


def classifier(seed: int = 0) -> Classifier:
    rbms = binary_stack(N_COLUMNS, 6, 5)
    init_randomly_(rbms, seed)
    return Classifier.for_data(rbms, labelled())


def parameters(network: Network) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


def train(state: FinetuningState, epochs: int, batch_size: int = 8, seed: int = 0) -> None:
    for _ in finetuning.updates(state, Minibatches(labelled(), batch_size), epochs):
        pass


# The updates


def test_updates_are_those_of_a_loop_written_by_hand() -> None:
    network = classifier()
    twin = network.to_sequential()
    state = FinetuningState.create(network, learning_rate=0.3, momentum=0.5, seed=4)
    batches = Minibatches(labelled(), 8)  # of 60 rows: the last batch has 4
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.3, momentum=0.5)
    targets = network.targets(labelled())
    for number in finetuning.updates(state, batches, 3):
        v, wanted = batches.batch_with(targets, number - 1, 4)
        optimizer.zero_grad()
        (functional.cross_entropy(twin(v), wanted, reduction="sum") / 8).backward()
        optimizer.step()
    assert state.update == 3 * 8
    for mine, other in zip(network.to_sequential().parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_manual_steps_are_the_loop() -> None:
    by_loop, by_hand = (FinetuningState.create(classifier(), **EVERYTHING) for _ in range(2))
    train(by_loop, 2)
    batches, targets = Minibatches(labelled(), 8), by_hand.network.targets(labelled())
    assert targets is not None
    for number in range(2 * len(batches)):
        v, wanted = batches.batch_with(targets, number, by_hand.seed)
        finetuning.update(by_hand, v, wanted, batches.batch_size)
    assert same(parameters(by_loop.network), parameters(by_hand.network))


def test_regression_without_hidden_layers_finds_the_least_squares() -> None:
    data = labelled(200)
    assert data.targets is not None
    data.values.sub_(data.values.mean(0)).div_(data.values.std(0))
    network = Regressor.for_data([], data).double()
    state = FinetuningState.create(network, learning_rate=0.5, momentum=0.9)
    for _ in finetuning.updates(state, Minibatches(data, 200), 400):
        pass
    x = np.column_stack([array(data.values), np.ones(200)])
    solution = np.linalg.lstsq(x, array(data.targets), rcond=None)[0]
    np.testing.assert_allclose(array(network(data.values.double())), x @ solution, atol=1e-4)


def test_fine_tuning_moves_the_stack_unless_it_was_copied() -> None:
    rbms = binary_stack(N_COLUMNS, 6, 5)
    before = copy.deepcopy(rbms)
    for stack, moves in ((copy.deepcopy(rbms), False), (rbms, True)):
        network = Classifier.for_data(stack, labelled())
        train(FinetuningState.create(network), 1)
        for own, was in zip(rbms, before, strict=True):
            assert torch.equal(own.weights, was.weights) != moves
            assert torch.equal(own.hidden.bias, was.hidden.bias) != moves
            assert torch.equal(own.visible.bias, was.visible.bias)


def test_at_first_the_last_layer_alone_learns() -> None:
    network = classifier()
    with torch.no_grad():
        values = network.all_layers[1](network.all_layers[0](labelled().values))
    features = Data("features", values, labels=labelled().labels)
    alone = Classifier.for_data([], features)
    before = parameters(network)
    state = FinetuningState.create(network, **{**EVERYTHING, "dropout": None}, head_updates=24)
    twin = FinetuningState.create(alone, **{**EVERYTHING, "dropout": None})
    train(state, 3)
    for _ in finetuning.updates(twin, Minibatches(features, 8), 3):
        pass
    *stack, weights, bias = parameters(network)
    assert same(stack, before[:-2])
    # on the features of a stack that does not move it is logistic regression
    torch.testing.assert_close(weights, alone.last.weights.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(bias, alone.last.units.bias.detach(), rtol=1e-4, atol=1e-6)
    train(state, 4)
    assert not any(
        torch.equal(a, b) for a, b in zip(parameters(network)[:-2], before, strict=False)
    )


def test_the_seed_decides_everything_and_torch_nothing() -> None:
    ends = []
    for seed, of_torch in ((1, 10), (1, 11), (2, 10)):
        torch.manual_seed(of_torch)
        state = FinetuningState.create(classifier(), dropout=Dropout(0.2, 0.5), seed=seed)
        train(state, 2)
        ends.append(parameters(state.network))
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


def test_dropout_is_drawn_anew_in_every_update() -> None:
    state = FinetuningState.create(classifier(), dropout=Dropout(inputs=0.5))
    gradients = []
    for _ in range(2):
        train(FinetuningState.create(state.network, learning_rate=0.0), 1)
        v, targets = labelled().values[:8], state.network.targets(labelled())
        assert targets is not None
        state.optimizer.param_groups[0]["lr"] = state.optimizer.param_groups[1]["lr"] = 0.0
        finetuning.update(state, v, targets[:8])
        gradients.append(state.network.last.weights.grad)
    assert not torch.equal(gradients[0], gradients[1])


def test_max_norm_shortens_long_weights_alone() -> None:
    network = classifier()
    before = [layer.weights.detach().clone() for layer in network.all_layers]
    lengths = torch.cat([weights.norm(dim=0) for weights in before[:2]])
    longest = lengths.median().item()
    state = FinetuningState.create(network, learning_rate=0.0, max_norm=longest)
    train(state, 1, batch_size=60)
    for layer, was in zip(network.all_layers, before, strict=True):
        now = layer.weights.detach()
        assert (now.norm(dim=0) <= longest * (1 + 1e-6)).all()
        short = was.norm(dim=0) <= longest
        assert torch.equal(now[:, short], was[:, short])
        direction = was[:, ~short] / was[:, ~short].norm(dim=0)
        torch.testing.assert_close(now[:, ~short], longest * direction)
    assert (lengths > longest).any()


def test_weight_decay_leaves_biases_alone() -> None:
    states = [
        FinetuningState.create(classifier(), learning_rate=0.1, weight_decay=decay)
        for decay in (0.0, 0.5)
    ]
    before = dict(classifier().named_parameters())
    for state in states:
        train(state, 1, batch_size=60)
    plain, decayed = (dict(state.network.named_parameters()) for state in states)
    for name, parameter in plain.items():
        pull = 0.1 * 0.5 * before[name] if name.endswith("weights") else 0
        torch.testing.assert_close(decayed[name], parameter - pull, rtol=0, atol=1e-6)


def test_a_schedule_moves_the_rate_after_each_update() -> None:
    state = FinetuningState.create(
        classifier(),
        learning_rate=0.4,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 16),
    )
    batches = Minibatches(labelled(), 8)
    rates = [state.learning_rate for _ in finetuning.updates(state, batches, 2)]
    assert rates == pytest.approx([0.4 * (1 - n / 16) for n in range(1, 17)], abs=1e-7)
    assert {group["lr"] for group in state.optimizer.param_groups} == {state.learning_rate}


def test_any_optimizer_will_do() -> None:
    network = classifier()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    state = FinetuningState.create(network, optimizer=optimizer)
    before = finetuning.evaluate(network, labelled())
    train(state, 30)
    after = finetuning.evaluate(network, labelled())
    assert after["loss"] < before["loss"] / 2
    assert after["error"] < 0.2


# Rows of numbers


def test_rows_say_how_it_goes() -> None:
    state = FinetuningState.create(classifier(), learning_rate=0.0)
    batches, held_out = Minibatches(labelled(), 8), labelled(30, seed=1)
    rows = list(finetuning.run(state, batches, 3, held_out=held_out))
    assert [row["update"] for row in rows] == [8, 16, 24]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    # nothing moves, so that losses of an epoch are those of all rows
    expected = finetuning.evaluate(state.network, labelled())["loss"]
    judged = finetuning.evaluate(state.network, held_out)
    for row in rows:
        assert row["loss"] == pytest.approx(expected, rel=1e-5)
        assert row["held_out_loss"] == pytest.approx(judged["loss"])
        assert row["held_out_error"] == pytest.approx(judged["error"])
        assert row["best_update"] == 8
        assert row["rows_per_second"] > 0
    every = FinetuningState.create(classifier())
    assert [row["update"] for row in finetuning.run(every, batches, 2, every=5)] == [5, 10, 15, 16]


def test_an_evaluation_is_of_all_rows() -> None:
    data = labelled(2500)
    network = classifier()
    with torch.no_grad():
        scores = network.scores(network.inputs(data.values), network.targets(data))
    for name, value in finetuning.evaluate(network, data).items():
        assert value == pytest.approx(scores[name].double().mean().item(), rel=1e-5)


def test_looking_changes_nothing_that_is_learnt() -> None:
    looked, alone = (FinetuningState.create(classifier(), **EVERYTHING) for _ in range(2))
    batches = Minibatches(labelled(), 8)
    for _ in finetuning.run(looked, batches, 2, every=3, held_out=labelled(30, seed=1)):
        pass
    train(alone, 2)
    assert same(parameters(looked.network), parameters(alone.network))


# The best model


def test_the_best_model_is_kept() -> None:
    network = classifier()
    # a rate that is too high: the score goes up and down
    state = FinetuningState.create(network, learning_rate=8.0)
    held_out = labelled(40, seed=1)
    scores, models = [], []
    for row in finetuning.run(state, Minibatches(labelled(), 8), 12, held_out=held_out):
        scores.append(row["held_out_error"])
        models.append(parameters(network))
        first_best = int(np.argmin(scores))
        assert row["best_update"] == 8 * (first_best + 1)
        assert same(parameters(state.model), models[first_best])
    assert 0 < first_best < 11  # neither the first nor the last
    assert finetuning.evaluate(state.model, held_out)["error"] == min(scores)
    state.take_best_()
    assert same(parameters(network), models[first_best])


def test_without_held_out_rows_the_last_model_is_kept() -> None:
    state = FinetuningState.create(classifier())
    train(state, 1)
    assert state.model is state.network
    state.take_best_()


def test_a_regressor_is_judged_by_its_loss_and_an_autoencoder_by_its_squared_error() -> None:
    batches, held_out = Minibatches(labelled(), 8), labelled(20, seed=1)
    for network in (
        Regressor.for_data(binary_stack(N_COLUMNS, 4), labelled()),
        Autoencoder(binary_stack(N_COLUMNS, 4)),
    ):
        state = FinetuningState.create(network, learning_rate=0.01)
        (row,) = finetuning.run(state, batches, 1, held_out=held_out)
        assert state.best is not None
        assert state.best.score == row[f"held_out_{network.criterion}"]
        assert {"held_out_loss", "held_out_squared_error"} <= row.keys()


# Patience


def test_patience_in_epochs_stops_after_so_many_without_improvement() -> None:
    batches, held_out = Minibatches(labelled(), 8), labelled(40, seed=1)
    state = FinetuningState.create(
        classifier(), learning_rate=0.0, patience=Patience.of_epochs(3, batches)
    )
    rows = list(finetuning.run(state, batches, 100, held_out=held_out))
    # the first look is an improvement, and then nothing changes
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert state.is_over
    assert list(finetuning.run(state, batches, 100, held_out=held_out)) == []


def tutorial(scores: list[float], every: int, at_least: int) -> int:
    """After how many minibatches the loop of the deep learning tutorials ends, as it is written.

    ``scores[k]`` is what looking after minibatch ``(k + 1) * every`` gives.
    """
    patience, patience_increase, improvement_threshold = at_least, 2, 0.995
    best = math.inf
    for done in itertools.count(1):
        if done % every == 0:
            score = scores[done // every - 1]
            if score < best:
                if score < best * improvement_threshold:
                    patience = max(patience, done * patience_increase)
                best = score
        if patience <= done:
            return done
    raise AssertionError


@pytest.mark.parametrize("seed", range(6))
def test_the_classic_patience_is_that_of_the_tutorials(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches, at_least = Minibatches(labelled(), 8), 12
    generator = np.random.default_rng(seed)
    scores = list(np.cumprod(generator.uniform(0.985, 1.0, 200)))
    scores[generator.integers(8, 20) :] = [scores[-1] * 2] * 200
    given = iter(scores)
    monkeypatch.setattr(
        finetuning.judging, "_mean_scores", lambda *_: {"loss": 1.0, "error": float(next(given))}
    )
    state = FinetuningState.create(
        classifier(), learning_rate=0.0, patience=Patience.classic(at_least)
    )
    held_out = labelled(10, seed=1)
    *_, last = finetuning.run(state, batches, 1000, every=4, held_out=held_out)
    assert last["update"] == tutorial(scores, every=4, at_least=at_least)
    assert 12 <= last["update"] < 800


def test_the_numbers_of_the_classic_patience() -> None:
    patience = Patience.classic()
    assert [patience.until(improved) for improved in (0, 2500, 2501, 4000)] == [
        5000,
        5000,
        5002,
        8000,
    ]
    assert Patience(after_best=70).until(30) == 100


def test_patience_that_runs_out_needs_rows_to_look_at() -> None:
    state = FinetuningState.create(classifier(), patience=Patience(after_best=5))
    with pytest.raises(ValueError, match="patience looks at rows that are not trained on, and the"):
        next(finetuning.run(state, Minibatches(labelled(), 8), 1))


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate is -0.1; pass 0 or a positive number"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"momentum": 1.0}, "momentum is 1.0; pass a number from 0 to below 1"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0; pass 0 or a positive number"),
        ({"max_norm": 0.0}, "max_norm is 0.0; pass a positive number, or None"),
        ({"head_updates": -1}, "head_updates is -1; pass 0 or more"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FinetuningState.create(classifier(), **options)  # type: ignore[arg-type]


def test_optimizers_that_cannot_train_the_network_are_refused() -> None:
    network, other = classifier(), classifier()
    with pytest.raises(
        ValueError, match="parameters that do not belong to this network; make it ove"
    ):
        optimizer = torch.optim.Adam(other.parameters())
        FinetuningState.create(network, optimizer=optimizer)
    with pytest.raises(ValueError, match="LBFGS asks for losses along a line"):
        FinetuningState.create(network, optimizer=torch.optim.LBFGS(network.parameters()))
    with pytest.raises(ValueError, match=r"weight_decay is 0.1, but an optimizer came too; give"):
        optimizer = torch.optim.Adam(network.parameters())
        FinetuningState.create(network, optimizer=optimizer, weight_decay=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_least": -1}, "at_least is -1; pass 0 or more updates"),
        ({"after_best": -1}, "after_best is -1; pass 0 or more updates"),
        ({"at_least": 5, "growth": 0.5}, "growth is 0.5; pass 1 or more"),
        ({"at_least": 5, "threshold": 0.0}, "threshold is 0.0; pass a share above 0, up to 1"),
        ({"at_least": 5, "threshold": 1.5}, "threshold is 1.5"),
        ({}, "at_least and after_best are both 0: nothing would be trained"),
    ],
)
def test_impatience_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Patience(**options)  # type: ignore[arg-type]


def test_data_that_do_not_fit_are_refused_before_anything_is_learnt() -> None:
    state = FinetuningState.create(classifier())
    before = parameters(state.network)
    no_labels = dataclasses.replace(labelled(), labels=None)
    outside = labelled()
    outside.values[0, 0] = -2
    for data, held_out, message in (
        (no_labels, None, "small has no labels"),
        (outside, None, "small: 1 of 420 values are not between 0 and 1"),
        (labelled(), no_labels, "small has no labels"),
        (labelled(), outside, "small: 1 of 420 values are not between 0 and 1"),
        (labelled(n_classes=4), None, "15 rows of classes that were not learnt: 3; this"),
        (labelled(), labelled(n_classes=4), "15 rows of classes that were not learnt: 3; this"),
    ):
        with pytest.raises(ValueError, match=message):
            next(finetuning.run(state, Minibatches(data, 8), 1, held_out=held_out))
    with pytest.raises(ValueError, match="15 rows of classes that were not learnt"):
        finetuning.evaluate(state.network, labelled(n_classes=4))
    with pytest.raises(ValueError, match="every is -1; pass 1 or more updates"):
        next(finetuning.run(state, Minibatches(labelled(), 8), 1, every=-1))
    assert state.update == 0
    assert same(parameters(state.network), before)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_the_run(bad: float) -> None:
    network = Regressor.for_data(binary_stack(N_COLUMNS, 4), labelled())
    state = FinetuningState.create(network, momentum=0.9)
    targets = network.targets(labelled())
    finetuning.update(state, labelled().values, targets)
    before = parameters(network)
    targets[3] = bad
    with pytest.raises(FloatingPointError, match="the gradient of update 2 is not finite; the net"):
        finetuning.update(state, labelled().values, targets)
    assert state.update == 1
    assert same(parameters(network), before)


def test_a_rate_that_is_too_large_is_told() -> None:
    network = Regressor.for_data(binary_stack(N_COLUMNS, 4), labelled())
    state = FinetuningState.create(network, learning_rate=1e6)
    with pytest.raises(
        FloatingPointError, match="The learning rate, 1e\\+06, is probably too larg"
    ):
        train(state, 50)
    assert all(parameter.isfinite().all() for parameter in network.parameters())
