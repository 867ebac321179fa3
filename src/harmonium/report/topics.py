"""The topics of a topic model, and its perplexity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.pieces import Section, Table, minus

_WORDS = 8


def section(facts: Facts) -> Section | None:
    """The words of each hidden unit, most coherent first; None before the end."""
    content = facts.json(facts.run.path / "topics.json")
    topics = content.get("topics") if content is not None else None
    if not isinstance(topics, list) or not topics:
        return None
    rows = [
        (
            str(topic["topic"]),
            ", ".join(topic["words"][:_WORDS]),
            ", ".join(topic["against"][:_WORDS]),
            minus(f"{topic['coherence']:.2f}, {topic['coherence_against']:.2f}"),
            f"{topic['share']:.1%}",
        )
        for topic in topics
    ]
    header = ("topic", "more of", "less of", "coherence of both", "share of documents")
    table = Table("", header, rows, text=(1, 2))
    return Section("topics", "Topics", "topics", {"facts": facts, "table": table})


def tiles(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Perplexities that ``harmonium evaluate`` has found."""
    content = facts.json(facts.run.path / "perplexity.json")
    results: Mapping[str, Any] = content.get("results", {}) if content is not None else {}
    for name, of in results.items():
        value = f"{of['lower']:,.1f}"
        if not of["exact"]:
            value += f" … {of['upper']:,.1f}"
        note = f"words, {of['documents']:,} documents of {name}"
        yield "perplexity", value, note + ("" if of["trusted"] else "; not to be trusted")
