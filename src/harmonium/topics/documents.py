"""`Documents`: counts of words in compressed rows, which are never made dense."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harmonium import kernels
from harmonium.arguments import described
from harmonium.rng import Lane, Stream

_MOST = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Documents:
    """Documents as counts of words: the rows of a sparse matrix, with eight bytes an entry.

    Attributes
    ----------
    name
        Their name for messages.
    ends
        Where each document's entries begin and end, int64 of shape (n_documents + 1,).
    words, counts
        Word and count of each entry, int32 of shape (n_entries,); counts are 1 or more.
    n_columns
        Words of the vocabulary.
    vocabulary
        The words, if they are known.
    notes
        How the source was understood.
    """

    name: str
    ends: Tensor
    words: Tensor
    counts: Tensor
    n_columns: int
    vocabulary: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        matrix: Any,
        name: str = "documents",
        vocabulary: Sequence[str] | None = None,
    ) -> Documents:
        """Documents from a matrix of counts, one document a row and one word a column.

        Parameters
        ----------
        matrix
            A sparse matrix or array of SciPy, an array, a tensor, or nested lists.
        name
            Their name for messages.
        vocabulary
            The word of each column.

        Raises
        ------
        TypeError, ValueError
            If it is no matrix; if a count is negative, not whole or not finite, with the row and
            the column of the first; or if there is not one word for each column.
        """
        if hasattr(matrix, "tocsr"):
            rows = matrix.tocsr()
            if not rows.has_canonical_format:
                rows = rows.copy()
                rows.sum_duplicates()
            ends, words, counts, shape = rows.indptr, rows.indices, rows.data, rows.shape
        else:
            dense = _dense(matrix, name)
            at, words = dense.nonzero()
            counts, shape = dense[at, words], dense.shape
            ends = np.concatenate(([0], np.bincount(at, minlength=shape[0]).cumsum()))
        return cls.of_entries(name, ends, words, counts, int(shape[1]), vocabulary)

    @classmethod
    def of_entries(
        cls,
        name: str,
        ends: np.ndarray[Any, Any],
        words: np.ndarray[Any, Any],
        counts: np.ndarray[Any, Any],
        n_columns: int,
        vocabulary: Sequence[str] | None = None,
    ) -> Documents:
        """Documents from the entries of a sparse matrix by row; raises what `of` raises."""
        _check_counts(name, ends, words, counts)
        there = counts != 0
        if not there.all():
            ends = np.concatenate(([0], there.cumsum()))[ends]
            words, counts = words[there], counts[there]
        if n_columns < 2:
            raise ValueError(f"{name} has {n_columns} columns; counts need one for each word")
        documents = cls(
            name,
            torch.from_numpy(ends.astype(np.int64)),
            torch.from_numpy(words.astype(np.int32)),
            torch.from_numpy(counts.astype(np.int32)),
            n_columns,
        )
        return documents if vocabulary is None else documents.named(vocabulary)

    @classmethod
    def of_places(
        cls,
        name: str,
        rows: np.ndarray[Any, Any],
        columns: np.ndarray[Any, Any],
        counts: np.ndarray[Any, Any],
        shape: tuple[int, int],
    ) -> Documents:
        """Documents from rows, columns and counts of entries in any order, which are added up.

        Raises
        ------
        TypeError, ValueError
            As `of`.
        """
        order = np.lexsort((columns, rows))
        rows, columns, counts = rows[order], columns[order], counts[order]
        ends = np.concatenate(([0], np.bincount(rows, minlength=shape[0]).cumsum()))
        _check_counts(name, ends, columns, counts)
        first = np.ones(len(rows), bool)
        first[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
        if not first.all():
            counts = np.add.reduceat(counts.astype(np.float64), first.nonzero()[0])
            rows, columns = rows[first], columns[first]
            ends = np.concatenate(([0], np.bincount(rows, minlength=shape[0]).cumsum()))
        return cls.of_entries(name, ends, columns, counts, shape[1])

    def named(self, vocabulary: Sequence[str]) -> Documents:
        """The same documents, with the word of each column.

        Raises
        ------
        ValueError
            If there is not one word for each column.
        """
        words = tuple(map(str, vocabulary))
        if len(words) != self.n_columns:
            raise ValueError(
                f"there are {len(words):,} words for the {self.n_columns:,} columns of "
                f"{self.name}; pass one word for each column, in their order"
            )
        return dataclasses.replace(self, vocabulary=words)

    def __len__(self) -> int:
        return len(self.ends) - 1

    @property
    def device(self) -> torch.device:
        """The device of the counts."""
        return self.words.device

    @property
    def lengths(self) -> Tensor:
        """Words of each document, int64 of shape (n_documents,)."""
        sums = torch.cat((self.ends.new_zeros(1), self.counts.long().cumsum(0)))
        return sums[self.ends[1:]] - sums[self.ends[:-1]]

    @property
    def n_words(self) -> int:
        """Words of all documents together."""
        return int(self.counts.sum())

    @property
    def frequencies(self) -> Tensor:
        """Share of each word among the words of all documents, float64 of shape (n_columns,)."""
        found = torch.zeros(self.n_columns, dtype=torch.float64, device=self.device)
        found.index_add_(0, self.words.long(), self.counts.double())
        return found / found.sum()

    def to(self, device: torch.device | str) -> Documents:
        """The same documents on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("ends", "words", "counts")}
        return dataclasses.replace(self, **moved)

    def take(self, index: Tensor) -> Documents:
        """Some of the documents, in this order.

        Parameters
        ----------
        index
            Their numbers, int64 of shape (n,).
        """
        index = index.to(self.device)
        starts, sizes = self.ends[index], self.ends.diff()[index]
        ends = torch.cat((sizes.new_zeros(1), sizes.cumsum(0)))
        entries = torch.arange(int(ends[-1]), device=self.device)
        entries += (starts - ends[:-1]).repeat_interleave(sizes)
        return dataclasses.replace(
            self, ends=ends, words=self.words[entries], counts=self.counts[entries]
        )

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """Some of the documents as a sparse matrix of counts (`torch.sparse_csr`), for a learner.

        It has shape (len(index), n_columns) and int32 counts. The stream is not used: counts are
        their own states.
        """
        return self.take(index).as_sparse()

    def as_sparse(self) -> Tensor:
        """All documents as a `torch.sparse_csr` tensor of int32 counts, in the same memory."""
        with warnings.catch_warnings():
            # the product that torch warns of is not used: this only carries the entries
            warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
            return torch.sparse_csr_tensor(
                self.ends,
                self.words.long(),
                self.counts,
                (len(self), self.n_columns),
                check_invariants=False,
            )

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of each word's count over the documents, float64."""
        if weights is not None:
            raise ValueError("documents have no weights; leave them out")
        sums = torch.zeros(2, self.n_columns, dtype=torch.float64, device=self.device)
        counts = self.counts.double()
        sums.index_add_(1, self.words.long(), torch.stack((counts, counts.square())))
        mean, square = sums / len(self)
        return mean, square - mean.square()

    def without_empty(self) -> Documents:
        """The documents that have words; a note says how many have none.

        Raises
        ------
        ValueError
            If none has.
        """
        self.refuse_wordless()
        index = self.ends.diff().nonzero()[:, 0]
        n_empty = len(self) - len(index)
        if not n_empty:
            return self
        first = int((self.ends.diff() == 0).nonzero()[0])
        note = f"{n_empty:,} empty documents left out, row {first} the first"
        return dataclasses.replace(self.take(index), notes=(*self.notes, note))

    def refuse_wordless(self) -> None:
        """Refuse documents none of which has words; raises a ValueError."""
        if not len(self.words):
            raise ValueError(
                f"{self.name} holds no words in {len(self):,} documents; pass counts above 0"
            )

    def refuse_empty(self) -> None:
        """Refuse documents without words.

        Raises
        ------
        ValueError
            Says how many there are, and which is the first.
        """
        self.refuse_wordless()
        empty = (self.ends.diff() == 0).nonzero()[:, 0]
        if len(empty):
            raise ValueError(
                f"{len(empty):,} documents of {self.name} have no words, row {int(empty[0])} the "
                "first; leave them out (`without_empty()`)"
            )

    def split(self, share: float, seed: int) -> tuple[Documents, Documents | None]:
        """Documents to train on and held-out ones, which are a random share.

        Raises
        ------
        ValueError
            If no document would be left to train on.
        """
        n_held_out = round(share * len(self))
        if not n_held_out:
            return self, None
        if n_held_out >= len(self):
            raise ValueError(
                f"a share of {share:g} of {len(self)} documents leaves none to train on; pass a "
                "smaller one"
            )
        order = kernels.permutation(len(self), Lane.HELD_OUT.stream(seed))
        held_out, train = order[:n_held_out], order[n_held_out:]
        return self.take(train.sort().values), self.take(held_out.sort().values)

    def halves(self, seed: int) -> tuple[Documents, Documents]:
        """Each document in two: its words are drawn in turn for one half and the other.

        Of an odd number of words the second half gets one more, so that a document of one word has
        an empty first half. Words are drawn without regard to where they stood, which counts do not
        say.

        Returns
        -------
        tuple of Documents
            The same documents, each with about half of its words.
        """
        of_token = torch.arange(len(self.words), device=self.device).repeat_interleave(self.counts)
        rows = torch.arange(len(self), device=self.device).repeat_interleave(self.lengths)
        order = kernels.permutation(len(of_token), Lane.HALVES.stream(seed)).to(self.device)
        order = order[torch.argsort(rows[order], stable=True)]  # random within each document
        starts = torch.cat((self.lengths.new_zeros(1), self.lengths.cumsum(0)))
        place = torch.arange(len(of_token), device=self.device) - starts[rows]
        is_first = place < (self.lengths // 2)[rows]
        first = torch.bincount(of_token[order[is_first]], minlength=len(self.words)).int()
        return self._with_counts(first), self._with_counts(self.counts - first)

    def _with_counts(self, counts: Tensor) -> Documents:
        """The same documents with other counts, of which zeros are left out."""
        there = counts > 0
        before = torch.cat((self.ends.new_zeros(1), there.long().cumsum(0)))
        return dataclasses.replace(
            self, ends=before[self.ends], words=self.words[there], counts=counts[there]
        )

    def fingerprint(self) -> str:
        """SHA-256 of the counts."""
        found = hashlib.sha256(f"{len(self)} {self.n_columns}".encode())
        for part in (self.ends, self.words, self.counts):
            found.update(part.cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def __repr__(self) -> str:
        return (
            f"Documents({self.name!r}, {len(self):,} documents, {self.n_columns:,} columns, "
            f"{self.n_words:,} words)"
        )


def _dense(matrix: Any, name: str) -> np.ndarray[Any, Any]:
    if isinstance(matrix, Tensor):
        matrix = matrix.detach().cpu().numpy()
    dense = np.asarray(matrix)
    if dense.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} is {described(matrix)} of {dense.dtype}; pass a matrix of counts, such as "
            "scikit-learn's CountVectorizer makes"
        )
    if dense.ndim != 2:
        raise ValueError(f"{name} has shape {dense.shape}; pass (documents, words)")
    return dense


