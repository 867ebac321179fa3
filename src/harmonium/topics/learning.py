"""`TopicState`: learning a replicated softmax by contrastive divergence."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_number, check_type
from harmonium.autograd import without_autograd
from harmonium.datasets import Minibatches
from harmonium.gradient import Penalties
from harmonium.optimization import check_learning_rate, check_optimizer, make_schedule
from harmonium.rng import Lane, Stream
from harmonium.topics.documents import Documents
from harmonium.topics.model import ReplicatedSoftmax
from harmonium.topics.watching import TopicWatch
from harmonium.training import Learner, Progress
from harmonium.training.learner import finish_, not_finite

# Weight of the newest update in the moving mean of the hidden units.
_OFFSET_RATE = 0.01


class _Phase(NamedTuple):
    """Documents with the inputs of their hidden units."""

    ends: Tensor
    words: Tensor
    counts: Tensor
    lengths: Tensor
    hidden: Tensor


@dataclass(kw_only=True)
class TopicState(Learner):
    """A training of a replicated softmax between two updates; create one with `TopicState.create`.

    Each update starts chains at the documents of its mini-batch and makes a few Gibbs sweeps at
    their lengths (CD-k; Hinton, 2002). It follows the centred gradient; offsets are the share of
    each word in the training documents, times a document's length, and the moving mean of the
    hidden units. Persistent chains are not offered: on 20 Newsgroups they ran away at
    a learning rate of 0.4, and at 0.05 they were stable, but no better.

    Attributes
    ----------
    softmax
        The model that is trained.
    optimizer, schedule, stream, seed, update
        As for every `training.Learner`.
    phases
        Gibbs sweeps per update, by the number of updates after which they begin.
    penalties
        Of which ``l1`` and ``l2`` are used.
    shares
        Share of each word in the training documents, shape (n_words,).
    sizes, size_of_length
        Root mean squares of each word's count, shape (n_words,), and of the length. The gradient by
        a word's parameters and by hidden biases is divided by them.
    offset
        Moving mean of the hidden units, by words, shape (n_hidden,).
    average, average_decay
        Moving average of the parameters, which becomes the model, and its decay per update.
    """

    called = "model"

    softmax: ReplicatedSoftmax
    optimizer: Optimizer
    schedule: LRScheduler | None
    stream: Stream
    seed: int
    phases: tuple[tuple[int, int], ...]
    penalties: Penalties
    shares: Tensor
    sizes: Tensor
    size_of_length: float
    offset: Tensor
    average: ReplicatedSoftmax | None = None
    average_decay: float | None = None
    update: int = field(default=0)

    @classmethod
    def create(
        cls,
        model: ReplicatedSoftmax,
        documents: Documents,
        *,
        sweeps: int = defaults.SWEEPS,
        phases: Mapping[int, int] | None = None,
        learning_rate: float = defaults.LEARNING_RATE,
        momentum: float = defaults.MOMENTUM,
        optimizer: Optimizer | None = None,
        schedule: Callable[[Optimizer], LRScheduler] | None = None,
        penalties: Penalties | None = None,
        average_decay: float | None = defaults.AVERAGE_DECAY,
        seed: int = defaults.SEED,
    ) -> TopicState:
        """Start a training.

        Parameters
        ----------
        model
            A model whose weights have been drawn (`ReplicatedSoftmax.init_from_documents_`).
        documents
            The training documents, whose words and lengths are counted.
        sweeps
            Gibbs sweeps per update: the k of CD-k.
        phases
            Other numbers of sweeps, each by the number of updates after which it takes over.
        learning_rate, momentum
            For plain stochastic gradient descent; not used if an optimiser is given.
        optimizer
            Any `torch.optim` optimiser over ``model.parameters()`` that needs no closure.
        schedule
            Makes a scheduler that is stepped after each update.
        penalties
            By default none.
        average_decay
            Decay per update of the moving average of the parameters; None for no average.
        seed
            Seed of everything random in the run.

        Raises
        ------
        TypeError, ValueError
            If an option has the wrong type or is out of range, if documents are empty or do not fit
            the model, or if no weights have been drawn.
        """
        check_type("model", model, ReplicatedSoftmax, "ReplicatedSoftmax(n_words, n_hidden)")
        model.check(documents)
        documents.refuse_empty()
        for count in (sweeps, *(phases or {}).values()):
            check_count("sweeps", count)
        if model.n_hidden > 1 and not model.weights.any():
            raise ValueError(
                f"all {model.n_hidden} hidden units are alike: their weights are zero, so that "
                "every update would change them alike; draw the weights first: "
                "model.init_from_documents_(documents)"
            )
        if optimizer is None:
            check_learning_rate(learning_rate, momentum)
            parameters = list(model.parameters())
            optimizer = torch.optim.SGD(
                parameters, lr=learning_rate, momentum=momentum, foreach=False
            )
        else:
            check_optimizer(
                optimizer, model, called="ReplicatedSoftmax",
                why_no_lbfgs="LBFGS compares losses, but the log-likelihood is intractable during "
                "training",
            )  # fmt: skip
        if average_decay is not None:
            check_number("average_decay", average_decay, "a number between 0 and 1, or None")
            if not 0 < average_decay < 1:
                raise ValueError(f"average_decay is {average_decay}; pass a number between 0 and 1")
        dtype = model.weights.dtype
        mean, var = documents.moments()
        # a word that never occurs counts as if it stood once in one document
        sizes = (mean.square() + var).clamp_min(1 / len(documents)).sqrt()
        return cls(
            softmax=model,
            optimizer=optimizer,
            schedule=make_schedule(optimizer, schedule),
            stream=Lane.CHAINS.stream(seed),
            seed=seed,
            phases=tuple(sorted({0: sweeps, **(phases or {})}.items())),
            penalties=penalties or Penalties(),
            shares=documents.frequencies.to(dtype),
            sizes=sizes.to(dtype),
            size_of_length=documents.lengths.double().square().mean().sqrt().item(),
            offset=model.mean_h(documents.take(torch.arange(min(100, len(documents))))).mean(0),
            average=copy.deepcopy(model) if average_decay is not None else None,
            average_decay=average_decay,
        )

    @property
    def model(self) -> ReplicatedSoftmax:
        """The model to evaluate and to save: the averaged one, if there is one."""
        return self.softmax if self.average is None else self.average

    @property
    def sweeps(self) -> int:
        """Gibbs sweeps of the next update."""
        return [sweeps for begins, sweeps in self.phases if begins <= self.update][-1]

    def targets(self, batches: Minibatches) -> None:
        """Refuses rows that are no documents; there are no targets."""
        check_type("the rows", batches.data, Documents, "Documents.of(counts)")
        self.softmax.check(batches.data)  # type: ignore[arg-type]

    def watch(  # noqa: D102
        self,
        batches: Minibatches,
        last: int,
        every: int | None = None,
        held_out: Any = None,
        monitor: Any = None,
    ) -> Progress:
        if monitor is not None:
            raise ValueError("documents are watched by their completion; leave monitor out")
        return TopicWatch(every, batches, last, held_out, self.seed)

    def ran_away(self) -> str | None:
        """Which parameter is not finite, in words."""
        for name, parameter in self.softmax.named_parameters():
            if not math.isfinite(parameter.sum().item()):
                return f"{name} is not finite"
        return None

    @without_autograd
    def learn_(
        self, batch: Tensor, targets: Tensor | None, batch_size: int, weights: Tensor | None
    ) -> None:
        """Make one update from documents, a `torch.sparse_csr` tensor of counts."""
        scale = len(batch) / batch_size
        self._write_gradient(batch, scale)
        sums = [parameter.grad.sum().item() for parameter in self.softmax.parameters()]  # type: ignore[union-attr]
        if not all(map(math.isfinite, sums)):
            raise not_finite(self, self.update + 1)
        self.optimizer.step()
        done = self.update + 1
        if self.average is not None and self.average_decay is not None:
            # a short memory at first, so that the initial parameters are soon forgotten
            decay = min(self.average_decay, done / (done + 9))
            pairs = zip(self.average.parameters(), self.softmax.parameters(), strict=True)
            for average, parameter in pairs:
                average.lerp_(parameter, 1 - decay)
        finish_(self)

    def _write_gradient(self, batch: Tensor, scale: float) -> None:
        """Write ``scale`` times minus the gradient of a mini-batch to ``.grad``."""
        model, stream = self.softmax, self.stream
        ends, words = batch.crow_indices(), batch.col_indices().int()
        data = self._observed(ends, words, batch.values())
        ends = torch.cat((ends.new_zeros(1), data.lengths.cumsum(0)))
        fantasies = data
        for _ in range(self.sweeps):
            hidden = kernels.binary_(
                fantasies.hidden.clone(), torch.zeros_like(self.offset), stream
            )
            words, _ = model.sample_words(hidden, ends, stream)
            fantasies = self._observed(ends, words, torch.ones_like(words))
        self._compare(data, fantasies, scale)

    def _observed(self, ends: Tensor, words: Tensor, counts: Tensor) -> _Phase:
        """Documents with their hidden inputs."""
        inputs = kernels.document_inputs(
            ends, words, counts, self.softmax.weights.detach(), self.softmax.hidden_bias.detach()
        )
        before = torch.cat((ends.new_zeros(1), counts.long().cumsum(0)))
        return _Phase(ends, words, counts, before[ends].diff(), inputs)

    def _compare(self, data: _Phase, fantasies: _Phase, scale: float) -> None:
        """Write the difference of two phases, centred, per word of the training documents."""
        model, offset, shares = self.softmax, self.offset, self.shares
        weights = torch.zeros_like(model.weights)
        word_bias = torch.zeros_like(model.word_bias).unsqueeze(1)
        hidden_bias = torch.zeros_like(model.hidden_bias)
        for phase, sign in ((data, -1.0), (fantasies, 1.0)):
            factor = sign * scale / len(phase.lengths)
            mean = torch.sigmoid(phase.hidden)
            if phase is data:
                by_word = phase.lengths.to(mean) / phase.lengths.sum()
                new_offset = torch.lerp(offset, by_word @ mean, _OFFSET_RATE)
            centred = mean - offset
            entries = phase.ends, phase.words, phase.counts
            kernels.add_documents_(weights, *entries, centred, factor)
            ones = torch.ones_like(phase.lengths, dtype=mean.dtype).unsqueeze(1)
            kernels.add_documents_(word_bias, *entries, ones, factor)
            hidden_bias.addmv_(centred.T, phase.lengths.to(mean), alpha=factor)
        weights.addr_(shares, hidden_bias, alpha=-1.0)
        of_bias = word_bias[:, 0] - weights @ offset
        hidden_bias -= weights.T @ shares
        # as rare and frequent words have to move alike
        weights.div_(self.sizes.unsqueeze(1))
        of_bias.div_(self.sizes)
        hidden_bias.div_(self.size_of_length)
        if self.penalties.l2:
            weights.add_(model.weights, alpha=scale * self.penalties.l2)
        if self.penalties.l1:
            weights.add_(model.weights.sign(), alpha=scale * self.penalties.l1)
        model.weights.grad, model.word_bias.grad = weights, of_bias
        model.hidden_bias.grad = hidden_bias
        self.offset = new_offset
