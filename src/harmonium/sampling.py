"""Markov chains that sample an RBM: what a chain is, how it starts, and how it moves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.autograd import without_autograd
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.units import Binary, Spin, Units

# Of the units whose upper state is 1 and whose energy is the bias's alone.
_LOWER_STATE: dict[type[Units], int] = {Binary: 0, Spin: -1}

# Sweeps of one call while sampling: enough that beginning costs nothing, and Ctrl-C is heard.
_SWEEPS_AT_ONCE = 50


@dataclass
class ChainState:
    """Chains, one a row; a sampler moves them in place.

    The next sweep starts from ``hidden``; ``visible`` is the fantasy that the last one drew, and
    ``hidden`` was drawn given it.

    Attributes
    ----------
    visible : Tensor, shape (n_chains, visible.n_columns)
    hidden : Tensor, shape (n_chains, hidden.n_columns)
    """

    visible: Tensor
    hidden: Tensor

    def __len__(self) -> int:
        return self.visible.shape[0]

    def check(self, rbm: RBM) -> None:
        """Refuse chains that are not of this RBM's shape.

        Raises
        ------
        ValueError
            Says which layer is of which shape.
        """
        rbm.visible.check_width(self.visible, "visible")
        rbm.hidden.check_width(self.hidden, "hidden")
        if self.visible.dim() != 2 or self.visible.shape[:-1] != self.hidden.shape[:-1]:
            raise ValueError(
                f"the chains' visible states have shape {tuple(self.visible.shape)} and the hidden "
                f"ones {tuple(self.hidden.shape)}; pass (n_chains, columns), a row a chain in both"
            )

    def clone(self) -> ChainState:
        """Chains of their own in the same states."""
        return ChainState(self.visible.clone(), self.hidden.clone())


@torch.no_grad()
def start_at(rbm: RBM, visible: Tensor, stream: Stream) -> ChainState:
    """Start one chain at each row of ``visible``, shape (n_chains, visible.n_columns)."""
    if visible.dim() != 2:
        raise ValueError(
            f"visible has shape {tuple(visible.shape)}; pass (n_chains, {rbm.visible.n_columns}), "
            "a row a chain"
        )
    visible = visible.clone(memory_format=torch.contiguous_format)
    return ChainState(visible, rbm.sample_h_from_v(visible, stream))


@torch.no_grad()
def start_random(rbm: RBM, n_chains: int, stream: Stream) -> ChainState:
    """Start chains at visible units drawn from their biases alone, as if no weights were there.

    After `RBM.init_from_data_` that is independent noise with the data's base rates.
    """
    if n_chains < 1:
        raise ValueError(f"n_chains is {n_chains}; pass 1 or more")
    visible = rbm.visible.sample_(rbm.weights.new_zeros(n_chains, rbm.visible.n_columns), stream)
    return start_at(rbm, visible, stream)


class Clamp:
    """Visible columns that are held fixed: the rest is sampled given them.

    Parameters
    ----------
    mask
        True where a column is held, shape (n_columns,) or (n_chains, n_columns).
    values
        States to hold there, broadcastable to (n_chains, n_columns); the rest is not read.
    """

    def __init__(self, mask: Tensor, values: Tensor) -> None:
        if mask.dtype != torch.bool:
            raise TypeError(f"mask has dtype {mask.dtype}; pass booleans, True where held")
        if mask.dim() < 1 or mask.shape[-1:] != values.shape[-1:]:
            raise ValueError(
                f"mask has shape {tuple(mask.shape)} and values {tuple(values.shape)}; "
                "pass the same number of columns, one for each visible column"
            )
        self.mask = mask
        self.values = values

    def check(self, rbm: RBM, chains: ChainState) -> None:
        """Refuse what cannot be held in these chains.

        Raises
        ------
        ValueError
            If mask or values do not fit the chains, if the mask cuts through a unit, or if the
            held values are no states of the visible units.
        """
        rbm.visible.check_width(self.mask, "visible")
        for name, held in (("mask", self.mask), ("values", self.values)):
            if held.dim() > 2 or (held.dim() == 2 and held.shape[0] not in (1, len(chains))):
                raise ValueError(
                    f"{name} has shape {tuple(held.shape)}, but there are {len(chains)} chains; "
                    f"pass shape ({held.shape[-1]},) or ({len(chains)}, {held.shape[-1]})"
                )
        by_unit = self.mask.reshape(-1, rbm.visible.n, rbm.visible.width)
        if (by_unit.any(-1) != by_unit.all(-1)).any():
            raise ValueError(
                f"mask holds some of the {rbm.visible.width} columns of a unit and leaves others "
                "free; hold all columns of a unit, or none"
            )
        held_states = torch.where(self.mask, self.values, chains.visible)
        rbm.visible.check(held_states, "visible rows with the values to hold")

    def apply_(self, visible: Tensor) -> Tensor:
        """Write the held values into rows of visible states."""
        return torch.where(self.mask, self.values.to(visible.dtype), visible, out=visible)


@dataclass(frozen=True)
class SweepInfo:
    """What a sampler saw on its way, for looking at and for the gradient.

    Attributes
    ----------
    hidden
        Expected statistics of the hidden units given the chains' visible states
        (`Units.mean_statistics`), by parameter name.
    """

    hidden: dict[str, Tensor]


class Sampler(ABC):
    """Moves chains so that the model's distribution stays as it is."""

    @abstractmethod
    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        """Move the chains in place; returns them and what was seen.

        Chains that end with this call, as those of CD do, need no hidden states to go on from:
        ``ends`` says so, and saves the draw of them.
        """

    @abstractmethod
    def config(self) -> dict[str, int | float | bool]:
        """The arguments that make another sampler like this one."""


