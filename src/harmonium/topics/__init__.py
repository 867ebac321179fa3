"""Topics of documents: the replicated softmax (Salakhutdinov and Hinton, 2009) on counts of words.

`Documents` hold counts in compressed rows, which are never made dense. `ReplicatedSoftmax` is the
model, and `TopicState` its training under the one loop of `training`. `perplexity` and `completion`
say how good it is, and `topic_words`, `npmi` and `topic_documents` what it has found.
"""

from harmonium.topics.completion import Completion, completion
from harmonium.topics.documents import Documents
from harmonium.topics.files import (
    dumps_topics,
    load_documents,
    load_topic_model,
    load_topics,
    save_documents,
    save_topic_model,
)
from harmonium.topics.learning import TopicState
from harmonium.topics.likelihood import (
    LogZByLength,
    Perplexity,
    annealed_log_z,
    can_be_enumerated,
    exact_log_z,
    perplexity,
)
from harmonium.topics.model import ReplicatedSoftmax
from harmonium.topics.watching import TopicWatch, default_every
from harmonium.topics.words import (
    TopicWords,
    nearest_documents,
    npmi,
    topic_documents,
    topic_words,
)

__all__ = [
    "Completion",
    "Documents",
    "LogZByLength",
    "Perplexity",
    "ReplicatedSoftmax",
    "TopicState",
    "TopicWatch",
    "TopicWords",
    "annealed_log_z",
    "can_be_enumerated",
    "completion",
    "default_every",
    "dumps_topics",
    "exact_log_z",
    "load_documents",
    "load_topic_model",
    "load_topics",
    "nearest_documents",
    "npmi",
    "perplexity",
    "save_documents",
    "save_topic_model",
    "topic_documents",
    "topic_words",
]
