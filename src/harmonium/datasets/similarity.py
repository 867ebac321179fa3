"""Weights of sequences by the number of sequences that are like them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.arguments import check_number
from harmonium.datasets.alphabets import GAP
from harmonium.datasets.data import Data

Definition = Literal[
    "harmonium", "rbms", "adabmdca", "pydca", "pgm", "dcautils", "evcouplings", "eve"
]
"""The packages whose definition of neighbours is known."""


@dataclass(frozen=True)
class _Rule:
    """When a sequence is a neighbour: its equal letters against a share of the compared ones."""

    at_threshold: bool = True
    gaps: bool = True
    by_distance: bool = False  # of unequal letters, against a share rounded down
    duplicates: bool = True


_RULES: dict[str, _Rule] = {
    "harmonium": _Rule(),
    "rbms": _Rule(),
    "adabmdca": _Rule(at_threshold=False),
    "pydca": _Rule(at_threshold=False),
    "pgm": _Rule(at_threshold=False, duplicates=False),
    "dcautils": _Rule(at_threshold=False, by_distance=True),
    "evcouplings": _Rule(gaps=False),
    "eve": _Rule(at_threshold=False, gaps=False),
}


def sequence_weights(
    data: Data,
    identity: float = defaults.IDENTITY,
    *,
    gaps: bool = True,
    duplicates: bool = True,
    definition: Definition = "harmonium",
) -> Tensor:
    """Weights 1 / m of aligned sequences, where m sequences are alike, each itself included.

    Sequence j is alike to sequence i of L letters if they have the same letter at ``identity`` · L
    sites or more: exactly 80 % is enough. Gaps are letters like others, and each copy of a sequence
    counts. The threshold is a whole number of sites, computed exactly from the decimal digits of
    ``identity``. Packages differ; ``definition`` gives what each of these computes:

    ============= ==========================================================================
    harmonium     equal letters ≥ identity · L; so does rbms 0.5 (`compute_weights`)
    adabmdca      equal letters > identity · L: adabmDCA 1.0; so does pydca 1.23
    pgm           the same, of different sequences alone (``duplicates=False``)
    dcautils      unequal letters < ⌊(1 − identity) · L⌋: DCAUtils.jl, and PlmDCA.jl by it
    evcouplings   equal letters other than gaps ≥ identity · letters of i other than gaps, so that
                  j can be alike to i and not vice versa: after EVcouplings 0.2.1, which
                  computes as harmonium does
    eve           the same with > : EVE
    ============= ==========================================================================

    Parameters
    ----------
    data
        An alignment, or other categories of one byte each.
    identity
        Share of equal letters, above 0 and up to 1.
    gaps
        Whether a gap counts as a letter. If not, neither two gaps nor the sites where sequence i
        has a gap count, as for ``evcouplings``. A sequence of gaps alone is like none.
    duplicates
        Whether copies of a sequence count. If not, the first of them gets the weight that it would
        have without them, and the others get 0.
    definition
        By which package's definition.

    Returns
    -------
    Tensor
        float64, shape (n_rows,). Their sum is the effective number of sequences: how many
        groups of like ones there are. Means over them are as precise as those of (Σw)² / Σw² rows
        of equal weight, which is another number.

    Raises
    ------
    TypeError, ValueError
        For a share out of range, an unknown definition, ``gaps=False`` with another's definition or
        with an alphabet without a gap, and for values that are not categories of one byte.
    """
    check_number("identity", identity, "a share of equal letters")
    if not 0 < identity <= 1:
        raise ValueError(f"identity is {identity}; pass a share above 0, up to 1, such as 0.8")
    if definition not in _RULES:
        raise ValueError(
            f"definition is {definition!r}; pass one of {', '.join(get_args(Definition))}"
        )
    rule = _RULES[definition]
    if not gaps:
        if definition != "harmonium":
            raise ValueError(
                f"gaps=False is another definition than {definition!r}; leave one of them out"
            )
        rule = _Rule(gaps=False)
    values = data.values.cpu()  # where this is fast
    if values.dtype != torch.uint8 or int(values.max()) >= kernels.MOST_CATEGORIES:
        raise ValueError(
            f"{data.name} holds no categories of one byte, up to {kernels.MOST_CATEGORIES}; "
            "similarity is of sequences, or of rows of zeros and ones"
        )
    ignored = None
    if not rule.gaps:
        if data.alphabet is None or GAP not in data.alphabet:
            raise ValueError(f"{data.name} has no gaps to leave out of the comparison")
        ignored = data.alphabet.index(GAP)
    if duplicates and rule.duplicates:
        return _weights(values, identity, rule, ignored).to(data.device)
    distinct, place = values.unique(dim=0, return_inverse=True)
    first = torch.full((len(distinct),), len(values))
    first.scatter_reduce_(0, place, torch.arange(len(values)), "amin")
    weights = torch.zeros(len(values), dtype=torch.float64)
    weights[first] = _weights(distinct, identity, rule, ignored)
    return weights.to(data.device)


def _weights(values: Tensor, identity: float, rule: _Rule, ignored: int | None) -> Tensor:
    needs = _needs(values, Fraction(repr(float(identity))), rule, ignored)
    return 1 / (1 + kernels.neighbours(values.contiguous(), needs, ignored)).double()


def _needs(values: Tensor, identity: Fraction, rule: _Rule, ignored: int | None) -> Tensor:
    """The number of equal letters that makes a neighbour of each sequence."""
    n_sites = values.shape[1]

    def needed(n: int) -> int:
        if n == 0:
            return n_sites + 1  # more than there are
        if rule.by_distance:
            return n - math.floor((1 - identity) * n) + 1
        return math.ceil(identity * n) if rule.at_threshold else math.floor(identity * n) + 1

    table = torch.tensor([needed(n) for n in range(n_sites + 1)])
    if ignored is None:
        return table[n_sites].expand(len(values)).contiguous()
    return table[(values != ignored).sum(1)]
