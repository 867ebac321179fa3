"""Predictions of a network: classes with their probabilities, or targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from harmonium.deep import Autoencoder, Classifier, Regressor, finetuning
from harmonium.runs.answers.archives import TABLE_OR_ARCHIVE, target_of, write_table
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.options import PredictionOptions
from harmonium.runs.answers.tuned import open_tuned
from harmonium.runs.classes import LabelUnits, Predicted
from harmonium.runs.pictures import tuned_figures
from harmonium.runs.rows import ReadingOptions


@dataclass(frozen=True, repr=False)
class Predictions(Answer):
    """What a network predicts for rows.

    Attributes
    ----------
    predictions
        The most probable class of each row, by name if classes have names, shape (n_rows,); of a
        regressor, the targets, shape (n_rows, n_targets).
    probabilities, classes
        The probability of each class, shape (n_rows, n_classes), and the classes; None for a
        regressor.
    truth
        The labels or targets of the rows, as ``predictions``; None if the rows have none. A row
        without a label that the network knows has -1, or the empty name.
    scores
        Means over the rows with known truth: ``loss`` and ``error``, or ``squared_error``; empty
        without such rows. Rows count by their weights.
    n_judged
        The number of these rows.
    data
        The name of the rows.
    path
        The table or archive.
    pictures
        A confusion matrix and the worst mistakes, if classes were judged.
    """

    predictions: NDArray[Any]
    probabilities: NDArray[Any] | None
    classes: NDArray[Any] | None
    truth: NDArray[Any] | None
    scores: Mapping[str, float]
    n_judged: int
    data: str
    path: Path
    pictures: tuple[Path, ...]

    @property
    def n_unjudged(self) -> int:
        """Rows with a missing or unknown label, if any row has one."""
        judges_classes = self.classes is not None and self.truth is not None
        return len(self.predictions) - self.n_judged if judges_classes else 0

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the scores."""
        return {
            "predictions": str(self.path),
            "n_rows": len(self.predictions),
            "n_judged": self.n_judged,
            "pictures": [str(picture) for picture in self.pictures],
            **self.scores,
        }


def predict(
    asked: Asked, source: Any, options: PredictionOptions, reading: ReadingOptions
) -> Predictions:
    """Predict rows; writes a table or an archive, and pictures if labels are known.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such network, row or place; before anything is written.
    """
    tuned = open_tuned(asked)
    network = tuned.network
    if isinstance(network, Autoencoder):
        raise ValueError(
            f"{tuned.run.path} holds an autoencoder, which predicts nothing; `Run.encode` and "
            "`Run.decode` use it"
        )
    target = target_of(options.out, tuned.run, "predictions.csv", TABLE_OR_ARCHIVE)
    data = tuned.data(source, options.split, reading)
    assert isinstance(network, Regressor | Classifier | LabelUnits)
    scores: Mapping[str, float] = {}
    pictures: list[Path] = []
    if isinstance(network, Regressor):
        n_judged = 0
        if data.targets is not None:  # what cannot be scored is an error before anything is written
            scores, n_judged = finetuning.evaluate(network, data), len(data)
        arrays = {"predictions": network.outputs(data).cpu().numpy()}
        header = [f"prediction_{number}" for number in range(arrays["predictions"].shape[1])]
        table = [*arrays["predictions"].T]
        if data.targets is not None:
            arrays["targets"] = data.targets.cpu().numpy()
    else:
        names = tuned.run.config()["data"].get("classes")
        outputs = network.outputs(data)
        weights = data.unequal_weights
        found = Predicted.of(network.classes, names, outputs, data.labels, weights)
        scores, n_judged, arrays = found.scores(), found.n_judged, found.arrays()
        header = ["class", *(f"p_{name}" for name in found.class_names)]
        table = [arrays["classes"], *arrays["probabilities"].T]
        if scores:
            place = target.with_name(f"{target.stem}-confusion.png")
            pictures = list(tuned_figures.draw_predictions(place, found, data))
    write_table(target, header, table, arrays, data.row_names)
    return Predictions(
        predictions=arrays["predictions" if isinstance(network, Regressor) else "classes"],
        probabilities=arrays.get("probabilities"),
        classes=arrays.get("probabilities_of"),
        truth=arrays.get("targets" if isinstance(network, Regressor) else "labels"),
        scores=scores,
        n_judged=n_judged,
        data=data.name,
        path=target,
        pictures=tuple(pictures),
    )
