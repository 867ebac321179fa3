"""The .hapt text of artificial genomes: read, gzipped, in a zip, and written."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from harmonium.datasets import load
from harmonium.datasets.haplotypes import write_hapt

TEXT = "Real HG1_A 1 0 1\nReal HG1_B 0 0 1\n"
SITES = [[1, 0, 1], [0, 0, 1]]


def hapt(folder: Path, text: str, name: str = "a.hapt") -> Path:
    content = text.encode()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder / name


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, text in members.items():
            packed.writestr(name, text)
    return path


@pytest.mark.parametrize("name", ["a.hapt", "a.HAPT", "a.hapt.gz"])
def test_haplotypes_and_the_names_of_their_rows(tmp_path: Path, name: str) -> None:
    data = load(hapt(tmp_path, TEXT, name))
    assert data.values.tolist() == SITES
    assert list(data.row_names) == ["HG1_A", "HG1_B"]
    assert data.notes == ("haplotypes: row names are in the second column",)
    assert data.labels is None


@pytest.mark.parametrize("gap", ["\t", "  ", " \t "])
def test_any_gaps_and_blank_lines(tmp_path: Path, gap: str) -> None:
    text = "\n" + TEXT.replace(" ", gap).replace("\n", " \r\n\n")
    assert load(hapt(tmp_path, text)).values.tolist() == SITES


def test_several_populations_are_labels(tmp_path: Path) -> None:
    text = TEXT + "AG AG0 1 1 1\n"
    data = load(hapt(tmp_path, text))
    assert data.classes == ("AG", "Real")
    assert data.labels.tolist() == [1, 1, 0]
    assert data.notes[1] == "labels: the first column"
    families = "f1 a 1\nf2 b 0\n"  # which name single rows
    assert load(hapt(tmp_path, families)).labels is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b 1 0\na c 1\n", "line 2 of a.hapt has 1 sites, but line 1 has 2; a line holds two"),
        ("a b 1 0\na c 1 0 1\n", "line 2 of a.hapt has 3 sites, but line 1 has 2"),
        ("\na b\n", "line 2 of a.hapt has 0 sites; a line holds two names"),
        ("\n\n", "a.hapt is empty: it holds no line"),
        (
            "a b 1 -9 0\na c 2 . 0\na d 1 1 10\n",
            r"a.hapt holds 4 cells that are neither 0 nor 1; the first: line 1, site 1: '-9'; "
            r"line 2, site 0: '2'; line 2, site 1: '\.' \(sites counted from 0\); impute them",
        ),
        ("a b 1     1\na c 1 0 ? 1", "line 2 of a.hapt has 4 sites, but line 1 has 2"),
        ("a b x", "a.hapt holds 1 cell that is neither 0 nor 1; the first: line 1, site 0: 'x'"),
    ],
)
def test_haplotypes_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load(hapt(tmp_path, text))


def test_a_zip_with_the_copies_that_macos_adds(tmp_path: Path) -> None:
    members = {"folder/": "", "folder/a.hapt": TEXT, "__MACOSX/folder/._a.hapt": "\0\5\x16\7"}
    data = load(zipped(tmp_path / "a.hapt.zip", **members))
    assert data.values.tolist() == SITES
    assert data.name == "a.hapt.zip"


def test_one_of_several_in_a_zip_is_named(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.hapt": TEXT, "b.hapt": "AG AG0 1 1\n", "c.md": ""})
    with pytest.raises(ValueError, match=r"a.zip holds a.hapt, b.hapt, c.md; say which .* `array`"):
        load(path)
    assert load(path, array="b.hapt").values.tolist() == [[1, 1]]
    with pytest.raises(ValueError, match=r"a.zip has no member 'd.hapt'; it holds a.hapt, b.hapt"):
        load(path, array="d.hapt")
    with pytest.raises(ValueError, match=r"line 1 of b.hapt of b.zip has 0 sites"):
        load(zipped(tmp_path / "b.zip", **{"b.hapt": "a b"}))


def test_a_zip_that_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.csv": "1,2\n"})
    with pytest.raises(ValueError, match=r"a.zip holds no .hapt, but a.csv; unpack it, and pass"):
        load(path)
    whole = zipped(tmp_path / "a.hapt.zip", **{"a.hapt": TEXT * 99}).read_bytes()
    path.write_bytes(whole[:-40])
    with pytest.raises(ValueError, match=r"a.zip is damaged, or not what its name says: "):
        load(path)
    path.write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    with pytest.raises(ValueError, match=r"a.zip is damaged, or not what its name says: "):
        load(path)
    at = whole.index(b"PK\1\2") + 8  # flags in the central directory: encrypted
    path.write_bytes(whole[:at] + b"\1" + whole[at + 1 :])
    with pytest.raises(ValueError, match=r"a.zip cannot be unpacked: .*encrypted"):
        load(path)


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 1)))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("hapt") / "a.hapt"
    names = [f"AG{row}" for row in range(len(rows))]
    with path.open("wb") as file:
        write_hapt(file, rows.astype(np.float32), names, "AG")
    data = load(path)
    assert data.values.tolist() == rows.tolist()
    assert list(data.row_names) == names


def test_a_line_is_written_as_the_tools_of_the_field_write_it() -> None:
    file = io.BytesIO()
    write_hapt(file, np.array([[0, 1, 1], [1, 0, 0]]), ["AG0", "AG1"], "AG")
    assert file.getvalue() == b"AG AG0 0 1 1\nAG AG1 1 0 0\n"
    with pytest.raises(ValueError, match=r"a .hapt holds zeros and ones, and these rows hold 0.5"):
        write_hapt(file, np.array([[0, 0.5]]), ["AG0"], "AG")
