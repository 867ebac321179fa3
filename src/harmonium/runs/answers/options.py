"""The options of what a run is asked, defined once: names, types, defaults, limits and help.

The parameters of the command line and the keywords of `Run`'s methods are both made from these
tables. Nothing heavy is imported here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harmonium import defaults
from harmonium.runs.answers.limits import Limited as _Limited
from harmonium.runs.answers.limits import option as _option
from harmonium.runs.choices import (
    CompletionName,
    RowlessStart,
    SamplerName,
    Start,
    refuse_temperatures,
)
from harmonium.runs.rows import WeightingOptions

Split = Literal["test", "held-out", "train"]
CouplingMethod = Literal["exact", "gaussian", "second-order"]
Background = Literal["uniform", "data"]

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True)
class SamplingOptions(_Limited):
    """Chains, when samples are taken of them, and where samples are written."""

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
        show_default="random, or data with `clamp` or `data`",
    )
    sampler: SamplerName = _option(  # noqa: RUF009
        "gibbs",
        "How chains move: by Gibbs sweeps alone (gibbs), by sweeps at several temperatures that "
        "swap states (tempering), or by sweeps and swaps with earlier models, which training with "
        "this sampler has kept (trajectory).",
    )
    temperatures: int | None = _option(
        None,
        "Number of temperatures for tempering, or for an annealed start.",
        show_default="as many as half of the swaps need, or 1,000",
    )
    clamp: str | None = _option(
        None,
        "Hold these columns of data rows fixed and complete the rest: top, bottom, left, right "
        "(of pictures), or columns by name or by number from 0, such as alcohol,ash or 0-9,20. Of "
        "alignments, sites by number from 1, also with their letters, such as 3-9,20=W.",
    )
    data: str | None = _option(
        None, "Data rows to start at.", show_default="the run's held-out rows"
    )
    nearest: bool = _option(
        False,
        "Of a model of aligned sequences: name the nearest training sequence of each sample, and "
        "at how many sites they differ.",
    )
    seed: int = _option(defaults.SEED, "Random seed.", min=0)
    out: Path | None = _option(  # noqa: RUF009
        None,
        "The file to write: .npz, .csv, .fasta for sequences, or .hapt for zeros and ones.",
        show_default="RUN/samples.npz, or -2, ...",
    )

    def __post_init__(self) -> None:
        """Reject options that contradict each other, before anything is read."""
        super().__post_init__()
        refuse_temperatures(self.temperatures, self.sampler, self.beginning)
        if self.clamp and self.beginning != "data":
            raise ValueError(
                f"`clamp` holds columns of data rows, and `start` is {self.start}; take "
                "`start='data'`"
            )
        if self.data is not None and self.beginning != "data":
            raise ValueError(
                f"`data` is for `start='data'`, and `start` is {self.start}; leave one out"
            )

    @property
    def beginning(self) -> Start:
        """Where chains start: at rows, if rows or columns of them are named."""
        return self.start or ("data" if self.clamp or self.data is not None else "random")


@dataclass(frozen=True)
class NetworkSamplingOptions:
    """What only a deep belief network can be asked for."""

    classes: str | None = _option(
        None,
        "Classes to sample, such as 3, or 0,1, or all (needs `labels` in training).",
        flag="class",
    )
    completion: CompletionName | None = _option(  # noqa: RUF009
        None,
        "How to sample hidden units given the known columns of `clamp`: pseudo-gibbs "
        "draws all layers up and down again, fast but approximate; metropolis accepts "
        "or rejects upward draws, which is exact but needs more sweeps.",
        show_default="pseudo-gibbs",
    )


@dataclass(frozen=True)
class ReconstructionOptions(_Limited):
    """Which rows are reconstructed, and how many are shown."""

    data: str | None = _option(None, "Rows to reconstruct.", show_default="the run's held-out rows")
    shown: int = _option(20, "Rows in the picture.", min=1)
    out: Path | None = _option(  # noqa: RUF009
        None, "An .npz file.", show_default="RUN/reconstructions.npz, or -2, ..."
    )


@dataclass(frozen=True)
class EvaluationOptions(WeightingOptions, _Limited):
    """How long a log-likelihood is estimated, and of which rows."""

    chains: int = _option(defaults.LIKELIHOOD_CHAINS, "Annealing chains in each direction.", min=2)
    temperatures: int = _option(
        defaults.LIKELIHOOD_TEMPERATURES,
        "Maximum number of temperatures; annealing is lengthened until all estimates agree.",
        min=2,
    )
    budget: str | None = _option(
        None,
        "Time to spend, such as 90s, 10m or 2h; a larger budget continues the earlier evaluation.",
        show_default="until the estimates agree",
    )
    split: Split | None = _option(  # noqa: RUF009
        None, "Part of the run's data.", show_default="test, or held-out"
    )
    data: str | None = _option(None, "Other rows.", show_default="the run's own")
    rows: int | None = _option(
        None,
        "Use a random subset of this many rows.",
        min=1,
        show_default="all; 100,000 of more than 64 MB of rows on disk",
    )
    binarize: str | None = _option(
        None,
        "A threshold (for grey pictures, a fraction of white), or `stochastic`.",
        show_default="as in training, or 0.5 if training used grey values",
    )
    seed: int = _option(defaults.SEED, "Seed.", min=0)

    def __post_init__(self) -> None:
        """Reject what contradicts itself, before anything is read."""
        super().__post_init__()
        self.refuse_identity()
        if self.data is not None and self.split is not None:
            raise ValueError(f"`data` names other rows, and `split` is {self.split}; leave one out")
        self.seconds  # noqa: B018

    @property
    def seconds(self) -> float | None:
        """The budget: ``90``, ``90s``, ``10m`` or ``1.5h``."""
        if self.budget is None:
            return None
        found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?([smh]?)", self.budget.strip().lower())
        seconds = float(found[1]) * _SECONDS[found[2]] if found else 0.0
        if not 0 < seconds < math.inf:
            raise ValueError(
                f"`budget` is {self.budget!r}; pass a time to spend, such as 90s, 10m or 2h"
            )
        return seconds


@dataclass(frozen=True)
class DiagnosisOptions(_Limited):
    """The chains of a diagnosis."""

    sweeps: int = _option(
        defaults.DIAGNOSE_SWEEPS, "Sweeps of each chain; the first half is burn-in.", min=16
    )
    chains: int = _option(
        defaults.DIAGNOSE_CHAINS,
        "Number of chains, half of them from data and half from random states.",
        min=1,
    )
    seed: int = _option(defaults.SEED, "Seed.", min=0)


@dataclass(frozen=True)
class FidelityOptions(_Limited):
    """How samples are drawn, and which others are measured beside them."""

    samples: str | None = _option(
        None,
        "A file with samples of another model to measure beside the run's own; as NAME=FILE it is "
        "called NAME.",
        show_default="none",
        lists_columns=True,
    )
    rows: int = _option(
        defaults.FIDELITY_ROWS, "Samples to draw, and most rows of each set to compare.", min=2
    )
    warmup: int = _option(defaults.SAMPLE_WARMUP, "Sweeps before a sample is taken.", min=0)
    start: RowlessStart = _option(  # noqa: RUF009
        "random",
        "Start at random states, at the chains saved by training (if these are fewer than `rows`, "
        "each is sampled repeatedly, `warmup` sweeps apart), or near equilibrium: after annealing "
        "from independent units to the model (annealed), or after a tempered burn-in (tempered).",
    )
    sampler: SamplerName = _option(  # noqa: RUF009
        "gibbs", "How chains move, as for `harmonium sample`."
    )
    pairwise: bool = _option(
        False,
        "Also fit a pairwise maximum-entropy model, and evaluate held-out rows by it, by "
        "independent units and by the model (two-valued units, up to 100; takes minutes).",
    )
    seed: int = _option(defaults.SEED, "Random seed.", min=0)
    out: Path | None = _option(  # noqa: RUF009
        None, "The folder to write.", show_default="RUN/fidelity, or -2, ..."
    )

    @property
    def sampling(self) -> SamplingOptions:
        """The same, as options of a sample of each chain."""
        return SamplingOptions(
            chains=self.rows,
            samples=1,
            warmup=self.warmup,
            start=self.start,
            sampler=self.sampler,
            seed=self.seed,
        )


@dataclass(frozen=True)
class PlottingOptions(_Limited):
    """How much is drawn."""

    filters: int = _option(100, "Filters to show per layer.", min=1)
    logos: int | None = _option(
        None,
        "Draw sequence logos of this many hidden units, those of the largest weights, and nothing "
        "else.",
        min=1,
        show_default="none",
    )


@dataclass(frozen=True)
class ContactOptions(_Limited):
    """How couplings become contacts, and what these are compared with."""

    distances: Path | None = _option(  # noqa: RUF009
        None,
        "A file of distances in a structure: lines of two sites, from 1, and last the distance in "
        "Å; gives the precision of the prediction.",
        show_default="none",
    )
    others: str | None = _option(
        None,
        "Another run of the same alignment, such as with another seed; couplings are averaged over "
        "all runs.",
        show_default="none",
        lists_columns=True,
    )
    cut_off: float = _option(8.0, "Sites nearer than this are in contact, Å.")
    separation: int = _option(
        5, "Only pairs that are more than so many sites apart are predicted.", min=0
    )
    method: CouplingMethod = _option(  # noqa: RUF009
        "exact",
        "How couplings are averaged over other sites: as they are (exact), by the central limit "
        "theorem (gaussian), or to second order around the run's sequences (second-order).",
    )
    background: Background = _option(  # noqa: RUF009
        "uniform",
        "The letters of the other sites: all alike (uniform), or as frequent as in the run's data "
        "(data).",
    )
    gaps: bool = _option(False, "Whether couplings of gaps count.")
    out: Path | None = _option(  # noqa: RUF009
        None, "The .csv file to write.", show_default="RUN/contacts.csv, or -2, ..."
    )

    def __post_init__(self) -> None:
        """Reject a distance that is none, before anything is read."""
        super().__post_init__()
        if not 0 < self.cut_off < math.inf:
            raise ValueError(
                f"`cut_off` is {self.cut_off:g}; pass a positive distance in Å, such as 8"
            )
        if self.method == "second-order" and self.background == "data":
            raise ValueError(
                "`method='second-order'` is about sequences of the data already; leave out "
                "`background='data'`"
            )


@dataclass(frozen=True)
class ScoringOptions(_Limited):
    """A wild type, and which of its mutants are scored."""

    wild_type: str | None = _option(
        None,
        "The wild type: the name of a sequence of the run's alignment, or a FASTA file of one "
        "sequence, which is aligned to the family if it is not.",
        show_default="must be given",
    )
    mutants: Path | None = _option(  # noqa: RUF009
        None,
        "A .csv file with a column of mutants such as A24C, or A24C:L30F.",
        show_default="all single mutants",
    )
    column: str | None = _option(
        None, "The column of the mutants.", show_default="mutant, or the first that holds mutants"
    )
    measured: str | None = _option(
        None,
        "A column of measurements, whose rank correlation with the scores is computed.",
        show_default="none",
    )
    first: int | None = _option(
        None,
        "Position of the wild type's first letter.",
        min=1,
        show_default="as a name such as NAME/74-273 says, or 1",
    )
    out: Path | None = _option(  # noqa: RUF009
        None, "The .csv file to write.", show_default="RUN/mutants.csv, or -2, ..."
    )

    def __post_init__(self) -> None:
        """Reject options that lack another one, before anything is read."""
        super().__post_init__()
        if self.wild_type is None:
            raise ValueError(
                "`wild_type` is missing; pass the name of a sequence of the run's alignment, or a "
                "FASTA file of one sequence"
            )
        for name in ("column", "measured"):
            if getattr(self, name) is not None and self.mutants is None:
                raise ValueError(f"`{name}` is a column of `mutants`, which are missing; pass both")


def _split() -> Any:
    return _option(
        None,
        "Part of a named set: train, validation, test or all.",
        show_default="test, or all rows of a file",
    )


def _out(shown: str) -> Any:
    return _option(None, "A .csv or .npz file.", show_default=f"{shown}, or -2, ...")


@dataclass(frozen=True)
class PredictionOptions:
    """Which of the rows are predicted, and where predictions are written."""

    split: str | None = _split()
    out: Path | None = _out("RUN/predictions.csv")  # noqa: RUF009


@dataclass(frozen=True)
class EncodingOptions:
    """Which of the rows are encoded, and where codes are written."""

    split: str | None = _split()
    out: Path | None = _out("RUN/codes.npz")  # noqa: RUF009


@dataclass(frozen=True)
class DecodingOptions:
    """Where decoded rows are written."""

    out: Path | None = _out("RUN/decoded.npz")  # noqa: RUF009
