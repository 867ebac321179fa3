"""The probability of a class and its gradient, against enumeration and autograd."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

import oracle
from harmonium import RBM, classification, kernels, training
from harmonium.classification import (
    HybridGradient,
    add_discriminative_gradient_,
    class_columns,
    class_log_probabilities,
    classify,
    n_classes,
)
from harmonium.gradient import CenteredGradient, weigh
from harmonium.rng import Purpose, Stream
from harmonium.sampling import Gibbs
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, Spin
from phases import one_thread, phase  # noqa: F401
from unit_types import BY_NAME, UnitType, array, randomise_

N_CLASSES = 4
X_TYPES = [BY_NAME[name] for name in ("binary", "gaussian-learned", "partly-gaussian")]
on_every_pair: Callable[[Callable[..., None]], Callable[..., None]] = pytest.mark.parametrize(
    ("x_type", "hidden"),
    [(x_type, hidden) for x_type in X_TYPES for hidden in BY_NAME.values()],
    ids=str,
)


def classifier(x_type: UnitType, hidden: UnitType, seed: int = 1) -> tuple[RBM, oracle.Model]:
    """A random model over three units and a class, and its twin in the oracle."""
    x_units = x_type.make(3)
    parts = [part for _, part in x_units.groups] if isinstance(x_units, Mixed) else [x_units]
    rbm = RBM(Mixed(*parts, Categorical(1, N_CLASSES)), hidden.make(2)).double()
    randomise_(rbm, seed)
    n = rbm.visible.n_columns - N_CLASSES
    own = {name: array(p) for name, p in rbm.visible.named_parameters() if name != "bias"}
    if not isinstance(x_units, Mixed):
        own = {name.removeprefix("0."): value for name, value in own.items()}
    bias = array(rbm.visible.bias)
    x_twin = x_type.oracle(bias=bias[:n], **own)
    visible = oracle.side_by_side(x_twin, oracle.categorical(bias[n:], N_CLASSES))
    return rbm, oracle.Model(visible, hidden.twin(rbm.hidden), array(rbm.weights))


def binary_classifier(seed: int = 1) -> RBM:
    return classifier(BY_NAME["binary"], BY_NAME["binary"], seed)[0]


def rows(rbm: RBM, n: int = 7) -> Tensor:
    """Rows (x, class) of no particular distribution."""
    nothing = torch.zeros(n, rbm.visible.n_columns, dtype=torch.float64)
    return rbm.visible.sample(nothing, Stream(3, Purpose.SAMPLE))


def x_of(rbm: RBM, v: Tensor) -> Tensor:
    return v[:, : class_columns(rbm).start]


# Probabilities


@on_every_pair
def test_probabilities_are_those_of_enumeration(x_type: UnitType, hidden: UnitType) -> None:
    rbm, model = classifier(x_type, hidden)
    x = x_of(rbm, rows(rbm))
    candidates = np.concatenate(
        [
            np.repeat(array(x)[:, None], N_CLASSES, axis=1),
            np.broadcast_to(np.eye(N_CLASSES), (len(x), N_CLASSES, N_CLASSES)),
        ],
        axis=-1,
    )
    log_joint = -model.free_energy(candidates)
    expected = log_joint - oracle.logsumexp(log_joint, axis=1, keepdims=True)
    found = class_log_probabilities(rbm, x)
    np.testing.assert_allclose(array(found), expected, rtol=0, atol=1e-9)
    assert classify(rbm, x).tolist() == expected.argmax(1).tolist()


def test_a_block_of_rows_takes_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = binary_classifier()
    x = x_of(rbm, rows(rbm, 50))
    whole = class_log_probabilities(rbm, x)
    sizes = []

    def product(states: Tensor, weights: Tensor, out: Tensor | None = None) -> Tensor:
        sizes.append(len(states))
        return states @ weights

    monkeypatch.setattr(kernels, "product", product)
    monkeypatch.setattr(classification, "_NUMBERS_AT_ONCE", 20 * rbm.hidden.n_columns)
    torch.testing.assert_close(class_log_probabilities(rbm, x), whole, rtol=1e-14, atol=1e-14)
    assert sizes == [20, 20, 10]


def test_no_rows_have_no_classes() -> None:
    rbm = binary_classifier()
    assert class_log_probabilities(rbm, torch.zeros(0, 3).double()).shape == (0, N_CLASSES)


def test_extreme_weights_stay_finite() -> None:
    rbm = binary_classifier()
    with torch.no_grad():
        rbm.weights.mul_(1e4)
    v = rows(rbm)
    assert class_log_probabilities(rbm, x_of(rbm, v)).isfinite().all()
    add_discriminative_gradient_(rbm, v)
    assert all(p.grad.isfinite().all() for p in rbm.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    "visible",
    [
        Binary(5),
        Categorical(1, 5),
        Mixed(Binary(2), Spin(3)),
        Mixed(Binary(2), Categorical(2, 3)),
        Mixed(Categorical(1, 3), Binary(2)),
    ],
    ids=repr,
)
def test_a_model_without_a_class_is_refused(visible: Binary) -> None:
    rbm = RBM(visible, Binary(2))
    message = r"^a classifier's last visible unit is the class, but the visible layer is .*Mixed\("
    for call in (class_columns, n_classes, lambda rbm: class_log_probabilities(rbm, None)):
        with pytest.raises(ValueError, match=message):
            call(rbm)
    with pytest.raises(ValueError, match=message):
        add_discriminative_gradient_(rbm, torch.zeros(2, rbm.visible.n_columns))


@pytest.mark.parametrize("shape", [(2, 7), (2, 2), (3,), (1, 2, 3)], ids=str)
def test_rows_of_another_width_are_refused(shape: tuple[int, ...]) -> None:
    rbm = binary_classifier()
    with pytest.raises(ValueError) as refusal:
        class_log_probabilities(rbm, torch.zeros(shape).double())
    assert str(refusal.value) == (
        f"x has shape {shape}, but this RBM has 3 visible columns besides the 4 of the class; pass "
        "shape (rows, 3)"
    )
    with pytest.raises(ValueError, match="but this RBM has 7 visible columns; pass shape"):
        add_discriminative_gradient_(rbm, torch.zeros(2, 3).double())


# Gradients


def log_loss(rbm: RBM, v: Tensor) -> Tensor:
    """Mean of minus log p(class | x) by the free energies of all classes, for autograd."""
    x, label = x_of(rbm, v), v[:, class_columns(rbm)]
    free = [
        rbm.free_energy(torch.cat([x, one.expand(len(x), -1)], 1))
        for one in torch.eye(N_CLASSES, dtype=v.dtype)
    ]
    return -(torch.stack([-f for f in free], 1).log_softmax(1) * label).sum(1).mean()


@on_every_pair
def test_the_closed_form_is_autograd_of_the_log_loss(x_type: UnitType, hidden: UnitType) -> None:
    rbm, _ = classifier(x_type, hidden)
    v = rows(rbm)
    trained = {name: p for name, p in rbm.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(log_loss(rbm, v), list(trained.values()), allow_unused=True)
    for p in trained.values():
        p.grad = torch.full_like(p, 0.5)  # what was there stays
    add_discriminative_gradient_(rbm, v, scale=3.0)
    for (name, p), expected in zip(trained.items(), found, strict=True):
        expected = torch.zeros_like(p) if expected is None else expected
        assert p.grad is not None
        torch.testing.assert_close(
            p.grad, 0.5 + 3 * expected, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
        )


def without(rbm: RBM, v: Tensor, absent: Tensor, copies: int) -> Tensor:
    """`log_loss` of models that have some hidden units several times and others not at all.

    Free energies are sums over hidden units: repeated units are repeated terms.
    """
    x, label = x_of(rbm, v), v[:, class_columns(rbm)]
    present = copies * (~absent).to(v.dtype)
    scores = []
    for one in torch.eye(N_CLASSES, dtype=v.dtype):
        of_class = torch.cat([x, one.expand(len(x), -1)], 1)
        terms = rbm.hidden.cgf(rbm.inputs_h_from_v(of_class))
        scores.append((present * terms).sum(1) - rbm.visible.energy(of_class))
    return -(torch.stack(scores, 1).log_softmax(1) * label).sum(1).mean()


def dropped(rbm: RBM, n: int) -> Tensor:
    absent = torch.rand(n, rbm.hidden.n, generator=torch.Generator().manual_seed(4)) < 0.5
    assert absent.any() and not absent.all()
    return absent


@on_every_pair
def test_the_closed_form_is_autograd_without_some_hidden_units(
    x_type: UnitType, hidden: UnitType
) -> None:
    rbm, _ = classifier(x_type, hidden)
    v = rows(rbm)
    absent = dropped(rbm, len(v))
    trained = {name: p for name, p in rbm.named_parameters() if p.requires_grad}
    loss = without(rbm, v, absent, copies=2)
    found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    for p in trained.values():
        p.grad = torch.full_like(p, 0.5)
    add_discriminative_gradient_(rbm, v, scale=3.0, absent=absent, copies=2)
    for (name, p), expected in zip(trained.items(), found, strict=True):
        expected = torch.zeros_like(p) if expected is None else expected
        assert p.grad is not None
        torch.testing.assert_close(
            p.grad, 0.5 + 3 * expected, rtol=1e-10, atol=1e-10, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_a_model_without_some_units_is_an_rbm_with_others_twice() -> None:
    rbm = RBM(Mixed(Binary(3), Categorical(1, N_CLASSES)), Binary(3)).double()
    randomise_(rbm, 1)
    other = RBM(rbm.visible, Binary(4)).double()
    with torch.no_grad():
        other.weights.copy_(rbm.weights[:, [0, 0, 2, 2]])
        other.hidden.bias.copy_(rbm.hidden.bias[[0, 0, 2, 2]])
    v = rows(rbm)
    absent = torch.tensor([False, True, False]).expand(len(v), -1)
    torch.testing.assert_close(without(rbm, v, absent, copies=2), log_loss(other, v))


@pytest.mark.parametrize("hidden", BY_NAME.values(), ids=str)
def test_the_geometric_mean_over_dropout_is_the_model(hidden: UnitType) -> None:
    """Over all ways to drop half of the units, each of them twice or not there."""
    rbm, _ = classifier(BY_NAME["binary"], hidden)
    x = x_of(rbm, rows(rbm))
    labels = torch.eye(N_CLASSES, dtype=x.dtype)
    total = torch.zeros(len(x), N_CLASSES, dtype=x.dtype)
    ways = list(itertools.product([True, False], repeat=rbm.hidden.n))
    for way in ways:
        absent = torch.tensor([way])
        for i, row in enumerate(x):
            for y, label in enumerate(labels):
                v = torch.cat([row, label]).unsqueeze(0)
                total[i, y] -= without(rbm, v, absent, copies=2).detach()
    mean = (total / len(ways)).log_softmax(1)
    torch.testing.assert_close(mean, class_log_probabilities(rbm, x), rtol=1e-10, atol=1e-10)


def offsets(rbm: RBM) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.linspace(low, 0.8, units.n_columns, dtype=torch.float64)
        for low, units in ((-0.2, rbm.visible), (0.1, rbm.hidden))
    )


def gradients(rbm: RBM) -> dict[str, Tensor]:
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in rbm.named_parameters()
    }


def written(rbm: RBM, gradient: HybridGradient | CenteredGradient, v: Tensor, chains: Tensor):  # type: ignore[no-untyped-def]
    """What a gradient without moving offsets writes."""
    gradient.visible_offset, gradient.hidden_offset = (x.clone() for x in offsets(rbm))
    gradient.write_(rbm, phase(rbm, v), phase(rbm, chains), 0.5, Stream(5, Purpose.CHAINS))
    return gradients(rbm)


@on_every_pair
def test_the_hybrid_is_the_discriminative_and_the_weighted_generative_gradient(
    x_type: UnitType, hidden: UnitType
) -> None:
    rbm, _ = classifier(x_type, hidden)
    v, chains = rows(rbm), rows(rbm, 5).flip(0)
    generative = written(rbm, CenteredGradient(rate=0.0), v, chains)
    discriminative = written(rbm, HybridGradient(0.0, rate=0.0), v, chains)
    # terms are added up before products with the rows, but for weights that would be lost there
    for weight in (0.3, 1e-6, 1e-7):
        hybrid = written(rbm, HybridGradient(weight, rate=0.0), v, chains)
        for name, found in hybrid.items():
            expected = discriminative[name] + weight * generative[name]
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_centring_is_a_change_of_parameters() -> None:
    """The gradient by weights and biases of units less their offsets, seen in the plain ones."""
    rbm = binary_classifier()
    v = rows(rbm)
    mu, lam = offsets(rbm)
    found = written(rbm, HybridGradient(0.0, rate=0.0), v, v)
    with torch.no_grad():
        w = rbm.weights.clone().requires_grad_()
        b = (rbm.visible.bias + w @ lam).requires_grad_()
        c = (rbm.hidden.bias + w.T @ mu).requires_grad_()
    plain = {"weights": w, "visible.bias": b - w @ lam, "hidden.bias": c - w.T @ mu}

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rbm = rbm

        def forward(self) -> Tensor:
            return log_loss(self.rbm, v)

    loss = functional_call(Loss(), {f"rbm.{name}": value for name, value in plain.items()})
    by_w, by_b, by_c = torch.autograd.grad(0.5 * loss, (w, b, c))
    torch.testing.assert_close(found["weights"], by_w)
    torch.testing.assert_close(found["visible.bias"], by_b - by_w @ lam)
    torch.testing.assert_close(found["hidden.bias"], by_c - by_w.T @ mu)


def test_offsets_follow_the_data() -> None:
    rbm = binary_classifier()
    gradient = HybridGradient(rate=0.25)
    first, second = rows(rbm), 1 - rows(rbm)
    data = phase(rbm, first)
    gradient.write_(rbm, data, data)
    assert gradient.visible_offset is not None and gradient.hidden_offset is not None
    torch.testing.assert_close(gradient.visible_offset, first.mean(0))
    torch.testing.assert_close(gradient.hidden_offset, data.hidden["bias"].mean(0))
    gradient.write_(rbm, phase(rbm, second), data)
    torch.testing.assert_close(
        gradient.visible_offset, 0.75 * first.mean(0) + 0.25 * second.mean(0)
    )


class Captured:
    """Stands for `add_discriminative_gradient_`, and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.absent, self.copies = torch.empty(0), 0.0
        monkeypatch.setattr(classification, "add_discriminative_gradient_", self)

    def __call__(self, rbm, v, scale, weights, absent, copies) -> None:  # type: ignore[no-untyped-def]
        self.absent, self.copies = absent, copies
        add_discriminative_gradient_(rbm, v, scale, weights, absent, copies)


