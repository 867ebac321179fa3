"""The closed-form gradient against autograd, enumeration and its own definition."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harmonium import RBM, Binary, CenteredGradient, Gaussian, Penalties, PlainGradient, ReLU, Spin
from harmonium.gradient import Gradient, weigh
from harmonium.units import DReLU
from phases import (
    log_likelihood,
    one_thread,  # noqa: F401
    phase,
    visible_distribution,
    weighted_phase,
)
from unit_types import BY_NAME, UnitType, array, every_pair, random_rbm

# Two float64 routes to the same number, of order 1, by a few dozen operations each.
close = {"rtol": 1e-12, "atol": 1e-13}


def rows(n: int, rbm: RBM, seed: int) -> Tensor:
    """Rows of numbers; the energies, and so the gradients, hold for any."""
    generator = torch.Generator().manual_seed(seed)
    shape = (n, rbm.visible.n_columns)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(rbm.weights)


def gradients(rbm: RBM) -> dict[str, Tensor]:
    return {n: p.grad.clone() for n, p in rbm.named_parameters() if p.grad is not None}


def autograd(rbm: RBM, loss: Tensor) -> dict[str, Tensor]:
    named = {n: p for n, p in rbm.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, named.values(), allow_unused=True)
    return {
        n: torch.zeros_like(p) if g is None else g
        for (n, p), g in zip(named.items(), found, strict=True)
    }


def assert_same(came: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert came.keys() == expected.keys()
    torch.testing.assert_close(came, expected, **close)


@every_pair
def test_closed_form_is_autograd_of_the_free_energies(
    visible: UnitType, hidden: UnitType, device: torch.device
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=1, device=device)
    data, chains = rows(7, rbm, 2), rows(4, rbm, 3)
    loss = rbm.free_energy(data).mean() - rbm.free_energy(chains).mean()
    expected = autograd(rbm, loss)
    PlainGradient().write_(rbm, phase(rbm, data), phase(rbm, chains))
    assert_same(gradients(rbm), expected)


@every_pair
def test_closed_form_is_the_gradient_of_the_log_likelihood(
    visible: UnitType, hidden: UnitType
) -> None:
    # where there is a continuum, a sum over a fine grid stands for the integral
    sizes = tuple(1 if unit.is_continuous else 2 for unit in (visible, hidden))
    scale = 0.4 if sizes == (1, 1) else 0.7  # weakly enough for five points to give the slope
    rbm, model = random_rbm(visible, hidden, sizes=(sizes[0], sizes[1]), seed=4, scale=scale)
    points, p = visible_distribution(model)
    data = points[torch.arange(0, len(points), max(1, len(points) // 5))]
    if not rbm.visible.is_discrete:
        data = 1.8 * data / data.max()  # the grid's ends are nowhere near the data
    PlainGradient().write_(rbm, phase(rbm, data), weighted_phase(rbm, points, p))

    def loss() -> float:
        weights = array(rbm.weights)
        moved = type(model)(visible.twin(rbm.visible), hidden.twin(rbm.hidden), weights)
        return -float(log_likelihood(moved, array(data)).mean())

    step = 1e-3
    for name, parameter in rbm.named_parameters():
        if not parameter.requires_grad:
            continue
        flat = parameter.data.view(-1)
        for i in range(len(flat)):
            here = flat[i].item()
            at = {}
            for k in (-2, -1, 1, 2):
                flat[i] = here + k * step
                at[k] = loss()
            flat[i] = here
            slope = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * step)
            # five points: truncation of order step^4 / 30, rounding of order 1e-16 / step
            assert parameter.grad is not None
            came = parameter.grad.view(-1)[i].item()
            assert came == pytest.approx(slope, abs=10 * (step**4 + 1e-15 / step)), (name, i)


class FreeEnergy(nn.Module):
    """The free energy as a module, whose parameters can be replaced by functions of others."""

    def __init__(self, rbm: RBM) -> None:
        super().__init__()
        self.rbm = rbm

    def forward(self, v: Tensor) -> Tensor:
        return self.rbm.free_energy(v)


@every_pair
def test_centred_gradient_is_the_plain_one_after_a_change_of_parameters(
    visible: UnitType, hidden: UnitType, device: torch.device
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=5, device=device)
    data, chains = rows(7, rbm, 6), rows(4, rbm, 7)
    mu, lam = rows(1, rbm, 8)[0], torch.linspace(-1, 1, rbm.hidden.n_columns).to(rbm.weights)

    # E = -(v - mu) W (h - lam) - a v - b h + ..., so that the RBM's biases are a - W lam, b - W' mu
    w = rbm.weights.detach().clone().requires_grad_()
    a = (rbm.visible.bias + rbm.weights @ lam).detach().requires_grad_()
    b = (rbm.hidden.bias + mu @ rbm.weights).detach().requires_grad_()
    others = {
        f"rbm.{n}": p.detach().clone().requires_grad_()
        for n, p in rbm.named_parameters()
        if n not in ("weights", "visible.bias", "hidden.bias") and p.requires_grad
    }
    moved = {
        "rbm.weights": w,
        "rbm.visible.bias": a - w @ lam,
        "rbm.hidden.bias": b - mu @ w,
        **others,
    }
    energy = [torch.func.functional_call(FreeEnergy(rbm), moved, (v,)) for v in (data, chains)]
    loss = energy[0].mean() - energy[1].mean()
    gw, ga, gb, *rest = torch.autograd.grad(loss, (w, a, b, *others.values()))
    expected = {
        "weights": gw,
        "visible.bias": ga - gw @ lam,
        "hidden.bias": gb - mu @ gw,
    } | {name.removeprefix("rbm."): g for name, g in zip(others, rest, strict=True)}

    gradient = CenteredGradient(rate=0, visible_offset=mu.clone(), hidden_offset=lam.clone())
    gradient.write_(rbm, phase(rbm, data), phase(rbm, chains))
    assert_same(gradients(rbm), expected)


@every_pair
def test_centred_gradient_is_zero_exactly_where_the_plain_one_is(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=9)
    data = rows(6, rbm, 10)
    CenteredGradient().write_(rbm, phase(rbm, data), phase(rbm, data))
    # products of six rows, summed in another order
    assert all((g.abs() < 1e-14).all() for g in gradients(rbm).values())

    # nowhere else: the plain gradient comes back from the centred one
    gradient = CenteredGradient()
    chains = rows(6, rbm, 11)
    gradient.write_(rbm, phase(rbm, data), phase(rbm, chains))
    back = gradients(rbm)
    mu, lam = gradient.visible_offset, gradient.hidden_offset
    assert mu is not None and lam is not None
    back["visible.bias"] += back["weights"] @ lam
    back["hidden.bias"] += mu @ back["weights"]
    back["weights"] += torch.outer(mu, back["hidden.bias"])
    back["weights"] += torch.outer(back["visible.bias"], lam)
    PlainGradient().write_(rbm, phase(rbm, data), phase(rbm, chains))
    assert_same(back, gradients(rbm))


def inverted(rbm: RBM, layers: str) -> RBM:
    """The RBM that says of inverted states what this one says of the states."""
    other = RBM(Binary(rbm.visible.n), Binary(rbm.hidden.n)).double()
    w, a, b = (p.detach().clone() for p in (rbm.weights, rbm.visible.bias, rbm.hidden.bias))
    if "v" in layers:
        w, a, b = -w, -a, b + w.sum(0)
    if "h" in layers:
        w, a, b = -w, a + w.sum(1), -b
    with torch.no_grad():
        for p, value in ((other.weights, w), (other.visible.bias, a), (other.hidden.bias, b)):
            p.copy_(value)
    return other


@pytest.mark.parametrize("layers", ["v", "h", "vh"])
@pytest.mark.parametrize(
    ("make", "is_invariant"), [(CenteredGradient, True), (PlainGradient, False)]
)
def test_centred_training_does_not_change_when_states_are_inverted(
    layers: str, make: Callable[[], Gradient], is_invariant: bool
) -> None:
    binary = BY_NAME["binary"]
    first, _ = random_rbm(binary, binary, sizes=(4, 3), seed=12)
    second = inverted(first, layers)
    v = visible_distribution(random_rbm(binary, binary, sizes=(4, 3), seed=13)[1])[0]
    p = torch.from_numpy(np.random.default_rng(14).dirichlet(np.full(len(v), 0.3)))

    def train(rbm: RBM, data: Tensor) -> None:
        gradient = make()
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.3)
        for _ in range(40):
            log_q = -rbm.free_energy(v).detach()
            chains = weighted_phase(rbm, v, log_q.softmax(0))
            gradient.write_(rbm, weighted_phase(rbm, data, p), chains)
            optimizer.step()

    start = first.weights.detach().clone()
    train(first, v)
    train(second, 1 - v if "v" in layers else v)
    assert (first.weights - start).abs().max() > 0.1
    expected = inverted(first, layers)
    difference = max(
        float((x - y).detach().abs().max())
        for x, y in zip(second.parameters(), expected.parameters(), strict=True)
    )
    # rounding, grown by 40 updates; a gradient that is not invariant is off by a percent and more
    assert difference < 1e-11 if is_invariant else difference > 1e-2


HALF_LINES = [("binary", "drelu-fixed"), ("categorical", "relu"), ("gaussian", "drelu")]


def with_offsets(rbm: RBM) -> CenteredGradient:
    """A gradient whose offsets stay as they are here."""
    mu = torch.linspace(-0.2, 0.4, rbm.visible.n_columns, dtype=torch.float64)
    lam = torch.linspace(0.5, -0.3, rbm.hidden.n_columns, dtype=torch.float64)
    return CenteredGradient(0.0, True, mu, lam)


@pytest.mark.parametrize(("visible", "hidden"), HALF_LINES)
def test_steps_of_half_lines_are_divided_by_their_variance(visible: str, hidden: str) -> None:
    rbm, _ = random_rbm(BY_NAME[visible], BY_NAME[hidden], seed=41)
    v = rows(7, rbm, 42)
    data, chains = phase(rbm, v), phase(rbm, rows(4, rbm, 43))
    PlainGradient().write_(rbm, data, chains)
    plain = gradients(rbm)
    gradient = with_offsets(rbm)
    gradient.write_(rbm, data, chains)
    gradient.divide_(rbm, data)
    came = gradients(rbm)
    mean = array(rbm.mean_h_from_v(v))
    share = torch.from_numpy(1 / (1 + mean.var(0)))
    assert share.max() < 0.99
    mu, lam = gradient.visible_offset, gradient.hidden_offset
    assert mu is not None and lam is not None
    w, a, b = (plain[name] for name in ("weights", "visible.bias", "hidden.bias"))
    step = share * (w - torch.outer(mu, b) - torch.outer(a, lam))
    expected = plain | {"weights": step, "visible.bias": a - step @ lam}
    for name in plain:
        if name.startswith("hidden."):
            expected[name] = share * plain[name]
    expected["hidden.bias"] = expected["hidden.bias"] - step.T @ mu
    assert_same(came, expected)


@pytest.mark.parametrize("hidden", ["binary", "gaussian", "categorical"])
def test_steps_of_other_units_are_not_divided(hidden: str) -> None:
    rbm, _ = random_rbm(BY_NAME["spin"], BY_NAME[hidden], seed=44)
    data, chains = phase(rbm, rows(7, rbm, 45)), phase(rbm, rows(4, rbm, 46))
    CenteredGradient().write_(rbm, data, chains)
    expected = gradients(rbm)
    divided = CenteredGradient(by_variance=True)
    divided.write_(rbm, data, chains)
    divided.divide_(rbm, data)
    assert divided.shares is None
    assert all(torch.equal(g, expected[name]) for name, g in gradients(rbm).items())


def test_offsets_start_at_the_first_batch_and_follow_the_data() -> None:
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["spin"], seed=15)
    gradient = CenteredGradient(rate=0.25)
    chains = phase(rbm, rows(3, rbm, 16))
    batches = [phase(rbm, rows(5, rbm, seed)) for seed in (17, 18, 19)]
    v = [batch.visible["bias"].mean(0) for batch in batches]
    h = [batch.hidden["bias"].mean(0) for batch in batches]
    for batch in batches:
        gradient.write_(rbm, batch, chains)
    for offset, means in ((gradient.visible_offset, v), (gradient.hidden_offset, h)):
        expected = 0.75 * (0.75 * means[0] + 0.25 * means[1]) + 0.25 * means[2]
        assert offset is not None
        torch.testing.assert_close(offset, expected, **close)
    assert gradient.state().keys() == {"visible_offset", "hidden_offset"}
    assert CenteredGradient().state() == {} == PlainGradient().state()


@pytest.mark.parametrize("make", [PlainGradient, CenteredGradient])
@every_pair
def test_scale_scales_everything(
    visible: UnitType, hidden: UnitType, make: Callable[[], Gradient]
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=20)
    data, chains = phase(rbm, rows(7, rbm, 21)), phase(rbm, rows(4, rbm, 22))
    sparsity = {"sparsity_target": 0.2, "sparsity_cost": 0.4} if hidden.name == "binary" else {}
    found = []
    for scale in (1.0, 0.375):
        make().write_(rbm, data, chains, scale)
        Penalties(l1=0.3, l2=0.2, **sparsity).add_(rbm, data, scale)
        found.append(gradients(rbm))
    assert_same(found[1], {name: 0.375 * g for name, g in found[0].items()})


def test_gradients_are_written_over_what_was_there_and_hold_no_graph() -> None:
    rbm, _ = random_rbm(BY_NAME["gaussian-learned"], BY_NAME["binary"], seed=23)
    data, chains = phase(rbm, rows(7, rbm, 24)), phase(rbm, rows(4, rbm, 25))
    CenteredGradient().write_(rbm, data, chains)
    first = gradients(rbm)
    places = [p.grad.data_ptr() for p in rbm.parameters() if p.grad is not None]
    for p in rbm.parameters():
        assert p.grad is not None
        p.grad.fill_(torch.nan)
    CenteredGradient().write_(rbm, data, chains)
    Penalties(variance_floor=0).add_(rbm, data)
    assert_same(gradients(rbm), first)
    assert [p.grad.data_ptr() for p in rbm.parameters() if p.grad is not None] == places
    assert not any(p.grad.requires_grad for p in rbm.parameters() if p.grad is not None)


@pytest.mark.parametrize("make", [PlainGradient, CenteredGradient])
def test_a_bias_that_is_held_does_not_pile_up_gradients(make: Callable[[], Gradient]) -> None:
    rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], seed=26)
    rbm.hidden.bias.requires_grad_(False)
    data, chains = phase(rbm, rows(7, rbm, 27)), phase(rbm, rows(4, rbm, 28))
    penalties = Penalties(sparsity_target=0.1, sparsity_cost=0.5, sparsity_rate=1)
    found = []
    for _ in range(2):
        make().write_(rbm, data, chains)
        penalties.add_(rbm, data)
        found.append(gradients(rbm))
    assert_same(found[1], found[0])


@every_pair
def test_weight_penalties_are_autograd_of_their_formula(
    visible: UnitType, hidden: UnitType
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=29)
    data, chains = phase(rbm, rows(7, rbm, 30)), phase(rbm, rows(4, rbm, 31))
    PlainGradient().write_(rbm, data, chains)
    without = gradients(rbm)
    Penalties(l1=0.3, l2=0.2, l1b=0.7, precision_limit=1e9).add_(rbm, data)
    w = rbm.weights
    loss = 0.3 * w.abs().sum() + 0.1 * w.square().sum()
    loss = loss + 0.7 / (2 * rbm.visible.n_columns) * w.abs().sum(0).square().sum()
    if isinstance(rbm.visible, Gaussian | ReLU | DReLU):
        loss = loss + 0.5 * 1e-4 * rbm.visible.log_precision.exp().sum()
    added = autograd(rbm, loss)
    assert_same(gradients(rbm), {name: without[name] + added[name] for name in without})


def test_sparsity_is_autograd_of_its_formula_and_follows_the_activity() -> None:
    rbm, _ = random_rbm(BY_NAME["spin"], BY_NAME["binary"], seed=32)
    chains = phase(rbm, rows(4, rbm, 33))
    penalties = Penalties(sparsity_target=0.2, sparsity_cost=0.7, sparsity_rate=0.25)
    activity = None
    for seed in (34, 35, 36):
        v = rows(6, rbm, seed)
        data = phase(rbm, v)
        PlainGradient().write_(rbm, data, chains)
        without = gradients(rbm)
        penalties.add_(rbm, data)
        mean = rbm.mean_h_from_v(v).mean(0).detach()
        activity = mean if activity is None else 0.75 * activity + 0.25 * mean
        pull = (0.7 * (activity - 0.2) * (rbm.inputs_h_from_v(v) + rbm.hidden.bias)).sum(-1).mean()
        added = autograd(rbm, pull)
        assert_same(gradients(rbm), {name: without[name] + added[name] for name in without})
    torch.testing.assert_close(penalties.state()["activity"], activity, **close)


def test_sparsity_pulls_the_activity_to_its_target() -> None:
    v = visible_distribution(random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(4, 2))[1])[0]
    even = torch.full((len(v),), 1 / len(v), dtype=torch.float64)
    for target in (0.1, 0.8):
        rbm, _ = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(4, 3), seed=37)
        penalties = Penalties(sparsity_target=target, sparsity_cost=10, sparsity_rate=1)
        optimizer = torch.optim.SGD(rbm.parameters(), lr=0.05)
        for _ in range(500):
            data = weighted_phase(rbm, v, even)
            PlainGradient().write_(rbm, data, data)
            penalties.add_(rbm, data)
            optimizer.step()
        # nothing else pulls here, so the target is reached
        activity = (even @ rbm.mean_h_from_v(v)).detach()
        torch.testing.assert_close(activity, torch.full_like(activity, target), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_offsets_refuse_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(ValueError, match=r"rate is .*pass a number from 0 to 1"):
        CenteredGradient(rate=rate)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"l1": -1.0}, r"l1 is -1\.0; pass 0 or a positive number"),
        ({"l2": float("nan")}, "l2 is nan"),
        ({"l1b": -0.1}, r"l1b is -0\.1; pass 0 or a positive number"),
        ({"group_lasso": float("nan")}, "group_lasso is nan"),
        ({"l2": float("inf")}, "l2 is inf"),
        ({"sparsity_cost": -1.0, "sparsity_target": 0.1}, r"sparsity_cost is -1\.0"),
        ({"variance_floor": -1.0}, r"variance_floor is -1\.0"),
        ({"precision_limit": -1.0}, r"precision_limit is -1\.0"),
        ({"sparsity_target": 1.0, "sparsity_cost": 1.0}, r"between 0 and 1"),
        ({"sparsity_target": 0.0, "sparsity_cost": 1.0}, r"between 0 and 1"),
        ({"sparsity_target": 0.1}, "pass both, or neither"),
        ({"sparsity_cost": 0.1}, "pass both, or neither"),
        ({"sparsity_rate": 0.0}, r"sparsity_rate is 0\.0; pass a number in \(0, 1\]"),
        ({"sparsity_rate": 1.5}, r"sparsity_rate is 1\.5"),
    ],
)
def test_penalties_refuse_what_is_none(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Penalties(**arguments)


@pytest.mark.parametrize("hidden", [Spin(3), Gaussian(3)])
def test_a_sparsity_target_needs_binary_hidden_units(hidden: Spin | Gaussian) -> None:
    penalties = Penalties(sparsity_target=0.1, sparsity_cost=1.0)
    with pytest.raises(ValueError, match=f"needs binary hidden units, .* {type(hidden).__name__}"):
        penalties.check(RBM(Binary(2), hidden))
    penalties.check(RBM(Binary(2), Binary(3)))


# Rows that do not all count alike


@every_pair
@pytest.mark.parametrize(
    "make", [PlainGradient, CenteredGradient, partial(CenteredGradient, by_variance=True)]
)
def test_a_row_of_weight_two_counts_like_two_rows(
    visible: UnitType, hidden: UnitType, make: Callable[[], Gradient]
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=31)
    data, chains = rows(4, rbm, 32), rows(3, rbm, 33)
    weights = torch.tensor([2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    repeated = data.repeat_interleave(weights.long(), 0)
    came, expected = make(), make()
    for _ in range(2):  # offsets begin at the first and follow at the second
        expected.write_(rbm, phase(rbm, repeated), phase(rbm, chains), 0.7)
        expected.divide_(rbm, phase(rbm, repeated))
        of_repeated = gradients(rbm)
        weighed = weigh(phase(rbm, data), weights)
        came.write_(rbm, weighed, phase(rbm, chains), 0.7)
        came.divide_(rbm, weighed)
        assert_same(gradients(rbm), of_repeated)
        data, repeated = data + 0.1, repeated + 0.1
    assert_same(came.state(), expected.state())
    # only ratios matter, and counting all alike is another gradient
    came.write_(rbm, weigh(phase(rbm, data), 5 * weights), phase(rbm, chains), 0.7)
    expected.write_(rbm, phase(rbm, repeated), phase(rbm, chains), 0.7)
    assert_same(came.state(), expected.state())
    even = make()
    even.write_(rbm, phase(rbm, data), phase(rbm, chains), 0.7)
    assert not torch.allclose(gradients(rbm)["weights"], of_repeated["weights"])
