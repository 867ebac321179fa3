"""Training classification RBMs: what is judged, when it ends, and that it goes on bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from harmonium import RBM, checkpoint, training
from harmonium.classification import HybridGradient, class_log_probabilities
from harmonium.datasets import Data, Minibatches, Scaled, Stochastic
from harmonium.deep.classification_rbm import (
    EarlyStopping,
    Judgement,
    judge,
    load,
    save,
    train,
)
from harmonium.gradient import PlainGradient
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed
from phases import one_thread  # noqa: F401

N_CLASSES = 3


def labelled(n: int = 90, seed: int = 0, name: str = "rows") -> Data:
    """Grey rows of six columns, of which each class has two bright ones."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % N_CLASSES
    values = torch.randint(0, 120, (n, 6), generator=generator, dtype=torch.uint8)
    values[torch.arange(n), 2 * labels] += 100
    values[torch.arange(n), 2 * labels + 1] += 100
    return Data(name, values, Scaled(0, 255), labels)


def state_of(data: Data, **options: object) -> TrainingState:
    rbm = RBM(Mixed(Binary(6), Categorical(1, N_CLASSES)), Binary(8))
    rbm.init_from_data_(data, seed=1, weight_std=0.1)
    options = {"gradient": HybridGradient(0.01), "learning_rate": 0.5, "seed": 2} | options
    return TrainingState.create(rbm, **options)  # type: ignore[arg-type]


def test_it_learns_to_tell_classes_apart() -> None:
    data, held_out = labelled().join_labels(), labelled(60, 1, "held out").join_labels()
    state = state_of(data)
    before = judge(state.model, held_out)
    stopping = EarlyStopping(patience=20)
    found = list(train(state, Minibatches(data, 10), 40, held_out, stopping))
    assert stopping.model is not None
    after = judge(stopping.model, held_out)
    assert (after.error, after.log_loss) == (stopping.error, stopping.log_loss)
    assert before.error > 0.3 and after.error < 0.05
    assert found[-1]["epoch"] <= 40 and found[0]["epoch"] == 1
    assert {"error", "log_loss", "held_out_error", "held_out_log_loss"} < found[0].keys()


def test_a_judgement_is_counted_by_hand() -> None:
    data = labelled(50).join_labels()
    rbm = state_of(data).rbm
    v = torch.cat(list(data.blocks()))
    log_p = class_log_probabilities(rbm, v[:, :6])
    labels = torch.arange(50) % N_CLASSES
    wrong = int((log_p.argmax(1) != labels).sum())
    found = judge(rbm, data)
    assert (found.error, found.n_rows) == (wrong / 50, 50) and 0 < wrong < 50
    assert found.log_loss == pytest.approx(-log_p[torch.arange(50), labels].mean().item())
    p = found.error
    assert found.std_error == pytest.approx(math.sqrt(p * (1 - p) / 50))
    assert Judgement(0.5, 1.0, 100).std_error == pytest.approx(0.05)


def test_rows_that_are_drawn_are_the_same_ones_at_each_look() -> None:
    data = labelled().with_encoding(Stochastic(0, 255)).join_labels()
    rbm = state_of(data).rbm
    assert judge(rbm, data, 1) == judge(rbm, data, 1) != judge(rbm, data, 2)


def test_training_ends_with_patience_and_the_best_model_stays() -> None:
    data, held_out = labelled().join_labels(), labelled(60, 1).join_labels()
    state = state_of(data, learning_rate=0.0)  # nothing ever gets better
    stopping = EarlyStopping(patience=3)
    found = list(train(state, Minibatches(data, 30), 50, held_out, stopping))
    assert [row["epoch"] for row in found] == [1, 2, 3, 4]
    assert (stopping.epoch, stopping.last_epoch) == (1, 4)
    assert stopping.model is not None and stopping.model is not state.model
    assert torch.equal(stopping.model.weights, state.model.weights)
    assert list(train(state, Minibatches(data, 30), 50, held_out, stopping)) == []


def test_the_best_model_is_that_of_the_lowest_error_and_then_of_the_lowest_loss() -> None:
    stopping, models = EarlyStopping(patience=2), []
    looks = [(0.3, 1.0), (0.2, 2.0), (0.2, 1.9), (0.2, 1.9), (0.25, 0.1)]
    for epoch, (error, loss) in enumerate(looks, start=1):
        assert not stopping.is_over
        model = RBM(Binary(1), Binary(1))
        torch.nn.init.constant_(model.weights, epoch)
        models.append(model)
        row = {"epoch": epoch, "held_out_error": error, "held_out_log_loss": loss}
        stopping.look(model, row)
    assert (stopping.error, stopping.log_loss, stopping.epoch) == (0.2, 1.9, 3)
    assert stopping.is_over
    assert stopping.model is not None and stopping.model.weights.item() == 3


