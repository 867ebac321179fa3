"""The table of unit types, and conversion of layers to and from file configurations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from harmonium.arguments import check_type, described, is_whole
from harmonium.units.base import Units
from harmonium.units.binary import Binary
from harmonium.units.binomial import Binomial
from harmonium.units.categorical import Categorical
from harmonium.units.drelu import DReLU
from harmonium.units.gaussian import Gaussian
from harmonium.units.mixed import Mixed
from harmonium.units.poisson import Poisson
from harmonium.units.relu import ReLU
from harmonium.units.spin import Spin

UNIT_TYPES: dict[str, type[Units]] = {
    unit_type.__name__: unit_type
    for unit_type in (
        *(Binary, Spin, Gaussian, ReLU, DReLU, Binomial, Poisson, Categorical, Mixed),
    )
}
"""The library's unit types, by their names in model files."""

_REGISTERED: dict[str, type[Units]] = {}

_OfUnits = TypeVar("_OfUnits", bound=Units)


def as_units(name: str, layer: Units | int) -> Units:
    """Return the layer itself, or that many binary units for an integer.

    Raises
    ------
    TypeError
        If it is neither; the message names the argument.
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
    """Register your own unit type, so that files can store its layers by class name.

    A program that reads such files must register the type first. Registering a redefined class, as
    in a notebook, replaces the earlier one.

    Parameters
    ----------
    unit_type
        A subclass of `Units` whose `Units.config` returns its constructor arguments.

    Returns
    -------
    type
        The same type, so that this function can be used as a class decorator.

    Raises
    ------
    TypeError
        If it is not a unit type.
    ValueError
        If one of the library's own types has this name.
    """
    if not (isinstance(unit_type, type) and issubclass(unit_type, Units)):
        raise TypeError(
            f"{unit_type!r} is not a unit type; pass a subclass of harmonium.units.Units"
        )
    name = unit_type.__name__
    if name in UNIT_TYPES:
        raise ValueError(f"{name} is a unit type of harmonium; give yours another name")
    _REGISTERED[name] = unit_type
    return unit_type


def registered() -> dict[str, type[Units]]:
    """The unit types passed to `register`, by name."""
    return dict(_REGISTERED)


def name_of(units: Units) -> str:
    """What options call this type: the library's own in small letters, others by their class."""
    name = type(units).__name__
    return name.lower() if name in UNIT_TYPES else name


def to_config(units: Units) -> dict[str, Any]:
    """Describe a layer, without its parameters, as JSON values; see `from_config`.

    Raises
    ------
    TypeError
        If `from_config` would not recognise a unit type.
    """
    check_type("units", units, Units, "a layer such as Binary(3)")
    known = UNIT_TYPES | _REGISTERED
    for unit_type in (type(units), *(kind for kind, *_ in units.kinds)):
        name = unit_type.__name__
        if known.get(name) is not unit_type:
            raise TypeError(
                f"a file cannot keep a {name}; known are {', '.join(sorted(known))}, and "
                "those registered with harmonium.units.register"
            )
    return {"type": type(units).__name__, **units.config()}


def from_config(config: Mapping[str, Any]) -> Units:
    """Rebuild the layer that `to_config` described, with freshly initialised parameters.

    Raises
    ------
    ValueError
        If the type is unknown, or the arguments do not fit it.
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
