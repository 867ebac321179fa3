"""Several processes: ``--processes`` starts them, and all but the first are silent.

Nothing heavy is imported here.
"""

from __future__ import annotations

import logging
import os
import sys
import uuid
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from signal import SIG_IGN, SIGTERM, signal

FLAG = "--processes"

# Commands whose work is shared out.
SHARED = ("train", "resume", "dbn train", "evaluate")


def asked(arguments: Sequence[str]) -> tuple[int, list[str]]:
    """The number of processes that is asked for, 0 if none is, and the other arguments.

    Raises
    ------
    ValueError
        If it is no number of 1 or more, or torchrun has started several already.
    """
    left, rest, n = [], iter(arguments), 0
    for argument in rest:
        option, is_joined, value = argument.partition("=")
        if option != FLAG:
            left.append(argument)
            continue
        value = value if is_joined else next(rest, "")
        if not value.isdecimal() or int(value) < 1:
            raise ValueError(f"{FLAG} is {value!r}; pass a number of processes, 1 or more")
        n = int(value)
    if n and is_one_of_several():
        raise ValueError(
            f"torchrun has started {os.environ['WORLD_SIZE']} processes already, and {FLAG} {n} "
            f"asks for others; leave {FLAG} out"
        )
    return n, left


def is_one_of_several() -> bool:
    """Whether torchrun has started this process as one of several."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def check(arguments: Sequence[str]) -> None:
    """Refuse a command whose work is not shared out.

    Raises
    ------
    ValueError
        Names those that are.
    """
    values = {n + 1 for n, word in enumerate(arguments) if word == "--units-from"}
    words = [
        word for n, word in enumerate(arguments) if n not in values and not word.startswith("-")
    ][:2]
    if not any(name.split() == words[: len(name.split())] for name in SHARED):
        what = f"harmonium {words[0]}" if words else "harmonium without a command"
        raise ValueError(
            f"{what} runs in one process; those that share their work are "
            f"{', '.join(SHARED[:-1])} and {SHARED[-1]}"
        )
    if any(word.partition("=")[0] == "--config" for word in arguments):
        raise ValueError(
            "the commands of a file (--config) run in one process; type those that share their "
            f"work ({', '.join(SHARED)}) one by one"
        )


def be_silent_unless_first() -> None:
    """Let the first process alone print."""
    if _rank():
        sys.stdout, sys.stderr = StringIO(), StringIO()


def own_copy(run: Path) -> Path:
    """The run, or this process' copy of it, if it is one of several that share an answer."""
    if not is_one_of_several():
        return run
    from harmonium.runs import sharing

    with sharing.beginning():
        return sharing.copied(run)


def fail(paragraph: str, code: int, *, alone: bool = False) -> int:
    """Print an error, once; returns the exit code.

    The first process does so, or the one that has an error ``alone``. All others end in peace, so
    that torchrun waits for what the first has to say, instead of ending it; but not where it is to
    start all again, on each machine.
    """
    if is_one_of_several():
        signal(SIGTERM, SIG_IGN)  # torchrun sends it as soon as another process has ended
    rank, sharing = _rank(), sys.modules.get("harmonium.runs.sharing")
    speaks = rank == (0 if sharing is None else sharing.speaker)
    if speaks or alone:
        of = f"process {rank}: " if rank else ""
        print(f"error: {of}{paragraph}", file=sys.__stderr__ if rank else sys.stderr)
    starts_again = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0")) > 0
    return code if speaks or alone or not rank or starts_again else 0


def code_of(code: int) -> int:
    """The exit code of this process, if that of a command is ``code``."""
    return 0 if _rank() else code


def _rank() -> int:
    return int(os.environ.get("RANK", "0")) if is_one_of_several() else 0


def start(n: int, arguments: Sequence[str]) -> int:
    """Run the command in ``n`` processes of this machine; returns the exit code of the first.

    torchrun does it: each process gets an equal number of cores, unless ``OMP_NUM_THREADS`` says
    how many threads it has.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # said here in a sentence
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()  # of a batch job
    n_cores = len(ours) or os.cpu_count() or 1
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, n_cores // n)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=n,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, sys.executable)("-m", "harmonium", *arguments)
    except ChildFailedError as error:
        first = error.failures.get(0)
        codes = {rank: one.exitcode for rank, one in error.failures.items()}
        if max(codes.values()) < 0:  # otherwise one of them has said what happened
            rank = min(codes, key=lambda rank: codes[rank] == -SIGTERM)  # torchrun's own signal
            resumes = "; harmonium resume takes the run up at its last checkpoint"
            print(
                f"error: process {rank} of {n} was ended by signal {-codes[rank]}"
                + resumes * ("evaluate" not in arguments),
                file=sys.stderr,
            )
        return max(1, 0 if first is None else first.exitcode)
    except SignalException as stop:
        return 128 + int(stop.sigval)
    return 0
