"""Layers far from zero: energies that would cancel in float32 are computed in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any, TypeVar, cast

from torch import Tensor, nn
from torch.func import functional_call

FAR = 8.0
"""Standard deviations from zero beyond which a unit counts as far.

Beyond it, the terms of the energy, ``precision x^2 / 2`` and ``bias x``, are 32 nats or more each
and mostly cancel. In float32 that costs 6e-8 of every nat: about 1e-6 of a single unit's
contribution to a log-likelihood, growing with the square of the distance.
"""


_Method = TypeVar("_Method", bound=Callable[..., Tensor])


def in_float64_where_far(method: _Method) -> _Method:
    """Run a method in float64, and return float64, if the model is far from zero.

    Gradients still work. For other models nothing changes.
    """

    @wraps(method)
    def computed(model: Any, *args: Any, **named: Any) -> Tensor:
        if not model.is_far:
            return method(model, *args, **named)
        return _in_float64(method, model, args, named)

    return cast(_Method, computed)


def by_float64_where_far(method: _Method) -> _Method:
    """The same, but the result is rounded to the dtype of the model's parameters."""

    @wraps(method)
    def computed(model: Any, *args: Any, **named: Any) -> Tensor:
        if not model.is_far:
            return method(model, *args, **named)
        return _in_float64(method, model, args, named).to(model.weights.dtype)

    return cast(_Method, computed)


class _Call(nn.Module):
    """Wraps a module's method as the ``forward`` of another module, for `functional_call`."""

    def __init__(self, model: nn.Module, method: Callable[..., Tensor]) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *args: Any, **named: Any) -> Tensor:
        return self.method(self.model, *args, **named)


def _in_float64(
    method: Callable[..., Tensor], model: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
) -> Tensor:
    tensors = chain(model.named_parameters(), model.named_buffers())
    wide = {f"model.{name}": tensor.double() for name, tensor in tensors}
    dtype = next(model.parameters()).dtype

    def widened(x: Any) -> Any:
        # states of another dtype are passed on unchanged, to be refused as usual
        return x.double() if isinstance(x, Tensor) and x.dtype == dtype else x

    # in a copy: the call swaps the parameters out, and other threads may need them
    found: Tensor = functional_call(
        _Call(copy.deepcopy(model), method),
        wide,
        tuple(map(widened, args)),
        {name: widened(x) for name, x in named.items()},
    )
    return found
