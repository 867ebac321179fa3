"""`Run`: a training run of any kind as an object, read from its directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self, overload

from harmonium.deep import DBN, Network
from harmonium.ratings import RatingRBM
from harmonium.rbm import RBM
from harmonium.report import Facts
from harmonium.run_directory import Network as StackDirectory
from harmonium.run_directory import RunDirectory, Warned, kinds
from harmonium.runs import opening, rbm_task, said
from harmonium.runs.asking import Asking
from harmonium.runs.following import Going
from harmonium.runs.resuming import Further, Said
from harmonium.runs.voices import voice
from harmonium.topics import ReplicatedSoftmax
from harmonium.training import Row

Model = RBM | DBN | Network | RatingRBM | ReplicatedSoftmax


class Following(Iterator[Row]):
    """The rows of a training run, which advances while they are consumed.

    Leaving the loop saves a checkpoint, from which `Run.resume` continues.

    Attributes
    ----------
    run
        The run; its directory exists from the beginning.
    """

    def __init__(self, going: Going) -> None:
        self.run = Run(going.run.path)
        self._rows = going.rows

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Row:
        return next(self._rows)

    def close(self) -> None:
        """Stop, and save a checkpoint."""
        self._rows.close()


class Run(Asking):
    """A run on disk: of one RBM, of a stack, or of the fine-tuning of a network.

    The methods that use its model are those of `Asking`. Everything is read on access, so that the
    object of a run that is being trained elsewhere shows its current progress.

    Parameters
    ----------
    path
        The directory.

    Raises
    ------
    FileNotFoundError
        If there is no run; names other runs in the same folder.
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
        """``rbm``, ``dbn``, ``ratings``, ``topics``, ``classifier``, ``regressor``, ..."""
        kind = self.directory.kind
        return str(self.config["options"]["kind"]) if kind is kinds.FINETUNING else kind.name

    @property
    def layers(self) -> list[Run]:
        """The runs of a stack's layers that have been started, from the data upwards."""
        if self.directory.kind is not kinds.DBN:
            return []
        return [Run(layer.path) for layer in StackDirectory(self.directory).layers()]

    @property
    def metrics(self) -> list[Row]:
        """Rows of numbers, one per measurement; those of a stack include the ``layer``."""
        if self.directory.kind is kinds.DBN:
            return [
                {"layer": number, **row}
                for number, layer in enumerate(self.layers, start=1)
                for row in layer.metrics
            ]
        return self.directory.rows()

    @property
    def update(self) -> int:
        """Updates made by the newest checkpoint; for a stack, those of its newest layer."""
        return self.layers[-1].update if self.layers else self._facts.done

    @property
    def is_finished(self) -> bool:
        """Whether training is finished."""
        return self._facts.is_finished

    @property
    def model(self) -> Model:
        """The trained model, on the CPU; if the run is not finished, from its newest checkpoint.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is none yet, or it is damaged.
        """
        model: Model = opening.task_of(self.directory.kind).model_of(self.directory)
        return model

    @property
    def rbm(self) -> RBM:
        """The model, for a run of one RBM or of one layer.

        Raises
        ------
        TypeError
            If the run has another kind of model.
        """
        if self.directory.kind is not kinds.RBM:
            raise TypeError(f"{self.path} holds no RBM (its kind is {self.kind!r}); take `.model`")
        return rbm_task.model_of(self.directory)

    @property
    def figures(self) -> dict[str, Path]:
        """The pictures of the run by name, such as ``filters``."""
        found = sorted(self.directory.figures.glob("*.png"))
        found += sorted(self.directory.columns.glob("*.png"))
        return {path.stem: path for path in found}

    @property
    def page(self) -> Path:
        """The page of the run, which is written if it does not exist."""
        return self.directory.report_path if self.directory.report_path.is_file() else self.report()

    @property
    def warnings(self) -> list[Warned]:
        """The warnings of the run."""
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
        """Continue the run, as if it had never stopped.

        Parameters
        ----------
        epochs, more_epochs
            Total number of epochs, or additional epochs; by default, the run keeps its number. A
            learning rate that falls to zero then does so at the new end, and goes on where it would
            be by now in a run of so many epochs.
        device, threads
            Where to compute; by default as at the start of the run.
        follow
            Return an iterator over the rows of numbers, as in `harmonium.train`.
        progress
            Whether to show a progress bar in a notebook.
        options
            Options of the run may be repeated, and ``learning_rate`` may be smaller; monitoring
            options may change.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            If it cannot continue, or if an option contradicts it.
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
        """Turn a stack into a classifier, a regressor or an autoencoder: `harmonium.finetune`."""
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
    """An iterator over the rows of a run, or the finished run."""
    if follow:
        return Following(going)
    going.finish()
    return Run(going.run.path)
