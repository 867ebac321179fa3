"""``harmonium sample`` and ``harmonium reconstruct``: what a trained model makes."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from harmonium import checkpoint, datasets
from harmonium.cli import build, figures
from harmonium.cli.options import TrainingOptions
from harmonium.cli.progress import choose_reporter, download_progress
from harmonium.datasets import Data, Encoding
from harmonium.diagnostics import reconstruction_error
from harmonium.files import write_whole
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.runs import RunDirectory, free_path
from harmonium.sampling import (
    ChainState,
    Clamp,
    SamplingSchedule,
    sample,
    start_at,
    start_random,
)

Start = Literal["data", "random", "chains"]
_SHOWN_CHAINS, _SHOWN_SAMPLES = 20, 20
_SHOWN_ROWS = 20
_BLOCK = 1000


@dataclass(frozen=True)
class Trained:
    """A run's model with what is needed to use it."""

    run: RunDirectory
    options: TrainingOptions
    encoding: Encoding
    rbm: RBM
    device: torch.device

    def data(self, source: str | None) -> Data:
        """Rows of a file, encoded as in training; by default the run's own held-out rows."""
        if source is None:
            with download_progress() as progress:
                train, held_out = build.load_data(self.options, progress)
            return (train if held_out is None else held_out).to(self.device)
        with download_progress() as progress:
            data = datasets.load(source, progress=progress)
        if self.options.height_and_width is not None:
            data = data.as_pictures(*self.options.height_and_width)
        data = data.with_encoding(self.encoding)
        self.rbm.visible.check_width(data.rows(torch.arange(1), self._stream()), "visible")
        build.check_states(self.rbm.visible, data, self.options.seed)
        return data.to(self.device)

    def states(self, data: Data, start: int, stop: int) -> Tensor:
        """The states of a range of rows."""
        rows = torch.arange(start, min(stop, len(data)), device=self.device)
        return data.rows(rows, self._stream(start))

    def _stream(self, position: int = 0) -> Stream:
        return Stream(self.options.seed, Purpose.ENCODE, rank=2, position=position)


def open_trained(path: Path, device: str) -> Trained:
    """The model of a run: the finished one, or that of its newest checkpoint."""
    run = RunDirectory.open(path)
    config = run.config()
    where = build.choose_device(device)
    if run.model_path.exists():
        rbm = checkpoint.load_model(run.model_path, device=where)
    else:
        rbm = checkpoint.load(run.latest_checkpoint(), device=where).model
    return Trained(
        run=run,
        options=TrainingOptions(**config["options"]),
        encoding=Encoding.from_config(config["data"]["encoding"]),
        rbm=rbm,
        device=where,
    )


