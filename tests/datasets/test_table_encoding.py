"""Columns of a mixed table as states of a mixed layer, and back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, Encoding, Mask, TableEncoding
from harmonium.datasets.encodings.table_columns import (
    Bins,
    Categories,
    Counts,
    RealNumbers,
    TableColumn,
)
from harmonium.rng import Purpose, Stream

COLUMNS: tuple[TableColumn, ...] = (
    RealNumbers("weight", "float32", 70.0, 10.0),
    Categories("sex", "str", ("F", "M")),
    Categories("town", "str", ("Bern", "Rome", "other"), pools=True),
    Bins("hours", "int64", (20.5, 40.5), ((0.0, 10.0), (40.0,), (41.0, 50.0, 60.0, 99.0))),
    Categories("years", "int64", (8, 10, 12, 13), ordered=True),
    Counts("visits", "int64"),
    Counts("hits", "int64", 5),
    Categories("smokes", "bool", (False, True), ordered=True),
)
TABLE = TableEncoding(COLUMNS)
VALUES = torch.tensor(
    [
        [80.0, 1, 2, 40, 3, 7, 5, 0],
        [60.0, 0, 0, 99, 0, 0, 0, 1],
        [70.0, 0, 1, 20, 2, 1, 3, 1],
    ],
    dtype=torch.float64,
)
# binary: sex, smokes; one-hot of 3: town, hours; of 4: years; then weight, hits, visits
STATES = torch.tensor(
    [
        [1.0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 5, 7],
        [0.0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, -1, 0, 0],
        [0.0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 3, 1],
    ]
)


def test_states_are_written_down_by_hand() -> None:
    assert torch.equal(TABLE.encode(VALUES), STATES)
    assert TABLE.n_columns(8) == STATES.shape[1]
    kinds = [(group.kind, group.width, group.trials) for group in TABLE.groups]
    assert kinds == [
        ("binary", 1, None),
        ("categorical", 3, None),
        ("categorical", 4, None),
        ("gaussian", 1, None),
        ("binomial", 1, 5),
        ("poisson", 1, None),
    ]


def test_states_become_values() -> None:
    values = TABLE.decode(STATES)
    hours = [40.0, 60.0, 10.0]  # the median training value of the bin
    expected = VALUES.clone()
    expected[:, 3] = torch.tensor(hours)
    assert torch.equal(values, expected)
    assert torch.equal(TABLE.decode(STATES.reshape(3, 1, -1)), expected.reshape(3, 1, -1))


def test_means_become_probabilities_modes_and_medians() -> None:
    means = torch.zeros(1, 15)
    means[0, :2] = torch.tensor([0.25, 0.75])
    means[0, 2:5] = torch.tensor([0.4, 0.25, 0.35])  # a mode
    means[0, 5:8] = torch.tensor([0.4, 0.2, 0.4])  # a median
    means[0, 8:12] = torch.tensor([0.4, 0.05, 0.1, 0.45])
    values = TABLE.decode(means)[0].tolist()
    assert values == [70.0, 0.25, 0.0, 40.0, 2.0, 0.0, 0.0, 0.75]


def test_draws_of_a_bin_are_its_training_values_as_often_as_there() -> None:
    states = STATES[1:2].expand(20_000, -1)
    drawn = TABLE.decode_draws(states, Stream(3, Purpose.SAMPLE))[:, 3].numpy()
    found, counts = np.unique(drawn, return_counts=True)
    assert found.tolist() == [41, 50, 60, 99]
    # five standard errors of a share of 1/4
    assert np.abs(counts / len(drawn) - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / len(drawn))
    others = [place for place in range(8) if place != 3]
    assert torch.equal(
        TABLE.decode_draws(STATES, Stream(3, Purpose.SAMPLE))[:, others], VALUES[:, others]
    )


def test_draws_of_a_continuous_bin_lie_between_its_training_values() -> None:
    bins = Bins("x", "float64", (0.0,), ((-2.0, -1.0), (1.0, 2.0, 3.0, 4.0)), continuous=True)
    shares = np.linspace(0, 1, 1001)[:-1]
    drawn = bins.drawn(np.ones(1000, np.intp), shares)
    assert (np.diff(drawn) >= 0).all()
    assert (drawn.min(), drawn.max()) == (1.0, 4.0)
    assert len(np.unique(drawn)) > 500


def test_the_description_is_json_and_restores_the_columns_exactly() -> None:
    config = json.loads(json.dumps(TABLE.to_config()))
    again = Encoding.from_config(config)
    assert again == TABLE
    assert isinstance(again, TableEncoding)
    assert [type(category) for category in again.columns[-1].categories] == [bool, bool]
    assert hash(again) == hash(TABLE)
    assert torch.equal(again.encode(VALUES), STATES)


def test_what_determines_states_is_told_apart() -> None:
    own = list(COLUMNS)
    own[0] = RealNumbers("weight", "float64", 70.0, 10.0)
    assert TableEncoding(tuple(own)).states_config() == TABLE.states_config()
    own[0] = RealNumbers("weight", "float32", 70.0, 11.0)
    assert TableEncoding(tuple(own)).states_config() != TABLE.states_config()


def test_the_users_own_cells() -> None:
    frame = TABLE.to_frame(VALUES)
    assert list(frame) == [column.name for column in COLUMNS]
    assert {name: str(cells.dtype) for name, cells in frame.items()} == {
        "weight": "float32", "sex": "object", "town": "object", "hours": "int64",
        "years": "int64", "visits": "int64", "hits": "int64", "smokes": "bool",
    }  # fmt: skip
    assert frame["town"].tolist() == ["other", "Bern", "Rome"]
    assert frame["years"].tolist() == [13, 8, 12]
    assert frame["smokes"].tolist() == [False, True, True]


def test_missing_values_are_none_among_words_and_nan_among_numbers() -> None:
    holes = VALUES.clone()
    holes[1] = float("nan")
    frame = TABLE.to_frame(holes)
    assert frame["town"].tolist() == ["other", None, "Rome"]
    assert np.isnan(frame["years"][1])
    assert frame["years"].dtype == np.float64
    assert frame["weight"].dtype == np.float32


def test_what_is_said_of_values_is_said_of_their_states() -> None:
    observed = torch.eye(8, dtype=torch.bool)
    by_state = TABLE.spread(observed)
    for place in range(8):
        own = [n for n, value in enumerate(TABLE.value_of_state) if value == place]
        assert by_state[place].nonzero()[:, 0].tolist() == own
    data = Data("mine", VALUES, TABLE, mask=Mask.of(observed[:3]))
    rows = data.masked_rows(torch.arange(3))
    assert torch.equal(rows.states, STATES)
    assert rows.observed.sum(1).tolist() == [1, 1, 3]


def test_states_have_names() -> None:
    assert TABLE.state_names() == [
        "sex = M", "smokes = True", "town = Bern", "town = Rome", "town = other",
        "hours ≤ 20.5", "hours ≤ 40.5", "hours > 40.5", "years = 8", "years = 10", "years = 12",
        "years = 13", "weight", "hits", "visits",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, 2.0, "row 1, column 'sex' holds 2, and binary columns hold numbers of categories"),
        (2, 0.5, "row 1, column 'town' holds 0.5, and categorical columns"),
        (5, -1.0, "column 'visits' holds -1, and poisson columns hold whole numbers from 0 upw"),
        (6, 6.0, "column 'hits' holds 6, and binomial columns hold whole numbers from 0 to 5"),
        (3, float("inf"), "column 'hours' holds inf, and binned columns hold finite numbers"),
    ],
)
def test_values_that_a_column_cannot_hold(column: int, value: float, message: str) -> None:
    wrong = VALUES.clone()
    wrong[1, column] = value
    with pytest.raises(ValueError, match=message):
        TABLE.check(wrong)
    TABLE.check(VALUES)


def test_tables_that_are_none() -> None:
    with pytest.raises(ValueError, match="pass one or more, each with its own name"):
        TableEncoding((COLUMNS[0], COLUMNS[0]))
    with pytest.raises(ValueError, match="no kind of column 'real'"):
        TableEncoding(({"kind": "real", "name": "a"},))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a column's description"):
        TableEncoding(({"kind": "gaussian", "name": "a"},))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="standard deviation above 0"):
        RealNumbers("a", "float64", 0.0, 0.0)
    with pytest.raises(ValueError, match="two or more different"):
        Categories("a", "str", ("x",))
    with pytest.raises(ValueError, match="pass one or more, ascending"):
        Bins("a", "float64", (2.0, 1.0), ((0.0,), (1.0,), (2.0,)))
    with pytest.raises(ValueError, match="pass some for each bin"):
        Bins("a", "float64", (1.0,), ((0.0,), ()))
    with pytest.raises(ValueError, match="the data have 2 columns, but this table has 8"):
        TABLE.check(VALUES[:, :2])
