"""Rows that count by weight: integer weights are repeated rows, for whatever takes rows."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import (
    RBM,
    CenteredGradient,
    Data,
    Gibbs,
    Minibatches,
    Monitor,
    PlainGradient,
    diagnostics,
    likelihood,
    training,
)
from harmonium.classification import HybridGradient
from harmonium.datasets import Encoding, OneHot, WeightedRows
from harmonium.datasets.encodings import AsIs
from harmonium.datasets.weighing import some_rows
from harmonium.deep import (
    DBN,
    Autoencoder,
    Classifier,
    FinetuningState,
    Regressor,
    UpDownState,
    classification_rbm,
    finetuning,
    init_randomly_,
    mean_features,
    up_down,
    variational_bound,
)
from harmonium.diagnostics.hidden import _standardised
from harmonium.likelihood.rates import base_rates
from harmonium.monitor import Following
from harmonium.rng import Lane
from harmonium.runs.classes import Predicted
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, DReLU, Gaussian, Mixed, ReLU, Spin, Units

N, WIDTH = 30, 6
WEIGHTS = torch.from_numpy(np.random.default_rng(7).integers(0, 5, N))

LAYERS: dict[str, Callable[[], tuple[Units, Units]]] = {
    "binary": lambda: (Binary(WIDTH), Binary(4)),
    "spin": lambda: (Spin(WIDTH), Gaussian(3)),
    "categorical": lambda: (Categorical(WIDTH // 3, 3), ReLU(4)),
    "Gaussian": lambda: (Gaussian(WIDTH, learn_precision=True), Binary(4)),
    "dReLU": lambda: (Binary(WIDTH), DReLU(3)),
    "mixed": lambda: (Mixed(Binary(2), Gaussian(2), Categorical(1, 2)), Spin(4)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)
CLOSE: Any = {"rtol": 1e-9, "atol": 1e-10}


def rbm_of(name: str) -> RBM:
    """A small random model, float64."""
    model = RBM(*LAYERS[name]()).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        model.weights.normal_(0, 0.5, generator=generator)
        model.visible.bias.normal_(0, 0.3, generator=generator)
        model.hidden.bias.normal_(0, 0.3, generator=generator)
    return model


def states_of(name: str, n: int = N) -> Tensor:
    """States of its visible units."""
    visible = LAYERS[name]()[0]
    inputs = torch.randn(n, visible.n_columns, generator=torch.Generator().manual_seed(5))
    return visible.sample(inputs, Lane.STARTS.stream(1))


def data_of(name: str) -> tuple[Data, Data]:
    """Rows with weights, and the same rows repeated, in other order."""
    states, encoding = states_of(name), AsIs()
    labels, targets = torch.arange(N) % 3, torch.randn(N, 2, generator=torch.Generator()).double()
    if name == "categorical":
        encoding: Encoding = OneHot(3)
        states = states.view(N, -1, 3).argmax(-1).float()
    rows = {"labels": labels, "targets": targets}
    again = torch.arange(N).repeat_interleave(WEIGHTS).flip(0)
    repeated = {field: tensor[again] for field, tensor in rows.items()}
    return (
        Data("weighted", states, encoding, **rows, weights=0.5 * WEIGHTS.double()),
        Data("repeated", states[again], encoding, **repeated),
    )


def both_of(name: str) -> list[WeightedRows]:
    return [WeightedRows.from_data(data) for data in data_of(name)]


def agree(found: list[Any], **close: Any) -> None:
    """Whether what was found for weighted rows is what was for repeated ones."""
    weighted, repeated = found
    torch.testing.assert_close(weighted, repeated, **(close or CLOSE))


@every_layer
def test_moments_initial_models_and_base_rates(name: str) -> None:
    both = data_of(name)
    agree([data.moments() for data in both])
    agree([Minibatches(data).moments() for data in both])
    fresh = [RBM(*LAYERS[name]()).double().init_from_data_(data, seed=0) for data in both]
    agree([dict(model.named_parameters()) for model in fresh])
    bases = [base_rates(rbm_of(name), data) for data in both]
    agree([dict(model.named_parameters()) for model in bases])


@every_layer
@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
def test_an_update_from_all_rows(name: str, gradient: type) -> None:
    found = []
    for data in data_of(name):
        rbm = rbm_of(name)
        state = TrainingState.create(
            rbm, gradient=gradient(), sampler=Gibbs(1), n_chains=20, learning_rate=0.5
        )
        n_rows = int((WEIGHTS > 0).sum()) if data.weights is not None else len(data)
        batches = Minibatches(data, n_rows)
        training.update(state, batches.batch(0, 1), weights=batches.weights(0, 1))
        found.append(dict(rbm.named_parameters()))
    agree(found)
    assert not torch.equal(found[0]["weights"], rbm_of(name).weights)


@pytest.mark.parametrize("name", ["binary", "spin", "categorical", "dReLU"])
def test_the_exact_gradient(name: str) -> None:
    found = []
    for rows in both_of(name):
        rbm = rbm_of(name)
        value = likelihood.exact_gradient_(rbm, rows)
        found.append((value, {n: p.grad for n, p in rbm.named_parameters() if p.grad is not None}))
    agree(found)
    assert found[0][0] == pytest.approx(
        (WEIGHTS * likelihood.exact_log_likelihood(rbm_of(name), states_of(name))).sum().item()
        / WEIGHTS.sum().item(),
        abs=1e-10,
    )


@every_layer
def test_the_numbers_of_a_monitor(name: str) -> None:
    rbm, found = rbm_of(name), []
    for data in data_of(name):
        monitor = Monitor(data, data.take(torch.arange(len(data))), following=Following())
        row = monitor(rbm, None, 1)
        row |= monitor.log_likelihood(rbm, None)[0]
        row |= monitor.over_independent_columns(rbm, row)
        assert not row.keys() & {"log_likelihood_warning"}
        # repeated rows are not independent, and chains start at rows
        uneven = [key for key in row if "std_error" in key or "flip_rate" in key]
        found.append({key: value for key, value in row.items() if key not in uneven})
    assert {"reconstruction_error", "held_out_reconstruction_error"} <= found[0].keys()
    if rbm.visible.is_discrete:
        assert {"pseudo_log_likelihood", "held_out_gain"} <= found[0].keys()
    agree(found, rtol=1e-5 if name in ("categorical", "dReLU") else 1e-9, atol=1e-9)


def test_a_monitor_looks_at_no_row_of_weight_0() -> None:
    weights = torch.zeros(N).double()
    weights[[3, 8]] = 1
    data = Data("two", states_of("binary"), weights=weights)
    monitor = Monitor(data, n_rows=10)
    chosen = monitor._rows[""].states
    assert sorted(chosen.tolist()) == sorted(data.values[[3, 8]].tolist())
    assert sorted(some_rows(data, None, Lane.STARTS.stream(0)).tolist()) == [3, 8]
    assert len(some_rows(data, 1, Lane.STARTS.stream(0))) == 1


@pytest.mark.parametrize("name", ["binary", "spin", "categorical"])
def test_a_log_likelihood(name: str) -> None:
    rbm = rbm_of(name)
    train = data_of(name)[0]
    weighted, repeated = (likelihood.evaluate(rbm, v, train).result() for v in both_of(name))
    assert weighted.is_exact
    assert weighted.lower == pytest.approx(repeated.lower, abs=1e-10)
    assert (weighted.n_rows, repeated.n_rows) == (int((WEIGHTS > 0).sum()), int(WEIGHTS.sum()))
    effective = WEIGHTS.sum().item() ** 2 / WEIGHTS.square().sum().item()
    assert weighted.effective_rows == pytest.approx(effective)
    assert repeated.effective_rows is None
    # the same rows again are no more evidence
    assert weighted.rows_std_error > repeated.rows_std_error


def test_an_estimated_log_likelihood_and_a_difference() -> None:
    rbm, other = rbm_of("binary"), rbm_of("binary")
    with torch.no_grad():
        other.weights.mul_(0.5)
    weighted, repeated = both_of("binary")
    train = data_of("binary")[0]
    long: Any = {"n_temperatures": 3000, "n_chains": 60}
    found = likelihood.estimate(rbm, weighted, train, **long).result()
    exact = likelihood.evaluate(rbm, repeated, train).result()
    assert found.trusted and found.covers(exact.lower, 4)
    of_weighted, of_repeated = (
        likelihood.compare(rbm, other, v, train).result() for v in (weighted, repeated)
    )
    assert of_weighted.lower == pytest.approx(of_repeated.lower, abs=1e-10)
    assert of_weighted.rows_std_error > of_repeated.rows_std_error


@every_layer
def test_a_diagnosis(name: str) -> None:
    rbm = rbm_of(name)
    weighted, repeated = both_of(name)
    of = [diagnostics.moments(rows) for rows in (weighted, repeated)]
    agree([(one.mean, one.covariance) for one in of])
    agree([diagnostics.hidden_activity(rbm, rows.to(rbm.weights)) for rows in (weighted, repeated)])
    gaps = [
        diagnostics.free_energy_gap(rbm, rows, WeightedRows.of(states_of(name)[:9]))
        for rows in (weighted, repeated)
    ]
    back = [
        diagnostics.free_energy_gap(rbm, WeightedRows.of(states_of(name)[:9]), rows)
        for rows in (weighted, repeated)
    ]
    for one, other in (gaps, back):
        assert one.gap == pytest.approx(other.gap, abs=1e-6)
        assert one.told_apart == pytest.approx(other.told_apart, abs=1e-12)
        assert one.std_error > other.std_error
        assert one.told_apart_std_error > other.told_apart_std_error
    found = diagnostics.diagnose(rbm, weighted, repeated, n_sweeps=20, n_chains=4)
    assert found.findings.overfitting is not None
    assert found.findings.overfitting.gap == pytest.approx(0, abs=1e-6)
    # ties are lost to the last bits of free energies in batches of other sizes
    assert found.findings.overfitting.told_apart == pytest.approx(0.5, abs=0.05)


def test_units_that_duplicate_others() -> None:
    """They are found by correlations over rows, which are those of repeated ones."""
    rows, repeated = both_of("Gaussian")
    assert rows.weights is not None
    x = _standardised(rows.states, rows.weights)
    np.testing.assert_allclose(x.T @ x, np.corrcoef(repeated.states.T), rtol=1e-6, atol=1e-9)
    rbm = rbm_of("binary")
    one, other = (diagnostics.hidden_units(rbm, of.to(rbm.weights)) for of in both_of("binary"))
    assert one == other is not None


def test_features_keep_weights_and_names() -> None:
    data, _ = data_of("binary")
    above = mean_features(rbm_of("binary").float(), data)
    assert above.weights is data.weights


def test_a_variational_bound() -> None:
    rbm = rbm_of("binary")
    dbn = DBN([rbm])
    log_z = likelihood.exact_log_z(rbm)
    weighted, repeated = (
        variational_bound(dbn, v, log_z, Lane.STARTS.stream(0), n_draws=2)
        for v in both_of("binary")
    )
    assert weighted.mean == pytest.approx(repeated.mean, abs=1e-10)
    assert weighted.std_error == repeated.std_error == 0
    exact = likelihood.evaluate(rbm, both_of("binary")[0], states_of("binary")).result()
    assert weighted.mean == pytest.approx(exact.lower, abs=1e-10)
    assert weighted.rows_std_error == pytest.approx(exact.rows_std_error, abs=1e-10)


def network(kind: type, data: Data) -> Any:
    torch.manual_seed(0)
    dbn = DBN.of(Binary(WIDTH), Binary(5))
    init_randomly_(dbn.stack, 0)
    made = kind(dbn.stack) if kind is Autoencoder else kind.for_data(dbn.stack, data)
    return made.double()


@pytest.mark.parametrize("kind", [Classifier, Regressor, Autoencoder])
def test_networks_are_judged_and_learn_alike(kind: type) -> None:
    weighted, repeated = data_of("binary")
    found = []
    for data in (weighted, repeated):
        made = network(kind, data)
        if kind is Regressor:
            found.append((made.mean, made.std))
        state = FinetuningState.create(made, learning_rate=0.3, momentum=0.0)
        n_rows = int((WEIGHTS > 0).sum()) if data.weights is not None else len(data)
        for row in finetuning.run(state, Minibatches(data, n_rows), epochs=2, held_out=data):
            found.append(row["loss"])
        found.append({name: row[name] for name in row if name.startswith("held_out")})
        found.append(finetuning.evaluate(made, data))
        found.append({name: p.detach() for name, p in made.named_parameters()})
    half = len(found) // 2
    agree([found[:half], found[half:]], rtol=1e-6, atol=1e-7)


def test_classification_rbms_are_judged_and_learn_alike() -> None:
    found = []
    for data in data_of("binary"):
        labelled = data.join_labels()
        rbm = RBM(Mixed(Binary(WIDTH), Categorical(1, 3)), Binary(4)).double()
        rbm.init_from_data_(labelled, seed=1, weight_std=0.5)
        state = TrainingState.create(rbm, gradient=HybridGradient(0.0), learning_rate=0.3)
        n_rows = int((WEIGHTS > 0).sum()) if data.weights is not None else len(data)
        batches = Minibatches(labelled, n_rows)
        training.update(state, batches.batch(0, 1), weights=batches.weights(0, 1))
        judged = classification_rbm.judge(rbm, labelled)
        found.append((judged.error, judged.log_loss, rbm.weights.detach()))
        assert 0 < judged.std_error < 0.2
        monitor = classification_rbm.ErrorMonitor(labelled, labelled)
        assert monitor(rbm, None, 0)["held_out_error"] == judged.error
    agree(found)


def test_predictions_are_scored_alike() -> None:
    outputs = torch.randn(N, 3, generator=torch.Generator().manual_seed(2))
    labels = torch.arange(N) % 4  # of which the last is not known
    again = torch.arange(N).repeat_interleave(WEIGHTS)
    agree(
        [
            Predicted.of(torch.arange(3), None, outputs, labels, WEIGHTS.double()).scores(),
            Predicted.of(torch.arange(3), None, outputs[again], labels[again]).scores(),
        ]
    )
    unknown = torch.where(labels == 3, 1.0, 0.0)
    assert Predicted.of(torch.arange(3), None, outputs, labels, unknown).scores() == {}


@pytest.mark.parametrize("n_chains", [None, 10])
def test_up_down_updates_of_repeated_rows(n_chains: int | None) -> None:
    """With weights so wide that draws are certain, whichever place of the batch a row has."""
    found = []
    dbn = DBN.of(Binary(WIDTH), Binary(7), Binary(5)).double()
    for number, rbm in enumerate(dbn.stack):
        drawn = torch.randn(rbm.weights.shape, generator=torch.Generator().manual_seed(number))
        with torch.no_grad():
            rbm.weights.copy_(30_000 * drawn)
            rbm.visible.bias.copy_(3_000 * drawn[:, 0])
            rbm.hidden.bias.copy_(3_000 * drawn[0])
    for data in data_of("binary"):
        made = copy.deepcopy(dbn)
        state = UpDownState.create(made, sampler=Gibbs(1), n_chains=n_chains, learning_rate=0.5)
        n_rows = int((WEIGHTS > 0).sum()) if data.weights is not None else len(data)
        for _ in up_down.updates(state, Minibatches(data, n_rows), 1):
            pass
        found.append({name: p.detach() for name, p in made.named_parameters()})
    agree(found, rtol=1e-6, atol=1e-6)
    assert not torch.equal(found[0]["rbms.0.weights"], dbn.stack[0].weights)


@pytest.mark.parametrize("n_chains", [None, 10])
def test_up_down_updates_take_no_notice_of_rows_of_weight_0(n_chains: int | None) -> None:
    """A draw depends on its row, so that rows at the end of a batch change none before them."""
    rows, found = states_of("binary").double(), []
    for n, weights in ((12, torch.ones(12)), (N, torch.cat([torch.ones(12), torch.zeros(N - 12)]))):
        dbn = DBN.of(Binary(WIDTH), Binary(7), Binary(5)).double()
        init_randomly_(dbn.stack, 0)
        state = UpDownState.create(dbn, sampler=Gibbs(1), n_chains=n_chains, learning_rate=0.5)
        up_down.update(state, rows[:n], weights=weights)
        found.append({name: p.detach() for name, p in dbn.named_parameters()})
    agree(found, rtol=1e-6, atol=1e-8)


def test_up_down_updates_refuse_weights_that_are_none() -> None:
    dbn = DBN.of(Binary(WIDTH), Binary(7), Binary(5))
    init_randomly_(dbn.stack, 0)
    state, rows = UpDownState.create(dbn), states_of("binary")
    with pytest.raises(ValueError, match="none below 0 and at least one above"):
        up_down.update(state, rows, weights=torch.zeros(N))
    with pytest.raises(TypeError, match="weights"):
        up_down.update(state, rows, weights=[1.0] * N)  # type: ignore[arg-type]


def test_equal_weights_change_no_bit() -> None:
    data = Data("rows", states_of("binary"))
    equal = Data("rows", states_of("binary"), weights=torch.full((N,), 0.7).double())
    found = []
    for rows in (data, equal):
        rbm = RBM(Binary(WIDTH), Binary(4)).init_from_data_(rows, seed=0)
        state = TrainingState.create(rbm)
        for row in training.run(state, Minibatches(rows, 7), 3, held_out=rows):
            found.append({key: value for key, value in row.items() if "second" not in key})
        found.append({name: p.tolist() for name, p in rbm.named_parameters()})
    half = len(found) // 2
    assert found[:half] == found[half:]
