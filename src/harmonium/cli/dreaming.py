"""``harmonium dbn sample``: what a trained network dreams of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from harmonium.cli import figures, network_figures
from harmonium.cli.archives import free_archive, keep_samples
from harmonium.cli.chains import ChainOptions
from harmonium.cli.progress import choose_reporter
from harmonium.cli.use import Trained, first_rows, open_trained, saved_chains
from harmonium.deep import DBN, load_dbn
from harmonium.rng import Purpose, Stream
from harmonium.runs import Network
from harmonium.sampling import ChainState, SamplingSchedule


@dataclass(frozen=True)
class TrainedNetwork:
    """A finished network with what is needed to use it."""

    network: Network
    dbn: DBN
    bottom: Trained
    """The lowest layer, which knows the data."""

    def top_chains(self, n_chains: int) -> ChainState:
        """Chains that the training of the top layer kept."""
        top = self.network.layers()[-1].path
        return saved_chains(open_trained(top, str(self.bottom.device)), n_chains)


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
    options: ChainOptions,
    *,
    schedule: SamplingSchedule,
    classes: str | None,
    source: str | None,
    seed: int,
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Let a network dream; writes an ``.npz`` and a picture beside it."""
    if source and options.start != "data":
        raise ValueError(
            f"--data is for --start data, and --start is {options.start}; leave one out"
        )
    trained = open_network(path, device)
    dbn, bottom = trained.dbn, trained.bottom
    chosen = None if classes is None else _classes(classes, dbn, options.n_chains)
    archive = free_archive(out) if out else trained.network.run.free_path("samples.npz")
    stream = Stream(seed, Purpose.DREAM)
    rows = saved = None
    if options.start == "data":
        data = bottom.data(source)
        rows = dbn.sample_below_top(first_rows(bottom, data, options.n_chains), stream)
    elif options.start == "chains":
        saved = trained.top_chains(options.n_chains)
    chains = options.begin(dbn.top, stream, rows=rows, saved=saved, base=None)
    clamp = None if chosen is None else dbn.clamp_classes(chosen)
    sampler = options.sampler_of(dbn.top, chains, stream, clamp=clamp, base=None)
    states, means, shown_classes = [], [], []
    for dream in dbn.sample(chains, schedule, stream, clamp, sampler):
        states.append(dream.visible.cpu())
        means.append(dream.means.cpu())
        if dream.classes is not None:
            shown_classes.append(dream.classes.cpu())
    encoding = bottom.encoding.to("cpu")
    arrays = {
        "samples": figures.in_users_units(torch.stack(states, 1), encoding),
        "means": figures.in_users_units(torch.stack(means, 1), encoding),
    }
    if shown_classes:
        arrays["classes"] = torch.stack(shown_classes, 1).numpy()
    names = " and ".join(f"`{name}`" for name in arrays)
    keep_samples(
        archive,
        arrays,
        f"arrays {names}; samples have shape {arrays['samples'].shape}",
        means=means,
        encoding=encoding,
        image_shape=figures.picture_shape(dbn.stack[0], bottom.image_shape),
        schedule=schedule,
        replicas=None if sampler is None else chains.replicas,
        as_json=as_json,
    )


def _classes(text: str, dbn: DBN, n_chains: int) -> torch.Tensor:
    """A class for each chain, in order and as many of each as can be."""
    if dbn.n_classes is None:
        raise ValueError(
            "--class chooses what label units show, and this network has none; train one with "
            "--labels"
        )
    names = [str(k) for k in range(dbn.n_classes)]
    chosen = names if text == "all" else [name.strip() for name in text.split(",")]
    if not set(chosen) <= set(names):
        raise ValueError(
            f"--class is {text!r}; pass classes from 0 to {dbn.n_classes - 1}, such as 0,3, or all"
        )
    if len(chosen) > n_chains:
        raise ValueError(
            f"--chains is {n_chains}, and --class names {len(chosen)} classes; pass "
            f"{len(chosen)} chains or more"
        )
    return torch.tensor([int(chosen[i * len(chosen) // n_chains]) for i in range(n_chains)])


def plot(path: Path, device: str, as_json: bool) -> None:
    """Draw a network's pictures anew."""
    trained = open_network(path, device)
    bottom, dbn = trained.bottom, trained.dbn
    data = bottom.data(None)
    shown = network_figures.Shown.of(data, None, bottom.options.seed)
    top = open_trained(trained.network.layers()[-1].path, device)
    reporter, pictures = choose_reporter(as_json), []
    for picture in network_figures.draw(
        trained.network, dbn, top.chains, shown, bottom.options.seed
    ):
        reporter.say(str(picture))
        pictures.append(str(picture))
    reporter.finish({"pictures": pictures})
