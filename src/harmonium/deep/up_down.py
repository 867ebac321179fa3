"""Up-down fine-tuning: contrastive wake-sleep for a complete deep belief network.

References
----------
.. [1] G. E. Hinton, S. Osindero and Y. W. Teh (2006), "A fast learning algorithm for deep belief
   nets", Neural Computation 18, section 5 and appendix B.
.. [2] G. E. Hinton, P. Dayan, B. J. Frey and R. M. Neal (1995), "The wake-sleep algorithm for
   unsupervised neural networks", Science 268.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults, kernels, training
from harmonium.arguments import check_type, no_tensor
from harmonium.autograd import without_autograd
from harmonium.datasets import Minibatches
from harmonium.deep.dbn import DBN
from harmonium.gradient import Gradient, Penalties
from harmonium.optimization import check_learning_rate, check_maker, make_schedule
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Gibbs, Sampler
from harmonium.training import Contrastive
from harmonium.training.learner import check_hidden_differ, finish_, not_finite
from harmonium.training.updating import total_weight, write_gradient
from harmonium.units import Units


@dataclass
class UpDownState(Contrastive):
    """The state of up-down fine-tuning between two updates.

    Attributes
    ----------
    dbn
        The untied network; changed in place.
    sampler, chains
        Sampler and chains of the top RBM. With None, chains start in each update at the rows of the
        mini-batch, passed up, as in the paper: contrastive divergence at the top. With persistent
        chains, the sleep phase uses samples from the model itself.
    gradient, penalties
        For the top RBM (`training.Contrastive`).
    stream
        Random numbers.
    optimizer, schedule, seed, update
        As in `training.Learner`.
    """

    called = "network"

    dbn: DBN
    optimizer: Optimizer
    sampler: Sampler
    chains: ChainState | None
    gradient: Gradient
    penalties: Penalties
    stream: Stream
    seed: int
    schedule: LRScheduler | None = None
    update: int = 0

    @classmethod
    def create(
        cls,
        dbn: DBN,
        *,
        sampler: Sampler | None = None,
        n_chains: int | None = None,
        learning_rate: float = defaults.LEARNING_RATE,
        optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        gradient: Gradient | None = None,
        penalties: Penalties | None = None,
        seed: int = defaults.SEED,
    ) -> UpDownState:
        """Create the state at the start of fine-tuning; a tied network is untied.

        Parameters
        ----------
        dbn
            Two hidden layers or more.
        sampler
            Ten Gibbs sweeps per update by default.
        n_chains
            Persistent chains of the top RBM; None for chains that start at the data.
        learning_rate
            For plain stochastic gradient descent; small, because the network is pretrained.
        optimizer
            Creates another optimiser for the parameters it is given (`trained_parameters`).
        schedule
            Creates a scheduler that is stepped after each update.
        gradient, penalties
            For the top RBM: the centred gradient and no penalties by default.
        seed
            Random seed.

        Raises
        ------
        ValueError
            If the network has one hidden layer, or an option is out of range.
        """
        check_type("dbn", dbn, DBN, "a DBN of two hidden layers or more")
        if len(dbn) < 2:
            raise ValueError(
                "the network has 1 hidden layer, and no ways up and down that could be fine-tuned "
                "apart; pass one of 2 or more, or train the RBM further with harmonium.training"
            )
        check_learning_rate(learning_rate)
        check_maker("optimizer", optimizer, "torch.optim.Adam, or lambda parameters: ...")
        sampler = sampler or Gibbs(defaults.UP_DOWN_SWEEPS)
        contrast = cls.contrast(dbn.top, sampler, n_chains, gradient, penalties, seed)
        dbn.untie_()
        parameters = trained_parameters(dbn)
        made = optimizer(parameters) if optimizer else torch.optim.SGD(parameters, lr=learning_rate)
        return cls(**contrast, dbn=dbn, optimizer=made, schedule=make_schedule(made, schedule))

    def targets(self, batches: Minibatches) -> None:
        """It learns from rows alone."""

    def learn_(  # noqa: D102
        self, batch: Tensor, targets: Tensor | None, batch_size: int, weights: Tensor | None
    ) -> None:
        update(self, batch, batch_size, weights)


def trained_parameters(dbn: DBN) -> list[nn.Parameter]:
    """The parameters that an untied network uses: generative, recognition, and the top RBM."""
    used: list[nn.Parameter] = []
    for down, up in zip(dbn.stack[:-1], dbn.recognition[:-1], strict=True):
        used += [down.weights, *down.visible.parameters(), up.weights, *up.hidden.parameters()]
    used += dbn.top.parameters()
    return [parameter for parameter in used if parameter.requires_grad]


@without_autograd
def update(
    state: UpDownState,
    batch: Tensor,
    batch_size: int | None = None,
    weights: Tensor | None = None,
) -> None:
    """Make one update from a mini-batch.

    Wake: hidden states are drawn upwards from the rows, and each generative layer learns to predict
    the states below it from those above. The top RBM learns from its visible states and from its
    chains. Sleep: states are drawn downwards from the current chains, and each recognition layer
    learns to predict the states above it from those below.

    Parameters
    ----------
    state
        Changed in place.
    batch
        Visible states, shape (rows, visible.n_columns); for a network with label units, followed by
        the one-hot label (`Data.join_labels`).
    batch_size
        Rows of a full batch; a shorter batch then counts for less. None treats this batch as full.
    weights
        As for `training.update`. A chain that started at a row has the weight of the row.

    Raises
    ------
    TypeError
        If the batch, or the weights, are not a tensor.
    ValueError
        If the rows have the wrong width; if weights are not one a row, or are negative, not finite
        or all 0; or, before the first update, if all hidden units of the top RBM are identical
        because their weights were neither drawn nor learned.
    FloatingPointError
        If a gradient is not finite; names the update. The parameters are then as before it.
    """
    dbn, stream = state.dbn, state.stream
    if not isinstance(batch, Tensor):
        raise no_tensor("batch", batch)
    v, labels = _split(dbn, batch.to(dbn.top.weights.dtype))
    if state.update == 0:  # the layers below learn from random draws, which break the symmetry
        check_hidden_differ(dbn.top.weights, dbn.top.hidden, "pretrain the network first")
    n_rows = float(batch.shape[0])
    share = None
    if weights is not None:
        if not isinstance(weights, Tensor):
            raise no_tensor("weights", weights)
        weights = weights.to(v)
        n_rows = total_weight(weights, batch)
        share = (weights * (len(weights) / weights.sum())).unsqueeze(1)
    scale = n_rows / batch_size if batch_size else 1.0
    awake = _draw_up(dbn, v, stream)
    for rbm, below, above in zip(dbn.stack[:-1], awake, awake[1:], strict=False):
        inputs = rbm.inputs_v_from_h(above)
        errors = _teach(rbm.visible, below, inputs, scale, share)
        _set_grad(rbm.weights, kernels.mm(errors.T, above), -scale / len(above))
    top = torch.cat((awake[-1], labels), 1)
    chains = write_gradient(state, dbn.top, scale, weights, top, stream, dreams=True)
    if state.chains is not None:
        share = None
    asleep = _draw_down(dbn, chains.visible[:, : dbn.n_features], stream)
    for rbm, below, above in zip(dbn.recognition[:-1], asleep, asleep[1:], strict=False):
        inputs = rbm.inputs_h_from_v(below)
        errors = _teach(rbm.hidden, above, inputs, scale, share)
        _set_grad(rbm.weights, kernels.mm(below.T, errors), -scale / len(below))
    _refuse_non_finite(state)
    state.optimizer.step()
    state.penalties.shrink_(dbn.top, state.optimizer, scale, state.gradient.shares)
    finish_(state)


def updates(state: UpDownState, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Fine-tune until ``epochs`` epochs in total, yielding after every update.

    Parameters
    ----------
    state
        Changed in place; a state that has seen some epochs continues from there.
    batches
        The training data; for a network with label units, from ``data.join_labels(n_classes)``.
    epochs
        Total number of epochs.

    Raises
    ------
    ValueError
        If the width of the data differs from the network's.
    """
    check_type("state", state, UpDownState, "UpDownState.create(dbn)")
    yield from training.updates(state, batches, epochs)


