"""The commands ``harmonium impute`` and ``harmonium predict``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options_of_data import ColumnOptions, ImputationOptions
from harmonium.runs.rows import ReadingOptions


@asking(ImputationOptions, WHERE, ReadingOptions)
def impute(asked: Asked, options: ImputationOptions, reading: ReadingOptions) -> Lines:
    """Fill in the missing values of rows, once as well as can be or several times at random."""
    from harmonium.runs.answers import impute

    found = impute.impute(asked, options, reading)
    n_rows = len(found.observed)
    yield (
        f"{found.n_missing:,} of {found.observed.size:,} values of {found.data} were missing; "
        f"{found.n_exact:,} of {n_rows:,} rows were completed exactly"
        + (f", the others by chains of {found.sweeps:,} sweeps" if found.sweeps else "")
    )
    if found.unmixed:
        yield (
            f"the chains of {len(found.unmixed):,} rows disagree (the first is row "
            f"{found.unmixed[0]}, counted from 0), so that their draws may miss some "
            "possibilities; take more --sweeps"
        )
    times = f"{found.n_draws} draws of {n_rows:,} rows" if found.n_draws else f"{n_rows:,} rows"
    yield f"imputed   {found.path} ({times})"
    return found.as_dict()


@asking(ColumnOptions, WHERE, ReadingOptions)
def predict(asked: Asked, options: ColumnOptions, reading: ReadingOptions) -> Lines:
    """Predict a column of rows from the others that are known.

    If the rows have the column, predictions are also scored, and their calibration is plotted.
    """
    from harmonium.runs.answers import predict_column

    found = predict_column.predict_column(asked, options, reading)
    n_rows = len(found.predictions)
    scores = found.scores
    if "loss" in scores:
        yield (
            f"{found.column}: {scores['error']:.2%} of {found.n_judged:,} rows wrong, loss "
            f"{scores['loss']:.4f} nats"
        )
    elif scores:
        yield (
            f"{found.column}: root mean squared error {scores['rmse']:.4g} of {found.n_judged:,} "
            f"rows; the central 90 % hold {scores['coverage_90']:.1%} of them"
        )
    if found.n_exact < n_rows:
        yield (
            f"{n_rows - found.n_exact:,} of {n_rows:,} rows lack further values, over which chains "
            "were averaged; the others are exact"
        )
    yield f"predicted {found.path} ({n_rows:,} rows of {found.data})"
    if found.picture is not None:
        yield f"picture   {found.picture}"
    return found.as_dict()
