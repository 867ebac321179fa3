"""Effective couplings between sites: what an RBM says about pairs and triples, beyond single sites.

The log-probability of a sequence is a sum over hidden units of their log-normalisers (`Units.cgf`),
and so contains interactions of all orders. In the zero-sum gauge they are unique:

    J_ij(a, b) = E[log p(v) | v_i = a, v_j = b], minus its means over a, over b, plus that over both

where the other sites are independent, each of their states as probable as any other (or as a
``background`` says). This is inclusion and exclusion over the subsets of {i, j}; for triples the
alternating sum has eight terms. Given a and b, a hidden unit's input is a sum of independent
numbers, so that the mean over q^(n - 2) sequences is one integral for each unit. `Couplings`
come from two ways to do it, and from an expansion:

``exact``
    The sum as it is. Its distribution is a convolution, and therefore a product of characteristic
    functions.
``gaussian``
    The sum as a normal variable of the same mean and variance, by the central limit theorem
    (Decelle, Furtlehner, Navas Gómez and Seoane, 2024, SciPost Phys. 16, 095, for binary units;
    Decelle, Navas Gómez and Seoane, 2025, Phys. Rev. Lett. 135, 207301, for categorical ones).

``second-order``
    Around sequences of data, in place of the mean over independent sites: half of the second
    derivative of the log-normalisers, averaged over the data, is the variance of hidden units,
    ``J = W Var(h | v) W^T`` (Tubiana, Cocco and Monasson, 2019, eLife 8, e39397). Exact for
    Gaussian hidden units; for others it leaves out differences of higher order.

Couplings are sums over hidden units, and can be averaged over several models: trainings with other
seeds agree on what the data say, and less on noise.

The first two are computed from Fourier series of the log-normalisers, in which means over all pairs
are one matrix product (`harmonium.sequences.fourier`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import described
from harmonium.rbm import RBM
from harmonium.sequences.fourier import Expansion, Factors
from harmonium.sequences.sites import Sites, received

Method = Literal["exact", "gaussian", "second-order"]

Triple = tuple[int, int, int]

# Numbers of one block of couplings that is computed at a time: 64 MiB.
_BLOCK = 1 << 23

# Numbers of the functions that are computed at a time: 32 MiB.
_FUNCTIONS = 1 << 22

# Rows whose hidden units are computed at a time.
_ROWS = 4096

# Sites whose couplings are one product; what lies below the diagonal in it is computed in vain.
_FEW_SITES = 16


@dataclass(frozen=True, eq=False)
class Couplings:
    """Effective couplings in the zero-sum gauge, nats.

    Attributes
    ----------
    norms : ndarray, float64, shape (n_sites, n_sites)
        Frobenius norm of each pair's couplings, symmetric, 0 on the diagonal. The states of
        ``left_out`` do not count.
    method
        How they were computed.
    left_out
        Numbers of the states that the norms leave out.
    values : ndarray or None, float64, shape (n_sites, n_states, n_sites, n_states)
        Coupling of state a at site i with state b at site j, if they were asked for.
    triples
        Three-body couplings of the named triples of sites, each of shape (n_states, n_states,
        n_states).
    """

    norms: NDArray[np.float64]
    method: Method
    left_out: tuple[int, ...]
    values: NDArray[np.float64] | None
    triples: dict[Triple, NDArray[np.float64]]


@torch.no_grad()
def couplings(
    rbm: RBM | Sequence[RBM],
    *,
    method: Method = "exact",
    background: Tensor | None = None,
    rows: Tensor | NDArray[Any] | None = None,
    weights: Tensor | None = None,
    leave_out: Sequence[int] = (),
    values: bool = False,
    triples: Sequence[Triple] = (),
) -> Couplings:
    """Compute the effective couplings of an RBM, or their means over several.

    Time and memory grow with the square of sites times states. Only norms are kept unless
    ``values`` are asked for, so that 500 sites of 21 states need about 600 MiB.

    Parameters
    ----------
    rbm
        A model with discrete visible units of one kind (categorical, binary, spin, ...) and any
        hidden units whose states are numbers. Of several models with the same visible units,
        couplings are the means.
    method
        ``exact``, ``gaussian`` or ``second-order``; see the module.
    background
        Probabilities of the states of the other sites, shape (n_sites, n_states), such as
        frequencies in data; None means that all are alike, as in the definition.
    rows, weights
        For ``second-order``: numbers of the states of sequences, shape (n_rows, n_sites), and how
        much each counts, shape (n_rows,); None counts all alike.
    leave_out
        Numbers of states that the norms leave out, such as that of the gap. They count in the
        gauge.
    values
        Whether to keep the couplings of all states.
    triples
        Three different sites each, counted from 0, whose three-body couplings are computed.

    Raises
    ------
    TypeError
        If it is no RBM.
    ValueError
        If visible units are continuous, of several kinds or not the same in all models, a hidden
        unit has several columns, or an argument does not fit the model.
    """
    if method not in get_args(Method):
        raise ValueError(f"`method` is {method!r}; pass {', '.join(map(repr, get_args(Method)))}")
    if (method == "second-order") != (rows is not None) or (rows is None and weights is not None):
        raise ValueError(
            "rows of data, and their weights, belong to `method='second-order'`; pass both or none"
        )
    if method == "second-order" and (background is not None or triples):
        raise ValueError(
            "`method='second-order'` has neither a background nor triples; take 'exact', or leave "
            "them out"
        )
    models = _sites_of(rbm if isinstance(rbm, Sequence) else [rbm])
    sites = models[0]
    n, q = sites.n, sites.n_states
    probabilities = _background(background, sites)
    counted = _counted(leave_out, q).to(probabilities.device)
    for triple in triples:
        if len(set(triple)) != 3 or not all(0 <= site < n for site in triple):
            raise ValueError(
                f"`triples` names the sites {tuple(triple)}; pass three different ones from 0 to "
                f"{n - 1}"
            )
    if rows is None:
        gaussian = method == "gaussian"
        expansions = [
            Expansion.of(one.hidden, one.inputs, probabilities, gaussian=gaussian) for one in models
        ]
    else:
        expansions = [
            Expansion.quadratic(one.inputs, _variances(one, rows, weights)) for one in models
        ]
    norms = torch.zeros(n, n, dtype=torch.float64, device=probabilities.device)
    kept = norms.new_zeros(n, q, n, q) if values else None
    n_rows, n_functions = max(1, _BLOCK // (n * q * q)), max(1, _FUNCTIONS // (n * q))
    for start in range(0, n, n_rows):
        stop = min(start + n_rows, n)
        block = norms.new_zeros((stop - start) * q, (n - start) * q)
        for expansion in expansions:
            for factors in expansion.blocks(n_functions):
                _add_pairs_(block, factors, start * q, stop * q, _FEW_SITES * q)
        block /= len(models)
        pairs = block.reshape(stop - start, q, n - start, q)
        own = torch.arange(stop - start)
        pairs[own, :, own, :] = 0  # a site has no coupling with itself
        norms[start:stop, start:] = _norms(pairs, counted)
        if kept is not None:
            kept[start:stop, :, start:] = pairs
    upper = norms.triu(1)
    if kept is not None:
        for i in range(n):
            kept[i + 1 :, :, i] = kept[i, :, i + 1 :].permute(1, 2, 0)
    return Couplings(
        norms=(upper + upper.T).cpu().numpy(),
        method=method,
        left_out=tuple(leave_out),
        values=None if kept is None else kept.cpu().numpy(),
        triples={
            (i, j, k): torch.stack([one.triple(i, j, k) for one in expansions])
            .mean(0)
            .cpu()
            .numpy()
            for i, j, k in map(tuple, triples)
        },
    )


def _sites_of(rbms: Sequence[RBM]) -> list[Sites]:
    """The sites of each model; an error if couplings cannot be computed, or not be averaged."""
    if not rbms:
        raise ValueError("there is no model; pass an RBM, or several")
    found = [Sites.of(rbm) for rbm in rbms]
    for rbm, sites in zip(rbms, found, strict=True):
        if sites.n != found[0].n or not torch.equal(sites.rows, found[0].rows):
            raise ValueError(
                f"one model has the visible units {rbms[0].visible!r}, another {rbm.visible!r}; "
                "couplings are averaged over models of the same sites and states"
            )
        for _, group in rbm.hidden.groups:
            if group.n_columns != group.n:
                raise ValueError(
                    f"the hidden units are {rbm.hidden!r}, whose states have several columns; "
                    "couplings need hidden units whose states are numbers, such as Binary or DReLU"
                )
    return found


def _variances(sites: Sites, rows: Tensor | NDArray[Any], weights: Tensor | None) -> Tensor:
    """Mean variance of each hidden unit given rows, shape (n_hidden,)."""
    numbers = sites.check_numbers(rows, "rows")
    if numbers.dim() != 2 or not len(numbers):
        raise ValueError(f"rows have shape {tuple(numbers.shape)}; pass one row or more")
    shares = sites.energies.new_ones(len(numbers))
    if weights is not None:
        if weights.shape != shares.shape or not weights.sum() > 0:
            raise ValueError(
                f"there are {len(numbers)} rows and weights of shape {tuple(weights.shape)}; pass "
                "a weight for each"
            )
        shares = weights.to(shares)
    found = torch.zeros_like(sites.inputs[0, 0])
    for some, own in zip(numbers.split(_ROWS), shares.split(_ROWS), strict=True):
        found += own @ sites.hidden.var(received(sites.inputs, some))
    return found / shares.sum()


def _add_pairs_(block: Tensor, factors: Factors, start: int, stop: int, step: int) -> None:
    """Add products of states to those of a block that lie on or above the diagonal."""
    for row in range(start, stop, step):
        end = min(row + step, stop)
        left = factors.pairs[row:end] * factors.coefficients
        block[row - start : end - start, row - start :].addmm_(left, factors.pairs[row:].T)


def _norms(pairs: Tensor, counted: Tensor) -> Tensor:
    """Frobenius norms over the states that count, of shape (n_rows, n_sites)."""
    return torch.einsum("iajb,a,b->ij", pairs.square(), counted, counted).sqrt()


def _background(background: Tensor | None, sites: Sites) -> Tensor:
    shape = (sites.n, sites.n_states)
    if background is None:
        return torch.full(shape, 1 / sites.n_states, dtype=torch.float64).to(sites.inputs.device)
    given = torch.as_tensor(background).to(sites.inputs)
    if given.shape != shape or (given < 0).any() or not (given.sum(1) > 0).all():
        raise ValueError(
            f"`background` is {described(background)}; pass probabilities of states, shape {shape}"
        )
    return given / given.sum(1, keepdim=True)


def _counted(leave_out: Sequence[int], n_states: int) -> Tensor:
    """1 for the states that norms count, 0 for others."""
    counted = torch.ones(n_states, dtype=torch.float64)
    for state in leave_out:
        if not 0 <= state < n_states:
            raise ValueError(
                f"`leave_out` names state {state}, but states are numbered from 0 to {n_states - 1}"
            )
        counted[state] = 0
    if counted.sum() < 2:
        raise ValueError("`leave_out` leaves fewer than two states; name fewer")
    return counted
