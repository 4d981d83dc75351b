"""A home with two slides of one case and results that no model made, for the viewer in a real browser."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from numpy.typing import NDArray
from people_kit import CLERK

from core.domain import FlagDirection, FlagKind, MppSource, ReadCategory, SlideStatus, Stain
from core.qc.classes import NO_TISSUE, ArtefactClass
from core.services.analysis.run_files import RunFolder
from core.services.catalogue import SlideRequest, add_slides
from core.services.viewing.layers import QUALITY_MAP
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.records import FlagRecord, NewRead, ReadStage, RunResult, SlideFacts
from core.store.results import save_run
from core.store.reviews import insert_read

CASE = "CASE-7"
FIRST, SECOND, UNSCALED = "first-he", "second-ihc", "third-unscaled"
WIDTH, HEIGHT, TILE, MPP = 4100, 3050, 224, 0.5
"""Level-0 px of the first slide: tiles do not divide it, so the last column and row reach beyond it."""
HOT = (1792, 1344)
"""Top left corner, level-0 px, of the only tile with probability 1."""
ATTENDED = (896, 672)
"""Top left corner of the tile with the highest attention: 0.5. The tile at `HOT` has half of that, all others 0."""
RULER = ((1000, 1500), (3000, 1500))
"""Ends of a black line on the slide: 2,000 px, which is 1 mm."""


def slide_image(width: int = WIDTH, height: int = HEIGHT, *, stain: str = "he") -> NDArray[np.uint8]:
    """Glass with an oval of textured tissue and a black ruler; every place has its own colour."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:height, 0:width]
    base = np.array([206, 142, 188] if stain == "he" else [186, 168, 160], np.float32)
    image = np.full((height, width, 3), 244, np.float32)
    inside = ((x - width / 2) / (width * 0.44)) ** 2 + ((y - height / 2) / (height * 0.44)) ** 2 < 1
    shade = 14 * np.sin(x / 37)[..., None] + 12 * np.cos(y / 53)[..., None]
    nuclei = (np.sin(x / 9.0) * np.sin(y / 8.0) + 0.35 * np.sin(x / 31 + y / 23) > 0.72)[..., None]
    dark = np.array([92, 58, 140] if stain == "he" else [110, 66, 34], np.float32)
    tissue = np.where(nuclei, dark, base + shade) + rng.normal(0, 3, (height, width, 1))
    image[inside] = tissue[inside]
    (x0, y0), (x1, _) = RULER
    if stain == "he":
        image[y0 - 6 : y0 + 6, x0:x1] = 0
    return image.clip(0, 255).astype(np.uint8)


