"""The one training loop: contrastive divergence, persistent or not, one update at a time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler

from harmonium import defaults, diagnostics
from harmonium.autograd import without_autograd
from harmonium.datasets import Minibatches, Rows
from harmonium.gradient import (
    CenteredGradient,
    Gradient,
    GradientCheck,
    Penalties,
    Phase,
    PlainGradient,
    weigh,
)
from harmonium.graphs import CudaGraph, Recorder, memory
from harmonium.monitor import Following, Monitor, Population
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Gibbs, Sampler, Tempering, start_random
from harmonium.units import UNIT_TYPES

Row = dict[str, float]

Look = Callable[[RBM, ChainState | None, int], Row]
"""What a monitor is: the model, its persistent chains and the number of the update to numbers."""

_WATCHING_SHARE = 0.03
_PRODUCTS_PER_LOOK = 40

# Of a run, for following log Z: as much for reaching the model at the first look as for going on.
_FOLLOWING_SHARE = 0.03
_PRODUCTS_PER_TEMPERATURE, _PRODUCTS_PER_STEP = 2, 3
_FEWEST_TEMPERATURES = 100

# On CUDA, where nobody looks at rows or epochs, a gradient that is not finite is told by then.
_SETTLE_EVERY = 1_000


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
        ValueError
            If an option is out of its range.
        """
        if optimizer is None:
            if not (math.isfinite(learning_rate) and learning_rate >= 0):
                raise ValueError(
                    f"learning_rate is {learning_rate}; pass 0 or a positive number, such as "
                    f"{defaults.LEARNING_RATE}"
                )
            if not 0 <= momentum < 1:
                raise ValueError(f"momentum is {momentum}; pass a number from 0 to below 1")
            optimizer = torch.optim.SGD(
                [p for p in rbm.parameters() if p.requires_grad],
                lr=learning_rate,
                momentum=momentum,
                # a few large tensors: looking for the fastest way takes longer than going it
                foreach=None if rbm.weights.is_cuda else False,
            )
        else:
            _check_optimizer(optimizer, rbm)
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
            schedule=schedule(optimizer) if schedule else None,
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


def _check_optimizer(optimizer: Optimizer, rbm: RBM) -> None:
    """Refuse an optimiser that would train something else, or that cannot train this."""
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError(
            "LBFGS compares losses, and the log-likelihood of an RBM is not known while it is "
            "trained; pass an optimizer that needs gradients alone, such as SGD or Adam"
        )
    own = {id(parameter) for parameter in rbm.parameters()}
    for group in optimizer.param_groups:
        if not all(id(parameter) in own for parameter in group["params"]):
            raise ValueError(
                "the optimizer holds parameters that are none of this RBM's; make it over "
                "rbm.parameters(), after any conversion of the RBM"
            )


def linear_to_zero(optimizer: Optimizer, n_updates: int, done: int = 0) -> LRScheduler:
    """A learning rate that falls linearly to zero at update ``n_updates``.

    With ``done`` updates already made, the rate takes up where such a schedule would be then,
    counted from the optimiser's initial rate.

    Raises
    ------
    ValueError
        If there are no updates to fall over, or less than none are done.
    """
    if n_updates < 1 or done < 0:
        raise ValueError(
            f"n_updates is {n_updates} and done {done}; pass 1 or more updates, 0 or more of "
            "them done"
        )
    for group in optimizer.param_groups:
        initial = group.setdefault("initial_lr", group["lr"])
        group["lr"] = initial
    schedule = LinearLR(
        optimizer, start_factor=1, end_factor=0, total_iters=n_updates, last_epoch=done - 1
    )
    # whether making a scheduler already changes the rate depends on the version of torch
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * max(0.0, 1 - done / n_updates)
    return schedule


