"""The epochs of a training run: steps, averaged weights, validation, early stopping, and a checkpoint after each."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: torch is typed in part only.
from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.errors import InputError, ModelError
from models.data.patches import Patches
from models.device import Device, choose_device
from models.networks import build_network
from models.pretrained import load_start
from models.training.augment import augment
from models.training.balance import batches_of, class_weights, epoch_rows
from models.training.checkpoint import EpochRecord, FitState, load_checkpoint, save_checkpoint
from models.training.config import TrainingConfig
from models.training.inputs import (
    at_input_size,
    autocast,
    images_of,
    input_scale,
    normalised,
    predict_logits,
    to_device,
)
from models.training.progress import Progress, Teller
from models.training.validation import criterion_value, validation_scores

_WARM_UP = 0.1
"""Share of the steps during which the learning rate rises."""


def fit(
    config: TrainingConfig,
    train: Patches,
    validation: Patches,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    log: Callable[[Sequence[EpochRecord]], None] | None = None,
    device: Device | None = None,
) -> FitState:
    """Train one network with the configuration's seed until the epochs or the patience end.

    Args:
        config: Settings; data, split and output are not touched.
        train: Patches to learn from.
        validation: Patches of other patients, on which the best epoch is chosen.
        checkpoint: File that is written after every epoch, and continued from if it exists.
        progress: Called at the start, after every step and after every epoch.
        log: Called after every epoch with all epochs so far.
        device: Where to compute; None takes CUDA if there is one.

    Returns:
        The state, in which `average` holds the weights of the best epoch.

    Raises:
        InputError: a part lacks patches of a class.
        ConflictError: the checkpoint belongs to another run.
        StorageError: the checkpoint cannot be written.
        ModelError: the loss is no longer a number, or the start weights do not fit.
    """
    for name, part in (("training", train), ("validation", validation)):
        _check_classes(part, config, name=name)
    device = device or choose_device()
    state = new_state(config, train, device=device)
    fingerprint = _fingerprint(config, train, validation)
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(state, checkpoint, fingerprint=fingerprint, device=device)
        if log is not None:  # a kill may have come between the checkpoint and its line in the log
            log(state.history)
    small, settings = at_input_size(train, config)
    tell = Teller(config, train, progress)
    tell.epoch(state, f"{len(train)} patches to train on, {device.words}")
    while len(state.history) < config.epochs and state.stale_epochs < config.patience:
        started = time.perf_counter()
        loss = _train(state, replace(config, augmentation=settings), small, device, tell)
        record = _finish_epoch(state, config, validation, device=device, train_loss=loss, started=started)
        if checkpoint is not None:
            save_checkpoint(state, checkpoint, fingerprint=fingerprint)
        if log is not None:
            log(state.history)
        tell.epoch(state, f"validation AUC {record.auc:.4f}, loss {record.loss:.4f}")
    state.average.load_state_dict(state.best_weights)
    return state


def new_state(config: TrainingConfig, train: Patches, *, device: Device) -> FitState:
    """Build network, average and optimiser from the configuration's seed and start weights.

    Raises:
        ModelError: architecture or start weights are unknown or do not fit each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build_network(config.architecture, classes=len(config.classes))
    words = load_start(network, architecture=config.architecture, start=config.start)
    network = network.to(device.target).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).requires_grad_(requires_grad=False)
    optimiser = torch.optim.AdamW(  # fused: a step of AlexNet's 57 million weights takes a sixth of the time on a CPU
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    return FitState(network, average, optimiser, input_scale(config, train), words)


def _check_classes(part: Patches, config: TrainingConfig, *, name: str) -> None:
    missing = [config.classes[index] for index in range(len(config.classes)) if not (part.labels == index).any()]
    if missing:
        raise InputError(
            f"The {name} part has no patch of class {', '.join(missing)}; add such patches or divide the patients anew."
        )


def _train(state: FitState, config: TrainingConfig, train: Patches, device: Device, tell: Teller) -> float:
    """Run the steps of one epoch and return the mean loss. All that is random follows from seed and epoch."""
    epoch = len(state.history)
    rows_of_epoch = epoch_rows(
        train.labels,
        balance=config.balance,
        positive=config.positive_indices,
        share=config.positive_share,
        batch_size=config.batch_size,
        random=np.random.default_rng((config.seed, epoch)),
    )
    batches = batches_of(rows_of_epoch, batch_size=config.batch_size)
    random = torch.Generator(device.target).manual_seed(config.seed * 100_003 + epoch)
    weight = _loss_weights(train, config, device)
    state.network.train()
    total = 0.0
    with torch.random.fork_rng(devices=[device.target] if device.target.type == "cuda" else []):
        torch.manual_seed(config.seed * 100_003 + epoch)  # of dropout
        images = images_of(train, batches, seed=(config.seed, epoch))
        for index, (rows, tiles) in enumerate(zip(batches, images, strict=True)):
            step = epoch * len(batches) + index
            for group in state.optimiser.param_groups:
                group["lr"] = config.learning_rate * _one_cycle(step / (config.epochs * len(batches)))
            batch = to_device(tiles, device)
            batch = augment(batch, settings=config.augmentation, out_px=config.input_px, random=random)
            labels = torch.as_tensor(train.labels[rows], device=device.target)
            loss = _step(state, config, batch, labels, weight=weight, device=device)
            if not math.isfinite(loss):
                raise ModelError(
                    f"The loss is no number any more in step {index + 1} of epoch {epoch + 1}. Lower learning_rate "
                    "and start again; the last checkpoint holds the epoch before."
                )
            _follow(state.average, state.network, decay=min(config.ema_decay, (1 + step) / (10 + step)))
            total += loss * len(rows)
            tell.step(state, index + 1)
    return total / len(rows_of_epoch)


def _step(
    state: FitState, config: TrainingConfig, batch: Tensor, labels: Tensor, *, weight: Tensor | None, device: Device
) -> float:
    with autocast(config, device):
        logits = state.network(normalised(batch, state.scale))
    loss = mean_loss(logits.float(), labels, weight=weight, label_smoothing=config.label_smoothing)
    state.optimiser.zero_grad()
    loss.backward()
    state.optimiser.step()
    return float(loss.detach())


def mean_loss(logits: Tensor, labels: Tensor, *, weight: Tensor | None, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of (N, C) logits, each patch times the weight of its class, divided by N.

    Divided by the number of patches and not by the sum of their weights, as torch would: a batch that holds many
    targets by chance would else be turned down.
    """
    losses = functional.cross_entropy(logits, labels, weight=weight, label_smoothing=label_smoothing, reduction="sum")
    return losses / len(labels)


def _finish_epoch(
    state: FitState, config: TrainingConfig, validation: Patches, *, device: Device, train_loss: float, started: float
) -> EpochRecord:
    """Validate the averaged weights, and keep them if they are the best so far."""
    logits = predict_logits(state.average, validation.images, config=config, scale=state.scale, device=device)
    if not np.isfinite(logits).all():
        raise ModelError("The network's outputs are no numbers any more. Lower learning_rate and start again.")
    scores = validation_scores(logits, validation.labels, config=config)
    epoch = len(state.history) + 1
    record = EpochRecord(epoch, train_loss, **asdict(scores), seconds=time.perf_counter() - started)
    state.history.append(record)
    value = criterion_value(scores, config=config)
    if value > state.best_value:
        state.best_value, state.best_epoch = value, epoch
        state.best_weights = {name: tensor.detach().clone() for name, tensor in state.average.state_dict().items()}
    return record


def _loss_weights(train: Patches, config: TrainingConfig, device: Device) -> Tensor | None:
    if config.balance != "weighted":
        return None
    weights = class_weights(
        train.labels, classes=len(config.classes), positive=config.positive_indices, cost=config.balance_cost
    )
    return torch.as_tensor(weights, dtype=torch.float32, device=device.target)


def _fingerprint(config: TrainingConfig, train: Patches, validation: Patches) -> str:
    """Hash of what makes a run this run; where files lie does not matter, and what is done after training neither."""
    values = asdict(config)
    for name in ("data", "split", "output", "groups", "cutting", "card", "members", "evaluate_test", "bootstrap_draws"):
        del values[name]
    groups = [sorted(set(part.groups)) for part in (train, validation)]
    sizes = [len(train), len(validation)]
    content = json.dumps([values, train.sha256, validation.sha256, groups, sizes, torch.__version__], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


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
