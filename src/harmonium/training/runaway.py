"""Parameters that run away, found while they are numbers still."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from harmonium.rbm import RBM
from harmonium.units import Units

# Beyond these, float32 knows no energies: of hidden units' parameters and weights, and of
# logarithms, whose exponentials are then scales of 1e26. A model runs away exponentially, and
# passes any such limits within a few updates.
_LARGEST, _LARGEST_LOG = 1e6, 60.0


@torch.no_grad()
def ran_away(rbm: RBM) -> str | None:
    """Name the unit and the parameter that is furthest beyond what training can lead to.

    Only parameters that are learned and finite count (no update makes others). Visible biases may
    have any size, as data may.

    Returns
    -------
    str or None
        None if no parameter is.
    """
    worst, text = 1.0, None
    for layer, name, values, first, width, limit in _learned(rbm):
        # the extremes need no memory, and are not finite where one value is not
        low, high = values.aminmax()
        excess = float(torch.maximum(-low, high)) / limit
        if excess <= worst:
            continue
        sizes = values.abs().nan_to_num(0.0, 0.0)
        excess = float(sizes.max()) / limit
        if excess > worst:
            at = int(sizes.argmax())
            unit = first + at % values.shape[-1] // width
            called = "a weight" if name == "weights" else f"the {name}"
            worst = excess
            text = f"{called} of {layer} unit {unit} (counted from 0) ran away, to "
            text += f"{values.flatten()[at].item():.3g}"
    return text


def _learned(rbm: RBM) -> Iterator[tuple[str, str, Tensor, int, int, float]]:
    """The parameters that can run away: layer, name, values by column or unit, and a limit.

    Between them stand the number of the first unit, and the columns of each.
    """
    for layer, units in (("visible", rbm.visible), ("hidden", rbm.hidden)):
        first = 0
        for columns, group in units.groups:
            if layer == "hidden":
                both = (("weights", rbm.weights[:, columns]), ("bias", units.bias[columns]))
                for name, values in both:
                    yield layer, name, values, first, group.width, _LARGEST
            for name, parameter in _own(group):
                if name in group.logarithms or layer == "hidden":
                    limit = _LARGEST_LOG if name in group.logarithms else _LARGEST
                    yield layer, name, parameter, first, 1, limit
            first += group.n


def _own(units: Units) -> Iterator[tuple[str, Tensor]]:
    """The parameters of units that are learned, other than the bias."""
    for name, parameter in units.named_parameters():
        if name != "bias" and parameter.requires_grad:
            yield name, parameter
