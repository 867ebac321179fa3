"""The deep belief network: a stack of RBMs that is read upwards and dreams downwards."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, Sampler, SamplingSchedule, sample
from harmonium.units import Units


@dataclass(frozen=True)
class Dream:
    """What a deep belief network generates at one moment, one row a chain.

    Attributes
    ----------
    visible : Tensor, shape (n_chains, n_columns)
        Visible states.
    means : Tensor, shape (n_chains, n_columns)
        Means of the visible units given the states above them: smoother to look at.
    chains : ChainState
        The chains of the top RBM; they move on in place.
    """

    visible: Tensor
    means: Tensor
    chains: ChainState


class DBN(nn.Module):
    """A stack of RBMs: the top one is undirected, the layers below it are generated downwards.

    ``p(v, h1, ..., hL) = p(v | h1) p(h1 | h2) ... p(h(L-1), hL)`` (Hinton, Osindero and Teh,
    2006): each factor but the last one is the downward conditional of an RBM, with its weights and
    visible parameters, and the last one is the whole top RBM. Upwards, hidden states are inferred
    by the RBMs' upward conditionals, layer by layer, which is an approximation.

    Parameters
    ----------
    rbms
        From the data upwards. The hidden units of each are of the visible units' type and size of
        the next. Held, not copied.
    upwards
        RBMs whose weights and hidden parameters lead upwards in place of those of ``rbms``, one
        for each but the top one, where the network is untied.

    Attributes
    ----------
    rbms : nn.ModuleList
        The generative model: of all but the top one, weights and visible parameters.

    Raises
    ------
    ValueError
        If there are none, or they do not fit together, naming the first that does not.
    """

    def __init__(self, rbms: Sequence[RBM], upwards: Sequence[RBM] | None = None) -> None:
        super().__init__()
        if not rbms:
            raise ValueError("there are no RBMs to stack; pass 1 or more, from the data upwards")
        check_stack(rbms)
        if upwards is not None:
            _check_upwards(rbms, upwards)
        self.rbms = nn.ModuleList(rbms)
        self._upwards = nn.ModuleList(upwards or ())

    @classmethod
    def of(cls, visible: Units, *hidden: Units) -> DBN:
        """A network of these layers, each RBM with its own copies of the units; weights are zero.

        Raises
        ------
        ValueError
            If there is no hidden layer.
        """
        pairs = pairwise((visible, *hidden))
        return cls([RBM(copy.deepcopy(below), copy.deepcopy(above)) for below, above in pairs])

    def __len__(self) -> int:
        """Hidden layers."""
        return len(self.rbms)

    @property
    def stack(self) -> tuple[RBM, ...]:
        """The generative RBMs, from the data upwards; the same objects as in ``rbms``."""
        return tuple(rbm for rbm in self.rbms if isinstance(rbm, RBM))

    @property
    def recognition(self) -> tuple[RBM, ...]:
        """The RBMs whose weights and hidden parameters lead upwards; those of ``rbms`` if tied."""
        if not self.is_untied:
            return self.stack
        return (*(rbm for rbm in self._upwards if isinstance(rbm, RBM)), self.top)

    @property
    def top(self) -> RBM:
        """The undirected RBM at the top."""
        return self.stack[-1]

    @property
    def visible(self) -> Units:
        """The units that see the data."""
        return self.stack[0].visible

    @property
    def is_untied(self) -> bool:
        """Whether ways up and down have weights of their own."""
        return len(self._upwards) > 0

    def untie_(self) -> DBN:
        """Give the way upwards weights of its own, equal to the others at first; returns self.

        The top RBM has one set of weights for both directions and is left as it is; a network
        of one RBM has nothing to untie.
        """
        if not self.is_untied:
            self._upwards.extend(copy.deepcopy(rbm) for rbm in self.stack[:-1])
        return self

    # Upwards

    def mean_up(self, v: Tensor, n_layers: int | None = None) -> Tensor:
        """Mean hidden units, each layer's given the means of the one below (a mean field).

        Parameters
        ----------
        v
            Visible states or means, shape (..., visible.n_columns).
        n_layers
            How many layers to go up, all by default; 0 returns ``v``.

        Returns
        -------
        Tensor
            Shape (..., hidden.n_columns) of that layer.
        """
        for rbm in self.recognition[: self._count(n_layers)]:
            v = rbm.mean_h_from_v(v)
        return v

    def sample_up(self, v: Tensor, stream: Stream, n_layers: int | None = None) -> Tensor:
        """Hidden states, each layer's drawn given a draw of the one below; else as `mean_up`."""
        for rbm in self.recognition[: self._count(n_layers)]:
            v = rbm.sample_h_from_v(v, stream)
        return v

    # Downwards

    def mean_down(self, h: Tensor, n_layers: int | None = None) -> Tensor:
        """Mean visible units, each layer's given the means of the one above.

        Parameters
        ----------
        h
            States or means of hidden layer ``n_layers``, shape (..., hidden.n_columns).
        n_layers
            How many layers to go down, all by default; 0 returns ``h``.

        Returns
        -------
        Tensor
            Shape (..., visible.n_columns).
        """
        for rbm in reversed(self.stack[: self._count(n_layers)]):
            h = rbm.mean_v_from_h(h)
        return h

    def sample_down(self, h: Tensor, stream: Stream, n_layers: int | None = None) -> Tensor:
        """Visible states, each layer's drawn given a draw of the one above; else as `mean_down`."""
        for rbm in reversed(self.stack[: self._count(n_layers)]):
            h = rbm.sample_v_from_h(h, stream)
        return h

    def sample(
        self,
        chains: ChainState,
        schedule: SamplingSchedule,
        stream: Stream,
        clamp: Clamp | None = None,
        sampler: Sampler | None = None,
    ) -> Iterator[Dream]:
        """Yield what the chains of the top RBM dream of, at each of the schedule's samples.

        The chains follow the top RBM; from each of them one draw goes down to the visible units.
        Once the chains have come to equilibrium, the dreams follow the network exactly.

        Parameters
        ----------
        chains
            Of the top RBM (``sampling.start_random(dbn.top, n, stream)``); moved in place.
        schedule
            Warm-up, number and spacing of the samples, in sweeps of the top RBM.
        stream
            Random numbers.
        clamp
            Visible columns of the *top* RBM to hold fixed.
        sampler
            Moves the chains; Gibbs by default.

        Raises
        ------
        ValueError
            If chains or clamp do not fit the top RBM; at once, not at the first sample.
        """
        moments = sample(self.top, chains, schedule, stream, clamp, sampler)
        return (self._dream(now, stream) for now in moments)

    @torch.no_grad()
    def _dream(self, chains: ChainState, stream: Stream) -> Dream:
        """One draw downwards from each chain of the top RBM."""
        if len(self) == 1:
            return Dream(chains.visible.clone(), self.top.mean_v_from_h(chains.hidden), chains)
        h = chains.visible
        for rbm in reversed(self.stack[1:-1]):
            h = rbm.sample_v_from_h(h, stream)
        inputs = self.stack[0].inputs_v_from_h(h)
        return Dream(self.visible.sample(inputs, stream), self.visible.mean(inputs), chains)

    def _count(self, n_layers: int | None) -> int:
        if n_layers is None:
            return len(self)
        if not 0 <= n_layers <= len(self):
            raise ValueError(f"n_layers is {n_layers}; pass 0 to {len(self)}")
        return n_layers


