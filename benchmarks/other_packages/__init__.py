"""Adapters of packages that train RBMs by their own code: `register` lets benchmarks know them."""

from __future__ import annotations

from harmonium.benchmark import PEERS
from other_packages.jax_scan import Jax
from other_packages.packages import Learnergy, Rbms, ScikitLearn


def register() -> None:
    """Measure them from now on, beside the loops of torch that `harmonium.benchmark` brings."""
    PEERS.update({peer.name: peer for peer in (Jax(), ScikitLearn(), Rbms(), Learnergy())})
