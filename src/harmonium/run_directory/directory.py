"""`RunDirectory`: layout of the files of a run, and how to write them safely."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, overload

from harmonium.files import Content, write_json, write_whole
from harmonium.run_directory.kinds import Kind, kind_of
from harmonium.run_directory.layout import (
    DIAGNOSIS_MARK,
    FORMAT,
    REPORT_MARK,
    Warned,
    free_path,
    refuse_foreign,
)

_KEPT_CHECKPOINTS = 2


class _Inside:
    """A path in a run."""

    def __init__(self, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, run: None, owner: type) -> _Inside: ...

    @overload
    def __get__(self, run: RunDirectory, owner: type) -> Path: ...

    def __get__(self, run: RunDirectory | None, owner: type) -> Path | _Inside:
        return self if run is None else run.path / self.name


class RunDirectory:
    """One run on disk.

    Parameters
    ----------
    path
        The directory; it need not exist yet.
    """

    config_path = _Inside("config.json")
    """The configuration, which defines the run."""
    metrics_path = _Inside("metrics.jsonl")
    """Rows of numbers."""
    model_path = _Inside("model.safetensors")
    """The trained model."""
    network_path = _Inside("network.safetensors")
    """The fine-tuned network."""
    likelihood_path = _Inside("likelihood.json")
    """Results of `harmonium evaluate`."""
    row_values_path = _Inside("likelihood-rows.npz")
    """Minus the free energies of evaluated rows, which `harmonium compare` pairs."""
    evaluation_path = _Inside("evaluation.safetensors")
    """The state from which an evaluation with a larger budget continues."""
    warnings_path = _Inside("warnings.json")
    """Warnings, a JSON list of ``{"title": ..., "text": ...}``."""
    figures = _Inside("figures")
    """Pictures."""
    diagnosis_path = _Inside("diagnosis.json")
    """Results of `harmonium diagnose`."""
    report_path = _Inside("report.html")
    """The page of the run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """An existing run of an RBM.

        Raises
        ------
        FileNotFoundError
            If there is none; names the other runs in the same folder.
        ValueError
            If its configuration is damaged, or was written by a newer harmonium; or if its model
            is no RBM, and then it says what uses it.
        """
        run = cls.open_any(path)
        if run.kind.refusal:
            layers = sorted(run.path.glob("layers/*/config.json"))
            told = ", ".join(str(layer.parent) for layer in layers)
            raise ValueError(f"{run.path} holds {run.kind.refusal.format(layers=told)}")
        return run

    @classmethod
    def open_any(cls, path: str | Path) -> RunDirectory:
        """An existing run of any kind; the errors are those of `open`, but for its last."""
        run = cls(path)
        if not run.config_path.is_file():
            there = "is no run directory" if run.path.exists() else "does not exist"
            beside = sorted(p.parent.name for p in run.path.parent.glob("*/config.json"))
            known = (
                f"runs beside it: {', '.join(beside)}" if beside else "harmonium train begins one"
            )
            raise FileNotFoundError(f"{run.path} {there}; {known}")
        version = run.config()["format"]
        if version > FORMAT:
            raise ValueError(
                f"{run.path} has format {version}, and this harmonium reads up to {FORMAT}; "
                "install a newer harmonium"
            )
        return run

    @property
    def kind(self) -> Kind:
        """What kind of run this is."""
        return kind_of(self.config())

    @property
    def trained_path(self) -> Path:
        """The file of the finished model, by the kind of the run."""
        return self.path / self.kind.model

    def warnings(self) -> list[Warned]:
        """The warnings of the run, in order; empty if the file is missing or damaged."""
        try:
            content = json.loads(self.warnings_path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return []
        kept = content if isinstance(content, list) else []
        return [
            Warned(one["title"], one["text"])
            for one in kept
            if isinstance(one, dict)
            and all(isinstance(one.get(key), str) and one[key] for key in Warned._fields)
        ]

    def write_warnings(self, warnings: Iterable[Warned]) -> None:
        """Replace the warnings of the run; if there are none, the file is removed."""
        content = [one._asdict() for one in warnings]
        if content:
            text = json.dumps(content, indent=2, ensure_ascii=False)
            write_whole(self.warnings_path, (text + "\n").encode())
        else:
            self.warnings_path.unlink(missing_ok=True)

    @property
    def columns(self) -> Path:
        """Pictures of the columns of a table."""
        return self.figures / "columns"

    def history_path(self, what: str, update: int) -> Path:
        """Path of the sheet of, for example, ``filters`` after an update."""
        return self.figures / "history" / what / f"update-{update:09d}.png"

    def history(self, what: str) -> dict[int, Path]:
        """The sheets of one kind that were drawn during training, by update."""
        sheets = sorted((self.figures / "history" / what).glob("update-*.png"))
        return {self.update_of(path): path for path in sheets}

    def drop_history_after(self, update: int) -> None:
        """Remove the sheets of updates that will be made again."""
        for path in (self.figures / "history").glob("*/update-*.png"):
            if self.update_of(path) > update:
                path.unlink()

    @property
    def film(self) -> Path:
        """Frames of chains of the finished model, in order."""
        return self.figures / "film"

    def film_frames(self) -> dict[int, Path]:
        """The frames of the film, by the number of sweeps before each."""
        frames = sorted(self.film.glob("sweep-*.png"))
        return {int(path.stem.removeprefix("sweep-")): path for path in frames}

    def diagnosis_picture(self, name: str) -> Path:
        """Folder of the pictures of `harmonium diagnose`."""
        return self.figures / "diagnosis" / f"{name}.png"

    def check_replaceable(self) -> None:
        """Refuse to overwrite files that harmonium did not write with a diagnosis or a report.

        Raises
        ------
        FileExistsError
            Says which.
        """
        refuse_foreign(self.diagnosis_path, DIAGNOSIS_MARK)
        refuse_foreign(self.report_path, REPORT_MARK)

    def check_free(self, overwrite: bool) -> None:
        """Refuse to overwrite what exists, unless it is a run and overwriting was requested.

        Raises
        ------
        FileExistsError
            Says what exists and what would work.
        """
        if not os.path.lexists(self.path):
            return
        try:
            self.config()
        except (OSError, ValueError):
            # other programs also have a config.json; replacing deletes it, so it must be one of
            # ours
            raise FileExistsError(
                f"{self.path} exists and is no run; choose another `out`"
            ) from None
        if not overwrite:
            raise FileExistsError(
                f"the run {self.path} exists; choose another `out`, go on with "
                f"`harmonium.open({str(self.path)!r}).resume()`, or replace it with "
                "`overwrite=True`"
            )

    def create(self, config: Mapping[str, Any], checkpoint: Content, overwrite: bool) -> None:
        """Create the directory with its configuration and first checkpoint, atomically.

        Raises
        ------
        OSError
            From the file system, or because the directory exists (`check_free`). A run that was to
            be replaced then still exists, and nothing else is left behind.
        """
        with self.made_whole(overwrite) as partial:
            partial.begin(config, checkpoint)

    @contextlib.contextmanager
    def made_whole(self, overwrite: bool) -> Iterator[RunDirectory]:
        """A temporary directory next to this one, which becomes it when the block succeeds.

        An existing run stays until then; after an error it is unchanged, and nothing else is left
        behind. The errors are those of `create`.
        """
        self.check_free(overwrite)
        new_folders = [folder for folder in self.path.parents if not folder.exists()]
        partial = RunDirectory(self.path.with_name(f".{self.path.name}.{os.getpid()}"))
        try:
            partial.path.mkdir(parents=True)
            yield partial
            self._take_over(partial.path)
            partial.path = self.path
        except BaseException:
            shutil.rmtree(partial.path, ignore_errors=True)
            for folder in new_folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()
            raise

    def begin(self, config: Mapping[str, Any], checkpoint: Content) -> None:
        """Fill an empty directory with a run's configuration and first checkpoint."""
        (self.path / "checkpoints").mkdir()
        self.figures.mkdir()
        self.write_config(config)
        self.metrics_path.touch()
        write_whole(self.checkpoint_path(0), checkpoint)

    def _take_over(self, new: Path) -> None:
        """Move a finished directory to this path; an existing run stays until then."""
        if not self.path.exists():
            new.rename(self.path)
            return
        old = new.with_name(f"{new.name}.old")
        self.path.rename(old)
        try:
            new.rename(self.path)
        except BaseException:
            old.rename(self.path)
            raise
        shutil.rmtree(old)

    def config(self) -> dict[str, Any]:
        """Everything that defines the run.

        Raises
        ------
        ValueError
            If the file is damaged, or does not belong to a run.
        """
        try:
            config = json.loads(self.config_path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.config_path} is damaged ({error}); the weights can still be read from the "
                "run's model.safetensors or checkpoints"
            ) from error
        if not (
            isinstance(config, dict)
            and isinstance(config.get("format"), int)
            and {"options", "data"} <= config.keys()
        ):
            raise ValueError(f"{self.config_path} is not the configuration of a harmonium run")
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Replace the configuration."""
        write_json(self.config_path, {"format": FORMAT, **config})

    def append_row(self, row: Mapping[str, float]) -> None:
        """Append one row of numbers."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row), allow_nan=False) + "\n")

    def rows(self) -> list[dict[str, float]]:
        """All rows of numbers; a last line that a crash truncated is ignored."""
        rows = []
        for line in self.metrics_path.read_text(encoding="utf-8").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break
        return rows

    def drop_rows_after(self, update: int) -> None:
        """Remove the rows of updates that will be made again."""
        kept = [json.dumps(row) + "\n" for row in self.rows() if row["update"] <= update]
        write_whole(self.metrics_path, "".join(kept).encode())

    def checkpoint_path(self, update: int) -> Path:
        """Path of the checkpoint after an update."""
        return self.path / "checkpoints" / f"update-{update:09d}.safetensors"

    @staticmethod
    def update_of(path: Path) -> int:
        """The update after which a checkpoint, or a sheet of the history, was written."""
        return int(path.stem.removeprefix("update-"))

    def checkpoints(self) -> list[Path]:
        """All checkpoints, the newest last."""
        return sorted((self.path / "checkpoints").glob("update-*.safetensors"))

    def latest_checkpoint(self) -> Path:
        """The newest checkpoint.

        Raises
        ------
        FileNotFoundError
            If the run has none.
        """
        checkpoints = self.checkpoints()
        if not checkpoints:
            raise FileNotFoundError(
                f"{self.path} has no checkpoint; start it again with `overwrite=True`"
            )
        return checkpoints[-1]

    def prune_checkpoints(self) -> None:
        """Keep the newest two: the last one, and one as a fallback."""
        for old in self.checkpoints()[:-_KEPT_CHECKPOINTS]:
            old.unlink()

    def remove_unfinished(self) -> None:
        """Remove partial files left by a killed training process."""
        own = (
            self.config_path,
            self.metrics_path,
            self.model_path,
            self.network_path,
            self.likelihood_path,
            self.row_values_path,
            self.diagnosis_path,
            self.warnings_path,
            self.report_path,
        )
        unfinished = [part for file in own for part in self.path.glob(f".{file.name}.*.tmp")]
        for folder in (self.path / "checkpoints", self.figures):
            unfinished += folder.rglob(".*.tmp")
        for part in unfinished:
            part.unlink()

    def free_path(self, name: str) -> Path:
        """An unused path in the run: ``name``, or ``name-2`` and so on."""
        return free_path(self.path / name)
