"""Damage small valid files of every format at random, and load them: what can happen is known.

A reader may read a damaged file, if the shape is what an independent reader finds, or refuse it by
one of the documented exceptions. Whatever else happens is a fault: another exception, a crash, more
than the time limit, another shape. Each file is a function of its format and its seed, so that no
file has to be kept: ``--only csv:1234`` makes one again, and says what becomes of it.

    python benchmarks/fuzz_readers.py --files 100000
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import multiprocessing.connection
import os
import pickle
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np

from harmonium import datasets

FORMATS = ("csv", "tsv", "txt", "npy", "npz", "idx", "mat", "parquet", "pkl", "hapt", "zip")
ALLOWED = (OSError, ValueError, TypeError, ImportError)
SECONDS = 10  # of the processor: a busy machine makes no reader slow
MOST_SECONDS = 300  # by the clock, for a reader that waits
MEMORY = 16 << 30
CHUNK = 1000

TOKENS = {
    "text": [
        *(b",", b";", b"\t", b" ", b"\n", b"\r\n", b"\r", b'"', b"'", b"#", b"?", b"NA", b"nan"),
        *(
            b"inf",
            b"1e999",
            b"-",
            b".",
            b"0x1",
            b"1,5",
            b"True",
            b"label",
            b"target",
            b"Unnamed: 0",
        ),
        *(b"\0", b"\xff", b"\xef\xbb\xbf", "é".encode(), b"setosa", b"0", b"1", b"255", b"256"),
    ],
    "binary": [bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80", bytes(1), b"PK\x03\x04", b"{}"],
}


def sound(kind: str, rng: np.random.Generator) -> bytes:
    """A small valid file."""
    n, width = int(rng.integers(1, 12)), int(rng.integers(1, 6))
    values = [
        rng.integers(0, 2, (n, width)),
        rng.integers(0, 300, (n, width)),
        rng.normal(size=(n, width)).round(3),
        rng.integers(0, 256, (n, width)).astype(np.uint8),
    ][rng.integers(4)]
    labels = rng.integers(0, 3, n)
    stream = io.BytesIO()
    match kind:
        case "csv" | "tsv" | "txt":
            separators = {"csv": ",;|", "tsv": "\t", "txt": " \t,"}[kind]
            return _text(values, labels, separators[rng.integers(len(separators))], rng)
        case "hapt" | "zip":
            sites = rng.integers(0, 2, (n, width)).astype(str).tolist()
            text = "".join(
                f"{'Real' if label else 'AG'} s{row} {' '.join(cells)}\n"
                for row, (label, cells) in enumerate(zip(labels, sites, strict=True))
            )
            if kind == "hapt":
                return text.encode()
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as packed:
                packed.writestr("a.hapt", text)
        case "npy":
            np.save(stream, np.asfortranarray(values) if rng.integers(2) else values)
        case "npz":
            names = [("x", "y"), ("arr_0", "arr_1"), ("x_train", "y_train")][rng.integers(3)]
            np.savez(stream, **dict(zip(names, (values, labels), strict=True)))
        case "idx":
            pixels = values.astype(np.uint8)
            stream.write(struct.pack(">HBBII", 0, 8, 2, *pixels.shape) + pixels.tobytes())
        case "mat":
            import scipy.io

            content = {"data": values, "labels": labels, "about": "words"}
            scipy.io.savemat(stream, content, do_compression=bool(rng.integers(2)))
        case "parquet":
            import pyarrow as pa
            import pyarrow.parquet

            columns = {f"c{k}": column for k, column in enumerate(values.T)}
            columns["label"] = labels if rng.integers(2) else np.array(["a", "b", "c"])[labels]
            pyarrow.parquet.write_table(pa.table(columns), stream)
        case "pkl":
            pictures = rng.integers(0, 256, (3 * n, 784)).astype(np.float32) / 256
            classes = rng.integers(0, 10, 3 * n)
            parts = [(pictures[k::3], classes[k::3]) for k in range(3)]
            pickle.dump(tuple(parts), stream, protocol=int(rng.integers(2, 5)))
    return stream.getvalue()


def _text(
    values: np.ndarray, labels: np.ndarray, separator: str, rng: np.random.Generator
) -> bytes:
    rows = [[f"{cell:g}" for cell in row] for row in values.tolist()]
    if rng.integers(2):
        words = np.array(["setosa", "versicolor", "virginica"])
        rows = [[*row, str(word)] for row, word in zip(rows, words[labels], strict=True)]
        header = [*(f"c{k}" for k in range(values.shape[1])), "class"]
    else:
        header = [str(k) for k in range(values.shape[1])]
    if rng.integers(2):
        rows.insert(0, header)
    newline = ["\n", "\r\n"][rng.integers(2)]
    return newline.join(map(separator.join, rows)).encode() + newline.encode()


def damaged(content: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """The file after one to four changes at random places."""
    if kind in ("npz", "zip") and rng.integers(2):
        return _damaged_members(content, rng)
    if kind == "pkl" and rng.integers(4) == 0:
        return gzip.compress(damaged(content, "", rng), 1)
    tokens = TOKENS["text" if kind in ("csv", "tsv", "txt", "hapt") else "binary"]
    changed = bytearray(content)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(len(changed) + 1))
        token = tokens[rng.integers(len(tokens))]
        match rng.integers(7):
            case 0 if at < len(changed):
                changed[at] = int(rng.integers(256))
            case 1:
                del changed[at : at + int(rng.integers(1, 9))]
            case 2:
                changed[at:at] = token
            case 3:
                changed[at : at + len(token)] = token
            case 4 if rng.integers(4) == 0:
                del changed[at:]
            case 5:
                end = at + int(rng.integers(1, 33))
                changed[at:at] = changed[at:end]
            case 6 if at < len(changed):
                changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _damaged_members(content: bytes, rng: np.random.Generator) -> bytes:
    """An archive in whose checksums the damage does not show."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(
                name, damaged(old.read(name), "", rng) if rng.integers(2) else old.read(name)
            )
    return stream.getvalue()


