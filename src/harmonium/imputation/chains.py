"""Chains over what is missing of rows: annealed from independent units, then block Gibbs.

The path of annealing leads each row from units that are independent, with inputs of the row's own,
to its clamped model. At inverse temperature t each layer receives (1 - t) times its inputs at the
start plus t times those from the other layer, so that the units themselves stay as they are: the
path is one for every pair of unit types, and starts near the end where little is missing.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.imputation.clamped import ClampedRows
from harmonium.likelihood.tempered import from_random_hidden
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, Gibbs


class Annealing:
    """The path of each row from independent units to its clamped model.

    Parameters
    ----------
    clamped
        The rows, each as often as it has chains.
    """

    @torch.no_grad()
    def __init__(self, clamped: ClampedRows) -> None:
        self.clamped = clamped
        rbm = clamped.rbm
        # what the hidden units pass down if missing units were at their means without inputs
        alone = rbm.visible.mean(torch.zeros_like(rbm.visible.bias))
        filled = torch.where(clamped.observed, clamped.states, alone)
        passed_down = rbm.mean_h_from_v(filled) @ rbm.weights.T
        self._visible_inputs = passed_down.masked_fill_(clamped.observed, 0.0)

    @property
    def log_start(self) -> Tensor:
        """Log-normaliser at t = 0, nats, float64, shape (chains,)."""
        clamped, rbm = self.clamped, self.clamped.rbm
        free = rbm.visible.cgf(self._visible_inputs).double()
        visible = (free * clamped.missing).sum(1)
        hidden = rbm.hidden.cgf(clamped.inputs).sum(1, dtype=torch.float64)
        return clamped.log_weights + visible + hidden

    @torch.no_grad()
    def begin(self, stream: Stream) -> Tensor:
        """Visible states drawn at t = 0, shape (chains, n_columns)."""
        drawn = self.clamped.rbm.visible.sample_(self._visible_inputs.clone(), stream)
        return self._held(drawn)

    @torch.no_grad()
    def move_(self, v: Tensor, temperatures: Sequence[float], stream: Stream) -> Tensor:
        """Move chains along inverse temperatures, up or down; returns their log weights.

        A step adds the log of the ratio of a state's unnormalised probabilities at the new and the
        old temperature, hidden units summed out. Then follows one sweep at the new temperature,
        except at the last (Neal, 2001).

        Parameters
        ----------
        v
            Visible states, overwritten, shape (chains, n_columns).
        temperatures
            Inverse temperatures, including the start.
        stream
            Random numbers.

        Returns
        -------
        Tensor
            Nats, float64, shape (chains,).
        """
        rbm, at_start = self.clamped.rbm, self.clamped.inputs
        h = v.new_empty(len(v), rbm.hidden.n_columns)
        log_weights = torch.zeros(len(v), dtype=torch.float64, device=v.device)
        last = len(temperatures) - 2
        for step, (before, now) in enumerate(pairwise(temperatures)):
            kernels.product(v, rbm.weights, out=h)
            received = torch.lerp(at_start, h, now)
            if now != before:
                change = rbm.hidden.cgf(received) - rbm.hidden.cgf(torch.lerp(at_start, h, before))
                log_weights += change.sum(1, dtype=torch.float64)
                of_visible = (self._visible_inputs * v).sum(1, dtype=torch.float64)
                log_weights += (before - now) * of_visible
            if step < last:
                h.copy_(rbm.hidden.sample_(received, stream))
                kernels.mm(h, rbm.weights.T, out=v)
                v.copy_(torch.lerp(self._visible_inputs, v, now))
                self._held(rbm.visible.sample_(v, stream))
        return log_weights

    def _held(self, v: Tensor) -> Tensor:
        return torch.where(self.clamped.observed, self.clamped.states, v, out=v)


class Completing:
    """Chains that complete rows, some for each row. `annealed` and `scattered` start them.

    Parameters
    ----------
    clamped
        The rows, each as often as it has chains.
    n
        Chains of each row.
    v
        Visible states where chains start, shape (rows × n, n_columns).
    stream
        Random numbers.
    log_normalisers
        Of annealed chains, each one's estimate of its row's log-normaliser, float64, shape (rows,
        n); the mean of their exponentials is unbiased.
    """

    def __init__(
        self,
        clamped: ClampedRows,
        n: int,
        v: Tensor,
        stream: Stream,
        log_normalisers: Tensor | None = None,
    ) -> None:
        self._n, self._stream = n, stream
        self.clamped, self.log_normalisers = clamped, log_normalisers
        self.chains = ChainState(v, clamped.rbm.sample_h_from_v(v, stream))
        self._clamp = Clamp(clamped.observed, clamped.states)

    @classmethod
    def annealed(
        cls, clamped: ClampedRows, n: int, stream: Stream, n_temperatures: int
    ) -> Completing:
        """Start chains at the end of annealing, from independent units to each row's model."""
        clamped = clamped.repeated(n)
        path = Annealing(clamped)
        v = path.begin(stream)
        t = torch.linspace(0, 1, n_temperatures, dtype=torch.float64).tolist()
        log_weights = path.move_(v, t, stream)
        return cls(clamped, n, v, stream, (path.log_start + log_weights).view(-1, n))

    @classmethod
    @torch.no_grad()
    def scattered(cls, clamped: ClampedRows, n: int, stream: Stream) -> Completing:
        """Start chains at widely scattered random hidden states, as `likelihood.evaluate` does.

        Where these find modes that annealed chains do not, the chains disagree.
        """
        clamped = clamped.repeated(n)
        base = copy.deepcopy(clamped.rbm)
        base.hidden.bias.zero_()
        v = from_random_hidden(clamped.rbm, base, len(clamped), stream)
        return cls(clamped, n, torch.where(clamped.observed, clamped.states, v), stream)

    @torch.no_grad()
    def anneal_back(self, n_temperatures: int) -> Tensor:
        """Anneal the chains to independent units, which ends them.

        Returns
        -------
        Tensor
            Log weights, float64, shape (rows, n). If chains are samples of their row's model, the
            mean of the exponentials is an unbiased estimate of 1 / its normaliser.
        """
        path = Annealing(self.clamped)
        t = torch.linspace(1, 0, n_temperatures, dtype=torch.float64).tolist()
        # a sweep at the model first, the reverse of annealing's last one
        log_weights = path.move_(self.chains.visible, [1.0, *t], self._stream)
        return (log_weights - path.log_start).view(-1, self._n)

    def sweep(self, n: int) -> None:
        """Make ``n`` sweeps."""
        if n:
            Gibbs(n)(self.clamped.rbm, self.chains, self._stream, self._clamp)

    def keep(self, rows: Tensor) -> None:
        """Go on with the chains of these rows alone, by number."""
        places = torch.arange(self._n, device=rows.device)
        chosen = (rows.unsqueeze(1) * self._n + places).flatten()
        self.clamped = self.clamped.take(chosen)
        self.chains = ChainState(self.chains.visible[chosen], self.chains.hidden[chosen])
        self._clamp = Clamp(self.clamped.observed, self.clamped.states)

    @property
    def visible(self) -> Tensor:
        """Completed rows, shape (rows, n, n_columns)."""
        return self.chains.visible.view(-1, self._n, self.chains.visible.shape[1])

    @torch.no_grad()
    def means(self) -> Tensor:
        """Mean states of each row given the hidden states of its chains, (rows, n_columns)."""
        means = self.clamped.rbm.mean_v_from_h(self.chains.hidden).double()
        return means.view(-1, self._n, means.shape[1]).mean(1)

    @torch.no_grad()
    def observables(self, directions: Tensor) -> Tensor:
        """Numbers by which chains of one row are compared, float64, (rows, 1 + n_directions, n).

        The first is the log-probability of each completion, up to a constant of its row; then
        follow its states along directions, shape (n_columns, n_directions).
        """
        v = self.chains.visible
        log_p = -self.clamped.rbm.free_energy(v).double().unsqueeze(1)
        found = torch.cat([log_p, (v @ directions).double()], 1)
        return found.view(-1, self._n, found.shape[1]).transpose(1, 2)