@without_autograd
def update(
    state: TrainingState,
    batch: Tensor,
    batch_size: int | None = None,
    weights: Tensor | None = None,
) -> None:
    """Learn from one minibatch.

    Parameters
    ----------
    state
        Changed in place.
    batch
        Visible states, shape (rows, visible.n_columns).
    batch_size
        Rows of a full batch. A shorter one then counts for less, so that every row of an epoch
        has the same weight; None takes this batch for a full one.
    weights
        How much each row counts, shape (rows,): a row of weight 2 as much as two rows. The
        gradient is that of the weighted mean; with ``batch_size`` it counts in proportion to the
        sum of the weights, in place of the number of rows. None counts every row once.

    Raises
    ------
    ValueError
        If the batch has another width than the visible layer, or the weights are not one a row,
        or are negative or not finite, or all zero.
    FloatingPointError
        If the gradient is not finite, naming the update (the first is 1, as in the rows of
        `run`); the parameters are then as they were before it. On CUDA, where waiting for the
        gradient would take longer than making it, `settle` raises this.
    """
    batch = batch.to(state.rbm.weights.dtype)
    state.rbm.visible.check_width(batch, "visible")
    n_rows = float(batch.shape[0])
    if weights is not None:
        weights = weights.to(batch)
        n_rows = _total_weight(weights, batch)
    scale = n_rows / batch_size if batch_size else 1.0
    ahead = _ahead(state)
    if ahead is None:
        _write_gradient(state, scale, weights, batch, state.stream)
        _refuse_non_finite(state)
    else:
        compute = partial(_write_checked_gradient, state, ahead.check, scale, weights)
        if scale == 1 and weights is None and _can_be_recorded(state):
            ahead.recorder(compute, batch, state.stream, _baked(state))
        else:
            compute(batch, state.stream)
    state.optimizer.step()
    if state.schedule is not None:
        state.schedule.step()
    state.update += 1
    if state.average is not None and state.average_decay is not None:
        # a short memory at first, so that the start is soon forgotten
        decay = min(state.average_decay, state.update / (state.update + 9))
        for average, parameter in zip(
            state.average.parameters(), state.rbm.parameters(), strict=True
        ):
            average.lerp_(parameter, 1 - decay)
    if state.update % _SETTLE_EVERY == 0:
        settle(state)


def _total_weight(weights: Tensor, batch: Tensor) -> float:
    total, least = weights.sum().item(), weights.min().item() if len(weights) else 0.0
    if weights.shape != batch.shape[:1] or not (math.isfinite(total) and total > 0 and least >= 0):
        raise ValueError(
            f"weights have shape {tuple(weights.shape)}, the least {least:g} and a sum of "
            f"{total:g}; pass shape ({len(batch)},), none below 0 and one above it"
        )
    return float(total)


def _write_gradient(
    state: TrainingState, scale: float, weights: Tensor | None, batch: Tensor, stream: Stream
) -> None:
    """All of an update that comes before the optimiser's step; on CUDA it is recorded.

    So it works in place on the state's tensors, and reads none of their values.
    """
    rbm, chains = state.rbm, state.chains
    visible = rbm.visible
    if chains is None:
        chains = ChainState(
            torch.empty_like(batch), batch.new_empty(len(batch), rbm.hidden.n_columns)
        )
        observed = rbm.observe_h_from_v(batch, chains.hidden, stream)
    else:
        observed = rbm.observe_h_from_v(batch)
    data = fantasies = Phase(visible.statistics(batch), observed)
    if state.gradient.uses_chains:
        chains, info = state.sampler(rbm, chains, stream, ends=state.chains is None)
        fantasies = Phase(visible.statistics(chains.visible), info.hidden)
    if weights is not None:
        if state.chains is None:  # a chain counts as the row that it started at
            fantasies = weigh(fantasies, weights)
        data = weigh(data, weights)
    state.gradient.write_(rbm, data, fantasies, scale, stream)
    state.penalties.add_(rbm, data, scale)


def _refuse_non_finite(state: TrainingState) -> None:
    """Look at sums of gradients: one bad number makes its sum bad, and a sum is cheap."""
    sums = (gradient.sum().item() for gradient in state.gradient.telling(state.rbm))
    if not math.isfinite(sum(sums)):
        raise _not_finite(state, state.update + 1)


def _not_finite(state: TrainingState, update: int) -> FloatingPointError:
    return FloatingPointError(
        f"the gradient of update {update} is not finite; the model is as it was "
        f"before it. The learning rate, {state.learning_rate:g}, is probably too large: resume "
        "from the last checkpoint or start again with a smaller one"
    )


# The host runs ahead of a CUDA device, and looks back now and then