def check_stack(rbms: Sequence[RBM]) -> None:
    """Refuse RBMs that cannot be stacked.

    Raises
    ------
    ValueError
        If the hidden units of one are of another type or number than the visible ones of the next.
    """
    for number, (lower, upper) in enumerate(pairwise(rbms), start=1):
        if not _same_kind(lower.hidden, upper.visible):
            raise ValueError(
                f"the RBMs do not fit together: RBM {number} has the hidden units "
                f"{lower.hidden!r}, but RBM {number + 1} above it the visible units "
                f"{upper.visible!r}; pass units of the same type and number"
            )


def _check_upwards(rbms: Sequence[RBM], upwards: Sequence[RBM]) -> None:
    if len(upwards) != len(rbms) - 1:
        raise ValueError(
            f"there are {len(upwards)} RBMs upwards and {len(rbms)} downwards; pass one upwards "
            "for each but the top one"
        )
    for number, (up, down) in enumerate(zip(upwards, rbms, strict=False), start=1):
        if not (_same_kind(up.visible, down.visible) and _same_kind(up.hidden, down.hidden)):
            raise ValueError(
                f"RBM {number} is {up!r} upwards, but {down!r} downwards; pass two of the same "
                "layers"
            )


def _same_kind(lower: Units, upper: Units) -> bool:
    """Whether states of the one are states of the other."""
    return type(lower) is type(upper) and (lower.n, lower.width) == (upper.n, upper.width)
