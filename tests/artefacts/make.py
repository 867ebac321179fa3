"""Made the files beside it: what a model and a checkpoint of format 1 look like.

They are not to be made again. A new format gets files of its own, and these must still load.
"""

from __future__ import annotations

from pathlib import Path

import torch

from harmonium import (
    RBM,
    Binary,
    Gaussian,
    Gibbs,
    Penalties,
    TrainingState,
    checkpoint,
    save_model,
    training,
)

FOLDER = Path(__file__).parent


def model() -> RBM:
    """A model whose parameters can be written down."""
    rbm = RBM(Gaussian(3, precision=2.0, learn_precision=True), Binary(2))
    with torch.no_grad():
        rbm.weights.copy_(torch.arange(6).reshape(3, 2) / 8)
        rbm.visible.bias.copy_(torch.tensor([0.5, -0.25, 0.125]))
        rbm.hidden.bias.copy_(torch.tensor([-1.0, 1.0]))
    return rbm


def state() -> TrainingState:
    """A run with everything that a checkpoint can hold."""
    return TrainingState.create(
        model(),
        sampler=Gibbs(sweeps=2),
        n_chains=4,
        learning_rate=0.01,
        momentum=0.5,
        schedule=lambda optimizer: training.linear_to_zero(optimizer, 10),
        penalties=Penalties(l1=0.001, l2=0.002, sparsity_target=0.1, sparsity_cost=0.01),
        average_decay=0.9,
        seed=7,
    )


def batch(update: int) -> torch.Tensor:
    """Rows to learn from, another each update."""
    return torch.linspace(-1, 1, 15).reshape(5, 3).roll(update, 0)


if __name__ == "__main__":
    save_model(model(), FOLDER / "model-format-1.safetensors")
    run = state()
    for update in range(3):
        training.update(run, batch(update))
    checkpoint.save(run, FOLDER / "checkpoint-format-1.safetensors", {"note": "format 1"})
