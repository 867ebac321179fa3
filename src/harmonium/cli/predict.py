"""The commands ``harmonium dbn predict``, ``encode`` and ``decode``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harmonium.cli import completing
from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import DecodingOptions, EncodingOptions, PredictionOptions
from harmonium.runs.reporting import describe_scores
from harmonium.runs.rows import ReadingOptions

_TUNED = "A run of harmonium dbn finetune, or the run of its stack."
TunedArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help=_TUNED, autocompletion=completing.runs)
]
RowsArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A named data set, or a file.", autocompletion=completing.data
    ),
]
CodesArgument = Annotated[
    str, typer.Argument(metavar="CODES", help="A file of codes, as written by encode.")
]


@asking(PredictionOptions, WHERE, ReadingOptions, run=TunedArgument)
def predict(
    asked: Asked, options: PredictionOptions, reading: ReadingOptions, *, data: RowsArgument
) -> Lines:
    """Predict classes with their probabilities, or targets.

    If DATA has labels, the command also scores the predictions, and plots a confusion matrix and
    the worst mistakes.
    """
    from harmonium.runs.answers import predict

    found = predict.predict(asked, data, options, reading)
    n_rows = len(found.predictions)
    if found.scores:
        yield describe_scores(found.scores, found.n_judged, found.data)
    if found.n_unjudged:
        yield (
            f"{found.n_unjudged:,} of {n_rows:,} rows have no label, or one that was not "
            "learned: they are predicted, and not judged"
        )
    yield f"predicted {found.path} ({n_rows:,} rows of {found.data})"
    for picture in found.pictures:
        yield f"picture   {picture}"
    return found.as_dict()


@asking(EncodingOptions, WHERE, ReadingOptions, run=TunedArgument)
def encode(
    asked: Asked, options: EncodingOptions, reading: ReadingOptions, *, data: RowsArgument
) -> Lines:
    """Encode rows with an autoencoder, and plot the codes in two dimensions.

    A stack that was not fine-tuned is unrolled with its pretrained weights.
    """
    from harmonium.runs.answers import encode

    found = encode.encode(asked, data, options, reading)
    yield describe_scores(found.scores, len(found.codes), found.data)
    yield f"codes     {found.path} (shape {found.codes.shape})"
    yield f"picture   {found.picture}"
    return found.as_dict()


@asking(DecodingOptions, WHERE, run=TunedArgument)
def decode(asked: Asked, options: DecodingOptions, *, codes: CodesArgument) -> Lines:
    """Decode codes to rows with an autoencoder, and draw the rows."""
    from harmonium.runs.answers import encode

    found = encode.decode(asked, codes, options)
    yield f"rows      {found.path} (shape {found.rows.shape})"
    yield f"picture   {found.picture}"
    return found.as_dict()
