"""Feed-forward networks whose layers are those of a stack of RBMs: a classifier, a regressor.

A layer passes on the mean of its units, whatever their type. The last layer's units say what the
outputs are: categorical ones make a softmax classifier, Gaussian ones a linear regressor. An empty
stack leaves the last layer alone, which is multinomial logistic regression, or linear regression.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar, Self, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import defaults
from harmonium.arguments import check_type, no_tensor
from harmonium.datasets import Data
from harmonium.deep.layers import Drop, Layer, to_modules, with_outputs
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.units import Categorical, Gaussian, Units

_SHOWN = 12  # classes in a message
_LEAST_ROUNDING = 1e-4  # of a standard deviation, which no prediction is so close to


class Network(nn.Module, ABC):
    """Layers from rows to outputs, which fine-tuning trains.

    The layers of a stack are shared with it and not copied: fine-tuning moves the stack itself,
    so that a DBN stays one model with one set of weights, in memory once. To keep the stack as
    pretraining left it, pass ``copy.deepcopy(rbms)``.

    Parameters
    ----------
    visible
        Units whose states the rows are; nothing is shared with them.
    layers
        From the rows upwards.
    """

    criterion: ClassVar[str]
    """The one of `scores` that says which of two models is better; lower is better."""

    def __init__(self, visible: Units, layers: Iterable[Layer]) -> None:
        super().__init__()
        # in a tuple: no module, because its parameters are none of the network's
        self._visible = (copy.deepcopy(visible),)
        self.layers = nn.ModuleList(layers)

    @abstractmethod
    def forward(self, v: Tensor) -> Tensor:
        """Outputs of rows of shape (rows, n_columns)."""

    @abstractmethod
    def targets(self, data: Data) -> Tensor | None:
        """What each row's outputs should be, in the form that `losses` takes, checked.

        Returns
        -------
        Tensor or None
            One a row, shape (n_rows, ...), on the device of the data; None where the rows
            themselves are the targets.
        """

    @abstractmethod
    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """What training lowers, shape (rows,), of the last layer's inputs."""

    @abstractmethod
    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """What rows are judged by, each of shape (rows,); ``loss`` and `criterion` among it."""

    @abstractmethod
    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules, with the same outputs as this network."""

    @property
    def visible(self) -> Units:
        """Units whose states the rows are."""
        return self._visible[0]

    @property
    def all_layers(self) -> list[Layer]:
        """The layers, from the rows upwards."""
        return [cast(Layer, layer) for layer in self.layers]

    @property
    def last(self) -> Layer:
        """The layer whose units are the outputs."""
        return self.all_layers[-1]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return self.last.weights.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.last.weights.dtype

    def inputs(self, v: Tensor, drop: Drop | None = None, first_to_learn: int = 0) -> Tensor:
        """What the last layer's units receive, without their bias, shape (rows, n_outputs).

        Parameters
        ----------
        v
            Rows of states, shape (rows, n_columns).
        drop
            Drops states of the rows (layer 0) and of the hidden layers (1, 2, ...).
        first_to_learn
            The lowest layer, from 0, that a gradient of the result reaches; negative ones count
            from the last.

        Raises
        ------
        ValueError
            For rows of another width.
        """
        self.check_rows(v)
        x, learns = v, torch.is_grad_enabled()
        for number, layer in enumerate(self.all_layers):
            if drop is not None:
                x = drop(x, number)
            with torch.set_grad_enabled(learns and number >= first_to_learn % len(self.layers)):
                x = layer.inputs(x) if layer is self.last else layer(x)
        return x

    def check_width(self, v: Tensor) -> None:
        """Refuse rows of another width.

        Raises
        ------
        ValueError
            Says what came and what would work.
        """
        n = self.visible.n_columns
        if not isinstance(v, Tensor):
            raise no_tensor("rows", v)
        if v.dim() < 1 or v.shape[-1] != n:
            came = f"{v.shape[-1]} columns" if v.dim() else "no columns"
            raise ValueError(f"rows have {came}, but this network takes {n}; pass shape (n, {n})")

    def check_rows(self, v: Tensor) -> None:
        """Refuse rows of another width or type than the network computes with.

        Raises
        ------
        TypeError, ValueError
            Says what came and what would work.
        """
        self.check_width(v)
        if v.dtype != self.dtype:
            raise TypeError(
                f"rows are {v.dtype}, but this network's weights are {self.dtype}; pass "
                f"x.to({self.dtype})"
            )

    def check(self, data: Data) -> None:
        """Refuse rows of another width, or that are no states of the visible units.

        Raises
        ------
        ValueError
            Says what came and what would work.
        """
        n = self.visible.n_columns
        if data.n_columns != n:
            raise ValueError(
                f"{data.name} has {data.n_columns} columns, but this network takes {n}; pass rows "
                f"of the same {n} columns"
            )
        try:
            for block in _blocks(data):
                self.visible.check(block, data.name)
        except ValueError:
            # all rows at once, so that the message counts them all and names the right row
            self.visible.check(torch.cat(list(_blocks(data))), data.name)
            raise

    @torch.no_grad()
    def outputs(self, data: Data) -> Tensor:
        """Outputs of all rows, worked on in blocks, on the network's device."""
        self.check(data)
        return torch.cat([self(block) for block in self.blocks(data)])

    def blocks(self, data: Data) -> Iterator[Tensor]:
        """The states of all rows in order, block by block, as the network takes them.

        Stochastic binarisation always draws the same states here.
        """
        for block in _blocks(data):
            yield block.to(self.device, self.dtype)


