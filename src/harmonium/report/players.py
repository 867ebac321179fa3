"""Animated pictures: the course of training, and the film of a finished model's chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonium.report.facts import Facts
from harmonium.report.pieces import Section, data_uri


@dataclass(frozen=True)
class Track:
    """One of the pictures that are animated together.

    Attributes
    ----------
    title, caption
        What it shows.
    frames
        PNG files by their time; a track may lack some of the times.
    """

    title: str
    caption: str
    frames: Mapping[int, Path]


_CAPTIONS = {
    "filters": (
        "Filters",
        "The weights of the first hidden units, each on its own scale: grey is zero, lighter "
        "positive.",
    ),
    "chains": (
        "Chains",
        "Samples of the model: mean visible units of some of its chains, at that update.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Rows that the model was not trained on, where there are any, up to the hidden units and "
        "back.",
    ),
}


def history(facts: Facts) -> Section | None:
    """The sheets drawn during training; None if there are none."""
    kept = {what: facts.run.history(what) for what in _CAPTIONS}
    tracks = [Track(*_CAPTIONS[what], frames) for what, frames in kept.items() if frames]
    if not tracks:
        return None
    updates = {update for frames in kept.values() for update in frames}
    labels = {update: when(update, facts.n_updates_an_epoch) for update in updates}
    shown = {"player": _player("history", tracks, labels, starts_by_itself=False)}
    return Section("history", "Through the training", "history", shown)


def film(facts: Facts) -> Section | None:
    """The film of the finished model's chains; None if there is none."""
    frames = facts.run.film_frames()
    if not frames or not facts.is_finished:
        return None
    caption = "One place per chain: mean visible units, five sweeps between frames."
    labels = {at: f"{at:,} sweeps" for at in frames}
    player = _player("film", [Track("Film", caption, frames)], labels, starts_by_itself=True)
    return Section("film", "Chains as a film", "film", {"facts": facts, "player": player})


def _player(
    name: str, tracks: Sequence[Track], labels: Mapping[int, str], *, starts_by_itself: bool
) -> dict[str, Any]:
    """The frames and the slider's labels, by the time of the frames.

    If the user prefers reduced motion, nothing starts automatically.
    """
    times = sorted(labels)
    return {
        "name": name,
        "captions": [(track.title, track.caption) for track in tracks],
        "content": {
            "tracks": [_frames(track, times) for track in tracks],
            "labels": [labels[at] for at in times],
        },
        "start": 0 if starts_by_itself else len(times) - 1,
        "starts_by_itself": starts_by_itself,
    }


def _frames(track: Track, times: Sequence[int]) -> dict[str, Any]:
    """The existing frames, and the frame to show at each time: the most recent one."""
    return {
        "frames": [data_uri(track.frames[at].read_bytes()) for at in times if at in track.frames],
        "shown": [max(0, sum(there <= at for there in track.frames) - 1) for at in times],
    }


def when(update: int, n_updates_an_epoch: int) -> str:
    """A time in training, in words."""
    return f"epoch {plainly(update / n_updates_an_epoch)} · update {update:,}"


def plainly(value: float) -> str:
    """A number with two decimals, if it has any."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")
