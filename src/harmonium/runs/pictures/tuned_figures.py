"""The pictures of a fine-tuned network: learning curves, mistakes, and codes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data
from harmonium.deep import Autoencoder, Classifier, Network
from harmonium.rng import Lane
from harmonium.run_directory import RunDirectory
from harmonium.runs.classes import Predicted
from harmonium.runs.pictures import figures
from harmonium.runs.pictures.views import View

SHOWN_MISTAKES = 40
SHOWN_CODES = 5_000


def draw(run: RunDirectory, network: Network, data: Data) -> Iterator[Path]:
    """Redraw the pictures of a network, yielding the path of each.

    Parameters
    ----------
    run
        Where the pictures go; its rows of numbers give the learning curves.
    network
        The network to draw.
    data
        Rows to evaluate it on: test rows if there are any.
    """
    run.figures.mkdir(exist_ok=True)
    if run.rows():
        yield plots.save(plots.learning_curves(run.rows()), run.figures / "learning-curves.png")
    if isinstance(network, Classifier):
        outputs = network.outputs(data)
        found = Predicted.of(
            network.classes, data.classes, outputs, data.labels, data.unequal_weights
        )
        yield from draw_predictions(run.figures / "confusion.png", found, data)
    if isinstance(network, Autoencoder):
        yield draw_codes(run.figures / "codes.png", network.codes(data), data.labels)
        yield _draw_reconstructions(run.figures / "reconstructions.png", network, data)


def draw_predictions(path: Path, found: Predicted, data: Data) -> Iterator[Path]:
    """Draw a confusion matrix and, if rows are pictures, the worst mistakes in a second picture.

    Parameters
    ----------
    path
        Path of the confusion matrix; the mistakes go to ``mistakes.png`` in the same folder, with
        the same number suffix.
    found
        The predictions for the rows, some of which have known labels.
    data
        The rows.
    """
    assert found.wanted is not None
    rows = (found.wanted >= 0).nonzero()[:, 0].cpu().numpy()
    wanted, taken = (of.cpu().numpy()[rows] for of in (found.wanted, found.taken))
    p, classes = found.p.double().cpu().numpy()[rows], found.class_names
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (wanted, taken), 1)
    yield plots.save(plots.confusion_matrix(counts, classes), path)
    wrong = np.flatnonzero(taken != wanted)
    if data.image_shape is None or not len(wrong):
        return
    # the lower the probability of the true class, the worse the mistake
    worst = wrong[np.argsort(p[wrong, wanted[wrong]], kind="stable")][:SHOWN_MISTAKES]
    captions = [
        f"{classes[wanted[row]]}, not {classes[taken[row]]} ({p[row, taken[row]]:.0%})"
        for row in worst
    ]
    values = data.values[torch.from_numpy(rows[worst]).to(data.values.device)].cpu().numpy()
    place = path.with_name(path.name.replace("confusion", "mistakes"))
    yield plots.save(plots.mistakes(values, captions, data.image_shape), place)


def draw_codes(path: Path, codes: Tensor, labels: Tensor | None) -> Path:
    """Draw codes in two dimensions; if they have more, the first two principal components."""
    points = codes[:SHOWN_CODES].double().cpu().numpy()
    names = ("code 1", "code 2")
    if points.shape[1] != 2:
        points, names = _principal_components(points), ("first component", "second component")
    shown = None if labels is None else labels[:SHOWN_CODES].cpu().numpy()
    return plots.save(plots.codes(points, shown, names=names), path)


def _principal_components(points: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = points - points.mean(0)
    if centred.shape[1] == 1:
        return np.column_stack([centred, np.zeros(len(centred))])
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:2]
    # the sign of a direction is arbitrary; fix it, so that equal codes give equal pictures
    # everywhere
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(1)]
    components: NDArray[np.float64] = centred @ (directions * np.sign(largest)[:, None]).T
    return np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


@torch.no_grad()
def _draw_reconstructions(path: Path, network: Autoencoder, data: Data) -> Path:
    first = torch.arange(min(len(data), figures.SHOWN_ROWS), device=data.values.device)
    rows = data.rows(first, Lane.USED.stream(0)).to(network.device, network.dtype)
    shape = data.image_shape if network.visible.n_columns == data.values.shape[1] else None
    view = View(data.encoding, shape, data.columns)
    return figures.save_reconstructions(path, rows, network(rows), view)
