"""Updates that the host need not wait for: recorded once, replayed, and judged on the device.

What belongs here knows nothing of models. A function of a batch and a stream is recorded as a
CUDA graph in which its random numbers move on, and gradients that are not finite are kept from
the parameters until somebody asks about them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from harmonium.rng import Stream, Word

_N_WARM_UPS = 3
_MASK = 0xFFFFFFFF

Compute = Callable[[Tensor, Stream], None]


class Graph(Protocol):
    """The device's work in one call of a function, to be done again without the function."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function, for what it does and for what it does only the first times."""

    def record(self, function: Callable[[], None]) -> None:
        """Call the function and note its work, of which nothing is done yet."""

    def replay(self) -> None:
        """Do the noted work, on the memory it was noted with."""


class CudaGraph:
    """A `torch.cuda.CUDAGraph`, recorded on the side stream that it was warmed up on."""

    def __init__(self) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._side = torch.cuda.Stream()

    def warm_up(self, function: Callable[[], None]) -> None:  # noqa: D102
        main = torch.cuda.current_stream()
        self._side.wait_stream(main)
        with torch.cuda.stream(self._side):
            function()
        main.wait_stream(self._side)

    def record(self, function: Callable[[], None]) -> None:  # noqa: D102
        # what other threads do meanwhile is none of its business
        mode = "thread_local"
        with torch.cuda.graph(self._graph, stream=self._side, capture_error_mode=mode):
            function()

    def replay(self) -> None:  # noqa: D102
        self._graph.replay()


class DeviceStream(Stream):
    """A stream whose position a device keeps, so that recorded draws move on with it.

    On the host, ``position`` counts the draws of one turn.

    Parameters
    ----------
    stream
        Whose seed, purpose and rank the draws have.
    n_draws
        Draws of one turn.
    device
        Where the draws are made.
    """

    def __init__(self, stream: Stream, n_draws: int, device: torch.device) -> None:
        super().__init__(stream.seed, stream.purpose, stream.rank)
        _, _, _, self._lane = stream.at(0).take()
        self.n_draws = n_draws
        self._start = torch.zeros((), dtype=torch.int64, device=device)
        self._draws = torch.arange(n_draws, device=device)
        # the two words of a draw side by side, so that all pointers to them are aligned alike
        self._words = torch.zeros(n_draws, 2, dtype=torch.int64, device=device)

    def go_to(self, position: int) -> None:
        """Start the next turn at an absolute position."""
        self._start.fill_(position)

    def begin_turn(self) -> None:
        """Make the turn's words from where it starts, on the device."""
        self.position = 0
        positions = self._draws + self._start
        low, high = self._words.unbind(1)
        low.copy_(positions & _MASK)
        high.copy_((positions >> 32) | self._lane)

    def take(self) -> tuple[int, int, Word, Word]:
        """Take one draw: the key's words, and where the device keeps the counter's."""
        n = self.position
        key_0, key_1, _, _ = super().take()
        return key_0, key_1, self._words[n, 0], self._words[n, 1]


class Recorder:
    """Runs a function again and again: the first times as it is, then as a recorded graph.

    Parameters
    ----------
    make_graph
        Makes an empty graph.
    """

    def __init__(self, make_graph: Callable[[], Graph]) -> None:
        self._make_graph: Callable[[], Graph] | None = make_graph
        self._baked: object = None
        self._n_calls = 0

    def __call__(self, compute: Compute, batch: Tensor, stream: Stream, baked: object) -> None:
        """Do what ``compute(batch, stream)`` does.

        Parameters
        ----------
        compute
            Works in place, on the same memory in every call, and without waiting for the device;
            takes as many draws in every call.
        batch, stream
            May be others in every call.
        baked
            Everything else that ``compute`` depends on: numbers, and the `memory` of tensors.
            Where this changes, recording starts anew.
        """
        baked = (memory(batch)[1:], stream.seed, stream.purpose, stream.rank, baked)
        if baked != self._baked:
            self._baked, self._n_calls = baked, 0
        if self._make_graph is None:
            compute(batch, stream)
            return
        if self._n_calls == 0:
            first = stream.position
            compute(batch, stream)
            self._draws = DeviceStream(stream, stream.position - first, batch.device)
            self._batch = torch.empty_like(batch)
            self._graph = self._make_graph()
            self._n_calls = 1
            return

        def turn() -> None:
            self._draws.begin_turn()
            compute(self._batch, self._draws)
            assert self._draws.position == self._draws.n_draws

        self._batch.copy_(batch)
        self._draws.go_to(stream.position)
        if self._n_calls < _N_WARM_UPS:
            self._graph.warm_up(turn)
        elif self._n_calls > _N_WARM_UPS or self._is_recorded(turn):
            self._graph.replay()
        else:
            compute(batch, stream)
            return
        self._n_calls += 1
        stream.position += self._draws.n_draws

    def _is_recorded(self, turn: Callable[[], None]) -> bool:
        """Record, or say why not and never try again."""
        try:
            self._graph.record(turn)
        except RuntimeError as error:
            reason = next(iter(str(error).splitlines()), "")
            warnings.warn(
                f"an update could not be recorded as a CUDA graph ({type(error).__name__}: "
                f"{reason}); training goes on without one: the same numbers, but slower",
                RuntimeWarning,
                stacklevel=2,
            )
            self._make_graph = None
            return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies begin anew: a graph works on the memory that it was recorded with."""
        return type(self), (self._make_graph,)


def memory(tensor: Tensor | None) -> tuple[Any, ...]:
    """Where a tensor is, and how it lies there."""
    if tensor is None:
        return ()
    return tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride()


class GradientCheck:
    """Whether all gradients were finite so far, which the device alone knows until it is asked.

    From the first update on whose gradient is not, all gradients are zero.

    Parameters
    ----------
    parameters
        Whose gradients are looked at.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._parameters = list(parameters)
        self._before = [parameter.detach().clone() for parameter in self._parameters]
        device = self._before[0].device
        self._is_bad = torch.zeros((), dtype=torch.bool, device=device)
        self._n_bad = torch.zeros((), dtype=torch.int64, device=device)

    def is_of(self, parameters: Iterable[nn.Parameter]) -> bool:
        """Whether these are the parameters, and where they were."""
        now = list(parameters)
        return len(now) == len(self._parameters) and all(
            a is b and memory(a)[1:] == memory(before)[1:]
            for a, b, before in zip(now, self._parameters, self._before, strict=True)
        )

    @torch.no_grad()
    def __call__(self) -> None:
        """Look at the gradients of an update, before the optimiser's step."""
        for parameter, before in zip(self._parameters, self._before, strict=True):
            torch.where(self._is_bad, before, parameter, out=before)
        grads = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        # one bad number makes its sum bad
        total = torch.stack([grad.sum() for grad in grads]).sum()
        self._is_bad.logical_or_(total.isfinite().logical_not())
        self._n_bad.add_(self._is_bad)
        for grad in grads:
            grad.masked_fill_(self._is_bad, 0)

    @torch.no_grad()
    def undo(self) -> int:
        """Ask the device how many updates ago the first bad one was: 1 for the last, 0 for none.

        The parameters are then as they were before it (an optimiser with momentum would have
        moved them on), and the next update is judged anew.
        """
        n_bad = int(self._n_bad)
        if n_bad:
            for parameter, before in zip(self._parameters, self._before, strict=True):
                parameter.copy_(before)
            self._is_bad.zero_()
            self._n_bad.zero_()
        return n_bad


@dataclass
class Ahead:
    """What lets the host run ahead of a device; nothing of it has to be saved."""

    check: GradientCheck
    recorder: Recorder
