"""The run directory: layout of the files of a run, and how to write them safely.

``config.json`` (everything that defines the run), ``metrics.jsonl`` (one flat row per line),
``warnings.json`` (warnings for the user), ``checkpoints/``, ``model.safetensors`` and ``figures/``.
All commands read and write only this layout.
"""

from harmonium.run_directory.directory import RunDirectory
from harmonium.run_directory.layout import (
    DBN_KIND,
    DIAGNOSIS_MARK,
    FIDELITY_MARK,
    FINETUNING_KIND,
    FORMAT,
    LAYER_BELOW,
    LAYER_NUMBER,
    RATINGS_KIND,
    REPORT_MARK,
    TOPICS_KIND,
    Warned,
    free_path,
    refuse_foreign,
)
from harmonium.run_directory.stack import Network

__all__ = [
    "DBN_KIND",
    "DIAGNOSIS_MARK",
    "FIDELITY_MARK",
    "FINETUNING_KIND",
    "FORMAT",
    "LAYER_BELOW",
    "LAYER_NUMBER",
    "RATINGS_KIND",
    "REPORT_MARK",
    "TOPICS_KIND",
    "Network",
    "RunDirectory",
    "Warned",
    "free_path",
    "refuse_foreign",
]
