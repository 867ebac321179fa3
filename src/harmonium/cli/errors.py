"""Error messages: one paragraph that says what would work.

Nothing heavy is imported here.
"""

from __future__ import annotations

import errno
from typing import Any

import typer

from harmonium.cli.spelling import spelled

# depending on its version, typer bundles click or imports it; this is the base of both's errors
UsageError: type[Exception] = typer.BadParameter.__bases__[0]


EXPECTED = (ValueError, TypeError, ImportError, OSError, FloatingPointError)
"""Errors whose message says what was wrong and what would work."""


_FULL = errno.ENOSPC, errno.EDQUOT


def is_of_one(error: Exception) -> bool:
    """Whether one of several processes is likely to have it alone, such as a full disk."""
    return not isinstance(error, EXPECTED) or (isinstance(error, OSError) and error.errno in _FULL)


def of_usage(error: Any) -> str:
    """The message for a mistyped command, that is, for a `UsageError`."""
    message = error.format_message().rstrip(".").replace(": Value error, ", ": ")  # pydantic's
    near = getattr(error, "possibilities", None)
    if near:
        message = f"{error.message}; did you mean {near[0]}?"
    if "unexpected extra argument" in message and error.ctx and error.ctx.command.name == "train":
        message += "; several files are one pattern in quotes, such as 'part-*.npy'"
    shows = f"{error.ctx.command_path if error.ctx else 'harmonium'} --help"
    return f"{message} ({shows} shows what there is)"


def paragraph(error: Exception) -> str:
    """The message for any other error, in one paragraph."""
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"there is not enough memory; take fewer chains, rows or hidden units ({error})"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        if error.errno in _FULL:
            return (
                f"{where}no space is left on the disk; make room and try again (a run that had "
                "begun has lost nothing: harmonium resume takes it up at its last checkpoint)"
            )
        return f"{where}{error.strerror.lower()}"
    if isinstance(error, EXPECTED):
        return spelled(str(error))
    return (
        f"{type(error).__name__}: {error} (harmonium did not expect this; --debug shows where it "
        "happened)"
    )
