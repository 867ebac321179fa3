"""The states of chains, and where chains start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.arguments import check_count, check_type, no_tensor
from harmonium.gauge import Gauge
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Stream
from harmonium.sampling.replicas import Replicas


@dataclass
class ChainState:
    """The states of Markov chains, one per row; a sampler moves them in place.

    The next sweep starts from ``hidden``. ``visible`` is the fantasy that the last sweep drew, and
    ``hidden`` was drawn given it.

    Attributes
    ----------
    visible : Tensor, shape (n_chains, visible.n_columns)
    hidden : Tensor, shape (n_chains, hidden.n_columns)
    replicas : Replicas or None
        The states at all levels of a ladder, if chains are tempered. ``visible`` and ``hidden``
        then share memory with the last level.
    """

    visible: Tensor
    hidden: Tensor
    replicas: Replicas | None = None

    @classmethod
    def of_replicas(cls, replicas: Replicas) -> ChainState:
        """The chains of the last level, which move together with all others."""
        visible, hidden = replicas.by_level
        return cls(visible[-1], hidden[-1], replicas)

    def become_last_of(self, replicas: Replicas) -> None:
        """Become the last level of these replicas, sharing their states and memory."""
        visible, hidden = replicas.by_level
        self.visible, self.hidden, self.replicas = visible[-1], hidden[-1], replicas

    def __len__(self) -> int:
        return self.visible.shape[0]

    def check(self, rbm: RBM) -> None:
        """Refuse chains whose shape does not match this RBM.

        Raises
        ------
        TypeError
            If ``rbm`` is not an RBM, or states are not tensors.
        ValueError
            Says which layer has which shape.
        """
        if not isinstance(rbm, RBM):
            check_rbm("rbm", rbm)
        rbm.visible.check_width(self.visible, "visible")
        rbm.hidden.check_width(self.hidden, "hidden")
        if self.visible.dim() != 2 or self.visible.shape[:-1] != self.hidden.shape[:-1]:
            raise ValueError(
                f"the chains' visible states have shape {tuple(self.visible.shape)} and the hidden "
                f"ones {tuple(self.hidden.shape)}; pass (n_chains, columns), one row per chain in "
                "both"
            )
        if self.replicas is not None and any(
            states.data_ptr() != of_replicas[-1].data_ptr() or len(states) != len(of_replicas[-1])
            for states, of_replicas in zip(
                (self.visible, self.hidden), self.replicas.by_level, strict=True
            )
        ):
            raise ValueError(
                "the chains have been replaced, and are no longer the last level of their "
                "replicas; write into them in place, or make chains without replicas"
            )

    def check_states(self, rbm: RBM) -> None:
        """Refuse chains whose dtype or device differs from this RBM's parameters.

        Raises
        ------
        TypeError, ValueError
            As `Units.check_states`.
        """
        rbm.visible.check_states(self.visible, "visible")
        rbm.hidden.check_states(self.hidden, "hidden")

    def entering(self, gauge: Gauge) -> ChainState:
        """The chains in the coordinates of a moved model; the same object if nothing is moved."""
        if gauge.is_identity:
            return self
        return ChainState(gauge.enter(self.visible), gauge.enter_hidden(self.hidden))

    def follow_(self, chains: ChainState, gauge: Gauge) -> None:
        """Copy back, in place, the states of chains that `entering` made from these."""
        if not gauge.is_identity:
            self.visible.copy_(gauge.leave(chains.visible))
            self.hidden.copy_(gauge.leave_hidden(chains.hidden))

    def clone(self) -> ChainState:
        """A copy of the chains that shares no memory with them."""
        if self.replicas is not None:
            return ChainState.of_replicas(self.replicas.clone())
        return ChainState(self.visible.clone(), self.hidden.clone())


@torch.no_grad()
def start_at(rbm: RBM, visible: Tensor, stream: Stream) -> ChainState:
    """Start one chain at each row of ``visible``, shape (n_chains, visible.n_columns)."""
    check_rbm("rbm", rbm)
    check_stream(stream)
    if not isinstance(visible, Tensor):
        raise no_tensor("visible", visible)
    if visible.dim() != 2:
        raise ValueError(
            f"visible has shape {tuple(visible.shape)}; pass (n_chains, {rbm.visible.n_columns}), "
            "one row per chain"
        )
    visible = visible.clone(memory_format=torch.contiguous_format)
    return ChainState(visible, rbm.sample_h_from_v(visible, stream))


@torch.no_grad()
def start_random(rbm: RBM, n_chains: int, stream: Stream) -> ChainState:
    """Start chains at visible units drawn from their biases alone, as if there were no weights.

    After `RBM.init_from_data_` that is independent noise with the data's base rates.
    """
    check_rbm("rbm", rbm)
    check_count("n_chains", n_chains)
    check_stream(stream)
    gauge = Gauge.of(rbm)  # biases far from zero encode where the other layer is
    visible = gauge.rbm.visible.sample_alone(n_chains, stream)
    return start_at(rbm, gauge.leave(visible), stream)


def check_stream(stream: Stream) -> None:
    """Refuse anything but a stream of random numbers, such as a bare seed."""
    check_type("stream", stream, Stream, "Stream(seed, Purpose.SAMPLE), from harmonium.rng")
