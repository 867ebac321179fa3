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
    ClampOption,
    ConfigOption,
    DeviceOption,
    JsonOption,
    OverwriteOption,
    RunArgument,
    SamplesFileOption,
    SamplesOption,
    SeedOption,
    StartRowsOption,
    SweepsPerSampleOption,
    TemperaturesOption,
    ThreadsOption,
    WarmupOption,
    given,
    new_run,
    parameters_of,
    parameters_of_each,
    set_threads,
    with_parameters,
)
from harmonium.runs.layers import (
    LAYERS,
    OF_EACH,
    Features,
    NetworkOptions,
    offered_once,
)
from harmonium.runs.options import (
    CompletionName,
    FinetuningOptions,
    SamplerName,
    Start,
    TrainingOptions,
    WatchingOptions,
)
from harmonium.runs.rows import ReadingOptions

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
            help="What upper layers learn from: states drawn from the means of the units below, "
            "anew in each epoch, or these means.",
            show_default="draws, of units with two states",
            rich_help_panel="Model",
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Show the top layer the class of each row: the network then dreams of chosen "
            "classes, and classifies.",
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
    """Pretrain a deep belief network, layer by layer, and draw what it learned.

    Each layer is an RBM with a run of its own in RUN/layers. Ctrl-C keeps a checkpoint to go on
    from: harmonium resume RUN.
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
@with_parameters(parameters_of(ReadingOptions))
def sample(
    run: RunArgument,
    chains: Annotated[
        int | None,
        typer.Option(
            help="Chains of the top RBM.", min=1, show_default="20, or fewer where fewer can start"
        ),
    ] = None,
    samples: SamplesOption = 10,
    warmup: WarmupOption = defaults.SAMPLE_WARMUP,
    sweeps_per_sample: SweepsPerSampleOption = 100,
    start: Annotated[
        Start | None,
        typer.Option(
            help="Start at data rows, at random, at the chains that the top layer's training "
            "kept, or near equilibrium: after a run from independent units to the model "
            "(annealed), or after a warm-up by tempering (tempered).",
            show_default="random, or data with --clamp or --data",
        ),
    ] = None,
    sampler: Annotated[
        SamplerName,
        typer.Option(
            help="How chains move: Gibbs sweeps, or these at several temperatures that swap "
            "their states."
        ),
    ] = "gibbs",
    temperatures: TemperaturesOption = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--class", help="Classes to dream of, such as 3, or 0,1, or all (--labels in training)."
        ),
    ] = None,
    clamp: ClampOption = None,
    completion: Annotated[
        CompletionName | None,
        typer.Option(
            help="How hidden units follow the known columns of --clamp: by draws upwards to the "
            "top and down again, which is approximate and fast, or by accepting and rejecting "
            "draws upwards, which is exact and needs more sweeps.",
            show_default="pseudo-gibbs",
        ),
    ] = None,
    data: StartRowsOption = None,
    seed: SeedOption = defaults.SEED,
    out: SamplesFileOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Let a network dream: arrays and a sheet with one row a chain, time running right.

    Chains follow the top RBM, and each sample is one draw from there down to the visible units.
    With --clamp all layers move instead, and complete what is not held.
    """
    set_threads(threads)
    from harmonium.cli import dreaming
    from harmonium.cli.chains import ChainOptions
    from harmonium.sampling import SamplingSchedule

    begin = start or ("data" if clamp or data else "random")
    dreaming.draw_samples(
        run,
        ChainOptions(
            chains or defaults.SAMPLE_CHAINS,
            begin,
            sampler,
            temperatures,
            fewer_will_do=chains is None,
        ),
        schedule=SamplingSchedule(warmup, samples, sweeps_per_sample),
        clamp=clamp,
        completion=completion,
        classes=classes,
        source=data,
        said=ReadingOptions(**options),
        seed=seed,
        out=out,
        device=device,
        as_json=as_json,
    )


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
            help="The run of a stack; or a named data set or a file, for a network whose weights "
            "are random at first.",
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
            help="Updates from one row of numbers, and one look at held-out rows, to the next.",
            show_default=f"whole epochs, {defaults.FINETUNING_ROWS} rows or more a run; parts of "
            "epochs, where there are fewer than 30",
            rich_help_panel="Watching",
        ),
    ] = None,
    **options: Any,
) -> None:
    """Make a classifier, a regressor or an autoencoder of a stack, and train it with labels.

    A stack whose pretraining is not finished starts from random weights. Test rows judge the
    network once, at the end. Ctrl-C keeps a checkpoint to go on from: harmonium resume.
    """
    chosen = FinetuningOptions(**given(FinetuningOptions, options))
    watching = WatchingOptions(every=every, **given(WatchingOptions, options))
    set_threads(threads)
    from harmonium.cli import training
    from harmonium.runs.following import Place

    place = Place(out, overwrite, device)
    raise typer.Exit(training.finetune(source, chosen, watching, place, as_json))


_TUNED = "A run of harmonium dbn finetune, or of the stack that it belongs to."
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


@app.command()
@with_parameters(parameters_of(ReadingOptions))
def predict(
    run: TunedArgument,
    data: RowsArgument,
    split: SplitOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="A .csv or .npz file.", show_default="RUN/predictions.csv, or -2, ..."),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Predict classes, with their probabilities, or targets.

    Where DATA have labels, the predictions are scored, and a confusion matrix and the worst
    mistakes are drawn.
    """
    set_threads(threads)
    from harmonium.cli import predicting

    predicting.predict(
        run,
        data,
        split=split,
        said=ReadingOptions(**options),
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command()
@with_parameters(parameters_of(ReadingOptions))
def encode(
    run: TunedArgument,
    data: RowsArgument,
    split: SplitOption = None,
    out: Annotated[
        Path | None,
        typer.Option(help="An .npz or .csv file.", show_default="RUN/codes.npz, or -2, ..."),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Encode rows by an autoencoder, and draw the codes in two dimensions.

    A stack that was not fine-tuned is unrolled as pretraining left it.
    """
    set_threads(threads)
    from harmonium.cli import predicting

    predicting.encode(
        run,
        data,
        split=split,
        said=ReadingOptions(**options),
        out=out,
        device=device,
        as_json=as_json,
    )


@app.command()
def decode(
    run: TunedArgument,
    codes: Annotated[
        str, typer.Argument(metavar="CODES", help="A file of codes, such as encode writes.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="An .npz or .csv file.", show_default="RUN/decoded.npz, or -2, ..."),
    ] = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make rows of codes by an autoencoder, and draw them."""
    set_threads(threads)
    from harmonium.cli import predicting

    predicting.decode(run, codes, out=out, device=device, as_json=as_json)
