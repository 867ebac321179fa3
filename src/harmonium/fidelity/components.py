"""Principal components of data, and where samples lie on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.fidelity.moments import frequencies
from harmonium.fidelity.rows import checked

# Further directions that are iterated along, and iterations: the error falls as the power of twice
# as many of the ratio of the first variance left out to the last one kept (Halko et al. 2011).
_FURTHER, _ITERATIONS = 10, 25


@dataclass(frozen=True)
class Components:
    """The principal components of some rows.

    Attributes
    ----------
    mean : Tensor, shape (n_columns,)
        Of the rows, float64.
    directions : Tensor, shape (n_columns, n_components)
        Orthonormal, largest variance first, float64. The largest entry of each is positive.
    variances : Tensor, shape (n_components,)
        Along each direction.
    total
        Sum of the variances of all columns.
    """

    mean: Tensor
    directions: Tensor
    variances: Tensor
    total: float

    @property
    def explained(self) -> Tensor:
        """Share of the total variance along each direction, shape (n_components,)."""
        return self.variances / self.total

    @torch.no_grad()
    def project(self, rows: Tensor) -> Tensor:
        """Coordinates of rows, shape (n_rows, n_components), float64.

        Raises
        ------
        TypeError, ValueError
            If these are no rows of the same columns.
        """
        checked(rows, "rows", len(self.mean))
        return torch.cat([(x.double() - self.mean) @ self.directions for x in rows.split(1000)])


@torch.no_grad()
def principal_components(rows: Tensor, n_components: int = 2) -> Components:
    """The directions along which rows vary most, by subspace iteration from some of the rows.

    Parameters
    ----------
    rows
        Shape (n_rows, n_columns).
    n_components
        At most as many as there are columns, and fewer than rows.

    Raises
    ------
    TypeError, ValueError
        If these are no rows, all are equal, or there are too few rows or columns.
    """
    n_rows, n = checked(rows, "rows", least=2).shape
    if not 1 <= n_components <= min(n, n_rows - 1):
        raise ValueError(
            f"n_components is {n_components}, and {n_rows} rows of {n} columns have at most "
            f"{min(n, n_rows - 1)}"
        )
    mean = frequencies(rows)
    total = sum((x.double() - mean).square_().sum().item() for x in rows.split(1000)) / n_rows
    if not total:
        raise ValueError("all rows are equal, so that there is no direction in which they vary")
    width = min(n, n_rows, n_components + _FURTHER)
    chosen = torch.linspace(0, n_rows - 1, width, device=rows.device).round().long()
    # with a little of the first columns, because chosen rows may be equal
    basis = (rows[chosen].double() - mean).T + 1e-3 * total**0.5 * torch.eye(
        n, width, dtype=torch.float64, device=rows.device
    )
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(_spread(rows, mean, basis)).Q
    values, turn = torch.linalg.eigh(basis.T @ _spread(rows, mean, basis))
    directions = (basis @ turn).flip(1)[:, :n_components]
    largest = directions.abs().argmax(0, keepdim=True)
    directions = directions * directions.gather(0, largest).sign()
    variances = values.flip(0)[:n_components].clamp_min(0)
    return Components(mean, directions, variances, total)


def _spread(rows: Tensor, mean: Tensor, basis: Tensor) -> Tensor:
    """The covariance of the rows, times a basis."""
    found = torch.zeros_like(basis)
    for block in rows.split(1000):
        x = block.double() - mean
        found += x.T @ (x @ basis)
    return found / len(rows)
