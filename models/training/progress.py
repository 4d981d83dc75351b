"""How far a training is, for whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.data.patches import Patches
from models.training.balance import batches_of, epoch_rows
from models.training.checkpoint import FitState
from models.training.config import TrainingConfig


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a fit is."""

    epoch: int
    """Epochs that are done."""
    epochs: int
    """Epochs at most."""
    step: int
    """Steps done of the epoch at hand; 0 right after an epoch."""
    steps: int
    """Steps of an epoch; 0 where no epoch has begun."""
    sentence: str = ""
    """What an epoch brought; empty in the middle of one."""
    member: int = 1
    members: int = 1
    """Networks of the ensemble."""


Progress = Callable[[Moment], None]


class Teller:
    """Counts steps for whoever listens."""

    def __init__(self, config: TrainingConfig, train: Patches, progress: Progress | None) -> None:
        rows = epoch_rows(
            train.labels,
            balance=config.balance,
            positive=config.positive_indices,
            share=config.positive_share,
            batch_size=config.batch_size,
            random=np.random.default_rng(0),
        )
        self._steps = len(batches_of(rows, batch_size=config.batch_size))
        self._epochs = config.epochs
        self._progress = progress

    def step(self, state: FitState, done: int) -> None:
        """Tell that a step is done."""
        if self._progress is not None:
            self._progress(Moment(len(state.history), self._epochs, done, self._steps))

    def epoch(self, state: FitState, text: str) -> None:
        """Tell that an epoch is done, or that the first begins."""
        if self._progress is not None:
            sentence = f"Epoch {len(state.history)} of at most {self._epochs}: {text}."
            self._progress(Moment(len(state.history), self._epochs, 0, self._steps, sentence))
