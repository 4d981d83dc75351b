"""An ensemble whose members were trained on different folds of the patients, and how it is calibrated and measured.

    python -m models.evaluation.fold_ensemble CONFIG.toml [--only K]

The training and validation patients of the split are divided into as many folds as the ensemble has members; each
member learns from all folds but its own. So every one of these patients is seen by most members, and there is still
one network for each patient that has never seen it: its predictions choose temperature and thresholds. The test
patients are left out of all of it and measured once, at the end.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from models.data.patches import Patches, read_patches
from models.data.splits import Split, check_covers, deal, read_split
from models.evaluation.cross_validation import share_of_target
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig, read_config
from models.training.fitting import fit
from models.training.progress import Moment

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one member learns from, and the patients it never sees."""

    train: Patches
    own: Patches


def folds_of(config: TrainingConfig, patches: Patches, split: Split) -> tuple[Fold, ...]:
    """Divide the training and validation patients into one fold a member, alike in how much target they hold."""
    pool = patches.select(patches.of_groups((*split.train, *split.validation)))
    shares = share_of_target(pool, positive=config.positive_indices)
    return tuple(
        Fold(pool.select(~pool.of_groups(own)), pool.select(pool.of_groups(own)))
        for own in deal(shares, folds=config.members, seed=config.seed)
    )


def fit_member(config: TrainingConfig, fold: Fold, *, index: int) -> FitState:
    """Train one member, go on with it after a kill, or read it if it is finished."""
    config.output.mkdir(parents=True, exist_ok=True)
    return fit(
        replace(config, seed=config.member_seeds[index], members=1),
        fold.train,
        fold.own,
        checkpoint=config.output / f"fold-{index}.pt",
        progress=_log,
    )


def _log(moment: Moment) -> None:
    if moment.sentence:
        _LOG.info("%s", moment.sentence)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluation.fold_ensemble")
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", type=int, help="train this member only, counted from 0, and write no card")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    config = read_config(options.config)
    patches = read_patches(config.data, layout=config.layout, classes=config.classes, tile_px=config.tile_px)
    split = read_split(config.split)
    check_covers(split, set(patches.groups))
    folds = folds_of(config, patches, split)
    if options.only is not None:
        fit_member(config, folds[options.only], index=options.only)


if __name__ == "__main__":
    main()
