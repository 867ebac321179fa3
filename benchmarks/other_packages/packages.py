"""Published packages that train RBMs, each by its own code, fed with rows in memory."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from harmonium.benchmark.peers.base import Peer, Start, Turn, shuffled, updates_a_turn
from harmonium.benchmark.workloads import LEARNING_RATE, Sampling, Training, Workload


class ScikitLearn(Peer):
    """The step that `BernoulliRBM.fit` takes for each minibatch, in float32."""

    name = package = "scikit-learn"
    module = "sklearn"
    how = (
        "the step of BernoulliRBM.fit for each minibatch, in float32, in W3 with the persistent "
        "chains that it always has; BernoulliRBM.gibbs for sampling"
    )

    def lacks(self, workload: Workload, device: torch.device) -> str:
        if device.type != "cpu":
            return "runs on CPUs alone"
        if isinstance(workload, Training) and workload.sweeps > 1:
            return "has PCD-1 alone"
        return ""

    def training(self, workload: Training, start: Start) -> Turn:
        import numpy

        n, rows = workload.batch_size, start.states.numpy()
        model = _sklearn_model(workload, start)
        model.h_samples_ = numpy.zeros((n, workload.n_hidden), dtype=rows.dtype)
        generator = numpy.random.RandomState(0)
        starts = itertools.cycle(range(0, len(rows) - n + 1, n))  # unshuffled, as `fit` is

        def update() -> int:
            begin = next(starts)
            model._fit(rows[begin : begin + n], generator)
            return 1

        return update

    def sampling(self, workload: Sampling, start: Start) -> Turn:
        model, v = _sklearn_model(workload, start), start.chains.numpy()

        def sweep() -> int:
            nonlocal v
            v = model.gibbs(v)
            return workload.n_chains

        return sweep


def _sklearn_model(workload: Workload, start: Start) -> Any:
    from sklearn.neural_network import BernoulliRBM
    from threadpoolctl import threadpool_limits

    threadpool_limits(torch.get_num_threads(), user_api="blas")  # NumPy's products, for good
    model = BernoulliRBM(
        workload.n_hidden,
        learning_rate=LEARNING_RATE,
        batch_size=workload.rows,
        n_iter=0,
        random_state=0,
    ).fit(start.states[: workload.rows].numpy())
    model.components_[:] = start.weights.T.numpy()
    model.intercept_visible_[:] = start.visible_bias.numpy()
    model.intercept_hidden_[:] = start.hidden_bias.numpy()
    return model


class Rbms(Peer):
    """The body of `rbms.training.pcd.train`, without the file that it rewrites every update."""

    name = module = package = "rbms"
    how = (
        "the body of its train(): fit_batch_pcd (centred gradient, normalised) and SGD, without "
        "the file that train() rewrites every update; sample_state for sampling"
    )

    def lacks(self, workload: Workload, device: torch.device) -> str:
        return ""

    def training(self, workload: Training, start: Start) -> Turn:
        from rbms.training.pcd import fit_batch_pcd

        n, states = workload.batch_size, start.states
        model = _rbms_model(start)
        model.init_grad()
        optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, maximize=True)
        ones = states.new_ones(n)
        chains = model.init_chains(n, start_v=start.chains)
        batches = shuffled(len(states), n)

        @torch.no_grad()
        def update() -> int:
            nonlocal chains
            batch = (states[next(batches).to(states.device)], ones)
            if not workload.persistent:
                chains = model.init_chains(n, weights=ones, start_v=batch[0])
            optimizer.zero_grad(set_to_none=False)
            chains, _ = fit_batch_pcd(batch, chains, model, gibbs_steps=workload.sweeps, beta=1.0)
            optimizer.step()
            return 1

        return update

    def sampling(self, workload: Sampling, start: Start) -> Turn:
        model = _rbms_model(start)
        chains = model.init_chains(workload.n_chains, start_v=start.chains)

        @torch.no_grad()
        def turn() -> int:
            nonlocal chains
            chains = model.sample_state(chains=chains, n_steps=workload.sweeps)
            return workload.n_chains * workload.sweeps

        return turn


def _rbms_model(start: Start) -> Any:
    from rbms.bernoulli_bernoulli.classes import BBRBM

    return BBRBM(start.weights.clone(), start.visible_bias.clone(), start.hidden_bias.clone())


class Learnergy(Peer):
    """`learnergy.models.bernoulli.RBM.fit` as it is."""

    name = module = package = "learnergy"
    how = (
        "RBM.fit as it is, autograd, error and pseudo-likelihood of each batch included, on a "
        "data set that indexes once a batch; gibbs_sampling for sampling"
    )

    def lacks(self, workload: Workload, device: torch.device) -> str:
        if isinstance(workload, Training) and workload.persistent:
            return "has no persistent chains"
        return ""

    def training(self, workload: Training, start: Start) -> Turn:
        n_updates = min(updates_a_turn(workload), len(start.states) // workload.batch_size)
        model = _learnergy_model(workload, start)
        batches = shuffled(len(start.states), workload.batch_size * n_updates)

        def turn() -> int:
            rows = _Rows(start.states[next(batches).to(start.device)])
            model.fit(rows, batch_size=workload.batch_size, epochs=1)
            return n_updates

        return turn

    def sampling(self, workload: Sampling, start: Start) -> Turn:
        model, v = _learnergy_model(workload, start), start.chains

        @torch.no_grad()
        def turn() -> int:
            nonlocal v
            *_, v = model.gibbs_sampling(v)
            return workload.n_chains * workload.sweeps

        return turn


class _Rows(Dataset[tuple[Tensor, int]]):
    """Rows for a `DataLoader`, which asks for those of a batch at once."""

    def __init__(self, states: Tensor) -> None:
        self._states = states

    def __len__(self) -> int:
        return len(self._states)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self._states[row], 0

    def __getitems__(self, rows: list[int]) -> list[tuple[Tensor, int]]:
        return [(row, 0) for row in self._states[rows].unbind()]


def _learnergy_model(workload: Workload, start: Start) -> Any:
    from learnergy.models.bernoulli import RBM

    model = RBM(
        workload.n_visible,
        workload.n_hidden,
        steps=workload.sweeps,
        learning_rate=LEARNING_RATE,
        use_gpu=start.device.type == "cuda",
    )
    with torch.no_grad():
        model.W.copy_(start.weights)
        model.a.copy_(start.visible_bias)
        model.b.copy_(start.hidden_bias)
    return model
