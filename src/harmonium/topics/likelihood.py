"""How probable documents are: log Z of each length, and perplexity as an interval.

log Z(D), of documents of D words, is the log of sum_h exp(D f(h)), where f(h) = a h + log sum_k
exp(b_k + W_k h). It is exact for few hidden units. Else, chains of hidden states are annealed over
the length, which is an inverse temperature: from length 0, where all states are alike, to the
longest document. Lengths between whole numbers are as good as any; a pilot places them.

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

from harmonium import defaults
from harmonium.arguments import check_count, check_type
from harmonium.likelihood import Computation, LogZ
from harmonium.likelihood.log_z import FEWEST_EFFECTIVE_CHAINS
from harmonium.likelihood.temperatures import placed
from harmonium.rng import Lane
from harmonium.topics.chains import HiddenChains
from harmonium.topics.documents import Documents
from harmonium.topics.model import ReplicatedSoftmax

MOST_TERMS = 2**27
"""Most hidden states times words that `exact_log_z` adds up."""

# Chains of the pilot that places lengths, and the share of its steps.
_PILOT_CHAINS, _PILOT_SHARE = 32, 0.2

# Sweeps at the longest length before chains go down.
_SETTLING = 50


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
    n_steps: int = defaults.TOPIC_STEPS,
) -> Computation[LogZByLength]:
    """Estimate log Z of documents of these lengths from both sides, by annealing over the length.

    Upwards, chains start at length 0, where all hidden states are alike, and their weights estimate
    each Z(D) without bias, so that log Z errs below. Downwards, chains start where those going up
    have ended; the weights from each length down to 0 estimate 1 / Z(D), so that log Z errs above,
    as far as the chains at that length are samples of the model [2]_. Between lengths each hidden
    unit is drawn given the others, with the words summed out.

    Parameters
    ----------
    model
        The model.
    lengths
        Words of a document, whole numbers of shape (n,).
    n_chains
        Chains in each direction, 2 or more.
    sweeps
        Sweeps at each length; more of them make the weights more even.
    seed
        Seed of the chains.
    n_steps
        Lengths at which chains move, 10 or more, beside those asked for. A pilot of fewer places
        them where log Z needs them.

    Returns
    -------
    Computation
        Iterate over it, or ask for its ``result()``. A step is a length.
    """
    lengths = _checked(model, lengths)
    check_count("n_chains", n_chains, 2)
    check_count("sweeps", sweeps)
    check_count("n_steps", n_steps, 10)
    n_pilot = max(10, round(_PILOT_SHARE * n_steps))
    total = n_pilot + 2 * (n_steps + len(lengths))
    return Computation(total, _anneal(model, lengths, n_chains, sweeps, seed, n_steps, n_pilot))


@torch.no_grad()
def _anneal(
    model: ReplicatedSoftmax,
    lengths: Tensor,
    n_chains: int,
    sweeps: int,
    seed: int,
    n_steps: int,
    n_pilot: int,
) -> Generator[int, None, LogZByLength]:
    upwards, downwards = (lane.stream(seed) for lane in (Lane.LENGTHS, Lane.LENGTHS_BACK))
    log_z_of_none = model.n_hidden * math.log(2)
    most = int(lengths.max())
    # evenly along the logarithm of the length plus one
    even = torch.linspace(0, 1, n_pilot, dtype=torch.float64)
    pilot = HiddenChains(model, _PILOT_CHAINS, upwards)
    path = torch.expm1(even * math.log1p(most)).tolist()
    weights = yield from _move(pilot, path, 1, 0)
    t = placed(even.numpy(), torch.stack(list(weights.values())).numpy(), n_steps)
    path = torch.expm1(torch.from_numpy(t) * math.log1p(most)).tolist()
    path = sorted({0.0, *path[1:-1], *map(float, lengths.tolist())})
    chains = HiddenChains(model, n_chains, upwards)
    found = yield from _move(chains, path, sweeps, n_pilot)
    # those that went up have the weights that they have: chains start in proportion to them
    chains.resample_(found[path[-1]], downwards)
    chains.stream = downwards
    for _ in range(_SETTLING):
        chains.sweep_(path[-1])
    passed = yield from _move(chains, path[::-1], sweeps, n_pilot + len(path))
    below, above = [], []
    for length in lengths.tolist():
        if length == 1:
            of_one = LogZ.exact(_log_z_of_one_word(model))
            below.append(of_one)
            above.append(of_one)
            continue
        below.append(LogZ.from_log_weights(found[length] + log_z_of_none, "below"))
        back = passed[0.0] - passed[length] - log_z_of_none
        above.append(LogZ.from_log_weights(back, "above"))
    return LogZByLength(lengths, tuple(below), tuple(above))


def _move(
    chains: HiddenChains, path: list[float], sweeps: int, done: int
) -> Generator[int, None, dict[float, Tensor]]:
    """Log weights of chains that are moved along a path, by length."""
    weights = torch.zeros(len(chains.hidden), dtype=torch.float64)
    found = {path[0]: weights}
    for before, now in pairwise(path):
        weights = weights + (now - before) * chains.log_sums()
        found[now] = weights
        for _ in range(sweeps):
            chains.sweep_(now)
        done += 1
        yield done
    return found


def _log_z_of_one_word(model: ReplicatedSoftmax) -> float:
    inputs = model.weights.double() + model.hidden_bias.double()
    logits = model.word_bias.double() + functional.softplus(inputs, threshold=40).sum(-1)
    return logits.logsumexp(0).item()


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