def expected(kind: str, path: Path, data: datasets.Data) -> bool:
    """Whether the shape is what an independent reader finds."""
    shape = (len(data), data.values.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        match kind:
            case "npy":
                found = np.load(path, allow_pickle=False).shape
                return shape == (found[0], int(np.prod(found[1:])))
            case "npz":
                with np.load(path, allow_pickle=False) as arrays:
                    shapes = [arrays[key].shape for key in arrays.files]
                return shape in [(s[0], int(np.prod(s[1:]))) for s in shapes if len(s) > 1]
            case "idx":
                content = path.read_bytes()
                sizes = struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])
                return shape == (sizes[0], int(np.prod(sizes[1:])))
            case "mat":
                import scipy.io

                found = [v for v in scipy.io.loadmat(path).values() if isinstance(v, np.ndarray)]
                return any(shape == (v.shape[0], int(np.prod(v.shape[1:]))) for v in found)
            case "parquet":
                import pyarrow.parquet

                table = pyarrow.parquet.read_table(path)
                n_others = (data.labels is not None) + (
                    0 if data.targets is None else data.targets.shape[1]
                )
                return shape == (table.num_rows, table.num_columns - n_others)
            case "csv" | "tsv" | "txt":
                return _rows_of_text(path, data)
            case "hapt" | "zip":
                text = path.read_bytes()
                if kind == "zip":
                    with zipfile.ZipFile(path) as packed:
                        text = packed.read("a.hapt")
                cells = np.loadtxt(io.BytesIO(text), str, comments=None, ndmin=2)
                n_rows, n_cells = cells.shape
                return shape == (n_rows, n_cells - 2)
    return data.values.shape[1] == 784 or data.image_shape is None


def _rows_of_text(path: Path, data: datasets.Data) -> bool:
    """Whether every line that is not blank is a row, the header, or said to be a comment."""
    text = path.read_bytes().decode("utf-8", errors="replace")
    n_lines = sum(
        bool(line.strip(" \t\r\n\f\v\ufeff")) for line in text.replace("\r", "\n").split("\n")
    )
    said = " ".join(data.notes)
    n_rows = n_lines - ("no header" not in said)
    return len(data) == n_rows or "words behind #" in said


