"""Linkage disequilibrium: how correlations of two-valued columns fall off with their distance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.fidelity.moments import frequencies
from harmonium.fidelity.rows import checked

# A number at the end of a name, such as 1:10177 or rs_10177, or before alleles, as in 1:10177:A:AC.
_POSITION = re.compile(r"(?:^|[:_\-])(\d+)(?:[:_][ACGTN*]+)*$", re.IGNORECASE)


_COLUMNS = 256  # columns that are paired with all others at a time


@dataclass(frozen=True)
class Linkage:
    """Mean squared correlation of pairs of columns, by their distance.

    Attributes
    ----------
    edges : Tensor, shape (n_bins + 1,)
        A pair at distance d belongs to the bin with ``edges[k] <= d < edges[k + 1]``.
    n_pairs : Tensor, shape (n_bins,)
        Pairs of columns in each bin, those that do not vary left out; int64.
    r2 : Tensor, shape (n_bins,)
        Their mean r²; NaN in an empty bin.
    """

    edges: Tensor
    n_pairs: Tensor
    r2: Tensor

    @property
    def distances(self) -> Tensor:
        """The middle of each bin, geometric, shape (n_bins,)."""
        return ((self.edges[1:] - 1).clamp_min(1) * self.edges[:-1]).clamp_min(0).sqrt()


def positions_in(names: Sequence[str] | None) -> Tensor | None:
    """Positions along a sequence that the names of columns carry, int64, shape (n_columns,).

    Such as ``15:27379578`` or ``chr15_27379578_A_G``. None unless every name has one and they
    never fall.
    """
    found = [_POSITION.search(name) for name in names or ()]
    if not found or not all(found):
        return None
    positions = torch.tensor([int(one[1]) for one in found if one], dtype=torch.int64)
    return None if bool((positions.diff() < 0).any()) else positions


@torch.no_grad()
def linkage(
    rows: Tensor, positions: Tensor | None = None, *, n_bins: int = 30, edges: Tensor | None = None
) -> Linkage:
    """Linkage disequilibrium r² by distance: the squared correlation of two columns.

    Of alleles at two sites, r² = (p_AB − p_A p_B)² / (p_A (1 − p_A) p_B (1 − p_B)) (Hill and
    Robertson 1968). Columns that do not vary have none. A sample of n rows of independent columns
    has a mean of about 1/n.

    Parameters
    ----------
    rows
        Two-valued states, shape (n_rows, n_columns).
    positions
        Position of each column, ascending, shape (n_columns,); by default their numbers.
    n_bins
        Bins of distance, about equally wide on a logarithmic scale; fewer where distances are
        whole numbers that cannot be divided further.
    edges
        Bins of another `Linkage`, to compare with it.

    Raises
    ------
    TypeError, ValueError
        If these are no rows of two columns or more, or there is not one ascending position a
        column.
    """
    n = checked(rows, "rows").shape[1]
    if n < 2:
        raise ValueError("rows have one column, and linkage is between two; pass more columns")
    if positions is None:
        positions = torch.arange(n)
    if positions.shape != (n,) or bool((positions.diff() < 0).any()):
        raise ValueError(
            f"positions have shape {tuple(positions.shape)}; pass one a column, shape ({n},), "
            "ascending"
        )
    positions = positions.to(rows.device)
    if edges is None:
        furthest = max(1.0, float(positions[-1] - positions[0]))
        ends = torch.logspace(0, torch.tensor(furthest + 1).log10().item(), n_bins + 1)
        edges = torch.cat([ends.double().floor().long()[:-1], torch.tensor([int(furthest) + 1])])
        edges = edges.unique()
    edges = edges.to(rows.device)
    centred = rows.double() - frequencies(rows)
    size = centred.square().sum(0).sqrt_()
    varies = size > 1e-9
    scaled = torch.where(varies, centred / size, 0).float()
    n_pairs = torch.zeros(len(edges) - 1, dtype=torch.int64, device=rows.device)
    total = torch.zeros(len(edges) - 1, dtype=torch.float64, device=rows.device)
    for start in range(0, n, _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        apart = positions[None, start:] - positions[columns, None]
        later = torch.ones_like(apart, dtype=torch.bool).triu_(1)
        later &= varies[columns, None] & varies[None, start:]
        later &= (apart >= edges[0]) & (apart < edges[-1])
        r2 = (scaled[:, columns].T @ scaled[:, start:])[later].double().square_()
        bins = torch.bucketize(apart[later], edges, right=True) - 1
        n_pairs += bins.bincount(minlength=len(total))
        total += bins.bincount(r2, minlength=len(total))
    return Linkage(edges.cpu(), n_pairs.cpu(), (total / n_pairs).cpu())
