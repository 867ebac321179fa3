"""The state of a training run: model, optimiser, chains and random numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults
from harmonium.arguments import check_count, check_number, check_type, described
from harmonium.datasets import MaskedRows, Minibatches, Rows, check_rows, has_missing
from harmonium.gradient import Gradient, GradientCheck, Incomplete, Penalties, lone_units
from harmonium.monitor import Population
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Gibbs, Sampler
from harmonium.training.learner import Contrastive, check_every
from harmonium.training.missing import Completions, Missing, check_missing, check_vanishing
from harmonium.training.runaway import ran_away
from harmonium.training.updating import Ahead, check_start, update
from harmonium.training.watching import Look, Watch, default_every, default_monitor


@dataclass
class TrainingState(Contrastive):
    """The complete state of a training run; resuming from a saved copy gives bit-identical results.

    Attributes
    ----------
    rbm
        The model that is trained.
    sampler, chains, gradient, penalties
        As in `Contrastive`.
    stream
        Random numbers of the chains.
    phases
        Samplers, each with the number of updates after which it takes over, the first with 0;
        empty if one moves the chains all the time.
    average, average_decay
        Exponential moving average of the parameters, as a separate model, and its decay.
    optimizer, schedule, seed, update
        As in `Learner`.
    population
        Particles that track the model and its log Z, once a `Monitor` has asked for it. They have
        their own random numbers and do not affect learning.
    missing
        What is assumed of missing values: `Missing`.
    completions
        The missing states of the training rows, once a mini-batch has been completed.
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
    phases: tuple[tuple[int, Sampler], ...] = ()
    population: Population | None = field(default=None, repr=False)
    missing: Missing = "random"
    completions: Completions | None = field(default=None, repr=False)
    ahead: Ahead | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        rbm: RBM,
        *,
        sampler: Sampler | None = None,
        phases: Mapping[int, Sampler] | None = None,
        n_chains: int | None = defaults.N_CHAINS,
        learning_rate: float = defaults.LEARNING_RATE,
        momentum: float = defaults.MOMENTUM,
        optimizer: Optimizer | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        gradient: Gradient | None = None,
        penalties: Penalties | None = None,
        average_decay: float | None = defaults.AVERAGE_DECAY,
        missing: Missing = "random",
        seed: int = defaults.SEED,
    ) -> TrainingState:
        """Start a run.

        Parameters
        ----------
        rbm
            A model whose weights have been drawn (`RBM.init_from_data_`).
        sampler
            By default, one Gibbs sweep per update.
        phases
            Other samplers, each by the number of updates after which it takes over:
            ``{7_000: Gibbs(3)}``, or `training.final_phase`.
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
        missing
            What is assumed of missing values of the rows, if there are any: `Missing`.
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
        check_missing(missing, n_chains)
        if missing == "observed":
            check_vanishing(rbm.visible)
        contrast = cls.contrast(rbm, sampler or Gibbs(), n_chains, gradient, penalties, seed)
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
        state = cls(
            **contrast,
            rbm=rbm,
            optimizer=optimizer,
            schedule=make_schedule(optimizer, schedule),
            average=copy.deepcopy(rbm) if average_decay is not None else None,
            average_decay=average_decay,
            missing=missing,
        )
        if phases:
            state.take_phases_({0: state.sampler, **phases})
        return state

    @property
    def model(self) -> RBM:
        """The model to evaluate and to save: the averaged one, if there is one."""
        return self.rbm if self.average is None else self.average

    def take_phases_(self, phases: Mapping[int, Sampler]) -> None:
        """Let each sampler move the chains from its number of updates on, of which one is 0."""
        for begins, sampler in phases.items():
            check_count("the first update of a phase", begins, 0)
            check_type("the sampler of a phase", sampler, Sampler, "Gibbs(3) or another sampler")
        self.phases = tuple((begins, phases[begins]) for begins in sorted(phases))
        for begins, sampler in self.phases:
            if begins <= self.update:
                self.sampler = sampler

    @property
    def device_check(self) -> GradientCheck | None:  # noqa: D102
        return None if self.ahead is None else self.ahead.check

    def targets(self, batches: Minibatches) -> None:
        """An RBM learns from rows alone; refuses a model that cannot be trained."""
        if self.update == 0:
            check_start(self)

    def ran_away(self) -> str | None:  # noqa: D102
        return ran_away(self.rbm)

    def states(self, batches: Minibatches) -> Tensor | MaskedRows | Incomplete:
        """The rows of the next update, whose missing states are drawn unless units are left out.

        Where a single categorical unit is missing, it is summed out instead.
        """
        data = batches.data
        if not has_missing(data):
            return super().states(batches)  # type: ignore[no-any-return]
        rows = batches.masked_batch(self.update, self.seed)
        if self.missing == "observed":
            return rows
        missing, others = lone_units(self.rbm.visible, rows.observed)
        states = rows.states
        if len(others):
            observed = rows.observed.clone()
            is_other = torch.zeros(len(rows), dtype=torch.bool, device=others.device)
            is_other[others] = True
            observed[~is_other] = True  # nothing to draw there
            states = self._completed(batches, MaskedRows(states, observed))
        return Incomplete(states, tuple(missing)) if missing else states

    def _completed(self, batches: Minibatches, rows: MaskedRows) -> Tensor:
        """The rows of the next update with new draws of what is missing of them."""
        visible, data = self.rbm.visible, batches.data
        assert has_missing(data)
        if self.completions is None:
            self.completions = Completions.begin(visible, data, self.seed)
        elif self.completions.mask is not data.mask:
            self.completions.find_(visible, data)
        index = batches.rows(self.update, self.seed)
        sweeps = int(self.sampler.config().get("sweeps", 1))
        return self.completions.complete_(self.rbm, index, rows, sweeps)

    def learn_(  # noqa: D102
        self,
        batch: Tensor | MaskedRows | Incomplete,
        targets: Tensor | None,
        batch_size: int,
        weights: Tensor | None,
    ) -> None:
        update(self, batch, batch_size, weights)

    def watch(  # noqa: D102
        self,
        batches: Minibatches,
        last: int,
        every: int | None = None,
        held_out: Rows | None = None,
        monitor: Look | None = None,
    ) -> Watch:
        if held_out is not None:
            check_rows("held_out", held_out)
        if monitor is not None and not callable(monitor):
            raise TypeError(f"monitor is {described(monitor)}; pass Monitor(data), or None")
        if every is None:
            every = default_every(batches, self, last)
        check_every(every)
        if monitor is None:
            monitor = default_monitor(self, batches, held_out, every, last)
        return Watch(monitor, every, batches, last)


def final_phase(sampler: Sampler, n_updates: int) -> dict[int, Sampler]:
    """The phase in which this sampler moves the chains in the last 30 % of so many updates."""
    return {round((1 - defaults.FINAL_SHARE) * n_updates): sampler}
