"""Rows on disk: the same numbers as in memory, pages given back, and passes that are made once."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium.datasets import UNKNOWN_LABEL, Data, Scaled, from_array, load, mapped
from harmonium.datasets import data as data_module
from harmonium.datasets.moments import moments, moments_of_bits


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))


def stored(tmp_path: Path, values: np.ndarray, name: str = "rows.npy") -> Path:
    np.save(tmp_path / name, values)
    return tmp_path / name


def bits(n_rows: int = 3000, n: int = 7) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (n_rows, n)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["u1", "?", "f4", "<i8", "f8", ">f4"])
def test_rows_and_what_is_known_of_them_are_those_in_memory(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(1).integers(0, 2 if dtype == "?" else 200, (2500, 5))
    values = values.astype(dtype)
    path = stored(tmp_path, values)
    on_disk, in_memory = load(path, on_disk=True), load(path, on_disk=False)
    assert mapped.is_mapped(on_disk.values) and not mapped.is_mapped(in_memory.values)
    assert on_disk.values.dtype == in_memory.values.dtype
    assert torch.equal(on_disk.values, in_memory.values)
    assert on_disk.fingerprint() == in_memory.fingerprint()
    assert on_disk.value_range == in_memory.value_range
    assert on_disk.is_two_valued == in_memory.is_two_valued
    for a, b in zip(on_disk.moments(), in_memory.moments(), strict=True):
        assert torch.equal(a, b)
    a, b = on_disk.standardize().encoding, in_memory.standardize().encoding
    assert a == b


def test_pictures_and_missing_values(tmp_path: Path) -> None:
    pictures = np.random.default_rng(2).integers(0, 256, (30, 4, 3)).astype(np.uint8)
    data = load(stored(tmp_path, pictures), on_disk=True)
    assert data.image_shape == (4, 3) and data.encoding == Scaled(0, 255)
    holes = np.random.default_rng(3).random((40, 3)).astype(np.float32)
    holes[7, 1] = np.nan
    path = stored(tmp_path, holes, "holes.npy")
    on_disk, in_memory = load(path, on_disk=True), load(path, on_disk=False)
    assert on_disk.mask is not None and in_memory.mask is not None
    assert torch.equal(on_disk.mask.bits, in_memory.mask.bits)
    assert on_disk.fingerprint() == in_memory.fingerprint()


def test_a_small_split_is_that_in_memory_and_the_file_stays_as_it_is(tmp_path: Path) -> None:
    path = stored(tmp_path, bits())
    before = path.read_bytes()
    a, b = load(path, on_disk=True).split_randomly_(0.1, 5), load(path).split_randomly_(0.1, 5)
    for one, other in zip(a, b, strict=True):
        assert torch.equal(one.values, other.values)
        mapped.release(one.values)  # what was swapped is not in the file, and has to stay
        assert torch.equal(one.values, other.values)
        assert one.fingerprint() == other.fingerprint()
    assert path.read_bytes() == before


def test_stretches_are_held_out_of_many_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "BUFFER_BYTES", 1 << 16)
    numbers = np.arange(40_000, dtype=np.float32)[:, None]
    data = load(stored(tmp_path, numbers), on_disk=True)
    train, held_out = data.split_randomly_(0.1, 5)
    mapped.release(data.values)
    assert len(held_out) == 4000 and len(train) == 36_000
    both = torch.cat([train.values, held_out.values]).flatten()
    assert torch.equal(both.sort().values, torch.arange(40_000.0))
    # spread over the whole file: the mean of 100 stretches or more, within 5 standard errors
    error = 40_000 / 12**0.5 / 100**0.5
    assert abs(held_out.values.mean().item() - 20_000) < 5 * error
    again = load(tmp_path / "rows.npy", on_disk=True).split_randomly_(0.1, 5)[1]
    assert torch.equal(again.values, held_out.values)


def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int = 40_000) -> Data:
    monkeypatch.setattr(mapped, "BUFFER_BYTES", 1 << 16)
    return load(stored(tmp_path, np.arange(n, dtype=np.float32)[:, None]), on_disk=True)


def test_a_tenth_of_many_rows_is_bounded_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "USUALLY_HELD_OUT", 4 * 1000)
    train, held_out = large(tmp_path, monkeypatch).split_randomly_()
    assert len(held_out) == 1000 and len(train) == 39_000
    assert train.notes[-1] == (
        "1,000 of 40,000 rows (2.50%) are held out, in short stretches all over the file "
        "(`held_out` asks for more)"
    )


def test_a_share_that_is_asked_for_is_held_out_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_module, "USUALLY_HELD_OUT", 4 * 1000)
    train, held_out = large(tmp_path, monkeypatch).split_randomly_(0.2)
    assert len(held_out) == 8000 and train.notes[-1].endswith("all over the file")
    monkeypatch.setattr(data_module, "MOST_HELD_OUT", 4 * 1000)
    message = r"held_out is 0.2, which are 8,000 of the 40,000 rows .*; pass 0.0248 or less"
    with pytest.raises(ValueError, match=message):
        large(tmp_path, monkeypatch).split_randomly_(0.2)


def test_rows_that_would_be_left_out_of_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = large(tmp_path, monkeypatch)
    weights = torch.ones(len(data), dtype=torch.float64)
    weights[4] = 0
    message = r"1 of the 40,000 rows of rows.npy have a weight of 0, and rows on disk.*`on_disk=Fal"
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(data, weights=weights).counted()
    labels = torch.zeros(len(data), dtype=torch.int64)
    labels[:2] = UNKNOWN_LABEL
    with pytest.raises(
        ValueError, match=r"2 of the 40,000 rows of rows.npy have no label, and row"
    ):
        dataclasses.replace(data, labels=labels).labelled()


def test_rows_by_number_and_neighbours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = large(tmp_path, monkeypatch)
    for numbers in ([5, 6, 7, 100, 99, 98, 3, 4, 39_999], [], [7], list(range(500, 900))):
        index = torch.tensor(numbers, dtype=torch.int64)
        assert data.take(index).values.flatten().tolist() == numbers if numbers else True
        assert mapped.take(data.values, index).shape == (len(numbers), 1)


@pytest.mark.parametrize("n_rows", [100, 40_000])  # in the map, and beside it
def test_a_file_that_is_cut_off_under_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_rows: int
) -> None:
    data = large(tmp_path, monkeypatch, n_rows)
    os.truncate(tmp_path / "rows.npy", 128)
    for use in (
        lambda: data.rows(torch.tensor([n_rows - 1])),
        lambda: next(data.blocks()),
        data.fingerprint,
    ):
        with pytest.raises(ValueError, match="has changed while its rows were in use"):
            use()


def test_rows_are_drawn_in_memory_that_does_not_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "BUFFER_BYTES", 1 << 12)
    data = load(stored(tmp_path, np.arange(5000, dtype=np.float32)[:, None]), on_disk=True)
    drawn = data.draw_rows(500, 1)
    assert len(drawn.values.unique()) == 500 and not mapped.is_mapped(drawn.values)
    assert abs(drawn.values.mean().item() - 2500) < 5 * 5000 / 12**0.5 / 500**0.5


def test_what_a_pass_has_found_is_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, bits())
    data = load(path, on_disk=True)
    first = data.fingerprint(), data.moments(), data.value_range
    monkeypatch.setattr(mapped, "pieces", None)  # no further pass
    again = load(path, on_disk=True)
    assert again.fingerprint() == first[0] and again.value_range == first[2]
    assert all(map(torch.equal, again.moments(), first[1]))
    notes = next((tmp_path / "cache" / "rows").glob("*.json"))
    notes.write_text("{")  # damaged notes cost a pass
    monkeypatch.undo()
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))
    assert load(path, on_disk=True).fingerprint() == first[0]
    assert json.loads(notes.read_text())


def test_another_content_is_another_file(tmp_path: Path) -> None:
    path = stored(tmp_path, bits())
    was = load(path, on_disk=True).fingerprint()
    values = bits()
    values[0, 0] ^= 1
    stored(tmp_path, values)
    os.utime(path, ns=(0, 1))
    assert load(path, on_disk=True).fingerprint() != was


def test_moments_of_bits_are_the_same_bits() -> None:
    for n_rows in (1, 254, 255, 256, 3001):
        values = torch.from_numpy(bits(n_rows))
        for a, b in zip(moments_of_bits([values]), moments(values.split(1000)), strict=True):
            assert torch.equal(a, b)


def test_a_file_that_changes_under_its_rows_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, bits())
    data = load(path, on_disk=True)
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"more")
    with pytest.raises(ValueError, match=r"rows.npy has changed while its rows were in use \(it h"):
        list(mapped.pieces(data.values, 100))
    path.unlink()
    stored(tmp_path, bits()[:5])  # another file: the old one is still there, as long as it is open
    assert len(list(mapped.pieces(data.values, 1000))) == 3


def test_progress_of_a_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "_PIECE_BYTES", 7000)
    data, told = load(stored(tmp_path, bits()), on_disk=True), []
    with mapped.shown(lambda name, done, total: told.append((name, done, total))):
        list(mapped.pieces(data.values, 1000))
    assert told == [("reading rows.npy", n, 21_000) for n in (7000, 14_000, 21_000)]


def test_tensors_in_memory_are_left_alone() -> None:
    data = from_array(bits())
    assert not mapped.is_mapped(data.values) and not mapped.is_large(data.values)
    mapped.release(data.values)
    mapped.mark_written(data.values, torch.arange(3))
    assert isinstance(data, Data) and len(list(mapped.pieces(data.values, 1000))) == 3
