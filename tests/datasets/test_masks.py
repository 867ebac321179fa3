"""Which values are observed: bits, parts, moments, and rows that are not there."""

import pytest
import torch

from harmonium.datasets import Data, Mask, OneHot, Stochastic

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
