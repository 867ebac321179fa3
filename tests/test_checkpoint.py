"""Files: what goes in comes out, damage is seen, nothing executes, and writing is all or nothing.

The stored files under ``artefacts/`` prove that this version reads what older ones wrote.
"""

from __future__ import annotations

import builtins
import errno
import importlib.util
import json
import os
import pickle
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from safetensors.torch import save as to_bytes

from harmonium import (
    RBM,
    Binary,
    CenteredGradient,
    Gaussian,
    Gibbs,
    PlainGradient,
    Purpose,
    Stream,
    TrainingState,
    checkpoint,
    load_model,
    save_model,
    serialization,
    training,
)
from harmonium.units import Units
from phases import one_thread  # noqa: F401
from unit_types import UnitType, every_pair, random_rbm

ARTEFACTS = Path(__file__).parent / "artefacts"

_spec = importlib.util.spec_from_file_location("make_artefacts", ARTEFACTS / "make.py")
assert _spec is not None and _spec.loader is not None
make = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make)


def trained(n_updates: int = 3) -> TrainingState:
    state: TrainingState = make.state()
    for update in range(n_updates):
        training.update(state, make.batch(update))
    return state


def assert_same_model(a: RBM, b: RBM) -> None:
    assert repr(a) == repr(b)
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q), name
        assert p.requires_grad == q.requires_grad


# What goes in comes out


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_pair
def test_a_model_comes_back(
    visible: UnitType, hidden: UnitType, dtype: torch.dtype, tmp_path: Path
) -> None:
    rbm, _ = random_rbm(visible, hidden, seed=90, dtype=dtype)
    save_model(rbm, tmp_path / "model.safetensors")
    again = load_model(tmp_path / "model.safetensors")
    assert_same_model(again, rbm)
    assert again.weights.dtype == dtype


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    state = trained()
    path = tmp_path / "checkpoint.safetensors"
    checkpoint.save(state, path, {"numbers": [1, 2.5], "text": "é"})
    again = checkpoint.load(path)
    assert_same_model(again.rbm, state.rbm)
    assert_same_model(again.model, state.model)
    assert again.average is not again.rbm
    assert state.chains is not None and again.chains is not None
    assert torch.equal(again.chains.visible, state.chains.visible)
    assert torch.equal(again.chains.hidden, state.chains.hidden)
    for name in ("sampler", "stream", "seed", "average_decay", "update", "learning_rate"):
        assert getattr(again, name) == getattr(state, name), name
    for ours, theirs in ((again.gradient, state.gradient), (again.penalties, state.penalties)):
        assert repr(ours) == repr(theirs)
        assert ours.state().keys() == theirs.state().keys() != set()
        assert all(torch.equal(ours.state()[name], value) for name, value in theirs.state().items())
    # the same tensors in other words: what is written again is what was read
    assert checkpoint.dumps(again, checkpoint.read_extra(path)) == path.read_bytes()
    assert checkpoint.read_extra(path) == {"numbers": [1, 2.5], "text": "é"}


def test_a_stream_of_its_own_is_kept(tmp_path: Path) -> None:
    state = trained(0)
    state.stream = Stream(99, Purpose.SAMPLE, rank=3, position=12)
    checkpoint.save(state, tmp_path / "c")
    assert checkpoint.load(tmp_path / "c").stream == state.stream


def test_gradients_and_samplers_are_kept_by_name(tmp_path: Path) -> None:
    for gradient in (PlainGradient(), CenteredGradient(rate=0.3)):
        state = TrainingState.create(make.model(), sampler=Gibbs(5), gradient=gradient)
        checkpoint.save(state, tmp_path / "c")
        again = checkpoint.load(tmp_path / "c")
        assert repr(again.gradient) == repr(gradient)
        assert again.sampler == Gibbs(5)


def test_cd_comes_back_as_cd(tmp_path: Path) -> None:
    checkpoint.save(TrainingState.create(make.model(), n_chains=None), tmp_path / "c")
    again = checkpoint.load(tmp_path / "c")
    assert again.chains is None and again.average is None and again.schedule is None
    assert again.model is again.rbm


