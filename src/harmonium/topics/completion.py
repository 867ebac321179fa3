"""How well one half of a document's words predicts the other half."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from harmonium.topics.documents import Documents
from harmonium.topics.model import ReplicatedSoftmax

_DOCUMENTS_AT_ONCE = 500


@dataclass(frozen=True)
class Completion:
    """How well the words of documents are predicted from other words of them.

    Attributes
    ----------
    perplexity
        exp(-1/N sum_n 1/D_n sum_k v_nk log p(k | known words)) over N documents, of which D_n words
        v_n are predicted. Every document counts alike.
    std_error
        Its standard error, for other documents of the same kind.
    n_documents
        Documents that have both words that are known and words to predict.
    """

    perplexity: float
    std_error: float
    n_documents: int


@torch.no_grad()
def completion(model: ReplicatedSoftmax, known: Documents, asked: Documents) -> Completion:
    """Predict words of documents from others: each as the next word, hidden units summed out.

    Parameters
    ----------
    model
        The model.
    known, asked
        The same documents: the words that are known, and those to predict
        (`Documents.halves`). A document that lacks one or the other is left out.

    Raises
    ------
    ValueError
        If they are not as many documents, do not fit the model, or none has words of both kinds.
    """
    for documents in (known, asked):
        model.check(documents)
    if len(known) != len(asked):
        raise ValueError(
            f"known has {len(known):,} documents and asked {len(asked):,}; pass the same documents"
        )
    there = ((known.lengths > 0) & (asked.lengths > 0)).nonzero()[:, 0]
    if not len(there):
        raise ValueError("no document has both words that are known and words to predict")
    found = []
    for index in there.split(_DOCUMENTS_AT_ONCE):
        words = asked.take(index)
        log_p = model.next_word_log_probability(known.take(index))
        rows = torch.arange(len(index), device=log_p.device).repeat_interleave(words.ends.diff())
        of_entries = log_p[rows, words.words.long()].double() * words.counts
        sums = torch.zeros(len(index), dtype=torch.float64, device=log_p.device)
        found.append(sums.index_add_(0, rows, of_entries) / words.lengths)
    per_word = torch.cat(found)
    value = math.exp(-per_word.mean().item())
    spread = per_word.std().item() / math.sqrt(len(per_word)) if len(per_word) > 1 else math.nan
    return Completion(value, value * spread, len(per_word))
