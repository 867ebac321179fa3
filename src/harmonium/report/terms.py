"""Technical terms, each explained in one sentence where it occurs on a page."""

from __future__ import annotations

import re
from functools import cache
from html import unescape

TERMS = {
    "log-likelihood": "The logarithm of the probability that the model assigns to a row, "
    "averaged over rows; higher is better.",
    "pseudo-log-likelihood": "A fast substitute for the log-likelihood: how well each value of a "
    "row is predicted from all other values of the row; it is too "
    "optimistic for models whose chains mix badly.",
    "nats": "The unit of log-likelihoods: one nat more per row makes a row 2.7 times as probable "
    "(1 nat is 1.44 bits).",
    "reconstruction error": "The difference between a row and its reconstruction from the hidden "
    "units; it can fall while the model gets worse.",
    "free energy": "The score by which the model ranks rows, low for probable rows; the further "
    "training rows are below held-out rows, the stronger is the overfitting.",
    "log Z": "The logarithm of a model's partition function, a sum over all its states; without "
    "it, a model only tells which of two rows is more probable, not how probable they "
    "are.",
    "annealed importance sampling": "An estimator of log Z: chains move from independent units "
    "to the model in many small steps, and their importance "
    "weights are averaged.",
    "tempering": "Chains at several temperatures, from independent units to the model, that swap "
    "their states; the chains also give an estimate of log Z.",
    "PCD": "Persistent contrastive divergence: the model is trained against samples from chains "
    "that continue from update to update.",
    "CD": "Contrastive divergence: the model is trained against samples that are a few sweeps "
    "away from the rows of a mini-batch.",
    "chain": "A sequence of samples, each drawn from the one before.",
    "sweep": "One step of a chain: all hidden units are drawn given the visible ones, then all "
    "visible ones given the hidden ones.",
    "epoch": "One pass over all training rows.",
    "update": "One change of the weights, computed from one mini-batch of rows.",
    "held-out": "Rows that were not used for training, to show how the model does on new rows.",
    "learning rate": "How far one update moves the weights.",
    "weight decay": "A penalty that shrinks all weights towards zero (`l1`, `l2`), against "
    "overfitting.",
    "dead": "A hidden unit that is off on almost every row, so it carries no information.",
    "saturated": "A hidden unit that is on for almost every row, so it carries no information.",
    "R-hat": "How much chains with different starts still differ: 1 means not at all, and more "
    "than about 1.1 means that they have not mixed.",
    "autocorrelation": "How strongly a chain still depends on its past; the autocorrelation time "
    "is the number of sweeps between independent samples.",
    "effective samples": "The effective sample size: the number of independent samples with as "
    "much information as the chains.",
    "singular value": "The strength of one of the independent patterns in the weights.",
    "standard error": "The typical distance of a measured number from the true one; twice as "
    "much is rare.",
    "cross-entropy": "Minus the logarithm of the probability of the observed values, on average.",
    "covariance": "How two columns vary together.",
    "confusion matrix": "A table that counts, for each class, the predictions for its rows.",
    "squared error": "The square of the difference between a value and its prediction, on average.",
    "loss": "The quantity that fine-tuning minimises: the cross-entropy of the classes, or a "
    "prediction or reconstruction error.",
}
"""Ordered as a newcomer meets them."""

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
    """The terms in a piece of a page that it does not explain yet, ignoring code."""
    words = unescape(_NOT_WORDS.sub(" ", html))
    there = {term_of(name) for name in _EXPLAINED.findall(html)}
    return [term for term in TERMS if term not in there and _pattern(term).search(words)]


@cache
def _pattern(term: str) -> re.Pattern[str]:
    """Finds a term as a separate word; terms in capitals match only in capitals."""
    of = _WORDS.get(term, re.escape(term))
    return re.compile(rf"(?<![\w-])(?:{of})(?![\w-])", 0 if term.isupper() else re.IGNORECASE)


def term_of(name: str) -> str | None:
    """The term that equals a name, or with which the name starts."""
    plain = name.lower()
    known = [term for term in TERMS if plain == term.lower() or plain.startswith(term.lower())]
    return max(known, key=len, default=None)
