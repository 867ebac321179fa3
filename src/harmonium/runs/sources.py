"""The start of fine-tuning: a pretrained stack or random layers, and rows with labels."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harmonium import datasets, defaults
from harmonium.datasets import Data, Minibatches
from harmonium.deep import DBN, init_randomly_, load_dbn, without_labels
from harmonium.rbm import RBM
from harmonium.run_directory import Network as NetworkRun
from harmonium.runs import build, run_data
from harmonium.runs.choices import REAL
from harmonium.runs.encoding import Known, encode
from harmonium.runs.layers import NetworkOptions
from harmonium.runs.options import TrainingOptions
from harmonium.runs.reporting import Reporter
from harmonium.runs.rows import FILES, from_anywhere, names_files
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.visible import decide


@dataclass(frozen=True)
class Rows:
    """Rows to train on, rows to choose the best network, and rows to test it at the end."""

    train: Data
    held_out: Data | None
    test: Data | None

    @property
    def judging(self) -> tuple[str, Data]:
        """The rows that tell most about the network, and their name."""
        if self.test is not None:
            return "test", self.test
        if self.held_out is not None:
            return "held-out", self.held_out
        return "training", self.train

    def fingerprint(self) -> str:
        """SHA-256 over rows, labels and targets, for training and for choosing the network."""
        digest = hashlib.sha256()
        for data in (self.train, self.held_out):
            if data is not None:
                digest.update(data.fingerprint().encode())
                for wanted in (data.labels, data.targets):
                    if wanted is not None:
                        digest.update(wanted.cpu().numpy().tobytes())
        return digest.hexdigest()

    def minibatches(self, options: FinetuningOptions) -> Minibatches:
        """The training rows in mini-batches.

        Raises
        ------
        ValueError
            If a batch is larger than the data.
        """
        n = len(self.train)
        size = options.batch_size or min(defaults.BATCH_SIZE, n)
        return build.in_batches(self.train, size, f"{self.train.name} has {n} training rows")


@dataclass(frozen=True)
class Source:
    """The origin of a network.

    Attributes
    ----------
    stack
        The run of its stack; None if it starts with random layers on a data set.
    bottom
        How its rows are read.
    layers
        The options of its layers, from the rows upwards; empty for plain regression.
    known
        What pretraining stored about the rows; None if nothing was pretrained, or if values are to
        be encoded in another way.
    """

    stack: NetworkRun | None
    bottom: TrainingOptions
    layers: list[TrainingOptions]
    known: Known | None

    @classmethod
    def of(cls, name: str, options: FinetuningOptions) -> Source:
        """The source that a user named: the run of a stack, or data.

        Raises
        ------
        FileNotFoundError, ValueError
            If there is neither, or for options that belong to the other kind.
        """
        if name in datasets.names() or names_files(name):
            return cls._of_data(name, options)
        try:
            stack = NetworkRun.open(Path(name))
        except FileNotFoundError as error:
            sets = ", ".join(datasets.names())
            raise FileNotFoundError(f"{error}; named data sets are {sets}") from error
        of_data = {"layers": options.layers, **options.of_data}
        for option, value in of_data.items():
            if value is not None:
                raise ValueError(
                    f"`{option}` is for a data set, and {name} is a run, which has its own; "
                    "leave it out"
                )
        config = stack.run.config()
        layers = [TrainingOptions.from_config(layer) for layer in config["layers"]]
        bottom = run_data.found_from(stack.run.path, layers[0])
        known = run_data.known_of(stack.run)
        if options.binarize is None:
            return cls(stack, bottom, layers, known)
        # checked as in `harmonium train`
        bottom = dataclasses.replace(bottom, binarize=options.binarize)
        kept = known if bottom.visible not in ("binary", "spin") else None
        return cls(stack, bottom, layers, kept)

    @classmethod
    def _of_data(cls, name: str, options: FinetuningOptions) -> Source:
        if options.layers is None and options.kind == "autoencoder":
            raise ValueError("an autoencoder needs hidden layers; pass `layers`, such as 500,30")
        of_all = {
            "data": name,
            "binarize": options.binarize or "none",
            "seed": options.seed,
            **options.of_data,
        }
        # absolute, so that the run can be resumed from any folder
        paths = [
            path for path in ("data", *FILES) if path in of_all and name not in datasets.names()
        ]
        of_all |= {path: from_anywhere(of_all[path]) for path in paths}
        if options.layers is None:
            return cls(None, TrainingOptions(**of_all), [], None)
        layers = NetworkOptions(layers=options.layers, of_all=of_all).by_layer()
        return cls(None, layers[0], layers, None)

    @classmethod
    def from_config(cls, path: Path, config: Mapping[str, Any]) -> Source:
        """The source at the start of a run, except the stack; its encoding is that of the rows."""
        bottom = TrainingOptions.from_config(config["bottom"])
        return cls(
            stack=None,
            bottom=run_data.found_from(path, bottom),
            layers=[TrainingOptions.from_config(layer) for layer in config["layers"]],
            known=Known.of("the run", config["data"]),
        )

    def config(self) -> dict[str, Any]:
        """The entries that `from_config` reads, and the name of the stack."""
        return {
            "network": None if self.stack is None else str(self.stack.run.path.absolute()),
            "bottom": dataclasses.asdict(self.bottom),
            "layers": [dataclasses.asdict(layer) for layer in self.layers],
        }

    def load(
        self, options: FinetuningOptions, device: torch.device, reporter: Reporter
    ) -> tuple[Source, Rows]:
        """The rows with their labels, in parts, encoded as in pretraining or as the user says.

        Returns
        -------
        source
            This source, with the visible units chosen.
        rows
            On the device.

        Raises
        ------
        FileNotFoundError, ValueError
            If they cannot be read or encoded, or there are fewer than ``rows``.
        """
        bottom, known = self.bottom, self.known
        with reporter.downloads() as progress:
            if bottom.visible == "auto":
                values = run_data.read_values(bottom, progress)
                # options that were not given decide nothing
                asked, values = decide(
                    dataclasses.replace(bottom, binarize=options.binarize), values
                )
                bottom = dataclasses.replace(bottom, visible=asked.visible)
                data = encode(values, bottom)
            else:
                data = run_data.read_data(bottom, progress, known)
            bottom = run_data.as_read(bottom, data)
        test = data.part("test") if "test" in data.parts else None
        train, held_out = _parts(data, bottom, options)
        if options.kind == "classifier":
            train = train.labelled()
            held_out, test = (
                None if part is None else part.labelled() for part in (held_out, test)
            )
        train = train.counted()
        if options.rows is not None:
            train = train.draw_rows(options.rows, options.seed)
        if known is None and bottom.visible in REAL and bottom.standardize is not False:
            train = train.standardize()
            held_out, test = (
                None if part is None else part.with_encoding(train.encoding)
                for part in (held_out, test)
            )
        held_out, test = (None if part is None else part.to(device) for part in (held_out, test))
        layers = [bottom, *self.layers[1:]] if self.layers and self.stack is None else self.layers
        decided = dataclasses.replace(self, bottom=bottom, layers=layers)
        return decided, Rows(train.to(device), held_out, test)

    def rbms(self, options: FinetuningOptions, train: Data) -> tuple[list[RBM], bool]:
        """The stack, and whether it was pretrained; if not, its weights are random."""
        device = train.values.device
        stack = self.stack
        if stack is not None and stack.dbn_path.is_file() and not options.from_scratch:
            return without_labels(load_dbn(stack.dbn_path, device=device).recognition), True
        if not self.layers:
            return [], False
        visible = build.visible_units(self.bottom, train)
        rbms = list(DBN.of(visible, *(build.hidden_units(layer) for layer in self.layers)).stack)
        init_randomly_(rbms, options.seed)
        mean, var = train.moments()
        rbms[0].visible.init_from_moments_(mean.cpu().float(), var.cpu().float())
        return [rbm.to(device) for rbm in rbms], False


def _parts(
    data: Data, bottom: TrainingOptions, options: FinetuningOptions
) -> tuple[Data, Data | None]:
    """The rows to train on, and the rows for choosing the best network."""
    if data.parts:
        if options.held_out is not None and "validation" in data.parts:
            run_data.refuse_held_out(data)
        train = [name for name in ("train", "validation") if name in data.parts]
        if not options.validation:
            return data.join(*train), None
        if "validation" in data.parts:
            return data.part("train"), data.part("validation")
        data = data.part("train")
    if options.validation and bottom.held_out:
        return data.split_randomly_(bottom.held_out, bottom.seed, bottom.stratified)
    return data, None
