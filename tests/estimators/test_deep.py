"""The estimators that classify, regress and stack: what they are beside the library's own parts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import NotFittedError

import oracle
from harmonium import RBM, Minibatches
from harmonium.classification import class_log_probabilities
from harmonium.datasets import Data
from harmonium.deep import (
    DBN,
    Autoencoder,
    Classifier,
    FinetuningState,
    LayerOptions,
    PretrainingState,
    finetuning,
    mean_features,
    pretraining,
)
from harmonium.estimators import (
    AutoencoderTransformer,
    DBNClassifier,
    DBNRegressor,
    DBNTransformer,
    RBMClassifier,
)
from harmonium.units import Binary, Gaussian

# a few updates, whose results are compared and not judged: that nothing was learnt is told in
# test_learning_at_defaults.py
FEW_UPDATES = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

CLASSIFIERS = pytest.mark.parametrize("make", [RBMClassifier, DBNClassifier])
TRANSFORMERS = pytest.mark.parametrize("make", [DBNTransformer, AutoencoderTransformer])
STACKS = pytest.mark.parametrize(
    "make", [DBNTransformer, DBNClassifier, DBNRegressor, AutoencoderTransformer]
)
EVERYTHING = pytest.mark.parametrize(
    "make", [RBMClassifier, DBNTransformer, DBNClassifier, DBNRegressor, AutoencoderTransformer]
)

N = 48


def rows(seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Binary rows, and of which of three prototypes each is a noisy copy."""
    generator = np.random.RandomState(seed)
    prototypes = np.eye(3, dtype=bool).repeat(3, axis=1)
    y = generator.randint(3, size=N)
    return (prototypes[y] ^ (generator.rand(N, 9) < 0.1)).astype(np.float64), y


