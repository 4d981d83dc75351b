"""Which network and which way to balance classes: trained and measured side by side on the same patients.

    python -m models.evaluation.comparison --run --data DIR    # trains the cells that are missing; goes on after a kill
    python -m models.evaluation.comparison --table             # writes the table into models/README.md

Every cell's out-of-fold predictions are kept in models/results/comparison, so the table is computed from them at any
time without training anything again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from models.cards import SHIPPED
from models.data.patches import read_patches
from models.evaluation.cross_validation import cross_validate, patient_folds
from models.evaluation.stored import read_cell, write_cell, write_patients
from models.training.balance import Balance
from models.training.config import TrainingConfig, read_config

RESULTS = SHIPPED / "results" / "comparison"
FOLDS = 3
SEED = 4
EPOCHS = 3
"""Few: the table compares, it does not show what the networks can do with patience."""
COST = 5.0
"""What a missed positive weighs in the loss of "weighted", in false alarms."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What differs between networks, tried once on the inner validation part and then fixed."""

    input_px: int
    batch_size: int
    learning_rate: float


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "alexnet": Recipe(64, 128, 2e-4),
        "resnet18": Recipe(50, 64, 2e-3),
        "densenet121": Recipe(50, 64, 2e-3),
    }
)

BALANCES: Mapping[str, tuple[Balance, float]] = MappingProxyType(
    {
        "none": ("none", 0.5),
        "weighted": ("weighted", 0.5),
        "undersample": ("undersample", 0.5),
        "oversample": ("oversample", 0.5),
        "share50": ("share", 0.5),
        "share25": ("share", 0.25),
        "share75": ("share", 0.75),
    }
)
"""Name of the strategy in the table -> balance and share of positives in a batch; the most important first."""


def cell_config(base: TrainingConfig, architecture: str, balance: str) -> TrainingConfig:
    """Return the training configuration of one cell; augmentation, decay and averaging are those of `base`."""
    recipe, (strategy, share) = RECIPES[architecture], BALANCES[balance]
    return replace(
        base,
        architecture=architecture,
        start="none",
        members=1,
        seed=SEED,
        epochs=EPOCHS,
        patience=EPOCHS,
        input_px=recipe.input_px,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        balance=strategy,
        balance_cost=COST if strategy == "weighted" else None,
        positive_share=share,
        criterion="auc",
    )


def run(*, data: Path, work: Path, minutes: float, results: Path = RESULTS) -> None:
    """Train and store the cells that are missing, until the time is up."""
    until = time.monotonic() + 60 * minutes
    base = read_config(SHIPPED / "configs" / "idc.toml")
    patches = read_patches(data, layout="idc", classes=base.classes, tile_px=base.tile_px)
    splits = patient_folds(patches, positive=base.positive_indices, folds=FOLDS, seed=SEED)
    write_patients(patches, splits, positive=base.positive_indices, folder=results)
    for balance in BALANCES:
        for architecture in RECIPES:
            name = f"{architecture}-{balance}"
            if read_cell(results, name) is not None:
                continue
            if time.monotonic() > until:
                _LOG.info("The time is up before %s.", name)
                return
            config = cell_config(base, architecture, balance)
            found = cross_validate(config, patches, splits=splits, work=work / name, say=_LOG.info)
            write_cell(found, results, name)


_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.evaluation.comparison", description=__doc__.split("\n")[0])
    parser.add_argument("--run", action="store_true", help="train the missing cells")
    parser.add_argument("--data", type=Path, help="folder of the IDC patches, for --run")
    parser.add_argument("--work", type=Path, default=Path("runs/comparison"), help="checkpoints of --run")
    parser.add_argument("--minutes", type=float, default=600, help="start no cell after this time")
    parser.add_argument("--table", action="store_true", help="write the table into models/README.md")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if options.run:
        run(data=options.data, work=options.work, minutes=options.minutes)


if __name__ == "__main__":
    main()
