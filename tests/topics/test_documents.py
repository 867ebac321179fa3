"""Counts of words: what is read, what is refused, and parts of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

from harmonium.topics import (
    Documents,
    load_documents,
    nearest_documents,
    npmi,
    save_documents,
    topic_documents,
    topic_words,
)
from topics.tiny import some_documents, tiny


def dense(documents: Documents) -> np.ndarray:
    return documents.as_sparse().to_dense().numpy()


@pytest.mark.parametrize("make", [np.asarray, scipy.sparse.csr_array, scipy.sparse.coo_matrix])
def test_what_matrices_hold(make: Callable[[np.ndarray], Any]) -> None:
    counts = np.array([[0, 2, 1], [3, 0, 0], [0, 0, 0]])
    documents = Documents.of(make(counts))
    assert (dense(documents) == counts).all()
    assert documents.lengths.tolist() == [3, 3, 0]
    assert (documents.n_words, documents.n_columns, len(documents)) == (6, 3, 3)
    torch.testing.assert_close(documents.frequencies, torch.tensor([3, 2, 1]).double() / 6)
    mean, var = documents.moments()
    torch.testing.assert_close(mean, torch.tensor(counts.mean(0)))
    torch.testing.assert_close(var, torch.tensor(counts.var(0)))
    assert (dense(documents.take(torch.tensor([2, 0, 0]))) == counts[[2, 0, 0]]).all()


def test_entries_of_one_place_are_added_up_and_zeros_left_out() -> None:
    rows, columns = np.array([1, 0, 1, 1]), np.array([2, 1, 2, 0])
    documents = Documents.of_places("x", rows, columns, np.array([1, 4, 2, 0]), (2, 3))
    assert dense(documents).tolist() == [[0, 4, 0], [0, 0, 3]]
    assert documents.words.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1, 0], [0, -2]], "x: 1 counts are negative, first in row 1, column 1: -2"),
        ([[1.0, 0.5], [0.25, 1]], "x: 2 counts are not whole, first in row 0, column 1: 0.5"),
        ([[1.0, np.nan]], "x: 1 counts are missing or infinite, first in row 0, column 1: nan"),
        ([[1.0, 3e9]], "x: 1 counts are above 2,147,483,647, first in row 0, column 1: 3e"),
        ([1, 2], r"x has shape \(2,\); pass \(documents, words\)"),
        ([[1], [2]], "x has 1 columns; counts need one for each word"),
    ],
)
def test_what_is_no_count_is_refused(counts: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Documents.of(counts, "x")
    if np.ndim(counts) == 2:
        with pytest.raises(ValueError, match=message):
            Documents.of(scipy.sparse.csr_matrix(np.array(counts)), "x")


def test_words_that_do_not_fit_and_empty_documents() -> None:
    with pytest.raises(ValueError, match="there are 2 words for the 3 columns of documents"):
        Documents.of([[1, 2, 3]], vocabulary=["a", "b"])
    with pytest.raises(TypeError, match="of <U1; pass a matrix of counts"):
        Documents.of([["a", "b"]])
    documents = Documents.of([[0, 0], [1, 2], [0, 0]])
    kept = documents.without_empty()
    assert dense(kept).tolist() == [[1, 2]]
    assert kept.notes == ("2 empty documents left out, row 0 the first",)
    with pytest.raises(ValueError, match="2 documents of documents have no words, row 0 the first"):
        documents.refuse_empty()
    with pytest.raises(ValueError, match="documents holds no words in 1 documents; pass counts"):
        documents.take(torch.tensor([0])).without_empty()


def test_halves_are_a_random_half_of_each_document() -> None:
    documents = some_documents(200, n_words=5, longest=9)
    first, second = documents.halves(seed=1)
    assert (dense(first) + dense(second) == dense(documents)).all()
    assert first.lengths.tolist() == (documents.lengths // 2).tolist()
    again, _ = documents.halves(seed=1)
    other, _ = documents.halves(seed=2)
    assert (dense(again) == dense(first)).all() and (dense(other) != dense(first)).any()
    # each word goes to either half alike: of the tokens, a share of about the halves'
    share = first.n_words / documents.n_words
    counts, of_first = dense(documents).sum(0), dense(first).sum(0)
    error = np.sqrt(counts * share * (1 - share))
    assert (abs(of_first - share * counts) < 5 * error).all()


def test_a_split_and_a_file(tmp_path: Path) -> None:
    documents = some_documents(50).named("abcd")
    train, held_out = documents.split(0.2, seed=0)
    assert held_out is not None and (len(train), len(held_out)) == (40, 10)
    together = np.concatenate([dense(train), dense(held_out)])
    assert sorted(together.tolist()) == sorted(dense(documents).tolist())
    assert documents.split(0.0, seed=0)[1] is None
    with pytest.raises(ValueError, match="leaves none to train on"):
        documents.split(0.999, seed=0)
    save_documents(train, tmp_path / "x")
    read = load_documents(tmp_path / "x")
    assert read.fingerprint() == train.fingerprint() != held_out.fingerprint()
    assert read.vocabulary == ("a", "b", "c", "d")


def test_words_of_topics_do_not_depend_on_a_shift() -> None:
    model, documents = tiny(6, 2), some_documents(n_words=6)
    found = topic_words(model, documents, 3)
    with torch.no_grad():
        model.weights[:, 0] += 5
        model.hidden_bias[0] -= 5
    shifted = topic_words(model, documents, 3)
    assert (found.words == shifted.words).all() and (found.against == shifted.against).all()
    torch.testing.assert_close(found.weights, shifted.weights)
    p = documents.frequencies
    weights = (model.weights[:, 1] - p @ model.weights[:, 1]).detach()
    order = (weights * p.sqrt()).argsort(descending=True)
    assert found.words[1].tolist() == order[:3].tolist()
    assert found.against[1].tolist() == order.flip(0)[:3].tolist()
    torch.testing.assert_close(found.weights[1], weights[order[:3]])
    with pytest.raises(ValueError, match="n is 7, but there are 6 words"):
        topic_words(model, documents, 7)


def test_coherence_is_that_of_its_definition() -> None:
    counts = np.array([[1, 2, 0, 0], [3, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    documents = Documents.of(counts)
    found = npmi(documents, torch.tensor([[0, 1], [0, 2], [1, 2], [2, 3]]))

    def expected(i: int, j: int) -> float:
        has = counts > 0
        p, q, both = has[:, i].mean(), has[:, j].mean(), (has[:, i] & has[:, j]).mean()
        return float(np.log(both / (p * q)) / -np.log(both))

    assert found.tolist() == pytest.approx([expected(0, 1), expected(0, 2), -1, -1])
    three = npmi(documents, torch.tensor([[0, 1, 2]]))
    assert three.item() == pytest.approx((expected(0, 1) + expected(0, 2) - 1) / 3)


def test_nearest_documents() -> None:
    model, documents = tiny(), some_documents(40)
    found = topic_documents(model, documents, 2)
    per_word = model.hidden_inputs(documents) / documents.lengths.unsqueeze(1)
    per_word[documents.lengths < documents.lengths.double().mean() / 2] = -torch.inf
    # documents with the same words in the same shares are equally near
    torch.testing.assert_close(per_word.T.gather(1, found), per_word.topk(2, dim=0).values.T)
    near = nearest_documents(model, documents, documents, 1)[:, 0]
    hidden = model.mean_h(documents)
    # documents of equal counts are nearest to each other
    torch.testing.assert_close(hidden[near], hidden)
    with pytest.raises(ValueError, match="documents of at least half the mean length"):
        topic_documents(model, documents, 41)
