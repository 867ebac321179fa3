"""`Trained` and `TrainedNetwork`: the model of a run, with what is needed to use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harmonium import checkpoint
from harmonium.datasets import Data, Encoding, OneHot, TableEncoding
from harmonium.deep import DBN, load_dbn
from harmonium.missing_states import completed_rows
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.run_directory import Network, RunDirectory
from harmonium.runs import build, run_data
from harmonium.runs.answers import holding
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.chains import ChainOptions
from harmonium.runs.encoding import Known
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import figures, network_figures
from harmonium.runs.pictures.views import View, picture_shape, two_states
from harmonium.runs.reporting import Reporter
from harmonium.runs.rows import ReadingOptions, read_new
from harmonium.sampling import ChainState, independent_units


@dataclass(frozen=True)
class Trained:
    """The model of a run, with what is needed to use it."""

    run: RunDirectory
    options: TrainingOptions
    known: Known
    encoding: Encoding
    rbm: RBM
    chains: ChainState | None
    device: torch.device
    update: int | None
    reporter: Reporter
    columns: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None

    @property
    def view(self) -> View:
        """How its rows are shown; arrays are on the CPU by then."""
        return View(
            self.encoding.to("cpu"),
            picture_shape(self.rbm, self.image_shape),
            self.columns,
            figures.learns_from_a_layer(self.run),
            two_states(self.rbm),
            self.left_out,
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """The sites of an alignment that were left out, by number."""
        data = self.run.config()["data"]
        is_alignment = "letters" in data["encoding"]
        return tuple(data["named"].get("drop", ())) if is_alignment else ()

    @property
    def alphabet(self) -> str | None:
        """The letters of an alignment; None for other rows."""
        return self.encoding.letters if isinstance(self.encoding, OneHot) else None

    def data(
        self,
        source: Any,
        said: ReadingOptions | None = None,
        weights: str | None = None,
        lacks_columns: bool = False,
    ) -> Data:
        """Rows of a file, read and encoded as in training; by default the run's held-out rows.

        ``weights`` is a file of the weights of these rows. A mixed table may lack columns if
        ``lacks_columns``.
        """
        if source is None:
            train, held_out = self._own()
            return self.checked(train if held_out is None else held_out)
        config = self.run.config()["data"]
        with self.reporter.downloads() as progress:
            n = self.rbm.visible.n
            data = read_new(source, self.options, config, n, said, progress, weights, lacks_columns)
        return self.checked(self.known.other(data))

    def train_and_held_out(self) -> tuple[Data, Data | None]:
        """The run's own rows, encoded as in training."""
        train, held_out = self._own()
        return self.checked(train), None if held_out is None else self.checked(held_out)

    def _own(self) -> tuple[Data, Data | None]:
        with self.reporter.downloads() as progress:
            return run_data.load_data(self.options, progress, self.known)

    def checked(self, data: Data) -> Data:
        """Rows encoded as in training, on the device; rejects rows that are not valid states."""
        build.check_states(self.rbm.visible, data, self.options.seed)
        return data.to(self.device)

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of rows that are pictures."""
        return self.known.image_shape

    def states(self, data: Data, start: int, stop: int) -> Tensor:
        """The states of a range of rows, of which the model draws what is missing."""
        rows = torch.arange(start, min(stop, len(data)), device=self.device)
        return completed_rows(self.rbm, data, rows, Lane.STARTS.stream(self.options.seed, start))

    def base(self) -> RBM:
        """Independent units with the base rates of the run's data."""
        return self.base_of(self.data(None))

    def base_of(self, data: Data) -> RBM:
        """Independent units with the base rates of these rows."""
        mean, var = data.moments()
        return independent_units(self.rbm, mean.to(self.device), var.to(self.device))

    def saved_chains(self, options: ChainOptions) -> ChainState:
        """The chains saved by training; an error if there are none, or too few."""
        chains = self.chains
        if chains is None:
            raise ValueError(
                f"{self.run.path} has no persistent chains (they belong to `method='pcd'`, and "
                "are kept in checkpoints); take `start='random'` or data"
            )
        n_chains = options.with_starts(len(chains)).n_chains
        if n_chains > len(chains):
            raise ValueError(
                f"`chains` is {n_chains}, but {self.run.path} has kept {len(chains)} chains; "
                f"pass {len(chains)} or fewer, or take `start='random'` or data"
            )
        return chains

    def kept_models(self, options: ChainOptions) -> tuple[RBM, ...]:
        """The models of its past that training has kept, if chains move along them."""
        if options.sampler != "trajectory":
            return ()
        replicas = None if self.chains is None else self.chains.replicas
        if replicas is None or not replicas.models:
            raise ValueError(
                f"{self.run.path} has kept no models of its training; take `sampler='tempering'`, "
                "or train with `sampler='trajectory'`"
            )
        return replicas.models

    def first_rows(self, data: Data, options: ChainOptions) -> Tensor:
        """States at which chains start; an error if there are too few rows."""
        n_chains = options.with_starts(len(data)).n_chains
        if n_chains > len(data):
            raise ValueError(
                f"`chains` is {n_chains}, but {data.name} has {len(data)} rows to start at; "
                f"pass {len(data)} or fewer"
            )
        return self.states(data, 0, n_chains)

    def held_columns(self, clamp: str | None) -> Tensor | None:
        """True where columns of the user's values are held; see `holding.held_columns`."""
        if not clamp:
            return None
        if self.alphabet is not None and self.columns is not None:
            return holding.held_sites(clamp, self.columns, self.alphabet)[0]
        return holding.held_columns(
            clamp,
            self.rbm.visible.n,
            names=self.columns,
            image_shape=self.image_shape,
            run=str(self.run.path),
        )

    def with_letters(self, rows: Tensor, clamp: str | None) -> Tensor:
        """States of an alignment with the letters that ``clamp`` says."""
        if clamp and self.alphabet is not None and self.columns is not None:
            _, letters = holding.held_sites(clamp, self.columns, self.alphabet)
            sites = rows.view(len(rows), len(self.columns), -1)
            for place, number in letters.items():
                sites[:, place] = 0
                sites[:, place, number] = 1
        return rows

    def held_states(self, held: Tensor) -> Tensor:
        """The same for columns of the states, several of which may encode one of the user's."""
        if isinstance(self.encoding, TableEncoding):
            return self.encoding.spread(held.unsqueeze(0))[0].to(self.device)
        return held.repeat_interleave(self.rbm.visible.width).to(self.device)


