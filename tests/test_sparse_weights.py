"""The group lasso: its step, where it leads, and the norms of weights between units."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from harmonium import RBM, Binary, Gibbs, Minibatches, Penalties, training
from harmonium.datasets import Data, OneHot
from harmonium.gradient import weight_norms
from harmonium.runs.build import layer_options
from harmonium.runs.layers import NetworkOptions
from harmonium.runs.options import TrainingOptions
from harmonium.training import TrainingState
from harmonium.units import Categorical, DReLU, Gaussian, Mixed, Spin, Units

LAYERS: dict[str, tuple[Units, list[list[int]]]] = {
    # each layer with the columns of its units
    "spin": (Spin(3), [[0], [1], [2]]),
    "gaussian": (Gaussian(2), [[0], [1]]),
    "categorical": (Categorical(2, 3), [[0, 1, 2], [3, 4, 5]]),
    "mixed": (Mixed(Binary(2), Categorical(2, 3), DReLU(1)), [[0], [1], [2, 3, 4], [5, 6, 7], [8]]),
}
PAIRS = [
    ("categorical", "gaussian"),
    ("mixed", "categorical"),
    ("spin", "mixed"),
    ("categorical", "mixed"),
]
every_pair = pytest.mark.parametrize(("visible", "hidden"), PAIRS)


def some_model(visible: str, hidden: str) -> tuple[RBM, list[tuple[int, int, Tensor]]]:
    """A model with random weights; the places of two units, and the flat indices between them."""
    (above, rows), (left, columns) = LAYERS[visible], LAYERS[hidden]
    rbm = RBM(above, left).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        rbm.weights.copy_(torch.randn(rbm.weights.shape, generator=generator))
    width = rbm.weights.shape[1]
    groups = [
        (i, j, torch.tensor([r * width + c for r in row for c in column]))
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
    ]
    assert sum(len(index) for _, _, index in groups) == rbm.weights.numel()
    return rbm, groups


@every_pair
def test_norms_are_those_of_the_weights_between_two_units(visible: str, hidden: str) -> None:
    rbm, groups = some_model(visible, hidden)
    norms = weight_norms(rbm)
    assert norms.shape == (rbm.visible.n, rbm.hidden.n)
    for i, j, index in groups:
        assert norms[i, j].item() == pytest.approx(rbm.weights.flatten()[index].norm().item())


@every_pair
def test_a_step_is_the_proximal_map_of_the_norms(visible: str, hidden: str) -> None:
    rbm, groups = some_model(visible, hidden)
    before = rbm.weights.detach().flatten().clone()
    step = 0.5 * 1.5 * 1.6  # rate, scale, strength: some groups are smaller, others are not
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.5)
    Penalties(group_lasso=1.6).shrink_(rbm, optimizer, scale=1.5)
    after, zeros = rbm.weights.detach().flatten(), 0
    generator = torch.Generator().manual_seed(4)
    for _, _, index in groups:
        w, x = before[index], after[index]
        expected = w * max(0.0, 1 - step / w.norm().item())
        torch.testing.assert_close(x, expected, rtol=1e-12, atol=0)
        zeros += bool((x == 0).all())
        # and that is the minimum of distance and penalty
        least = 0.5 * (x - w).square().sum() + step * x.norm()
        for size in (1e-3, 0.1):
            other = x + size * torch.randn(x.shape, generator=generator, dtype=x.dtype)
            assert 0.5 * (other - w).square().sum() + step * other.norm() > least
    assert 0 < zeros < len(groups)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.8, "dampening": 0.5},
    ],
    ids=str,
)
def test_descent_ends_where_loss_and_penalty_are_least(options: dict[str, Any]) -> None:
    rbm, groups = some_model("categorical", "mixed")
    goal, lasso = rbm.weights.detach().clone(), 1.5
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.05, **options)
    penalties = Penalties(group_lasso=lasso)
    for _ in range(1000):
        rbm.weights.grad = rbm.weights.detach() - goal  # of half the squared distance
        optimizer.step()
        penalties.shrink_(rbm, optimizer)
    ended = rbm.weights.detach().flatten()
    for _, _, index in groups:
        w = goal.flatten()[index]
        expected = w * max(0.0, 1 - lasso / w.norm().item())
        torch.testing.assert_close(ended[index], expected, rtol=1e-6, atol=1e-9)


def test_other_optimisers_shrink_by_their_rate_and_held_weights_stay() -> None:
    rbm, _ = some_model("spin", "mixed")
    before = weight_norms(rbm)
    Penalties(group_lasso=2.0).shrink_(rbm, torch.optim.Adam(rbm.parameters(), lr=0.1))
    torch.testing.assert_close(weight_norms(rbm), (before - 0.2).clamp(min=0))
    held = rbm.weights.detach().clone()
    for parameters, rate in (([rbm.hidden.bias], 0.1), ([rbm.weights], 0.0)):
        Penalties(group_lasso=2.0).shrink_(rbm, torch.optim.SGD(parameters, lr=rate))
    Penalties().shrink_(rbm, torch.optim.SGD(rbm.parameters(), lr=0.1))
    assert torch.equal(rbm.weights, held)


def test_steps_that_are_shortened_shrink_less() -> None:
    rbm, _ = some_model("categorical", "mixed")
    before, shares = weight_norms(rbm), torch.ones(rbm.hidden.n_columns, dtype=torch.float64)
    shares[8] = 0.25  # of the last unit, the fifth
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.5)
    Penalties(group_lasso=1.0).shrink_(rbm, optimizer, shares=shares)
    by_unit = torch.tensor([0.5, 0.5, 0.5, 0.5, 0.125], dtype=torch.float64)
    torch.testing.assert_close(weight_norms(rbm), (before - by_unit).clamp(min=0))


def trained(rows: Tensor, seed: int, **penalties: Any) -> RBM:
    """A model of 3 sites with 3 categories and 4 double units, after 300 updates."""
    data = Data("sites", rows, OneHot(3))
    batches = Minibatches(data, 100)
    rbm = RBM(Categorical(3, 3), DReLU(4)).init_from_data_(data, seed, weight_std=0.5)
    state = TrainingState.create(
        rbm, sampler=Gibbs(1), n_chains=100, seed=seed, penalties=Penalties(**penalties)
    )
    for _ in training.updates(state, batches, 60):
        pass
    return rbm


def test_a_site_that_depends_on_no_other_loses_its_weights() -> None:
    generator = torch.Generator().manual_seed(5)
    first = torch.randint(3, (500,), generator=generator)
    alone = torch.randint(3, (500,), generator=generator)
    rows = torch.stack([first, first, alone], 1).to(torch.uint8)
    norms = weight_norms(trained(rows, 1, group_lasso=0.15))
    assert (norms[2] < 0.05).all() and (norms[2] == 0).any()
    assert (norms[:2] > 0.5).any(1).all() and (norms[:2] == 0).any()
    assert (weight_norms(trained(rows, 1))[2] > 0.3).all()


def test_squared_sums_leave_fewer_large_weights() -> None:
    generator = torch.Generator().manual_seed(6)
    first = torch.randint(3, (500,), generator=generator)
    rows = torch.stack([first, first, torch.randint(3, (500,), generator=generator)], 1)

    def size(rbm: RBM) -> float:
        return float(rbm.weights.detach().abs().sum(0).square().sum())

    free, held = (trained(rows.to(torch.uint8), 1, l1b=l1b) for l1b in (0.0, 0.3))
    assert size(held) < 0.8 * size(free)


def test_both_penalties_go_from_the_options_to_each_layer() -> None:
    options = TrainingOptions(l1b=0.25, group_lasso=0.5, learning_rate=0.1, epochs=1)
    penalties = layer_options(options).penalties
    assert penalties is not None and (penalties.l1b, penalties.group_lasso) == (0.25, 0.5)
    of_each = {"l1b": "0.1,0.2", "group_lasso": "0.3"}
    first, second = NetworkOptions(layers="5,4", of_each=of_each).by_layer()
    assert [(o.l1b, o.group_lasso) for o in (first, second)] == [(0.1, 0.3), (0.2, 0.3)]


@pytest.mark.parametrize("name", ["l1b", "group_lasso"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_options_refuse_what_is_no_strength(name: str, value: float) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"`{name}` is {value}; pass 0 or a positive number"):
        TrainingOptions(**options)
