"""The tasks of training and sampling, their rows, and the memory they need."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import torch

from harmonium import datasets
from harmonium.arguments import meant
from harmonium.datasets import Data
from harmonium.datasets.large import free_memory

LEARNING_RATE = 0.05
N_VISIBLE = 784
_N_ROWS, _HELD_OUT = 60_000, 1 / 6  # of synthetic rows, and so of MNIST
_DENSITY = 0.13  # fraction of ones in MNIST, binarised at half the range

_FLOAT = 4  # bytes
_WEIGHTS_A_CONTESTANT = 4  # parameters, gradient, and temporaries
_LAYERS_A_CONTESTANT = 6


@dataclass(frozen=True)
class Training:
    """Updates of one kind; a persistent workload has one chain per row of a batch."""

    name: str
    persistent: bool
    sweeps: int
    batch_size: int
    n_hidden: int
    n_visible: int = N_VISIBLE

    unit: ClassVar[str] = "updates/s"

    def __str__(self) -> str:
        method = "PCD" if self.persistent else "CD"
        return f"{method}-{self.sweeps}, batch {self.batch_size}, {self.n_visible}×{self.n_hidden}"

    @property
    def rows(self) -> int:
        """Rows of a product: those of a mini-batch."""
        return self.batch_size

    @property
    def flops(self) -> int:
        """Operations in an update's products: 1 for the data, 2 per sweep, 2 for the gradient."""
        return 2 * self.rows * self.n_visible * self.n_hidden * (3 + 2 * self.sweeps)


@dataclass(frozen=True)
class Sampling:
    """Chains of a trained model, with ``sweeps`` sweeps between two samples.

    Work is counted as sweeps times chains.
    """

    name: str
    n_chains: int
    n_hidden: int
    n_visible: int = N_VISIBLE
    sweeps: int = 10

    unit: ClassVar[str] = "chain sweeps/s"

    def __str__(self) -> str:
        return f"{self.n_chains:,} chains, {self.n_visible}×{self.n_hidden}"

    @property
    def rows(self) -> int:
        """Rows of a product: one per chain."""
        return self.n_chains

    @property
    def flops(self) -> int:
        """Operations in the products of one chain's sweep."""
        return 2 * 2 * self.n_visible * self.n_hidden


Workload = Training | Sampling

WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (
        Training("W1", persistent=True, sweeps=15, batch_size=20, n_hidden=500),
        Training("W2", persistent=True, sweeps=1, batch_size=100, n_hidden=256),
        Training("W3", persistent=False, sweeps=1, batch_size=100, n_hidden=500),
        Training("W4", persistent=True, sweeps=10, batch_size=500, n_hidden=500),
        Sampling("sampling", n_chains=1000, n_hidden=500),
    )
}


def choose_workloads(names: str | None) -> list[Workload]:
    """The workloads in a list such as ``W1,sampling``; without a list, all of them.

    Raises
    ------
    ValueError
        For an unknown name; lists the workloads.
    """
    if names is None:
        return list(WORKLOADS.values())
    return [WORKLOADS[name] for name in split_names(names, "workload", WORKLOADS)]


def split_names(names: str, kind: str, there: Collection[str]) -> list[str]:
    """The names in a comma-separated list, each once, in the order of ``there``.

    Raises
    ------
    ValueError
        For an empty list, and for an unknown name; suggests the nearest one.
    """
    chosen = {name.strip() for name in names.split(",")} - {""}
    if not chosen:
        raise ValueError(f"no {kind} is named; there are {', '.join(there)}")
    for name in sorted(chosen - set(there)):
        listed = f"there are {', '.join(there)}"
        raise ValueError(f"there is no {kind} {name!r}; {meant(name, there, listed)}")
    return [name for name in there if name in chosen]


def load_data() -> tuple[str, Data, Data]:
    """A description, training and held-out rows: binarised MNIST if it has been fetched.

    It is not fetched here. Without it, rows have independent pixels with the same fraction of ones.
    """
    if (datasets.cache_folder() / "mnist").is_dir():
        train, held_out, _ = datasets.load("mnist").binarize().split()
        return "MNIST, binarised at half the range", train, held_out
    generator = torch.Generator().manual_seed(0)
    ones = torch.rand(_N_ROWS, N_VISIBLE, generator=generator) < _DENSITY
    data = Data("synthetic", 255 * ones.to(torch.uint8)).as_pictures(28, 28).binarize()
    described = (
        f"synthetic rows of MNIST's shape, {_DENSITY:.0%} ones (MNIST is not in the cache; "
        "harmonium data fetch mnist)"
    )
    return described, *data.split_randomly(_HELD_OUT)


def synchronize(device: torch.device) -> None:
    """Wait for a device to finish its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def memory_needed(workload: Workload, n_contestants: int, n_rows: int) -> int:
    """Minimum bytes of a workload, beyond what is loaded at its start."""
    rows = 2 * n_rows * workload.n_visible  # as float32 for torch, and once more for another peer
    weights = _WEIGHTS_A_CONTESTANT * workload.n_visible * workload.n_hidden
    states = _LAYERS_A_CONTESTANT * workload.rows * (workload.n_visible + workload.n_hidden)
    return _FLOAT * (rows + n_contestants * (weights + states))


def memory_free(device: torch.device) -> int | None:
    """Available bytes on a device; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_memory()


def check_memory(
    workloads: list[Workload], n_contestants: int, n_rows: int, device: torch.device
) -> None:
    """Reject workloads that do not fit.

    Raises
    ------
    MemoryError
        Names the workload, the bytes it needs and the bytes available.
    """
    free = memory_free(device)
    for workload in workloads:
        needed = memory_needed(workload, n_contestants, n_rows)
        if free is not None and needed > free:
            raise MemoryError(
                f"{workload.name} ({workload}) needs {needed / 1e9:.1f} GB on {device}, and "
                f"{free / 1e9:.1f} GB are free; leave it out, or close other programs"
            )
