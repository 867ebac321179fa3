"""Chains of hidden states at lengths of documents, with the words summed out.

Once words are summed out, hidden states of documents of D words have the probability exp(D f(h)) /
Z(D), where f(h) = a h + log sum_k exp(b_k + W_k h). The length is an inverse temperature, and may
be any number: at 0, all states are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.rng import Stream
from harmonium.topics.model import ReplicatedSoftmax

# So many probabilities, of all words for some chains, stay in the cache.
_NUMBERS_AT_ONCE = 2**16


class HiddenChains:
    """Hidden states that move one unit at a time.

    Gibbs sweeps over words and hidden units stand still at large lengths, as the words pin the
    units. Here each unit is drawn given the others alone, in turn, which also takes less time than
    drawing the words of a document.

    Parameters
    ----------
    model
        The model. Its parameters are read once.
    n_chains
        Chains, which start at states that are drawn with equal probabilities.
    stream
        Random numbers: a draw for the start, and one for each sweep.

    Attributes
    ----------
    hidden : Tensor, float64, shape (n_chains, n_hidden)
    """

    def __init__(self, model: ReplicatedSoftmax, n_chains: int, stream: Stream) -> None:
        self.model, self.stream = model, stream
        weights = model.weights.detach().double()
        # by unit: what switching it on and switching it off multiply each word's probability by
        self._factors = torch.stack([weights.T.exp(), weights.T.neg().exp()], 2)
        self._weights, self._word_bias = weights.T.contiguous(), model.word_bias.detach().double()
        self._hidden_bias = model.hidden_bias.detach().double()
        self.hidden = (self._uniform(n_chains) < 0.5).double()

    def log_sums(self) -> Tensor:
        """f(h) of each chain, on the CPU: what a word more multiplies its weight by, as a log."""
        return self.model.log_softmax_sum(self.hidden).cpu()

    @torch.no_grad()
    def sweep_(self, length: float) -> None:
        """Draw every unit once at this length."""
        uniform = self._uniform(len(self.hidden))
        n = max(1, _NUMBERS_AT_ONCE // self.model.n_words)
        for h, u in zip(self.hidden.split(n), uniform.split(n), strict=True):
            # Anew in each sweep: rounding errors of products do not add up, and words whose
            # probability has become 0 in float64 come back.
            p = torch.addmm(self._word_bias, h, self._weights).softmax(1)
            log_sum = p.new_zeros(len(h))
            for unit in range(h.shape[1]):
                own = h[:, unit]
                sums = (p @ self._factors[unit]).log_()
                off_to_on, on_to_off = sums.unbind(1)
                is_on = own > 0
                new = torch.where(is_on, on_to_off, off_to_on)
                gain = new - log_sum + torch.where(is_on, -1.0, 1.0) * self._hidden_bias[unit]
                flips = u[:, unit] < torch.sigmoid(length * gain)
                rows = flips.nonzero()[:, 0]
                if len(rows):
                    side = is_on[rows].long()
                    p[rows] *= self._factors[unit].T[side]
                    log_sum[rows] = new[rows]
                    own[rows] = 1 - own[rows]

    def resample_(self, log_weights: Tensor, stream: Stream) -> None:
        """Take chains in proportion to their weights (systematic resampling)."""
        n = len(log_weights)
        start = kernels.uniform((1, 1), stream, dtype=torch.float64)
        at = (torch.arange(n, dtype=torch.float64) + start[0]) / n
        sums = (log_weights - log_weights.max()).exp().cumsum(0)
        index = torch.searchsorted(sums / sums[-1], at).clamp_max(n - 1)
        self.hidden = self.hidden[index.to(self.hidden.device)]

    def _uniform(self, n_chains: int) -> Tensor:
        shape = (n_chains, self.model.n_hidden)
        device = self._weights.device
        return kernels.uniform(shape, self.stream, device=device, dtype=torch.float64)
