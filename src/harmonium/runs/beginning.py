"""`train`, `train_dbn`, `finetune` and `open`: runs from Python, as the command line makes them.

With the same options, Python and the command line give bit-identical runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from harmonium.arguments import described
from harmonium.datasets import sources
from harmonium.kernels.threads import give
from harmonium.ratings import Ratings
from harmonium.run_directory import Kind, kinds
from harmonium.runs import counts, kept, network_task, opening, said, stack_task
from harmonium.runs.following import Place
from harmonium.runs.rows import listed
from harmonium.runs.run import Following, Run, going_on
from harmonium.runs.voices import voice

_OF_COLUMNS = ("label", "target", "drop", "columns", "missing_values")


def open(path: str | Path) -> Run:
    """Open the run in a directory, whether Python or the command line started it.

    Raises
    ------
    FileNotFoundError, ValueError
        As for `Run`.
    """
    return Run(path)


@overload
def train(data: Any = ..., *, follow: Literal[False] = ..., **options: Any) -> Run: ...


@overload
def train(data: Any = ..., *, follow: Literal[True], **options: Any) -> Following: ...


def train(
    data: Any = "digits",
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    follow: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run | Following:
    """Train an RBM and plot what it learned; same as ``harmonium train``.

    Parameters
    ----------
    data
        The name of a data set (`datasets.names`); the path of a file, a pattern such as
        ``part-*.parquet``, or a list of paths; the path of another run, whose hidden units are then
        the data; or rows in memory: an array, a tensor, nested lists, a
        pandas or polars data frame, a sparse matrix, or `Data`. Rows in memory are stored in the
        run. With ``ratings``, a long table with a row for each rating, in a file or a frame; or
        `ratings.Ratings`, for which ``ratings`` can be left out.
    out
        The directory to create; by default ``runs/DATA``, or the first unused of ``runs/DATA-2``,
        ...
    overwrite
        Whether to replace an existing run.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ...
    threads
        Number of CPU threads from now on; unchanged by default.
    follow
        Return an iterator over the rows of numbers; training advances as they are consumed.
    progress
        Whether to show a progress bar in a notebook.
    options
        The options of ``harmonium train``, with underscores: ``hidden``, ``epochs``,
        ``learning_rate``, ... (`runs.options.TrainingOptions`, `runs.options.WatchingOptions`).
        With ``ratings``, the columns of the user, the item and the rating, they are those of
        `runs.rating_options.RatingOptions`. With rows in memory, ``weights`` may be an array: how
        much each row counts, shape (n_rows,), 0 or more.

    Returns
    -------
    Run or Following
        The finished run; with ``follow``, an iterator over its rows.

    Raises
    ------
    FileExistsError
        If the directory of the run exists already.
    FileNotFoundError, TypeError, ValueError
        For data that cannot be read, and for options that are unknown or contradict each other.
    KeyboardInterrupt
        `runs.Stopped`, on an interrupt: a checkpoint is saved, and `Run.resume` continues from it.
        SIGTERM ends the program after such a checkpoint, unless it has a handler of its own.
    """
    where = Where(out, overwrite, device, threads)
    kind = kinds.RATINGS if isinstance(data, Ratings) else opening.asked_for(options)
    with _told(data, options, where, kind) as (name, others, place):
        chosen = said.of_training(kind, name, others)
        going = opening.begin(kind, *chosen, place, voice(follow, progress))
    return going_on(going, follow)


@overload
def train_dbn(data: Any = ..., *, follow: Literal[False] = ..., **options: Any) -> Run: ...


@overload
def train_dbn(data: Any = ..., *, follow: Literal[True], **options: Any) -> Following: ...


def train_dbn(
    data: Any = "digits",
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    follow: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run | Following:
    """Pretrain a deep belief network layer by layer; same as ``harmonium dbn train``.

    The parameters are those of `train`; ``options`` are those of ``harmonium dbn train``, such as
    ``layers=[500, 500]``. Most other options take one value, or a list with one value per layer.
    """
    where = Where(out, overwrite, device, threads)
    with _told(data, options, where) as (name, others, place):
        going = stack_task.begin(*said.of_stack(name, others), place, voice(follow, progress))
    return going_on(going, follow)


@overload
def finetune(source: Any, *, follow: Literal[False] = ..., **options: Any) -> Run: ...


@overload
def finetune(source: Any, *, follow: Literal[True], **options: Any) -> Following: ...


def finetune(
    source: Any,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    threads: int | None = None,
    follow: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run | Following:
    """Train a classifier, a regressor or an autoencoder; same as ``harmonium dbn finetune``.

    Parameters
    ----------
    source
        The run of a stack, as a `Run` or a path; or data as for `train`, for a network with random
        initial weights.
    out, overwrite, device, threads, follow, progress
        As in `train`.
    options
        The options of ``harmonium dbn finetune``: ``kind``, ``layers``, ``epochs``, ...
    """
    data = source.path if isinstance(source, Run) else source
    where = Where(out, overwrite, device, threads)
    with _told(data, options, where) as (name, others, place):
        chosen = said.of_finetuning(others)
        going = network_task.begin(name, *chosen, place, voice(follow, progress))
    return going_on(going, follow)


class Where(NamedTuple):
    """Where a run is created and on which device it computes, from arguments of Python."""

    out: str | Path | None
    overwrite: bool
    device: str
    threads: int | None


@contextmanager
def _told(
    data: Any, options: dict[str, Any], where: Where, kind: Kind = kinds.RBM
) -> Iterator[tuple[str, dict[str, Any], Place]]:
    """The name of the data, the options of the table, and the default directory of the run.

    If rows are in memory, columns of labels, targets and dropped columns are removed before rows
    are stored.
    """
    if sources.is_list(data):
        data = listed(data)
    in_memory = not isinstance(data, str | Path)
    out = None if where.out is None else Path(where.out)
    place = Place(out, where.overwrite, where.device)
    if kind is kinds.RATINGS:  # a run of ratings stores them itself
        give(where.threads)
        yield (
            ("", options, replace(place, source=data)) if in_memory else (str(data), options, place)
        )
        return
    columns = {
        name: options[name] for name in _OF_COLUMNS if in_memory and options.get(name) is not None
    }
    others = {name: value for name, value in options.items() if name not in columns}
    if "weights" in others and not isinstance(others["weights"], str | Path | None):
        if not in_memory:
            raise TypeError(
                f"`weights` is {described(others['weights'])}, and the data are {data!r}; pass "
                "rows in memory with an array of weights, such as harmonium.datasets.load(...)"
            )
        columns["weights"] = others.pop("weights")
    if in_memory and kinds.TOPICS.is_asked_for(others):
        data = counts.in_memory(data, columns)
        columns = {}
    with kept.named(data, **columns) as name:
        give(where.threads)
        yield name, others, replace(place, keeps_data=in_memory)
