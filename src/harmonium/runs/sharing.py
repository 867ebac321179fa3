"""A run that several processes make: the first writes it, and the others keep nothing.

Every rank does the same, so that no kind of task has to know of ranks. Those after the first do it
in a directory of their own, in a temporary folder that goes when they end.
"""

from __future__ import annotations

import atexit
import dataclasses
import json
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harmonium import ranks
from harmonium.run_directory import RunDirectory
from harmonium.runs.rows import FILES
from harmonium.runs.watching_options import WatchingOptions

if TYPE_CHECKING:
    from harmonium.runs.following import Going

# What a copy of a run can do without.
_LARGE = shutil.ignore_patterns("figures", "tensorboard", "*.html")

# Options that may differ from process to process: they say where something lies.
_PLACES = ("data", "weights", *FILES)

_FINGERPRINTS = ("fingerprint", "held_out_fingerprint")

speaker = 0
"""The rank that tells of an error that all have, or that none but it has."""


class NotAlone(ValueError):
    """Another process could not begin, and says why itself."""


def own(run: RunDirectory) -> RunDirectory:
    """The directory of a new run, or that of this rank in place of it."""
    return RunDirectory(_scratch() / run.path.name) if ranks.rank() else run


def copied(path: Path) -> Path:
    """A run that exists, or the copy of this rank; no rank goes on before all have theirs."""
    if not ranks.rank():
        return path
    run = RunDirectory.open_any(path)
    whole = here = run.path.resolve()
    if "layer" in run.config():
        whole = here.parents[1]  # the rows of a layer come from those below
    copy = _scratch() / whole.name
    shutil.copytree(whole, copy, ignore=_LARGE, dirs_exist_ok=True)
    return copy / here.relative_to(whole)


def is_begun(out: Path | None) -> bool:
    """Whether torchrun has started all processes again, and the run that they began is there.

    Any other run that is there is not for them to go on with.
    """
    if out is None or int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) == 0:
        return False
    with beginning():
        run = RunDirectory(out)
        is_ours = run.config_path.is_file() and starter().items() <= run.config().items()
    is_first = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) == 0
    again = ranks.others_than(is_first)  # torchrun of another machine may not have counted
    return bool(again) and not ranks.others_than(is_ours or ranks.rank() > 0)


def starter() -> dict[str, str]:
    """Which torchrun has started the processes, for the configuration of a run; empty if none."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return {}
    return {"torchrun": f"{os.environ['TORCHELASTIC_RUN_ID']}, process {os.getppid()}"}


def taken_up(resume: Callable[[Path], Going], path: Path) -> Going:
    """A run that goes on; each rank resumes its own copy of it."""
    with beginning():
        path = copied(path)
    with beginning():
        going = resume(path)
    check_alike(going.run.config())
    return going


def watched(watching: WatchingOptions) -> WatchingOptions:
    """How this rank is watched: only the first draws, and stores checkpoints on the way."""
    if not ranks.rank():
        return watching
    return dataclasses.replace(
        watching, figures=False, tensorboard=False, checkpoint_every=math.inf
    )


def refuse(what: str) -> None:
    """Refuse several processes for what is not shared out."""
    ranks.join()
    if ranks.size() > 1:
        raise ValueError(
            f"{what} is not shared out among processes, and each of the {ranks.size()} would do "
            "the same; start one process"
        )


@contextmanager
def beginning() -> Iterator[None]:
    """All ranks begin, or none does: an error on one of them is an error on all.

    Raises
    ------
    NotAlone
        If another rank raised an error; the first such rank has it.
    """
    ranks.join()
    if ranks.size() == 1:
        yield
        return
    failed: Exception | None = None
    try:
        yield
    except ranks.Lost:
        raise
    except Exception as error:
        failed = error
    without = ranks.others_than(failed is None)
    if without:
        global speaker
        speaker = without[0]
        raise failed or NotAlone(f"process {speaker} of {ranks.size()} could not begin")


def check_alike(config: Mapping[str, Any]) -> None:
    """Refuse ranks that see other rows than the first, or that were given other options.

    Raises
    ------
    ValueError
        Names the processes, and the first option that differs.
    """
    if ranks.size() == 1:
        return
    seen = config.get("data", {})
    others = ranks.as_first(f"{[seen.get(name) for name in _FINGERPRINTS]}")
    if others:
        raise ValueError(
            f"{_named(others)} of {ranks.size()} {_sees(others)} other rows than process 0 (their "
            "fingerprints differ); give every machine the same files"
        )
    options = {k: str(v) for k, v in _flat(config.get("options", {})) if k not in _PLACES}
    for name in sorted(options) if ranks.as_first(json.dumps(options, sort_keys=True)) else ():
        others = ranks.as_first(options[name])
        if others:
            raise ValueError(
                f"{_named(others)} of {ranks.size()} was given another `{name}` than process 0; "
                "start all with the same options"
            )


def check_enough(n_rows: int, n_chains: int | None) -> None:
    """Refuse more ranks than can share out a mini-batch, or the chains."""
    most = max(1, max(n_rows, n_chains or 0) // ranks.LEAST_ROWS)
    if ranks.size() > most:
        raise ValueError(
            f"{ranks.size()} processes are too many for mini-batches of {n_rows} rows"
            + (f" and {n_chains} chains" if n_chains else "")
            + f", of which each takes {ranks.LEAST_ROWS} or more; take at most {most}, or "
            "more `chains` or a larger `batch_size`"
        )


def _named(numbers: list[int]) -> str:
    return f"process{'es' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


def _sees(numbers: list[int]) -> str:
    return "see" if len(numbers) > 1 else "sees"


def _flat(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _flat(value)
        else:
            yield name, value


def _scratch() -> Path:
    """A temporary folder of this process."""
    global _folder
    if _folder is None:
        _folder = Path(tempfile.mkdtemp(prefix="harmonium-rank-"))
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
    return _folder


_folder: Path | None = None
