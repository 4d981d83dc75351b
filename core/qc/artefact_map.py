"""The artefact map of a slide: one class a pixel, who found it, and where network and detectors differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.qc.classes import CLASSES, NO_TISSUE, ArtefactClass
from core.tiles import TileGrid
from core.tissue import area_fraction

MIN_USABLE = 0.5
"""Share of a tile's tissue that must be usable for the tile to count."""


@dataclass(frozen=True, slots=True, eq=False)
class TileQuality:
    """Quality of the N tiles of a grid."""

    usable: NDArray[np.float32]
    """(N,) share of the tile's tissue that no artefact makes unusable, 0-1."""
    artefact: NDArray[np.uint8]
    """(N,) code of the class that spoils most of it; 0 for tiles that are usable."""

    @property
    def unusable(self) -> NDArray[np.bool_]:
        """(N,) True for tiles that should not be judged."""
        return self.artefact > 0


@dataclass(frozen=True, slots=True, eq=False)
class ArtefactMap:
    """What is wrong where on one slide. All arrays are (H, W) and cover the slide exactly."""

    labels: NDArray[np.uint8]
    """Index of the `ArtefactClass`; `NO_TISSUE` on clean glass. Pen, dust and edges are marked on glass as well."""
    tissue: NDArray[np.bool_]
    """What counts as tissue: areas and shares are taken over it alone. Includes tissue that an artefact hides."""
    downsample: tuple[float, float]
    """Level-0 pixels per map pixel along x and y."""
    um_per_px: float
    """Scale of the map: the square root of a pixel's area."""
    detector: NDArray[np.uint8]
    """Labels by the classical detectors alone."""
    network: NDArray[np.uint8] | None = None
    """Labels by the network alone, `NO_TISSUE` where it did not look; None if no network ran."""

    @property
    def px_mm2(self) -> float:
        """Area of one map pixel in mm2."""
        return self.um_per_px**2 / 1e6

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Tissue that no artefact makes unusable: the good-area mask."""
        bad = np.zeros(256, np.bool_)
        bad[[kind.code for kind in CLASSES if kind.about.unusable]] = True
        return self.tissue & ~bad[self.labels]

    @property
    def disagreement(self) -> NDArray[np.bool_]:
        """Tissue where network and detectors name different classes; all False if no network ran."""
        if self.network is None:
            return np.zeros(self.tissue.shape, np.bool_)
        return self.tissue & (self.network != NO_TISSUE) & (self.network != self.detector)

    def of_tiles(self, grid: TileGrid) -> TileQuality:
        """Return the quality of tiles: what the map says about the tissue in each."""
        x, y = grid.xy_level0[:, 0], grid.xy_level0[:, 1]
        width, height = np.asarray(grid.size_level0.width), np.asarray(grid.size_level0.height)

        def share(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
            return area_fraction(mask, self.downsample, x=x, y=y, width=width, height=height)

        tissue = np.maximum(share(self.tissue), 1e-9)
        usable = np.clip(share(self.usable) / tissue, 0.0, 1.0)
        worst, code = np.zeros(len(grid)), np.zeros(len(grid), np.uint8)
        for kind in CLASSES:
            if kind.about.unusable:
                part = share(self.tissue & (self.labels == kind.code))
                code[part > worst] = kind.code
                worst = np.maximum(worst, part)
        return TileQuality(
            usable=usable.astype(np.float32), artefact=np.where(usable < MIN_USABLE, code, 0).astype(np.uint8)
        )

    def areas_mm2(self) -> Mapping[ArtefactClass, float]:
        """Return mm2 of tissue in every class, clean first."""
        counts = np.bincount(self.labels[self.tissue], minlength=256)
        return {kind: float(counts[kind.code]) * self.px_mm2 for kind in CLASSES}
