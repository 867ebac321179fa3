"""The rows of a run: read, encoded and split by its options, or taken from the run below."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from shlex import quote
from typing import NoReturn, cast

from harmonium import checkpoint, datasets, defaults
from harmonium.datasets import Data, TableEncoding
from harmonium.deep import drawn_features, features, mean_features
from harmonium.rbm import RBM
from harmonium.run_directory import LAYER_BELOW, RunDirectory
from harmonium.runs import kept, weighting
from harmonium.runs.choices import REAL, VisibleName
from harmonium.runs.encoding import Known, encode
from harmonium.runs.options import TrainingOptions
from harmonium.runs.rows import OF_ROWS, OF_WEIGHTS, is_listed, read_parts
from harmonium.runs.visible import decide
from harmonium.units import name_of

FEATURES = {"none": mean_features, "stochastic": drawn_features, None: features}
"""What a layer sees of the one below it, by its own `TrainingOptions.binarize`."""


def load_data(
    options: TrainingOptions,
    progress: datasets.Progress = datasets.quiet,
    known: Known | None = None,
) -> tuple[Data, Data | None]:
    """Training rows and held-out rows, encoded as the visible units need them.

    Parameters
    ----------
    options
        Of the run.
    progress
        As for `harmonium.datasets.load`.
    known
        What an existing run has stored about its data; it decides the encoding.

    Raises
    ------
    OSError, ValueError
        If the data cannot be found, read or encoded, or lack the required parts.
    """
    if is_run(options.data):
        return _load_features(options, progress)
    return split_data(options, read_data(options, progress, known), known)


def read_data(
    options: TrainingOptions,
    progress: datasets.Progress = datasets.quiet,
    known: Known | None = None,
) -> Data:
    """All rows, with the encodings that need no statistics of the training rows.

    The parameters are those of `load_data`.

    Raises
    ------
    OSError, ValueError
        If the data cannot be found or read, or cannot be encoded.
    """
    if known is not None:
        # rows of runs that do not say so were in memory
        options = dataclasses.replace(options, on_disk=bool(options.on_disk))
        return known.own(read_parts(options, progress))
    return encode(read_values(options, progress), options)


def load_new(
    options: TrainingOptions, progress: datasets.Progress = datasets.quiet
) -> tuple[TrainingOptions, Data, Data | None]:
    """What `load_data` returns for a new run, and its options with the visible units chosen.

    Raises
    ------
    OSError, ValueError
        As for `load_data`.
    """
    if is_run(options.data):
        if options.visible == "auto":
            below = name_of(model_below(RunDirectory(options.data)).hidden)
            options = dataclasses.replace(options, visible=cast(VisibleName, below))
        return options, *_load_features(options, progress)
    options, data = decide(options, read_values(options, progress))
    options = as_read(options, data)
    return options, *split_data(options, encode(data, options))


def as_read(options: TrainingOptions, data: Data) -> TrainingOptions:
    """The options, which say if rows are on disk: their order in an epoch depends on it."""
    on_disk = datasets.mapped.is_mapped(data.values)
    return dataclasses.replace(options, on_disk=True) if on_disk else options


def read_values(options: TrainingOptions, progress: datasets.Progress) -> Data:
    """All rows, pictures included, before their values are encoded."""
    data = read_parts(options, progress)
    if data.alphabet is not None and options.height_and_width is not None:
        raise ValueError(
            f"`image_shape` is for pictures, and {data.name} is an alignment; leave it out"
        )
    if options.height_and_width is not None:
        data = data.as_pictures(*options.height_and_width, white=options.white)
    elif options.white is not None:
        data = rescale(data, options.white)
    return data


def rescale(data: Data, white: float) -> Data:
    """Pictures with the white value that the user gave.

    Raises
    ------
    ValueError
        If the rows are not pictures, or have values beyond white.
    """
    if data.image_shape is None:
        raise ValueError(
            f"`white` is for pictures, and {data.name} does not say that its rows are such; pass "
            "`image_shape`, such as 28x28"
        )
    return data.as_pictures(*data.image_shape, white=white)


def split_data(
    options: TrainingOptions, data: Data, known: Known | None = None
) -> tuple[Data, Data | None]:
    """Training rows and held-out rows from the result of `read_data`, in the same memory.

    Rows without predefined parts are reordered; a subset by ``rows`` is a copy. Training rows of
    weight 0 are left out.

    Raises
    ------
    ValueError
        If the data lack the required parts, have fewer training rows than ``rows``, or cannot be
        split or encoded.
    """
    held_out: Data | None
    if data.parts:
        if options.held_out != defaults.HELD_OUT:
            refuse_held_out(data)
        watched = options.validation or options.validation_data is not None
        train, held_out = _given_parts(data, watched)
    elif options.validation:
        raise ValueError(
            f"`validation` is for named sets, and {data.name} has no validation rows of its own; "
            "`held_out` takes a share of the rows"
        )
    elif options.held_out:
        counted = data.counted()
        train, held_out = counted.split_randomly_(
            options.held_out, options.seed, options.stratified
        )
    else:
        train, held_out = data, None
    train = train.counted()
    if options.rows is not None:
        train = train.draw_rows(options.rows, options.seed)
    if known is None and options.visible in REAL and options.standardize is not False:
        train = train.standardize()
        if held_out is not None:
            held_out = held_out.with_encoding(train.encoding)
    if known is None:
        train, held_out = _fitted(train, held_out)
    kept = None if known is None else known.weights_path
    if held_out is not None:
        held_out = weighting.weigh(options, held_out, kept)
    return weighting.weigh(options, train, kept), held_out


def _fitted(train: Data, held_out: Data | None) -> tuple[Data, Data | None]:
    """Columns of a mixed table with the means, deviations and bins of the training rows."""
    if not isinstance(train.encoding, TableEncoding):
        return train, held_out
    train = train.fit_columns()
    return train, None if held_out is None else held_out.with_encoding(train.encoding)


def _given_parts(data: Data, validation: bool) -> tuple[Data, Data | None]:
    """Rows to train on and rows to monitor, for data with predefined parts."""
    if "validation" not in data.parts and validation:
        raise ValueError(
            f"`validation` is for data with validation rows, and {data.name} has "
            f"{', '.join(data.parts)}; leave it out, or name a file by `validation_data`"
        )
    if validation or "test" not in data.parts:
        # without test rows, validation rows are there to be monitored
        return data.part("train"), data.part("validation")
    of_training = [name for name in ("train", "validation") if name in data.parts]
    return data.join(*of_training), data.part("test")


def refuse_held_out(data: Data) -> NoReturn:
    """Raise: a fraction of rows cannot be held out of data with predefined parts."""
    raise ValueError(
        f"`held_out` is for data without parts of their own, and {data.name} has "
        f"{', '.join(data.parts)}; leave it out"
    )


def is_run(data: str) -> bool:
    """Whether the data are the hidden units of a run."""
    if data in datasets.names() or is_listed(data):
        return False
    return RunDirectory(data).config_path.is_file()


def options_of(run: RunDirectory) -> TrainingOptions:
    """The options of a run; data next to the run are found even after the directory has moved."""
    return found_from(run.path, TrainingOptions.from_config(run.config()["options"]))


def found_from(folder: Path, options: TrainingOptions) -> TrainingOptions:
    """The options with data paths next to a run made absolute."""
    if not options.data.startswith((LAYER_BELOW, kept.HERE)):
        return options
    return dataclasses.replace(options, data=str((folder / options.data).resolve()))


def known_of(run: RunDirectory) -> Known:
    """What a run has stored about its data."""
    return Known.of(str(run.path), run.config()["data"], run.path / weighting.NAME)


def _load_features(
    options: TrainingOptions, progress: datasets.Progress
) -> tuple[Data, Data | None]:
    for name in (*OF_ROWS, *OF_WEIGHTS):
        if getattr(options, name) is not None:
            raise ValueError(
                f"`{name}` is for files, and {options.data} is a run, whose rows are known; "
                "leave it out"
            )
    if options.validation or options.held_out != defaults.HELD_OUT:
        raise ValueError(
            f"{options.data} is a run, and holds out the rows that it held out in training; leave "
            "`held_out` and `validation` out"
        )
    below = RunDirectory.open(options.data)
    train, held_out = load_data(options_of(below), progress, known_of(below))
    refuse_other_data(below, train, held_out)
    train, held_out = hand_on(below, options, train, held_out)
    if options.rows is not None:
        train = train.draw_rows(options.rows, options.seed)
    return train, held_out


def hand_on(
    below: RunDirectory, options: TrainingOptions, train: Data, held_out: Data | None
) -> tuple[Data, Data | None]:
    """The hidden units of a finished run, as data for the layer above it.

    Parameters
    ----------
    below
        The run.
    options
        Of the layer above.
    train, held_out
        The run's own data.

    Raises
    ------
    FileNotFoundError, ValueError
        If the run is not finished, or its hidden units cannot be used in this way.
    """
    if options.threshold is not None:
        raise ValueError(
            f"`binarize` is {options.binarize}, and the data are the hidden units of {below.path}; "
            "pass `stochastic` to draw their states anew in each epoch, or `none` for their means"
        )
    rbm = model_below(below).to(train.values.device)

    def hidden(data: Data) -> Data:
        handed = FEATURES[options.binarize](rbm, data)
        return handed if options.n_classes is None else handed.join_labels(options.n_classes)

    return hidden(train), None if held_out is None else hidden(held_out)


def model_below(below: RunDirectory) -> RBM:
    """The finished model of a run whose hidden units are data."""
    RunDirectory.open(below.path)  # which says what uses a run of another kind
    if not below.model_path.is_file():
        raise FileNotFoundError(
            f"{below.path} has no finished model whose hidden units could be the data; go on with "
            f"harmonium resume {quote(str(below.path))} first"
        )
    return checkpoint.load_model(below.model_path)


def fingerprints(
    options: TrainingOptions, train: Data, held_out: Data | None
) -> tuple[str, str | None]:
    """Fingerprints of the training data and of the held-out data.

    Hidden units are identified by the data and the model that they come from, because another
    device computes them with different rounding.
    """
    if not is_run(options.data):
        return train.fingerprint(), None if held_out is None else held_out.fingerprint()
    below = RunDirectory(options.data)
    own = below.config()["data"]
    encoding = json.dumps([train.encoding.to_config(), train.n_columns], sort_keys=True)
    model = below.model_path.read_bytes()

    def fingerprint(of_data: str) -> str:
        return hashlib.sha256(f"{of_data} {encoding} ".encode() + model).hexdigest()

    of_held_out = own["held_out_fingerprint"]
    return fingerprint(own["fingerprint"]), of_held_out and fingerprint(of_held_out)


def refuse_other_data(run: RunDirectory, train: Data, held_out: Data | None) -> None:
    """Reject data whose fingerprints differ from those of the run."""
    config = run.config()
    was = config["data"]
    now = fingerprints(options_of(run), train, held_out)
    if now != (was["fingerprint"], was["held_out_fingerprint"]):
        raise ValueError(
            f"the data {config['options']['data']} have changed since {run.path} was begun (they "
            f"had {was['n_train']} training rows of {was['n_columns']} columns, with other "
            "values, encoding or split); restore the old data, or start a new run"
        )
