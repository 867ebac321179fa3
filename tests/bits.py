"""The bits of every kind of training: what must not change when the code is rearranged.

``table`` runs each kind at a fixed seed, on one thread and at a tiny size, whole and also stopped
and resumed, and takes SHA-256 of its models, its numbers and its samples. Matrix products round
differently on other processors, so that no table is stored: as a program, this file makes it with
two versions of the source on one machine and compares them ::

    python tests/bits.py OLD/src src
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

HALF = 7
"""Updates after which a command is stopped, of about twice as many."""

SMALL = (
    *("--threads", "1", "--no-figures", "--no-tensorboard", "--every", "1"),
    *("--rows", "60", "--batch-size", "10", "--epochs", "2"),
)
DIGITS = (*SMALL, "--hidden", "6", "--validation")
TRAIN: dict[str, tuple[str, ...]] = {
    "PCD": ("digits", *DIGITS),
    "CD": ("digits", *DIGITS, "--method", "cd", "--sweeps", "2", "--binarize", "stochastic"),
    "optimiser and sparsity": (
        *("digits", *DIGITS, "--optimizer", "adam", "--gradient", "plain"),
        *("--sparsity-target", "0.1", "--sparsity-cost", "0.1", "--schedule", "constant"),
    ),
    "tempered": ("digits", *DIGITS, "--sampler", "tempering", "--temperatures", "4"),
    "tempered, that adapts": ("digits", *DIGITS, "--sampler", "tempering", "--chains", "20"),
    "Gaussian": ("real.csv", *SMALL, "--hidden", "6", "--learn-precision"),
    "spin": ("digits", *DIGITS, "--visible", "spin", "--hidden-units", "gaussian"),
    "categorical": (
        *("letters.csv", *SMALL, "--hidden", "4", "--visible", "categorical"),
        *("--hidden-units", "categorical", "--hidden-categories", "3"),
    ),
}
LAYERS = ("--layers", "6,5")
STACK = {
    "DBN": ("digits", *SMALL, *LAYERS, "--features", "draws"),
    "DBN of means": ("digits", *SMALL, *LAYERS, "--features", "means", "--sweeps", "2,1"),
    "DBN with labels (mixed units at the top)": ("digits", *SMALL, *LAYERS, "--labels"),
}
TUNED = {
    "classifier": ("digits", *SMALL, "--layers", "6,5", "--dropout-hidden", "0.2"),
    "classifier with patience": (
        *("digits", *SMALL, "--layers", "6", "--patience", "1", "--schedule", "constant"),
        *("--max-norm", "2", "--momentum", "0.5"),
    ),
    "regressor": ("priced.csv", *SMALL, "--kind", "regressor", "--layers", "6"),
    "autoencoder": ("digits", *SMALL, "--kind", "autoencoder", "--layers", "6,2"),
}


class _Stopping(io.StringIO):
    """Standard output that asks to stop once it is told of an update."""

    def __init__(self, after: str) -> None:
        super().__init__()
        self._after, self._asked = after, False

    def write(self, text: str) -> int:
        if self._after in text and not self._asked:
            self._asked = True
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def run(*arguments: str | Path, stop_after: int | None = None, layer: int | None = None) -> None:
    """A command of the command line, which is asked to stop after an update."""
    from harmonium.cli import main

    of_layer = "" if layer is None else f'"layer": {layer}, '
    out = _Stopping(f'"event": "row", {of_layer}"update": {stop_after},')
    err = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["harmonium", *map(str, arguments), "--json"]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stop:
            code = stop.code
    assert code == (0 if stop_after is None else 130), (code, err.getvalue(), out.getvalue())


def make_tables() -> None:
    """Files to learn from, in the folder at hand."""
    rng = np.random.default_rng(0)
    real = rng.standard_normal((80, 4)) @ rng.standard_normal((4, 4))
    np.savetxt("real.csv", real, delimiter=",", header="a,b,c,d", comments="", fmt="%.6f")
    letters = rng.integers(0, 3, (80, 5))
    np.savetxt("letters.csv", letters, delimiter=",", header="p,q,r,s,t", comments="", fmt="%d")
    priced = np.column_stack([real, real.sum(1)])
    header = "a,b,c,d,target"
    np.savetxt("priced.csv", priced, delimiter=",", header=header, comments="", fmt="%.6f")


def digest(folder: Path) -> str:
    """Of all models, checkpoints, arrays and numbers below a folder; the clock is left out."""
    from safetensors import safe_open

    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix == ".safetensors":
            with safe_open(path, framework="np") as file:
                for key in sorted(file.keys()):
                    found.update(f"{name} {key}".encode() + file.get_tensor(key).tobytes())
        elif path.suffix == ".npz":
            with np.load(path) as arrays:
                for key in sorted(arrays):
                    found.update(f"{name} {key}".encode() + arrays[key].tobytes())
        elif path.suffix == ".jsonl":
            for line in path.read_text().splitlines():
                row = {k: v for k, v in json.loads(line).items() if "per_second" not in k}
                found.update(f"{name} {json.dumps(row, sort_keys=True)}".encode())
    return found.hexdigest()


def _without_checkpoints(folder: Path) -> None:
    """Which of them are kept depends on where a run was stopped; the last one is always kept."""
    for checkpoints in folder.rglob("checkpoints"):
        for old in sorted(checkpoints.iterdir())[:-1]:
            old.unlink()


def _of_command(
    begin: tuple[str, ...], sample: tuple[str, ...], layer: int | None
) -> dict[str, str]:
    found = {}
    for name in ("whole", "resumed"):
        out = Path(name)
        if name == "whole":
            run(*begin, "--out", out)
        else:
            run(*begin, "--out", out, stop_after=HALF, layer=layer)
            run("resume", out)
        if sample:
            run(*sample[:-1], out, *[sample[-1]] * (sample[-1] != "RUN"))
        _without_checkpoints(out)
        found[name] = digest(out)
        shutil.rmtree(out)
    return found


def _sampled(command: str) -> tuple[str, ...]:
    return (*command.split(), "--chains", "3", "--samples", "2", "--warmup", "5", "RUN")


def _digest_of(*tensors: Any) -> str:
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(tensor.detach().cpu().numpy().tobytes())
    return found.hexdigest()


def _digits(n: int = 60) -> Any:
    from harmonium import datasets

    data = datasets.load("digits").part("train")
    return data.draw_rows(n, 0).binarize()


def up_down() -> dict[str, str]:
    """Fine-tuning by wake and sleep, of chains that persist and of chains that start at rows."""
    from harmonium import Minibatches
    from harmonium.deep import DBN, UpDownState, init_randomly_
    from harmonium.deep import up_down as wake_and_sleep

    found = {}
    for name, n_chains in (("whole", None), ("persistent", 10)):
        dbn = DBN.of(64, 6, 5)
        init_randomly_(dbn.stack, 3)
        state = UpDownState.create(dbn, learning_rate=0.1, n_chains=n_chains, seed=2)
        for _ in wake_and_sleep.updates(state, Minibatches(_digits(), 10), 2):
            pass
        found[name] = _digest_of(*dbn.state_dict().values())
    return found


def classification_rbm() -> dict[str, str]:
    """The hybrid of Larochelle and Bengio, with early stopping."""
    from harmonium import RBM, Binary, Categorical, Minibatches, Mixed, TrainingState
    from harmonium.classification import HybridGradient
    from harmonium.deep import classification_rbm as classifier

    found = {}
    for name in ("whole", "resumed"):
        data = _digits().join_labels(10)
        visible = Mixed(Binary(64), Categorical(1, 10))
        rbm = RBM(visible, Binary(6)).init_from_data_(data, 1, weight_std=0.1)
        state = TrainingState.create(rbm, n_chains=10, seed=2, gradient=HybridGradient(0.1))
        stopping = classifier.EarlyStopping(patience=9)
        rows = []
        for epochs in (2, 4) if name == "resumed" else (4,):
            batches = Minibatches(data, 10)
            rows += list(classifier.train(state, batches, epochs, data, stopping))
            classifier.save(state, stopping, Path("c"))
            state, stopping = classifier.load(Path("c"))
        numbers = [{k: v for k, v in row.items() if "per_second" not in k} for row in rows]
        content = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
        found[name] = content + _digest_of(*state.rbm.state_dict().values())
    return found


def mixed() -> dict[str, str]:
    """An RBM of several kinds of visible units, with chains that are sampled at the end."""
    import torch

    from harmonium import (
        RBM,
        Binary,
        Categorical,
        Data,
        Gaussian,
        Minibatches,
        Mixed,
        TrainingState,
        checkpoint,
        training,
    )

    generator = torch.Generator().manual_seed(0)
    rows = torch.cat(
        [
            torch.randint(0, 2, (60, 3), generator=generator).float(),
            torch.eye(4)[torch.randint(0, 4, (60,), generator=generator)],
            torch.randn(60, 2, generator=generator),
        ],
        1,
    )
    found = {}
    for name in ("whole", "resumed"):
        data = Data("mixed", rows)
        rbm = RBM(Mixed(Binary(3), Categorical(1, 4), Gaussian(2)), Binary(5))
        rbm.init_from_data_(data, 1, weight_std=0.1)
        state = TrainingState.create(rbm, n_chains=10, learning_rate=0.01, seed=2)
        for epochs in (2, 4) if name == "resumed" else (4,):
            for _ in training.updates(state, Minibatches(data, 10), epochs):
                pass
            checkpoint.save(state, "c")
            state = checkpoint.load("c")
        assert state.chains is not None
        tensors = state.rbm.state_dict().values()
        found[name] = _digest_of(*tensors, state.chains.visible, state.rbm.sample(3, seed=1))
    return found


def kinds() -> Iterator[tuple[str, Callable[[], dict[str, str]]]]:
    """Every kind of training by its name; each works in the folder at hand."""
    for name, options in TRAIN.items():
        yield name, lambda o=options: _of_command(("train", *o), _sampled("sample"), None)
    for name, options in STACK.items():
        yield name, lambda o=options: _of_command(("dbn", "train", *o), _sampled("dbn sample"), 2)
    for name, options in TUNED.items():
        use = ("dbn", "encode" if name == "autoencoder" else "predict", options[0])
        yield name, lambda o=options, u=use: _of_command(("dbn", "finetune", *o), u, None)
    yield "up-down", up_down
    yield "classification RBM", classification_rbm
    yield "mixed", mixed


def table() -> dict[str, dict[str, str]]:
    """The digests of every kind, with the harmonium that is imported."""
    import torch

    torch.set_num_threads(1)
    found = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_tables()
        for name, digests in kinds():
            found[name] = digests()
    return found


def compare(old: Path, new: Path) -> int:
    """Print where two versions of the source differ; the exit code."""
    tables = []
    for source in (old, new):
        environment = {**os.environ, "PYTHONPATH": str(source.resolve()), "OMP_NUM_THREADS": "1"}
        program = [sys.executable, str(Path(__file__).resolve()), "--table"]
        done = subprocess.run(program, env=environment, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 2
        tables.append(json.loads(done.stdout))
    differ = 0
    for kind in tables[0].keys() | tables[1].keys():
        same = tables[0].get(kind) == tables[1].get(kind)
        differ += not same
        print(f"{'same' if same else 'OTHER':6s} {kind}")
    return int(differ > 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(json.dumps(table(), indent=1))
    else:
        raise SystemExit(compare(*map(Path, sys.argv[1:])))
