"""What a newcomer passes at the doors of the library: arguments of another type, and their errors.

What models, chains and training say is tested beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from harmonium import (
    RBM,
    AnnealingPath,
    CenteredGradient,
    Data,
    Minibatches,
    Monitor,
    Penalties,
    Purpose,
    Stream,
    TrainingState,
    checkpoint,
    classification,
    datasets,
    diagnostics,
    likelihood,
    recipes,
    sampling,
    save_model,
    units,
)
from harmonium.arguments import described
from harmonium.deep import (
    DBN,
    Classifier,
    Dropout,
    FinetuningState,
    LayerOptions,
    PretrainingState,
    UpDownState,
    features,
    finetuning,
    init_randomly_,
    pretraining,
    save_dbn,
    save_network,
    variational_bound,
)

ROWS = torch.rand(20, 6, generator=torch.Generator().manual_seed(0)).round()
DATA = Data("mine", ROWS)
LABELLED = Data("mine", ROWS, labels=torch.arange(20) % 2)


def rbm() -> RBM:
    return RBM(6, 4).init_from_data_(ROWS, seed=0)


def dbn() -> DBN:
    network = DBN.of(6, 4, 3)
    init_randomly_(network.stack)
    return network


def stream() -> Stream:
    return Stream(0, Purpose.LIKELIHOOD)


def classifier() -> Classifier:
    return Classifier(dbn().stack, range(2))


def tuned(**options: object) -> FinetuningState:
    return FinetuningState.create(classifier(), **options)  # type: ignore[arg-type]


PATH = "path is .*; pass AnnealingPath.adaptive"
ARRAY = r"{} is a numpy.ndarray of shape \(20, 6\) and dtype float32; pass a torch tensor: "

TYPES: dict[str, tuple[Callable[[], object], str]] = {
    # likelihood
    "exact": (
        lambda: likelihood.exact_log_likelihood(rbm(), ROWS.numpy()),
        ARRAY.format("visible"),
    ),
    "evaluate": (lambda: likelihood.evaluate(rbm(), ROWS.numpy(), ROWS), ARRAY.format("visible")),
    "pseudo": (
        lambda: likelihood.pseudo_log_likelihood(rbm(), ROWS.numpy(), stream()),
        ARRAY.format("visible"),
    ),
    "seed for stream": (
        lambda: likelihood.pseudo_log_likelihood(rbm(), ROWS, 0),
        "stream is 0; ",
    ),
    "dbn for rbm": (lambda: likelihood.exact_log_z(dbn()), r"rbm is .*; pass an RBM, .*dbn.top"),
    "file for rbm": (lambda: likelihood.exact_log_z("rbm.st"), "rbm is 'rbm.st'; pass an RBM"),
    "can be enumerated": (lambda: likelihood.can_be_enumerated(None), "rbm is None; pass an RBM"),
    "log z": (lambda: likelihood.log_likelihood(rbm(), ROWS, 3.0), "log_z is 3.0; pass a LogZ"),
    "ais": (lambda: likelihood.annealed_importance_sampling(rbm(), 10), PATH),
    "raise": (lambda: likelihood.raise_log_likelihood(rbm(), ROWS, 2), PATH),
    "temperatures": (
        lambda: AnnealingPath.adaptive(rbm(), DATA, "10", 0),
        "n_temperatures is '10'; pass a whole number, 2 or more",
    ),
    "bound": (lambda: variational_bound(rbm(), ROWS, None, stream()), "dbn is RBM.*; pass a DBN"),
    # looking
    "diagnose": (lambda: diagnostics.diagnose(rbm(), None), "train is None; pass a torch tensor"),
    "monitor": (
        lambda: Monitor(ROWS),
        r"train is a torch.Tensor .*; pass Data, such as",
    ),
    "classify": (lambda: classification.classify("x", ROWS), "rbm is 'x'; pass an RBM"),
    # training
    "penalties": (lambda: Penalties(l1="x"), "l1 is 'x'; pass 0 or a positive number"),
    "sparsity": (lambda: Penalties(sparsity_target="x", sparsity_cost=1), "sparsity_target is 'x'"),
    "offsets": (lambda: CenteredGradient("x"), "the offsets' rate is 'x'; pass a number"),
    "weights": (lambda: Minibatches(DATA, 5, [1.0] * 20), r"weights is .*; pass a torch tensor"),
    "layer options": (
        lambda: LayerOptions(1, schedule="linear"),
        "schedule is 'linear'; pass a function that makes it: training.linear_to_zero",
    ),
    "layer optimiser": (
        lambda: LayerOptions(1, optimizer="adam"),
        "optimizer is 'adam'; pass",
    ),
    "pretraining": (lambda: PretrainingState.create(dbn(), 5), r"options is 5; pass LayerOptions"),
    "pretraining data": (
        lambda: next(pretraining.run(PretrainingState.create(dbn(), LayerOptions(1)), ROWS)),
        "data is a torch.Tensor",
    ),
    "features": (lambda: features(dbn(), DATA), r"rbm is .*; pass an RBM, .*dbn.top"),
    "up-down": (
        lambda: UpDownState.create(dbn(), optimizer="adam"),
        "optimizer is 'adam'; pass",
    ),
    "stack": (
        lambda: Classifier(dbn(), range(2)),
        r"rbms is .*; pass a list of RBMs, such as",
    ),
    "classes": (
        lambda: Classifier(dbn().stack, 2),
        r"classes is 2; pass their numbers, such",
    ),
    "tuning optimiser": (
        lambda: tuned(optimizer="adam"),
        "optimizer is 'adam'; pass an optimizer object",
    ),
    "tuning schedule": (lambda: tuned(schedule="linear"), "schedule is 'linear'; pass a function"),
    "dropout": (lambda: tuned(dropout=0.5), r"dropout is 0.5; pass Dropout\("),
    "tuning run": (
        lambda: next(finetuning.run(classifier(), Minibatches(LABELLED, 5), 1)),
        r"state is .*; pass FinetuningState.create\(network\)",
    ),
    "rows of a network": (lambda: classifier()(ROWS.double()), "rows are torch.float64, but this"),
    # files
    "save model": (lambda: save_model("m.st", rbm()), "rbm is 'm.st'; pass an RBM"),
    "save state": (
        lambda: checkpoint.save("m.st", TrainingState.create(rbm())),
        "state is 'm.st'",
    ),
    "save dbn": (lambda: save_dbn("m.st", dbn()), "dbn is 'm.st'; pass a DBN"),
    "save network": (lambda: save_network(dbn(), "m.st"), "network is .*; pass a Classifier"),
    # data and units
    "data": (lambda: Data(ROWS, "mine"), r"name is a torch.Tensor of shape .*; pass Data"),
    "labels": (
        lambda: Data("mine", ROWS, labels=[0] * 20),
        "labels of mine are .*; pass a torch",
    ),
    "row numbers": (lambda: DATA.rows([0, 1]), r"index is \[0, 1\]; pass a tensor of row numbers"),
    "threshold": (lambda: DATA.binarize("x"), "threshold is 'x'; pass a number"),
    "some rows": (lambda: DATA.draw_rows("5"), "n is '5'; pass a whole number"),
    "held out": (lambda: DATA.split_randomly("x"), "held_out is 'x'; pass a share"),
    "config": (lambda: units.to_config(5), "units is 5; pass a layer"),
    "ladder": (lambda: sampling.TrajectoryTempering(rbm()), "models is RBM.*; pass a list of RBMs"),
    "tempering": (lambda: sampling.Tempering(sweeps="1"), "sweeps is '1'; pass a whole number"),
}


@pytest.mark.parametrize(("call", "message"), TYPES.values(), ids=TYPES)
def test_an_argument_of_another_type_is_refused_in_words(
    call: Callable[[], object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=f"^{message}"):
        call()
    assert not [*tmp_path.iterdir()]


def test_a_network_without_weights_is_not_fine_tuned() -> None:
    state = FinetuningState.create(Classifier(DBN.of(6, 4, 3).stack, range(2)))
    with pytest.raises(ValueError, match=r"^all 4 hidden units are alike: .*deep.init_randomly_$"):
        next(finetuning.updates(state, Minibatches(LABELLED, 5), 1))
    assert state.update == 0
    # an empty stack has no hidden units, and its last layer may start at zero
    logistic = Classifier([], range(2), units.Binary(6))
    next(finetuning.updates(FinetuningState.create(logistic), Minibatches(LABELLED, 5), 1))


def test_a_recipe_is_loaded_by_its_path_as_text(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[train]\n")
    assert recipes.load(str(tmp_path / "mine.toml")).name == "mine"


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    model, state = tmp_path / "m.safetensors", tmp_path / "s.safetensors"
    save_model(rbm(), model)
    checkpoint.save(TrainingState.create(rbm()), state)
    with pytest.raises(ValueError, match=r"model"):
        checkpoint.load(model)
    with pytest.raises(ValueError, match=r"checkpoint"):
        checkpoint.load_model(state)
    with pytest.raises(FileNotFoundError, match=r"no\.safetensors"):
        checkpoint.load_model(tmp_path / "no.safetensors")
    with pytest.raises(FileNotFoundError, match="did you mean 'digits'"):
        datasets.load("digts")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "3"),
        ("x", "'x'"),
        (None, "None"),
        (np.zeros((2, 3)), "a numpy.ndarray of shape (2, 3) and dtype float64"),
        (torch.zeros(2), "a torch.Tensor of shape (2,) and dtype torch.float32"),
        (np.float64(2.5), "2.5"),
        (Dropout, "the class Dropout"),
        ([0] * 100, "a list"),
        (object(), "an object"),
    ],
)
def test_values_are_described_in_few_words(value: object, words: str) -> None:
    assert described(value).replace("np.float64(2.5)", "2.5") == words
