"""The run directory: layout of the files of a run, and how to write them safely.

``config.json`` (everything that defines the run), ``metrics.jsonl`` (one flat row per line),
``warnings.json`` (warnings for the user), ``checkpoints/``, ``model.safetensors`` and ``figures/``.
All commands read and write only this layout.
"""

from harmonium.run_directory import kinds
from harmonium.run_directory.directory import RunDirectory
from harmonium.run_directory.kinds import Kind
from harmonium.run_directory.layout import (
    DIAGNOSIS_MARK,
    FIDELITY_MARK,
    FORMAT,
    LAYER_BELOW,
    LAYER_NUMBER,
    REPORT_MARK,
    Warned,
    free_path,
    refuse_foreign,
)
from harmonium.run_directory.stack import Network

__all__ = [
    "DIAGNOSIS_MARK",
    "FIDELITY_MARK",
    "FORMAT",
    "LAYER_BELOW",
    "LAYER_NUMBER",
    "REPORT_MARK",
    "Kind",
    "Network",
    "RunDirectory",
    "Warned",
    "free_path",
    "kinds",
    "refuse_foreign",
]
