"""TensorBoard event files, if the optional extra is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


def is_installed() -> bool:
    """Whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


def check(wanted: bool | None) -> None:
    """Reject a request for event files that cannot be met, before anything else is done.

    Raises
    ------
    ImportError
        If event files are requested and TensorBoard is not installed.
    """
    if wanted and not is_installed():
        raise ImportError(
            "`tensorboard` needs the package tensorboard, which is not installed; "
            "pip install 'harmonium[tensorboard]'"
        )


class EventFiles:
    """Writes rows of numbers as TensorBoard scalars, with error bands as custom scalars.

    Parameters
    ----------
    folder
        Where the event files go.
    wanted
        Whether to write any; None writes them if TensorBoard is installed.
    done
        Updates already made; TensorBoard then discards rows of later updates, which are repeated.
    """

    def __init__(self, folder: Path, wanted: bool | None, done: int = 0) -> None:
        self._writer: Any = None
        self._bands: dict[str, Any] = {}
        if wanted or (wanted is None and is_installed()):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, row: Mapping[str, Any]) -> None:
        """Write one row at its update: numbers as scalars, with error bands if known, and text."""
        if self._writer is None:
            return
        update, bands = int(row["update"]), {}
        for name, value in row.items():
            if isinstance(value, str):
                self._writer.add_text(name, value, update)
            elif name != "update":
                self._writer.add_scalar(name, value, update)
            error = row.get(f"{name}_std_error")
            if error is not None:
                ends = {f"band/{name}_lower": value - error, f"band/{name}_upper": value + error}
                for end, of_band in ends.items():
                    self._writer.add_scalar(end, of_band, update)
                bands[name] = ["Margin", [name, *ends]]
        if bands.keys() - self._bands.keys():  # the layout is written once
            self._bands |= bands
            self._writer.add_custom_scalars({"± one standard error": self._bands})
