"""Numbers whose differences float32 would round away: times, large integers, far offsets."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium.datasets import AsIs, Data, Encoding, Standardized, from_array, load

# 96 quarters of an hour of one day, as unix seconds
TIMES = 1_700_000_000 + 900 * np.arange(96)


def states(data: Data) -> torch.Tensor:
    return data.rows(torch.arange(len(data)))


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("suffix", ["array", "npy", "npz", "fortran"])
def test_unix_seconds_stay_apart(dtype: type, suffix: str, tmp_path: Path) -> None:
    table = np.column_stack([TIMES, np.arange(96) % 7]).astype(dtype)
    if suffix == "array":
        data = from_array(table)
    elif suffix == "npz":
        np.savez(tmp_path / "a.npz", X=table)
        data = load(tmp_path / "a.npz")
    else:
        np.save(tmp_path / "a.npy", np.asfortranarray(table) if suffix == "fortran" else table)
        data = load(tmp_path / "a.npy")
    assert data.values.double().equal(torch.from_numpy(table.astype(np.float64)))
    seen = states(data.standardize())
    assert seen.dtype == torch.float32
    expected = (table - table.mean(0)) / table.std(0)
    assert np.abs(seen.numpy() - expected).max() < 1e-6
    assert len(seen[:, 0].unique()) == 96


def test_a_far_value_does_not_hide_that_the_others_are_merged() -> None:
    table = np.concatenate([[0.0], TIMES + 0.5])[:, None]
    assert from_array(table).values.dtype == torch.float64


def test_what_only_rounding_varies_is_a_constant_column() -> None:
    column = np.where(np.arange(40) % 2, 0.1 + 0.2, 0.3)
    assert from_array(column[:, None]).values.dtype == torch.float32
    data = from_array(np.column_stack([column, TIMES[:40]])).standardize()
    assert data.values.dtype == torch.float64
    assert states(data)[:, 0].abs().max() < 1e-12


def test_a_column_that_varies_in_few_rows_is_looked_at_whole() -> None:
    column = np.full(100_000, 1_700_000_000.25)
    column[::9999] += np.arange(len(column[::9999]))
    assert from_array(column[:, None]).values.dtype == torch.float64


@pytest.mark.parametrize(
    "column",
    [
        np.random.default_rng(0).normal(100, 1, 1000),
        np.random.default_rng(0).normal(0, 1e-30, 1000),
        np.random.default_rng(0).lognormal(0, 8, 1000),
        np.arange(1000) + 2020.0,
        np.full(1000, 7.3),
        np.arange(1000) * 1_000_003,
    ],
    ids=["near", "small", "skewed", "whole", "constant", "wide integers"],
)
def test_all_other_numbers_take_four_bytes(column: np.ndarray) -> None:
    assert from_array(column[:, None]).values.dtype == torch.float32


def test_float32_stays_what_it_is_in_the_same_memory() -> None:
    table = np.float32(TIMES[:, None])
    data = from_array(table)
    assert data.values.dtype == torch.float32
    assert np.shares_memory(data.values.numpy(), table)


def test_large_numbers_in_an_npy_file_cost_no_second_copy() -> None:
    from harmonium.datasets.arrays import read_array

    table = np.random.default_rng(0).normal(size=(1001, 3))
    read = read_array(io.BytesIO(table.tobytes()), table.shape, table.dtype, "a", False)
    assert read.dtype == np.float32
    assert np.array_equal(read, table.astype(np.float32))
    owner = read
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert owner.nbytes == 4 * (table.size + 1)  # their number is odd


def test_values_beyond_float32_are_refused_beside_others_that_need_float64() -> None:
    table = np.column_stack([TIMES, np.ones(96)])
    table[40, 1] = 1e39
    with pytest.raises(ValueError, match=r"beyond ±3.4e38; the first: row 40, column 1"):
        from_array(table)


def test_as_states_they_are_refused_by_name() -> None:
    table = np.column_stack([np.arange(96) % 2, TIMES])
    data = from_array(table, columns=["rain", "seconds"])
    with pytest.raises(ValueError, match=r"column 'seconds' of array \(values from 1700000000 to"):
        states(data)
    with pytest.raises(ValueError, match="standardise the columns"):
        next(data.blocks())


def test_what_was_kept_in_float64_for_nothing_may_be_states() -> None:
    values = torch.tensor([[0.25, 1.0], [0.5, 3.0]], dtype=torch.float64)
    assert states(Data("mine", values)).equal(values.float())


def test_thresholds_and_ranges_are_in_the_values_own_precision() -> None:
    data = from_array(TIMES[:, None].astype(np.float64))
    above = states(data.binarize(float(TIMES[47])))
    assert above.sum() == 48
    scaled = data.as_pictures(1, 1, white=float(TIMES[-1]))
    assert states(scaled)[-1].item() == 1.0


def test_a_description_keeps_all_digits() -> None:
    data = from_array(TIMES[:, None].astype(np.float64) + 0.1).standardize()
    again = Encoding.from_config(data.encoding.to_config())
    assert again == data.encoding
    assert again.encode(data.values).equal(states(data))


def test_standardised_float32_has_the_same_bits_and_fingerprint_as_ever() -> None:
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (50, 4)).astype(np.float32))
    data = Data("mine", values).standardize()
    mean = values.double().mean(0).float()
    std = values.double().std(0, correction=0).float()
    assert isinstance(data.encoding, Standardized)
    assert data.encoding.mean.dtype == torch.float32
    assert torch.allclose(data.encoding.mean, mean, rtol=1e-6)
    assert states(data).equal(torch.sub(values, data.encoding.mean).div_(data.encoding.std))
    assert torch.allclose(data.encoding.std, std, rtol=1e-6)


def test_targets_of_one_hundred_million_and_one_stay_apart() -> None:
    targets = 1e8 + np.arange(20) % 3
    data = from_array(np.zeros((20, 2)), targets=targets)
    assert data.targets is not None
    assert data.targets.dtype == torch.float64
    assert data.targets[:, 0].tolist() == targets.tolist()


def test_a_constant_column_is_decoded_as_its_value() -> None:
    table = np.column_stack([np.full(6, 7.3), np.arange(6.0)])
    data = from_array(table).standardize()
    assert states(data)[:, 0].tolist() == [0.0] * 6
    drawn = torch.randn(100, 2)
    assert data.encoding.decode(drawn)[:, 0].unique().tolist() == [np.float32(7.3)]
    old = Encoding.from_config({"kind": "Standardized", "mean": [7.0], "std": [1.0]})
    assert old.decode(torch.tensor([[0.5]])).item() == 7.5


def test_a_scale_of_zero_learns_what_a_scale_of_one_did() -> None:
    values = torch.tensor([[7.0, 1.0], [7.0, 3.0]])
    now = Data("mine", values, Standardized(torch.tensor([7.0, 2.0]), torch.tensor([0.0, 1.0])))
    old = Data("mine", values, Standardized(torch.tensor([7.0, 2.0]), torch.tensor([1.0, 1.0])))
    assert now.fingerprint() == old.fingerprint()
    assert states(now).equal(states(old))
    assert now.encoding != old.encoding
    assert isinstance(Data("mine", values).encoding, AsIs)
