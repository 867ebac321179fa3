"""A long computation that reports its progress."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

from harmonium.kernels.threads import following

Result = TypeVar("Result", covariant=True)


class Computation(Generic[Result]):
    """A lazy computation: iterate over it, or ask for its `result`.

    ``for done in computation`` gives the number of steps made so far, out of ``n_steps``. The loop
    can show progress, or stop and continue later. ``computation.result()`` makes the remaining
    steps.

    Parameters
    ----------
    n_steps
        Total number of steps.
    steps
        Yields the number of steps made, and returns the result.
    """

    def __init__(self, n_steps: int, steps: Generator[int, None, Result]) -> None:
        self.n_steps = n_steps
        self._steps = steps
        self._results: list[Result] = []
        self._has_failed = False

    def __iter__(self) -> Iterator[int]:
        while not self._results:
            if self._has_failed:
                raise RuntimeError("this computation was interrupted or failed; begin a new one")
            try:
                with following():
                    done = next(self._steps)
            except StopIteration as end:
                self._results.append(end.value)
            except BaseException:
                self._has_failed = True
                raise
            else:
                yield done

    def result(self) -> Result:
        """Return the result, after making any remaining steps.

        Raises
        ------
        RuntimeError
            If an earlier step was interrupted or failed.
        """
        for _ in self:
            pass
        return self._results[0]
