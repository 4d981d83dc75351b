"""What a slide's call rests on: its heatmap in numbers and the removal test, from the stored tiles of its last run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.aggregation import DEFAULT_AGGREGATION, Aggregation, AggregationSettings
from core.errors import NotFoundError
from core.explain import (
    HeatmapStatistics,
    RemovalTest,
    SlideTiles,
    Turning,
    heatmap_statistics,
    regions_above,
    removal_test,
)
from core.explain.removal import FEW_SHARE, FEW_TILES, Kept
from core.services.analysis.deciding import target_of
from core.services.analysis.run_files import RunFolder
from core.services.analysis.tile_columns import ARTEFACT
from core.services.explanation.explain import require_seen
from core.services.viewing.layers import ATTENTION_COLUMN
from core.settings import Settings
from core.store.connection import open_log, reading
from core.store.records import POSITIVE_TITLE, RunRecord
from models.cards import ModelCard, load_card

REMOVAL_SENTENCE = (
    "Recomputed from the stored tile probabilities; no network runs. It shows what the call rests on, not whether the "
    "call is right."
)


@dataclass(frozen=True, slots=True, eq=False)
class SlideExplanation:
    """What the result of one slide rests on."""

    slide_id: str
    case_id: str
    run_id: str
    model: str
    target: str
    """What the model looks for, in words."""
    rule: str
    """What decides: a rule, or the name of a trained aggregator, which is not recomputed here."""
    score: float | None
    threshold: float | None
    called: bool
    tiles: SlideTiles
    regions: tuple[tuple[int, int, int, int], ...]
    """x, y, width and height of every tile, level-0 px, in the order of `tiles`."""
    statistics: HeatmapStatistics
    thresholds: Mapping[Aggregation, float]
    """The rules that have a threshold."""
    removal: RemovalTest
    attention: NDArray[np.float64] | None
    """(N,) relative weight of every tile for an aggregator with attention; None without one."""
    not_recomputed: tuple[str, ...]
    """Trained aggregators that scored the run."""
    sentences: tuple[str, ...]
    """What the removal test says, in words."""

    @property
    def turning(self) -> Turning | None:
        """When the call turns under the rule that decided; None if it is negative or the rule is not recomputed."""
        return next((one for rule, one in self.removal.turning.items() if rule.value == self.rule), None)


def slide_explanation(settings: Settings, slide_id: str, *, remove: int = 1, actor: str) -> SlideExplanation:
    """Describe a slide's heatmap and recompute its scores from parts of its tiles.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        remove: How many of the most suspicious regions are the top regions.
        actor: Who asks.

    Raises:
        NotFoundError: no such slide, or no tile results; the sentence says what to do.
        ConflictError: the model's result on the slide is hidden from the actor.
        NotAllowedError: the actor may not see cases.
    """
    with open_log(settings) as database, reading(database):
        slide, run = require_seen(database, slide_id, actor=actor)
    if run is None or not run.scores:
        raise NotFoundError(f"{slide_id} has no model result, so there is nothing to explain. Analyse it first.")
    card = load_card(run.model)
    table = RunFolder.of(settings, slide_id, run.run_id).read_tiles()
    tiles = slide_tiles(table, card, run)
    thresholds = _thresholds(run, card)
    regions = regions_above(tiles, threshold=card.threshold)
    removal = removal_test(tiles, thresholds=thresholds, regions=regions, remove=remove)
    rules = {rule.value for rule in Aggregation}
    target = str(run.settings.get(POSITIVE_TITLE) or card.positive_title)
    called = run.decision_score is not None and run.threshold is not None and run.decision_score >= run.threshold
    return SlideExplanation(
        slide_id=slide_id,
        case_id=slide.case_id,
        run_id=run.run_id,
        model=run.model,
        target=target,
        rule=run.decision_aggregation or DEFAULT_AGGREGATION.value,
        score=run.decision_score,
        threshold=run.threshold,
        called=called,
        tiles=tiles,
        regions=tuple(
            (int(x), int(y), int(w), int(h)) for x, y, w, h in table[["x", "y", "width", "height"]].to_numpy()
        ),
        statistics=heatmap_statistics(tiles, threshold=card.threshold),
        thresholds=thresholds,
        removal=removal,
        attention=table[ATTENTION_COLUMN].to_numpy(np.float64) if ATTENTION_COLUMN in table else None,
        not_recomputed=tuple(name for name in run.scores if name not in rules),
        sentences=_sentences(run, removal, thresholds),
    )


def slide_tiles(table: pd.DataFrame, card: ModelCard, run: RunRecord) -> SlideTiles:
    """Return the tiles of a run as explanations need them.

    Args:
        table: Rows of `tiles.parquet`, at least one.
        card: Of the tile model.
        run: States the step from tile to tile.

    Raises:
        NotFoundError: the run kept no tile.
    """
    if table.empty:
        raise NotFoundError(f"The run of {run.slide_id} kept no tile, so there is nothing to explain.")
    stated = run.settings.get("stride_um")
    step_um = min(float(stated), card.tile_um) if isinstance(stated, int | float) else card.tile_um
    artefact = table[ARTEFACT].to_numpy(np.int64) > 0 if ARTEFACT in table else np.zeros(len(table), np.bool_)
    return SlideTiles(
        table[["x", "y"]].to_numpy(np.int64),
        (int(table["width"].iloc[0]), int(table["height"].iloc[0])),
        step_um**2 / 1e6,
        np.asarray(target_of(card, table), np.float64),
        artefact,
        table["saliency"].to_numpy(np.float32) if "saliency" in table else None,
    )


def _thresholds(run: RunRecord, card: ModelCard) -> Mapping[Aggregation, float]:
    """Return the rules with a threshold: the card's, the share from which a class is present, and what decided."""
    found = {
        DEFAULT_AGGREGATION: card.slide_threshold,
        Aggregation.THRESHOLD: AggregationSettings().slide_threshold,
    }
    decided = next((rule for rule in Aggregation if rule.value == run.decision_aggregation), None)
    if decided is not None and run.threshold is not None:
        found[decided] = run.threshold
    return found


