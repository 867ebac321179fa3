"""Chains drawn exactly from a model still follow it after any number of sweeps.

The test that sees whether a sampler is right: `drift_p_value` compares where chains are with
the enumerated joint distribution of both layers. What it is worth is shown by samplers that are
wrong on purpose, each in a way that has happened to somebody: the same function notices them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from torch import Tensor

import oracle
from harmonium import RBM, kernels
from harmonium.rng import Purpose, Stream
from harmonium.sampling import ChainState, Clamp, Gibbs, Sampler, SweepInfo
from unit_types import BY_NAME, PAIRS, random_rbm

N_CHAINS = 40_000
LEAST_P = 1e-6

DISCRETE = ("binary", "spin", "categorical", "mixed", "binomial", "poisson")
TYPES = (*DISCRETE, "gaussian", "relu", "drelu")
NAMES = [
    (visible.name, hidden.name)
    for visible, hidden in PAIRS
    if {*map(str, (visible, hidden))} <= {*TYPES}
]


def small_model(
    visible: str,
    hidden: str,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    sizes: tuple[int, int] = (3, 2),
) -> tuple[RBM, oracle.Model]:
    """Coupled strongly enough to see mistakes; two continuous layers weakly enough to exist."""
    scale = 0.9 if visible in DISCRETE or hidden in DISCRETE else 0.4
    if "poisson" in (visible, hidden):
        sizes = (2, 2)  # the oracle's states are 71 to the power of its units
    pair = BY_NAME[visible], BY_NAME[hidden]
    return random_rbm(*pair, sizes=sizes, scale=scale, dtype=dtype, device=device)


def drift_p_value(rbm: RBM, joint: oracle.Joint, sampler: Sampler, calls: int = 1) -> float:
    """How probable it is that chains that start in the model are still in it."""
    v, h = (torch.from_numpy(x).to(rbm.weights) for x in joint.draw(N_CHAINS, seed=1))
    chains, stream = ChainState(v, h), Stream(1, Purpose.CHAINS)
    for _ in range(calls):
        chains, _ = sampler(rbm, chains, stream)
    return joint.p_value(*(x.cpu().double().numpy() for x in (chains.visible, chains.hidden)))


every_pair = pytest.mark.parametrize(("visible", "hidden"), NAMES)


@every_pair
@pytest.mark.parametrize("sweeps", [1, 2, 10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_gibbs_does_not_drift(
    visible: str, hidden: str, sweeps: int, dtype: torch.dtype, device: torch.device
) -> None:
    rbm, model = small_model(visible, hidden, dtype, device)
    assert drift_p_value(rbm, oracle.Joint(model), Gibbs(sweeps)) > LEAST_P


def test_many_calls_do_not_drift() -> None:
    rbm, model = small_model("binary", "binary", torch.float32)
    assert drift_p_value(rbm, oracle.Joint(model), Gibbs(1), calls=100) > LEAST_P


# --- the test itself --------------------------------------------------------------------------


@every_pair
def test_the_oracles_joint_is_its_energy(visible: str, hidden: str) -> None:
    """Gaussian columns in closed form, against quadrature; two Gaussian layers, against draws."""
    _, model = small_model(visible, hidden, sizes=(2, 2))
    joint = oracle.Joint(model)
    if not joint.is_known:
        _, model = small_model(visible, hidden, sizes=(1, 1))
        check_draws_of_half_lines(model)
        return
    if visible in DISCRETE:
        states = model.visible.points()[0]
        log_p = -model.free_energy(states)
    elif hidden in DISCRETE:  # the same model seen from the other side
        states = model.hidden.points()[0]
        log_p = -oracle.Model(model.hidden, model.visible, model.weights.T).free_energy(states)
    else:
        found = np.cov(np.concatenate(joint.draw(N_CHAINS, seed=0), axis=1).T)
        expected = np.linalg.inv(joint.factor @ joint.factor.T)
        variances = np.diag(expected)
        error = np.sqrt((np.outer(variances, variances) + expected**2) / N_CHAINS)
        assert (np.abs(found - expected) < 5 * error).all()
        return
    index = oracle.state_index(joint.states[:, : states.shape[1]], states)
    marginal = np.bincount(index, np.exp(joint.log_p))
    np.testing.assert_allclose(marginal, np.exp(log_p - logsumexp(log_p)), rtol=0, atol=1e-9)


def check_draws_of_half_lines(model: oracle.Model) -> None:
    """Means of products of powers of v and h, over draws, against quadrature."""
    (v, volume_v), (h, volume_h) = model.visible.points(), model.hidden.points()
    log_p = volume_v[:, None] + volume_h - model.energy(v[:, None], h)
    p = np.exp(log_p - logsumexp(log_p))
    drawn_v, drawn_h = oracle.Joint(model).draw(N_CHAINS, seed=0)
    for i, j in product(range(3), range(3)):
        columns_v, columns_h = range(v.shape[1]), range(h.shape[1])
        for a, b in product(columns_v, columns_h):
            f, g = v[:, a] ** i, h[:, b] ** j
            expected, square = f @ p @ g, f**2 @ p @ g**2
            found = (drawn_v[:, a] ** i * drawn_h[:, b] ** j).mean()
            error = np.sqrt(max(square - expected**2, 0) / N_CHAINS)
            assert abs(found - expected) < 5 * error + 1e-9, (i, j)


@every_pair
def test_exact_draws_pass(visible: str, hidden: str) -> None:
    joint = oracle.Joint(small_model(visible, hidden)[1])
    assert joint.p_value(*joint.draw(N_CHAINS, seed=2)) > LEAST_P


# --- kernels that are wrong on purpose --------------------------------------------------------

WARM = 1.1  # a temperature that is off by 10 %

Kernel = Callable[..., Tensor]  # (inputs, bias, ..., stream)


def without_bias(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, *rest: draw_(inputs, torch.zeros_like(bias), *rest)


def with_flipped_bias(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, *rest: draw_(inputs, -bias, *rest)


def with_bias_twice(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, *rest: draw_(inputs, 2 * bias, *rest)


def with_one_bias_for_all(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, *rest: draw_(inputs, bias[:1].expand_as(bias), *rest)


def without_inputs(draw_: Kernel) -> Kernel:
    return lambda inputs, *rest: draw_(inputs.zero_(), *rest)


def too_warm(draw_: Kernel) -> Kernel:
    def warm(inputs: Tensor, *rest: object) -> Tensor:
        return draw_(inputs.div_(WARM), *(x / WARM if isinstance(x, Tensor) else x for x in rest))

    return warm


def with_the_same_numbers_always(draw_: Kernel) -> Kernel:
    return lambda *arguments: draw_(*arguments[:-1], arguments[-1].at(0))


def with_the_same_numbers_every_100_rows(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, *arguments: object) -> Tensor:
        *parameters, stream = arguments
        for rows in inputs.split(100):
            draw_(rows, *parameters, stream.at(stream.position))
        stream.position += 1
        return inputs

    return broken


def binary_as_if_spin(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, stream: draw_(inputs.mul_(2), 2 * bias, stream)


def spin_as_if_binary(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, stream: draw_(inputs.div_(2), bias / 2, stream)


def with_unit_noise(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
        inputs.add_(bias).div_(precision)
        return draw_(inputs, torch.zeros_like(bias), torch.ones_like(bias), stream)

    return broken


def with_deviation_for_variance(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
        inputs.add_(bias).mul_(precision)
        return draw_(inputs, torch.zeros_like(bias), precision.square(), stream)

    return broken


def with_undivided_mean(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
        return draw_(inputs.mul_(precision), bias * precision, precision, stream)

    return broken


def off_by_one_category(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> Tensor:
        by_unit = draw_(inputs, bias, n_categories, stream).unflatten(-1, (-1, n_categories))
        return inputs.copy_(by_unit.roll(1, -1).flatten(-2))

    return broken


def without_the_last_category(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> Tensor:
        inputs[:, n_categories - 1 :: n_categories] = -50
        return draw_(inputs, bias, n_categories, stream)

    return broken


def folded(draw_: Kernel) -> Kernel:
    """The size of a normal number, in place of one that is positive."""

    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
        return kernels.gaussian_(inputs, bias, precision, stream).abs_()

    return broken


def clipped(draw_: Kernel) -> Kernel:
    """Zero in place of negative numbers, as Nair and Hinton (2010) draw."""

    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
        return kernels.gaussian_(inputs, bias, precision, stream).clamp_(min=0)

    return broken


def with_sides_swapped(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, precision, below, precision_below, stream: draw_(
        inputs, below, precision_below, bias, precision, stream
    )


def with_one_precision(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, precision, below, _, stream: draw_(
        inputs, bias, precision, below, precision, stream
    )


def without_a_gap(draw_: Kernel) -> Kernel:
    def broken(inputs: Tensor, bias: Tensor, precision: Tensor, *below: Any) -> Tensor:
        middle = (bias + below[0]) / 2
        return draw_(inputs, middle, precision, middle, *below[1:])

    return broken


def with_one_trial_less(draw_: Kernel) -> Kernel:
    return lambda inputs, bias, trials, stream: draw_(inputs, bias, trials - 1, stream)


def rounded_normal(draw_: Kernel) -> Kernel:
    """A normal number of the same mean and variance, rounded to a count."""

    def broken(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
        mean = (inputs + bias).exp()
        nothing = torch.zeros_like(bias)
        noise = kernels.gaussian_(torch.zeros_like(inputs), nothing, nothing + 1, stream)
        return inputs.copy_((mean + mean.sqrt() * noise).round().clamp(min=0))

    return broken


def at_most_four(draw_: Kernel) -> Kernel:
    return lambda *arguments: draw_(*arguments).clamp_(max=4)


FAULTS_OF_ALL = (
    without_bias,
    with_flipped_bias,
    with_bias_twice,
    with_one_bias_for_all,
    without_inputs,
    too_warm,
    with_the_same_numbers_always,
    with_the_same_numbers_every_100_rows,
)
# Trials have no temperature, and counts have so many states that a tenth of it is noticed late.
FAULTS_OF_COUNTS = tuple(fault for fault in FAULTS_OF_ALL if fault is not too_warm)
FAULTS: dict[str, tuple[Callable[[Kernel], Kernel], ...]] = {
    "binary": (*FAULTS_OF_ALL, binary_as_if_spin),
    "spin": (*FAULTS_OF_ALL, spin_as_if_binary),
    "gaussian": (
        *FAULTS_OF_ALL,
        with_unit_noise,
        with_deviation_for_variance,
        with_undivided_mean,
    ),
    "relu": (
        *FAULTS_OF_ALL,
        with_unit_noise,
        with_deviation_for_variance,
        with_undivided_mean,
        folded,
        clipped,
    ),
    "drelu": (
        without_inputs,
        too_warm,
        with_the_same_numbers_always,
        with_the_same_numbers_every_100_rows,
        with_sides_swapped,
        with_one_precision,
        without_a_gap,
    ),
    "binomial": (*FAULTS_OF_COUNTS, with_one_trial_less),
    "poisson": (*FAULTS_OF_COUNTS, rounded_normal, at_most_four),
    "categorical": (*FAULTS_OF_ALL, off_by_one_category, without_the_last_category),
}


@pytest.mark.parametrize("as_visible", [True, False], ids=["visible", "hidden"])
@pytest.mark.parametrize(
    ("units", "fault"),
    [
        pytest.param(units, fault, id=f"{units}-{fault.__name__}")
        for units, faults in FAULTS.items()
        for fault in faults
    ],
)
def test_a_broken_kernel_is_noticed(
    units: str,
    fault: Callable[[Kernel], Kernel],
    as_visible: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = "spin" if units == "binary" else "binary"  # the other layer's kernel stays whole
    pair = (units, other) if as_visible else (other, units)
    rbm, model = small_model(*pair)
    name = f"{units}_"
    broken = fault(getattr(kernels, name))
    for module in (kernels, kernels.draws, kernels.half_lines):  # which others take it from
        monkeypatch.setattr(module, name, broken, raising=False)
    assert drift_p_value(rbm, oracle.Joint(model), Gibbs(2)) < LEAST_P


# --- sweeps that are wrong on purpose ---------------------------------------------------------


@dataclass(frozen=True)
class BrokenSweep(Sampler):
    """A sampler made of a function of (rbm, v, h, stream) that gives the next v and h."""

    sweep: Callable[[RBM, Tensor, Tensor, Stream], tuple[Tensor, Tensor]]

    def __call__(
        self,
        rbm: RBM,
        chains: ChainState,
        stream: Stream,
        clamp: Clamp | None = None,
        *,
        ends: bool = False,
    ) -> tuple[ChainState, SweepInfo]:
        v, h = self.sweep(rbm, chains.visible, chains.hidden, stream)
        return ChainState(v, h), SweepInfo({})

    def config(self) -> dict[str, int | float | bool]:
        return {}


def right(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.sample_v_from_h(h, stream)
    return v, rbm.sample_h_from_v(v, stream)


def stale_hidden(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    redrawn = rbm.sample_h_from_v(v, stream)
    return rbm.sample_v_from_h(h, stream), redrawn


def transposed(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.visible.sample(h @ rbm.weights, stream)
    return v, rbm.sample_h_from_v(v, stream)


def flipped_weights(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.visible.sample(-h @ rbm.weights.T, stream)
    return v, rbm.sample_h_from_v(v, stream)


def half_the_weights(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.sample_v_from_h(h, stream)
    return v, rbm.hidden.sample(v @ rbm.weights / 2, stream)


def biases_of_the_other_layer(
    rbm: RBM, v: Tensor, h: Tensor, stream: Stream
) -> tuple[Tensor, Tensor]:
    v = rbm.visible.sample(h @ rbm.weights.T - rbm.visible.bias + rbm.hidden.bias, stream)
    return v, rbm.sample_h_from_v(v, stream)


def another_chains_hidden(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.sample_v_from_h(h, stream)
    return v, rbm.sample_h_from_v(v.roll(1, 0), stream)


def most_probable_hidden(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.sample_v_from_h(h, stream)
    return v, rbm.mode_h_from_v(v)


def shared_numbers(rbm: RBM, v: Tensor, h: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    v = rbm.sample_v_from_h(h, stream.at(stream.position))
    return v, rbm.sample_h_from_v(v, stream)


@pytest.mark.parametrize(
    "sweep",
    [
        stale_hidden,
        transposed,
        flipped_weights,
        half_the_weights,
        biases_of_the_other_layer,
        another_chains_hidden,
        most_probable_hidden,
        shared_numbers,
    ],
    ids=lambda sweep: sweep.__name__,
)
def test_a_broken_sweep_is_noticed(
    sweep: Callable[[RBM, Tensor, Tensor, Stream], tuple[Tensor, Tensor]],
) -> None:
    # as many units in both layers, or a mistaken transposition could not run
    rbm, model = random_rbm(BY_NAME["binary"], BY_NAME["binary"], sizes=(3, 3), scale=0.9)
    joint = oracle.Joint(model)
    assert drift_p_value(rbm, joint, BrokenSweep(right)) > LEAST_P
    assert drift_p_value(rbm, joint, BrokenSweep(sweep)) < LEAST_P
