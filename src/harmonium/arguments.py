"""Arguments of another type than they should be, refused in one voice.

Only what a caller passes at a public door is checked here, once a call; nothing heavy is imported.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

_LONGEST = 60


def described(value: Any) -> str:
    """A value in a message: its words where they are few, else its type and shape."""
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
    """The end of a message about a name that is none: the nearest one, and what there is.

    Parameters
    ----------
    name
        What came.
    known
        What would do; small and capital letters are alike.
    there
        What there is, in words, such as "the sets are digits, mnist".
    """
    by_lower = {each.strip().lower(): each for each in known}
    near = difflib.get_close_matches(name.strip().lower(), by_lower, n=1)
    return f"did you mean {by_lower[near[0]]!r}? ({there})" if near else there


def is_whole(value: object) -> bool:
    """Whether a value is a whole number, NumPy's among them; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def check_type(name: str, value: Any, kinds: type | tuple[type, ...], remedy: str) -> None:
    """Refuse a value that is of none of these types.

    Parameters
    ----------
    name
        Of the argument.
    value
        What came.
    kinds
        Types that will do.
    remedy
        What to pass, as the end of a sentence that begins with "pass".

    Raises
    ------
    TypeError
        Says what came and what would work.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name} is {described(value)}; pass {remedy}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Refuse what is no whole number of ``least`` or more.

    Raises
    ------
    TypeError
        If it is no whole number; True and False are none.
    ValueError
        If it is too small.
    """
    if not is_whole(value):
        raise TypeError(f"{name} is {described(value)}; pass a whole number, {least} or more")
    if value < least:
        raise ValueError(f"{name} is {value}; pass {least} or more")


def check_number(name: str, value: Any, remedy: str) -> None:
    """Refuse what is no finite real number.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is infinite or NaN.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} is {described(value)}; pass {remedy}")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value}; pass {remedy}")


def no_tensor(name: str, value: Any) -> TypeError:
    """The error to raise where a tensor is wanted; says how to make one of what came."""
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
