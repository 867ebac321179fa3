"""What a training run is: the model, what moves it, its chains and its random numbers."""

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
    """What lets the host run ahead of a CUDA device."""

    check: GradientCheck
    recorder: Recorder


@dataclass
class TrainingState:
    """Everything that a training run is: saving it and going on changes no bit.

    Attributes
    ----------
    rbm
        The model that is trained.
    optimizer
        Descends the gradient that each update writes.
    sampler
        Moves the chains of the negative phase.
    gradient, penalties
        What each update writes into ``.grad``.
    chains
        Persistent chains (PCD; Tieleman, 2008). None starts chains at the rows of the minibatch
        in each update (CD; Hinton, 2002): the only difference between the two.
    stream
        Random numbers of the chains.
    seed
        Also orders the rows and encodes them (`Minibatches.batch`).
    schedule
        Changes the learning rate after each update; None keeps it.
    average, average_decay
        Exponential moving average of the parameters, as a model of its own, and its decay.
    update
        Updates made so far.
    population
        Follows the model and knows its log Z, once somebody has looked at that (`Monitor`); it
        draws from random numbers of its own, and takes no part in learning.
    ahead
        On CUDA, what spares the host waiting for the device; made by the first update there, and
        no part of a checkpoint.
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
        """Begin a run.

        Parameters
        ----------
        rbm
            A model whose weights were drawn (`RBM.init_from_data_`).
        sampler
            One Gibbs sweep an update by default.
        n_chains
            Persistent chains, as many as you like, started at random; None for CD.
        learning_rate, momentum
            Of plain stochastic gradient descent; not used if an optimiser is given.
        optimizer
            Any `torch.optim` optimiser over ``rbm.parameters()`` that needs no closure (LBFGS
            does: it searches along a line of losses, which are not known here).
        schedule
            Makes a scheduler that is stepped after each update, e.g.
            ``lambda optimizer: training.linear_to_zero(optimizer, n_updates)``.
        gradient
            The centred gradient by default.
        penalties
            `Penalties()` by default, which leaves weights and activity alone.
        average_decay
            Decay per update of the moving average of the parameters, such as 0.999; None for none.
        seed
            Of everything that is random in the run.

        Raises
        ------
        TypeError
            If an option is of another type, such as a name for a sampler.
        ValueError
            If an option is out of its range.
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
                # a few large tensors: looking for the fastest way takes longer than going it
                foreach=None if rbm.weights.is_cuda else False,
            )
        else:
            check_optimizer(
                optimizer,
                rbm,
                called="RBM",
                why_no_lbfgs="LBFGS compares losses, and the log-likelihood of an RBM is not known "
                "while it is trained",
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
        """The model to judge and to keep: the averaged one, where there is one."""
        return self.rbm if self.average is None else self.average

    @property
    def learning_rate(self) -> float:
        """Learning rate of the next update."""
        return float(self.optimizer.param_groups[0]["lr"])


def check_hidden_differ(weights: Tensor, hidden: Units, remedy: str) -> None:
    """Refuse to train hidden units that are all alike: they would learn the same for ever.

    Parameters
    ----------
    weights
        Those that lead to the units, shape (n_columns below, hidden.n_columns).
    hidden
        The units.
    remedy
        What draws their weights.

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
