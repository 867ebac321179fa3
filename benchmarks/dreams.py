r"""How well a network's dreams of chosen classes are recognised, and a sheet of them.

    harmonium dbn train mnist --layers 500,500,2000 --labels --method cd,cd,pcd \
        --chains none,none,300 --binarize none --epochs 20,20,40 --learning-rate 0.2 \
        --no-log-likelihood --out runs/dreamer
    harmonium dbn finetune runs/stack --out runs/stack/classifier
    python benchmarks/dreams.py runs/dreamer runs/stack/classifier --sheet dreams.png

Chains of the top RBM, as many for each class, start at random and are held at their class. What
they show after the sweeps, one draw down to the visible units from each, goes to a classifier that
was trained on real pictures. The figures stand in docs/results.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from harmonium import Purpose, SamplingSchedule, Stream, plots, sampling
from harmonium.deep import Classifier, load_dbn, load_network


def main() -> None:
    """Dream, classify, and draw ten pictures of each class."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("network", type=Path, help="a run of harmonium dbn train --labels")
    parser.add_argument("classifier", type=Path, help="a run of harmonium dbn finetune")
    parser.add_argument("--each", type=int, default=100, help="pictures of each class")
    parser.add_argument("--sweeps", type=int, default=2000, help="before the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sheet", type=Path, required=True, help="a .png file to write")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    dbn = load_dbn(options.network / "dbn.safetensors")
    judge = load_network(options.classifier / "network.safetensors")
    assert isinstance(judge, Classifier)
    assert dbn.n_classes is not None, "the network has no label units"
    classes = torch.arange(dbn.n_classes).repeat_interleave(options.each)
    stream = Stream(options.seed, Purpose.DREAM)
    chains = sampling.start_random(dbn.top, len(classes), stream)
    clamp = dbn.clamp_classes(classes)
    (dream,) = dbn.sample(chains, SamplingSchedule(options.sweeps, 1, 1), stream, clamp)
    for name, pictures in (("means", dream.means), ("draws", dream.visible)):
        right = (judge.predict(pictures) == classes).view(dbn.n_classes, -1).double().mean(1)
        each = " ".join(f"{k}:{share:.0%}" for k, share in enumerate(right.tolist()))
        print(f"{name}: {right.mean().item():.1%} of {len(classes):,} recognised ({each})")
    shown = dream.means.view(dbn.n_classes, options.each, -1)[:, :10].flatten(0, 1)
    sheet = plots.tile(shown.numpy(), (28, 28), 10, spacing=2, limits=(1, 0))
    plots.save_sheet(options.sheet, sheet, zoom=2)


if __name__ == "__main__":
    main()
