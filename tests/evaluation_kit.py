"""Slides with outlines beside them and results that no model made, for the tests of evaluation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from people_kit import CLERK
from PIL import Image

from core.domain import MppSource, SlideStatus, Stain
from core.services import catalogue
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.records import RunResult, SlideFacts
from core.store.results import save_run
from core.store.values import utc_now
from models.cards import load_card

MODEL = "idc"
WIDTH, HEIGHT, TILE = 800, 400, 200
"""Level-0 px: eight tiles; an outline covers the four on the left."""
LEFT, RIGHT = 0.9, 0.2
"""Probabilities of the tiles on the left and on the right."""


def add_slide(
    settings: Settings,
    folder: Path,
    name: str,
    *,
    outline: str | None,
    case: str | None = None,
    site: str | None = None,
    readable: bool = False,
) -> str:
    """A slide of the catalogue. `outline` is a class planted over its left half; only a readable one can be opened."""
    path = folder / f"{name}.{'png' if readable else 'tif'}"
    if readable:
        pixels = np.random.default_rng(0).normal((205, 140, 185), 20, (HEIGHT, WIDTH, 3)).clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    else:
        path.write_bytes(b"II*\x00")
    if outline is not None:
        corners = [[0, 0], [400, 0], [400, 800], [0, 800], [0, 0]]
        mark = f'{{"objectType": "annotation", "classification": {{"name": "{outline}"}}}}'
        geometry = f'{{"type": "Polygon", "coordinates": [{corners}]}}'
        feature = f'{{"type": "Feature", "geometry": {geometry}, "properties": {mark}}}'
        path.with_suffix(".geojson").write_text(f'{{"type": "FeatureCollection", "features": [{feature}]}}')
    request = SlideRequest(path, case, None, Stain.HE, site, None)
    return catalogue.add_slides(settings, [request], actor=CLERK).slide_ids[0]


def add_run(
    settings: Settings, slide_id: str, score: float, *, status: SlideStatus = SlideStatus.OK, model: str = MODEL
) -> str:
    """A finished run of a shipped model with one score under two rules, and 8 tiles, more probable on the left."""
    card = load_card(model)
    run_id = f"20260101T000000-{slide_id}-{model}"
    ok = status is SlideStatus.OK
    normal, target = card.classes
    scores = {rule: {normal: 1 - value, target: value} for rule, value in (("top_k_mean", score), ("mean", 0.5))}
    folder = RunFolder.of(settings, slide_id, run_id)
    x, y = np.meshgrid(np.arange(0, WIDTH, TILE), np.arange(0, HEIGHT, TILE))
    probability = np.where(x.ravel() < 400, LEFT, RIGHT).astype(np.float32)
    table = {"x": x.ravel(), "y": y.ravel(), "width": TILE, "height": TILE, "qc_brightness": np.float32(1 - score / 2)}
    folder.write_tiles(pd.DataFrame({**table, f"prob_{normal}": 1 - probability, f"prob_{target}": probability}))
    folder.write_image("thumbnail.jpg", np.full((40, 80, 3), 230, np.uint8))
    run = RunResult(
        run_id=run_id,
        slide_id=slide_id,
        model=card.name,
        status=status,
        created_at=utc_now(),
        message="" if ok else "There is no tissue.",
        weights_sha256=card.weights_sha256,
        mpp_x=0.5,
        mpp_y=0.5,
        mpp_source=MppSource.USER,
        tiles_total=10,
        tiles_kept=8 if ok else 0,
        scores=scores if ok else {},
        decision_aggregation="top_k_mean" if ok else None,
        decision_score=score if ok else None,
        threshold=card.slide_threshold,
        qc={"score": 0.95 if score > 0.3 else 0.6} if ok else None,
        results_dir=folder.relative,
        facts=SlideFacts(sha256=f"{slide_id:0<64}"[:64], width=WIDTH, height=HEIGHT),
    )
    with open_log(settings) as database, writing(database):
        save_run(database, run, actor=CLERK)
    return run_id
