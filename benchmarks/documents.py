"""Topics of counts of words beside a dense loop and scikit-learn's LDA: time, memory, perplexity.

Give the counts of training documents and, for perplexities, of test documents and of their two
halves, as sparse matrices of SciPy ::

    python benchmarks/documents.py train.npz                      # time and memory
    python benchmarks/documents.py train.npz --test test.npz --halves first.npz second.npz --lda

Everything runs on one thread, and time is processor time: the two loops take turns.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from harmonium import training
from harmonium.datasets import Minibatches
from harmonium.topics import (
    Documents,
    ReplicatedSoftmax,
    TopicState,
    completion,
    npmi,
    perplexity,
    topic_words,
)

BATCH = 100


def documents_in(path: Path) -> Documents:
    """Documents of a file, without empty ones."""
    return Documents.of(scipy.sparse.load_npz(path), path.name).without_empty()


def begun(documents: Documents, hidden: int, epochs: int, **options: Any) -> Any:
    """A training, and its mini-batches."""
    model = ReplicatedSoftmax(documents.n_columns, hidden).init_from_documents_(documents)
    batches = Minibatches(documents, BATCH)
    n_updates = epochs * len(batches)
    state = TopicState.create(
        model, documents,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, n_updates), **options,
    )  # fmt: skip
    return state, batches


class NumPyLoop:
    """CD-1 by dense products in NumPy, with its multinomial draws: the form of published code."""

    def __init__(self, matrix: Any, hidden: int) -> None:
        self.rows = matrix.toarray().astype(np.float32)
        self.random = np.random.default_rng(0)
        self.weights = self.random.normal(scale=0.01, size=(self.rows.shape[1], hidden))
        self.word_bias = np.log(self.rows.sum(0) + 0.5)
        self.hidden_bias = np.zeros(hidden)

    def epoch(self, n_batches: int) -> None:
        """Some updates of an epoch."""
        order = self.random.permutation(len(self.rows))
        for start in range(0, n_batches * BATCH, BATCH):
            v = self.rows[order[start : start + BATCH]]
            length = v.sum(1, keepdims=True)
            h = self._hidden(v, length)
            p = (self.random.random(h.shape) < h) @ self.weights.T + self.word_bias
            p = np.exp(p - p.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            drawn = self.random.multinomial(length[:, 0].astype(int), p)
            of_drawn = self._hidden(drawn, length)
            rate = 1e-4 / len(v)
            self.weights += rate * (v.T @ h - drawn.T @ of_drawn)
            self.word_bias += rate * (v - drawn).sum(0)
            self.hidden_bias += rate * (length * (h - of_drawn)).sum(0)

    def _hidden(self, v: Any, length: Any) -> Any:
        return 1 / (1 + np.exp(-(v @ self.weights + length * self.hidden_bias)))


class DenseLoop:
    """CD-1 by dense products in torch, with words drawn one by one from each document's sums."""

    def __init__(self, matrix: Any, hidden: int) -> None:
        self.rows = torch.from_numpy(matrix.toarray().astype(np.float32))
        n_words = self.rows.shape[1]
        self.weights = 0.01 * torch.randn(n_words, hidden)
        self.word_bias = (self.rows.sum(0) + 0.5).log()
        self.hidden_bias = torch.zeros(hidden)

    def epoch(self, n_batches: int) -> None:
        """Some updates of an epoch."""
        order = torch.randperm(len(self.rows))
        for index in order.split(BATCH)[:n_batches]:
            v = self.rows[index]
            length = v.sum(1, keepdim=True)
            h = torch.sigmoid(v @ self.weights + length * self.hidden_bias)
            p = (torch.bernoulli(h) @ self.weights.T + self.word_bias).softmax(1)
            drawn = torch.zeros_like(v)
            for row, n in enumerate(length[:, 0].int().tolist()):
                words = torch.multinomial(p[row], n, replacement=True)
                drawn[row].scatter_add_(0, words, torch.ones(n))
            of_drawn = torch.sigmoid(drawn @ self.weights + length * self.hidden_bias)
            rate = 1e-4 / len(v)
            self.weights += rate * (v.T @ h - drawn.T @ of_drawn)
            self.word_bias += rate * (v - drawn).sum(0)
            self.hidden_bias += rate * (length * (h - of_drawn)).sum(0)


