"""The peers: how others do the workloads. Their packages are imported here and nowhere else."""

from __future__ import annotations

from harmonium.benchmark.peers.base import Peer, Start, Turn
from harmonium.benchmark.peers.jax_scan import Jax
from harmonium.benchmark.peers.packages import Learnergy, Rbms, ScikitLearn
from harmonium.benchmark.peers.torch_loops import BernoulliLoop, RandLoop, products
from harmonium.benchmark.workloads import split_names

__all__ = ["PEERS", "Peer", "Start", "Turn", "choose_peers", "products"]

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (BernoulliLoop(), RandLoop(), Jax(), ScikitLearn(), Rbms(), Learnergy())
}


def choose_peers(names: str | None = None, without: str | None = None) -> list[Peer]:
    """The peers of a list such as ``jax,rbms``, or all that are installed; less some others.

    Raises
    ------
    ValueError
        For a name that no peer has, saying which there are.
    ImportError
        For a peer that is asked for by name and not installed.
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
