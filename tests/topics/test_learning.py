"""The gradient of a topic model against the enumerated one, and a training that goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harmonium import training
from harmonium.datasets import Minibatches
from harmonium.gradient import Penalties
from harmonium.topics import (
    Documents,
    ReplicatedSoftmax,
    TopicState,
    dumps_topics,
    load_topics,
    perplexity,
    topic_words,
)
from topics.tiny import log_p, some_documents, texts, tiny


def phase_of(state: TopicState, counts: torch.Tensor) -> Any:
    sparse = Documents.of(counts).as_sparse()
    return state._observed(sparse.crow_indices(), sparse.col_indices().int(), sparse.values())


@pytest.mark.parametrize("counts", [[1, 0, 1, 0], [0, 2, 0, 1]])
def test_the_expected_gradient_is_the_enumerated_one(counts: list[int]) -> None:
    """Over all fantasies by their probability; in the coordinates in which training steps."""
    model, row = tiny(), torch.tensor([counts]).double()
    state = TopicState.create(model, some_documents())
    offset, mu = state.offset.clone(), state.shares
    fantasies = texts(4, int(row.sum()))
    with torch.no_grad():
        p = log_p(model, fantasies).exp()
    assert p.sum().item() == pytest.approx(1)
    found = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for fantasy, weight in zip(fantasies, p, strict=True):
        state.offset = offset.clone()
        with torch.no_grad():
            state._compare(phase_of(state, row), phase_of(state, fantasy[None]), 1.0)
        for sums, parameter in zip(found, model.parameters(), strict=True):
            sums += weight * parameter.grad
    loss = -log_p(model, row).sum()
    of_weights, of_words, of_hidden = torch.autograd.grad(loss, list(model.parameters()))
    centred = of_weights - of_words[:, None] * offset - mu[:, None] * of_hidden
    expected = (
        centred / state.sizes[:, None],
        (of_words - centred @ offset) / state.sizes,
        (of_hidden - centred.T @ mu) / state.size_of_length,
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_a_gradient_without_the_length_is_noticed() -> None:
    """Hidden biases that are not multiplied by the length give another gradient."""
    model = tiny()
    row = torch.tensor([[0, 2, 0, 1]]).double()
    *_, right = torch.autograd.grad(-log_p(model, row).sum(), list(model.parameters()))
    h = model.mean_h(Documents.of(row))[0].detach()
    p = log_p(model, texts(4, 3)).exp().detach()
    of_model = p @ model.mean_h(Documents.of(texts(4, 3))).detach()
    torch.testing.assert_close(right, 3 * (of_model - h))
    assert (right - (of_model - h)).abs().max() > 0.01


def two_topics(n: int = 400, seed: int = 0) -> Documents:
    """Documents about one of two topics, of two words each, and two words of both."""
    generator = torch.Generator().manual_seed(seed)
    of_topic = torch.tensor([[4.0, 4, 0.1, 0.1, 1, 1], [0.1, 0.1, 4, 4, 1, 1]])
    topic = torch.randint(2, (n,), generator=generator)
    counts = torch.zeros(n, 6)
    for row in range(n):
        length = int(torch.randint(4, 13, (1,), generator=generator))
        words = torch.multinomial(of_topic[topic[row]], length, True, generator=generator)
        counts[row] = torch.bincount(words, minlength=6)
    return Documents.of(counts, "two topics")


def test_it_learns_topics() -> None:
    """Perplexity falls from that of single words almost to that of the topics themselves."""
    documents, test = two_topics(), two_topics(seed=1)
    model = ReplicatedSoftmax(6, 2).init_from_documents_(documents, seed=0)
    before = perplexity(model, test).result().lower
    batches = Minibatches(documents, 50)
    state = TopicState.create(
        model, documents, learning_rate=0.4,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 40 * len(batches)),
    )  # fmt: skip
    for _ in training.updates(state, batches, 40):
        pass
    after = perplexity(model, test).result().lower
    # of the truth: each topic has log p of its own, with both as likely
    of_topic = torch.tensor([[4.0, 4, 0.1, 0.1, 1, 1], [0.1, 0.1, 4, 4, 1, 1]])
    counts = test.as_sparse().to_dense().float()
    log_truth = (counts @ (of_topic / of_topic.sum(1, keepdim=True)).log().T).logsumexp(1)
    log_truth = log_truth - torch.tensor(2.0).log()
    truth = (-(log_truth / counts.sum(1)).mean()).exp().item()
    assert before > 5.5 > truth + 1
    assert after < truth + 0.1 * (before - truth)
    strongest = topic_words(model, documents, 2)
    found = {frozenset(words) for words in (strongest.words.tolist() + strongest.against.tolist())}
    assert found == {frozenset((0, 1)), frozenset((2, 3))}


def test_a_checkpoint_goes_on_bit_for_bit(tmp_path: Path) -> None:
    documents = some_documents(40)
    batches = Minibatches(documents, 7)

    def begun() -> TopicState:
        model = ReplicatedSoftmax(4, 3).init_from_documents_(documents, seed=0)
        return TopicState.create(
            model, documents, phases={9: 3}, average_decay=0.9, momentum=0.5,
            penalties=Penalties(l1=1e-3, l2=1e-3), seed=5,
        )  # fmt: skip

    whole, first = begun(), begun()
    for _ in training.updates(whole, batches, 4):
        pass
    for update in training.updates(first, batches, 4):
        if update == 8:
            break
    (tmp_path / "half").write_bytes(dumps_topics(first))
    second = load_topics(tmp_path / "half")
    assert second.sweeps == 1 and second.update == 8
    for _ in training.updates(second, batches, 4):
        pass
    assert dumps_topics(second) == dumps_topics(whole)
    assert second.sweeps == 3


def test_rows_of_numbers() -> None:
    documents = two_topics(200)
    model = ReplicatedSoftmax(6, 2).init_from_documents_(documents)
    state = TopicState.create(model, documents, learning_rate=0.4)
    batches = Minibatches(documents, 50)
    rows = list(training.run(state, batches, 10, held_out=two_topics(50, seed=2)))
    assert [row["update"] for row in rows][-1] == 40
    assert rows[-1]["held_out_completion_perplexity"] < rows[0]["held_out_completion_perplexity"]


def test_what_does_not_fit_is_refused() -> None:
    documents = some_documents()
    with pytest.raises(ValueError, match="all 3 hidden units are alike"):
        TopicState.create(ReplicatedSoftmax(4, 3), documents)
    model = ReplicatedSoftmax(5, 3).init_from_documents_(some_documents(n_words=5))
    with pytest.raises(ValueError, match="some has 4 columns, but this model knows 5 words"):
        TopicState.create(model, documents)
    empty = Documents.of([[1, 0], [0, 0]])
    with pytest.raises(ValueError, match="1 documents of documents have no words, row 1 the first"):
        TopicState.create(ReplicatedSoftmax(2, 1), empty)
    state = TopicState.create(tiny(), documents)
    state.optimizer.param_groups[0]["lr"] = float("inf")
    with pytest.raises(FloatingPointError, match="learning rate, inf, is probably too large"):
        for _ in training.updates(state, Minibatches(documents, 5), 3):
            pass
