"""Small trainings and estimates of many kinds, as one of several processes.

``python tests/ranks_at_work.py`` under the environment that torchrun sets, or without it as the
only process, prints for each kind a SHA-256 of everything that it comes to, and how many tables
the ranks gathered for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from harmonium import checkpoint, kernels, likelihood, ranks, training
from harmonium.datasets import Data, Minibatches
from harmonium.gradient import PlainGradient
from harmonium.rbm import RBM
from harmonium.rng import Purpose, Stream
from harmonium.sampling import Gibbs, GrowingTrajectory, Tempering
from harmonium.training import TrainingState
from harmonium.units import Binary, Categorical, Gaussian, Mixed, ReLU, Spin

N_ROWS, BATCH, CHAINS, UPDATES = 96, 48, 64, 3
SIZE = 96, 64


def _uniform(n: int, width: int) -> Tensor:
    return kernels.uniform((n, width), Stream(1, Purpose.SAMPLE))


def _binary(n: int = N_ROWS, width: int = SIZE[0], on: float = 0.3) -> Tensor:
    return (_uniform(n, width) < on).float()


def _one_hot(n: int, units: int, q: int) -> Tensor:
    names = (_uniform(n, units) * q).long()
    return torch.nn.functional.one_hot(names, q).float().flatten(1)


def _trained(
    rbm: RBM,
    rows: Tensor,
    batch: int = BATCH,
    n_chains: int | None = CHAINS,
    weights: Tensor | None = None,
    **options: Any,
) -> bytes:
    rbm.init_from_data_(rows, seed=0)
    state = TrainingState.create(rbm, n_chains=n_chains, **options)
    batches = Minibatches(Data("rows", rows, weights=weights), batch)
    for number in training.updates(state, batches, 10):
        if number == UPDATES:
            break
    return checkpoint.dumps(state)


def _estimated(rbm: RBM, rows: Tensor) -> bytes:
    rbm.init_from_data_(rows, seed=0, weight_std=0.2)
    evaluation = likelihood.evaluate(rbm, rows, rows, n_chains=32, n_temperatures=100)
    for _ in ranks.each_together(evaluation):
        pass
    return repr(evaluation.result()).encode()


def _annealed(rbm: RBM, rows: Tensor) -> bytes:
    rbm.init_from_data_(rows, seed=0, weight_std=0.05)
    path = likelihood.AnnealingPath.adaptive(rbm, rows, 200, seed=1)
    steps = likelihood.annealed_importance_sampling(path, 600, seed=2)
    for _ in ranks.each_together(steps):
        pass
    weights = steps.result().log_weights
    assert weights is not None
    return bytes(weights.numpy())


def _kinds() -> dict[str, Callable[[], bytes]]:
    binary, real = _binary(), _uniform(N_ROWS, SIZE[0]) * 4 - 2
    letters, many = _one_hot(N_ROWS, 24, 4), _one_hot(512, 128, 4)
    few_on = _binary(512, 512, 0.1)
    by_categories: dict[str, Any] = {"batch": 256, "n_chains": 256, "sampler": Gibbs(3)}
    return {
        "PCD": lambda: _trained(RBM(*SIZE), binary, average_decay=0.9),
        "PCD of several sweeps": lambda: _trained(RBM(*SIZE), binary, sampler=Gibbs(3)),
        "PCD that skips zeros": lambda: _trained(RBM(512, 64), few_on, 256, 256),
        "PCD that follows flips": lambda: _trained(RBM(512, 256), few_on, 64, 96, sampler=Gibbs(9)),
        "rows with weights": lambda: _trained(
            RBM(*SIZE), binary, weights=_uniform(N_ROWS, 1)[:, 0].double()
        ),
        "CD": lambda: _trained(RBM(*SIZE), binary, n_chains=None, sampler=Gibbs(2)),
        "plain gradient": lambda: _trained(RBM(*SIZE), binary, gradient=PlainGradient()),
        "spins": lambda: _trained(RBM(Spin(SIZE[0]), Spin(SIZE[1])), 2 * binary - 1),
        "Gaussian": lambda: _trained(
            RBM(Gaussian(SIZE[0]), ReLU(SIZE[1])), real, learning_rate=1e-3
        ),
        "categorical": lambda: _trained(RBM(Categorical(24, 4), Categorical(16, 4)), letters),
        "categorical, by categories": lambda: _trained(
            RBM(Categorical(128, 4), Binary(64)), many, **by_categories
        ),
        "mixed": lambda: _trained(RBM(Mixed(Binary(64), Gaussian(32)), 64), binary),
        "tempered": lambda: _trained(RBM(*SIZE), binary, sampler=Tempering(n_temperatures=5)),
        "tempered by models of the past": lambda: _trained(
            RBM(*SIZE), binary, sampler=GrowingTrajectory(2, 1 - 1e-9, work=1e9)
        ),
        "chains that are too few to share": lambda: _trained(RBM(*SIZE), binary, n_chains=5),
        "a model too small to share": lambda: _trained(RBM(12, 7), _binary(N_ROWS, 12)),
        "an interval of the likelihood": lambda: _estimated(RBM(*SIZE), binary),
        "annealing that follows flips": lambda: _annealed(RBM(512, 256), few_on),
        "annealing by products": lambda: _annealed(RBM(*SIZE), binary),
    }


def main() -> None:
    torch.set_num_threads(1)
    ranks.join()
    ranks.WORTHWHILE_FROM = 0
    gather, gathered = ranks.gather_, [0]

    def counted(*tables: tuple[Tensor, list[slice]]) -> None:
        gathered[0] += sum(len(slices) > 1 for _, slices in tables)
        gather(*tables)

    ranks.gather_ = counted
    found = {}
    for name, make in _kinds().items():
        gathered[0] = 0
        found[name] = hashlib.sha256(make()).hexdigest(), gathered[0]
    print(json.dumps({"rank": ranks.rank(), "size": ranks.size(), "found": found}))
    ranks.leave()


if __name__ == "__main__":
    main()
