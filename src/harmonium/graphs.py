"""A computation that is made again and again, recorded once as a CUDA graph and replayed.

What belongs here knows nothing of models: it is a function of a batch and of a stream, whose
random numbers move on in the graph. Everything else that the function uses is baked in.
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
    """The device's work in one call of a function, to be done again without the function."""

    def warm_up(self, function: Callable[[], None]) -> None:
        """Call the function, for what it does and for what it does only the first times."""

    def record(self, function: Callable[[], None]) -> None:
        """Call the function and note its work, of which nothing is done yet."""

    def replay(self) -> None:
        """Do the noted work, on the memory it was noted with."""


class CudaGraph:
    """A `torch.cuda.CUDAGraph`, recorded on the side stream that it was warmed up on.

    Parameters
    ----------
    device
        Whose work is recorded.
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
