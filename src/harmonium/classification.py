"""Models that classify: the exact probability of a class, and gradients that learn it.

A visible layer ``Mixed(x_units, Categorical(1, n_classes))`` holds a row x and its class y. An RBM
over both is a classifier, for the sum over hidden states is known in closed form, and so is the
sum over the few classes (Larochelle and Bengio, 2008).

References
----------
.. [1] H. Larochelle and Y. Bengio (2008), "Classification using discriminative restricted
   Boltzmann machines", ICML.
.. [2] H. Larochelle, M. Mandel, R. Pascanu and Y. Bengio (2012), "Learning algorithms for the
   classification restricted Boltzmann machine", JMLR 13.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from harmonium import defaults, kernels
from harmonium.autograd import without_autograd
from harmonium.gradient import Gradient, Phase, PlainGradient
from harmonium.rbm import RBM
from harmonium.units import Categorical

# Hidden inputs that are worked on at a time: 4 MB of float32, of which few are needed at once.
_NUMBERS_AT_ONCE = 2**20


def class_columns(rbm: RBM) -> slice:
    """Columns of the class in a row of visible states: the last ones.

    Raises
    ------
    ValueError
        If the visible layer is not mixed, or its last unit is no single categorical one.
    """
    *others, (columns, units) = rbm.visible.groups
    if not others or not isinstance(units, Categorical) or units.n != 1:
        raise ValueError(
            f"a classifier's last visible unit is the class, but the visible layer is "
            f"{rbm.visible!r}; pass one such as Mixed(Binary(784), Categorical(1, 10))"
        )
    return columns


def n_classes(rbm: RBM) -> int:
    """Number of classes."""
    return rbm.visible.n_columns - int(class_columns(rbm).start)


@torch.no_grad()
def class_log_probabilities(rbm: RBM, x: Tensor) -> Tensor:
    """Log of p(class | x), exactly, nats, shape (rows, n_classes).

    The free energies of all classes take one product with x: classes differ by a row of weights.
    Memory beside the result is some megabytes, whatever the number of rows.

    Parameters
    ----------
    rbm
        With visible units ``Mixed(x_units, Categorical(1, n_classes))``.
    x
        States beside the class, shape (rows, visible.n_columns - n_classes).

    Raises
    ------
    ValueError
        If the visible layer has no class, or ``x`` is no table of the right width.
    """
    _check_x(rbm, x)
    at_once = max(1, _NUMBERS_AT_ONCE // rbm.hidden.n_columns)
    blocks = [_scores(rbm, _inputs(rbm, rows)).log_softmax(1) for rows in x.split(at_once)]
    return torch.cat(blocks)


def classify(rbm: RBM, x: Tensor) -> Tensor:
    """The most probable class of each row, int64, shape (rows,); see `class_log_probabilities`."""
    return class_log_probabilities(rbm, x).argmax(1)


@without_autograd
def add_discriminative_gradient_(
    rbm: RBM, v: Tensor, scale: float = 1.0, weights: Tensor | None = None
) -> None:
    """Add ``scale`` times the gradient of minus the mean of log p(class | x) to ``.grad``.

    Parameters
    ----------
    rbm
        As for `class_log_probabilities`; parameters without a gradient get one.
    v
        Rows (x, class), the class one-hot, shape (rows, visible.n_columns).
    scale
        Of what is added.
    weights
        How much each row counts in the mean, shape (rows,); None counts all alike.

    Raises
    ------
    ValueError
        If the visible layer has no class, or rows have another width.
    """
    columns = class_columns(rbm)
    rbm.visible.check_width(v, "visible")
    x, target = v[:, : columns.start], v[:, columns]
    hidden, of_class = rbm.hidden, rbm.weights[columns]
    inputs = _inputs(rbm, x)
    # of class y in row i: the derivative by that class's score
    residual = (_scores(rbm, inputs).softmax(1) - target).mul_(scale)
    if weights is None:
        residual.div_(len(v))
    else:
        residual.mul_((weights / weights.sum()).to(residual).unsqueeze(1))
    by_weights = _grad(rbm.weights)
    by_inputs = torch.zeros_like(inputs)
    for y, of_y in enumerate(of_class):
        weigh = residual[:, y]
        for name, mean in hidden.mean_statistics(inputs + of_y).items():
            if name == "bias":
                by_weights[columns.start + y].addmv_(mean.T, weigh)
                by_inputs.addcmul_(mean, weigh.unsqueeze(1))
            else:
                _grad(hidden.get_parameter(name)).addmv_(mean.T, weigh)
    by_weights[: columns.start].addmm_(x.T, by_inputs)
    _grad(hidden.bias).add_(by_inputs.sum(0))
    _grad(rbm.visible.bias)[columns].add_(residual.sum(0))


@dataclass
class HybridGradient(Gradient):
    """The gradient of minus log p(class | x) - weight · log p(x, class), centred (2008, section 4).

    The first term is discriminative and exact; the second, generative one regularises it, by
    chains as in any other training. Both together are centred as `CenteredGradient` does.

    Parameters
    ----------
    generative_weight
        0 trains discriminatively, without chains; 0.01 is the published weight for handwritten
        digits, 1 and more are near to generative training.
    rate
        Weight of the newest minibatch in the moving averages of the offsets, 0 to 1.
    """

    generative_weight: float = defaults.GENERATIVE_WEIGHT
    rate: float = defaults.OFFSET_RATE
    visible_offset: Tensor | None = field(default=None, repr=False)
    hidden_offset: Tensor | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a weight that is negative, and a rate that is no average."""
        if not 0 <= self.generative_weight < float("inf"):
            raise ValueError(
                f"generative_weight is {self.generative_weight}; pass 0 or a positive number"
            )
        if not 0 <= self.rate <= 1:
            raise ValueError(f"the offsets' rate is {self.rate}; pass a number from 0 to 1")

    @property
    def uses_chains(self) -> bool:  # noqa: D102
        return self.generative_weight > 0

    @without_autograd
    def write_(self, rbm: RBM, data: Phase, chains: Phase, scale: float = 1.0) -> None:  # noqa: D102
        visible, hidden = (of_layer["bias"] for of_layer in data.means)
        if self.visible_offset is None or self.hidden_offset is None:
            self.visible_offset, self.hidden_offset = visible.clone(), hidden.clone()
        self.visible_offset.lerp_(visible, self.rate)
        self.hidden_offset.lerp_(hidden, self.rate)
        PlainGradient().write_(rbm, data, chains, scale * self.generative_weight)
        rows, weights = data.unweighed or (data, None)
        add_discriminative_gradient_(rbm, rows.visible["bias"], scale, weights)
        self._centre_(rbm, self.visible_offset, self.hidden_offset)

    def _centre_(self, rbm: RBM, visible_offset: Tensor, hidden_offset: Tensor) -> None:
        """Make the gradient that of units from which offsets are subtracted: a linear map."""
        weights, visible, hidden = (
            _grad(parameter) for parameter in (rbm.weights, rbm.visible.bias, rbm.hidden.bias)
        )
        weights.addr_(visible_offset, hidden, alpha=-1).addr_(visible, hidden_offset, alpha=-1)
        visible.addmv_(weights, hidden_offset, alpha=-1)
        hidden.addmv_(weights.T, visible_offset, alpha=-1)

    def telling(self, rbm: RBM) -> list[Tensor]:  # noqa: D102
        return [p.grad for p in rbm.parameters() if p.grad is not None]

    def state(self) -> dict[str, Tensor]:  # noqa: D102
        offsets = {"visible_offset": self.visible_offset, "hidden_offset": self.hidden_offset}
        return {name: offset for name, offset in offsets.items() if offset is not None}


def _check_x(rbm: RBM, x: Tensor) -> None:
    n = class_columns(rbm).start
    if x.dim() != 2 or x.shape[1] != n:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but this RBM has {n} visible columns beside the "
            f"{n_classes(rbm)} of the class; pass shape (rows, {n})"
        )


def _inputs(rbm: RBM, x: Tensor) -> Tensor:
    """What the hidden units receive from x alone, shape (rows, hidden.n_columns)."""
    return kernels.product(x, rbm.weights[: x.shape[1]])


def _scores(rbm: RBM, inputs: Tensor) -> Tensor:
    """Minus the free energy of each class but for what all classes share, (rows, n_classes)."""
    columns = class_columns(rbm)
    scores = inputs.new_empty(len(inputs), columns.stop - columns.start)
    for y, weights in enumerate(rbm.weights[columns]):
        scores[:, y] = rbm.hidden.cgf(inputs + weights).sum(1)
    return scores + rbm.visible.bias[columns]


def _grad(parameter: nn.Parameter) -> Tensor:
    """The parameter's gradient, made at first use and kept."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
