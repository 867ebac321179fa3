"""Arrays of any origin: what is stored, and what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays, boolean_dtypes, integer_dtypes

from harmonium.datasets import AsIs, Scaled, from_array

SHAPES = array_shapes(min_dims=2, max_dims=3, max_side=6)


@given(arrays(integer_dtypes() | boolean_dtypes(), SHAPES))
def test_integers_are_stored_in_bytes_if_they_fit(array: np.ndarray) -> None:
    data = from_array(array)
    fits = array.min() >= 0 and array.max() <= 255
    assert data.values.dtype == (torch.uint8 if fits else torch.float32)
    expected = array.reshape(len(array), -1).astype(np.uint8 if fits else np.float32)
    assert data.values.numpy().tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4", "<f8"])
def test_real_numbers_are_stored_in_float32(dtype: str) -> None:
    data = from_array(np.array([[0.5, -2.0], [1, 0]], dtype))
    assert data.values.dtype == torch.float32
    assert data.values.tolist() == [[0.5, -2.0], [1.0, 0.0]]
    assert data.encoding == AsIs()


def test_pictures_are_flattened_and_keep_their_shape() -> None:
    data = from_array(np.full((2, 3, 5), 200, np.uint8), labels=[1, 0])
    assert data.values.shape == (2, 15)
    assert data.image_shape == (3, 5)
    assert data.encoding == Scaled(0, 255)
    assert data.labels is not None
    assert data.labels.tolist() == [1, 0]


def test_pictures_of_two_values_or_real_numbers_are_not_scaled() -> None:
    assert from_array(np.ones((2, 3, 5), bool)).encoding == AsIs()
    assert from_array(np.full((2, 3, 5), 0.5)).encoding == AsIs()


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_memory_is_shared_where_nothing_has_to_change(dtype: type) -> None:
    array = np.zeros((2, 2), dtype)
    data = from_array(array)
    array[0, 0] = 3
    assert data.values[0, 0] == 3
    array.flags.writeable = False
    assert from_array(array).values.tolist() == array.tolist()


def test_tensors_and_lists() -> None:
    assert from_array(torch.ones(2, 2, requires_grad=True)).values.tolist() == [[1, 1], [1, 1]]
    assert from_array([[1, 2], [3, 4]], name="mine").name == "mine"


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (np.zeros(5), ValueError, r"array has shape \(5,\), but data are rows and columns"),
        (np.float64(3), ValueError, r"has shape \(\)"),
        (np.zeros((2, 3, 4, 5)), ValueError, r"shape \(2, 3, 4, 5\), but .* one channel"),
        (np.zeros((0, 5)), ValueError, r"array is empty: its shape is \(0, 5\)"),
        (np.zeros((5, 0)), ValueError, r"array is empty: its shape is \(5, 0\)"),
        ([[1, 2], [3]], ValueError, "array is ragged or no array"),
        ([["a", "b"]], TypeError, "array holds text; pass booleans, integers or floating-point"),
        ([[1j]], TypeError, "array holds complex"),
        ([[None, {}]], TypeError, "array holds Python objects"),
        (np.zeros((1, 1), "datetime64[s]"), TypeError, "array holds datetime64"),
    ],
)
def test_other_arrays_are_refused(values: object, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        from_array(values)


def test_infinity_is_found_and_nan_is_missing() -> None:
    values = np.zeros((3000, 700), np.float32)
    holes = [(2, 3), (2000, 0), (2999, 1)]
    for row, column in holes:
        values[row, column] = np.nan
    data = from_array(values)
    assert data.mask is not None
    assert (~data.mask.observed()).nonzero().tolist() == [list(hole) for hole in holes]
    assert data.values.isfinite().all()
    values[1999, 699] = -np.inf
    with pytest.raises(ValueError) as caught:
        from_array(values, name="mine")
    assert str(caught.value) == (
        "mine holds 0 NaN and 1 infinities, or values beyond ±3.4e38; the first: row 1999, column "
        "699 (counted from 0); replace them or leave those rows out"
    )


def test_values_beyond_float32_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0 NaN and 1 infinities, or values beyond ±3.4e38"):
        from_array([[1e300, 0.0]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 3], r"array has 2 rows, but its labels have shape \(3,\); pass one label a row"),
        ([[1], [2]], r"labels have shape \(2, 1\)"),
        ([0.5, 1], "the labels of array are not all whole numbers"),
        ([np.nan, 1], "not all whole numbers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_array(np.zeros((2, 2)), labels=labels)


def test_targets_are_columns() -> None:
    one = from_array(np.zeros((2, 2)), targets=[1, 2.5])
    assert one.targets is not None
    assert one.targets.dtype == torch.float32
    assert one.targets.tolist() == [[1.0], [2.5]]
    two = from_array(np.zeros((2, 2)), targets=torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    assert two.targets is not None
    assert two.targets.tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([1, 2, 3], r"array has 2 rows, but its targets have shape \(3,\); pass shape \(2,\)"),
        (np.zeros((2, 1, 1)), r"targets have shape \(2, 1, 1\)"),
        ([np.nan, 1], "targets of array holds 1 NaN"),
    ],
)
def test_targets_that_do_not_fit_are_refused(targets: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_array(np.zeros((2, 2)), targets=targets)


def test_labels_of_other_types() -> None:
    data = from_array(np.zeros((2, 2)), labels=np.array([1.0, 7.0], np.float16))
    assert data.labels is not None
    assert data.labels.dtype == torch.int64
    words = from_array(np.zeros((3, 2)), labels=["b", "a", "b"])
    assert (words.labels.tolist(), words.classes) == ([1, 0, 1], ("a", "b"))
    with pytest.raises(TypeError, match="labels holds Python objects"):
        from_array(np.zeros((2, 2)), labels=["a", None])
