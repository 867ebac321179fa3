"""The command ``harmonium report``, and the command that a page says its run was begun with.

Nothing heavy is imported here.
"""

from __future__ import annotations

import shlex

from harmonium.cli.asking import Lines, asking
from harmonium.cli.parameters import JSON
from harmonium.cli.spelling import flag, in_code
from harmonium.run_directory import RunDirectory
from harmonium.runs.answers.asked import Asked
from harmonium.runs.calls import call_of

_COMMANDS = {"train": ["train"], "train_dbn": ["dbn", "train"], "finetune": ["dbn", "finetune"]}


@asking(JSON)
def report(asked: Asked) -> Lines:
    """Update the page of a run, RUN/report.html.

    Training writes the page with every checkpoint and at the end; evaluate and diagnose update it
    too. Run this command to include later output of sample, reconstruct and plot.
    """
    from harmonium import report

    page = report.write(asked.run, command_of(asked.run), words=in_code)
    yield f"page      {page}"
    return {"report": str(page)}


def command_of(run: RunDirectory) -> str:
    """The command that starts such a run again, with all options that differ from the defaults.

    Empty for a layer of a network, which cannot be started by itself.
    """
    call = call_of(run)
    if call is None:
        return ""
    typed = ["harmonium", *_COMMANDS[call.name], *([] if call.source is None else [call.source])]
    for name, value in call.options.items():
        if isinstance(value, bool):
            typed.append(flag(name if value else f"no_{name}"))
        else:
            typed += [flag(name), str(value)]
    return shlex.join(typed)
