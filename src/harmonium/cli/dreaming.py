"""``harmonium dbn sample``: samples of a trained network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from harmonium.cli.archives import Completed, free_archive, keep_samples
from harmonium.cli.chains import ChainOptions, schedule_of
from harmonium.cli.progress import choose_reporter
from harmonium.cli.sampling_options import SamplingOptions
from harmonium.cli.use import (
    Trained,
    first_rows,
    held_columns,
    held_states,
    open_trained,
    saved_chains,
)
from harmonium.deep import (
    DBN,
    Completion,
    Dream,
    HiddenSampler,
    MetropolisWithinGibbs,
    PseudoGibbs,
    complete,
    load_dbn,
)
from harmonium.rng import Purpose, Stream
from harmonium.run_directory import Network
from harmonium.runs.choices import CompletionName
from harmonium.runs.pictures import network_figures
from harmonium.runs.pictures.views import View
from harmonium.runs.rows import ReadingOptions
from harmonium.sampling import ChainState, Clamp, SamplingSchedule

_COMPLETIONS: dict[CompletionName, Callable[[], HiddenSampler]] = {
    "pseudo-gibbs": PseudoGibbs,
    "metropolis": MetropolisWithinGibbs,
}


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished network, with what is needed to use it."""

    network: Network
    dbn: DBN
    bottom: Trained
    """The run of the lowest layer, which describes the data."""

    @property
    def view(self) -> View:
        """How rows of data are shown."""
        return self.bottom.view

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of its label units; empty without label units."""
        return network_figures.class_names(self.dbn, self.bottom.classes)

    def top_chains(self, options: ChainOptions) -> ChainState:
        """Chains saved by the training of the top layer."""
        top = self.network.layers()[-1].path
        return saved_chains(open_trained(top, str(self.bottom.device)), options)


def open_network(path: Path, device: str) -> TrainedNetwork:
    """A network whose layers are all trained.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, or it is not finished.
    """
    network = Network.open(path)
    if not network.dbn_path.is_file():
        raise FileNotFoundError(
            f"{network.run.path} is not finished: {len(network.layers())} of "
            f"{len(network.run.config()['layers'])} layers have been begun; go on with harmonium "
            f"resume {network.run.path}"
        )
    bottom = open_trained(network.layer(1).path, device)
    return TrainedNetwork(network, load_dbn(network.dbn_path, device=bottom.device), bottom)


def draw_samples(
    path: Path,
    said: SamplingOptions,
    reading: ReadingOptions,
    classes: str | None,
    completion: CompletionName | None,
    device: str,
    as_json: bool,
) -> None:
    """Sample a network, or complete rows; writes an ``.npz`` and a picture in the same folder."""
    options, schedule, clamp = ChainOptions.of(said), schedule_of(said), said.clamp
    if completion and not clamp:
        raise ValueError("--completion is for --clamp, and there is none; leave it out")
    if clamp and options.sampler != "gibbs":
        raise ValueError(
            f"--sampler {options.sampler} moves chains of the top RBM alone, and with --clamp all "
            "layers move; leave it out, or take --completion"
        )
    trained = open_network(path, device)
    dbn, bottom = trained.dbn, trained.bottom
    names = trained.class_names
    given = None if clamp is None else held_columns(clamp, bottom)
    archive = free_archive(said.out) if said.out else trained.network.run.free_path("samples.npz")
    stream = Stream(said.seed, Purpose.DREAM)
    rows, saved = None, None
    if options.start == "data":
        rows = first_rows(bottom, bottom.data(said.data, reading), options)
        options = options.with_starts(len(rows))
    elif options.start == "chains":
        saved = trained.top_chains(options)
        options = options.with_starts(len(saved))
    chosen = None if classes is None else _classes(classes, names, options.n_chains)
    tempered = None
    moments: Iterator[Dream | Completion]
    completed = None
    if given is not None and rows is not None:
        sampler = _COMPLETIONS[completion or "pseudo-gibbs"]()
        held = Clamp(held_states(given, bottom), rows)
        completed = Completed(rows, given)
        moments = complete(dbn, rows, held, schedule, stream, classes=chosen, sampler=sampler)
    else:
        moments, tempered = _dreams(trained, options, schedule, stream, rows, saved, chosen)
    states, means, shown_classes, acceptances = [], [], [], []
    for now in moments:
        states.append(now.visible.cpu())
        means.append(now.means.cpu())
        if now.classes is not None:
            shown_classes.append(now.classes.cpu())
        if isinstance(now, Completion) and now.acceptance is not None:
            acceptances.append(now.acceptance)
    view = trained.view
    arrays = {
        "samples": view.values(torch.stack(states, 1)),
        "means": view.values(torch.stack(means, 1)),
    }
    if shown_classes:
        arrays["classes"] = torch.stack(shown_classes, 1).numpy()
    listed = " and ".join(f"`{name}`" for name in arrays)
    # the first value belongs to the warm-up, which matters only if there is no other
    acceptances = acceptances[1:] or acceptances
    keep_samples(
        archive,
        arrays,
        f"arrays {listed}; samples have shape {arrays['samples'].shape}",
        means=means,
        view=view,
        schedule=schedule,
        completed=completed,
        classes=None if chosen is None else [names[k] for k in chosen.tolist()],
        replicas=None if tempered is None else tempered.replicas,
        acceptance=torch.stack(acceptances).mean(0) if acceptances else None,
        as_json=as_json,
    )


def _dreams(
    trained: TrainedNetwork,
    options: ChainOptions,
    schedule: SamplingSchedule,
    stream: Stream,
    rows: Tensor | None,
    saved: ChainState | None,
    classes: Tensor | None,
) -> tuple[Iterator[Dream], ChainState | None]:
    """Samples from chains of the top RBM, and the replicas if tempered."""
    dbn = trained.dbn
    below_top = None if rows is None else dbn.sample_below_top(rows, stream)
    chains = options.begin(dbn.top, stream, rows=below_top, saved=saved, base=None)
    clamp = None if classes is None else dbn.clamp_classes(classes)
    sampler = options.sampler_of(dbn.top, chains, stream, clamp=clamp, base=None)
    dreams = dbn.sample(chains, schedule, stream, clamp, sampler, copies=False)
    return dreams, None if sampler is None else chains


def _classes(text: str, names: list[str], n_chains: int) -> torch.Tensor:
    """A class for each chain, in order, with chains divided evenly among classes."""
    if not names:
        raise ValueError(
            "--class sets the label units, and this network has none; train one with --labels"
        )
    chosen = names if text == "all" else [name.strip() for name in text.split(",")]
    if not set(chosen) <= set(names):
        some = "0,3" if len(names) > 3 else "0,1"
        known = f"from 0 to {len(names) - 1}, such as {some},"
        if names != [str(k) for k in range(len(names))]:
            known = f"of {', '.join(names)},"
        raise ValueError(f"--class is {text!r}; pass classes {known} or all")
    if len(chosen) > n_chains:
        raise ValueError(
            f"--chains is {n_chains}, and --class names {len(chosen)} classes; pass "
            f"{len(chosen)} chains or more"
        )
    return torch.tensor([names.index(chosen[i * len(chosen) // n_chains]) for i in range(n_chains)])


def plot(path: Path, n_filters: int, device: str, as_json: bool) -> None:
    """Redraw the pictures of a network."""
    trained = open_network(path, device)
    bottom, dbn = trained.bottom, trained.dbn
    train_data, held_out = bottom.train_and_held_out()
    shown = network_figures.Shown.of(train_data, held_out, bottom.options.seed)
    top = open_trained(trained.network.layers()[-1].path, device)
    reporter, pictures = choose_reporter(as_json), []
    for picture in network_figures.draw(
        trained.network, dbn, top.chains, shown, bottom.options.seed, n_filters
    ):
        reporter.say(str(picture))
        pictures.append(str(picture))
    reporter.finish({"pictures": pictures})