def small(make: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {"random_state": 0}
    if make is RBMClassifier:
        settings |= {"n_components": 6, "n_iter": 8}
    else:
        settings |= {"layers": (6, 4), "pretraining_epochs": 2}
        if make is not DBNTransformer:
            settings |= {"epochs": 8}
    return make(**settings | options)


def outputs(estimator: Any, X: Any) -> NDArray[Any]:
    """What a fitted estimator makes of rows."""
    for method in ("predict_proba", "transform", "predict"):
        if hasattr(estimator, method):
            found: NDArray[Any] = getattr(estimator, method)(X)
            return found
    raise AssertionError


# They are the library's own parts


def test_a_transformer_is_greedy_pretraining() -> None:
    X, _ = rows()
    given: dict[str, Any] = {"pretraining_batch_size": 10, "pretraining_rate": [0.2, 0.1]}
    estimator = small(DBNTransformer, features="mean", **given).fit(X)
    dbn = DBN.of(Binary(9), Binary(6), Binary(4))
    options = [
        LayerOptions(
            2, 10, weight_std=None, n_chains=10, learning_rate=rate, features=mean_features
        )
        for rate in (0.2, 0.1)
    ]
    state = PretrainingState.create(dbn, options, seed=0)
    data = Data("rows", torch.from_numpy(X).float())
    for _ in pretraining.updates(state, data):
        pass
    for mine, expected in zip(estimator.model_.parameters(), dbn.parameters(), strict=True):
        assert torch.equal(mine, expected)
    with torch.no_grad():
        np.testing.assert_allclose(
            estimator.transform(X), dbn.mean_up(data.values).numpy(), rtol=1e-5
        )
        # the top layer's own reconstruction is that of the means, all the way down
        back = dbn.mean_down(dbn.mean_up(data.values)).numpy()
    np.testing.assert_allclose(
        estimator.inverse_transform(estimator.transform(X)), back, rtol=1e-5, atol=1e-6
    )
    cross_entropy = (X * np.log(back) + (1 - X) * np.log1p(-back)).sum(1)
    np.testing.assert_allclose(estimator.score_samples(X), cross_entropy, rtol=1e-4)
    assert estimator.score(X) == pytest.approx(cross_entropy.mean(), rel=1e-4)


def test_a_classifier_is_pretraining_and_fine_tuning() -> None:
    X, y = rows()
    options: dict[str, Any] = {"momentum": 0.5, "max_norm": 2.0, "learning_rate": 0.3}
    given: dict[str, Any] = {"pretraining_batch_size": 10, "batch_size": 20, "weight_decay": 0.01}
    estimator = small(DBNClassifier, features="mean", schedule="constant", **given, **options)
    estimator.fit(X, y)
    dbn = DBN.of(Binary(9), Binary(6), Binary(4))
    layer = LayerOptions(2, 10, weight_std=None, n_chains=10, features=mean_features)
    data = Data("rows", torch.from_numpy(X).float(), labels=torch.from_numpy(y))
    for _ in pretraining.updates(PretrainingState.create(dbn, layer, seed=0), data):
        pass
    network = Classifier.for_data(dbn.stack, data)
    state = FinetuningState.create(network, weight_decay=0.01, seed=0, **options)
    for _ in finetuning.updates(state, Minibatches(data, 20), 8):
        pass
    for mine, expected in zip(estimator.network_.parameters(), network.parameters(), strict=True):
        assert torch.equal(mine, expected)
    # one model: the stack's weights are the network's
    assert estimator.model_.stack[0].weights is estimator.network_.all_layers[0].weights


def test_probabilities_are_those_of_the_model() -> None:
    X, y = rows()
    estimator = small(RBMClassifier, dtype="float64").fit(X, y)
    expected = class_log_probabilities(estimator.model_, torch.from_numpy(X)).numpy()
    np.testing.assert_array_equal(estimator.predict_log_proba(X), expected)
    np.testing.assert_allclose(estimator.predict_proba(X).sum(1), 1, rtol=1e-12)


def test_an_autoencoder_codes_better_than_it_did_before_fine_tuning() -> None:
    X, _ = rows()
    options: dict[str, Any] = {"weight_std": 0.5, "batch_size": 4, "learning_rate": 0.05}
    before = small(AutoencoderTransformer, **options | {"epochs": 0}).fit(X)
    after = small(AutoencoderTransformer, **options | {"epochs": 40}).fit(X)
    assert after.score(X) > before.score(X) + 0.5
    assert isinstance(after.network_, Autoencoder)
    assert isinstance(after.model_.top.hidden, Gaussian)
    assert isinstance(
        small(AutoencoderTransformer, codes="binary").fit(X).model_.top.hidden, Binary
    )
    with torch.no_grad():
        v = torch.from_numpy(X).float()
        np.testing.assert_allclose(
            after.inverse_transform(after.transform(X)), after.network_(v).numpy(), rtol=1e-5
        )
    # weights of the stack are copied, not shared
    for mine, other in zip(before.model_.parameters(), after.model_.parameters(), strict=True):
        assert torch.equal(mine, other)


# They learn


@CLASSIFIERS
@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.array([-2, 5, 70])])
def test_classes_of_any_type_are_told_apart(make: Any, names: NDArray[Any]) -> None:
    X, y = rows()
    held_out, expected = rows(seed=1)
    options: dict[str, Any] = {"learning_rate": 0.5, "batch_size": 5}
    options |= {"n_iter": 40} if make is RBMClassifier else {"epochs": 40, "layers": (12,)}
    estimator = small(make, **options).fit(X, names[y])
    assert list(estimator.classes_) == list(names)
    # noise of 0.1 leaves a few rows in a hundred nearer to another prototype
    assert estimator.score(held_out, names[expected]) > 0.85
    assert estimator.predict(X[:3]).dtype == names.dtype


def test_a_classifier_without_layers_is_logistic_regression() -> None:
    X, y = rows()
    estimator = small(DBNClassifier, layers=(), epochs=100, learning_rate=0.5).fit(X, y)
    assert estimator.model_ is None
    assert len(estimator.network_.all_layers) == 1
    assert estimator.score(X, y) > 0.9


def test_generative_training_alone_classifies_too() -> None:
    X, y = rows()
    estimator = small(RBMClassifier, generative_weight=None, n_iter=100, batch_size=5)
    assert estimator.fit(X, y).score(X, y) > 0.8


@pytest.mark.parametrize("n_targets", [None, 1, 2])
def test_a_regressor_predicts_as_many_targets_as_it_learnt(n_targets: int | None) -> None:
    X, _ = rows()
    target = 1000 + 50 * X[:, :1] - 30 * X[:, 1:2]
    y = target[:, 0] if n_targets is None else np.hstack([target, -target])[:, :n_targets]
    options: dict[str, Any] = {"layers": (12,), "epochs": 60, "batch_size": 4}
    estimator = small(DBNRegressor, **options).fit(X, y)
    assert estimator.predict(X).shape == y.shape
    assert estimator.score(X, y) > 0.8


