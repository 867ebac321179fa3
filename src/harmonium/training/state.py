"""The state of a training run: model, optimiser, chains and random numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults
from harmonium.arguments import check_number, check_type
from harmonium.gradient import CenteredGradient, Gradient, GradientCheck, Penalties
from harmonium.graphs import Recorder
from harmonium.monitor import Population
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Gibbs, Sampler, Tempering, start_random
from harmonium.units import Units


@dataclass
class Ahead:
    """Objects that let the host run ahead of a CUDA device."""

    check: GradientCheck
    recorder: Recorder


@dataclass
class TrainingState:
    """The complete state of a training run; resuming from a saved copy gives bit-identical results.

    Attributes
    ----------
    rbm
        The model that is trained.
    optimizer
        Optimiser that descends the gradient of each update.
    sampler
        Moves the chains of the negative phase.
    gradient, penalties
        They define what each update writes into ``.grad``.
    chains
        Persistent chains (PCD; Tieleman, 2008). If None, each update starts chains at the rows of
        its mini-batch (CD; Hinton, 2002). PCD and CD differ in nothing else.
    stream
        Random numbers of the chains.
    seed
        Seed that also orders and encodes the rows (`Minibatches.batch`).
    schedule
        Changes the learning rate after each update; None keeps it constant.
    average, average_decay
        Exponential moving average of the parameters, as a separate model, and its decay.
    update
        Updates made so far.
    population
        Particles that track the model and its log Z, once a `Monitor` has asked for it. They have
        their own random numbers and do not affect learning.
    ahead
        On CUDA, lets the host run without waiting for the device. The first update creates it;
        checkpoints do not store it.
    """

    rbm: RBM
    optimizer: Optimizer
    sampler: Sampler
    gradient: Gradient
    penalties: Penalties
    chains: ChainState | None
    stream: Stream
    seed: int
    schedule: LRScheduler | None = None
    average: RBM | None = None
    average_decay: float | None = None
    update: int = 0
    population: Population | None = field(default=None, repr=False)
    ahead: Ahead | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        rbm: RBM,
        *,
        sampler: Sampler | None = None,
        n_chains: int | None = defaults.N_CHAINS,
        learning_rate: float = defaults.LEARNING_RATE,
        momentum: float = defaults.MOMENTUM,
        optimizer: Optimizer | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        gradient: Gradient | None = None,
        penalties: Penalties | None = None,
        average_decay: float | None = defaults.AVERAGE_DECAY,
        seed: int = defaults.SEED,
    ) -> TrainingState:
        """Start a run.

        Parameters
        ----------
        rbm
            A model whose weights have been drawn (`RBM.init_from_data_`).
        sampler
            By default, one Gibbs sweep per update.
        n_chains
            Number of persistent chains, which start at random; None for CD.
        learning_rate, momentum
            For plain stochastic gradient descent; not used if an optimiser is given.
        optimizer
            Any `torch.optim` optimiser over ``rbm.parameters()`` that needs no closure (LBFGS does:
            its line search needs the loss, which is intractable here).
        schedule
            Makes a scheduler that is stepped after each update, e.g.
            ``lambda optimizer: training.linear_to_zero(optimizer, n_updates)``.
        gradient
            The centred gradient by default.
        penalties
            By default `Penalties()`, which penalises neither weights nor activity.
        average_decay
            Decay per update of the moving average of the parameters, such as 0.999; None for no
            average.
        seed
            Seed of everything random in the run.

        Raises
        ------
        TypeError
            If an option has the wrong type, such as a name instead of a sampler.
        ValueError
            If an option is out of range.
        """
        check_rbm("rbm", rbm)
        for name, given, kind, remedy in (
            ("sampler", sampler, Sampler, "a sampler such as Gibbs() or Tempering()"),
            ("gradient", gradient, Gradient, "CenteredGradient() or PlainGradient()"),
            ("penalties", penalties, Penalties, "Penalties(l2=1e-4), with the numbers you want"),
        ):
            if given is not None:
                check_type(name, given, kind, remedy)
        if optimizer is None:
            check_learning_rate(learning_rate, momentum)
            optimizer = torch.optim.SGD(
                [p for p in rbm.parameters() if p.requires_grad],
                lr=learning_rate,
                momentum=momentum,
                # a few large tensors: choosing the fastest way takes longer than the work itself
                foreach=None if rbm.weights.is_cuda else False,
            )
        else:
            check_optimizer(
                optimizer,
                rbm,
                called="RBM",
                why_no_lbfgs="LBFGS compares losses, but the log-likelihood of an RBM is "
                "intractable during training",
            )
        if average_decay is not None:
            check_number("average_decay", average_decay, "a number between 0 and 1, or None")
        if average_decay is not None and not 0 < average_decay < 1:
            raise ValueError(f"average_decay is {average_decay}; pass a number between 0 and 1")
        if n_chains is None and isinstance(sampler, Tempering):
            raise ValueError(
                "tempering moves replicas that have to persist, and CD starts chains anew in each "
                "update; pass n_chains, or take Gibbs"
            )
        penalties = penalties or Penalties()
        penalties.check(rbm)
        stream = Stream(seed, Purpose.CHAINS)
        return cls(
            rbm=rbm,
            optimizer=optimizer,
            sampler=sampler or Gibbs(),
            gradient=gradient or CenteredGradient(),
            penalties=penalties,
            chains=None if n_chains is None else start_random(rbm, n_chains, stream),
            stream=stream,
            seed=seed,
            schedule=make_schedule(optimizer, schedule),
            average=copy.deepcopy(rbm) if average_decay is not None else None,
            average_decay=average_decay,
        )

    @property
    def model(self) -> RBM:
        """The model to evaluate and to save: the averaged one, if there is one."""
        return self.rbm if self.average is None else self.average

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])


def check_hidden_differ(weights: Tensor, hidden: Units, remedy: str) -> None:
    """Refuse to train identical hidden units, because they would stay identical.

    Parameters
    ----------
    weights
        Weights that lead to the units, shape (n_columns below, hidden.n_columns).
    hidden
        The units.
    remedy
        Code that draws the weights, for the message.

    Raises
    ------
    ValueError
        If there are two or more, and all have the same weights and biases.
    """
    bias = hidden.bias
    if len(bias) > 1 and bool((bias == bias[0]).all()) and bool((weights == weights[:, :1]).all()):
        zero = "zero" if not bool(weights.any()) else "the same"
        raise ValueError(
            f"all {len(bias)} hidden units are alike: their weights are {zero}, so that every "
            f"update would change them alike; draw the weights first: {remedy}"
        )
