"""The table of unit types, and layers made from what a file keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from harmonium.arguments import check_type, described, is_whole
from harmonium.units.base import Units
from harmonium.units.binary import Binary
from harmonium.units.categorical import Categorical
from harmonium.units.gaussian import Gaussian
from harmonium.units.mixed import Mixed
from harmonium.units.spin import Spin

UNIT_TYPES: dict[str, type[Units]] = {
    unit_type.__name__: unit_type for unit_type in (Binary, Spin, Gaussian, Categorical, Mixed)
}
"""The library's unit types by the name under which a model file keeps them."""

_REGISTERED: dict[str, type[Units]] = {}

_OfUnits = TypeVar("_OfUnits", bound=Units)


def as_units(name: str, layer: Units | int) -> Units:
    """The layer itself, or so many binary units.

    Raises
    ------
    TypeError
        If it is neither, naming the argument.
    """
    if isinstance(layer, Units):
        return layer
    if not is_whole(layer):
        raise TypeError(
            f"{name} is {described(layer)}; pass a layer such as Binary(200), or the number of its "
            "binary units, 200"
        )
    return Binary(layer)


def register(unit_type: type[_OfUnits]) -> type[_OfUnits]:
    """Let files keep layers of a unit type of your own, by the name of its class.

    A program that reads such files has to register the type before. Defined anew, as in a
    notebook, it takes the place of the former one.

    Parameters
    ----------
    unit_type
        A subclass of `Units` whose `Units.config` are the arguments that make another.

    Returns
    -------
    type
        The same, so that this can be written above the class as a decorator.

    Raises
    ------
    TypeError
        If it is no unit type.
    ValueError
        If one of the library's own has this name.
    """
    if not (isinstance(unit_type, type) and issubclass(unit_type, Units)):
        raise TypeError(f"{unit_type!r} is no unit type; pass a subclass of harmonium.units.Units")
    name = unit_type.__name__
    if name in UNIT_TYPES:
        raise ValueError(f"{name} is a unit type of harmonium; give yours another name")
    _REGISTERED[name] = unit_type
    return unit_type


def registered() -> dict[str, type[Units]]:
    """The unit types that `register` was told of, by name."""
    return dict(_REGISTERED)


def to_config(units: Units) -> dict[str, Any]:
    """What makes another layer like this one, without its parameters, as JSON can hold it.

    Raises
    ------
    TypeError
        If there is a unit type that `from_config` would not find again.
    """
    check_type("units", units, Units, "a layer such as Binary(3)")
    known = UNIT_TYPES | _REGISTERED
    for unit_type in (type(units), *(kind for kind, _, _ in units.kinds)):
        name = unit_type.__name__
        if known.get(name) is not unit_type:
            raise TypeError(
                f"a file cannot keep a {name}; known are {', '.join(sorted(known))}, and what "
                "harmonium.units.register was told of"
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
    name = arguments.pop("type", None)
    known = UNIT_TYPES | _REGISTERED
    if name not in known:
        raise ValueError(
            f"the file names the type {name!r}; known are {', '.join(sorted(known))}, and those "
            "that are registered (`harmonium.units.register`)"
        )
    try:
        if name == Mixed.__name__:
            return Mixed(*map(from_config, arguments["units"]))
        return known[name](**arguments)
    except TypeError as error:
        raise ValueError(f"the file's arguments do not fit: {error}") from error
