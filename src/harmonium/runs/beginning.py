"""`train`, `train_dbn`, `finetune` and `open`: runs from Python, as the command line makes them.

For the same options a run has the same bits, whichever door began it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

from harmonium.runs import kept, network_task, rbm_task, said, stack_task
from harmonium.runs.following import Place
from harmonium.runs.run import Following, Run, going_on, set_threads
from harmonium.runs.voices import voice

_OF_COLUMNS = ("label", "target", "drop")


def open(path: str | Path) -> Run:
    """Open the run in a directory, whichever door has begun it.

    Raises
    ------
    FileNotFoundError, ValueError
        As `Run`.
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
    """Train an RBM and draw what it learned: ``harmonium train``, from Python.

    Parameters
    ----------
    data
        The name of a data set (`datasets.names`), the path of a file or of another run, whose
        hidden units are then the data; or rows in memory: an array, a tensor, nested lists, a
        frame of pandas or polars, a sparse matrix, `Data`. The run keeps rows in memory itself.
    out
        The directory to make; by default ``runs/DATA``, or the first ``runs/DATA-2``, ... free.
    overwrite
        Whether to replace a run that is there.
    device
        ``cpu``, ``cuda``, ``cuda:1``, ...
    threads
        CPU threads, from now on; by default their number stays.
    follow
        Give back the rows of numbers as they come, and train while they are taken.
    progress
        Whether a notebook shows how far it is.
    options
        Those of ``harmonium train``, with underscores: ``hidden``, ``epochs``, ``learning_rate``,
        ... (`runs.options.TrainingOptions`, `runs.options.WatchingOptions`).

    Returns
    -------
    Run or Following
        The finished run; with ``follow``, its rows.

    Raises
    ------
    FileExistsError
        If there is something in the place of the run.
    FileNotFoundError, TypeError, ValueError
        For data that cannot be read, and options that there are not or that do not go together.
    KeyboardInterrupt
        `runs.Stopped`, if somebody interrupts: a checkpoint is kept, and `Run.resume` goes on.
    """
    with kept.named(data, **_columns_of(data, options)) as name:
        chosen, watching = said.of_rbm(name, _left(data, options))
        set_threads(threads)
        place = _place(data, out, overwrite, device)
        going = rbm_task.begin(chosen, watching, place, voice(follow, progress))
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
    """Pretrain a deep belief network layer by layer: ``harmonium dbn train``, from Python.

    The parameters are those of `train`, and ``options`` those of ``harmonium dbn train``:
    ``layers=[500, 500]``, and of most others one value, or a list with one for each layer.
    """
    with kept.named(data, **_columns_of(data, options)) as name:
        chosen, watching = said.of_stack(name, _left(data, options))
        set_threads(threads)
        place = _place(data, out, overwrite, device)
        going = stack_task.begin(chosen, watching, place, voice(follow, progress))
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
    """Train a classifier, a regressor or an autoencoder: ``harmonium dbn finetune``, from Python.

    Parameters
    ----------
    source
        The run of a stack, as a `Run` or a path; or data as `train` takes them, for a network
        whose weights are random at first.
    out, overwrite, device, threads, follow, progress
        As in `train`.
    options
        Those of ``harmonium dbn finetune``: ``kind``, ``layers``, ``epochs``, ...
    """
    if isinstance(source, Run):
        source = source.path
    with kept.named(source, **_columns_of(source, options)) as name:
        chosen, watching = said.of_finetuning(_left(source, options))
        set_threads(threads)
        place = _place(source, out, overwrite, device)
        going = network_task.begin(name, chosen, watching, place, voice(follow, progress))
    return going_on(going, follow)


def _is_in_memory(data: Any) -> bool:
    return not isinstance(data, str | Path)


def _columns_of(data: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The columns of rows in memory that are taken out before the rows are kept."""
    return {name: options[name] for name in _OF_COLUMNS if name in options and _is_in_memory(data)}


def _left(data: Any, options: dict[str, Any]) -> dict[str, Any]:
    taken = _columns_of(data, options)
    return {name: value for name, value in options.items() if name not in taken}


def _place(data: Any, out: str | Path | None, overwrite: bool, device: str) -> Place:
    return Place(None if out is None else Path(out), overwrite, device, _is_in_memory(data))
