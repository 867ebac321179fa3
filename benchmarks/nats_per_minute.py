"""What a minute of one core buys: log-likelihood of MNIST's test images, ours beside every peer.

Each contestant trains an RBM with 500 hidden units on the same 60,000 thresholded images, in one
process with one thread, and is judged after 60 and after 300 seconds by the same two bounds
(`harmonium.likelihood.evaluate`). Ours runs at the defaults of ``harmonium train``, for as many
epochs as it gets done in the time; what that many are, it finds out within the time. The others run
at a constant rate, at the setting that did best on validation images after 60 seconds among a few:
those of its documents and others that are common.

The clock is that of the processor, so that whatever else the machine does, all get the same. Every
result is a line of ``nats.jsonl`` in the folder, and what is there already is not run again.

    python benchmarks/nats_per_minute.py --out nats            # some hours of one core
    python benchmarks/nats_per_minute.py --out nats --seeds 1  # one hour
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from harmonium import RBM, Binary, Data, Gibbs, datasets, plots, training
from harmonium.likelihood import evaluate
from harmonium.runs import build, run_data
from harmonium.runs.options import TrainingOptions

N_VISIBLE, N_HIDDEN = 784, 500
SECONDS = (60, 300)
SEARCH_SECONDS = 60
TRIAL_SHARE = 0.03  # of the time, for finding out how fast updates are
SEARCH_BOUNDS = {"n_chains": 100, "n_temperatures": 1_500}
FINAL_BOUNDS = {"n_chains": 100, "n_temperatures": 6_000}

Settings = dict[str, float]


class Contestant(ABC):
    """Somebody's way to train an RBM, an update at a time."""

    name: str
    module = "torch"
    how: str
    shuffles: bool
    grid: tuple[Settings, ...]

    @abstractmethod
    def train(self, rows: Tensor, settings: Settings, seed: int) -> Iterator[None]:
        """Make a few updates, and yield."""

    @abstractmethod
    def model(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights, visible and hidden biases, now."""


class ScikitLearn(Contestant):
    name, module, shuffles = "scikit-learn", "sklearn", False
    how = "the steps of BernoulliRBM.fit, in float32: PCD-1, a chain a row of the minibatch"
    grid = (
        {"learning_rate": 0.1, "batch_size": 10},  # its defaults
        {"learning_rate": 0.01, "batch_size": 10},
        {"learning_rate": 0.1, "batch_size": 100},
        {"learning_rate": 0.05, "batch_size": 100},
    )

    def train(self, rows: Tensor, settings: Settings, seed: int) -> Iterator[None]:
        import numpy
        from sklearn.neural_network import BernoulliRBM

        n, values = int(settings["batch_size"]), rows.numpy()
        rate = settings["learning_rate"]
        # all that fit does before its first epoch
        self._model = BernoulliRBM(
            N_HIDDEN, learning_rate=rate, batch_size=n, n_iter=0, random_state=seed
        ).fit(values)
        self._model.h_samples_ = numpy.zeros((n, N_HIDDEN), dtype=values.dtype)
        generator = numpy.random.RandomState(seed)
        for start in itertools.cycle(range(0, len(values) - n + 1, n)):
            self._model._fit(values[start : start + n], generator)
            yield

    def model(self) -> tuple[Tensor, Tensor, Tensor]:
        m = self._model
        arrays = m.components_.T, m.intercept_visible_, m.intercept_hidden_
        weights, a, b = (torch.as_tensor(x.copy()).float() for x in arrays)
        return weights, a, b


class Rbms(Contestant):
    name = module = "rbms"
    shuffles = True
    how = "fit_batch_pcd of its train(): PCD, centred; its own initial model"
    grid = (
        # its defaults, 2,000 rows and 100 sweeps an update, make a dozen updates a minute
        {"learning_rate": 0.01, "batch_size": 2000, "chains": 2000, "sweeps": 100},
        {"learning_rate": 0.05, "batch_size": 100, "chains": 100, "sweeps": 1},
        {"learning_rate": 0.05, "batch_size": 500, "chains": 500, "sweeps": 5},
        {"learning_rate": 0.2, "batch_size": 100, "chains": 500, "sweeps": 1},
        {"learning_rate": 1.0, "batch_size": 100, "chains": 500, "sweeps": 1},
    )

    def train(self, rows: Tensor, settings: Settings, seed: int) -> Iterator[None]:
        from types import SimpleNamespace

        from rbms.bernoulli_bernoulli.classes import BBRBM
        from rbms.training.pcd import fit_batch_pcd

        torch.manual_seed(seed)
        n, sweeps = int(settings["batch_size"]), int(settings["sweeps"])
        self._model = BBRBM.init_parameters(
            N_HIDDEN, SimpleNamespace(data=rows), torch.device("cpu"), torch.float32
        )
        self._model.init_grad()
        optimizer = torch.optim.SGD(
            self._model.parameters(), lr=settings["learning_rate"], maximize=True
        )
        chains = self._model.init_chains(int(settings["chains"]))
        ones = torch.ones(n)
        while True:
            batch = (rows[torch.randperm(len(rows))[:n]], ones)
            optimizer.zero_grad(set_to_none=False)
            with torch.no_grad():
                chains, _ = fit_batch_pcd(batch, chains, self._model, gibbs_steps=sweeps, beta=1.0)
            optimizer.step()
            yield

    def model(self) -> tuple[Tensor, Tensor, Tensor]:
        m = self._model
        return m.weight_matrix.clone(), m.vbias.clone(), m.hbias.clone()


class Learnergy(Contestant):
    name = module = "learnergy"
    shuffles = True
    how = "RBM.fit as it is, a few minibatches a call: CD through autograd"
    grid = (
        {"learning_rate": 0.1, "batch_size": 128, "sweeps": 1},  # its defaults
        {"learning_rate": 0.03, "batch_size": 100, "sweeps": 1},
        {"learning_rate": 0.01, "batch_size": 100, "sweeps": 1},
        {"learning_rate": 0.1, "batch_size": 100, "sweeps": 5},
    )

    def train(self, rows: Tensor, settings: Settings, seed: int) -> Iterator[None]:
        import logging

        from learnergy.models.bernoulli import RBM as LearnergyRBM
        from torch.utils.data import TensorDataset

        logging.disable(logging.INFO)
        torch.manual_seed(seed)
        n = int(settings["batch_size"])
        self._model = LearnergyRBM(
            N_VISIBLE,
            N_HIDDEN,
            steps=int(settings["sweeps"]),
            learning_rate=settings["learning_rate"],
        )
        while True:
            for some in torch.randperm(len(rows)).split(10 * n):
                part = TensorDataset(rows[some], torch.zeros(len(some)))
                self._model.fit(part, batch_size=n, epochs=1)
                yield

    def model(self) -> tuple[Tensor, Tensor, Tensor]:
        weights, a, b = (x.detach().clone() for x in (self._model.W, self._model.a, self._model.b))
        return weights, a, b


class Tutorial(Contestant):
    """The program of the Deep Learning Tutorials, in plain torch."""

    name, shuffles = "tutorial's loop", False
    how = "the Theano tutorial's RBM in plain torch: PCD-k, a chain a row, its initial weights"
    grid = (
        {"learning_rate": 0.1, "batch_size": 20, "sweeps": 15},  # as printed
        {"learning_rate": 0.1, "batch_size": 20, "sweeps": 1},
        {"learning_rate": 0.02, "batch_size": 20, "sweeps": 1},
        {"learning_rate": 0.03, "batch_size": 20, "sweeps": 15},
    )

    def train(self, rows: Tensor, settings: Settings, seed: int) -> Iterator[None]:
        torch.manual_seed(seed)
        n, rate = int(settings["batch_size"]), settings["learning_rate"]
        edge = 4 * math.sqrt(6 / (N_VISIBLE + N_HIDDEN))
        self._weights = torch.empty(N_VISIBLE, N_HIDDEN).uniform_(-edge, edge)
        self._a, self._b = torch.zeros(N_VISIBLE), torch.zeros(N_HIDDEN)
        weights, a, b = self.model_in_place()
        h = torch.zeros(n, N_HIDDEN)
        for start in itertools.cycle(range(0, len(rows) - n + 1, n)):
            v_data = rows[start : start + n]
            h_data = torch.addmm(b, v_data, weights).sigmoid_()
            for _ in range(int(settings["sweeps"])):
                v = torch.bernoulli(torch.addmm(a, h, weights.T).sigmoid_())
                p = torch.addmm(b, v, weights).sigmoid_()
                h = torch.bernoulli(p)
            weights.addmm_(v_data.T, h_data, alpha=rate / n).addmm_(v.T, p, alpha=-rate / n)
            a.add_(v_data.mean(0) - v.mean(0), alpha=rate)
            b.add_(h_data.mean(0) - p.mean(0), alpha=rate)
            yield

    def model_in_place(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._weights, self._a, self._b

    def model(self) -> tuple[Tensor, Tensor, Tensor]:
        weights, a, b = (x.clone() for x in self.model_in_place())
        return weights, a, b


PEERS = (ScikitLearn, Rbms, Learnergy, Tutorial)


def train_peer(
    contestant: Contestant, rows: Tensor, settings: Settings, seed: int, seconds: tuple[int, ...]
) -> Iterator[tuple[int, RBM]]:
    """The peer's model after each of these times of the processor."""
    began, due = time.process_time(), list(seconds)
    for _ in contestant.train(rows, settings, seed):
        if time.process_time() - began >= due[0]:
            paused = time.process_time()
            yield due.pop(0), as_rbm(*contestant.model())
            if not due:
                return
            began += time.process_time() - paused  # judging is not training


def as_rbm(weights: Tensor, visible_bias: Tensor, hidden_bias: Tensor) -> RBM:
    rbm = RBM(Binary(N_VISIBLE), Binary(N_HIDDEN)).requires_grad_(False)
    rbm.weights.copy_(weights)
    rbm.visible.bias.copy_(visible_bias)
    rbm.hidden.bias.copy_(hidden_bias)
    return rbm


def train_ours(seed: int, seconds: float) -> RBM:
    """At the defaults of ``harmonium train``, which fall to rest as the time is over."""
    options = TrainingOptions(data="mnist", hidden=N_HIDDEN, seed=seed)
    rows, held_out = run_data.load_data(options)
    batches = build.make_batches(options, rows)
    options = build.complete(options, batches)

    def begin(epochs: float) -> training.TrainingState:
        rbm = build.make_model(options, rows, held_out)
        state = build.layer_options(options).begin(rbm, options.seed, len(batches))
        # of as many updates as there is time for, which need not be whole epochs
        n_updates = round(epochs * len(batches))
        state.schedule = training.linear_to_zero(state.optimizer, n_updates)
        final = training.final_phase(Gibbs(options.final_sweeps), n_updates)
        state.take_phases_({0: Gibbs(options.sweeps), **final})
        return state

    def per_update(sweeps: int, seconds: float) -> float:
        """Seconds of one, with the sweeps of the beginning or of the end, by so long a trial."""
        state, n = begin(1), 0
        state.take_phases_({0: Gibbs(sweeps)})
        start = time.process_time()
        for _ in training.updates(state, batches, 1):
            n += 1
            if time.process_time() - start > seconds:
                break
        return (time.process_time() - start) / n

    at_first, at_last = options.sweeps, options.final_sweeps
    for sweeps in (at_last, at_first):
        per_update(sweeps, 0)  # kernels are compiled once on a machine, before the clock runs
    began = time.process_time()
    final, trial = training.defaults.FINAL_SHARE, TRIAL_SHARE / 2 * seconds
    cost = (1 - final) * per_update(at_first, trial) + final * per_update(at_last, trial)
    left = seconds - (time.process_time() - began)
    n_updates = int(0.99 * left / cost)
    state = begin(n_updates / len(batches))
    for done in training.updates(state, batches, math.ceil(n_updates / len(batches))):
        if done == n_updates or time.process_time() - began >= seconds:
            break
    print(f"ours: {done} of {n_updates} updates in {time.process_time() - began:.1f} s", flush=True)
    return state.model


class Results:
    """Lines of a file, each with what it is of; what is there is not made again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        self.lines = [json.loads(line) for line in text.splitlines()]

    def find(self, **key: object) -> dict[str, object] | None:
        found = (x for x in self.lines if all(x.get(k) == v for k, v in key.items()))
        return next(found, None)

    def add(self, **line: object) -> None:
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)


def judge(rbm: RBM, rows: Tensor, train: Data, bounds: dict[str, int]) -> dict[str, object]:
    found = evaluate(rbm, rows, train, **bounds).result()
    return {
        "lower": round(found.lower, 3),
        "upper": round(found.upper, 3),
        "lower_std_error": round(found.lower_std_error, 3),
        "upper_std_error": round(found.upper_std_error, 3),
        "warnings": list(found.warnings),
    }


def all_rows(data: Data) -> Tensor:
    return data.rows(torch.arange(len(data)))


def search(contestant: type[Contestant], mnist: Data, results: Results) -> Settings:
    """The setting that does best on validation images, read in its favour: by the upper bound."""
    train, held_out = mnist.part("train"), mnist.part("validation")
    scores = []
    for settings in contestant.grid:
        key = {"kind": "search", "name": contestant.name, "settings": settings}
        if results.find(**key) is None:
            rows = all_rows(train)
            for _, rbm in train_peer(contestant(), rows, settings, 0, (SEARCH_SECONDS,)):
                results.add(**key, **judge(rbm, all_rows(held_out), train, SEARCH_BOUNDS))
        scores.append((float(str(results.find(**key)["upper"])), settings))
    return max(scores, key=lambda score: score[0])[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("nats"))
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    args.out.mkdir(parents=True, exist_ok=True)
    results = Results(args.out / "nats.jsonl")
    mnist = datasets.load("mnist").binarize()
    train, test = mnist.join("train", "validation"), mnist.part("test")
    peers = [peer for peer in PEERS if find_spec(peer.module)]
    chosen = {peer: search(peer, mnist, results) for peer in peers}
    for seed in range(args.seeds):
        for seconds in SECONDS:
            key = {"kind": "final", "name": "harmonium", "seconds": seconds, "seed": seed}
            if results.find(**key) is None:
                rbm = train_ours(seed, seconds)
                results.add(**key, **judge(rbm, all_rows(test), train, FINAL_BOUNDS))
        for peer in peers:
            key = {"kind": "final", "name": peer.name, "seed": seed}
            if results.find(**key, seconds=SECONDS[-1]) is None:
                at = train_peer(peer(), all_rows(train), chosen[peer], seed, SECONDS)
                for seconds, rbm in at:
                    found = judge(rbm, all_rows(test), train, FINAL_BOUNDS)
                    results.add(**key, seconds=seconds, settings=chosen[peer], **found)
    report(results, args.out)


def report(results: Results, out: Path) -> None:
    """A table of all seeds, and a picture of their means."""
    about = {peer.name: peer for peer in PEERS}
    names = list(dict.fromkeys(str(x["name"]) for x in results.lines if x["kind"] == "final"))
    print("| | shuffles | " + " | ".join(f"{s} s, lower … upper" for s in SECONDS) + " |")
    print("|---|---|" + "---|" * len(SECONDS))
    curves = {}
    for name in names:
        of_name = [x for x in results.lines if x["kind"] == "final" and x["name"] == name]
        cells, points = [], []
        for seconds in SECONDS:
            runs = [x for x in of_name if x["seconds"] == seconds]
            cells.append("; ".join(f"{x['lower']:.1f} … {x['upper']:.1f}" for x in runs))
            if runs:
                lower = mean(float(str(x["lower"])) for x in runs)
                upper = mean(float(str(x["upper"])) for x in runs)
                points.append((float(seconds), lower, upper))
        curves[name] = points
        shuffles = "yes" if name not in about or about[name].shuffles else "no"
        print(f"| {name} | {shuffles} | " + " | ".join(cells) + " |")
    ax = plots.likelihoods_over_time(
        curves,
        highlight="harmonium",
        title="Nats per minute",
        subtitle="mean log-likelihood of MNIST's test images, thresholded; one core",
    )
    plots.save(ax, out / "nats.png")


if __name__ == "__main__":
    main()