def _agrees(kind: str, path: Path, data: datasets.Data) -> bool:
    """Whether the other reader agrees, refuses the file, or crashes: it gets its own process."""
    child = os.fork() if kind == "mat" else 0
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 1
    try:
        agrees = expected(kind, path, data)
    except Exception:
        agrees = True
    if kind == "mat":
        os._exit(0 if agrees else 1)
    return agrees


def try_one(kind: str, seed: int, folder: Path, limited: bool = True) -> str:
    """What becomes of a file: its outcome, which begins with FAULT for what may not be."""
    rng = np.random.default_rng([seed, FORMATS.index(kind)])
    path = folder / f"a.{kind}"
    content = damaged(sound(kind, rng), kind, rng)
    path.write_bytes(content)
    if kind == "idx":
        path = path.rename(folder / "a-idx-ubyte")
    signal.setitimer(signal.ITIMER_PROF, SECONDS if limited else 0)
    signal.alarm(MOST_SECONDS if limited else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            data = datasets.load(path)
        outcome = "read"
        if not np.isfinite(data.values.numpy()).all():
            outcome = "FAULT: NaN or infinity"
    except ALLOWED as error:
        outcome = f"refused by {type(error).__name__}"
        if isinstance(error, TimeoutError):
            outcome = f"FAULT: longer than {SECONDS} s"
    except Exception as error:
        outcome = f"FAULT: {type(error).__name__}: {str(error)[:80]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    if outcome == "read" and not _agrees(kind, path, data):
        outcome = f"FAULT: shape {tuple(data.values.shape)}"
    path.unlink()
    return outcome


def _chunk(kind: str, seeds: range, pipe: multiprocessing.connection.Connection) -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGPROF, late)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            pipe.send((seed, try_one(kind, seed, Path(folder))))
    pipe.send(None)


def run(kind: str, seeds: range) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Outcomes of many files, each chunk in a process of its own: a crash is an outcome."""
    outcomes: Counter[str] = Counter()
    faults = []
    start = seeds.start
    context = multiprocessing.get_context("fork")
    while start < seeds.stop:
        ours, theirs = context.Pipe(duplex=False)
        chunk = range(start, min(start + CHUNK, seeds.stop))
        process = context.Process(target=_chunk, args=(kind, chunk, theirs))
        process.start()
        theirs.close()
        done = chunk.start - 1
        with contextlib.suppress(EOFError):
            while (message := ours.recv()) is not None:
                done, outcome = message
                outcomes[outcome.split(":")[0]] += 1
                if outcome.startswith("FAULT"):
                    faults.append((done, outcome))
        process.join()
        start = chunk.stop
        if done + 1 < chunk.stop:
            faults.append((done + 1, f"FAULT: crash, exit code {process.exitcode}"))
            outcomes["FAULT"] += 1
            start = done + 2
    return outcomes, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000, help="files of each format")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", help="one file, such as csv:1234")
    parser.add_argument("--out", type=Path, help="a file for outcomes and seeds of faults, JSON")
    options = parser.parse_args()
    if options.only:
        kind, _, seed = options.only.partition(":")
        rng = np.random.default_rng([int(seed), FORMATS.index(kind)])
        print(damaged(sound(kind, rng), kind, rng))
        with tempfile.TemporaryDirectory() as folder:
            print(try_one(kind, int(seed), Path(folder)))
        return
    with tempfile.TemporaryDirectory() as folder:  # what is imported late is imported now
        for kind in FORMATS:
            try_one(kind, 0, Path(folder), limited=False)
    kept = {}
    for kind in options.formats.split(","):
        began = time.monotonic()
        seeds = range(options.first_seed, options.first_seed + options.files)
        outcomes, faults = run(kind, seeds)
        seconds = time.monotonic() - began
        said = ", ".join(f"{n:,} {outcome}" for outcome, n in outcomes.most_common())
        print(f"{kind:8s} {options.files:,} files in {seconds:.0f} s: {said}", flush=True)
        for seed, fault in faults[:20]:
            print(f"         {kind}:{seed} {fault}", flush=True)
        kept[kind] = {"first_seed": seeds.start, "files": len(seeds), "outcomes": outcomes}
        kept[kind] |= {"faults": faults}
        if options.out:
            options.out.write_text(json.dumps(kept, indent=2) + "\n")
    sys.exit(any(result["faults"] for result in kept.values()))


if __name__ == "__main__":
    main()
