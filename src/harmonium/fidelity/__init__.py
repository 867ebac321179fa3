"""How faithful samples are to data: arrays of rows in, numbers out.

Nothing here knows where rows are from, a model, a file or another program, so that all of them are
measured alike. What noise alone does is seen by measuring held-out rows in the same way.
"""

from harmonium.fidelity.activity import Activity, activity
from harmonium.fidelity.components import Components, principal_components
from harmonium.fidelity.linkage import Linkage, linkage, positions_in
from harmonium.fidelity.measures import Measured, Reference
from harmonium.fidelity.moments import (
    Agreement,
    frequencies,
    frequency_agreement,
    pair_agreement,
    triple_agreement,
)
from harmonium.fidelity.neighbours import (
    AdversarialAccuracy,
    ClosestRecords,
    adversarial_accuracy,
    closest_records,
    nearest,
    privacy_loss,
)
from harmonium.fidelity.pairwise import MOST_UNITS, Pairwise, fit_pairwise
from harmonium.fidelity.rows import gap_of, sites_of, thinned
from harmonium.metrics import MEASURES

__all__ = [
    "MEASURES",
    "MOST_UNITS",
    "Activity",
    "AdversarialAccuracy",
    "Agreement",
    "ClosestRecords",
    "Components",
    "Linkage",
    "Measured",
    "Pairwise",
    "Reference",
    "activity",
    "adversarial_accuracy",
    "closest_records",
    "fit_pairwise",
    "frequencies",
    "frequency_agreement",
    "gap_of",
    "linkage",
    "nearest",
    "pair_agreement",
    "positions_in",
    "principal_components",
    "privacy_loss",
    "sites_of",
    "thinned",
    "triple_agreement",
]
