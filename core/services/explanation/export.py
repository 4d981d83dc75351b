"""The explanation of a tile as files: pictures, maps as numbers, and one JSON that says what they are."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.domain import NOT_FOR_DIAGNOSIS, Region
from core.errors import NotFoundError
from core.explain import METHODS, NOT_A_REASON
from core.roles import Permission
from core.services.explanation.explain import tile_explanation
from core.services.explanation.pictures import LEGEND_SENTENCE, agreement_words, legend, map_picture, sanity_words
from core.services.explanation.records import TileExplanation
from core.services.explanation.slide import REMOVAL_SENTENCE, SlideExplanation, slide_explanation
from core.services.people.authority import require_now
from core.settings import Settings


def export_tile(
    settings: Settings, slide_id: str, region: Region, *, model: str | None = None, opacity: float = 0.6, actor: str
) -> bytes:
    """Return a ZIP archive of a tile's explanation.

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        region: The tile, level-0 px.
        model: Name of a card; None = the model of the slide's latest run.
        opacity: Of the maps over the tile, 0-1.
        actor: Who takes it out.

    Raises:
        NotAllowedError: the actor may not export.
        NotFoundError: the tile is not explained yet.
        ConflictError: the model's result on the slide is hidden from the actor.
    """
    require_now(settings, actor, Permission.EXPORT)
    found = tile_explanation(settings, slide_id, region, model=model, actor=actor)
    if found is None:
        raise NotFoundError("This tile is not explained yet. Ask for its explanation first.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("explanation.json", json.dumps(as_json(found), indent=1))
        archive.writestr("tile_as_read.png", _png(found.tile))
        archive.writestr("tile.png", _png(found.view))
        archive.writestr("legend.png", _png(legend()))
        archive.writestr("NOTICE.txt", f"{NOT_FOR_DIAGNOSIS}\n{NOT_A_REASON}\n{LEGEND_SENTENCE}\n")
        for one in found.maps:
            archive.writestr(f"{one.method.value}.png", _png(map_picture(found, one.method, opacity=opacity)))
            archive.writestr(f"{one.method.value}.npy", _npy(one.values))
    return buffer.getvalue()


def export_slide(settings: Settings, slide_id: str, *, remove: int = 1, actor: str) -> bytes:
    """Return the explanation of a slide as JSON.

    Raises:
        NotAllowedError: the actor may not export.
        NotFoundError, ConflictError: as `core.services.explanation.slide.slide_explanation`.
    """
    require_now(settings, actor, Permission.EXPORT)
    found = slide_explanation(settings, slide_id, remove=remove, actor=actor)
    return json.dumps(slide_json(found), indent=1).encode()


def as_json(found: TileExplanation) -> dict[str, object]:
    """Return everything about an explanation but its pictures."""
    region = found.region
    return {
        "notice": [NOT_FOR_DIAGNOSIS, NOT_A_REASON],
        "slide_id": found.slide_id,
        "model": found.model,
        "weights_sha256": found.weights_sha256,
        "networks": found.networks,
        "target": found.target,
        "region_level0": {"x": region.x, "y": region.y, "width": region.width, "height": region.height},
        "probability": found.probability,
        "probability_of_blank_glass": found.of_glass,
        "maps": [
            {"method": one.method.value, "grain": one.grain, "source": METHODS[one.method].source} for one in found.maps
        ],
        "agreement": {
            "in_words": agreement_words(found)[1],
            "disagree": found.agreement.disagree,
            "pairs": [
                {
                    "first": pair.first.value,
                    "second": pair.second.value,
                    "rank_correlation": pair.correlation,
                    "overlap": pair.overlap,
                }
                for pair in found.agreement.pairs
            ],
        },
        "random_weights": [
            {
                "method": one.method.value,
                "rank_correlations": list(one.correlations),
                "is_informative": one.is_informative,
            }
            for one in found.randomised
        ],
        "lime_spread": {
            "relative": found.spread.relative,
            "is_stable": found.spread.is_stable,
            "weights": found.spread.mean.tolist(),
            "deviations": found.spread.deviation.tolist(),
        },
        "integrated_gradients": {"missing": found.missing, "is_complete": found.is_complete},
        "checks_in_words": list(sanity_words(found)),
        "facts": dict(found.facts),
    }


def slide_json(slide: SlideExplanation) -> dict[str, object]:
    """Return the explanation of a slide as values for a file."""
    found, turning, curve = slide.statistics, slide.turning, slide.removal.curve
    return {
        "notice": [NOT_FOR_DIAGNOSIS, REMOVAL_SENTENCE],
        "slide_id": slide.slide_id,
        "run_id": slide.run_id,
        "model": slide.model,
        "target": slide.target,
        "decision": {"rule": slide.rule, "score": slide.score, "threshold": slide.threshold, "called": slide.called},
        "in_words": list(slide.sentences),
        "statistics": {
            "tiles": found.tiles,
            "mm2": found.mm2,
            "tile_threshold": found.threshold,
            "above_mm2": found.above_mm2,
            "share_above": found.share_above,
            "regions_mm2": [region.mm2 for region in found.regions],
            "entropy_bits": found.entropy_bits,
            "evenness": found.spread_bits,
        },
        "turns_after_tiles": None if turning is None else turning.tiles,
        "recomputed": [
            {"looked_at": row.kept.value, "tiles": row.tiles, "scores": {r.value: s for r, s in row.scores.items()}}
            for row in slide.removal.recomputed
        ],
        "curve": {
            "tiles_taken_away": curve.tiles.tolist(),
            "without": {rule.value: values.tolist() for rule, values in curve.without.items()},
        },
    }


def _png(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _npy(values: NDArray[np.float32]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
