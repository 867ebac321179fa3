"""What a replicated softmax has found: the words of each hidden unit, its coherence, documents.

References
----------
.. [1] G. Bouma (2009), "Normalized (pointwise) mutual information in collocation extraction", GSCL.
.. [2] J. H. Lau, D. Newman and T. Baldwin (2014), "Machine reading tea leaves: automatically
   evaluating topic coherence and topic model quality", EACL.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.arguments import check_count
from harmonium.topics.documents import Documents
from harmonium.topics.model import ReplicatedSoftmax

_DOCUMENTS_AT_ONCE = 1_000


@dataclass(frozen=True, eq=False)
class TopicWords:
    """The words of each hidden unit.

    Attributes
    ----------
    words, against
        Numbers of the words that it makes more and less probable, strongest first, int64 of shape
        (n_hidden, n).
    weights, weights_against
        Their weights, shape (n_hidden, n): how much the unit, when it is on, adds to the log of a
        word's probability, beside the mean over the words of the documents.
    """

    words: Tensor
    against: Tensor
    weights: Tensor
    weights_against: Tensor


@torch.no_grad()
def topic_words(model: ReplicatedSoftmax, documents: Documents, n: int = 10) -> TopicWords:
    """The words that each hidden unit makes more, and less probable, when it is on.

    The same number added to all weights of a unit changes its bias alone, so that weights are
    compared with their mean over the words of the documents. Words are ranked by weight times the
    root of their frequency: the weights of rare words are the largest and the noisiest.

    Parameters
    ----------
    model
        The model.
    documents
        In which words are counted.
    n
        Words of each sign.

    Raises
    ------
    ValueError
        If there are fewer words than that, or the documents do not fit.
    """
    check_count("n", n)
    model.check(documents)
    if n > model.n_words:
        raise ValueError(f"n is {n}, but there are {model.n_words:,} words; pass fewer")
    weights = model.weights.detach()
    frequencies = documents.frequencies.to(weights)
    weights = weights - frequencies @ weights
    strengths = weights * frequencies.sqrt().unsqueeze(1)
    most, least = (side.topk(n, dim=0).indices for side in (strengths, -strengths))
    return TopicWords(most.T, least.T, weights.gather(0, most).T, weights.gather(0, least).T)


def npmi(documents: Documents, words: Tensor) -> Tensor:
    """Coherence of sets of words by normalised pointwise mutual information [1]_ [2]_.

    It is the mean over pairs of a set's words of log(p_ij / (p_i p_j)) / -log(p_ij), where p_i and
    p_ij are the shares of documents that have the word, and both words: 1 for words that occur only
    together, 0 for independent ones, -1 for words that never meet.

    Parameters
    ----------
    documents
        In which words are counted.
    words
        Numbers of words, int64 of shape (n_sets, n), n of 2 or more.

    Returns
    -------
    Tensor
        float64 of shape (n_sets,). A pair with a word that no document has counts -1.
    """
    if words.dim() != 2 or words.shape[1] < 2:
        raise ValueError(f"words have shape {tuple(words.shape)}; pass sets of 2 or more words")
    used, place = words.to(documents.device).unique(return_inverse=True)
    number = torch.full((documents.n_columns,), -1, device=documents.device)
    number[used] = torch.arange(len(used), device=documents.device)
    together = torch.zeros(len(used), len(used), dtype=torch.float64, device=documents.device)
    for index in torch.arange(len(documents), device=documents.device).split(_DOCUMENTS_AT_ONCE):
        some = documents.take(index)
        columns = number[some.words.long()]
        rows = torch.arange(len(index), device=documents.device).repeat_interleave(some.ends.diff())
        has = torch.zeros(len(index), len(used), dtype=torch.float64, device=documents.device)
        has[rows[columns >= 0], columns[columns >= 0]] = 1
        together += has.T @ has
    p = together / len(documents)
    alone = p.diagonal()
    mutual = (p / (alone.unsqueeze(1) * alone)).log() / -p.log()
    mutual = torch.where(p == 0, -1.0, torch.where(p == 1, 1.0, mutual))
    pairs = torch.combinations(torch.arange(words.shape[1], device=documents.device))
    first, second = place[:, pairs[:, 0]], place[:, pairs[:, 1]]
    return mutual[first, second].mean(1)


@torch.no_grad()
def topic_documents(model: ReplicatedSoftmax, documents: Documents, n: int = 3) -> Tensor:
    """Numbers of the documents that are nearest to each hidden unit, int64 of shape (n_hidden, n).

    They are those with the largest inputs of the unit for each of their words; of documents of
    fewer words than half of the mean length, none.

    Raises
    ------
    ValueError
        If there are fewer documents than that.
    """
    check_count("n", n)
    lengths = documents.lengths.double()
    long = (lengths >= lengths.mean() / 2).nonzero()[:, 0]
    if n > len(long):
        raise ValueError(
            f"n is {n}, but {documents.name} has {len(long):,} documents of at least half the mean "
            "length; pass fewer"
        )
    inputs = model.hidden_inputs(documents.take(long)).double() / lengths[long].unsqueeze(1)
    found: Tensor = long[inputs.topk(n, dim=0).indices].T
    return found


@torch.no_grad()
def nearest_documents(
    model: ReplicatedSoftmax, documents: Documents, queries: Documents, n: int = 10
) -> Tensor:
    """Numbers of the documents most like each query, int64 of shape (n_queries, n).

    Documents are alike by the cosine of the angle between their mean hidden units, less the mean
    over the documents (Salakhutdinov and Hinton, 2009, section 5.2).
    """
    check_count("n", n)
    hidden, asked = model.mean_h(documents), model.mean_h(queries)
    mean = hidden.mean(0)
    hidden = torch.nn.functional.normalize(hidden - mean, dim=1)
    asked = torch.nn.functional.normalize(asked - mean, dim=1)
    return (asked @ hidden.T).topk(min(n, len(documents)), dim=1).indices
