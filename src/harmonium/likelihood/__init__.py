"""The likelihood of data under a trained model, in nats, with its error and direction of bias.

`exact` handles small models. For larger ones, `annealing` bounds log Z and the log-likelihood from
both sides, along a `path` from independent units. `evaluation` chooses between the two, and
`comparison` measures the difference between two models on the same rows. `population` tracks log Z
during training, and `ladder` makes it a by-product of tempering. `pseudo` needs no partition
function, but is not a likelihood.
"""

from harmonium.likelihood.annealing import (
    CHAINS_AT_ONCE,
    RaiseEstimate,
    annealed_importance_sampling,
    raise_log_likelihood,
    reverse_annealed_importance_sampling,
)
from harmonium.likelihood.comparison import Difference, compare
from harmonium.likelihood.computation import Computation
from harmonium.likelihood.enumeration import MAX_STATES
from harmonium.likelihood.evaluation import Evaluation, estimate, evaluate
from harmonium.likelihood.exact import (
    Moments,
    can_be_enumerated,
    exact_gradient_,
    exact_log_likelihood,
    exact_log_z,
    exact_moments,
    is_normalisable,
)
from harmonium.likelihood.ladder import LadderLogZ, ladder_log_z
from harmonium.likelihood.log_z import LogLikelihood, LogZ, log_likelihood
from harmonium.likelihood.path import AnnealingPath
from harmonium.likelihood.population import Population
from harmonium.likelihood.pseudo import exact_pseudo_log_likelihood, pseudo_log_likelihood
from harmonium.likelihood.rates import base_rates
from harmonium.likelihood.work import Work

__all__ = [
    "CHAINS_AT_ONCE",
    "MAX_STATES",
    "AnnealingPath",
    "Computation",
    "Difference",
    "Evaluation",
    "LadderLogZ",
    "LogLikelihood",
    "LogZ",
    "Moments",
    "Population",
    "RaiseEstimate",
    "Work",
    "annealed_importance_sampling",
    "base_rates",
    "can_be_enumerated",
    "compare",
    "estimate",
    "evaluate",
    "exact_gradient_",
    "exact_log_likelihood",
    "exact_log_z",
    "exact_moments",
    "exact_pseudo_log_likelihood",
    "is_normalisable",
    "ladder_log_z",
    "log_likelihood",
    "pseudo_log_likelihood",
    "raise_log_likelihood",
    "reverse_annealed_importance_sampling",
]
