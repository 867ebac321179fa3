"""Figures from arrays: the only part of the package that draws.

There are two layers. `tile`, `filter_sheet`, `save_sheet` and `save_frame` make plain raster sheets
within milliseconds, fast enough to be written after every epoch. `filters`, `samples`,
`reconstructions` and the others draw labelled figures on the caller's Axes or on a new figure;
those for tables (`distributions`, `sample_strips`, ...) show column names. This package does not
depend on models, runs or torch, and neither reads nor changes global state of matplotlib: a figure
belongs only to its caller.
"""

from harmonium.plots.calibration import calibration
from harmonium.plots.correlations import associations, correlations, nominal_associations
from harmonium.plots.curves import learning_curves
from harmonium.plots.diagnosis import autocorrelation, moments, singular_values
from harmonium.plots.distributions import activity_histogram, hidden_activity, weight_histogram
from harmonium.plots.fidelity import (
    agreement,
    components,
    linkage_decay,
    nearest_distances,
    population_counts,
)
from harmonium.plots.files import png, save, save_sheet
from harmonium.plots.frames import save_frame
from harmonium.plots.likelihoods import likelihoods_over_time
from harmonium.plots.pictures import completions, filters, reconstructions, samples
from harmonium.plots.predictions import codes, confusion_matrix, mistakes
from harmonium.plots.sequences import (
    contact_map,
    contacts,
    mutants,
    mutation_map,
    precision_curve,
    scores_beside_measurements,
    sequence_logos,
)
from harmonium.plots.sheets import filter_sheet, scale_each, tile
from harmonium.plots.speeds import speeds
from harmonium.plots.strips import completion_strips, reconstruction_strips, sample_strips
from harmonium.plots.tables import Letters as Letters
from harmonium.plots.tables import (
    distances,
    distributions,
    legible,
    shares,
    strongest,
    weights_by_column,
)

__all__ = [
    "activity_histogram",
    "agreement",
    "associations",
    "autocorrelation",
    "calibration",
    "codes",
    "completion_strips",
    "completions",
    "components",
    "confusion_matrix",
    "contact_map",
    "contacts",
    "correlations",
    "distances",
    "distributions",
    "filter_sheet",
    "filters",
    "hidden_activity",
    "learning_curves",
    "legible",
    "likelihoods_over_time",
    "linkage_decay",
    "mistakes",
    "moments",
    "mutants",
    "mutation_map",
    "nearest_distances",
    "nominal_associations",
    "png",
    "population_counts",
    "precision_curve",
    "reconstruction_strips",
    "reconstructions",
    "sample_strips",
    "samples",
    "save",
    "save_frame",
    "save_sheet",
    "scale_each",
    "scores_beside_measurements",
    "sequence_logos",
    "shares",
    "singular_values",
    "speeds",
    "strongest",
    "tile",
    "weight_histogram",
    "weights_by_column",
]
