"""`Multinomial`: the words of a document of given length, as one visible unit."""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import Any

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import described, is_whole
from harmonium.rng import Stream
from harmonium.units.linear import LinearUnits
from harmonium.units.numbers import refuse

_MOST_STATES = 2**20

# A word that never occurs is assumed to have occurred once in so many words.
_RAREST = 1e-7


class Multinomial(LinearUnits):
    """One unit: counts of words that add up to a length, energy ``-bias x - log(orders of x)``.

    Given inputs I, the counts are multinomial with probabilities softmax(bias + I): the sum of
    ``length`` categorical units with one bias and the same weights. The number of orders,
    ``length! / (x_1! x_2! ...)``, makes the probability of counts that of all texts with them.

    Parameters
    ----------
    n_words
        Words of the vocabulary: columns.
    length
        Words of a document.
    """

    has_fixed_draws = False

    def __init__(self, n_words: int, length: int) -> None:
        for name, value, least in (("n_words", n_words, 2), ("length", length, 1)):
            if not is_whole(value):
                raise TypeError(f"{name} is {described(value)}; pass a whole number")
            if value < least:
                raise ValueError(f"{name} is {value}; pass {least} or more")
        super().__init__(1, int(n_words))
        self.length = int(length)
        self.fixed = (self.length,)

    @property
    def states(self) -> Tensor | None:
        """All counts, in at most 2^20 rows; None if there are more."""
        n = self.n_columns
        if comb(n + self.length - 1, self.length) > _MOST_STATES:
            return None
        # stars and bars
        bars = list(combinations(range(n + self.length - 1), n - 1))
        places = torch.tensor(bars).reshape(len(bars), n - 1)
        ends = torch.full((len(bars), 1), n + self.length - 1)
        edges = torch.cat((torch.full_like(ends, -1), places, ends), dim=1)
        return (edges.diff(dim=1) - 1).to(self.bias)

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        linear = super().energy(x)
        counts = x.double()
        orders = (counts.sum(-1) + 1).lgamma() - (counts + 1).lgamma().sum(-1)
        return linear - orders.to(linear.dtype)

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.length * self.with_bias(inputs).logsumexp(-1, keepdim=True)

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.length * self.with_bias(inputs).softmax(-1)

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        p = self.with_bias(inputs).softmax(-1)
        return self.length * p * (1 - p)

    def mode(self, inputs: Tensor) -> Tensor:
        """The most probable counts: whole parts of the means, and then the largest quotients."""
        p = self.with_bias(inputs).softmax(-1)
        counts = (self.length * p).floor()
        for _ in range(int((self.length - counts.sum(-1)).max())):
            best = (p / (counts + 1)).argmax(-1, keepdim=True)
            lacks = (counts.sum(-1, keepdim=True) < self.length).to(counts)
            counts.scatter_add_(-1, best, lacks)
        return counts

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        ends = torch.arange(len(inputs) + 1, device=inputs.device) * self.length
        words, _ = kernels.draw_words(inputs, self.bias.detach(), ends, stream)
        words = words.long().reshape(len(inputs), self.length)
        return inputs.zero_().scatter_add_(1, words, torch.ones_like(words, dtype=inputs.dtype))

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        remedy = f"pass counts of documents of {self.length} words"
        refuse(x, ~(x >= 0), name, "0 or more, as counts are", remedy)
        totals = x.sum(-1, keepdim=True)
        off = (totals - self.length).abs() > 1e-4 * self.length
        refuse(totals, off, name + ", summed by document", str(self.length), remedy)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        share = mean / mean.sum()
        self.bias.copy_(share.clamp_min(_RAREST).log())

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"n_words": self.n_columns, "length": self.length}
