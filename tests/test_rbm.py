"""The RBM against the oracle: every visible unit type against every hidden one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harmonium import RBM, Binary, Gaussian, datasets
from harmonium.rng import Purpose, Stream
from unit_types import UNIT_TYPES, UnitType, array, every_pair, random_rbm

EXACT = 1e-9  # of quadrature and enumeration in float64


def stream() -> Stream:
    return Stream(5, Purpose.SAMPLE)


def close(tensor: Tensor, expected: np.ndarray) -> None:
    np.testing.assert_allclose(array(tensor), expected, rtol=0, atol=EXACT)


@every_pair
def test_energies_are_sums_over_the_other_layer(
    visible: UnitType, hidden: UnitType, device: torch.device
) -> None:
    rbm, model = random_rbm(visible, hidden, device=device)
    v = model.visible.some_states()
    h = np.resize(model.hidden.some_states(), (len(v), len(model.hidden.bias)))
    v_here, h_here = torch.from_numpy(v).to(device), torch.from_numpy(h).to(device)
    close(rbm.energy(v_here, h_here), model.energy(v, h))
    close(rbm.free_energy(v_here), model.free_energy(v))
    # any batch shape
    close(rbm.free_energy(v_here[0]), model.free_energy(v[0]))
    v, v_here = v[:4].reshape(2, 2, -1), v_here[:4].reshape(2, 2, -1)
    close(rbm.free_energy(v_here), model.free_energy(v))
    close(rbm.energy(v_here, h_here[0]), model.energy(v, h[0]))


@every_pair
def test_the_grid_is_that_of_the_conditionals(
    visible: UnitType, hidden: UnitType, device: torch.device
) -> None:
    rbm, model = random_rbm(visible, hidden, device=device)
    sides = (
        ("h_from_v", model.hidden, model.visible, model.weights),
        ("v_from_h", model.visible, model.hidden, model.weights.T),
    )
    for side, layer, other, weights in sides:
        given = other.some_states()
        inputs = given @ weights
        mean, var = layer.moments(inputs)
        here = torch.from_numpy(given).to(device)
        close(getattr(rbm, f"inputs_{side}")(here), inputs)
        close(getattr(rbm, f"mean_{side}")(here), mean)
        close(getattr(rbm, f"var_{side}")(here), var)
        mode = array(getattr(rbm, f"mode_{side}")(here))
        log_p = (inputs * mode).sum(-1) - layer.energy(mode)
        assert (log_p >= layer.highest_log_weight(inputs) - EXACT).all()
        states = getattr(rbm, f"sample_{side}")(here, stream())
        units = rbm.hidden if side == "h_from_v" else rbm.visible
        drawn = units.sample(torch.from_numpy(inputs).to(device), stream())
        torch.testing.assert_close(states, drawn, rtol=1e-12, atol=1e-12)
        assert not states.requires_grad


@every_pair
def test_data_of_the_visible_units_give_the_start(visible: UnitType, hidden: UnitType) -> None:
    teacher = visible.random(3, seed=4)
    nothing = torch.zeros(500, teacher.n_columns, dtype=torch.float64)
    rows = teacher.sample(nothing, stream())
    rbm, _ = random_rbm(visible, hidden)
    assert rbm.init_from_data_(rows, seed=1) is rbm
    torch.testing.assert_close(rbm.visible.mean(nothing[0]), rows.mean(0))
    assert not rbm.hidden.bias.any()

    class Moments:
        def moments(self) -> tuple[Tensor, Tensor]:
            return rows.mean(0), rows.var(0, correction=0)

    other, _ = random_rbm(visible, hidden)
    other.init_from_data_(Moments(), seed=1)
    for name, p in rbm.state_dict().items():
        torch.testing.assert_close(p, other.state_dict()[name], msg=name)


def test_weights_are_drawn_by_the_seed_and_alike_in_every_precision() -> None:
    rows = torch.rand(9, 60, generator=torch.Generator().manual_seed(0))
    rbms = [RBM(Binary(60), Binary(50)).init_from_data_(rows, seed) for seed in (0, 0, 1)]
    assert torch.equal(rbms[0].weights, rbms[1].weights)
    assert not torch.equal(rbms[0].weights, rbms[2].weights)
    double = RBM(Binary(60), Binary(50)).double().init_from_data_(rows, 0)
    torch.testing.assert_close(double.weights.float(), rbms[0].weights)
    # 3,000 weights: mean and standard deviation to 5 standard errors
    weights = double.weights.detach() / 0.01
    assert abs(weights.mean()) < 5 / 3000**0.5
    assert abs(weights.std() - 1) < 5 / 6000**0.5
    wide = RBM(Binary(60), Binary(50)).double().init_from_data_(rows, 0, weight_std=0.5)
    torch.testing.assert_close(wide.weights, 50 * double.weights)
    assert not RBM(Binary(60), Binary(50)).init_from_data_(rows, 0, weight_std=0).weights.any()


def test_data_objects_give_the_same_start_as_their_rows() -> None:
    rows = torch.rand(40, 6, generator=torch.Generator().manual_seed(0)).round()
    data = datasets.Data("mine", rows)
    from_data = RBM(Binary(6), Binary(3)).init_from_data_(data, seed=0)
    from_rows = RBM(Binary(6), Binary(3)).init_from_data_(rows, seed=0)
    assert str(from_data.state_dict()) == str(from_rows.state_dict())


class NoMoments:
    """Data whose mean is no mixture of binary states, in three columns."""

    def moments(self) -> tuple[Tensor, Tensor]:
        return torch.full((3,), 127.0), torch.ones(3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": torch.zeros(2, 4)}, r"^visible has 4 columns, but this RBM has 3 visible units"),
        ({"data": torch.full((2, 3), 255.0)}, r"^data: 6 of 6 values are not between 0 and 1"),
        ({"data": torch.full((2, 3), torch.nan)}, r"^data: 6 of 6 values are not"),
        ({"data": torch.zeros(0, 3)}, r"^data has no rows; pass 1 or more$"),
        ({"data": NoMoments()}, r"^the mean of the data: 3 of 3 values are not between 0 and 1"),
        ({"seed": -1}, r"^seed is -1; pass an integer"),
        ({"weight_std": -0.1}, r"^weight_std is -0.1; pass 0 or a positive number$"),
        ({"weight_std": float("nan")}, r"^weight_std is nan"),
    ],
)
def test_a_bad_start_is_refused_and_changes_nothing(
    arguments: dict[str, object], message: str
) -> None:
    rbm = RBM(Binary(3), Binary(2))
    before = {name: p.clone() for name, p in rbm.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        rbm.init_from_data_(**({"data": torch.ones(2, 3), "seed": 0} | arguments))  # type: ignore[arg-type]
    assert all(torch.equal(p, before[name]) for name, p in rbm.state_dict().items())


@every_pair
def test_rows_of_the_wrong_width_are_refused(visible: UnitType, hidden: UnitType) -> None:
    rbm, _ = random_rbm(visible, hidden)
    v = torch.zeros(4, rbm.visible.n_columns, dtype=torch.float64)
    for columns in (1, rbm.visible.n_columns + 1):
        wrong = torch.zeros(4, columns, dtype=torch.float64)
        for call in (rbm.free_energy, rbm.mean_h_from_v, rbm.var_h_from_v, rbm.mode_h_from_v):
            with pytest.raises(ValueError, match=rf"^visible has {columns} columns, but"):
                call(wrong)
    for columns in (1, rbm.hidden.n_columns + 1):
        wrong = torch.zeros(4, columns, dtype=torch.float64)
        for call in (rbm.mean_v_from_h, rbm.var_v_from_h, rbm.mode_v_from_h):
            with pytest.raises(ValueError, match=rf"^hidden has {columns} columns, but"):
                call(wrong)
        with pytest.raises(ValueError, match=rf"^hidden has {columns} columns, but"):
            rbm.energy(v, wrong)


# Not for parameters like these: SparseAdam wants sparse gradients and Muon matrices only.
OPTIMISERS = [
    optimiser
    for optimiser in vars(torch.optim).values()
    if isinstance(optimiser, type)
    and issubclass(optimiser, torch.optim.Optimizer)
    and optimiser.__name__ not in ("Optimizer", "SparseAdam", "Muon")
]


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=lambda optimiser: optimiser.__name__)
def test_any_optimiser_takes_the_parameters(optimiser: type[torch.optim.Optimizer]) -> None:
    rbm, _ = random_rbm(UNIT_TYPES[3], UNIT_TYPES[0])
    before = {name: p.detach().clone() for name, p in rbm.named_parameters()}
    v = torch.ones(4, 3, dtype=torch.float64)

    def loss() -> Tensor:
        rbm.zero_grad()
        value = rbm.free_energy(v).mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser(rbm.parameters(), lr=1e-3).step(loss)  # type: ignore[call-arg]
    for name, p in rbm.named_parameters():
        assert p.isfinite().all() and not torch.equal(p, before[name]), name


@every_pair
def test_a_model_moves_with_all_its_parts(
    visible: UnitType, hidden: UnitType, device: torch.device
) -> None:
    rbm, _ = random_rbm(visible, hidden)
    rbm.to(device, torch.float32)
    v = torch.zeros(4, rbm.visible.n_columns, device=device)
    h = rbm.sample_h_from_v(v, stream())
    results = [rbm.energy(v, h), rbm.free_energy(v), h, rbm.sample_v_from_h(h, stream())]
    for quantity, side in product(("inputs", "mean", "var", "mode"), ("h_from_v", "v_from_h")):
        results.append(getattr(rbm, f"{quantity}_{side}")(v if side == "h_from_v" else h))
    assert {(result.dtype, result.device) for result in results} == {(torch.float32, device)}
    for layer in (rbm.visible, rbm.hidden):
        assert layer.states is None or layer.states.device == device


def test_the_state_is_the_parameters() -> None:
    rbm = RBM(Gaussian(3, learn_precision=True), Binary(2))
    names = {"weights", "visible.bias", "visible.log_precision", "hidden.bias"}
    assert set(rbm.state_dict()) == {name for name, _ in rbm.named_parameters()} == names
    assert repr(rbm) == "RBM(Gaussian(n=3, precision=1.0, learn_precision=True), Binary(n=2))"


# What a newcomer types


def test_numbers_are_layers_of_so_many_binary_units() -> None:
    assert repr(RBM(64, 200)) == repr(RBM(Binary(64), Binary(200)))
    assert repr(RBM(Gaussian(3), np.int64(2))) == repr(RBM(Gaussian(3), Binary(2)))  # type: ignore[arg-type]
    for wrong in ("64", 64.0, True, None, Binary, torch.zeros(3)):
        with pytest.raises(TypeError, match=r"^visible is .*; pass a layer such as Binary\(200\)"):
            RBM(wrong, 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^hidden is \(200, 100\); pass a layer"):
        RBM(64, (200, 100))  # type: ignore[arg-type]
    layer = Binary(4)
    with pytest.raises(ValueError, match=r"^visible and hidden are the same object, Binary\(n=4\)"):
        RBM(layer, layer)


GIVEN_V = {
    "energy": lambda rbm, v: rbm.energy(v, torch.zeros(5, 2)),
    "free_energy": lambda rbm, v: rbm.free_energy(v),
    "mean": lambda rbm, v: rbm.mean_h_from_v(v),
    "sample": lambda rbm, v: rbm.sample_h_from_v(v, stream()),
    "observe": lambda rbm, v: rbm.observe_h_from_v(v),
}


@pytest.mark.parametrize("call", GIVEN_V.values(), ids=GIVEN_V)
@pytest.mark.parametrize(
    ("v", "message"),
    [
        (
            np.zeros((5, 3)),
            r"visible is a numpy.ndarray of shape \(5, 3\) and dtype float64; pass a torch tensor: "
            r"torch.from_numpy\(x\).float\(\)$",
        ),
        (
            [[0.0, 1.0, 0.0]],
            r"visible is \[\[0.0, .*; pass a torch tensor: torch.tensor\(x\).float",
        ),
        (None, r"visible is None; pass a torch tensor"),
        (
            datasets.Data("mine", torch.zeros(5, 3)),
            r"visible is .*; pass a torch tensor: .*torch.cat\(list\(data.blocks\(\)\)\)",
        ),
        (
            torch.zeros(5, 3, dtype=torch.float64),
            r"visible states are torch.float64, but this RBM's parameters are torch.float32; pass "
            r"x.float\(\), or convert the RBM: rbm.to\(torch.float64\)$",
        ),
        (torch.zeros(5, 3, dtype=torch.uint8), r"visible states are torch.uint8, .*x.float\(\)$"),
        (torch.zeros(5, 3, dtype=torch.bool), r"visible states are torch.bool, .*x.float\(\)$"),
        (torch.zeros(5, 3, dtype=torch.int64), r"visible states are torch.int64, .*x.float\(\)$"),
    ],
    ids=str,
)
def test_states_of_another_type_are_refused_with_what_would_work(
    call: Callable[[RBM, object], object], v: object, message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        call(RBM(3, 2), v)


def test_states_on_another_device_are_refused() -> None:
    with pytest.raises(ValueError, match=r"states are on meta, but this \w+ is on cpu"):
        RBM(3, 2).free_energy(torch.zeros(5, 3, device="meta"))


def test_states_of_both_layers_are_as_many() -> None:
    with pytest.raises(ValueError, match=r"^v has shape \(5, 3\) and h \(4, 2\); pass as many"):
        RBM(3, 2).energy(torch.zeros(5, 3), torch.zeros(4, 2))


def test_a_call_of_the_model_says_what_it_could_mean() -> None:
    with pytest.raises(TypeError, match=r"call rbm.mean_h_from_v\(v\)"):
        RBM(3, 2)(torch.zeros(5, 3))


# Parameters of other programs


@every_pair
def test_arrays_come_back_as_they_went_in(visible: UnitType, hidden: UnitType) -> None:
    rbm, _ = random_rbm(visible, hidden)
    other = RBM.from_arrays(
        array(rbm.weights.detach()),
        array(rbm.visible.bias.detach()),
        rbm.hidden.bias.tolist(),
        visible=copy.deepcopy(rbm.visible),
        hidden=copy.deepcopy(rbm.hidden),
        dtype=torch.float64,
    )
    for name, p in rbm.state_dict().items():
        assert torch.equal(p, other.state_dict()[name]), name
    other.weights.data.zero_()
    assert rbm.weights.any()


def test_arrays_of_binary_units_need_no_layers() -> None:
    weights = np.arange(6.0).reshape(3, 2)
    rbm = RBM.from_arrays(weights, [0, 1, 2], np.array([5, 7]))
    assert repr(rbm) == "RBM(Binary(n=3), Binary(n=2))" and rbm.weights.dtype == torch.float32
    v, h = np.array([1, 0, 1]), np.array([0, 1])
    expected = -(v @ weights @ h + v @ [0, 1, 2] + h @ [5, 7])
    energy = rbm.energy(torch.from_numpy(v).float(), torch.from_numpy(h).float())
    assert energy.item() == expected


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        (
            (np.zeros((2, 3)), np.zeros(3), np.zeros(2)),
            ValueError,
            r"weights have shape \(2, 3\), but there are 3 visible and 2 hidden biases; pass "
            r"weights.T of shape \(3, 2\) \(scikit-learn's components_",
        ),
        ((np.zeros((4, 2)), np.zeros(3), np.zeros(2)), ValueError, r"weights have shape \(4, 2\)"),
        (
            (np.zeros((3, 2)), np.zeros((3, 1)), np.zeros(2)),
            ValueError,
            r"visible_bias has shape \(3, 1\); pass one number per column, shape \(3,\)",
        ),
        (
            (np.full((3, 2), np.inf), np.zeros(3), np.zeros(2)),
            ValueError,
            "6 of 6 values of weights are infinite or NaN as torch.float32",
        ),
        ((np.full((3, 2), 1e300), np.zeros(3), np.zeros(2)), ValueError, "6 of 6 values"),
        (("weights", np.zeros(3), np.zeros(2)), TypeError, "weights is 'weights'; pass an array"),
        ((np.zeros((3, 2)) * 1j, np.zeros(3), np.zeros(2)), TypeError, "weights has dtype"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    arrays: tuple[Any, Any, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}"):
        RBM.from_arrays(*arrays)


def test_layers_that_do_not_fit_the_arrays_are_refused_and_left_alone() -> None:
    layer = Gaussian(4)
    with pytest.raises(ValueError, match=r"^visible is Gaussian.* with 4 columns, but there are 3"):
        RBM.from_arrays(
            np.zeros((3, 2)), np.zeros(3), np.zeros(2), visible=layer, dtype=torch.float64
        )
    assert layer.bias.dtype == torch.float32
