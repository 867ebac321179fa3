"""A topic model small enough to enumerate, and what it is by its definition."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from harmonium.topics import Documents, ReplicatedSoftmax


def tiny(
    n_words: int = 4, n_hidden: int = 3, seed: int = 1, scale: float = 1.0
) -> ReplicatedSoftmax:
    """A model with random parameters, float64."""
    model = ReplicatedSoftmax(n_words, n_hidden).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator).double())
    return model


def texts(n_words: int, length: int) -> Tensor:
    """Counts of all texts of this length, a row each, in float64."""
    rows = torch.tensor(list(product(range(n_words), repeat=length)))
    return torch.stack([(rows == word).sum(1) for word in range(n_words)], 1).double()


def hidden_states(n_hidden: int) -> Tensor:
    """All hidden states, a row each, in float64."""
    return torch.tensor(list(product((0.0, 1.0), repeat=n_hidden))).double()


def log_weights(model: ReplicatedSoftmax, counts: Tensor) -> Tensor:
    """Minus the energy of each text and each hidden state, from the definition."""
    h = hidden_states(model.n_hidden)
    length = counts.sum(1, keepdim=True)
    return (
        (counts @ model.word_bias)[:, None]
        + length * (h @ model.hidden_bias)
        + counts @ model.weights @ h.T
    )


def log_z(model: ReplicatedSoftmax, length: int) -> Tensor:
    """Log of the sum over all texts of this length and all hidden states."""
    return log_weights(model, texts(model.n_words, length)).flatten().logsumexp(0)


def log_p(model: ReplicatedSoftmax, counts: Tensor) -> Tensor:
    """Log-probability of each text of such counts, in its order."""
    found = [
        log_weights(model, row[None]).logsumexp(1)[0] - log_z(model, int(row.sum()))
        for row in counts
    ]
    return torch.stack(found)


def some_documents(n: int = 30, n_words: int = 4, longest: int = 6, seed: int = 0) -> Documents:
    """Random documents."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.zeros(n, n_words, dtype=torch.long)
    for row in range(n):
        length = int(torch.randint(1, longest + 1, (1,), generator=generator))
        words = torch.randint(n_words, (length,), generator=generator)
        counts[row] = torch.bincount(words, minlength=n_words)
    return Documents.of(counts, "some")
