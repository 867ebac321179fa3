"""The definition of every draw, in plain torch: slow, but for any device and dtype.

A row of n numbers takes q = ceil(n / 4) Philox counters; output word w of counter i is number w q +
i of the row. Counter word 0 is i, word 1 is the row, words 2 and 3 come from the stream.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from harmonium import ranks
from harmonium.kernels import counts, half_normal, threads
from harmonium.rng import Stream, Word

_MASK = 0xFFFFFFFF
_MULTIPLIER_0, _MULTIPLIER_1 = 0xD2511F53, 0xCD9E8D57
_WEYL_0, _WEYL_1 = 0x9E3779B9, 0xBB67AE85

# Intermediate numbers per block where memory has to be bounded: 8 MB of float64.
_NUMBERS_AT_ONCE = 2**20


def philox(
    c0: Tensor, c1: Tensor, c2: Tensor, c3: Tensor, key_0: int, key_1: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Philox4x32-10 of counters held in int64 tensors (values below 2**32)."""
    for _ in range(10):
        # int64 products wrap around, which keeps all 64 bits; the mask undoes the sign extension
        product_0, product_1 = c0 * _MULTIPLIER_0, c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (
            ((product_1 >> 32) & _MASK) ^ c1 ^ key_0,
            product_1 & _MASK,
            ((product_0 >> 32) & _MASK) ^ c3 ^ key_1,
            product_0 & _MASK,
        )
        key_0, key_1 = (key_0 + _WEYL_0) & _MASK, (key_1 + _WEYL_1) & _MASK
    return c0, c1, c2, c3