def test_real_features_are_standardised() -> None:
    X, y = rows()
    far = X * 1e4 - 3e6
    options: dict[str, Any] = {"visible": "gaussian", "dtype": "float64", "features": "mean"}
    for make in (DBNClassifier, RBMClassifier):
        given = {
            name: options[name]
            for name in options
            if make is not RBMClassifier or name != "features"
        }
        near, same = (small(make, **given).fit(values, y) for values in (X, far))
        np.testing.assert_allclose(near.predict_proba(X), same.predict_proba(far), atol=1e-4)
    back = small(DBNTransformer, **options).fit(far)
    means = back.inverse_transform(back.transform(far))
    assert (np.abs(means - far.mean(0)) < 4 * far.std(0) + 1).all()
    assert back.sample(5, n_sweeps=3).shape == (5, 9)


def test_scaled_features_may_have_any_range() -> None:
    X, y = rows()
    far = X * 70 + 5
    for make in (DBNClassifier, RBMClassifier, DBNTransformer):
        plain, scaled = small(make).fit(X, y), small(make, scale=True).fit(far, y)
        np.testing.assert_array_equal(outputs(plain, X), outputs(scaled, far))


@EVERYTHING
def test_sparse_rows_and_bytes_are_learnt_from_like_dense_ones(make: Any) -> None:
    X, y = rows()
    expected = outputs(small(make).fit(X, y), X)
    for other in (sparse.csr_matrix(X), sparse.coo_array(X), X.astype(np.uint8), X > 0):
        came = outputs(small(make).fit(other, y), other)
        np.testing.assert_allclose(came, expected, rtol=1e-5, atol=1e-6)


@FEW_UPDATES
@EVERYTHING
def test_rows_count_by_weight(make: Any) -> None:
    X, y = rows()
    weights = np.random.RandomState(2).randint(0, 4, N)
    options: dict[str, Any] = {"dtype": "float64", "batch_size": 500, "learning_rate": 0.1}
    if make is not RBMClassifier:
        options |= {"pretraining_batch_size": 500, "features": "mean"}
    if make is DBNTransformer:
        del options["batch_size"], options["learning_rate"]
    weighted = small(make, **options).fit(X, y, sample_weight=weights)
    repeated = small(make, **options).fit(X.repeat(weights, axis=0), y.repeat(weights))
    even = small(make, **options).fit(X, y)
    np.testing.assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-9)
    assert not np.allclose(outputs(weighted, X), outputs(even, X), rtol=1e-7)


@EVERYTHING
def test_a_pickle_and_a_seed_give_the_same(make: Any) -> None:
    X, y = rows()
    first, again = small(make).fit(X, y), small(make).fit(X, y)
    np.testing.assert_array_equal(outputs(first, X), outputs(again, X))
    assert not np.array_equal(outputs(first, X), outputs(small(make, random_state=1).fit(X, y), X))
    copied = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(outputs(copied, X), outputs(first, X))
    for estimator in (first, copied):
        estimator.partial_fit(X[:7], y[:7])
    np.testing.assert_array_equal(outputs(copied, X), outputs(first, X))
    assert not np.array_equal(outputs(first, X), outputs(again, X))


def test_a_pickled_classifier_still_shares_its_stack() -> None:
    copied = pickle.loads(pickle.dumps(small(DBNClassifier).fit(*rows())))
    assert copied.model_.stack[1].weights is copied.network_.all_layers[1].weights


# partial_fit


@EVERYTHING
def test_partial_fit_is_one_update_of_the_mean_whatever_the_number_of_rows(make: Any) -> None:
    X, y = rows()
    once = small(make, dtype="float64").fit(X, y)
    before = outputs(once, X)
    twice = copy.deepcopy(once)
    once.partial_fit(X[:5], y[:5])
    twice.partial_fit(np.concatenate([X[:5]] * 2), np.concatenate([y[:5]] * 2))
    np.testing.assert_allclose(outputs(once, X), outputs(twice, X), rtol=1e-9)
    assert not np.allclose(outputs(once, X), before, rtol=1e-9)


@EVERYTHING
def test_partial_fit_begins_and_goes_on(make: Any) -> None:
    X, y = rows()
    estimator = small(make)
    classes = {"classes": [0, 1, 2]} if make in (RBMClassifier, DBNClassifier) else {}
    assert estimator.partial_fit(X[:10], y[:10], **classes) is estimator
    first = outputs(estimator, X)
    estimator.partial_fit(X[10:13], y[10:13], sample_weight=[1.0, 0.0, 2.0])
    assert not np.array_equal(outputs(estimator, X), first)


