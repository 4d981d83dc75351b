"""The share of artefact tiles in a batch: as chance gives it, a quarter, a half, three quarters; one network each.

    python -m models.evaluation.artefact_shares --data DIR    # trains those that are missing; goes on after a kill

What the networks say of the held-out tiles is kept in models/results/artefacts, so that the table needs no training.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from models.artefacts.sources import TilePlan
from models.artefacts.tiles import TileMaker
from models.cards import SHIPPED
from models.data.splits import PARTS
from models.device import choose_device
from models.evaluation.artefact_sets import HeldOut, makers, simulated
from models.training.balance import Balance
from models.training.config import read_config
from models.training.fitting import fit
from models.training.inputs import predict_logits
from models.training.run import obtain_split, read_folder

RESULTS = SHIPPED / "results" / "artefacts"
CONFIG = SHIPPED / "configs" / "artefacts.toml"
EPOCHS = 2
"""Few: the table compares shares, it does not show what the network can do."""
SEED = 11
TEST_SEED = 2026
EACH, CLEAN = 200, 1400
"""Held-out tiles of every artefact class, and clean ones."""

SHARES: Mapping[str, tuple[Balance, float]] = MappingProxyType(
    {"random": ("none", 0.5), "25": ("share", 0.25), "50": ("share", 0.5), "75": ("share", 0.75)}
)
"""Name in the table -> balance and share of artefact tiles in a batch."""

_LOG = logging.getLogger(__name__)


def held_out(test: TileMaker) -> HeldOut:
    """Make the tiles on which everything is measured, of the sources of the test part."""
    return simulated(test, each=EACH, clean=CLEAN, seed=TEST_SEED)


def run(*, data: Path, work: Path, results: Path = RESULTS) -> None:
    """Train and measure the shares that are missing.

    Args:
        data: Folder of the real data.
        work: Checkpoints, so that a killed run goes on.
        results: Where logits of the held-out tiles are kept.
    """
    base = replace(read_config(CONFIG), data=data, seed=SEED, epochs=EPOCHS, patience=EPOCHS)
    missing = [name for name in SHARES if not (results / f"share-{name}.npz").exists()]
    if not missing:
        return
    patches = read_folder(base)
    split = obtain_split(base, patches)
    parts = {part: patches.select(patches.of_groups(split.part(part))) for part in PARTS}
    tiles = held_out(makers(data, base.artefacts or TilePlan(), split)[1])
    work.mkdir(parents=True, exist_ok=True)
    for name in missing:
        balance, share = SHARES[name]
        config = replace(base, balance=balance, positive_share=share)
        state = fit(config, parts["train"], parts["validation"], checkpoint=work / f"{name}.pt")
        logits = predict_logits(state.average, tiles.images, config=config, scale=state.scale, device=choose_device())
        np.savez_compressed(results / f"share-{name}.npz", logits=logits.astype(np.float16))
        _LOG.info("%s: %s", name, state.history[-1])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluation.artefact_shares", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data")
    parser.add_argument("--work", type=Path, default=Path("runs/artefact_shares"), help="checkpoints")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    run(data=options.data, work=options.work)


if __name__ == "__main__":
    main()
