"""The files of a quality measurement: the class map, its overlay on the thumbnail, and the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.qc.artefact_map import ArtefactMap
from core.qc.classes import ARTEFACTS, CLASSES, NO_TISSUE
from core.services.analysis.run_files import RunFolder
from core.services.quality.maps import QUALITY_TISSUE
from core.services.quality.measure import QcResult
from core.services.viewing.layers import QUALITY_MAP

OVERLAY = "qc_overlay.png"
REPORT = "qc.json"
DISAGREEMENT = "qc_disagreement.png"
"""Palette picture: the class that the network names where the detectors name another one."""
OVERLAY_ALPHA = 150


def palette() -> bytes:
    """Return the 256 colours of a class map; codes without a class, glass among them, are white."""
    colours = [kind.about.colour for kind in CLASSES] + [(255, 255, 255)] * (256 - len(CLASSES))
    return bytes(value for colour in colours for value in colour)


def overlay(found: ArtefactMap, *, max_px: int) -> NDArray[np.uint8]:
    """Return (h, w, 4) RGBA to lay on a thumbnail: artefacts in their colours, clean tissue and glass transparent.

    Args:
        found: The map.
        max_px: Longest side of the result, never longer than the map's own.
    """
    height, width = found.labels.shape
    scale = min(1.0, max_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    colours = np.zeros((256, 4), np.uint8)
    for kind in ARTEFACTS:
        colours[kind.code] = (*kind.about.colour, OVERLAY_ALPHA)
    return np.asarray(Image.fromarray(colours[found.labels]).resize(size, Image.Resampling.BOX))


def write_quality(folder: RunFolder, result: QcResult, *, max_px: int) -> None:
    """Write what a measurement leaves in its folder.

    Args:
        folder: Of the run, or of the measurement.
        result: What was measured.
        max_px: Longest side of the overlay, that of the thumbnail.

    Raises:
        StorageError: the folder cannot be written.
    """
    found = result.map
    folder.write_codes(QUALITY_MAP, found.labels, palette=palette())
    # Pen and dust are marked on glass as well, so the map alone does not say what was counted as tissue.
    folder.write_image(QUALITY_TISSUE, found.tissue.astype(np.uint8) * np.uint8(255))
    folder.write_image(OVERLAY, overlay(found, max_px=max_px))
    if found.network is not None:
        named = np.where(found.disagreement, found.network, np.uint8(NO_TISSUE))
        folder.write_codes(DISAGREEMENT, named, palette=palette())
    folder.write_json(REPORT, result.report.to_dict())
