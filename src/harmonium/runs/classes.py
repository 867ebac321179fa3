"""Classes that a network tells apart: of its label units, or of what was fine-tuned; and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium import defaults
from harmonium.datasets import Data
from harmonium.deep import DBN
from harmonium.rng import Purpose, Stream
from harmonium.runs import build
from harmonium.units import Units


class LabelUnits:
    """A network whose top RBM has label units, as the classifier that they make of it.

    Rows go up by means, and the probability of a class given these is exact
    (`DBN.class_log_probabilities`).
    """

    def __init__(self, dbn: DBN) -> None:
        if dbn.n_classes is None:
            raise ValueError("the network has no label units; train one with `labels=True`")
        self.dbn = dbn
        self.classes = torch.arange(dbn.n_classes, device=self.device)

    @property
    def visible(self) -> Units:
        """The units that see the rows."""
        return self.dbn.visible

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.dbn.top.weights.device

    def check(self, data: Data) -> None:
        """Refuse rows that are no states of the visible units."""
        build.check_states(self.visible, data, defaults.SEED)

    @torch.no_grad()
    def outputs(self, data: Data) -> Tensor:
        """Log-probability of each class, nats, shape (n_rows, n_classes)."""
        like = self.dbn.top.weights
        blocks = data.blocks(stream=Stream(defaults.SEED, Purpose.ENCODE, rank=3))
        return torch.cat([self.dbn.class_log_probabilities(block.to(like)) for block in blocks])


@dataclass(frozen=True)
class Predicted:
    """What a classifier says of rows.

    Attributes
    ----------
    classes
        The labels that it tells apart, int64, ascending, shape (n_classes,).
    names
        What the labels 0, 1, ... are called, where they have names.
    outputs
        Log-probability of each class, nats, up to a constant in each row, shape (n_rows,
        n_classes).
    wanted
        The place of each row's own class among them, int64, shape (n_rows,); -1 of a row without a
        label, or of another class. None where no row has a label.
    """

    classes: Tensor
    names: Sequence[str] | None
    outputs: Tensor
    wanted: Tensor | None

    @classmethod
    def of(
        cls, classes: Tensor, names: Sequence[str] | None, outputs: Tensor, labels: Tensor | None
    ) -> Predicted:
        """What the outputs of a classifier say of rows that may have labels."""
        wanted = None
        if labels is not None:
            place = torch.searchsorted(classes, labels).clamp_(max=len(classes) - 1)
            wanted = torch.where(classes[place] == labels, place, -1)
        return cls(classes, names, outputs, wanted)

    @property
    def p(self) -> Tensor:
        """Probability of each class, shape (n_rows, n_classes)."""
        return self.outputs.softmax(-1)

    @property
    def taken(self) -> Tensor:
        """The place of the most probable class of each row, shape (n_rows,)."""
        return self.p.argmax(1)

    @property
    def n_judged(self) -> int:
        """Rows whose class is known, and one of those that are told apart."""
        return 0 if self.wanted is None else int((self.wanted >= 0).sum())

    @property
    def class_names(self) -> list[str]:
        """What the classes are called, in their order."""
        return [name_of(label, self.names) for label in self.classes.tolist()]

    def scores(self) -> dict[str, float]:
        """``loss`` (nats) and ``error`` (a share), means over the rows that can be judged, if any.

        The loss is minus the log-probability of the right class.
        """
        if self.wanted is None or not self.n_judged:
            return {}
        judged = self.wanted >= 0
        wanted, log_p = self.wanted[judged], self.outputs[judged].double().log_softmax(-1)
        return {
            "loss": -log_p.gather(1, wanted.unsqueeze(1)).mean().item(),
            "error": (self.taken[judged] != wanted).double().mean().item(),
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays for a file: classes by their names where they have any, else by their numbers."""
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
    """What a label is called."""
    return str(label) if names is None or not 0 <= label < len(names) else names[label]
