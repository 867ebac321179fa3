"""The unit types of layers, one file each."""

from harmonium.units.base import Units
from harmonium.units.binary import Binary
from harmonium.units.binomial import Binomial
from harmonium.units.categorical import Categorical
from harmonium.units.drelu import DReLU
from harmonium.units.gaussian import Gaussian
from harmonium.units.linear import LinearUnits
from harmonium.units.mixed import Mixed
from harmonium.units.multinomial import Multinomial
from harmonium.units.numbers import refuse
from harmonium.units.poisson import Poisson
from harmonium.units.relu import ReLU
from harmonium.units.spin import Spin
from harmonium.units.table import (
    UNIT_TYPES,
    as_units,
    from_config,
    name_of,
    register,
    registered,
    to_config,
)

__all__ = [
    "UNIT_TYPES",
    "Binary",
    "Binomial",
    "Categorical",
    "DReLU",
    "Gaussian",
    "LinearUnits",
    "Mixed",
    "Multinomial",
    "Poisson",
    "ReLU",
    "Spin",
    "Units",
    "as_units",
    "from_config",
    "name_of",
    "refuse",
    "register",
    "registered",
    "to_config",
]
