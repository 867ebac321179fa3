"""The interface of a peer, and its starting point."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from harmonium.benchmark.workloads import Sampling, Training, Workload

Turn = Callable[[], int]
"""Does some updates, or sweeps of chains, and returns how many."""

_FLOPS_A_TURN = 2e10  # a tenth of a second or more on two cores


@dataclass(frozen=True)
class Start:
    """The common starting point: the rows as float32, a trained model, and its chains."""

    states: Tensor
    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    chains: Tensor
    """Visible states of the chains, one per row of the workload."""

    @property
    def device(self) -> torch.device:
        """The common device."""
        return self.weights.device


class Peer(ABC):
    """Another implementation of the workloads, used as an expert would use it.

    Attributes
    ----------
    name
        Its name in the report and on the command line.
    package
        The import name and, if different, the name for pip; both None if it needs only harmonium's
        dependencies.
    how
        How it is used, in one sentence.
    """

    name: ClassVar[str]
    module: ClassVar[str | None] = None
    package: ClassVar[str | None] = None
    how: ClassVar[str]

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported; checked without importing it."""
        return self.module is None or importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str | None:
        """Version of the package, if it is one."""
        return None if self.package is None else importlib.metadata.version(self.package)

    @abstractmethod
    def lacks(self, workload: Workload, device: torch.device) -> str:
        """Why it cannot run a workload on a device; empty if it can."""

    @abstractmethod
    def training(self, workload: Training, start: Start) -> Turn:
        """Create the training task."""

    @abstractmethod
    def sampling(self, workload: Sampling, start: Start) -> Turn:
        """Create the sampling task."""


def updates_a_turn(workload: Training) -> int:
    """Updates per call for peers that do several: enough to make the call overhead negligible."""
    return max(5, min(50, round(_FLOPS_A_TURN / workload.flops)))


def shuffled(n_rows: int, batch_size: int) -> Iterator[Tensor]:
    """Row numbers of full mini-batches, in a new order each epoch."""
    while True:
        for rows in torch.randperm(n_rows).split(batch_size):
            if len(rows) == batch_size:
                yield rows
