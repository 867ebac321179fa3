"""The directory of a deep belief network, with a run for each of its layers."""

from __future__ import annotations

import shutil
from pathlib import Path

from harmonium.run_directory import kinds
from harmonium.run_directory.directory import RunDirectory


class Network:
    """The run of a deep belief network, with a run for each layer in ``layers/``.

    Parameters
    ----------
    run
        The directory of the whole network, with its configuration and pictures.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run

    @classmethod
    def open(cls, path: str | Path) -> Network:
        """An existing run of a network.

        Raises
        ------
        FileNotFoundError, ValueError
            As for `RunDirectory.open`, or if it is a run of another kind.
        """
        run = RunDirectory.open_any(path)
        if run.kind is not kinds.DBN:
            raise ValueError(
                f"{run.path} is {run.kind.noun}; pass the run of a deep belief network, which "
                "harmonium dbn train begins"
            )
        return cls(run)

    @property
    def dbn_path(self) -> Path:
        """The complete trained network."""
        return self.run.path / "dbn.safetensors"

    def layer(self, number: int) -> RunDirectory:
        """The run of a layer, counted from 1; it need not exist yet."""
        return RunDirectory(self.run.path / "layers" / str(number))

    def layers(self) -> list[RunDirectory]:
        """The layers that have been started, from the data upwards."""
        begun: list[RunDirectory] = []
        while (layer := self.layer(len(begun) + 1)).config_path.is_file():
            begun.append(layer)
        return begun

    def remove_unfinished(self) -> None:
        """Remove partial files and folders left by a killed training process."""
        for folder in (self.run.path / "layers").glob(".*"):
            shutil.rmtree(folder)
        for part in [*self.run.path.glob(".*.tmp"), *self.run.figures.rglob(".*.tmp")]:
            part.unlink()
