"""Which values are observed: bits, parts, moments, and rows that are not there."""

import dataclasses

import pytest
import torch

from harmonium.datasets import (
    Data,
    Mask,
    OneHot,
    Stochastic,
    join_parts,
    refuse_other_scale,
)

SEEN = torch.tensor([[True, False, True], [True, True, False], [False, True, True]]).repeat(4, 4)


def data(encoding=None, **more) -> Data:
    values = torch.randint(0, 3, SEEN.shape, generator=torch.Generator().manual_seed(0)).float()
    given = {} if encoding is None else {"encoding": encoding}
    return Data("holes", values, mask=Mask.of(SEEN), **given, **more)


def test_bits_are_the_table():
    mask = Mask.of(SEEN)
    assert mask.bits.shape == (12, 2)
    assert torch.equal(mask.observed(), SEEN)
    assert torch.equal(mask.observed(torch.tensor([5, 1])), SEEN[[5, 1]])
    assert torch.equal(mask.missing_by_column, (~SEEN).sum(0))


def test_a_mask_goes_where_rows_go():
    whole = data(parts={"a": range(5), "b": range(5, 12)})
    assert torch.equal(whole.part("b").mask.observed(), SEEN[5:])
    train, held_out = whole.split_randomly(0.25, 3)
    rows = torch.cat([train.values, held_out.values])
    seen = torch.cat([train.mask.observed(), held_out.mask.observed()])
    place = [int((whole.values == row).all(1).nonzero()[0]) for row in rows]
    assert torch.equal(seen, SEEN[place])
    copied = Data("copy", whole.values.clone(), mask=Mask(whole.mask.bits.clone(), 12))
    for moved, part in zip(copied.split_randomly_(0.25, 3), (train, held_out), strict=True):
        order = [int((moved.values == row).all(1).nonzero()[0]) for row in part.values]
        assert torch.equal(moved.mask.observed()[order], part.mask.observed())


def test_rows_with_holes_have_no_states():
    with pytest.raises(ValueError, match="48 values of holes are missing"):
        data().rows(torch.arange(2))
    with pytest.raises(ValueError, match="missing"):
        list(data().blocks())


def test_columns_of_a_category_are_missing_together():
    rows = data(OneHot(3)).masked_rows(torch.tensor([1]))
    assert torch.equal(rows.observed, SEEN[1:2].repeat_interleave(3, 1))


@pytest.mark.parametrize("encoding", [None, OneHot(3), Stochastic(0, 2)], ids=str)
@pytest.mark.parametrize("weighed", [False, True])
def test_moments_are_those_of_what_was_observed(encoding, weighed):
    weights = torch.arange(1, 13).double() if weighed else None
    holes = data(encoding, weights=weights)
    mean, var = holes.moments()
    for column in range(12):
        there = SEEN[:, column]
        alone = Data(
            "column",
            holes.values[there, column : column + 1],
            holes.encoding,
            weights=None if weights is None else weights[there],
        )
        width = alone.n_columns
        expected = alone.moments()
        for found, right in zip((mean, var), expected, strict=True):
            torch.testing.assert_close(found[column * width : (column + 1) * width], right)


def test_what_is_missing_tells_one_set_from_another():
    assert data().fingerprint() != Data("holes", data().values).fingerprint()
    everywhere = Data("full", data().values, mask=Mask.of(torch.ones_like(SEEN)))
    assert everywhere.mask is None


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="a mask of shape"):
        Data("holes", torch.zeros(3, 2), mask=Mask.of(SEEN))
    with pytest.raises(TypeError, match="pass bool"):
        Mask.of(SEEN.float())


def test_the_mask_of_columns_goes_with_them():
    names = tuple("abcdefghijkl")
    some = data(columns=names).select("c", "a", "l")
    assert torch.equal(some.mask.observed(), SEEN[:, [2, 0, 11]])
    labelled = data(labels=torch.arange(12) % 3).join_labels()
    assert torch.equal(labelled.mask.observed()[:, :12], SEEN)
    assert labelled.mask.observed()[:, 12].all()
    other = dataclasses.replace(data(columns=names), columns=names[::-1])
    joined = join_parts({"train": data(columns=names), "test": other})
    assert torch.equal(joined.mask.observed(), torch.cat([SEEN, SEEN.flip(1)]))
    whole = Data("whole", data().values)
    assert torch.equal(join_parts({"train": data(), "test": whole}).mask.observed()[:12], SEEN)
    assert join_parts({"train": whole, "test": whole}).mask is None


def test_one_hot_rows_with_holes():
    numbers = torch.randint(0, 3, (20, 4), generator=torch.Generator().manual_seed(1))
    rows = torch.nn.functional.one_hot(numbers, 3).flatten(1).float()
    seen = torch.ones(20, 12, dtype=torch.bool)
    seen[0, 3:6] = False  # all of a value
    seen[1, :3] = rows[1, :3] == 1  # the 1 is enough
    seen[2, :3] = rows[2, :3] == 0  # what is left is a 1, but nobody has seen it
    found = Data("one-hot", torch.where(seen, rows, 7.0), mask=Mask.of(seen)).from_one_hot()
    known = found.mask.observed()
    assert known.sum() == 78
    assert not known[0, 1]
    assert not known[2, 0]
    assert torch.equal(found.values[known], numbers[known].to(torch.uint8))
    with pytest.raises(ValueError, match="not one-hot"):
        Data("sums", rows + rows.flip(0), mask=Mask.of(seen)).from_one_hot()


def test_copies_have_the_same_holes():
    values = torch.zeros(40, 3, dtype=torch.uint8)
    seen = torch.ones(40, 3, dtype=torch.bool)
    seen[20:, 0] = False
    holes = Data("holes", values, OneHot(5, letters="ACGU-"), mask=Mask.of(seen))
    for part in holes.split_randomly(0.5):
        assert len(part) == 20
        assert part.mask is None or part.mask.n_missing == 20


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_another_scale_is_seen_through_holes(scale):
    values = torch.randn(60, 3, generator=torch.Generator().manual_seed(0))
    train = Data("train", values).standardize()
    seen = torch.rand(60, 3, generator=torch.Generator().manual_seed(1)) < 0.7
    holes = torch.where(seen, scale * values, 0.0)
    new = Data("new", holes, train.encoding, mask=Mask.of(seen))
    if scale == 1:
        refuse_other_scale(new, *train.value_range)
    else:
        with pytest.raises(ValueError, match="times as much"):
            refuse_other_scale(new, *train.value_range)