@CLASSIFIERS
def test_minibatches_teach_the_classes(make: Any) -> None:
    X, y = rows()
    estimator = small(make, learning_rate=1.0)
    for turn in range(200):
        place = slice(12 * (turn % 4), 12 * (turn % 4) + 12)
        estimator.partial_fit(X[place], y[place], classes=[0, 1, 2])
    assert estimator.score(X, y) > 0.6  # chance is a third


# Early stopping


@pytest.mark.parametrize("make", [RBMClassifier, DBNClassifier, DBNRegressor])
def test_patience_stops_early_and_keeps_the_best(
    make: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    X, y = rows()
    noise = np.random.RandomState(3).randint(3, size=N)  # nothing in X to learn it from
    name = "n_iter" if make is RBMClassifier else "epochs"
    options: dict[str, Any] = {name: 300, "patience": 2, "validation_fraction": 0.25}
    options |= {"batch_size": 9}  # four an epoch, so that patience counts from epoch 25 on
    small(make, verbose=1, learning_rate=0.3, **options).fit(X, noise)
    told = [line for line in capsys.readouterr().out.splitlines() if "held" in line]
    assert 25 <= len(told) < 100
    assert "held" in told[0]
    weights = np.ones(N)
    weighted = small(make, **options).fit(X, y, sample_weight=weights)
    plain = small(make, **options).fit(X, y)
    np.testing.assert_allclose(outputs(weighted, X), outputs(plain, X), rtol=1e-3, atol=1e-4)


@FEW_UPDATES
def test_verbose_says_how_layers_learn(capsys: pytest.CaptureFixture[str]) -> None:
    small(DBNClassifier, verbose=1, pretraining_epochs=(1, 1), epochs=2).fit(*rows())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "[DBNClassifier] layer 1",
        "[DBNClassifier] layer 2",
        "[DBNClassifier] fine-tuning",
        "[DBNClassifier] fine-tuning",
    ]
    assert all("=" in line for line in lines)


@FEW_UPDATES
def test_no_pretraining_begins_with_random_weights() -> None:
    X, y = rows()
    estimator = small(DBNClassifier, pretraining_epochs=0, epochs=0).fit(X, y)
    pretrained = small(DBNClassifier, epochs=0, weight_std=0.01).fit(X, y)
    weights = estimator.model_.stack[0].weights
    assert weights.abs().max() > 10 * pretrained.model_.stack[0].weights.std()


def test_dreams_follow_the_features() -> None:
    X, _ = rows()
    estimator = small(DBNTransformer, layers=(8, 6), pretraining_epochs=60).fit(X)
    drawn = estimator.sample(500, n_sweeps=100, random_state=1)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_array_equal(drawn, estimator.sample(500, n_sweeps=100, random_state=1))
    # base rates alone would do, far from noise: half a column's range at most
    assert np.abs(drawn.mean(0) - X.mean(0)).max() < 0.3


# What is refused


