"""What a trained aggregator leaves behind: metrics on held-out slides, card, weights, record and log."""

from __future__ import annotations

import csv
import hashlib
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import best_threshold, binary_metrics, confusion
from core.evaluation.intervals import with_intervals
from models.aggregators.cards import ATTENTION_KIND, AggregatorCard, digest_of, write_aggregator
from models.aggregators.slides import LabelledSlide, few_slides_warning
from models.aggregators.statistics import STATISTICS_VERSION

FloatArray = NDArray[np.float64]
_DRAWS = 1000
"""Samples of cases behind the intervals on the card."""
_LIBRARIES = ("second-read", "numpy", "scikit-learn", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorPlan:
    """One training of an aggregator."""

    name: str
    kind: str
    folder: Path
    """Where card, weights, record and log go."""
    classes: tuple[str, ...]
    positive_classes: tuple[str, ...]
    tile_model: str
    tile_model_sha256: str
    tiles: str
    """How the tiles were cut, in words."""
    encoder: str = ""
    encoder_sha256: str = ""
    labels: str
    """Where the labels came from, in words."""
    command: str = ""
    """How to do it again."""
    seed: int = 0
    folds: int = 5
    split: Path | None = None
    """CSV with the columns group and part to obey; None divides at random."""
    few_slides_accepted: bool = False
    """Whether the user takes fewer than `ENOUGH_SLIDES` slides upon themselves."""
    resume: bool = False


@dataclass(frozen=True, slots=True)
class AggregatorResult:
    """What a training left behind."""

    card: AggregatorCard
    path: Path
    """Of the card."""
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Slides that were held out."""

    rows: NDArray[np.intp]
    probability: FloatArray
    called: NDArray[np.bool_]


def threshold_between(labels: NDArray[np.bool_], probability: FloatArray) -> float:
    """Return the threshold of the highest balanced accuracy, half-way to the next lower slide: it sits on none."""
    level = best_threshold(labels, probability)
    lower = probability[probability < level]
    middle = level if len(lower) == 0 else (level + float(lower.max())) / 2
    return round(float(np.clip(middle, 0.001, 0.999)), 6)


def metrics_of(
    measured: Sequence[Measured], labels: NDArray[np.bool_], groups: NDArray[np.str_]
) -> dict[str, Mapping[str, float]]:
    """Return metric -> value, low, high over all held-out slides (bootstrap over groups), and the counts."""
    rows, probability, called = (
        np.concatenate([getattr(part, name) for part in measured]) for name in ("rows", "probability", "called")
    )
    by_score = {name: metric for name, metric in binary_metrics(threshold=0.5).items() if name in ("auc", "auprc")}
    of_score = with_intervals(labels[rows], probability, groups[rows], metrics=by_score, draws=_DRAWS)
    by_call = {
        name: metric
        for name, metric in binary_metrics(threshold=0.5).items()
        if name in ("balanced_accuracy", "sensitivity", "specificity", "f1")
    }
    of_call = with_intervals(labels[rows], called.astype(np.float64), groups[rows], metrics=by_call, draws=_DRAWS)
    found: dict[str, Mapping[str, float]] = {name: value.as_dict() for name, value in (of_score | of_call).items()}
    return found | {"counts": asdict(confusion(labels[rows], called))}


def draft_card(
    plan: AggregatorPlan, slides: Sequence[LabelledSlide], *, features: tuple[str, ...], inputs: bytes, split: str
) -> AggregatorCard:
    """Return the card as far as it is known before anything is fitted; the digest is over all that goes in."""
    facts = [[*(getattr(slide, name) for name in LabelledSlide.__slots__)] for slide in slides]
    text = json.dumps([plan.kind, plan.tile_model_sha256, plan.encoder_sha256, facts], sort_keys=True)
    return AggregatorCard(
        name=plan.name,
        kind=plan.kind,
        classes=plan.classes,
        positive_classes=plan.positive_classes,
        tile_model=plan.tile_model,
        tile_model_sha256=plan.tile_model_sha256,
        tiles=plan.tiles,
        encoder=plan.encoder,
        encoder_sha256=plan.encoder_sha256,
        features=features,
        statistics_version="" if plan.kind == ATTENTION_KIND else STATISTICS_VERSION,
        slides=len(slides),
        positives=sum(slide.label for slide in slides),
        groups=len({slide.group for slide in slides}),
        warning=few_slides_warning(slides),
        labels=plan.labels,
        split=split,
        training=f"Seed {plan.seed}; {plan.command or 'second-read train-aggregator'}.",
        data_sha256=hashlib.sha256(text.encode() + inputs).hexdigest(),
        threshold=0.5,
        threshold_note="",
        metrics={},
        limits=(
            "Holds for slides like those it was trained on: laboratory, scanner, tissue and tile model.",
            "Metrics are agreement with the labels named above, not with the truth.",
        ),
        created=datetime.now(UTC).date().isoformat(),
        weights=f"{plan.name}.safetensors",
        weights_sha256="0" * 64,
    )


def write_result(
    plan: AggregatorPlan,
    card: AggregatorCard,
    arrays: Mapping[str, NDArray[np.floating]],
    slides: Sequence[LabelledSlide],
    measured: Sequence[Measured],
    *,
    started: float,
    history: Sequence[Mapping[str, float]],
) -> AggregatorResult:
    """Write weights, card, `slides.csv` (what was held out, and its probability), `log.csv` and `run.json`."""
    card = replace(card, weights_sha256=digest_of(arrays))
    path = write_aggregator(card, arrays, plan.folder)
    held_out = {
        int(row): (round(float(p), 6), int(call))
        for part in measured
        for row, p, call in zip(part.rows, part.probability, part.called, strict=True)
    }
    table = [
        (slide.slide_id, slide.case_id, slide.group, int(slide.label), *held_out.get(row, ("", "")))
        for row, slide in enumerate(slides)
    ]
    columns = ("slide_id", "case_id", "group", "label", "held_out_probability", "held_out_call")
    _write_csv(plan.folder / "slides.csv", columns, table)
    if history:
        _write_csv(plan.folder / "log.csv", tuple(history[0]), [tuple(row.values()) for row in history])
    seconds = time.monotonic() - started
    record = {
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": {**asdict(plan), "folder": plan.folder.name, "split": plan.split and plan.split.name},
        "data_sha256": card.data_sha256,
        "weights_sha256": card.weights_sha256,
        "metrics": card.metrics,
        "history": list(history),
        "seconds": round(seconds, 1),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}},
    }
    (plan.folder / "run.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return AggregatorResult(card, path, seconds)


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
