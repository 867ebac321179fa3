"""`BernoulliRBM` beside scikit-learn's, and what both RBM estimators promise."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import BernoulliRBM as Theirs
from sklearn.pipeline import make_pipeline

from harmonium import Gibbs, Penalties, PlainGradient, Purpose, Stream, TrainingState, training
from harmonium.datasets import Data, Minibatches
from harmonium.estimators import BernoulliRBM, GaussianRBM
from harmonium.estimators.rbm import RBMEstimator
from harmonium.likelihood import exact_log_likelihood, exact_moments
from harmonium.rbm import RBM
from harmonium.units import Binary

EACH = pytest.mark.parametrize("make", [BernoulliRBM, GaussianRBM])


def rows(n: int = 60, n_features: int = 7, seed: int = 0) -> NDArray[Any]:
    """Binary rows whose columns depend on each other in threes."""
    generator = np.random.RandomState(seed)
    hidden = generator.rand(n, -(-n_features // 3)) < 0.4
    noise = generator.rand(n, n_features) < 0.1
    return (hidden.repeat(3, axis=1)[:, :n_features] ^ noise).astype(np.float64)


def small(make: type[RBMEstimator] = BernoulliRBM, **options: Any) -> RBMEstimator:
    settings: dict[str, Any] = {"n_components": 4, "n_iter": 3, "random_state": 0}
    estimator: RBMEstimator = make(**settings | options)
    return estimator


# Beside scikit-learn's


def test_parameters_are_those_of_scikit_learn_in_their_order_with_their_defaults() -> None:
    theirs, ours = Theirs().get_params(), BernoulliRBM().get_params()
    assert {name: ours[name] for name in theirs} == theirs
    names = list(BernoulliRBM.__init__.__annotations__)
    assert names[: len(theirs)] == list(Theirs.__init__.__code__.co_varnames[1 : len(theirs) + 1])


def twins(dtype: str, seed: int = 1) -> tuple[BernoulliRBM, Theirs, NDArray[Any]]:
    """The same weights in both, far from zero, and rows of their visible units."""
    X = rows(9, 6)
    ours = BernoulliRBM(n_components=5, n_iter=0, dtype=dtype, random_state=0).fit(X)
    theirs = Theirs(n_components=5, n_iter=0, random_state=0).fit(X)
    generator = np.random.RandomState(seed)
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        value = generator.normal(0, 1.5, getattr(theirs, name).shape).astype(dtype)
        setattr(theirs, name, value)
        setattr(ours, name, value)
    return ours, theirs, X


# Sums of six terms of order 1 to 10, in either type
TOLERANCE = {"float64": 1e-13, "float32": 5e-6}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csr_array])
def test_copied_weights_compute_the_same(dtype: str, container: Callable[[Any], Any]) -> None:
    ours, theirs, X = twins(dtype)
    close: dict[str, float] = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
    for came, expected in (
        (ours.transform(container(X)), theirs.transform(container(X))),
        (ours._free_energy(container(X)), theirs._free_energy(X)),
    ):
        assert came.shape == expected.shape
        np.testing.assert_allclose(came, expected, **close)


class ThatUnit(np.random.RandomState):
    """Lets scikit-learn flip the unit it is told to, in every row."""

    def __init__(self, unit: int) -> None:
        super().__init__(0)
        self.unit = unit

    def randint(self, low: int, high: int, size: int) -> NDArray[Any]:  # type: ignore[override]
        return np.full(size, self.unit)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_score_is_the_mean_of_scikit_learns_over_all_units_that_it_may_flip(
    dtype: str,
) -> None:
    ours, theirs, X = twins(dtype)
    of_units = [
        theirs.set_params(random_state=ThatUnit(unit)).score_samples(X)
        for unit in range(X.shape[1])
    ]
    expected = np.mean(of_units, axis=0)
    tolerance = 10 * TOLERANCE[dtype]
    np.testing.assert_allclose(ours.score_samples(X), expected, rtol=tolerance, atol=tolerance)
    assert ours.score(X) == pytest.approx(expected.mean(), rel=tolerance)
    # and they differ from unit to unit, so that one of them is not the mean
    assert np.std(of_units, axis=0).min() > 0.1


def test_weights_can_be_read_and_written_by_scikit_learns_names() -> None:
    ours, theirs, _ = twins("float64")
    assert ours.components_.shape == (5, 6) == theirs.components_.shape
    assert ours.h_samples_.shape == (10, 5) == theirs.h_samples_.shape
    np.testing.assert_array_equal(ours.model_.weights.detach().numpy(), theirs.components_.T)
    ours.components_ *= 2
    np.testing.assert_array_equal(ours.model_.weights.detach().numpy(), 2 * theirs.components_.T)
    ours.intercept_hidden_[2] = 7  # the model's own memory
    assert ours.model_.hidden.bias[2] == 7
    with pytest.raises(ValueError, match=r"components_ has shape \(6, 5\); pass shape \(5, 6\)"):
        ours.components_ = theirs.components_.T
    with pytest.raises(NotFittedError):
        BernoulliRBM().components_ = theirs.components_
    assert not hasattr(BernoulliRBM(), "components_")
    assert not hasattr(BernoulliRBM(), "h_samples_")


def test_gibbs_follows_the_conditionals_of_scikit_learns_model() -> None:
    ours, theirs, X = twins("float64")
    n = 4000
    v = np.repeat(X[:1], n, axis=0)
    came = ours.gibbs(v)
    assert set(np.unique(came)) <= {0.0, 1.0}
    assert not np.array_equal(came, ours.gibbs(v))  # each call draws anew
    theirs.random_state_ = np.random.RandomState(3)
    difference = came.mean(0) - theirs.gibbs(v).mean(0)
    # two means of n coin flips each: a variance of at most 1 / 2n; 5 standard errors
    assert np.abs(difference).max() < 5 * np.sqrt(1 / (2 * n))
    assert np.abs(came.mean(0) - 0.5).max() > 0.2  # which a fair coin would not have passed


# Training


def test_a_fit_is_the_training_of_the_library() -> None:
    X = rows().astype(np.float32)
    options: dict[str, Any] = {"momentum": 0.5, "penalties": Penalties(l2=0.01)}
    given: dict[str, Any] = {"learning_rate": 0.2, "batch_size": 7, "n_chains": 5}
    estimator = small(sampler=Gibbs(2), weight_std=0.3, **given, **options)
    estimator.fit(X)
    data = Data("rows", torch.from_numpy(X))
    rbm = RBM(Binary(7), Binary(4)).init_from_data_(data, seed=0, weight_std=0.3)
    state = TrainingState.create(rbm, sampler=Gibbs(2), n_chains=5, learning_rate=0.2, **options)
    for _ in training.updates(state, Minibatches(data, 7), epochs=3):
        pass
    for mine, expected in zip(estimator.model_.parameters(), rbm.parameters(), strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-5, atol=1e-6)


def test_it_learns_more_than_base_rates() -> None:
    X = rows(300, 6)
    ones = X.mean(0)
    independent = (X * np.log(ones) + (1 - X) * np.log(1 - ones)).sum(1).mean()
    fitted = BernoulliRBM(n_components=6, n_iter=60, random_state=0).fit(X)
    learnt = exact_log_likelihood(fitted.model_, torch.from_numpy(X)).mean().item()
    # what the columns tell of each other is about 1.4 nats in these rows
    assert learnt > independent + 0.7
    assert fitted.score(X) > BernoulliRBM(n_components=6, n_iter=0, random_state=0).fit(X).score(X)


@EACH
@pytest.mark.parametrize("options", [{}, {"n_chains": None}, {"average_decay": 0.9}])
def test_the_same_seed_fits_the_same_model_and_another_one_another(
    make: type[RBMEstimator], options: dict[str, Any]
) -> None:
    X = rows()
    first = small(make, **options).fit(X)
    again = small(make, **options).fit(X)
    other = small(make, **options, random_state=1).fit(X)
    np.testing.assert_array_equal(first.components_, again.components_)
    assert not np.allclose(first.components_, other.components_)
    one, two = (small(make, random_state=np.random.RandomState(5)).fit(X) for _ in range(2))
    np.testing.assert_array_equal(one.components_, two.components_)
    np.random.seed(6)  # noqa: NPY002 - what random_state=None follows
    before = small(make, random_state=None).fit(X)
    after = small(make, random_state=None).fit(X)
    assert not np.allclose(before.components_, after.components_)


@EACH
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_are_learnt_from_like_dense_ones(
    make: type[RBMEstimator], container: Callable[[Any], Any]
) -> None:
    X = rows()
    weights = np.arange(len(X)) % 3
    dense = small(make).fit(X, sample_weight=weights)
    thin = small(make).fit(container(X), sample_weight=weights)
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        np.testing.assert_array_equal(getattr(thin, name), getattr(dense, name))
    for method in ("transform", "score_samples", "gibbs"):
        came, expected = getattr(thin, method)(container(X)), getattr(dense, method)(X)
        np.testing.assert_array_equal(came, expected)


@EACH
def test_bytes_and_booleans_stay_small_and_learn_the_same(make: type[RBMEstimator]) -> None:
    X = rows()
    expected = small(make).fit(X)
    for dtype in (np.uint8, np.bool_, np.float32):
        came = small(make).fit(X.astype(dtype))
        np.testing.assert_allclose(came.components_, expected.components_, rtol=0, atol=1e-6)
        assert came.transform(X.astype(dtype)).dtype == np.float32
    assert expected.transform(X).dtype == np.float64


@EACH
def test_weights_count_rows(make: type[RBMEstimator]) -> None:
    X = rows(30)
    weights = np.random.RandomState(1).randint(0, 4, len(X))
    # one batch an epoch: which rows share a batch is not the question here
    options: dict[str, Any] = {"batch_size": 200, "dtype": "float64", "learning_rate": 0.05}
    weighted = small(make, **options).fit(X, sample_weight=weights)
    repeated = small(make, **options).fit(X.repeat(weights, axis=0))
    even = small(make, **options).fit(X)
    scaled = small(make, **options).fit(X, sample_weight=weights / 7)
    for came in (weighted, scaled):
        np.testing.assert_allclose(came.components_, repeated.components_, rtol=1e-9, atol=1e-12)
    assert not np.allclose(weighted.components_, even.components_, rtol=1e-4)
    assert weighted.score(X, sample_weight=weights) == pytest.approx(
        weighted.score(X.repeat(weights, axis=0)), rel=1e-12
    )


def test_minibatches_of_weighted_rows_learn_the_weighted_distribution() -> None:
    # two kinds of rows, one of them rare but heavy: what is learnt are its weighted shares
    X = np.zeros((200, 3))
    X[:20] = 1
    weights = np.where(X[:, 0] == 1, 18.0, 2.0)  # one half each
    means = []
    for seed in range(6):
        fitted = BernoulliRBM(n_components=2, n_iter=40, average_decay=0.995, random_state=seed)
        fitted.fit(X, sample_weight=weights)
        means.append(exact_moments(fitted.model_).visible["bias"].numpy())
    # 0.5 of the weighted rows, 0.1 of the rows; PCD's own noise is 0.1, and 0.04 of six fits
    np.testing.assert_allclose(np.mean(means, axis=0), 0.5, atol=0.12)


# partial_fit


@EACH
@pytest.mark.parametrize("n", [1, 3, 10, 60])
def test_partial_fit_is_one_update_of_the_mean_whatever_the_number_of_rows(
    make: type[RBMEstimator], n: int
) -> None:
    X = rows()
    once = small(make, dtype="float64").fit(X)
    twice = copy.deepcopy(once)
    once.partial_fit(X[:n])
    twice.partial_fit(np.concatenate([X[:n], X[:n]]))
    assert not np.array_equal(once.components_, small(make, dtype="float64").fit(X).components_)
    # the same mean over twice as many rows is the same step
    np.testing.assert_allclose(once.components_, twice.components_, rtol=1e-9, atol=1e-13)
    assert once.h_samples_.shape == (10, 4)


def test_scikit_learns_partial_fit_is_not() -> None:
    # its negative phase is a sum over batch_size chains, divided by the number of rows
    X = rows()
    moved = []
    for repeats in (1, 2):
        theirs = Theirs(n_components=4, random_state=0, n_iter=3).fit(X)
        before = theirs.components_.copy()
        theirs.random_state_ = np.random.RandomState(0)
        theirs.partial_fit(np.concatenate([X[:3]] * repeats))
        moved.append(theirs.components_ - before)
    assert not np.allclose(*moved, atol=1e-3)


@EACH
def test_partial_fit_begins_a_model_and_goes_on(make: type[RBMEstimator]) -> None:
    X = rows()
    estimator = small(make)
    assert estimator.partial_fit(X[:10]) is estimator
    model, first = estimator.model_, estimator.components_.copy()
    estimator.set_params(learning_rate=0.0).partial_fit(X[10:20])
    np.testing.assert_array_equal(estimator.components_, first)
    estimator.set_params(learning_rate=0.1).partial_fit(X[20:23], sample_weight=[1, 0, 2])
    assert estimator.model_ is model
    assert not np.array_equal(estimator.components_, first)
    assert small(make).partial_fit(X, sample_weight=[1.0] * 60).n_features_in_ == 7


def test_partial_fit_goes_on_after_a_schedule_has_ended() -> None:
    X = rows()
    estimator = small(schedule="linear").fit(X)
    before = estimator.components_.copy()
    assert not np.array_equal(estimator.partial_fit(X).components_, before)


# Pickles, copies, clones


@EACH
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "average_decay": 0.9}])
def test_a_pickle_goes_on_as_the_original_would(
    make: type[RBMEstimator], options: dict[str, Any]
) -> None:
    X = rows()
    original = small(make, **options).fit(X)
    again = pickle.loads(pickle.dumps(original))
    for estimator in (original, again):
        estimator.partial_fit(X[:5])
    np.testing.assert_array_equal(again.components_, original.components_)
    np.testing.assert_array_equal(again.h_samples_, original.h_samples_)
    np.testing.assert_array_equal(again.gibbs(X), original.gibbs(X))
    assert again.model_ is again._training.model


def test_a_pickle_of_a_gpu_opens_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    estimator = small().fit(rows())
    estimator.device = "cuda"
    again = pickle.loads(pickle.dumps(estimator))
    assert again.device == "cuda"
    assert again.model_.weights.device.type == "cpu"
    np.testing.assert_array_equal(again.transform(rows()), estimator.transform(rows()))


def test_a_clone_is_not_fitted_and_shares_nothing() -> None:
    penalties = Penalties(sparsity_target=0.2, sparsity_cost=0.1)
    estimator = small(penalties=penalties, gradient=PlainGradient()).fit(rows())
    assert penalties.activity is None  # what training fills in, it fills in a copy of
    copied = clone(estimator)
    assert copied.penalties is not penalties
    assert not hasattr(copied, "model_")


# Values in and out


def test_scaled_features_go_to_states_and_back() -> None:
    X = rows() * [10, 20, 5, 1, 2, 3, 7] - 3
    X[:, 3] = 4.5  # a constant
    estimator = small(scale=True, n_components=30, n_iter=30).fit(X)
    back = estimator.inverse_transform(estimator.transform(X))
    assert back[:, 3] == pytest.approx(4.5, abs=0.1)
    X[:, 3] = [4.5, 5.5] * 30  # its state may be 0 to 1
    assert (back >= X.min(0) - 1e-6).all() and (back <= X.max(0) + 1e-6).all()
    beyond = X.copy()
    beyond[0] = X.max(0) + 100
    at_the_end = X.copy()
    at_the_end[0] = X.max(0)
    np.testing.assert_array_equal(estimator.transform(beyond), estimator.transform(at_the_end))
    drawn = estimator.sample(20, n_sweeps=5)
    assert all(
        value in (low, high)
        for column, low, high in zip(drawn.T[:3], X.min(0), X.max(0), strict=False)
        for value in np.unique(column).astype(np.float64)
    )


def test_gaussian_features_are_standardised_inside_whatever_their_size() -> None:
    X = np.random.RandomState(0).normal(size=(80, 3)) * [1e-3, 1, 1e6] + [5, 0, 1e9]
    estimator = GaussianRBM(n_components=4, dtype="float64", random_state=0).fit(X)
    np.testing.assert_allclose(estimator.mean_, X.mean(0), rtol=1e-12)
    np.testing.assert_allclose(estimator.scale_, X.std(0), rtol=1e-6)
    plain = GaussianRBM(n_components=4, dtype="float64", random_state=0, standardize=False).fit(
        (X - X.mean(0)) / X.std(0)
    )
    np.testing.assert_allclose(estimator.components_, plain.components_, rtol=1e-5, atol=1e-7)
    back = estimator.inverse_transform(estimator.transform(X))
    assert (np.abs(back - X.mean(0)) < 6 * X.std(0)).all()
    sampled = estimator.sample(4000, n_sweeps=50, random_state=1)
    # far within what 4000 draws of a model that is near its data give: means to a third of a sigma
    np.testing.assert_array_less(np.abs(sampled.mean(0) - X.mean(0)) / X.std(0), 0.33)
    assert not hasattr(plain, "mean_")


def test_a_learnt_precision_tells_noise_from_what_hidden_units_explain() -> None:
    generator = np.random.RandomState(0)
    hidden = generator.rand(400, 1) < 0.5
    X = np.hstack([8.0 * hidden + generator.normal(size=(400, 1)) for _ in range(2)])
    X = np.hstack([X, generator.normal(size=(400, 1))])
    fitted = GaussianRBM(
        n_components=4, learn_precision=True, n_iter=30, learning_rate=0.05, random_state=0
    ).fit(X)
    precise, other = fitted.precision_[:2], fitted.precision_[2]
    # noise of variance 1 beside modes 8 apart: in standard units a variance of 1/17
    assert (precise > 3).all()
    assert 0.5 < other < 2
    assert (GaussianRBM(n_components=4).fit(X).precision_ == 1).all()


def test_samples_follow_the_model() -> None:
    estimator, _, _ = twins("float64")
    n = 4000
    drawn = estimator.sample(n, n_sweeps=300, random_state=4)
    mean = exact_moments(estimator.model_).visible["bias"].numpy()
    error = np.sqrt(mean * (1 - mean) / n)
    assert (np.abs(drawn.mean(0) - mean) < 5 * error + 1e-12).all()
    np.testing.assert_array_equal(
        drawn[:7], estimator.sample(7, n_sweeps=300, random_state=4)
    )  # a chain does not depend on the others
    assert not np.array_equal(estimator.sample(50), estimator.sample(50))


@EACH
def test_verbose_says_how_well_it_goes(
    make: type[RBMEstimator], capsys: pytest.CaptureFixture[str]
) -> None:
    quiet = small(make).fit(rows())
    assert capsys.readouterr().out == ""
    loud = small(make, verbose=1).fit(rows())
    lines = capsys.readouterr().out.splitlines()
    measured = "pseudo-likelihood" if make is BernoulliRBM else "reconstruction error"
    assert [line.split(", ")[0] for line in lines] == [
        f"[{make.__name__}] Iteration {i}" for i in (1, 2, 3)
    ]
    assert all(f"{measured} = " in line for line in lines)
    np.testing.assert_array_equal(loud.components_, quiet.components_)


def test_a_pipeline_classifies_digits() -> None:
    X, y = load_digits(return_X_y=True)
    X = (X / 16 > 0.5).astype(np.float32)
    pipeline = make_pipeline(
        BernoulliRBM(n_components=64, n_iter=8, random_state=0),
        LogisticRegression(max_iter=1000),
    )
    pipeline.fit(X[:1200], y[:1200])
    assert pipeline.score(X[1200:], y[1200:]) > 0.75
    names = pipeline[:-1].get_feature_names_out()
    assert list(names[:2]) == ["bernoullirbm0", "bernoullirbm1"]
    assert len(names) == 64


# What is refused


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score", "gibbs"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_features_that_are_no_probabilities_are_refused(
    method: str, container: Callable[[Any], Any]
) -> None:
    estimator = BernoulliRBM(n_components=2).fit(np.eye(3))
    before = estimator.components_.copy()
    with pytest.raises(ValueError, match=r"X has values from -1 to 3, .* pass scale=True"):
        getattr(estimator, method)(container([[0.5, 3.0, 0.0], [-1.0, 0.0, 0.0]]))
    np.testing.assert_array_equal(estimator.components_, before)
    # the rounding of scalers is none
    getattr(estimator, method)(container([[1 + 4e-16, 0.0, 1.0]]))


@pytest.mark.parametrize("method", ["transform", "score_samples", "gibbs", "_free_energy"])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_rows_a_little_outside_the_range_are_held_at_its_ends_with_one_warning(
    method: str, container: Callable[[Any], Any]
) -> None:
    fitted = small().fit(rows())
    outside, inside = rows() * 1.5 - 0.25, rows()
    other = copy.deepcopy(fitted)
    with pytest.warns(
        UserWarning, match=r"X has values from -0.25 to 1.25, but BernoulliRBM"
    ) as told:
        came = getattr(fitted, method)(container(outside))
    assert len(told) == 1
    np.testing.assert_array_equal(came, getattr(other, method)(container(inside)))


@EACH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_components": 0}, "n_components is 0; pass an integer, 1 or more"),
        ({"n_components": 2.5}, "n_components is 2.5; pass an integer, 1 or more"),
        ({"batch_size": 0}, "batch_size is 0; pass an integer, 1 or more"),
        ({"n_iter": -1}, "n_iter is -1; pass an integer, 0 or more"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; pass a number, 0 or more"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'; pass a number, 0 or more"),
        ({"momentum": 1.0}, "momentum is 1.0; pass a number from 0 to below 1"),
        ({"schedule": "cosine"}, "schedule is 'cosine'; pass 'constant' or 'linear'"),
        ({"n_chains": 0}, "n_chains is 0; pass an integer, 1 or more"),
        ({"n_chains": "many"}, "n_chains is 'many'; pass 'batch_size', an integer, or None"),
        ({"average_decay": 2.0}, "average_decay is 2.0"),
        ({"device": "gpu7"}, "device is 'gpu7', which cannot be used here"),
        ({"dtype": "int8"}, "dtype is 'int8'; pass 'float32' or 'float64'"),
        ({"random_state": -1}, "random_state is -1; pass an integer from 0"),
    ],
)
def test_parameters_out_of_range_are_refused(
    make: type[RBMEstimator], options: dict[str, Any], message: str
) -> None:
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message.replace(".", r"\.")):
            getattr(small(make, **options), method)(rows())


@EACH
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0], r"sample_weight has shape \(2,\), but X has 60 rows"),
        (np.ones((60, 2)), r"sample_weight has shape \(60, 2\), but X has 60 rows"),
        ([1.0] * 59 + [-2.0], "sample_weight holds -2 at row 59"),
        ([1.0] * 59 + [float("nan")], "sample_weight holds nan at row 59"),
        ([0.0] * 60, "sample_weight is zero for all rows"),
    ],
)
def test_weights_of_rows_that_are_none_are_refused(
    make: type[RBMEstimator], weights: Any, message: str
) -> None:
    for method in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match=message):
            getattr(small(make), method)(rows(), sample_weight=weights)


@EACH
def test_nothing_is_computed_before_fitting(make: type[RBMEstimator]) -> None:
    X = rows()
    for method in ("transform", "inverse_transform", "gibbs", "score", "score_samples"):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            getattr(small(make), method)(X)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        small(make).sample(3)


def test_hidden_states_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="X has 3 columns, but there are 4 hidden units"):
        small().fit(rows()).inverse_transform(np.zeros((2, 3)))


def test_the_models_streams_are_their_own() -> None:
    # samples take other bits than training and what is drawn from a seed by hand
    estimator = small().fit(rows())
    assert estimator._stream == Stream(0, Purpose.SAMPLE)
