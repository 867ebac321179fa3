"""Output of a trained model: an ``.npz`` under an unused name, a picture, and a printed summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.cli.progress import choose_reporter
from harmonium.files import whole_file
from harmonium.runs.pictures import figures
from harmonium.runs.pictures.views import View
from harmonium.sampling import Replicas, SamplingSchedule

_SHOWN_CHAINS, _SHOWN_SAMPLES = 20, 20
_SHOWN_OF_ONE = 400  # chains with one sample each are arranged in a square
_SHOWN_COMPLETIONS = 60  # the same, with two explanatory pictures beside each sample


def free_archive(path: Path) -> Path:
    """The archive name that a user chose; rejects existing files and missing folders."""
    if path.suffix != ".npz":
        raise ValueError(f"--out is {path}; pass a name that ends in .npz")
    for there in (path, path.with_suffix(".png")):
        if there.exists():
            raise FileExistsError(f"{there} exists; choose another --out")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--out is {path}, and there is no folder {path.parent}")
    return path


def write_archive(path: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays as an ``.npz``, atomically."""
    with whole_file(path) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


@dataclass(frozen=True)
class Completed:
    """What was completed.

    Attributes
    ----------
    truth
        True states of the rows, shape (n_chains, n_columns).
    held
        True where a column of the user's values was held fixed.
    """

    truth: Tensor
    held: Tensor


def column_names(view: View) -> dict[str, NDArray[Any]]:
    """The array of column names for an archive, if columns have names."""
    return {} if view.columns is None else {"columns": np.array(view.columns, dtype=np.str_)}


def keep_samples(
    archive: Path,
    arrays: Mapping[str, NDArray[Any]],
    described: str,
    *,
    means: list[Tensor],
    view: View,
    schedule: SamplingSchedule,
    replicas: Replicas | None,
    as_json: bool,
    acceptance: Tensor | None = None,
    completed: Completed | None = None,
    classes: Sequence[str] | None = None,
) -> None:
    """Write samples, draw them, and print where they are.

    Parameters
    ----------
    archive
        The ``.npz``; the picture goes into the same folder.
    arrays, described
        The arrays to store, in the user's units, and their description in words.
    means
        Mean visible units given the hidden units, one tensor (n_chains, n_columns) per sample: what
        the picture shows.
    view, schedule
        How to show visible states, and when samples were taken.
    replicas
        The tempered replicas, whose swaps are reported; None without tempering.
    as_json
        Whether to print JSON.
    acceptance
        Acceptance rates of proposals for all hidden units and for a few of them, shape (n_chains,
        2).
    completed
        The completed rows, if columns were held fixed.
    classes
        The class name that is held fixed in each chain.
    """
    kept = {**arrays, **column_names(view)}
    if completed is not None:
        kept["truth"] = view.values(completed.truth.cpu())
        kept["held"] = completed.held.cpu().numpy()
    write_archive(archive, **kept)
    picture = _draw(archive.with_suffix(".png"), means, view, schedule, completed, classes)
    reporter = choose_reporter(as_json)
    reporter.say(f"samples   {archive} ({described}: chains, samples, columns)")
    if completed is not None:
        reporter.say("          `truth` holds the rows that were completed, `held` what was given")
    if "columns" in kept:
        reporter.say("          `columns` holds the names of the columns")
    reporter.say(f"picture   {picture} (mean activations)")
    ladder = {} if replicas is None else replicas.row()
    if ladder:
        reporter.say(_describe_ladder(ladder))
    accepted = {} if acceptance is None else _accepted(acceptance)
    if accepted:
        reporter.say(_describe_acceptance(accepted))
    reporter.finish({"samples": str(archive), "picture": str(picture), **ladder, **accepted})


def _draw(
    path: Path,
    means: list[Tensor],
    view: View,
    schedule: SamplingSchedule,
    completed: Completed | None,
    classes: Sequence[str] | None,
) -> Path:
    """Draw as many samples as fit into a picture."""
    shown = torch.stack(means[:_SHOWN_SAMPLES], 1)
    n_chains = len(shown)
    n_shown = min(n_chains, _SHOWN_CHAINS if len(means) > 1 else _SHOWN_OF_ONE)
    if completed is not None:
        n_shown = min(n_chains, _SHOWN_COMPLETIONS if len(means) == 1 else _SHOWN_CHAINS)
        truth = completed.truth[:n_shown].cpu()
        return figures.save_completions(path, truth, shown[:n_shown], completed.held, view)
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


def _describe_ladder(ladder: Mapping[str, float]) -> str:
    """Statistics of the swaps between temperatures."""
    said = f"ladder    {ladder['temperatures']:.0f} temperatures"
    if "swap_acceptance" in ladder:
        said += (
            f"; {ladder['swap_acceptance']:.0%} of the swaps were accepted (at least "
            f"{ladder['least_swap_acceptance']:.0%} of each pair), and in 100 sweeps "
            f"{ladder['round_trips']:.2g} fresh replicas arrived at each chain"
        )
    return said


def _accepted(acceptance: Tensor) -> dict[str, float]:
    """Acceptance rates: the mean over chains, and the lowest of any chain."""
    of_all, of_few = acceptance.mean(0).tolist()
    least_of_all, least_of_few = acceptance.min(0).values.tolist()
    return {
        "acceptance": of_all,
        "least_acceptance": least_of_all,
        "acceptance_of_few": of_few,
        "least_acceptance_of_few": least_of_few,
    }


def _describe_acceptance(accepted: dict[str, float]) -> str:
    return (
        f"accepted  {accepted['acceptance']:.1%} of the proposals of all hidden units at once (at "
        f"least {accepted['least_acceptance']:.1%} in each chain), and "
        f"{accepted['acceptance_of_few']:.1%} of those of a few units (at least "
        f"{accepted['least_acceptance_of_few']:.1%})"
    )
