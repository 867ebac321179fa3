"""`Data`: states by rows and blocks, moments, other encodings, parts and fingerprints."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import (
    AsIs,
    Data,
    Encoding,
    OneHot,
    Scaled,
    Standardized,
    Stochastic,
    Threshold,
)
from harmonium.rng import Purpose, Stream

FLOATS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-1e6, 1e6, width=32),
).map(torch.from_numpy)


def grey() -> Data:
    values = torch.arange(24, dtype=torch.uint8).reshape(6, 4) * 11
    return Data(
        "grey",
        values,
        Scaled(0, 255),
        labels=torch.arange(6),
        image_shape=(2, 2),
        parts={"train": range(4), "test": range(4, 6)},
    )


def real(*rows: list[float]) -> Data:
    return Data("real", torch.tensor(rows))


def test_rows_are_states_in_the_order_asked_for() -> None:
    states = grey().rows(torch.tensor([5, 0, 5]))
    assert states.dtype == torch.float32
    assert states.equal(grey().values[[5, 0, 5]].float() / 255)


def test_rows_are_memory_of_their_own() -> None:
    data = real([1.0, 2.0])
    data.rows(torch.tensor([0])).zero_()
    assert data.values.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("size", [1, 4, 6, 100])
def test_blocks_are_all_rows(size: int) -> None:
    blocks = list(grey().blocks(size))
    assert torch.cat(blocks).equal(grey().rows(torch.arange(6)))
    assert max(map(len, blocks)) <= size


def test_stochastic_rows_are_redrawn() -> None:
    data, stream = grey().binarize_stochastically(), Stream(1, Purpose.ENCODE)
    index = torch.arange(6).repeat(20)
    once, again = data.rows(index, stream), data.rows(index, stream)
    assert not once.equal(again)
    assert once.equal(data.rows(index, stream.at(0)))
    with pytest.raises(ValueError, match="no stream came"):
        data.rows(index)


@given(FLOATS)
def test_moments(values: torch.Tensor) -> None:
    mean, variance = Data("any", values).moments()
    assert mean.dtype == variance.dtype == torch.float64
    torch.testing.assert_close(mean, values.double().mean(0), rtol=1e-12, atol=1e-8)
    expected = values.double().var(0, correction=0)
    torch.testing.assert_close(variance, expected, rtol=1e-9, atol=1e-6)


def test_moments_over_several_blocks_far_from_zero() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(1e4, 1, (3500, 3))).float()
    mean, variance = Data("far", values).moments()
    torch.testing.assert_close(mean, values.double().mean(0), rtol=1e-13, atol=0)
    torch.testing.assert_close(variance, values.double().var(0, correction=0), rtol=1e-9, atol=0)


@pytest.mark.parametrize("spins", [False, True])
def test_moments_of_stochastic_states_are_those_over_all_draws(spins: bool) -> None:
    data = grey().binarize_stochastically()
    data = data.to_spins() if spins else data
    mean, variance = data.moments()
    n = 2000
    stream = Stream(3, Purpose.ENCODE)
    drawn = data.rows(torch.arange(6).repeat(n), stream).double()
    error = 5 * (variance / (6 * n)).sqrt() + 1e-12
    assert ((drawn.mean(0) - mean).abs() <= error).all()
    low = -1.0 if spins else 0.0
    ones = (mean - low) / (1 - low)
    torch.testing.assert_close(variance, (1 - low) ** 2 * ones * (1 - ones))


def test_a_constant_column_makes_no_nan() -> None:
    data = real(*[[0.1, float(row)] for row in range(2500)])
    assert data.moments()[1][0] == 0
    states = torch.cat(list(data.standardize().blocks()))
    assert states.isfinite().all()
    assert (states[:, 0] == 0).all()
    mean, variance = data.standardize().moments()
    torch.testing.assert_close(mean, torch.zeros(2).double(), rtol=0, atol=1e-6)
    torch.testing.assert_close(variance, torch.tensor([0.0, 1.0]).double(), rtol=0, atol=1e-5)


@given(FLOATS)
def test_standardised_values_come_back(values: torch.Tensor) -> None:
    data = Data("any", values).standardize()
    (states,) = data.blocks()
    assert states.isfinite().all()
    scale = float(values.abs().max()) + 1
    assert (data.encoding.decode(states) - values).abs().max() <= 1e-5 * scale


def test_held_out_rows_take_the_training_rows_encoding() -> None:
    train, test = real([0.0], [2.0]).standardize(), real([5.0])
    assert test.with_encoding(train.encoding).rows(torch.tensor([0])).item() == 4.0


def test_binarize_takes_a_fraction_of_the_range_of_grey_values() -> None:
    assert grey().binarize().encoding == Threshold(127.5)
    assert grey().with_encoding(Scaled(0, 16)).binarize(0.25).encoding == Threshold(4.0)


def test_binarize_takes_a_plain_value_for_other_data() -> None:
    data = real([-1.0, 0.7, 0.2]).binarize(0.2)
    assert data.encoding == Threshold(0.2)
    assert real([1.0, 7.0, 3.0]).binarize(3).rows(torch.tensor([0])).tolist() == [[0, 1, 0]]


def test_stochastic_binarisation_knows_the_range() -> None:
    assert grey().binarize_stochastically().encoding == Stochastic(0, 255)
    assert real([0.0, 1.0]).binarize_stochastically().encoding == Stochastic(0, 1)
    with pytest.raises(ValueError, match=r"from 0 to 3, .* pass the range with with_encoding"):
        real([0.0, 3.0]).binarize_stochastically()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.0, 1.0]], [[-1, 1]]),
        ([[-1.0, 1.0]], [[-1, 1]]),
        ([[1.0, 1.0]], [[1, 1]]),
        ([[0.0, 0.0]], [[-1, -1]]),
        ([[-1.0, -1.0]], [[-1, -1]]),
    ],
)
def test_two_values_become_spins(rows: list[list[float]], expected: list[list[int]]) -> None:
    assert real(*rows).to_spins().rows(torch.tensor([0])).tolist() == expected


def test_binarised_data_become_spins() -> None:
    assert grey().binarize().to_spins().encoding == Threshold(127.5, -1)
    assert grey().binarize_stochastically().to_spins().encoding == Stochastic(0, 255, -1)


@pytest.mark.parametrize("data", [grey(), real([0.0, 0.5, 1.0]), real([0.0, 2.0])])
def test_other_data_are_no_spins(data: Data) -> None:
    with pytest.raises(ValueError, match="but spins have two states; binarise them first"):
        data.to_spins()


def test_one_hot_counts_the_categories() -> None:
    data = Data("kinds", torch.tensor([[0, 3], [2, 1]], dtype=torch.uint8)).one_hot()
    assert data.encoding == OneHot(4)
    assert data.n_columns == 8
    assert data.rows(torch.tensor([1])).tolist() == [[0, 0, 1, 0, 0, 1, 0, 0]]
    with pytest.raises(ValueError, match="all values of real are 0, and units have two categories"):
        real([0.0], [0.0]).one_hot()
    with pytest.raises(ValueError, match="3 categories are the integers from 0 to 2"):
        Data("kinds", torch.tensor([[3]], dtype=torch.uint8)).one_hot(3)


@pytest.mark.parametrize("method", ["binarize", "binarize_stochastically"])
def test_binarising_twice_is_refused(method: str) -> None:
    with pytest.raises(ValueError, match=f"encoded by Threshold already, and {method} works on"):
        getattr(grey().binarize(), method)()


def test_as_pictures() -> None:
    data = Data("flat", torch.full((1, 6), 200, dtype=torch.uint8)).as_pictures(2, 3)
    assert (data.image_shape, data.encoding) == ((2, 3), Scaled(0, 255))
    ones = Data("flat", torch.ones((1, 6), dtype=torch.uint8)).as_pictures(3, 2)
    assert (ones.image_shape, ones.encoding) == ((3, 2), AsIs())
    with pytest.raises(ValueError, match="6 columns, but pictures of 2 × 2 have 4"):
        ones.as_pictures(2, 2)


def test_parts() -> None:
    data = grey()
    train, test = data.split()
    assert (train.name, test.name) == ("grey:train", "grey:test")
    assert torch.cat([train.values, test.values]).equal(data.values)
    assert test.labels is not None
    assert test.labels.tolist() == [4, 5]
    assert test.image_shape == (2, 2)
    assert test.encoding == data.encoding
    assert test.values.data_ptr() == data.values[4].data_ptr()
    assert len(data.part("train")) == 4


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (
            lambda: grey().part("tran"),
            r"no part 'tran'; did you mean 'train'\? \(its parts are train",
        ),
        (lambda: grey().part("train").part("x"), "no part 'x'; it has no parts"),
        (lambda: real([1.0]).split(), r"real has no parts of its own; call split_randomly"),
        (lambda: grey().split_randomly(0), "held_out is 0; pass a share"),
        (lambda: grey().split_randomly(1.0), "held_out is 1.0; pass a share"),
        (lambda: real([1.0]).split_randomly(), "one row, which cannot be split"),
        (lambda: grey().draw_rows(0), "0 rows were asked for, but grey has 6; pass 1 to 6"),
        (lambda: grey().draw_rows(7), "7 rows were asked for, but grey has 6; pass 1 to 6"),
    ],
)
def test_impossible_parts_are_refused(do: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        do()  # type: ignore[operator]


@given(st.integers(2, 50), st.floats(0.001, 0.999), st.integers(0, 2**64 - 1))
def test_split_randomly(n: int, share: float, seed: int) -> None:
    values = torch.arange(n, dtype=torch.uint8).unsqueeze(1)
    data = Data("any", values, labels=torch.arange(n), targets=values.float())
    train, held_out = data.split_randomly(share, seed)
    assert len(train) and len(held_out)
    assert abs(len(held_out) - share * n) <= 1
    assert sorted([*train.values.flatten().tolist(), *held_out.values.flatten().tolist()]) == list(
        range(n)
    )
    assert held_out.labels is not None
    assert held_out.labels.equal(held_out.values.flatten().long())
    assert held_out.targets is not None
    assert held_out.targets.equal(held_out.values.float())
    assert held_out.values.equal(data.split_randomly(share, seed)[1].values)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.data(), st.integers(0, 2**64 - 1))
def test_drawn_rows_have_as_many_of_each_class(
    classes: list[int], choose: st.DataObject, seed: int
) -> None:
    n = choose.draw(st.integers(1, len(classes)))
    values = torch.arange(len(classes), dtype=torch.uint8).unsqueeze(1)
    data = Data("any", values, labels=torch.tensor(classes), targets=values.float())
    drawn = data.draw_rows(n, seed)
    rows = drawn.values.flatten().long()
    assert len(rows) == n == len(rows.unique())
    assert drawn.labels is not None
    assert drawn.labels.equal(torch.tensor(classes)[rows])
    assert drawn.targets is not None
    assert drawn.targets.equal(drawn.values.float())
    # a class that has rows left has as many as any other, or one less
    assert data.labels is not None
    taken, there = drawn.labels.bincount(minlength=5), data.labels.bincount(minlength=5)
    assert (taken[taken < there] >= taken.max() - 1).all()
    if n < len(data):
        assert set(rows.tolist()) <= set(data.draw_rows(n + 1, seed).values.flatten().tolist())


def test_drawn_rows_are_random() -> None:
    data = Data("any", torch.arange(1000.0).unsqueeze(1))
    first, second = (data.draw_rows(500, seed).values.flatten() for seed in (0, 1))
    # of two halves drawn apart, a quarter of the rows is common: 250 ± 8 (hypergeometric)
    common = torch.isin(first, second).sum().item()
    assert abs(common - 250) < 5 * 7.91
    # their mean is 499.5 ± 9.1
    assert abs(first.mean().item() - 499.5) < 5 * 9.13


@given(st.integers(2, 50), st.floats(0.001, 0.999), st.integers(0, 2**64 - 1))
def test_split_randomly_in_place_holds_out_the_same_rows(n: int, share: float, seed: int) -> None:
    values = torch.arange(n, dtype=torch.uint8).unsqueeze(1)
    copied = Data("any", values.clone()).split_randomly(share, seed)
    data = Data("any", values, labels=torch.arange(n), targets=values.float())
    parts = data.split_randomly_(share, seed)
    for part, expected in zip(parts, copied, strict=True):
        assert set(part.values.flatten().tolist()) == set(expected.values.flatten().tolist())
        assert len(part) == len(expected)
        assert part.labels is not None
        assert part.labels.equal(part.values.flatten().long())
        assert part.targets is not None
        assert part.targets.equal(part.values.float())
        assert part.values.untyped_storage().data_ptr() == values.untyped_storage().data_ptr()


def test_another_seed_makes_another_split() -> None:
    data = Data("any", torch.arange(100, dtype=torch.uint8).unsqueeze(1))
    splits = [data.split_randomly(0.2, seed)[1].values.flatten().tolist() for seed in range(5)]
    assert len(set(map(tuple, splits))) == 5


def test_a_fingerprint_is_of_what_a_model_learns_from() -> None:
    data = grey()
    assert data.fingerprint() == grey().fingerprint()
    assert len(data.fingerprint()) == 64
    assert Data("other", data.values, data.encoding).fingerprint() == data.fingerprint()
    changed = data.values.clone()
    changed[5, 3] += 1
    others = [
        Data("grey", changed, Scaled(0, 255)),
        data.binarize(),
        data.binarize(0.4),
        Data("grey", data.values.reshape(4, 6), Scaled(0, 255)),
        Data("grey", data.values.float(), Scaled(0, 255)),
        data.part("train"),
    ]
    assert len({data.fingerprint(), *(other.fingerprint() for other in others)}) == 7


def test_a_fingerprint_sees_every_block_and_no_strides() -> None:
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (2500, 2), np.uint8))
    strided = values.T.contiguous().T
    assert Data("a", values).fingerprint() == Data("a", strided).fingerprint()
    changed = values.clone()
    changed[-1, -1] ^= 1
    assert Data("a", values).fingerprint() != Data("a", changed).fingerprint()


def test_moving_takes_everything_along(device: torch.device) -> None:
    data = dataclasses.replace(grey(), targets=torch.zeros(6, 1)).standardize().to(device)
    assert data.values.device.type == device.type
    assert data.targets is not None
    assert data.targets.device.type == device.type
    assert data.labels is not None
    assert data.labels.device.type == device.type
    assert isinstance(data.encoding, Standardized)
    assert data.encoding.mean.device.type == device.type
    index = torch.tensor([1, 3], device=device)
    assert data.rows(index).cpu().equal(grey().standardize().rows(index.cpu()))
    assert data.fingerprint() == grey().standardize().fingerprint()
    drawn = grey().binarize_stochastically().to(device).rows(index, Stream(0, Purpose.ENCODE))
    assert drawn.device.type == device.type


def test_a_data_set_is_named_in_short() -> None:
    assert repr(grey()) == "Data('grey', 6 rows × 4 columns, Scaled(low=0, high=255))"
    assert repr(grey().standardize()).endswith("4 columns, Standardized(4 columns))")


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"values": torch.zeros(3)}, ValueError, r"shape \(3,\); pass shape \(n_rows, n\)"),
        ({"values": torch.zeros(0, 3)}, ValueError, r"shape \(0, 3\)"),
        ({"values": torch.zeros(2, 2).half()}, TypeError, "torch.float16; pass torch.uint8"),
        ({"columns": ("a",)}, ValueError, "3 columns, but 1 names of columns; pass one name"),
        (
            {"labels": torch.tensor([0, 2]), "classes": ("no", "yes")},
            ValueError,
            "labels of bad go up to 2, but 2 classes have a name; pass 3 names",
        ),
        ({"labels": torch.zeros(3).long()}, ValueError, r"has 2 rows, but labels of shape \(3,\)"),
        ({"labels": torch.zeros(2)}, TypeError, "labels of bad are torch.float32; pass torch.int"),
        ({"targets": torch.zeros(2)}, ValueError, r"2 rows, but targets of shape \(2,\); pass"),
        ({"targets": torch.zeros(3, 1)}, ValueError, r"targets of shape \(3, 1\); pass shape"),
        ({"targets": torch.zeros(2, 0)}, ValueError, r"targets of shape \(2, 0\)"),
        ({"targets": torch.zeros(2, 1).long()}, TypeError, "torch.int64; pass torch.float32"),
        ({"image_shape": (2, 2)}, ValueError, "3 columns, but pictures of 2 × 2 have 4"),
        ({"parts": {"train": range(3)}}, ValueError, r"part 'train' is range\(0, 3\); pass range"),
        ({"parts": {"train": range(0)}}, ValueError, "within the 2 rows of bad"),
    ],
)
def test_impossible_data_are_refused(
    arguments: dict[str, object], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        Data("bad", **({"values": torch.zeros(2, 3)} | arguments))  # type: ignore[arg-type]


# Rows that end with their label


def with_labels(labels: list[int], dtype: torch.dtype = torch.uint8) -> Data:
    values = torch.arange(2 * len(labels)).reshape(-1, 2).to(dtype)
    return Data("rows", values, Scaled(0, 10), torch.tensor(labels), image_shape=(1, 2))


def test_joined_labels_are_one_hot_columns_behind_the_states() -> None:
    data = with_labels([2, 0, 1])
    joined = data.join_labels()
    v = joined.rows(torch.tensor([0, 2]))
    expected = torch.cat([data.rows(torch.tensor([0, 2])), torch.eye(3)[[2, 1]]], 1)
    assert torch.equal(v, expected) and v.dtype == torch.float32
    assert joined.n_columns == 5 and joined.image_shape is None
    assert joined.values.dtype == torch.uint8
    assert torch.equal(joined.encoding.decode(v)[:, 2], torch.tensor([2.0, 1.0]))
    assert torch.equal(joined.encoding.decode(v)[:, :2], data.values[[0, 2]].float())
    assert data.join_labels(7).n_columns == 9
    assert joined.fingerprint() != data.join_labels(7).fingerprint()


def test_more_classes_than_a_byte_holds() -> None:
    joined = with_labels([0, 300]).join_labels()
    assert joined.values.dtype == torch.float32
    assert joined.rows(torch.tensor([1]))[0, 2:].argmax() == 300


@pytest.mark.parametrize("encoding", [Scaled(0, 10), Stochastic(0, 10), Threshold(4)], ids=repr)
def test_moments_of_joined_labels(encoding: Encoding) -> None:
    data = with_labels([1, 0, 1, 3]).with_encoding(encoding)
    mean, var = data.join_labels().moments()
    of_values = data.moments()
    share = torch.tensor([0.25, 0.5, 0.0, 0.25]).double()
    torch.testing.assert_close(mean, torch.cat([of_values[0], share]))
    torch.testing.assert_close(var, torch.cat([of_values[1], share * (1 - share)]))


def test_labels_that_cannot_be_joined_are_refused() -> None:
    for labels, n_classes, message in (
        ([0, -2, -1], None, "1 labels of rows are negative (the least is -2); number the classes"),
        ([3, 3], None, "all 2 labels of rows are 3; to tell classes apart takes rows of two or mo"),
        ([0, 4], 3, "labels of rows go up to 4, but n_classes is 3; pass 5 or more"),
    ):
        with pytest.raises(ValueError) as refusal:
            with_labels(labels).join_labels(n_classes)
        assert str(refusal.value).startswith(message)
    with pytest.raises(ValueError, match=r"^rows has no labels; pass them with the values, as Dat"):
        Data("rows", torch.zeros(2, 2)).join_labels()
    assert with_labels([3, 3]).join_labels(5).n_columns == 7
    with pytest.raises(ValueError, match="has a class already"):
        with_labels([0, 1]).join_labels().join_labels()
