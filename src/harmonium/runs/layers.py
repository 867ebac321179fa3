"""The options of a deep belief network: those of an RBM, for all layers or per layer.

Nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harmonium.rng import seed_of_layer
from harmonium.run_directory import LAYER_BELOW
from harmonium.runs.choices import CONTINUOUS
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rows import OF_ROWS, OF_WEIGHTS

LAYERS = "200,200,200"
"""Default hidden units of each layer."""

# For the whole network, or only its first layer. `layers` sets `hidden`.
_OF_ALL = (
    *("data", "visible", "image_shape", "binarize", "standardize", "held_out", "validation"),
    *("rows", "learn_precision", "seed", "white", "categories", "trials"),
    *OF_ROWS,
    *OF_WEIGHTS,
)
_NOT_OFFERED = ("hidden", "n_classes", "stratified", "missing")

OF_EACH = tuple(
    option.name for option in fields(TrainingOptions) if option.name not in _OF_ALL + _NOT_OFFERED
)
"""The options that can differ between layers."""

OWN = ("layers", "features", "labels")
"""The options that only a network has."""

Features = Literal["draws", "means"]


@dataclass(frozen=True)
class NetworkOptions:
    """All options of a network and of its pretraining.

    Attributes
    ----------
    layers
        Hidden units of each layer, from the data upwards, such as ``500,500,2000``.
    features
        Input of upper layers: states drawn from the means of the units below, again in each epoch,
        or these means; None draws states if the units have two states.
    labels
        Whether the top RBM sees the class of each row.
    of_all
        The options of `TrainingOptions` for the whole network.
    of_each
        The options that can differ between layers, as typed: one value, or one per layer separated
        by commas.
    """

    layers: str = LAYERS
    features: Features | None = None
    labels: bool = False
    of_all: Mapping[str, Any] = field(default_factory=dict)
    of_each: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Reject options that some layer cannot be trained with, before any data are read."""
        if self.labels and len(self.sizes) < 2:
            raise ValueError(
                f"`labels` puts label units beside the hidden units below the top layer, and "
                f"`layers` is {self.layers}; pass two layers or more"
            )
        self.by_layer()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The numbers in ``layers``."""
        sizes = []
        for number, size in enumerate(self.layers.split(","), start=1):
            if not size.strip().isdecimal():
                raise ValueError(
                    f"`layers` is {self.layers!r}; pass the hidden units of each layer, separated "
                    "by commas, such as 500,500,2000"
                )
            if int(size) < 1:
                raise ValueError(
                    f"`layers` is {self.layers}, and layer {number} has {int(size)} units; pass 1 "
                    "or more"
                )
            sizes.append(int(size))
        return tuple(sizes)

    def by_layer(
        self, below: str = LAYER_BELOW, n_classes: int | None = None
    ) -> list[TrainingOptions]:
        """The options for the run of each layer.

        Parameters
        ----------
        below
            Prefix; with the number of a layer, it names the data of the layer above.
        n_classes
            Number of classes of the label units, if there are any.

        Raises
        ------
        ValueError
            If the number of values differs from the number of layers, or if values are invalid or
            contradict each other; names the layer.
        """
        sizes, seed = self.sizes, self.of_all.get("seed", TrainingOptions.seed)
        chosen = {name: _values(name, self.of_each.get(name), len(sizes)) for name in OF_EACH}
        layers: list[TrainingOptions] = []
        for number, size in enumerate(sizes):
            own = {name: values[number] for name, values in chosen.items() if values is not None}
            own |= {"hidden": size, "seed": seed_of_layer(seed, number)}
            if number == 0:
                own = {**self.of_all, **own}
            else:
                own |= self._from_below(layers[-1].hidden_units)
                own["data"] = f"{below}{number}"
                own["n_classes"] = n_classes if number == len(sizes) - 1 else None
            units = own.get("visible", "binary"), own.get("hidden_units", "binary")
            own["learn_precision"] = self.of_all.get("learn_precision", False) and bool(
                CONTINUOUS & {*units}
            )
            try:
                layers.append(TrainingOptions(**own))
            except ValueError as error:
                raise ValueError(f"layer {number + 1}: {error}") from None
        return layers

    def _from_below(self, units: str) -> dict[str, Any]:
        """How a layer sees the hidden units below it, which have this type."""
        two_valued = units in ("binary", "spin")
        if self.features == "draws" and not two_valued:
            raise ValueError(
                f"`features='draws'` draws states of two values, and `hidden_units` is {units}; "
                "leave it out"
            )
        named = {"draws": "stochastic", "means": "none" if two_valued else None, None: None}
        return {"visible": units, "binarize": named[self.features], "standardize": False}


def _values(name: str, text: str | None, n_layers: int) -> Sequence[Any] | None:
    """The typed text as one value per layer; None if nothing was typed."""
    if text is None:
        return None
    parts = [part.strip() for part in str(text).split(",")]
    if len(parts) not in (1, n_layers):
        raise ValueError(
            f"`{name}` has {len(parts)} values ({text}), but `layers` has {n_layers}; pass one "
            f"value for all layers, or {n_layers} separated by commas"
        )
    values = [_value(name, part) for part in parts]
    return values * n_layers if len(values) == 1 else values


def _value(name: str, text: str) -> Any:
    hint = get_type_hints(TrainingOptions)[name]
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if NoneType in kinds and text == "none":
        return None
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"`{name}` is {text!r}; pass one of {', '.join(get_args(kind))}")
        return text
    try:
        return kind(text)
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise ValueError(f"`{name}` is {text!r}; pass {what}") from None


def offered_once() -> tuple[str, ...]:
    """The options of `TrainingOptions` that are not offered for the whole network."""
    return (*OF_EACH, *_NOT_OFFERED)