def open_trained(asked: Asked) -> Trained:
    """The model of a run from its newest checkpoint, whether the run is finished or not.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run has another kind of model, or none.
    """
    run = RunDirectory.open(asked.run.path)
    where = build.choose_device(asked.device)
    if run.checkpoints():
        state = build.load_checkpoint(run, where)
        rbm, chains, update = state.model, state.chains, state.update
    else:  # a run whose checkpoints were deleted to save space
        rbm, chains = checkpoint.load_model(run.model_path, device=where), None
        update = None
    known, config = run_data.known_of(run), run.config()
    return Trained(
        run=run,
        options=run_data.options_of(run),
        known=known,
        encoding=known.encoding.to(where),
        rbm=rbm,
        chains=chains,
        device=where,
        update=update,
        reporter=asked.reporter,
        columns=_names(config["data"].get("columns")),
        classes=_names(config["data"].get("classes")),
    )


def _names(kept: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if kept is None else tuple(kept)


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished stack, with what is needed to use it."""

    asked: Asked
    network: Network
    dbn: DBN
    bottom: Trained
    """The run of the lowest layer, which describes the data."""

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of its label units; empty without label units."""
        return network_figures.class_names(self.dbn, self.bottom.classes)

    def open_top(self) -> Trained:
        """The run of the highest layer."""
        return open_trained(replace(self.asked, run=self.network.layers()[-1]))


def open_network(asked: Asked) -> TrainedNetwork:
    """A network whose layers are all trained.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is not finished.
    """
    network = Network.open(asked.run.path)
    if not network.dbn_path.is_file():
        raise FileNotFoundError(
            f"{network.run.path} is not finished: {len(network.layers())} of "
            f"{len(network.run.config()['layers'])} layers have been begun; go on with "
            f"`harmonium.open({str(network.run.path)!r}).resume()`"
        )
    bottom = open_trained(replace(asked, run=network.layer(1)))
    dbn = load_dbn(network.dbn_path, device=bottom.device)
    return TrainedNetwork(asked, network, dbn, bottom)
