"""The log-likelihood of an estimator's rows is that of its model, in the units of the features."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from harmonium.estimators import BernoulliRBM, GaussianRBM
from harmonium.likelihood import exact_log_likelihood

DIGITS = (load_digits().data[:300] > 8).astype(np.float64)


def test_a_small_model_is_exact_and_covers_its_own_value() -> None:
    rbm = BernoulliRBM(n_components=6, n_iter=3, random_state=0).fit(DIGITS)
    found = rbm.evaluate_log_likelihood(DIGITS)
    exact = exact_log_likelihood(rbm.model_, torch.from_numpy(DIGITS).float()).mean().item()
    assert found.is_exact and found.trusted and found.covers(exact)
    assert found.n_rows == len(DIGITS)


def test_a_density_is_in_the_units_of_the_features() -> None:
    X = np.random.default_rng(0).normal(5, 3, (400, 4))
    found = GaussianRBM(n_components=3, n_iter=3, random_state=0).fit(X).evaluate_log_likelihood(X)
    # by independent normal columns
    normal = -0.5 * np.log(2 * np.pi * np.e * X.var(0)).sum()
    assert found.upper == pytest.approx(normal, abs=0.3)
    hundredfold = GaussianRBM(n_components=3, n_iter=3, random_state=0).fit(100 * X)
    shifted = hundredfold.evaluate_log_likelihood(100 * X)
    assert shifted.upper == pytest.approx(found.upper - 4 * np.log(100), abs=1e-3)


def test_probabilities_are_no_states_and_have_no_likelihood() -> None:
    rbm = BernoulliRBM(n_components=6, n_iter=1, random_state=0).fit(DIGITS)
    with pytest.raises(ValueError, match="between their states, for which no likelihood"):
        rbm.evaluate_log_likelihood(0.5 * DIGITS)
    with pytest.raises(ValueError, match="the budget is 0 seconds"):
        rbm.evaluate_log_likelihood(DIGITS, budget=0)
