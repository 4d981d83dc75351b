"""Which patches an epoch shows and how much each class weighs: five answers to classes of unequal size.

All but "none" teach the network another frequency of the classes than that of the data, so its raw probabilities are
shifted; `models.training.calibration` brings them back on the validation patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError

Balance = Literal["none", "weighted", "undersample", "oversample", "share"]
"""none: every patch once an epoch. weighted: the same, and the loss of a class is multiplied by its weight.
undersample: of every class as many as the rarest has, drawn anew each epoch. oversample: of every class as many as the
most frequent has. share: every batch holds the same share of patches of the target classes."""

Rows = NDArray[np.intp]


def epoch_rows(
    labels: NDArray[np.int64],
    *,
    balance: Balance,
    positive: Sequence[int],
    share: float,
    batch_size: int,
    random: np.random.Generator,
) -> Rows:
    """Draw the patches of one epoch.

    Args:
        labels: (N,) class of each patch.
        balance: The strategy.
        positive: Labels of the target classes; used by "share".
        share: Share of target patches in a batch; used by "share".
        batch_size: Patches a batch; used by "share", whose epoch has as many batches as one of "none".
        random: Decides the drawing and the order; the same state gives the same rows.

    Returns:
        Row indices in the order in which they are shown; consecutive runs of `batch_size` make the batches.

    Raises:
        InputError: a class that the strategy needs has no patch.
    """
    if balance == "share":
        return _shared_rows(labels, positive=positive, share=share, batch_size=batch_size, random=random)
    if balance in ("none", "weighted"):
        return random.permutation(len(labels))
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    sizes = [len(rows) for rows in members]
    wanted = min(sizes) if balance == "undersample" else max(sizes)
    return random.permutation(np.concatenate([_take(rows, wanted, random) for rows in members]))


def batches_of(rows: Rows, *, batch_size: int) -> list[Rows]:
    """Part an epoch into batches of nearly equal size, about `batch_size` each; exactly so where it divides."""
    return np.array_split(rows, max(1, round(len(rows) / batch_size)))


def positives_in_batch(share: float, batch_size: int) -> int:
    """Return how many target patches a batch of "share" holds.

    Raises:
        InputError: the share is not a whole number of patches, or leaves no patch of one side.
    """
    count = share * batch_size
    if abs(count - round(count)) > 1e-9 or not 0 < round(count) < batch_size:
        raise InputError(
            f"positive_share {share:g} of a batch of {batch_size} is {count:g} patches; choose a batch_size in which "
            "it is a whole number, neither none nor all."
        )
    return round(count)


def class_weights(
    labels: NDArray[np.int64], *, classes: int, positive: Sequence[int], cost: float | None
) -> NDArray[np.float64]:
    """Return the (C,) weights of a cost-weighted loss; averaged over the patches they are 1.

    With weight c on the target and 1 elsewhere, a network that minimises the loss says
    q = c p / (c p + 1 - p) where the probability is p, so that calling at q >= 1/2 is calling at p >= 1 / (1 + c): the
    cheapest rule where a missed target costs c false alarms (Elkan, IJCAI 2001, section 2). The common factor that
    makes the average 1 keeps the learning rate's meaning.

    Args:
        labels: (N,) class of each training patch.
        classes: C.
        positive: Labels of the target classes.
        cost: c, what a missed target costs in false alarms; None weighs every class by its inverse frequency.

    Raises:
        InputError: a class has no patch.
    """
    counts = np.bincount(labels, minlength=classes)
    if (counts == 0).any():
        raise InputError(f"Class number {int(counts.argmin())} has no patch to train on, so it has no weight.")
    if cost is None:
        return len(labels) / (classes * counts)
    raw = np.ones(classes)
    raw[list(positive)] = cost
    return raw * len(labels) / float(raw @ counts)


def _shared_rows(
    labels: NDArray[np.int64], *, positive: Sequence[int], share: float, batch_size: int, random: np.random.Generator
) -> Rows:
    is_positive = np.isin(labels, list(positive))
    if is_positive.all() or not is_positive.any():
        raise InputError("A fixed share of target patches needs patches of the target and others to train on.")
    count = positives_in_batch(share, batch_size)
    batches = max(1, round(len(labels) / batch_size))
    targets = _take(np.flatnonzero(is_positive), count * batches, random).reshape(batches, count)
    others = _take(np.flatnonzero(~is_positive), (batch_size - count) * batches, random).reshape(batches, -1)
    return random.permuted(np.concatenate([targets, others], axis=1), axis=1).ravel()


def _take(rows: Rows, wanted: int, random: np.random.Generator) -> Rows:
    """Draw `wanted` rows, each as often as any other or once more, in random order within every round."""
    rounds = -(-wanted // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:wanted]
