"""The topics of a run as tables: files that answers write and pages show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harmonium.files import write_json
from harmonium.run_directory import RunDirectory
from harmonium.topics import Documents, ReplicatedSoftmax, npmi, topic_words

NAME = "topics.json"
"""The file in the directory of a run."""

FORMAT = 1

_SHOWN = 10


def table_of(
    model: ReplicatedSoftmax, documents: Documents, words: Sequence[str] | None, n: int = _SHOWN
) -> list[dict[str, Any]]:
    """The topics, most coherent first, as JSON values.

    Parameters
    ----------
    model
        The model.
    documents
        In which words are counted for the coherence, and shares of documents.
    words
        The word of each column; None names columns by their numbers.
    n
        Words of each sign.
    """
    n = min(n, model.n_words)
    found = topic_words(model, documents, n)
    both = torch.cat((found.words, found.against))
    coherence = npmi(documents, both).tolist() if n > 1 else [0.0] * len(both)
    share = model.mean_h(documents).double().mean(0).tolist()

    def named(columns: Any) -> list[str]:
        return [words[k] if words is not None else f"column {k}" for k in columns.tolist()]

    topics = [
        {
            "topic": topic,
            "words": named(found.words[topic]),
            "weights": found.weights[topic].tolist(),
            "against": named(found.against[topic]),
            "weights_against": found.weights_against[topic].tolist(),
            "coherence": coherence[topic],
            "coherence_against": coherence[model.n_hidden + topic],
            "share": share[topic],
        }
        for topic in range(model.n_hidden)
    ]
    return sorted(topics, key=lambda topic: -coherence_of(topic))


def coherence_of(topic: Mapping[str, Any]) -> float:
    """Coherence of a topic: that of its more coherent sign, as which sign is on is arbitrary."""
    return float(max(topic["coherence"], topic["coherence_against"]))


def keep_topics(
    run: RunDirectory, model: ReplicatedSoftmax, documents: Documents, words: Sequence[str] | None
) -> None:
    """Write the topics into the run, for its page."""
    content = {"format": FORMAT, "topics": table_of(model, documents, words)}
    write_json(run.path / NAME, content)
