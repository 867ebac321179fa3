"""The commands of ``harmonium dbn``: deep belief networks.

Nothing heavy is imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from harmonium import defaults
from harmonium.cli import completing
from harmonium.cli.helping import ShortHelp, help_all
from harmonium.cli.parameters import (
    ConfigOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    RunArgument,
    ThreadsOption,
    given,
    new_run,
    parameters_of,
    parameters_of_each,
    set_threads,
    with_parameters,
)
from harmonium.cli.sampling_options import SamplingOptions
from harmonium.runs.choices import CompletionName
from harmonium.runs.layers import (
    LAYERS,
    OF_EACH,
    Features,
    NetworkOptions,
    offered_once,
)
from harmonium.runs.options import TrainingOptions, WatchingOptions
from harmonium.runs.rows import ReadingOptions
from harmonium.runs.tuning_options import FinetuningOptions

app = typer.Typer(help="Deep belief networks: stacks of RBMs.")


@app.command(cls=ShortHelp)
@with_parameters(
    [
        *parameters_of(TrainingOptions, leave_out=offered_once()),
        *parameters_of_each(),
        *parameters_of(WatchingOptions),
        help_all(),
    ]
)
def train(
    context: typer.Context,
    config: ConfigOption = None,
    layers: Annotated[
        str,
        typer.Option(
            help="Hidden units of each layer, from the data upwards, such as 500,500,2000.",
            rich_help_panel="Model",
        ),
    ] = LAYERS,
    features: Annotated[
        Features | None,
        typer.Option(
            help="Input of upper layers: states of the units below, drawn again in each epoch, "
            "or their mean activations.",
            show_default="draws, if the units have two states",
            rich_help_panel="Model",
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Train the top layer with the class of each row; the network can then sample "
            "chosen classes and classify.",
            rich_help_panel="Model",
        ),
    ] = False,
    out: Annotated[Path | None, new_run("runs/DATA-dbn, runs/DATA-dbn-2, ...")] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Pretrain a deep belief network layer by layer, and plot what it learned.

    Each layer is an RBM, with its own run in RUN/layers. Ctrl-C saves a checkpoint; harmonium
    resume RUN continues from it.
    """
    if config is not None:
        from harmonium.cli import cooking

        command = ("dbn", "train")
        raise typer.Exit(cooking.run_file(context, command, config, out, overwrite, as_json))
    of_each = {name: options[name] for name in OF_EACH if options[name] is not None}
    of_all = {
        name: value
        for name, value in given(TrainingOptions, options).items()
        if name not in offered_once()
    }
    chosen = NetworkOptions(layers, features, labels, of_all, of_each)
    watching = WatchingOptions(**given(WatchingOptions, options))
    set_threads(threads)
    from harmonium.cli import training
    from harmonium.runs.following import Place

    place = Place(out, overwrite, device)
    raise typer.Exit(training.train_stack(chosen, watching, place, as_json))


