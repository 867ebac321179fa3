"""Writing files whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

Content = bytes | list[bytes | memoryview]
"""What a file holds, or the pieces of that in order."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary neighbour of ``path`` that takes its place once the block has ended well.

    A crash, or an error such as no space on the disk, leaves the old file, or none.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    OSError
        As the file system says it; nothing is left behind.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"the folder {path.parent} does not exist, so {path.name} cannot be written"
        )
    # the same folder, hence the same file system: only there is the replacement atomic
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: Content) -> None:
    """Write content, or its pieces, whole or not at all; the errors are those of `whole_file`."""
    with whole_file(path) as file:
        file.writelines([content] if isinstance(content, bytes) else content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an object as JSON that people can read, whole or not at all.

    Raises
    ------
    ValueError
        If a number is infinite or NaN, for which JSON has no word; and see `whole_file`.
    """
    text = json.dumps(content, indent=2, allow_nan=False)
    write_whole(path, (text + "\n").encode())
