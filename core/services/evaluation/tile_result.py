"""The tiles of slides with outlines beside them, against those outlines."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from core.evaluation.binary import auc, average_precision, confusion
from core.evaluation.calibration import reliability
from core.evaluation.classes import binary_table
from core.evaluation.delong import auc_estimate
from core.evaluation.operating import operating_points
from core.services.evaluation.tiles import TileFacts
from core.services.evaluation.values import TileResult
from core.store.records import SlideRecord
from models.cards import ModelCard

TileFactsOf = Mapping[str, tuple[SlideRecord, TileFacts]]
"""Slide -> its record and its tiles."""


def tile_result(card: ModelCard, facts: TileFactsOf) -> TileResult | None:
    """Measure tiles at the card's tile threshold; None where no slide has outlines beside it."""
    outlined = [(slide, of, truth) for slide, of in facts.values() if (truth := of.truth) is not None]
    if not outlined:
        return None
    truth = np.concatenate([truth for _, _, truth in outlined])
    score = np.concatenate([of.score for _, of, _ in outlined])
    darkness = np.concatenate([of.darkness for _, of, _ in outlined])
    cases = np.repeat([slide.case_id for slide, _, _ in outlined], [len(truth) for _, _, truth in outlined])
    known = np.isfinite(darkness)
    return TileResult(
        n_tiles=len(truth),
        n_positive=int(truth.sum()),
        n_slides=len(outlined),
        n_cases=len(set(cases.tolist())),
        auc=auc_estimate(truth, score, cases),
        average_precision=average_precision(truth, score),
        darkness_auc=auc(truth[known], darkness[known]) if known.any() else math.nan,
        threshold=card.threshold,
        table=binary_table(confusion(truth, score >= card.threshold), negative="without", positive=card.positive_title),
        operating=operating_points(truth, score).thinned(),
        calibration=reliability(truth, score),
    )