def _ahead(state: TrainingState) -> Ahead | None:
    """What an update on CUDA needs, made anew where the parameters are others; None on CPU."""
    if state.ahead is None and not state.rbm.weights.is_cuda:
        return None
    parameters = list(state.rbm.parameters())
    if state.ahead is not None and not state.ahead.check.is_of(parameters):
        settle(state)
        state.ahead = None
    if state.ahead is None and state.rbm.weights.is_cuda:
        state.ahead = Ahead(
            GradientCheck(parameters), Recorder(partial(CudaGraph, parameters[0].device))
        )
    return state.ahead


def _write_checked_gradient(
    state: TrainingState,
    check: GradientCheck,
    scale: float,
    weights: Tensor | None,
    batch: Tensor,
    stream: Stream,
) -> None:
    _write_gradient(state, scale, weights, batch, stream)
    check()


def _can_be_recorded(state: TrainingState) -> bool:
    """Whether all that takes part is ours: other code may look at numbers, or keep count."""
    layers = (state.rbm.visible, state.rbm.hidden)
    units = [kind for layer in layers for kind in (type(layer), *(of for of, _, _ in layer.kinds))]
    return (
        type(state.sampler) is Gibbs
        and type(state.gradient) in (PlainGradient, CenteredGradient)
        and type(state.penalties) is Penalties
        and all(kind in UNIT_TYPES.values() for kind in units)
    )


def _baked(state: TrainingState) -> tuple[object, ...]:
    """What a recorded update takes for granted: where its tensors are, and its options."""
    chains = state.chains
    return (
        [(memory(p), memory(p.grad), p.requires_grad) for p in state.rbm.parameters()],
        None if chains is None else (memory(chains.visible), memory(chains.hidden)),
        state.sampler,
        *(
            {name: memory(x) if isinstance(x, Tensor) else x for name, x in vars(part).items()}
            for part in (state.gradient, state.penalties)
        ),
        type(state.gradient),
    )


def settle(state: TrainingState) -> None:
    """Wait for the device's verdict on the updates so far; on CPU there is nothing to wait for.

    `run` does this at each row, `updates` at the end of each epoch, `checkpoint.save` always, and
    `update` after every thousand updates.

    Raises
    ------
    FloatingPointError
        If the gradient of an update was not finite, naming the first. The parameters are then
        as they were before it, but ``state`` has counted the updates since, and its chains,
        optimiser and schedule have made them.
    """
    n_bad = 0 if state.ahead is None else state.ahead.check.undo()
    if n_bad:
        raise _not_finite(state, state.update - n_bad + 1)


def updates(state: TrainingState, batches: Minibatches, epochs: int) -> Iterator[int]:
    """Train until ``epochs`` epochs have been seen in all, yielding after every update."""
    for number in range(state.update, epochs * len(batches)):
        batch, weights = batches.batch(number, state.seed), batches.weights(number, state.seed)
        update(state, batch, batches.batch_size, weights)
        if state.update % len(batches) == 0:
            settle(state)
        yield state.update


class Watch:
    """Makes a row of numbers whenever one is due.

    Parameters
    ----------
    monitor
        What to look at; None reports progress alone.
    every
        Updates from one row to the next.
    batches
        What is trained on.
    last
        Number of the run's last update, which gets a row whatever ``every`` is.
    """

    def __init__(self, monitor: Look | None, every: int, batches: Minibatches, last: int) -> None:
        if every < 1:
            raise ValueError(f"every is {every}; pass 1 or more updates")
        self._monitor = monitor
        self._every = every
        self._batches = batches
        self._last = last
        self._weights: Tensor | None = None
        self._since: tuple[float, int] | None = None

    def is_due(self, update: int) -> bool:
        """Whether this update is followed by a row."""
        return update % self._every == 0 or update == self._last

    def __call__(self, state: TrainingState) -> Row | None:
        """Call after every update (and once before the first); returns a row when one is due."""
        row = None
        if self._since is None:
            self._since = (time.perf_counter(), state.update)
        elif self.is_due(state.update):
            settle(state)  # before the time is taken: the updates have to be over
            row = self._row(state)
            self._since = (time.perf_counter(), state.update)
        if self.is_due(state.update + 1):
            self._weights = state.rbm.weights.detach().clone()
        return row

    def _row(self, state: TrainingState) -> Row:
        assert self._since is not None
        began, first = self._since
        seconds = time.perf_counter() - began
        n_updates = state.update - first
        row: Row = {
            "update": state.update,
            "epoch": round(state.update / len(self._batches), 6),
            "learning_rate": state.learning_rate,
        }
        if self._monitor is not None:
            row |= self._monitor(state.model, state.chains, state.update)
        if isinstance(self._monitor, Monitor):
            likelihoods, state.population = self._monitor.log_likelihood(
                state.model, state.population
            )
            row |= likelihoods
        if self._weights is not None:
            ratio = diagnostics.update_ratio(self._weights, state.rbm.weights)
            if math.isfinite(ratio):
                row["update_ratio"] = ratio
        updates_per_second = n_updates / seconds
        rows_per_update = len(self._batches.data) / len(self._batches)
        row["rows_per_second"] = updates_per_second * rows_per_update
        n_chains = self._batches.batch_size if state.chains is None else len(state.chains)
        sweeps = state.sampler.config().get("sweeps", 1)
        row["sweeps_per_second"] = updates_per_second * n_chains * sweeps
        if state.chains is not None and state.chains.replicas is not None:
            row |= state.chains.replicas.row()
        return row


