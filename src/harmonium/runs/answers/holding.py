"""The columns that ``clamp`` holds: halves of pictures, column numbers and column names."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

import torch
from torch import Tensor

from harmonium.arguments import meant

_HALVES = ("top", "bottom", "left", "right")
_NUMBERS = re.compile(r"(\d+)(?:-(\d+))?")
_SITES = re.compile(r"(\d+)(?:-(\d+))?(?:=(.+))?")
_MOST_NAMED = 12


def held_columns(
    clamp: str,
    n_columns: int,
    *,
    names: Sequence[str] | None,
    image_shape: tuple[int, int] | None,
    run: str,
) -> Tensor:
    """True where columns are held, shape ``(n_columns,)``.

    Parameters
    ----------
    clamp
        A half of a picture, or columns by name or number, such as ``alcohol,ash`` or ``0-9,20``.
        Put a name with a comma between double quotes.
    n_columns
        Number of columns of the user's values.
    names
        Names of the columns, if they have names.
    image_shape
        ``(height, width)`` of rows that are pictures.
    run
        The name of the run for messages.

    Raises
    ------
    ValueError
        If there is no such column, if several columns have the name, if a number is also the name
        of another column, or if no column is left to complete.
    """
    held = torch.zeros(n_columns, dtype=torch.bool)
    if clamp in _HALVES and clamp not in (names or ()):
        held = _half(clamp, n_columns, image_shape, run)
    else:
        for part in next(csv.reader([clamp], skipinitialspace=True), []):
            held[_columns(part.strip(), n_columns, names)] = True
    if not held.any():
        raise ValueError("`clamp` names no column; pass columns such as 0-9,20")
    if held.all():
        raise ValueError(
            f"`clamp={clamp!r}` holds all {n_columns} columns, and nothing is left to complete; "
            "leave one or more free"
        )
    return held


def held_sites(clamp: str, sites: Sequence[str], alphabet: str) -> tuple[Tensor, dict[int, int]]:
    """Sites of an alignment that are held, and the letters that some of them are given.

    Parameters
    ----------
    clamp
        Numbers of sites, and ranges of them, with letters or without, such as ``3-9,20=W``.
    sites
        The numbers of the sites; those that were left out are not among them.
    alphabet
        The letters.

    Returns
    -------
    held : Tensor
        True where sites are held, shape (n_sites,).
    letters : dict
        Numbers of letters, by the place of the site.

    Raises
    ------
    ValueError
        For another text, a site that there is not, letters that are not in the alphabet or not one
        for each site, and if no site is left to complete.
    """
    held = torch.zeros(len(sites), dtype=torch.bool)
    letters: dict[int, int] = {}
    places = {site: place for place, site in enumerate(sites)}
    for part in clamp.split(","):
        found = _SITES.fullmatch(part.strip())
        if found is None:
            raise ValueError(
                f"`clamp` is {clamp!r}; pass sites by number, with letters or without, such as "
                "3-9,20=W"
            )
        first, last = int(found[1]), int(found[2] or found[1])
        named = [str(site) for site in range(first, last + 1)]
        missing = [site for site in named if site not in places]
        if missing or not named:
            raise ValueError(
                f"`clamp` names site {missing[0] if missing else part}, which is none of the "
                f"{len(sites)} sites of the model, from {sites[0]} to {sites[-1]}"
            )
        said = found[3]
        if said is not None and (len(said) != len(named) or not {*said} <= {*alphabet}):
            raise ValueError(
                f"`clamp` says {part.strip()!r}; pass {len(named)} of the letters {alphabet}, one "
                "for each site"
            )
        for place, site in enumerate(named):
            held[places[site]] = True
            if said is not None:
                letters[places[site]] = alphabet.index(said[place])
    if held.all():
        raise ValueError(
            f"`clamp={clamp!r}` holds all {len(sites)} sites, and nothing is left to complete; "
            "leave one or more free"
        )
    return held, letters


def _half(clamp: str, n_columns: int, shape: tuple[int, int] | None, run: str) -> Tensor:
    if shape is None:
        raise ValueError(
            f"`clamp={clamp!r}` is for pictures, and {run} was trained on rows that are not "
            "pictures; pass columns, such as 0-9,20"
        )
    height, width = shape
    held = torch.zeros(n_columns, dtype=torch.bool)
    picture = held.view(height, width)
    halves = {
        "top": picture[: height // 2],
        "bottom": picture[height // 2 :],
        "left": picture[:, : width // 2],
        "right": picture[:, width // 2 :],
    }
    halves[clamp].fill_(True)
    return held


def _columns(part: str, n_columns: int, names: Sequence[str] | None) -> slice:
    """The columns for one name, number or range of numbers."""
    named = [i for i, name in enumerate(names or ()) if name.strip() == part]
    numbers = _NUMBERS.fullmatch(part)
    if len(named) > 1:
        told = ", ".join(map(str, named))
        raise ValueError(
            f"`clamp` names {part!r}, and columns {told} are all called so; pass their numbers"
        )
    if numbers:
        first, last = int(numbers[1]), int(numbers[2] or numbers[1])
        if named and not first == last == named[0]:
            by_number = f"{first}-{first}" + (f",{first + 1}-{last}" if last > first else "")
            raise ValueError(
                f"`clamp={part!r}` is the name of column {named[0]}, and says other columns by "
                f"their numbers; pass {named[0]}-{named[0]} for the name, or {by_number} for the "
                "numbers"
            )
    if named:
        return slice(named[0], named[0] + 1)
    if numbers is None:
        raise ValueError(_unknown(part, names))
    if not first <= last < n_columns:
        raise ValueError(
            f"`clamp` names columns {part}, but there are columns 0 to {n_columns - 1}"
        )
    return slice(first, last + 1)


def _unknown(part: str, names: Sequence[str] | None) -> str:
    """The names that exist, for a message about one that does not."""
    if names is None:
        return (
            f"`clamp` is {part!r}; pass top, bottom, left, right, or columns such as 0-9,20 (the "
            "columns of this run have no names)"
        )
    more = len(names) - _MOST_NAMED
    rest = f" and {more:,} more" if more > 0 else ""
    there = f"there are {', '.join(names[:_MOST_NAMED])}{rest}"
    return f"`clamp` names {part!r}, and no column is called so; {meant(part, names, there)}"
