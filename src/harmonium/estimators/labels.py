"""Labels of any type: their indices, and prediction of the most probable label."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from torch import Tensor

from harmonium.estimators.base import Estimator

_SHOWN = 5


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


def check_classes(y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The sorted classes, and the index of each label among them.

    Raises
    ------
    ValueError
        If labels are not classes, such as real numbers, or if there is only one class.
    """
    check_classification_targets(y)
    classes, numbers = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class alone, {classes.tolist()[0]!r}; a classifier needs rows of two or "
            "more classes"
        )
    return classes, numbers.astype(np.int64)


def numbers_of(y: NDArray[Any], classes: NDArray[Any]) -> NDArray[np.int64]:
    """The index of each label among the classes.

    Raises
    ------
    ValueError
        If there are labels outside the classes.
    """
    unseen = np.setdiff1d(y, classes)
    if len(unseen):
        more = ", ..." if len(unseen) > _SHOWN else ""
        raise ValueError(
            f"y holds {', '.join(map(repr, unseen[:_SHOWN].tolist()))}{more}, which is none of the "
            f"classes {classes.tolist()}; pass all classes when learning begins"
        )
    return np.searchsorted(classes, y).astype(np.int64)


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
