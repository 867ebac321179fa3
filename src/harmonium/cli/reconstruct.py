"""The command ``harmonium reconstruct``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import ReconstructionOptions
from harmonium.runs.rows import ReadingOptions


@asking(ReconstructionOptions, WHERE, ReadingOptions)
def reconstruct(asked: Asked, options: ReconstructionOptions, reading: ReadingOptions) -> Lines:
    """Reconstruct rows: the mean visible units given the mean hidden units."""
    from harmonium.runs.answers import reconstruct

    found = reconstruct.reconstruct(asked, options, reading)
    names = "`reconstructions`, `errors`" + ", `columns`" * (found.columns is not None)
    yield (
        f"{len(found.errors):,} rows of {found.data}: mean reconstruction error "
        f"{found.mean_error:.3f} ({found.unit}), {found.mean_error_of_mean_row:.3f} with the mean "
        "row in place of every reconstruction"
    )
    yield f"rows      {found.path} (arrays {names})"
    yield f"picture   {found.picture}"
    return found.as_dict()
