"""Sampling schedules, and samples taken from chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import check_count, check_type
from harmonium.gauge import Gauge
from harmonium.kernels.threads import following
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, check_stream
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.sampler import Sampler

# Sweeps per call while sampling: enough to amortise the start, few enough to react to Ctrl-C.
_SWEEPS_AT_ONCE = 50


@dataclass(frozen=True)
class SamplingSchedule:
    """How many samples to take from each chain, and how far apart.

    Parameters
    ----------
    n_warmup
        Sweeps before the first sample.
    n_samples
        Samples per chain.
    sweeps_per_sample
        Sweeps from one sample to the next.
    """

    n_warmup: int
    n_samples: int
    sweeps_per_sample: int

    def __post_init__(self) -> None:
        """Refuse a schedule without samples or with invalid numbers of sweeps."""
        for name, least in (("n_warmup", 0), ("n_samples", 1), ("sweeps_per_sample", 1)):
            check_count(name, getattr(self, name), least)

    @property
    def n_sweeps(self) -> int:
        """Total number of sweeps; the first sample is taken right after the warm-up."""
        return self.n_warmup + (self.n_samples - 1) * self.sweeps_per_sample


def sample(
    rbm: RBM,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    clamp: Clamp | None = None,
    sampler: Sampler | None = None,
    *,
    copies: bool = True,
) -> Iterator[ChainState]:
    """Yield the chains at each sample of the schedule.

    Each sample is a separate copy, a `ChainState`, so ``list(sample(...))`` holds all samples;
    `draw` returns their visible states as one array. The last sample has the same states as
    ``chains``, and either can be continued. ``rbm.mean_v_from_h(now.hidden)`` gives mean
    activations, which make smoother pictures.

    Parameters
    ----------
    rbm
        The model.
    chains
        The starting chains (`start_at`, `start_random`, or saved chains); moved in place.
    schedule
        Warm-up, number and spacing of the samples.
    stream
        Random numbers.
    clamp
        Visible columns to hold fixed while the rest is completed.
    sampler
        Moves the chains; each call counts as one sweep of the schedule. Gibbs by default.
    copies
        False yields ``chains`` itself each time, which is then moved in place. This saves memory
        and time, but each sample is valid only until the next one is requested.

    Raises
    ------
    TypeError
        If an argument has the wrong type, such as a seed instead of a stream.
    ValueError
        If chains or clamp do not fit the model. Raised at once, not at the first sample.
    """
    check_type("chains", chains, ChainState, "sampling.start_random(rbm, n_chains, stream)")
    chains.check(rbm)
    chains.check_states(rbm)
    check_type("schedule", schedule, SamplingSchedule, "SamplingSchedule(1_000, 10, 100)")
    check_stream(stream)
    if clamp is not None:
        check_type("clamp", clamp, Clamp, "Clamp(mask, values), or None")
        clamp.check(rbm, chains)
    if sampler is not None:
        check_type("sampler", sampler, Sampler, "a sampler such as Gibbs(), or None")
    moments = _samples(rbm, chains, schedule, stream, clamp, sampler)
    return (now.clone() for now in moments) if copies else moments


def draw(
    rbm: RBM,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    clamp: Clamp | None = None,
    sampler: Sampler | None = None,
) -> Tensor:
    """Visible states of the chains at all samples of the schedule, as one array.

    Parameters and errors are those of `sample`. `RBM.sample` is shorter if every row should come
    from its own chain.

    Returns
    -------
    Tensor
        Shape (n_samples, n_chains, visible.n_columns).
    """
    moments = sample(rbm, chains, schedule, stream, clamp, sampler, copies=False)
    shape = (schedule.n_samples, *chains.visible.shape)
    samples = chains.visible.new_empty(shape)
    for number, now in enumerate(moments):
        samples[number] = now.visible
    return samples


def _samples(
    rbm: RBM,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    clamp: Clamp | None,
    sampler: Sampler | None,
) -> Iterator[ChainState]:
    given, gauge = chains, Gauge(rbm)
    if sampler is None or isinstance(sampler, Gibbs):  # other samplers' ladders do this themselves
        gauge = Gauge.of(rbm)
    rbm, chains = gauge.rbm, given.entering(gauge)
    if clamp is not None:
        clamp = Clamp(clamp.mask, gauge.enter(clamp.values))
        with torch.no_grad():
            clamp.apply_(chains.visible)
            rbm.hidden.sample_(kernels.mm(chains.visible, rbm.weights, out=chains.hidden), stream)
    for n_sweeps in (schedule.n_warmup, *[schedule.sweeps_per_sample] * (schedule.n_samples - 1)):
        at_once = _SWEEPS_AT_ONCE if sampler is None else 1
        for done in range(0, n_sweeps, at_once):
            move = sampler or Gibbs(min(at_once, n_sweeps - done))
            with following():
                move(rbm, chains, stream, clamp)
        given.follow_(chains, gauge)
        yield given
