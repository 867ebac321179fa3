"""What is said of rows with missing values: only what is observed counts."""

from __future__ import annotations

import pytest
import torch

from harmonium import Minibatches, diagnostics, likelihood, training
from harmonium.rng import Lane
from harmonium.training import TrainingState
from missing_rows import both_ways, by_quadrature, data_of, every_kind, rows_of_model, units_missing
from phases import one_thread  # noqa: F401
from unit_types import BY_NAME, columns_by_unit, random_rbm


def test_only_what_is_observed_is_reconstructed() -> None:
    for visible in BY_NAME.values():
        rbm, _ = random_rbm(visible, BY_NAME["binary"], sizes=(4, 3), seed=2)
        v = torch.from_numpy(visible.twin(rbm.visible).some_states(7))
        observed = units_missing(rbm, len(v), 3)
        found = diagnostics.reconstruction_error(rbm, v, observed)
        every = diagnostics.reconstruction_error(rbm, v, torch.ones_like(observed))
        torch.testing.assert_close(every, diagnostics.reconstruction_error(rbm, v))
        # the errors of single units add up
        single = torch.zeros_like(found)
        for columns in columns_by_unit(rbm.visible):
            one = torch.zeros_like(observed)
            one[:, columns] = observed[:, columns]
            single += diagnostics.reconstruction_error(rbm, v, one)
        torch.testing.assert_close(single, found)
        assert not torch.equal(every, found)


@pytest.mark.parametrize("name", ["binary", "spin", "categorical", "binomial", "mixed"])
@both_ways
def test_pseudo_likelihood_of_what_is_observed(name: str, missing: str) -> None:
    visible = BY_NAME[name]
    rbm, model = random_rbm(visible, BY_NAME["gaussian"], sizes=(3, 2), seed=2)
    v = rows_of_model(model, 5, 3)
    observed = units_missing(rbm, 5, 4)
    if missing == "observed":
        v = torch.where(observed, v, 0.0)
    stream = Lane.LOOK.stream(0)
    found = likelihood.pseudo_log_likelihood(rbm, v, stream, rbm.visible.n, observed)
    expected = torch.zeros_like(found)
    for row in range(5):
        for columns in columns_by_unit(rbm.visible):
            if not observed[row, columns.start]:
                continue
            free = torch.zeros_like(observed[0])
            free[columns] = True
            log_z = by_quadrature(rbm, v[row], model.visible, free)
            expected[row] += -rbm.free_energy(v[row]) - log_z
    torch.testing.assert_close(found, expected)


@both_ways
@every_kind
def test_a_watched_training_says_what_it_can(kind: str, missing: training.Missing) -> None:
    data, rbm = data_of(kind)
    n_chains = 10 if missing == "random" else None
    state = TrainingState.create(rbm, n_chains=n_chains, missing=missing, learning_rate=0.05)
    rows = list(training.run(state, Minibatches(data, 20), 2, every=3, held_out=data))
    last = rows[-1]
    assert "held_out_reconstruction_error" in last
    assert ("pseudo_log_likelihood" in last) == rbm.visible.is_discrete
    assert not {"free_energy_gap", "log_likelihood", "log_z"} & {*last}
    assert ("hidden_flip_rate" in last) == (missing == "random")
    monitor = training.default_monitor(state, Minibatches(data, 20), None, 1, 6)
    assert monitor.missing == missing
    gains = monitor.over_independent_columns(rbm, last)
    assert ("gain" in gains) == rbm.visible.is_discrete
