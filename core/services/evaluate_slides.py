"""How well the analysed slides of a catalogue are told apart, by every aggregation, against a reference.

The figures are agreement with that reference: a pathologist's reads, a table, or the outlines beside slides. What has
no result or no label is counted and named, never left out silently.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.aggregation import DEFAULT_AGGREGATION
from core.domain import Size, SlideStatus
from core.errors import InputError, NotFoundError
from core.evaluation.binary import BoolArray, FloatArray, Metric, auc, confusion
from core.evaluation.intervals import Estimate, with_intervals
from core.interop.qupath import classified_marks
from core.interop.raster import mask_shape, paint, polygons_of
from core.phantom.truth import TUMOUR
from core.services import catalogue
from core.services.deciding import target_of
from core.services.run_files import RunFolder
from core.services.slide_labels import slide_labels
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.records import RunResult, SlideRecord
from core.store.results import runs_of_slide
from core.tissue import area_fraction
from models.cards import ModelCard, load_card

DRAWS = 1000
DIGITS = 4
POSITIVE_SHARE = 0.5
"""Share of a tile that outlines of the target must cover for the tile to count as positive."""
CELLS_A_TILE = 25
MOST_MASK_PX = 64_000_000


@dataclass(frozen=True, slots=True)
class RuleEvaluation:
    """One aggregation."""

    name: str
    auc: Estimate
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class SlideEvaluation:
    """One model on the slides of one catalogue."""

    model: str
    reference: str
    """Where the labels came from, in words."""
    threshold: float
    """Of the card; chosen for the default aggregation and applied to all of them."""
    n_slides: int
    """With a result and a label."""
    n_cases: int
    n_positive: int
    rules: tuple[RuleEvaluation, ...]
    tile_auc: Estimate | None
    """Of the tiles of slides with outlines beside them; None where there are none or the tiles show one class only."""
    n_tiles: int
    n_positive_tiles: int
    n_outlined_slides: int
    without_result: Mapping[str, str]
    """Slide id -> why it has none."""
    without_label: Mapping[str, str]
    """Slide id -> why it has none."""

    def to_json(self) -> dict[str, object]:
        """Return what `--json` prints."""
        return {
            "model": self.model,
            "reference": self.reference,
            "threshold": self.threshold,
            "threshold_is_for": DEFAULT_AGGREGATION.value,
            "n_slides": self.n_slides,
            "n_cases": self.n_cases,
            "n_positive": self.n_positive,
            "aggregations": {
                rule.name: {name: _plain(getattr(rule, name)) for name in ("auc", "sensitivity", "specificity")}
                for rule in self.rules
            },
            "tiles": {
                "auc": None if self.tile_auc is None else _plain(self.tile_auc),
                "n_tiles": self.n_tiles,
                "n_positive": self.n_positive_tiles,
                "n_slides": self.n_outlined_slides,
            },
            "without_result": dict(self.without_result),
            "without_label": dict(self.without_label),
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """What was measured and what was not."""
        parts = [
            f"{self.n_slides} slides of {self.n_cases} cases against {self.reference}, {self.n_positive} with the "
            "target."
        ]
        if self.without_result:
            parts.append(f"No result: {', '.join(self.without_result)}; these are counted neither right nor wrong.")
        if self.without_label:
            parts.append(f"No label: {', '.join(self.without_label)}.")
        if not 0 < self.n_positive < self.n_slides:
            parts.append("Figures that need slides of both kinds are left out.")
        return " ".join(parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Tiles:
    truth: BoolArray
    score: FloatArray
    case_id: str


def evaluate_slides(
    settings: Settings, *, reference: str, model_name: str | None = None, draws: int = DRAWS
) -> SlideEvaluation:
    """Compare the latest run of the model on each slide with a reference.

    Args:
        settings: Names the home folder, and the model if none is named here.
        reference: "truth" (outlines beside the slides), "reads" (the log) or the path of a CSV with the columns
            slide_id and label.
        model_name: Name of the card.
        draws: Bootstrap samples of cases.

    Raises:
        InputError: the reference cannot be read, or no slide has both a result and a label.
        NotFoundError: no such model.
    """
    card = load_card(model_name or settings.model)
    labels = slide_labels(settings, reference)
    slides = catalogue.list_slides(settings)
    runs = _latest_runs(settings, slides, card)
    results = {slide_id: run for slide_id, run in runs.items() if run.status is SlideStatus.OK and run.scores}
    without_result = {
        slide.slide_id: _why_no_result(runs.get(slide.slide_id), card)
        for slide in slides
        if slide.slide_id in labels.target and slide.slide_id not in results
    }
    used = [slide for slide in slides if slide.slide_id in labels.target and slide.slide_id in results]
    if not used:
        raise InputError(
            f"No slide has both a result of {card.name} and a label from {labels.source}. Analyse the slides first, "
            "or give another reference."
        )
    truth = np.array([labels.target[slide.slide_id] for slide in used])
    groups = np.array([labels.groups.get(slide.slide_id, slide.case_id) for slide in used])
    rules = _rules(card, [results[slide.slide_id] for slide in used], truth, groups, draws)
    tiles = [
        found for slide in used if (found := _tiles_of(settings, card, slide, results[slide.slide_id])) is not None
    ]
    return SlideEvaluation(
        model=card.name,
        reference=labels.source,
        threshold=card.slide_threshold,
        n_slides=len(used),
        n_cases=len(set(groups.tolist())),
        n_positive=int(truth.sum()),
        rules=rules,
        tile_auc=_tile_auc(tiles, draws),
        n_tiles=sum(len(item.truth) for item in tiles),
        n_positive_tiles=sum(int(item.truth.sum()) for item in tiles),
        n_outlined_slides=len(tiles),
        without_result=without_result,
        without_label=dict(labels.left_out),
    )


def _latest_runs(settings: Settings, slides: tuple[SlideRecord, ...], card: ModelCard) -> dict[str, RunResult]:
    """Return the newest run of this model on each slide; of another model's runs nothing is told."""
    found: dict[str, RunResult] = {}
    with open_log(settings) as database, reading(database):
        for slide in slides:
            run = next((run for run in runs_of_slide(database, slide.slide_id) if run.model == card.name), None)
            if run is not None:
                found[slide.slide_id] = run
    return found


