"""From labelled slides to a trained aggregator; the split is by case, and checked before anything is computed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.errors import ConflictError
from models.aggregators import machine_learning
from models.aggregators.attention import arrays_of
from models.aggregators.attention_fitting import AttentionSettings, AttentionState, fit_attention, logits_of
from models.aggregators.machine_learning import Kind
from models.aggregators.records import (
    AggregatorPlan,
    AggregatorResult,
    Measured,
    draft_card,
    metrics_of,
    threshold_between,
    write_result,
)
from models.aggregators.slides import (
    LabelledSlide,
    check_slides,
    columns_of,
    obtain_split,
    read_given_split,
    rows_of_groups,
)
from models.evaluation.metrics import fit_temperature

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and a sentence."""


def train_on_statistics(
    plan: AggregatorPlan,
    slides: Sequence[LabelledSlide],
    features: FloatArray,
    *,
    names: tuple[str, ...],
    progress: Progress | None = None,
) -> AggregatorResult:
    """Train logistic regression, SVM or forest on tile statistics.

    With a split file its test part is held back and measured once; without one, every slide is measured in a nested
    cross-validation by group.

    Args:
        plan: What and where.
        slides: N labelled slides.
        features: (N, F) tile statistics.
        names: F names.
        progress: Called after every fit.

    Raises:
        InputError: slides or split cannot be used.
        ConflictError: the folder holds a run already and the plan does not resume it.
    """
    started = _begin(plan, slides)
    kind = cast("Kind", plan.kind)
    labels, groups = columns_of(slides)
    split = None if plan.split is None else read_given_split(plan.split, groups)
    steps = 2 if split else plan.folds + 1
    used = np.arange(len(slides)) if split is None else rows_of_groups(groups, (*split.train, *split.validation))
    measured: list[Measured] = []
    if split is None:
        rounds = machine_learning.nested_fits(kind, features, labels, groups, folds=plan.folds, seed=plan.seed)
        for number, (fold, inner) in enumerate(rounds, start=1):
            measured.append(_measure(inner, features, labels, fit_rows=fold.fit, rows=fold.held_out))
            _tell(progress, number, steps, f"Round {number} of the cross-validation")
    final = machine_learning.fit(kind, features[used], labels[used], groups[used], folds=plan.folds, seed=plan.seed)
    if split is not None:
        measured.append(_measure(final, features, labels, fit_rows=used, rows=rows_of_groups(groups, split.test)))
    _tell(progress, steps, steps, "Fitted on all slides")
    words = (
        f"Measured in a nested cross-validation of {len(measured)} rounds, by group."
        if split is None
        else f"By group: {len(split.train) + len(split.validation)} to fit, {len(split.test)} to measure."
    )
    draft = draft_card(plan, slides, features=names, inputs=features.tobytes(), split=words)
    card = replace(
        draft,
        training=f"{draft.training} Setting {final.choice:g} of {machine_learning.CHOICES[kind]}.",
        threshold=threshold_between(labels[used], final.held_out),
        threshold_note="Highest balanced accuracy on slides held out in the cross-validation.",
        metrics=metrics_of(measured, labels, groups),
    )
    return write_result(plan, card, final.fitted.arrays, slides, measured, started=started, history=[])


def train_attention(
    plan: AggregatorPlan,
    slides: Sequence[LabelledSlide],
    bags: Sequence[NDArray[np.float32]],
    *,
    settings: AttentionSettings | None = None,
    progress: Progress | None = None,
) -> AggregatorResult:
    """Train gated attention on tile embeddings: learn on one part, stop and calibrate on another, measure on the third.

    Args:
        plan: What and where; a run that was killed goes on if the plan resumes.
        slides: N labelled slides.
        bags: N arrays (tiles, D).
        settings: Numbers of the fit; the defaults with the plan's seed if None.
        progress: Called after every epoch.

    Raises:
        InputError: slides or split cannot be used.
        ConflictError: the folder holds a run already and the plan does not resume it, or it was another run.
    """
    started = _begin(plan, slides)
    settings = settings or AttentionSettings(seed=plan.seed)
    labels, groups = columns_of(slides)
    own = plan.folder / "split.csv"
    split = (
        obtain_split(own, labels=labels, groups=groups, seed=plan.seed)
        if plan.split is None
        else read_given_split(plan.split, groups)
    )
    train, validation, test = (rows_of_groups(groups, split.part(part)) for part in ("train", "validation", "test"))

    def of(rows: NDArray[np.intp]) -> list[NDArray[np.float32]]:
        return [bags[int(row)] for row in rows]

    inputs = hashlib.sha256(b"".join(hashlib.sha256(bag.tobytes()).digest() for bag in bags)).digest()
    words = (
        f"By group: {len(split.train)} to learn, {len(split.validation)} to stop, calibrate and choose the threshold, "
        f"{len(split.test)} to measure."
    )
    draft = draft_card(plan, slides, features=(), inputs=inputs, split=words)
    state = fit_attention(
        of(train),
        labels[train],
        of(validation),
        labels[validation],
        settings=settings,
        checkpoint=plan.folder / "checkpoint.pt",
        fingerprint=f"{draft.data_sha256} {asdict(settings)} {asdict(split)}",
        progress=progress,
    )
    temperature = _temperature(logits_of(state.network, of(validation)), labels[validation])
    state.network.temperature.fill_(temperature)

    def probability(rows: NDArray[np.intp]) -> FloatArray:
        return 1 / (1 + np.exp(-logits_of(state.network, of(rows)) / temperature))

    threshold = threshold_between(labels[validation], probability(validation))
    found = probability(test)
    measured = [Measured(test, found, found >= threshold)]
    card = replace(
        draft,
        training=f"{draft.training} Epoch {state.best_epoch} of {len(state.history)} by validation loss.",
        threshold=threshold,
        threshold_note="Highest balanced accuracy on the validation slides.",
        metrics=metrics_of(measured, labels, groups),
    )
    return write_result(
        plan, card, arrays_of(state.network), slides, measured, started=started, history=_history(state)
    )


def _begin(plan: AggregatorPlan, slides: Sequence[LabelledSlide]) -> float:
    check_slides(slides, few_slides_accepted=plan.few_slides_accepted)
    if not plan.resume and any((plan.folder / name).exists() for name in ("checkpoint.pt", f"{plan.name}.toml")):
        raise ConflictError(f"{plan.name} is there already, or was begun. Add --resume, or choose another name.")
    plan.folder.mkdir(parents=True, exist_ok=True)
    return time.monotonic()


def _measure(
    found: machine_learning.Fit,
    features: FloatArray,
    labels: NDArray[np.bool_],
    *,
    fit_rows: NDArray[np.intp],
    rows: NDArray[np.intp],
) -> Measured:
    probability = machine_learning.predict(found.fitted, features[rows])
    return Measured(rows, probability, probability >= threshold_between(labels[fit_rows], found.held_out))


def _temperature(logits: FloatArray, labels: NDArray[np.bool_]) -> float:
    """Return the calibrating temperature, never below 1: a few slides parted without error would call for certainty."""
    return max(1.0, fit_temperature(np.stack([np.zeros_like(logits), logits], axis=1), labels.astype(np.int64)))


def _history(state: AttentionState) -> list[Mapping[str, float]]:
    return [asdict(epoch) for epoch in state.history]


def _tell(progress: Progress | None, done: int, total: int, sentence: str) -> None:
    if progress is not None:
        progress(done, total, f"{sentence}.")
