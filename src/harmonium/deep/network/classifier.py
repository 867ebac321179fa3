"""`Classifier`: a softmax layer on a stack, and its labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium.arguments import check_type
from harmonium.datasets import UNKNOWN_LABEL, Data
from harmonium.deep.layers import to_modules, with_outputs
from harmonium.deep.network.base import Network, any_numbers
from harmonium.rbm import RBM
from harmonium.units import Categorical, Units

_SHOWN = 12  # classes in a message


@final
class Classifier(Network):
    """A softmax layer on a stack: multinomial logistic regression on the means of its top layer.

    Parameters
    ----------
    rbms
        From the rows upwards; their weights are shared (`Network`). May be empty.
    classes
        The labels, two or more; output k belongs to the k-th in ascending order.
    visible
        The visible units, if there are no RBMs to determine them.

    Attributes
    ----------
    classes : Tensor, shape (n_classes,)
        The labels, ascending.

    Raises
    ------
    ValueError
        If the layers of the stack do not fit together, or there are fewer than two classes.
    """

    criterion = "error"
    classes: Tensor

    def __init__(
        self, rbms: Sequence[RBM], classes: Iterable[int], visible: Units | None = None
    ) -> None:
        check_type("classes", classes, Iterable, "their numbers, such as range(10)")
        labels = sorted({int(label) for label in classes})
        if len(labels) < 2:
            raise ValueError(f"classes are {labels}; a classifier needs two or more of them")
        if labels[0] < 0:
            raise ValueError(f"classes hold {labels[0]}; number them from 0")
        top = Categorical(1, len(labels))
        super().__init__(*with_outputs(rbms, visible, top))
        self.register_buffer("classes", torch.tensor(labels, device=self.device))

    @classmethod
    def for_data(cls, rbms: Sequence[RBM], data: Data) -> Self:
        """A classifier for the classes that occur in the training data ``data``.

        Raises
        ------
        ValueError
            If rows have no labels, negative labels, or all the same label; or as for the class.
        """
        check_type("data", data, Data, "Data with labels, such as datasets.load('digits')")
        found = _labels(data).unique().tolist()
        if len(found) < 2:
            raise ValueError(
                f"all {len(data)} labels of {data.name} are {found[0]}; a classifier needs rows of "
                "two or more classes"
            )
        return cls(rbms, found, None if rbms else any_numbers(data))

    def forward(self, v: Tensor) -> Tensor:
        """Logits, shape (rows, n_classes): log-probabilities up to a constant in each row."""
        return self.inputs(v) + self.last.units.bias

    def log_probabilities(self, v: Tensor) -> Tensor:
        """Log-probability of each class, nats, shape (rows, n_classes)."""
        return self.forward(v).log_softmax(-1)

    def probabilities(self, v: Tensor) -> Tensor:
        """Probability of each class, shape (rows, n_classes)."""
        return self.forward(v).softmax(-1)

    def predict(self, v: Tensor) -> Tensor:
        """The most probable label of each row, int64, shape (rows,)."""
        return self.classes[self.forward(v).argmax(-1)]

    def targets(self, data: Data) -> Tensor:
        """Index of each row's class in `classes`, int64, shape (n_rows,).

        Raises
        ------
        ValueError
            If rows have no labels, negative labels, or labels outside `classes`.
        """
        labels, known = _labels(data), self.classes.to(data.values.device)
        numbers = torch.searchsorted(known, labels).clamp_(max=len(known) - 1)
        unseen = labels[known[numbers] != labels]
        if len(unseen):
            raise ValueError(
                f"{data.name} has {len(unseen)} rows of classes that were not learnt: "
                f"{_listed(unseen.unique())}; this classifier knows {_listed(known)}. Leave those "
                "rows out, or learn from rows of all classes"
            )
        return numbers

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, nats."""
        logits = inputs + self.last.units.bias
        return functional.cross_entropy(logits, targets, reduction="none")

    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """``loss``, and ``error``: 1 if the most probable class is wrong, else 0."""
        logits = inputs + self.last.units.bias
        return {
            "loss": self.losses(inputs, targets),
            "error": (logits.argmax(-1) != targets).to(logits.dtype),
        }

    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules whose outputs are the logits.

        Without dropout, which belongs to training.
        """
        return nn.Sequential(*to_modules(self.all_layers[:-1]), self.last.to_linear())


def _labels(data: Data) -> Tensor:
    labels = data.labels
    if labels is None:
        there = ""
        if data.targets is not None:
            there = (
                "; it has targets, which a regressor learns (`kind='regressor'`, or `Regressor`)"
            )
        raise ValueError(
            f"{data.name} has no labels, and a classifier needs one for each row; say which column "
            f"holds them (`label=COLUMN`), or `from_array(..., labels=...)`{there}"
        )
    n_missing = int((labels == UNKNOWN_LABEL).sum())
    if n_missing:
        raise ValueError(
            f"{n_missing:,} of {len(labels):,} rows of {data.name} have no label; leave them out "
            "with Data.labelled()"
        )
    negative = (labels < 0).nonzero()[:, 0]
    if len(negative):
        first = int(negative[0])
        raise ValueError(
            f"{len(negative)} labels of {data.name} are negative (the first is "
            f"{int(labels[first])}, at row {first}); number the classes from 0, and leave out rows "
            "that have no label"
        )
    return labels


def _listed(classes: Tensor) -> str:
    shown = ", ".join(str(int(label)) for label in classes[:_SHOWN])
    return shown + (f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else "")
