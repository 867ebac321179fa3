"""The options of a training run, once: names, types, defaults, limits and help.

The command line's flags, its help, ``config.json`` and the checks are all made from this table.
Nothing heavy is imported here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from harmonium import defaults
from harmonium.runs.rows import OF_ROWS, copied

UnitName = Literal["binary", "spin", "gaussian", "categorical"]
VisibleName = Literal["auto", "binary", "spin", "gaussian", "categorical"]
NetworkKind = Literal["classifier", "regressor", "autoencoder"]
Start = Literal["data", "random", "chains", "annealed", "tempered"]
SamplerName = Literal["gibbs", "tempering"]
CompletionName = Literal["pseudo-gibbs", "metropolis"]


def _option(default: Any, help_text: str, *, panel: str, shown: str | None = None) -> Any:
    """A field with its help; ``shown`` says in words what the default None stands for."""
    show_default = shown or default is not None
    metadata = {"help": help_text, "rich_help_panel": panel, "show_default": show_default}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainingOptions:
    """Everything a user can choose about what is learned and how; it decides every bit of a run."""

    data: str = field(
        default="digits",
        metadata={
            "metavar": "DATA",
            "help": "A named data set (harmonium data list); a file: .csv or other text, .npy, "
            ".npz, .parquet, .mat, IDX, mnist.pkl.gz; or a run, whose hidden units are the data.",
        },
    )
    visible: VisibleName = _option(  # noqa: RUF009
        "auto",
        "Type of the visible units; `auto` takes binary ones for pictures, zeros and ones and "
        "probabilities, and Gaussian ones for other tables.",
        panel="Model",
    )
    hidden: int = _option(defaults.N_HIDDEN, "Number of hidden units.", panel="Model")
    hidden_units: str = _option(
        "binary",
        "Type of the hidden units: binary, spin, gaussian, categorical, or one that is registered "
        "(`harmonium.units.register`).",
        panel="Model",
    )
    hidden_categories: int | None = _option(
        None, "States of each hidden unit, where these are categorical.", panel="Model"
    )
    learn_precision: bool = _option(
        False, "Learn the precision of Gaussian units; otherwise it is 1.", panel="Model"
    )
    weight_std: float = _option(
        defaults.WEIGHT_STD, "Standard deviation of the weights at the start.", panel="Model"
    )
    image_shape: str | None = _option(
        None,
        "HEIGHTxWIDTH of rows that are pictures, such as 28x28, where the file does not say; grey "
        "values are then scaled to 0 to 1.",
        panel="Data",
    )
    white: float | None = _option(
        None,
        "The grey value of pictures that is white.",
        panel="Data",
        shown="255, or the largest value where that is far below",
    )
    categories: str | None = _option(
        None,
        "The values of categorical visible units, such as 1,2,3,4,5.",
        panel="Data",
        shown="those that occur",
    )
    binarize: str | None = _option(
        None,
        "A threshold (for grey pictures as a share of white); or `stochastic`: grey values are "
        "probabilities, drawn anew every epoch; or `none`: they are used as probabilities.",
        panel="Data",
        shown=f"{defaults.THRESHOLD} for grey pictures of binary or spin units",
    )
    standardize: bool | None = _option(
        None,
        "Scale every column to mean 0 and variance 1.",
        panel="Data",
        shown="with Gaussian visible units",
    )
    held_out: float = _option(
        defaults.HELD_OUT,
        "Share of a file's rows to watch and not train on; named sets have their own.",
        panel="Data",
    )
    validation: bool = _option(
        False,
        "Watch the validation rows of a named set, and do not train on them. Without it training "
        "takes them, too, and watches the test rows, which decide nothing.",
        panel="Data",
    )
    rows: int | None = _option(
        None,
        "Learn from so many training rows alone, drawn at random; where rows have labels, as many "
        "of each class.",
        panel="Data",
        shown="all",
    )
    label: str | None = copied("label")
    target: str | None = copied("target")
    drop: str | None = copied("drop")
    header: bool | None = copied("header")
    array: str | None = copied("array")
    labels_file: str | None = copied("labels_file")
    validation_data: str | None = copied("validation_data")
    test_data: str | None = copied("test_data")
    method: Literal["pcd", "cd"] = _option(
        "pcd",
        "Persistent chains (pcd), or chains that start at the data in each update (cd).",
        panel="Training",
    )
    sweeps: int = _option(
        defaults.SWEEPS, "Gibbs sweeps an update: the k of CD-k and PCD-k.", panel="Training"
    )
    final_sweeps: int | None = _option(
        None,
        f"Sweeps in the last {defaults.FINAL_SHARE:.0%} of the updates, when chains mix slowly.",
        panel="Training",
        shown=f"{defaults.FINAL_SWEEPS} or `sweeps`; `sweeps` with cd or tempering",
    )
    sampler: SamplerName = _option(  # noqa: RUF009
        "gibbs",
        "How chains move: Gibbs sweeps, or these at several temperatures that swap their states "
        "(tempering), which costs as many times the work and mixes modes that are far apart.",
        panel="Training",
    )
    temperatures: int | None = _option(
        None,
        "Temperatures of `sampler='tempering'`.",
        panel="Training",
        shown="as many as half of the swaps need",
    )
    chains: int | None = _option(
        None,
        "Persistent chains.",
        panel="Training",
        shown=f"as many as `batch_size`, if that is given, else {defaults.N_CHAINS}",
    )
    gradient: Literal["centered", "plain"] = _option(
        "centered", "Centred or plain gradient.", panel="Training"
    )
    learning_rate: float | None = _option(
        None,
        "Learning rate, at the start.",
        panel="Training",
        shown=f"{defaults.FALLING_LEARNING_RATE}; {defaults.LEARNING_RATE} if it does not fall, or "
        "with Gaussian units or another optimiser than sgd",
    )
    schedule: Literal["constant", "linear"] = _option(
        defaults.SCHEDULE,
        "Keep the learning rate, or let it fall linearly to zero.",
        panel="Training",
    )
    optimizer: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad"] = _option(
        "sgd", "Optimiser.", panel="Training"
    )
    momentum: float = _option(defaults.MOMENTUM, "Momentum of sgd.", panel="Training")
    batch_size: int | None = _option(
        None,
        "Rows a minibatch.",
        panel="Training",
        shown=f"{defaults.BATCH_SIZE}, or all rows where these are fewer",
    )
    epochs: int | None = _option(
        None,
        "Passes over the training rows.",
        panel="Training",
        shown=f"about {defaults.N_UPDATES:,} updates, but {defaults.MOST_EPOCHS} epochs at most",
    )
    l1: float = _option(defaults.RUN_L1, "L1 penalty on the weights.", panel="Training")
    l2: float = _option(defaults.RUN_L2, "L2 penalty on the weights.", panel="Training")
    sparsity_target: float | None = _option(
        defaults.SPARSITY_TARGET, "Mean activity to draw binary hidden units to.", panel="Training"
    )
    sparsity_cost: float = _option(
        defaults.SPARSITY_COST, "Strength of that pull.", panel="Training"
    )
    average: float = _option(
        defaults.RUN_AVERAGE_DECAY,
        "Keep an exponential moving average of the parameters with this decay, which becomes the "
        "model; 0 for none.",
        panel="Training",
    )
    seed: int = _option(defaults.SEED, "Seed of everything that is random.", panel="Training")
    n_classes: int | None = None  # of label units, which the top layer of a network alone can have
    stratified: bool = True  # the same share of each class is held out

    @classmethod
    def from_config(cls, options: Mapping[str, Any]) -> Self:
        """The options that a run was begun with."""
        # splits did not look at labels when runs did not say so
        return cls(**{"stratified": False, **options})

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, before any data are read."""
        counts = ("hidden", "sweeps", "final_sweeps", "batch_size", "chains", "epochs", "rows")
        for name in counts:
            self._refuse_below(1, name)
        self._refuse_below(2, "hidden_categories")
        refuse_temperatures(self.temperatures, self.sampler)
        for name in ("learning_rate", "weight_std", "l1", "l2", "sparsity_cost"):
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
                "`chains` is for persistent chains: with `method='cd'` there is one chain a row of "
                "the minibatch; leave `chains` out, or take `method='pcd'`"
            )
        if self.method == "cd" and self.sampler == "tempering":
            raise ValueError(
                "`sampler='tempering'` is for persistent chains, and `method` is cd, which starts "
                "chains anew in each update; take `method='pcd'`, or `sampler='gibbs'`"
            )
        if self.final_sweeps is not None and self.sampler == "tempering":
            raise ValueError(
                "`final_sweeps` is for `sampler='gibbs'`, and `sampler` is tempering; leave it out"
            )
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"`momentum` is for sgd, and `optimizer` is {self.optimizer}; leave one of them out"
            )
        if (self.hidden_categories is None) != (self.hidden_units != "categorical"):
            raise ValueError(
                "`hidden_categories` and `hidden_units='categorical'` go together; pass both or "
                "neither"
            )
        if self.learn_precision and not {"gaussian", "auto"} & {self.visible, self.hidden_units}:
            raise ValueError("`learn_precision` is for Gaussian units; this model has none")
        if self.binarize not in (None, "none") and self.visible not in (
            *("binary", "spin", "auto"),
        ):
            raise ValueError(
                f"`binarize` makes binary states, and `visible` is {self.visible}; leave one out"
            )
        if self.standardize and self.visible not in ("gaussian", "auto"):
            raise ValueError(
                f"`standardize` is for Gaussian visible units, and `visible` is {self.visible}; "
                "leave one out"
            )
        if self.categories is not None and self.visible != "categorical":
            raise ValueError(
                f"`categories` is for categorical visible units, and `visible` is {self.visible}; "
                "leave it out, or take `visible='categorical'`"
            )
        if self.white is not None and not (math.isfinite(self.white) and self.white > 0):
            raise ValueError(f"`white` is {self.white}; pass a positive number, such as 255")
        self._check_hidden_units()
        self.threshold  # noqa: B018
        self.height_and_width  # noqa: B018
        self.named_categories  # noqa: B018

    def _check_hidden_units(self) -> None:
        """Refuse a type that is neither the library's nor registered by a file of the user's."""
        units = sys.modules.get("harmonium.units")  # where nobody imported it, nobody registered
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
        """The learning rate at the start, of options that have been completed."""
        assert self.learning_rate is not None
        return self.learning_rate

    @property
    def threshold(self) -> float | None:
        """The number that ``binarize`` gives, if it gives one."""
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
        """The numbers that ``categories`` gives, ascending."""
        if self.categories is None:
            return None
        try:
            named = sorted({float(name) for name in self.categories.split(",")})
        except ValueError:
            named = []
        if len(named) < 2 or not all(map(math.isfinite, named)):
            raise ValueError(
                f"`categories` is {self.categories!r}; pass two or more numbers separated by "
                "commas, such as 1,2,3,4,5"
            )
        return tuple(named)

    @property
    def height_and_width(self) -> tuple[int, int] | None:
        """The numbers that ``image_shape`` gives."""
        if self.image_shape is None:
            return None
        height, _, width = self.image_shape.partition("x")
        if not (height.isdecimal() and width.isdecimal()):
            raise ValueError(
                f"`image_shape` is {self.image_shape!r}; pass HEIGHTxWIDTH, such as 28x28"
            )
        return int(height), int(width)


