"""A training run from its configuration to weights, card and record, resumable at every epoch."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from core.domain import Stain
from core.errors import ConflictError, InputError
from models.cards import ModelCard, write_card
from models.data.patches import Patches, read_patches
from models.data.splits import Split, check_covers, make_split, read_split, write_split
from models.device import choose_device
from models.evaluation.measuring import choose_thresholds, measure, predict_positive
from models.evaluation.metrics import fit_temperature
from models.registry import load_model, save_weights
from models.torch_model import IDC_MEAN_255, IDC_STD_255
from models.training.config import TrainingConfig, read_config
from models.training.fitting import (
    EpochRecord,
    FitState,
    load_checkpoint,
    new_state,
    predict_logits,
    run_epoch,
    save_checkpoint,
)
from models.training.slide_threshold import choose_slide_threshold

Progress = Callable[[int, int, str], None]
"""Called with epochs done, epochs at most, and a sentence about the last one."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a finished run left behind."""

    output: Path
    """Holds `cards/` and `weights/`, so it is a registry root; also run.json, log.csv and the checkpoint."""
    card: ModelCard
    epochs_run: int
    best_epoch: int
    criterion_value: float
    """Of the best epoch, on the validation patients."""
    seconds: float
    """Of the epochs of all sessions of this run together."""


def train_from_config(path: Path, *, resume: bool = False, progress: Progress | None = None) -> TrainingResult:
    """Train the model that a TOML file describes.

    Args:
        path: The configuration; see models/configs/idc.toml.
        resume: Continue from the checkpoint in the output folder, if there is one.
        progress: Called before the first epoch and after every epoch.

    Raises:
        InputError: configuration, data or split cannot be used; a leaking split is refused with the patients' ids.
        ConflictError: the output folder holds a run and `resume` is False, or that run was a different one.
    """
    return train(read_config(path), resume=resume, progress=progress)


def train(config: TrainingConfig, *, resume: bool = False, progress: Progress | None = None) -> TrainingResult:
    """Train, calibrate, export and measure; raises what `train_from_config` raises."""
    checkpoint = config.output / "checkpoint.pt"
    if checkpoint.exists() and not resume:
        raise ConflictError(f"{config.output} already holds a run; resume it, or choose another output folder.")
    patches = read_patches(config.data, layout=config.layout, classes=config.classes, tile_px=config.tile_px)
    split = _obtain_split(config, patches)
    config.output.mkdir(parents=True, exist_ok=True)
    state = _fit(config, patches, split, checkpoint=checkpoint, progress=progress)
    card = _export(config, patches, split, state)
    _write_record(config, card, patches, state)
    seconds = sum(record.seconds for record in state.history)
    return TrainingResult(config.output, card, len(state.history), state.best_epoch, state.best_value, seconds)


def _obtain_split(config: TrainingConfig, patches: Patches) -> Split:
    if not config.split.exists():
        positive = patches.labels == config.positive_index
        shares = {group: float(positive[patches.of_groups((group,))].mean()) for group in set(patches.groups)}
        write_split(make_split(shares, seed=config.seed), config.split)
    split = read_split(config.split)
    check_covers(split, set(patches.groups))
    for part in ("train", "validation", "test"):
        if len(set(patches.labels[patches.of_groups(split.part(part))])) < len(config.classes):
            raise InputError(f"The {part} part of {config.split} lacks patches of a class; use another seed.")
    return split


def _fit(
    config: TrainingConfig, patches: Patches, split: Split, *, checkpoint: Path, progress: Progress | None
) -> FitState:
    device = choose_device()
    train_part = patches.select(patches.of_groups(split.train))
    validation = patches.select(patches.of_groups(split.validation))
    state, fingerprint = new_state(config, device=device), _fingerprint(config, patches, split)
    if checkpoint.exists():
        load_checkpoint(state, checkpoint, fingerprint=fingerprint, device=device)
    _tell(progress, config, state, f"{len(train_part)} patches to train on, {device.words}")
    while len(state.history) < config.epochs and state.stale_epochs < config.patience:
        record = run_epoch(state, config, train=train_part, validation=validation, device=device)
        save_checkpoint(state, checkpoint, fingerprint=fingerprint)
        _write_log(state.history, config.output / "log.csv")
        _tell(progress, config, state, f"validation AUC {record.auc:.4f}, loss {record.loss:.4f}")
    return state


