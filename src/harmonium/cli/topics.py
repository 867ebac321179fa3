"""The command ``harmonium topics``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options_of_data import TopicOptions


@asking(TopicOptions, WHERE)
def topics(asked: Asked, options: TopicOptions) -> Lines:
    """List the topics that a run has learned from counts of words.

    For each hidden unit: the words that it makes more and less probable when it is on, its
    coherence of either, in brackets (normalised pointwise mutual information in the training
    documents), and the documents nearest to it.
    """
    from harmonium.runs.answers import topics

    found = topics.find(asked, options)
    for topic in found.topics:
        yield f"topic {topic['topic']}"
        yield f"  more of   {', '.join(topic['words'])} ({topic['coherence']:.2f})"
        yield f"  less of   {', '.join(topic['against'])} ({topic['coherence_against']:.2f})"
    yield f"coherence {found.coherence:.3f}, the mean of {len(found.topics):,} topics"
    yield f"table     {found.path}"
    yield f"page      {found.page}"
    return found.as_dict()
