"""That training learns: exact gradients match moments, and chains come close to the teacher."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import oracle
from harmonium import RBM, Binary, CenteredGradient, PlainGradient, TrainingState, training
from harmonium.datasets import Data, Minibatches
from phases import (
    log_likelihood,
    one_thread,  # noqa: F401
    visible_distribution,
    weighted_phase,
)
from unit_types import BY_NAME, array, random_rbm

PAIRS = [
    ("binary", "binary"),
    ("spin", "binary"),
    ("binary", "spin"),
    ("categorical", "binary"),
    ("binary", "categorical"),
    ("categorical", "spin"),
    ("binary", "gaussian"),
]


@pytest.mark.parametrize(("visible", "hidden"), PAIRS)
def test_exact_training_matches_the_moments_of_its_teacher(visible: str, hidden: str) -> None:
    pair = BY_NAME[visible], BY_NAME[hidden]
    sizes = (2 if visible == "categorical" else 3, 2)
    scale = 0.4 if hidden == "gaussian" else 1.0
    _, teacher = random_rbm(*pair, sizes=sizes, seed=40, scale=scale)
    rbm, _ = random_rbm(*pair, sizes=sizes, seed=41, scale=scale)
    v, p = visible_distribution(teacher)

    @torch.no_grad()
    def divergence() -> Tensor:
        """Kullback-Leibler divergence from the teacher, but for a constant, and its gradient."""
        free_energy = rbm.free_energy(v)
        q = (-free_energy).softmax(0)
        PlainGradient().write_(rbm, weighted_phase(rbm, v, p), weighted_phase(rbm, v, q))
        return p @ free_energy + torch.logsumexp(-free_energy, 0)

    # a line search goes as far as a loss in float64 can show, whole steps go on from there
    trained = [parameter for parameter in rbm.parameters() if parameter.requires_grad]
    for max_iter, search in ((100, "strong_wolfe"), (200, None)):
        torch.optim.LBFGS(
            trained,
            max_iter=max_iter,
            tolerance_grad=1e-11,
            tolerance_change=0,
            history_size=30,
            line_search_fn=search,
        ).step(divergence)

    layers = (pair[0].twin(rbm.visible), pair[1].twin(rbm.hidden))
    student = oracle.Model(*layers, array(rbm.weights))
    h = student.hidden.moments(array(v) @ student.weights)[0]
    student_p = visible_distribution(student)[1]
    for states in (array(v), h, np.einsum("si,sj->sij", array(v), h)):
        of_teacher, of_student = (np.tensordot(array(x), states, axes=1) for x in (p, student_p))
        np.testing.assert_allclose(of_student, of_teacher, rtol=0, atol=1e-8)

    # what the plain gradient leaves alone, the centred one leaves alone
    CenteredGradient().write_(rbm, weighted_phase(rbm, v, p), weighted_phase(rbm, v, student_p))
    assert all(x.grad.abs().max() < 1e-8 for x in trained if x.grad is not None)


def exact(rbm: RBM) -> oracle.Model:
    binary = BY_NAME["binary"].twin
    return oracle.Model(binary(rbm.visible), binary(rbm.hidden), array(rbm.weights))


def teacher() -> oracle.Model:
    """Three hidden units that each hold a pattern of six visible ones or its inverse."""
    weights = 1.5 * np.sign(np.random.default_rng(42).standard_normal((6, 3)))
    layers = (oracle.binary(-weights.sum(axis) / 2) for axis in (1, 0))
    return oracle.Model(*layers, weights)


def advantage(better: oracle.Model, worse: oracle.Model, v: oracle.Array) -> tuple[float, float]:
    """Exact log-likelihood of one model over another, mean and standard error, nats a row."""
    difference = log_likelihood(better, v) - log_likelihood(worse, v)
    return difference.mean(), difference.std() / np.sqrt(len(v))


@pytest.mark.parametrize("n_chains", [200, None], ids=["PCD", "CD"])
def test_training_comes_close_to_its_teacher(n_chains: int | None) -> None:
    n = 2000
    draws = oracle.Joint(teacher()).draw(2 * n, seed=43)[0]
    rows, fresh = torch.from_numpy(draws[:n]).float(), draws[n:]
    rbm = RBM(Binary(6), Binary(3)).init_from_data_(rows, seed=44, weight_std=0.1)
    start = exact(rbm)
    batches, epochs = Minibatches(Data("drawn", rows), 100), 150
    state = TrainingState.create(
        rbm,
        n_chains=n_chains,
        learning_rate=0.3,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, epochs * len(batches)),
        seed=45,
    )
    for _ in training.updates(state, batches, epochs):
        pass
    gained, error = advantage(exact(rbm), start, fresh)
    missing, missing_error = advantage(teacher(), exact(rbm), fresh)
    assert gained > 10 * error
    if n_chains is None:
        # the gradient of CD is biased: near is a few per cent of the way
        assert missing < 0.05 * gained
    else:
        # that of PCD is not: as many fresh rows as it learned from cannot tell the two apart
        assert missing < 4 * missing_error