def write_slide(path: Path, image: NDArray[np.uint8], *, mpp: float | None, levels: int = 3) -> Path:
    """Write a pyramid whose levels are exact halves, so that its tiles can be handed out as they are."""
    scale = {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"} if mpp else {}
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            step = 2**level
            options = scale if level == 0 else {"subfiletype": 1}
            tiff.write(image[::step, ::step], photometric="rgb", tile=(256, 256), compression="jpeg", **options)
    return path


def make_home(settings: Settings, folder: Path) -> dict[str, Path]:
    """Add the slides of the case and write a run for the first two; returns the slides' paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"{name}.tif" for name in (FIRST, SECOND, UNSCALED)}
    write_slide(paths[FIRST], slide_image(), mpp=MPP)
    write_slide(paths[SECOND], slide_image(WIDTH // 2, HEIGHT // 2, stain="ihc"), mpp=2 * MPP)
    write_slide(paths[UNSCALED], slide_image(1200, 900), mpp=None, levels=2)
    stains = {FIRST: Stain.HE, SECOND: Stain.IHC, UNSCALED: Stain.UNKNOWN}
    requests = [SlideRequest(path, CASE, None, stains[name], None, None) for name, path in paths.items()]
    add_slides(settings, requests, actor=CLERK)
    _finish(settings, FIRST, WIDTH, HEIGHT, mpp=MPP)
    _finish(settings, SECOND, WIDTH // 2, HEIGHT // 2, mpp=2 * MPP)
    read = NewRead(category=ReadCategory.MALIGNANT, stage=ReadStage.BEFORE_MODEL)
    with open_log(settings) as database, writing(database):
        insert_read(database, CASE, read, actor="first reader")  # from then on everybody may see the result
    return paths


def tile_table(width: int, height: int, *, tile: int = TILE) -> pd.DataFrame:
    """Tiles over the whole slide, the last ones reaching beyond it; probability rises to the right, one is 1."""
    corners = np.array([(x, y) for y in range(0, height, tile) for x in range(0, width, tile)])
    probability = np.clip(corners[:, 0] / width * 0.9, 0, 1).astype(np.float32)
    probability[(corners == HOT).all(axis=1)] = 1.0
    return pd.DataFrame(
        {
            "x": corners[:, 0],
            "y": corners[:, 1],
            "width": tile,
            "height": tile,
            "prob_idc": probability,
            "prob_no_idc": 1 - probability,
        }
    )


def artefact_map(width: int, height: int) -> NDArray[np.uint8]:
    """Pen above, blur below, clean tissue between, no tissue at the left; 16 level-0 px a pixel."""
    labels = np.zeros((height // 16, width // 16), np.uint8)
    labels[: TILE // 16] = ArtefactClass.PEN.code
    labels[round(len(labels) * 0.8) :] = ArtefactClass.OUT_OF_FOCUS.code
    labels[:, :20] = NO_TISSUE
    return labels


def _finish(settings: Settings, slide_id: str, width: int, height: int, *, mpp: float) -> None:
    blurred = {"out_of_focus": {"mm2": 0.3, "fraction_of_tissue": 0.2}}
    run = replace(run_of(slide_id, width, height, mpp=mpp), qc={"score": 0.8, "classes": blurred})
    tiles = tile_table(width, height)
    if slide_id == FIRST:
        corners = tiles[["x", "y"]].to_numpy()
        attended, hot = ((corners == place).all(axis=1) for place in (ATTENDED, HOT))
        tiles["attention"] = (0.5 * attended + 0.25 * hot).astype(np.float32)
    folder = RunFolder.of(settings, slide_id, run.run_id)
    folder.write_tiles(tiles)
    folder.write_image(QUALITY_MAP, artefact_map(width, height))
    with open_log(settings) as database, writing(database):
        save_run(database, run)


def run_of(slide_id: str, width: int, height: int, *, mpp: float) -> RunResult:
    """A finished run of a slide."""
    run = RunResult(
        run_id=f"run-{slide_id}",
        slide_id=slide_id,
        model="idc",
        status=SlideStatus.OK,
        created_at=datetime.now(UTC),
    )
    scores = {"no_idc": 0.1, "idc": 0.9}
    return replace(
        run,
        weights_sha256="a" * 64,
        mpp_x=mpp,
        mpp_y=mpp,
        mpp_source=MppSource.TIFF_RESOLUTION,
        tissue_mm2=1.5,
        tiles_total=266,
        tiles_kept=266,
        scores={"top_k_mean": scores},
        label="idc",
        decision_aggregation="top_k_mean",
        decision_score=0.9,
        threshold=0.5,
        results_dir=f"results/{slide_id}/{run.run_id}",
        facts=SlideFacts(vendor="generic-tiff", width=width, height=height, levels=3),
    )


def flags() -> list[FlagRecord]:
    """Two flags with places on the first slide."""
    now = datetime.now(UTC)
    common = {"rule_version": "flags-1", "created_at": now, "slide_id": FIRST, "width": TILE, "height": TILE}
    return [
        FlagRecord(
            kind=FlagKind.MODEL_HIGHER,
            direction=FlagDirection.HIGHER,
            reason="The model calls idc (0.90), the diagnosis is benign.",
            x=HOT[0],
            y=HOT[1],
            **common,
        ),
        FlagRecord(
            kind=FlagKind.QC_LIMITED,
            direction=FlagDirection.NONE,
            reason="30 % of the tissue that carries the call is out of focus.",
            x=2912,
            y=2464,
            **common,
        ),
    ]
