"""Parallel tempering: all levels keep their distributions, and broken exchanges are noticed."""

from __future__ import annotations

import pytest
import torch

import oracle
from harmonium import RBM, sampling
from harmonium.sampling import ChainState, Path, Tempering
from ladders import exact_replicas, p_values, straight, stream
from test_no_drift import LEAST_P, every_pair, small_model
from unit_types import array

N_CHAINS = 20_000
BETAS = (0.0, 0.3, 0.55, 0.8, 1.0)


def base_of(rbm: RBM, seed: int = 9) -> RBM:
    """Independent units that differ from the model's in every parameter."""
    base = sampling.independent_units(rbm)
    generator = torch.Generator().manual_seed(seed)
    for layer in (base.visible, base.hidden):
        for parameter in layer.parameters():
            change = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) - 0.5
            parameter.add_(change.to(parameter))
    return base


def twin_of(rbm: RBM, model: oracle.Model, base: RBM) -> oracle.Model:
    """The base in the oracle."""

    def layer(units: torch.nn.Module, like: oracle.Layer) -> oracle.Layer:
        precision = None if like.precision is None else array(units.precision)
        return oracle.Layer(array(units.bias), like.unit_states, precision)

    return oracle.Model(
        layer(base.visible, model.visible), layer(base.hidden, model.hidden), 0 * model.weights
    )


def tempered(
    rbm: RBM, model: oracle.Model, betas: tuple[float, ...] = BETAS
) -> tuple[ChainState, list[oracle.Joint]]:
    """Replicas that follow their levels exactly."""
    base = base_of(rbm)
    joints = [oracle.Joint(straight(twin_of(rbm, model, base), model, beta)) for beta in betas]
    path = Path(torch.tensor(betas, dtype=torch.float64), base.visible, base.hidden)
    return exact_replicas(rbm, joints, N_CHAINS, path), joints


def least_p(rbm: RBM, model: oracle.Model, sweeps: int = 3) -> float:
    """How probable it is that replicas that follow their levels still do after some sweeps."""
    chains, joints = tempered(rbm, model)
    Tempering(sweeps=sweeps)(rbm, chains, stream())
    return min(p_values(chains, joints))


@every_pair
@pytest.mark.parametrize("sweeps", [1, 2, 11])
def test_no_level_drifts(visible: str, hidden: str, sweeps: int, device: torch.device) -> None:
    rbm, model = small_model(visible, hidden, device=device)
    assert least_p(rbm, model, sweeps) > LEAST_P


@every_pair
def test_no_level_drifts_in_float32(visible: str, hidden: str, device: torch.device) -> None:
    rbm, model = small_model(visible, hidden, torch.float32, device)
    assert least_p(rbm, model, 5) > LEAST_P
