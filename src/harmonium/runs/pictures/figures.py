"""The pictures of a run: which ones there are, and what is drawn in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from harmonium import plots
from harmonium.datasets import Data
from harmonium.missing_states import completed_rows
from harmonium.rbm import RBM
from harmonium.rng import Lane
from harmonium.run_directory import LAYER_BELOW, LAYER_NUMBER, RunDirectory
from harmonium.runs.pictures import film, table_figures
from harmonium.runs.pictures.views import ImageShape as ImageShape
from harmonium.runs.pictures.views import View, paced
from harmonium.runs.pictures.views import in_users_units as in_users_units
from harmonium.runs.pictures.views import picture_shape as picture_shape
from harmonium.sampling import ChainState, SamplingSchedule, sample, start_random

SHEET_FILTERS = 100
SHOWN_ROWS = 20
_ACTIVITY_ROWS = 200
FINAL_CHAINS = 10
FINAL_SCHEDULE = SamplingSchedule(n_warmup=100, n_samples=10, sweeps_per_sample=100)


def draw_all(
    run: RunDirectory,
    rbm: RBM,
    chains: ChainState | None,
    data: Data,
    seed: int,
    train_data: Data | None = None,
    *,
    n_filters: int = SHEET_FILTERS,
) -> Iterator[Path]:
    """Redraw the pictures of a run, yielding the path of each.

    Parameters
    ----------
    run
        Where the pictures go; its rows of numbers give the learning curves.
    rbm
        The model to draw.
    chains
        Chains from which sampling continues; None starts at random states.
    data
        Rows to reconstruct and to measure activations on: held-out rows if there are any.
    seed
        Of the samples.
    train_data
        Rows whose columns are compared with those of samples; by default ``data``.
    n_filters
        Maximum number of filters to draw.
    """
    run.figures.mkdir(exist_ok=True)
    view = View.of(rbm, data, of_hidden_units=learns_from_a_layer(run))
    weights = rbm.weights.detach().cpu()
    yield save_filters(run.figures / "filters.png", weights, view, n_filters)

    stream = Lane.SAMPLES.stream(seed)
    if chains is None:
        chains = start_random(rbm, film.CHAINS, stream)
    few, schedule = a_few(chains, FINAL_CHAINS), paced(FINAL_SCHEDULE, rbm)
    means = [
        rbm.mean_v_from_h(now.hidden).detach()
        for now in sample(rbm, few, schedule, stream, copies=False)
    ]
    yield save_samples(
        run.figures / "samples.png",
        torch.stack(means, 1),
        view,
        schedule.sweeps_per_sample,
    )
    if view.is_table and not view.of_hidden_units:
        stream = Lane.COMPARED_SAMPLES.stream(seed)
        yield from table_figures.draw(run, rbm, chains, train_data or data, view, stream)

    first = torch.arange(min(len(data), _ACTIVITY_ROWS), device=data.values.device)
    rows = completed_rows(rbm, data, first, Lane.WATCHED.stream(seed))
    yield save_reconstructions(
        run.figures / "reconstructions.png",
        rows[:SHOWN_ROWS],
        rbm.mean_v_from_h(rbm.mean_h_from_v(rows[:SHOWN_ROWS])).detach(),
        view,
    )

    if view.image_shape is not None:
        stream = Lane.FILM.stream(seed)
        frames = film.of_chains(rbm, a_few(chains, film.CHAINS), stream)
        yield film.save(
            run,
            (view.values(frame) for frame in frames),
            view.image_shape,
            film.shades(view.values(rows[:SHOWN_ROWS])),
        )

    if run.rows():
        yield plots.save(plots.learning_curves(run.rows()), run.figures / "learning-curves.png")
    yield plots.save(
        plots.weight_histogram(
            weights,
            visible_bias=rbm.visible.bias.detach().cpu(),
            hidden_bias=rbm.hidden.bias.detach().cpu(),
        ),
        run.figures / "weights.png",
    )
    yield plots.save(
        plots.hidden_activity(rbm.mean_h_from_v(rows).detach().cpu()),
        run.figures / "hidden-activity.png",
    )


def learns_from_a_layer(run: RunDirectory) -> bool:
    """Whether the columns of a run's data are hidden units of another run."""
    source = run.config()["options"]["data"]
    if source.startswith(LAYER_BELOW):
        return LAYER_NUMBER.fullmatch(source) is not None
    return RunDirectory(source).config_path.is_file()


def a_few(chains: ChainState, n: int) -> ChainState:
    """Copies of the first chains, at most ``n``."""
    return ChainState(chains.visible[:n].clone(), chains.hidden[:n].clone())


