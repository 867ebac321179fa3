"""The topics of a run as tables: files that answers write and pages show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    found = topic_words(model, n)
    coherence = npmi(documents, found.words).tolist() if n > 1 else [0.0] * model.n_hidden
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
            "share": share[topic],
        }
        for topic in range(model.n_hidden)
    ]
    return sorted(topics, key=lambda topic: -topic["coherence"])


def keep_topics(
    run: RunDirectory, model: ReplicatedSoftmax, documents: Documents, words: Sequence[str] | None
) -> None:
    """Write the topics into the run, for its page."""
    content = {"format": FORMAT, "topics": table_of(model, documents, words)}
    write_json(run.path / NAME, content)
