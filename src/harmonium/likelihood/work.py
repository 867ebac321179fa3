"""The work of an evaluation so far: estimates of log Z, and two ways to improve them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from harmonium.datasets import Data, WeightedRows
from harmonium.datasets.weighing import order_of
from harmonium.gauge import Gauge
from harmonium.likelihood.agreement import Estimates
from harmonium.likelihood.annealing import (
    annealed_importance_sampling,
    reverse_annealed_importance_sampling,
)
from harmonium.likelihood.log_z import LogZ
from harmonium.likelihood.path import AnnealingPath
from harmonium.likelihood.tempered import STARTS, Tempered, TemperedLogZ
from harmonium.rbm import RBM, HasMoments
from harmonium.rng import Lane

_TEMPERED_CHAINS = 20  # per kind of start: fewer would give no reliable error
_MOST_STARTS = 1000  # rows from which tempered chains choose their starts

# Temperatures that a pilot places; annealings of any length share their density.
_PLACED = 2000


class Work:
    """Estimates of log Z that longer annealing and longer tempering improve.

    Parameters
    ----------
    rbm
        The model.
    v
        Rows to evaluate.
    data
        Training rows or their moments.
    n_chains
        Annealing chains in each direction.
    n_temperatures
        Temperatures of the pilot; all annealings share their density.
    seed
        Seed of everything random.
    """

    def __init__(
        self,
        rbm: RBM,
        v: Tensor,
        data: Tensor | HasMoments,
        n_chains: int,
        n_temperatures: int,
        seed: int,
    ) -> None:
        self._n_chains, self._seed = n_chains, seed
        # everything in coordinates in which nothing cancels
        self._gauge = gauge = Gauge.of(rbm)
        self._path = AnnealingPath.adaptive(
            gauge.rbm, gauge.enter_data(data), min(n_temperatures, _PLACED), seed
        )
        self._rows = gauge.enter(_rows_to_start_at(v, data, seed))
        self._tempered: Tempered | None = None
        self.estimates: Estimates | None = None
        self.steps = 0  # a step is one chain at one temperature
        self.seconds_a_step = 0.0  # as last measured

    # How much has been done, and what more would cost

    @property
    def n_temperatures(self) -> int:
        """Temperatures of the longest annealing so far; 0 before any."""
        return 0 if self.estimates is None else self.estimates.n_temperatures

    @property
    def n_sweeps(self) -> int:
        """Sweeps of the tempered chains in the last stage of the estimate."""
        return 0 if self._tempered is None else self._tempered.n_sweeps

    def cost_of_annealing(self, n_temperatures: int) -> int:
        """Steps of annealing in both directions."""
        return 2 * self._n_chains * n_temperatures

    def cost_of_tempering(self, n_sweeps: int) -> int:
        """Steps of tempering; for the first stage, including the placement of temperatures."""
        if self._tempered is None:
            return 12 * self._n_tempered * (n_sweeps + 300)
        return self._tempered.rows_a_sweep * n_sweeps

    @property
    def _n_tempered(self) -> int:
        return len(STARTS) * max(4, min(_TEMPERED_CHAINS, self._n_chains // 3))

    # Doing more

    def temper(self, n_sweeps: int) -> Iterator[int]:
        """Make ``n_sweeps`` more sweeps for the estimate; yields the steps that each takes."""
        if self._tempered is None:
            self._tempered = Tempered(self._path, self._rows, self._n_tempered, self._seed)
            yield from self._timed(self._tempered.tune_())
        n_times = max(1, round(self._n_chains / self._n_tempered))
        yield from self._timed(self._tempered.look(n_sweeps, min(n_times, n_sweeps)))

    def anneal(self, n_temperatures: int) -> Iterator[int]:
        """Anneal again in both directions, backwards from the tempered chains' samples."""
        assert self._tempered is not None
        path = self._path.of_length(n_temperatures)
        if n_temperatures == self.n_temperatures:
            assert self.estimates is not None
            annealed = self.estimates.annealed
        else:
            forward = annealed_importance_sampling(path, self._n_chains, self._seed)
            yield from self._timed(forward)
            annealed = forward.result().less(self._gauge.energy)
        found = self._tempered.found
        backward = reverse_annealed_importance_sampling(
            path, found.samples.flatten(0, 1), self._seed
        )
        yield from self._timed(backward)
        weights = backward.result().log_weights
        assert weights is not None
        # samples of one chain are correlated: a chain counts once, with its mean weight
        of_chain = weights.view(len(found.samples), -1).logsumexp(0) - math.log(len(found.samples))
        reverse = LogZ.from_log_weights(of_chain, "above").less(self._gauge.energy)
        tempered = found.less(self._gauge.energy)
        self.estimates = Estimates(annealed, reverse, tempered, n_temperatures)

    # Keeping it

    def kept(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and numbers from which `take_up_` continues; available after an annealing."""
        found, tempered = self.estimates, self._tempered
        assert found is not None and tempered is not None
        assert found.annealed.log_weights is not None and found.reverse.log_weights is not None
        tensors = tempered.tensors() | {
            "annealed": found.annealed.log_weights,
            "reverse": found.reverse.log_weights,
            "samples": found.tempered.samples,
        }
        numbers = {
            "place": tempered.place,
            "n_temperatures": found.n_temperatures,
            "seconds_a_step": self.seconds_a_step,
            "tempered": {
                name: getattr(found.tempered, name)
                for name in ("value", "std_error", "by_start", "renewed", "n_chains",
                             "n_temperatures", "n_sweeps")
            },
        }  # fmt: skip
        return tensors, numbers

    def take_up_(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Continue from what `kept` returned for the same model, rows, data and seed."""
        tempered = Tempered(self._path, self._rows, self._n_tempered, self._seed)
        tempered.go_back_(tensors, tuple(numbers["place"]))
        samples = tensors["samples"].to(self._rows)
        found = TemperedLogZ(**numbers["tempered"], samples=samples)
        tempered.found = found.less(-self._gauge.energy)
        tempered.n_sweeps = found.n_sweeps
        self.seconds_a_step = numbers["seconds_a_step"]
        self._tempered = tempered
        self.estimates = Estimates(
            LogZ.from_log_weights(tensors["annealed"], "below"),
            LogZ.from_log_weights(tensors["reverse"], "above"),
            found,
            numbers["n_temperatures"],
        )

    def _timed(self, steps: Iterable[int]) -> Iterator[int]:
        """Count and time the steps while they are made."""
        before, began, first = 0, 0.0, 0
        for done in steps:
            self.steps += done - before
            if not began:  # the first steps may have waited for kernels to compile
                began, first = time.monotonic(), done
            elif done > first:
                self.seconds_a_step = (time.monotonic() - began) / (done - first)
            yield done - before
            before = done


@torch.no_grad()
def _rows_to_start_at(v: Tensor, data: Tensor | HasMoments, seed: int) -> Tensor:
    """A sample of the rows to evaluate, and of the training rows if available."""
    stream = Lane.TEMPERED_ROWS.stream(seed)

    def some(rows: Tensor | Data) -> Tensor:
        return order_of(rows, len(rows), _MOST_STARTS, stream)

    parts = [v[some(v).to(v.device)]]
    data = data.states if isinstance(data, WeightedRows) else data
    if isinstance(data, Tensor):
        parts.append(data[some(data).to(data.device)].to(v))
    elif isinstance(data, Data):
        parts.append(data.rows(some(data), stream).to(v))
    return torch.cat(parts)
