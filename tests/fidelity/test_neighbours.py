"""Nearest neighbours: distances, ties, copies, and samples of one distribution."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from harmonium import fidelity


def coins(n: int, n_columns: int, seed: int, p: float = 0.5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(n, n_columns, generator=generator) < p).float()


def strictly(samples: Tensor, data: Tensor) -> float:
    """The same accuracy as it is mostly computed: each tie goes to the other set."""
    near = fidelity.nearest
    truth = near(data, samples) > near(data, data, same=True)
    synthetic = near(samples, data) > near(samples, samples, same=True)
    return float(truth.double().mean() + synthetic.double().mean()) / 2


@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_nearest_is_that_of_all_distances(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity.neighbours, "_BLOCK", 40)  # several blocks
    rows, others = scale * coins(23, 9, 0), scale * coins(17, 9, 1)
    apart = torch.cdist(rows.double(), others.double()).square()
    assert torch.allclose(fidelity.nearest(rows, others).double(), apart.min(1).values)
    own = torch.cdist(rows.double(), rows.double()).square().fill_diagonal_(math.inf)
    assert torch.allclose(fidelity.nearest(rows, rows, same=True).double(), own.min(1).values)


def test_distances_of_real_numbers_far_from_zero_do_not_cancel() -> None:
    rows = torch.tensor([[1e4, 1e4 + 0.25]]).float()
    others = rows + torch.tensor([[0.25, 0.0], [-0.5, 0.5]])
    assert fidelity.nearest(rows, others).tolist() == pytest.approx([0.0625])


def test_accuracy_by_hand() -> None:
    # data 0, 1, 10; samples 2, 3, 11
    data, samples = (torch.tensor(x)[:, None] for x in ([0.0, 1.0, 10.0], [2.0, 3.0, 11.0]))
    # own and other: 0 has 1 and 2: own is nearer; 1 has 1 and 1: a tie; 10 has 9 and 1: other
    found = fidelity.adversarial_accuracy(samples, data)
    assert found.truth == pytest.approx((1 + 0.5 + 0) / 3)
    # 2 has 1 and 1: a tie; 3 has 1 and 2: own; 11 has 8 and 1: other
    assert found.synthetic == pytest.approx((0.5 + 1 + 0) / 3)
    assert found.value == pytest.approx(0.5) and found.n_rows == 3
    assert strictly(samples, data) == pytest.approx(1 / 3)


def test_copies_and_strangers() -> None:
    data = coins(200, 50, 0)
    copies = fidelity.adversarial_accuracy(data, data)
    assert (copies.truth, copies.synthetic) == (0, 0)
    far = fidelity.adversarial_accuracy(data + 9, data)
    assert (far.truth, far.synthetic, far.std_error) == (1, 1, 0)
    one = torch.zeros(200, 50)
    assert fidelity.adversarial_accuracy(one, one).value == 0.5  # all are equal: all is a tie


@pytest.mark.parametrize(("n_columns", "p"), [(12, 0.3), (40, 0.5), (300, 0.1)])
def test_two_samples_of_one_distribution_are_not_told_apart(n_columns: int, p: float) -> None:
    found = [
        fidelity.adversarial_accuracy(
            coins(300, n_columns, 2 * s, p), coins(300, n_columns, 2 * s + 1, p)
        )
        for s in range(30)
    ]
    values = torch.tensor([one.value for one in found], dtype=torch.float64)
    # the mean of 30 independent pairs, by their own spread: 4 standard errors
    assert abs(values.mean() - 0.5) < 4 * values.std() / math.sqrt(30)
    # and the stated error of one is that spread, but for neighbours that rows share
    stated = sum(one.std_error for one in found) / 30
    assert 0.5 < stated / values.std().item() < 1.5


def test_without_sharing_ties_they_would_be() -> None:
    a, b = coins(1000, 20, 0), coins(1000, 20, 1)
    assert strictly(a, b) < 0.4
    assert fidelity.adversarial_accuracy(a, b).value == pytest.approx(0.5, abs=0.04)


def test_samples_that_copy_training_rows_lose_privacy() -> None:
    train, held_out, fresh = (coins(400, 60, seed) for seed in range(3))
    noise = (coins(400, 60, 3, 0.02) + train) % 2
    assert fidelity.privacy_loss(noise, train, held_out) > 0.3
    assert abs(fidelity.privacy_loss(fresh, train, held_out)) < 0.15


def test_closest_records_count_units_and_copies() -> None:
    train = torch.tensor([[0.0, 0, 0, 0], [1, 1, 1, 1]])
    rows = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0], [1, 1, 1, 1]])
    found = fidelity.closest_records(rows, train, gap=1.0)
    assert found.distances.tolist() == [0, 1, 2, 0]
    assert (found.copies, found.median) == (2, 0.5)
    assert found.share_below(1) == 0.5 and found.quantile(0.5) == 1
    spins = fidelity.closest_records(2 * rows - 1, 2 * train - 1, gap=4.0)
    assert spins.distances.tolist() == [0, 1, 2, 0]
    assert fidelity.closest_records(rows, train).distances.tolist() == [0, 1, math.sqrt(2), 0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x: fidelity.adversarial_accuracy(x, x[:3]), "samples are 5 rows and data 3"),
        (lambda x: fidelity.adversarial_accuracy(x[:1], x[:1]), "data have 1 rows; pass 2 or more"),
        (lambda x: fidelity.adversarial_accuracy(x[:, :1], x), "samples have 1 columns, and the"),
        (lambda x: fidelity.nearest(x, x[:4], same=True), "rows are 5 and others 4"),
        (lambda x: fidelity.nearest(x[0], x), r"rows have shape \(2,\)"),
        (lambda x: fidelity.nearest(x / 0, x), "rows hold NaN or infinity"),
    ],
)
def test_bad_rows(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call(torch.ones(5, 2))
    with pytest.raises(TypeError, match=r"rows are \[\[1.0\]\]; pass a torch tensor"):
        fidelity.nearest([[1.0]], torch.ones(1, 1))