@app.command()
@with_parameters([*parameters_of(SamplingOptions), *parameters_of(ReadingOptions)])
def sample(
    run: RunArgument,
    classes: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Classes to sample, such as 3, or 0,1, or all (needs --labels in training).",
        ),
    ] = None,
    completion: Annotated[
        CompletionName | None,
        typer.Option(
            help="How to sample hidden units given the known columns of --clamp: pseudo-gibbs "
            "draws all layers up and down again, fast but approximate; metropolis accepts "
            "or rejects upward draws, which is exact but needs more sweeps.",
            show_default="pseudo-gibbs",
        ),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Sample a network: arrays, and a picture with one row per chain, time running right.

    Chains run in the top RBM, and each sample is one draw from there down to the visible units.
    With --clamp, all layers are sampled instead, and complete the columns that are not held.
    """
    set_threads(threads)
    from harmonium.cli import dreaming

    said = SamplingOptions(**given(SamplingOptions, options))
    reading = ReadingOptions(**given(ReadingOptions, options))
    dreaming.draw_samples(run, said, reading, classes, completion, device, as_json)


@app.command(cls=ShortHelp)
@with_parameters(
    [
        *parameters_of(FinetuningOptions),
        *parameters_of(WatchingOptions, leave_out=("every", "log_likelihood")),
        help_all(),
    ]
)
def finetune(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|DATA",
            help="The run of a stack; or a named data set or a file, for a network with random "
            "initial weights.",
        ),
    ],
    out: Annotated[
        Path | None, new_run("RUN/classifier, RUN/classifier-2, ..., or runs/DATA-classifier")
    ] = None,
    overwrite: OverwriteOption = False,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    every: Annotated[
        int | None,
        typer.Option(
            help="Updates between two rows of numbers, and between two evaluations on held-out "
            "rows.",
            show_default=f"whole epochs, {defaults.FINETUNING_ROWS} rows or more a run; parts of "
            "epochs, where there are fewer than 30",
            rich_help_panel="Watching",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Turn a stack into a classifier, a regressor or an autoencoder, and fine-tune it.

    If pretraining of the stack is not finished, fine-tuning starts from random weights. Test rows
    are used once, at the end, to evaluate the network. Ctrl-C saves a checkpoint; harmonium resume
    continues from it.
    """
    chosen = FinetuningOptions(**given(FinetuningOptions, options))
    watching = WatchingOptions(every=every, **given(WatchingOptions, options))
    set_threads(threads)
    from harmonium.cli import training
    from harmonium.runs.following import Place

    place = Place(out, overwrite, device)
    raise typer.Exit(training.finetune(source, chosen, watching, place, as_json))


_TUNED = "A run of harmonium dbn finetune, or the run of its stack."
TunedArgument = Annotated[
    Path, typer.Argument(metavar="RUN", help=_TUNED, autocompletion=completing.runs)
]
RowsArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA", help="A named data set, or a file.", autocompletion=completing.data
    ),
]
SplitOption = Annotated[
    str | None,
    typer.Option(
        help="Part of a named set: train, validation, test or all.",
        show_default="test, or all rows of a file",
    ),
]


def _made(shown: str) -> Any:
    """The option that names the output; ``shown`` describes the default."""
    return typer.Option(help="A .csv or .npz file.", show_default=f"{shown}, or -2, ...")


@app.command()
@with_parameters(parameters_of(ReadingOptions))
def predict(
    run: TunedArgument,
    data: RowsArgument,
    split: SplitOption = None,
    out: Annotated[Path | None, _made("RUN/predictions.csv")] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Predict classes with their probabilities, or targets.

    If DATA has labels, the command also scores the predictions, and plots a confusion matrix and
    the worst mistakes.
    """
    set_threads(threads)
    from harmonium.cli import predicting
    from harmonium.cli.predicting import Rows

    predicting.predict(run, Rows(data, split, ReadingOptions(**options)), out, device, as_json)


@app.command()
@with_parameters(parameters_of(ReadingOptions))
def encode(
    run: TunedArgument,
    data: RowsArgument,
    split: SplitOption = None,
    out: Annotated[Path | None, _made("RUN/codes.npz")] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Encode rows with an autoencoder, and plot the codes in two dimensions.

    A stack that was not fine-tuned is unrolled with its pretrained weights.
    """
    set_threads(threads)
    from harmonium.cli import predicting
    from harmonium.cli.predicting import Rows

    predicting.encode(run, Rows(data, split, ReadingOptions(**options)), out, device, as_json)


@app.command()
def decode(
    run: TunedArgument,
    codes: Annotated[
        str, typer.Argument(metavar="CODES", help="A file of codes, as written by encode.")
    ],
    out: Annotated[Path | None, _made("RUN/decoded.npz")] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Decode codes to rows with an autoencoder, and draw the rows."""
    set_threads(threads)
    from harmonium.cli import predicting

    predicting.decode(run, codes, out=out, device=device, as_json=as_json)
