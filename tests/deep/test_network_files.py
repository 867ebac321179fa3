"""Files of networks and of their fine-tuning: what goes in comes out, and a run goes on.

Run as a program, this file is the process that goes on from the checkpoints in a folder.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR

from deep.networks import N_COLUMNS, binary_stack, labelled, stack
from harmonium import Data, Gaussian, Minibatches, checkpoint, load_model, save_model, training
from harmonium.deep import (
    Autoencoder,
    Classifier,
    Dropout,
    FinetuningState,
    Network,
    Patience,
    Regressor,
    finetuning,
    load_finetuning,
    load_network,
    save_finetuning,
    save_network,
)
from unit_types import UNIT_TYPES, UnitType, randomise_

EPOCHS, BEFORE = 4, 13


def of_classes() -> Network:
    return Classifier.for_data(binary_stack(N_COLUMNS, 5, 4), labelled())


def of_targets() -> Network:
    return Regressor.for_data(binary_stack(N_COLUMNS, 5), labelled())


def of_far_targets() -> Network:
    data = labelled()
    assert data.targets is not None
    far = dataclasses.replace(data, targets=data.targets.double() + 1e8)
    return Regressor.for_data(binary_stack(N_COLUMNS, 5), far)


def unrolled() -> Network:
    return Autoencoder(binary_stack(N_COLUMNS, 5, 2))


def milestones(optimizer: Optimizer) -> LRScheduler:
    return MultiStepLR(optimizer, [3, 9, 15], gamma=0.5)


def with_sgd() -> FinetuningState:
    return FinetuningState.create(
        of_classes(),
        momentum=0.9,
        weight_decay=1e-3,
        dropout=Dropout(0.2, 0.5),
        max_norm=2.0,
        head_updates=6,
        patience=Patience(after_best=20, threshold=0.99),
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 40),
        seed=3,
    )


def with_adam() -> FinetuningState:
    network = of_targets()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01, fused=True)
    # of 24 updates: some are made by the last layer alone, and stops come before and after
    return FinetuningState.create(
        network, optimizer=optimizer, schedule=milestones, max_norm=1.0, head_updates=9
    )


def of_autoencoder() -> FinetuningState:
    network = unrolled()
    optimizer = torch.optim.RMSprop(network.parameters(), lr=0.01)
    return FinetuningState.create(network, optimizer=optimizer, dropout=Dropout(inputs=0.3))


CASES: dict[str, Callable[[], FinetuningState]] = {
    "sgd": with_sgd,
    "adam": with_adam,
    "autoencoder": of_autoencoder,
}
NETWORKS = {
    "Classifier": of_classes,
    "Regressor": of_targets,
    "Regressor of far targets": of_far_targets,
    "Autoencoder": unrolled,
}


def data() -> tuple[Data, Data]:
    return labelled().binarize_stochastically(), labelled(30, seed=1)


def go_on(state: FinetuningState, until: int | None = None) -> list[dict[str, float]]:
    """Train to the end, or to an update; the rows that came, without the speeds."""
    train, held_out = data()
    batches = Minibatches(train, 8)
    watch = finetuning.Watch(state, batches, held_out, every=5, last=EPOCHS * len(batches))
    rows = []
    for done in finetuning.updates(state, batches, EPOCHS):
        row = watch(state)
        if row is not None:
            rows.append({name: row[name] for name in row if name != "rows_per_second"})
        if done == until:
            break
    return rows


def load(path: Path) -> FinetuningState:
    own = milestones if path.stem == "adam" else None
    return load_finetuning(path, schedule=own)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which each case was saved, and a new process has gone on to the end."""
    folder = tmp_path_factory.mktemp("finetuning")
    torch.set_num_threads(1)
    for name, make in CASES.items():
        state = make()
        rows = go_on(state, until=BEFORE)
        save_finetuning(state, folder / f"{name}.safetensors", {"rows": rows})
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    subprocess.run([sys.executable, __file__, str(folder)], env=environment, check=True)
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_run_goes_on_bit_for_bit(case: str, resumed: Path) -> None:
    state = CASES[case]()
    rows = go_on(state)
    assert len(rows) >= 5  # some before and some after the file; patience ends the first case
    path = resumed / f"{case}-end.safetensors"
    save_finetuning(state, resumed / f"{case}-whole.safetensors", {"rows": rows})
    assert checkpoint.read_extra(path, "fine-tuning")["rows"] == rows
    assert path.read_bytes() == (resumed / f"{case}-whole.safetensors").read_bytes()


