"""The command ``harmonium plot``.

Nothing heavy is imported here.
"""

from __future__ import annotations

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import WHERE
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.options import PlottingOptions


@asking(PlottingOptions, WHERE)
def plot(asked: Asked, options: PlottingOptions) -> Lines:
    """Redraw the pictures of a run."""
    from harmonium.runs.answers import plot

    pictures = []
    for picture in plot.plot(asked, options):
        pictures.append(str(picture))
        yield pictures[-1]
    return {"pictures": pictures}
