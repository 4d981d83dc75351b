"""Fitting gated attention on whole slides: epoch by epoch, stopped early, resumable with the same result on a CPU."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Reason: torch is typed in part only.
from __future__ import annotations

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.errors import ConflictError, InputError
from models.aggregators.attention import GatedAttention, pad

Bags = Sequence[NDArray[np.float32]]
"""Embeddings (N_i, D) of each slide."""
Progress = Callable[[int, int, str], None]
"""Called with epochs done, epochs at most, and a sentence about the last one."""


@dataclass(frozen=True, slots=True)
class AttentionSettings:
    """Numbers of the fit."""

    epochs: int = 80
    patience: int = 20
    """Epochs without a lower validation loss after which fitting stops."""
    learning_rate: float = 5e-4
    """Of AdamW, constant."""
    weight_decay: float = 1e-2
    dropout: float = 0.25
    batch_slides: int = 8
    most_tiles: int = 4096
    """Tiles of a training slide that an epoch sees, drawn anew each time; validation sees all."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AttentionEpoch:
    """One row of the log."""

    epoch: int
    train_loss: float
    loss: float
    """On the validation slides: the criterion, the lower the better."""


@dataclass(slots=True, eq=False)
class AttentionState:
    """A fit that goes on."""

    network: GatedAttention
    optimiser: torch.optim.Optimizer
    best_weights: dict[str, Tensor]
    best_loss: float = float("inf")
    best_epoch: int = 0
    history: list[AttentionEpoch] = field(default_factory=list[AttentionEpoch])

    @property
    def stale_epochs(self) -> int:
        """Epochs since the best one."""
        return len(self.history) - self.best_epoch


def fit_attention(
    train: Bags,
    train_labels: NDArray[np.bool_],
    validation: Bags,
    validation_labels: NDArray[np.bool_],
    *,
    settings: AttentionSettings,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
) -> AttentionState:
    """Fit until the validation loss stops falling; `best_weights` are those of the epoch with the lowest.

    Args:
        train: Slides to learn from.
        train_labels: (T,) whether the target is on the slide.
        validation: Slides of other cases, to stop on.
        validation_labels: (V,)
        settings: Numbers of the fit.
        checkpoint: Where every epoch is kept; a fit begun there goes on. None keeps nothing.
        fingerprint: Of data and settings; a checkpoint of another is refused.
        progress: Called after every epoch.

    Raises:
        InputError: a part lacks slides with or without the target.
        ConflictError: the checkpoint belongs to another run.
    """
    for name, labels in (("training", train_labels), ("validation", validation_labels)):
        if labels.all() or not labels.any():
            raise InputError(f"The {name} part needs slides with and without the target; use another seed or split.")
    state = _new_state(train, settings)
    if checkpoint is not None and checkpoint.exists():
        _load(state, checkpoint, fingerprint=fingerprint)
    while len(state.history) < settings.epochs and state.stale_epochs < settings.patience:
        _run_epoch(state, train, train_labels, validation, validation_labels, settings)
        if checkpoint is not None:
            _save(state, checkpoint, fingerprint=fingerprint)
        if progress is not None:
            last = state.history[-1]
            progress(last.epoch, settings.epochs, f"Epoch {last.epoch}: validation loss {last.loss:.4f}")
    state.network.load_state_dict(state.best_weights)
    state.network.eval()
    return state


def logits_of(network: GatedAttention, bags: Bags) -> NDArray[np.float64]:
    """Return (B,) logits, before the temperature, slide by slide: memory follows the largest slide."""
    network.eval()
    with torch.inference_mode():
        return np.array([float(network(*pad([bag]))[0]) for bag in bags], np.float64)


def _new_state(train: Bags, settings: AttentionSettings) -> AttentionState:
    # The generator is put back afterwards: nobody else's random numbers may depend on a fit.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network = GatedAttention(train[0].shape[1], dropout=settings.dropout)
    network.standardise_to(np.concatenate(train))
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return AttentionState(network, optimiser, copy.deepcopy(network.state_dict()))


def _run_epoch(
    state: AttentionState,
    train: Bags,
    train_labels: NDArray[np.bool_],
    validation: Bags,
    validation_labels: NDArray[np.bool_],
    settings: AttentionSettings,
) -> None:
    epoch = len(state.history) + 1
    # Everything random in an epoch follows from seed and epoch, so that a resumed fit draws what an unbroken one draws.
    random = np.random.default_rng([settings.seed, epoch])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(random.integers(2**62)))
        train_loss = _learn(state, train, train_labels, settings=settings, random=random)
    loss = balanced_loss(torch.from_numpy(logits_of(state.network, validation)), validation_labels)
    if float(loss) < state.best_loss:
        state.best_loss, state.best_epoch = float(loss), epoch
        state.best_weights = copy.deepcopy(state.network.state_dict())
    state.history.append(AttentionEpoch(epoch, train_loss, float(loss)))


def _learn(
    state: AttentionState,
    train: Bags,
    labels: NDArray[np.bool_],
    *,
    settings: AttentionSettings,
    random: np.random.Generator,
) -> float:
    state.network.train()
    order = random.permutation(len(train))
    total = 0.0
    for start in range(0, len(order), settings.batch_slides):
        rows = order[start : start + settings.batch_slides]
        logits, _ = state.network(*pad([_drawn(train[row], settings.most_tiles, random) for row in rows]))
        loss = balanced_loss(logits, labels[rows], share=float(labels.mean()))
        state.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(state.network.parameters(), 5.0)
        state.optimiser.step()
        total += float(loss.detach()) * len(rows)
    return total / len(order)


def balanced_loss(logits: Tensor, labels: NDArray[np.bool_], *, share: float | None = None) -> Tensor:
    """Cross-entropy in which both classes weigh the same, however rare one is.

    Args:
        logits: (B,)
        labels: (B,)
        share: Of positives in the whole set; None takes it from `labels`.
    """
    positives = float(labels.mean()) if share is None else share
    truth = torch.from_numpy(labels.astype(np.float64)).to(logits.dtype)
    weight = torch.where(truth > 0, 0.5 / positives, 0.5 / (1 - positives))
    return (weight * functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")).mean()


def _drawn(bag: NDArray[np.float32], most: int, random: np.random.Generator) -> NDArray[np.float32]:
    return bag if len(bag) <= most else bag[np.sort(random.choice(len(bag), most, replace=False))]


def _save(state: AttentionState, path: Path, *, fingerprint: str) -> None:
    """Keep the state; a kill leaves the checkpoint before it or this one, never half of one."""
    content = {
        "fingerprint": fingerprint,
        "network": state.network.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "best_weights": state.best_weights,
        "best_loss": state.best_loss,
        "best_epoch": state.best_epoch,
        "history": [asdict(epoch) for epoch in state.history],
    }
    part = path.with_name(f"{path.name}.part")
    torch.save(content, part)
    os.replace(part, path)


def _load(state: AttentionState, path: Path, *, fingerprint: str) -> None:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    if content["fingerprint"] != fingerprint:
        raise ConflictError(
            f"{path.parent.name} holds a run on other slides, labels or settings. Choose another name for this one."
        )
    state.network.load_state_dict(content["network"])
    state.optimiser.load_state_dict(content["optimiser"])
    state.best_weights = content["best_weights"]
    state.best_loss, state.best_epoch = content["best_loss"], content["best_epoch"]
    state.history = [AttentionEpoch(**epoch) for epoch in content["history"]]
