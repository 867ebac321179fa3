"""JAX: many updates in one compiled call."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from harmonium.benchmark.peers.base import Peer, Start, Turn, shuffled, updates_a_turn
from harmonium.benchmark.workloads import LEARNING_RATE, Sampling, Training, Workload


class Jax(Peer):
    """A jitted `lax.scan` over minibatches, with threefry keys and donated parameters."""

    name = "jax"
    module = package = "jax"
    how = (
        "a jitted lax.scan over 5 to 50 updates (or 10 sweeps) a call, parameters donated, rows "
        "resident, threefry keys, jax.random.bernoulli, sweeps unrolled"
    )

    def lacks(self, workload: Workload, device: torch.device) -> str:
        if device.type != "cpu" and _import_jax().default_backend() != "gpu":
            return f"this jax has no {device.type}"
        return ""

    def training(self, workload: Training, start: Start) -> Turn:
        jax = _import_jax()
        n, n_updates = workload.batch_size, updates_a_turn(workload)
        n_keys = 2 * workload.sweeps + 2

        def update(state: Any, rows: Any, batch: Any) -> tuple[Any, None]:
            weights, a, b, chains, key = state
            key, *keys = jax.random.split(key, n_keys)
            v_data = rows[batch]
            h_data = jax.nn.sigmoid(v_data @ weights + b)
            h = chains if workload.persistent else _draw(jax, keys[-1], h_data)
            for sweep in range(workload.sweeps):
                v = _draw(jax, keys[2 * sweep], jax.nn.sigmoid(h @ weights.T + a))
                h_model = jax.nn.sigmoid(v @ weights + b)
                if workload.persistent or sweep < workload.sweeps - 1:
                    h = _draw(jax, keys[2 * sweep + 1], h_model)
            weights = weights + LEARNING_RATE / n * (v_data.T @ h_data - v.T @ h_model)
            a = a + LEARNING_RATE * (v_data - v).mean(0)
            b = b + LEARNING_RATE * (h_data - h_model).mean(0)
            return (weights, a, b, h if workload.persistent else chains, key), None

        @functools.partial(jax.jit, donate_argnums=0)
        def learn(state: Any, rows: Any, batches: Any) -> Any:
            return jax.lax.scan(lambda now, batch: update(now, rows, batch), state, batches)[0]

        rows, weights, a, b, v = _to_jax(
            jax, start.states, start.weights, start.visible_bias, start.hidden_bias, start.chains
        )
        state = (weights, a, b, jax.nn.sigmoid(v @ weights + b).round(), jax.random.key(0))
        batches = shuffled(len(start.states), n)

        def turn() -> int:
            nonlocal state
            chosen = torch.stack([next(batches) for _ in range(n_updates)])
            with _as_many_cores():
                state = jax.block_until_ready(learn(state, rows, chosen.numpy()))
            return n_updates

        return turn

    def sampling(self, workload: Sampling, start: Start) -> Turn:
        jax = _import_jax()

        @functools.partial(jax.jit, donate_argnums=0)
        def move(state: Any, weights: Any, a: Any, b: Any) -> Any:
            def sweep(state: Any, _: None) -> tuple[Any, None]:
                h, key = state
                key, for_v, for_h = jax.random.split(key, 3)
                v = _draw(jax, for_v, jax.nn.sigmoid(h @ weights.T + a))
                return (_draw(jax, for_h, jax.nn.sigmoid(v @ weights + b)), key), None

            return jax.lax.scan(sweep, state, length=workload.sweeps, unroll=True)[0]

        weights, a, b, v = _to_jax(
            jax, start.weights, start.visible_bias, start.hidden_bias, start.chains
        )
        state = (jax.nn.sigmoid(v @ weights + b).round(), jax.random.key(0))

        def turn() -> int:
            nonlocal state
            with _as_many_cores():
                state = jax.block_until_ready(move(state, weights, a, b))
            return workload.n_chains * workload.sweeps

        return turn


def _import_jax() -> Any:
    # Otherwise jax takes most of a GPU's memory for itself.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # Its pool of threads is made by the first question for devices, and reads this.
    os.environ.setdefault("NPROC", str(torch.get_num_threads()))
    with _as_many_cores():
        import jax

        jax.devices()
    return jax


@contextlib.contextmanager
def _as_many_cores() -> Iterator[None]:
    """Keep this thread, and those that it starts, to as many cores as torch has threads.

    Nothing else limits jax, which works on the calling thread beside those of its pool.
    """
    if not hasattr(os, "sched_setaffinity"):  # macOS, Windows
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _apart(frozenset(before))[: torch.get_num_threads()])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@functools.cache
def _apart(cores: frozenset[int]) -> list[int]:
    """Cores in such an order that two halves of one come as late as possible."""
    seen: dict[str, int] = {}
    turns = {}
    for core in sorted(cores):
        siblings = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
        name = siblings.read_text() if siblings.exists() else str(core)
        turns[core] = seen[name] = seen.get(name, -1) + 1
    return sorted(cores, key=lambda core: (turns[core], core))


def _to_jax(jax: Any, *tensors: torch.Tensor) -> list[Any]:
    """Copies on the same kind of device: what is donated must not be torch's memory."""
    where = jax.devices("cpu" if tensors[0].device.type == "cpu" else "gpu")[0]
    return [jax.device_put(tensor.cpu().numpy().copy(), where) for tensor in tensors]


def _draw(jax: Any, key: Any, probabilities: Any) -> Any:
    return jax.random.bernoulli(key, probabilities).astype(probabilities.dtype)
