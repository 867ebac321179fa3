"""A long computation that says how far it is."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

Result = TypeVar("Result", covariant=True)


class Computation(Generic[Result]):
    """A computation that has not been made yet: iterate over it, or ask for its `result`.

    ``for done in computation`` gives the number of steps made so far, out of ``n_steps``; whoever
    iterates shows it, or stops and goes on later. ``computation.result()`` makes the steps that
    are left.

    Parameters
    ----------
    n_steps
        Steps in all.
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
                done = next(self._steps)
            except StopIteration as end:
                self._results.append(end.value)
            except BaseException:
                self._has_failed = True
                raise
            else:
                yield done

    def result(self) -> Result:
        """The result, after making whatever steps are left.

        Raises
        ------
        RuntimeError
            If an earlier step was interrupted or failed.
        """
        for _ in self:
            pass
        return self._results[0]
