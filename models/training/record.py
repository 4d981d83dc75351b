"""What a run leaves besides its model: the log of its epochs as CSV and JSON, and the record of everything it used."""

from __future__ import annotations

import csv
import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
import torch

from models.cards import ModelCard
from models.data.patches import Patches
from models.device import choose_device
from models.training.checkpoint import EpochRecord, FitState
from models.training.config import TrainingConfig

History = Sequence[tuple[int, EpochRecord]]
"""Number of the member, from 1, and one of its epochs."""


def write_logs(history: History, folder: Path) -> None:
    """Write log.csv (one line an epoch) and log.json (the same as objects)."""
    with (folder / "log.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("member", *(item.name for item in fields(EpochRecord))))
        writer.writerows((member, *astuple(record)) for member, record in history)
    rows = [{"member": member, **asdict(record)} for member, record in history]
    (folder / "log.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def write_record(
    config: TrainingConfig,
    card: ModelCard,
    patches: Patches,
    states: Sequence[FitState],
    *,
    counts: dict[str, dict[str, int]],
    warnings: Sequence[str],
) -> None:
    """Write run.json: everything needed to tell how the weights came about."""
    record = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": json.loads(json.dumps(asdict(config), default=str)),
        "data_sha256": patches.sha256,
        "patches": len(patches),
        "patches_by_part_and_class": counts,
        "warnings": list(warnings),
        "weights_sha256": card.weights_sha256,
        "members": [
            {
                "seed": seed,
                "start": state.start_words,
                "best_epoch": state.best_epoch,
                "epochs_run": len(state.history),
                config.criterion: getattr(state.history[state.best_epoch - 1], config.criterion),
            }
            for seed, state in zip(config.member_seeds, states, strict=True)
        ],
        "epoch_seconds": round(sum(record.seconds for state in states for record in state.history), 1),
        "metrics": card.metrics,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "device": choose_device().words,
    }
    text = json.dumps(_finite(record), indent=1, allow_nan=False)
    (config.output / "run.json").write_text(text + "\n", encoding="utf-8")


def _finite(value: object) -> object:
    """Replace numbers that JSON cannot hold, such as a metric that the data do not define, by null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in cast("Mapping[str, object]", value).items()}
    if isinstance(value, list):
        return [_finite(item) for item in cast("list[object]", value)]
    return value
