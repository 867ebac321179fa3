"""TensorBoard event files, where the optional extra is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


def is_installed() -> bool:
    """Whether TensorBoard is there to write with."""
    return importlib.util.find_spec("tensorboard") is not None


def check(wanted: bool | None) -> None:
    """Refuse to write what cannot be written, before anything else is done.

    Raises
    ------
    ImportError
        If event files are wanted and TensorBoard is not there.
    """
    if wanted and not is_installed():
        raise ImportError(
            "`tensorboard` needs the package tensorboard, which is not installed; "
            "pip install 'harmonium[tensorboard]'"
        )


class EventFiles:
    """Writes rows of numbers as TensorBoard scalars.

    Parameters
    ----------
    folder
        Where the event files go.
    wanted
        Whether to write any; None writes them if TensorBoard is installed.
    done
        Updates made before; TensorBoard then forgets rows of later ones, which are made again.
    """

    def __init__(self, folder: Path, wanted: bool | None, done: int = 0) -> None:
        self._writer: Any = None
        if wanted or (wanted is None and is_installed()):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, row: Mapping[str, float]) -> None:
        """Write one row at its update."""
        if self._writer is not None:
            for name, value in row.items():
                if name != "update":
                    self._writer.add_scalar(name, value, int(row["update"]))