# Old files


def test_a_stored_model_of_format_1_loads() -> None:
    assert_same_model(load_model(ARTEFACTS / "model-format-1.safetensors"), make.model())


def test_a_stored_checkpoint_of_format_1_loads_and_goes_on() -> None:
    path = ARTEFACTS / "checkpoint-format-1.safetensors"
    assert checkpoint.read_extra(path) == {"note": "format 1"}
    state, fresh = checkpoint.load(path), make.state()
    assert (state.update, state.seed, state.average_decay) == (3, 7, 0.9)
    assert state.learning_rate == pytest.approx(0.01 * (1 - 3 / 10))
    assert state.optimizer.param_groups[0]["momentum"] == 0.5
    assert state.sampler == Gibbs(sweeps=2)
    assert state.stream == Stream(7, Purpose.CHAINS, position=14)
    assert state.chains is not None and state.chains.visible.shape == (4, 3)
    assert state.penalties.sparsity_target == 0.1 and state.penalties.activity is not None
    assert isinstance(state.gradient, CenteredGradient)
    assert state.gradient.visible_offset is not None
    assert repr(state.rbm) == repr(fresh.rbm)
    for update in range(3):
        training.update(fresh, make.batch(update))
    # the products of another processor may differ in the last place, and a draw with them
    for p, q in zip(state.rbm.parameters(), fresh.rbm.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0.05)
    for update in range(3, 10):
        training.update(state, make.batch(update))
    assert (state.update, state.learning_rate) == (10, 0)


@pytest.mark.parametrize("file", sorted(ARTEFACTS.glob("*.safetensors")), ids=lambda p: p.name)
def test_stored_files_are_small(file: Path) -> None:
    assert file.stat().st_size < 8192


# Nothing executes


class Payload:
    """A pickle of this runs a command when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture
def explosives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way of executing what a file holds blows up."""

    def explode(*args: object, **kwargs: object) -> NoReturn:
        pytest.fail("something tried to execute what a file holds")

    for module, name in (
        (pickle, "load"),
        (pickle, "loads"),
        (pickle, "Unpickler"),
        (pickle, "_Unpickler"),
        (torch, "load"),
        (builtins, "eval"),
        (builtins, "exec"),
        (os, "system"),
        (subprocess, "Popen"),
    ):
        monkeypatch.setattr(module, name, explode)


def test_loading_unpickles_and_evaluates_nothing(explosives: None, tmp_path: Path) -> None:
    assert load_model(ARTEFACTS / "model-format-1.safetensors").visible.n == 3
    path = tmp_path / "c"
    checkpoint.save(trained(), path)
    assert checkpoint.load(path).update == 3
    assert checkpoint.read_extra(path) == {}


@pytest.mark.parametrize("how", ["pickle", "torch", "inside"])
@pytest.mark.parametrize("load", [load_model, checkpoint.load, checkpoint.read_extra])
def test_a_pickle_is_refused(how: str, load: Callable[[Path], object], tmp_path: Path) -> None:
    path, proof = tmp_path / "file", tmp_path / "proof"
    payload = Payload(proof)
    if how == "pickle":
        path.write_bytes(pickle.dumps(payload))
    elif how == "torch":
        torch.save({"weights": payload}, path)
    else:
        save_model(make.model(), path)
        path.write_bytes(path.read_bytes() + pickle.dumps(payload))
    with pytest.raises(
        ValueError, match=r"cut off or damaged, or is not a (model|checkpoint) file"
    ):
        load(path)
    assert not proof.exists()


