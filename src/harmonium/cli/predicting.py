"""``harmonium dbn predict``, ``encode`` and ``decode``: outputs of a network for rows."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium import datasets
from harmonium.cli.archives import column_names, write_archive
from harmonium.cli.progress import choose_reporter, download_progress, tell_of_compiling
from harmonium.datasets import Data, Encoding
from harmonium.deep import (
    Autoencoder,
    Classifier,
    Network,
    Regressor,
    finetuning,
    load_dbn,
    load_finetuning,
    load_network,
    without_labels,
)
from harmonium.files import write_whole
from harmonium.run_directory import Network as NetworkRun
from harmonium.run_directory import RunDirectory
from harmonium.runs import build, run_data
from harmonium.runs.classes import LabelUnits, Predicted
from harmonium.runs.encoding import Known
from harmonium.runs.options import TrainingOptions
from harmonium.runs.pictures import figures, tuned_figures
from harmonium.runs.pictures.views import View
from harmonium.runs.reporting import describe_scores
from harmonium.runs.rows import ReadingOptions, read_new

_SUFFIXES = (".csv", ".npz")


@dataclass(frozen=True)
class Rows:
    """Rows that a user names: the source, the part of it, and how to read it."""

    source: str
    split: str | None
    said: ReadingOptions


@dataclass(frozen=True)
class Tuned:
    """The network of a run, with what is needed to use it."""

    run: RunDirectory
    network: Network | LabelUnits
    known: Known
    rows: TrainingOptions

    def data(self, rows: Rows) -> Data:
        """Rows of a named set or a file, read and encoded as in training."""
        with download_progress() as progress:
            config = self.run.config()["data"]
            n_columns = self.network.visible.n
            data = read_new(rows.source, self.rows, config, n_columns, rows.said, progress)
        split = rows.split
        if split is None and "test" in data.parts:
            split = "test"
        if split is not None and split != "all":
            data = data.part(split)
        data = self.known.other(data)
        self.network.check(data)
        return data.to(self.network.device)

    @property
    def encoding(self) -> Encoding:
        """How values become states, on the CPU."""
        return self.known.encoding

    @property
    def image_shape(self) -> tuple[int, int] | None:
        """(height, width) of rows that are pictures."""
        return self.known.image_shape


def open_tuned(path: Path, device: str) -> Tuned:
    """The network of a fine-tuning run, or of the only such run in the run of a stack.

    A stack that was never fine-tuned classifies with its label units, if it has any.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or several.
    """
    run = RunDirectory.open_any(path)
    where = build.choose_device(device)
    tell_of_compiling()
    if not run.is_finetuning:
        source = NetworkRun.open(path)  # rejects the run of a single RBM
        if not _has_label_units(source):
            run = _only_tuning(source.run)
    network: Network | LabelUnits
    if run.is_finetuning:
        network = _network_of(run, where)
    else:
        network = LabelUnits(load_dbn(NetworkRun(run).dbn_path, device=where))
    return Tuned(run, network, run_data.known_of(run), _bottom_of(run))


def _bottom_of(run: RunDirectory) -> TrainingOptions:
    """The options of the lowest layer of a stack, or of the stack that was fine-tuned."""
    config = run.config()
    return TrainingOptions.from_config(
        config["bottom"] if run.is_finetuning else config["layers"][0]
    )


def open_autoencoder(path: Path, device: str) -> Tuned:
    """A fine-tuned autoencoder, or the stack of a run, unrolled with its pretrained weights.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, several, or only networks of another kind.
    """
    run = RunDirectory.open_any(path)
    if run.holds_a_network and not _tunings(run, "autoencoder"):
        source = NetworkRun(run)
        if not source.dbn_path.is_file():
            raise FileNotFoundError(
                f"{run.path} is not finished; go on with harmonium resume {quote(str(run.path))}"
            )
        where = build.choose_device(device)
        tell_of_compiling()
        network = Autoencoder(without_labels(load_dbn(source.dbn_path, device=where).stack))
        return Tuned(run, network, run_data.known_of(run), _bottom_of(run))
    if run.holds_a_network:
        path = _only_tuning(run, "autoencoder").path
    tuned = open_tuned(path, device)
    if not isinstance(tuned.network, Autoencoder):
        raise ValueError(
            f"{path} holds a {type(tuned.network).__name__.lower()}, which has no codes; make an "
            "autoencoder with harmonium dbn finetune --kind autoencoder"
        )
    return tuned


def _tunings(run: RunDirectory, kind: str | None = None) -> list[RunDirectory]:
    """Fine-tuning runs in the run of a stack, of one kind or of all."""
    folders = sorted(path.parent for path in run.path.glob("*/config.json"))
    tunings = [RunDirectory(folder) for folder in folders]
    return [
        tuning
        for tuning in tunings
        if tuning.is_finetuning and kind in (None, tuning.config()["options"]["kind"])
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
            f"trained to the end; harmonium dbn finetune {quote(str(run.path))} makes a classifier"
        )
    if len(tunings) > 1:
        names = ", ".join(str(tuning.path) for tuning in tunings)
        raise ValueError(f"{run.path} holds several fine-tuned networks; pass one of {names}")
    return tunings[0]


def _network_of(run: RunDirectory, device: torch.device) -> Network:
    """The best network of a run, finished or not."""
    if run.checkpoints():
        return load_finetuning(run.latest_checkpoint(), device=device).model
    return load_network(run.network_path, device=device)


def predict(path: Path, rows: Rows, out: Path | None, device: str, as_json: bool) -> None:
    """Predict rows; writes a table or an archive, and pictures if labels are known."""
    tuned = open_tuned(path, device)
    network = tuned.network
    if isinstance(network, Autoencoder):
        raise ValueError(
            f"{tuned.run.path} holds an autoencoder, which predicts nothing; harmonium dbn encode "
            "and decode use it"
        )
    target = _target(out, tuned.run, "predictions.csv")
    data = tuned.data(rows)
    reporter = choose_reporter(as_json)
    pictures: list[Path] = []
    assert isinstance(network, Regressor | Classifier | LabelUnits)
    if isinstance(network, Regressor):
        # what cannot be scored is an error before anything is written
        scores = {} if data.targets is None else finetuning.evaluate(network, data)
        n_judged = 0 if data.targets is None else len(data)
        arrays = {"predictions": network.outputs(data).cpu().numpy()}
        header = [f"prediction_{number}" for number in range(arrays["predictions"].shape[1])]
        table = [*arrays["predictions"].T]
        if data.targets is not None:
            arrays["targets"] = data.targets.cpu().numpy()
    else:
        names = tuned.run.config()["data"].get("classes")
        found = Predicted.of(network.classes, names, network.outputs(data), data.labels)
        scores, n_judged, arrays = found.scores(), found.n_judged, found.arrays()
        header = ["class", *(f"p_{name}" for name in found.class_names)]
        table = [arrays["classes"], *arrays["probabilities"].T]
        if scores:
            place = target.with_name(f"{target.stem}-confusion.png")
            pictures = list(tuned_figures.draw_predictions(place, found, data))
    _write(target, header, table, arrays)
    if scores:
        reporter.say(describe_scores(scores, n_judged, data.name))
    if data.labels is not None and n_judged < len(data) and not isinstance(network, Regressor):
        reporter.say(
            f"{len(data) - n_judged:,} of {len(data):,} rows have no label, or one that was not "
            "learned: they are predicted, and not judged"
        )
    reporter.say(f"predicted {target} ({len(data):,} rows of {data.name})")
    for picture in pictures:
        reporter.say(f"picture   {picture}")
    reporter.finish(
        {
            "predictions": str(target),
            "n_rows": len(data),
            "n_judged": n_judged,
            "pictures": [str(picture) for picture in pictures],
            **scores,
        }
    )


def encode(path: Path, rows: Rows, out: Path | None, device: str, as_json: bool) -> None:
    """Encode rows with an autoencoder; writes codes and a picture of them."""
    tuned = open_autoencoder(path, device)
    network = tuned.network
    assert isinstance(network, Autoencoder)
    target = _target(out, tuned.run, "codes.npz")
    data = tuned.data(rows)
    codes = network.codes(data)
    scores = finetuning.evaluate(network, data)
    arrays = {"codes": codes.cpu().numpy()}
    if data.labels is not None:
        arrays["labels"] = data.labels.cpu().numpy()
    header = [f"code_{number}" for number in range(codes.shape[1])]
    _write(target, header, [*arrays["codes"].T], arrays)
    picture = tuned_figures.draw_codes(target.with_suffix(".png"), codes, data.labels)
    reporter = choose_reporter(as_json)
    reporter.say(describe_scores(scores, len(data), data.name))
    reporter.say(f"codes     {target} (shape {arrays['codes'].shape})")
    reporter.say(f"picture   {picture}")
    reporter.finish({"codes": str(target), "picture": str(picture), "n_rows": len(data), **scores})


def decode(path: Path, source: str, *, out: Path | None, device: str, as_json: bool) -> None:
    """Decode codes with an autoencoder; writes rows in the user's units and a picture of them."""
    tuned = open_autoencoder(path, device)
    network = tuned.network
    assert isinstance(network, Autoencoder)
    target = _target(out, tuned.run, "decoded.npz")
    with download_progress() as progress:
        codes = datasets.load(source, progress=progress)
    with torch.no_grad():
        rows = torch.cat(
            [network.decode(block.to(network.device, network.dtype)) for block in codes.blocks()]
        )
    encoding = tuned.encoding
    values = figures.in_users_units(rows.cpu(), encoding)
    shape = tuned.image_shape if network.visible.n_columns == values.shape[1] else None
    named = tuned.run.config()["data"].get("columns")
    view = View(encoding, shape, tuple(named) if named else None)
    header = named or [f"column_{number}" for number in range(values.shape[1])]
    _write(target, header, [*values.T], {"rows": values, **column_names(view)})
    picture = figures.save_samples(
        target.with_suffix(".png"),
        rows[: figures.SHOWN_ROWS].unsqueeze(1).cpu(),
        view,
        1,
        title="Decoded rows",
    )
    reporter = choose_reporter(as_json)
    reporter.say(f"rows      {target} (shape {values.shape})")
    reporter.say(f"picture   {picture}")
    reporter.finish({"rows": str(target), "picture": str(picture), "n_rows": len(values)})


def _target(out: Path | None, run: RunDirectory, name: str) -> Path:
    """Where to write; an invalid place is an error before anything is computed."""
    if out is None:
        return run.free_path(name)
    if out.suffix not in _SUFFIXES:
        raise ValueError(f"--out is {out}; pass a name that ends in {' or '.join(_SUFFIXES)}")
    if out.exists():
        raise FileExistsError(f"{out} exists; choose another --out")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"--out is {out}, and there is no folder {out.parent}")
    return out


def _write(
    path: Path,
    header: Iterable[str],
    columns: Iterable[NDArray[Any]],
    arrays: dict[str, NDArray[Any]],
) -> None:
    """Write a table of columns, or an archive of arrays, by the suffix."""
    if path.suffix == ".npz":
        write_archive(path, **arrays)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", *header])
    # the shortest digits that restore the float32
    cells = [[str(cell) for cell in np.asarray(column)] for column in columns]
    for number, row in enumerate(zip(*cells, strict=True)):
        writer.writerow([number, *row])
    write_whole(path, text.getvalue().encode())
