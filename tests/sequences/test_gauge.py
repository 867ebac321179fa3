"""The zero-sum gauge: another RBM with the same distribution and the smallest weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harmonium.gradient import weight_norms
from harmonium.sequences import couplings, zero_sum
from harmonium.units import Binary, Categorical, DReLU, Gaussian, Mixed, Units
from sequences.enumerated import every_row, random_model


def log_p(rbm) -> torch.Tensor:
    _, rows = every_row(rbm)
    with torch.no_grad():
        return (-rbm.free_energy(rows)).log_softmax(0)


@pytest.mark.parametrize(
    "hidden", [Binary(3), DReLU(3), Gaussian(2), Categorical(2, 4), Mixed(Binary(2), DReLU(1))]
)
def test_the_distribution_stays(hidden: Units) -> None:
    rbm = random_model(Categorical(4, 3), hidden, 1)
    before = rbm.weights.detach().clone()
    moved = zero_sum(rbm)
    torch.testing.assert_close(log_p(moved), log_p(rbm), atol=1e-12, rtol=0)
    assert torch.equal(rbm.weights, before)
    by_site = moved.weights.detach().reshape(4, 3, -1)
    assert by_site.sum(1).abs().max() < 1e-12
    assert moved.visible.bias.detach().reshape(4, 3).sum(1).abs().max() < 1e-12
    assert moved.weights.norm() < rbm.weights.norm()


def test_one_hot_hidden_units_are_moved_too() -> None:
    moved = zero_sum(random_model(Binary(3), Categorical(2, 4), 1))
    assert moved.weights.detach().reshape(3, 2, 4).sum(-1).abs().max() < 1e-12


def test_a_visible_layer_of_several_kinds_moves_its_one_hot_units_alone() -> None:
    rbm = random_model(Mixed(Binary(2), Categorical(2, 3)), Binary(3), 1)
    moved = zero_sum(rbm)
    assert torch.equal(moved.weights[:2], rbm.weights[:2])
    rows = torch.cat([torch.rand(6, 2).round(), torch.eye(3)[torch.arange(6) % 3],
                      torch.eye(3)[torch.arange(6) // 2]], 1).double()  # fmt: skip
    difference = (moved.free_energy(rows) - rbm.free_energy(rows)).detach()
    assert difference.std() < 1e-12


def test_couplings_do_not_depend_on_the_gauge() -> None:
    rbm = random_model(Categorical(4, 3), Binary(3), 1)
    moved = zero_sum(rbm)
    np.testing.assert_allclose(couplings(moved).norms, couplings(rbm).norms, atol=1e-10)


def test_norms_are_smallest_in_the_zero_sum_gauge() -> None:
    rbm = random_model(Categorical(4, 3), Binary(3), 1)
    norms = weight_norms(zero_sum(rbm))
    by_site = rbm.weights.detach().reshape(4, 3, 3)
    torch.testing.assert_close(norms, (by_site - by_site.mean(1, keepdim=True)).norm(dim=1))
    assert (norms < weight_norms(rbm)).all()
    assert zero_sum(rbm.float()).weights.dtype == torch.float32


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(TypeError, match="pass an RBM"):
        zero_sum(3)
