"""How probable documents are: log Z of each length, and perplexity as an interval.

log Z(D), of documents of D words, is the log of sum_h exp(D f(h)), where f(h) = a h + log sum_k
exp(b_k + W_k h). It is exact for few hidden units. Else, chains are annealed over the length: from
the exact distribution of one-word documents, a word at a time, with a Gibbs sweep at each length.

References
----------
.. [1] R. Salakhutdinov and G. Hinton (2009), "Replicated softmax: an undirected topic model",
   NIPS 22, section 4.
.. [2] Y. Burda, R. B. Grosse and R. Salakhutdinov (2015), "Accurate and conservative estimates of
   MRF log-likelihood using reverse annealing", AISTATS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_type
from harmonium.likelihood import Computation, LogZ
from harmonium.likelihood.log_z import FEWEST_EFFECTIVE_CHAINS
from harmonium.rng import Lane, Stream
from harmonium.topics.documents import Documents
from harmonium.topics.model import ReplicatedSoftmax

MOST_TERMS = 2**27
"""Most hidden states times words that `exact_log_z` adds up."""

# Chains move at all lengths up to this, then at lengths that grow by a fiftieth.
_DENSE, _GROWTH = 50, 50


@dataclass(frozen=True, eq=False)
class LogZByLength:
    """Log Z of documents of several lengths, from both sides.

    Attributes
    ----------
    lengths
        Words of a document, rising, int64 of shape (n,).
    below, above
        Estimates that err below and above, on average; one and the same if they are exact.
    """

    lengths: Tensor
    below: tuple[LogZ, ...]
    above: tuple[LogZ, ...]

    @property
    def is_exact(self) -> bool:
        """Whether all values are exact."""
        return all(of.errs == "exact" for of in self.below)

    def at(self, length: int) -> tuple[LogZ, LogZ]:
        """The estimates below and above of one length.

        Raises
        ------
        KeyError
            If it is none of the lengths.
        """
        found = (self.lengths == length).nonzero()
        if not len(found):
            raise KeyError(f"log Z is not known of {length} words; known are {self.lengths}")
        index = int(found[0])
        return self.below[index], self.above[index]


@torch.no_grad()
def exact_log_z(model: ReplicatedSoftmax, lengths: Tensor) -> LogZByLength:
    """Log Z of documents of these lengths, by the sum over all hidden states.

    Parameters
    ----------
    model
        With at most `MOST_TERMS` hidden states times words.
    lengths
        Words of a document, whole numbers of shape (n,).

    Raises
    ------
    ValueError
        If the model is too large.
    """
    lengths = _checked(model, lengths)
    if not can_be_enumerated(model):
        raise ValueError(
            f"{model.n_hidden} hidden units and {model.n_words:,} words are too many to add up; "
            "take `annealed_log_z`"
        )
    wide = _in_float64(model)
    n_states = 2**model.n_hidden
    exponents = torch.arange(model.n_hidden, device=model.weights.device)
    f = torch.cat(
        [
            wide.log_softmax_sum((states.unsqueeze(1) >> exponents & 1).double())
            for states in torch.arange(n_states, device=model.weights.device).split(2**12)
        ]
    )
    values = [LogZ.exact((length * f).logsumexp(0).item()) for length in lengths.tolist()]
    return LogZByLength(lengths, tuple(values), tuple(values))


def can_be_enumerated(model: ReplicatedSoftmax) -> bool:
    """Whether `exact_log_z` can add up all hidden states."""
    return model.n_hidden < 62 and 2**model.n_hidden * model.n_words <= MOST_TERMS


def annealed_log_z(
    model: ReplicatedSoftmax,
    lengths: Tensor,
    n_chains: int = defaults.TOPIC_CHAINS,
    sweeps: int = 1,
    seed: int = defaults.SEED,
) -> Computation[LogZByLength]:
    """Estimate log Z of documents of these lengths from both sides, by annealing over the length.

    Upwards, chains start at exact samples of one-word documents, whose log Z is exact, and their
    weights estimate each Z(D) without bias, so that log Z errs below. Downwards, chains start where
    those going up have ended; the weights from each length down to one word estimate 1 / Z(D), so
    that log Z errs above, as far as the chains at that length are samples of the model [2]_.

    Parameters
    ----------
    model
        The model.
    lengths
        Words of a document, whole numbers of shape (n,).
    n_chains
        Chains in each direction, 2 or more.
    sweeps
        Gibbs sweeps at each length; more of them make the weights more even.
    seed
        Seed of the chains.

    Returns
    -------
    Computation
        Iterate over it, or ask for its ``result()``. A step is a length.
    """
    lengths = _checked(model, lengths)
    check_count("n_chains", n_chains, 2)
    check_count("sweeps", sweeps)
    path = _path(lengths)
    return Computation(2 * len(path), _anneal(model, lengths, path, n_chains, sweeps, seed))


def _path(lengths: Tensor) -> list[int]:
    """The lengths at which chains move: those asked for, and some in between."""
    most, visited, length = int(lengths.max()), set(lengths.tolist()), 1
    while length < most:
        visited.add(length)
        length += max(1, length // _GROWTH) if length >= _DENSE else 1
    return sorted(visited | {1})


@torch.no_grad()
def _anneal(
    model: ReplicatedSoftmax,
    lengths: Tensor,
    path: list[int],
    n_chains: int,
    sweeps: int,
    seed: int,
) -> Generator[int, None, LogZByLength]:
    upwards, downwards = (lane.stream(seed) for lane in (Lane.LENGTHS, Lane.LENGTHS_BACK))
    words, log_z_of_one = _one_word(model, n_chains, upwards)
    chains = _Chains(model, words, upwards)
    weights = torch.full((n_chains,), log_z_of_one, dtype=torch.float64)
    found, done = {1: weights}, 1
    for before, now in pairwise(path):
        weights = weights + (now - before) * chains.log_sums()
        found[now] = weights
        chains.move_(now, sweeps)
        done += 1
        yield done
    # those that went up have the weights that they have: chains start in proportion to them
    chains.resample_(weights, downwards)
    chains.stream = downwards
    chains.move_(path[-1], max(sweeps, _DENSE))
    total = torch.zeros(n_chains, dtype=torch.float64)
    passed = {path[-1]: total}
    for before, now in pairwise(reversed(path)):
        total = total + (now - before) * chains.log_sums()
        passed[now] = total
        chains.move_(now, sweeps)
        done += 1
        yield done
    below, above = [], []
    for length in lengths.tolist():
        if length == 1:
            below.append(LogZ.exact(log_z_of_one))
            above.append(LogZ.exact(log_z_of_one))
            continue
        below.append(LogZ.from_log_weights(found[length], "below"))
        back = passed[1] - passed[length] - log_z_of_one
        above.append(LogZ.from_log_weights(back, "above"))
    return LogZByLength(lengths, tuple(below), tuple(above))


def _one_word(model: ReplicatedSoftmax, n: int, stream: Stream) -> tuple[Tensor, float]:
    """Exact draws of documents of one word, hidden units summed out, and their log Z."""
    inputs = model.weights.double() + model.hidden_bias.double()
    logits = model.word_bias.double() + functional.softplus(inputs, threshold=40).sum(-1)
    ends = torch.arange(n + 1, device=logits.device)
    rows = logits.expand(n, -1).clone()
    words, log_sums = kernels.draw_words(rows, torch.zeros_like(logits), ends, stream)
    return words, log_sums[0].item()


class _Chains:
    """Hidden states of chains that are annealed over the length."""

    def __init__(self, model: ReplicatedSoftmax, words: Tensor, stream: Stream) -> None:
        self.model, self.stream = model, stream
        self.hidden = self._draw(torch.arange(len(words) + 1, device=words.device), words)

    def log_sums(self) -> Tensor:
        """What a further word multiplies each chain's weight by, as a logarithm, on the CPU."""
        return self.model.log_softmax_sum(self.hidden).cpu()

    def move_(self, length: int, sweeps: int) -> None:
        """Gibbs sweeps h -> v -> h at this length."""
        ends = torch.arange(len(self.hidden) + 1, device=self.hidden.device) * length
        for _ in range(sweeps):
            words, _ = self.model.sample_words(self.hidden, ends, self.stream)
            self.hidden = self._draw(ends, words)

    def resample_(self, log_weights: Tensor, stream: Stream) -> None:
        """Take chains in proportion to their weights (systematic resampling)."""
        n = len(log_weights)
        start = kernels.uniform((1, 1), stream, dtype=torch.float64)
        at = (torch.arange(n, dtype=torch.float64) + start[0]) / n
        sums = (log_weights - log_weights.max()).exp().cumsum(0)
        index = torch.searchsorted(sums / sums[-1], at).clamp_max(n - 1)
        self.hidden = self.hidden[index.to(self.hidden.device)]

    def _draw(self, ends: Tensor, words: Tensor) -> Tensor:
        model = self.model
        inputs = kernels.document_inputs(
            ends, words, torch.ones_like(words), model.weights.detach(), model.hidden_bias.detach()
        )
        return kernels.binary_(inputs, torch.zeros_like(model.hidden_bias.detach()), self.stream)


