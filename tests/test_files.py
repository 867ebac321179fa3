"""Files are written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harmonium.files import whole_file, write_json, write_whole


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"first", b"second, longer"):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_what_was_there_and_nothing_else(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    with pytest.raises(KeyboardInterrupt), whole_file(path) as file:
        file.write(b"half of it")
        # the half is nowhere that a reader would look
        assert old is None or path.read_bytes() == old
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere does not exist"):
        write_whole(tmp_path / "nowhere/file", b"")


def test_json_is_read_back_and_holds_numbers_alone(tmp_path: Path) -> None:
    path, content = tmp_path / "file.json", {"rows": [1, 2.5, None], "name": "Größe"}
    write_json(path, content)
    assert json.loads(path.read_text(encoding="utf-8")) == content
    assert path.read_bytes().startswith(b'{\n  "rows"') and path.read_bytes().endswith(b"}\n")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write_json(path, {"rows": bad})
    assert json.loads(path.read_text(encoding="utf-8")) == content
