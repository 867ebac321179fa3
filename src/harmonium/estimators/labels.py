"""Labels of any type: their indices, and prediction of the most probable label."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from harmonium.estimators.base import Estimator

_SHOWN = 5

NO_LABEL = -1
"""The index of no class."""


class ProbabilisticClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """A classifier with a probability for each class."""

    classes_: NDArray[Any]

    @abstractmethod
    def _log_probabilities(self, x: Tensor) -> Tensor:
        """Log-probability of each class given states of features, nats, shape (rows, n_classes)."""

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Log-probability of each class, exactly, nats.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; float64 if X is, else float32.
        """
        X, rows = self._fitted_rows(X)
        return self._by_block(rows, self._log_probabilities, len(self.classes_), X)

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Probability of each class, exactly: the exponential of `predict_log_proba`."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows of features.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            With the type of ``classes_``.
        """
        best = self.predict_log_proba(X).argmax(1)
        return np.asarray(self.classes_[best])


def known_labels(
    y: Any, classes: NDArray[Any] | None = None
) -> tuple[Any, NDArray[np.bool_] | None]:
    """Labels, and whether each row has one; what stands for none is replaced by one of the others.

    NaN, None and pandas' NA stand for no label. So does -1, as in scikit-learn's semi-supervised
    classes, if the other labels are whole numbers of at least two classes, none below 0; beside a
    single other class, as in -1 and 1, it is a class.

    Parameters
    ----------
    y
        Labels, array-like of shape (n_samples,).
    classes
        All classes, where they are known beforehand: -1 then stands for no label unless it is one
        of them.

    Returns
    -------
    y
        The labels; unchanged where all rows have one.
    known
        Bool, shape (n_samples,); None if all rows have a label.

    Raises
    ------
    ValueError
        If no row has a label.
    """
    labels = np.array(y, dtype=object) if isinstance(y, list | tuple) else np.asarray(y)
    if labels.ndim != 1 or not len(labels) or labels.dtype.kind not in "iufO":
        return y, None
    known = ~_is_nothing(labels)
    there = labels[known]
    if not len(there) and classes is None:
        raise ValueError(
            "y holds no label at all; a classifier needs rows of two or more classes, and only the "
            "others may be without a label (-1, NaN or None)"
        )
    if known.all() and not _is_minus_one(there).any():
        return y, None
    others = there[~_is_minus_one(there)]
    is_none = _are_counted_from_0(others) if classes is None else -1 not in classes.tolist()
    if len(others) < len(there) and is_none:
        known[known] = ~_is_minus_one(there)
        there = others
    if known.all():
        return y, None
    there = np.array(there.tolist()) if labels.dtype.kind == "O" else there
    if not len(there) and classes is not None:
        return np.full(len(labels), classes[0], classes.dtype), known
    filled = np.full(len(labels), there[0], there.dtype)
    filled[known] = there
    return filled, known


def _is_nothing(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each label is NaN, None or pandas' NA."""
    if labels.dtype.kind != "O":
        return np.asarray(np.isnan(labels))
    return np.array([_is_missing(label) for label in labels], dtype=np.bool_)


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, float | np.floating) and bool(np.isnan(label))


def _is_minus_one(labels: NDArray[Any]) -> NDArray[np.bool_]:
    if labels.dtype.kind != "O":
        return np.asarray(labels == -1)
    numbers = [isinstance(label, Real) and label == -1 for label in labels]
    return np.array(numbers, dtype=np.bool_)


def _are_counted_from_0(labels: NDArray[Any]) -> bool:
    """Whether these are two or more classes that are text, or whole numbers of 0 or more."""
    if not all(isinstance(label, str | Real) for label in labels.tolist()):
        return False
    numbers = [label for label in labels.tolist() if not isinstance(label, str)]
    return len(set(labels.tolist())) > 1 and all(n >= 0 and float(n).is_integer() for n in numbers)


def check_classes(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The sorted classes, and the index of each label among them.

    Raises
    ------
    ValueError
        If labels are not classes, such as real numbers, or if there are fewer than two classes.
    """
    if not len(y):
        raise ValueError(
            "all rows that have a label have weight 0; give weight to rows of two or more classes"
        )
    check_classification_targets(y)
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class alone, {classes.tolist()[0]!r}; a classifier needs rows of two or "
            "more classes"
        )
    return classes, numbers.astype(np.int64)


def numbers_of(
    y: NDArray[Any], classes: NDArray[Any], known: NDArray[np.bool_] | None = None
) -> NDArray[np.int64]:
    """The index of each label among the classes; `NO_LABEL` for rows whose label is not known.

    Raises
    ------
    ValueError
        If there are labels outside the classes.
    """
    if known is not None and not known.all():
        numbers = np.full(len(y), NO_LABEL)
        numbers[known] = numbers_of(y[known], classes)
        return numbers
    unseen = np.setdiff1d(y, classes)
    if len(unseen):
        more = ", ..." if len(unseen) > _SHOWN else ""
        raise ValueError(
            f"y holds {', '.join(map(repr, unseen[:_SHOWN].tolist()))}{more}, which is none of the "
            f"classes {classes.tolist()}; pass all classes when learning begins"
        )
    return np.searchsorted(classes, y).astype(np.int64)


def with_label(
    X: Any, numbers: NDArray[np.int64], weights: Tensor | None
) -> tuple[Any, NDArray[np.int64], Tensor | None]:
    """The rows that have a label, with their weights."""
    known = np.flatnonzero(numbers != NO_LABEL)
    if len(known) == len(numbers):
        return X, numbers, weights
    return X[known], numbers[known], None if weights is None else weights[known]


def all_classes(classes: Any, known: NDArray[Any] | None) -> NDArray[Any]:
    """The classes of `partial_fit`: all in its first call, unchanged afterwards.

    Raises
    ------
    ValueError
        If they are missing in the first call, or differ from the known classes.
    """
    if known is None:
        if classes is None:
            raise ValueError("classes is missing; the first call to partial_fit needs all of them")
        return check_classes(np.unique(classes))[0]
    if classes is not None and not np.array_equal(np.unique(classes), known):
        raise ValueError(
            f"classes is {np.unique(classes).tolist()}, but this classifier learns "
            f"{known.tolist()}; leave classes out, or pass the same"
        )
    return known
