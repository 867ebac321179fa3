"""The terms of the field, each in one sentence, where they stand on a page."""

from __future__ import annotations

import re
from functools import cache
from html import unescape

TERMS = {
    "log-likelihood": "The logarithm of the probability that the model gives to a row, in the mean "
    "over rows: the higher, the better.",
    "pseudo-log-likelihood": "A quick stand-in for the log-likelihood: how well each value of a "
    "row is told from all others of the row; it flatters a model whose chains mix badly.",
    "nats": "The unit of a log-likelihood: one nat more a row makes a row 2.7 times as probable "
    "(1 nat is 1.44 bits).",
    "reconstruction error": "What is lost when a row goes up to the hidden units and back; it can "
    "fall while the model gets worse.",
    "free energy": "The score by which the model ranks rows, low for probable ones; the further "
    "training rows lie below held-out rows, the more was learned by heart.",
    "log Z": "The logarithm of the sum over all states of a model; without it a model only says "
    "which of two rows is more probable, not how probable they are.",
    "annealed importance sampling": "A way to estimate log Z: chains go from independent units to "
    "the model in many small steps, and their weights are averaged.",
    "tempering": "Chains at several temperatures, from independent units to the model, that "
    "exchange their states; what they exchange also says what log Z is.",
    "PCD": "Persistent contrastive divergence: the model is trained against samples of chains "
    "that go on from update to update.",
    "CD": "Contrastive divergence: the model is trained against samples that are a few sweeps away "
    "from the rows of a minibatch.",
    "chain": "A sequence of samples, each drawn from the one before.",
    "sweep": "One step of a chain: all hidden units are drawn given the visible ones, then all "
    "visible ones given the hidden ones.",
    "epoch": "One pass over all training rows.",
    "update": "One change of the weights, made from one minibatch of rows.",
    "held-out": "Rows that were kept out of the training, to see how the model does on new ones.",
    "learning rate": "How far one update moves the weights.",
    "weight decay": "A pull of all weights towards zero (`l1`, `l2`), against learning rows by "
    "heart.",
    "dead": "A hidden unit that is off on almost every row, so that it says nothing.",
    "saturated": "A hidden unit that is on on almost every row, so that it says nothing.",
    "R-hat": "How far chains from different starts are still apart: 1 means not at all, and more "
    "than about 1.1 that they have not mixed.",
    "autocorrelation": "How much of a chain's past is still in it; its time is the number of "
    "sweeps from one independent sample to the next.",
    "effective samples": "As many independent samples would tell as much as the chains do.",
    "singular value": "How strong one of the independent patterns is that the weights are made of.",
    "standard error": "How far a measured number is from the true one, typically: twice as much "
    "is rare.",
    "cross-entropy": "Minus the logarithm of the probability of what is there, in the mean.",
    "covariance": "How two columns vary together.",
    "confusion matrix": "A table that counts, for each class, what its rows were taken for.",
    "squared error": "The square of the difference between a value and its prediction, in the "
    "mean.",
    "loss": "What fine-tuning makes small: the cross-entropy of the classes, or an error of what "
    "is rebuilt.",
}
"""What a newcomer meets first stands first."""

_WORDS = {
    "chain": r"chains?",
    "sweep": r"sweeps?",
    "epoch": r"epochs?",
    "update": r"updates?",
    "autocorrelation": r"autocorrelations?",
    "singular value": r"singular values?",
    "covariance": r"covariances?",
    "standard error": r"standard errors?",
    "annealed importance sampling": r"annealed importance sampling|AIS",
    "nats": r"nats?",
    "log-likelihood": r"(?<!pseudo-)log-likelihoods?",
    "pseudo-log-likelihood": r"pseudo-log-likelihoods?",
}
_NOT_WORDS = re.compile(r"<(script|code|style|pre|details)\b.*?</\1>|<[^>]*>", re.DOTALL)
_EXPLAINED = re.compile(r'<details class="term"><summary(?: aria-label="What is |>)([^"<?]+)')


def found_in(html: str) -> list[str]:
    """The terms that a piece of a page uses and does not explain yet, but for what is typed."""
    words = unescape(_NOT_WORDS.sub(" ", html))
    there = {term_of(name) for name in _EXPLAINED.findall(html)}
    return [term for term in TERMS if term not in there and _pattern(term).search(words)]


@cache
def _pattern(term: str) -> re.Pattern[str]:
    """Finds a term as a word of its own; what is written in capitals only so."""
    of = _WORDS.get(term, re.escape(term))
    return re.compile(rf"(?<![\w-])(?:{of})(?![\w-])", 0 if term.isupper() else re.IGNORECASE)


def term_of(name: str) -> str | None:
    """The term that a name is, or begins with."""
    plain = name.lower()
    known = [term for term in TERMS if plain == term.lower() or plain.startswith(term.lower())]
    return max(known, key=len, default=None)
