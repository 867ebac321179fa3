"""The options of fine-tuning, defined once as in `options`: names, types, defaults, limits, help.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harmonium import defaults
from harmonium.runs.choices import NetworkKind, option
from harmonium.runs.options import as_in_training
from harmonium.runs.rows import OF_ROWS, RowsOptions


@dataclass(frozen=True)
class _NetworkOptions:
    """What is tuned, and on what; dataclasses put the fields of the last base first."""

    kind: NetworkKind = option(  # noqa: RUF009
        "classifier",
        "What to make of the stack: a classifier of labels, a regressor of targets, or an "
        "autoencoder, which needs neither.",
        panel="Model",
    )
    from_scratch: bool = option(
        False, "Start from random weights instead of the pretrained ones.", panel="Model"
    )
    layers: str | None = option(
        None,
        "Hidden units of each layer, such as 500,500,2000, if DATA is given instead of RUN; the "
        "initial weights are random.",
        panel="Model",
        shown="none: logistic or linear regression",
    )
    visible: Literal["binary", "gaussian"] | None = option(
        None,
        "What the columns of DATA hold: probabilities from 0 to 1 (binary), or any real "
        "numbers (gaussian).",
        panel="Model",
        shown="decided from the values",
    )
    dropout_inputs: float = option(0.0, "Dropout probability of the inputs.", panel="Model")
    dropout_hidden: float = option(0.0, "Dropout probability of the hidden units.", panel="Model")
    max_norm: float | None = option(
        None, "Upper limit for the norm of the weights into each unit.", panel="Model", shown="any"
    )
    image_shape: str | None = option(
        None, "HEIGHTxWIDTH if the rows of DATA are pictures, such as 28x28.", panel="Data"
    )
    white: float | None = as_in_training("white")
    binarize: str | None = option(
        None,
        "Binarisation, if it differs from pretraining; values as in `harmonium train`: `none` "
        "keeps grey values.",
        panel="Data",
        shown="as in pretraining, or none",
    )
    standardize: bool | None = as_in_training("standardize")
    held_out: float | None = option(
        None,
        "Fraction of a file's rows to hold out; named sets have their own split.",
        panel="Data",
        shown=f"{defaults.HELD_OUT}",
    )
    rows: int | None = as_in_training("rows")
    validation: bool = option(
        True,
        "Hold out the validation rows of a named set, or the rows held out in pretraining, to "
        "choose the best network and for early stopping.",
        panel="Data",
    )


@dataclass(frozen=True)
class FinetuningOptions(RowsOptions, _NetworkOptions):
    """All options of fine-tuning; they fix every bit of the network."""

    epochs: int | None = option(
        None,
        "Maximum number of epochs.",
        panel="Training",
        shown=f"about {defaults.FINETUNING_UPDATES:,} updates, but "
        f"{defaults.FINETUNING_MOST_EPOCHS} epochs at most",
    )
    batch_size: int | None = as_in_training("batch_size")
    optimizer: Literal["sgd", "adam"] = option("sgd", "Optimiser.", panel="Training")
    learning_rate: float | None = option(
        None,
        "Learning rate.",
        panel="Training",
        shown=f"{defaults.FINETUNING_RATE} for sgd, {defaults.FINETUNING_ADAPTIVE_RATE} for adam",
    )
    momentum: float = as_in_training("momentum")
    schedule: Literal["constant", "linear"] = option(
        "linear",
        "Keep the learning rate constant, or let it fall linearly to zero at the last epoch.",
        panel="Training",
    )
    head_epochs: int = option(
        0,
        "Initial epochs that train only the last layer; helps when labels are few.",
        panel="Training",
    )
    weight_decay: float = option(0.0, "Weight decay.", panel="Training")
    patience: str | None = option(
        None,
        "Early stopping: epochs without improvement on held-out rows; or `classic`: run 5,000 "
        "updates, and at least twice as many as at the last improvement of half a per cent.",
        panel="Training",
        shown=f"{defaults.PATIENCE} with a constant learning rate, else none",
    )
    seed: int = as_in_training("seed")

    def __post_init__(self) -> None:
        """Reject options that no network can be trained with, before any data are read."""
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
        """The epochs in ``patience``; None for None and `classic`, 0 if it is no number."""
        if self.patience in (None, "classic"):
            return None
        return int(self.patience) if self.patience.isdecimal() else 0

    @property
    def of_data(self) -> dict[str, Any]:
        """The options that say how to read DATA, by their names in `TrainingOptions`."""
        names = ("visible", "image_shape", "white", "standardize", "held_out", *OF_ROWS)
        chosen = {name: getattr(self, name) for name in names}
        return {name: value for name, value in chosen.items() if value is not None}

    @property
    def rate(self) -> float:
        """The initial learning rate."""
        if self.learning_rate is not None:
            return self.learning_rate
        sgd = self.optimizer == "sgd"
        return defaults.FINETUNING_RATE if sgd else defaults.FINETUNING_ADAPTIVE_RATE