def _sentences(run: RunRecord, removal: RemovalTest, thresholds: Mapping[Aggregation, float]) -> tuple[str, ...]:
    rule = next((one for one in Aggregation if one.value == run.decision_aggregation), DEFAULT_AGGREGATION)
    threshold = thresholds[rule]
    return tuple(
        filter(None, (_turning_words(removal.turning.get(rule), rule), *_kept_words(removal, rule, threshold)))
    )


def _turning_words(turning: Turning | None, rule: Aggregation) -> str:
    name = rule.value.replace("_", " ")
    if turning is None:
        return f"Under {name} the slide is not called, so no tile carries a call."
    if turning.tiles is None or turning.mm2 is None or turning.share is None or turning.score_without is None:
        return f"Under {name} the call stands however many of the most suspicious tiles are taken away."
    tiles = "1 tile" if turning.tiles == 1 else f"{turning.tiles} tiles"
    said = (
        f"Without its {tiles} of highest probability ({turning.mm2:.2f} mm2, {turning.share:.1%} of what was looked at)"
        f" the score under {name} falls from {turning.score:.3f} to {turning.score_without:.3f}, below the threshold "
        f"of {turning.threshold:.3f}."
    )
    if turning.rests_on_few:
        return f"The call rests on few tiles (at most {FEW_TILES}, or {FEW_SHARE:.0%} of all). {said}"
    return said


def _kept_words(removal: RemovalTest, rule: Aggregation, threshold: float) -> tuple[str, ...]:
    """Say where leaving something out turns the call."""
    called = removal.scores_of(Kept.ALL)[rule] >= threshold
    words = {Kept.WITHOUT_TOP: "the top regions", Kept.WITHOUT_ARTEFACT: "tiles of artefact"}
    found: list[str] = []
    for kept, left_out in words.items():
        score = removal.scores_of(kept).get(rule)
        if score is None:
            found.append(f"Without {left_out} no tile is left.")
        elif (score >= threshold) != called:
            turned = "is no longer called" if called else "is called"
            found.append(f"Without {left_out} the slide {turned} (score {score:.3f}, threshold {threshold:.3f}).")
    return tuple(found)