def _split(dbn: DBN, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Visible states, and one-hot labels (zero columns if there are no label units)."""
    width, n_classes = dbn.visible.n_columns, dbn.n_classes or 0
    if batch.dim() != 2 or not len(batch) or batch.shape[1] != width + n_classes:
        labels = f" and {n_classes} of the labels (Data.join_labels)" if n_classes else ""
        raise ValueError(
            f"a batch has shape {tuple(batch.shape)}, but the network has {width} visible "
            f"columns{labels}; pass shape (rows, {width + n_classes})"
        )
    return batch[:, :width], batch[:, width:]


def _draw_up(dbn: DBN, v: Tensor, stream: Stream) -> list[Tensor]:
    """States of all layers below the top one, from the visible units up."""
    states = [v]
    for rbm in dbn.recognition[:-1]:
        states.append(rbm.sample_h_from_v(states[-1], stream))
    return states


def _draw_down(dbn: DBN, h: Tensor, stream: Stream) -> list[Tensor]:
    """States of all layers below the top one, from the visible ones up, drawn downwards."""
    states = [h]
    for rbm in reversed(dbn.stack[:-1]):
        states.append(rbm.sample_v_from_h(states[-1], stream))
    return states[::-1]


def _teach(
    units: Units, states: Tensor, inputs: Tensor, scale: float, share: Tensor | None
) -> Tensor:
    """Set the gradient that makes states more probable given inputs; returns their errors.

    Rows count by ``share``, shape (rows, 1), of mean 1, and so do their errors.
    """
    expected = units.mean_statistics(inputs)
    seen = units.statistics(states)
    differences = {name: statistic - expected[name] for name, statistic in seen.items()}
    if share is not None:
        differences = {name: share * difference for name, difference in differences.items()}
    for name, difference in differences.items():
        _set_grad(units.get_parameter(name), difference.mean(0), -scale)
    return differences["bias"]


def _set_grad(parameter: nn.Parameter, value: Tensor, factor: float) -> None:
    if parameter.grad is None:
        parameter.grad = torch.empty_like(parameter)
    torch.mul(value, factor, out=parameter.grad)


def _refuse_non_finite(state: UpDownState) -> None:
    grads = [p.grad for p in trained_parameters(state.dbn) if p.grad is not None]
    if not math.isfinite(sum(grad.sum().item() for grad in grads)):
        raise not_finite(state, state.update + 1)
