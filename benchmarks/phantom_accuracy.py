"""Does the shipped model, trained on real patches only, find the tumour planted in phantoms it never saw?

Run from the project's root: `python benchmarks/phantom_accuracy.py --seed 2026 --cases 16`. Writes a random cohort,
analyses it as the product does, and compares tiles and slides with the planted truth. Phantoms say nothing about
clinical accuracy: this shows that the chain from pixels to scores is whole, and how hard the phantoms are.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from sklearn.metrics import roc_auc_score

from core.domain import SlideStatus
from core.phantom.cohort import write_cohort
from core.phantom.truth import TUMOUR
from core.services import catalogue
from core.services.analysis import analyse
from core.services.analysis.run_files import RunFolder
from core.settings import Settings

RASTER_PX = 16
"""Level-0 px per pixel of the rasterised truth: 8 um at 0.5 um/px, a 25th of a tile."""
POSITIVE_SHARE = 0.5
"""Share of a tile's area that must be planted tumour for it to count as positive."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--cases", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(home=Path(name) / "home")
        manifest = write_cohort(Path(name) / "slides", seed=options.seed, cases=options.cases)
        tiles, slides = _collect(settings, manifest)
    scores, truth = (np.concatenate(column) for column in zip(*tiles, strict=True))
    slide_scores, slide_truth = (np.array(column) for column in zip(*slides, strict=True))
    print(f"seed {options.seed}, {options.cases} cases, {len(slides)} slides, {int(slide_truth.sum())} with tumour")
    print(f"tiles: {len(truth)}, {int(truth.sum())} positive, AUC {roc_auc_score(truth, scores):.3f}")
    print(f"slides: AUC of the deciding score {roc_auc_score(slide_truth, slide_scores):.3f}")
    for has_tumour in (True, False):
        values = ", ".join(f"{value:.2f}" for value in np.sort(slide_scores[slide_truth == has_tumour]))
        print(f"  {'with' if has_tumour else 'without'} tumour: {values}")


def _collect(
    settings: Settings, manifest: Path
) -> tuple[list[tuple[NDArray[np.float32], NDArray[np.bool_]]], list[tuple[float, bool]]]:
    tiles: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
    slides: list[tuple[float, bool]] = []
    for slide_id in catalogue.add_manifest(settings, manifest, actor="benchmark (command line)").slide_ids:
        run = analyse.analyse_and_record(settings, slide_id, actor="benchmark (command line)")
        if run.status is not SlideStatus.OK or run.decision_score is None:
            continue
        table = RunFolder.of(settings, slide_id, run.run_id).read_tiles()
        mask = _tumour(manifest.with_name(f"{slide_id}.geojson"))
        share = np.array([_share(mask, *row) for row in table[["x", "y", "width", "height"]].to_numpy()])
        tiles.append((table["prob_idc"].to_numpy(np.float32), share >= POSITIVE_SHARE))
        slides.append((run.decision_score, bool(mask.any())))
    return tiles, slides


def _tumour(truth: Path) -> NDArray[np.bool_]:
    """Rasterise the planted tumour; holes are cut out again."""
    rings = [
        ring
        for feature in json.loads(truth.read_text())["features"]
        if feature["properties"]["classification"]["name"] == TUMOUR
        for ring in _rings(feature["geometry"])
    ]
    reach = max((max(point) for _, ring in rings for point in ring), default=0)
    image = Image.new("1", (int(reach / RASTER_PX) + 2,) * 2)
    for is_hole, ring in rings:
        ImageDraw.Draw(image).polygon([(x / RASTER_PX, y / RASTER_PX) for x, y in ring], fill=0 if is_hole else 1)
    return np.asarray(image)


def _rings(geometry: dict) -> list[tuple[bool, list[list[float]]]]:
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [(index > 0, ring) for polygon in polygons for index, ring in enumerate(polygon)]


def _share(mask: NDArray[np.bool_], x: int, y: int, width: int, height: int) -> float:
    """Share of a level-0 tile that the mask covers; beyond the raster there is no tumour."""
    part = mask[y // RASTER_PX : (y + height) // RASTER_PX, x // RASTER_PX : (x + width) // RASTER_PX]
    return float(part.sum()) * RASTER_PX**2 / (width * height)


if __name__ == "__main__":
    main()
