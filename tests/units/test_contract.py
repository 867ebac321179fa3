"""What every unit type has to keep: one table of unit types, one test a clause of the contract."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

import oracle
from harmonium.rng import Purpose, Stream
from harmonium.units import UNIT_TYPES as PUBLIC_UNIT_TYPES
from harmonium.units import Units, from_config, to_config
from unit_types import UNIT_TYPES, UnitType, array, every_unit_type

N = 2
EXACT = 1e-9  # of quadrature and enumeration in float64

each_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def stream() -> Stream:
    return Stream(11, Purpose.SAMPLE)


def some_inputs(units: Units, *batch: int, seed: int = 5, scale: float = 2.0) -> Tensor:
    generator = np.random.default_rng(seed)
    inputs = generator.uniform(-scale, scale, (*batch, units.n_columns))
    return torch.from_numpy(inputs).to(units.bias)


def test_the_table_is_complete() -> None:
    in_table = {type(unit_type.make(1)) for unit_type in UNIT_TYPES}
    assert in_table == set(PUBLIC_UNIT_TYPES.values())
    assert all(name == unit_type.__name__ for name, unit_type in PUBLIC_UNIT_TYPES.items())


@every_unit_type
def test_energy_is_its_definition(unit_type: UnitType, device: torch.device) -> None:
    units = unit_type.random(N, seed=1, device=device)
    twin = unit_type.twin(units)
    x = twin.some_states()
    energy = units.energy(torch.from_numpy(x).to(device))
    np.testing.assert_allclose(array(energy), twin.energy(x), rtol=0, atol=EXACT)


@every_unit_type
def test_what_it_says_of_itself_is_so(unit_type: UnitType) -> None:
    layer = unit_type.random(N, seed=1)
    for units in {layer, *(group for _, group in layer.groups)}:
        inputs = some_inputs(units, 6)
        x, precision = units.sample(inputs, stream()), units.precision
        if units.low_state is not None:
            assert units.is_linear and units.states is not None
            assert units.states.tolist() == [[units.low_state], [1]]
        if units.is_one_hot:
            torch.testing.assert_close(units.states, torch.eye(units.width).to(x))
        if units.is_count:
            torch.testing.assert_close(units.cgf(inputs), (inputs + units.bias).exp())
        if units.is_positive:
            assert units.highest_state is None and (x >= 0).all()
        if units.highest_state is not None and not units.is_one_hot:
            highest = units.mode(torch.full_like(inputs, 1e4))
            assert (highest == units.highest_state).all()
        if units.is_linear or not units.has_origin:
            quadratic = 0 if precision is None else 0.5 * (x**2 @ precision)
            torch.testing.assert_close(units.energy(x), quadratic - x @ units.bias)
        if units.stored_log_precision is not None:
            torch.testing.assert_close(units.stored_log_precision.exp(), precision)
        modules = units.activation()
        if modules is not None:
            scaled = (inputs + units.bias) / (1 if precision is None else precision)
            torch.testing.assert_close(torch.nn.Sequential(*modules)(scaled), units.mean(inputs))


@every_unit_type
def test_cgf_is_the_log_of_a_sum_over_states(unit_type: UnitType, device: torch.device) -> None:
    units = unit_type.random(N, seed=1, device=device)
    twin, inputs = unit_type.twin(units), some_inputs(units, 6)
    cgf = units.cgf(inputs)
    assert cgf.shape == (6, N)
    for i, (unit, of_unit) in enumerate(twin.by_unit(array(inputs))):
        expected = unit.log_normaliser(of_unit)
        np.testing.assert_allclose(array(cgf[:, i]), expected, rtol=0, atol=EXACT)


@every_unit_type
def test_mean_and_variance_are_those_of_the_states(
    unit_type: UnitType, device: torch.device
) -> None:
    units = unit_type.random(N, seed=1, device=device)
    inputs = some_inputs(units, 6)
    mean, var = unit_type.twin(units).moments(array(inputs))
    np.testing.assert_allclose(array(units.mean(inputs)), mean, rtol=0, atol=EXACT)
    np.testing.assert_allclose(array(units.var(inputs)), var, rtol=0, atol=EXACT)


@every_unit_type
def test_mean_and_variance_are_derivatives_of_the_cgf(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    # far out as well, where a numerically careless cgf has a careless derivative
    for scale in (2.0, 60.0):
        for inputs in some_inputs(units, 4, scale=scale):
            slope = torch.autograd.functional.jacobian(lambda x: units.cgf(x).sum(), inputs)
            curvature = torch.autograd.functional.jacobian(units.mean, inputs).diagonal()
            torch.testing.assert_close(slope, units.mean(inputs), rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(curvature, units.var(inputs), rtol=1e-12, atol=1e-12)


@every_unit_type
def test_no_state_is_more_probable_than_the_mode(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    twin, inputs = unit_type.twin(units), some_inputs(units, 8)
    mode = array(units.mode(inputs))
    log_p = (array(inputs) * mode).sum(-1) - twin.energy(mode)
    assert (log_p >= twin.highest_log_weight(array(inputs)) - 1e-12).all()
    if units.is_discrete:
        oracle.state_index(mode, twin.points()[0])  # refuses what is no state


@every_unit_type
def test_states_are_all_states_of_a_unit(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    tables = [group.states for _, group in units.groups for _ in range(group.n)]
    expected = unit_type.twin(units).tables
    assert units.is_discrete is unit_type.twin(units).is_finite
    for states, in_oracle in zip(tables, expected, strict=True):
        if isinstance(in_oracle, tuple) or in_oracle is oracle.WITHOUT_END:
            assert states is None  # pieces of the real line, or all whole numbers
        else:
            assert states is not None and states.dtype == units.bias.dtype
            assert sorted(states.tolist()) == sorted(oracle.states_of(in_oracle).tolist())


@every_unit_type
@each_dtype
def test_samples_have_the_moments_of_the_distribution(
    unit_type: UnitType, dtype: torch.dtype, device: torch.device
) -> None:
    """First and second moments of all columns together, to what the sample size allows."""
    units = unit_type.random(N, seed=1, dtype=dtype, device=device)
    twin, inputs = unit_type.twin(units), some_inputs(units, 1)
    n_rows = 20_000
    x = array(units.sample(inputs.expand(n_rows, -1), stream()))
    points = twin.points()[0]
    if units.is_discrete:
        oracle.state_index(x, points)
    mean = twin.moments(array(inputs))[0]
    z = norm.isf(1e-6 / 2 / (mean.size + mean.size**2))  # all of them pass but once in a million
    for of_sample, of_points in (
        (x, points),
        (products(x - mean), products(points - mean)),
    ):
        expected = twin.expectation(of_points, array(inputs))[0]
        variance = twin.expectation(of_points**2, array(inputs))[0] - expected**2
        tolerance = z * np.sqrt(variance.clip(0) / n_rows) + 1e-6  # and float32's rounding
        assert (np.abs(of_sample.mean(0) - expected) < tolerance).all()


def products(x: oracle.Array) -> oracle.Array:
    """Products of each row's columns with each other, (rows, columns^2)."""
    return (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)


