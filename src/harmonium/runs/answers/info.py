"""What is known of a run and its progress."""

from __future__ import annotations

from typing import Any

from harmonium.run_directory import Network, RunDirectory, kinds
from harmonium.runs.stack_task import layers_of


def facts_of(run: RunDirectory) -> dict[str, Any]:
    """The configuration of a run of any kind, how far it is, and where its model is."""
    config = run.config()
    if run.kind is kinds.DBN:
        network = Network(run)
        finished = str(network.dbn_path) if network.dbn_path.exists() else None
        return {"config": config, "layers": layers_of(network), "network": finished}
    rows, checkpoints = run.rows(), run.checkpoints()
    facts = {
        "config": config,
        "update": run.update_of(checkpoints[-1]) if checkpoints else None,
        "last_update": config["options"]["epochs"]
        * -(-config["data"]["n_train"] // config["options"]["batch_size"]),
    }
    last = rows[-1] if rows else {}
    if run.kind is kinds.FINETUNING:
        finished = str(run.network_path) if run.network_path.is_file() else None
        return {**facts, "network": finished, "last_row": last}
    model = str(run.model_path) if run.model_path.exists() else None
    kept = [str(path) for path in checkpoints]
    return {**facts, "model": model, "last_row": last, "checkpoints": kept}