def _why_no_result(run: RunResult | None, card: ModelCard) -> str:
    if run is None:
        return f"not analysed with {card.name}"
    return run.message or run.status.value.replace("_", " ")


def _rules(
    card: ModelCard, runs: list[RunResult], truth: BoolArray, groups: NDArray[np.str_], draws: int
) -> tuple[RuleEvaluation, ...]:
    """Measure every aggregation that all of the runs have."""
    names = [name for name in runs[0].scores if all(name in run.scores for run in runs)]
    found: list[RuleEvaluation] = []
    for name in names:
        scores = np.array([_target_score(card, run, name) for run in runs])
        estimates = with_intervals(truth, scores, groups, metrics=_slide_metrics(card.slide_threshold), draws=draws)
        found.append(RuleEvaluation(name, estimates["auc"], estimates["sensitivity"], estimates["specificity"]))
    return tuple(found)


def _target_score(card: ModelCard, run: RunResult, rule: str) -> float:
    """Return the score that decides, where this rule decided, else that of the strongest of the target's classes."""
    if rule == run.decision_aggregation and run.decision_score is not None:
        return run.decision_score
    return max(run.scores[rule][name] for name in card.positive_classes)


def _slide_metrics(threshold: float) -> Mapping[str, Metric]:
    def of_calls(name: str) -> Metric:
        def metric(truth: BoolArray, scores: FloatArray, weight: FloatArray | None = None) -> float:
            return float(getattr(confusion(truth, scores >= threshold, weight), name))

        return metric

    return {"auc": auc, "sensitivity": of_calls("sensitivity"), "specificity": of_calls("specificity")}


def _tile_auc(tiles: list[_Tiles], draws: int) -> Estimate | None:
    if not tiles:
        return None
    truth = np.concatenate([item.truth for item in tiles])
    if truth.all() or not truth.any():
        return None
    score = np.concatenate([item.score for item in tiles])
    groups = np.repeat([item.case_id for item in tiles], [len(item.truth) for item in tiles])
    return with_intervals(truth, score, groups, metrics={"auc": auc}, draws=draws)["auc"]


def _tiles_of(settings: Settings, card: ModelCard, slide: SlideRecord, run: RunResult) -> _Tiles | None:
    """Return the tiles of a slide that has outlines beside it, or None."""
    path = Path(slide.path).with_suffix(".geojson")
    if not path.is_file():
        return None
    try:
        table = RunFolder.of(settings, slide.slide_id, run.run_id).read_tiles()
    except NotFoundError:
        return None
    x, y, width, height = (table[name].to_numpy(np.int64) for name in ("x", "y", "width", "height"))
    mask, downsample = _target_mask(
        path, card, size=Size(int((x + width).max()), int((y + height).max())), tile=Size(int(width[0]), int(height[0]))
    )
    share = area_fraction(mask, downsample, x=x, y=y, width=width, height=height)
    return _Tiles(share >= POSITIVE_SHARE, np.asarray(target_of(card, table), np.float64), slide.case_id)


def _target_mask(
    path: Path, card: ModelCard, *, size: Size, tile: Size
) -> tuple[NDArray[np.bool_], tuple[float, float]]:
    """Paint the outlines of the target: QuPath's own class for tumour, or one of the model's positive classes."""
    cell = Size(max(1, tile.width // CELLS_A_TILE), max(1, tile.height // CELLS_A_TILE))
    rows, columns = mask_shape(size, cell=cell, most_px=MOST_MASK_PX)
    mask = np.zeros((rows, columns), np.bool_)
    downsample = (size.width / columns, size.height / rows)
    wanted = {name.casefold() for name in (TUMOUR, *card.positive_classes)}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(f"{path} is not GeoJSON. Export the annotations from QuPath again.") from err
    for name, mark in classified_marks(content):
        if name.casefold() in wanted:
            for polygon in polygons_of(mark.geometry):
                paint(mask, polygon, downsample=downsample)
    return mask, downsample


def _plain(estimate: Estimate) -> dict[str, float] | None:
    return None if math.isnan(estimate.value) else estimate.as_dict(digits=DIGITS)
