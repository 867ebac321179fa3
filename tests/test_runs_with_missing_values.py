"""Runs on rows with missing values, from Python and from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import harmonium
from cli.commands import harmonium as command
from harmonium import Data, checkpoint
from harmonium.datasets import Mask
from harmonium.runs import kept
from missing_rows import both_ways

pytestmark = pytest.mark.usefixtures("own_folder")

SMALL: dict[str, Any] = {
    "hidden": 4,
    "epochs": 2,
    "batch_size": 20,
    "every": 3,
    "threads": 1,
    "tensorboard": False,
}
N = 80
RNG = np.random.default_rng(0)
SEEN = torch.from_numpy(RNG.random((N, 6)) < 0.7)
VALUES = torch.from_numpy(RNG.random((N, 6)) < np.where(np.arange(N)[:, None] % 2, 0.2, 0.8))


def holes(kind: str = "binary") -> Data:
    values, names = VALUES.float(), tuple("abcdef")
    if kind == "real":
        values = torch.from_numpy(RNG.normal(size=(N, 6))).float() + 3 * values
    first = values[SEEN.to(torch.uint8).argmax(0), torch.arange(6)]  # as readers fill holes
    values = torch.where(SEEN, values, first)
    if kind == "binary":
        values = values.to(torch.uint8)
    return Data("holes", values, columns=names, mask=Mask.of(SEEN))


def of(missing: str) -> dict[str, Any]:
    return {"missing": missing} | ({"method": "cd"} if missing == "observed" else {})


@pytest.mark.parametrize("kind", ["binary", "real", "categorical"])
@both_ways
def test_a_run_is_trained_watched_and_asked(kind: str, missing: str) -> None:
    given = {"visible": "categorical"} if kind == "categorical" else {}
    has_figures = (kind, missing) in (("binary", "random"), ("categorical", "observed"))
    run = harmonium.train(
        holes(kind), out="run", figures=has_figures, **SMALL, **given, **of(missing)
    )
    config = json.loads(Path("run/config.json").read_text())
    assert config["options"]["missing"] == missing
    last = run.metrics[-1]
    assert "held_out_reconstruction_error" in last
    assert "log_likelihood" not in last
    found = run.reconstruct(out="reconstructed.npz")
    assert np.isfinite(found.reconstructions).all()
    assert found.reconstructions.shape == (8, 6)
    diagnosed = run.diagnose(chains=10, sweeps=40)
    assert diagnosed.diagnosis.findings.mixing is not None
    assert diagnosed.content["completed_values"] > 0
    assert "whose missing values the model has drawn" in diagnosed.page.read_text()
    assert run.sample(samples=2, start="data", out="samples.npz", chains=3)


@both_ways
def test_a_run_that_goes_on_has_the_bits_of_one_that_did_not_stop(missing: str) -> None:
    given = SMALL | {"figures": False, "schedule": "constant", "final_sweeps": 1} | of(missing)
    harmonium.train(holes(), out="half", **given).resume(more_epochs=2)
    harmonium.train(holes(), out="whole", **given | {"epochs": 4})
    newest = (sorted(Path(name, "checkpoints").iterdir())[-1] for name in ("half", "whole"))
    states = [checkpoint.load(path) for path in newest]
    assert states[0].update == states[1].update == 16
    parameters = (dict(state.rbm.named_parameters()) for state in states)
    torch.testing.assert_close(*parameters, rtol=0, atol=0)
    if missing == "random":
        one, other = (state.completions for state in states)
        assert one is not None
        assert other is not None
        assert all(map(torch.equal, one.kept, other.kept))


@both_ways
def test_the_summary_says_what_is_missing_and_what_is_assumed(missing: str) -> None:
    kept.save(holes(), Path("holes.safetensors"))
    options = [word for name, value in of(missing).items() for word in (f"--{name}", value)]
    few = ("--epochs", "1", "--no-figures", "--no-tensorboard", "--hidden", "3")
    done = command("train", "holes.safetensors", "--out", "run", *options, *few)
    assert done.code == 0
    told = " ".join((done.out + done.err).split())
    taken = {"random": "taken as missing at random", "observed": "left out: each row has a model"}
    assert "of 432 values" in told  # 72 of 80 rows are learned from
    assert taken[missing] in told
    config = json.loads(Path("run/config.json").read_text())
    page = Path("run/report.html").read_text()
    n = sum(config["data"]["missing"].values())
    assert f"{n:,}, in 6 columns; {taken[missing]}" in page
    assert f"{n:,} of 432 values" in told


def test_rows_of_models_of_their_own_have_no_likelihood_under_one_model() -> None:
    run = harmonium.train(holes(), out="run", figures=False, **SMALL, **of("observed"))
    with pytest.raises(ValueError, match=r"`missing='observed'`.* of 8 rows .* have missing"):
        run.evaluate()
    assert not Path("run/likelihood.json").exists()
    done = command("evaluate", "run")
    assert done.code == 1
    assert "train with --missing random" in " ".join(done.err.split())
    whole = Data("whole", VALUES[:10].to(torch.uint8), columns=tuple("abcdef"))
    assert run.evaluate(data=whole).is_exact  # all columns are its own


def test_no_likelihood_is_promised_to_runs_that_have_none() -> None:
    rows = "".join(f"{'abc'[n % 3]},{n % 7 + 0.5}\n" for n in range(80))
    Path("mixed.csv").write_text("k,x\n,1.5\na,\n" + rows)
    for out in ("one", "other"):
        harmonium.train(
            "mixed.csv",
            columns={"x": "gaussian"},
            held_out=0,
            out=out,
            figures=False,
            **SMALL,
            **of("observed"),
        )
    told = " ".join(command("compare", "one", "other").out.split())
    assert "cannot be ranked: they share no number but the reconstruction error" in told
    assert "harmonium evaluate" not in told


def test_models_of_rows_of_any_kind_say_how_they_are_trained() -> None:
    for kind in ("binary", "real"):
        with pytest.raises(ValueError, match="take `method='cd'`"):
            harmonium.train(holes(kind), out="run", missing="observed", **SMALL)
    rows = "".join(f"{'ab'[n % 2]},{n % 7}\n" for n in range(40))
    Path("words.csv").write_text("k,x\n,1\n" + rows)
    done = command("train", "words.csv", "--missing", "observed", "--out", "run")
    assert done.code == 1
    assert "take --method cd" in " ".join(done.err.split())


def test_kept_rows_keep_their_mask() -> None:
    kept.save(holes(), Path("holes.safetensors"))
    back = kept.load(Path("holes.safetensors"))
    assert back.mask is not None
    assert torch.equal(back.mask.observed(), SEEN)
    assert back.fingerprint() == holes().fingerprint()


def test_what_takes_whole_rows_says_so() -> None:
    few = {name: value for name, value in SMALL.items() if name not in ("hidden", "every")}
    with pytest.raises(ValueError, match="and a deep belief network takes whole rows"):
        harmonium.train_dbn(holes(), out="dbn", layers="4,3", **few)
    with pytest.raises(ValueError, match="take `method='cd'`"):
        harmonium.train(holes(), out="run", missing="observed", **SMALL)
    assert not Path("run").exists()
    done = command("train", "digits", "--missing", "observed", "--out", "run")
    assert done.code == 1
    assert "take --method cd" in done.err.replace("\n", " ")
