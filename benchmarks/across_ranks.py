"""Expected speed of an update on many ranks, and the numbers behind it from a real cluster.

Every rank has all parameters. It moves its share of the chains, observes hidden units of its share
of the mini-batch, and sums its share of the gradient's lines; then all ranks gather what each has
computed. Centring, the optimiser's step and the average are the same work on every rank. In one
process, the times of these parts are measured, and a table says what 1 to 64 ranks would make of
them over three networks. Under torchrun, ranks do that work and gather it for real ::

    python benchmarks/across_ranks.py
    torchrun --nproc-per-node 2 benchmarks/across_ranks.py
    torchrun --nnodes 4 --rdzv-backend c10d --rdzv-endpoint HOST:29500 benchmarks/across_ranks.py

It first prints the latency and the bandwidth that it has found, as ``--network`` takes them, so
that the table can be made for more ranks than there are. The largest of the default sizes takes
5 GB.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch
import torch.distributed as dist
from torch import Tensor

from harmonium import RBM, Binary, ChainState, Gibbs
from harmonium.gradient import CenteredGradient, Phase
from harmonium.rng import Purpose, Stream

RANKS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Sizes:
    """Sizes of an update: binary units, rows of the mini-batch, as many chains, their sweeps."""

    visible: int
    hidden: int
    rows: int
    sweeps: int

    def __str__(self) -> str:
        rows = f"{self.rows} rows and chains"
        return f"{self.visible}x{self.hidden}, PCD-{self.sweeps}, {rows}"

    def gathered(self) -> tuple[float, ...]:
        """Bytes of each gathered table: states of chains as bits, all others as float32."""
        states = self.rows * (self.visible + self.hidden) / 8
        means = 4.0 * self.hidden * 2 * self.rows  # of the batch, and of the chains
        return states, means, 4.0 * self.visible * self.hidden


@dataclass(frozen=True)
class Network:
    """A network: seconds before a message arrives, and bytes a second from one rank to another."""

    latency: float
    bandwidth: float

    def gather(self, n_bytes: float, ranks: int) -> float:
        """Seconds until every rank has a table of so many bytes, of which each has made a share.

        In a ring a share goes on in R - 1 messages; by doubling, what each has goes on in log2 R
        ones. Either way a rank receives all shares but its own. Doubling has fewer messages.
        """
        if ranks == 1:
            return 0.0
        messages = math.ceil(math.log2(ranks))
        return messages * self.latency + (ranks - 1) / ranks * n_bytes / self.bandwidth


NETWORKS = {
    "10 Gbit": Network(30e-6, 1.25e9),
    "100 Gbit": Network(5e-6, 12.5e9),
    "NVLink": Network(3e-6, 450e9),
}
"""What the table assumes: TCP over Ethernet, RDMA, and NVLink of the fourth generation."""


@dataclass(frozen=True)
class Work:
    """Seconds of one rank: by row and its chain, by line of weights; and what every rank does."""

    row: float
    line: float
    rest: float

    def compute(self, sizes: Sizes, ranks: int) -> float:
        """Seconds of computation; the rank with the largest share decides."""
        rows, lines = (math.ceil(n / ranks) for n in (sizes.rows, sizes.visible))
        return rows * self.row + lines * self.line + self.rest


def gather_seconds(sizes: Sizes, network: Network, ranks: int) -> float:
    """Seconds of communication in an update."""
    return sum(network.gather(n_bytes, ranks) for n_bytes in sizes.gathered())


def speedup(sizes: Sizes, work: Work, network: Network, ranks: int) -> float:
    """How many times as fast as one rank; nothing is computed while tables are gathered."""
    spent = work.compute(sizes, ranks) + gather_seconds(sizes, network, ranks)
    return work.compute(sizes, 1) / spent


def takes_over(sizes: Sizes, work: Work, network: Network, most: int = 4096) -> int | None:
    """Fewest ranks that communicate for longer than they compute; None up to ``most``."""
    for ranks in range(2, most + 1):
        if gather_seconds(sizes, network, ranks) > work.compute(sizes, ranks):
            return ranks
    return None


# Measuring


class Update:
    """The parts of an update, of shares of its rows and lines."""

    def __init__(self, sizes: Sizes, rank: int = 0, ranks: int = 1) -> None:
        self.sizes, self.ranks = sizes, ranks
        rows, lines = (math.ceil(n / ranks) for n in (sizes.rows, sizes.visible))
        torch.manual_seed(rank)
        self.rbm = RBM(Binary(sizes.visible), Binary(sizes.hidden)).requires_grad_(False)
        self.rbm.weights.normal_(0, 0.5 / math.sqrt(sizes.visible))
        self.batch, v = (torch.rand(rows, sizes.visible).lt_(0.2) for _ in range(2))
        self.chains = ChainState(v, torch.rand(rows, sizes.hidden).round_())
        self.lines = RBM(Binary(lines), Binary(sizes.hidden)).requires_grad_(False)
        self.phases = [
            Phase(
                {"bias": torch.rand(sizes.rows, lines).lt_(0.2)},
                {"bias": torch.rand(sizes.rows, sizes.hidden)},
            )
            for _ in range(2)
        ]
        self.gradient, self.stream = CenteredGradient(), Stream(0, Purpose.CHAINS)
        self.others = [torch.zeros_like(self.rbm.weights) for _ in range(3)]

    def move(self) -> None:
        """All that is done row by row."""
        Gibbs(self.sizes.sweeps)(self.rbm, self.chains, self.stream)
        self.rbm.observe_h_from_v(self.batch)

    def sum_lines(self) -> None:
        self.gradient.write_(self.lines, *self.phases)

    def step(self) -> None:
        """What every rank does to all parameters: momentum, step, and moving average."""
        gradient, momentum, average = self.others
        momentum.mul_(0.5).add_(gradient)
        self.rbm.weights.add_(momentum, alpha=-0.01)
        average.lerp_(self.rbm.weights, 0.001)

    def parts(self) -> list[Callable[[], None]]:
        return [self.move, self.sum_lines, self.step]


def seconds_of(
    do: Callable[[], object], times: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median of so many calls, after one that is not counted."""
    do()
    found = []
    for _ in range(times):
        began = clock()
        do()
        found.append(clock() - began)
    return median(found)


