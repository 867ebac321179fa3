"""The commands of ``harmonium dbn``: deep belief networks.

Nothing heavy is imported here.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from harmonium import defaults
from harmonium.cli import predict, sample
from harmonium.cli.helping import ShortHelp, help_all
from harmonium.cli.parameters import (
    ConfigOption,
    given,
    of_new_run,
    parameters_of,
    parameters_of_each,
    with_parameters,
)
from harmonium.cli.recipe import run_file
from harmonium.cli.train import begin
from harmonium.runs.layers import (
    LAYERS,
    OF_EACH,
    Features,
    NetworkOptions,
    offered_once,
)
from harmonium.runs.options import TrainingOptions
from harmonium.runs.tuning_options import FinetuningOptions
from harmonium.runs.watching_options import WatchingOptions

app = typer.Typer(help="Deep belief networks: stacks of RBMs.")


@app.command(cls=ShortHelp)
@with_parameters(
    [
        *of_new_run("runs/DATA-dbn, runs/DATA-dbn-2, ..."),
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
    **options: Any,
) -> None:
    """Pretrain a deep belief network layer by layer, and plot what it learned.

    Each layer is an RBM, with its own run in RUN/layers. Ctrl-C saves a checkpoint; harmonium
    resume RUN continues from it.
    """
    if config is not None:
        raise typer.Exit(run_file(context, ("dbn", "train"), config))
    of_each = {name: options[name] for name in OF_EACH if options[name] is not None}
    of_all = {
        name: value
        for name, value in given(TrainingOptions, options).items()
        if name not in offered_once()
    }
    chosen = NetworkOptions(layers, features, labels, of_all, of_each)
    from harmonium.runs import stack_task

    begin(stack_task.begin, options, chosen)


app.command("sample")(sample.of_network)


@app.command(cls=ShortHelp)
@with_parameters(
    [
        *of_new_run("RUN/classifier, RUN/classifier-2, ..., or runs/DATA-classifier"),
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
    from harmonium.runs import network_task

    begin(network_task.begin, {**options, "every": every}, source, chosen)


for _command in (predict.predict, predict.encode, predict.decode):
    app.command()(_command)