@final
class Classifier(Network):
    """A softmax layer on a stack: multinomial logistic regression of what its top layer means.

    Parameters
    ----------
    rbms
        From the rows upwards; their weights are shared (`Network`). May be empty.
    classes
        The labels there are, two or more; output k is that of the k-th in ascending order.
    visible
        What the rows are, where there are no RBMs to say it.

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
        """A classifier of the classes that occur in ``data``, which are to be learnt from.

        Raises
        ------
        ValueError
            If rows have no labels, a negative one, or all the same; or as the class says.
        """
        check_type("data", data, Data, "Data with labels, such as datasets.load('digits')")
        found = _labels(data).unique().tolist()
        if len(found) < 2:
            raise ValueError(
                f"all {len(data)} labels of {data.name} are {found[0]}; a classifier needs rows of "
                "two or more classes"
            )
        return cls(rbms, found, None if rbms else _any_numbers(data))

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
        """Number of each row's class among `classes`, int64, shape (n_rows,).

        Raises
        ------
        ValueError
            If rows have no labels, a negative one, or one that is none of `classes`.
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
        """``loss``, and ``error``: 1 where the most probable class is another, else 0."""
        logits = inputs + self.last.units.bias
        return {
            "loss": self.losses(inputs, targets),
            "error": (logits.argmax(-1) != targets).to(logits.dtype),
        }

    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules whose outputs are the logits.

        Dropout is not in it: it belongs to training.
        """
        return nn.Sequential(*to_modules(self.all_layers[:-1]), self.last.to_linear())


@final
class Regressor(Network):
    """A linear layer on a stack, for one or more targets.

    It learns targets less their mean, divided by their standard deviation, so that the learning
    rate means the same for targets of any size, and predicts in the targets' own units.

    Parameters
    ----------
    rbms
        From the rows upwards; their weights are shared (`Network`). May be empty.
    mean, std
        Of the targets, shape (n_targets,) each; a standard deviation of 0 becomes 1. They are kept
        in the type of the weights, or in float64, in which predictions then are, where that would
        round what tells targets apart, such as 1e8 ± 1.
    visible
        What the rows are, where there are no RBMs to say it.

    Raises
    ------
    ValueError
        If the layers of the stack do not fit together, or the moments are none.
    """

    criterion = "loss"
    mean: Tensor
    std: Tensor

    def __init__(
        self, rbms: Sequence[RBM], mean: Tensor, std: Tensor, visible: Units | None = None
    ) -> None:
        for name, given in (("mean", mean), ("std", std)):
            if not isinstance(given, Tensor):
                raise no_tensor(name, given)
        if mean.ndim != 1 or not len(mean) or mean.shape != std.shape:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and std {tuple(std.shape)}; pass both with "
                "shape (n_targets,)"
            )
        if not (mean.isfinite() & std.isfinite() & (std >= 0)).all():
            raise ValueError("mean or std is not finite, or a std is negative; pass finite numbers")
        super().__init__(*with_outputs(rbms, visible, Gaussian(len(mean))))
        # the units are the outputs in standard units, whose precision nobody learns
        like = self.last.weights
        std = torch.where(std == 0, torch.ones_like(std), std).detach()
        kept = _type_of_moments(mean, std, like.dtype)
        self.register_buffer("mean", mean.detach().to(like.device, kept, copy=True))
        self.register_buffer("std", std.to(like.device, kept))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # what moves or converts a module converts its buffers, too
        mean, std = self.mean, self.std
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        kept = _type_of_moments(mean, std, self.dtype)
        self.mean, self.std = mean.to(self.mean.device, kept), std.to(self.std.device, kept)
        return self

    @classmethod
    def for_data(cls, rbms: Sequence[RBM], data: Data) -> Self:
        """A regressor for targets such as those of ``data``, which are to be learnt from.

        Raises
        ------
        ValueError
            If rows have no targets; or as the class says.
        """
        check_type("data", data, Data, "Data with targets, as datasets.from_array makes")
        targets = _targets(data).double()
        visible = None if rbms else _any_numbers(data)
        return cls(rbms, targets.mean(0), targets.std(0, correction=0), visible)

    def forward(self, v: Tensor) -> Tensor:
        """Predictions in the targets' own units, shape (rows, n_targets)."""
        return self.mean + self.std * self.last.units.mean(self.inputs(v))

    def targets(self, data: Data) -> Tensor:
        """Targets in standard units, shape (n_rows, n_targets).

        Raises
        ------
        ValueError
            If rows have no targets, or another number of them.
        """
        targets = _targets(data)
        if targets.shape[1] != len(self.mean):
            raise ValueError(
                f"{data.name} has {targets.shape[1]} targets a row, but this regressor predicts "
                f"{len(self.mean)}"
            )
        mean, std = (moment.to(targets.device) for moment in (self.mean, self.std))
        return ((targets - mean) / std).to(self.dtype)

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Squared error in standard units, the mean over targets.

        The mean of the targets alone has a loss of 1, so that 1 minus the mean loss of the
        training rows is the share of the variance that is explained.
        """
        return (self.last.units.mean(inputs) - targets).square().mean(-1)

    def scores(self, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """``loss``, and ``squared_error`` in the targets' own units, summed over targets."""
        errors = self.std * (self.last.units.mean(inputs) - targets)
        return {
            "loss": self.losses(inputs, targets),
            "squared_error": errors.square().sum(-1),
        }

    @torch.no_grad()
    def to_sequential(self) -> nn.Sequential:
        """A copy as plain ``torch.nn`` modules that predicts in the targets' own units.

        Dropout is not in it: it belongs to training. Its predictions are of the weights' type,
        which rounds those of targets such as 1e8 ± 1.
        """
        linear = self.last.to_linear()
        linear.weight.mul_(self.std.unsqueeze(1))
        linear.bias.mul_(self.std).add_(self.mean)
        return nn.Sequential(*to_modules(self.all_layers[:-1]), linear)


