"""Pictures that change: the history of a training, and the film of a finished model's chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harmonium.report.facts import Facts
from harmonium.report.markup import Section, as_json, data_uri, text


@dataclass(frozen=True)
class Track:
    """One of the pictures that change together.

    Attributes
    ----------
    title, caption
        What it shows.
    frames
        PNG files, by the time that each is of; a track may lack some of the times.
    """

    title: str
    caption: str
    frames: Mapping[int, Path]


def player(
    name: str,
    tracks: Sequence[Track],
    labels: Mapping[int, str],
    *,
    starts_by_itself: bool,
) -> str:
    """Pictures above a slider and a button that plays them.

    Parameters
    ----------
    name
        Of the data on the page.
    tracks
        What changes.
    labels
        What the slider says, by the time of the frames.
    starts_by_itself
        Whether it plays once it is seen; never where people have asked for less motion.
    """
    times = sorted(labels)
    figures, sources = [], []
    for number, track in enumerate(tracks):
        frames = [data_uri(track.frames[at].read_bytes()) for at in times if at in track.frames]
        # which of the frames is shown at each time: the last one that there was
        shown = [max(0, sum(there <= at for there in track.frames) - 1) for at in times]
        first = frames[shown[0] if starts_by_itself else shown[-1]]
        sources.append({"frames": frames, "shown": shown})
        figures.append(
            f'<figure><img class="sheet" data-track="{number}" src="{first}" '
            f'alt="{escape(track.title)}" decoding="sync">'
            f"<figcaption><strong>{text(track.title)}.</strong> {text(track.caption)}</figcaption>"
            "</figure>"
        )
    start = 0 if starts_by_itself else len(times) - 1
    return (
        f'<div class="player" data-player="{name}"{" data-autoplay" * starts_by_itself}>'
        f'<div class="sheets">{"".join(figures)}</div>'
        '<div class="controls"><button type="button" class="play" aria-pressed="false">Play'
        "</button>"
        f'<input type="range" min="0" max="{len(times) - 1}" value="{start}" step="1" '
        f'aria-label="Time"><output>{text(labels[times[start]])}</output></div></div>'
        + as_json(name, {"tracks": sources, "labels": [labels[at] for at in times]})
    )


_CAPTIONS = {
    "filters": (
        "Filters",
        "The weights of the first hidden units, each on its own scale: grey is zero, lighter "
        "positive.",
    ),
    "chains": (
        "Chains",
        "What the model itself draws: mean visible units of some of its chains, at that update.",
    ),
    "reconstructions": (
        "Reconstructions",
        "Rows that the model was not trained on, where there are any, up to the hidden units and "
        "back.",
    ),
}


def history(facts: Facts) -> Section | None:
    """The sheets that were drawn along the training; None where there are none."""
    kept = {what: facts.run.history(what) for what in _CAPTIONS}
    tracks = [Track(*_CAPTIONS[what], frames) for what, frames in kept.items() if frames]
    if not tracks:
        return None
    updates = {update for frames in kept.values() for update in frames}
    body = player(
        "history",
        tracks,
        {update: when(update, facts.n_updates_an_epoch) for update in updates},
        starts_by_itself=False,
    )
    return Section(
        "history",
        "Through the training",
        "Drag the slider, or use the arrow keys once it has the focus.",
        body,
    )


def film(facts: Facts) -> Section | None:
    """The film of the finished model's chains; None where there is none."""
    frames = facts.run.film_frames()
    if not frames or not facts.is_finished:
        return None
    of_network = facts.kind == "deep belief network"
    chains = (
        "Chains of the top layer, each shown as the picture below it"
        if of_network
        else "Chains of the finished model"
    )
    playing = player(
        "film",
        [
            Track(
                "Film",
                "A place a chain: mean visible units, five sweeps from frame to frame.",
                frames,
            )
        ],
        {at: f"{at:,} sweeps" for at in frames},
        starts_by_itself=True,
    )
    return Section(
        "film",
        "Chains as a film",
        f"{chains}. A good model's chains wander: none of them keeps one kind of picture for long.",
        playing,
    )


def when(update: int, n_updates_an_epoch: int) -> str:
    """A time of a training in words."""
    return f"epoch {plainly(update / n_updates_an_epoch)} · update {update:,}"


def plainly(value: float) -> str:
    """A number with two decimals, where it has any."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")