def test_dropout_drops_its_share_of_the_hidden_units(monkeypatch: pytest.MonkeyPatch) -> None:
    rbm = RBM(Mixed(Binary(3), Categorical(1, N_CLASSES)), Binary(200)).double()
    randomise_(rbm, 1, scale=0.1)
    v = rows(rbm, 100)
    captured = Captured(monkeypatch)
    gradient = HybridGradient(0.0, dropout=0.75)
    gradient.write_(rbm, phase(rbm, v), phase(rbm, v), stream=Stream(5, Purpose.CHAINS))
    assert captured.copies == 4 and captured.absent.shape == (100, 200)
    absent = captured.absent.double()
    # of all, of each unit and of each row: as a binomial number, within 5 standard deviations
    for n, mean in ((absent.numel(), absent.mean()), (100, absent.mean(0)), (200, absent.mean(1))):
        assert ((mean - 0.75).abs() < 5 * (0.75 * 0.25 / n) ** 0.5).all()


@on_every_pair
def test_dropout_leaves_the_generative_part_and_the_offsets_alone(
    monkeypatch: pytest.MonkeyPatch, x_type: UnitType, hidden: UnitType
) -> None:
    rbm, _ = classifier(x_type, hidden)
    v, chains = rows(rbm), rows(rbm, 5).flip(0)
    generative = written(rbm, CenteredGradient(rate=0.0), v, chains)
    captured = Captured(monkeypatch)
    options = {"rate": 0.0, "dropout": 0.5}
    hybrid = written(rbm, HybridGradient(0.3, **options), v, chains)
    discriminative = written(rbm, HybridGradient(0.0, **options), v, chains)
    for name, found in hybrid.items():
        expected = discriminative[name] + 0.3 * generative[name]
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    # and what is left is the gradient for what was drawn, centred
    rbm.zero_grad(set_to_none=True)
    add_discriminative_gradient_(rbm, v, 0.5, None, captured.absent, captured.copies)
    HybridGradient()._centre_(rbm, *offsets(rbm))
    for name, found in gradients(rbm).items():
        torch.testing.assert_close(discriminative[name], found, rtol=1e-10, atol=1e-10)


