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
from models.evaluation.comparison_table import markdown, replace_between, rows_of
from models.evaluation.cross_validation import cross_validate, patient_folds
from models.evaluation.frozen import frozen_baseline
from models.evaluation.stored import read_cell, write_cell, write_patients
from models.training.balance import Balance
from models.training.config import TrainingConfig, read_config

RESULTS = SHIPPED / "results" / "comparison"
FOLDS = 3
SEED = 4
EPOCHS = 2
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


CELLS = tuple(f"{architecture}-{balance}" for balance in BALANCES for architecture in RECIPES)
FROZEN = "lite0_frozen-none"


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


def run(*, data: Path, work: Path, minutes: float, part: int = 0, of: int = 1, results: Path = RESULTS) -> None:
    """Train and store the cells that are missing, until the time is up.

    Args:
        data: Folder of the IDC patches.
        work: Checkpoints, so that a killed run goes on.
        minutes: No cell is begun after this time.
        part: With `of` processes side by side, each with one thread: which of them this is, from 0.
        of: See `part`.
        results: Where the predictions are kept.
    """
    until = time.monotonic() + 60 * minutes
    base = read_config(SHIPPED / "configs" / "idc.toml")
    patches = read_patches(data, layout="idc", classes=base.classes, tile_px=base.tile_px)
    splits = patient_folds(patches, positive=base.positive_indices, folds=FOLDS, seed=SEED)
    write_patients(patches, splits, positive=base.positive_indices, folder=results)
    for name in [name for name in CELLS if read_cell(results, name) is None][part::of]:
        if time.monotonic() > until:
            _LOG.info("The time is up before %s.", name)
            break
        config = cell_config(base, *name.split("-"))
        write_cell(cross_validate(config, patches, splits=splits, work=work / name, say=_LOG.info), results, name)
    if read_cell(results, FROZEN) is None and part == 0:
        write_cell(frozen_baseline(base, patches, splits=splits), results, FROZEN)


_LOG = logging.getLogger(__name__)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m models.evaluation.comparison", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--run", action="store_true", help="train the missing cells")
    parser.add_argument("--data", type=Path, help="folder of the IDC patches, for --run")
    parser.add_argument("--work", type=Path, default=Path("runs/comparison"), help="checkpoints of --run")
    parser.add_argument("--part", default="0/1", help="K/N: the K-th (from 0) of N processes that share the work")
    parser.add_argument("--minutes", type=float, default=600, help="start no cell after this time")
    parser.add_argument("--table", action="store_true", help="write the table into models/README.md")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if options.run:
        part, of = map(int, options.part.split("/"))
        run(data=options.data, work=options.work, minutes=options.minutes, part=part, of=of)
    if options.table:
        readme = SHIPPED / "README.md"
        readme.write_text(replace_between(readme.read_text(encoding="utf-8"), table()), encoding="utf-8")


def table(*, results: Path = RESULTS) -> str:
    """Return the Markdown that stands in models/README.md."""
    return markdown(*rows_of(results, (FROZEN, *CELLS)))


if __name__ == "__main__":
    main()
