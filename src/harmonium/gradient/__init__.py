"""The closed-form gradient of the log-likelihood, written into ``.grad``, and its penalties.

Everything here is the gradient of a *loss*, minus the log-likelihood in nats per row, so that any
`torch.optim` optimiser can descend it.
"""

from harmonium.gradient.check import GradientCheck
from harmonium.gradient.closed_form import (
    CenteredGradient,
    Gradient,
    Phase,
    PlainGradient,
    SummedOut,
    grad_buffer,
    weigh,
)
from harmonium.gradient.penalties import Penalties, weight_norms
from harmonium.gradient.summed_out import Incomplete, MissingUnit, lone_units, observe

__all__ = [
    "CenteredGradient",
    "Gradient",
    "GradientCheck",
    "Incomplete",
    "MissingUnit",
    "Penalties",
    "Phase",
    "PlainGradient",
    "SummedOut",
    "grad_buffer",
    "lone_units",
    "observe",
    "weigh",
    "weight_norms",
]
