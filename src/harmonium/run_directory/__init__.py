"""The run directory: where a run's files are, and how they are written without losing any.

``config.json`` (everything that defines the run), ``metrics.jsonl`` (one flat row a line),
``warnings.json`` (what a user has to know of it), ``checkpoints/``, ``model.safetensors`` and
``figures/``. Every command reads and writes this layout and nothing else.
"""

from harmonium.run_directory.directory import RunDirectory
from harmonium.run_directory.layout import (
    DBN_KIND,
    DIAGNOSIS_MARK,
    FINETUNING_KIND,
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
    "DBN_KIND",
    "DIAGNOSIS_MARK",
    "FINETUNING_KIND",
    "FORMAT",
    "LAYER_BELOW",
    "LAYER_NUMBER",
    "REPORT_MARK",
    "Network",
    "RunDirectory",
    "Warned",
    "free_path",
    "refuse_foreign",
]
