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
    grad_buffer,
    weigh,
)
from harmonium.gradient.penalties import Penalties, weight_norms

__all__ = [
    "CenteredGradient",
    "Gradient",
    "GradientCheck",
    "Penalties",
    "Phase",
    "PlainGradient",
    "grad_buffer",
    "weigh",
    "weight_norms",
]