def _type_of_moments(mean: Tensor, std: Tensor, dtype: torch.dtype) -> torch.dtype:
    """That of the weights, or float64 where that would round what tells targets apart."""
    rounding = torch.finfo(dtype).eps * mean.detach().abs()
    # a mean without a spread, of constant targets, has a standard deviation of 1
    return torch.float64 if (rounding > _LEAST_ROUNDING * std).any() else dtype


def _blocks(data: Data) -> Iterator[Tensor]:
    return data.blocks(stream=Stream(defaults.SEED, Purpose.ENCODE, rank=3))


def _any_numbers(data: Data) -> Units:
    return Gaussian(data.n_columns).to(data.values.device)


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
    negative = (labels < 0).nonzero()[:, 0]
    if len(negative):
        first = int(negative[0])
        raise ValueError(
            f"{len(negative)} labels of {data.name} are negative (the first is "
            f"{int(labels[first])}, at row {first}); number the classes from 0, and leave out rows "
            "that have no label"
        )
    return labels


def _targets(data: Data) -> Tensor:
    if data.targets is None:
        raise ValueError(
            f"{data.name} has no targets, and a regressor needs them for each row; say which "
            "columns hold them (`target=COLUMN`), or `from_array(..., targets=...)`"
        )
    return data.targets


def _listed(classes: Tensor) -> str:
    shown = ", ".join(str(int(label)) for label in classes[:_SHOWN])
    return shown + (f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else "")
