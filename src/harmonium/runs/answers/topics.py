"""The topics of a run, and the perplexity of documents under its model."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from harmonium import kernels
from harmonium.files import write_json, write_whole
from harmonium.rng import Lane
from harmonium.run_directory import REPORT_MARK, RunDirectory, kinds, refuse_foreign
from harmonium.runs import build, counts, run_data, sharing
from harmonium.runs.answers.archives import TABLE, target_of
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.evaluations import (
    FORMAT,
    Evaluated,
    part_of,
    refuse_more,
    results_in,
)
from harmonium.runs.answers.options import EvaluationOptions
from harmonium.runs.answers.options_of_data import TopicOptions
from harmonium.runs.following import write_page
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rows import ReadingOptions
from harmonium.runs.topic_tables import coherence_of, keep_topics, table_of
from harmonium.runs.topic_task import model_of
from harmonium.topics import (
    Documents,
    ReplicatedSoftmax,
    completion,
    perplexity,
    topic_documents,
)

PERPLEXITY = "perplexity.json"
"""The file of perplexities in the directory of a run."""

# Options of an evaluation that are about other models.
_NOT_USED = ("temperatures", "budget", "binarize", "weights", "identity")


@dataclass(frozen=True, repr=False)
class Topics(Answer):
    """The topics of a model.

    Attributes
    ----------
    topics
        One mapping each, most coherent first: ``topic``, the number of the hidden unit; ``words``
        and ``against``, its words of either sign, strongest first, with their ``weights`` and
        ``weights_against``; ``coherence`` and ``coherence_against``, the mean NPMI of either
        (`topics.npmi`); ``share``, the mean probability over the training documents that it is on;
        ``documents``, the numbers of the nearest training documents, from 0.
    path, page
        The ``.csv`` of all of it, and the page of the run, which shows it.
    """

    topics: Sequence[Mapping[str, Any]]
    path: Path
    page: Path

    @property
    def coherence(self) -> float:
        """Mean coherence of the topics, each that of its more coherent sign."""
        return fmean(map(coherence_of, self.topics))

    def as_dict(self) -> dict[str, Any]:
        """Where the file is, and the topics."""
        return {"table": str(self.path), "coherence": self.coherence, "topics": list(self.topics)}


def find(asked: Asked, options: TopicOptions) -> Topics:
    """List the topics of a run; writes a ``.csv`` and the run's page.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If the run has no topics, or words do not fit its columns; before anything is written.
    """
    run, training, model = _opened(asked)
    path = target_of(options.out, run, "topics.csv", TABLE, pictures=())
    refuse_foreign(run.report_path, REPORT_MARK)
    words = counts.words_of(run)
    if options.words is not None:
        words = counts.read_words(options.words.expanduser(), model.n_words)
    is_default = options.n_words == type(options).n_words
    if options.n_words > model.n_words and not is_default:
        raise ValueError(
            f"`n_words` is {options.n_words}, but the model knows {model.n_words:,} words; pass "
            "fewer"
        )
    train, _ = counts.load(training)
    train = train.to(model.weights.device)
    topics = table_of(model, train, words, options.n_words)
    nearest = topic_documents(model, train, min(options.n_documents, len(train))).tolist()
    topics = [topic | {"documents": nearest[topic["topic"]]} for topic in topics]
    write_whole(path, _as_csv(topics))
    keep_topics(run, model, train, words)
    return Topics(tuple(topics), path, write_page(run, asked.reporter))


def evaluate(asked: Asked, options: EvaluationOptions, reading: ReadingOptions) -> Evaluated:
    """Find the perplexity of documents; writes ``perplexity.json`` and the run's page.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model or document; before anything is written.
    """
    for name in _NOT_USED:
        default = type(options).__dataclass_fields__[name].default
        if getattr(options, name) != default:
            raise ValueError(
                f"`{name}` is not for topic models, whose chains are annealed over the length of "
                "documents; leave it out"
            )
    sharing.refuse("the perplexity of documents")
    run, training, model = _opened(asked)
    refuse_foreign(run.report_path, REPORT_MARK)
    results = results_in(run.path / PERPLEXITY)
    name, documents = _asked_for(options, reading, training)
    documents = _some(documents, options).to(model.weights.device)
    began = time.monotonic()
    computation = perplexity(model, documents, n_chains=options.chains, seed=options.seed)
    with asked.reporter.following(computation.n_steps, 0, "evaluating") as shown:
        for done in computation:
            shown.update(done)
    found = computation.result()
    halves = documents.halves(options.seed)
    completed = completion(model, *halves) if any(len(half.words) for half in halves[:1]) else None
    results[name] = result = {
        "lower": found.lower,
        "lower_std_error": found.lower_std_error,
        "upper": found.upper,
        "upper_std_error": found.upper_std_error,
        "exact": found.is_exact,
        "trusted": not found.reasons,
        "warnings": [asked.reporter.words(reason).replace("`", "") for reason in found.reasons],
        "documents_std_error": found.documents_std_error,
        "log_likelihood": found.log_likelihood,
        "completion_perplexity": None if completed is None else completed.perplexity,
        "completion_std_error": None if completed is None else completed.std_error,
        "documents": found.n_documents,
        "words": found.n_words,
        "data": name,
        "chains": None if found.is_exact else options.chains,
        "seed": options.seed,
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(run.path / PERPLEXITY, {"format": FORMAT, "results": results})
    return Evaluated(found, result, run.path / PERPLEXITY, write_page(run, asked.reporter))


def _opened(asked: Asked) -> tuple[RunDirectory, TrainingOptions, ReplicatedSoftmax]:
    run = RunDirectory.open_any(asked.run.path)
    if run.kind is not kinds.TOPICS:
        raise ValueError(
            f"{run.path} holds no topics; train them on counts of words with `visible='counts'`"
        )
    device = build.choose_device(asked.device)
    return run, run_data.options_of(run), model_of(run, device)


def _asked_for(
    options: EvaluationOptions, reading: ReadingOptions, training: TrainingOptions
) -> tuple[str, Documents]:
    """The documents to evaluate, and their name."""
    train, held_out = counts.load(training)
    if options.data is not None:
        if options.split is not None:
            raise ValueError(
                f"`split` is {options.split}, and `data` are other documents; leave one of them out"
            )
        found = counts.another(options.data, reading, train)
        return found.name, found
    there = {"test": None, "held-out": held_out, "train": train}
    if training.test_data is not None:
        there["test"] = counts.another(training.test_data, training, train)
    name, part = part_of(there, options.split, train.name, "documents")
    return f"{train.name}, {name}", part


def _some(documents: Documents, options: EvaluationOptions) -> Documents:
    if options.rows is None:
        return documents
    refuse_more(options.rows, len(documents), documents.name)
    order = kernels.permutation(len(documents), Lane.EVALUATED_ROWS.stream(options.seed))
    return documents.take(order[: options.rows].sort().values)


def _as_csv(topics: Sequence[Mapping[str, Any]]) -> bytes:
    """A line for each word of each topic."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("topic", "coherence", "share", "sign", "rank", "word", "weight", "documents"))
    for topic in topics:
        for sign, names, weights, coherence in (
            ("more", topic["words"], topic["weights"], topic["coherence"]),
            ("less", topic["against"], topic["weights_against"], topic["coherence_against"]),
        ):
            for rank, (word, weight) in enumerate(zip(names, weights, strict=True), start=1):
                head = topic["topic"], f"{coherence:.6g}", f"{topic['share']:.6g}"
                documents = " ".join(map(str, topic["documents"]))
                writer.writerow((*head, sign, rank, word, f"{weight:.6g}", documents))
    return text.getvalue().encode()