@dataclass(frozen=True, eq=False)
class Perplexity:
    """Perplexity of documents, as an interval.

    It is exp(-1/N sum_n 1/D_n log p(v_n)) over N documents of D_n words [1]_, where p(v_n) is the
    probability of the words in their order. Every document counts alike.

    Attributes
    ----------
    lower, upper
        The ends of the interval, from log Z below and above, or the reverse within their noise.
    lower_std_error, upper_std_error
        Standard errors of the ends, from the chains.
    documents_std_error
        Standard error for other documents of the same kind.
    n_documents, n_words
        Documents, and their words.
    log_likelihood
        Mean log-likelihood of a document, nats, in the middle of the interval.
    log_z
        Log Z by length.
    reasons
        Why the interval must not be trusted; empty if it can be.
    """

    lower: float
    upper: float
    lower_std_error: float
    upper_std_error: float
    documents_std_error: float
    n_documents: int
    n_words: int
    log_likelihood: float
    log_z: LogZByLength
    reasons: tuple[str, ...] = ()

    @property
    def is_exact(self) -> bool:
        """Whether the value is exact."""
        return self.log_z.is_exact

    def __str__(self) -> str:
        if self.is_exact:
            return f"{self.lower:.2f} (exact)"
        return (
            f"{self.lower:.1f} ± {self.lower_std_error:.1f} to "
            f"{self.upper:.1f} ± {self.upper_std_error:.1f}"
        )


