"""`TopicWatch`: rows of numbers along the training of a replicated softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harmonium import defaults
from harmonium.datasets import Minibatches
from harmonium.topics.completion import completion
from harmonium.topics.documents import Documents
from harmonium.training import Progress, Row

if TYPE_CHECKING:
    from harmonium.topics.learning import TopicState

_ROWS = 30  # of numbers, in a run of any length


class TopicWatch(Progress):
    """Measures how well one half of documents predicts the other, on some that it is trained on.

    Parameters
    ----------
    every
        Updates from one row of numbers to the next; None for about thirty rows.
    batches
        The training documents.
    last
        Number of the run's last update.
    held_out
        Held-out documents to measure besides.
    seed
        Of the halves.
    """

    def __init__(
        self,
        every: int | None,
        batches: Minibatches,
        last: int,
        held_out: Documents | None = None,
        seed: int = defaults.SEED,
    ) -> None:
        super().__init__(every or default_every(last), batches, last)
        documents = batches.data
        assert isinstance(documents, Documents)
        self._halves = {"": _some(documents).halves(seed)}
        if held_out is not None:
            self._halves["held_out_"] = _some(held_out).halves(seed)

    def numbers(self, state: TopicState) -> Row:
        """Perplexities of completion, of training documents and held-out ones."""
        row: Row = {}
        for part, halves in self._halves.items():
            if not bool(((halves[0].lengths > 0) & (halves[1].lengths > 0)).any()):
                continue  # documents of one word have no halves
            found = completion(state.model, *halves)
            row[f"{part}completion_perplexity"] = found.perplexity
            if found.n_documents > 1:
                row[f"{part}completion_perplexity_std_error"] = found.std_error
        return row


def default_every(n_updates: int) -> int:
    """Updates between two rows of numbers."""
    return max(1, n_updates // _ROWS)


def _some(documents: Documents) -> Documents:
    """At most as many documents as are watched, evenly spread."""
    n = min(len(documents), defaults.MONITOR_ROWS)
    return documents.take(torch.arange(n, device=documents.device) * len(documents) // n)
