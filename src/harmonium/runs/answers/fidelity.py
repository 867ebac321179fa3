"""How faithful samples are: those of a run, and those of files, beside the run's own rows."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harmonium import fidelity, likelihood, plots
from harmonium.datasets import Data, WeightedRows
from harmonium.datasets.weighing import some_rows
from harmonium.fidelity import MEASURES, Agreement, Measured, Reference
from harmonium.files import write_json
from harmonium.likelihood import LogZ
from harmonium.rng import Lane
from harmonium.run_directory import FIDELITY_MARK, REPORT_MARK, refuse_foreign
from harmonium.runs.answers.archives import target_of, write_csv
from harmonium.runs.answers.asked import Answer, Asked
from harmonium.runs.answers.chains import ChainOptions, schedule_of
from harmonium.runs.answers.evaluations import described
from harmonium.runs.answers.options import FidelityOptions
from harmonium.runs.answers.trained import Trained, open_trained
from harmonium.runs.following import write_page
from harmonium.runs.rows import ReadingOptions
from harmonium.sampling import sample as sampled

# Training rows that frequencies and distances refer to: those of 2,000 sites are 400 MB of states.
_MOST_ROWS = 50_000

_OWN, _HELD_OUT, _TRAIN = "model", "held-out", "training"


@dataclass(frozen=True, repr=False)
class Fidelity(Answer):
    """Samples beside the rows of a run.

    Attributes
    ----------
    measures
        By the name of the rows (``held-out``, ``model``, and the user's files): numbers by the
        names in `MEASURES`; what was not measured is missing.
    log_likelihood
        With ``pairwise``: mean log-likelihood of held-out rows by ``independent``, ``pairwise`` and
        ``model``, as `Run.evaluate` stores it (``lower``, ``upper``, ...).
    content
        The content of ``fidelity.json``.
    folder
        Where that file, the tables and the pictures are.
    pictures
        Their paths.
    page
        The page of the run, which shows them if they are in the run.
    """

    measures: Mapping[str, Mapping[str, float]]
    log_likelihood: Mapping[str, Mapping[str, Any]]
    content: Mapping[str, Any]
    folder: Path
    pictures: Sequence[Path]
    page: Path

    def as_dict(self) -> dict[str, Any]:
        """The content of the file, and where everything is."""
        pictures = [str(picture) for picture in self.pictures]
        files = {"folder": str(self.folder), "pictures": pictures, "report": str(self.page)}
        return {**self.content, **files}


def measure(
    asked: Asked,
    said: FidelityOptions,
    reading: ReadingOptions,
    sets: Mapping[str, Any] | None = None,
) -> Fidelity:
    """Measure samples of a run, and of files, beside its rows; writes a folder, and its page.

    Parameters
    ----------
    asked, said, reading
        The run, how samples are drawn, and how files with samples are read.
    sets
        Rows in memory or paths by name, in place of the files that ``said`` names.

    Raises
    ------
    FileExistsError, FileNotFoundError, TypeError, ValueError
        If there is no such run, model, file or place, or rows do not fit the model; before anything
        is written.
    """
    trained = open_trained(asked)
    refuse_foreign(trained.run.report_path, REPORT_MARK)
    folder = target_of(said.out, trained.run, "fidelity", (), ())
    files = named_sets(said.samples) if sets is None else sets
    for name in files:
        if name in (_OWN, _HELD_OUT, _TRAIN):
            raise ValueError(f"`samples` are called {name!r}, which the run's own are; rename them")
    others = {name: _read(trained, source, reading) for name, source in files.items()}
    data, held_out = trained.train_and_held_out()
    if said.pairwise:
        _check_pairwise(trained)
    if len(data) < 2:
        raise ValueError(f"{data.name} has one row, with which nothing can be compared")
    reference = _reference(trained, data, held_out, said)
    asked.reporter.say(
        f"{trained.run.path}: {said.rows:,} samples of {trained.rbm!r} after {said.warmup:,} "
        f"sweeps, beside {len(data):,} training rows"
    )
    rows = {_OWN: _drawn(trained, said)}
    rows |= {name: _states(of, said.rows, said.seed).states for name, of in others.items()}
    if reference.held_out is not None:
        rows = {_HELD_OUT: reference.held_out, **rows}
    found = {name: reference.measure(x, said.seed) for name, x in rows.items()}
    likelihoods = _likelihoods(trained, data, held_out, said.seed) if said.pairwise else {}
    content = {
        "kind": FIDELITY_MARK,
        "training_rows": len(reference.train),
        "measures": {name: _known(of.numbers) for name, of in found.items()},
        **({"log_likelihood": likelihoods} if likelihoods else {}),
        "update": trained.update,
        "seed": said.seed,
    }
    folder.mkdir()
    write_json(folder / "fidelity.json", content)
    _write_tables(folder, found, reference)
    pictures = tuple(
        plots.save(figure, folder / f"{name}.png", title=title, caption=caption)
        for name, figure, title, caption in _figures(found, reference)
    )
    measures = {name: of.numbers for name, of in found.items()}
    page = write_page(trained.run, asked.reporter)
    return Fidelity(measures, likelihoods, content, folder, pictures, page)


def _reference(
    trained: Trained, data: Data, held_out: Data | None, said: FidelityOptions
) -> Reference:
    """The run's rows; what is measured beside them follows from units, and what columns are."""
    train, held = _states(data, _MOST_ROWS, said.seed), None
    if held_out is not None:
        rows = _states(held_out, _MOST_ROWS, said.seed)
        held = fidelity.thinned(rows.states, rows.weights, said.seed)[: said.rows]
        held = held if len(held) > 1 else None
    # pixels that are neighbours in a row of values need not be any in the picture
    return Reference.of(
        train.states,
        trained.rbm.visible,
        held,
        weights=train.weights,
        n_rows=said.rows,
        is_line=trained.view.is_table,
        positions=fidelity.positions_in(trained.columns),
        seed=said.seed,
    )


# Rows


def named_sets(text: str | None) -> dict[str, str]:
    """Files of samples by name: ``gan.csv,RBM=other.csv``; without a name, that of the file.

    Raises
    ------
    ValueError
        If two have the same name.
    """
    found: dict[str, str] = {}
    for one in next(csv.reader([text])) if text else ():
        name, is_named, path = one.partition("=")
        if not is_named or Path(one).exists():
            name, path = Path(one).name.split(".")[0], one
        if name in found:
            raise ValueError(
                f"`samples` has two files called {name!r}; name them, such as first={path}"
            )
        found[name] = path
    return found


def _read(trained: Trained, source: Any, reading: ReadingOptions) -> Data:
    """Rows of a file or in memory."""
    return trained.data(str(source) if isinstance(source, Path) else source, reading)


def _states(data: Data, most: int, seed: int) -> WeightedRows:
    """States of at most this many rows, chosen at random and in a random order, with weights."""
    chosen = some_rows(data, most, Lane.COMPARED_SAMPLE_ROWS.stream(seed))
    rows = WeightedRows.from_data(data, chosen, Lane.COMPARED.stream(seed))
    return rows.to(torch.empty(0))  # compared on the CPU


def _drawn(trained: Trained, said: FidelityOptions) -> Tensor:
    """Samples of the model: one of each chain, or as many as it takes of the saved chains."""
    options, stream = ChainOptions.of(said.sampling), Lane.SAMPLES.stream(said.seed)
    schedule, saved = schedule_of(said.sampling), None
    if options.start == "chains":
        saved = trained.saved_chains(replace(options, fewer_will_do=True))
        n_samples = math.ceil(said.rows / len(saved))
        schedule = replace(schedule, n_samples=n_samples, sweeps_per_sample=max(said.warmup, 1))
    base = trained.base() if options.need_base(saved) else None
    models = trained.kept_models(options)
    chains, sampler = options.begin(
        trained.rbm, stream, rows=None, saved=saved, base=base, clamp=None, models=models
    )
    with torch.no_grad():
        drawn = sampled(trained.rbm, chains, schedule, stream, None, sampler)
        return torch.cat([now.visible.cpu() for now in drawn])[: said.rows]


def _known(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {key: x if math.isfinite(x) else None for key, x in numbers.items()}


def _check_pairwise(trained: Trained) -> None:
    """Reject rows that no pairwise model is fitted to."""
    n = trained.rbm.visible.n_columns
    if trained.view.two_states is None or not 2 <= n <= fidelity.MOST_UNITS:
        raise ValueError(
            f"`pairwise` is for 2 to {fidelity.MOST_UNITS} two-valued units, and the visible units "
            f"of {trained.run.path} are {trained.rbm.visible!r}; leave it out"
        )


@torch.no_grad()
def _likelihoods(
    trained: Trained, data: Data, held_out: Data | None, seed: int
) -> dict[str, dict[str, Any]]:
    """Mean log-likelihood of held-out rows by three models, nats a row; rows count by weight."""
    assert trained.view.two_states is not None
    high = trained.view.two_states[1]
    train = rows = _states(data, _MOST_ROWS, seed)
    if held_out is not None and len(held_out) > 1:
        # all of them: the mean of a few is known to within a tenth of a nat or so
        rows = _states(held_out, _MOST_ROWS, seed)
    rbm = trained.rbm.cpu()
    base = likelihood.base_rates(rbm, train)
    log_z = sum(
        units.cgf(torch.zeros(1, units.n_columns).to(base.weights)).sum().double().item()
        for units in (base.visible, base.hidden)
    )
    values = likelihood.log_likelihood(base, rows.states, LogZ.exact(log_z))
    mean, _ = rows.mean(values)
    found: dict[str, dict[str, Any]] = {
        "independent": {"lower": mean, "upper": mean, "rows": len(rows.states)}
    }
    trained.reporter.say(f"fitting a pairwise model of {rbm.visible.n} units")
    bits, other = (WeightedRows(of.states.eq(high).float(), of.weights) for of in (train, rows))
    pairwise = fidelity.fit_pairwise(bits.states, bits.weights, seed=seed).as_rbm().float()
    for name, model, v, base_rows in (
        ("pairwise", pairwise, other, bits),
        ("model", rbm, rows, train),
    ):
        trained.reporter.say(
            f"evaluating the {name} model" if name != _OWN else "evaluating the run"
        )
        found[name] = described(likelihood.evaluate(model, v, base_rows, seed=seed).result())
    return found


# Files


def _write_tables(folder: Path, found: Mapping[str, Measured], reference: Reference) -> None:
    """Write tables of numbers as CSV."""
    names = list(found)
    rows = [[key, *(of.numbers.get(key, "") for of in found.values())] for key in MEASURES]
    known = [row for row in rows if any(x != "" for x in row[1:])]
    write_csv(folder / "measures.csv", ["measure", *names], known)
    linked, active = reference.linked, reference.active
    if linked is not None:
        of_all = [linked, *(of.linked for of in found.values() if of.linked)]
        ends = linked.edges[:-1].tolist(), (linked.edges[1:] - 1).tolist()
        bins = zip(*ends, *(one.r2.tolist() for one in of_all), strict=True)
        write_csv(folder / "linkage.csv", ["from", "to", _TRAIN, *names], bins)
    if active is not None:
        of_each = [active, *(of.active for of in found.values() if of.active)]
        shares = zip(range(len(active.shares)), *(x.shares.tolist() for x in of_each), strict=True)
        write_csv(folder / "active-units.csv", ["active", _TRAIN, *names], shares)


def _figures(
    found: Mapping[str, Measured], reference: Reference
) -> Iterator[tuple[str, Any, str, str]]:
    """Names, figures, titles and captions."""
    beside = "of each set of rows against those of the training rows; on the line, both are equal."
    frequencies = {name: _points(of.frequencies) for name, of in found.items()}
    figure: Any = plots.agreement(frequencies, title="Means", what="a point a column")
    yield "frequencies", figure, "Means", f"Means of columns, {beside}"
    pairs = {name: _points(of.pairs) for name, of in found.items() if of.pairs}
    if pairs:
        n = next(of.pairs.n for of in found.values() if of.pairs)
        figure = plots.agreement(pairs, title="Covariances", what=f"of {n:,} pairs")
        yield "covariances", figure, "Covariances", f"Covariances of pairs of columns, {beside}"
    unit = "units that differ" if reference.gap else "Euclidean"
    distances = {name: of.nearest.distances for name, of in found.items()}
    figure = plots.nearest_distances(distances, unit=unit)
    words = "Samples that are nearer to training rows than held-out rows are may be copies."
    yield "nearest", figure, "Distance to the nearest training row", words
    linked, active, components = reference.linked, reference.active, reference.components
    if linked is not None and linked.n_pairs.any():
        r2 = {_TRAIN: linked.r2}
        r2 |= {name: of.linked.r2 for name, of in found.items() if of.linked}
        unit = "columns" if reference.positions is None else "positions"
        figure = plots.linkage_decay(linked.distances, r2, unit=unit)
        words = "The mean squared correlation of pairs of columns, by their distance."
        yield "linkage", figure, "Linkage disequilibrium", words
    if active is not None:
        shares = {_TRAIN: active.shares}
        shares |= {name: of.active.shares for name, of in found.items() if of.active}
        words = "The share of the rows in which 0, 1, 2, ... units are active at a time."
        yield "active-units", plots.population_counts(shares), "Active units", words
    if components is not None:
        some = components.project(reference.alike[: reference.n_rows])
        shown = {_TRAIN: some}
        shown |= {n: of.coordinates for n, of in found.items() if of.coordinates is not None}
        figure = plots.components(shown, components.explained)
        words = "Rows on the first two principal components of the training rows."
        yield "components", figure, "Principal components", words


def _points(of: Agreement) -> tuple[Tensor, Tensor]:
    return of.data, of.samples