def measured(sizes: Sizes, times: int) -> Work:
    """The times of one rank on this machine: of its processor, whatever else that does."""
    parts = Update(sizes).parts()
    rows, lines, rest = (seconds_of(part, times, time.process_time) for part in parts)
    return Work(rows / sizes.rows, lines / sizes.visible, rest)


def table(sizes: Sizes, work: Work, networks: dict[str, Network]) -> str:
    """Speed on each number of ranks, in Markdown."""
    head = " | ".join(str(ranks) for ranks in RANKS)
    lines = [f"| | {head} | gathering takes over at |", "|---|" + "---:|" * (len(RANKS) + 1)]
    for name, network in networks.items():
        cells = " | ".join(f"{speedup(sizes, work, network, ranks):.2f}" for ranks in RANKS)
        at = takes_over(sizes, work, network)
        lines.append(f"| {name} | {cells} | {'more than 4,096' if at is None else at} ranks |")
    return "\n".join(lines)


def simulate(sizes: Sizes, networks: dict[str, Network], arguments: argparse.Namespace) -> None:
    work = measured(sizes, arguments.times)
    if arguments.faster != 1:
        work = Work(*(part / arguments.faster for part in (work.row, work.line, work.rest)))
    moved = sum(sizes.gathered()) / 1e6
    print(f"\n{sizes}: {1e3 * work.compute(sizes, 1):.4g} ms on one rank, of which every rank")
    print(f"repeats {1e3 * work.rest:.3g} ms; {moved:.3g} MB are gathered an update\n")
    print(table(sizes, work, networks))


# Under torchrun


def gather(own: Tensor, ranks: int) -> None:
    dist.all_gather_into_tensor(own.new_empty(ranks * own.numel()), own)


def fitted(ranks: int, times: int) -> Network:
    """Latency and bandwidth, from the time of a small gathering and of a large one."""
    small, large = 8, 2**22
    of_small = seconds_of(lambda: gather(torch.zeros(small), ranks), 20 * times)
    of_large = seconds_of(lambda: gather(torch.zeros(large), ranks), times)
    messages = math.ceil(math.log2(ranks))
    return Network(of_small / messages, 4 * (large - small) * (ranks - 1) / (of_large - of_small))


def on_ranks(sizes: Sizes, network: Network, arguments: argparse.Namespace) -> None:
    """Time whole updates of all ranks, beside what the model says of them."""
    rank, ranks = dist.get_rank(), dist.get_world_size()
    update = Update(sizes, rank, ranks)
    shares = [torch.zeros(math.ceil(n / 4 / ranks)) for n in sizes.gathered()]

    def whole() -> None:
        for part in update.parts():
            part()
        for share in shares:
            gather(share, ranks)

    spent = seconds_of(whole, arguments.times)
    dist.barrier()
    if rank == 0:
        work = measured(sizes, arguments.times)
        expected = work.compute(sizes, ranks) + gather_seconds(sizes, network, ranks)
        alone = work.compute(sizes, 1)
        print(f"{sizes} on {ranks} ranks: {1e3 * spent:.1f} ms, {alone / spent:.2f} times one rank")
        print(f"    expected: {1e3 * expected:.1f} ms, {alone / expected:.2f} times", flush=True)
    dist.barrier()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--sizes",
        default="784x256x100x1,784x500x1000x10,100000x1000x100x1",
        help="VISIBLExHIDDENxROWSxSWEEPS, with commas between several",
    )
    parser.add_argument("--times", type=int, default=5, help="calls of each part")
    parser.add_argument(
        "--faster", type=float, default=1.0, help="a rank that computes so many times as fast"
    )
    parser.add_argument(
        "--network", help="LATENCY,BANDWIDTH of a fourth network, microseconds and GB/s"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [Sizes(*map(int, of.split("x"))) for of in arguments.sizes.split(",")]
    networks = dict(NETWORKS)
    if arguments.network is not None:
        latency, bandwidth = map(float, arguments.network.split(","))
        networks["measured"] = Network(1e-6 * latency, 1e9 * bandwidth)
    if "RANK" not in os.environ:
        for sizes in cases:
            simulate(sizes, networks, arguments)
        return
    dist.init_process_group("gloo")
    network = fitted(dist.get_world_size(), arguments.times)
    if dist.get_rank() == 0:
        print(f"--network {1e6 * network.latency:.1f},{network.bandwidth / 1e9:.3f}", flush=True)
    for sizes in cases:
        on_ranks(sizes, network, arguments)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
