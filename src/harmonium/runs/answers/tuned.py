"""`Tuned`: the network of a run, fine-tuned or with label units, with what is needed to use it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from harmonium.datasets import Data
from harmonium.deep import (
    Autoencoder,
    Network,
    load_dbn,
    without_labels,
)
from harmonium.run_directory import Network as NetworkRun
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs import build, network_task, run_data
from harmonium.runs.answers.asked import Asked
from harmonium.runs.classes import LabelUnits
from harmonium.runs.encoding import Known
from harmonium.runs.options import TrainingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.rows import ReadingOptions, read_new


@dataclass(frozen=True)
class Tuned:
    """The network of a run, with what is needed to use it."""

    run: RunDirectory
    network: Network | LabelUnits
    known: Known
    rows: TrainingOptions
    reporter: Reporter

    @classmethod
    def of(cls, run: RunDirectory, network: Network | LabelUnits, asked: Asked) -> Tuned:
        """With what the run has stored about its rows."""
        config = run.config()
        rows = TrainingOptions.from_config(run.kind.rows_of(config))
        return cls(run, network, run_data.known_of(run), rows, asked.reporter)

    def data(self, source: Any, split: str | None, reading: ReadingOptions) -> Data:
        """Rows of a named set or a file, read and encoded as in training."""
        config, n_columns = self.run.config()["data"], self.network.visible.n
        with self.reporter.downloads() as progress:
            data = read_new(source, self.rows, config, n_columns, reading, progress)
        if split is None and "test" in data.parts:
            split = "test"
        if split is not None and split != "all":
            data = data.part(split)
        data = self.known.other(data)
        self.network.check(data)
        return data.to(self.network.device)


def open_tuned(asked: Asked) -> Tuned:
    """The network of a fine-tuning run, or of the only such run in the run of a stack.

    A stack that was never fine-tuned classifies with its label units, if it has any.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or several.
    """
    run, where = asked.run, build.choose_device(asked.device)
    if run.kind is not kinds.FINETUNING:
        source = NetworkRun.open(run.path)  # rejects the run of a single RBM
        if _has_label_units(source):
            network = LabelUnits(load_dbn(source.dbn_path, device=where))
            return Tuned.of(run, network, asked)
        run = _only_tuning(run)
    return Tuned.of(run, network_task.model_of(run, where), asked)


def open_autoencoder(asked: Asked) -> tuple[Tuned, Autoencoder]:
    """A fine-tuned autoencoder, or the stack of a run, unrolled with its pretrained weights.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, several, or only networks of another kind.
    """
    run = asked.run
    if run.kind is kinds.DBN and not _tunings(run, "autoencoder"):
        source = NetworkRun(run)
        if not source.dbn_path.is_file():
            raise FileNotFoundError(
                f"{run.path} is not finished; go on with "
                f"`harmonium.open({str(run.path)!r}).resume()`"
            )
        dbn = load_dbn(source.dbn_path, device=build.choose_device(asked.device))
        unrolled = Autoencoder(without_labels(dbn.stack))
        return Tuned.of(run, unrolled, asked), unrolled
    if run.kind is kinds.DBN:
        run = _only_tuning(run, "autoencoder")
    tuned = open_tuned(replace(asked, run=run))
    network = tuned.network
    if not isinstance(network, Autoencoder):
        raise ValueError(
            f"{run.path} holds a {type(network).__name__.lower()}, which has no codes; make an "
            "autoencoder with `Run.finetune(kind='autoencoder')`"
        )
    return tuned, network


def _tunings(run: RunDirectory, kind: str | None = None) -> list[RunDirectory]:
    """Fine-tuning runs in the run of a stack, of one kind or of all."""
    folders = sorted(path.parent for path in run.path.glob("*/config.json"))
    tunings = [RunDirectory(folder) for folder in folders]
    return [
        tuning
        for tuning in tunings
        if tuning.kind is kinds.FINETUNING and kind in (None, tuning.config()["options"]["kind"])
    ]


def _has_label_units(network: NetworkRun) -> bool:
    """Whether a network has label units to classify with, and nothing in its run was fine-tuned."""
    labelled = network.run.config()["options"]["labels"]
    return labelled and network.dbn_path.is_file() and not _tunings(network.run)


def _only_tuning(run: RunDirectory, kind: str | None = None) -> RunDirectory:
    tunings = _tunings(run, kind)
    if not tunings:
        raise FileNotFoundError(
            f"nothing has been fine-tuned in {run.path}, and it has no label units that are "
            f"trained to the end; `harmonium.open({str(run.path)!r}).finetune()` makes a classifier"
        )
    if len(tunings) > 1:
        names = ", ".join(str(tuning.path) for tuning in tunings)
        raise ValueError(f"{run.path} holds several fine-tuned networks; pass one of {names}")
    return tunings[0]