def perplexity(
    model: ReplicatedSoftmax,
    documents: Documents,
    n_chains: int = defaults.TOPIC_CHAINS,
    sweeps: int = 1,
    seed: int = defaults.SEED,
) -> Computation[Perplexity]:
    """Perplexity of documents under the model: exact for few hidden units, else an interval.

    Parameters
    ----------
    model, documents
        Whose words are the same.
    n_chains, sweeps, seed
        As for `annealed_log_z`.

    Raises
    ------
    TypeError, ValueError
        If the documents do not fit the model, or are empty.
    """
    check_type("model", model, ReplicatedSoftmax, "ReplicatedSoftmax(n_words, n_hidden)")
    model.check(documents)
    documents.refuse_empty()
    lengths = documents.lengths.unique()
    if can_be_enumerated(model):
        return Computation(1, _from(model, documents, [1], lambda: exact_log_z(model, lengths)))
    annealing = annealed_log_z(model, lengths, n_chains, sweeps, seed)
    return Computation(annealing.n_steps, _from(model, documents, annealing, annealing.result))


def _from(
    model: ReplicatedSoftmax,
    documents: Documents,
    steps: Iterable[int],
    result: Callable[[], LogZByLength],
) -> Generator[int, None, Perplexity]:
    yield from steps
    return _summed_up(model, documents, result())


def _summed_up(model: ReplicatedSoftmax, documents: Documents, log_z: LogZByLength) -> Perplexity:
    index = torch.searchsorted(log_z.lengths, documents.lengths).cpu()
    weights, words = model.log_weight(documents).cpu(), documents.lengths.double().cpu()
    ends: dict[str, Any] = {}
    for side, of in (("lower", log_z.below), ("upper", log_z.above)):
        values = torch.tensor([each.value for each in of], dtype=torch.float64)[index]
        per_word = (weights - values) / words
        ends[side] = per_word.mean().item()
        # chains are shared by all lengths: errors do not average out
        errors = torch.tensor([each.std_error for each in of], dtype=torch.float64)[index]
        ends[f"{side}_std_error"] = (errors / words).mean().item()
        ends[f"{side}_rows"] = per_word
    middle = (ends["lower_rows"] + ends["upper_rows"]) / 2
    found = [(math.exp(-ends[side]), ends[f"{side}_std_error"]) for side in ("lower", "upper")]
    (lower, low_error), (upper, high_error) = sorted(found)  # which cross by chance, if so close
    spread = middle.std().item() / math.sqrt(len(middle)) if len(middle) > 1 else math.nan
    return Perplexity(
        lower,
        upper,
        lower_std_error=lower * low_error,
        upper_std_error=upper * high_error,
        documents_std_error=math.exp(-middle.mean().item()) * spread,
        n_documents=len(documents),
        n_words=documents.n_words,
        log_likelihood=(middle * words).mean().item(),
        log_z=log_z,
        reasons=_reasons(log_z),
    )


def _reasons(log_z: LogZByLength) -> tuple[str, ...]:
    """Why log Z must not be trusted: the length of which the fewest chains carry it."""
    both = zip(log_z.lengths.tolist() * 2, (*log_z.below, *log_z.above), strict=True)
    doubtful = [(of.effective_chains, of.n_chains, n) for n, of in both if of.warning is not None]
    return tuple(
        f"only {carry:.1f} of {n_chains} chains carry log Z of documents of {length:,} words; "
        f"take more `chains`, as it takes {FEWEST_EFFECTIVE_CHAINS} to trust it"
        for carry, n_chains, length in sorted(doubtful)[:1]
    )


def _checked(model: ReplicatedSoftmax, lengths: Tensor) -> Tensor:
    check_type("model", model, ReplicatedSoftmax, "ReplicatedSoftmax(n_words, n_hidden)")
    lengths = torch.as_tensor(lengths).long().cpu().unique()
    if not len(lengths) or lengths[0] < 1:
        raise ValueError(f"lengths are {lengths.tolist()[:5]}; pass whole numbers of words above 0")
    return lengths


def _in_float64(model: ReplicatedSoftmax) -> ReplicatedSoftmax:
    wide = ReplicatedSoftmax(model.n_words, model.n_hidden).to(model.weights.device).double()
    wide.load_state_dict(model.state_dict())
    return wide
