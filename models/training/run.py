"""A training run from its configuration to weights, card and record, resumable at every epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from core.errors import ConflictError, InputError
from models.cards import ModelCard
from models.data.artefact_tiles import read_artefact_tiles
from models.data.patches import Patches, read_patches
from models.data.splits import PARTS, Split, check_covers, make_split, read_split, write_split
from models.training.alone import alone_in
from models.training.checkpoint import EpochRecord, FitState
from models.training.config import TrainingConfig, read_config
from models.training.export import export
from models.training.few_data import few_data_warnings
from models.training.fitting import fit
from models.training.progress import Moment, Progress
from models.training.record import write_logs, write_record

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a finished run left behind."""

    output: Path
    """Holds `cards/` and `weights/`, so it is a registry root; also run.json, log.csv, log.json and checkpoints."""
    card: ModelCard
    epochs_run: int
    """Of the first member."""
    best_epoch: int
    """Of the first member."""
    criterion: str
    """Name of what the best epoch is best at."""
    criterion_value: float
    """Of the first member's best epoch, on the validation patients."""
    seconds: float
    """Of the epochs of all members and all sessions of this run together."""
    warnings: tuple[str, ...]
    """What the card's reader should know about the data."""


def train_from_config(
    path: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    read: Callable[[TrainingConfig], Patches] | None = None,
) -> TrainingResult:
    """Train the model that a TOML file describes.

    Args:
        path: The configuration; see models/configs/idc.toml.
        resume: Continue from the checkpoint in the output folder, if there is one.
        progress: Called at the start, after every step and after every epoch.
        read: Reads the patches; None reads the folder `config.data`.

    Raises:
        InputError: configuration, data or split cannot be used; a leaking split is refused with the patients' ids.
        ConflictError: the output folder holds a run and `resume` is False, that run was a different one, or it is
            being trained at this moment.
        StorageError: the output folder cannot be written.
        ModelError: the loss is no longer a number, or the start weights do not fit.
    """
    return train(read_config(path), resume=resume, progress=progress, read=read)


def train(
    config: TrainingConfig,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    read: Callable[[TrainingConfig], Patches] | None = None,
) -> TrainingResult:
    """Train, calibrate, export and measure; raises what `train_from_config` raises.

    Args:
        config: The run.
        resume: As above.
        progress: As above.
        read: Reads the patches; None reads the folder `config.data`.
    """
    if _checkpoint(config, 0).exists() and not resume:
        raise ConflictError(f"{config.output} already holds a run; resume it, or choose another output folder.")
    patches = (read or read_folder)(config)
    split = obtain_split(config, patches)
    parts = {part: patches.select(patches.of_groups(split.part(part))) for part in PARTS}
    warnings = (*patches.warnings, *few_data_warnings(parts["train"]))
    with alone_in(config.output):
        for warning in warnings:
            _LOG.info("%s", warning)
            if progress is not None:
                progress(Moment(0, config.epochs, 0, 0, f"Warning: {warning}"))
        states: list[FitState] = []
        for _ in range(config.members):
            states.append(_fit_member(config, parts, states, progress))
        card = export(config, states, parts=parts, split=split, warnings=warnings)
        write_record(config, card, patches, states, counts=_counts(parts), warnings=warnings)
    return _result(config, card, states, warnings)


def _result(
    config: TrainingConfig, card: ModelCard, states: Sequence[FitState], warnings: tuple[str, ...]
) -> TrainingResult:
    first = states[0]
    return TrainingResult(
        output=config.output,
        card=card,
        epochs_run=len(first.history),
        best_epoch=first.best_epoch,
        criterion=config.criterion,
        criterion_value=getattr(first.history[first.best_epoch - 1], config.criterion),
        seconds=sum(record.seconds for state in states for record in state.history),
        warnings=warnings,
    )


def read_folder(config: TrainingConfig) -> Patches:
    """Read the patches of a configuration from its folder.

    Raises:
        InputError: the folder does not hold the layout.
    """
    if config.artefacts is not None:
        return read_artefact_tiles(
            config.data, config.artefacts, classes=config.classes, tile_px=config.tile_px, seed=config.seed
        )
    return read_patches(
        config.data, layout=config.layout, classes=config.classes, tile_px=config.tile_px, groups=config.groups
    )


def obtain_split(config: TrainingConfig, patches: Patches) -> Split:
    """Read the split, after writing one if there is none.

    Raises:
        InputError: it leaks, does not fit the data, or a part lacks a class.
    """
    if not config.split.exists():
        positive = np.isin(patches.labels, config.positive_indices)
        names, group = np.unique(patches.groups, return_inverse=True)
        shares = np.bincount(group, weights=positive) / np.bincount(group)
        write_split(make_split(dict(zip(names.tolist(), shares.tolist(), strict=True)), seed=config.seed), config.split)
    split = read_split(config.split)
    check_covers(split, set(patches.groups))
    for part in PARTS:
        present = set(patches.labels[patches.of_groups(split.part(part))].tolist())
        missing = [name for index, name in enumerate(config.classes) if index not in present]
        if missing:
            raise InputError(f"The {part} part of {config.split} has no patch of {', '.join(missing)}; divide anew.")
    return split


def _fit_member(
    config: TrainingConfig, parts: dict[str, Patches], before: Sequence[FitState], progress: Progress | None
) -> FitState:
    index = len(before)
    earlier = [(number, record) for number, state in enumerate(before, start=1) for record in state.history]

    def tell(moment: Moment) -> None:
        if moment.sentence:
            _LOG.info("%s", moment.sentence)
        if progress is not None:
            progress(replace(moment, member=index + 1, members=config.members))

    def log(history: Sequence[EpochRecord]) -> None:
        write_logs([*earlier, *((index + 1, record) for record in history)], config.output)

    return fit(
        replace(config, seed=config.member_seeds[index], members=1),
        parts["train"],
        parts["validation"],
        checkpoint=_checkpoint(config, index),
        progress=tell,
        log=log,
    )


def _checkpoint(config: TrainingConfig, index: int) -> Path:
    return config.output / ("checkpoint.pt" if index == 0 else f"checkpoint-{index + 1}.pt")


def _counts(parts: dict[str, Patches]) -> dict[str, dict[str, int]]:
    return {
        part: {name: int((found.labels == index).sum()) for index, name in enumerate(found.classes)}
        for part, found in parts.items()
    }
