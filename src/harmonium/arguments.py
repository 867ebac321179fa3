"""Checks of argument types, with uniform error messages.

They check only what a caller passes to a public function, once per call. Nothing heavy is imported.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

_LONGEST = 60


def described(value: Any) -> str:
    """Describe a value for a message: as text if that is short, else by type and shape."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if shape is not None and not isinstance(value, Real):
        kind = type(value)
        named = kind.__name__ if kind.__module__ == "builtins" else _full_name(kind)
        return f"a {named} of shape {tuple(shape)}" + f" and dtype {dtype}" * (dtype is not None)
    text = repr(value)
    if len(text) > _LONGEST or text.startswith("<"):
        return _with_article(type(value).__name__)
    return text


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOUaeiou' else 'a'} {noun}"


def meant(name: str, known: Iterable[str], there: str) -> str:
    """End a message about an unknown name: suggest the nearest one, and say what exists.

    Parameters
    ----------
    name
        The unknown name.
    known
        The valid names; case is ignored.
    there
        What exists, in words, such as "the sets are digits, mnist".
    """
    by_lower = {each.strip().lower(): each for each in known}
    near = difflib.get_close_matches(name.strip().lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}? ({there})" if near else there


def is_whole(value: object) -> bool:
    """Whether a value is an integer, of Python or NumPy; True and False do not count."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_type(name: str, value: Any, kinds: type | tuple[type, ...], remedy: str) -> None:
    """Refuse a value that has none of these types.

    Parameters
    ----------
    name
        Name of the argument.
    value
        The value passed.
    kinds
        Accepted types.
    remedy
        What to pass instead: completes a sentence that begins with "pass".

    Raises
    ------
    TypeError
        Says what was passed and what would work.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name} is {described(value)}; pass {remedy}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse anything but a whole number of ``least`` or more.

    Raises
    ------
    TypeError
        If it is not a whole number; True and False do not count.
    ValueError
        If it is too small.
    """
    if not is_whole(value):
        raise TypeError(f"{name} is {described(value)}; pass a whole number, {least} or more")
    if value < least:
        raise ValueError(f"{name} is {value}; pass {least} or more")


def check_number(name: str, value: Any, remedy: str) -> None:
    """Refuse anything but a finite real number.

    Raises
    ------
    TypeError
        If it is not a number.
    ValueError
        If it is infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {described(value)}; pass {remedy}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; pass {remedy}")


def no_tensor(name: str, value: Any) -> TypeError:
    """The error to raise where a tensor is required; says how to convert the value."""
    module = type(value).__module__.partition(".")[0]
    if module == "numpy":
        made = "torch.from_numpy(x).float()"
    elif module == "pandas":
        made = "torch.from_numpy(x.to_numpy()).float()"
    elif module == "scipy":
        made = "torch.from_numpy(x.toarray()).float()"
    elif isinstance(value, list | tuple):
        made = "torch.tensor(x).float()"
    elif hasattr(value, "blocks") and hasattr(value, "encoding"):  # `datasets.Data`
        made = "the states of its rows, torch.cat(list(data.blocks()))"
    else:
        made = "a tensor of states"
    return TypeError(f"{name} is {described(value)}; pass a torch tensor: {made}")


def _full_name(kind: type) -> str:
    return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
