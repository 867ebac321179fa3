"""Which files a source names: one, several by a pattern or a list, an array inside a file.

This module finds files, and compares what their headers say. It reads no rows.
"""

from __future__ import annotations

import dataclasses
import glob
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonium.arguments import described
from harmonium.datasets import mapped
from harmonium.datasets.reading import Reading

_INSIDE = (".h5", ".hdf5", ".h5ad", ".zarr", ".npz", ".mat")  # which hold several arrays
_WILD = re.compile(r"[*?\[]")
_UNPACKED = 4  # times as large as a gzipped text


@dataclass(frozen=True)
class Files:
    """The files of a data set, in the order of their rows.

    Parameters
    ----------
    name
        What the data are called.
    paths
        One or more files, or folders of Zarr.
    """

    name: str
    paths: tuple[Path, ...]

    @property
    def key(self) -> list[Any]:
        """What changes when a file does."""
        return [[str(path.resolve()), size_of(path), _changed(path)] for path in self.paths]

    def refuse_differences(self) -> None:
        """Refuse files that cannot be parts of one data set, by their headers.

        Raises
        ------
        ValueError
            If a file has another type or number of columns than the first one, or is cut off.
        """
        first, *others = self.paths
        wanted = said_of(first) if others else None
        for path in others:
            found = said_of(path)
            if found != wanted:
                raise ValueError(
                    f"{path.name} holds {found or 'rows of another format'}, but {first.name} "
                    f"{wanted or 'rows of another format'}; pass files of the same columns and type"
                )


def find(source: Any, reading: Reading) -> tuple[Files, Reading] | None:
    """The files that a source names, and how they are read; None if it names nothing.

    Parameters
    ----------
    source
        A path; a pattern such as ``part-*.parquet``; a list of paths; or
        ``file.h5:/path/inside``.
    reading
        As the user says.

    Raises
    ------
    FileNotFoundError
        If no file matches a pattern, or a file of a list is missing.
    TypeError, ValueError
        For lists of other things, and two names of one array.
    """
    if not isinstance(source, str | Path):
        return _of_list(source), reading
    text, path = str(source), Path(source).expanduser()
    if path.exists():
        return Files(path.name, (path,)), reading
    outer, colon, inside = text.rpartition(":")
    file = Path(outer).expanduser()
    if colon and inside and file.suffix in _INSIDE and file.exists():
        if reading.array not in (None, inside):
            raise ValueError(
                f"`array` is {reading.array}, and {text} names {inside}; leave one of them out"
            )
        return Files(file.name, (file,)), dataclasses.replace(reading, array=inside)
    if not _WILD.search(text):
        return None
    found = sorted(glob.glob(str(path), recursive=True), key=_as_people_count)
    if "**" in text:
        found = [one for one in found if not _is_of_a_run(Path(one))] or found
    if not found:
        raise FileNotFoundError(
            f"no file matches {text!r}; {path.parent} "
            + (f"has {_few(path.parent)}" if path.parent.is_dir() else "is no folder")
        )
    return Files(path.name, tuple(map(Path, found))), reading


def _is_of_a_run(path: Path) -> bool:
    """Whether a file lies in the directory of a run, which writes tables of its own."""
    return any((folder / "metrics.jsonl").is_file() for folder in path.parents)


def is_list(source: Any) -> bool:
    """Whether a source is a list of paths, rather than of numbers."""
    return (
        isinstance(source, list | tuple)
        and bool(source)
        and all(isinstance(one, str | Path) for one in source)
    )


def _of_list(paths: Sequence[Any]) -> Files:
    if not is_list(paths):
        raise TypeError(f"the data are {described(paths)}; pass an array, or a list of paths")
    found = tuple(Path(path).expanduser() for path in paths)
    for path in found:
        if not path.exists():
            raise FileNotFoundError(
                f"there is no file {str(path)!r}, which is one of {len(found)} that were named"
            )
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Files(f"{found[0].name}{more}", found)


def _as_people_count(path: str) -> list[Any]:
    """A key by which part-2 comes before part-10."""
    pieces = re.split(r"(\d+)", path)
    return [int(piece) if piece.isdecimal() else piece for piece in pieces]


def _few(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "") if names else "no files"


def is_zarr(path: Path) -> bool:
    """Whether a folder is an array or a group of Zarr."""
    return any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))


def is_plain_folder(path: Path) -> bool:
    """Whether a path is a folder that holds no rows by itself."""
    return path.is_dir() and not is_zarr(path)


def size_of(path: Path) -> int:
    """Bytes of a file, or of a folder of Zarr."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size


def bytes_in_memory(path: Path) -> int:
    """About how much memory the rows of a file take."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        with suppress(pa.ArrowException, OSError):  # which its reader says
            about = pyarrow.parquet.read_metadata(path)
            return 4 * int(about.num_rows) * int(about.num_columns)
    return size_of(path) * (_UNPACKED if path.suffix == ".gz" else 1)


def _changed(path: Path) -> list[int]:
    """When the content last changed, and when anything else did, such as the file of this name."""
    files = (path, *path.rglob("*")) if path.is_dir() else (path,)
    times = [(stat.st_mtime_ns, stat.st_ctime_ns) for stat in (file.stat() for file in files)]
    return [max(each) for each in zip(*times, strict=True)]


def said_of(path: Path) -> str | None:
    """Type and columns of the rows of a file, if its header says so.

    Raises
    ------
    ValueError
        If the file is cut off, or damaged.
    """
    if path.suffix == ".npy":
        array = mapped.map_array(path)
        if array.ndim < 2:
            return f"{array.dtype} in {array.ndim} dimensions"
        return f"{array.dtype} of {' × '.join(map(str, array.shape[1:]))} columns"
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        try:
            schema = pyarrow.parquet.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{path.name} is damaged, or no Parquet file: {error}") from None
        kinds = sorted({str(kind) for kind in schema.types})
        return f"{', '.join(kinds)} in {len(schema)} columns"
    return None
