"""Scores that grid searches can afford: what they are, and what they cost in work, not in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM as Theirs

from harmonium import kernels
from harmonium.estimators import BernoulliRBM
from harmonium.estimators.pseudo_likelihood import N_UNITS, PseudoLikelihood
from harmonium.likelihood import exact_pseudo_log_likelihood
from harmonium.rbm import RBM
from harmonium.units import Binary


def digits(n: int = 400) -> NDArray[np.float64]:
    return (load_digits().data[:n] > 8).astype(np.float64)


@pytest.fixture(scope="module")
def fitted() -> BernoulliRBM:
    return BernoulliRBM(n_components=32, n_iter=30, dtype="float64", random_state=0).fit(digits())


def test_the_score_is_the_pseudo_log_likelihood_to_within_a_part_of_a_nat(
    fitted: BernoulliRBM,
) -> None:
    X = digits()
    exact, scores = fitted.pseudo_log_likelihood(X), fitted.score_samples(X)
    assert exact.mean() < -5
    with torch.no_grad():
        expected = exact_pseudo_log_likelihood(fitted.model_, torch.from_numpy(X))
    np.testing.assert_array_equal(exact, expected.numpy())
    error = scores - exact
    # no bias: what is left of the mean is within four standard errors
    assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(X))
    # one unit a row, as scikit-learn looks at, is off by some tens of nats
    assert error.std() < 1
    assert abs(fitted.score(X) - exact.mean()) < 0.1


@pytest.mark.parametrize("n_features", [1, 3, N_UNITS])
def test_with_few_features_the_score_is_exact(n_features: int) -> None:
    X = digits()[:, 20 : 20 + n_features]
    fitted = BernoulliRBM(n_components=5, n_iter=5, dtype="float64", random_state=0).fit(X)
    np.testing.assert_allclose(
        fitted.score_samples(X), fitted.pseudo_log_likelihood(X), rtol=1e-10, atol=1e-12
    )


def test_the_mean_over_all_units_that_may_be_looked_at_is_exact() -> None:
    generator = torch.Generator().manual_seed(0)
    rbm = RBM(Binary(12), Binary(7)).double()
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator).double())
    v = (torch.rand(20, 12, generator=generator) < 0.5).double()

    class ThatUnit(PseudoLikelihood):
        unit = 0

        def _units(self, v: torch.Tensor) -> torch.Tensor:
            return torch.full((len(v), 1), self.unit)

    of_one = ThatUnit(rbm, n_units=1)
    estimates = []
    for of_one.unit in range(12):
        estimates.append(of_one(v))
    with torch.no_grad():
        expected = exact_pseudo_log_likelihood(rbm, v)
    torch.testing.assert_close(torch.stack(estimates).mean(0), expected, rtol=1e-10, atol=1e-10)
    assert torch.stack(estimates).std(0).mean() > 0.1  # so that one unit alone is not the mean


def test_every_unit_is_looked_at_as_often_as_any_other() -> None:
    # 2,048 different rows of 11 units, and two more units that are the same in all
    numbers = torch.arange(2048)
    v = ((numbers.unsqueeze(1) >> torch.arange(13)) & 1).float()
    looked_at = PseudoLikelihood(RBM(Binary(13), Binary(2)), n_units=4)._units(v)
    counts = looked_at.flatten().bincount(minlength=13).double()
    expected = 2048 * 4 / 13
    # each row looks at a unit once with probability 4/13, or at most twice at a border: five sigma
    assert (counts - expected).abs().max() < 5 * expected**0.5


def test_a_row_has_its_score_whatever_rows_come_with_it(fitted: BernoulliRBM) -> None:
    X = digits()
    scores = fitted.score_samples(X)
    np.testing.assert_array_equal(scores, fitted.score_samples(X))
    np.testing.assert_allclose(fitted.score_samples(X[::-1])[::-1], scores, rtol=1e-10)
    np.testing.assert_allclose(fitted.score_samples(X[7:8])[0], scores[7], rtol=1e-10)
    np.testing.assert_allclose(fitted.score_samples(sparse.csr_matrix(X)), scores, rtol=1e-10)


def test_the_score_does_not_change_a_fitted_estimator(fitted: BernoulliRBM) -> None:
    before = fitted._stream.position
    fitted.score(digits())
    assert fitted._stream.position == before


@pytest.mark.parametrize("n_features", [500, 2000])
def test_wide_rows_cost_three_products_and_not_one_a_feature(
    n_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = sparse.random(50, n_features, 0.02, "csr", random_state=0)
    X.data[:] = 1
    fitted = BernoulliRBM(n_components=16, n_iter=1, random_state=0).fit(X)
    counted: list[int] = []
    softplus_sums = kernels.softplus_sums

    def counting(inputs: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        counted.append(inputs.numel())
        return softplus_sums(inputs, offsets)

    monkeypatch.setattr(kernels, "softplus_sums", counting)
    assert np.isfinite(fitted.score_samples(X)).all()
    # exponentials: of the hidden units, after flipping eight units, and of the visible units
    assert sum(counted) == 50 * (16 * (1 + N_UNITS) + n_features)


def test_it_ranks_models_as_scikit_learns_does_on_average() -> None:
    X = digits(300)
    good = Theirs(n_components=32, learning_rate=0.05, n_iter=30, random_state=0).fit(X)
    bad = Theirs(n_components=32, n_iter=0, random_state=0).fit(X)
    ours: list[Any] = []
    for theirs in (good, bad):
        estimator = BernoulliRBM(n_components=32, n_iter=0, random_state=0).fit(X)
        for name in ("components_", "intercept_hidden_", "intercept_visible_"):
            setattr(estimator, name, getattr(theirs, name))
        ours.append(estimator.score(X))
        noisy = [theirs.set_params(random_state=i).score_samples(X).mean() for i in range(30)]
        error = np.std(noisy, ddof=1) / np.sqrt(len(noisy))
        assert abs(np.mean(noisy) - ours[-1]) < 5 * error
    assert ours[0] > ours[1] + 5
