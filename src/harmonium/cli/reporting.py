"""``harmonium report`` and ``harmonium compare``, and the page that training updates.

This module knows how the options of a run are typed on the command line.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from harmonium import report
from harmonium.cli.progress import choose_reporter
from harmonium.cli.spelling import flag, in_code
from harmonium.report import Stage
from harmonium.run_directory import RunDirectory
from harmonium.runs.calls import call_of

_FEW_RUNS = 3  # most runs whose pairs are printed; a page has room for more


def rewrite(path: Path, as_json: bool) -> None:
    """Write the page of a run again."""
    run = RunDirectory.open_any(path)
    page = write(run)
    reporter = choose_reporter(as_json)
    reporter.say(f"page      {page}")
    reporter.finish({"report": str(page)})


def compare(paths: Sequence[Path], out: Path, as_json: bool) -> None:
    """Compare several runs side by side on one page."""
    runs = [RunDirectory.open_any(path) for path in paths]
    page = report.write_comparison(runs, out)
    verdict = report.verdict_of(runs)
    reporter = choose_reporter(as_json)
    apart = report.differences_of(runs)
    reporter.say(verdict.replace("`", ""))
    for one in apart if len(runs) <= _FEW_RUNS else ():
        rows = ""
        if one.rows_std_error is not None:
            rows = f" (with other rows of their kind: ± {one.rows_std_error:.2g})"
        reporter.say(
            f"{one.a} − {one.b}: {one} nats a row, on the same {one.n_rows:,} rows of "
            f"{one.data}{rows}"
        )
    reporter.say(f"page      {page}")
    told = {"differences": [asdict(one) for one in apart]} if apart else {}
    reporter.finish({"page": str(page), "verdict": verdict, **told})


def write(run: RunDirectory, stage: Stage = "unknown") -> Path:
    """Write the page of a run; see `harmonium.report.write`."""
    return report.write(run, command_of(run), stage, in_code)


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


_COMMANDS = {"train": ["train"], "train_dbn": ["dbn", "train"], "finetune": ["dbn", "finetune"]}