@every_unit_type
@each_dtype
def test_extreme_inputs_stay_finite(unit_type: UnitType, dtype: torch.dtype) -> None:
    units = unit_type.random(N, seed=1, dtype=dtype)
    signs = torch.tensor([1.0, -1.0], dtype=dtype)
    alternating = signs.repeat(units.n_columns)[: units.n_columns]
    far = torch.stack([1e4 * alternating, -1e4 * alternating, 1e4 + 0 * alternating])
    for inputs in far.clamp(max=unit_type.highest_input):
        inputs = inputs.clone().requires_grad_()
        for values in (
            units.cgf(inputs),
            units.mean(inputs),
            units.var(inputs),
            units.mode(inputs),
            units.sample(inputs, stream()),
            units.energy(units.mode(inputs)),
            *units.mean_statistics(inputs).values(),
            torch.autograd.grad(units.cgf(inputs).sum(), inputs)[0],
        ):
            assert values.isfinite().all()
            assert values.dtype == dtype
        assert (units.var(inputs) >= 0).all()
        units.check(units.sample(inputs, stream()), "a sample")


@every_unit_type
@pytest.mark.parametrize("batch", [(), (1,), (0,), (5,), (2, 3), (2, 0), (2, 1, 3)], ids=str)
def test_any_batch_shape(unit_type: UnitType, batch: tuple[int, ...]) -> None:
    units = unit_type.random(N, seed=1)
    inputs = some_inputs(units, *batch)
    flat = inputs.reshape(-1, units.n_columns)
    mean_statistics = units.mean_statistics(inputs)
    for name, value in units.mean_statistics(flat).items():
        assert torch.equal(mean_statistics[name], value.reshape(mean_statistics[name].shape))
    for method, columns in (
        (units.cgf, (units.n,)),
        (units.mean, (units.n_columns,)),
        (units.var, (units.n_columns,)),
        (units.mode, (units.n_columns,)),
        (lambda inputs: units.sample(inputs, stream()), (units.n_columns,)),
        (units.energy, ()),
    ):
        assert method(inputs).shape == batch + columns
        torch.testing.assert_close(
            method(inputs), method(flat).reshape(batch + columns), rtol=1e-14, atol=1e-14
        )


