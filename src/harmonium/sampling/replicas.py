"""The states of a ladder's chains at all levels, and statistics of their exchanges."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from harmonium.rbm import RBM
from harmonium.sampling.path import TemperaturePath, place_temperatures

_FROM_BASE, _FROM_TOP = 1, 2

_Module = TypeVar("_Module", bound=nn.Module)


@dataclass
class Replicas:
    """The states of all levels of a ladder, one block of rows per level, lowest first.

    Chain c of every level forms a column. States are exchanged within a column only, so columns are
    independent of each other.

    Attributes
    ----------
    visible, hidden : Tensor, shapes (n_levels * n_chains, columns)
        States; the last block belongs to the `ChainState` that holds these replicas.
    accepted, tried : Tensor, shape (n_levels - 1,), float64
        For each pair of neighbours, the sum over exchanges of the mean acceptance probability, and
        the number of exchanges, both since the ladder last changed.
    origins : Tensor, shape (n_levels, n_chains), int8
        The end of the ladder that each replica last visited: 1 the base, 2 the top, 0 neither.
    round_trips : Tensor, shape (), int64
        How often a replica from the base has arrived at the top since the ladder last changed; each
        arrival is a fresh start of a chain.
    turn : int
        Exchanges made so far; even and odd pairs take turns.
    path : TemperaturePath or None
        The temperatures; None if the levels are separate models.
    models : tuple of RBM
        The models of all levels but the last, if they are kept from the model's own training.
    calls : Tensor, shape (), int64
        Calls of the sampler since all levels moved last, if they do not move in each.
    """

    visible: Tensor
    hidden: Tensor
    accepted: Tensor
    tried: Tensor
    origins: Tensor
    round_trips: Tensor
    turn: int = 0
    path: TemperaturePath | None = None
    models: tuple[RBM, ...] = ()
    calls: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.int64))

    @classmethod
    def of(
        cls,
        visible: Tensor,
        hidden: Tensor,
        n_levels: int,
        path: TemperaturePath | None,
        models: tuple[RBM, ...] = (),
    ) -> Replicas:
        """Replicas in these states, with empty statistics."""
        pairs = visible.new_zeros(n_levels - 1, dtype=torch.float64)
        origins = torch.zeros(
            n_levels, len(visible) // n_levels, dtype=torch.int8, device=visible.device
        )
        origins[-1], origins[0] = _FROM_TOP, _FROM_BASE
        trips = torch.zeros((), dtype=torch.int64, device=visible.device)
        return cls(visible, hidden, pairs, pairs.clone(), origins, trips, path=path, models=models)

    @property
    def n_levels(self) -> int:
        """Levels of the ladder."""
        return len(self.origins)

    @property
    def by_level(self) -> tuple[Tensor, Tensor]:
        """Visible and hidden states, shapes (n_levels, n_chains, columns)."""
        shape = self.origins.shape
        return self.visible.view(*shape, -1), self.hidden.view(*shape, -1)

    @property
    def acceptance(self) -> Tensor:
        """Mean acceptance of each pair since the ladder last changed; NaN without exchanges."""
        return self.accepted / self.tried

    def row(self) -> dict[str, float]:
        """Numbers for a row of a run: levels, acceptance of swaps, and round trips.

        Instead of ``temperatures``, ``models`` counts the levels of a ladder of models.
        ``swap_acceptance`` is the mean over the pairs that were tried, ``least_swap_acceptance``
        the lowest; both are left out if none was tried. ``round_trips`` is their number per chain
        and 100 sweeps.
        """
        row = {"models" if self.path is None else "temperatures": float(self.n_levels)}
        seen = self.acceptance[self.tried > 0]
        if len(seen):
            row["swap_acceptance"] = seen.mean().item()
            row["least_swap_acceptance"] = seen.min().item()
            # each pair takes part in every second exchange, but a new model's begin to count anew
            sweeps = self.turn if self.models else 2 * self.tried.mean().item()
            n_chains = self.origins.shape[1]
            row["round_trips"] = 100 * self.round_trips.item() / (sweeps * n_chains)
        return row

    def move_origins_(self, order: Tensor) -> None:
        """Update origins and round trips after an exchange."""
        self.origins = self.origins.flatten()[order].view(self.origins.shape)
        self.round_trips += (self.origins[-1] == _FROM_BASE).sum()
        self.origins[-1], self.origins[0] = _FROM_TOP, _FROM_BASE

    def adapt_(self, acceptance: float, least: int, most: int) -> Tensor:
        """Re-space the temperatures by `place_temperatures`, and begin the statistics anew.

        Each new level takes the states of the old one at the nearest temperature; these old levels
        are returned, shape (n_levels,).
        """
        assert self.path is not None
        betas = place_temperatures(self.path.betas, self.acceptance, acceptance, least, most)
        nearest = (betas.unsqueeze(1) - self.path.betas).abs().argmin(1).to(self.visible.device)
        visible, hidden = (x[nearest].flatten(0, 1) for x in self.by_level)
        self.go_over_(betas, visible, hidden)
        return nearest

    def go_over_(self, betas: Tensor, visible: Tensor, hidden: Tensor) -> None:
        """Go over to other temperatures and states; the number of exchanges made stays."""
        assert self.path is not None
        path = replace(self.path, betas=betas)
        vars(self).update(
            vars(Replicas.of(visible, hidden, len(betas), path)) | {"turn": self.turn}
        )

    def clone(self) -> Replicas:
        """A copy that shares no memory with this one."""
        return copy.deepcopy(self)

    def tensors(self) -> dict[str, Tensor]:
        """Tensors that a checkpoint must keep in addition to ``turn``, live, by name."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        tensors = {name: value for name, value in own.items() if isinstance(value, Tensor)}
        if self.path is not None:
            tensors["betas"] = self.path.betas
            for layer in ("visible", "hidden"):
                for name, tensor in getattr(self.path, layer).state_dict().items():
                    tensors[f"base.{layer}.{name}"] = tensor
        if not self.models:
            del tensors["calls"]
        for number, model in enumerate(self.models):
            tensors |= {f"models.{number}.{name}": x for name, x in model.state_dict().items()}
        return tensors

    @classmethod
    def from_tensors(cls, rbm: RBM, tensors: Mapping[str, Tensor], turn: int) -> Replicas:
        """Rebuild replicas on a ladder to this model from the result of `tensors`."""
        own: dict[str, Any] = {name: x for name, x in tensors.items() if "." not in name}
        if "betas" not in own:
            levels = range(len(own["origins"]) - 1)
            models = tuple(_loaded(rbm, tensors, f"models.{level}.") for level in levels)
            return cls(**own, turn=turn, models=models)
        layers = (
            _loaded(getattr(rbm, layer), tensors, f"base.{layer}.")
            for layer in ("visible", "hidden")
        )
        path = TemperaturePath(own.pop("betas").cpu(), *layers)
        return cls(**own, turn=turn, path=path)

    def first(self, n_chains: int) -> Replicas:
        """The first ``n_chains`` chains of every level, with empty statistics."""
        visible, hidden = (x[:, :n_chains].flatten(0, 1).clone() for x in self.by_level)
        path = copy.deepcopy(self.path)
        return Replicas.of(visible, hidden, self.n_levels, path, self.models)


def _loaded(like: _Module, tensors: Mapping[str, Tensor], prefix: str) -> _Module:
    """A module of this kind with the tensors whose names start with a prefix."""
    module = copy.deepcopy(like).requires_grad_(False)
    module.load_state_dict(
        {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
    )
    return module
