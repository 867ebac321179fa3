"""Three lines of Python that load the model of a run."""

from __future__ import annotations

from harmonium.report.facts import Facts
from harmonium.report.pieces import Section
from harmonium.run_directory import Network


def section(facts: Facts) -> Section:
    """The lines, which work in the folder where the run's commands were typed."""
    return Section("use", "Use it", "use", {"facts": facts, "lines": lines(facts)})


def lines(facts: Facts) -> str | None:
    """Code that loads the model and does one thing with it; None if there is no model."""
    run = facts.run
    if facts.kind == "deep belief network":
        if not facts.is_finished:
            return lines(facts.layers[-1])
        return (
            "from harmonium import deep\n"
            f"dbn = deep.load_dbn({str(Network(run).dbn_path)!r})\n"
            "weights = [rbm.weights.detach().numpy() for rbm in dbn.stack]  # of each layer\n"
        )
    if facts.kind == "fine-tuning":
        if not run.network_path.is_file():
            if not run.checkpoints():
                return None
            return (
                "from harmonium import deep\n"
                f"state = deep.load_finetuning({str(run.latest_checkpoint())!r})\n"
                "network = state.model  # as it was at that update\n"
            )
        return (
            "from harmonium import deep\n"
            f"network = deep.load_network({str(run.network_path)!r})\n"
            "module = network.to_sequential()  # plain torch.nn, for rows as in training\n"
        )
    if facts.kind == "topic model":
        if facts.is_finished:
            load = f"topics.load_topic_model({str(run.model_path)!r})"
        elif run.checkpoints():
            load = f"topics.load_topics({str(run.latest_checkpoint())!r}).model"
        else:
            return None
        return (
            f"from harmonium import topics\nmodel = {load}\n"
            "hidden = model.mean_h(topics.Documents.of(counts))  # shape (n_documents, n_hidden)\n"
        )
    shape = facts.config["data"]["image_shape"]
    weights = (
        f"filters = rbm.weights.detach().numpy().T.reshape(-1, {shape[0]}, {shape[1]})"
        "  # a picture a hidden unit"
        if shape and facts.config["options"]["visible"] != "categorical"
        else "weights = rbm.weights.detach().numpy()  # shape (n_visible, n_hidden)"
    )
    if not (run.checkpoints() or run.model_path.is_file()):
        return None
    if facts.is_finished:
        load = f"rbm = checkpoint.load_model({str(run.model_path)!r})"
    else:
        load = f"rbm = checkpoint.load({str(run.latest_checkpoint())!r}).model"
    return f"from harmonium import checkpoint\n{load}\n{weights}\n"
