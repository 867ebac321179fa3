"""Others' updates of a categorical RBM (Potts-Bernoulli): PCD with as many chains as rows a batch.

Each returns a function that makes some updates and says how many; see `benchmarks/proteins.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harmonium.benchmark.peers import Turn
from harmonium.benchmark.peers.base import shuffled
from other_packages.jax_scan import _as_many_cores, _import_jax, _to_jax

RATE = 0.01


@dataclass(frozen=True)
class Family:
    """What all start from: letters of the rows, shape (n, sites), and a model."""

    letters: Tensor
    q: int
    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    batch_size: int
    sweeps: int

    @property
    def chains(self) -> Tensor:
        """Letters of the rows where the chains start."""
        return self.letters[: self.batch_size]

    def one_hot(self, letters: Tensor) -> Tensor:
        """Rows of q columns for each site, float32."""
        return functional.one_hot(letters.long(), self.q).flatten(1).float()


def torch_loop(family: Family) -> Turn:
    """A loop by hand: plain gradient, buffers kept, inverse distribution functions."""
    n, q = family.batch_size, family.q
    weights = family.weights.clone()
    a, b = family.visible_bias.clone(), family.hidden_bias.clone()
    rows = family.one_hot(family.letters[:1]).new_empty(n, len(a))
    h_data, h = (weights.new_empty(n, len(b)) for _ in range(2))
    inputs = torch.empty_like(rows)
    v = family.one_hot(family.chains)
    h_model = torch.addmm(b, v, weights).sigmoid_()
    uniforms, by_site = weights.new_empty(n, len(a) // q, 1), (n, len(a) // q, q)
    batches = shuffled(len(family.letters), n)

    def update() -> int:
        letters = family.letters[next(batches)].long().unsqueeze(-1)
        v_data = rows.zero_()
        v_data.view(by_site).scatter_(-1, letters, 1)
        torch.addmm(b, v_data, weights, out=h_data).sigmoid_()
        for _ in range(family.sweeps):
            torch.lt(torch.rand_like(h), h_model, out=h)
            torch.addmm(a, h, weights.T, out=inputs)
            chances = torch.softmax(inputs.view(by_site), -1).cumsum_(-1)
            drawn = (uniforms.uniform_() >= chances).sum(-1, keepdim=True).clamp_max_(q - 1)
            v.zero_().view(by_site).scatter_(-1, drawn, 1)
            torch.addmm(b, v, weights, out=h_model).sigmoid_()
        weights.addmm_(v_data.T, h_data, alpha=RATE / n).addmm_(v.T, h_model, alpha=-RATE / n)
        a.add_(v_data.mean(0).sub_(v.mean(0)), alpha=RATE)
        b.add_(h_data.mean(0).sub_(h_model.mean(0)), alpha=RATE)
        return 1

    return update


def jax_loop(family: Family) -> Turn:
    """A jitted update, parameters donated, inverse distribution functions."""
    jax = _import_jax()
    q, n_sites, n = family.q, family.letters.shape[1], family.batch_size

    def draw(key: Any, inputs: Any) -> Any:
        chances = jax.numpy.cumsum(jax.nn.softmax(inputs.reshape(n, n_sites, q)), -1)
        u = jax.random.uniform(key, (n, n_sites, 1))
        drawn = jax.numpy.minimum((u >= chances).sum(-1), q - 1)
        return jax.nn.one_hot(drawn, q).reshape(n, n_sites * q)

    @functools.partial(jax.jit, donate_argnums=0)
    def learn(state: Any, rows: Any) -> Any:
        weights, a, b, h_model, key = state
        key, *keys = jax.random.split(key, 2 * family.sweeps + 1)
        v_data = jax.nn.one_hot(rows, q).reshape(n, n_sites * q)
        h_data = jax.nn.sigmoid(v_data @ weights + b)
        for sweep in range(family.sweeps):
            h = jax.random.bernoulli(keys[2 * sweep], h_model).astype(weights.dtype)
            v = draw(keys[2 * sweep + 1], h @ weights.T + a)
            h_model = jax.nn.sigmoid(v @ weights + b)
        weights = weights + RATE / n * (v_data.T @ h_data - v.T @ h_model)
        a = a + RATE * (v_data - v).mean(0)
        b = b + RATE * (h_data - h_model).mean(0)
        return weights, a, b, h_model, key

    weights, a, b, v = _to_jax(
        jax,
        family.weights,
        family.visible_bias,
        family.hidden_bias,
        family.one_hot(family.chains),
    )
    state = (weights, a, b, jax.nn.sigmoid(v @ weights + b), jax.random.key(0))
    batches = shuffled(len(family.letters), n)

    def update() -> int:
        nonlocal state
        with _as_many_cores():
            state = jax.block_until_ready(learn(state, family.letters[next(batches)].numpy()))
        return 1

    return update


def rbms(family: Family) -> Turn:
    """The body of `rbms.training.pcd.train`, without the file that it rewrites every update."""
    from rbms.potts_bernoulli.classes import PBRBM
    from rbms.training.pcd import fit_batch_pcd

    n, shape = family.batch_size, (family.letters.shape[1], family.q)
    model = PBRBM(
        family.weights.clone().view(*shape, -1),
        family.visible_bias.clone().view(shape),
        family.hidden_bias.clone(),
    )
    model.init_grad()
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, maximize=True)
    states, ones = family.letters.float(), torch.ones(n)
    chains = model.init_chains(n, start_v=states[:n])
    batches = shuffled(len(states), n)

    @torch.no_grad()
    def update() -> int:
        nonlocal chains
        optimizer.zero_grad(set_to_none=False)
        batch = states[next(batches)], ones
        chains, _ = fit_batch_pcd(batch, chains, model, gibbs_steps=family.sweeps, beta=1.0)
        optimizer.step()
        return 1

    return update


def annadca(family: Family) -> Turn:
    """The body of the loop of `annadca train`, with one label for all, on rows encoded before."""
    from annadca.rbm.categorical.classes import annaRBMcat
    from annadca.train import pcd

    n, shape = family.batch_size, (family.letters.shape[1], family.q)
    model = annaRBMcat()
    model.init_parameters(
        num_visibles=shape[0],
        num_hiddens=len(family.hidden_bias),
        num_labels=1,
        num_states=shape[1],
    )
    given = family.weights.view(*shape, -1), family.visible_bias.view(shape), family.hidden_bias
    for name, value in zip(("weight_matrix", "vbias", "hbias"), given, strict=True):
        model.params[name].copy_(value)
    for value in model.params.values():
        value.grad = torch.zeros_like(value)
    optimizer = torch.optim.SGD(model.params.values(), lr=RATE, maximize=True)
    chains = model.init_chains(num_samples=n)
    batches = shuffled(len(family.letters), n)
    weight, label = torch.ones(n, 1), torch.ones(n, 1)

    @torch.no_grad()
    def update() -> int:
        nonlocal chains
        rows = family.one_hot(family.letters[next(batches)]).view(n, *shape)
        optimizer.zero_grad(set_to_none=False)
        batch = {"visible": rows, "label": label, "weight": weight}
        chains = pcd(rbm=model, data_batch=batch, chains=chains, gibbs_steps=family.sweeps)
        optimizer.step()
        model.zerosum_gauge()
        return 1

    return update


def products(family: Family) -> Turn:
    """The matrix products of any dense implementation, into memory that is there."""
    weights, v = family.weights, family.one_hot(family.chains)
    h = torch.rand(len(v), weights.shape[1]).round_()
    to_v, to_h, gradient = (torch.empty_like(x) for x in (v, h, weights))

    def update() -> int:
        torch.mm(v, weights, out=to_h)
        for _ in range(family.sweeps):
            torch.mm(h, weights.T, out=to_v)
            torch.mm(v, weights, out=to_h)
        torch.mm(v.T, h, out=gradient).addmm_(v.T, h, alpha=-1)
        return 1

    return update


PEERS: dict[str, Callable[[Family], Turn]] = {
    "products": products,
    "torch loop": torch_loop,
    "jax": jax_loop,
    "rbms": rbms,
    "annadca": annadca,
}
"""By name; those whose package is missing raise an ImportError when they are made."""
