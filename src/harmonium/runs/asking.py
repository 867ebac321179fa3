"""`Asking`: what a run can be asked, as methods of `Run`; `runs.answers` makes the answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harmonium.likelihood import LogLikelihood
from harmonium.run_directory import RunDirectory, kinds
from harmonium.runs import said
from harmonium.runs.answers import (
    compare,
    diagnose,
    encode,
    evaluate,
    fidelity,
    plot,
    reconstruct,
)
from harmonium.runs.answers import options as tables
from harmonium.runs.answers import sample as sampling
from harmonium.runs.answers.compare import Comparison
from harmonium.runs.answers.diagnose import Diagnosed
from harmonium.runs.answers.encode import Codes, Decoded
from harmonium.runs.answers.fidelity import Fidelity
from harmonium.runs.answers.reconstruct import Reconstructions
from harmonium.runs.answers.sample import Samples
from harmonium.runs.asking_of_data import AskingOfData
from harmonium.runs.following import write_page
from harmonium.runs.reporting import Silent
from harmonium.runs.rows import ReadingOptions
from harmonium.topics import Perplexity


class Asking(AskingOfData):
    """The questions that a run answers, as the commands of the same names do.

    Keyword arguments are the options of the commands, with underscores. Rows are a named set, a
    file, or in memory: an array, a tensor, a data frame, a sparse matrix, or `Data`. They are read
    as the run's own rows were, unless options of `runs.rows.ReadingOptions`, such as ``label`` or
    ``drop``, say otherwise. Every method takes ``device`` (``cpu``, ``cuda``, ``cuda:1``, ...) and
    ``threads`` (CPU threads from now on; unchanged by default). Files go into the run under an
    unused name, unless ``out`` names a place.

    All of them raise FileNotFoundError, FileExistsError, TypeError or ValueError before anything is
    written: if the run has no such model, for options that are unknown or contradict each other,
    for rows that cannot be read, and for places that are taken.
    """

    def sample(self, *, device: str = "cpu", threads: int | None = None, **options: Any) -> Samples:
        """Sample an RBM or a stack, or complete rows; same as ``harmonium sample``.

        Parameters
        ----------
        options
            ``chains``, ``samples``, ``warmup``, ``sweeps_per_sample``, ``start``, ``sampler``,
            ``temperatures``, ``clamp``, ``data``, ``nearest``, ``seed``, ``out``
            (`runs.answers.options.SamplingOptions`); for a stack also ``classes`` and
            ``completion`` (`runs.answers.options.NetworkSamplingOptions`).

        Returns
        -------
        Samples
            Arrays in the units of the data, and the paths of an ``.npz`` and a picture of them.
        """
        if self.directory.kind is kinds.DBN:
            of_stack = (tables.SamplingOptions, tables.NetworkSamplingOptions, ReadingOptions)
            chosen = said.of_answer("sample", of_stack, options)
            return sampling.sample_network(self._asked(device, threads), *chosen)
        of_rbm = (tables.SamplingOptions, ReadingOptions)
        chosen = said.of_answer("sample", of_rbm, options)
        return sampling.sample(self._asked(device, threads), *chosen)

    def reconstruct(
        self, data: Any = None, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Reconstructions:
        """Reconstruct rows with an RBM; same as ``harmonium reconstruct``.

        Parameters
        ----------
        data
            The rows; by default the run's held-out rows.
        options
            ``shown`` and ``out`` (`runs.answers.options.ReconstructionOptions`), and how to read
            the rows.

        Returns
        -------
        Reconstructions
            Arrays in the units of the data, errors, and the paths of an ``.npz`` and a picture.
        """
        of_it = (tables.ReconstructionOptions, ReadingOptions)
        chosen = said.of_answer("reconstruct", of_it, {"data": data, **options})
        return reconstruct.reconstruct(self._asked(device, threads), *chosen)

    def evaluate(
        self,
        data: Any = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        progress: bool = True,
        **options: Any,
    ) -> LogLikelihood | Perplexity:
        """Compute the mean log-likelihood of test rows, nats; same as ``harmonium evaluate``.

        It is exact if one layer has at most 2^25 states, else an interval. The result is stored in
        ``likelihood.json`` and on the page of the run. With a ``budget``, the work is stored as
        well, and a larger budget continues it.

        Parameters
        ----------
        data
            The rows; by default the run's own, those of ``split``. Of more than 64 MB of rows on
            disk, 100,000 are drawn, unless ``rows`` says how many; ``n_rows`` of the result tells.
        progress
            Whether to show a progress bar in a notebook.
        options
            ``chains``, ``temperatures``, ``budget`` (seconds, or ``"10m"``), ``split``, ``rows``,
            ``binarize``, ``seed`` (`runs.answers.options.EvaluationOptions`), and how to read the
            rows.

        Returns
        -------
        LogLikelihood or Perplexity
            The value or the interval, and the reasons if it must not be trusted; of a topic model,
            the perplexity.
        """
        of_it = (tables.EvaluationOptions, ReadingOptions)
        chosen = said.of_answer("evaluate", of_it, {"data": data, **options})
        asked = self._asked(device, threads, progress)
        return evaluate.evaluate(asked, *chosen).found

    def diagnose(
        self, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Diagnosed:
        """Diagnose an RBM and suggest remedies; same as ``harmonium diagnose``.

        Parameters
        ----------
        options
            ``sweeps``, ``chains`` and ``seed`` (`runs.answers.options.DiagnosisOptions`).

        Returns
        -------
        Diagnosed
            Measurements and advice; they are also in ``diagnosis.json`` and on the run's page.

        Raises
        ------
        FileExistsError, FileNotFoundError, TypeError, ValueError
            As for every question, and if the data of the run have changed.
        """
        chosen = said.of_answer("diagnose", (tables.DiagnosisOptions,), options)
        return diagnose.diagnose(self._asked(device, threads), *chosen)

    def fidelity(
        self,
        samples: Any = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        **options: Any,
    ) -> Fidelity:
        """Measure samples of an RBM beside its data; same as ``harmonium fidelity``.

        Parameters
        ----------
        samples
            Samples of other models to measure beside those of this one: rows, a file, or several
            by name, ``{"GAN": rows, "VAE": "vae.csv"}``.
        options
            ``rows``, ``warmup``, ``start``, ``sampler``, ``pairwise``, ``seed`` and ``out``
            (`runs.answers.options.FidelityOptions`), and how to read files.

        Returns
        -------
        Fidelity
            Numbers for each set of rows, held-out rows first, and the folder of tables and
            pictures.
        """
        of_it = (tables.FidelityOptions, ReadingOptions)
        drawing, reading = said.of_answer("fidelity", of_it, options)
        sets = samples
        if isinstance(samples, str | Path):
            sets = fidelity.named_sets(str(samples))
        elif samples is not None and not isinstance(samples, Mapping):
            sets = {"samples": samples}
        return fidelity.measure(self._asked(device, threads), drawing, reading, sets)

    def encode(
        self, data: Any, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> Codes:
        """Encode rows with an autoencoder, or with a stack; same as ``harmonium dbn encode``.

        The parameters are those of `predict`, and it raises the same errors.

        Returns
        -------
        Codes
            The codes, how well rows come back from them, and the paths of files.
        """
        chosen = said.of_answer("encode", (tables.EncodingOptions, ReadingOptions), options)
        return encode.encode(self._asked(device, threads), data, *chosen)

    def decode(
        self,
        codes: Any,
        *,
        out: str | Path | None = None,
        device: str = "cpu",
        threads: int | None = None,
    ) -> Decoded:
        """Decode codes with an autoencoder, or with a stack; same as ``harmonium dbn decode``.

        Parameters
        ----------
        codes
            A file of codes, or an array, shape (n_rows, n_code_units).
        out
            A .csv or .npz file to write.

        Returns
        -------
        Decoded
            Rows in the units of the data, and the paths of files.
        """
        chosen = said.of_answer("decode", (tables.DecodingOptions,), {"out": out})
        return encode.decode(self._asked(device, threads), codes, *chosen)

    def plot(
        self, *, device: str = "cpu", threads: int | None = None, **options: Any
    ) -> dict[str, Path]:
        """Redraw the pictures of an RBM or a stack; same as ``harmonium plot``.

        Parameters
        ----------
        options
            ``filters``, or ``logos`` of hidden units of a model of sequences
            (`runs.answers.options.PlottingOptions`).

        Returns
        -------
        dict
            The path of each picture by its name, such as ``filters``.

        Raises
        ------
        FileNotFoundError, TypeError, ValueError
            As for every question.
        """
        chosen = said.of_answer("plot", (tables.PlottingOptions,), options)
        drawn = plot.plot(self._asked(device, threads), *chosen)
        return {path.stem: path for path in drawn}

    def compare(self, *others: Asking | str | Path, out: str | Path = "compare.html") -> Comparison:
        """Compare runs side by side on one page; same as ``harmonium compare``.

        Parameters
        ----------
        others
            One to seven other runs, or their paths.
        out
            The page to write; replaces an existing page.

        Returns
        -------
        Comparison
            The page, the verdict in words, and the differences in log-likelihood.

        Raises
        ------
        FileExistsError, FileNotFoundError, ValueError
            If there are no such runs, they cannot be compared, or the file is not a page.
        """
        runs = [
            other.directory if isinstance(other, Asking) else RunDirectory.open_any(other)
            for other in others
        ]
        return compare.compare([self.directory, *runs], Path(out))

    def report(self) -> Path:
        """Update the page of the run with later output; same as ``harmonium report``."""
        return write_page(self.directory, Silent())
