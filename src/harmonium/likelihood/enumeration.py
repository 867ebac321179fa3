"""Enumerate the smaller layer of a model; the other one is summed or integrated out."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from harmonium.likelihood.factors import Factors, numbered
from harmonium.rbm import RBM
from harmonium.units import Units

MAX_STATES = 2**25
"""Most states of the smaller layer that can be enumerated."""

_NUMBERS_AT_ONCE = 2**20  # float64 states or inputs per block: 8 MB, of which a few are needed

# With fewer states than this, factors gain nothing.
_FACTORS_FROM = 2**12


def n_states(units: Units) -> int | None:
    """Number of states of a layer; None for continuous units."""
    tables = _tables(units)
    return None if tables is None else math.prod(map(len, tables))


def _tables(layer: Units) -> list[Tensor] | None:
    """The states of each unit, shape (n_states, width); None for continuous units."""
    tables: list[Tensor] = []
    for _, units in layer.groups:
        states = units.states
        if states is None:
            return None
        tables += [states[:n] for n in units.states_each]
    return tables


class Enumeration:
    """The states of the smaller layer, in blocks of bounded memory.

    Parameters
    ----------
    rbm
        A float64 model, one of whose layers is discrete.

    Raises
    ------
    ValueError
        If no layer is discrete, or the smaller one has more than `MAX_STATES` states.
    """

    def __init__(self, rbm: RBM) -> None:
        layers = {"visible": rbm.visible, "hidden": rbm.hidden}
        counts = {layer: n for layer, units in layers.items() if (n := n_states(units)) is not None}
        if not counts:
            raise ValueError(
                f"no layer of this model can be enumerated ({rbm.visible!r}, {rbm.hidden!r}); "
                "estimate log Z by likelihood.annealed_importance_sampling"
            )
        smaller = min(counts, key=counts.__getitem__)
        self.of_visible = smaller == "visible"
        units = layers[smaller]
        tables = _tables(units)
        assert tables is not None
        self._n = counts[smaller]
        self._tables = tables
        if self._n > MAX_STATES:
            sizes = [f"{len(of.states)}^{of.n}" for _, of in units.groups if of.states is not None]
            raise ValueError(
                f"the {smaller} layer, which is the smaller one, has {' * '.join(sizes)} "
                f"states (about 10^{math.log10(self._n):.0f}), and up to "
                f"{MAX_STATES:,} can be enumerated; estimate log Z by "
                "likelihood.annealed_importance_sampling"
            )
        self._enumerated = units
        self.summed = rbm.hidden if self.of_visible else rbm.visible
        self.weights = rbm.weights if self.of_visible else rbm.weights.T

    def log_z(self) -> float:
        """Log of the sum over all states, nats."""
        factors = None
        if self._n >= _FACTORS_FROM:
            factors = Factors.of(self._tables, self._enumerated, self.summed, self.weights)
        # numbers, not tensors: one small tensor kept per block would pin the block's memory
        if factors is not None:
            sums = list(factors.log_sums())
        else:
            sums = [log_p.logsumexp(0).item() for _, _, log_p in self.blocks()]
        return torch.tensor(sums, dtype=torch.float64).logsumexp(0).item()

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield states, the other layer's inputs, and log weights with that layer summed out."""
        size = max(1, _NUMBERS_AT_ONCE // max(self.weights.shape))
        for start in range(0, self._n, size):
            x = numbered(self._tables, start, min(start + size, self._n))
            inputs = x @ self.weights
            yield x, inputs, self.summed.cgf(inputs).sum(-1) - self._enumerated.energy(x)
