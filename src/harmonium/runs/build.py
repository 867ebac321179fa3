"""From options to objects: the model and the state of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from harmonium import checkpoint, defaults, ranks, training
from harmonium.datasets import AsIs, Data, Minibatches, OneHot, Rows, TableEncoding, mapped
from harmonium.datasets.encodings.table import Group
from harmonium.deep import LayerOptions, features
from harmonium.gradient import CenteredGradient, Gradient, Penalties, PlainGradient
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.run_directory import RunDirectory
from harmonium.runs.choices import CONTINUOUS, COUNTS, HALF_LINES
from harmonium.runs.options import TrainingOptions
from harmonium.runs.run_data import FEATURES, is_run, model_below
from harmonium.sampling import Gibbs, GrowingTrajectory, Sampler, Tempering
from harmonium.training import TrainingState
from harmonium.units import (
    Binary,
    Binomial,
    Categorical,
    DReLU,
    Gaussian,
    Mixed,
    Poisson,
    ReLU,
    Spin,
    Units,
    registered,
)

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}
_GRADIENTS: dict[str, Callable[[], Gradient]] = {
    "centered": partial(CenteredGradient, by_variance=True),
    "plain": PlainGradient,
}


def choose_device(name: str) -> torch.device:
    """The device of this name.

    Raises
    ------
    ValueError
        If it does not exist; lists the devices that do.
    """
    there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    try:
        device = ranks.own_device(torch.device(name))
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"the device {name!r} is not there ({reason}); there is {', '.join(there)}"
        ) from error
    return device


def make_batches(options: TrainingOptions, train: Data) -> Minibatches:
    """The training rows in mini-batches; the default size is at most the number of rows.

    Raises
    ------
    ValueError
        If a batch is larger than the data.
    """
    size = options.batch_size or min(defaults.BATCH_SIZE, len(train))
    return in_batches(train, size, f"{train.name} has {len(train)} training rows")


def in_batches(rows: Rows, batch_size: int, there: str) -> Minibatches:
    """Rows in mini-batches; ``there`` says how many there are, where a batch is larger.

    Raises
    ------
    ValueError
        If a batch is larger than the data.
    """
    if batch_size > len(rows):
        raise ValueError(f"`batch_size` is {batch_size}, but {there}; pass 1 to {len(rows)}")
    return Minibatches(rows, batch_size)


def schedule_of(options: Any, n_updates: int) -> Callable[..., Any] | None:
    """How the learning rate falls along this many updates; None keeps it constant."""
    if options.schedule != "linear":
        return None
    return partial(training.linear_to_zero, n_updates=n_updates)


def make_model(options: TrainingOptions, train: Data, held_out: Data | None) -> RBM:
    """A model that fits the data, initialised from them.

    Raises
    ------
    ValueError
        If the data are not valid states of the visible units.
    """
    visible = visible_units(options, train)
    hidden = hidden_units(options)
    for data in (train, held_out):
        if data is not None:
            check_states(visible, data, options.seed)
    return RBM(visible, hidden).init_from_data_(train, options.seed, options.weight_std)


def visible_units(options: TrainingOptions, train: Data) -> Units:
    """Visible units that suit the data; for the hidden units of a run, units of the same type."""
    if isinstance(train.encoding, TableEncoding):
        return _units_of_table(train.encoding)
    if not is_run(options.data):
        q = train.encoding.n_categories if isinstance(train.encoding, OneHot) else None
        return _units(options.visible, train.n_columns // (q or 1), q, options)
    units = model_below(RunDirectory(options.data)).hidden
    name = type(units).__name__.lower()
    if name != options.visible.lower():  # a registered type goes by the name of its class
        raise ValueError(
            f"`visible` is {options.visible}, but the hidden units of {options.data} are {name}; "
            f"pass `visible={name!r}`"
        )
    return units if options.n_classes is None else Mixed(units, Categorical(1, options.n_classes))


def _units_of_table(table: TableEncoding) -> Units:
    """One layer for all columns of a mixed table; Gaussian units learn their precision."""
    parts = [_units_of_group(group) for group in table.groups]
    return parts[0] if len(parts) == 1 else Mixed(*parts)


def _units_of_group(group: Group) -> Units:
    n = len(group.places)
    match group.kind:
        case "gaussian":
            return Gaussian(n, learn_precision=True)
        case "categorical":
            return Categorical(n, group.width)
        case "binomial":
            assert group.trials is not None
            return Binomial(n, group.trials)
        case "poisson":
            return Poisson(n)
    return Binary(n)


def hidden_units(options: TrainingOptions) -> Units:
    """The hidden units that the options request."""
    return _units(options.hidden_units, options.hidden, options.hidden_categories, options)


def _units(kind: str, n: int, n_categories: int | None, options: TrainingOptions) -> Units:
    match kind:
        case "binary" | "auto":
            return Binary(n)
        case "spin":
            return Spin(n)
        case "gaussian":
            return Gaussian(n, learn_precision=options.learn_precision)
        case "relu":
            return ReLU(n, learn_precision=options.learn_precision)
        case "drelu":
            return DReLU(n, learn_precision=options.learn_precision)
        case "binomial":
            assert options.trials is not None
            return Binomial(n, options.trials)
        case "poisson":
            return Poisson(n)
        case "counts":
            raise ValueError(
                "`visible='counts'` makes a topic model, which is trained by `harmonium.train` "
                "alone; as layers, take Poisson or binomial units"
            )
        case "categorical":
            assert n_categories is not None
            return Categorical(n, n_categories)
    try:
        return registered()[kind](n)
    except TypeError as error:
        raise ValueError(
            f"`hidden_units` is {kind}, which cannot be made of a number of units alone ({error}); "
            "give its other arguments defaults"
        ) from error


def check_states(visible: Units, data: Data, seed: int) -> None:
    """Reject data that are not valid states of these units; the message covers all rows."""
    if data.mask is not None:  # what stands at missing places can be encoded, too
        data = dataclasses.replace(data, mask=None)
    stream = Lane.CHECKED.stream(seed)

    def check() -> bool:
        for block in data.blocks(stream=stream):
            visible.check(block, data.name)
        return True

    values = data.values
    if mapped.is_mapped(values):
        are_bits = values.dtype == torch.uint8 and mapped.bounds(values)[1] <= 1
        if not (are_bits and visible.low_state == 0 and isinstance(data.encoding, AsIs)):
            what = f"states of {visible!r} by {data.encoding.states_config()}"
            mapped.remembered(values, what, check)
        return
    try:
        check()
    except ValueError:
        # check all rows at once, so that the message gives the right count and row number
        visible.check(torch.cat(list(data.blocks(stream=stream))), data.name)
        raise


def layer_options(options: TrainingOptions, above: TrainingOptions | None = None) -> LayerOptions:
    """How an RBM is trained; as a layer, what it hands on is what the one above it asks for."""
    assert options.learning_rate is not None and options.epochs is not None
    optimizer, final = OPTIMIZERS.get(options.optimizer), options.final_sweeps
    return LayerOptions(
        epochs=options.epochs,
        batch_size=options.batch_size,
        weight_std=options.weight_std,
        n_chains=options.chains,
        sampler=_sampler(options),
        final_sampler=None if final is None else Gibbs(final),
        learning_rate=options.learning_rate,
        momentum=options.momentum,
        optimizer=partial(optimizer, lr=options.learning_rate) if optimizer else None,
        schedule=training.linear_to_zero if options.schedule == "linear" else None,
        gradient=_GRADIENTS[options.gradient](),
        penalties=Penalties(
            l1=options.l1,
            l2=options.l2,
            l1b=options.l1b,
            group_lasso=options.group_lasso,
            sparsity_target=options.sparsity_target,
            sparsity_cost=options.sparsity_cost,
        ),
        average_decay=options.average or None,
        missing=options.missing,
        features=features if above is None else FEATURES[above.binarize],
    )


def _sampler(options: TrainingOptions) -> Sampler:
    sweeps = options.sweeps or defaults.SWEEPS
    if options.sampler == "gibbs":
        return Gibbs(sweeps=sweeps)
    if options.sampler == "trajectory":
        return GrowingTrajectory(sweeps=sweeps)
    # without a number, temperatures are added as the model needs them
    return Tempering(
        sweeps=sweeps,
        n_temperatures=options.temperatures or 2,
        most_temperatures=options.temperatures or defaults.MOST_TEMPERATURES,
        adapt_every=defaults.ADAPT_EVERY,
    )


def load_checkpoint(run: RunDirectory, device: torch.device) -> TrainingState:
    """The newest checkpoint of a run.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is truncated, damaged or of a newer format; names the one before.
    """
    path = run.latest_checkpoint()
    try:
        return checkpoint.load(path, device=device)
    except ValueError as error:
        *older, newest = run.checkpoints()
        remedy = (
            f"without {newest.name} the run goes on from {older[-1].name}"
            if older
            else "this run has no older one"
        )
        raise ValueError(f"{error} ({remedy})") from error


def complete(options: TrainingOptions, batches: Minibatches) -> TrainingOptions:
    """The options, with defaults filled in that depend on other options or on the data."""
    falls = options.schedule == "linear" and options.optimizer == "sgd"
    rate = defaults.LEARNING_RATE
    if falls and options.visible not in CONTINUOUS | COUNTS:
        if options.hidden_units not in CONTINUOUS | COUNTS:
            rate = defaults.FALLING_LEARNING_RATE
        elif options.hidden_units in HALF_LINES and options.gradient == "centered":
            rate = defaults.HALF_LINES_LEARNING_RATE
    sweeps, final_sweeps = options.sweeps or defaults.SWEEPS, options.final_sweeps
    if final_sweeps is None and options.sampler == "gibbs":
        least = defaults.FINAL_SWEEPS if options.method != "cd" else 1
        final_sweeps = max(sweeps, least)
    chains = None if options.method == "cd" else options.batch_size or defaults.N_CHAINS
    # with few rows, many passes would overfit
    epochs = min(max(1, round(defaults.N_UPDATES / len(batches))), defaults.MOST_EPOCHS)
    return dataclasses.replace(
        options,
        batch_size=batches.batch_size,
        chains=options.chains or chains,
        learning_rate=rate if options.learning_rate is None else options.learning_rate,
        method=options.method or "pcd",
        sweeps=sweeps,
        final_sweeps=final_sweeps,
        epochs=options.epochs or epochs,
    )
