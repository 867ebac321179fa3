"""Samples of an RBM or of a deep belief network, and rows that they complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets import Data
from harmonium.deep import (
    Completion,
    Dream,
    HiddenSampler,
    MetropolisWithinGibbs,
    PseudoGibbs,
    complete,
)
from harmonium.rng import Lane, Stream
from harmonium.runs.answers.aligned import need_letters
from harmonium.runs.answers.archives import column_names, names_of_rows
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.chains import ChainOptions, schedule_of
from harmonium.runs.answers.options import NetworkSamplingOptions, SamplingOptions
from harmonium.runs.answers.sequences import frame_of, place_of_samples, write_samples
from harmonium.runs.answers.trained import Trained, TrainedNetwork, open_network, open_trained
from harmonium.runs.choices import CompletionName
from harmonium.runs.pictures import figures
from harmonium.runs.pictures.views import View
from harmonium.runs.rows import ReadingOptions
from harmonium.sampling import ChainState, Clamp, SamplingSchedule
from harmonium.sampling import sample as sampled
from harmonium.sequences import nearest

_SHOWN_CHAINS, _SHOWN_SAMPLES = 20, 20
_SHOWN_OF_ONE = 400  # chains with one sample each are arranged in a square
_SHOWN_COMPLETIONS = 60  # the same, with two explanatory pictures beside each sample

_COMPLETIONS: dict[CompletionName, Callable[[], HiddenSampler]] = {
    "pseudo-gibbs": PseudoGibbs,
    "metropolis": MetropolisWithinGibbs,
}


@dataclass(frozen=True, repr=False)
class Samples(Answer):
    """Samples of a model, in the units of the data; thresholded values are 0 and 1.

    Attributes
    ----------
    samples, means
        Visible states, and their means given the hidden units, shape (n_chains, n_samples,
        n_columns).
    path, picture
        The ``.npz`` with all arrays, the ``.csv`` of samples, or the FASTA file of sampled
        sequences; and the picture of the means.
    classes
        The number of each sample's class, shape (n_chains, n_samples); None without label units.
    truth, held
        If columns were held: the rows that were completed, shape (n_chains, n_columns), and True
        for each held column, shape (n_columns,).
    columns
        Names of the columns, if they have names.
    rows
        The names of the rows that chains start at, if there are such rows and they have names.
    nearest, differences
        Of aligned sequences, if asked for: the name of the nearest training sequence of each
        sample, or its number from 0, and at how many sites they differ, shape (n_chains,
        n_samples).
    ladder
        ``temperatures``, or along a trajectory ``models``, and statistics of their swaps; empty for
        Gibbs sampling.
    acceptance
        Rates at which ``completion='metropolis'`` accepted; else empty.
    frame
        Of a mixed table, the samples as the user's own columns, one after the other chain by chain,
        by name: a dictionary that pandas and polars make frames of. ``samples`` then holds the
        numbers of categories.
    """

    samples: NDArray[Any]
    means: NDArray[Any]
    path: Path
    picture: Path
    classes: NDArray[Any] | None = None
    truth: NDArray[Any] | None = None
    held: NDArray[Any] | None = None
    columns: tuple[str, ...] | None = None
    rows: Sequence[str] | None = None
    nearest: NDArray[Any] | None = None
    differences: NDArray[Any] | None = None
    ladder: Mapping[str, float] = field(default_factory=dict)
    acceptance: Mapping[str, float] = field(default_factory=dict)
    frame: Mapping[str, NDArray[Any]] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Where the files are, and the statistics."""
        files: dict[str, Any] = {"samples": str(self.path), "picture": str(self.picture)}
        if self.differences is not None:
            files["median_differences"] = float(np.median(self.differences))
        return {**files, **self.ladder, **self.acceptance}


def sample(asked: Asked, said: SamplingOptions, reading: ReadingOptions) -> Samples:
    """Sample the model of a run; writes an ``.npz`` and a picture in the same folder.

    Raises
    ------
    FileExistsError, FileNotFoundError, ValueError
        If there is no such run, model, row, chain, column or place, before anything is written.
    """
    options, schedule = ChainOptions.of(said), schedule_of(said)
    trained = open_trained(asked)
    archive = place_of_samples(said.out, trained)
    natural = _natural(trained) if said.nearest else None
    rbm, stream = trained.rbm, Lane.SAMPLES.stream(said.seed)
    rows, saved, names, own = None, None, None, None
    if options.start == "chains":
        saved = trained.saved_chains(options)
        options = options.with_starts(len(saved))
    given, models = trained.held_columns(said.clamp), trained.kept_models(options)
    if options.start == "data":
        data = trained.data(said.data, reading)
        rows, names = trained.first_rows(data, options), data.row_names
        own = data.values[: len(rows)].cpu()
        rows = trained.with_letters(rows, said.clamp)
    base = trained.base() if options.need_base(saved) else None
    held, completed = None, None
    if given is not None and rows is not None:
        held, completed = Clamp(trained.held_states(given), rows), (rows, given)
    chains, sampler = options.begin(
        rbm, stream, rows=rows, saved=saved, base=base, clamp=held, models=models
    )
    states, means = [], []
    with torch.no_grad():
        for now in sampled(rbm, chains, schedule, stream, held, sampler, copies=False):
            states.append(now.visible.to("cpu", copy=True))  # the chains move in place
            mean = rbm.mean_v_from_h(now.hidden)
            means.append((held.apply_(mean) if held else mean).cpu())
    tempered = None if sampler is None else chains
    return _kept(
        archive, states, means, trained.view, schedule, stream, tempered, completed, names=names,
        own=own, natural=natural,
    )  # fmt: skip


