"""What a run of counts of words can be asked, as methods of `Run`; see `Asking`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from harmonium.runs import said
from harmonium.runs.answers import topics as finding
from harmonium.runs.answers.asked import Asked
from harmonium.runs.answers.topic_options import TopicOptions
from harmonium.runs.answers.topics import Topics


class AskingOfTopics(ABC):
    """The question about topics, a part of `Asking`."""

    def topics(
        self,
        words: str | Path | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Topics:
        """List the topics learned from counts of words; same as ``harmonium topics``.

        Parameters
        ----------
        words
            A file of the words of the columns, one a line; by default the names of the columns, or
            their numbers.
        device, threads
            As for every question (`Asking`).
        options
            ``n_words``, ``n_documents`` and ``out`` (`runs.answers.topic_options.TopicOptions`).

        Returns
        -------
        Topics
            Words, coherence and nearest documents of each topic, and the path of a ``.csv``.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        chosen = said.of_answer("topics", (TopicOptions,), {"words": words, **options})
        return finding.find(self._asked(device, threads), *chosen)

    @abstractmethod
    def _asked(self, device: str, threads: int | None, progress: bool = False) -> Asked:
        """The run, where to compute, and who is told."""
