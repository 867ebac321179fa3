"""Layers of several unit types, where they differ from layers of one; the rest are contracts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, checkpoint, diagnostics, training
from harmonium.datasets import AsIs, Data, Minibatches
from harmonium.gradient import CenteredGradient, Penalties, PlainGradient
from harmonium.likelihood import (
    AnnealingPath,
    annealed_importance_sampling,
    exact_gradient_,
    exact_log_likelihood,
    exact_log_z,
    exact_moments,
    exact_pseudo_log_likelihood,
    reverse_annealed_importance_sampling,
)
from harmonium.rng import Purpose, Stream
from harmonium.sampling import (
    ChainState,
    Clamp,
    Gibbs,
    SamplingSchedule,
    TemperaturePath,
    Tempering,
    independent_units,
    sample,
    start_random,
)
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin
from ladders import exact_replicas, p_values, straight
from phases import one_thread, phase  # noqa: F401
from test_no_drift import LEAST_P, drift_p_value
from unit_types import BY_NAME, array, random_rbm, randomise_

PARTLY = "partly-gaussian"
PAIRS = [(PARTLY, "binary"), ("binary", PARTLY), (PARTLY, "mixed"), (PARTLY, PARTLY)]
ENUMERABLE = PAIRS[:-1]
every_pair = pytest.mark.parametrize(("visible", "hidden"), PAIRS)
every_enumerable_pair = pytest.mark.parametrize(("visible", "hidden"), ENUMERABLE)


def small_model(
    visible: str, hidden: str, seed: int = 3, sizes: tuple[int, int] = (3, 2), scale: float = 0.5
) -> tuple[RBM, oracle.Model]:
    return random_rbm(BY_NAME[visible], BY_NAME[hidden], sizes=sizes, seed=seed, scale=scale)


def stream(position: int = 0) -> Stream:
    return Stream(12, Purpose.SAMPLE, position=position)


# What the layer is


def test_columns_and_parameters_are_those_of_the_units_in_order() -> None:
    parts = Binary(2), Gaussian(1, precision=4.0), Categorical(1, 3)
    for seed, part in enumerate(parts):
        randomise_(part, seed)
    units = Mixed(*parts)
    assert (units.n, units.n_columns) == (4, 6)
    assert torch.equal(units.bias, torch.cat([part.bias for part in parts]))
    assert [columns for columns, _ in units.groups] == [slice(0, 2), slice(2, 3), slice(3, 6)]
    assert units.kinds == ((Binary, 2, 2, ()), (Gaussian, 1, 1, ()), (Categorical, 1, 3, ()))
    assert dict(units.named_parameters()).keys() == {"bias", "1.log_precision"}
    assert not units.is_discrete and Mixed(Binary(2), Spin(1)).is_discrete
    assert repr(units) == (
        "Mixed(Binary(n=2), Gaussian(n=1, precision=4.0, learn_precision=False), "
        "Categorical(n=1, n_categories=3))"
    )


def test_the_units_that_are_passed_stay_as_they_are() -> None:
    part = Gaussian(2, learn_precision=True)
    units = Mixed(part, part)
    with torch.no_grad():
        units.bias.fill_(1)
        units.get_parameter("0.log_precision").fill_(2)
    assert part.bias.tolist() == [0, 0] and part.log_precision.tolist() == [0, 0]
    assert units.get_parameter("1.log_precision").tolist() == [0, 0]


def test_what_cannot_stand_side_by_side_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a mixed layer of no units was asked for; pass 1"):
        Mixed()
    with pytest.raises(TypeError, match=r"^3 is not a layer; pass layers such as Binary"):
        Mixed(Binary(2), 3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^Mixed\(Spin\(n=1\)\) is mixed already; pass its units"):
        Mixed(Binary(2), Mixed(Spin(1)))


def test_units_of_several_kinds_have_no_common_width() -> None:
    with pytest.raises(TypeError, match=r"^the units of Mixed\(.*\) are of several kinds; take"):
        Mixed(Binary(2), Categorical(1, 3)).width  # noqa: B018
    assert Mixed(Categorical(2, 3)).width == 3


def test_a_refusal_names_the_columns() -> None:
    units = Mixed(Binary(2), Categorical(1, 3))
    with pytest.raises(ValueError) as refusal:
        units.check(torch.tensor([[0.0, 1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 1.0, 0.0]]), "data")
    assert str(refusal.value).startswith(
        "data, columns 2 to 4, summed by unit: 1 of 2 values are not 1 (the first is 2, at [1, 0])"
    )
    with pytest.raises(ValueError, match=r"^data, columns 0 to 1: 1 of 2 values are not between"):
        units.check(torch.tensor([[0.0, 7.0, 0.0, 1.0, 0.0]]), "data")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_draw_is_that_of_the_units_one_after_the_other(dtype: torch.dtype) -> None:
    parts = [Binary(70), Gaussian(3, precision=2.0), Categorical(2, 10), Spin(5)]
    for seed, part in enumerate(parts):
        randomise_(part.to(dtype), seed)
    units = Mixed(*parts)
    inputs = torch.randn(50, units.n_columns, dtype=dtype, generator=torch.manual_seed(1))
    alone = stream(7)
    expected = [
        part.sample(inputs[:, columns], alone)
        for part, (columns, _) in zip(parts, units.groups, strict=True)
    ]
    together = stream(7)
    assert torch.equal(units.sample(inputs, together), torch.cat(expected, 1))
    assert together.position == alone.position == 7 + len(parts)


def test_chains_that_end_take_as_many_draws_as_those_that_go_on() -> None:
    rbm, _ = small_model("binary", "mixed", sizes=(4, 3))
    streams = [stream(), stream()]
    seen = []
    for ends, of_chains in zip((True, False), streams, strict=True):
        chains = start_random(rbm, 5, of_chains)
        Gibbs(2)(rbm, chains, of_chains, ends=ends)
        seen.append(chains.visible)
    assert streams[0].position == streams[1].position
    assert torch.equal(*seen)


# Samplers


@every_pair
def test_gibbs_does_not_drift(visible: str, hidden: str) -> None:
    rbm, model = small_model(visible, hidden)
    assert drift_p_value(rbm, oracle.Joint(model), Gibbs(3)) > LEAST_P


class SharedNumbers(Mixed):
    """Wrong on purpose: all units of a row are drawn from the same random numbers."""

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        for part, received, own in self._parts(inputs):
            received.copy_(part.sample_(own, stream.at(stream.position)))
        stream.take()
        return inputs


class BiasOfTheFirst(Mixed):
    """Wrong on purpose: units get the bias of the columns that come first."""

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        for columns, part in self.groups:
            own = inputs[:, columns] + self.bias[: part.n_columns]
            inputs[:, columns] = part.sample_(own, stream)
        return inputs


@pytest.mark.parametrize("broken", [SharedNumbers, BiasOfTheFirst])
def test_a_broken_draw_is_noticed(broken: type[Mixed]) -> None:
    rbm, model = small_model("mixed", "binary", scale=0.9)
    rbm.visible.__class__ = broken
    assert drift_p_value(rbm, oracle.Joint(model), Gibbs(2)) < LEAST_P


@every_pair
def test_tempering_leaves_all_levels_alone(visible: str, hidden: str) -> None:
    rbm, model = small_model(visible, hidden)
    base = independent_units(rbm)
    randomise_(base.visible, seed=8, scale=0.4)
    twin = oracle.Model(
        BY_NAME[visible].twin(base.visible),
        BY_NAME[hidden].twin(base.hidden),
        0 * model.weights,
    )
    betas = (0.0, 0.5, 1.0)
    joints = [oracle.Joint(straight(twin, model, beta)) for beta in betas]
    path = TemperaturePath(torch.tensor(betas, dtype=torch.float64), base.visible, base.hidden)
    chains = exact_replicas(rbm, joints, 20_000, path)
    Tempering(sweeps=4)(rbm, chains, stream())
    assert min(p_values(chains, joints)) > LEAST_P


def test_a_label_is_held_whole() -> None:
    rbm, model = small_model("mixed", "binary", sizes=(3, 3), scale=0.9)
    label = rbm.visible.groups[1][0]  # Binary, Categorical, Spin
    mask = torch.zeros(rbm.visible.n_columns, dtype=torch.bool)
    mask[label] = True
    values = torch.full_like(rbm.visible.bias.detach(), torch.nan)
    values[label] = torch.tensor([0.0, 1.0, 0.0]).double()
    chains = start_random(rbm, 20_000, stream())
    clamp = Clamp(mask, values)
    (chains,) = sample(rbm, chains, SamplingSchedule(20, 1, 1), stream(1), clamp)
    joint = oracle.Joint(model, array(values))
    assert joint.p_value(array(chains.visible), array(chains.hidden)) > LEAST_P
    mask[label.start] = False
    with pytest.raises(ValueError, match=r"^mask holds some of the 3 columns of a unit and leaves"):
        Clamp(mask, values).check(rbm, chains)


# Likelihoods


@every_enumerable_pair
def test_log_z_and_moments_are_those_of_brute_force(visible: str, hidden: str) -> None:
    rbm, model = small_model(visible, hidden, sizes=(3, 2))
    (v, volume_v), (h, volume_h) = model.visible.points(), model.hidden.points()
    log_p = v @ model.weights @ h.T - model.visible.energy(v)[:, None] - model.hidden.energy(h)
    log_p += volume_v[:, None] + volume_h
    log_z = oracle.logsumexp(log_p)
    assert exact_log_z(rbm).value == pytest.approx(log_z, abs=1e-9)
    p = np.exp(log_p - log_z)
    moments = exact_moments(rbm)
    np.testing.assert_allclose(array(moments.products), v.T @ p @ h, rtol=0, atol=1e-9)
    for units, of_layer, x, p_x in (
        (rbm.visible, moments.visible, v, p.sum(1)),
        (rbm.hidden, moments.hidden, h, p.sum(0)),
    ):
        statistics = units.statistics(torch.from_numpy(x))
        assert of_layer.keys() == statistics.keys()
        for name, value in of_layer.items():
            np.testing.assert_allclose(array(value), p_x @ array(statistics[name]), atol=1e-9)


@every_pair
def test_closed_form_is_autograd_of_the_free_energies(visible: str, hidden: str) -> None:
    rbm, _ = small_model(visible, hidden, sizes=(4, 4))
    nothing = torch.zeros(9, rbm.visible.n_columns, dtype=torch.float64)
    data, chains = (rbm.visible.sample(nothing, stream(position)) for position in (0, 10))
    loss = rbm.free_energy(data).mean() - rbm.free_energy(chains).mean()
    trained = [parameter for parameter in rbm.parameters() if parameter.requires_grad]
    expected = torch.autograd.grad(loss, trained)
    PlainGradient().write_(rbm, phase(rbm, data), phase(rbm, chains))
    for parameter, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-10)


@every_enumerable_pair
def test_the_exact_gradient_is_the_slope_of_the_log_likelihood(visible: str, hidden: str) -> None:
    rbm, _ = small_model(visible, hidden)
    nothing = torch.zeros(5, rbm.visible.n_columns, dtype=torch.float64)
    v = rbm.visible.sample(nothing, stream())
    exact_gradient_(rbm, v)
    step = 1e-4
    for name, parameter in rbm.named_parameters():
        if not parameter.requires_grad:
            continue
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            here, ends = flat[i].item(), []
            for sign in (1, -1):
                flat[i] = here + sign * step
                ends.append(exact_log_likelihood(rbm, v).mean().item())
            flat[i] = here
            assert parameter.grad is not None
            came = parameter.grad.view(-1)[i].item()
            # the error of central differences: step^2 times a third derivative of order 1 to 10
            assert came == pytest.approx((ends[1] - ends[0]) / (2 * step), abs=1e-6), (name, i)


@every_pair
def test_annealing_from_both_sides_meets(visible: str, hidden: str) -> None:
    rbm, model = small_model(visible, hidden, sizes=(4, 3), scale=0.6)
    samples = torch.from_numpy(oracle.Joint(model).draw(300, 0)[0])
    path = AnnealingPath.adaptive(rbm, samples, 60, seed=1)
    below = annealed_importance_sampling(path, 300, seed=2).result()
    above = reverse_annealed_importance_sampling(path, samples, seed=2).result()
    error = math.hypot(below.std_error, above.std_error)
    assert 0 < error < 0.1 and abs(below.value - above.value) < 4 * error
    if (visible, hidden) in ENUMERABLE:
        assert abs(below.value - exact_log_z(rbm).value) < 4 * below.std_error


def test_what_cannot_be_enumerated_is_refused() -> None:
    rbm, model = small_model(PARTLY, PARTLY)
    with pytest.raises(ValueError, match=r"^no layer of this model can be enumerated \(Mixed\("):
        exact_log_z(rbm)
    units = Mixed(Binary(20), Categorical(10, 3))
    with pytest.raises(ValueError, match=r"has 2\^20 \* 3\^10 states \(about 10\^11\), and up to"):
        exact_log_z(RBM(units, Binary(40)))
    v = torch.from_numpy(model.visible.some_states())
    with pytest.raises(ValueError, match="and Gaussian units have a continuum of them; use"):
        exact_pseudo_log_likelihood(rbm, v)


def test_gaussian_units_in_both_layers_have_to_be_normalisable() -> None:
    rbm, _ = small_model(PARTLY, PARTLY)
    samples = rbm.visible.sample(torch.zeros(50, rbm.visible.n_columns).double(), stream())
    with torch.no_grad():
        rbm.weights[0, 0] = 3  # of the two Gaussian units, whose precisions are about 1
    with pytest.raises(ValueError, match="the joint precision of the continuous units of its two"):
        AnnealingPath.adaptive(rbm, samples, 20)
    with torch.no_grad():
        rbm.weights[0, 0], rbm.weights[1, 1] = 0.1, 30  # discrete units can always be normalised
    AnnealingPath.adaptive(rbm, samples, 20)


def test_a_reconstruction_error_adds_both_kinds() -> None:
    rbm = RBM(Mixed(Binary(4), Gaussian(2)), Binary(3)).double()
    randomise_(rbm, 4)
    v = rbm.visible.sample(torch.zeros(6, 6).double(), stream())
    mean = rbm.mean_v_from_h(rbm.mean_h_from_v(v)).detach()
    cross_entropy = torch.nn.functional.binary_cross_entropy(
        mean[:, :4], v[:, :4], reduction="none"
    )
    expected = cross_entropy.sum(1) + (mean - v)[:, 4:].square().sum(1)
    torch.testing.assert_close(diagnostics.reconstruction_error(rbm, v), expected)


# Training


def rows(n: int = 60) -> Data:
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(n, 4, generator=generator).round()
    y = torch.randn(n, 2, generator=generator) + x[:, :2]
    label = torch.nn.functional.one_hot(torch.arange(n) % 3, 3)
    return Data("rows", torch.cat([x, y, label], 1), AsIs())


def state_of(data: Data, **options: object) -> TrainingState:
    units = Mixed(Binary(4), Gaussian(2, learn_precision=True), Categorical(1, 3))
    rbm = RBM(units, Mixed(Binary(3), Spin(2))).init_from_data_(data, seed=5, weight_std=0.1)
    return TrainingState.create(rbm, n_chains=10, momentum=0.5, seed=6, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("gradient", [PlainGradient, CenteredGradient])
def test_a_run_goes_on_from_a_checkpoint_bit_for_bit(
    gradient: type[PlainGradient | CenteredGradient], tmp_path: Path
) -> None:
    data = rows()
    batches = Minibatches(data, 16)
    whole, half = (state_of(data, gradient=gradient(), average_decay=0.9) for _ in range(2))
    for _ in training.updates(whole, batches, epochs=4):
        pass
    for _ in training.updates(half, batches, epochs=2):
        pass
    checkpoint.save(half, tmp_path / "half")
    resumed = checkpoint.load(tmp_path / "half")
    for _ in training.updates(resumed, batches, epochs=4):
        pass
    assert checkpoint.dumps(resumed) == checkpoint.dumps(whole)
    assert repr(resumed.rbm) == repr(whole.rbm)


def test_it_learns() -> None:
    data = rows(200)
    state = state_of(data, penalties=Penalties(), average_decay=0.95)
    v = next(data.blocks())
    scores = []
    batches = Minibatches(data, 20)
    for epochs in (0, 100):
        for _ in training.updates(state, batches, epochs):
            pass
        scores.append(exact_log_likelihood(state.model, v).mean().item())
    # x and y are correlated: with unit variances the rows' means alone leave this unexplained
    gained = 2 * 0.5 * math.log(1.25)
    assert scores[1] - scores[0] > gained / 2


def test_the_precision_of_gaussian_units_among_others_is_tamed() -> None:
    units = Mixed(Binary(1), Gaussian(2, learn_precision=True))
    rbm = RBM(units, Binary(2))
    v = torch.tensor([[1.0, 100.0, 0.0]])
    PlainGradient().write_(rbm, phase(rbm, v), phase(rbm, v * 0))
    Penalties(variance_floor=0.5).add_(rbm, phase(rbm, v))
    grad = rbm.visible.get_parameter("1.log_precision").grad
    assert grad is not None
    torch.testing.assert_close(grad, torch.tensor([1.0, 0.25]))


def test_every_precision_tells_of_gradients_that_are_not_finite() -> None:
    rbm, _ = small_model(PARTLY, PARTLY)
    data = rbm.visible.sample(torch.zeros(4, rbm.visible.n_columns).double(), stream())
    gradient = CenteredGradient()
    gradient.write_(rbm, phase(rbm, data), phase(rbm, data))
    told = {id(x) for x in gradient.telling(rbm)}
    precisions = [p for name, p in rbm.named_parameters() if name.endswith("log_precision")]
    assert len(precisions) == 2 and all(id(p.grad) in told for p in precisions)


def test_chains_states_are_tables() -> None:
    rbm, _ = small_model(PARTLY, "mixed")
    chains = start_random(rbm, 3, stream())
    chains.check(rbm)
    with pytest.raises(ValueError, match=r"^visible has 4 columns, but this RBM has 5 visible col"):
        ChainState(chains.visible[:, :4], chains.hidden).check(rbm)