def save_filters(path: Path, weights: Tensor, view: View, n_filters: int = SHEET_FILTERS) -> Path:
    """Draw the filters of hidden units: a picture each, or weights by column."""
    if view.image_shape is not None:
        caption = "One picture per hidden unit, each on its own scale: grey is zero, red positive."
        sheet = plots.filters(weights, view.image_shape, n=n_filters)
        return plots.save(sheet, path, title="Filters", caption=caption)
    caption = (
        "One line per column and one cell per hidden unit, for the largest weights: red columns "
        "switch the unit on, blue ones off."
    )
    names = view.unit_names(len(weights))
    is_split = any(" = " in name for name in names) and names != view.labels(len(weights))
    nouns = ("category", "categories") if is_split else ("column", "columns")
    sheet = plots.weights_by_column(weights, names, nouns=nouns)
    return plots.save(sheet, path, title="Weights by column", caption=caption)


def save_samples(
    path: Path,
    samples: Tensor,
    view: View,
    sweeps_per_sample: int,
    *,
    chain_names: Sequence[str] | None = None,
    title: str = "Samples",
) -> Path:
    """Draw samples of shape (n_chains, n_samples, n_columns) in the user's own units."""
    values, several = view.values(samples), samples.shape[1] > 1
    named = chain_names is not None
    # a bare number next to a chain would look like the chain's number
    chain_names = chain_names and [f"class {x}" if x.isdigit() else x for x in chain_names]
    if view.image_shape is not None:
        caption = "One picture of each chain" + "; one row per class." * named + "." * (not named)
        if several:
            of = "chain, named by the class that it shows" if named else "chain"
            caption = f"One row per {of}; time runs to the right."
        sheet = plots.samples(
            values, view.image_shape, sweeps_per_sample=sweeps_per_sample, chain_names=chain_names
        )
        return plots.save(sheet, path, title=title, caption=caption)
    shown, note = view.telling(samples)
    names = view.labels(values.shape[-1])
    caption = (
        "One upright strip per sample and one line per column, each line on its own colour scale."
    )
    if several:
        caption += " Chains stand side by side; in each, time runs to the right."
    strips = plots.sample_strips(
        values[..., shown],
        [names[i] for i in shown],
        sweeps_per_sample=sweeps_per_sample,
        chain_names=chain_names,
        limits=view.limits(samples.shape[-1], shown),
        letters=view.letters(shown),
    )
    return plots.save(strips, path, title=title, caption=caption + note)


def save_completions(
    path: Path, truth: Tensor, completed: Tensor, held: Tensor, view: View
) -> Path:
    """Draw completed rows next to the true rows, marking what was held.

    Parameters
    ----------
    path
        Of the picture.
    truth, completed
        States, shape (n_rows, n_columns) and (n_rows, n_samples, n_columns).
    held
        True where a column of the user's values was held.
    view
        How to show a row of states.
    """
    rows, samples, mask = view.values(truth), view.values(completed), held.cpu().numpy()
    if view.image_shape is not None:
        caption = (
            "From left to right: the true picture, the part that was given (the rest is tinted), "
            "and what the model makes of it."
        )
        sheet = plots.completions(rows, samples, mask, view.image_shape)
        return plots.save(sheet, path, title="Completions", caption=caption)
    shown, note = view.telling(truth, always=held)
    caption = (
        "For each row, the true values left of the seam, and the completion by the model right "
        "of it. Columns with blue names were held. Each column has its own colour scale."
    )
    names = view.labels(rows.shape[1])
    strips = plots.completion_strips(
        rows[:, shown],
        samples[..., shown],
        mask[shown],
        [names[i] for i in shown],
        limits=view.limits(truth.shape[-1], shown),
        letters=view.letters(shown),
    )
    return plots.save(strips, path, title="Completions", caption=caption + note)


def save_reconstructions(path: Path, originals: Tensor, reconstructed: Tensor, view: View) -> Path:
    """Draw rows next to their reconstructions, in the user's units."""
    before, after = view.values(originals), view.values(reconstructed)
    if view.image_shape is not None:
        # many rows give an approximately square sheet
        n_columns = max(10, round((2 * len(before)) ** 0.5))
        sheet = plots.reconstructions(before, after, view.image_shape, n_columns=n_columns)
        caption = "Each row of the data above its reconstruction."
        return plots.save(sheet, path, title="Reconstructions", caption=caption)
    shown, note = view.telling(originals)
    names = view.labels(before.shape[1])
    strips = plots.reconstruction_strips(
        before[:SHOWN_ROWS, shown],
        after[:SHOWN_ROWS, shown],
        [names[i] for i in shown],
        limits=view.limits(originals.shape[-1], shown),
        letters=view.letters(shown),
    )
    caption = (
        "Each row of the data as an upright strip, left of its reconstruction. Each column has "
        "its own colour scale."
    )
    return plots.save(strips, path, title="Reconstructions", caption=caption + note)