def test_dropout_counts_rows_by_their_weights() -> None:
    """A row of weight 2 beside one of weight 0 is that row alone, with what was drawn for it."""
    rbm = binary_classifier()
    v = rows(rbm, 2)
    found = []
    for which, weights in ((v, [2.0, 0.0]), (v[:1], [1.0])):
        gradient = HybridGradient(0.0, dropout=0.5)
        gradient.visible_offset, gradient.hidden_offset = offsets(rbm)
        gradient.rate = 0.0
        data = weigh(phase(rbm, which), torch.tensor(weights, dtype=torch.float64))
        gradient.write_(rbm, data, data, stream=Stream(5, Purpose.CHAINS))
        found.append(gradients(rbm))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value)
    assert found[0]["weights"].abs().max() > 1e-3


def test_dropout_takes_the_stream_of_the_run() -> None:
    rbm = binary_classifier()
    gradient = HybridGradient(0.0, dropout=0.5)
    with pytest.raises(ValueError, match=r"^dropout draws random masks; pass the stream of the"):
        gradient.write_(rbm, phase(rbm, rows(rbm)), phase(rbm, rows(rbm)))
    assert gradient.visible_offset is None and rbm.weights.grad is None
    positions = []
    for share in (0.0, 0.5):
        state = TrainingState.create(
            rbm, n_chains=None, gradient=HybridGradient(0.0, dropout=share)
        )
        before = state.stream.position
        training.update(state, rows(rbm))
        positions.append(state.stream.position - before)
    assert positions[1] == positions[0] + 1


