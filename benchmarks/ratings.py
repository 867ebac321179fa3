"""An epoch over ratings beside a dense loop of torch with a mask, and the error on test ratings.

    python benchmarks/ratings.py u1.base                       # speed; 1 minute
    python benchmarks/ratings.py u1.base --test u1.test        # and the error, three seeds; minutes

The dense loop is the one of tutorials: one-hot columns for every level of every item, a mask of
what was rated, CD-1 with free weights for each level, and the same optimiser. Both take the same
mini-batches of users on one thread, in turns. Times are the process's own, so that other processes
on the machine count little.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from harmonium import ratings as of
from harmonium import training
from harmonium.datasets import Minibatches


class Dense:
    """CD-1 over dense one-hot columns with a mask."""

    def __init__(self, ratings: of.Ratings, n_hidden: int, batch_size: int, seed: int = 0) -> None:
        n_users, n_items, n_levels = len(ratings.users), len(ratings.items), len(ratings.scale)
        self.one_hot = torch.zeros(n_users, n_items, n_levels)
        self.one_hot[ratings.user, ratings.item, ratings.level] = 1
        self.mask = self.one_hot.sum(2, keepdim=True)
        self.weights = 0.1 * torch.randn(n_items * n_levels, n_hidden)
        self.bias, self.hidden_bias = torch.zeros(n_items * n_levels), torch.zeros(n_hidden)
        self.parameters = [self.weights, self.bias, self.hidden_bias]
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        self.adam = torch.optim.Adam(self.parameters, lr=0.005, fused=True)
        self.batch_size = batch_size

    @torch.no_grad()
    def epoch(self) -> None:
        """One pass over all users."""
        n_users, n_items, n_levels = self.one_hot.shape
        for index in torch.randperm(n_users).split(self.batch_size):
            mask = self.mask[index]
            v = self.one_hot[index].view(len(index), -1)
            h = torch.sigmoid(v @ self.weights + self.hidden_bias)
            drawn = torch.bernoulli(h)
            logits = (drawn @ self.weights.T + self.bias).view(-1, n_levels)
            levels = torch.multinomial(logits.softmax(1), 1)
            chain = torch.zeros_like(logits).scatter_(1, levels, 1)
            chain = (chain.view(len(index), n_items, n_levels) * mask).view(len(index), -1)
            other = torch.sigmoid(chain @ self.weights + self.hidden_bias)
            n = len(index)
            self.weights.grad = (chain.T @ other - v.T @ h) / n
            self.bias.grad = (chain - v).mean(0)
            self.hidden_bias.grad = (other - h).mean(0)
            self.adam.step()


class Sparse:
    """The library's own loop; `level_weights` as in `RatingRBM`."""

    def __init__(
        self, ratings: of.Ratings, n_hidden: int, batch_size: int, level_weights: of.LevelWeights
    ) -> None:
        rows = of.RatedRows(ratings, "user")
        self.batches = Minibatches(rows, batch_size)
        rbm = of.RatingRBM(
            ratings.scale,
            rows.n_columns,
            n_hidden,
            level_weights=level_weights,
            conditional=False,
        ).init_from_data_(rows.rated)
        self.updates = training.updates(of.RatingState.create(rbm), self.batches, 10**6)

    def epoch(self) -> None:
        """One pass over all users."""
        for _ in range(len(self.batches)):
            next(self.updates)


def seconds(epoch: Callable[[], None], n: int) -> float:
    """CPU seconds of an epoch, the mean of so many."""
    began = time.process_time()
    for _ in range(n):
        epoch()
    return (time.process_time() - began) / n


def speed(ratings: of.Ratings, rounds: int, batch_size: int) -> None:
    """Print the time of an epoch by each, and the ratio, in turns."""
    ours = {
        f"{name} weights": Sparse(ratings, 100, batch_size, name) for name in ("free", "linear")
    }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dense = Dense(ratings, 100, batch_size)
    dense.epoch()
    for one in ours.values():
        one.epoch()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"most memory: {before / 1024:.0f} MiB; with the dense loop {after / 1024:.0f} MiB")
    times: dict[str, list[float]] = {name: [] for name in (*ours, "dense")}
    for _ in range(rounds):
        times["dense"].append(seconds(dense.epoch, 1))
        for name, one in ours.items():
            times[name].append(seconds(one.epoch, 5))
    for name, found in times.items():
        middle = statistics.median(found)
        ratios = [d / t for d, t in zip(times["dense"], found, strict=True)]
        print(
            f"{name:15} {1000 * middle:8.1f} ms an epoch ({1000 * min(found):.1f} to "
            f"{1000 * max(found):.1f}); dense takes {statistics.median(ratios):.1f} times as long "
            f"({min(ratios):.1f} to {max(ratios):.1f})"
        )


def error(path: str, test: str, seed: int) -> None:
    """Print the error of a run with default options on test ratings."""
    import tempfile

    import harmonium

    with tempfile.TemporaryDirectory() as folder:
        columns = ("user", "item", "rating")
        run = harmonium.train(
            path, ratings=columns, hidden=100, seed=seed, out=f"{folder}/run", progress=False
        )
        print(f"seed {seed}: {run.recommend(test=test).scores}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="a long table of users, items and ratings, without a header")
    parser.add_argument("--test", help="test ratings")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    said = parser.parse_args()
    torch.set_num_threads(1)
    speed(of.read(said.data), said.rounds, said.batch_size)
    if said.test is not None:
        for each in map(partial(error, said.data, said.test), range(said.seeds)):
            assert each is None


if __name__ == "__main__":
    main()