def default_every(batches: Minibatches) -> int:
    """Whole epochs, and enough updates that looking costs little beside training."""
    return -(-defaults.MIN_UPDATES_PER_ROW // len(batches)) * len(batches)


def default_monitor(
    state: TrainingState,
    batches: Minibatches,
    held_out: Rows | None,
    every: int,
    n_updates: int,
) -> Monitor:
    """Looks at so much that it costs a few per cent of the training.

    Counted in rows times matrix products: an update makes two for each row of the minibatch and
    two a sweep and one more for each chain; a look about twenty for each row, both of training
    and of held-out data. Log Z is followed for as much again, `Following`: with few updates, few
    steps are affordable, and its standard error says so.

    Parameters
    ----------
    state, batches, held_out
        What is trained, on what, and what is looked at beside.
    every
        Updates from one look to the next.
    n_updates
        Updates of the whole run.
    """
    n_chains = batches.batch_size if state.chains is None else len(state.chains)
    sweeps = state.sampler.config().get("sweeps", 1)
    per_update = 2 * batches.batch_size + (2 * sweeps + 1) * n_chains
    affordable = int(_WATCHING_SHARE * every * per_update / _PRODUCTS_PER_LOOK)
    n_rows = min(max(affordable, defaults.MONITOR_ROWS_LEAST), defaults.MONITOR_ROWS_MOST)
    per_particle = _FOLLOWING_SHARE / 2 * per_update / defaults.PARTICLES
    n_temperatures = int(per_particle * n_updates / _PRODUCTS_PER_TEMPERATURE)
    n_steps = int(per_particle * every / _PRODUCTS_PER_STEP)
    following = Following(
        n_temperatures=min(
            max(n_temperatures, _FEWEST_TEMPERATURES), defaults.PARTICLE_TEMPERATURES
        ),
        n_steps=min(max(n_steps, 1), defaults.PARTICLE_STEPS),
    )
    return Monitor(batches.data, held_out, n_rows, state.seed, following)


def run(
    state: TrainingState,
    batches: Minibatches,
    epochs: int,
    every: int | None = None,
    held_out: Rows | None = None,
    monitor: Look | None = None,
) -> Iterator[Row]:
    """Train, and yield a row of numbers every so many updates.

    Stopping early, plotting and saving are ordinary lines in the body of the caller's ``for``.

    Parameters
    ----------
    state
        Trained in place; a state that has seen some epochs goes on from there.
    batches
        What to learn from.
    epochs
        Epochs in all, those that ``state`` has already seen included.
    every
        Updates from one row to the next; by default whole epochs, at least 500 updates.
    held_out
        Rows to look at beside the training rows.
    monitor
        Looks at the model in place of `default_monitor`, which looks at rows of ``batches`` and
        of ``held_out``.

    Yields
    ------
    dict
        ``update``, ``epoch``, ``learning_rate``, what `Monitor` and `Monitor.log_likelihood`
        return, ``update_ratio`` (`diagnostics.update_ratio`), ``rows_per_second`` and
        ``sweeps_per_second`` (chains times sweeps); for tempered chains also `Replicas.row`.
    """
    if every is None:
        every = default_every(batches)
    if monitor is None:
        monitor = default_monitor(state, batches, held_out, every, epochs * len(batches))
    watch = Watch(monitor, every, batches, last=epochs * len(batches))
    watch(state)
    for _ in updates(state, batches, epochs):
        row = watch(state)
        if row is not None:
            yield row
