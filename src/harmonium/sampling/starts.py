"""Starts that are already near equilibrium: annealed and tempered."""

from __future__ import annotations

import torch

from harmonium import defaults
from harmonium.arguments import check_count
from harmonium.gauge import Gauge
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, start_random
from harmonium.sampling.levels import TemperatureLadder
from harmonium.sampling.path import TemperaturePath, independent_units
from harmonium.sampling.tempering import Tempering, check_limits, tune_ladder


@torch.no_grad()
def start_annealed(
    rbm: RBM,
    n_chains: int,
    stream: Stream,
    n_temperatures: int = defaults.ANNEALING_TEMPERATURES,
    *,
    base: RBM | None = None,
) -> ChainState:
    """Start chains by annealing from independent units to the model, one sweep per temperature.

    These are the runs of annealed importance sampling (Neal, 2001) without their weights. With more
    temperatures, the chains are closer to the model, and each mode's share of the chains is closer
    to its probability.

    Parameters
    ----------
    rbm
        The model.
    n_chains
        Number of chains.
    stream
        Random numbers.
    n_temperatures
        Inverse temperatures, evenly spaced from 0 to 1.
    base
        Where annealing starts; by default the model's `independent_units`.

    Raises
    ------
    ValueError
        If there are no chains, fewer than two temperatures, or the base does not fit.
    """
    check_count("n_temperatures", n_temperatures, 2)
    base = independent_units(rbm) if base is None else base
    betas = torch.linspace(0, 1, n_temperatures, dtype=torch.float64)
    TemperaturePath(betas, base.visible, base.hidden).check(rbm)
    gauge = Gauge.of(rbm)
    base, _ = gauge.move(base)
    chains = start_random(base, n_chains, stream)
    v, h = chains.visible.unsqueeze(0), chains.hidden.unsqueeze(0)
    for beta in betas[1:].split(1):
        now = TemperatureLadder(gauge.rbm, TemperaturePath(beta, base.visible, base.hidden))
        now.hidden.sample_(now.inputs_h_from_v(v, out=h), stream)
        now.visible.sample_(now.inputs_v_from_h(h, out=v), stream)
    hidden = gauge.rbm.sample_h_from_v(chains.visible, stream)
    return ChainState(gauge.leave(chains.visible), gauge.leave_hidden(hidden))


@torch.no_grad()
def start_tempered(
    rbm: RBM,
    n_chains: int,
    stream: Stream,
    n_sweeps: int = defaults.TEMPERED_SWEEPS,
    *,
    base: RBM | None = None,
    least_temperatures: int = 2,
    most_temperatures: int = defaults.MOST_TEMPERATURES,
) -> ChainState:
    """Start chains by parallel tempering: `tune_ladder`, then sweeps on the ladder found.

    Parameters
    ----------
    rbm
        The model.
    n_chains
        Number of chains.
    stream
        Random numbers.
    n_sweeps
        Sweeps after the ladder has been found.
    base
        Where the ladder starts; by default the model's `independent_units`.
    least_temperatures, most_temperatures
        Limits of the ladder.

    Returns
    -------
    ChainState
        The chains with their replicas, for `Tempering` to continue; `Gibbs` moves the chains alone.

    Raises
    ------
    ValueError
        If there are no chains or sweeps, or base or limits do not fit.
    """
    check_count("n_sweeps", n_sweeps)
    check_limits(least_temperatures, most_temperatures)
    base = independent_units(rbm) if base is None else base
    TemperaturePath(torch.tensor([0.0, 1.0]), base.visible, base.hidden).check(rbm)
    chains = start_random(base, n_chains, stream)
    tune_ladder(
        rbm,
        chains,
        stream,
        least_temperatures=least_temperatures,
        most_temperatures=most_temperatures,
        base=base,
    )
    Tempering(sweeps=n_sweeps)(rbm, chains, stream)
    return chains
