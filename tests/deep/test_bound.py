"""The variational bound is below the exact log-likelihood, by what enumeration says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import deep_oracle
import oracle
from deep.test_dbn import STACKS, random_dbn
from deep.test_labels import joint, labelled_dbn
from harmonium import RBM, Binary, LogZ, Purpose, Stream
from harmonium.deep import DBN, variational_bound
from harmonium.likelihood import (
    AnnealingPath,
    annealed_importance_sampling,
    exact_log_z,
    reverse_annealed_importance_sampling,
)
from unit_types import BY_NAME, array, randomise_

N_DRAWS = 4_000


def stream() -> Stream:
    return Stream(3, Purpose.LIKELIHOOD)


def untied(name: str) -> tuple[DBN, list[oracle.Model], list[oracle.Model]]:
    """A network whose ways differ, with its RBMs downwards and upwards in the oracle."""
    dbn, models = random_dbn(name)
    dbn.untie_()
    for number, rbm in enumerate(dbn.recognition[:-1]):
        randomise_(rbm, seed=50 + number, scale=0.8)
    upwards = [
        oracle.Model(model.visible, BY_NAME[kind].twin(rbm.hidden), array(rbm.weights))
        for model, rbm, (kind, _) in zip(
            models, dbn.recognition[:-1], STACKS[name][1:], strict=False
        )
    ]
    return dbn, models, upwards


@pytest.mark.parametrize("name", ["two layers", "three layers", "other units", "real codes"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_bound_is_what_enumeration_says_and_below_the_likelihood(name: str, tied: bool) -> None:
    if tied:
        dbn, models = random_dbn(name)
        upwards = models[:-1]
    else:
        dbn, models, upwards = untied(name)
    v = models[0].visible.points()[0]
    exact = deep_oracle.log_p(models)
    expected = np.array([deep_oracle.bound(models, row, upwards) for row in v])
    assert (expected < exact + 1e-12).all() and (expected < exact - 1e-3).any()

    log_z = exact_log_z(dbn.top)
    found = variational_bound(dbn, torch.from_numpy(v), log_z, stream(), N_DRAWS)
    errors = array(found.std_errors)
    assert (np.abs(array(found.values) - expected) < 6 * errors + 1e-9).all()
    assert found.mean == pytest.approx(array(found.values).mean())
    assert found.std_error == pytest.approx(np.sqrt((errors**2).sum()) / len(v))
    assert found.mean < exact.mean()
    assert found.is_below


def test_the_errors_are_those_of_the_draws() -> None:
    """Estimates from other draws differ by as much as the standard errors say."""
    dbn, models = random_dbn("three layers")
    v = torch.from_numpy(models[0].visible.points()[0])
    log_z, many = exact_log_z(dbn.top), 200
    bounds = [
        variational_bound(dbn, v, log_z, Stream(seed, Purpose.LIKELIHOOD), n_draws=20)
        for seed in range(many)
    ]
    spread = torch.stack([bound.values for bound in bounds]).std(0)
    said = torch.stack([bound.std_errors for bound in bounds]).square().mean(0).sqrt()
    # the relative error of a standard deviation of 200 numbers is 5 %
    assert ((spread / said - 1).abs() < 6 / math.sqrt(2 * many)).all()


def test_one_rbm_is_known_exactly() -> None:
    dbn, models = random_dbn("one layer")
    v = models[0].visible.points()[0]
    found = variational_bound(dbn, torch.from_numpy(v), exact_log_z(dbn.top), stream())
    np.testing.assert_allclose(array(found.values), deep_oracle.log_p(models), rtol=0, atol=1e-10)
    # nothing is drawn: all draws are one number, whose mean a processor may round
    largest = np.abs(array(found.values) + found.log_z.value).max()
    assert found.std_error <= 4 * np.finfo(np.float64).eps * largest


def test_a_layer_that_mirrors_the_one_below_leaves_the_bound_tight() -> None:
    """Greedy learning starts there: the upper RBM's marginal is the lower one's (Hinton, 2006)."""
    lower = RBM(Binary(4), Binary(3)).double()
    randomise_(lower, seed=1, scale=1.0)
    upper = RBM(Binary(3), Binary(4)).double()
    with torch.no_grad():
        upper.weights.copy_(lower.weights.T)
        upper.visible.bias.copy_(lower.hidden.bias)
        upper.hidden.bias.copy_(lower.visible.bias)
    v = torch.from_numpy(oracle.binary(np.zeros(4)).points()[0])
    found = variational_bound(DBN([lower, upper]), v, exact_log_z(upper), stream(), n_draws=2)
    expected = -lower.free_energy(v) - exact_log_z(lower).value
    torch.testing.assert_close(found.values, expected.detach(), rtol=0, atol=1e-10)
    assert found.std_errors.abs().max() < 1e-12


def test_label_units_are_summed_out() -> None:
    dbn, models = labelled_dbn()
    p_features = joint(models[1]).sum(1)
    h = models[0].hidden.points()[0]
    v = models[0].visible.points()[0]
    downwards = deep_oracle.log_conditional(models[0].visible, h @ models[0].weights.T)
    exact = np.log(p_features @ np.exp(downwards))
    log_q = deep_oracle.log_conditional(models[0].hidden, v @ models[0].weights)
    gain = np.log(p_features)[None] + downwards.T - log_q
    expected = (np.exp(log_q) * gain).sum(1)
    found = variational_bound(
        dbn, torch.from_numpy(v), exact_log_z(dbn.top), stream(), n_draws=N_DRAWS
    )
    assert (np.abs(array(found.values) - expected) < 6 * array(found.std_errors)).all()
    assert (expected < exact).all()


def test_log_z_between_bounds_gives_bounds_of_the_bound() -> None:
    dbn, models = random_dbn("two layers")
    v = torch.from_numpy(models[0].visible.points()[0])
    features = dbn.mean_up(v, n_layers=1).detach()
    path = AnnealingPath.adaptive(dbn.top, features, 50, seed=1)
    below = annealed_importance_sampling(path, 100, seed=1).result()
    samples = torch.from_numpy(oracle.Joint(models[1]).draw(100, seed=1)[0])
    above = reverse_annealed_importance_sampling(path, samples, seed=1).result()
    exact = exact_log_z(dbn.top)
    found = {
        log_z.errs: variational_bound(dbn, v, log_z, stream(), 50)
        for log_z in (below, above, exact)
    }
    assert (found["below"].is_below, found["above"].is_below) == (False, True)
    for errs, log_z in (("below", below), ("above", above)):
        shift = exact.value - log_z.value
        assert found[errs].mean == pytest.approx(found["exact"].mean + shift)
        assert found[errs].std_error > max(found["exact"].std_error, log_z.std_error)
    assert "log Z errs below" in str(found["below"])
    assert "log Z" not in str(found["above"])


def test_what_is_no_state_is_refused() -> None:
    dbn = DBN.of(Binary(4), Binary(3), Binary(2))
    log_z = LogZ.exact(0.0)
    with pytest.raises(
        ValueError, match="units are between their states, for which no likelihood is"
    ):
        variational_bound(dbn, torch.full((2, 4), 0.5), log_z, stream())
    with pytest.raises(ValueError, match="visible has 3 columns, but this RBM has 4"):
        variational_bound(dbn, torch.zeros(2, 3), log_z, stream())
    with pytest.raises(ValueError, match="visible: 8 of 8 values are not between 0 and 1"):
        variational_bound(dbn, torch.full((2, 4), 2.0), log_z, stream())
    with pytest.raises(ValueError, match="n_draws is 1; pass 2 or more"):
        variational_bound(dbn, torch.zeros(2, 4), log_z, stream(), n_draws=1)
