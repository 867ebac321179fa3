"""The peers: other implementations of the workloads.

This package holds hand-written loops in torch. Adapters for other packages are in the repository,
in ``benchmarks/other_packages``, which adds them to `PEERS`.
"""

from __future__ import annotations

from harmonium.benchmark.peers.base import Peer, Start, Turn
from harmonium.benchmark.peers.torch_loops import BernoulliLoop, RandLoop, products
from harmonium.benchmark.workloads import split_names

__all__ = ["PEERS", "Peer", "Start", "Turn", "choose_peers", "products"]

PEERS: dict[str, Peer] = {peer.name: peer for peer in (BernoulliLoop(), RandLoop())}


def choose_peers(names: str | None = None, without: str | None = None) -> list[Peer]:
    """The peers in a list such as ``torch.rand,jax``, or all installed ones, except some.

    Raises
    ------
    ValueError
        For an unknown name; lists the peers.
    ImportError
        For a peer that is requested by name and not installed.
    """
    dropped = split_names(without, "peer", PEERS) if without is not None else []
    if names is None:
        chosen = [peer for peer in PEERS.values() if peer.is_installed]
    else:
        chosen = [PEERS[name] for name in split_names(names, "peer", PEERS)]
    installed = [name for name, peer in PEERS.items() if peer.is_installed]
    for peer in chosen:
        if not peer.is_installed:
            raise ImportError(
                f"the peer {peer.name} is not installed (pip install {peer.package}); "
                f"there are {', '.join(installed)}"
            )
    return [peer for peer in chosen if peer.name not in dropped]
