"""Categories are the values that occur, or those that the user names; one-hot rows are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from harmonium.datasets import Data, Encoding, OneHot, from_array

RNG = np.random.default_rng(0)


def states(data: Data) -> torch.Tensor:
    return torch.cat(list(data.blocks()))


@pytest.mark.parametrize(
    "categories",
    [(1, 2, 3, 4, 5), (0, 2, 5), (-1, 0, 1), (0.5, 1, 1.5), (7, 300), (0, 1), (0.1, 0.7)],
)
def test_the_values_that_occur_are_the_categories_and_come_back(
    categories: tuple[float, ...],
) -> None:
    values = RNG.permutation(np.resize(categories, 60)).reshape(20, 3)
    data = from_array(values).one_hot()
    q = len(categories)
    assert data.n_columns == 3 * q
    seen = states(data).view(20, 3, q)
    assert (seen.sum(-1) == 1).all()
    assert (seen.sum((0, 1)) > 0).all()
    decoded = data.encoding.decode(states(data))
    assert decoded.tolist() == values.tolist()
    assert decoded.is_floating_point() == any(c != int(c) for c in categories)
    again = Encoding.from_config(json.loads(json.dumps(data.encoding.to_config())))
    assert again == data.encoding and hash(again) == hash(data.encoding)


def test_integers_from_zero_are_described_as_ever() -> None:
    data = from_array([[0, 1], [2, 1]]).one_hot()
    assert data.encoding == OneHot(3) == OneHot.of([2.0, 1, 0, 0])
    assert data.encoding.to_config() == {"kind": "OneHot", "n_categories": 3}
    old = Encoding.from_config({"kind": "OneHot", "n_categories": 6})
    assert old.decode(torch.eye(6)).tolist() == [[0], [1], [2], [3], [4], [5]]


def test_the_user_names_categories_that_do_not_occur() -> None:
    data = from_array([[1, 5], [2, 2]]).one_hot(categories=[5, 4, 3, 2, 1])
    assert isinstance(data.encoding, OneHot)
    assert data.encoding.categories == (1, 2, 3, 4, 5)
    assert from_array([[1, 5], [2, 2]]).one_hot(6).encoding == OneHot(6)
    with pytest.raises(ValueError, match="both given"):
        data.one_hot(6, categories=[1, 2])


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_unknown_category_is_named(dtype: type) -> None:
    trained = from_array(np.array([[1, 2], [3, 5]], dtype)).one_hot()
    with pytest.raises(
        ValueError, match=r"row 1, column 0 holds 4, which is none of the categories 1, 2, 3, 5"
    ):
        from_array(np.array([[1, 2], [4, 5]], dtype)).with_encoding(trained.encoding)


def test_measurements_are_no_categories() -> None:
    with pytest.raises(ValueError, match="but categories are the integers that occur"):
        from_array(RNG.normal(size=(200, 2))).one_hot()
    with pytest.raises(ValueError, match=r"all values of array are 3, .*`categories=\[0, 1\]`"):
        from_array([[3, 3]]).one_hot()
    with pytest.raises(ValueError, match="pass two or more finite numbers"):
        OneHot.of([1, np.inf])


def one_hot_rows(q: int = 4, n: int = 5, rows: int = 50) -> tuple[np.ndarray, np.ndarray]:
    numbers = RNG.integers(0, q, (rows, n))
    return numbers, np.eye(q, dtype=np.uint8)[numbers]


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.bool])
@pytest.mark.parametrize(("q", "n"), [(4, 5), (21, 3), (3, 1), (2, 4), (5, 5)])
@pytest.mark.parametrize("flat", [False, True])
def test_one_hot_rows_become_categories(dtype: type, q: int, n: int, flat: bool) -> None:
    numbers, rows = one_hot_rows(q, n)
    values = rows.reshape(len(rows), -1) if flat else rows
    data = from_array(values.astype(dtype))
    assert data.one_hot_width == q
    folded = data.from_one_hot()
    assert folded.encoding == OneHot(q)
    assert folded.image_shape is None
    assert folded.values.tolist() == numbers.tolist()
    assert states(folded).equal(torch.from_numpy(rows.reshape(len(rows), -1)).float())


def test_other_rows_are_not_taken_for_one_hot() -> None:
    assert from_array(RNG.integers(0, 2, (50, 8))).one_hot_width is None
    assert from_array(RNG.integers(0, 2, (50, 4, 4))).one_hot_width is None
    assert from_array(RNG.integers(0, 3, (50, 8))).one_hot_width is None
    assert from_array(RNG.dirichlet(np.ones(4), (50, 3))).one_hot_width is None
    with pytest.raises(ValueError, match="is not one-hot: not every group holds one 1"):
        from_array(RNG.integers(0, 2, (50, 8))).from_one_hot()


def test_one_hot_along_another_axis_is_refused_with_the_remedy() -> None:
    _, rows = one_hot_rows()
    with pytest.raises(ValueError, match=r"along its second axis \(4\).*transpose the last two"):
        from_array(rows.transpose(0, 2, 1)).one_hot_width  # noqa: B018


def test_gaps_without_a_state_are_refused() -> None:
    _, rows = one_hot_rows()
    rows[7, 2] = rows[9, 1] = 0
    with pytest.raises(ValueError, match=r"of 250 groups of 4, 2 hold no 1 .*row 7, site 2"):
        from_array(rows).one_hot_width  # noqa: B018


def test_groups_of_different_widths_are_refused() -> None:
    groups = [np.eye(q)[RNG.integers(0, q, 400)] for q in (3, 2, 4)]
    with pytest.raises(ValueError, match="in groups of 3, 2, 4, but all units of a layer have"):
        from_array(np.hstack(groups)).one_hot_width  # noqa: B018
