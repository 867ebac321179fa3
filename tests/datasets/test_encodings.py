"""Encodings: states, and back to values; what cannot be encoded is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import (
    AsIs,
    Encoding,
    Labelled,
    OneHot,
    Scaled,
    Standardized,
    Stochastic,
    Threshold,
)
from harmonium.rng import Purpose, Stream

BYTES = arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=20)).map(torch.from_numpy)
EVERY = [
    AsIs(),
    Scaled(0, 255),
    Threshold(127.5),
    Threshold(127.5, low_state=-1),
    Stochastic(0, 255),
    Stochastic(0, 255, low_state=-1),
    Standardized(torch.tensor([1.0, 0.1, -3.0]), torch.tensor([0.0, 2.0, 1 / 3])),
    OneHot(256),
    Labelled(Scaled(0, 255), 256),
]


def stream() -> Stream:
    return Stream(7, Purpose.ENCODE)


@pytest.mark.parametrize("encoding", EVERY, ids=repr)
def test_a_description_survives_json(encoding: Encoding) -> None:
    config = json.loads(json.dumps(encoding.to_config()))
    again = Encoding.from_config(config)
    assert again == encoding
    assert hash(again) == hash(encoding)
    assert again.to_config() == config


def test_numbers_of_another_type_make_the_same_description() -> None:
    assert Scaled(0, 255).to_config() == Scaled(0.0, np.float64(255)).to_config()
    assert json.dumps(Scaled(0, 255).to_config()) == json.dumps(Scaled(0.0, 255.0).to_config())
    assert json.dumps(OneHot(np.int64(3)).to_config()) == '{"kind": "OneHot", "n_categories": 3}'


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "Squared"}, "no encoding 'Squared'; the encodings are AsIs, Labelled"),
        ({}, "no encoding None"),
        ({"kind": "Scaled", "low": 0}, "not an encoding's description"),
        ({"kind": "Scaled", "low": 1, "high": 1}, "low < high"),
    ],
)
def test_other_descriptions_are_refused(config: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Encoding.from_config(config)


@pytest.mark.parametrize("encoding", EVERY, ids=repr)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_states_are_float32_and_the_values_stay(encoding: Encoding, dtype: torch.dtype) -> None:
    values = torch.tensor([[0, 1, 255], [128, 127, 3]], dtype=dtype)
    before = values.clone()
    states = encoding.encode(values, stream())
    assert states.dtype == torch.float32
    assert states.shape == (2, encoding.n_columns(3))
    assert values.equal(before)


@pytest.mark.parametrize("encoding", EVERY, ids=repr)
def test_the_default_type_of_torch_does_not_matter(encoding: Encoding) -> None:
    values = torch.tensor([[0, 1, 255]], dtype=torch.uint8)
    expected = encoding.encode(values, stream())
    torch.set_default_dtype(torch.float64)
    try:
        states = encoding.encode(values, stream())
    finally:
        torch.set_default_dtype(torch.float32)
    assert states.dtype == torch.float32
    assert states.equal(expected)


@given(BYTES, st.sampled_from([AsIs(), Scaled(0, 255), Scaled(-3, 300), OneHot(256)]))
def test_bytes_survive_encoding(values: torch.Tensor, encoding: Encoding) -> None:
    decoded = encoding.decode(encoding.encode(values))
    assert decoded.round().byte().equal(values)


@given(BYTES)
def test_standardised_bytes_survive_encoding(values: torch.Tensor) -> None:
    encoding = Standardized(values.double().mean(0), values.double().std(0, correction=0))
    states = encoding.encode(values)
    assert states.isfinite().all()
    assert encoding.decode(states).round().byte().equal(values)


@given(BYTES, st.floats(-1, 256), st.sampled_from([0.0, -1.0]))
def test_a_threshold_compares(values: torch.Tensor, level: float, low_state: float) -> None:
    level = float(np.float32(level))
    encoding = Threshold(level, low_state)
    states = encoding.encode(values)
    above = values.double() > level
    assert states.equal(torch.where(above, 1.0, low_state))
    assert encoding.decode(states).equal(above.float())


@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32))
def test_scaling_is_exact_at_its_ends(one: float, other: float) -> None:
    low, high = sorted([one, other])
    if low < high:
        ends = torch.tensor([[low, high]])
        assert Scaled(low, high).encode(ends).tolist() == [[0.0, 1.0]]


def test_scaling_is_exact_where_float32_has_not_the_ends() -> None:
    for low, high in [(0.1, 0.7), (1e-3, 0.9), (-0.3, 1 / 3)]:
        ends = torch.tensor([[low, high]])
        assert Scaled(low, high).encode(ends).tolist() == [[0.0, 1.0]]
    assert Scaled(0, 255).encode(torch.tensor([[255]], dtype=torch.uint8)).item() == 1.0


def test_one_hot_puts_the_groups_side_by_side() -> None:
    states = OneHot(3).encode(torch.tensor([[2, 0]], dtype=torch.uint8))
    assert states.tolist() == [[0, 0, 1, 1, 0, 0]]
    means = torch.tensor([[0.2, 0.5, 0.3, 0.6, 0.4, 0.0]])
    assert OneHot(3).decode(means).tolist() == [[1, 0]]


@pytest.mark.parametrize("low_state", [0.0, -1.0])
def test_stochastic_states_have_the_values_probabilities(low_state: float) -> None:
    n = 40_000
    values = torch.tensor([[0, 64, 128, 255]], dtype=torch.uint8).expand(n, 4)
    encoding = Stochastic(0, 255, low_state)
    states = encoding.encode(values, stream())
    assert set(states.unique().tolist()) == {low_state, 1.0}
    ones = (states == 1).double().mean(0)
    probability = values[0].double() / 255
    error = 5 * (probability * (1 - probability) / n).sqrt()
    assert ((ones - probability).abs() <= error).all()
    means = states.double().mean(0)
    assert ((encoding.decode(means) - values[0]).abs() <= 255 * error + 1e-9).all()


def test_stochastic_states_are_drawn_from_the_stream_alone() -> None:
    values = torch.full((5, 30), 100, dtype=torch.uint8)
    one, other = stream(), stream()
    first = Stochastic(0, 255).encode(values, one)
    assert first.equal(Stochastic(0, 255).encode(values, other))
    assert one.position == 1
    assert not first.equal(Stochastic(0, 255).encode(values, one))


def test_stochastic_states_need_a_stream() -> None:
    with pytest.raises(ValueError, match="no stream came; pass stream=Stream"):
        Stochastic(0, 1).encode(torch.zeros(1, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scaled(1, 0), "low is 1 and high is 0; pass finite numbers with low < high"),
        (lambda: Scaled(0, float("inf")), "high is inf; pass finite numbers"),
        (lambda: Scaled(float("nan"), 1), "low is nan"),
        (lambda: Stochastic(2, 2), "low is 2 and high is 2"),
        (lambda: Stochastic(0, 1, 0.5), "low_state is 0.5; pass 0 for binary units or -1"),
        (lambda: Threshold(1, 3), "low_state is 3"),
        (lambda: OneHot(1), "n_categories is 1; pass 2 or more"),
        (lambda: Standardized(torch.zeros(2), torch.ones(3)), r"shape \(2,\) and std \(3,\)"),
        (lambda: Standardized(torch.zeros(1), torch.tensor([-1.0])), "a std is negative"),
        (lambda: Standardized(torch.tensor([torch.nan]), torch.ones(1)), "not finite"),
    ],
)
def test_impossible_encodings_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


@pytest.mark.parametrize(
    ("encoding", "values", "message"),
    [
        (Stochastic(0, 1), [[0.0, 1.5]], "range from 0 to 1.5, but .* values from 0 to 1"),
        (OneHot(3), [[0.0, 3.0]], "range from 0 to 3, but 3 categories are the integers from 0"),
        (OneHot(3), [[0.5, 2.0]], "3 categories are the integers from 0 to 2"),
        (OneHot(3), [[-1.0, 2.0]], "range from -1 to 2"),
        (Standardized(torch.zeros(3), torch.ones(3)), [[1.0, 2.0]], "2 columns, but .* 3 columns"),
    ],
)
def test_what_cannot_be_encoded_is_refused(
    encoding: Encoding, values: list[list[float]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encoding.check(torch.tensor(values))