def _row_words(rows: int, columns: int, stream: Stream, device: torch.device) -> Tensor:
    """Words in [0, 2**32) as int64, shape (rows, 4, q)."""
    return _block(rows, -(-columns // 4), stream.take(), device)


def _block(
    rows: int, q: int, taken: tuple[int, int, Word, Word], device: torch.device, number: int = 0
) -> Tensor:
    """Words of a draw from counter q ``number`` on: more of them where one block is too few."""
    key_0, key_1, c2, c3 = taken
    shape = (rows, q)
    first = 0
    if isinstance(c3, int):  # a word on a device belongs to a recorded update, of all rows
        first, c3 = c3 >> 32, c3 & _MASK
    c0 = (torch.arange(q, device=device) + q * number).expand(shape)
    c1 = torch.arange(first, first + rows, device=device).unsqueeze(1).expand(shape)
    # words on a device stay there: reading them would synchronise
    c2, c3 = (
        c.expand(shape) if isinstance(c, Tensor) else torch.full_like(c0, c) for c in (c2, c3)
    )
    return torch.stack(philox(c0, c1, c2, c3, key_0, key_1), dim=1)


def words(rows: int, columns: int, stream: Stream, device: torch.device) -> Tensor:
    """One draw of random words in [0, 2**32) as int64, shape (rows, columns)."""
    return _row_words(rows, columns, stream, device).flatten(1)[:, :columns]


def uniforms(shape: tuple[int, int], stream: Stream, like: Tensor) -> Tensor:
    """(k + 1/2) / 2**23 for the 23 high bits k of each word: exact in float32, never 0 or 1."""
    k = words(*shape, stream, like.device) >> 9
    return k.to(like.dtype) * 2.0**-23 + 2.0**-24


def _uniforms_like(states: Tensor, stream: Stream) -> Tensor:
    rows, columns = states.shape
    return uniforms((rows, columns), stream, states)


@torch.no_grad()
def uniform_(out: Tensor, stream: Stream) -> None:
    """Fill ``out`` with uniform numbers in (0, 1)."""
    out.copy_(_uniforms_like(out, stream))


@torch.no_grad()
def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(inputs + bias), else 0."""
    inputs.copy_(_uniforms_like(inputs, stream) < torch.sigmoid(inputs + bias))


@torch.no_grad()
def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(2 (inputs + bias)), else -1."""
    up = _uniforms_like(inputs, stream) < torch.sigmoid(2 * (inputs + bias))
    inputs.copy_(up).mul_(2).sub_(1)


def _unit_words(rows: int, columns: int, stream: Stream, device: torch.device) -> Tensor:
    """(w + 1/2) / 2**32 for each word w, in float64."""
    return (words(rows, columns, stream, device).double() + 0.5) * 2.0**-32


@torch.no_grad()
def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Box-Muller in float64 on all 32 bits; words 0, 1 and words 2, 3 of a counter are a pair."""
    rows, columns = inputs.shape
    u = (_row_words(rows, columns, stream, inputs.device).double() + 0.5) * 2.0**-32
    radius = torch.sqrt(-2 * torch.log(u[:, 0::2]))
    angle = (2 * math.pi) * u[:, 1::2]
    pairs = torch.stack((radius * torch.cos(angle), radius * torch.sin(angle)), dim=2)
    noise = pairs.flatten(1)[:, :columns].to(inputs.dtype)
    inputs.add_(bias).div_(precision).add_(noise * precision.rsqrt())


@torch.no_grad()
def relu_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision, given that they are positive."""
    rows, columns = inputs.shape
    spread = precision.double().rsqrt()
    t = (inputs.double() + bias) * spread
    u = _unit_words(rows, columns, stream, inputs.device)
    inputs.copy_(half_normal.draw(t, u) * spread)


@torch.no_grad()
def drelu_(
    inputs: Tensor,
    bias: Tensor,
    precision: Tensor,
    bias_below: Tensor,
    precision_below: Tensor,
    stream: Stream,
) -> None:
    """The side by the first half of a row's numbers, the distance from zero by the other half."""
    rows, columns = inputs.shape
    u = _unit_words(rows, 2 * columns, stream, inputs.device)
    (above, spread), (below, spread_below) = half_normal.sides(
        inputs.double(), bias, precision.double(), bias_below, precision_below.double()
    )
    log_odds = half_normal.log_mass(above, spread) - half_normal.log_mass(below, spread_below)
    is_above = u[:, :columns] < torch.sigmoid(log_odds)
    size = half_normal.draw(torch.where(is_above, above, below), u[:, columns:])
    inputs.copy_(torch.where(is_above, size * spread, -size * spread_below))


def relu_moments(inputs: Tensor, bias: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the state and of ``precision x^2``, with gradients."""
    spread = precision.rsqrt()
    mean, var = half_normal.moments((inputs + bias) * spread)
    return mean * spread, mean.square() + var


def drelu_moments(
    inputs: Tensor, bias: Tensor, precision: Tensor, bias_below: Tensor, precision_below: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means of the state, of ``precision x^2`` above and below zero, and of |x|; with gradients."""
    (up, spread), (down, spread_below) = half_normal.sides(
        inputs, bias, precision, bias_below, precision_below
    )
    log_odds = half_normal.log_mass(up, spread) - half_normal.log_mass(down, spread_below)
    p, q = torch.sigmoid(log_odds), torch.sigmoid(-log_odds)
    (mean, var), (mean_below, var_below) = half_normal.moments(up), half_normal.moments(down)
    above, below = p * (mean.square() + var), q * (mean_below.square() + var_below)
    mean, mean_below = p * mean * spread, q * mean_below * spread_below
    return mean - mean_below, above, below, mean + mean_below


@torch.no_grad()
def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> None:
    """The first category whose cumulative weight exceeds the uniform number times the total."""
    rows, columns = inputs.shape
    n_units = columns // n_categories
    logits = (inputs + bias).reshape(rows, n_units, n_categories)
    weights = torch.exp(logits - logits.amax(-1, keepdim=True))
    cumulative = weights.cumsum(-1)
    u = uniforms((rows, n_units), stream, inputs).unsqueeze(-1)
    category = (u * cumulative[..., -1:] >= cumulative).sum(-1).clamp_max(n_categories - 1)
    inputs.zero_().view(rows, n_units, n_categories).scatter_(-1, category.unsqueeze(-1), 1)


@torch.no_grad()
def binomial_(inputs: Tensor, bias: Tensor, trials: Tensor, stream: Stream) -> None:
    """Successes of ``trials``, each with probability sigmoid(inputs + bias)."""
    x = inputs.double() + bias
    inputs.copy_(counts.binomial(x, trials.double(), _blocks_like(inputs, stream)))


@torch.no_grad()
def poisson_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """Counts of mean exp(inputs + bias)."""
    inputs.copy_(counts.poisson(inputs.double() + bias, _blocks_like(inputs, stream)))


def _blocks_like(states: Tensor, stream: Stream) -> counts.Blocks:
    """Blocks of uniform numbers, float64, shaped as the states: as many as are asked for."""
    (rows, columns), taken = states.shape, stream.take()

    def block(number: int) -> Tensor:
        words = _block(rows, -(-columns // 4), taken, states.device, number)
        return (words.flatten(1)[:, :columns].double() + 0.5) * 2.0**-32

    return block


@torch.no_grad()
def reweigh_binary_(
    inputs: Tensor,
    before: tuple[float, Tensor],
    now: tuple[float, Tensor],
    log_weights: Tensor,
    stream: Stream | None,
) -> None:
    """Two sums of log(1 + exp) in float64; the caller makes the draw, with `binary_`."""
    x = inputs.double()
    for (scale, bias), sign in ((now, 1), (before, -1)):
        log_weights.add_(functional.softplus(scale * x + bias, threshold=40).sum(1), alpha=sign)


@torch.no_grad()
def log_sums_of_products(
    log_weights: Tensor, low: Tensor, mid: Tensor, high: Tensor, ends: Tensor, groups: Tensor
) -> Tensor:
    """Process some rows at a time, with one logarithm per group of units."""
    n_terms, n_states = low.shape
    lengths, at = ends.diff(), groups.tolist()
    unit_of_term = torch.arange(len(lengths), device=low.device).repeat_interleave(
        lengths.to(low.device), output_size=n_terms
    )
    sums = []
    rows_at_once = max(1, _NUMBERS_AT_ONCE // max(1, n_terms * n_states))
    for some, log_p in zip(mid.split(rows_at_once), log_weights.split(rows_at_once), strict=True):
        terms = (some * high).unsqueeze(2) * low
        units = terms.new_ones(len(some), len(lengths), n_states)
        units.index_add_(1, unit_of_term, terms)
        products = [units[:, first:last].prod(1).log() for first, last in pairwise(at)]
        sums.append(sum(products, log_p).logsumexp(1))
    return torch.cat(sums)


@torch.no_grad()
def softplus_sums(inputs: Tensor, offsets: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Process one offset at a time, so that memory is limited to that of the inputs."""
    # above the threshold log(1 + exp(x)) = x to the last bit of float64
    sums = [
        functional.softplus(inputs + offset, threshold=40).sum(1, dtype=dtype) for offset in offsets
    ]
    return torch.stack(sums, 1)


@torch.no_grad()
def softplus_gradient(inputs: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Process one offset at a time."""
    by_inputs, by_offsets = torch.zeros_like(inputs), torch.empty_like(offsets)
    for k, offset in enumerate(offsets):
        mean = torch.sigmoid(inputs + offset)
        by_offsets[k] = mean.T @ weights[:, k]
        by_inputs.addcmul_(mean, weights[:, k : k + 1])
    return by_inputs, by_offsets


@torch.no_grad()
def product(states: Tensor, weights: Tensor, out: Tensor, n_categories: int | None = None) -> None:
    """``states @ weights``, whatever the states are."""
    threads.mm(states, weights, out=out)


@torch.no_grad()
def moments_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    scale: float,
    n_categories: int | None = None,
) -> None:
    """Two products; a single one would need both phases side by side in memory.

    Each rank makes some lines of the result, if they are then as in one process.
    """
    lines = ranks.lines(len(out), out.numel() * (len(data[0]) + len(chains[0])))
    if len(lines) > 1:
        own = lines[ranks.rank()]
        key = ("moments", out.shape, out.dtype, out.device, len(data[0]), len(chains[0]))
        if ranks.rounds_alike(key, lambda: _are_alike(out, data, chains, own)):
            _add_moments_(out[own], own, data, chains, scale)
            ranks.gather_((out, lines))
            return
    _add_moments_(out, slice(None), data, chains, scale)


def _add_moments_(
    out: Tensor,
    lines: slice,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    scale: float,
) -> None:
    (v, h), (v_other, h_other) = data, chains
    threads.addmm_(out, v[:, lines].T, h, beta=0, alpha=-scale / len(v))
    threads.addmm_(out, v_other[:, lines].T, h_other, alpha=scale / len(v_other))


def _are_alike(
    out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor], own: slice
) -> bool:
    """Whether products of some lines round as those of all."""
    whole, part = torch.empty_like(out), torch.empty_like(out[own])
    _add_moments_(whole, slice(None), data, chains, 1.0)
    _add_moments_(part, own, data, chains, 1.0)
    return torch.equal(whole[own], part)


@torch.no_grad()
def centred_gradient_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
    rate: float,
    scale: float,
    n_categories: int | None = None,
) -> None:
    """The plain gradient, two outer products as one product of rank 2, then both biases."""
    for of_data, of_chains, bias, offset in zip(data, chains, biases, offsets, strict=True):
        mean = of_data.mean(0)
        torch.sub(of_chains.mean(0), mean, out=bias).mul_(scale)
        offset.lerp_(mean, rate)
    moments_(out, data, chains, scale)
    (a, b), (mu, lam) = biases, offsets
    out.addmm_(torch.stack((mu, a), 1), torch.stack((b, lam)), alpha=-1)
    a.addmv_(out, lam, alpha=-1)
    b.addmv_(out.T, mu, alpha=-1)


def neighbours(values: Tensor, needs: Tensor, ignored: int | None) -> Tensor:
    """For each row, the number of other rows that equal it in at least ``needs`` columns."""
    counts = torch.zeros_like(needs)
    step = max(1, _NUMBERS_AT_ONCE // max(1, values.numel()))
    for start in range(0, len(values), step):
        block = values[start : start + step, None]
        equal = block == values
        if ignored is not None:
            equal &= block != ignored
        near = equal.sum(2) >= needs[start : start + step, None]
        near[torch.arange(len(near)), torch.arange(start, start + len(near))] = False
        counts[start : start + step] = near.sum(1)
    return counts