def _natural(trained: Trained) -> Data:
    """The sequences that samples are compared with."""
    need_letters(trained)
    return trained.train_and_held_out()[0]


def sample_network(
    asked: Asked, said: SamplingOptions, of_network: NetworkSamplingOptions, reading: ReadingOptions
) -> Samples:
    """Sample a stack, or complete rows; writes and raises what `sample` does."""
    options, schedule, clamp = ChainOptions.of(said), schedule_of(said), said.clamp
    completion = of_network.completion
    if said.nearest:
        raise ValueError("`nearest` is for a model of one RBM, and this is a stack; leave it out")
    if completion and not clamp:
        raise ValueError("`completion` is for `clamp`, and there is none; leave it out")
    if clamp and options.sampler != "gibbs":
        raise ValueError(
            f"`sampler={options.sampler!r}` moves chains of the top RBM alone, and with `clamp` "
            "all layers move; leave it out, or take `completion`"
        )
    trained = open_network(asked)
    dbn, bottom = trained.dbn, trained.bottom
    names = trained.class_names
    given = bottom.held_columns(clamp)
    archive = place_of_samples(said.out, bottom, trained.network.run)
    stream = Lane.DREAM.stream(said.seed)
    rows, saved, row_names = None, None, None
    if options.start == "data":
        data = bottom.data(said.data, reading)
        rows, row_names = bottom.first_rows(data, options), data.row_names
        rows = bottom.with_letters(rows, clamp)
        options = options.with_starts(len(rows))
    elif options.start == "chains":
        saved = trained.open_top().saved_chains(options)
        options = options.with_starts(len(saved))
    chosen = None
    if of_network.classes is not None:
        chosen = _classes(of_network.classes, names, options.n_chains)
    tempered, completed = None, None
    moments: Iterator[Dream | Completion]
    if given is not None and rows is not None:
        sampler = _COMPLETIONS[completion or "pseudo-gibbs"]()
        held, completed = Clamp(bottom.held_states(given), rows), (rows, given)
        moments = complete(dbn, rows, held, schedule, stream, classes=chosen, sampler=sampler)
    else:
        moments, tempered = _dreams(trained, options, schedule, stream, rows, saved, chosen)
    states, means, classes, acceptances = [], [], [], []
    for now in moments:
        states.append(now.visible.cpu())
        means.append(now.means.cpu())
        if now.classes is not None:
            classes.append(now.classes.cpu())
        if isinstance(now, Completion) and now.acceptance is not None:
            acceptances.append(now.acceptance)
    # the first value belongs to the warm-up, which matters only if there is no other
    acceptances = acceptances[1:] or acceptances
    return _kept(
        archive,
        states,
        means,
        bottom.view,
        schedule,
        stream,
        tempered,
        completed,
        classes=torch.stack(classes, 1) if classes else None,
        chain_names=None if chosen is None else [names[k] for k in chosen.tolist()],
        names=row_names,
        acceptance=_accepted(torch.stack(acceptances).mean(0)) if acceptances else {},
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
    """Samples from chains of the top RBM, and the chains if they are tempered."""
    dbn = trained.dbn
    below_top = None if rows is None else dbn.sample_below_top(rows, stream)
    clamp = None if classes is None else dbn.clamp_classes(classes)
    chains, sampler = options.begin(
        dbn.top,
        stream,
        rows=below_top,
        saved=saved,
        base=None,
        clamp=clamp,
        models=trained.open_top().kept_models(options) if options.sampler == "trajectory" else (),
    )
    dreams = dbn.sample(chains, schedule, stream, clamp, sampler, copies=False)
    return dreams, None if sampler is None else chains


def _classes(text: str, names: list[str], n_chains: int) -> Tensor:
    """A class for each chain, in order, with chains divided evenly among classes."""
    if not names:
        raise ValueError(
            "`classes` sets the label units, and this network has none; train one with `labels`"
        )
    chosen = names if text == "all" else [name.strip() for name in text.split(",")]
    if not set(chosen) <= set(names):
        some = "0,3" if len(names) > 3 else "0,1"
        known = f"from 0 to {len(names) - 1}, such as {some},"
        if names != [str(k) for k in range(len(names))]:
            known = f"of {', '.join(names)},"
        raise ValueError(f"`classes` is {text!r}; pass classes {known} or all")
    if len(chosen) > n_chains:
        raise ValueError(
            f"`chains` is {n_chains}, and `classes` names {len(chosen)} classes; pass "
            f"{len(chosen)} chains or more"
        )
    return torch.tensor([names.index(chosen[i * len(chosen) // n_chains]) for i in range(n_chains)])


def _accepted(acceptance: Tensor) -> dict[str, float]:
    """Rates for all hidden units and for a few, shape (n_chains, 2): mean, and least of a chain."""
    of_all, of_few = acceptance.mean(0).tolist()
    least_of_all, least_of_few = acceptance.min(0).values.tolist()
    return {
        "acceptance": of_all,
        "least_acceptance": least_of_all,
        "acceptance_of_few": of_few,
        "least_acceptance_of_few": least_of_few,
    }


def _kept(
    archive: Path,
    states: list[Tensor],
    means: list[Tensor],
    view: View,
    schedule: SamplingSchedule,
    stream: Stream,
    tempered: ChainState | None,
    completed: tuple[Tensor, Tensor] | None,
    *,
    classes: Tensor | None = None,
    chain_names: Sequence[str] | None = None,
    acceptance: Mapping[str, float] | None = None,
    names: Sequence[str] | None = None,
    own: Tensor | None = None,
    natural: Data | None = None,
) -> Samples:
    """Write samples, and draw them.

    Parameters
    ----------
    states, means
        Visible states, and their means given the hidden units, one tensor (n_chains, n_columns) per
        sample.
    view, schedule
        How to show visible states, and when samples were taken.
    stream
        For values within bins of numbers.
    tempered
        The chains, whose replicas swap; None without tempering.
    completed
        The rows that were completed, and the user's columns that were held.
    classes, chain_names
        The class of each sample; the class that is held fixed in each chain, by name.
    names
        Names of the rows, of which the first are those that chains start at.
    own
        The user's values of the rows that chains start at, which states tell only to a bin.
    natural
        Sequences whose nearest to each sample is named.
    """
    arrays: dict[str, NDArray[Any]] = {
        "samples": view.drawn(torch.stack(states, 1), stream),
        "means": view.values(torch.stack(means, 1)),
    }
    if classes is not None:
        arrays["classes"] = classes.numpy()
    if completed is not None:
        truth, held = completed
        arrays |= {"truth": view.values(truth.cpu()), "held": held.cpu().numpy()}
        if view.table is not None and own is not None:
            arrays["truth"] = own.double().numpy()
            given = arrays["held"]
            arrays["samples"][..., given] = arrays["truth"][:, None, given]
    if natural is not None:
        shape = arrays["samples"].shape[:2]
        flat = arrays["samples"].reshape(-1, arrays["samples"].shape[-1])
        found = nearest(flat, natural.values.cpu().numpy())
        called = natural.row_names or [str(row) for row in range(len(natural))]
        arrays["nearest"] = np.array([called[row] for row in found.rows.tolist()]).reshape(shape)
        arrays["differences"] = found.distances.reshape(shape)
    names = None if names is None else names[: len(states[0])]
    write_samples(archive, {**arrays, **column_names(view), **names_of_rows(names)}, view)
    replicas = None if tempered is None else tempered.replicas
    return Samples(
        path=archive,
        picture=_draw(archive.with_suffix(".png"), means, view, schedule, completed, chain_names),
        columns=view.columns,
        rows=names,
        ladder={} if replicas is None else replicas.row(),
        acceptance=acceptance or {},
        frame=frame_of(arrays["samples"], view),
        **arrays,
    )


def _draw(
    path: Path,
    means: list[Tensor],
    view: View,
    schedule: SamplingSchedule,
    completed: tuple[Tensor, Tensor] | None,
    classes: Sequence[str] | None,
) -> Path:
    """Draw as many samples as fit into a picture."""
    shown = torch.stack(means[:_SHOWN_SAMPLES], 1)
    n_chains = len(shown)
    n_shown = min(n_chains, _SHOWN_CHAINS if len(means) > 1 else _SHOWN_OF_ONE)
    if completed is not None:
        n_shown = min(n_chains, _SHOWN_COMPLETIONS if len(means) == 1 else _SHOWN_CHAINS)
        truth, held = completed
        return figures.save_completions(path, truth[:n_shown].cpu(), shown[:n_shown], held, view)
    # chains are sorted by class: take some of each
    chosen = torch.arange(n_shown)
    if classes is not None:
        chosen = chosen * n_chains // n_shown
    return figures.save_samples(
        path,
        shown[chosen],
        view,
        schedule.sweeps_per_sample,
        chain_names=None if classes is None else [classes[i] for i in chosen.tolist()],
    )
