"""The unit types: what a layer's units are, each in a file of its own."""

from harmonium.units.base import Units
from harmonium.units.binary import Binary
from harmonium.units.categorical import Categorical
from harmonium.units.gaussian import Gaussian
from harmonium.units.spin import Spin

UNIT_TYPES: dict[str, type[Units]] = {
    unit_type.__name__: unit_type for unit_type in (Binary, Spin, Gaussian, Categorical)
}
"""The unit types by the name under which a model file keeps them."""

__all__ = ["UNIT_TYPES", "Binary", "Categorical", "Gaussian", "Spin", "Units"]