@pytest.mark.parametrize("n_chains", [None, 20], ids=["CD", "PCD"])
@pytest.mark.parametrize("epochs", [2, 5])
def test_a_run_goes_on_bit_for_bit(n_chains: int | None, epochs: int, tmp_path: Path) -> None:
    data, held_out = labelled().join_labels(), labelled(60, 1).join_labels()
    batches = Minibatches(data, 20)

    def start() -> tuple[TrainingState, EarlyStopping]:
        options = {"momentum": 0.5, "average_decay": 0.9, "n_chains": n_chains}
        gradient = HybridGradient(0.01, dropout=0.5)  # whose draws go on as well
        return state_of(data, gradient=gradient, **options), EarlyStopping(patience=4)

    whole, half = start(), start()
    rows = list(train(whole[0], batches, 8, held_out, whole[1]))
    for row in train(half[0], batches, 8, held_out, half[1]):
        if row["epoch"] == epochs:
            break
    save(*half, tmp_path / "c")
    resumed = load(tmp_path / "c")
    assert (resumed[1].epoch, resumed[1].error) == (half[1].epoch, half[1].error)
    for _ in range(3):  # between two epochs as well
        if resumed[0].update < 8 * len(batches):
            training.update(
                resumed[0], batches.batch(resumed[0].update, resumed[0].seed), batches.batch_size
            )
    save(*resumed, tmp_path / "c")
    resumed = load(tmp_path / "c")
    more = list(train(resumed[0], batches, 8, held_out, resumed[1]))
    numbers = ("update", "error", "held_out_error", "held_out_log_loss")
    assert [[row[name] for name in numbers] for row in more] == [
        [row[name] for name in numbers] for row in rows[epochs:]
    ]
    save(*whole, tmp_path / "a")
    save(*resumed, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_nothing_is_kept_of_what_has_not_been_seen(tmp_path: Path) -> None:
    data = labelled().join_labels()
    save(state_of(data), EarlyStopping(patience=7), tmp_path / "c")
    _, stopping = load(tmp_path / "c")
    assert stopping == EarlyStopping(patience=7)


def test_another_checkpoint_is_refused(tmp_path: Path) -> None:
    checkpoint.save(state_of(labelled().join_labels()), tmp_path / "c")
    with pytest.raises(ValueError, match="is a checkpoint of another training; load it with"):
        load(tmp_path / "c")


def test_models_are_kept_beside_a_run(tmp_path: Path) -> None:
    state = state_of(labelled().join_labels())
    other = RBM(Mixed(Gaussian(2), Binary(1)), Binary(2))
    checkpoint.save(state, tmp_path / "c", models={"other": other, "same": state.rbm})
    found = checkpoint.read_models(tmp_path / "c")
    assert found.keys() == {"other", "same"}
    assert repr(found["other"]) == repr(other)
    assert torch.equal(found["same"].weights, state.rbm.weights)
    assert isinstance(checkpoint.load(tmp_path / "c").gradient, HybridGradient)
    checkpoint.save(state, tmp_path / "c")
    assert checkpoint.read_models(tmp_path / "c") == {}


# Bad input


def begin(data: Data, held_out: Data, rbm: RBM | None = None) -> None:
    state = state_of(labelled().join_labels())
    if rbm is not None:
        state.rbm = rbm
    train(state, Minibatches(data, 10), 1, held_out, EarlyStopping(patience=1))


def test_rows_without_a_label_are_refused() -> None:
    data = labelled()
    for train_rows, held_out in ((data, data.join_labels()), (data.join_labels(), data)):
        with pytest.raises(ValueError, match=r"^the rows of rows do not end with their label; pas"):
            begin(train_rows, held_out)
    with pytest.raises(ValueError, match="do not end with their label"):
        judge(state_of(data.join_labels()).rbm, data)


def test_rows_of_one_class_are_refused() -> None:
    data = labelled()
    alone = Data("ones", data.values, data.encoding, torch.ones(90, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"^all 90 rows of ones are of class 1; to tell classes"):
        begin(alone.join_labels(N_CLASSES), data.join_labels())


def test_another_number_of_classes_is_refused() -> None:
    data = labelled()
    with pytest.raises(ValueError, match=r"rows has 5 classes, but this RBM has 3; pass data\.joi"):
        begin(data.join_labels(5), data.join_labels())
    with pytest.raises(ValueError, match=r"held out has 10 columns, but the training data rows ha"):
        begin(data.join_labels(), labelled(name="held out").join_labels(4))


def test_rows_of_another_width_are_refused() -> None:
    data = labelled()
    narrow = Data("narrow", data.values[:, :5], data.encoding, data.labels).join_labels()
    with pytest.raises(ValueError, match="visible has 8 columns, but this RBM has 9 visible col"):
        begin(narrow, narrow)
    with pytest.raises(ValueError, match="visible has 8 columns, but this RBM has 9 visible col"):
        judge(state_of(data.join_labels()).rbm, narrow)


def test_a_model_without_a_class_is_refused() -> None:
    data = labelled().join_labels()
    for visible in (Binary(9), Mixed(Binary(3), Categorical(2, 3))):
        with pytest.raises(ValueError, match=r"^a classifier's last visible unit is the class, bu"):
            begin(data, data, RBM(visible, Binary(2)))


@pytest.mark.parametrize("patience", [0, -1, math.nan])
def test_no_patience_is_refused(patience: float) -> None:
    with pytest.raises(ValueError, match=rf"^patience is {patience}; pass a positive number of ep"):
        EarlyStopping(patience)


def test_a_generative_gradient_trains_the_same_model() -> None:
    data = labelled().join_labels()
    state = state_of(data, gradient=PlainGradient(), learning_rate=0.1)
    (row,) = train(state, Minibatches(data, 30), 1, data, EarlyStopping(patience=1))
    assert row["error"] == row["held_out_error"] <= 1
