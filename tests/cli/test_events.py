"""TensorBoard's event files: scalars, bands of errors, and words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harmonium.runs.events import EventFiles

pytest.importorskip("tensorboard")


@pytest.mark.filterwarnings("ignore")  # of tensorboard's own
def test_bands_and_words_are_written_beside_numbers(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    first = {"update": 10, "log_likelihood": -20.0, "log_likelihood_std_error": 0.5}
    rows = [first, {**first, "update": 20, "log_likelihood_warning": "the particles are lost"}]
    with EventFiles(tmp_path, wanted=True) as events:
        for row in rows:
            events.add(row)
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    values = {tag: [(of.step, of.value) for of in read.Scalars(tag)] for tag in read.scalars.Keys()}
    assert values == {
        "log_likelihood": [(10, -20.0), (20, -20.0)],
        "log_likelihood_std_error": [(10, 0.5), (20, 0.5)],
        "band/log_likelihood_lower": [(10, -20.5), (20, -20.5)],
        "band/log_likelihood_upper": [(10, -19.5), (20, -19.5)],
    }
    layout, words = (read.Tensors(tag) for tag in sorted(read.tensors.Keys()))
    assert len(layout) == 1 and b"band/log_likelihood_lower" in layout[0].tensor_proto.string_val[0]
    assert [(of.step, of.tensor_proto.string_val[0]) for of in words] == [
        (20, b"the particles are lost")
    ]
