"""Measure everything about a model and its rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium import defaults
from harmonium.arguments import no_tensor
from harmonium.datasets import WeightedRows
from harmonium.diagnostics.advice import Advice, Findings, advise
from harmonium.diagnostics.chains import (
    Mixing,
    Recording,
    autocorrelations,
    mixing,
    record,
    schedule_of,
    start_apart,
)
from harmonium.diagnostics.convergence import Autocorrelation
from harmonium.diagnostics.hidden import HiddenUnits, hidden_units
from harmonium.diagnostics.moments import MomentDistance, Moments, moment_distance, moments
from harmonium.diagnostics.overfitting import FreeEnergyGap, free_energy_gap
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Lane

_MOST_RECORDS = 1000


@dataclass(frozen=True)
class Diagnosis:
    """Measured numbers, advice derived from them, and the underlying arrays for plots.

    Attributes
    ----------
    findings
        The numbers.
    recording
        Recording of the chains; None if they diverged.
    autocorrelations
        Autocorrelations by observable; empty if nothing was measured.
    data, chains
        Moments of the training rows and of the chains; None if not available.
    """

    findings: Findings
    recording: Recording | None
    autocorrelations: dict[str, Autocorrelation]
    data: Moments | None
    chains: Moments | None

    @property
    def advice(self) -> list[Advice]:
        """What to do, as a list of advice."""
        return advise(self.findings)


@torch.no_grad()
def diagnose(
    rbm: RBM,
    train: Tensor | WeightedRows,
    held_out: Tensor | WeightedRows | None = None,
    *,
    n_sweeps: int = defaults.DIAGNOSE_SWEEPS,
    n_chains: int = defaults.DIAGNOSE_CHAINS,
    seed: int = defaults.SEED,
    n_rows: int | None = None,
    n_training_chains: int | None = None,
    batch_size: int | None = None,
    update_ratio: float | None = None,
    has_grey_values: bool | None = None,
) -> Diagnosis:
    """Measure a model, its chains and its fit, and give advice.

    Parameters
    ----------
    rbm
        The model.
    train, held_out
        Rows of states, shape (rows, visible.n_columns): the training rows, or some of them, and
        held-out rows. Without held-out rows, overfitting is not measured. Rows count by their
        weights, if they have some; chains start at any of them alike.
    n_sweeps, n_chains
        Length and number of the chains. Half of them start from data and half from random states
        (`start_apart`); the first half of the sweeps is warm-up.
    seed
        Seed of the chains.
    n_rows
        Total number of training rows, if ``train`` is a subset.
    n_training_chains, batch_size, update_ratio, has_grey_values
        Properties of the training and its data, if known: see `Findings`.

    Raises
    ------
    ValueError
        If parameters are not finite, if there are no rows or their shape does not fit, or if there
        are no chains or too few sweeps.
    """
    check_rbm("rbm", rbm)
    for name, parameter in rbm.named_parameters():
        n_bad = int((~parameter.isfinite()).sum())
        if n_bad:
            raise ValueError(
                f"{n_bad} of {parameter.numel()} values of {name} are NaN or infinite, so there is "
                "no model to diagnose; take an older checkpoint, or train again with a smaller "
                "learning rate"
            )
    for name, given in (("train", train), ("held_out", held_out)):
        if given is not None or name == "train":
            rows = given.states if isinstance(given, WeightedRows) else given
            if not isinstance(rows, Tensor):
                raise no_tensor(name, rows)
            rbm.visible.check_width(rows, "visible")
            if rows.dim() != 2 or len(rows) == 0:
                raise ValueError(f"{name} has shape {tuple(rows.shape)}; pass 1 or more rows")
    schedule = schedule_of(n_sweeps, _MOST_RECORDS)
    train = WeightedRows.of(train).to(rbm.weights)
    why: dict[str, str] = {}

    stream = Lane.DIAGNOSIS.stream(seed)
    recording: Recording | None = record(
        rbm, start_apart(rbm, train.states, n_chains, stream), schedule, stream
    )
    assert recording is not None
    mixes: Mixing | None = None
    curves: dict[str, Autocorrelation] = {}
    has_diverged = not all(series.isfinite().all() for series in recording.series.values())
    if has_diverged:
        recording = None
        why["mixing"] = "the chains left all bounds, as they do if the model cannot be normalised"
    else:
        try:
            curves = autocorrelations(recording)
            mixes = mixing(recording, curves, schedule.n_warmup)
        except ValueError as error:
            why["mixing"] = str(error)

    of_data = moments(train)
    of_chains = None if recording is None else moments(recording.states)
    distance: MomentDistance | None = None
    if of_chains is None:
        why["moments"] = why["mixing"]
    else:
        try:
            distance = moment_distance(of_data, of_chains)
        except ValueError as error:
            why["moments"] = str(error)

    hidden: HiddenUnits | None = None
    if len(train) < 2:
        why["hidden"] = "there is one training row, over which no activity varies"
    else:
        hidden = hidden_units(rbm, train)
        if hidden is None:
            why["hidden"] = "the hidden units have no bounded activity"

    gap: FreeEnergyGap | None = None
    if held_out is None:
        why["overfitting"] = "there are no held-out rows"
    else:
        gap = free_energy_gap(rbm, train, held_out)

    if update_ratio is None:
        why["update_ratio"] = "no row of numbers about the training has one"
    findings = Findings(
        n_hidden=rbm.hidden.n,
        n_rows=len(train) if n_rows is None else n_rows,
        n_training_chains=n_training_chains,
        batch_size=batch_size,
        update_ratio=update_ratio,
        mixing=mixes,
        moments=distance,
        hidden=hidden,
        overfitting=gap,
        has_diverged=has_diverged,
        has_grey_values=has_grey_values,
        not_measured=why,
    )
    return Diagnosis(findings, recording, curves, of_data, of_chains)
