"""The state of a training run and its checkpoint file, which is whole at any moment."""

# pyright: reportUnknownMemberType=false
# Reason: torch is typed in part only.
from __future__ import annotations

import math
import os
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import ConflictError, StorageError
from models.device import Device


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the training log; the metrics are those of the averaged weights on the validation patients."""

    epoch: int
    train_loss: float
    loss: float
    auc: float
    auprc: float
    balanced_accuracy: float
    cost: float
    seconds: float


@dataclass(frozen=True, slots=True)
class InputScale:
    """Mean and deviation of R, G, B that a network's input is normalised with, 0-255."""

    mean_255: tuple[float, float, float]
    std_255: tuple[float, float, float]


@dataclass(slots=True, eq=False)
class FitState:
    """Everything that changes from epoch to epoch, and that a checkpoint restores."""

    network: nn.Module
    average: nn.Module
    """Averaged weights; after `fit` those of the best epoch."""
    optimiser: torch.optim.Optimizer
    scale: InputScale
    start_words: str
    """Where the first weights came from, for the card."""
    history: list[EpochRecord] = field(default_factory=list[EpochRecord])
    best_epoch: int = 0
    best_value: float = -math.inf
    """The criterion, turned so that higher is better."""
    best_weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def stale_epochs(self) -> int:
        """Epochs since the criterion was last better."""
        return len(self.history) - self.best_epoch


def save_checkpoint(state: FitState, path: Path, *, fingerprint: str) -> None:
    """Write the state so that a kill at any moment leaves either the old or the new checkpoint, whole.

    Raises:
        StorageError: the file cannot be written, for instance because the disk is full; the old one is left as it was.
    """
    content: dict[str, Any] = {
        "fingerprint": fingerprint,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "history": [asdict(record) for record in state.history],
        "best": (state.best_epoch, state.best_value, state.best_weights),
    }
    buffer = BytesIO()  # torch reports a failing file in words of its own; Python's are the system's
    torch.save(content, buffer)
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(buffer.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as err:
        partial.unlink(missing_ok=True)
        raise StorageError(
            f"The checkpoint {path} cannot be written ({err.strerror}). The one before it is still there: "
            "make room and go on with --resume."
        ) from err


def load_checkpoint(state: FitState, path: Path, *, fingerprint: str, device: Device) -> None:
    """Restore a state; nothing in the file is executed (`weights_only`).

    Raises:
        ConflictError: the checkpoint belongs to another configuration or other data, or is damaged.
    """
    try:
        content = torch.load(path, map_location=device.target, weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, ValueError, LookupError) as err:
        raise ConflictError(f"{path} is no checkpoint that can be read; remove it and train afresh.") from err
    if content["fingerprint"] != fingerprint:
        raise ConflictError(
            f"{path} was written by another configuration or with other data; choose another output folder."
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.history = [EpochRecord(**record) for record in content["history"]]
    state.best_epoch, state.best_value, state.best_weights = content["best"]
