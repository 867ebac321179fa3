"""The options of the two commands that sample: an RBM, or the top of a deep belief network.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harmonium import defaults
from harmonium.cli import completing
from harmonium.runs.choices import SamplerName, Start


def _option(default: Any, help_text: str, **details: Any) -> Any:
    return field(default=default, metadata={"help": help_text, **details})


@dataclass(frozen=True)
class SamplingOptions:
    """The user's choices for chains, for samples, and for where samples are written."""

    chains: int | None = _option(
        None, "Number of chains.", min=1, show_default="20, or fewer if fewer can start"
    )
    samples: int = _option(10, "Samples per chain.", min=1)
    warmup: int = _option(defaults.SAMPLE_WARMUP, "Burn-in sweeps before the first sample.", min=0)
    sweeps_per_sample: int = _option(100, "Sweeps between two samples.", min=1)
    start: Start | None = _option(  # noqa: RUF009
        None,
        "Start at data rows, at random states, at the chains saved by training, or near "
        "equilibrium: after annealing from independent units to the model (annealed), or after a "
        "tempered burn-in (tempered).",
        show_default="random, or data with --clamp or --data",
    )
    sampler: SamplerName = _option(  # noqa: RUF009
        "gibbs",
        "How chains move: Gibbs sweeps, or parallel tempering: Gibbs sweeps at several "
        "temperatures that swap states, which mixes between distant modes.",
    )
    temperatures: int | None = _option(
        None,
        "Number of temperatures for tempering, or for an annealed start.",
        show_default="as many as half of the swaps need, or 1,000",
    )
    clamp: str | None = _option(
        None,
        "Hold these columns of data rows fixed and complete the rest: top, bottom, left, right "
        "(of pictures), or columns by name or by number from 0, such as alcohol,ash or 0-9,20.",
    )
    data: str | None = _option(
        None,
        "Data rows to start at.",
        show_default="the run's held-out rows",
        autocompletion=completing.data,
    )
    seed: int = _option(defaults.SEED, "Random seed.", min=0)
    out: Path | None = _option(  # noqa: RUF009
        None,
        "The .npz file to write.",
        show_default="RUN/samples.npz, or -2, ...",
    )
