"""What columns of numbers are taken for: states of binary units, or real numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
    make_friedman1,
    make_moons,
)
from sklearn.preprocessing import minmax_scale

from harmonium.datasets.states import suit_binary_units, white_of

DIGITS = load_digits().data
FLAGS = np.random.RandomState(0).rand(200, 5) < [0.01, 0.2, 0.5, 0.8, 1.0]


def columns(values: NDArray[np.float64]) -> tuple[torch.Tensor, ...]:
    rows = torch.from_numpy(np.asarray(values, dtype=np.float64))
    return rows.mean(0), rows.var(0, correction=0), rows.amin(0), rows.amax(0)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("flags", FLAGS),
        ("one column of flags", FLAGS[:, 1:2]),
        ("shades of grey", DIGITS / 16),
        ("thirty pictures", DIGITS[:30] / 16),
        ("each pixel scaled", minmax_scale(DIGITS)),
        ("in float32", (DIGITS / 16).astype(np.float32)),
        ("white on black, inverted", 1 - DIGITS / 16),
    ],
)
def test_flags_and_shades_of_grey_are_states(name: str, values: NDArray[np.float64]) -> None:
    assert suit_binary_units(*columns(values)), name


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("iris", load_iris().data),
        ("iris from 0 to 1", minmax_scale(load_iris().data)),
        ("wine from 0 to 1", minmax_scale(load_wine().data)),
        ("cancer from 0 to 1", minmax_scale(load_breast_cancer().data)),
        ("moons from 0 to 1", minmax_scale(make_moons(300, noise=0.2, random_state=0)[0])),
        ("a table from 0 to 1", minmax_scale(make_classification(300, random_state=0)[0])),
        ("evenly spread", make_friedman1(300, random_state=0)[0]),
        ("rare words' weights", (np.random.RandomState(0).rand(2000, 9) < 1e-3) * 3e-3),
        ("flags beside numbers", np.hstack([FLAGS[:178], minmax_scale(load_wine().data)])),
        ("minus and plus one", 2.0 * FLAGS - 1),
        ("a constant", np.full((9, 1), 0.3)),
    ],
)
def test_measurements_are_real_numbers(name: str, values: NDArray[np.float64]) -> None:
    assert not suit_binary_units(*columns(values)), name


@pytest.mark.parametrize("white", [1, 2, 16, 255, 65535, 0.5])
def test_pictures_have_a_white(white: float) -> None:
    assert white_of(*columns(DIGITS / 16 * white)) == pytest.approx(white)
    assert white_of(*columns(FLAGS * white)) == pytest.approx(white)


def test_tables_have_no_white() -> None:
    generator = np.random.RandomState(0)
    age = generator.randint(18, 90, 500)
    gains = np.where(generator.rand(500) < 0.02, 99999, 0)  # most of its variance is at its ends
    for values in (
        load_wine().data,
        load_iris().data,
        make_moons(300, random_state=0)[0],
        np.stack([age, age % 7, age % 5, gains], 1),
        np.zeros((3, 2)),
    ):
        assert white_of(*columns(values)) is None
