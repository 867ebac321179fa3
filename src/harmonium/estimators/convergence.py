"""Warnings at the line that called an estimator; `ConvergenceWarning` if it learned nothing."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

LEAST_SPREAD = 0.01
"""Standard deviation of a probability below which it is a constant to a later classifier.

With the default penalty of scikit-learn's classifiers, features with a smaller deviation give the
largest class for all rows; twice this deviation is enough.
"""

_ROWS = 500  # rows by which a fit is judged


_INSIDE = ("harmonium", "sklearn", "torch")


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn about the nearest line outside this library, scikit-learn and torch."""
    frame, level = sys._getframe().f_back, 2
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


def some_rows(n: int) -> Tensor:
    """Numbers of at most 500 of ``n`` rows, evenly spread."""
    return torch.linspace(0, n - 1, min(n, _ROWS), dtype=torch.float64).round().long()


def spread(features: Tensor) -> float:
    """Standard deviation of the feature that varies most."""
    return float(features.double().std(0, correction=0).max())


def warn_of_constant_features(
    name: str, rows: Tensor, layers: Sequence[Tensor], remedy: str
) -> None:
    """Warn if the features of a layer hardly vary although the rows do.

    Parameters
    ----------
    name
        Name of the estimator.
    rows
        States, shape (rows, n_columns).
    layers
        Hidden probabilities of these rows in each layer, from the lowest.
    remedy
        The parameters to change.
    """
    if len(rows) < 2 or spread(rows) == 0:
        return
    for number, features in enumerate(layers, start=1):
        largest = spread(features)
        if largest < LEAST_SPREAD:
            where = f" of layer {number}" if len(layers) > 1 else ""
            warn_user(
                f"the features{where} of {name} are all but constant: over the training rows "
                f"none has a standard deviation above {largest:.1g}, and what learns from them "
                f"sees only their mean. {remedy}",
                ConvergenceWarning,
            )
            return


def warn_of_the_mean_row(name: str, error: float, of_mean: float, remedy: str) -> None:
    """Warn if reconstructions are no better than the mean row."""
    if of_mean > 0 and error >= _NO_BETTER * of_mean:
        warn_user(
            f"{name} has learnt nothing of what tells rows apart: the squared error of its "
            f"reconstructions is {error / of_mean:.0%} of that of the mean row. {remedy}",
            ConvergenceWarning,
        )


def warn_of_class_frequencies(name: str, log_p: Tensor, classes: Tensor, remedy: str) -> None:
    """Warn if a classifier does no better than the class frequencies.

    If one class is rare, predicting the other for every row can be optimal while the probabilities
    are still informative. So the probabilities are checked first; constant predictions count only
    if the probabilities are hardly better than class frequencies.

    Parameters
    ----------
    name
        Name of the estimator.
    log_p
        Log-probabilities of training rows, nats, shape (rows, n_classes).
    classes
        Index of each row's class, int64, shape (rows,).
    remedy
        The parameters to change.
    """
    shares = classes.bincount().double() / len(classes)
    entropy = -float(shares.xlogy(shares).sum())
    if entropy == 0:
        return
    loss = -float(log_p.double().gather(1, classes.unsqueeze(1)).mean())
    predicted = log_p.argmax(1).unique()
    if len(predicted) == 1 and loss >= _HARDLY_BETTER * entropy:
        what = "predicts a single class for all training rows"
    elif loss >= _NO_BETTER * entropy:
        what = "predicts the training rows no better than the frequencies of the classes do"
    else:
        return
    warn_user(
        f"{name} {what}: its log loss is {loss:.3g} nats a row, theirs {entropy:.3g}. {remedy}",
        ConvergenceWarning,
    )


def warn_of_the_mean_target(name: str, loss: float, remedy: str) -> None:
    """Warn if a regressor does no better than the mean of the targets.

    Parameters
    ----------
    name
        Name of the estimator.
    loss
        Squared error of training rows, as a fraction of the variance of the targets.
    remedy
        The parameters to change.
    """
    if loss >= _NO_BETTER:
        warn_user(
            f"{name} predicts the training rows no better than the mean of the targets does: its "
            f"squared error is {loss:.0%} of their variance. {remedy}",
            ConvergenceWarning,
        )


_HARDLY_BETTER = 0.9

# With a hundred independent columns, two codes leave 98 per cent: a property of the data
_NO_BETTER = 0.99
