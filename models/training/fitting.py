"""The epochs of a training run: steps, averaged weights, validation, early stopping, and a checkpoint after each."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: torch is typed in part only.
from __future__ import annotations

import copy
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ConflictError
from models.data.patches import Patches
from models.device import Device
from models.evaluation.metrics import binary_metrics
from models.networks import build_network
from models.torch_model import IDC_MEAN_255, IDC_STD_255
from models.training.augment import augment
from models.training.config import TrainingConfig

_WARM_UP = 0.1
"""Share of the steps during which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One line of the training log; the metrics are those of the averaged weights on the validation patients."""

    epoch: int
    train_loss: float
    loss: float
    auc: float
    auprc: float
    balanced_accuracy: float
    seconds: float


@dataclass(slots=True, eq=False)
class FitState:
    """Everything that changes from epoch to epoch, and that a checkpoint restores."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    history: list[EpochRecord] = field(default_factory=list[EpochRecord])
    best_epoch: int = 0
    best_value: float = -math.inf
    best_weights: dict[str, Tensor] = field(default_factory=dict[str, Tensor])

    @property
    def stale_epochs(self) -> int:
        """Epochs since the criterion was last better."""
        return len(self.history) - self.best_epoch


def new_state(config: TrainingConfig, *, device: Device) -> FitState:
    """Build network, average and optimiser from the configuration's seed."""
    torch.manual_seed(config.seed)
    network = build_network(config.architecture, classes=len(config.classes))
    network = network.to(device.target).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    return FitState(network, average, optimiser)


def run_epoch(
    state: FitState, config: TrainingConfig, *, train: Patches, validation: Patches, device: Device
) -> EpochRecord:
    """Train for one epoch, validate the averaged weights, and keep them if they are the best so far."""
    started = time.perf_counter()
    train_loss = _train(state, config, train, device)
    logits = predict_logits(state.average, validation.images, config=config, device=device)
    record = _validate(logits, validation, config, epoch=len(state.history) + 1, train_loss=train_loss, start=started)
    state.history.append(record)
    value = -record.loss if config.criterion == "loss" else asdict(record)[config.criterion]
    if value > state.best_value:
        state.best_value, state.best_epoch = value, record.epoch
        state.best_weights = {name: tensor.detach().clone() for name, tensor in state.average.state_dict().items()}
    return record


def predict_logits(
    network: nn.Module, images: NDArray[np.uint8], *, config: TrainingConfig, device: Device
) -> NDArray[np.float64]:
    """Return (N, C) logits of unchanged patches, in evaluation mode."""
    network.eval()
    parts: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            batch = _to_device(images[start : start + 256], device)
            size = [config.input_px, config.input_px]
            batch = functional.interpolate(batch, size=size, mode="bilinear", align_corners=False)
            with _autocast(device):
                logits: Tensor = network(_normalise(batch))
            parts.append(logits.double().cpu().numpy())
    return np.concatenate(parts)


def save_checkpoint(state: FitState, path: Path, *, fingerprint: str) -> None:
    """Write the state so that a kill at any moment leaves either the old or the new checkpoint, whole."""
    content: dict[str, Any] = {
        "fingerprint": fingerprint,
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "history": [asdict(record) for record in state.history],
        "best": (state.best_epoch, state.best_value, state.best_weights),
    }
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def load_checkpoint(state: FitState, path: Path, *, fingerprint: str, device: Device) -> None:
    """Restore a state; nothing in the file is executed (`weights_only`).

    Raises:
        ConflictError: the checkpoint belongs to another configuration or other data.
    """
    content = torch.load(path, map_location=device.target, weights_only=True)
    if content["fingerprint"] != fingerprint:
        raise ConflictError(
            f"{path} was written by another configuration or with other data; choose another output folder."
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.history = [EpochRecord(**record) for record in content["history"]]
    state.best_epoch, state.best_value, state.best_weights = content["best"]


def _train(state: FitState, config: TrainingConfig, train: Patches, device: Device) -> float:
    epoch = len(state.history)
    random = torch.Generator(device.target).manual_seed(config.seed * 100_003 + epoch)
    order = np.random.default_rng((config.seed, epoch)).permutation(len(train))
    batches = np.array_split(order, max(1, round(len(order) / config.batch_size)))
    labels = torch.as_tensor(train.labels, device=device.target)
    weight = _class_weights(train, config, device)
    state.network.train()
    total = 0.0
    for index, rows in enumerate(batches):
        step = epoch * len(batches) + index
        for group in state.optimiser.param_groups:
            group["lr"] = config.learning_rate * _one_cycle(step / (config.epochs * len(batches)))
        batch = _to_device(train.images[rows], device)
        batch = augment(batch, settings=config.augmentation, out_px=config.input_px, random=random)
        with _autocast(device):
            logits = state.network(_normalise(batch))
        loss = functional.cross_entropy(
            logits.float(), labels[torch.as_tensor(rows)], weight=weight, label_smoothing=config.label_smoothing
        )
        state.optimiser.zero_grad()
        loss.backward()
        state.optimiser.step()
        _follow(state.average, state.network, decay=min(config.ema_decay, (1 + step) / (10 + step)))
        total += float(loss.detach()) * len(rows)
    return total / len(order)


def _validate(
    logits: NDArray[np.float64],
    validation: Patches,
    config: TrainingConfig,
    *,
    epoch: int,
    train_loss: float,
    start: float,
) -> EpochRecord:
    probabilities = torch.softmax(torch.as_tensor(logits), dim=1).numpy()
    loss = -np.log(probabilities[np.arange(len(validation)), validation.labels].clip(1e-12)).mean()
    truth = validation.labels == config.positive_index
    metrics = binary_metrics(threshold=0.5)
    values = {
        name: metrics[name](truth, probabilities[:, config.positive_index])
        for name in ("auc", "auprc", "balanced_accuracy")
    }
    return EpochRecord(epoch, train_loss, float(loss), **values, seconds=time.perf_counter() - start)


def _class_weights(train: Patches, config: TrainingConfig, device: Device) -> Tensor | None:
    if config.class_weights == "none":
        return None
    counts = np.bincount(train.labels, minlength=len(config.classes))
    return torch.as_tensor(len(train) / (len(counts) * counts), dtype=torch.float32, device=device.target)


def _one_cycle(progress: float) -> float:
    """Share of the highest learning rate at 0-1 of the run: linear rise, cosine fall (Smith 2018, arXiv:1803.09820)."""
    if progress < _WARM_UP:
        return (progress + 1e-3) / (_WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


@torch.no_grad()
def _follow(average: nn.Module, network: nn.Module, *, decay: float) -> None:
    """Move the averaged weights and batch statistics towards the present ones (Polyak averaging)."""
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _to_device(images: NDArray[np.uint8], device: Device) -> Tensor:
    return torch.as_tensor(images, device=device.target).permute(0, 3, 1, 2).float()


def _normalise(batch: Tensor) -> Tensor:
    mean = torch.tensor(IDC_MEAN_255, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(IDC_STD_255, device=batch.device).view(1, 3, 1, 1)
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def _autocast(device: Device) -> torch.autocast:
    return torch.autocast(device.target.type, torch.bfloat16, enabled=device.dtype != torch.float32)
