"""Effects of mutations: differences of log-probability between a mutant and its wild type.

``log p(mutant) - log p(wild type)`` is the free energy of the wild type minus that of the mutant,
exactly: log Z drops out. A changed site moves the inputs of the hidden units by the difference of
two rows of the weights, so that a mutant costs no pass through the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import described
from harmonium.rbm import RBM
from harmonium.sequences.sites import Sites

Change = tuple[int, int]
"""A site, counted from 0, and the number of its new state."""

# Inputs of hidden units that are held at a time: 32 MiB.
_BLOCK = 1 << 22


@torch.no_grad()
def single_mutants(rbm: RBM, wild_type: Tensor | NDArray[Any]) -> NDArray[np.float64]:
    """Log-probability of every single mutant minus that of the wild type, nats.

    Parameters
    ----------
    rbm
        A model with discrete visible units of one kind.
    wild_type
        The number of each site's state, integers, shape (n_sites,).

    Returns
    -------
    ndarray, float64, shape (n_sites, n_states)
        Negative where a mutant is less probable; 0 for the wild type's own states.

    Raises
    ------
    TypeError, ValueError
        If the model has other visible units, or the wild type does not fit it.
    """
    sites = Sites.of(rbm)
    start = sites.check_numbers(wild_type, "wild_type")
    every = torch.arange(sites.n, device=start.device)
    found = sites.energies[every, start][:, None] - sites.energies
    at_start = _Start(sites, start)
    per_site = max(1, _BLOCK // (sites.n_states * sites.inputs.shape[2]))
    for some in every.split(per_site):
        moved = sites.inputs[some] - sites.inputs[some, start[some]][:, None]
        found[some] += at_start.gain(moved)
    found[every, start] = 0
    return found.cpu().numpy()


@torch.no_grad()
def mutants(
    rbm: RBM, wild_type: Tensor | NDArray[Any], changes: Sequence[Sequence[Change]]
) -> NDArray[np.float64]:
    """Log-probability of mutants minus that of the wild type, nats.

    Parameters
    ----------
    rbm, wild_type
        As for `single_mutants`.
    changes
        Of each mutant the sites that differ, each once, and their new states.

    Returns
    -------
    ndarray, float64, shape (n_mutants,)

    Raises
    ------
    TypeError, ValueError
        As for `single_mutants`; and for a site or state that the model does not have, or a site
        that a mutant changes twice.
    """
    sites = Sites.of(rbm)
    start = sites.check_numbers(wild_type, "wild_type")
    for row, change in enumerate(changes):
        if len({site for site, _ in change}) < len(change) or not all(
            0 <= site < sites.n and 0 <= state < sites.n_states for site, state in change
        ):
            raise ValueError(
                f"mutant {row} is {described(list(change))}; pass sites from 0 to {sites.n - 1}, "
                f"each once, with states from 0 to {sites.n_states - 1}"
            )
    mutant, site, state = torch.tensor(
        [(row, *one) for row, change in enumerate(changes) for one in change], dtype=torch.int64
    ).reshape(-1, 3).T.to(start.device)  # fmt: skip
    found = sites.energies.new_zeros(len(changes))
    found.index_add_(0, mutant, sites.energies[site, start[site]] - sites.energies[site, state])
    at_start = _Start(sites, start)
    for first in range(0, len(changes), max(1, _BLOCK // sites.inputs.shape[2])):
        n = min(max(1, _BLOCK // sites.inputs.shape[2]), len(changes) - first)
        own = (mutant >= first) & (mutant < first + n)
        moved = sites.inputs.new_zeros(n, sites.inputs.shape[2])
        differences = (
            sites.inputs[site[own], state[own]] - sites.inputs[site[own], start[site[own]]]
        )
        moved.index_add_(0, mutant[own] - first, differences)
        found[first : first + n] += at_start.gain(moved)
    return found.cpu().numpy()


def independent_mutants(
    frequencies: npt.ArrayLike, wild_type: npt.ArrayLike, changes: Sequence[Sequence[Change]]
) -> NDArray[np.float64]:
    """The same under independent sites with these frequencies of states, for comparison.

    Parameters
    ----------
    frequencies
        Positive, shape (n_sites, n_states).
    wild_type, changes
        As for `mutants`.

    Raises
    ------
    ValueError
        If a frequency is not positive.
    """
    logs, start = np.asarray(frequencies, np.float64), np.asarray(wild_type)
    if not (logs > 0).all():
        raise ValueError("a frequency is 0; add a pseudocount, because its logarithm is taken")
    logs = np.log(logs)
    return np.array(
        [
            sum(logs[site, state] - logs[site, start[site]] for site, state in one)
            for one in changes
        ],
        np.float64,
    )


def rank_correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's correlation: Pearson's of the ranks, where ties share their mean rank.

    Pairs in which a number is missing (NaN) are left out. NaN if fewer than two remain, or all
    numbers of one side are alike.

    Raises
    ------
    ValueError
        If there are not as many numbers of both.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"the shapes are {x.shape} and {y.shape}; pass as many numbers of each")
    known = np.isfinite(x) & np.isfinite(y)
    first, second = _ranks(x[known]), _ranks(y[known])
    if known.sum() < 2 or first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _ranks(x: NDArray[np.float64]) -> NDArray[np.float64]:
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - 0.5 * (counts - 1))[place]
    return ranks


class _Start:
    """Hidden units at the wild type, and what they gain when their inputs move."""

    def __init__(self, sites: Sites, wild_type: Tensor) -> None:
        every = torch.arange(sites.n, device=wild_type.device)
        self.hidden = sites.hidden
        self.inputs = sites.inputs[every, wild_type].sum(0)
        self.cgf = self.hidden.cgf(self.inputs).sum()

    def gain(self, moved: Tensor) -> Tensor:
        """Change of the log-normalisers' sum, for inputs moved by ``(..., n_hidden)``."""
        return self.hidden.cgf(self.inputs + moved).sum(-1) - self.cgf