def seconds(work: Callable[[], Any]) -> float:
    """Processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def times(path: Path, hidden: int, n_batches: int, rounds: int) -> None:
    """Both loops in turn, on the same number of mini-batches."""
    documents = documents_in(path)
    state, batches = begun(documents, hidden, 1000, average_decay=0.999)
    updates = training.updates(state, batches, 1000)
    dense = DenseLoop(scipy.sparse.load_npz(path), hidden)
    in_numpy = NumPyLoop(scipy.sparse.load_npz(path), hidden)

    def ours() -> None:
        for _ in range(n_batches):
            next(updates)

    contestants = {
        "harmonium": ours,
        "torch, dense": lambda: dense.epoch(n_batches),
        "NumPy, dense": lambda: in_numpy.epoch(n_batches),
    }
    ours(), dense.epoch(2), in_numpy.epoch(2)
    found = [[seconds(work) for work in contestants.values()] for _ in range(rounds)]
    for number, name in enumerate(contestants):
        values = [row[number] for row in found]
        ratios = [row[number] / row[0] for row in found]
        print(
            f"{name:12s} {1000 * np.median(values) / n_batches:8.2f} ms an update of {BATCH} "
            f"documents; {np.median(ratios):.1f} times ours, {min(ratios):.1f} to {max(ratios):.1f}"
        )


def memory_of(path: Path, hidden: int, share: float) -> None:
    """Peak memory of a training on a share of the documents; in a process of its own."""
    matrix = scipy.sparse.load_npz(path)
    documents = Documents.of(matrix[: round(share * matrix.shape[0])]).without_empty()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    state, batches = begun(documents, hidden, 1)
    for _ in training.updates(state, batches, 1):
        pass
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    entries = len(documents.words)
    own = sum(x.nbytes for x in (documents.ends, documents.words, documents.counts))
    dense = 4 * len(documents) * documents.n_columns
    print(
        f"{len(documents):7,} documents, {entries:9,} counts: {own / 2**20:.1f} MiB, a training "
        f"{(after - before) / 1024:.0f} MiB more; dense rows {dense / 2**20:.0f} MiB"
    )


def judge(arguments: argparse.Namespace) -> None:
    """Perplexity and completion of held-out documents, ours and LDA's, by their definitions."""
    train, test = documents_in(arguments.counts), documents_in(arguments.test)
    known, asked = (Documents.of(scipy.sparse.load_npz(path)) for path in arguments.halves)
    state, batches = begun(
        train, arguments.hidden, arguments.epochs, learning_rate=arguments.rate,
        sweeps=arguments.sweeps, average_decay=0.999,
    )  # fmt: skip
    took = seconds(lambda: [None for _ in training.updates(state, batches, arguments.epochs)])
    model = state.model
    found = completion(model, known, asked)
    coherence = npmi(train, topic_words(model, train, 10).words).mean().item()
    print(
        f"harmonium    CD-{arguments.sweeps}, {arguments.epochs} epochs: completion "
        f"{found.perplexity:.1f} ± {found.std_error:.1f}, coherence {coherence:.3f}, {took:.0f} s",
        flush=True,
    )
    if arguments.chains:
        by_length = perplexity(model, test, n_chains=arguments.chains).result()
        print(f"harmonium    perplexity {by_length} {by_length.reasons[:1]}", flush=True)
    words = ReplicatedSoftmax(train.n_columns, 1).init_from_documents_(train, std=1e-9)
    single = perplexity(words, test).result()
    of_words = completion(words, known, asked).perplexity
    print(f"single words perplexity {single}, completion {of_words:.1f}", flush=True)
    if arguments.lda:
        lda(arguments)


def lda(arguments: argparse.Namespace) -> None:
    """scikit-learn's latent Dirichlet allocation with as many topics, by the same definitions."""
    from sklearn.decomposition import LatentDirichletAllocation

    train, test, known, asked = (
        scipy.sparse.load_npz(path).astype(np.float64)
        for path in (arguments.counts, arguments.test, *arguments.halves)
    )
    model = LatentDirichletAllocation(
        arguments.hidden, learning_method="batch", max_iter=20, random_state=0
    )
    took = seconds(lambda: model.fit(train))
    topics = model.components_ / model.components_.sum(1, keepdims=True)
    lengths = np.asarray(asked.sum(1)).ravel()
    there = (np.asarray(known.sum(1)).ravel() > 0) & (lengths > 0)
    log_p = np.log(model.transform(known[there]) @ topics)
    per_word = np.asarray(asked[there].multiply(log_p).sum(1)).ravel() / lengths[there]
    best = np.argsort(-model.components_, axis=1)[:, :10]
    coherence = npmi(documents_in(arguments.counts), torch.from_numpy(best)).mean().item()
    print(
        f"LDA          batch, 20 iterations: completion {np.exp(-per_word.mean()):.1f}, coherence "
        f"{coherence:.3f}, {took:.0f} s"
    )
    print(f"LDA          perplexity by its variational bound, per word of all: "
          f"{model.perplexity(test):.1f}")  # fmt: skip


def main() -> None:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("counts", type=Path)
    parser.add_argument("--hidden", type=int, default=50)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--halves", type=Path, nargs=2)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=0.15)
    parser.add_argument("--sweeps", type=int, default=3)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--lda", action="store_true")
    parser.add_argument("--memory-of", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory_of:
        memory_of(arguments.counts, arguments.hidden, arguments.memory_of)
    elif arguments.test:
        judge(arguments)
    else:
        times(arguments.counts, arguments.hidden, arguments.batches, arguments.rounds)
        for share in ("0.25", "0.5", "1"):
            again = [sys.executable, __file__, str(arguments.counts), "--memory-of", share]
            subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
