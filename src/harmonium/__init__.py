"""Restricted Boltzmann machines and what is built from them.

The names in ``__init__.pyi`` are imported when they are first used, so that importing harmonium
itself is light.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]


def __dir__() -> list[str]:
    return __all__