@every_unit_type
def test_statistics_are_minus_the_derivatives_of_the_energy(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    x = torch.from_numpy(unit_type.twin(units).some_states())
    statistics = units.statistics(x)
    trained = {name: p for name, p in units.named_parameters() if p.requires_grad}
    assert statistics.keys() == trained.keys()
    assert statistics["bias"] is x
    for i, energy in enumerate(units.energy(x)):
        gradients = torch.autograd.grad(energy, list(trained.values()), retain_graph=True)
        for name, gradient in zip(trained, gradients, strict=True):
            torch.testing.assert_close(statistics[name][i], -gradient)


@every_unit_type
def test_mean_statistics_are_expected_statistics(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    twin, inputs = unit_type.twin(units), some_inputs(units, 6)
    statistics = units.statistics(torch.from_numpy(twin.points()[0]))
    mean_statistics = units.mean_statistics(inputs)
    assert mean_statistics.keys() == statistics.keys()
    for name, of_points in statistics.items():
        expected = twin.expectation(array(of_points), array(inputs))
        np.testing.assert_allclose(array(mean_statistics[name]), expected, rtol=0, atol=EXACT)


@every_unit_type
def test_a_sample_leaves_its_inputs_alone_and_has_no_gradient(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    inputs = some_inputs(units, 5).requires_grad_()
    before = inputs.detach().clone()
    states = units.sample(inputs, stream())
    assert torch.equal(inputs, before)
    assert not states.requires_grad
    buffer = before.clone()
    assert units.sample_(buffer, stream()) is buffer
    assert torch.equal(buffer, states)


@every_unit_type
def test_inputs_that_are_not_contiguous(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    inputs = some_inputs(units, 5)
    expected = units.sample(inputs, stream())
    assert torch.equal(units.sample(inputs.T.contiguous().T, stream()), expected)
    assert torch.equal(units.sample(inputs.repeat_interleave(2, 1)[:, ::2], stream()), expected)


@every_unit_type
def test_check_accepts_states_and_mixtures_of_them(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1, dtype=torch.float32)
    inputs = some_inputs(units, 40, scale=min(20, unit_type.highest_input))
    units.check(units.sample(inputs, stream()), "data")
    units.check(units.mean(inputs), "data")
    units.check(units.mean(inputs)[0], "data")
    units.check(units.mean(inputs)[:0], "data")


@every_unit_type
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_check_refuses_what_is_no_number(unit_type: UnitType, value: float) -> None:
    units = unit_type.random(N, seed=1)
    x = units.mean(some_inputs(units, 4)).detach()
    x[2, 1] = x[3, 0] = value
    message = rf"^data: 2 of {x.numel()} values are not .*\(the first is {value:g}, at \[2, 1\]\); "
    with pytest.raises(ValueError, match=message):
        units.check(x, "data")


@every_unit_type
def test_moments_of_the_data_are_those_without_inputs(unit_type: UnitType) -> None:
    nothing = torch.zeros(unit_type.make(N).n_columns, dtype=torch.float64)
    teacher, units = unit_type.random(N, seed=7), unit_type.random(N, seed=8)
    with torch.no_grad():
        mean, var = teacher.mean(nothing), teacher.var(nothing)
    units.init_from_moments_(mean, var)
    torch.testing.assert_close(units.mean(nothing), mean, rtol=1e-12, atol=1e-12)
    if all(p.requires_grad for p in units.parameters()):  # a fixed precision stays
        torch.testing.assert_close(units.var(nothing), var, rtol=1e-12, atol=1e-12)


@every_unit_type
@each_dtype
def test_constant_columns_give_finite_parameters(unit_type: UnitType, dtype: torch.dtype) -> None:
    units = unit_type.random(N, seed=7, dtype=dtype)
    for state in unit_type.twin(units).some_states():
        mean = torch.from_numpy(state).to(dtype)
        units.init_from_moments_(mean, torch.zeros_like(mean))
        assert all(p.isfinite().all() for p in units.parameters())
        nothing = torch.zeros_like(mean)
        torch.testing.assert_close(units.mean(nothing), mean, rtol=1e-5, atol=5e-3)


@every_unit_type
def test_config_makes_another_layer_like_it(unit_type: UnitType) -> None:
    units = unit_type.make(N)
    other = from_config(json.loads(json.dumps(to_config(units))))
    assert type(other) is type(units)
    assert other.config() == units.config()
    assert repr(other) == repr(units)
    assert other.kinds == units.kinds
    assert other.n_columns == units.n_columns == sum(n for _, _, n, _ in units.kinds)
    for (name, p), (other_name, q) in zip(
        units.named_parameters(), other.named_parameters(), strict=True
    ):
        assert (name, p.requires_grad) == (other_name, q.requires_grad)
        assert torch.equal(p, q)


@every_unit_type
def test_a_layer_of_nothing_is_refused(unit_type: UnitType) -> None:
    for n in (0, -3):
        with pytest.raises(ValueError, match=rf"^a layer of {n} units was asked for; pass"):
            unit_type.make(n)


@every_unit_type
def test_rows_of_the_wrong_width_are_refused(unit_type: UnitType) -> None:
    units = unit_type.random(N, seed=1)
    right = units.n_columns
    units.check_width(torch.zeros(4, right), "visible")
    units.check_width(torch.zeros(right), "visible")
    message = (
        f"^visible has {right + 1} columns, but this RBM has {right} visible (units|columns); "
        rf"pass shape \(n, {right}\)$"
    )
    with pytest.raises(ValueError, match=message):
        units.check_width(torch.zeros(4, right + 1), "visible")
    with pytest.raises(ValueError, match=r"^hidden has no columns, but this RBM"):
        units.check_width(torch.tensor(1.0), "hidden")
    with pytest.raises(ValueError, match=rf"^inputs have {2 * right} columns, but"):
        units.sample(torch.zeros(4, 2 * right, dtype=torch.float64), stream())
