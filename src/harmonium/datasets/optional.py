"""Libraries that only some files need: what to install where one of them is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed(extra: str, name: str) -> Iterator[None]:
    """Import a library that reads a file; without it, say how to install it.

    Parameters
    ----------
    extra
        The extra of harmonium that brings the library along.
    name
        The name of the file for messages.

    Raises
    ------
    ImportError
        If the library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} is read by the package {error.name}, which is not installed; install it by "
            f"`pip install 'harmonium[{extra}]'`"
        ) from None
