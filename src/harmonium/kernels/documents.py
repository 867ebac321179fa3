"""Counts of words in compressed rows: products that follow the words there are, and draws."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harmonium.kernels import backends, reference
from harmonium.rng import Stream

# This module's own reference. It defines the bits of a draw, on any device.

_NUMBERS_AT_ONCE = 2**22


def document_inputs(
    ends: Tensor, words: Tensor, counts: Tensor, weights: Tensor, bias: Tensor
) -> Tensor:
    """What documents make of weights by word: ``counts @ weights + lengths * bias``.

    Parameters
    ----------
    ends
        Where each document's entries begin and end, int64 of shape (documents + 1,).
    words, counts
        Word and count of each entry, integers of shape (entries,). A word may have several entries.
    weights, bias
        Shapes (n_words, columns) and (columns,).

    Returns
    -------
    Tensor
        Shape (documents, columns).
    """
    _check(ends, words, counts)
    backend = _backend(weights, ends, words, counts, bias)
    if backend is not None:
        found: Tensor = backend.document_inputs(ends, words, counts, weights, bias)
        return found
    out = weights.new_zeros(len(ends) - 1, weights.shape[1])
    for rows, entries in _parts(ends, weights.shape[1]):
        of_words = weights[words[entries].long()] + bias
        of_words *= counts[entries].to(weights).unsqueeze(1)
        out.index_add_(0, rows, of_words)
    return out


def add_documents_(
    out: Tensor, ends: Tensor, words: Tensor, counts: Tensor, hidden: Tensor, factor: float = 1.0
) -> Tensor:
    """Add ``factor * counts.T @ hidden`` to ``out``, shape (n_words, columns); returns it.

    The other arguments are as for `document_inputs`, and ``hidden`` has shape (documents, columns).
    The sum is the same on any number of threads.
    """
    _check(ends, words, counts)
    backend = _backend(out, ends, words, counts, hidden)
    if backend is not None:
        backend.add_documents_(out, ends, words, counts, hidden, factor)
        return out
    for rows, entries in _parts(ends, out.shape[1]):
        of_documents = hidden[rows] * (counts[entries].to(out) * factor).unsqueeze(1)
        out.index_add_(0, words[entries].long(), of_documents)
    return out


def draw_words(logits: Tensor, bias: Tensor, ends: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    """Draw the words of documents, each document's from its own softmax; one draw.

    The sums of probabilities along the vocabulary are computed once a document, and inverted at a
    uniform number for each word: number t of a document is word t % 4 of its counter t // 4, so
    that the first words of a document are the same, however long it is.

    Parameters
    ----------
    logits
        Shape (documents, n_words); overwritten.
    bias
        Added to the logits, shape (n_words,).
    ends
        Where each document's words begin and end in the result, int64 of shape (documents + 1,),
        from 0.

    Returns
    -------
    words : Tensor
        int32 of shape (ends[-1],).
    log_sums : Tensor
        Log of the sum of exp(logits + bias) of each document, float64 of shape (documents,).
    """
    if ends.shape != (len(logits) + 1,):
        raise ValueError(f"ends have shape {tuple(ends.shape)}; pass ({len(logits) + 1},)")
    backend = _backend(logits, ends, bias)
    if backend is not None:
        drawn: tuple[Tensor, Tensor] = backend.draw_words(logits, bias, ends, stream)
        return drawn
    x = logits.add_(bias)
    log_sums = x.double().logsumexp(-1)
    sums = (x - x.amax(-1, keepdim=True)).exp_().double().cumsum(-1)
    rows = _rows_of(ends)
    number = torch.arange(len(rows), device=ends.device) - ends[rows]
    key_0, key_1, c2, c3 = stream.take()
    first_row = 0
    if isinstance(c3, int):
        first_row, c3 = c3 >> 32, c3 & 0xFFFFFFFF
    wide = torch.empty_like(number)
    drawn_words = torch.stack(
        reference.philox(
            number // 4, rows + first_row, wide.copy_(torch.as_tensor(c2)),
            torch.empty_like(number).copy_(torch.as_tensor(c3)), key_0, key_1,
        ), dim=1,
    ).gather(1, (number % 4).unsqueeze(1))[:, 0]  # fmt: skip
    uniform = (drawn_words.double() + 0.5) * 2.0**-32
    words = torch.empty(len(rows), dtype=torch.int32, device=ends.device)
    limits = ends.tolist()
    for row in range(len(logits)):
        own = slice(limits[row], limits[row + 1])
        found = torch.searchsorted(sums[row], uniform[own] * sums[row, -1], right=True)
        words[own] = found.clamp_max(logits.shape[1] - 1).to(torch.int32)
    return words, log_sums


def _backend(first: Tensor, *others: Tensor) -> Any:
    """The compiled kernels, if all tensors suit them; else None."""
    if not all(x.is_cpu and x.is_contiguous() for x in others):
        return None
    if any(x.is_floating_point() and x.dtype != first.dtype for x in others):
        return None
    backend = backends.of(first)
    return None if backend is reference else backend


def _check(ends: Tensor, words: Tensor, counts: Tensor) -> None:
    if words.shape != counts.shape or int(ends[-1]) != len(words):
        raise ValueError(
            f"documents end at entry {int(ends[-1])}, with {len(words)} words and {len(counts)} "
            "counts; pass as many of each"
        )


def _rows_of(ends: Tensor) -> Tensor:
    """The document of each entry."""
    return torch.arange(len(ends) - 1, device=ends.device).repeat_interleave(ends.diff())


def _parts(ends: Tensor, n_columns: int) -> Any:
    """Entries in blocks of bounded memory, with the document of each."""
    rows = _rows_of(ends)
    size = max(1, _NUMBERS_AT_ONCE // n_columns)
    for start in range(0, len(rows), size):
        entries = slice(start, start + size)
        yield rows[entries], entries
