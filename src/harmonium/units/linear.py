"""Units whose energy is linear in the state."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.units.base import Units


class LinearUnits(Units):
    """Units whose energy is exactly ``-bias x``; the types differ only in their states."""

    @property
    def precision(self) -> None:  # noqa: D102
        return None

    @property
    def is_linear(self) -> bool:  # noqa: D102
        return type(self).energy is LinearUnits.energy

    @property
    def is_far(self) -> bool:  # noqa: D102
        return False

    @torch.no_grad()
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:  # noqa: D102
        self.bias.copy_(bias)

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        try:
            return -(x @ self.bias)
        except (TypeError, RuntimeError):
            self.check_energy_of(x)
            raise

    def statistics(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        return {"bias": x}

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        return {"bias": self.mean(inputs)}
