"""Loops in plain torch, as an expert would write them; and the matrix products alone."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from harmonium.benchmark.peers.base import Peer, Start, Turn, shuffled
from harmonium.benchmark.workloads import LEARNING_RATE, Sampling, Training, Workload
from harmonium.graphs import CudaGraph


class _Loop(Peer):
    """No autograd, one buffer per layer, parameters updated in place, rows already in float32.

    Chains are stored as hidden probabilities, from which the next update draws them.
    """

    @abstractmethod
    def draw_(self, probabilities: Tensor) -> Tensor:
        """Replace probabilities by drawn states, in place."""

    def lacks(self, workload: Workload, device: torch.device) -> str:
        return ""

    def training(self, workload: Training, start: Start) -> Turn:
        n, states = workload.batch_size, start.states
        weights = start.weights.clone()
        a, b = start.visible_bias.clone(), start.hidden_bias.clone()
        v, h_data, h = (weights.new_empty(n, len(bias)) for bias in (a, b, b))
        h_model = torch.addmm(b, start.chains, weights).sigmoid_()
        batches = shuffled(len(states), n)

        def update() -> int:
            v_data = states[next(batches).to(states.device)]
            torch.addmm(b, v_data, weights, out=h_data).sigmoid_()
            begin = h_model if workload.persistent else h_data
            for _ in range(workload.sweeps):
                self.draw_(h.copy_(begin))
                self.draw_(torch.addmm(a, h, weights.T, out=v).sigmoid_())
                begin = torch.addmm(b, v, weights, out=h_model).sigmoid_()
            rate = LEARNING_RATE
            weights.addmm_(v_data.T, h_data, alpha=rate / n).addmm_(v.T, h_model, alpha=-rate / n)
            a.add_(v_data.mean(0).sub_(v.mean(0)), alpha=rate)
            b.add_(h_data.mean(0).sub_(h_model.mean(0)), alpha=rate)
            return 1

        return update

    def sampling(self, workload: Sampling, start: Start) -> Turn:
        weights, a, b = start.weights, start.visible_bias, start.hidden_bias
        v = start.chains.clone()
        h = self.draw_(torch.addmm(b, v, weights).sigmoid_())

        def sweep() -> int:
            self.draw_(torch.addmm(a, h, weights.T, out=v).sigmoid_())
            self.draw_(torch.addmm(b, v, weights, out=h).sigmoid_())
            return len(v)

        return sweep


class BernoulliLoop(_Loop):
    """Draws by `torch.bernoulli`."""

    name = "torch.bernoulli"
    how = "a loop written by hand: plain gradient, buffers kept, drawn by torch.bernoulli"

    def draw_(self, probabilities: Tensor) -> Tensor:
        return torch.bernoulli(probabilities, out=probabilities)


class RandLoop(_Loop):
    """Draws by comparing with `torch.rand`."""

    name = "torch.rand"
    how = "the same loop, drawn by comparing with torch.rand"

    def draw_(self, probabilities: Tensor) -> Tensor:
        return torch.lt(torch.rand_like(probabilities), probabilities, out=probabilities)


def products(workload: Workload, start: Start) -> Turn:
    """The matrix products of any dense implementation, into preallocated memory."""
    v, weights = start.chains, start.weights
    h = torch.rand(len(v), workload.n_hidden, device=start.device).round_()
    to_v, to_h, gradient = (torch.empty_like(x) for x in (v, h, weights))

    def sweep() -> int:
        torch.mm(h, weights.T, out=to_v)
        torch.mm(v, weights, out=to_h)
        return len(v)

    def update() -> int:
        torch.mm(v, weights, out=to_h)
        for _ in range(workload.sweeps):
            sweep()
        torch.mm(v.T, h, out=gradient).addmm_(v.T, h, alpha=-1)
        return 1

    turn = update if isinstance(workload, Training) else sweep
    return _recorded(turn, start.device) if start.device.type == "cuda" else turn


def _recorded(turn: Turn, device: torch.device) -> Turn:
    """As a CUDA graph, so that the device is measured and not Python's launch overhead."""
    graph, work = CudaGraph(device), 0

    def once() -> None:
        nonlocal work
        work = turn()

    graph.warm_up(once)
    graph.record(once)

    def replay() -> int:
        graph.replay()
        return work

    return replay
