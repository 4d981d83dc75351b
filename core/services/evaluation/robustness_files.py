"""What a robustness check keeps of one slide: `results/<slide>/robustness/<key>.json`, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from core.errors import StorageError
from core.evaluation.perturbation import PERTURBATION_VERSION, PERTURBATIONS
from core.settings import Settings
from core.store.records import SlideRecord
from models.cards import ModelCard

log = logging.getLogger(__name__)

UNCHANGED = "unchanged"
DIGITS = 6


@dataclass(frozen=True, slots=True, eq=False)
class RobustnessFile:
    """Probabilities of the same tiles of a slide under changes."""

    slide_id: str
    model: str
    weights_sha256: str
    run_id: str
    tiles: int
    """All tiles of the run, of which the boxes are a sample."""
    boxes: NDArray[np.int64]
    """(N, 4) x, y, width, height of the sample in level-0 px."""
    probabilities: Mapping[str, NDArray[np.float64]]
    """Change -> (N,) probability of the target; "unchanged" among them."""

    @property
    def complete(self) -> bool:
        """Whether every change was computed."""
        return {UNCHANGED, *(one.name for one in PERTURBATIONS)} <= set(self.probabilities)

    def with_values(self, name: str, values: NDArray[np.float64]) -> RobustnessFile:
        """Return the same with one change more."""
        return replace(self, probabilities={**self.probabilities, name: values})


def robustness_path(settings: Settings, slide: SlideRecord, card: ModelCard, *, run_id: str, sample: int) -> Path:
    """Return where a slide's check is kept: the name is a hash of everything that it depends on."""
    parts = (PERTURBATION_VERSION, slide.sha256, run_id, card.weights_sha256, card.tile_px, sample)
    name = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    return settings.results_dir / slide.slide_id / "robustness" / f"{name}.json"


def read_robustness(path: Path) -> RobustnessFile | None:
    """Return what is kept, or None where there is nothing that can be read."""
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return RobustnessFile(
            slide_id=data["slide_id"],
            model=data["model"],
            weights_sha256=data["weights_sha256"],
            run_id=data["run_id"],
            tiles=int(data["tiles"]),
            boxes=np.array(data["boxes"], np.int64).reshape(-1, 4),
            probabilities={name: np.array(values, np.float64) for name, values in data["probabilities"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as err:
        log.warning("The kept robustness check %s is damaged (%s); it is computed again.", path.name, err)
        return None


def write_robustness(settings: Settings, path: Path, kept: RobustnessFile) -> None:
    """Keep what was computed so far.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    data = {
        "slide_id": kept.slide_id,
        "model": kept.model,
        "weights_sha256": kept.weights_sha256,
        "run_id": kept.run_id,
        "version": PERTURBATION_VERSION,
        "tiles": kept.tiles,
        "boxes": kept.boxes.tolist(),
        "probabilities": {name: np.round(values, DIGITS).tolist() for name, values in kept.probabilities.items()},
    }
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(data), encoding="utf-8")
        os.replace(part, path)
    except OSError as err:
        raise StorageError(
            f"The robustness check cannot be kept below {settings.home} ({err.strerror or err}). Free some space."
        ) from err
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
