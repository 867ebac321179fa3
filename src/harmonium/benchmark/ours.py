"""harmonium as a contestant: the training loop of every run, and the sampling function."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from statistics import median

import torch

from harmonium import diagnostics, training
from harmonium.benchmark.peers import Start
from harmonium.benchmark.workloads import (
    LEARNING_RATE,
    Sampling,
    Training,
    Workload,
    synchronize,
)
from harmonium.datasets import Data, Minibatches
from harmonium.kernels.threads import following
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.sampling import Gibbs, SamplingSchedule, sample, start_at
from harmonium.training import TrainingState, Watch
from harmonium.units import Binary

_FOREVER = 2**31  # epochs
_MANY = 100_000  # samples

# How models are trained before the measurement.
WARM_UP_BATCH = 100


def train(n_hidden: int, data: Data, epochs: int) -> RBM:
    """A model to start from, trained with PCD-1; untrained with 0 epochs."""
    rbm = RBM(Binary(data.n_columns), Binary(n_hidden)).init_from_data_(data, seed=0)
    rbm = rbm.to(data.values.device)
    batches = Minibatches(data, min(WARM_UP_BATCH, len(data)))
    state = TrainingState.create(
        rbm, n_chains=batches.batch_size, learning_rate=LEARNING_RATE, sampler=Gibbs(1)
    )
    for _ in training.updates(state, batches, epochs):
        pass
    return rbm


def start_from(rbm: RBM, workload: Workload, data: Data) -> Start:
    """The common start of all contestants of a workload: chains start at training rows."""
    states = torch.cat(list(data.blocks()))
    return Start(
        states=states,
        weights=rbm.weights.detach().clone(),
        visible_bias=rbm.visible.bias.detach().clone(),
        hidden_bias=rbm.hidden.bias.detach().clone(),
        chains=states[: workload.rows].clone(),
    )


def begin(workload: Training, rbm: RBM, start: Start) -> TrainingState:
    """The state of a run that continues from a trained model, with chains at training rows."""
    state = TrainingState.create(
        copy.deepcopy(rbm),
        sampler=Gibbs(workload.sweeps),
        n_chains=workload.batch_size if workload.persistent else None,
        learning_rate=LEARNING_RATE,
    )
    if workload.persistent:
        state.chains = start_at(state.rbm, start.chains, state.stream)
    return state


class OurTraining:
    """The loop of `training.run` and ``harmonium train``, paused between updates.

    A row of numbers is due only once in many blocks. The cost of monitoring is therefore measured
    in every block, by one extra evaluation, and distributed equally over the updates, instead of
    counting the evaluations that happen to fall into the block. The set-up of the first evaluation
    is not included.
    """

    def __init__(self, state: TrainingState, batches: Minibatches, held_out: Data) -> None:
        self._state = state
        self._every = training.default_every(batches)
        last = _FOREVER * len(batches)
        self._monitor = training.default_monitor(state, batches, held_out, self._every, last)
        self._watch = Watch(self._monitor, self._every, batches, last)
        self._updates = self._loop(batches)
        self._looking = 0.0
        self._watching: list[float] = []  # fractions of the blocks' time
        self._row: dict[str, float] = {}
        self._population = self._monitor.log_likelihood(state.model, None)[1]

    def rate(self, seconds: float) -> float:
        """Updates per second in one block, monitoring included."""
        began, n_updates, elapsed = time.perf_counter(), 0, 0.0
        self._looking = 0.0
        while elapsed < seconds:
            next(self._updates)
            n_updates += 1
            elapsed = time.perf_counter() - began - self._looking
        synchronize(self._state.rbm.weights.device)
        elapsed = time.perf_counter() - began - self._looking
        began = time.perf_counter()
        model = self._state.model
        with following():
            self._row = self._monitor(model, self._state.chains, self._state.update)
            _, self._population = self._monitor.log_likelihood(model, self._population)
        look = (time.perf_counter() - began) / self._every
        an_update = elapsed / n_updates + look
        self._watching.append(look / an_update)
        return 1 / an_update

    def seen(self) -> dict[str, float]:
        """Fraction of time spent on monitoring, after the first block, and its last result."""
        flips = {name: self._row[name] for name in ("visible_flip_rate", "hidden_flip_rate")}
        return {"watching": median(self._watching[1:]), **flips}

    def _loop(self, batches: Minibatches) -> Iterator[None]:
        self._watch(self._state)
        for _ in training.updates(self._state, batches, _FOREVER):
            began = time.perf_counter()
            if self._watch(self._state) is not None:
                self._looking += time.perf_counter() - began
            yield


class OurSampling:
    """`sampling.sample`, one sample after the other."""

    def __init__(self, workload: Sampling, rbm: RBM, start: Start) -> None:
        self._rbm = rbm
        stream = Lane.SAMPLES.stream(0)
        self._chains = start_at(rbm, start.chains, stream)
        schedule = SamplingSchedule(0, _MANY, workload.sweeps)
        self._samples = sample(rbm, self._chains, schedule, stream, copies=False)
        self._work = workload.n_chains * workload.sweeps
        next(self._samples)  # where the chains start

    def __call__(self) -> int:
        """Advance to the next sample; returns sweeps times chains."""
        next(self._samples)
        return self._work

    def seen(self) -> dict[str, float]:
        """Fractions of the units that one more sweep changes."""
        stream = Lane.FLIPS.stream(0)
        rates = diagnostics.flip_rates(self._rbm, self._chains.clone(), stream)
        return {f"{layer}_flip_rate": rate for layer, rate in rates.items()}