def test_options_that_are_none_are_refused() -> None:
    for share in (-0.1, 1, float("nan")):
        message = rf"^dropout is {share}; pass a share from 0 to below 1, such as 0\.5$"
        with pytest.raises(ValueError, match=message):
            HybridGradient(dropout=share)
    for weight in (-0.1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=rf"^generative_weight is {weight}; pass 0 or a pos"):
            HybridGradient(weight)
    with pytest.raises(ValueError, match=r"^the offsets' rate is 2; pass a number from 0 to 1$"):
        HybridGradient(rate=2)


# Training


class Counting(Gibbs):
    """Counts its calls."""

    calls = 0

    def __call__(self, *arguments, **options):  # type: ignore[no-untyped-def]
        Counting.calls += 1
        return super().__call__(*arguments, **options)


@pytest.mark.parametrize(("weight", "calls"), [(0.0, 0), (0.01, 3)])
def test_chains_are_moved_only_where_they_are_read(weight: float, calls: int) -> None:
    rbm = binary_classifier()
    Counting.calls = 0
    state = TrainingState.create(rbm, sampler=Counting(), gradient=HybridGradient(weight))
    for _ in range(3):
        training.update(state, rows(rbm))
    assert Counting.calls == calls


@pytest.mark.parametrize("weight", [0.0, 0.01])
@pytest.mark.parametrize("n_chains", [None, 20], ids=["CD", "PCD"])
def test_it_learns_what_no_linear_classifier_can(weight: float, n_chains: int | None) -> None:
    x = torch.from_numpy(oracle.binary(np.zeros(4)).points()[0])
    label = x[:, :2].sum(1).long() % 2 + 2 * x[:, 2].long()  # a parity
    v = torch.cat([x, functional.one_hot(label, N_CLASSES)], 1)
    rbm = RBM(Mixed(Binary(4), Categorical(1, N_CLASSES)), Binary(12)).double()
    rbm.init_from_data_(v, seed=2, weight_std=0.3)
    state = TrainingState.create(
        rbm,
        n_chains=n_chains,
        learning_rate=1.0,
        momentum=0.9,
        gradient=HybridGradient(weight),
        seed=3,
    )
    for _ in range(500):
        training.update(state, v)
    assert classify(rbm, x).tolist() == label.tolist()
    if weight == 0:
        assert log_loss(rbm, v) < 0.01


def test_labels_that_are_probabilities_are_learnt_as_such() -> None:
    """The gradient of soft labels is the mean of the gradients of hard ones."""
    rbm = binary_classifier()
    v = rows(rbm, 1)
    x, found = x_of(rbm, v), []
    for labels in (torch.eye(N_CLASSES), torch.full((1, N_CLASSES), 1 / N_CLASSES)):
        rbm.zero_grad()
        of_labels = torch.cat([x.expand(len(labels), -1), labels.double()], 1)
        add_discriminative_gradient_(rbm, of_labels)
        found.append(gradients(rbm))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value)


def test_gaussian_hidden_units_learn_their_precision_from_classes() -> None:
    rbm, _ = classifier(BY_NAME["binary"], BY_NAME["gaussian-learned"])
    add_discriminative_gradient_(rbm, rows(rbm))
    assert isinstance(rbm.hidden, Gaussian)
    assert rbm.hidden.log_precision.grad is not None
    assert rbm.hidden.log_precision.grad.abs().min() > 1e-6