def rewritten(path: Path, change: Callable[[dict[str, str], dict[str, Any]], None]) -> None:
    """Change a file's metadata and configuration, and make its checksum fit, as a forger would."""
    tensors, config = serialization.read(path, "checkpoint")
    metadata = {
        "format": "harmonium checkpoint",
        "version": str(serialization.FORMAT),
        "config": "",
        "sha256": "",
    }
    change(metadata, config)
    metadata["config"] = json.dumps(config)
    metadata["sha256"] = serialization.digest(tensors, metadata["config"])
    path.write_bytes(to_bytes(tensors, metadata))


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (("rbm", "visible"), "Sigmoid"),
        (("rbm", "hidden"), "__import__"),
        (("sampler",), "os.system"),
        (("gradient",), "Path"),
        (("optimizer",), "lr_scheduler"),
        (("optimizer",), "Optimizer"),
    ],
)
def test_only_known_types_are_made(
    place: tuple[str, ...], name: str, explosives: None, tmp_path: Path
) -> None:
    path = tmp_path / "c"
    checkpoint.save(trained(), path)

    def change(metadata: dict[str, str], config: dict[str, Any]) -> None:
        for key in place:
            config = config[key]
        config["type"] = name

    rewritten(path, change)
    with pytest.raises(ValueError, match=f"the file names the type '{name}'; known are "):
        checkpoint.load(path)


def test_arguments_and_tensors_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    for change, message in (
        (lambda _, config: config["rbm"]["visible"].update(n=4), "do not fit its tensors"),
        (lambda _, config: config["sampler"].update(command="ls"), "arguments do not fit"),
        (lambda _, config: config["gradient"].update(rate=7.0), "rate is 7.0"),
    ):
        checkpoint.save(trained(), path)
        rewritten(path, change)
        with pytest.raises(ValueError, match=message):
            checkpoint.load(path)


# Damage


@pytest.mark.parametrize("name", ["model", "checkpoint"])
def test_a_file_that_was_cut_off_is_refused(name: str, tmp_path: Path) -> None:
    content = (ARTEFACTS / f"{name}-format-1.safetensors").read_bytes()
    load: Callable[[Path], object] = load_model if name == "model" else checkpoint.load
    path = tmp_path / "cut"
    for size in {*range(0, len(content), 41), 1, 7, 8, 9, len(content) - 1}:
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="cut off or damaged") as caught:
            load(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["model", "checkpoint"])
def test_one_flipped_bit_is_seen_wherever_it_is(name: str, tmp_path: Path) -> None:
    content = (ARTEFACTS / f"{name}-format-1.safetensors").read_bytes()
    load: Callable[[Path], object] = load_model if name == "model" else checkpoint.load
    path = tmp_path / "flipped"
    for place in range(0, len(content), 1 if name == "model" else 7):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 7)
        path.write_bytes(flipped)
        with pytest.raises(ValueError, match=r"damaged|not a harmonium|has format"):
            load(path)


@pytest.mark.parametrize("load", [load_model, checkpoint.load, checkpoint.read_extra])
def test_a_file_that_is_not_there_is_named(load: Callable[[Path], object], tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no such (model|checkpoint) file"):
            load(path)


def test_model_and_checkpoint_are_told_apart() -> None:
    model, run = (ARTEFACTS / f"{name}-format-1.safetensors" for name in ("model", "checkpoint"))
    with pytest.raises(ValueError, match="holds harmonium model, not a harmonium checkpoint"):
        checkpoint.load(model)
    with pytest.raises(ValueError, match="holds harmonium checkpoint, not a harmonium model"):
        load_model(run)


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}):
        path.write_bytes(to_bytes({"weights": torch.zeros(2)}, metadata))
        with pytest.raises(
            ValueError, match=r"holds (pt|an unknown format), not a harmonium model"
        ):
            load_model(path)


@pytest.mark.parametrize("version", ["2", "10", "", "1.5", "new"])
def test_a_newer_format_is_refused(version: str, tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint.save(trained(), path)
    rewritten(path, lambda metadata, _: metadata.update(version=version))
    with pytest.raises(ValueError, match=r"reads up to 1; install a newer harmonium"):
        checkpoint.load(path)


def test_a_header_of_absurd_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c"
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}")
    with pytest.raises(ValueError, match="cut off or damaged"):
        load_model(path)


# Writing


