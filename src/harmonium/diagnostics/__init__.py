"""Measurements of a model and its chains, and advice in plain words derived from them.

None of them is a likelihood.
"""

from harmonium.diagnostics.advice import Advice, Findings, Severity, advise
from harmonium.diagnostics.chains import (
    Mixing,
    Observable,
    Recording,
    autocorrelations,
    flip_rates,
    mixing,
    record,
    schedule_of,
    start_apart,
)
from harmonium.diagnostics.convergence import Autocorrelation, autocorrelation, r_hat
from harmonium.diagnostics.diagnosis import Diagnosis, diagnose
from harmonium.diagnostics.hidden import (
    HiddenUnits,
    dead_share,
    duplicates,
    hidden_activity,
    hidden_units,
    saturated_share,
)
from harmonium.diagnostics.moments import (
    Distance,
    MomentDistance,
    Moments,
    moment_distance,
    moments,
)
from harmonium.diagnostics.overfitting import FreeEnergyGap, free_energy_gap
from harmonium.diagnostics.reconstruction import error_given_inputs, reconstruction_error
from harmonium.diagnostics.weights import Spectrum, spectrum, update_ratio

__all__ = [
    "Advice",
    "Autocorrelation",
    "Diagnosis",
    "Distance",
    "Findings",
    "FreeEnergyGap",
    "HiddenUnits",
    "Mixing",
    "MomentDistance",
    "Moments",
    "Observable",
    "Recording",
    "Severity",
    "Spectrum",
    "advise",
    "autocorrelation",
    "autocorrelations",
    "dead_share",
    "diagnose",
    "duplicates",
    "error_given_inputs",
    "flip_rates",
    "free_energy_gap",
    "hidden_activity",
    "hidden_units",
    "mixing",
    "moment_distance",
    "moments",
    "r_hat",
    "reconstruction_error",
    "record",
    "saturated_share",
    "schedule_of",
    "spectrum",
    "start_apart",
    "update_ratio",
]
