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
    """What a user says of chains, of their samples, and of where these go."""

    chains: int | None = _option(
        None, "Chains.", min=1, show_default="20, or fewer where fewer can start"
    )
    samples: int = _option(10, "Samples a chain.", min=1)
    warmup: int = _option(defaults.SAMPLE_WARMUP, "Sweeps before the first sample.", min=0)
    sweeps_per_sample: int = _option(100, "Sweeps from one sample to the next.", min=1)
    start: Start | None = _option(  # noqa: RUF009
        None,
        "Start at data rows, at random, at the chains that training kept, or near equilibrium: "
        "after a run from independent units to the model (annealed), or after a warm-up by "
        "tempering (tempered).",
        show_default="random, or data with --clamp or --data",
    )
    sampler: SamplerName = _option(  # noqa: RUF009
        "gibbs",
        "How chains move: Gibbs sweeps, or these at several temperatures that swap their states, "
        "which mixes modes that are far apart.",
    )
    temperatures: int | None = _option(
        None,
        "Temperatures of tempering, or of an annealed start.",
        show_default="as many as half of the swaps need, or 1,000",
    )
    clamp: str | None = _option(
        None,
        "Hold these columns of data rows and complete the rest: top, bottom, left, right (of "
        "pictures), or columns by name or from 0, such as alcohol,ash or 0-9,20.",
    )
    data: str | None = _option(
        None,
        "Rows to start at.",
        show_default="the run's held-out rows",
        autocompletion=completing.data,
    )
    seed: int = _option(defaults.SEED, "Seed.", min=0)
    out: Path | None = _option(  # noqa: RUF009
        None,
        "An .npz file.",
        show_default="RUN/samples.npz, or -2, ...",
    )
