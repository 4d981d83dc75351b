"""Heads on frozen embeddings of patches: embed, fit, evaluate by patient, keep with a card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError, StorageError
from core.services.training.encoders import open_encoder
from core.settings import Settings
from core.tile_loop import HalvingRunner, TileWork
from models.data.patches import Patches, read_patches
from models.encoders.head_evaluation import Fit, HeadEvaluation, check_folds, cross_validate_head
from models.encoders.head_files import HEAD_NAME, LINEAR_PROBE, PROTOTYPES, HeadCard, pack_head, write_head
from models.encoders.heads import LinearProbe, fit_linear_probe
from models.encoders.protocol import Encoder
from models.encoders.prototypes import Prototypes, fit_prototypes

FOLDER = "heads"
"""Below the home: one folder a head."""
FEW_PATIENTS = 10
"""Below this number of patients in a class its figures say little; field practice asks for 10 to 20 a class."""


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """What to train, and on what."""

    name: str
    encoder: str
    """As `open_encoder` takes it."""
    data: Path
    """Folder of patches."""
    layout: str
    """As `models.data.patches.read_patches` names it."""
    classes: tuple[str, ...]
    tile_px: int
    """Side of the patches."""
    groups: Path | None = None
    """CSV of patients, for the layout that needs one."""
    kind: str = LINEAR_PROBE
    balanced: bool = False
    """Linear probe: weight classes by the inverse of their frequency."""
    shots: int | None = None
    """Prototypes: examples a class; None = all."""
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if not HEAD_NAME.fullmatch(self.name):
            raise InputError(f"A head's name is made of lower-case letters, digits, - and _; got {self.name!r}.")
        if self.kind not in (LINEAR_PROBE, PROTOTYPES):
            raise InputError(f"There is no head {self.kind!r}; known are {LINEAR_PROBE} and {PROTOTYPES}.")
        if self.kind == LINEAR_PROBE and self.shots is not None:
            raise InputError("The number of examples a class (shots) belongs to prototypes.")
        if self.kind == PROTOTYPES and self.balanced:
            raise InputError("Prototypes weigh all classes alike; balance belongs to the linear probe.")


@dataclass(frozen=True, slots=True)
class TrainedHead:
    """Where a head lies and what it is worth."""

    card: HeadCard
    path: Path
    """Of the card."""


def train_head(
    settings: Settings, plan: HeadPlan, *, progress: Callable[[int, int], None] | None = None
) -> TrainedHead:
    """Train a head on a folder of patches and keep it below the home.

    Args:
        settings: Home, device and batch size.
        plan: What to train.
        progress: Called with patches embedded and patches in all.

    Raises:
        InputError: the data cannot be used for it.
        ModelError: the encoder cannot be used, or its licence is not accepted.
        StorageError: the head cannot be written.
    """
    encoder = open_encoder(settings, plan.encoder)
    patches = read_patches(
        plan.data, layout=plan.layout, classes=plan.classes, tile_px=plan.tile_px, groups=plan.groups
    )
    groups = np.array(patches.groups)
    check_folds(patches.labels, groups, classes=plan.classes, folds=plan.folds)  # before the work, not after it
    vectors = embed_images(encoder, patches.images, batch_size=settings.batch_size, progress=progress)
    fit: Fit = partial(_fit, plan)
    evaluation = cross_validate_head(
        fit, vectors, patches.labels, groups, classes=plan.classes, folds=plan.folds, seed=plan.seed
    )
    head = _fit(plan, vectors, patches.labels, groups)
    content = pack_head(head)
    card = _card(plan, encoder, patches, head, evaluation, digest=hashlib.sha256(content).hexdigest())
    try:
        return TrainedHead(card, write_head(card, content, settings.home / FOLDER / plan.name))
    except OSError as err:
        raise StorageError(f"The head {plan.name} cannot be written below {settings.home} ({err}).") from err


def embed_images(
    encoder: Encoder,
    images: NDArray[np.uint8],
    *,
    batch_size: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return (N, D) embeddings of (N, H, W, 3) images, in batches that are halved when memory runs out.

    Raises:
        DeviceMemoryError: not even one image fits on the device.
        ModelError: the encoder returned something that is no vector for each image.
    """
    work = TileWork(
        f"Encoder {encoder.name}", encoder.embed, encoder.embedding_size, "dimensions", encoder.parallel_calls
    )
    runner = HalvingRunner(work, batch_size)
    vectors = np.empty((len(images), encoder.embedding_size), np.float32)
    batches = [slice(start, min(start + batch_size, len(images))) for start in range(0, len(images), batch_size)]

    def embed(rows: slice) -> NDArray[np.float32]:
        return runner.run(images[rows])

    with ThreadPoolExecutor(work.parallel_calls, thread_name_prefix="image-encoder") as pool:
        for rows, found in zip(batches, pool.map(embed, batches), strict=True):
            vectors[rows] = found
            if progress is not None:
                progress(rows.stop, len(images))
    return vectors


