"""What a model of sequences says: couplings, contacts, effects of mutations, logos, neighbours.

A sequence has a letter at each of its sites; a model of aligned sequences has a categorical visible
unit for each site. Functions here take models and arrays, and return arrays. What they say of a
letter holds for the state of any discrete visible unit: couplings and mutants of binary units and
of spins are the same computation with two states.
"""

from harmonium.sequences.effective import Couplings, couplings
from harmonium.sequences.files import (
    MutantTable,
    PlacedMutants,
    place_mutants,
    read_distances,
    read_mutants,
    read_wild_type,
)
from harmonium.sequences.gauge import zero_sum
from harmonium.sequences.logo import Logo, logos
from harmonium.sequences.mutations import (
    independent_mutants,
    mutants,
    rank_correlation,
    single_mutants,
)
from harmonium.sequences.neighbours import Nearest, frequencies, nearest, site_entropies
from harmonium.sequences.ranking import (
    Contacts,
    Precision,
    average_product_corrected,
    contacts,
    precision,
)
from harmonium.sequences.sites import Sites
from harmonium.sequences.wild_type import WildType

__all__ = [
    "Contacts",
    "Couplings",
    "Logo",
    "MutantTable",
    "Nearest",
    "PlacedMutants",
    "Precision",
    "Sites",
    "WildType",
    "average_product_corrected",
    "contacts",
    "couplings",
    "frequencies",
    "independent_mutants",
    "logos",
    "mutants",
    "nearest",
    "place_mutants",
    "precision",
    "rank_correlation",
    "read_distances",
    "read_mutants",
    "read_wild_type",
    "single_mutants",
    "site_entropies",
    "zero_sum",
]