@STACKS
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": (4, 0)}, "a width in layers is 0; pass an integer, 1 or more"),
        ({"layers": 4}, "layers is 4; pass the numbers of hidden units"),
        ({"pretraining_rate": [0.1, 0.1, 0.1]}, "pretraining_rate has 3 values, but there are 2"),
        ({"pretraining_epochs": (1,)}, "pretraining_epochs has 1 values, but there are 2 layers"),
        ({"n_chains": [5, 0]}, "n_chains is 0; pass an integer, 1 or more"),
        ({"visible": "spin"}, "visible is 'spin'; pass 'auto' or 'binary' or 'gaussian'"),
        ({"features": "all"}, "features is 'all'; pass 'drawn' or 'mean'"),
        ({"device": "gpu7"}, "device is 'gpu7', which cannot be used here"),
    ],
)
def test_layers_out_of_range_are_refused(make: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(make, **options).fit(*rows())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": -1}, "epochs is -1; pass an integer, 0 or more"),
        ({"batch_size": 0}, "batch_size is 0; pass an integer, 1 or more"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; pass a number, 0 or more"),
        ({"dropout": 1.0}, "dropout of hidden is 1.0"),
        ({"max_norm": 0.0}, "max_norm is 0.0"),
        ({"patience": 0}, "patience is 0; pass an integer, 1 or more"),
        ({"patience": 1, "validation_fraction": 1.5}, "held_out is 1.5"),
        ({"pretraining_epochs": (0, 1)}, "pass 0 for all layers, or for none"),
    ],
)
def test_fine_tuning_out_of_range_is_refused_before_hours_of_pretraining(
    options: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pretrain(*arguments: Any, **named: Any) -> None:
        raise AssertionError("it was begun")

    monkeypatch.setattr(pretraining, "updates", pretrain)
    for make in (DBNClassifier, DBNRegressor, AutoencoderTransformer):
        with pytest.raises(ValueError, match=message):
            small(make, **options).fit(*rows())


@TRANSFORMERS
def test_a_transformer_needs_a_layer(make: Any) -> None:
    with pytest.raises(ValueError, match="layers is empty"):
        small(make, layers=()).fit(*rows())
    with pytest.raises(ValueError, match="pretraining_epochs is 0"):
        small(DBNTransformer, pretraining_epochs=0).fit(*rows())


@CLASSIFIERS
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a"] * N, "y holds one class alone, 'a'; a classifier needs rows of two or more"),
        (np.arange(N) + 0.5, "Unknown label type: continuous"),
        (None, "requires y to be passed, but the target y is None"),
        ([0, 1], "inconsistent numbers of samples"),
        ([float("nan")] * N, "Input y contains NaN|y holds no label at all"),
    ],
)
def test_labels_that_are_none_are_refused(make: Any, y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(make).fit(rows()[0], y)


@CLASSIFIERS
def test_classes_are_named_when_learning_begins(make: Any) -> None:
    X, y = rows()
    with pytest.raises(ValueError, match="classes is missing; the first call to partial_fit"):
        small(make).partial_fit(X, y)
    with pytest.raises(ValueError, match=r"y holds 2, which is none of the classes \[0, 1\]"):
        small(make).partial_fit(X, y, classes=[0, 1])
    fitted = small(make).fit(X, y)
    with pytest.raises(ValueError, match=r"classes is \[0, 1\], but this classifier learns"):
        fitted.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="y holds 'x', which is none of the classes"):
        fitted.partial_fit(X, np.array(["x"] * N))


def test_another_number_of_targets_is_refused() -> None:
    X, y = rows()
    fitted = small(DBNRegressor).fit(X, y)
    with pytest.raises(ValueError, match="y has 2 targets a row, but this regressor predicts 1"):
        fitted.partial_fit(X, np.stack([y, y], 1))


@EVERYTHING
def test_features_out_of_range_are_refused_and_say_what_helps(make: Any) -> None:
    X, y = rows()
    binary = small(make, visible="binary")
    fitted = copy.deepcopy(binary).fit(X, y)
    for call in (lambda: binary.fit(X * 3, y), lambda: fitted.partial_fit(X * 3, y)):
        with pytest.raises(ValueError, match=r"X has values from 0 to 3, .* visible='gaussian'"):
            call()


@EVERYTHING
@pytest.mark.parametrize("visible", ["auto", "binary"])
def test_rows_a_little_outside_the_training_rows_are_taken_as_their_ends_with_one_warning(
    make: Any, visible: str
) -> None:
    X, y = rows()
    fitted = small(make, visible=visible).fit(X, y)
    assert fitted.visible_ == "binary"
    outside = np.concatenate([X * 1.2 - 0.1] * 60)  # several blocks of rows
    with pytest.warns(UserWarning, match=r"X has values from -0.1 to 1.1, but .* 0 or 1") as told:
        found = outputs(fitted, outside)
    assert len(told) == 1
    np.testing.assert_array_equal(found[:N], outputs(fitted, X))


@EVERYTHING
def test_nothing_is_computed_before_fitting(make: Any) -> None:
    X, _ = rows()
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        outputs(small(make), X)


@EVERYTHING
def test_weights_that_are_none_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="sample_weight holds -1 at row 0"):
        small(make).fit(*rows(), sample_weight=[-1.0] + [1.0] * (N - 1))


@pytest.mark.parametrize("weight", [-0.1, "some"])
def test_a_generative_weight_out_of_range_is_refused(weight: Any) -> None:
    with pytest.raises(ValueError, match=r"generative_weight is .*; pass a number, 0 or more"):
        small(RBMClassifier, generative_weight=weight).fit(*rows())


