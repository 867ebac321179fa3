"""The real command line: run in this process, or in one that can be killed."""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from unittest import mock

import typer

from harmonium.cli import main

# For the bundled digits; files of a user's own have no validation rows.
QUICK_OF_FILES = (
    *("--hidden", "8", "--binarize", "none", "--threads", "1"),
    *("--no-figures", "--no-tensorboard"),
)
QUICK = (*QUICK_OF_FILES, "--validation")
"""Options of a run that a test waits for."""


@dataclass(frozen=True)
class Done:
    """What a command that ended has left."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Standard output as JSON, an object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


_command_of = cache(typer.main.get_command)


def harmonium(*arguments: str | Path) -> Done:
    """Run a command in this process, which makes the commands of their functions only once."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["harmonium", *map(str, arguments)]),
        mock.patch.object(typer.main, "get_command", _command_of),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    assert isinstance(code, int)
    return Done(code, out.getvalue(), err.getvalue())


# Processes are forked from a server that has imported once what takes seconds, and run nothing.
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(
    ["harmonium.runs.opening", "harmonium.kernels.cpu", "sklearn.datasets", "torch._dynamo"]
)

# The calls between which a crash can leave the disk in different states.
_DISK = ("fsync", "replace", "rename", "unlink", "mkdir")


def start(arguments: list[str], output: Path, crash_at: int | None = None) -> BaseProcess:
    """Start a command in a process of its own.

    Parameters
    ----------
    arguments
        Of the command.
    output
        Where its standard output and error go.
    crash_at
        Kill it (SIGKILL) right before this call, counted from 0, of those that change the disk.
    """
    return forked(_command, arguments, os.getcwd(), output, crash_at)


def forked(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a function in a process of its own, in which the library is imported already."""
    process = _server.Process(target=target, args=arguments)
    process.start()
    return process


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a process has come so far, for a minute at most."""
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def _command(arguments: list[str], folder: str, output: Path, crash_at: int | None) -> None:
    os.chdir(folder)
    with output.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # made anew, because what they are (a file, a terminal) is asked when they are made
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    n_calls = 0

    def counted(call: Any) -> Any:
        def crash_or_call(*args: Any, **options: Any) -> Any:
            nonlocal n_calls
            if n_calls == crash_at:
                os.kill(os.getpid(), signal.SIGKILL)
            n_calls += 1
            return call(*args, **options)

        return crash_or_call

    for name in _DISK:
        setattr(os, name, counted(getattr(os, name)))
    sys.argv = ["harmonium", *arguments]
    main()