def _fit(
    plan: HeadPlan, vectors: NDArray[np.floating], labels: NDArray[np.integer], groups: NDArray[np.str_]
) -> LinearProbe | Prototypes:
    if plan.kind == LINEAR_PROBE:
        return fit_linear_probe(vectors, labels, groups, classes=plan.classes, balanced=plan.balanced)
    return fit_prototypes(vectors, labels, groups, classes=plan.classes, shots=plan.shots, seed=plan.seed)


def _card(
    plan: HeadPlan,
    encoder: Encoder,
    patches: Patches,
    head: LinearProbe | Prototypes,
    evaluation: HeadEvaluation,
    *,
    digest: str,
) -> HeadCard:
    return HeadCard(
        name=plan.name,
        kind=plan.kind,
        classes=plan.classes,
        encoder=encoder.name,
        encoder_sha256=encoder.sha256,
        encoder_licence=encoder.licence.name,
        embedding_size=encoder.embedding_size,
        data=f"{plan.data.name} ({plan.layout}), patches of {plan.tile_px} px shown at {encoder.input_px} px",
        data_sha256=patches.sha256,
        vectors=len(patches),
        groups=len(set(patches.groups)),
        settings=_settings_words(plan, head),
        evaluation=f"{plan.folds}-fold cross-validation by patient, seed {plan.seed}; the head kept is fitted on all",
        metrics={
            name: {"value": estimate.value, "low": estimate.low, "high": estimate.high}
            for name, estimate in evaluation.metrics.items()
        },
        limits=_limits(plan, patches),
        created=f"{datetime.now(UTC):%Y-%m-%d}",
        weights=f"{plan.name}.safetensors",
        weights_sha256=digest,
    )


def _settings_words(plan: HeadPlan, head: LinearProbe | Prototypes) -> str:
    if isinstance(head, LinearProbe):
        balance = "classes weighted alike" if plan.balanced else "classes as frequent as in the data"
        return f"inverse penalty {head.strength:g}, chosen by log loss between patients; {balance}"
    shots = ", ".join(f"{count} of {name}" for name, count in zip(head.classes, head.shots, strict=True))
    return f"{shots}; seed {plan.seed}"


def _limits(plan: HeadPlan, patches: Patches) -> tuple[str, ...]:
    groups = np.array(patches.groups)
    counts = {name: len(np.unique(groups[patches.labels == index])) for index, name in enumerate(plan.classes)}
    few = [f"{name} ({count})" for name, count in counts.items() if count < FEW_PATIENTS]
    said = [f"Fewer than {FEW_PATIENTS} patients: {', '.join(few)}."] if few else []
    if plan.kind == PROTOTYPES:
        said.append("Its scores order patches; they are not probabilities.")
    elif plan.balanced:
        said.append("Its probabilities are those of a world in which all classes are equally frequent.")
    return (*said, "The scale of the patches is not compared with the encoder's.", *patches.warnings)
