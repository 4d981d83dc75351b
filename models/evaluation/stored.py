"""Out-of-fold predictions kept small: one file for the patients, one for each cell of the comparison.

Log-odds in half precision keep three significant digits at both ends of the scale, where probabilities in half
precision would pile up at 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from core.evaluation.binary import FloatArray
from models.data.patches import Patches
from models.data.splits import Split
from models.evaluation.cross_validation import OutOfFold
from models.evaluation.measuring import shows_target
from models.evaluation.metrics import mean_red_darkness

_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """What all cells share: which patch is of which patient, and what it shows."""

    truth: NDArray[np.bool_]
    """(N,) in the order of the sorted files."""
    groups: NDArray[np.str_]
    """(N,) patient."""
    fold: NDArray[np.int64]
    """(N,) split in which the patch was measured."""
    darkness: FloatArray
    """(N,) 1 - mean red / 255: the baseline that needs no network."""
    data_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One network with one strategy."""

    probability: FloatArray
    """(N,) of the target, by the network that did not train on the patient."""
    thresholds: tuple[float, ...]
    """Per fold, from the inner validation part."""
    images_per_s: float
    cpu_ms_per_image: float
    train_seconds: float
    best_epochs: tuple[int, ...]


def write_patients(patches: Patches, splits: tuple[Split, ...], *, positive: tuple[int, ...], folder: Path) -> None:
    """Write what all cells share."""
    fold = np.zeros(len(patches), np.uint8)
    for index, split in enumerate(splits):
        fold[patches.of_groups(split.test)] = index
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / "patients.npz",
        truth=shows_target(patches.labels, positive_index=positive),
        groups=np.array(patches.groups),
        fold=fold,
        darkness=mean_red_darkness(patches.images).astype(np.float16),
        data_sha256=np.array(patches.sha256),
    )


def read_patients(folder: Path) -> Patients:
    """Read what `write_patients` wrote."""
    with np.load(folder / "patients.npz", allow_pickle=False) as table:
        return Patients(
            table["truth"],
            table["groups"],
            table["fold"].astype(np.int64),
            table["darkness"].astype(np.float64),
            str(table["data_sha256"]),
        )


def write_cell(found: OutOfFold, folder: Path, name: str) -> None:
    """Write `<name>.npz` and, with what fits into a line, `<name>.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    log_odds = logit(found.probability.clip(_LEAST, 1 - _LEAST)).astype(np.float16)
    np.savez_compressed(folder / f"{name}.npz", log_odds=log_odds)
    facts = {
        "thresholds": [round(value, 6) for value in found.thresholds],
        "images_per_s": round(found.images_per_s, 1),
        "cpu_ms_per_image": round(found.cpu_ms_per_image, 3),
        "train_seconds": round(found.train_seconds, 1),
        "best_epochs": list(found.best_epochs),
    }
    (folder / f"{name}.json").write_text(json.dumps(facts) + "\n", encoding="utf-8")


def read_cell(folder: Path, name: str) -> Cell | None:
    """Read one cell, or None if it was never computed."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    facts = json.loads(path.read_text(encoding="utf-8"))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as table:
        log_odds: FloatArray = table["log_odds"].astype(np.float64)
    return Cell(
        np.asarray(expit(log_odds), np.float64),
        tuple(facts["thresholds"]),
        facts["images_per_s"],
        facts["cpu_ms_per_image"],
        facts["train_seconds"],
        tuple(facts["best_epochs"]),
    )