@dataclass(frozen=True)
class Gibbs(Sampler):
    """Block Gibbs sampling: all visible units given the hidden ones, then the reverse.

    Parameters
    ----------
    sweeps
        Full sweeps h -> v -> h a call; the k of CD-k and PCD-k.
    """

    sweeps: int = defaults.SWEEPS

    def __post_init__(self) -> None:
        """Refuse a sampler that would not move."""
        if self.sweeps < 1:
            raise ValueError(f"sweeps is {self.sweeps}; pass 1 or more")

    @without_autograd
    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        """Move the chains in place by ``sweeps`` sweeps.

        With ``ends`` they are left with the last visible states and no hidden ones.
        """
        chains.check(rbm)
        v, h, weights = chains.visible, chains.hidden, rbm.weights
        # one sweep from scratch is no more than products; what is held does not flip as it draws
        if self.sweeps > 1 and clamp is None and self._follow_flips(rbm, chains, stream, ends):
            return chains, SweepInfo(rbm.observe_h_from_v(v))
        for remaining in reversed(range(self.sweeps)):
            # inputs are written into the states' own buffers, and overwritten by the draw
            rbm.visible.sample_(torch.mm(h, weights.T, out=v), stream)
            if clamp is not None:
                clamp.apply_(v)
            if remaining:
                rbm.hidden.sample_(kernels.product(v, weights, out=h), stream)
        if ends:
            info = SweepInfo(rbm.observe_h_from_v(v))
            stream.take()  # chains that go on draw here, and both see the same bits
        else:
            info = SweepInfo(rbm.observe_h_from_v(v, h, stream))
        return chains, info

    def _follow_flips(self, rbm: RBM, chains: ChainState, stream: Stream, ends: bool) -> bool:
        """Sweep as `kernels.sweeps_` does, between layers of two-valued units, where that pays."""
        low_v, low_h = (_LOWER_STATE.get(type(units)) for units in (rbm.visible, rbm.hidden))
        if low_v is None or low_h is None:
            return False
        return kernels.sweeps_(
            (chains.visible, chains.hidden),
            rbm.weights,
            (rbm.visible.bias, low_v),
            (rbm.hidden.bias, low_h),
            self.sweeps,
            stream,
            ends=ends,
        )

    def config(self) -> dict[str, int | float | bool]:  # noqa: D102
        return {"sweeps": self.sweeps}


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

    Raises
    ------
    ValueError
        If chains or clamp do not fit the model; at once, not at the first sample.
    """
    chains.check(rbm)
    if clamp is not None:
        clamp.check(rbm, chains)
    return _samples(rbm, chains, schedule, stream, clamp)


def _samples(
    rbm: RBM, chains: ChainState, schedule: SamplingSchedule, stream: Stream, clamp: Clamp | None
) -> Iterator[ChainState]:
    if clamp is not None:
        with torch.no_grad():
            clamp.apply_(chains.visible)
            rbm.hidden.sample_(torch.mm(chains.visible, rbm.weights, out=chains.hidden), stream)
    for n_sweeps in (schedule.n_warmup, *[schedule.sweeps_per_sample] * (schedule.n_samples - 1)):
        for done in range(0, n_sweeps, _SWEEPS_AT_ONCE):
            gibbs = Gibbs(min(_SWEEPS_AT_ONCE, n_sweeps - done))
            gibbs(rbm, chains, stream, clamp)
        yield chains
