"""The command ``harmonium evaluate``.

Nothing heavy is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.run_directory import kinds
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import EvaluationOptions
from harmonium.runs.rows import ReadingOptions


@asking(EvaluationOptions, WHERE, ReadingOptions)
def evaluate(asked: Asked, options: EvaluationOptions, reading: ReadingOptions) -> Lines:
    """Compute the mean log-likelihood of test rows in nats, exactly or as an interval.

    It is exact if one layer has at most 2^25 states. Otherwise log Z is estimated in three ways,
    which must agree. If they disagree, the command reports the reason instead of a lower bound. The
    result is stored in RUN/likelihood.json. For a topic model it is the perplexity of documents,
    stored in RUN/perplexity.json.
    """
    from harmonium.runs.answers import evaluate

    found = evaluate.evaluate(asked, options, reading)
    yield from (_of_documents if asked.run.kind is kinds.TOPICS else _of_rows)(found)
    yield f"kept in         {found.path}"
    yield f"page            {found.page}"
    return found.as_dict()


def _of_rows(found: Any) -> Iterator[str]:
    """The log-likelihood of rows, in words."""
    yield f"log-likelihood  {found.found} a row"
    sites = found.result["sites"]
    if sites is not None:
        yield f"a site          {found.found.per(sites)} (of {sites})"
    yield f"rests on        {found.found.rests_on}"
    for number, reason in enumerate(found.result["warnings"]):
        yield f"{'and' if number else 'no lower bound,'} because {reason}"
    yield f"rows            {_rows(found.result, found.found.rows_std_error)}"


def _of_documents(found: Any) -> Iterator[str]:
    """The perplexity of documents, in words."""
    result = found.result
    yield f"perplexity      {found.found}"
    if result["completion_perplexity"] is not None:
        yield f"of completion   {result['completion_perplexity']:.1f}, of one half by the other"
    for reason in result["warnings"]:
        yield f"not to be trusted, because {reason}"
    yield f"documents       {result['documents']:,} of {result['data']}, {result['words']:,} words"


def _rows(result: Mapping[str, Any], std_error: float) -> str:
    how = result["binarized"]
    there = result["drawn_from"]
    of_all = "" if there is None else f"the {there:,} of "
    text = f"{result['rows']:,} of {of_all}{result['data']}"
    if there is not None:
        text += ", drawn at random (--rows says how many)"
    text += f", {how}" if how else ""
    if result["weights"] is not None:
        text += f", weighted mean (weights: {result['weights']})"
    if "effective_rows" in result:
        text += f", which count as {result['effective_rows']:,.1f} of equal weight"
    if not math.isnan(std_error):
        text += f" (with other rows of their kind: ± {std_error:.2f} nats)"
    return text
