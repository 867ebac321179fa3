"""`ReplicatedSoftmax`: an RBM of documents of any length (Salakhutdinov and Hinton, 2009)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import defaults, kernels
from harmonium.arguments import check_count, check_type
from harmonium.rbm import RBM
from harmonium.rng import Lane, Stream
from harmonium.topics.documents import Documents
from harmonium.units import Binary, Multinomial

# A word that never occurs in the training documents is assumed to have occurred so often.
_PSEUDOCOUNT = 0.5

_NUMBERS_AT_ONCE = 2**24


class ReplicatedSoftmax(nn.Module):
    """A family of RBMs, one for each length of a document, which share all parameters [1]_.

    A document of D words with counts v and binary hidden units h has the energy

        E(v, h) = - sum_k v_k b_k - D sum_j h_j a_j - sum_kj v_k W_kj h_j

    with word biases b, hidden biases a and weights W. Given h, the D words are independent, each
    from softmax(b + W h); given v, hidden unit j is on with probability sigmoid(D a_j + sum_k v_k
    W_kj). Probabilities are those of the words in their order. Each length has a log Z of its own.

    Parameters
    ----------
    n_words
        Words of the vocabulary.
    n_hidden
        Hidden units: topics.

    Attributes
    ----------
    weights : Tensor, shape (n_words, n_hidden)
    word_bias : Tensor, shape (n_words,)
    hidden_bias : Tensor, shape (n_hidden,)

    References
    ----------
    .. [1] R. Salakhutdinov and G. Hinton (2009), "Replicated softmax: an undirected topic model",
       NIPS 22, equations 1 to 5.
    """

    def __init__(self, n_words: int, n_hidden: int) -> None:
        super().__init__()
        check_count("n_words", n_words, 2)
        check_count("n_hidden", n_hidden)
        self.weights = nn.Parameter(torch.zeros(n_words, n_hidden))
        self.word_bias = nn.Parameter(torch.zeros(n_words))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))

    @property
    def n_words(self) -> int:
        """Words of the vocabulary."""
        return self.weights.shape[0]

    @property
    def n_hidden(self) -> int:
        """Hidden units."""
        return self.weights.shape[1]

    @torch.no_grad()
    def init_from_documents_(
        self, documents: Documents, seed: int = defaults.SEED, std: float = defaults.WEIGHT_STD
    ) -> ReplicatedSoftmax:
        """Set word biases to log frequencies and hidden biases to 0; draw weights; returns self.

        A word that never occurs counts as half a word.
        """
        self.check(documents)
        frequencies = documents.frequencies * documents.n_words + _PSEUDOCOUNT
        self.word_bias.copy_((frequencies / frequencies.sum()).log())
        drawn = kernels.normal(
            (self.n_words, self.n_hidden), Lane.WEIGHTS.stream(seed), dtype=self.weights.dtype
        )
        self.weights.copy_(drawn.mul_(std))
        self.hidden_bias.zero_()
        return self

    def check(self, documents: Documents) -> None:
        """Refuse documents of another vocabulary.

        Raises
        ------
        TypeError, ValueError
            Says what came, and what would fit.
        """
        check_type("documents", documents, Documents, "Documents.of(counts)")
        if documents.n_columns != self.n_words:
            raise ValueError(
                f"{documents.name} has {documents.n_columns:,} columns, but this model knows "
                f"{self.n_words:,} words; pass counts of the words that it was trained on"
            )

    def hidden_inputs(self, documents: Documents) -> Tensor:
        """``v W + D a`` of each document, shape (n_documents, n_hidden)."""
        self.check(documents)
        return kernels.document_inputs(
            documents.ends, documents.words, documents.counts,
            self.weights.detach(), self.hidden_bias.detach(),
        )  # fmt: skip

    def mean_h(self, documents: Documents) -> Tensor:
        """Probability that each hidden unit is on, shape (n_documents, n_hidden)."""
        return torch.sigmoid(self.hidden_inputs(documents))

    @torch.no_grad()
    def log_weight(self, documents: Documents) -> Tensor:
        """Minus the free energy of each document, nats, float64 of shape (n_documents,).

        It is the log-probability of its words in their order, plus log Z of its length.
        """
        bias = self.word_bias.detach().unsqueeze(1)
        of_words = kernels.document_inputs(
            documents.ends, documents.words, documents.counts, bias.double(),
            bias.new_zeros(1).double(),
        )[:, 0]  # fmt: skip
        inputs = kernels.document_inputs(
            documents.ends, documents.words, documents.counts,
            self.weights.detach().double(), self.hidden_bias.detach().double(),
        )  # fmt: skip
        return of_words + functional.softplus(inputs, threshold=40).sum(-1)

    @torch.no_grad()
    def log_softmax_sum(self, hidden: Tensor) -> Tensor:
        """Log sum_k exp(b_k + W_k h) + a h of hidden states, float64 of shape (n,).

        What each further word of a document multiplies the weight of these states by.
        """
        found = []
        for h in hidden.split(max(1, _NUMBERS_AT_ONCE // self.n_words)):
            h = h.to(self.weights)
            logits = kernels.mm(h, self.weights.T) + self.word_bias
            found.append(logits.double().logsumexp(-1) + h.double() @ self.hidden_bias.double())
        return torch.cat(found)

    @torch.no_grad()
    def sample_words(self, hidden: Tensor, ends: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
        """Draw documents given hidden states, as `kernels.draw_words` returns them.

        Parameters
        ----------
        hidden
            Hidden states, shape (n, n_hidden).
        ends
            Where each document's words begin and end, int64 of shape (n + 1,).
        stream
            Random numbers; one draw.
        """
        logits = kernels.mm(hidden, self.weights.detach().T)
        return kernels.draw_words(logits, self.word_bias.detach(), ends, stream)

    @torch.no_grad()
    def next_word_log_probability(self, documents: Documents) -> Tensor:
        """Log-probability of each word as the next one of each document, nats.

        That is log p(word | the words that are there) in a document one word longer, with hidden
        units summed out exactly: the softmax of b_k + sum_j log(1 + exp(I_j + a_j + W_kj)), where I
        are the hidden inputs.

        Returns
        -------
        Tensor
            Shape (n_documents, n_words). It is dense: pass few documents at a time.
        """
        inputs = self.hidden_inputs(documents)
        offsets = self.weights.detach() + self.hidden_bias.detach()
        return (kernels.softplus_sums(inputs, offsets) + self.word_bias).log_softmax(-1)

    @torch.no_grad()
    def of_length(self, length: int) -> RBM:
        """The ordinary RBM of documents of this length, with one `Multinomial` visible unit.

        Everything that the library does with RBMs, it does with this one: sampling, exact sums,
        annealing. Its log Z is that of this length. Its states are dense rows of counts, whose
        probability is that of all orders of the words together.
        """
        rbm = RBM(Multinomial(self.n_words, length), Binary(self.n_hidden)).to(self.weights)
        rbm.weights.copy_(self.weights)
        rbm.visible.bias.copy_(self.word_bias)
        rbm.hidden.bias.copy_(length * self.hidden_bias)
        return rbm.requires_grad_(False)

    def config(self) -> dict[str, Any]:
        """Constructor arguments, as JSON values."""
        return {"n_words": self.n_words, "n_hidden": self.n_hidden}

    def extra_repr(self) -> str:
        """Constructor arguments, for `repr`."""
        return f"n_words={self.n_words}, n_hidden={self.n_hidden}"
