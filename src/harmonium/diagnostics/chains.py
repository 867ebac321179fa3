"""Chains for diagnosis: where they start, what is recorded, and how well they mix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.diagnostics.convergence import Autocorrelation, autocorrelation, r_hat
from harmonium.gauge import Gauge
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Gibbs, SamplingSchedule, sample, start_at, start_random
from harmonium.sampling.chains import check_stream
from harmonium.units import Units

# Modes differ along the leading singular directions of the weights, which couple the layers most
# (Decelle, Furtlehner and Seoane, 2021, "Equilibrium and non-equilibrium regimes in the learning of
# restricted Boltzmann machines"); energy and magnetisation can be the same in all modes.
_DIRECTIONS = 10

# States kept per chain, for moments; more of them, closer together, would add little.
_KEPT_STATES = 20


def flip_rates(rbm: RBM, chains: ChainState, stream: Stream) -> dict[str, float]:
    """Fraction of units of each discrete layer that one Gibbs sweep changes; chains do not move."""
    check_rbm("rbm", rbm)
    check_stream(stream)
    gauge = Gauge.of(rbm)
    rbm = gauge.rbm
    before = chains.entering(gauge)
    after, _ = Gibbs(sweeps=1)(rbm, before.clone(), stream)
    return {
        name: _by_unit(layer, was != moved).double().mean().item()
        for name, layer, was, moved in (
            ("visible", rbm.visible, before.visible, after.visible),
            ("hidden", rbm.hidden, before.hidden, after.hidden),
        )
        if layer.is_discrete
    }


def _by_unit(layer: Units, changed: Tensor) -> Tensor:
    """Whether any column of a unit has changed, shape (..., n)."""
    groups = [changed[..., columns].unflatten(-1, (units.n, -1)) for columns, units in layer.groups]
    return torch.cat([group.any(-1) for group in groups], -1)


def start_apart(rbm: RBM, rows: Tensor, n_chains: int, stream: Stream) -> ChainState:
    """Start chains in two ways, half of them at rows of data and half at random.

    R-hat detects chains that have not forgotten their starts only if the starts differ. Chains that
    start at data show which modes the model keeps; chains that start at random show whether a chain
    finds these modes by itself.

    Parameters
    ----------
    rbm
        The model.
    rows
        States to start at, shape (rows, visible.n_columns), 1 or more; used in turn.
    n_chains
        Total number of chains; a single one starts at random.
    stream
        Random numbers.

    Raises
    ------
    ValueError
        If there is no chain, or no row to start at.
    """
    if n_chains < 1:
        raise ValueError(f"n_chains is {n_chains}; pass 1 or more")
    if n_chains > 1 and len(rows) == 0:
        raise ValueError("there are no rows for chains to start at; pass 1 or more")
    n_random = -(-n_chains // 2)
    at_random = start_random(rbm, n_random, stream)
    if n_chains == 1:
        return at_random
    places = torch.arange(n_chains - n_random, device=rows.device) % len(rows)
    at_data = start_at(rbm, rows[places].to(rbm.weights), stream)
    return ChainState(
        torch.cat([at_data.visible, at_random.visible]),
        torch.cat([at_data.hidden, at_random.hidden]),
    )


@dataclass(frozen=True)
class Recording:
    """What was recorded of chains while they moved.

    Attributes
    ----------
    series
        By name, each of shape (n_chains, n_records): ``energy`` (the free energy of the visible
        states, nats), ``visible magnetisation`` and ``hidden magnetisation`` (means over the units;
        for hidden units, of their expected states given the visible ones), and ``direction 1``, ...
        (visible states projected on the leading left singular vectors of the weights). All are
        functions of the visible states alone, whose chain is reversible (`autocorrelation`). If
        continuous units are far from zero, each series is shifted by a constant
        (`harmonium.gauge`).
    states : Tensor, shape (n_chains, n_kept, visible.n_columns)
        Visible states at some records, evenly spaced.
    sweeps_per_record
        Sweeps from one record to the next.
    """

    series: dict[str, Tensor]
    states: Tensor
    sweeps_per_record: int


@torch.no_grad()
def record(rbm: RBM, chains: ChainState, schedule: SamplingSchedule, stream: Stream) -> Recording:
    """Move chains by Gibbs sampling and record what is needed to diagnose them.

    Parameters
    ----------
    rbm
        The model.
    chains
        Moved in place.
    schedule
        Warm-up, number and spacing of the records.
    stream
        Random numbers.
    """
    gauge = Gauge.of(rbm)
    given, chains = chains, chains.entering(gauge)
    rbm, weights = gauge.rbm, rbm.weights
    directions = torch.linalg.svd(weights, full_matrices=False)[0][:, :_DIRECTIONS]
    n, n_directions = schedule.n_samples, directions.shape[1]
    values = weights.new_empty(n, 3 + n_directions, len(chains), dtype=torch.float64)
    kept = sorted({round(i) for i in torch.linspace(0, n - 1, min(n, _KEPT_STATES)).tolist()})
    states = []
    for i, now in enumerate(sample(rbm, chains, schedule, stream, copies=False)):
        v = now.visible
        inputs = rbm.inputs_h_from_v(v)
        values[i, 0] = rbm.visible.energy(v) - rbm.hidden.cgf(inputs).sum(-1)
        values[i, 1] = _magnetisation(rbm.visible, v)
        values[i, 2] = _magnetisation(rbm.hidden, rbm.hidden.mean(inputs))
        values[i, 3:] = (v @ directions).T
        if i in kept:
            states.append(gauge.leave(v.clone()))
    given.follow_(chains, gauge)
    names = ["energy", "visible magnetisation", "hidden magnetisation"]
    names += [f"direction {k + 1}" for k in range(n_directions)]
    return Recording(
        series={name: values[:, k].T.cpu() for k, name in enumerate(names)},
        states=torch.stack(states, 1),
        sweeps_per_record=schedule.sweeps_per_sample,
    )


def _magnetisation(layer: Units, x: Tensor) -> Tensor:
    """Mean state over the units; for categorical units, the fraction in the first category."""
    first = [x[..., columns][..., :: units.width] for columns, units in layer.groups]
    return torch.cat(first, -1).mean(-1)


@dataclass(frozen=True)
class Observable:
    """How one series mixes.

    Attributes
    ----------
    autocorrelation_time
        In sweeps; an upper bound if it is about the spacing of the records.
    std_error
        Standard error of the autocorrelation time, sweeps.
    is_resolved
        Whether the chains were long enough to see the autocorrelation fade; if not, the time is a
        lower bound.
    effective_sample_size
        Number of independent draws that all records are worth; an upper bound if not resolved.
    r_hat
        Rank-normalised split R-hat.
    """

    autocorrelation_time: float
    std_error: float
    is_resolved: bool
    effective_sample_size: float
    r_hat: float


@dataclass(frozen=True)
class Mixing:
    """How well chains mix, judged by each series that is not constant.

    Attributes
    ----------
    n_chains
        Chains.
    n_warmup, n_sweeps
        Sweeps of each chain before the recording, and during it.
    sweeps_per_record
        Sweeps from one record to the next.
    observables
        `Observable` by the names of `Recording.series`.
    """

    n_chains: int
    n_warmup: int
    n_sweeps: int
    sweeps_per_record: int
    observables: dict[str, Observable]

    @property
    def slowest(self) -> str:
        """The observable with the longest autocorrelation time."""
        return max(self.observables, key=lambda name: self.observables[name].autocorrelation_time)

    @property
    def most_apart(self) -> str:
        """The observable with the largest R-hat."""
        return max(self.observables, key=lambda name: self.observables[name].r_hat)


def autocorrelations(recording: Recording) -> dict[str, Autocorrelation]:
    """`autocorrelation` of each series that is not constant, by name; lags are in records.

    Raises
    ------
    ValueError
        If a series is not finite, as for a model that cannot be normalised, or if there are fewer
        than 8 records.
    """
    return {
        name: autocorrelation(series)
        for name, series in recording.series.items()
        # a constant varies only by rounding
        if not series.max() - series.min() <= 1e-6 * series.abs().max()
    }


def mixing(recording: Recording, curves: dict[str, Autocorrelation], n_warmup: int = 0) -> Mixing:
    """Measure how well recorded chains mix.

    Parameters
    ----------
    recording
        What `record` returned.
    curves
        Its `autocorrelations`.
    n_warmup
        Sweeps before the recording, passed on to the result.

    Raises
    ------
    ValueError
        If all series are constant.
    """
    every = recording.sweeps_per_record
    n_chains, n_records = recording.series["energy"].shape
    if not curves:
        raise ValueError(
            f"nothing changes in {n_chains} chains and {n_records} records: the weights and "
            "biases allow only a single state; train with a smaller learning rate"
        )
    observables = {
        name: Observable(
            autocorrelation_time=every * curve.time,
            std_error=every * curve.std_error,
            is_resolved=curve.is_resolved,
            effective_sample_size=curve.effective_sample_size,
            r_hat=r_hat(recording.series[name]),
        )
        for name, curve in curves.items()
    }
    return Mixing(n_chains, n_warmup, (n_records - 1) * every, every, observables)


def schedule_of(n_sweeps: int, most_records: int) -> SamplingSchedule:
    """Make a schedule: the first half is warm-up, the second has at most ``most_records`` records.

    Gelman and Rubin (1992) also discard the first half. Records that are further apart let chains
    move faster between them.

    Raises
    ------
    ValueError
        If there are too few sweeps for 8 records.
    """
    n_warmup = n_sweeps // 2
    every = max(1, math.ceil((n_sweeps - n_warmup) / most_records))
    n_records = (n_sweeps - n_warmup) // every
    if n_records < 8:
        raise ValueError(f"n_sweeps is {n_sweeps}; pass 16 or more, of which half are warm-up")
    return SamplingSchedule(n_warmup + every, n_records, every)
