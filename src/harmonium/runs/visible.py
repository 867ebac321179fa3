"""Choice of visible units that suit the columns, if the user gave none."""

from __future__ import annotations

import dataclasses
import math

from harmonium.datasets import AsIs, Data, TableEncoding, mapped
from harmonium.datasets.encodings.categories import is_integral
from harmonium.datasets.moments import moments_once
from harmonium.datasets.states import suit_binary_units, white_of
from harmonium.runs.options import TrainingOptions

_AS_STATES = (
    "the columns are real numbers: Gaussian visible units, {how} (`visible='binary'` would take "
    "them for probabilities of states)"
)
_COUNTS = "; they are whole numbers: `visible='poisson'` takes them for counts"
_NO_STATES = (
    "the columns vary much less than the states that `visible='binary'` takes them for, so that "
    "little can be learned from them; `visible='gaussian'` suits them"
)

_TRIALS = (
    "binomial visible units of {trials} trials, as {trials} is the largest value; `trials` is for "
    "counts that can be larger"
)


def decide(options: TrainingOptions, data: Data) -> tuple[TrainingOptions, Data]:
    """The options with the visible units chosen, and the data with a note that says why.

    Alignments get categorical units. Pictures, zeros and ones, and values from 0 to 1 that vary
    like probabilities of states get binary units; other tables get Gaussian units. Ambiguous
    values, such as grey values with an unknown white, get binary units, which reject them with
    advice.

    Parameters
    ----------
    options
        As typed.
    data
        Values as read, before they are encoded.
    """
    asked = options.visible == "mixed" and data.alphabet is None
    if asked or (options.visible == "auto" and _needs_columns(data)):
        if mapped.is_large(data.values):
            raise ValueError(
                f"{data.name} would get units of its own for each column, which are judged by all "
                "rows at once, and they are on disk; pass `visible='gaussian'` for units that are "
                "alike, or `on_disk=False`, which reads them into memory"
            )
        data = data.by_column()
    if isinstance(data.encoding, TableEncoding):
        _refuse_other_units(options, data)
        return dataclasses.replace(options, visible="mixed"), data
    if options.visible == "binomial" and options.trials is None:
        trials = max(1, math.ceil(data.value_range[1]))
        data = _noted(data, _TRIALS.format(trials=trials))
        return dataclasses.replace(options, trials=trials), data
    if options.visible == "auto" and data.alphabet is not None:
        return dataclasses.replace(options, visible="categorical"), data
    if options.visible not in ("auto", "binary") or data.alphabet is not None:
        return options, data
    if options.visible == "binary":
        is_in_range = data.value_range[0] >= 0 and data.value_range[1] <= 1
        if options.binarize is None and is_in_range and _are_real_numbers(data):
            return options, _noted(data, _NO_STATES)
        return options, data
    if options.standardize or (options.binarize is None and _are_real_numbers(data)):
        how = "not standardised" if options.standardize is False else "standardised"
        gaussian = dataclasses.replace(options, visible="gaussian")
        counts = _COUNTS if _are_counts(data) else ""
        return gaussian, _noted(data, _AS_STATES.format(how=how) + counts)
    return dataclasses.replace(options, visible="binary"), data


def _needs_columns(data: Data) -> bool:
    """Whether values are missing in rows of numbers that are neither pictures nor two-valued."""
    is_plain = data.image_shape is None and isinstance(data.encoding, AsIs)
    return data.mask is not None and is_plain and not data.is_two_valued


def _refuse_other_units(options: TrainingOptions, data: Data) -> None:
    """Reject options for columns that are all alike.

    Raises
    ------
    ValueError
        Says what to take instead.
    """
    if options.visible not in ("auto", "mixed"):
        raise ValueError(
            f"`visible` is {options.visible}, and {data.name} is a table of mixed columns, each "
            "with units of its own; leave it out, and name the kind of a column by `columns`"
        )
    for name in ("binarize", "standardize", "categories", "trials", "image_shape", "white"):
        if getattr(options, name) is not None:
            raise ValueError(
                f"`{name}` is for columns that are all alike, and {data.name} is a table of mixed "
                "columns; leave it out, and name the kind of a column by `columns`"
            )


def _are_counts(data: Data) -> bool:
    return data.value_range[0] >= 0 and is_integral(data.values)


def _are_real_numbers(data: Data) -> bool:
    """Whether columns are neither states, nor grey values, nor pictures."""
    if data.image_shape is not None or not isinstance(data.encoding, AsIs):
        return False
    low, high = data.value_range
    if data.is_two_valued or (not data.values.is_floating_point() and high <= 1 and low >= 0):
        return False
    # of values, not of states: as states, values beyond float32 are rejected
    mean, var = moments_once(data.values, data.unequal_weights)
    ends = tuple(end.double() for end in mapped.column_bounds(data.values))
    return not suit_binary_units(mean, var, *ends) and white_of(mean, var, *ends) is None


def _noted(data: Data, note: str) -> Data:
    return dataclasses.replace(data, notes=(*data.notes, note))
