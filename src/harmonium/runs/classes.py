"""Classification by label units or by a fine-tuned network, and its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.datasets import Data, WeightedRows
from harmonium.deep import DBN
from harmonium.rng import Lane
from harmonium.runs import build
from harmonium.units import Units


class LabelUnits:
    """A network whose top RBM has label units, used as a classifier.

    Rows are passed up as means, and the probability of a class given these means is exact
    (`DBN.class_log_probabilities`).
    """

    def __init__(self, dbn: DBN) -> None:
        if dbn.n_classes is None:
            raise ValueError("the network has no label units; train one with `labels=True`")
        self.dbn = dbn
        self.classes = torch.arange(dbn.n_classes, device=self.device)

    @property
    def visible(self) -> Units:
        """The visible units."""
        return self.dbn.visible

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return self.dbn.top.weights.device

    def check(self, data: Data) -> None:
        """Reject rows that are not valid states of the visible units."""
        build.check_states(self.visible, data, defaults.SEED)

    @torch.no_grad()
    def outputs(self, data: Data) -> Tensor:
        """Log-probability of each class, nats, shape (n_rows, n_classes)."""
        like = self.dbn.top.weights
        blocks = data.blocks(stream=Lane.USED.stream(defaults.SEED))
        return torch.cat([self.dbn.class_log_probabilities(block.to(like)) for block in blocks])


@dataclass(frozen=True)
class Predicted:
    """Predictions of a classifier for rows.

    Attributes
    ----------
    classes
        The labels of the classes, int64, ascending, shape (n_classes,).
    names
        The names of the labels 0, 1, ..., if they have names.
    outputs
        Log-probability of each class, nats, up to a constant in each row, shape (n_rows,
        n_classes).
    wanted
        The index of each row's true class, int64, shape (n_rows,); -1 for a row without a label, or
        of another class. None if no row has a label.
    weights
        How much each row counts in scores, shape (n_rows,); None if they count alike.
    """

    classes: Tensor
    names: Sequence[str] | None
    outputs: Tensor
    wanted: Tensor | None
    weights: Tensor | None = None

    @classmethod
    def of(
        cls,
        classes: Tensor,
        names: Sequence[str] | None,
        outputs: Tensor,
        labels: Tensor | None,
        weights: Tensor | None = None,
    ) -> Predicted:
        """The predictions of a classifier for rows that may have labels."""
        wanted = None
        if labels is not None:
            place = torch.searchsorted(classes, labels).clamp_(max=len(classes) - 1)
            wanted = torch.where(classes[place] == labels, place, -1)
        return cls(classes, names, outputs, wanted, weights)

    @property
    def p(self) -> Tensor:
        """Probability of each class, shape (n_rows, n_classes)."""
        return self.outputs.softmax(-1)

    @property
    def taken(self) -> Tensor:
        """The index of the most probable class of each row, shape (n_rows,)."""
        return self.p.argmax(1)

    @property
    def n_judged(self) -> int:
        """Rows with a known class that the classifier knows."""
        return 0 if self.wanted is None else int((self.wanted >= 0).sum())

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, in order."""
        return [name_of(label, self.names) for label in self.classes.tolist()]

    def scores(self) -> dict[str, float]:
        """``loss`` (nats) and ``error`` (a fraction), means over rows with known classes, if any.

        Rows count by weight. The loss is minus the log-probability of the true class.
        """
        if self.wanted is None or not self.n_judged:
            return {}
        judged = self.wanted >= 0
        if self.weights is not None:
            judged &= self.weights.to(judged.device) > 0
            if not judged.any():
                return {}
        wanted, log_p = self.wanted[judged], self.outputs[judged].double().log_softmax(-1)
        own = None if self.weights is None else self.weights.to(judged.device)[judged]
        rows = WeightedRows(log_p, own)
        return {
            "loss": -rows.average(log_p.gather(1, wanted.unsqueeze(1)).squeeze(1)).item(),
            "error": rows.average((self.taken[judged] != wanted).double()).item(),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for a file, with classes by name if they have names, else by number."""
        told = np.array(self.class_names) if self.names is not None else self.classes.cpu().numpy()
        arrays: dict[str, NDArray[Any]] = {
            "classes": told[self.taken.cpu().numpy()],
            "probabilities": self.p.cpu().numpy(),
            "probabilities_of": told,
        }
        if self.wanted is not None:
            wanted = self.wanted.cpu().numpy()
            unknown = "" if self.names is not None else -1
            arrays["labels"] = np.where(wanted >= 0, told[wanted], unknown)
        return arrays


def name_of(label: int, names: Sequence[str] | None) -> str:
    """The name of a label."""
    return str(label) if names is None or not 0 <= label < len(names) else names[label]
