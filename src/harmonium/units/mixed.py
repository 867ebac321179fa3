"""Mixed layers: units of several types side by side."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harmonium.autograd import without_autograd
from harmonium.rng import Stream
from harmonium.units.base import Units
from harmonium.units.numbers import refuse


class Mixed(Units):
    """Units of several types in one layer, such as pixels and a label.

    A row holds the columns of the first units, then those of the second, and so on:
    ``Mixed(Binary(784), Categorical(1, 10))`` has 794 columns. Energies add up, and the units are
    independent given their inputs, whatever their types.

    The layer has one ``bias`` for all its columns. Other parameters, such as the ``log_precision``
    of `Gaussian`, stay with their units and are named by position: ``1.log_precision`` belongs to
    the second units.

    Parameters
    ----------
    *units
        One or more layers, which are copied with their parameters. None of them may be mixed; pass
        the units of a mixed layer one by one.
    """

    _groups: tuple[tuple[slice, Units], ...]

    def __init__(self, *units: Units) -> None:
        if not units:
            raise ValueError("a mixed layer of no units was asked for; pass 1 or more")
        for given in units:
            if not isinstance(given, Units):
                raise TypeError(f"{given!r} is not a layer; pass layers such as Binary(3)")
            if isinstance(given, Mixed):
                raise ValueError(
                    f"{given!r} is mixed already; pass its units one after the other, as in "
                    "Mixed(Binary(3), Spin(2), Gaussian(1))"
                )
        super().__init__(sum(part.n for part in units), sum(part.n_columns for part in units))
        self.bias = nn.Parameter(torch.cat([part.bias.detach() for part in units]))
        groups = []
        start = 0
        for place, given in enumerate(units):
            part = copy.deepcopy(given)
            # inputs come with this layer's bias already added, so units need no bias of their own,
            # and every gradient deals with a single bias parameter
            del part.bias
            part.register_buffer("bias", torch.zeros_like(given.bias.detach()), persistent=False)
            self.add_module(str(place), part)
            groups.append((slice(start, start + part.n_columns), part))
            start += part.n_columns
        self._groups = tuple(groups)
        self._widths = [part.n_columns for part in units]

    def __repr__(self) -> str:
        return f"Mixed({', '.join(repr(part) for _, part in self._groups)})"

    @property
    def states(self) -> None:  # noqa: D102
        return None

    @property
    def is_linear(self) -> bool:  # noqa: D102
        return all(part.is_linear for _, part in self._groups)

    @cached_property
    def further(self) -> tuple[str, ...]:  # noqa: D102
        parts = enumerate(part for _, part in self._groups)
        return tuple(f"{place}.{name}" for place, part in parts for name in part.further)

    @property
    def has_standard_form(self) -> bool:  # noqa: D102
        return all(part.has_standard_form for _, part in self._groups)

    @property
    def precision(self) -> Tensor | None:  # noqa: D102
        return self._joined([part.precision for _, part in self._groups])

    @property
    def least_precision(self) -> Tensor | None:  # noqa: D102
        return self._joined([part.least_precision for _, part in self._groups])

    def _joined(self, precisions: list[Tensor | None]) -> Tensor | None:
        """Precisions of all columns: zero for units without one, None if none have any."""
        if all(precision is None for precision in precisions):
            return None
        return torch.cat(
            [
                part.bias if precision is None else precision
                for (_, part), precision in zip(self._groups, precisions, strict=True)
            ]
        )

    @torch.no_grad()
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:  # noqa: D102
        for columns, part in self._groups:
            own = None if precision is None or part.precision is None else precision[columns]
            part.set_natural_(part.bias, own)
        self.bias.copy_(bias)

    @without_autograd
    def interpolate_(self, a: Units, b: Units, t: float) -> None:  # noqa: D102
        for (_, own), (_, of_a), (_, of_b) in zip(self.groups, a.groups, b.groups, strict=True):
            if own.further:
                own.interpolate_(of_a, of_b, t)
        precision = None
        if a.precision is not None and b.precision is not None:
            precision = torch.lerp(a.precision, b.precision, t)
        self.set_natural_(torch.lerp(a.bias, b.bias, t), precision)

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        try:
            energy = -(x @ self.bias)
        except (TypeError, RuntimeError):
            self.check_energy_of(x)
            raise
        for columns, part in self._groups:
            # the units' own bias is zero, so this is their energy without the term -bias x
            if not part.is_linear:
                energy = energy + part.energy(x[..., columns])
        return energy

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._side_by_side(lambda part, own: part.cgf(own), inputs)

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._side_by_side(lambda part, own: part.mean(own), inputs)

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._side_by_side(lambda part, own: part.var(own), inputs)

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._side_by_side(lambda part, own: part.mode(own), inputs)

    @without_autograd
    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        for part, received, own in self._parts(inputs):
            received.copy_(part.sample_(own, stream))
        return inputs

    def statistics(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        statistics = {"bias": x}
        for place, (columns, part) in enumerate(self._groups):
            own = part.statistics(x[..., columns])
            statistics |= {f"{place}.{name}": own[name] for name in own if name != "bias"}
        return statistics

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        means: list[Tensor] = []
        statistics: dict[str, Tensor] = {}
        for place, (part, _, with_bias) in enumerate(self._parts(inputs)):
            own = part.mean_statistics(with_bias)
            means.append(own["bias"])
            statistics |= {f"{place}.{name}": own[name] for name in own if name != "bias"}
        return {"bias": torch.cat(means, -1), **statistics}

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        remedy = "remove or fill in the missing values first"
        refuse(x, ~torch.isfinite(x), name, "finite", remedy)
        for columns, part in self._groups:
            of_part = f"{name}, columns {columns.start} to {columns.stop - 1}"
            part.check(x[..., columns], of_part)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        for columns, part in self._groups:
            part.init_from_moments_(mean[columns], var[columns])
            self.bias[columns] = part.bias
            part.bias.zero_()

    def config(self) -> dict[str, Any]:  # noqa: D102
        parts = [{"type": type(part).__name__, **part.config()} for _, part in self._groups]
        return {"units": parts}

    def _parts(self, inputs: Tensor) -> Iterator[tuple[Units, Tensor, Tensor]]:
        """Units, a view of their inputs, and a new tensor of inputs plus bias."""
        self.check_rows(inputs, "inputs")
        views = zip(inputs.split(self._widths, -1), self.bias.split(self._widths), strict=True)
        for (_, part), (received, bias) in zip(self._groups, views, strict=True):
            yield part, received, received + bias

    def _side_by_side(self, method: Callable[[Units, Tensor], Tensor], inputs: Tensor) -> Tensor:
        return torch.cat([method(part, own) for part, _, own in self._parts(inputs)], -1)