def draw_samples(
    path: Path,
    *,
    n_chains: int,
    schedule: SamplingSchedule,
    start: Start | None,
    clamp: str | None,
    source: str | None,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Sample a run's model; writes an ``.npz`` and a picture beside it."""
    if n_chains < 1:
        raise ValueError(f"--chains is {n_chains}; pass 1 or more")
    trained = open_trained(path, device)
    archive = _free(out) if out else trained.run.free_path("samples.npz")
    rbm, stream = trained.rbm, Stream(seed, Purpose.SAMPLE)
    start = start or ("data" if clamp or source else "random")
    if clamp and start != "data":
        raise ValueError(
            f"--clamp holds columns of data rows, and --start is {start}; take --start data"
        )
    data = trained.data(source)
    held: Clamp | None = None
    if start == "random":
        chains = start_random(rbm, n_chains, stream)
    elif start == "chains":
        chains = _saved_chains(trained, n_chains)
    else:
        rows = _first_rows(trained, data, n_chains)
        chains = start_at(rbm, rows, stream)
        if clamp:
            held = Clamp(_mask(clamp, rbm, data).to(trained.device), rows)
    states, means = [], []
    with torch.no_grad():
        for now in sample(rbm, chains, schedule, stream, held):
            states.append(now.visible.cpu())
            mean = rbm.mean_v_from_h(now.hidden)
            means.append((held.apply_(mean) if held else mean).cpu())
    values = figures.in_users_units(torch.stack(states, 1), data)
    mean_values = figures.in_users_units(torch.stack(means, 1), data)
    _write_archive(archive, samples=values, means=mean_values)
    picture = figures.save_samples(
        archive.with_suffix(".png"),
        torch.stack(means[:_SHOWN_SAMPLES], 1)[:_SHOWN_CHAINS],
        data,
        figures.picture_shape(rbm, data),
        schedule.sweeps_per_sample,
    )
    reporter = choose_reporter(as_json)
    reporter.say(
        f"samples   {archive} (arrays `samples` and `means`, shape {values.shape}: "
        "chains, samples, columns)"
    )
    reporter.say(f"picture   {picture} (mean activations)")
    reporter.finish({"samples": str(archive), "picture": str(picture)})


def reconstruct(
    path: Path, *, source: str | None, out: Path | None, device: str, as_json: bool
) -> None:
    """Reconstruct rows by a run's model; writes an ``.npz`` and a picture beside it."""
    trained = open_trained(path, device)
    archive = _free(out) if out else trained.run.free_path("reconstructions.npz")
    data = trained.data(source)
    rbm = trained.rbm
    reconstructed, errors = [], []
    with torch.no_grad():
        for begin in range(0, len(data), _BLOCK):
            rows = trained.states(data, begin, begin + _BLOCK)
            reconstructed.append(rbm.mean_v_from_h(rbm.mean_h_from_v(rows)).cpu())
            errors.append(reconstruction_error(rbm, rows).cpu())
    means, error = torch.cat(reconstructed), torch.cat(errors)
    _write_archive(
        archive, reconstructions=figures.in_users_units(means, data), errors=error.numpy()
    )
    picture = figures.save_reconstructions(
        archive.with_suffix(".png"),
        trained.states(data, 0, _SHOWN_ROWS).cpu(),
        means[:_SHOWN_ROWS],
        data,
        figures.picture_shape(rbm, data),
    )
    unit = "squared error" if rbm.visible.states is None else "cross-entropy, nats"
    reporter = choose_reporter(as_json)
    reporter.say(f"{len(data):,} rows of {data.name}: mean reconstruction error {error.mean():.3f} ({unit})")
    reporter.say(f"rows      {archive} (arrays `reconstructions` and `errors`)")
    reporter.say(f"picture   {picture}")
    reporter.finish(
        {
            "reconstructions": str(archive),
            "picture": str(picture),
            "mean_error": error.double().mean().item(),
        }
    )


def _free(path: Path) -> Path:
    if path.suffix != ".npz":
        raise ValueError(f"--out is {path}; pass a name that ends in .npz")
    for there in (path, path.with_suffix(".png")):
        if there.exists():
            raise FileExistsError(f"{there} exists; choose another --out")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out is {path}, and there is no folder {path.parent}")
    return path


def _write_archive(path: Path, **arrays: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(path, buffer.getvalue())


def _saved_chains(trained: Trained, n_chains: int) -> ChainState:
    chains = checkpoint.load(trained.run.latest_checkpoint(), device=trained.device).chains
    if chains is None:
        raise ValueError(
            f"{trained.run.path} was trained without persistent chains; take --start random or data"
        )
    if n_chains > len(chains):
        raise ValueError(
            f"--chains is {n_chains}, but {trained.run.path} has kept {len(chains)} chains; "
            f"pass {len(chains)} or fewer, or take --start random or data"
        )
    return ChainState(chains.visible[:n_chains].clone(), chains.hidden[:n_chains].clone())


def _first_rows(trained: Trained, data: Data, n_chains: int) -> Tensor:
    if n_chains > len(data):
        raise ValueError(
            f"--chains is {n_chains}, but {data.name} has {len(data)} rows to start at; "
            f"pass {len(data)} or fewer"
        )
    return trained.states(data, 0, n_chains)


def _mask(clamp: str, rbm: RBM, data: Data) -> Tensor:
    """Columns to hold: a half of a picture, or ranges of columns such as ``0-9,20``."""
    n_values = data.values.shape[1]
    held = torch.zeros(n_values, dtype=torch.bool)
    if clamp in ("top", "bottom", "left", "right"):
        if data.image_shape is None:
            raise ValueError(
                f"--clamp {clamp} is for pictures, and {data.name} holds none; pass columns, "
                "such as 0-9,20"
            )
        height, width = data.image_shape
        picture = held.view(height, width)
        halves = {
            "top": picture[: height // 2],
            "bottom": picture[height // 2 :],
            "left": picture[:, : width // 2],
            "right": picture[:, width // 2 :],
        }
        halves[clamp].fill_(True)
    else:
        for part in clamp.split(","):
            first, _, last = part.partition("-")
            try:
                begin, end = int(first), int(last or first)
            except ValueError:
                raise ValueError(
                    f"--clamp is {clamp!r}; pass top, bottom, left, right, or columns such as "
                    "0-9,20"
                ) from None
            if not 0 <= begin <= end < n_values:
                raise ValueError(
                    f"--clamp names columns {part}, but there are columns 0 to {n_values - 1}"
                )
            held[begin : end + 1] = True
    return held.repeat_interleave(rbm.visible.width)
