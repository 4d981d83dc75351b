"""Phantom slides: generated H&E and IHC slides with planted tumours and artefacts whose place is known.

Imaging departments test their equipment with phantoms. These say whether the tool works, and nothing about clinical
accuracy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.phantom.artefacts import plant_artefacts
from core.phantom.populate import make_plan
from core.phantom.render import render_strips
from core.phantom.spec import (
    Artefact,
    ArtefactKind,
    GrowthPattern,
    Lesion,
    PhantomSpec,
    ScannerLook,
    TissueMix,
)
from core.phantom.tiff import write_pyramid
from core.phantom.tissue_layout import STEP_UM
from core.phantom.truth import TUMOUR, PhantomTruth, TruthRegion, outlines, write_geojson

__all__ = [
    "Artefact",
    "ArtefactKind",
    "GrowthPattern",
    "Lesion",
    "PhantomSpec",
    "PhantomTruth",
    "ScannerLook",
    "TissueMix",
    "TruthRegion",
    "write_phantom",
]

_TRUTH_STEP = 4
"""Plan pixels per pixel of the outlines: 8 um."""


def write_phantom(spec: PhantomSpec, path: Path) -> PhantomTruth:
    """Render a phantom as a tiled pyramidal TIFF, and its truth as `<name>.geojson` beside it.

    Args:
        spec: What to render.
        path: The TIFF to write; replaced if it exists.

    Returns:
        The outlines of everything planted, in level-0 pixels.

    Raises:
        ValueError: a lesion does not fit into the tissue.
        OSError: the file cannot be written.
    """
    plan = make_plan(spec)
    overlay = plant_artefacts(plan, spec)
    names = [TUMOUR] * len(plan.lesions) + [f"Artefact: {artefact.kind.value}" for artefact in spec.artefacts]
    regions = tuple(
        _region(name, mask, mpp=spec.mpp) for name, mask in zip(names, plan.lesions + overlay.masks, strict=True)
    )
    truth = PhantomTruth(path.stem, regions)
    mpp = spec.mpp if spec.write_mpp else None
    strips = render_strips(plan, overlay, spec)
    write_pyramid(strips, path, size=spec.size_px, mpp=mpp, quality=spec.scanner.jpeg_quality)
    write_geojson(truth, path.with_suffix(".geojson"))
    return truth


def _region(name: str, mask: np.ndarray, *, mpp: float) -> TruthRegion:
    rows, columns = -(-mask.shape[0] // _TRUTH_STEP), -(-mask.shape[1] // _TRUTH_STEP)
    padded = np.zeros((rows * _TRUTH_STEP, columns * _TRUTH_STEP), np.bool_)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    share = padded.reshape(rows, _TRUTH_STEP, columns, _TRUTH_STEP).mean(axis=(1, 3))
    # Thin things (dust, the ends of a tear) cover less than half a cell and would vanish at a plain majority.
    cells = share >= (0.5 if mask.sum() > 4000 else 0.25)
    polygons = outlines(cells, px_per_cell=_TRUTH_STEP * STEP_UM / mpp, smallest_cells=2)
    return TruthRegion(name, polygons, float(mask.sum()) * STEP_UM**2 / 1e6)
