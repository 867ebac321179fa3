"""The numbers that a training run reports, and the rows they are measured on."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harmonium import defaults, diagnostics
from harmonium.arguments import check_count
from harmonium.datasets import (
    MaskedRows,
    Rows,
    WeightedRows,
    check_rows,
    has_missing,
    masked_rows,
)
from harmonium.datasets.weighing import some_rows, weights_of
from harmonium.gauge import Gauge
from harmonium.likelihood import (
    LogZ,
    Population,
    can_be_enumerated,
    exact_log_z,
    is_normalisable,
    log_likelihood,
    pseudo_log_likelihood,
)
from harmonium.likelihood.checks import are_states
from harmonium.metrics import WARNING
from harmonium.missing_states import complete
from harmonium.rbm import RBM, check_rbm
from harmonium.rng import Lane
from harmonium.sampling import ChainState, start_at
from harmonium.units import Binary, Units

__all__ = ["Following", "Monitor", "Population"]

_FLIP_CHAINS = 100
_UNITS_PER_ROW = 8

# Most draws per evaluation: mixed layers take one draw for each kind of unit.
_MOST_DRAWS = 64
_MOST_COMPLETING_DRAWS = 1024

# Sweeps that draw the missing values of watched rows. Each takes a draw of every kind of unit.
_COMPLETING_SWEEPS = 10

# Standard errors beyond which two numbers count as different.
_SURE = 3.0

# Models with at most this many states are enumerated at every evaluation, in milliseconds.
_FEW_STATES = 2**12


@dataclass(frozen=True)
class Following:
    """How log Z is tracked along a run; see `harmonium.likelihood.Population`.

    Parameters
    ----------
    n_particles
        Particles of the population.
    n_temperatures
        Inverse temperatures from the data's base rates to the model, at the first evaluation.
    n_steps
        Annealing steps from one evaluation to the next; more if the model has changed by much
        (`Population.follow_`).
    n_looks
        Evaluations after which degenerate particles are annealed again from the start, over as many
        temperatures as at the first evaluation. The last evaluation of a run always anneals again.
    """

    n_particles: int = defaults.PARTICLES
    n_temperatures: int = defaults.PARTICLE_TEMPERATURES
    n_steps: int = defaults.PARTICLE_STEPS
    n_looks: int = defaults.PARTICLE_LOOKS


class Monitor:
    """Evaluates a model on fixed rows of the training data and of held-out data.

    Rows count by the weights of the data, and rows of weight 0 are not used. Evaluation has
    separate random streams, so a run learns the same however often it is evaluated.

    Parameters
    ----------
    train
        The training data; ``n_rows`` of its rows are used, the same ones each time.
    held_out
        Rows that are not trained on, used in the same way; None for none.
    n_rows
        Number of rows of each to evaluate on.
    seed
        Seed that selects the rows, and the units of the pseudo-likelihood.
    following
        How `log_likelihood` tracks log Z; None limits it to what costs next to nothing.
    missing
        What the training assumes of missing values (`training.Missing`). At random, they are drawn
        anew at each evaluation, by some sweeps that clamp what is observed; else they are left out
        of the model. Only what is observed counts.
    """

    def __init__(
        self,
        train: Rows,
        held_out: Rows | None = None,
        n_rows: int = defaults.MONITOR_ROWS,
        seed: int = defaults.SEED,
        following: Following | None = None,
        missing: str = "random",
    ) -> None:
        check_rows("train", train)
        if held_out is not None:
            check_rows("held_out", held_out)
        check_count("n_rows", n_rows)
        self.seed = seed
        self.following = following
        self.missing = missing
        self._train = train
        if held_out is not None and held_out.n_columns != train.n_columns:
            raise ValueError(
                f"{held_out.name} has {held_out.n_columns} columns, but the training data "
                f"{train.name} have {train.n_columns}; pass held-out rows of the same columns"
            )
        self._rows: dict[str, WeightedRows] = {}
        self._observed: dict[str, Tensor] = {}
        self._known_states: dict[tuple[object, ...], bool] = {}
        self._different: Tensor | None = None
        for position, (prefix, data) in enumerate((("", train), ("held_out_", held_out))):
            if data is not None and len(data):
                chosen = some_rows(data, n_rows, Lane.WATCHED_ROWS.stream(seed, position))
                encoding = Lane.WATCHED.stream(seed, position)
                rows = masked_rows(data, chosen, encoding)
                self._rows[prefix] = WeightedRows(rows.states, weights_of(data, chosen))
                if has_missing(data):
                    self._observed[prefix] = rows.observed

    @torch.no_grad()
    def __call__(self, rbm: RBM, chains: ChainState | None, update: int) -> dict[str, float]:
        """Evaluate the model: one flat row of numbers.

        Parameters
        ----------
        rbm
            The model to evaluate.
        chains
            Persistent chains; flip rates are measured on copies of them. None measures chains that
            start at the training rows.
        update
            Number of the update; it fixes the random numbers of this evaluation.

        Returns
        -------
        dict
            ``pseudo_log_likelihood`` and its standard error, ``..._std_error`` (nats per row,
            discrete visible units); ``reconstruction_error`` (nats per row, or squared error per
            row for continuous units); each also for the held-out rows as ``held_out_...``;
            ``free_energy_gap`` (nats, training minus held-out: it falls below zero as the model
            comes to prefer the rows it was trained on; not of rows with missing values);
            ``dead_hidden`` and ``saturated_hidden``
            (fractions of hidden columns); ``visible_flip_rate`` and ``hidden_flip_rate`` (fractions
            of units that one sweep changes).
        """
        check_rbm("rbm", rbm)
        row: dict[str, float] = {}
        free_energy = {}
        position = _MOST_DRAWS * update
        stream = Lane.LOOK.stream(self.seed, position)
        shown = {prefix: self._states(rbm, prefix, update) for prefix in self._rows}
        for prefix, rows in self._rows.items():
            v, observed = shown[prefix], self._observed.get(prefix)
            if rbm.visible.is_discrete:
                n_units = min(_UNITS_PER_ROW, rbm.visible.n)
                estimate = pseudo_log_likelihood(rbm, v, stream, n_units, observed).double()
                mean, std_error = rows.mean(estimate)
                row[f"{prefix}pseudo_log_likelihood"] = mean
                row[f"{prefix}pseudo_log_likelihood_std_error"] = std_error
            error = diagnostics.reconstruction_error(rbm, v, observed)
            row[f"{prefix}reconstruction_error"] = rows.average(error).item()
            if observed is None:
                free_energy[prefix] = rows.average(rbm.free_energy(v)).item()
        if len(free_energy) == 2:
            row["free_energy_gap"] = free_energy[""] - free_energy["held_out_"]
        train = WeightedRows(shown[""], self._rows[""].weights)
        activity = diagnostics.hidden_activity(rbm, train)
        if activity is not None:
            row["dead_hidden"] = diagnostics.dead_share(activity)
            row["saturated_hidden"] = diagnostics.saturated_share(activity)
        few = None
        if chains is not None:
            few = ChainState(chains.visible[:_FLIP_CHAINS], chains.hidden[:_FLIP_CHAINS])
        elif not (self._observed and self.missing == "observed"):  # whose units are gone
            few = start_at(rbm, train.states[:_FLIP_CHAINS], stream)
        if few is not None:
            rates = diagnostics.flip_rates(rbm, few, stream)
            row.update((f"{layer}_flip_rate", rate) for layer, rate in rates.items())
        return {name: value for name, value in row.items() if math.isfinite(value)}

    @torch.no_grad()
    def log_likelihood(
        self, rbm: RBM, population: Population | None, is_last: bool = False
    ) -> tuple[dict[str, Any], Population | None]:
        """The log-likelihood of the rows, with log Z computed exactly or tracked along the run.

        Parameters
        ----------
        rbm
            The model to evaluate.
        population
            The particles that have tracked it so far; None at the first evaluation.
        is_last
            Whether this is the last evaluation of a run, which is worth a fresh annealing.

        Returns
        -------
        row : dict
            ``log_z`` and ``log_z_std_error``; ``log_likelihood`` (nats per row) and
            ``log_likelihood_std_error``, also for the held-out rows as ``held_out_...``. These
            errors combine the error of log Z with that of using a subset of the rows. Where log Z
            is an estimate, ``log_z_effective_particles`` is its effective sample size, and
            ``log_likelihood_warning``, if present, says why it must not be trusted.
            ``log_z_raised`` is the amount by which a fresh annealing raised log Z; earlier
            evaluations may have overstated the log-likelihood by as much. Empty if the rows are not
            states of the visible units (no likelihood is defined for grey values), if the model
            cannot be normalised, or if values are missing.
        population : Population or None
            Pass it to the next evaluation.
        """
        if self.following is None or self._observed:
            return {}, population
        if not (self._are_states(rbm.visible) and is_normalisable(rbm)):
            return {}, population
        unnormalised = {
            prefix: log_likelihood(rbm, rows.states, LogZ.exact(0.0))
            for prefix, rows in self._rows.items()
        }
        warning, raised = None, 0.0
        if can_be_enumerated(rbm, _FEW_STATES):
            log_z = exact_log_z(rbm)
        else:
            of_all = self._of_all_rows(rbm.visible, unnormalised)
            try:
                population = self._follow(self.following, rbm, population)
                log_z, warning = _judged(population, of_all)
                is_due = warning is not None and population.looks >= self.following.n_looks
                if population.looks and (is_last or is_due):
                    followed = log_z
                    population.renew_(self._train, self.following.n_temperatures)
                    log_z, warning = _judged(population, of_all)
                    raised = _raised(followed, log_z)
            except FloatingPointError:
                return {}, None  # the training will stop, or the next evaluation starts again
        row: dict[str, Any] = {"log_z": log_z.value, "log_z_std_error": log_z.std_error}
        if log_z.errs != "exact":
            row["log_z_effective_particles"] = log_z.effective_chains
        if raised:
            row["log_z_raised"] = raised
        for prefix, of_rows in unnormalised.items():
            values = of_rows - log_z.value
            row[f"{prefix}log_likelihood"], error = self._rows[prefix].mean(values)
            row[f"{prefix}log_likelihood_std_error"] = math.hypot(error, log_z.std_error)
        row = {name: value for name, value in row.items() if math.isfinite(value)}
        if warning is not None:
            row[WARNING] = warning
        return row, population

    @torch.no_grad()
    def over_independent_columns(self, rbm: RBM, row: Mapping[str, float]) -> dict[str, float]:
        """Gain in log-likelihood over a model of independent columns.

        The independent columns have the means (and variances) of all training rows.

        Parameters
        ----------
        rbm
            The model.
        row
            The last row of numbers about the model; its ``log_z`` is used if it has a trusted one.

        Returns
        -------
        dict
            ``gain`` and ``gain_std_error``, nats per row, also as ``held_out_...``: the difference
            of the log-likelihoods or, where these are not known, of the pseudo-log-likelihoods.
            Empty for continuous visible units if the likelihood is not known.
        """
        gauge, model = Gauge.of(rbm), rbm
        rbm = gauge.rbm
        base = RBM(copy.deepcopy(rbm.visible), Binary(1)).to(rbm.weights)
        mean, var = (moment.to(rbm.weights) for moment in gauge.moved(*self._moments))
        base.visible.init_from_moments_(mean, var)
        gains: dict[str, float] = {}
        for prefix, rows in self._rows.items():
            v, observed = gauge.enter(self._states(model, prefix)).to(rbm.weights), None
            if prefix in self._observed:
                observed = self._observed[prefix]
            if "log_z" in row and WARNING not in row:
                difference = base.free_energy(v).double() - rbm.free_energy(v).double()
                difference += exact_log_z(base).value - (row["log_z"] + gauge.energy)
            elif rbm.visible.is_discrete:
                n_units = min(_UNITS_PER_ROW, rbm.visible.n)
                units = Lane.LAST_LOOK.stream(self.seed)
                of_both = (
                    # both for the same units
                    pseudo_log_likelihood(of, v, units.at(0), n_units, observed).double()
                    for of in (rbm, base)
                )
                difference = next(of_both) - next(of_both)
            else:
                continue
            gains[f"{prefix}gain"], spread = rows.mean(difference)
            log_z_error = 0.0 if WARNING in row else row.get("log_z_std_error", 0.0)
            spread = math.inf if math.isnan(spread) else spread
            gains[f"{prefix}gain_std_error"] = math.hypot(spread, log_z_error)
        return gains

    @cached_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """Of the columns of all training rows."""
        return self._train.moments()

    def _states(self, rbm: RBM, prefix: str, update: int = 0) -> Tensor:
        """Watched rows; their missing states are drawn, or at zero, where units are gone."""
        states = self._rows[prefix].states.to(rbm.weights.dtype)
        if prefix not in self._observed:
            return states
        rows = MaskedRows(states, self._observed[prefix])
        if self.missing == "observed":
            return rows.where_observed()
        stream = Lane.WATCHED_COMPLETIONS.stream(self.seed, _MOST_COMPLETING_DRAWS * update)
        return complete(rbm, rows, self._moments, _COMPLETING_SWEEPS, stream)

    def _follow(self, following: Following, rbm: RBM, population: Population | None) -> Population:
        if population is None:
            return Population.begin(
                rbm, self._train, following.n_particles, following.n_temperatures, self.seed
            )
        population.follow_(rbm, following.n_steps)
        return population

    def _of_all_rows(self, visible: Units, unnormalised: Mapping[str, Tensor]) -> float:
        """Log of what the distinct rows contribute to Z; minus infinity for a density."""
        if not visible.is_discrete:
            return -math.inf
        if self._different is None:
            rows = torch.cat([rows.states for rows in self._rows.values()]).cpu().numpy()
            first = {row.tobytes(): number for number, row in reversed(list(enumerate(rows)))}
            self._different = torch.tensor(sorted(first.values()))
        values = torch.cat(list(unnormalised.values()))
        return values[self._different.to(values.device)].logsumexp(0).item()

    def _are_states(self, visible: Units) -> bool:
        """Whether all rows are states of such units; cached, because the rows never change."""
        if visible.kinds not in self._known_states:
            every = all(are_states(visible, rows.states) for rows in self._rows.values())
            self._known_states[visible.kinds] = every
        return self._known_states[visible.kinds]


def _judged(population: Population, of_all_rows: float) -> tuple[LogZ, str | None]:
    """Log Z as estimated by the particles, and the reason not to trust it, if there is one.

    Z is a sum over all states, so what the rows contribute is a lower bound.
    """
    log_z = population.log_z
    missing = of_all_rows - log_z.value
    if missing > 0:
        log_z = dataclasses.replace(log_z, value=of_all_rows)
    if missing > _SURE * log_z.std_error:
        population.lose_()  # at the next look, fewer of the missing states may be rows
        return log_z, (
            "the particles that follow log Z have lost the model: the rows alone show that it is "
            f"at least {missing:.1f} nats higher"
        )
    return log_z, population.warning


def _raised(followed: LogZ, annealed: LogZ) -> float:
    """How much a fresh annealing raised log Z, beyond the errors of both; nats."""
    gap = annealed.value - followed.value
    return gap if gap > _SURE * math.hypot(followed.std_error, annealed.std_error) else 0.0
