"""Files of a replicated softmax: models, checkpoints, and documents that a run keeps itself."""

from __future__ import annotations

from pathlib import Path

import torch

from harmonium.checkpoint import describe_learner, restore_learner
from harmonium.files import write_whole
from harmonium.gradient import Penalties
from harmonium.serialization import below, load_parameters_, read, serialize, tensors_of
from harmonium.topics.documents import Documents
from harmonium.topics.learning import TopicState
from harmonium.topics.model import ReplicatedSoftmax

_MODEL, _CHECKPOINT, _DOCUMENTS = "topic model", "topic checkpoint", "documents"


def save_topic_model(model: ReplicatedSoftmax, path: str | Path) -> None:
    """Write a model file."""
    write_whole(Path(path), serialize(_MODEL, tensors_of(model), model.config()))


def load_topic_model(path: str | Path, *, device: torch.device | str = "cpu") -> ReplicatedSoftmax:
    """Read a model file.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete file of such a model.
    """
    tensors, config = read(path, _MODEL)
    model = ReplicatedSoftmax(**config).to(tensors["weights"].dtype)
    load_parameters_(model, tensors)
    return model.to(device)


def dumps_topics(state: TopicState) -> bytes:
    """The content of a checkpoint; a training that goes on from it is the same, bit for bit."""
    tensors, config = describe_learner(state, state.softmax, "softmax.")
    tensors |= {"shares": state.shares, "sizes": state.sizes, "offset": state.offset}
    if state.average is not None:
        tensors |= tensors_of(state.average, "average.")
    config |= {
        "softmax": state.softmax.config(),
        "phases": state.phases,
        "penalties": {"l1": state.penalties.l1, "l2": state.penalties.l2},
        "size_of_length": state.size_of_length,
        "average_decay": state.average_decay,
    }
    return serialize(_CHECKPOINT, tensors, config)


def load_topics(path: str | Path, *, device: torch.device | str = "cpu") -> TopicState:
    """Read a checkpoint.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is not a complete checkpoint of such a training.
    """
    tensors, config = read(path, _CHECKPOINT)
    dtype = tensors["softmax.weights"].dtype

    def made(prefix: str) -> ReplicatedSoftmax:
        model = ReplicatedSoftmax(**config["softmax"]).to(dtype)
        load_parameters_(model, below(prefix, tensors))
        return model.to(device)

    model = made("softmax.")
    learner = restore_learner(model, tensors, config, None, None)
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    return TopicState(
        **learner,
        softmax=model,
        phases=tuple((begins, sweeps) for begins, sweeps in config["phases"]),
        penalties=Penalties(**config["penalties"]),
        shares=tensors["shares"],
        sizes=tensors["sizes"],
        size_of_length=config["size_of_length"],
        offset=tensors["offset"],
        average=made("average.") if below("average.", tensors) else None,
        average_decay=config["average_decay"],
    )


def save_documents(documents: Documents, path: str | Path) -> None:
    """Write documents, as a run keeps those that were passed in memory."""
    tensors = {name: getattr(documents, name) for name in ("ends", "words", "counts")}
    config = {
        "name": documents.name,
        "n_columns": documents.n_columns,
        "vocabulary": documents.vocabulary,
        "notes": documents.notes,
    }
    write_whole(Path(path), serialize(_DOCUMENTS, tensors, config))


def load_documents(path: str | Path) -> Documents:
    """Read the documents that `save_documents` wrote.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is damaged.
    """
    tensors, config = read(path, _DOCUMENTS)
    words = config["vocabulary"]
    return Documents(
        config["name"],
        tensors["ends"],
        tensors["words"],
        tensors["counts"],
        config["n_columns"],
        None if words is None else tuple(words),
        tuple(config["notes"]),
    )
