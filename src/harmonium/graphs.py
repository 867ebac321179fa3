"""Record a repeated computation once as a CUDA graph, and replay it.

This module knows nothing of models. It records a function of a batch and a stream; the stream's
random numbers advance with every replay. Everything else that the function uses is baked in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from harmonium.rng import Stream, Word

_N_WARM_UPS = 3
_MASK = 0xFFFFFFFF

Compute = Callable[[Tensor, Stream], None]


class Graph(Protocol):
    """The device's work in one call of a function, which can be repeated without the call."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function normally, so that work done only on first calls happens now."""

    def record(self, function: Callable[[], None]) -> None:
        """Call the function and record its work without executing it."""

    def replay(self) -> None:
        """Execute the recorded work, on the memory it was recorded with."""


class CudaGraph:
    """A `torch.cuda.CUDAGraph`, warmed up and recorded on the same side stream.

    Parameters
    ----------
    device
        The device whose work is recorded.
    """

    def __init__(self, device: torch.device) -> None:
        self._graph = torch.cuda.CUDAGraph()
        self._side = torch.cuda.Stream(device)

    def warm_up(self, function: Callable[[], None]) -> None:  # noqa: D102
        main = torch.cuda.current_stream(self._side.device)
        self._side.wait_stream(main)
        with torch.cuda.stream(self._side):
            function()
        main.wait_stream(self._side)

    def record(self, function: Callable[[], None]) -> None:  # noqa: D102
        # other threads may use the device meanwhile
        mode = "thread_local"
        with torch.cuda.graph(self._graph, stream=self._side, capture_error_mode=mode):
            function()

    def replay(self) -> None:  # noqa: D102
        self._graph.replay()


class DeviceStream(Stream):
    """A stream whose position lives on the device, so that recorded draws advance with it.

    On the host, ``position`` counts the draws within one turn (one call or replay).

    Parameters
    ----------
    stream
        The stream that gives the draws their seed, purpose and rank.
    n_draws
        Number of draws in one turn.
    device
        Where the draws are made.
    """

    def __init__(self, stream: Stream, n_draws: int, device: torch.device) -> None:
        super().__init__(stream.seed, stream.purpose, stream.rank)
        _, _, _, self._lane = stream.at(0).take()
        self.n_draws = n_draws
        self._start = torch.zeros((), dtype=torch.int64, device=device)
        self._draws = torch.arange(n_draws, device=device)
        # the two words of a draw are adjacent, so that all pointers to them have the same alignment
        self._words = torch.zeros(n_draws, 2, dtype=torch.int64, device=device)

    def go_to(self, position: int) -> None:
        """Start the next turn at an absolute position."""
        self._start.fill_(position)

    def begin_turn(self) -> None:
        """Compute the turn's counter words on the device, from its starting position."""
        self.position = 0
        positions = self._draws + self._start
        low, high = self._words.unbind(1)
        low.copy_(positions & _MASK)
        high.copy_((positions >> 32) | self._lane)

    def take(self) -> tuple[int, int, Word, Word]:
        """Take one draw: the key's words, and where the device keeps the counter's words."""
        n = self.position
        key_0, key_1, _, _ = super().take()
        return key_0, key_1, self._words[n, 0], self._words[n, 1]


class Recorder:
    """Runs a function repeatedly: directly at first, then as a recorded graph.

    Parameters
    ----------
    make_graph
        Function that makes an empty graph.
    """

    def __init__(self, make_graph: Callable[[], Graph]) -> None:
        self._make_graph: Callable[[], Graph] | None = make_graph
        self._baked: object = None
        self._n_calls = 0

    def __call__(self, compute: Compute, batch: Tensor, stream: Stream, baked: object) -> None:
        """Do the work of ``compute(batch, stream)``.

        Parameters
        ----------
        compute
            Must work in place, on the same memory in every call, without synchronising with the
            device, and must take the same number of draws in every call.
        batch, stream
            May differ in every call.
        baked
            Everything else that ``compute`` depends on: numbers, and the `memory` of tensors. If it
            changes, the graph is recorded again.
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
        """Record; on failure, warn with the reason and never try again."""
        try:
            self._graph.record(turn)
        except RuntimeError as error:
            reason = next(iter(str(error).splitlines()), "")
            warnings.warn(
                f"an update could not be recorded as a CUDA graph ({type(error).__name__}: "
                f"{reason}); training continues without one, slower but with the same numbers",
                RuntimeWarning,
                stacklevel=2,
            )
            self._make_graph = None
            return False
        return True

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies start without a graph, which works only on the memory it was recorded with."""
        return type(self), (self._make_graph,)


def memory(tensor: Tensor | None) -> tuple[Any, ...]:
    """Address and layout of a tensor in memory."""
    if tensor is None:
        return ()
    return tensor.data_ptr(), tensor.device, tensor.dtype, tensor.shape, tensor.stride()
