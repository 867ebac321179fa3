"""Several files as one data set, in memory and on disk, in every format; and what is refused."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
import torch

from harmonium import datasets
from harmonium.datasets import Data, Scaled, conversion, large, load, mapped, records, sources

N, WIDTH = 240, 5
X = np.random.default_rng(0).integers(0, 4, (N, WIDTH)).astype(np.uint8)
REAL = np.random.default_rng(1).normal(0, 3, (N, WIDTH))


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(large, "_CHUNK_BYTES", 700)  # several chunks a file


def table(rows: np.ndarray) -> Any:
    return pa.table({f"c{n}": rows[:, n] for n in range(rows.shape[1])})


def parquet(path: Path, rows: np.ndarray) -> None:
    pq.write_table(table(rows), path, row_group_size=50)


def arrow(path: Path, rows: np.ndarray) -> None:
    with pa.ipc.new_file(path, table(rows).schema) as file:
        file.write_table(table(rows), max_chunksize=50)


def csv(path: Path, rows: np.ndarray) -> None:
    names = ",".join(f"c{n}" for n in range(rows.shape[1]))
    np.savetxt(path, rows, "%.17g", delimiter=",", header=names, comments="")


def hdf5(path: Path, rows: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["group/matrix"] = rows


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    ".npy": np.save,
    ".parquet": parquet,
    ".arrow": arrow,
    ".csv": csv,
    ".h5": hdf5,
}


def same(a: Data, b: Data) -> None:
    assert torch.equal(a.values, b.values) and a.values.dtype == b.values.dtype
    assert a.encoding == b.encoding and a.columns == b.columns and a.classes == b.classes
    for x, y in ((a.labels, b.labels), (a.targets, b.targets), (a.weights, b.weights)):
        assert (x is None) == (y is None) and (x is None or y is None or torch.equal(x, y))
    assert a.fingerprint() == b.fingerprint()


@pytest.mark.parametrize("rows", [X, REAL], ids=["bytes", "real"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_five_files_are_one_data_set(tmp_path: Path, suffix: str, rows: np.ndarray) -> None:
    write = WRITERS[suffix]
    write(tmp_path / f"all{suffix}", rows)
    for number, part in enumerate(np.array_split(rows, 11)):
        write(tmp_path / f"part-{number}{suffix}", part)  # part-10 comes last
    whole = load(f"all{suffix}")
    same(load(f"part-*{suffix}", on_disk=False), whole)
    on_disk = load(f"part-*{suffix}", on_disk=True)
    assert mapped.is_mapped(on_disk.values)
    same(on_disk, whole)
    same(load(f"all{suffix}", on_disk=True), whole)
    same(load([f"part-{number}{suffix}" for number in range(11)]), whole)
    assert on_disk.name == f"part-*{suffix}" and len(on_disk) == N


def test_the_second_time_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(tmp_path / "a.parquet", X)
    first = load("a.parquet", on_disk=True)
    monkeypatch.setattr(large, "_chunks", None)
    same(load("a.parquet", on_disk=True), first)


def test_rows_stay_on_disk_if_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    np.save("a.npy", X)
    parquet(Path("a.parquet"), X)
    for name in ("a.npy", "a.parquet"):
        needed = sources.bytes_in_memory(Path(name))
        for free, on_disk in ((4 * needed, False), (4 * needed - 1, True)):
            monkeypatch.setattr(large, "free_memory", lambda free=free: free)
            assert mapped.is_mapped(load(name).values) == on_disk


def test_labels_targets_and_columns_left_out() -> None:
    words = np.array(["cat", "dog", "ant", "bee"])
    for number, part in enumerate(np.array_split(np.arange(N), 4)):
        columns = {f"c{n}": X[part, n] for n in range(WIDTH)}
        columns |= {"label": words[number : number + 1].repeat(len(part)), "id": part}
        columns |= {"target": REAL[part, 0]}
        pq.write_table(pa.table(columns), f"part-{number}.parquet", row_group_size=40)
    in_memory = load("part-*.parquet", drop="id", on_disk=False)
    assert in_memory.classes == ("ant", "bee", "cat", "dog")
    assert in_memory.labels is not None and in_memory.labels[:60].tolist() == [2] * 60
    same(load("part-*.parquet", drop="id", on_disk=True), in_memory)


def test_missing_values_of_some_files() -> None:
    holes = REAL.copy()
    holes[200, 3] = np.nan
    for number, part in enumerate(np.array_split(holes, 3)):
        np.save(f"part-{number}.npy", part)
    on_disk = load("part-*.npy", on_disk=True)
    assert on_disk.mask is not None and on_disk.mask.n_missing == 1
    same(on_disk, load("part-*.npy", on_disk=False))
    assert [note for note in on_disk.notes if "values are missing" in note] == [
        "1 of 1,200 values are missing (0.08%)"
    ]


def test_sequences_have_one_alphabet() -> None:
    letters = np.array(list("ACGU-"))
    with Path("a.fasta").open("w") as file:
        for number, row in enumerate(np.random.default_rng(2).integers(0, 5, (60, 9))):
            file.write(f">s{number}\n{''.join(letters[row])}\n")
    on_disk, in_memory = load("a.fasta", on_disk=True), load("a.fasta")
    assert on_disk.alphabet == in_memory.alphabet
    same(on_disk, in_memory)


def test_labels_and_weights_of_files_beside() -> None:
    np.save("a.npy", X)
    np.save("y.npy", X[:, 0])
    np.savetxt("w.txt", np.arange(N) + 1.0)
    options = {"labels_file": "y.npy", "weights": "w.txt"}
    same(load("a.npy", on_disk=True, **options), load("a.npy", on_disk=False, **options))


def test_a_file_of_arrays_and_its_labels() -> None:
    with h5py.File("a.h5", "w") as file:
        file["X"], file["y"] = X, X[:, 0]
    same(load("a.h5", on_disk=True), load("a.h5"))
    with h5py.File("b.h5", "w") as file:
        file["one/x"], file["two/x"] = X, X[:3]
    same(load("b.h5:/one/x", on_disk=True), load("b.h5", array="one/x"))
    with pytest.raises(ValueError, match=r"`array` is two/x, and b.h5:/one/x names /one/x; leave"):
        load("b.h5:/one/x", array="two/x")


def test_parts_inside_a_file_need_memory() -> None:
    with h5py.File("a.h5", "w") as file:
        file["x_train"], file["x_test"] = X, X[:9]
    with pytest.raises(ValueError, match=r"holds its rows in several arrays.*`on_disk=False`"):
        load("a.h5", on_disk=True)


def test_a_type_that_gets_wider_on_the_way() -> None:
    values = X.astype(float)
    values[200:] += 0.5
    csv(Path("a.csv"), values)
    same(load("a.csv", on_disk=True), load("a.csv"))


def test_a_column_that_has_no_value_in_some_rows_of_a_file() -> None:
    holes = REAL.copy()
    holes[:200, 2] = np.nan  # in several chunks
    csv(Path("a.csv"), holes)
    np.save("a.npy", holes)
    for name in ("a.csv", "a.npy"):
        on_disk, in_memory = (load(name, on_disk=on) for on in (True, False))
        assert on_disk.mask is not None and in_memory.mask is not None
        assert torch.equal(on_disk.mask.bits, in_memory.mask.bits)
        seen = in_memory.mask.observed()
        assert torch.equal(on_disk.values[seen], in_memory.values[seen])
    holes[:, 2] = np.nan
    np.save("a.npy", holes)
    message = r"column 2 of a.npy has no value in any of the 240 rows; `drop=2` leaves it out"
    with pytest.raises(ValueError, match=message):
        load("a.npy", on_disk=True)


def test_notes_are_about_all_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_PIECE", 100)
    rows = ["ACG--", "ACGAX", "AC---", "ACGUU"] * 20
    text = "".join(f">s{number}\n{row}\n" for number, row in enumerate(rows))
    Path("a.fasta").write_text(text)
    options: dict[str, Any] = {"alphabet": "rna", "unknown": "drop", "max_gaps_row": 0.5}
    on_disk, in_memory = (load("a.fasta", on_disk=on, **options) for on in (True, False))
    assert torch.equal(on_disk.values, in_memory.values)
    said = "left out: 20 sequences (unknown letters), 20 sequences (too many gaps)"
    assert said in on_disk.notes and said in in_memory.notes
    assert on_disk.notes[0].startswith("an alignment of 40 sequences × 5 sites; alphabet rna")


def test_pictures_of_several_files_have_one_white() -> None:
    pictures = X.reshape(N, 1, WIDTH).copy()
    pictures[200:] *= 80
    for number, part in enumerate(np.array_split(pictures, 3)):
        np.save(f"part-{number}.npy", part)
    on_disk, in_memory = (load("part-*.npy", on_disk=on) for on in (True, False))
    assert in_memory.encoding == Scaled(0.0, 255.0) and "grey" not in str(in_memory.notes)
    same(on_disk, in_memory)


def test_names_with_spaces_and_files_of_runs() -> None:
    for folder in ("my rows", "my rows/deep", "my rows/runs/a"):
        Path(folder).mkdir(parents=True)
        np.save(f"{folder}/part 1.npy", X)
    Path("my rows/runs/a/metrics.jsonl").touch()
    assert len(load("my rows/part *.npy")) == N
    assert len(load("my rows/**/*.npy")) == 2 * N
    assert len(load("my rows/runs/*/*.npy")) == N


# The cache


def test_rows_of_earlier_states_of_a_file_are_removed() -> None:
    parquet(Path("a.parquet"), X)
    parquet(Path("b.parquet"), X)
    first = load("a.parquet", on_disk=True)
    load("b.parquet", on_disk=True)
    parquet(Path("a.parquet"), X[:-1])
    assert len(load("a.parquet", on_disk=True)) == N - 1
    assert len(list(mapped.rows_folder().glob("*/values.npy"))) == 2
    assert np.array_equal(first.values.numpy(), X)  # who has them open keeps them


def test_another_file_of_the_same_size_and_time() -> None:
    np.save("a.npy", X)
    np.save("b.npy", X[::-1])
    csv(Path("a.csv"), X)
    csv(Path("b.csv"), X[::-1])
    for suffix in (".npy", ".csv"):
        for name in ("a", "b"):
            os.utime(name + suffix, ns=(7, 7))
        was = load("a" + suffix, on_disk=True).fingerprint()
        os.replace("b" + suffix, "a" + suffix)
        assert load("a" + suffix, on_disk=True).fingerprint() != was


def test_what_a_killed_conversion_left_is_removed() -> None:
    left, going_on = (mapped.rows_folder() / f".{name}.tmp" for name in ("left", "going-on"))
    for folder in (left, going_on):
        folder.mkdir(parents=True)
        (folder / "values.npy").write_bytes(b"some")
    for path in (left / "values.npy", left):
        os.utime(path, (0, 0))
    parquet(Path("a.parquet"), X)
    load("a.parquet", on_disk=True)
    assert not left.exists() and going_on.exists()


def test_an_interrupted_conversion_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(Path("a.parquet"), X)

    def progress(name: str, done: int, total: int | None) -> None:
        if name.startswith("converting"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load("a.parquet", on_disk=True, progress=progress)
    assert not list(mapped.rows_folder().iterdir())


# What is refused


@pytest.mark.parametrize("on_disk", [True, False])
def test_files_of_other_letters(on_disk: bool) -> None:
    Path("part-0.fasta").write_text(">a\nACGUA\n>b\nACGUU\n")
    Path("part-1.fasta").write_text(">a\nMKVLW\n")
    message = r"the letters of part-1.fasta are ACD.*, but those of part-0.fasta ACGU-; say by `alp"
    with pytest.raises(ValueError, match=message):
        load("part-*.fasta", on_disk=on_disk)


@pytest.mark.parametrize("on_disk", [True, False])
def test_files_that_have_parts(on_disk: bool) -> None:
    for number in range(2):
        np.savez(f"{number}.npz", x_train=X, x_test=X[:9])
    message = r"0.npz holds its rows in several arrays \(train, test\).*by `array`"
    with pytest.raises(ValueError, match=message):
        load("?.npz", on_disk=on_disk)
    if on_disk:
        with pytest.raises(ValueError, match=message):
            load("0.npz", on_disk=True)
    assert len(load("?.npz", on_disk=on_disk, array="x_test")) == 18


def test_labels_that_are_words_in_some_chunks_and_numbers_in_others() -> None:
    Path("a.csv").write_text("label,x\n" + "7,1\n" * 300 + "b,0\n" * 300)
    with pytest.raises(ValueError, match=r"some rows of a.csv are words, and those of others numb"):
        load("a.csv", on_disk=True)
    assert load("a.csv", on_disk=False).classes == ("7", "b")


def test_a_file_without_rows_of_two_dimensions() -> None:
    np.save("part-0.npy", X)
    np.save("part-1.npy", X[:, 0])
    message = "part-1.npy holds uint8 in 1 dimensions, but part-0.npy uint8 of 5 columns"
    with pytest.raises(ValueError, match=message):
        load("part-*.npy")


def test_a_pattern_that_matches_nothing(tmp_path: Path) -> None:
    np.save("part.npy", X)
    with pytest.raises(FileNotFoundError, match=r"no file matches 'part-\*\.npy'; \. has part.npy"):
        load("part-*.npy")
    with pytest.raises(FileNotFoundError, match=r"no file matches 'no/\*\.npy'; no is no folder"):
        load("no/*.npy")


def test_a_shard_that_is_missing() -> None:
    np.save("part-0.npy", X)
    message = "there is no file 'part-1.npy', which is one of 2 that were named"
    with pytest.raises(FileNotFoundError, match=message):
        load(["part-0.npy", "part-1.npy"])


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize(
    ("other", "said"),
    [
        (X[:, :4], "part-1.npy holds uint8 of 4 columns, but part-0.npy uint8 of 5 columns"),
        (REAL, "part-1.npy holds float64 of 5 columns, but part-0.npy uint8 of 5 columns; pass f"),
    ],
)
def test_a_shard_of_another_width_or_type(other: np.ndarray, said: str, on_disk: bool) -> None:
    np.save("part-0.npy", X)
    np.save("part-1.npy", other)
    with pytest.raises(ValueError, match=said):
        load("part-*.npy", on_disk=on_disk)


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_shard_of_text_of_another_width(on_disk: bool) -> None:
    csv(Path("part-0.csv"), X)
    csv(Path("part-1.csv"), X[:, :4])
    with pytest.raises(ValueError, match=r"part-1.csv has 4 columns of values, but part-0.csv has"):
        load("part-*.csv", on_disk=on_disk)
    assert not list(mapped.rows_folder().glob(".*.tmp"))


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_shard_that_is_cut_off(on_disk: bool) -> None:
    for number in range(3):
        np.save(f"part-{number}.npy", X)
    content = Path("part-2.npy").read_bytes()
    Path("part-2.npy").write_bytes(content[:-100])
    message = r"part-2.npy is cut off: its header promises 1200 bytes of numbers, and 1100 are"
    with pytest.raises(ValueError, match=message):
        load("part-*.npy", on_disk=on_disk)


def test_a_fault_far_down_a_text_says_how_many_rows_were_read() -> None:
    csv(Path("a.csv"), X)
    with Path("a.csv").open("a") as file:
        file.write("1,2,word,4,5\n")
    with pytest.raises(ValueError, match=r"after \d+ rows of a.csv: row \d+ \(line \d+\) of a.csv"):
        load("a.csv", on_disk=True)


def test_a_disk_without_room(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(Path("a.parquet"), X)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1))
    with pytest.raises(OSError, match=r"a.parquet takes about 0.0 GB as rows on disk, and .*ro"):
        load("a.parquet", on_disk=True)
    assert not mapped.rows_folder().exists()


def test_a_disk_that_gets_full(monkeypatch: pytest.MonkeyPatch) -> None:
    parquet(Path("a.parquet"), X)
    add, told = conversion._Array.add, []

    def full(self: Any, rows: np.ndarray) -> None:
        add(self, rows)
        told.append(self.n_rows)
        if len(told) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(conversion._Array, "add", full)
    with pytest.raises(OSError, match=r"the disk is full: a.parquet could not be converted into"):
        load("a.parquet", on_disk=True)
    assert told[-1] == 150 and not list(mapped.rows_folder().iterdir())


def test_a_cache_that_is_damaged_is_made_again() -> None:
    parquet(Path("a.parquet"), X)
    first = load("a.parquet", on_disk=True)
    [values] = mapped.rows_folder().glob("*/values.npy")
    content = values.read_bytes()
    values.unlink()  # the mapping of the first rows keeps the old file
    values.write_bytes(content[:-5])
    same(load("a.parquet", on_disk=True), first)


def test_options_that_need_all_rows() -> None:
    csv(Path("a.csv"), X)
    with pytest.raises(ValueError, match=r"`columns` needs all rows of a.csv at once.*on_disk=Fal"):
        load("a.csv", on_disk=True, kinds={"c0": "categorical"})
    np.save("a.npy", X)
    with pytest.raises(ValueError, match=r"`transpose` needs all of a.npy at once"):
        load("a.npy", on_disk=True, transpose=True)
    Path("b.csv").write_text("c0,c1\n" + "1,red\n2,blue\n" * 30)
    with pytest.raises(ValueError, match=r"b.csv is a table of mixed columns.*`on_disk=False`"):
        load("b.csv", on_disk=True)


def test_folders_and_lists_of_other_things(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=r"is a folder; pass a file of these formats, or a"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file 'word', which is one of 2"):
        load(["word", "other"])
    with pytest.raises(ValueError, match=r"digits is a named set.*leave out `on_disk`"):
        load("digits", on_disk=True)
    assert len(load("digits", on_disk=False)) == len(datasets.load("digits"))
