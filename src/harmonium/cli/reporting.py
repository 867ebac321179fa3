"""``harmonium report`` and ``harmonium compare``, and the page that every training renews.

What a run was begun with is known here as it is typed, because the options are.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from harmonium import report
from harmonium.cli.progress import choose_reporter
from harmonium.cli.spelling import flag
from harmonium.report import Stage
from harmonium.run_directory import RunDirectory
from harmonium.runs.calls import call_of


def rewrite(path: Path, as_json: bool) -> None:
    """Write the page of a run anew."""
    run = RunDirectory.open_any(path)
    page = write(run)
    reporter = choose_reporter(as_json)
    reporter.say(f"page      {page}")
    reporter.finish({"report": str(page)})


def compare(paths: Sequence[Path], out: Path, as_json: bool) -> None:
    """Put several runs beside each other on one page."""
    runs = [RunDirectory.open_any(path) for path in paths]
    page = report.write_comparison(runs, out)
    verdict = report.verdict_of(runs)
    reporter = choose_reporter(as_json)
    reporter.say(verdict.replace("`", ""))
    reporter.say(f"page      {page}")
    reporter.finish({"page": str(page), "verdict": verdict})


def write(run: RunDirectory, stage: Stage = "unknown") -> Path:
    """Write the page of a run; see `harmonium.report.write`."""
    return report.write(run, command_of(run), stage)


def command_of(run: RunDirectory) -> str:
    """What is typed to begin such a run again, with the options that are not the defaults.

    Empty for a layer of a network, which cannot be begun by itself.
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


_COMMANDS = {"train": ["train"], "train_dbn": ["dbn", "train"], "finetune": ["dbn", "finetune"]}
