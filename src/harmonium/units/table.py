"""The table of unit types, and layers made from what a file keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harmonium.units.base import Units
from harmonium.units.binary import Binary
from harmonium.units.categorical import Categorical
from harmonium.units.gaussian import Gaussian
from harmonium.units.mixed import Mixed
from harmonium.units.spin import Spin

UNIT_TYPES: dict[str, type[Units]] = {
    unit_type.__name__: unit_type for unit_type in (Binary, Spin, Gaussian, Categorical, Mixed)
}
"""The unit types by the name under which a model file keeps them."""


def to_config(units: Units) -> dict[str, Any]:
    """What makes another layer like this one, without its parameters, as JSON can hold it.

    Raises
    ------
    TypeError
        If there is a unit type that `from_config` would not find again.
    """
    for unit_type in (type(units), *(kind for kind, _, _ in units.kinds)):
        name = unit_type.__name__
        if UNIT_TYPES.get(name) is not unit_type:
            raise TypeError(
                f"a file cannot keep a {name}; known are {', '.join(sorted(UNIT_TYPES))}"
            )
    return {"type": type(units).__name__, **units.config()}


def from_config(config: Mapping[str, Any]) -> Units:
    """The layer that `to_config` was given, with the parameters of a new one.

    Raises
    ------
    ValueError
        If the type is not known, or the arguments are none of its own.
    """
    arguments = dict(config)
    name = arguments.pop("type")
    if name not in UNIT_TYPES:
        raise ValueError(
            f"the file names the type {name!r}; known are {', '.join(sorted(UNIT_TYPES))}"
        )
    try:
        if name == Mixed.__name__:
            return Mixed(*map(from_config, arguments["units"]))
        return UNIT_TYPES[name](**arguments)
    except TypeError as error:
        raise ValueError(f"the file's arguments do not fit: {error}") from error
