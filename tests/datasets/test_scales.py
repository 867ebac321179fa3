"""What is white, where a threshold lies, and files of another scale than that of training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmonium.datasets import (
    AsIs,
    Data,
    Scaled,
    Stochastic,
    Threshold,
    from_array,
    refuse_other_scale,
)

RNG = np.random.default_rng(0)


def pictures(most: float, dtype: type = np.uint8, rows: int = 30) -> np.ndarray:
    values = RNG.integers(0, most + 1, (rows, 4, 4)).astype(dtype)
    values.flat[:2] = 0, most
    return values


def states(data: Data) -> torch.Tensor:
    return torch.cat(list(data.blocks()))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("most", [2, 15, 16, 63, 100, 127])
def test_white_is_the_largest_value_where_that_is_far_below_255(most: int, dtype: type) -> None:
    data = from_array(pictures(most, dtype))
    assert data.encoding == Scaled(0, most)
    assert states(data).max() == 1
    assert f"{most} was taken for white" in data.notes[-1]
    shares = states(data.binarize())
    assert 0.1 < shares.mean() < 0.9


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
@pytest.mark.parametrize("most", [128, 200, 254, 255])
def test_dark_pictures_in_bytes_keep_a_white_of_255(most: int, dtype: type) -> None:
    data = from_array(pictures(most, dtype))
    assert data.encoding == Scaled(0, 255)
    assert not data.notes


def test_shares_of_white_and_ones_stay_as_they_are() -> None:
    assert from_array(pictures(1)).encoding == AsIs()
    assert from_array(RNG.uniform(0, 1, (5, 2, 2))).encoding == AsIs()
    assert from_array(RNG.normal(0, 1, (5, 2, 2))).encoding == AsIs()
    assert from_array(RNG.uniform(0, 16, (5, 2, 2))).encoding == AsIs()
    assert from_array(RNG.uniform(0, 255, (50, 2, 2))).encoding == Scaled(0, 255)


def test_pictures_of_sixteen_bits_have_a_white_of_their_own() -> None:
    assert from_array(pictures(65_535, np.int32)).encoding == Scaled(0, 65_535)


def test_who_knows_white_says_so() -> None:
    rows = from_array(pictures(100).reshape(30, 16))
    assert rows.as_pictures(4, 4, white=255).encoding == Scaled(0, 255)
    assert not rows.as_pictures(4, 4, white=255).notes
    with pytest.raises(ValueError, match="values range from 0 to 100, but white is 16"):
        rows.as_pictures(4, 4, white=16)
    with pytest.raises(ValueError, match="white is 0; pass a positive number"):
        rows.as_pictures(4, 4, white=0)
    with pytest.raises(ValueError, match="without negative values"):
        from_array([[-1.0, 1.0]]).as_pictures(1, 2, white=2)


@pytest.mark.parametrize("threshold", [128, 1.0, -1, 255, -0.01])
def test_a_threshold_of_pictures_is_a_share_of_white(threshold: float) -> None:
    with pytest.raises(ValueError, match="of which a threshold is a share; pass 0 to below 1"):
        from_array(pictures(255)).binarize(threshold)


def test_a_grey_value_as_threshold_is_told_its_share() -> None:
    with pytest.raises(ValueError, match=r"such as 0\.5, or 0\.502 for 128 itself"):
        from_array(pictures(255)).binarize(128)


@pytest.mark.parametrize("threshold", [-0.1, 2.0, 1.0])
def test_a_threshold_that_parts_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"every state is [01]; pass a threshold within"):
        from_array([[0.0, 1.0], [0.25, 0.5]]).binarize(threshold)


def test_a_threshold_that_leaves_almost_nothing_is_told() -> None:
    values = np.zeros((100, 50))
    values[3, 4] = 9.0
    values[:, 5] = 1.0
    noted = from_array(values, name="rare").binarize(5)
    assert "99.980% of the states of rare are 0" in noted.notes[-1]
    assert not from_array(values).binarize(0.5).notes


def test_states_need_no_drawing() -> None:
    data = from_array([[0, 1], [1, 0]]).binarize_stochastically()
    assert data.encoding == Stochastic(0, 1)
    assert "nothing to draw" in data.notes[-1]
    assert not from_array([[0.0, 0.5]]).binarize_stochastically().notes


@pytest.mark.parametrize(
    "encoding", [Threshold(127.5), Threshold(8), Scaled(0, 255), Scaled(0, 16), Stochastic(0, 255)]
)
def test_shares_for_grey_values_are_refused(encoding: Threshold | Scaled | Stochastic) -> None:
    """A model of bytes sees nothing but black in pictures whose white is 1."""
    shares = from_array(pictures(255) / 255)
    with pytest.raises(ValueError, match="range from 0 to 1"):
        shares.with_encoding(encoding)


@pytest.mark.parametrize("encoding", [Threshold(127.5), Scaled(0, 255), Stochastic(0, 255)])
def test_dark_and_blank_pictures_are_no_other_scale(encoding: Threshold | Scaled) -> None:
    dark = from_array(pictures(200, rows=3)).with_encoding(encoding)
    blank = Data("blank", torch.zeros(2, 16, dtype=torch.uint8)).with_encoding(encoding)
    assert len(dark) == 3 and len(blank) == 2


@pytest.mark.parametrize(
    ("trained", "other"),
    [
        ((0, 255), pictures(255) / 255),
        ((0, 255), pictures(16)),
        ((0, 16), pictures(255)),
        ((0, 1), pictures(255)),
        ((0, 16), pictures(16) / 16),
        ((0, 1), pictures(1) * 2.0 - 1),
        ((-1, 1), pictures(255)),
    ],
    ids=["shares", "16 of 255", "255 of 16", "bytes", "shares of 16", "spins", "bytes for spins"],
)
def test_pictures_of_another_scale_are_refused_with_both_ranges(
    trained: tuple[float, float], other: np.ndarray
) -> None:
    data = Data("new", torch.from_numpy(other.reshape(-1, 16)).float(), image_shape=(4, 4))
    said = f"range from {other.min():g} to {other.max():g}, but the model was trained on values"
    with pytest.raises(ValueError, match=f"{said} from {trained[0]} to {trained[1]}; bring them"):
        refuse_other_scale(data, *trained)


def test_standardised_columns_of_another_scale_are_refused() -> None:
    table = RNG.normal(50, 10, (200, 5))
    train = from_array(table).standardize()
    low, high = train.value_range
    for scale in (1 / 255, 1 / 16, 255):
        other = Data("new", torch.from_numpy(table * scale).float(), train.encoding)
        if scale != 1 / 16:
            with pytest.raises(ValueError, match=r"its columns vary [\d.]+ times as much"):
                refuse_other_scale(other, low, high)
    same = Data("new", torch.from_numpy(RNG.normal(50, 15, (40, 5))).float(), train.encoding)
    refuse_other_scale(same, low, high)
    one_row = Data("new", torch.full((1, 5), 0.1), train.encoding)
    refuse_other_scale(one_row, low, high)
    refuse_other_scale(Data("new", torch.full((30, 5), 50.0), train.encoding), low, high)
