"""The options of a training run, defined once: names, types, defaults, limits and help.

The command line's flags and help, ``config.json`` and the checks are all made from this table.
Nothing heavy is imported here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from harmonium import defaults
from harmonium.runs.choices import (
    SamplerName,
    UnitName,
    VisibleName,
    numbers_in,
    option,
    refuse_temperatures,
)
from harmonium.runs.fitting_units import refuse_units
from harmonium.runs.rows import RowsOptions, WeightingOptions


@dataclass(frozen=True)
class _ModelOptions:
    """What is learned from, and by what; dataclasses put the fields of the last base first."""

    data: str = field(
        default="digits",
        metadata={
            "metavar": "DATA",
            "help": "A named data set (harmonium data list); a file: .csv or other text, .npy, "
            ".npz, .parquet, .mat, .h5, .h5ad, IDX, mnist.pkl.gz; genomes: .hapt, .vcf, .bed; "
            "alignments: FASTA, A2M, A3M, Stockholm; or a run, whose hidden units are then the "
            "data.",
        },
    )
    visible: VisibleName = option(  # noqa: RUF009
        "auto",
        "Type of the visible units; `auto` chooses binary units for pictures, zeros and ones, "
        "and probabilities, categorical units for alignments, and Gaussian units for other tables; "
        "`counts` learns topics from counts of words (replicated softmax).",
        panel="Model",
    )
    hidden: int = option(defaults.N_HIDDEN, "Number of hidden units.", panel="Model")
    hidden_units: str = option(
        "binary",
        "Type of the hidden units: binary, spin, gaussian, relu, drelu (double ReLU), categorical, "
        "or a registered type (`harmonium.units.register`).",
        panel="Model",
    )
    hidden_categories: int | None = option(
        None, "Number of states of each categorical hidden unit.", panel="Model"
    )
    trials: int | None = option(
        None,
        "The largest possible count of each binomial visible unit.",
        panel="Model",
        shown="the largest value",
    )
    learn_precision: bool = option(
        False,
        "Learn the precision (inverse variance) of Gaussian, ReLU and dReLU units; otherwise it is "
        "1.",
        panel="Model",
    )
    weight_std: float = option(
        defaults.WEIGHT_STD, "Standard deviation of the initial weights.", panel="Model"
    )
    image_shape: str | None = option(
        None,
        "HEIGHTxWIDTH of rows that are pictures, such as 28x28, if the file does not say; grey "
        "values are then scaled to 0 to 1.",
        panel="Data",
    )
    white: float | None = option(
        None,
        "The grey value that means white in pictures.",
        panel="Data",
        shown="255, or the largest value if that is far below 255",
    )
    categories: str | None = option(
        None,
        "The values of categorical visible units, such as 1,2,3,4,5.",
        panel="Data",
        shown="those that occur",
    )
    binarize: str | None = option(
        None,
        "A threshold (for grey pictures, a fraction of white); or `stochastic`: treat grey "
        "values as probabilities and draw new states every epoch; or `none`: use the "
        "probabilities themselves.",
        panel="Data",
        shown=f"{defaults.THRESHOLD} for grey pictures of binary or spin units",
    )
    standardize: bool | None = option(
        None,
        "Scale every column to mean 0 and variance 1.",
        panel="Data",
        shown="with Gaussian visible units",
    )
    held_out: float = option(
        defaults.HELD_OUT,
        "Fraction of a file's rows to hold out from training and monitor; named sets have "
        "their own split.",
        panel="Data",
    )
    validation: bool = option(
        False,
        "Hold out the validation rows of a named set and monitor them. Without this option they "
        "are training rows too, and the test rows are monitored, without any influence on "
        "training.",
        panel="Data",
    )
    rows: int | None = option(
        None,
        "Use a random subset of this many training rows; if rows have labels, equally many of "
        "each class.",
        panel="Data",
        shown="all",
    )


@dataclass(frozen=True)
class TrainingOptions(WeightingOptions, RowsOptions, _ModelOptions):
    """All options that determine what is learned and how; they fix every bit of a run."""

    method: Literal["pcd", "cd"] | None = option(
        None,
        "Persistent contrastive divergence (pcd), or contrastive divergence (cd), whose "
        "chains start at the data in each update.",
        panel="Training",
        shown="pcd, but cd with `visible='counts'`",
    )
    sweeps: int | None = option(
        None,
        "Gibbs sweeps per update: the k of CD-k and PCD-k.",
        panel="Training",
        shown=f"{defaults.SWEEPS}; {defaults.TOPIC_SWEEPS} with `visible='counts'`",
    )
    final_sweeps: int | None = option(
        None,
        f"Sweeps per update in the last {defaults.FINAL_SHARE:.0%} of the updates, when "
        "chains mix slowly.",
        panel="Training",
        shown=f"{defaults.FINAL_SWEEPS} or `sweeps`; `sweeps` with cd or other samplers",
    )
    sampler: SamplerName = option(  # noqa: RUF009
        "gibbs",
        "How chains move: by Gibbs sweeps alone (gibbs), by sweeps at several temperatures that "
        "swap states (tempering), which multiplies the work by their number, or by sweeps and "
        "swaps with earlier models of the same training (trajectory), which keeps the mass of each "
        "cluster right for two to three times the work.",
        panel="Training",
    )
    temperatures: int | None = option(
        None,
        "Number of temperatures for `sampler='tempering'`.",
        panel="Training",
        shown="as many as half of the swaps need",
    )
    chains: int | None = option(
        None,
        "Number of persistent chains.",
        panel="Training",
        shown=f"`batch_size` if given, else {defaults.N_CHAINS}",
    )
    missing: Literal["random", "observed"] = option(
        "random",
        "What is assumed of missing values: that they are missing at random (random), so that each "
        "update draws them given the rest of the row; or nothing (observed): each row has a model "
        "of its observed columns alone, as for ratings, which takes `method='cd'`.",
        panel="Training",
    )
    gradient: Literal["centered", "plain"] = option(
        "centered", "Centred or plain gradient.", panel="Training"
    )
    learning_rate: float | None = option(
        None,
        "Initial learning rate.",
        panel="Training",
        shown=f"{defaults.FALLING_LEARNING_RATE}; {defaults.HALF_LINES_LEARNING_RATE} with ReLU or "
        f"dReLU hidden units; {defaults.LEARNING_RATE} with a constant rate, Gaussian units, or an "
        "optimiser other than sgd",
    )
    schedule: Literal["constant", "linear"] = option(
        defaults.SCHEDULE,
        "Keep the learning rate constant, or let it fall linearly to zero.",
        panel="Training",
    )
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"] = option(
        "sgd", "Optimiser.", panel="Training"
    )
    momentum: float = option(defaults.MOMENTUM, "Momentum of sgd.", panel="Training")
    batch_size: int | None = option(
        None,
        "Rows per mini-batch.",
        panel="Training",
        shown=f"{defaults.BATCH_SIZE}, or all rows if there are fewer",
    )
    epochs: int | None = option(
        None,
        "Passes over the training rows.",
        panel="Training",
        shown=f"about {defaults.N_UPDATES:,} updates, but {defaults.MOST_EPOCHS} epochs at most",
    )
    l1: float = option(defaults.RUN_L1, "L1 penalty on the weights.", panel="Training")
    l2: float = option(defaults.RUN_L2, "L2 penalty on the weights.", panel="Training")
    l1b: float = option(
        defaults.L1B,
        "Penalty on the square of each hidden unit's sum of |weights|: few weights, and none to "
        "spare for a unit that has many (0.25 in the literature on proteins).",
        panel="Training",
    )
    group_lasso: float = option(
        defaults.GROUP_LASSO,
        "Penalty on the norm of the weights between each visible and each hidden unit, which makes "
        "many exactly 0; start with a larger `weight_std`, or it holds all of them there.",
        panel="Training",
    )
    sparsity_target: float | None = option(
        defaults.SPARSITY_TARGET, "Target mean activation of binary hidden units.", panel="Training"
    )
    sparsity_cost: float = option(
        defaults.SPARSITY_COST, "Strength of the sparsity penalty.", panel="Training"
    )
    average: float = option(
        defaults.RUN_AVERAGE_DECAY,
        "Decay of an exponential moving average of the parameters, which becomes the model; 0 "
        "for none.",
        panel="Training",
    )
    seed: int = option(defaults.SEED, "Random seed.", panel="Training")
    n_classes: int | None = None  # of label units, which only the top layer of a network can have
    stratified: bool = True  # the same fraction of each class is held out

    @classmethod
    def from_config(cls, options: Mapping[str, Any]) -> Self:
        """The options with which a run was started."""
        # runs whose configuration lacks this option were split without regard to labels
        return cls(**{"stratified": False, **options})

    def __post_init__(self) -> None:
        """Reject options that cannot be trained with, before any data are read."""
        counts = ("hidden", "sweeps", "final_sweeps", "batch_size", "chains", "epochs", "rows")
        for name in counts:
            self._refuse_below(1, name)
        self._refuse_below(1, "trials")
        self._refuse_below(2, "hidden_categories")
        refuse_temperatures(self.temperatures, self.sampler)
        self.refuse_identity()
        decay = ("l1", "l2", "l1b", "group_lasso")
        for name in ("learning_rate", "weight_std", *decay, "sparsity_cost"):
            self._refuse_below(0, name)
        if not 0 <= self.seed < 2**64:
            raise ValueError(f"`seed` is {self.seed}; pass a whole number from 0 to 2**64 - 1")
        if not 0 <= self.held_out < 1:
            raise ValueError(f"`held_out` is {self.held_out}; pass a share from 0 to below 1")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` is {self.momentum}; pass a number from 0 to below 1")
        if not 0 <= self.average < 1:
            raise ValueError(
                f"`average` is {self.average}; pass a decay from 0, for no average, to below 1"
            )
        if self.sparsity_target is not None and not 0 < self.sparsity_target < 1:
            raise ValueError(
                f"`sparsity_target` is {self.sparsity_target}; pass a number between 0 and 1"
            )
        if (self.sparsity_target is None) != (self.sparsity_cost == 0):
            raise ValueError(
                "`sparsity_target` and `sparsity_cost` go together; pass both or neither"
            )
        if self.sparsity_target is not None and self.hidden_units != "binary":
            raise ValueError(
                "`sparsity_target` is for binary hidden units, and `hidden_units` is "
                f"{self.hidden_units}; leave one out"
            )
        if self.method == "cd" and self.chains is not None:
            raise ValueError(
                "`chains` is for persistent chains: with `method='cd'` there is one chain per "
                "row of the mini-batch; leave `chains` out, or take `method='pcd'`"
            )
        if self.method == "cd" and self.sampler != "gibbs":
            raise ValueError(
                f"`sampler={self.sampler!r}` is for persistent chains, and `method` is cd, which "
                "restarts chains in each update; take `method='pcd'`, or `sampler='gibbs'`"
            )
        if self.missing == "observed" and self.method != "cd":
            raise ValueError(
                "with `missing='observed'` every row has a model of its own, of its observed "
                "columns, and chains that persist belong to none of them; take `method='cd'`"
            )
        if self.final_sweeps is not None and self.sampler != "gibbs":
            raise ValueError(
                f"`final_sweeps` is for `sampler='gibbs'`, and `sampler` is {self.sampler}; leave "
                "it out"
            )
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"`momentum` is for sgd, and `optimizer` is {self.optimizer}; leave one of them out"
            )
        refuse_units(self)
        if self.white is not None and not (math.isfinite(self.white) and self.white > 0):
            raise ValueError(f"`white` is {self.white}; pass a positive number, such as 255")
        self._check_hidden_units()
        self.threshold  # noqa: B018
        self.height_and_width  # noqa: B018
        self.named_categories  # noqa: B018

    def _check_hidden_units(self) -> None:
        """Reject a unit type that is neither built in nor registered by the user."""
        units = sys.modules.get("harmonium.units")  # if it was never imported, none are registered
        own = list(units.registered()) if units else []
        known = [*get_args(UnitName), *own]
        if self.hidden_units not in known:
            raise ValueError(
                f"`hidden_units` is {self.hidden_units!r}; pass one of {', '.join(known)}, or "
                "register this class first (`harmonium.units.register`)"
            )

    def _refuse_below(self, least: int, name: str) -> None:
        value = getattr(self, name)
        if value is not None and not (math.isfinite(value) and value >= least):
            more = f"{least} or more" if least else "0 or a positive number"
            raise ValueError(f"`{name}` is {value}; pass {more}")

    @property
    def rate(self) -> float:
        """The initial learning rate; for options whose defaults have been filled in."""
        assert self.learning_rate is not None
        return self.learning_rate

    @property
    def threshold(self) -> float | None:
        """The threshold in ``binarize``, if it holds one."""
        if self.binarize in (None, "none", "stochastic"):
            return None
        try:
            threshold = float(self.binarize)
        except ValueError:
            threshold = math.nan
        if not math.isfinite(threshold):
            raise ValueError(
                f"`binarize` is {self.binarize!r}; pass a threshold such as 0.5, `stochastic`, or "
                "`none`"
            )
        return threshold

    @property
    def named_categories(self) -> tuple[float, ...] | None:
        """The numbers in ``categories``, ascending."""
        remedy = "two or more numbers separated by commas"
        return numbers_in("categories", self.categories, remedy)

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """The height and width in ``image_shape``."""
        if self.image_shape is None:
            return None
        height, _, width = self.image_shape.partition("x")
        if not (height.isdecimal() and width.isdecimal()):
            raise ValueError(
                f"`image_shape` is {self.image_shape!r}; pass HEIGHTxWIDTH, such as 28x28"
            )
        return int(height), int(width)


def as_in_training(name: str, default: Any = None, *, shown: str | None = None) -> Any:
    """The same option in another table, perhaps with a default of its own."""
    like = TrainingOptions.__dataclass_fields__[name]
    metadata = dict(like.metadata) | ({} if shown is None else {"show_default": shown})
    return field(default=like.default if default is None else default, metadata=metadata)
