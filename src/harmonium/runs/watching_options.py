"""The options of a training run that do not change what is learned.

Nothing heavy is imported here.
"""

from __future__ import annotations

from dataclasses import dataclass

from harmonium import defaults
from harmonium.runs.choices import option


@dataclass(frozen=True)
class WatchingOptions:
    """How a run is monitored and stored; these options do not change a bit of what is learned."""

    every: int | None = option(
        None,
        "Updates between two rows of numbers.",
        panel="Watching",
        shown=f"whole epochs, at least {defaults.MIN_UPDATES_PER_ROW} updates; 30 rows in short "
        "runs",
    )
    checkpoint_every: float = option(
        defaults.CHECKPOINT_SECONDS, "Seconds between two checkpoints.", panel="Watching"
    )
    log_likelihood: bool = option(
        True, "Track log Z during training, for log-likelihoods in nats.", panel="Watching"
    )
    figures: bool = option(True, "Draw pictures.", panel="Watching")
    tensorboard: bool | None = option(
        None, "Write TensorBoard event files.", panel="Watching", shown="if it is installed"
    )

    def __post_init__(self) -> None:
        """Reject values out of range."""
        if self.every is not None and self.every < 1:
            raise ValueError(f"`every` is {self.every}; pass 1 or more updates")
        if not self.checkpoint_every >= 0:
            raise ValueError(
                f"`checkpoint_every` is {self.checkpoint_every:g}; pass 0 or more seconds"
            )
