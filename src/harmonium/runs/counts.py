"""Counts of words of a run: read by its options, split, and options that do not suit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from harmonium import datasets, defaults, kernels
from harmonium.datasets import Data
from harmonium.datasets.readers import sparse_entries
from harmonium.rng import Lane
from harmonium.run_directory import RunDirectory
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rows import KEPT_SUFFIX, OF_READING, ReadingOptions, reading_of
from harmonium.topics import Documents, load_documents

# What a topic model makes use of.
_USED = {
    *("data", "visible", "hidden", "weight_std", "held_out", "rows", "method", "sweeps"),
    *("final_sweeps", "learning_rate", "schedule", "optimizer", "momentum"),
    *("batch_size", "epochs", "l1", "l2", "average", "seed", "validation_data", "test_data"),
    *("label", "target", "drop", "header", "array", "transpose"),
    *("n_classes", "stratified"),
}


def refuse_options(options: TrainingOptions) -> None:
    """Reject options that a topic model of counts does not use.

    Raises
    ------
    ValueError
        Names the first, and says what works.
    """
    if options.method == "pcd":
        raise ValueError(
            "`method='pcd'` is not for `visible='counts'`: persistent chains ran away at large "
            "learning rates and were no better at small ones; leave it out, or take more `sweeps`"
        )
    for option in fields(options):
        value = getattr(options, option.name)
        if option.name not in _USED and value != option.default:
            raise ValueError(
                f"`{option.name}={value!r}` is not for `visible='counts'`, whose hidden units are "
                "binary topics and whose data are counts as they are; leave it out"
            )


def in_memory(data: Any, columns: Mapping[str, Any]) -> Documents:
    """Documents of counts that were passed in memory: a sparse or dense matrix, or a data frame.

    Raises
    ------
    TypeError, ValueError
        If they are no counts, all of them are 0, or columns are named.
    """
    if columns:
        raise TypeError(
            f"`{next(iter(columns))}` is for tables, and counts have a word in each column; leave "
            "it out"
        )
    if isinstance(data, Documents):
        found = data
    elif isinstance(data, Data):
        found = _of_data(data)
    else:
        names = getattr(data, "columns", None)
        words = None if names is None else [str(name) for name in names]
        found = Documents.of(data, vocabulary=words)
    found.refuse_wordless()
    return found


def read(source: Any, options: ReadingOptions) -> Documents:
    """Read documents: a file of a sparse matrix, any other file of rows, or rows in memory.

    Documents without words are left out, which a note says.

    Raises
    ------
    OSError, TypeError, ValueError
        If there is no such file, or it holds no counts.
    """
    if not isinstance(source, str | Path):
        return in_memory(source, {}).without_empty()
    path = Path(source).expanduser()
    if path.suffix == KEPT_SUFFIX:
        return load_documents(path).without_empty()
    entries = None if options.array is not None else sparse_entries(path)
    if entries is None:
        return _of_data(datasets.read(str(source), reading_of(options))).without_empty()
    for name in OF_READING:
        if getattr(options, name) is not None:
            raise ValueError(
                f"`{name}` is for tables, and {path.name} holds a sparse matrix; leave it out"
            )
    return Documents.of_places(path.name, *entries).without_empty()


def load(options: TrainingOptions) -> tuple[Documents, Documents | None]:
    """Training documents and held-out ones of a run.

    Raises
    ------
    OSError, TypeError, ValueError
        As `read`; or if the parts do not fit together.
    """
    documents = read(options.data, options)
    if options.validation_data is None:
        train, held_out = documents.split(options.held_out, options.seed)
    else:
        if options.held_out != defaults.HELD_OUT:
            raise ValueError(
                f"`held_out` is {options.held_out}, and `validation_data` names held-out "
                "documents; leave one of them out"
            )
        train, held_out = documents, another(options.validation_data, options, documents)
    if options.rows is not None:
        if options.rows > len(train):
            raise ValueError(
                f"`rows` is {options.rows}, but {train.name} has {len(train)} training documents; "
                f"pass {len(train)} or fewer"
            )
        order = kernels.permutation(len(train), Lane.LEARNED_ROWS.stream(options.seed))
        train = train.take(order[: options.rows].sort().values)
    return train, held_out


def another(source: Any, options: ReadingOptions, like: Documents) -> Documents:
    """Read documents whose columns are the same words; raises what `read` raises."""
    found = read(source, options)
    if found.n_columns != like.n_columns:
        raise ValueError(
            f"{found.name} has {found.n_columns:,} columns, but {like.name} has "
            f"{like.n_columns:,}; pass counts of the same words in the same order"
        )
    if None not in (found.vocabulary, like.vocabulary) and found.vocabulary != like.vocabulary:
        raise ValueError(
            f"the words of {found.name} are not those of {like.name}, or in another order; pass "
            "counts of the same words in the same order"
        )
    return found


def read_words(path: Path, n_words: int) -> tuple[str, ...]:
    """The words of the columns, from a file of one word a line.

    Raises
    ------
    OSError, ValueError
        If there is no such file, it is no text, or it does not have a word of its own for each
        column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"`words` is {path}, and there is no such file")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"`words` is {path}, which is no text in UTF-8 ({error})") from error
    words = tuple(line.strip() for line in lines)
    while words and not words[-1]:
        words = words[:-1]
    if len(words) != n_words:
        raise ValueError(
            f"`words` is {path} with {len(words):,} lines, but the model knows {n_words:,} words; "
            "pass a file of one word a line, one for each column of the counts, in their order"
        )
    seen: set[str] = set()
    for line, word in enumerate(words):
        if not word or word in seen:
            what = f"again has {word!r}" if word else "has no word"
            raise ValueError(
                f"`words` is {path}, and line {line + 1} {what}; pass a different word for each "
                "column of the counts"
            )
        seen.add(word)
    return words


def words_of(run: RunDirectory) -> tuple[str, ...] | None:
    """The words of a run's columns, as its data named them."""
    names = run.config()["data"].get("columns")
    return None if names is None else tuple(names)


def _of_data(data: Data) -> Documents:
    if data.mask is not None:
        raise ValueError(
            f"{data.name} has {data.mask.n_missing:,} missing values; a word that does not occur "
            "has the count 0"
        )
    if data.parts:
        raise ValueError(
            f"{data.name} has parts of its own ({', '.join(data.parts)}); pass one part as a file, "
            "and others as `validation_data` and `test_data`"
        )
    return Documents.of(data.values, data.name, data.columns)
