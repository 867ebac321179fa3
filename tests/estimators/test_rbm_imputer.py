"""`RBMImputer`: what it fills in, against enumeration, and what it takes and refuses."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from harmonium.estimators import RBMImputer
from harmonium.estimators.columns import ColumnStates, kinds_of
from harmonium.units import Binary, Categorical, Gaussian, Mixed

N = 80


def table() -> NDArray[np.float64]:
    """A bit, its copy in nine rows of ten, a number that depends on it, and one that does not."""
    draw = np.random.RandomState(0)
    bit = draw.randint(2, size=N)
    copied = np.where(draw.rand(N) < 0.9, bit, 1 - bit)
    return np.column_stack([bit, copied, 5 * bit + draw.randn(N), 100 + 3 * draw.randn(N)]).astype(
        np.float64
    )


def with_holes(X: NDArray[Any], share: float = 0.2) -> NDArray[Any]:
    return np.where(np.random.RandomState(1).rand(*X.shape) < share, np.nan, X)


def imputer(**options: Any) -> RBMImputer:
    return RBMImputer(**{"n_components": 3, "n_iter": 150, "random_state": 0} | options)


@pytest.fixture(scope="module")
def fitted() -> RBMImputer:
    return imputer().fit(with_holes(table()))


def test_holes_are_filled_and_what_is_there_stays(fitted: RBMImputer) -> None:
    X = with_holes(table())
    filled = fitted.transform(X)
    assert fitted.kinds_ == ("binary", "binary", "gaussian", "gaussian")
    assert np.isfinite(filled).all() and filled.dtype == np.float64
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    assert np.isin(filled[:, :2], [0, 1]).all()
    assert fitted.transform(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(fitted.transform(X), filled)  # nothing is drawn anew


def conditional(fitted: RBMImputer, row: NDArray[np.float64]) -> tuple[float, float]:
    """p(first bit is 1 | third value) and the mean of the third value given the first bit.

    By the definition: sums over hidden and missing binary states, Gaussian ones integrated.
    """
    rbm, columns = fitted.model_.double(), fitted._columns
    weights, bias = rbm.weights.detach().numpy(), rbm.visible.bias.detach().numpy()
    assert rbm.visible.precision is not None
    precision = rbm.visible.precision.detach().numpy()[2:]
    x = (row[2:] - columns.shift[2:]) / columns.scale[2:]

    def log_p(bits: NDArray[Any], h: NDArray[Any], known: dict[int, float]) -> float:
        total = float(bits @ (bias[:2] + weights[:2] @ h)) + float(
            rbm.hidden.bias.detach().numpy() @ h
        )
        for number in range(2):
            slope = bias[2 + number] + weights[2 + number] @ h
            if number in known:
                total += slope * known[number] - precision[number] * known[number] ** 2 / 2
            else:
                total += slope**2 / precision[number] / 2
        return total

    states = [np.array(h) for h in itertools.product([0.0, 1.0], repeat=3)]
    bits = [np.array(b) for b in itertools.product([0.0, 1.0], repeat=2)]
    p = {0.0: 0.0, 1.0: 0.0}
    for b, h in itertools.product(bits, states):
        p[b[0]] += np.exp(log_p(b, h, {0: x[0]}))
    mass, mean = 0.0, 0.0
    for b, h in itertools.product(bits, states):
        if np.isnan(row[0]) or b[0] == row[0]:
            own = np.exp(log_p(b, h, {}))
            mass += own
            mean += own * (bias[2] + weights[2] @ h) / precision[0]
    return p[1.0] / sum(p.values()), mean / mass * columns.scale[2] + columns.shift[2]


def test_what_is_filled_in_is_that_of_enumeration(fitted: RBMImputer) -> None:
    nothing = np.nan
    for value in (-1.0, 2.0, 2.6, 6.0):
        row = np.array([[nothing, nothing, value, nothing]])
        p, _ = conditional(fitted, row[0])
        assert fitted.transform(row)[0, 0] == float(p > 0.5)
    for bit in (0.0, 1.0):
        row = np.array([[bit, nothing, nothing, nothing]])
        _, mean = conditional(fitted, row[0])
        assert fitted.transform(row)[0, 2] == pytest.approx(mean, rel=1e-4)


def test_draws_have_the_probabilities_of_enumeration(fitted: RBMImputer) -> None:
    drawing = pickle.loads(pickle.dumps(fitted)).set_params(sample=True)
    n = 3000
    rows = np.tile([np.nan, np.nan, 2.5, np.nan], (n, 1))
    p, _ = conditional(fitted, rows[0])
    assert 0.05 < p < 0.95
    first, second = drawing.transform(rows), drawing.transform(rows)
    for drawn in (first, second):
        assert abs(drawn[:, 0].mean() - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert not np.array_equal(first, second)


def test_values_that_depend_on_others_are_found() -> None:
    """Better than the most frequent value, where what is missing was put aside."""
    X = table()
    hidden = np.random.RandomState(2).rand(N) < 0.4
    holes = X.copy()
    holes[hidden, 0] = np.nan
    filled = imputer().fit_transform(holes)
    right = filled[hidden, 0] == X[hidden, 0]
    most = float(np.nanmean(holes[:, 0]) > 0.5)
    base = most == X[hidden, 0]
    better, worse = (right & ~base).sum(), (base & ~right).sum()
    assert better - worse > 2 * np.sqrt(better + worse)


def test_indicators_and_empty_features_have_names() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(with_holes(table()), columns=list("abcd"))
    frame["e"] = np.nan
    short = imputer(n_iter=1, add_indicator=True).set_output(transform="pandas")
    found = short.fit_transform(frame)
    wanted = [*"abcd", *(f"missingindicator_{name}" for name in "abcde")]
    assert found.columns.tolist() == wanted
    assert found["missingindicator_b"].tolist() == frame["b"].isna().tolist()
    kept = clone(short).set_params(keep_empty_features=True, add_indicator=False)
    found = kept.fit_transform(frame)
    assert found.columns.tolist() == [*"abcde"] and (found["e"] == 0).all()
    frame["e"] = 7.0
    assert (kept.transform(frame)["e"] == 7).all()


@pytest.mark.parametrize(
    ("kinds", "units"),
    [
        ("auto", Mixed(Binary(2), Gaussian(2, precision=4.0, learn_precision=True))),
        ("gaussian", Gaussian(4, precision=4.0, learn_precision=True)),
        (
            {"a": "gaussian", 1: "categorical"},
            Mixed(Gaussian(3, precision=4.0, learn_precision=True), Categorical(1, 2)),
        ),
        (
            ["auto", "categorical", "auto", "gaussian"],
            Mixed(Binary(1), Gaussian(2, precision=4.0, learn_precision=True), Categorical(1, 2)),
        ),
    ],
    ids=str,
)
def test_kinds_make_units(kinds: Any, units: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(with_holes(table()), columns=list("abcd"))
    made = imputer(kinds=kinds, n_iter=1).fit(frame)
    learned = made.model_.visible
    assert [(type(p), p.n) for _, p in learned.groups] == [(type(p), p.n) for _, p in units.groups]
    filled = made.transform(frame)
    assert np.isfinite(filled).all()


def test_categories_come_back_as_they_were() -> None:
    draw = np.random.RandomState(0)
    group = draw.randint(3, size=N)
    X = np.column_stack([np.array([2.0, 5.5, -1.0])[group], group == 0, group == 1]).astype(float)
    holes = X.copy()
    holes[:20, 0] = np.nan
    made = imputer(kinds={0: "categorical"}, n_components=6).fit(holes)
    filled = made.transform(holes)
    assert (filled[:20, 0] == X[:20, 0]).mean() > 0.9
    np.testing.assert_array_equal(filled[20:], X[20:])
    with pytest.raises(
        ValueError, match=r"^row 1 has 9 in feature x0, whose values in fit were -1"
    ):
        made.transform(np.array([[2.0, 0, 1], [9.0, 0, 1]]))


def test_encoding_and_decoding_are_inverse() -> None:
    X = np.column_stack([[3.0, 1, 1, 3], [0.5, 2, 2, 7], [4.0, 5, 6, 4], [8.0, 8, 8, 8]])
    observed = np.ones(X.shape, np.bool_)
    columns = ColumnStates.of(X, observed, ["binary", "gaussian", "categorical", None])
    states, there = columns.encode(X, observed)
    assert states.shape == (4, 6) and there.all()
    columns.units().check(states, "states")
    np.testing.assert_allclose(columns.decode(states), X, rtol=1e-15)
    observed[0, 2] = observed[1, 1] = False
    _, there = columns.encode(X, observed)
    assert (~there).nonzero().tolist() == [[0, 3], [0, 4], [0, 5], [1, 1]]


def test_other_numbers_may_stand_for_missing_values() -> None:
    X = with_holes(table())
    coded = np.where(np.isnan(X), -99, X)
    found = imputer(missing_values=-99, n_iter=2).fit_transform(coded)
    np.testing.assert_array_equal(found, imputer(n_iter=2).fit_transform(X))
    with pytest.raises(ValueError, match=r"contains NaN, but missing_values is -99; pass"):
        imputer(missing_values=-99, n_iter=2).fit(X)


def test_nan_none_and_na_are_one() -> None:
    pandas = pytest.importorskip("pandas")
    X = with_holes(table())
    expected = imputer(n_iter=2, add_indicator=True).fit_transform(X)
    of_none = np.where(np.isnan(X), None, X)
    of_na = pandas.DataFrame(X).astype("Float64")
    for missing, rows in ((None, of_none), (pandas.NA, of_na), (np.nan, of_none)):
        own = imputer(n_iter=2, add_indicator=True, missing_values=missing)
        np.testing.assert_array_equal(own.fit_transform(rows), expected)


def test_it_stands_in_pipelines_and_is_portable(fitted: RBMImputer) -> None:
    X = with_holes(table())
    y = table()[:, 0]
    transformer = ColumnTransformer([("fill", imputer(n_iter=5), [0, 1, 2])], remainder="drop")
    pipeline = make_pipeline(transformer, LogisticRegression()).fit(X, y)
    assert pipeline.score(X, y) > 0.8
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    assert torch.equal(
        imputer(n_iter=2).fit(X).model_.weights, imputer(n_iter=2).fit(X).model_.weights
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": "ordinal"}, r"^kinds holds 'ordinal'; pass 'auto', 'binary', 'gaussian'"),
        ({"kinds": ["auto"]}, r"^kinds has 1 kinds, but X has 4 features; pass one for each"),
        ({"kinds": {"z": "binary"}}, r"^kinds names the feature 'z', which X does not have"),
        ({"kinds": "binary"}, r"^feature 2 has \d+ values, but binary units take two; pass"),
        ({"n_draws": 1}, r"^n_draws is 1; pass an integer, 2 or more"),
        ({"sample": "yes"}, r"^sample is 'yes'; pass True or False"),
        ({"missing_values": "x"}, r"^missing_values is 'x'; pass np.nan, which also stands for"),
        ({"learning_rate": -1.0}, r"^learning_rate is -1.0; pass a number, 0 or more"),
        ({"dtype": "int"}, r"^dtype is 'int'; pass 'float32' or 'float64'"),
    ],
)
def test_what_is_no_option_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        imputer(**options).fit(table())


def test_rows_that_cannot_be_learned_from_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^all values of X are missing; a model needs rows with"):
        imputer().fit(np.full((3, 2), np.nan))
    with pytest.raises(ValueError, match="contains infinity"):
        imputer().fit(np.array([[np.inf, 1.0], [0.0, 1.0]]))
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=r"^X holds text in the column 'a' \('red'"):
        imputer().fit(pandas.DataFrame({"a": ["red", "blue"], "b": [1.0, 2.0]}))
    frame = pandas.DataFrame(with_holes(table()), columns=list("abcd"))
    frame.insert(0, "empty", np.nan)
    with pytest.raises(ValueError, match=r"^feature 'c' has \d+ values, but binary units"):
        imputer(kinds={"c": "binary"}).fit(frame)
    frame.loc[frame["d"].first_valid_index(), "d"] = 1e12
    with pytest.raises(ValueError, match=r"tell the values of column 'd' of X apart, once it is"):
        imputer().fit(frame)
    assert imputer(dtype="float64", n_iter=1).fit(frame).n_iter_ == 1


def test_kinds_go_by_name_or_number() -> None:
    assert kinds_of({-1: "binary", "a": "gaussian"}, 3, ["a", "b", "c"]) == [
        "gaussian",
        None,
        "binary",
    ]
