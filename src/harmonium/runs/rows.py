"""Rows of files: the options that say how to read them, and how a run reads new rows.

This module turns options into a `datasets.Reading`. Nothing heavy is imported before rows are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harmonium import defaults

if TYPE_CHECKING:
    from harmonium.datasets import Data, Progress, Reading, TableEncoding


def _option(help_text: str, shown: str, **details: Any) -> Any:
    return field(
        default=None,
        metadata={"help": help_text, "rich_help_panel": "Data", "show_default": shown, **details},
    )


@dataclass(frozen=True)
class ReadingOptions:
    """How a file of rows is read; for new rows of a run, the differences from its options."""

    label: str | None = _option(
        "Column of the labels, by name or by number from 0 (-1 is the last).",
        "a column named label or labels",
        lists_columns=True,
    )
    target: str | None = _option(
        "Columns of the targets, such as price,size or -1.",
        "columns named target or target_...",
        lists_columns=True,
    )
    drop: str | None = _option(
        "Columns to leave out, such as id,date or 0,3.", "none", lists_columns=True
    )
    header: bool | None = _option(
        "Whether line 1 of a text file names the columns.",
        "decided from line 1; an error if unclear",
    )
    array: str | None = _option(
        "Name of the array with the rows, if the file holds several; in HDF5 its path, in a zip "
        "the name of a file.",
        "recognised by name",
    )
    transpose: bool | None = _option(
        "Whether the columns of an array are the rows, as in recordings of neurons × bins.", "no"
    )
    labels_file: str | None = _option(
        "File with the labels, such as train-labels-idx1-ubyte.",
        "a file with a matching name in the same folder",
    )
    sequences: str | None = _option(
        "Column of a table that holds aligned sequences, by name or by number from 0.", "none"
    )
    alphabet: str | None = _option(
        "Letters of an alignment: protein, rna, dna, or the letters themselves, such as ACGU-.",
        "guessed from the letters",
    )
    insertions: Literal["drop", "refuse"] | None = _option(
        "Drop insertions of an alignment (lower case and dots), or refuse them.", "drop"
    )
    unknown: Literal["gap", "drop", "refuse"] | None = _option(
        "Read unknown letters of an alignment (X, B, N, ...) as gaps, drop their sequences, or "
        "refuse them.",
        "gap",
    )
    max_gaps_row: float | None = _option(
        "Leave out sequences of an alignment with a larger share of gaps.", "none is left out"
    )
    max_gaps_column: float | None = _option(
        "Leave out sites of an alignment with a larger share of gaps, after `max_gaps_row`.",
        "none is left out",
    )
    missing_values: str | None = _option(
        "Further spellings of missing values, such as -1,999.",
        "empty cells, NaN, None, ? and NA",
        lists_columns=True,
    )
    unseen: Literal["other", "missing", "error"] | None = _option(
        "What a category counts as that did not occur in training: as `other` where the column has "
        "pooled rare ones, as missing, or as an error.",
        "other; an error where a column has none",
    )


@dataclass(frozen=True)
class RowsOptions(ReadingOptions):
    """How all files of a training run are read."""

    columns: str | None = _option(
        "Units of columns of a table, such as age=gaussian: binary, categorical, ordinal (numbers "
        "of few values), binned (numbers in bins of equal probability), gaussian, binomial or "
        "poisson. Each column then gets units of its own.",
        "by what each column of a table of words holds",
        lists_columns=True,
        flag="column",
    )
    on_disk: bool | None = _option(
        "Leave rows of files on disk and read them as they are used, or read them into memory.",
        "on disk if they take more than a quarter of the free memory",
    )
    validation_data: str | None = _option(
        "File with validation rows, which are monitored and not trained on.",
        "a fraction of DATA, or its validation rows",
    )
    test_data: str | None = _option(
        "File with test rows for the finished model.", "the test rows of DATA, if it has any"
    )


@dataclass(frozen=True)
class WeightingOptions:
    """How much each row counts."""

    weights: str | None = _option(
        "How much rows count: `similarity`, each by 1 / (the number of sequences that are alike, "
        "itself included); a file of one number a row; or `none`.",
        "similarity for alignments, none for other data",
    )
    identity: float | None = _option(
        "Least share of equal letters of sequences that are alike.", f"{defaults.IDENTITY}"
    )

    def refuse_identity(self) -> None:
        """Reject a share out of range, and one for weights that do not depend on it."""
        if self.identity is None:
            return
        if not 0 < self.identity <= 1:
            raise ValueError(f"`identity` is {self.identity}; pass a share above 0, up to 1")
        if self.weights not in (None, SIMILARITY):
            raise ValueError(
                f"`identity` is for `weights='similarity'`, and `weights` is {self.weights}; leave "
                "one of them out"
            )

    @property
    def weights_file(self) -> str | None:
        """The file in ``weights``, if it names one."""
        return None if self.weights in (SIMILARITY, NO_WEIGHTS) else self.weights


SIMILARITY, NO_WEIGHTS = "similarity", "none"
"""What ``weights`` can be beside a file."""

OF_WEIGHTS = tuple(option.name for option in fields(WeightingOptions))
"""The options of weights."""

OF_READING = tuple(option.name for option in fields(ReadingOptions))
"""The options of one file."""

OF_ROWS = tuple(option.name for option in fields(RowsOptions))
"""The options of all files of a training run."""


KEPT_SUFFIX = ".safetensors"
"""File suffix of rows that were passed in memory and that the run stores itself."""

FILES = ("labels_file", "validation_data", "test_data")
"""The options that are paths. So is ``weights``, unless it is a word."""


def reading_of(options: Any) -> Reading:
    """How to read a file, according to a table that has these options."""
    from harmonium.datasets.reading import Reading, columns_of

    one = {name: columns_of(getattr(options, name)) for name in ("label", "sequences")}
    for name, columns in one.items():
        if len(columns) > 1:
            raise ValueError(f"`{name}` is {getattr(options, name)!r}; pass one column")
    lists: dict[str, Any] = {
        name: columns_of(getattr(options, name)) for name in ("target", "drop", "missing_values")
    }
    given = {name: getattr(options, name) for name in OF_READING}
    given |= {name: columns[0] if columns else None for name, columns in one.items()}
    lists["kinds"] = kinds_of(getattr(options, "columns", None))
    lists["on_disk"] = getattr(options, "on_disk", None)
    return Reading.of(**{**given, **lists}, weights=getattr(options, "weights_file", None))


def kinds_of(said: str | Mapping[Any, str] | None) -> dict[Any, str]:
    """The kinds of columns in ``columns``, by name.

    Raises
    ------
    ValueError
        For text that is not ``COLUMN=KIND``, or names a column twice.
    """
    from harmonium.datasets.reading import columns_of

    if said is not None and not isinstance(said, str):
        return dict(said)
    kinds: dict[Any, str] = {}
    for one in columns_of(said):
        column, equals, kind = str(one).rpartition("=")
        if not (column and equals):
            raise ValueError(
                f"`columns` names {one!r}; pass the column and its kind, such as "
                "`columns={'age': 'gaussian'}`"
            )
        if kinds.setdefault(column, kind) != kind:
            raise ValueError(
                f"`columns` says two kinds of column {column!r}: {kinds[column]} and {kind}; pass "
                "one of them"
            )
    return kinds


def refuse_columns(columns: Mapping[str, Any]) -> None:
    """Reject names of columns for `Data`."""
    if columns:
        raise TypeError(
            f"`{next(iter(columns))}` names a column of a table, and Data have their labels and "
            "targets beside their values; leave it out"
        )


def read_new(
    source: Any,
    run_options: Any,
    data_config: Mapping[str, Any],
    n_columns: int,
    said: ReadingOptions | None,
    progress: Progress,
    weights: str | None = None,
    lacks_columns: bool = False,
) -> Data:
    """Read new rows for a run: as its own rows were read, unless the user says otherwise.

    Parameters
    ----------
    source
        A named set, a file, or rows in memory: an array, a data frame, or `Data`.
    run_options
        The options with which the run was started.
    data_config
        What the run has stored about its data.
    n_columns
        Columns of values that the model expects.
    said
        What the user says about this file.
    progress
        As for `datasets.load`.
    weights
        A file of the weights of these rows.
    lacks_columns
        Whether a mixed table may lack columns, which are then missing in all rows.
    """
    import dataclasses

    from harmonium import datasets

    if isinstance(source, datasets.Data):
        columns = ("label", "target", "drop") if said is not None else ()
        refuse_columns({name: 0 for name in columns if getattr(said, name) is not None})
    reading = reading_of(run_options)
    # another file may have the same column under another number
    named = {role: tuple(names) for role, names in data_config.get("named", {}).items()}
    reading = dataclasses.replace(
        reading,
        label=named.get("label", (reading.label,))[0],
        target=named.get("target", reading.target),
        drop=named.get("drop", reading.drop),
        # which are about other rows
        on_disk=None,
        labels_file=None,
        weights=None if weights is None else Path(weights).expanduser(),
        max_gaps_row=None,
        max_gaps_column=None,
        alphabet=data_config["encoding"].get("letters", reading.alphabet),
        table=table_of(data_config["encoding"]),
        lacks_columns=lacks_columns,
        kinds=(),
    )
    if said is not None:
        own = reading_of(said)
        given = {name: getattr(own, name) for name in OF_READING if getattr(said, name) is not None}
        reading = dataclasses.replace(reading, **given)
    names, classes = data_config.get("columns"), data_config.get("classes")
    reading = dataclasses.replace(
        reading,
        n_columns=len(names) if names else n_columns,
        classes=tuple(classes) if classes else None,
    )
    return datasets.read(source, reading, progress=progress)


def table_of(encoding: Mapping[str, Any]) -> TableEncoding | None:
    """The columns of a mixed table, of which a run keeps this description; None for other rows."""
    from harmonium.datasets import Encoding, TableEncoding

    if encoding.get("kind") != TableEncoding.__name__:
        return None
    table = Encoding.from_config(dict(encoding))
    assert isinstance(table, TableEncoding)
    return table


def read_parts(options: Any, progress: Progress) -> Data:
    """All rows of a training run: of its file or named set, and of files for validation and test.

    Raises
    ------
    OSError, ValueError
        If a file cannot be found or read, or the files do not fit together.
    """
    import dataclasses

    from harmonium import datasets

    reading = reading_of(options)
    if Path(options.data).suffix == KEPT_SUFFIX:  # rows that a run has kept itself
        from harmonium.runs import kept

        kept.refuse_options_of_files(reading)
        data = kept.load(Path(options.data))
        if reading.weights is not None:
            data = datasets.weighed_by_file(data, reading.weights)
    else:
        data = datasets.read(unlisted(options.data), reading, progress=progress)
    files = {"validation": options.validation_data, "test": options.test_data}
    named = {part: path for part, path in files.items() if path is not None}
    if not named:
        return dataclasses.replace(data, notes=(*data.notes, *_beside(options.data)))
    own = dict(data.parts)
    parts = {part: data.part(part) for part in own} if own else {"train": data}
    for part, path in named.items():
        if part in parts:
            raise ValueError(
                f"`{part}_data` is {path}, but {data.name} has {part} rows of its own; leave it out"
            )
        parts[part] = datasets.read(path, reading.of_another_part(data), progress=progress)
    joined = datasets.join_parts(parts)
    notes = []
    for part, path in named.items():
        labels = parts[part].labels
        n = 0 if labels is None else int((~datasets.has_label(labels)).sum())
        notes.append(f"{part} rows: {path}" + (f", {n:,} of them without a label" if n else ""))
    return dataclasses.replace(joined, name=data.name, notes=(*data.notes, *notes))


_PARTS = {"validation": ("valid", "validation", "val", "dev"), "test": ("test",)}


def _beside(source: str) -> list[str]:
    """A note on files of validation or test rows in the same folder as the training rows."""
    path = Path(source).expanduser()
    if is_listed(source) or "train" not in path.name or not path.is_file():
        return []
    offers = []
    for part, words in _PARTS.items():
        others = (path.with_name(path.name.replace("train", word)) for word in words)
        if other := next((other for other in others if other.is_file()), None):
            offers.append(f"`{part}_data={str(other)!r}`")
    return [f"other parts lie beside it: {' '.join(offers)} takes them"] if offers else []


def listed(paths: Sequence[str | Path]) -> str:
    """A list of paths as one text, with which a run is configured."""
    return json.dumps([str(Path(path).expanduser().absolute()) for path in paths])


def unlisted(data: str) -> str | list[str]:
    """The list of paths in a text that `listed` made, or the text itself."""
    return [*json.loads(data)] if is_listed(data) else data


def is_listed(data: str) -> bool:
    """Whether a text was made by `listed`."""
    return data.startswith('["')


def names_files(data: str) -> bool:
    """Whether a source is a file or several, and no run."""
    from harmonium.datasets import sources
    from harmonium.datasets.reading import Reading

    if is_listed(data):
        return True
    found = sources.find(data, Reading())
    return found is not None and not any(map(sources.is_plain_folder, found[0].paths))


def from_anywhere(path: str | None) -> str | None:
    """The absolute path, which works from any folder."""
    if path is None or is_listed(path):
        return path
    return str(Path(path).expanduser().absolute())