def test_dropout_learns_and_is_drawn_from_the_seed() -> None:
    X, y = rows()
    options: dict[str, Any] = {"learning_rate": 1.0, "batch_size": 5, "n_components": 30}
    plain, dropped, again = (
        small(RBMClassifier, dropout=share, **options).fit(X, y) for share in (0.0, 0.5, 0.5)
    )
    assert dropped.score(X, y) > 0.9
    assert not np.array_equal(plain.predict_proba(X), dropped.predict_proba(X))
    np.testing.assert_array_equal(dropped.predict_proba(X), again.predict_proba(X))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": -0.1}, "^dropout is -0.1; pass a number, 0 or more$"),
        ({"dropout": "half"}, "^dropout is 'half'; pass a number, 0 or more$"),
        ({"dropout": 1.0}, "^dropout is 1.0; pass a share from 0 to below 1, such as 0.5$"),
        (
            {"dropout": 0.5, "generative_weight": None},
            r"^dropout is 0.5, but generative training alone \(generative_weight=None\) has none;",
        ),
    ],
)
def test_a_dropout_that_is_none_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(RBMClassifier, **options).fit(*rows())


def test_a_schedule_ends_with_fit_and_partial_fit_goes_on() -> None:
    X, y = rows()
    estimator = small(DBNClassifier, schedule="linear").fit(X, y)
    before = outputs(estimator, X)
    assert not np.array_equal(outputs(estimator.partial_fit(X, y), X), before)


# rows that a classifier draws


def joint(rbm: RBM, n_classes: int) -> NDArray[Any]:
    """p(row, class) by enumeration of binary rows, shape (n_rows, n_classes)."""
    n = rbm.visible.n_columns - n_classes
    x = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * n).double()
    log_p = [
        -rbm.free_energy(torch.cat((x, torch.eye(n_classes)[[k] * len(x)].double()), 1))
        for k in range(n_classes)
    ]
    table = torch.stack(log_p, 1).flatten().softmax(0)
    return np.asarray(table.detach().reshape(len(x), n_classes).numpy())


@FEW_UPDATES
@pytest.mark.parametrize("y", [None, "a", "c"])
def test_rows_of_a_classifier_follow_the_model_and_its_classes(y: str | None) -> None:
    X, labels = rows()
    names = np.array(["a", "b", "c"])[labels]
    options = {"n_components": 3, "n_iter": 5, "generative_weight": None, "dtype": "float64"}
    estimator = small(RBMClassifier, **options).fit(X[:, :4], names)
    n = 4000
    drawn, of_class = estimator.sample(n, y, n_sweeps=100, random_state=1)
    p = joint(estimator.model_, 3)
    if y is not None:
        assert set(of_class) == {y}
        p = p * (estimator.classes_ == y)
    index = (drawn @ [8, 4, 2, 1]).astype(int) * 3 + np.searchsorted(estimator.classes_, of_class)
    assert oracle.chi_square(np.bincount(index, minlength=48), (p / p.sum()).ravel()) > 1e-6
    assert drawn.dtype == np.float64 and of_class.dtype == estimator.classes_.dtype


def test_a_classifier_draws_a_row_for_each_label() -> None:
    X, y = rows()
    estimator = small(RBMClassifier, visible="gaussian").fit(X * 10 + 5, y)
    drawn, of_class = estimator.sample(y=[2, 0, 0], n_sweeps=5)
    assert drawn.shape == (3, 9) and of_class.tolist() == [2, 0, 0]
    assert abs(drawn.mean() - (X * 10 + 5).mean()) < 5
    assert estimator.sample()[0].shape == (1, 9)
    first, again = (estimator.sample(9, n_sweeps=2, random_state=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(*(estimator.sample(9, 1, n_sweeps=2)[0] for _ in range(2)))


@pytest.mark.parametrize(
    ("n", "y", "said"),
    [
        (None, [0, 3], r"y holds 3, which is none of the classes \[0, 1, 2\]; pass classes that"),
        (None, "one", "y holds 'one', which is none of the classes"),
        (2, [0, 1, 2], r"y has shape \(3,\), and n_samples is 2; pass one label for all rows"),
        (None, [[0], [1]], r"y has shape \(2, 1\), and n_samples is None; pass one label"),
        (0, None, "n_chains is 0; pass 1 or more"),
    ],
)
def test_rows_that_a_classifier_cannot_draw_are_refused(n: int | None, y: Any, said: str) -> None:
    estimator = small(RBMClassifier).fit(*rows())
    with pytest.raises(ValueError, match=said):
        estimator.sample(n, y)
    with pytest.raises(NotFittedError):
        RBMClassifier().sample()