@dataclass(frozen=True)
class WatchingOptions:
    """How a run is watched and kept; none of it changes a bit of what is learned."""

    every: int | None = _option(
        None,
        "Updates from one row of numbers to the next.",
        panel="Watching",
        shown=f"whole epochs, {defaults.MIN_UPDATES_PER_ROW} updates or more; 30 of short runs",
    )
    checkpoint_every: float = _option(
        defaults.CHECKPOINT_SECONDS, "Seconds from one checkpoint to the next.", panel="Watching"
    )
    log_likelihood: bool = _option(
        True, "Follow log Z, for log-likelihoods in nats.", panel="Watching"
    )
    figures: bool = _option(True, "Draw pictures.", panel="Watching")
    tensorboard: bool | None = _option(
        None, "Write TensorBoard event files.", panel="Watching", shown="if it is installed"
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be kept to."""
        if self.every is not None and self.every < 1:
            raise ValueError(f"`every` is {self.every}; pass 1 or more updates")
        if not self.checkpoint_every >= 0:
            raise ValueError(
                f"`checkpoint_every` is {self.checkpoint_every:g}; pass 0 or more seconds"
            )


@dataclass(frozen=True)
class FinetuningOptions:
    """Everything a user can choose about fine-tuning; it decides every bit of the network."""

    kind: NetworkKind = _option(  # noqa: RUF009
        "classifier",
        "What becomes of the stack: a classifier of labels, a regressor of targets, or an "
        "autoencoder, which needs neither.",
        panel="Model",
    )
    from_scratch: bool = _option(
        False, "Start from random weights, not from what pretraining has made.", panel="Model"
    )
    layers: str | None = _option(
        None,
        "Hidden units of each layer, such as 500,500,2000, where DATA take the place of a RUN; "
        "their weights are random at first.",
        panel="Model",
        shown="none: logistic or linear regression",
    )
    visible: Literal["binary", "gaussian"] | None = _option(
        None,
        "What the columns of DATA are: shares from 0 to 1 (binary), or any numbers (gaussian).",
        panel="Model",
        shown="what they look like",
    )
    dropout_inputs: float = _option(0.0, "Share of the columns to drop.", panel="Model")
    dropout_hidden: float = _option(0.0, "Share of the hidden units to drop.", panel="Model")
    max_norm: float | None = _option(
        None, "Largest length of the weights into one unit.", panel="Model", shown="any"
    )
    image_shape: str | None = _option(
        None, "HEIGHTxWIDTH of rows of DATA that are pictures, such as 28x28.", panel="Data"
    )
    white: float | None = _option(
        None,
        "The grey value of pictures of DATA that is white.",
        panel="Data",
        shown="255, or the largest value where that is far below",
    )
    binarize: str | None = _option(
        None,
        "Another binarisation than that of pretraining, as in `harmonium train`: `none` takes grey "
        "values.",
        panel="Data",
        shown="as in pretraining, or none",
    )
    standardize: bool | None = _option(
        None,
        "Scale every column of DATA to mean 0 and variance 1.",
        panel="Data",
        shown="with `visible='gaussian'`",
    )
    held_out: float | None = _option(
        None,
        "Share of the rows of a file to hold out; named sets have their own.",
        panel="Data",
        shown=f"{defaults.HELD_OUT}",
    )
    rows: int | None = _option(
        None,
        "Learn from so many training rows alone, drawn at random, as many of each class.",
        panel="Data",
        shown="all",
    )
    validation: bool = _option(
        True,
        "Hold out the validation rows of a named set, or those that pretraining held out, to "
        "choose the best network and to stop.",
        panel="Data",
    )
    label: str | None = copied("label")
    target: str | None = copied("target")
    drop: str | None = copied("drop")
    header: bool | None = copied("header")
    array: str | None = copied("array")
    labels_file: str | None = copied("labels_file")
    validation_data: str | None = copied("validation_data")
    test_data: str | None = copied("test_data")
    epochs: int | None = _option(
        None,
        "Epochs, at most.",
        panel="Training",
        shown=f"about {defaults.FINETUNING_UPDATES:,} updates, but "
        f"{defaults.FINETUNING_MOST_EPOCHS} epochs at most",
    )
    batch_size: int | None = _option(
        None,
        "Rows a minibatch.",
        panel="Training",
        shown=f"{defaults.BATCH_SIZE}, or all rows where these are fewer",
    )
    optimizer: Literal["sgd", "adam"] = _option("sgd", "Optimiser.", panel="Training")
    learning_rate: float | None = _option(
        None,
        "Learning rate.",
        panel="Training",
        shown=f"{defaults.FINETUNING_RATE} for sgd, {defaults.FINETUNING_ADAPTIVE_RATE} for adam",
    )
    momentum: float = _option(defaults.MOMENTUM, "Momentum of sgd.", panel="Training")
    schedule: Literal["constant", "linear"] = _option(
        "linear", "Whether the learning rate falls to zero at the last epoch.", panel="Training"
    )
    head_epochs: int = _option(
        0,
        "Epochs at first that train the last layer alone; pays where labels are few.",
        panel="Training",
    )
    weight_decay: float = _option(0.0, "Pull of the weights towards zero.", panel="Training")
    patience: str | None = _option(
        None,
        "Epochs without improvement on held-out rows after which to stop; or `classic`: 5,000 "
        "updates, and twice as many as were made at the last improvement by half a per cent.",
        panel="Training",
        shown=f"{defaults.PATIENCE} with a constant rate, else none",
    )
    seed: int = _option(defaults.SEED, "Seed of everything that is random.", panel="Training")

    def __post_init__(self) -> None:
        """Refuse what no network can be trained with, before any data are read."""
        for name in ("epochs", "batch_size", "rows"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"`{name}` is {value}; pass 1 or more")
        if self.head_epochs < 0:
            raise ValueError(f"`head_epochs` is {self.head_epochs}; pass 0 or more")
        if self.patience not in (None, "classic") and not self.epochs_of_patience:
            raise ValueError(f"`patience` is {self.patience}; pass 1 or more epochs, or `classic`")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"`momentum` is for sgd, and `optimizer` is {self.optimizer}; leave one of them out"
            )
        if self.patience is not None and not self.validation:
            raise ValueError(
                "`patience` looks at held-out rows, and `validation=False` trains on them; leave "
                "one of them out"
            )

    @property
    def epochs_of_patience(self) -> int | None:
        """The number that ``patience`` gives, if it gives one; 0 where it is none."""
        if self.patience in (None, "classic"):
            return None
        return int(self.patience) if self.patience.isdecimal() else 0

    @property
    def of_data(self) -> dict[str, Any]:
        """The options that say how to read DATA, by the names that `TrainingOptions` have."""
        names = ("visible", "image_shape", "white", "standardize", "held_out", *OF_ROWS)
        chosen = {name: getattr(self, name) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def rate(self) -> float:
        """The learning rate at the start."""
        if self.learning_rate is not None:
            return self.learning_rate
        sgd = self.optimizer == "sgd"
        return defaults.FINETUNING_RATE if sgd else defaults.FINETUNING_ADAPTIVE_RATE


def refuse_temperatures(temperatures: int | None, sampler: str, start: str | None = None) -> None:
    """Refuse a ladder that has no steps, or that nobody climbs.

    Raises
    ------
    ValueError
        Says what would work.
    """
    if temperatures is None:
        return
    if temperatures < 2:
        raise ValueError(f"`temperatures` is {temperatures}; pass 2 or more")
    if sampler != "tempering" and start not in ("annealed", "tempered"):
        raise ValueError(
            f"`temperatures` is for `sampler='tempering'`, and `sampler` is {sampler}; leave it "
            "out, or take `sampler='tempering'`"
        )
