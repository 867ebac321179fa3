"""Rows with holes of small models, and what is true of them by enumeration and quadrature."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.special import logsumexp
from torch import Tensor

import oracle
from harmonium import RBM
from harmonium.datasets import MaskedRows
from harmonium.imputation import exact
from unit_types import UnitType, columns_by_unit, random_rbm

# States times hidden states that are summed over in one go.
MOST = 3_000_000


@dataclass(frozen=True, eq=False)
class Holes:
    """Rows of a small model, of which each unit is observed or not."""

    rbm: RBM
    twin: oracle.Model
    rows: MaskedRows
    units: Tensor  # observed, bool, (rows, n_units)

    @classmethod
    def of(
        cls,
        visible: UnitType,
        hidden: UnitType,
        *,
        sizes: tuple[int, int] = (3, 2),
        n: int = 8,
        scale: float = 0.4,
        seed: int = 0,
    ) -> Holes:
        """Every pattern of holes once or more, in rows of states of moderate size."""
        rbm, twin = random_rbm(visible, hidden, sizes=sizes, seed=seed, scale=scale)
        some = twin.visible.some_states(n)
        patterns = np.array(list(itertools.product([True, False], repeat=sizes[0])))
        n = max(len(patterns), len(some))
        states = torch.from_numpy(some[np.arange(n) % len(some)])
        units = torch.from_numpy(patterns[np.arange(n) % len(patterns)])
        observed = torch.zeros(states.shape, dtype=torch.bool)
        for i, columns in enumerate(columns_by_unit(rbm.visible)):
            observed[:, columns] = units[:, i : i + 1]
        return cls(rbm, twin, MaskedRows(states, observed), units)

    def missing(self, row: int) -> list[int]:
        return (~self.units[row]).nonzero()[:, 0].tolist()

    def all_states(self, row: int) -> tuple[oracle.Array, oracle.Array]:
        """The row with its missing units in all states, and the log of the volume of each."""
        units = [self.twin.visible.unit(i).points() for i in self.missing(row)]
        states = oracle.all_combinations([x for x, _ in units])
        volumes = oracle.all_combinations([v[:, None] for _, v in units]).sum(1)
        full = np.repeat(self.rows.states[row : row + 1].numpy(), len(states), 0)
        by_unit = columns_by_unit(self.rbm.visible)
        at = [c for i in self.missing(row) for c in range(by_unit[i].start, by_unit[i].stop)]
        full[:, at] = states
        return full, volumes

    def log_weights(self, row: int) -> tuple[oracle.Array, oracle.Array] | None:
        """Completions of a row, and the log of the mass of each; None if there are too many."""
        units = [len(self.twin.visible.unit(i).points()[0]) for i in self.missing(row)]
        if np.prod(units) * len(self.twin.hidden.points()[0]) > MOST:
            return None
        full, volumes = self.all_states(row)
        return full, volumes - self.twin.free_energy(full)

    @cached_property
    def known(self) -> list[tuple[int, oracle.Array, oracle.Array]]:
        """Rows that can be summed over: their number, completions and log masses."""
        found = ((row, self.log_weights(row)) for row in range(len(self.units)))
        return [(row, *of) for row, of in found if of is not None]

    def log_normaliser(self, row: int) -> float:
        found = self.log_weights(row)
        assert found is not None
        return float(logsumexp(found[1]))


def never_exact(clamped: object, pattern: Tensor) -> str | None:
    """In place of `exact._way`: whatever is missing is sampled."""
    return None if bool(pattern.any()) else "missing"


def by_hidden(clamped: object, pattern: Tensor) -> str:
    """In place of `exact._way`: the hidden units are enumerated."""
    return "hidden"


WAY = (exact, "_way")
