"""Files of evaluations in a run: results, and the state that more budget continues."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets import WeightedRows
from harmonium.files import write_whole
from harmonium.likelihood import LogLikelihood, LogZ, Work, log_likelihood
from harmonium.rbm import RBM
from harmonium.report import row_values, weights_name
from harmonium.runs.answers.asked import Answer
from harmonium.serialization import digest, read, serialize
from harmonium.topics import Perplexity

FORMAT = 1
"""Version of ``likelihood.json`` and of ``perplexity.json``."""

_KIND = "evaluation"

Part = TypeVar("Part")


@dataclass(frozen=True, repr=False)
class Evaluated(Answer):
    """How probable rows are, or documents.

    Attributes
    ----------
    found
        The value, or the interval.
    result
        The entry of ``likelihood.json``, or of ``perplexity.json``.
    path, page
        That file, and the page of the run, which shows it.
    """

    found: LogLikelihood | Perplexity
    result: Mapping[str, Any]
    path: Path
    page: Path

    def as_dict(self) -> dict[str, Any]:
        """Where the result is kept, and the result."""
        return {"kept_in": str(self.path), **self.result}


def part_of(
    parts: Mapping[str, Part | None], split: str | None, name: str, noun: str
) -> tuple[str, Part]:
    """The part of data that ``split`` names, and its name; the first there is by default.

    Raises
    ------
    ValueError
        If the data, called ``name``, have no such rows; ``noun`` is what the rows are called.
    """
    there = [each for each, part in parts.items() if part is not None]
    wanted = split or there[0]
    part = parts[wanted]
    if part is None:
        raise ValueError(
            f"`split` is {split}, but {name} has no such {noun}; it has {', '.join(there)}"
        )
    return wanted, part


def refuse_more(rows: int | None, there: int, name: str) -> None:
    """Reject more rows than there are.

    Raises
    ------
    ValueError
        Says how many there are.
    """
    if rows is not None and rows > there:
        raise ValueError(f"`rows` is {rows}, but {name} has {there}; pass {there} or fewer")


def results_in(path: Path) -> dict[str, Any]:
    """Earlier results by name of the data; results for other rows are kept.

    Raises
    ------
    ValueError
        If the file is damaged, or written by a newer harmonium.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version, results = content["format"], content["results"]
        if not isinstance(version, int) or not isinstance(results, dict):
            raise TypeError("another layout")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged or no result of harmonium evaluate ({error}); move it away"
        ) from error
    if version > FORMAT:
        raise ValueError(
            f"{path} has format {version}, and this harmonium reads up to {FORMAT}; install a "
            "newer harmonium"
        )
    return results


def described(found: LogLikelihood) -> dict[str, Any]:
    """A result as JSON; null stands for a missing lower bound and its error."""
    log_z = found.log_z
    chains = {} if found.is_exact else {"effective_chains": log_z.effective_chains}
    effective = {} if found.effective_rows is None else {"effective_rows": found.effective_rows}
    return {
        "lower": _finite(found.lower),
        "lower_std_error": _finite(found.lower_std_error),
        "upper": found.upper,
        "upper_std_error": found.upper_std_error,
        "unit": "nats a row",
        "exact": found.is_exact,
        "trusted": found.trusted,
        "rows": found.n_rows,
        **effective,
        "rows_std_error": _finite(found.rows_std_error),
        "log_z": log_z.value,
        "log_z_std_error": log_z.std_error,
        "chains": log_z.n_chains,
        **chains,
        "rests_on": found.rests_on,
        "temperatures": found.n_temperatures or None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def keep_row_values(path: Path, rbm: RBM, of_rows: WeightedRows) -> str:
    """Store minus the free energy of each row, so that runs can be compared row by row.

    The weights of the rows, if they have some, are stored beside them.

    Returns
    -------
    str
        The name under which they are stored: a digest of the rows, equal for equal states and
        weights.
    """
    states = of_rows.states.cpu().contiguous()
    name = hashlib.sha256(f"{states.dtype} {tuple(states.shape)}".encode())
    name.update(states.numpy().tobytes())
    weights = None if of_rows.weights is None else of_rows.weights.cpu().numpy()
    if weights is not None:
        name.update(b"weights" + weights.tobytes())
    rows = name.hexdigest()[:16]
    values = {rows: log_likelihood(rbm, of_rows.states, LogZ.exact(0.0)).cpu().numpy()}
    if weights is not None:
        values[weights_name(rows)] = weights
    content = io.BytesIO()
    np.savez(content, **(row_values(path) | values))
    write_whole(path, content.getvalue())
    return rows


class KeptWork:
    """The intermediate state of an evaluation, in a file of its run; only the last one is kept.

    Parameters
    ----------
    path
        Of the file.
    rbm, v, n_chains, seed
        What is evaluated; the state of an evaluation of anything else is not continued.
    """

    def __init__(self, path: Path, rbm: RBM, v: Tensor, n_chains: int, seed: int) -> None:
        self._path = path
        self._of = digest({**rbm.state_dict(), "rows": v.cpu()}, f"{n_chains} {seed}")

    def keep(self, work: Work) -> None:
        """Write it atomically."""
        tensors, numbers = work.kept()
        small = {name: _narrow(tensor) for name, tensor in tensors.items()}
        write_whole(self._path, serialize(_KIND, small, {"of": self._of, **numbers}))

    def take_up_(self, work: Work) -> bool:
        """Continue from the file if it belongs to the same evaluation; returns whether it does."""
        try:
            tensors, numbers = read(self._path, _KIND)
        except (FileNotFoundError, ValueError):
            return False
        if numbers.pop("of", None) != self._of:
            return False
        work.take_up_(tensors, numbers)
        return True


def _narrow(states: Tensor) -> Tensor:
    """States of discrete units, one byte each."""
    small = states.to(torch.int8)
    return small if torch.equal(small.to(states.dtype), states) else states
