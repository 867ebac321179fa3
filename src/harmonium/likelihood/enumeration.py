"""All states of the smaller layer of a model, the other one summed or integrated out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from operator import mul

import torch
from torch import Tensor

from harmonium.rbm import RBM
from harmonium.units import Binary, Spin, Units

MAX_STATES = 2**25
"""So many states of the smaller layer are enumerated, and no more."""

_NUMBERS_AT_ONCE = 2**20  # float64 states or inputs of a block: 8 MB, of which a few are needed

# Of units with two states: how far these are apart.
_GAPS: dict[type[Units], int] = {Binary: 1, Spin: 2}

# States that share the units beyond the first few, and so many such sets at a time.
_SHARING, _SETS = 2**10, 2**9

# exp of more than this, or a product of such exponentials, is near float64's limits.
_LARGEST_EXPONENT = 650.0


def n_states(units: Units) -> int | None:
    """How many states a layer has; None if there is a continuum."""
    tables = _tables(units)
    return None if tables is None else math.prod(map(len, tables))


def _tables(layer: Units) -> list[Tensor] | None:
    """The states of each unit, shape (n_states, width); None if there is a continuum."""
    tables: list[Tensor] = []
    for _, units in layer.groups:
        if units.states is None:
            return None
        tables += [units.states] * units.n
    return tables


class Enumeration:
    """The states of the layer that has fewer, in blocks of bounded memory.

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
        # numbers, not tensors: one small tensor kept a block pins the blocks' memory around it
        sums = [log_p.logsumexp(0).item() for log_p in self._log_weights()]
        return torch.tensor(sums, dtype=torch.float64).logsumexp(0).item()

    def blocks(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """States, what the other layer receives, and log of their weights with that summed out."""
        size = max(1, _NUMBERS_AT_ONCE // max(self.weights.shape))
        for start in range(0, self._n, size):
            x = self._numbered(start, min(start + size, self._n), self._tables)
            inputs = x @ self.weights
            yield x, inputs, self.summed.cgf(inputs).sum(-1) - self._enumerated.energy(x)

    def _numbered(self, start: int, stop: int, tables: Sequence[Tensor]) -> Tensor:
        """A range of the states of the units with these tables, the first's changing fastest."""
        number = torch.arange(start, stop, device=self.weights.device)
        columns = [self.weights.new_empty(len(number), 0)]
        for states in tables:
            columns.append(states[number % len(states)])
            number = number // len(states)
        return torch.cat(columns, 1)

    def _log_weights(self) -> Iterator[Tensor]:
        """Logs of the weights of all states, in blocks, in the fastest way."""
        factors = self._factors_at_once()
        if type(self.summed) in _GAPS and factors > 1 and self._n > _SHARING:
            return self._by_products(factors)
        return (log_p for _, _, log_p in self.blocks())

    def _factors_at_once(self) -> int:
        """How many factors 1 + exp(gap input) float64 surely multiplies without overflow."""
        if type(self.summed) not in _GAPS:
            return 0
        gap = _GAPS[type(self.summed)]
        highest = max(states.abs().max().item() for states in self._tables)
        largest = highest * self.weights.abs().sum(0) + self.summed.bias.abs()
        return int(_LARGEST_EXPONENT / (gap * largest.max().item() + 1))

    def _by_products(self, factors: int) -> Iterator[Tensor]:
        """Without an exponential a state: the exponential of a sum is a product.

        The first units' inputs are exponentiated once, the others' once a set of states that
        share them; then log(1 + exp) of two-valued units is the log of a product of sums.
        """
        gap, bias = _GAPS[type(self.summed)], self.summed.bias
        counts = list(accumulate(map(len, self._tables), mul))
        n_first = sum(count <= _SHARING for count in counts)
        first_tables, other_tables = self._tables[:n_first], self._tables[n_first:]
        first = self._numbered(0, math.prod(map(len, first_tables)), first_tables)
        column = first.shape[1]
        of_first = (gap * (first @ self.weights[:column])).exp()
        # log(exp(x) + exp(-x)) = log(1 + exp(2 x)) - x
        linear, offset = (1 - gap) * self.weights.sum(1), (1 - gap) * bias.sum()
        buffer = torch.empty_like(of_first)
        n_sets = self._n // len(first)
        for start in range(0, n_sets, _SETS):
            rest = self._numbered(start, min(start + _SETS, n_sets), other_tables)
            of_rest = (gap * (rest @ self.weights[column:] + bias)).exp()
            for others, of_others in zip(rest, of_rest, strict=True):
                x = torch.cat([first, others.expand(len(first), -1)], 1)
                sums = torch.mul(of_first, of_others, out=buffer).add_(1)
                log_p = _log_of_products(sums, factors) + (x @ linear + offset)
                yield log_p - self._enumerated.energy(x)


def _log_of_products(x: Tensor, factors: int) -> Tensor:
    """Log of the product of each row, overwritten; at most so many are multiplied at once."""
    multiplied = 1
    while x.shape[1] > 1 and 2 * multiplied <= factors:
        half = x.shape[1] // 2
        odd = x[:, 2 * half :]
        # the last column of an odd number stays for the next round, beside the products
        x[:, :half].mul_(x[:, half : 2 * half])
        if odd.shape[1]:
            x[:, half : half + 1] = odd
        x, multiplied = x[:, : half + odd.shape[1]], 2 * multiplied
    return x.log().sum(1)