def _check_counts(
    name: str, ends: np.ndarray[Any, Any], words: np.ndarray[Any, Any], counts: np.ndarray[Any, Any]
) -> None:
    """Refuse anything but whole numbers from 0; names the row and the column of the first."""
    if counts.dtype.kind not in "biuf":
        raise TypeError(f"{name} holds {counts.dtype}; pass whole numbers")
    with np.errstate(invalid="ignore"):
        checks = {
            "negative": counts < 0,
            "missing or infinite": ~np.isfinite(counts),
            "not whole": counts != np.round(counts),
            f"above {_MOST:,}": counts > _MOST,
        }
    remedy = {
        "not whole": "shares and tf-idf are no counts; pass how often each word occurs",
        "negative": "counts are 0 or more",
    }
    for what, bad in checks.items():
        if not bad.any():
            continue
        entry = int(bad.nonzero()[0][0])
        row = int(np.searchsorted(ends, entry, side="right")) - 1
        raise ValueError(
            f"{name}: {int(bad.sum()):,} counts are {what}, first in row {row}, column "
            f"{int(words[entry])}: {counts[entry]:g}; "
            f"{remedy.get(what, 'pass how often each word occurs')}"
        )
    total = float(counts.sum(dtype=np.float64))
    if total > _MOST:
        raise ValueError(
            f"{name} holds {total:,.0f} words, and {_MOST:,} can be learned from; check that every "
            "column holds counts of a word"
        )
