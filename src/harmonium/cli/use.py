"""``harmonium sample`` and ``harmonium reconstruct``: output of a trained model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harmonium import checkpoint
from harmonium.cli import holding
from harmonium.cli.archives import (
    Completed,
    column_names,
    free_archive,
    keep_samples,
    write_archive,
)
from harmonium.cli.chains import ChainOptions, schedule_of
from harmonium.cli.progress import choose_reporter, download_progress, tell_of_compiling
from harmonium.cli.sampling_options import SamplingOptions
from harmonium.datasets import Data, Encoding
from harmonium.diagnostics import reconstruction_error
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.run_directory import RunDirectory
from harmonium.runs import build, run_data
from harmonium.runs.encoding import Known
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import figures
from harmonium.runs.pictures.views import View, picture_shape, two_states
from harmonium.runs.rows import ReadingOptions, read_new
from harmonium.sampling import ChainState, Clamp, independent_units, sample

_BLOCK = 1000


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
        )

    def data(self, source: str | None, said: ReadingOptions | None = None) -> Data:
        """Rows of a file, read and encoded as in training; by default the run's held-out rows."""
        with download_progress() as progress:
            if source is None:
                train, held_out = run_data.load_data(self.options, progress, self.known)
                return self.checked(train if held_out is None else held_out)
            config = self.run.config()["data"]
            data = read_new(source, self.options, config, self.rbm.visible.n, said, progress)
        return self.checked(self.known.other(data))

    def train_and_held_out(self) -> tuple[Data, Data | None]:
        """The run's own rows, encoded as in training."""
        with download_progress() as progress:
            train, held_out = run_data.load_data(self.options, progress, self.known)
        return self.checked(train), None if held_out is None else self.checked(held_out)

    def checked(self, data: Data) -> Data:
        """Rows encoded as in training, on the device; rejects rows that are not valid states."""
        build.check_states(self.rbm.visible, data, self.options.seed)
        return data.to(self.device)

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of rows that are pictures."""
        return self.known.image_shape

    def states(self, data: Data, start: int, stop: int) -> Tensor:
        """The states of a range of rows."""
        rows = torch.arange(start, min(stop, len(data)), device=self.device)
        return data.rows(rows, self._stream(start))

    def base(self) -> RBM:
        """Independent units with the base rates of the run's data."""
        return self.base_of(self.data(None))

    def base_of(self, data: Data) -> RBM:
        """Independent units with the base rates of these rows."""
        mean, var = data.moments()
        return independent_units(self.rbm, mean.to(self.device), var.to(self.device))

    def _stream(self, position: int = 0) -> Stream:
        return Stream(self.options.seed, Purpose.ENCODE, rank=2, position=position)


def open_trained(path: Path, device: str) -> Trained:
    """The model of a run from its newest checkpoint, whether the run is finished or not."""
    run = RunDirectory.open(path)
    where = build.choose_device(device)
    tell_of_compiling()
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
        columns=_names(config["data"].get("columns")),
        classes=_names(config["data"].get("classes")),
    )


def _names(kept: list[str] | None) -> tuple[str, ...] | None:
    return None if kept is None else tuple(kept)


def draw_samples(
    path: Path, said: SamplingOptions, reading: ReadingOptions, device: str, as_json: bool
) -> None:
    """Sample the model of a run; writes an ``.npz`` and a picture in the same folder."""
    options, schedule, clamp = ChainOptions.of(said), schedule_of(said), said.clamp
    trained = open_trained(path, device)
    archive = free_archive(said.out) if said.out else trained.run.free_path("samples.npz")
    rbm, stream = trained.rbm, Stream(said.seed, Purpose.SAMPLE)
    view = trained.view
    saved = None
    if options.start == "chains":
        saved = saved_chains(trained, options)
        options = options.with_starts(len(saved))
    given = held_columns(clamp, trained) if clamp else None
    rows = None
    if options.start == "data":
        rows = first_rows(trained, trained.data(said.data, reading), options)
    base = trained.base() if options.need_base(saved) else None
    chains = options.begin(rbm, stream, rows=rows, saved=saved, base=base)
    held, completed = None, None
    if given is not None and rows is not None:
        held, completed = Clamp(held_states(given, trained), rows), Completed(rows, given)
    sampler = options.sampler_of(rbm, chains, stream, clamp=held, base=base)
    states, means = [], []
    with torch.no_grad():
        for now in sample(rbm, chains, schedule, stream, held, sampler, copies=False):
            states.append(now.visible.to("cpu", copy=True))  # the chains move in place
            mean = rbm.mean_v_from_h(now.hidden)
            means.append((held.apply_(mean) if held else mean).cpu())
    values = view.values(torch.stack(states, 1))
    mean_values = view.values(torch.stack(means, 1))
    keep_samples(
        archive,
        {"samples": values, "means": mean_values},
        f"arrays `samples` and `means`, shape {values.shape}",
        means=means,
        view=view,
        schedule=schedule,
        completed=completed,
        replicas=None if sampler is None else chains.replicas,
        as_json=as_json,
    )


