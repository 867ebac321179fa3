"""Block Gibbs sampling."""

from __future__ import annotations

from dataclasses import dataclass

from harmonium import defaults, kernels
from harmonium.arguments import check_count
from harmonium.autograd import without_autograd
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling.chains import ChainState, check_stream
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.sampler import Sampler, SweepInfo


@dataclass(frozen=True)
class Gibbs(Sampler):
    """Block Gibbs sampling: all visible units given the hidden ones, then vice versa.

    Parameters
    ----------
    sweeps
        Full sweeps h -> v -> h per call; the k of CD-k and PCD-k.
    """

    sweeps: int = defaults.SWEEPS

    def __post_init__(self) -> None:
        """Refuse a sampler without sweeps."""
        check_count("sweeps", self.sweeps)

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

        With ``ends``, the last visible states are valid afterwards, but not the hidden ones.
        """
        if not isinstance(stream, Stream):
            check_stream(stream)
        chains.check(rbm)
        try:
            return self._move(rbm, chains, stream, clamp, ends)
        except RuntimeError:  # checked only on failure, so that valid input costs nothing
            chains.check_states(rbm)
            raise

    def _move(
        self, rbm: RBM, chains: ChainState, stream: Stream, clamp: Clamp | None, ends: bool
    ) -> tuple[ChainState, SweepInfo]:
        v, h, weights = chains.visible, chains.hidden, rbm.weights
        # a single sweep needs the full products anyway; clamped units do not flip as they are drawn
        if self.sweeps > 1 and clamp is None and self._follow_flips(rbm, chains, stream, ends):
            return chains, SweepInfo(rbm.observe_h_from_v(v))
        if clamp is not None or not self._follow_categories(rbm, chains, stream):
            for remaining in reversed(range(self.sweeps)):
                # inputs are written into the state buffers, and the draw overwrites them
                rbm.visible.sample_(kernels.mm(h, weights.T, out=v), stream)
                if clamp is not None:
                    clamp.apply_(v)
                if remaining:
                    rbm.hidden.sample_(kernels.product(v, weights, out=h), stream)
        if ends:
            info = SweepInfo(rbm.observe_h_from_v(v))
            for _ in rbm.hidden.groups:
                stream.take()  # chains that continue draw here; both then see the same bits
        else:
            info = SweepInfo(rbm.observe_h_from_v(v, h, stream))
        return chains, info

    def _follow_flips(self, rbm: RBM, chains: ChainState, stream: Stream, ends: bool) -> bool:
        """Sweep with `kernels.sweeps_` if both layers are two-valued and that is faster."""
        low_v, low_h = rbm.visible.low_state, rbm.hidden.low_state
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

    def _follow_categories(self, rbm: RBM, chains: ChainState, stream: Stream) -> bool:
        """Sweep with `kernels.one_hot_sweeps_` if visible units are one-hot and that is faster."""
        visible, hidden = rbm.visible, rbm.hidden
        n_categories = visible.n_one_hot
        if n_categories is None or not visible.is_linear:
            return False
        return kernels.one_hot_sweeps_(
            (chains.visible, chains.hidden),
            rbm.weights,
            (visible.bias, n_categories),
            (hidden.sample_, hidden.low_state),
            self.sweeps,
            stream,
        )

    def config(self) -> dict[str, int | float | bool]:  # noqa: D102
        return {"sweeps": self.sweeps}
