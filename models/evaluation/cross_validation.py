"""Cross-validation by patient: every patch is predicted by a network that never saw its patient.

Within each split the best epoch and the threshold come from an inner validation part of the training patients; the
patients measured take no part in any choice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from core.evaluation.binary import FloatArray, best_threshold
from models.data.patches import Patches
from models.data.splits import Split, make_folds
from models.device import choose_device
from models.evaluation.measuring import shows_target
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig
from models.training.fitting import fit
from models.training.inputs import predict_logits
from models.training.progress import Moment, Progress

Say = Callable[[str], None]
"""Called with a sentence after every epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Predictions of all patches, each by the fold's network that did not train on its patient."""

    probability: FloatArray
    """(N,) of the target, as the network says it: not calibrated."""
    fold: NDArray[np.int64]
    """(N,) split in which the patch was measured."""
    thresholds: tuple[float, ...]
    """Per fold, of the highest balanced accuracy on its inner validation part."""
    images_per_s: float
    """Patches a second of wall time that the networks took to predict; other work on the machine lowers it."""
    cpu_ms_per_image: float
    """Processor time for one patch, all cores added up; hardly disturbed by other work."""
    train_seconds: float
    best_epochs: tuple[int, ...]

    @property
    def called(self) -> NDArray[np.bool_]:
        """(N,) True where the probability reaches the threshold of the patch's fold."""
        return self.probability >= np.array(self.thresholds)[self.fold]


def share_of_target(patches: Patches, *, positive: tuple[int, ...]) -> dict[str, float]:
    """Return for each group the share of its patches that show the target."""
    truth = shows_target(patches.labels, positive_index=positive)
    groups = np.array(patches.groups)
    return {str(name): float(truth[groups == name].mean()) for name in np.unique(groups)}


def patient_folds(patches: Patches, *, positive: tuple[int, ...], folds: int, seed: int) -> tuple[Split, ...]:
    """Divide the patients of a data set so that folds resemble each other in how much target they hold."""
    return make_folds(share_of_target(patches, positive=positive), folds=folds, seed=seed)


def cross_validate(
    config: TrainingConfig, patches: Patches, *, splits: tuple[Split, ...], work: Path, say: Say | None = None
) -> OutOfFold:
    """Train one network a split and predict the patients it did not see; goes on where a killed run stopped.

    Args:
        config: The recipe; its own data, split and output are not used.
        patches: The whole data set.
        splits: From `patient_folds`: "train" to train, "validation" to choose, "test" to measure.
        work: Folder for checkpoints and finished folds; made if need be.
        say: Called after every epoch.
    """
    work.mkdir(parents=True, exist_ok=True)
    parts = [
        _fold(replace(config, seed=config.seed + index), patches, split, work=work / f"fold-{index}.json", say=say)
        for index, split in enumerate(splits)
    ]
    probability, fold = np.full(len(patches), np.nan), np.full(len(patches), -1)
    for index, (part, split) in enumerate(zip(parts, splits, strict=True)):
        rows = patches.of_groups(split.test)
        probability[rows], fold[rows] = part.probability, index
    images = sum(len(part.probability) for part in parts)
    return OutOfFold(
        probability,
        fold,
        tuple(part.threshold for part in parts),
        images_per_s=images / sum(part.predict_seconds for part in parts),
        cpu_ms_per_image=1e3 * sum(part.predict_cpu_seconds for part in parts) / images,
        train_seconds=sum(part.train_seconds for part in parts),
        best_epochs=tuple(part.best_epoch for part in parts),
    )


@dataclass(frozen=True, slots=True)
class _FoldResult:
    probability: list[float]
    threshold: float
    best_epoch: int
    train_seconds: float
    predict_seconds: float
    predict_cpu_seconds: float


def _fold(config: TrainingConfig, patches: Patches, split: Split, *, work: Path, say: Say | None) -> _FoldResult:
    if work.exists():
        return _FoldResult(**json.loads(work.read_text(encoding="utf-8")))
    train, validation, measured = (
        patches.select(patches.of_groups(split.part(part))) for part in ("train", "validation", "test")
    )
    checkpoint = work.with_suffix(".pt")
    state = fit(config, train, validation, checkpoint=checkpoint, progress=_teller(say, work))
    inner, _, _ = _predict(state, validation, config)
    probability, seconds, cpu_seconds = _predict(state, measured, config)
    truth = shows_target(validation.labels, positive_index=config.positive_indices)
    result = _FoldResult(
        [round(float(value), 6) for value in probability],
        best_threshold(truth, inner),
        state.best_epoch,
        sum(record.seconds for record in state.history),
        seconds,
        cpu_seconds,
    )
    partial = work.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(result)), encoding="utf-8")
    partial.replace(work)
    checkpoint.unlink(missing_ok=True)
    return result


def _predict(state: FitState, patches: Patches, config: TrainingConfig) -> tuple[FloatArray, float, float]:
    """Probability of the target (N,), and the wall and processor seconds it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    logits = predict_logits(state.average, patches.images, config=config, scale=state.scale, device=choose_device())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return softmax(logits, axis=1)[:, list(config.positive_indices)].sum(axis=1), wall, cpu


def _teller(say: Say | None, work: Path) -> Progress | None:
    if say is None:
        return None

    def tell(moment: Moment) -> None:
        if moment.sentence:
            say(f"{work.parent.name} {work.stem}, epoch {moment.epoch} of {moment.epochs}: {moment.sentence}")

    return tell