def test_saving_changes_nothing(tmp_path: Path) -> None:
    looked, alone = with_sgd(), with_sgd()
    for number in (3, 9, None):
        go_on(looked, until=number)
        save_finetuning(looked, tmp_path / "a.safetensors")
    go_on(alone)
    for mine, other in zip(looked.network.parameters(), alone.network.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_new_state_can_be_saved(tmp_path: Path) -> None:
    state = with_sgd()
    save_finetuning(state, tmp_path / "a.safetensors", {"note": "begun"})
    again = load_finetuning(tmp_path / "a.safetensors")
    assert again.update == 0
    assert again.best is None
    assert again.patience == state.patience
    assert again.dropout == state.dropout
    assert checkpoint.read_extra(tmp_path / "a.safetensors", "fine-tuning") == {"note": "begun"}


# Networks


def outputs(network: Network) -> Tensor:
    return network.outputs(labelled())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    network = NETWORKS[kind]().to(dtype)
    randomise_(network, 7)
    save_network(network, tmp_path / "network.safetensors")
    again = load_network(tmp_path / "network.safetensors")
    assert type(again) is type(network)
    assert again.dtype == dtype
    assert torch.equal(outputs(again), outputs(network))
    if isinstance(network, Classifier):
        assert isinstance(again, Classifier)
        assert torch.equal(again.classes, network.classes)
    for data in (labelled(), labelled(20, seed=3)):
        assert finetuning.evaluate(again, data) == finetuning.evaluate(network, data)


@pytest.mark.parametrize("unit_type", UNIT_TYPES, ids=str)
@pytest.mark.parametrize("kind", ["classifier", "autoencoder"])
def test_units_of_all_types_come_back(unit_type: UnitType, kind: str, tmp_path: Path) -> None:
    name = unit_type.name
    rbms = stack(name, name, "gaussian-learned", sizes=(3, 4, 2))
    network = Classifier(rbms, [2, 5, 6]) if kind == "classifier" else Autoencoder(rbms)
    randomise_(network, 7)
    save_network(network, tmp_path / "network.safetensors")
    again = load_network(tmp_path / "network.safetensors")
    assert repr(again) == repr(network)
    trained = [p.requires_grad for p in network.parameters()]
    assert [p.requires_grad for p in again.parameters()] == trained
    v = torch.zeros(2, network.visible.n_columns).double()
    assert torch.equal(again(v), network(v))
    assert again.visible.config() == network.visible.config()


def test_an_empty_stack_comes_back(tmp_path: Path) -> None:
    network = Classifier([], [1, 4], Gaussian(N_COLUMNS))
    randomise_(network, 7)
    save_network(network, tmp_path / "network.safetensors")
    again = load_network(tmp_path / "network.safetensors")
    assert torch.equal(outputs(again), outputs(network))
    with pytest.raises(ValueError, match="classes that were not learnt: 0, 2; this classifier kno"):
        again.targets(labelled())


def test_the_same_network_is_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        save_network(of_classes(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# What is refused


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    model, network = tmp_path / "model.safetensors", tmp_path / "network.safetensors"
    save_model(binary_stack(3, 2)[0], model)
    save_network(of_classes(), network)
    with pytest.raises(
        ValueError, match="holds harmonium model, not a harmonium network; pass the"
    ):
        load_network(model)
    with pytest.raises(ValueError, match="holds harmonium network, not a harmonium fine-tuning"):
        load_finetuning(network)
    with pytest.raises(ValueError, match="holds harmonium network, not a harmonium model"):
        load_model(network)
    with pytest.raises(FileNotFoundError, match="there is no such network file"):
        load_network(tmp_path / "none.safetensors")
    network.write_bytes(network.read_bytes()[:-5])
    with pytest.raises(ValueError, match="is cut off or damaged, or is not a network file"):
        load_network(network)


def test_a_network_that_is_not_finite_is_not_written(tmp_path: Path) -> None:
    network, path = of_classes(), tmp_path / "network.safetensors"
    with torch.no_grad():
        network.all_layers[1].units.bias[2] = torch.nan
    with pytest.raises(
        FloatingPointError, match=r"layers\.1\.units\.bias holds values that are not"
    ):
        save_network(network, path)
    assert not path.exists()


def test_a_network_of_another_type_is_not_written(tmp_path: Path) -> None:
    network = of_classes()
    network.__class__ = type("Own", (Classifier,), {})
    with pytest.raises(TypeError, match="a file cannot keep a Own; known are Classifier, Regresso"):
        save_network(network, tmp_path / "network.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_schedule_that_is_not_known_asks_for_what_makes_it(tmp_path: Path) -> None:
    save_finetuning(with_adam(), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="learning-rate schedule is a MultiStepLR; pass schedule="):
        load_finetuning(tmp_path / "a.safetensors")


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    for name in CASES:
        path = folder / f"{name}.safetensors"
        state = load(path)
        assert state.update == BEFORE
        rows = checkpoint.read_extra(path, "fine-tuning")["rows"] + go_on(state)
        save_finetuning(state, folder / f"{name}-end.safetensors", {"rows": rows})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