def reconstruct(
    path: Path,
    *,
    source: str | None,
    said: ReadingOptions,
    shown: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Reconstruct rows with a run's model; writes an ``.npz`` and a picture in the same folder."""
    trained = open_trained(path, device)
    archive = free_archive(out) if out else trained.run.free_path("reconstructions.npz")
    data = trained.data(source, said)
    rbm, view = trained.rbm, trained.view
    base = trained.base_of(data)
    reconstructed, errors, errors_of_mean = [], [], []
    with torch.no_grad():
        for begin in range(0, len(data), _BLOCK):
            rows = trained.states(data, begin, begin + _BLOCK)
            reconstructed.append(rbm.mean_v_from_h(rbm.mean_h_from_v(rows)).cpu())
            errors.append(reconstruction_error(rbm, rows).cpu())
            errors_of_mean.append(reconstruction_error(base, rows).cpu())
    means, error = torch.cat(reconstructed), torch.cat(errors)
    of_mean = torch.cat(errors_of_mean).double().mean().item()
    arrays = {"reconstructions": view.values(means), "errors": error.numpy(), **column_names(view)}
    write_archive(archive, **arrays)
    picture = figures.save_reconstructions(
        archive.with_suffix(".png"),
        trained.states(data, 0, shown).cpu(),
        means[:shown],
        view,
    )
    unit = "cross-entropy, nats" if rbm.visible.is_discrete else "squared error"
    of_all = error.double().mean().item()
    reporter = choose_reporter(as_json)
    reporter.say(
        f"{len(data):,} rows of {data.name}: mean reconstruction error {of_all:.3f} ({unit}), "
        f"{of_mean:.3f} with the mean row in place of every reconstruction"
    )
    names = ", ".join(f"`{name}`" for name in arrays)
    reporter.say(f"rows      {archive} (arrays {names})")
    reporter.say(f"picture   {picture}")
    reporter.finish(
        {
            "reconstructions": str(archive),
            "picture": str(picture),
            "mean_error": of_all,
            "mean_error_of_mean_row": of_mean,
        }
    )


def saved_chains(trained: Trained, options: ChainOptions) -> ChainState:
    """The chains saved by training; an error if there are none, or too few."""
    chains = trained.chains
    if chains is None:
        raise ValueError(
            f"{trained.run.path} has no persistent chains (they belong to --method pcd, and are "
            "kept in checkpoints); take --start random or data"
        )
    n_chains = options.with_starts(len(chains)).n_chains
    if n_chains > len(chains):
        raise ValueError(
            f"--chains is {n_chains}, but {trained.run.path} has kept {len(chains)} chains; "
            f"pass {len(chains)} or fewer, or take --start random or data"
        )
    return chains


def first_rows(trained: Trained, data: Data, options: ChainOptions) -> Tensor:
    """States at which chains start; an error if there are too few rows."""
    n_chains = options.with_starts(len(data)).n_chains
    if n_chains > len(data):
        raise ValueError(
            f"--chains is {n_chains}, but {data.name} has {len(data)} rows to start at; "
            f"pass {len(data)} or fewer"
        )
    return trained.states(data, 0, n_chains)


def held_columns(clamp: str, trained: Trained) -> Tensor:
    """True where columns of the user's values are held; see `holding.held_columns`."""
    return holding.held_columns(
        clamp,
        trained.rbm.visible.n,
        names=trained.columns,
        image_shape=trained.image_shape,
        run=str(trained.run.path),
    )


def held_states(held: Tensor, trained: Trained) -> Tensor:
    """The same for columns of the states, several of which may encode one column of the user's."""
    return held.repeat_interleave(trained.rbm.visible.width).to(trained.device)
