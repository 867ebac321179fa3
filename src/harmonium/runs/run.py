"""`Run`: a training as an object, of any kind, from its directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, overload

import torch

from harmonium import checkpoint
from harmonium.deep import DBN, Network, load_dbn, load_finetuning, load_network
from harmonium.rbm import RBM
from harmonium.report import Facts
from harmonium.run_directory import Network as StackDirectory
from harmonium.run_directory import RunDirectory, Warned
from harmonium.runs import opening, said
from harmonium.runs.build import load_checkpoint
from harmonium.runs.following import Going, write_page
from harmonium.runs.reporting import Silent
from harmonium.runs.resuming import Further, Said
from harmonium.runs.voices import voice
from harmonium.training import Row

Model = RBM | DBN | Network


class Following(Iterator[Row]):
    """The rows of a training, which goes on while they are taken.

    Whoever leaves the loop leaves a checkpoint, from which `Run.resume` goes on.

    Attributes
    ----------
    run
        The run, whose directory is there from the beginning.
    """

    def __init__(self, going: Going) -> None:
        self.run = Run(going.run.path)
        self._rows = going.rows

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def close(self) -> None:
        """Stop, and keep a checkpoint."""
        self._rows.close()


class Run:
    """A run on disk: of one RBM, of a stack, or of a network that is fine-tuned.

    Everything is read when it is asked for, so that the object of a run that goes on elsewhere
    shows how far that is.

    Parameters
    ----------
    path
        The directory.

    Raises
    ------
    FileNotFoundError
        If there is no run, naming those beside it.
    ValueError
        If its configuration is damaged, or was written by a newer harmonium.
    """

    def __init__(self, path: str | Path) -> None:
        self.directory = RunDirectory.open_any(path)

    @property
    def path(self) -> Path:
        """The directory."""
        return self.directory.path

    @property
    def config(self) -> dict[str, Any]:
        """Everything that defines the run, ``config.json``."""
        return self.directory.config()

    @property
    def kind(self) -> str:
        """``rbm``, ``dbn``, or ``classifier``, ``regressor``, ``autoencoder``."""
        if self.directory.is_finetuning:
            kind: str = self.config["options"]["kind"]
            return kind
        return "dbn" if self.directory.holds_a_network else "rbm"

    @property
    def layers(self) -> list[Run]:
        """The runs of a stack's layers that have been begun, from the data upwards."""
        if not self.directory.holds_a_network:
            return []
        return [Run(layer.path) for layer in StackDirectory(self.directory).layers()]

    @property
    def metrics(self) -> list[Row]:
        """Rows of numbers, one a look; those of a stack say of which ``layer`` they are."""
        if self.directory.holds_a_network:
            return [
                {"layer": number, **row}
                for number, layer in enumerate(self.layers, start=1)
                for row in layer.metrics
            ]
        return self.directory.rows()

    @property
    def update(self) -> int:
        """Updates made, as the newest checkpoint has it; of a stack, of its newest layer."""
        return self.layers[-1].update if self.layers else self._facts.done

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self._facts.is_finished

    @property
    def model(self) -> Model:
        """What was learned, on the CPU; of a run that is not finished, as far as it has come.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is none yet, or it is damaged.
        """
        run = self.directory
        if run.is_finetuning:
            if run.checkpoints():
                return load_finetuning(run.latest_checkpoint()).model
            return load_network(run.network_path)
        if run.holds_a_network:
            path = StackDirectory(run).dbn_path
            return load_dbn(path) if path.is_file() else DBN([layer.rbm for layer in self.layers])
        return self.rbm

    @property
    def rbm(self) -> RBM:
        """The model of the run of one RBM, or of one layer.

        Raises
        ------
        TypeError
            If the run has another kind of model.
        """
        run = self.directory
        if run.is_finetuning or run.holds_a_network:
            raise TypeError(f"{self.path} holds a {self.kind}; take its model")
        if run.checkpoints():
            return load_checkpoint(run, torch.device("cpu")).model
        return checkpoint.load_model(run.model_path)

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures that lie in the run, by their names, such as ``filters``."""
        found = sorted(self.directory.figures.glob("*.png"))
        found += sorted(self.directory.columns.glob("*.png"))
        return {path.stem: path for path in found}

    @property
    def page(self) -> Path:
        """The page of the run, which is written if it is not there."""
        if not self.directory.report_path.is_file():
            write_page(self.directory, Silent())
        return self.directory.report_path

    @property
    def warnings(self) -> list[Warned]:
        """What a user has to know of it."""
        return self.directory.warnings()

    @overload
    def resume(self, *, follow: Literal[False] = ..., **options: Any) -> Run: ...

    @overload
    def resume(self, *, follow: Literal[True], **options: Any) -> Following: ...

    def resume(
        self,
        *,
        epochs: int | None = None,
        more_epochs: int | None = None,
        device: str | None = None,
        threads: int | None = None,
        follow: bool = False,
        progress: bool = True,
        **options: Any,
    ) -> Run | Following:
        """Go on with the run, as if it had never stopped.

        Parameters
        ----------
        epochs, more_epochs
            Epochs in all, or beyond those of the run; by default those of the run.
        device, threads
            Where to compute; by default as it began.
        follow
            Give back the rows of numbers as they come.
        progress
            Whether a notebook shows how far it is.
        options
            Those of the run may be repeated, and ``learning_rate`` may be smaller; those of
            watching may be others.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If it cannot go on, or what is said contradicts it.
        """
        repeated, watching = said.of_resuming(options)
        what = Said(Further(epochs, more_epochs), repeated, watching, device, threads)
        reporter = voice(follow, progress)
        return going_on(opening.resume(self.path, what, reporter), follow)

    @overload
    def finetune(self, *, follow: Literal[False] = ..., **options: Any) -> Run: ...

    @overload
    def finetune(self, *, follow: Literal[True], **options: Any) -> Following: ...

    def finetune(self, *, follow: Any = False, **options: Any) -> Any:
        """Make a classifier, a regressor or an autoencoder of a stack: `harmonium.finetune`."""
        from harmonium.runs.beginning import finetune

        return finetune(self, follow=follow, **options)

    def __repr__(self) -> str:
        state = "finished" if self.is_finished else f"after update {self.update:,}"
        return f"Run({str(self.path)!r}, {self.kind}, {state})"

    def _repr_html_(self) -> str:
        from harmonium.runs.notebook import html_of

        return html_of(self)

    @property
    def _facts(self) -> Facts:
        return Facts(self.directory, "unknown", "")


def going_on(going: Going, follow: bool) -> Run | Following:
    """The rows of a run as they come, or the run that has come to its end."""
    if follow:
        return Following(going)
    going.finish()
    return Run(going.run.path)