def test_files_are_those_of_safetensors_but_for_the_order_of_the_header() -> None:
    types = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.float16, torch.bfloat16)
    types += (torch.int32, torch.float32, torch.float64, torch.int64)
    tensors = {f"{n % 3}.{n}": torch.arange(n + 1).to(dtype) for n, dtype in enumerate(types)}
    tensors |= {"empty": torch.zeros(0, 3), "number": torch.tensor(2.5)}
    written = serialization.serialize("model", tensors, {"a": 1})
    theirs = to_bytes(tensors, {"format": "pt"})
    headers, rests = [], []
    for content in (written, theirs):
        end = 8 + int.from_bytes(content[:8], "little")
        headers.append(json.loads(content[8:end]))
        rests.append(content[end:])
    assert rests[0] == rests[1]
    assert {**headers[0], "__metadata__": None} == {**headers[1], "__metadata__": None}


def test_a_model_is_written_from_its_own_memory_and_takes_over_what_is_read(
    tmp_path: Path,
) -> None:
    state = trained(1)
    weights = state.rbm.weights.detach()
    addresses = {
        torch.frombuffer(piece, dtype=torch.uint8).data_ptr()
        for piece in checkpoint.pieces(state)[1:]
        if len(piece)
    }
    assert weights.data_ptr() in addresses
    checkpoint.save(state, tmp_path / "c")
    tensors, config = serialization.read(tmp_path / "c", "checkpoint")
    again = checkpoint.restore(tensors, config)
    assert again.rbm.weights.data_ptr() == tensors["rbm.weights"].data_ptr()
    assert again.rbm.weights.requires_grad and again.rbm.weights.is_leaf


def test_writing_replaces_the_old_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c"
    for n_updates in (0, 2):
        checkpoint.save(trained(n_updates), path)
        assert checkpoint.load(path).update == n_updates
    assert os.listdir(tmp_path) == ["c"]


@contextmanager
def full_after(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the system itself ends a write half-way."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


def test_a_disk_that_is_full_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint.save(trained(2), path)
    before = path.read_bytes()
    with full_after(len(before) // 2), pytest.raises(OSError):
        checkpoint.save(trained(3), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=repr
)
def test_writing_that_fails_leaves_the_old_file_and_nothing_else(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "c"
    checkpoint.save(trained(2), path)
    before = path.read_bytes()

    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(type(error)):
            checkpoint.save(trained(3), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["c"]
    checkpoint.save(trained(3), path)
    assert checkpoint.load(path).update == 3


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "none")):
        checkpoint.save(trained(0), tmp_path / "none" / "c")


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("name", ["weights", "visible.bias", "hidden.bias"])
def test_parameters_that_are_not_finite_are_not_written(
    name: str, bad: float, tmp_path: Path
) -> None:
    state = trained(1)
    path = tmp_path / "c"
    checkpoint.save(state, path)
    before = path.read_bytes()
    with torch.no_grad():
        state.rbm.get_parameter(name).view(-1)[0] = bad
    with pytest.raises(FloatingPointError, match=f"{name} holds values that are not finite"):
        checkpoint.save(state, path)
    with pytest.raises(FloatingPointError, match="nothing was written"):
        save_model(state.rbm, path)
    assert path.read_bytes() == before


class Own(Binary):
    """A unit type that the package does not know."""


class OwnGradient(PlainGradient):
    """A gradient that the package does not know."""


def test_what_could_not_be_loaded_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "c"
    own: Units = Own(2)
    with pytest.raises(TypeError, match="a file cannot keep a Own; known are Binary, "):
        save_model(RBM(Gaussian(3), own), path)
    state = TrainingState.create(make.model(), gradient=OwnGradient())
    with pytest.raises(TypeError, match="cannot keep a OwnGradient; known are CenteredGradient"):
        checkpoint.save(state, path)
    state = trained(0)
    state.optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
    with pytest.raises(TypeError, match=r"keeps tensors, numbers and text, .* Tensor"):
        checkpoint.save(state, path)
    with pytest.raises(ValueError, match="not JSON compliant"):
        checkpoint.save(trained(0), path, {"loss": float("nan")})
    assert not path.exists()
