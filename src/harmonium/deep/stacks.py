"""Stacks of RBMs: checks that they fit together, and construction from layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from harmonium.arguments import check_type, described, is_whole
from harmonium.rbm import RBM, check_rbm
from harmonium.units import Categorical, Mixed, Units, as_units

Kinds = tuple[tuple[type[Units], int, int, tuple[int, ...]], ...]


def rbms_of(given: Sequence[Units | int], n_classes: int | None) -> list[RBM]:
    """RBMs built from layers, from the data upwards, each with its own copies of the units.

    Raises
    ------
    TypeError
        If something is not a layer.
    ValueError
        If there is no hidden layer, or only one and label units.
    """
    layers = []
    for number, layer in enumerate(given):
        if isinstance(layer, list | tuple):
            raise TypeError(
                f"hidden layer {number} is {described(layer)}; pass the layers one after the "
                "other: DBN.of(784, 500, 500)"
            )
        layers.append(as_units(f"hidden layer {number}" if number else "visible", layer))
    if len(layers) < 2:
        raise ValueError("there is no hidden layer; pass one or more behind the visible one")
    if n_classes is not None and not (is_whole(n_classes) and n_classes >= 2):
        raise ValueError(f"n_classes is {described(n_classes)}; pass 2 or more, or None")
    pairs = pairwise(layers)
    rbms = [RBM(copy.deepcopy(below), copy.deepcopy(above)) for below, above in pairs]
    if n_classes is not None:
        if len(rbms) < 2:
            raise ValueError(
                "label units stand beside the hidden units of a layer below the top RBM, and "
                f"there are {len(rbms)} hidden layers; pass 2 or more (one RBM with label "
                "units is RBM(Mixed(visible, Categorical(1, n_classes)), hidden))"
            )
        top = rbms[-1]
        groups = [units for _, units in top.visible.groups]
        rbms[-1] = RBM(Mixed(*groups, Categorical(1, n_classes)), top.hidden)
    return rbms


def check_stack(rbms: Sequence[RBM]) -> None:
    """Reject RBMs that cannot be stacked.

    Raises
    ------
    TypeError
        If they are not a list of RBMs.
    ValueError
        If the hidden units of one differ in type or number from the visible units of the next. The
        top RBM may have additional label units.
    """
    check_type("rbms", rbms, (list, tuple, nn.ModuleList), "a list of RBMs, such as dbn.stack")
    for number, rbm in enumerate(rbms, start=1):
        check_rbm(f"RBM {number} of the stack", rbm)
    for number, (lower, upper) in enumerate(pairwise(rbms), start=1):
        beside = _label_kinds(upper.visible) if number == len(rbms) - 1 else ()
        if upper.visible.kinds != lower.hidden.kinds + beside:
            raise ValueError(
                f"the RBMs do not fit together: RBM {number} has the hidden units "
                f"{lower.hidden!r}, but RBM {number + 1} above it the visible units "
                f"{upper.visible!r}; pass units of the same type and number (those of the top "
                "RBM may be Mixed, with Categorical(1, n_classes) for labels at the end)"
            )


def check_upwards(rbms: Sequence[RBM], upwards: Sequence[RBM]) -> None:
    """Reject upward RBMs whose layers differ from those of the downward RBMs.

    Raises
    ------
    ValueError
        If one is missing or does not fit; names the first that does not fit.
    """
    if len(upwards) != len(rbms) - 1:
        raise ValueError(
            f"there are {len(upwards)} RBMs upwards and {len(rbms)} downwards; pass one upwards "
            "for each but the top one"
        )
    for number, (up, down) in enumerate(zip(upwards, rbms, strict=False), start=1):
        if (up.visible.kinds, up.hidden.kinds) != (down.visible.kinds, down.hidden.kinds):
            raise ValueError(
                f"RBM {number} is {up!r} upwards, but {down!r} downwards; pass two of the same "
                "layers"
            )


def _label_kinds(layer: Units) -> Kinds:
    """The groups at the end of a layer that can be label units; empty if there are none."""
    *others, (_, last) = layer.groups
    return layer.kinds[-1:] if others and last.is_one_hot and last.n == 1 else ()