def _export(config: TrainingConfig, patches: Patches, split: Split, state: FitState) -> ModelCard:
    """Write weights and card; the numbers on the card are those of the exported model, as users will run it."""
    state.average.load_state_dict(state.best_weights)
    validation = patches.select(patches.of_groups(split.validation))
    logits = predict_logits(state.average, validation.images, config=config, device=choose_device())
    temperature = fit_temperature(logits, validation.labels)
    weights = f"{config.name}.safetensors"
    digest = save_weights(state.best_weights, config.output / "weights" / weights)
    card = _draft_card(config, split, state, weights=weights, digest=digest, temperature=temperature)
    path = config.output / "cards" / f"{config.name}.toml"
    write_card(card, path)
    model = load_model(config.name, root=config.output)
    positive = config.positive_index
    thresholds = choose_thresholds(model, validation, positive_index=positive)
    metrics: dict[str, Mapping[str, Mapping[str, float]]] = {}
    for part in ("validation", "test") if config.evaluate_test else ("validation",):
        chosen = patches.select(patches.of_groups(split.part(part)))
        metrics |= measure(
            model,
            chosen,
            name=part,
            positive_index=positive,
            thresholds=thresholds,
            draws=config.bootstrap_draws,
        )
    of_slides = choose_slide_threshold(
        predict_positive(model, validation, positive_index=positive),
        truth=validation.labels == positive,
        groups=np.array(validation.groups),
    )
    card = replace(
        card,
        threshold=thresholds.model,
        slide_threshold=of_slides.value,
        slide_threshold_note=of_slides.words,
        metrics=metrics,
    )
    write_card(card, path)
    return card


def _draft_card(
    config: TrainingConfig, split: Split, state: FitState, *, weights: str, digest: str, temperature: float
) -> ModelCard:
    texts = config.card
    return ModelCard(
        name=config.name,
        title=texts.title,
        target=texts.target,
        positive_class=texts.positive_class,
        positive_title=texts.positive_title,
        normal_class=texts.normal_class,
        classes=config.classes,
        tissue=texts.tissue,
        stain=tuple(Stain(stain) for stain in texts.stain),
        mpp=config.mpp,
        mpp_note=texts.mpp_note,
        tile_um=config.tile_px * config.mpp,
        tile_px=config.tile_px,
        input_px=config.input_px,
        architecture=config.architecture,
        weights=weights,
        weights_sha256=digest,
        temperature=round(temperature, 4),
        threshold=0.5,
        slide_threshold=0.5,
        slide_threshold_note="Not chosen yet.",
        mean_255=IDC_MEAN_255,
        std_255=IDC_STD_255,
        data=texts.data,
        licence_of_data=texts.licence_of_data,
        split=f"By patient: {len(split.train)} to train, {len(split.validation)} to select and calibrate, "
        f"{len(split.test)} to measure, in {config.split.name}.",
        training=f"From random weights, epoch {state.best_epoch} of {len(state.history)} by validation "
        f"{config.criterion}, seed {config.seed}; second-read train with the configuration {config.name}.toml.",
        metrics={},
        limits=texts.limits,
        created=datetime.now(UTC).date().isoformat(),
    )


def _fingerprint(config: TrainingConfig, patches: Patches, split: Split) -> str:
    """Hash of what makes a run this run; where files lie does not matter, and what is done after training neither."""
    values = asdict(config)
    for name in ("data", "split", "output", "card", "evaluate_test", "bootstrap_draws"):
        del values[name]
    content = json.dumps([values, patches.sha256, asdict(split), torch.__version__], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _write_log(history: list[EpochRecord], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(item.name for item in fields(EpochRecord))
        writer.writerows(astuple(record) for record in history)


def _write_record(config: TrainingConfig, card: ModelCard, patches: Patches, state: FitState) -> None:
    """Write run.json: everything needed to tell how the weights came about."""
    record = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": json.loads(json.dumps(asdict(config), default=str)),
        "data_sha256": patches.sha256,
        "patches": len(patches),
        "weights_sha256": card.weights_sha256,
        "best_epoch": state.best_epoch,
        "epochs_run": len(state.history),
        "epoch_seconds": round(sum(record.seconds for record in state.history), 1),
        "metrics": card.metrics,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "device": choose_device().words,
    }
    (config.output / "run.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _tell(progress: Progress | None, config: TrainingConfig, state: FitState, text: str) -> None:
    sentence = f"Epoch {len(state.history)} of at most {config.epochs}: {text}."
    _LOG.info("%s %s", time.strftime("%H:%M:%S"), sentence)
    if progress is not None:
        progress(len(state.history), config.epochs, sentence)
