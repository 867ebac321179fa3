"""Recipes: known training procedures as files of options for the ordinary commands.

A recipe is a TOML file. Each table is one command, such as ``[train]`` or ``[dbn.finetune]``; they
run in the order of the file. ``[[published]]`` gives the numbers that the original authors
published, and where a run has the same number. Nothing heavy is imported here.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

_FOLDER = Path(__file__).parent
_HEAD = {
    "title": str,
    "source": str,
    "minutes": (int, float),
    "takes_minutes": (int, float),
}
_PUBLISHED = {
    "what": str,
    "value": (int, float, list),
    "file": str,
    "key": str,
    "scale": (int, float),
    "digits": int,
}
_REQUIRED = ("what", "value", "file", "key")


@dataclass(frozen=True)
class Step:
    """One command with its options.

    Attributes
    ----------
    command
        Such as ``("dbn", "train")``.
    options
        Named as on the command line, without dashes: ``{"learning-rate": 0.1}``.
    line, lines
        Line numbers of its table and of each option in the file.
    """

    command: tuple[str, ...]
    options: Mapping[str, Any]
    line: int
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def table(self) -> str:
        """Its name in the file."""
        return ".".join(self.command)


@dataclass(frozen=True)
class Published:
    """A published number, and where a run has its own.

    Attributes
    ----------
    what
        Description, with its unit.
    values
        One value, or one per epoch.
    file
        File in the run's directory: a ``.json`` object, or ``.jsonl`` rows.
    key
        Key of the number in that file.
    scale
        Factor for the run's number, such as 100 for per cent.
    digits
        Decimals to show.
    """

    what: str
    values: tuple[float, ...]
    file: str
    key: str
    scale: float = 1.0
    digits: int = 2


@dataclass(frozen=True)
class Recipe:
    """A known training procedure.

    Attributes
    ----------
    path
        Of the file.
    title
        What it shows.
    source
        Its source; empty if not stated.
    minutes
        Minutes it took there; None if not stated.
    takes_minutes
        Approximate minutes here, on one core of a 2023 server; None if not stated.
    steps
        The commands, in order.
    published
        The published numbers.
    """

    path: Path
    title: str
    source: str
    minutes: float | None
    takes_minutes: float | None
    steps: tuple[Step, ...]
    published: tuple[Published, ...]

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.stem


def names() -> list[str]:
    """The recipes included in harmonium."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def named(name: str) -> Recipe:
    """One of `names`.

    Raises
    ------
    ValueError
        If there is none with that name; suggests the nearest one.
    """
    known = names()
    if name not in known:
        raise ValueError(
            f"there is no recipe {name!r}; {_meant(name, known)} (a file of your own: "
            "`harmonium.recipes.load('FILE')`)"
        )
    return load(_FOLDER / f"{name}.toml")


def load(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not TOML, has an unknown key (with its line), or has no command.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is no file; one to begin with: `harmonium.recipes.named('NAME')`"
        )
    text = path.read_text(encoding="utf-8")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    published = _published(path, text, content.pop("published", []))
    head = {name: content.pop(name) for name in _HEAD if name in content}
    for name, value in head.items():
        _check_type(path, line_of(text, "", name), name, value, _HEAD[name])
    steps = tuple(_steps(path, text, content))
    if not steps:
        raise ValueError(f"{path} has no command; it needs a table such as [train]")
    return Recipe(
        path=path,
        title=head.get("title", path.stem),
        source=head.get("source", ""),
        minutes=head.get("minutes"),
        takes_minutes=head.get("takes_minutes"),
        steps=steps,
        published=published,
    )


def _steps(
    path: Path, text: str, tables: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[Step]:
    """The tables with options, in the order of the file."""
    for name, table in tables.items():
        command = (*above, name)
        if not isinstance(table, dict):
            refuse_key(path, line_of(text, ".".join(above), name), name, [*_HEAD, "published"])
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        options = {key: value for key, value in table.items() if key not in inner}
        if options or not inner:
            label = ".".join(command)
            lines = {key: line_of(text, label, key) for key in options}
            yield Step(command, options, line_of(text, label), lines)
        yield from _steps(path, text, inner, command)


def _published(path: Path, text: str, tables: Any) -> tuple[Published, ...]:
    if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
        raise ValueError(f"{path}: `published` is no table; write [[published]] above each figure")
    found = []
    for table in tables:
        for key, value in table.items():
            line = line_of(text, "published", key)
            if key not in _PUBLISHED:
                refuse_key(path, line, key, _PUBLISHED)
            _check_type(path, line, key, value, _PUBLISHED[key])
        missing = [key for key in _REQUIRED if key not in table]
        if missing:
            raise ValueError(
                f"{path}: {table.get('what', 'a table [[published]]')} has no "
                f"{' and no '.join(missing)}"
            )
        own = dict(table)
        value = own.pop("value")
        values = tuple(value) if isinstance(value, list) else (value,)
        found.append(Published(values=values, **own))
    return tuple(found)


def refuse_key(path: Path, line: int, key: str, known: Iterable[str]) -> NoReturn:
    """Report the line of an unknown key, and suggest a similar one."""
    raise ValueError(f"{path}, line {line}: there is no key {key!r}; {_meant(key, list(known))}")


def _meant(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _check_type(path: Path, line: int, key: str, value: Any, kinds: Any) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        wanted = "a text in quotes" if kinds is str else "a number"
        raise ValueError(f"{path}, line {line}: {key} is {value!r}; write {wanted}")


def line_of(text: str, table: str, key: str | None = None) -> int:
    """The line, counted from 1, of a key in a TOML table, or of the table's header; else 0."""
    here = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[+\s*([^\[\]]+?)\s*\]", line)
        if header:
            here = ".".join(part.strip().strip("\"'") for part in header[1].split("."))
            if here == table and key is None:
                return number
        elif (
            here == table
            and key is not None
            and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line)
        ):
            return number
    return 0


@dataclass(frozen=True)
class Compared:
    """A published number and that of a run.

    Attributes
    ----------
    what
        Description, with its unit.
    published, ours
        Both numbers; ``ours`` is None if the run has no such number.
    digits
        Decimals to show.
    """

    what: str
    published: float
    ours: float | None
    digits: int


def compare(recipe: Recipe, run: Path) -> list[Compared]:
    """Compare the published numbers with those of a run."""
    rows = []
    for published in recipe.published:
        found = _found(run / published.file, published.key)
        for number, value in enumerate(published.values):
            several = len(published.values) > 1
            ours = found[number] if number < len(found) else None
            rows.append(
                Compared(
                    what=f"{published.what}, epoch {number + 1}" if several else published.what,
                    published=value,
                    ours=None if ours is None else ours * published.scale,
                    digits=published.digits,
                )
            )
    return rows


def _found(file: Path, key: str) -> list[float]:
    """The numbers with this key in a file; one per row for rows."""
    if not file.is_file():
        return []
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".json":
        content = json.loads(text)
        return [float(content[key])] if key in content else []
    rows = (json.loads(line) for line in text.splitlines())
    return [float(row[key]) for row in rows if key in row]
