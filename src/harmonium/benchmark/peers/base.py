"""What a peer is, and what it is given to start from."""

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
"""Does some updates, or some sweeps of some chains, and returns how many."""

_FLOPS_A_TURN = 2e10  # a tenth of a second or more on two cores


@dataclass(frozen=True)
class Start:
    """Where every contestant starts: the rows as float32, a trained model, and its chains."""

    states: Tensor
    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    chains: Tensor
    """Visible states of the chains, as many as the workload has rows."""

    @property
    def device(self) -> torch.device:
        """Where all of it lies."""
        return self.weights.device


class Peer(ABC):
    """Another way to do the workloads, as somebody who knows it well would drive it.

    Attributes
    ----------
    name
        What the report and the command line call it.
    package
        What is imported and what pip installs, where these have two names; both None for what
        needs nothing that harmonium does not.
    how
        How it is driven, in one sentence.
    """

    name: ClassVar[str]
    module: ClassVar[str | None] = None
    package: ClassVar[str | None] = None
    how: ClassVar[str]

    @property
    def is_installed(self) -> bool:
        """Whether it can be imported; nothing is imported to find out."""
        return self.module is None or importlib.util.find_spec(self.module) is not None

    @property
    def version(self) -> str | None:
        """Of the package, if it is one."""
        return None if self.package is None else importlib.metadata.version(self.package)

    @abstractmethod
    def lacks(self, workload: Workload, device: torch.device) -> str:
        """Why it cannot do a workload on a device; empty where it can."""

    @abstractmethod
    def training(self, workload: Training, start: Start) -> Turn:
        """Make what does updates."""

    @abstractmethod
    def sampling(self, workload: Sampling, start: Start) -> Turn:
        """Make what moves chains."""


def updates_a_turn(workload: Training) -> int:
    """Updates of a peer that does several a call: enough that the call itself costs nothing."""
    return max(5, min(50, round(_FLOPS_A_TURN / workload.flops)))


def shuffled(n_rows: int, batch_size: int) -> Iterator[Tensor]:
    """Row numbers of full minibatches, in a new order each epoch."""
    while True:
        for rows in torch.randperm(n_rows).split(batch_size):
            if len(rows) == batch_size:
                yield rows
