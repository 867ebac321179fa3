"""Completion: sampling the unknown visible columns of a deep belief network given the known ones.

In an RBM, this is block Gibbs sampling with some columns held. In a deeper network, the hidden
units of a layer are dependent given the layer below (explaining away), so the hidden states cannot
be drawn directly given the visible ones. Instead, a `HiddenSampler` moves them: `PseudoGibbs`,
which is approximate, or `MetropolisWithinGibbs`, which is exact.

References
----------
.. [1] G. E. Hinton, S. Osindero and Y. W. Teh (2006), "A fast learning algorithm for deep belief
   nets", Neural Computation 18.
.. [2] P. A. Mattei and J. Frellsen (2018), "Leveraging the exact likelihood of deep latent
   variable models", NeurIPS: pseudo-Gibbs and Metropolis-within-Gibbs imputation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import check_type, no_tensor
from harmonium.deep.bound import log_p
from harmonium.deep.coordinates import near_zero
from harmonium.deep.dbn import DBN
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, SamplingSchedule
from harmonium.sampling import sample as sample_rbm
from harmonium.units import Units


@dataclass(frozen=True, eq=False)
class Completion:
    """Completed rows at one moment, one per chain.

    Attributes
    ----------
    visible : Tensor, shape (n_chains, n_columns)
        Visible states; the known columns have their held values.
    means : Tensor, shape (n_chains, n_columns)
        Means of the visible units given the states above them; the known columns have their held
        values.
    classes : Tensor or None, shape (n_chains,)
        The class shown by each chain's label units, int64, if there are any.
    acceptance : Tensor or None, shape (n_chains, n_proposals)
        Mean acceptance probability of each proposal of `MetropolisWithinGibbs` since the last
        sample. None if nothing was proposed.
    """

    visible: Tensor
    means: Tensor
    classes: Tensor | None = None
    acceptance: Tensor | None = None


class HiddenSampler(ABC):
    """Moves the hidden states of all layers but the top one, given the visible states."""

    @abstractmethod
    def __call__(
        self, dbn: DBN, v: Tensor, hidden: list[Tensor], labels: Tensor | None, stream: Stream
    ) -> Tensor | None:
        """Replace the states in ``hidden``; returns acceptance probabilities.

        Parameters
        ----------
        dbn
            Two hidden layers or more.
        v
            Visible states, shape (n_chains, n_columns).
        hidden
            States of each hidden layer except the top one, from below, without labels.
        labels
            One-hot states of held label units, shape (n_chains, n_classes).
        stream
            Random numbers.

        Returns
        -------
        Tensor or None
            Acceptance probabilities, shape (n_chains, n_proposals); None without proposals.
        """


@dataclass(frozen=True)
class PseudoGibbs(HiddenSampler):
    """Draw hidden states upwards to the top, and downwards again from there.

    Every layer moves in every sweep, under the influence of the top RBM. But the upward pass uses
    the recognition distribution, which ignores the layers above, instead of the posterior. The
    downward pass ignores the known columns, which therefore have less influence than in the
    posterior. Chains converge to a distribution near that of the network, without a closed form.
    """

    def __call__(  # noqa: D102
        self, dbn: DBN, v: Tensor, hidden: list[Tensor], labels: Tensor | None, stream: Stream
    ) -> None:
        below_top = dbn.sample_below_top(v, stream)
        if labels is not None:
            below_top[:, dbn.n_features :] = labels
        h = dbn.top.sample_h_from_v(below_top, stream)
        for layer in reversed(range(len(hidden))):
            h = dbn.stack[layer + 1].sample_v_from_h(h, stream)
            if layer == len(hidden) - 1:
                h = h[:, : dbn.n_features].contiguous()
            hidden[layer] = h


@dataclass(frozen=True)
class MetropolisWithinGibbs(HiddenSampler):
    """Propose hidden states by a draw upwards, and accept them by the Metropolis-Hastings rule.

    The proposal q is the recognition distribution. A chain moves to the proposed hidden states h'
    with probability ``min(1, p(v, h') q(h | v) / (p(v, h) q(h' | v)))``; the top RBM's hidden units
    are summed out, and so are label units that are not held. This leaves the posterior of the
    network invariant for any proposal, so chains follow it exactly once they have reached
    equilibrium. How soon they do depends on the acceptance rate. In a tied network, the acceptance
    rate depends on how far the upper layers have moved the prior of a layer from that of the RBM
    below it, which greedy pretraining does in small steps. The rate is lower for larger layers.

    Parameters
    ----------
    shares
        Each sweep makes one proposal per share, which draws this fraction of the hidden units
        again, chosen at random. Proposals for all units move far; proposals for a few units are
        accepted even where a chain would otherwise be stuck.

    Raises
    ------
    ValueError
        If there are no shares, or a share is not in (0, 1].
    """

    shares: tuple[float, ...] = (1.0, 1 / 16)

    def __post_init__(self) -> None:
        """Reject proposals that would change nothing."""
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ValueError(
                f"shares is {self.shares}; pass one share of the hidden units or more, each above "
                "0 and up to 1"
            )

    def __call__(  # noqa: D102
        self, dbn: DBN, v: Tensor, hidden: list[Tensor], labels: Tensor | None, stream: Stream
    ) -> Tensor:
        acceptance = []
        for share in self.shares:
            proposed, log_ratio = self._propose(dbn, v, hidden, labels, share, stream)
            p = log_ratio.clamp(max=0).exp()
            chance = kernels.uniform((len(v), 1), stream, device=v.device, dtype=v.dtype)
            accepted = chance < p[:, None]
            hidden[:] = [
                torch.where(accepted, new, old) for new, old in zip(proposed, hidden, strict=True)
            ]
            acceptance.append(p)
        return torch.stack(acceptance, 1)

    def _propose(
        self,
        dbn: DBN,
        v: Tensor,
        hidden: list[Tensor],
        labels: Tensor | None,
        share: float,
        stream: Stream,
    ) -> tuple[list[Tensor], Tensor]:
        """Hidden states, and the log Hastings ratio of each chain, float64."""
        proposed: list[Tensor] = []
        log_ratio = torch.zeros(len(v), dtype=torch.float64, device=v.device)
        below, new_below = v, v
        for h, down, up in zip(hidden, dbn.stack[:-1], dbn.recognition[:-1], strict=True):
            inputs, new_inputs = (up.inputs_h_from_v(states) for states in (below, new_below))
            new = up.hidden.sample(new_inputs, stream)
            chosen = _chosen(up.hidden, len(v), share, stream)
            if chosen is not None:
                new = torch.where(chosen[:, _unit_of_column(up.hidden)], new, h)
            log_ratio += log_p(down.visible, new_below, down.inputs_v_from_h(new))
            log_ratio -= log_p(down.visible, below, down.inputs_v_from_h(h))
            log_ratio += _log_p_of_units(up.hidden, h, inputs, chosen)
            log_ratio -= _log_p_of_units(up.hidden, new, new_inputs, chosen)
            proposed.append(new)
            below, new_below = h, new
        log_ratio += _free_energy(dbn, below, labels) - _free_energy(dbn, new_below, labels)
        return proposed, log_ratio


def complete(
    dbn: DBN,
    visible: Tensor,
    clamp: Clamp,
    schedule: SamplingSchedule,
    stream: Stream,
    *,
    classes: Tensor | None = None,
    sampler: HiddenSampler | None = None,
) -> Iterator[Completion]:
    """Yield rows completed by a network, at each sample of the schedule.

    A sweep draws the unknown visible columns given the first hidden layer, which is exact, and then
    moves all hidden states given the visible ones with the sampler. A network with one hidden layer
    is sampled exactly for any sampler, as by `harmonium.sampling.sample`.

    Parameters
    ----------
    dbn
        The network, tied or not.
    visible
        Where chains start, shape (n_chains, visible.n_columns).
    clamp
        The known visible columns and their values.
    schedule
        Burn-in, number and spacing of the samples.
    stream
        Random numbers.
    classes
        Class at which the label units of each chain are held, int64, shape (n_chains,); None leaves
        them free.
    sampler
        Moves hidden states: `PseudoGibbs` by default, which is fast and approximate;
        `MetropolisWithinGibbs` is exact.

    Raises
    ------
    ValueError
        If rows, clamp or classes do not fit the network, or nothing is left to complete; raised
        immediately, not at the first sample.
    """
    check_type("dbn", dbn, DBN, "a DBN; an RBM alone is DBN([rbm])")
    if not isinstance(visible, Tensor):
        raise no_tensor("visible", visible)
    check_type("clamp", clamp, Clamp, "Clamp(mask, values)")
    check_type("schedule", schedule, SamplingSchedule, "SamplingSchedule(1_000, 10, 100)")
    check_type("stream", stream, Stream, "Stream(seed, Purpose.SAMPLE)")
    bottom = dbn.stack[0]
    v = visible.to(bottom.weights.dtype, memory_format=torch.contiguous_format, copy=True)
    chains = ChainState(v, v.new_zeros(*v.shape[:-1], bottom.hidden.n_columns))
    chains.check(bottom)
    clamp.check(bottom, chains)
    if clamp.mask.all():
        raise ValueError(
            f"mask holds all {clamp.mask.shape[-1]} visible columns, and nothing is left to "
            "complete; leave one or more free"
        )
    labels = None
    if classes is not None:
        if len(classes) != len(v):
            raise ValueError(f"there are {len(classes)} classes and {len(v)} chains; pass one each")
        labels = dbn.clamp_classes(classes).values[:, dbn.n_features :]
    if len(dbn) == 1:
        moments = sample_rbm(dbn.top, chains, schedule, stream, clamp, copies=False)
        return (_of_one_layer(dbn, now, clamp) for now in moments)
    moved, gauge = near_zero(dbn)
    held = Clamp(clamp.mask, gauge.enter(clamp.values))
    found = _completions(
        moved, gauge.enter(v), held, schedule, stream, labels, sampler or PseudoGibbs()
    )
    if gauge.is_identity:
        return found
    return (
        replace(now, visible=gauge.leave(now.visible), means=gauge.leave(now.means))
        for now in found
    )


@torch.no_grad()
def _of_one_layer(dbn: DBN, chains: ChainState, clamp: Clamp) -> Completion:
    means = dbn.top.mean_v_from_h(chains.hidden)
    return Completion(chains.visible.clone(), clamp.apply_(means))


def _completions(
    dbn: DBN,
    v: Tensor,
    clamp: Clamp,
    schedule: SamplingSchedule,
    stream: Stream,
    labels: Tensor | None,
    sampler: HiddenSampler,
) -> Iterator[Completion]:
    chains: _Chains | None = None
    for n_sweeps in (schedule.n_warmup, *[schedule.sweeps_per_sample] * (schedule.n_samples - 1)):
        if chains is None:
            chains = _Chains.begin(dbn, v, clamp, labels, stream)
        accepted = [chains.sweep(sampler) for _ in range(n_sweeps)]
        yield chains.completion([p for p in accepted if p is not None])


@dataclass
class _Chains:
    """Chains over all layers except the top one, whose hidden units are drawn when needed."""

    dbn: DBN
    visible: Tensor
    hidden: list[Tensor]
    clamp: Clamp
    labels: Tensor | None
    stream: Stream

    @classmethod
    @torch.no_grad()
    def begin(
        cls, dbn: DBN, v: Tensor, clamp: Clamp, labels: Tensor | None, stream: Stream
    ) -> _Chains:
        """Start at visible states, and at hidden states drawn upwards from them."""
        hidden, below = [], clamp.apply_(v)
        for rbm in dbn.recognition[:-1]:
            below = rbm.sample_h_from_v(below, stream)
            hidden.append(below)
        return cls(dbn, v, hidden, clamp, labels, stream)

    @torch.no_grad()
    def sweep(self, sampler: HiddenSampler) -> Tensor | None:
        """Draw unknown visible columns given the hidden units, then these given all visible."""
        v = self.dbn.stack[0].sample_v_from_h(self.hidden[0], self.stream)
        self.visible = self.clamp.apply_(v)
        return sampler(self.dbn, self.visible, self.hidden, self.labels, self.stream)

    @torch.no_grad()
    def completion(self, accepted: list[Tensor]) -> Completion:
        """The current completion, with the acceptance probabilities since the last sample."""
        means = self.dbn.stack[0].mean_v_from_h(self.hidden[0])
        return Completion(
            visible=self.visible.clone(),
            means=self.clamp.apply_(means),
            classes=self._classes(),
            acceptance=torch.stack(accepted).mean(0) if accepted else None,
        )

    def _classes(self) -> Tensor | None:
        if self.labels is not None:
            return self.labels.argmax(1)
        if self.dbn.n_classes is None:
            return None
        below_top = self.dbn.join_labels(self.hidden[-1], self.stream)
        return below_top[:, self.dbn.n_features :].argmax(1)


def _free_energy(dbn: DBN, h: Tensor, labels: Tensor | None) -> Tensor:
    """Minus the unnormalised log-probability of states and held labels in the top RBM, float64."""
    if labels is None:
        return dbn.free_energy_below_top(h).double()
    return dbn.top.free_energy(torch.cat((h, labels), 1)).double()


def _chosen(units: Units, n_chains: int, share: float, stream: Stream) -> Tensor | None:
    """Units to draw again, shape (n_chains, units.n); None for all units."""
    if share == 1:
        return None
    like = units.bias
    return (
        kernels.uniform((n_chains, units.n), stream, device=like.device, dtype=like.dtype) < share
    )


def _unit_of_column(units: Units) -> Tensor:
    """The number of the unit to which each column belongs, int64, shape (n_columns,)."""
    widths = torch.tensor([part.width for _, part in units.groups for _ in range(part.n)])
    return torch.arange(units.n).repeat_interleave(widths).to(units.bias.device)


def _log_p_of_units(units: Units, x: Tensor, inputs: Tensor, chosen: Tensor | None) -> Tensor:
    """Log-probability (density) of the chosen units' states given inputs, float64, (n_chains,).

    The result also contains minus the energy of the other units; this cancels between two sets of
    states that share them.
    """
    if chosen is None:
        return log_p(units, x, inputs)
    received = torch.where(chosen[:, _unit_of_column(units)], x * inputs, 0).sum(1)
    log_weight = received - units.energy(x)
    return (log_weight - torch.where(chosen, units.cgf(inputs), 0).sum(1)).double()
