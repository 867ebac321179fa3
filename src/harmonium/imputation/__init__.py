"""What a model says of missing values: completions, and probabilities of columns given others."""

from harmonium.imputation.calibration import (
    Calibration,
    coverage,
    reliability,
    transforms_of_draws,
)
from harmonium.imputation.completing import CompletedRows, complete_rows
from harmonium.imputation.predicting import UnitDistributions, unit_distributions
from harmonium.imputation.probabilities import (
    LogProbabilities,
    conditional_log_probability,
    observed_log_likelihood,
    of_observed,
)

__all__ = [
    "Calibration",
    "CompletedRows",
    "LogProbabilities",
    "UnitDistributions",
    "complete_rows",
    "conditional_log_probability",
    "coverage",
    "observed_log_likelihood",
    "of_observed",
    "reliability",
    "transforms_of_draws",
    "unit_distributions",
]
