"""Shifts a network whose visible units are far from zero to coordinates near zero."""

from __future__ import annotations

import torch

from harmonium.deep.dbn import DBN
from harmonium.gauge import Gauge


def near_zero(dbn: DBN) -> tuple[DBN, Gauge]:
    """The same network with its visible units near zero, and the maps there and back.

    The shift changes the inputs of the first hidden layer and leaves the layers above it unchanged.
    A network of one RBM is not shifted: estimates for an RBM shift it by themselves.
    """
    bottom = dbn.stack[0]
    gauge = Gauge.of(bottom)
    if len(dbn) == 1 or gauge.visible_offset is None:
        return dbn, Gauge(bottom)
    gauge = Gauge.by(bottom, gauge.visible_offset, torch.zeros_like(bottom.hidden.bias).double())
    rbms = [gauge.rbm, *dbn.stack[1:]]
    if not dbn.is_untied:
        return DBN(rbms), gauge
    up, _ = gauge.move(dbn.recognition[0])
    return DBN(rbms, [up, *dbn.recognition[1:-1]]), gauge
