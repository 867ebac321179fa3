"""When samples are taken from chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.sampler import Sampler

# Sweeps of one call while sampling: enough that beginning costs nothing, and Ctrl-C is heard.
_SWEEPS_AT_ONCE = 50


@dataclass(frozen=True)
class SamplingSchedule:
    """How many samples to take from each chain, and how far apart.

    Parameters
    ----------
    n_warmup
        Sweeps before the first sample.
    n_samples
        Samples a chain.
    sweeps_per_sample
        Sweeps from one sample to the next.
    """

    n_warmup: int
    n_samples: int
    sweeps_per_sample: int

    def __post_init__(self) -> None:
        """Refuse a schedule that takes nothing or goes nowhere."""
        for name, least in (("n_warmup", 0), ("n_samples", 1), ("sweeps_per_sample", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}; pass {least} or more")

    @property
    def n_sweeps(self) -> int:
        """Sweeps in all: the first sample is taken right after the warm-up."""
        return self.n_warmup + (self.n_samples - 1) * self.sweeps_per_sample


def sample(
    rbm: RBM,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    clamp: Clamp | None = None,
    sampler: Sampler | None = None,
) -> Iterator[ChainState]:
    """Yield the chains at each of the schedule's samples.

    The same `ChainState` is yielded each time and moves on afterwards: copy what is to be kept.
    ``rbm.mean_v_from_h(chains.hidden)`` gives the mean activations that are smoother to look at.

    Parameters
    ----------
    rbm
        The model.
    chains
        Where to start (`start_at`, `start_random`, or saved chains); moved in place.
    schedule
        Warm-up, number and spacing of the samples.
    stream
        Random numbers.
    clamp
        Visible columns to hold fixed, for completing the rest.
    sampler
        Moves the chains: each of its calls counts as one sweep of the schedule. Gibbs by default.

    Raises
    ------
    ValueError
        If chains or clamp do not fit the model; at once, not at the first sample.
    """
    chains.check(rbm)
    if clamp is not None:
        clamp.check(rbm, chains)
    return _samples(rbm, chains, schedule, stream, clamp, sampler)


def _samples(
    rbm: RBM,
    chains: ChainState,
    schedule: SamplingSchedule,
    stream: Stream,
    clamp: Clamp | None,
    sampler: Sampler | None,
) -> Iterator[ChainState]:
    if clamp is not None:
        with torch.no_grad():
            clamp.apply_(chains.visible)
            rbm.hidden.sample_(torch.mm(chains.visible, rbm.weights, out=chains.hidden), stream)
    for n_sweeps in (schedule.n_warmup, *[schedule.sweeps_per_sample] * (schedule.n_samples - 1)):
        at_once = _SWEEPS_AT_ONCE if sampler is None else 1
        for done in range(0, n_sweeps, at_once):
            move = sampler or Gibbs(min(at_once, n_sweeps - done))
            move(rbm, chains, stream, clamp)
        yield chains
