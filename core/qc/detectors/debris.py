"""Debris: tissue that has come apart into loose fragments and single cells, scattered on glass beside a ragged edge.

What tells it from open tissue is topology. Fat, ducts, alveoli and the clefts between fibres are holes in a tissue that
hangs together; fronds are few and large. Debris is the reverse: many small islands in glass that hangs together. So
islands are counted against holes, per area.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import SQUARE
from core.qc.shapes import enlarged, opened, reduced, smooth
from core.tissue import close_gaps

WORK_UM_PER_PX = 4.0
"""Scale at which islands are counted: a cell of 10 um still has a few pixels."""
COUNT_UM_PER_PX = 16.0
"""Scale of the counts."""
SMOOTHING_UM = 3.0
STAINED_SHARE = 0.35
"""Share of the usual density of the slide's tissue from which a pixel is matter and no glass."""
STAINED_DENSITY = 0.045
"""The same, at least: glass, its noise and its haze stay below."""
LINKED = 0.4
"""Part of that density at which two pieces still hang together: thin walls of fat cells and pale fibres."""
NUCLEAR_SHARE = 0.22
"""Density in red per that in the densest channel of what holds nuclei; red cells have 0.14 to 0.21."""
ISLAND_UM = (8.0, 200.0)
"""Diameter of the disc of an island's area: from a single cell to what is a small piece of its own."""
CUT_UM = 80.0
"""The same at most where the picture's border cuts it."""
MIN_ROUNDNESS = 0.35
"""Of an island: 1 for a disc, 0.38 for an ellipse five times as long as wide; threads and walls of fat have less."""
WINDOW_UM = 80.0
WINDOW_SHARE = 0.25
"""Sigma of the neighbourhood that islands are counted in, and its bound as a share of a crop's shorter side."""
GLASS_UM = 24.0
"""Edge of the square that open glass holds; clefts and gaps between cells are narrower."""
MAYBE_PER_MM2 = 40.0
SURE_PER_MM2 = 130.0
"""Islands less holes per mm2 of the neighbourhood."""
MIN_GLASS = 0.2
SURE_GLASS = 0.4
"""Share of open glass in the neighbourhood, at least."""
MIN_LOOSE = 0.2
SURE_LOOSE = 0.5
"""Share of islands in the stained matter of the neighbourhood: beside an ordinary edge the section rules."""
BODY_UM = 160.0
"""Edge of the square that a section holds."""
BESIDE_UM = 800.0
"""How far from a section its debris lies; cells on a slide without any section are a smear."""
MIN_ISLANDS = 5
"""Islands of the smallest crowd."""
REACH_UM = 32.0
"""How far debris extends beyond its islands, over the glass between them and the ragged edge of the section."""


@dataclass(frozen=True, slots=True, eq=False)
class DebrisEvidence:
    """Where tissue has come apart, (H, W) each: islands and the glass between them."""

    sure: NDArray[np.bool_]
    """Crowds of islands in open glass beside a section."""
    maybe: NDArray[np.bool_]
    """Fewer of them; contains `sure`."""


@dataclass(frozen=True, slots=True, eq=False)
class _Crowd:
    """The neighbourhood of every point of the counting grid, (rows, columns) each."""

    per_mm2: NDArray[np.float32]
    """Islands less holes."""
    loose: NDArray[np.float32]
    """Share of islands in what is stained."""
    glass: NDArray[np.float32]
    """Share of open glass."""
    nuclear: NDArray[np.float32]
    """Density of islands in red per that in their densest channel."""
    beside: NDArray[np.bool_]
    """Whether a section is near."""

    def where(self, *, sure: bool) -> NDArray[np.bool_]:
        """Return (rows, columns) where tissue has surely, or perhaps, come apart."""
        count, loose, glass = (SURE_PER_MM2, SURE_LOOSE, SURE_GLASS) if sure else (MAYBE_PER_MM2, MIN_LOOSE, MIN_GLASS)
        crowded = (self.per_mm2 > count) & (self.loose > loose) & (self.glass > glass)
        return crowded & (self.nuclear > NUCLEAR_SHARE) & self.beside


@dataclass(frozen=True, slots=True, eq=False)
class _Islands:
    stained: NDArray[np.bool_]
    """(H, W) all matter."""
    labels: NDArray[np.int32]
    """(H, W) the islands in it, 0 elsewhere."""
    centres: NDArray[np.int64]
    """(n, 2) row and column of the middle of every island."""


def debris_evidence(
    density: NDArray[np.float32], tissue: NDArray[np.bool_], *, ignored: NDArray[np.bool_], um_per_px: float
) -> DebrisEvidence:
    """Find tissue that has come apart.

    Args:
        density: (H, W, 3) optical density against glass.
        tissue: (H, W) where tissue is.
        ignored: (H, W) ink, dirt and rims.
        um_per_px: Scale of all.
    """
    nothing = np.zeros(tissue.shape, np.bool_)
    if not (tissue & ~ignored).any():
        return DebrisEvidence(nothing, nothing)
    factor = max(1, int(WORK_UM_PER_PX / um_per_px))
    work_um = um_per_px * factor
    darkest = smooth(reduced(density.max(-1), factor), sigma_px=SMOOTHING_UM / work_um)
    usual = float(np.median(darkest[reduced(tissue & ~ignored, factor) >= 0.5]))
    clear, limit = reduced(ignored, factor) == 0, max(STAINED_DENSITY, STAINED_SHARE * usual)
    islands = _islands(clear & (darkest > LINKED * limit), clear & (darkest > limit), um_per_px=work_um)
    grid = _Grid.over(darkest.shape, um_per_px=work_um)
    if not len(islands.centres) or float(grid.per_mm2(islands.centres).max()) <= MAYBE_PER_MM2:
        return DebrisEvidence(nothing, nothing)
    crowd = _crowd_of(islands, density, grid, factor=factor)
    sure, maybe = (_outlined(crowd.where(sure=sure), islands, um_per_px=work_um) for sure in (True, False))
    return DebrisEvidence(*((enlarged(mask, tissue.shape) > 0.5) & ~ignored for mask in (sure, sure | maybe)))


@dataclass(frozen=True, slots=True)
class _Grid:
    """The points that islands are counted at."""

    shape: tuple[int, int]
    """Of the picture, px."""
    um_per_px: float
    factor: int
    """Pixels from point to point."""
    sigma_px: float
    """Of the neighbourhood, in points."""

    @staticmethod
    def over(shape: tuple[int, ...], *, um_per_px: float) -> _Grid:
        factor = max(1, min(round(COUNT_UM_PER_PX / um_per_px), min(shape) // 8))
        sigma_px = min(WINDOW_UM / um_per_px, WINDOW_SHARE * min(shape)) / factor
        return _Grid((shape[0], shape[1]), um_per_px, factor, sigma_px)

    def around(self, values: NDArray[np.floating] | NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return (rows, columns) the mean over the neighbourhood of every point."""
        return smooth(reduced(values, self.factor), sigma_px=self.sigma_px)

    def per_mm2(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return (rows, columns) how many places (n, 2) a mm2 holds."""
        rows, columns = (-(-side // self.factor) for side in self.shape)
        number = np.zeros((rows, columns), np.float32)
        np.add.at(number, tuple(places.T // self.factor), np.float32(1))
        return smooth(number, sigma_px=self.sigma_px) / np.float32((self.factor * self.um_per_px) ** 2 / 1e6)


def _crowd_of(islands: _Islands, density: NDArray[np.float32], grid: _Grid, *, factor: int) -> _Crowd:
    stained = islands.stained
    edge_px = 2 * max(1, round(GLASS_UM / grid.um_per_px / 2)) + 1
    loose = islands.labels > 0
    red, high = (grid.around(reduced(values, factor) * loose) for values in (density[..., 0], density.max(-1)))
    return _Crowd(
        per_mm2=grid.per_mm2(islands.centres) - grid.per_mm2(_holes(stained, um_per_px=grid.um_per_px)),
        loose=np.asarray(grid.around(loose) / np.maximum(grid.around(stained), 1e-6), np.float32),
        glass=grid.around(opened(~stained, edge_px=edge_px)),
        nuclear=np.asarray(red / np.maximum(high, 1e-6), np.float32),
        beside=_beside_a_section(stained, grid),
    )


def _outlined(where: NDArray[np.bool_], islands: _Islands, *, um_per_px: float) -> NDArray[np.bool_]:
    """Return (H, W) the islands of crowds that are large enough, and what lies near them."""
    shape = islands.labels.shape
    if not where.any():
        return np.zeros(shape, np.bool_)
    labels, count = cast("tuple[NDArray[np.int32], int]", ndimage.label(enlarged(where, shape) > 0.5, SQUARE))
    many = np.bincount(labels[tuple(islands.centres.T)], minlength=count + 1) >= MIN_ISLANDS
    many[0] = False
    near = np.asarray(ndimage.distance_transform_edt(islands.labels == 0)) * um_per_px <= REACH_UM
    return many[labels] & near


def _islands(weak: NDArray[np.bool_], strong: NDArray[np.bool_], *, um_per_px: float) -> _Islands:
    """Find the pieces of what is weakly stained that hold strong stain, and which of them are islands.

    A piece that the picture's border cuts may be a part of anything but if it is small.
    """
    labels, count = cast("tuple[NDArray[np.int32], int]", ndimage.label(weak, SQUARE))
    stained = np.zeros(count + 1, np.bool_)
    stained[labels[strong]] = True
    chosen, area = _of_size(labels, count, um_per_px=um_per_px)
    chosen &= stained
    cut = np.zeros(count + 1, np.bool_)
    for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        cut[side] = True
    chosen &= ~cut | (area <= np.pi / 4 * (CUT_UM / um_per_px) ** 2)
    centres, spread = _moments(labels, chosen, area)
    # Roundness: area per that of the disc with the same moment of inertia about its centre.
    chosen &= area >= MIN_ROUNDNESS * 2 * np.pi * spread
    kept = np.where(chosen[labels], labels, 0)
    return _Islands(stained[labels], kept, centres[chosen].round().astype(np.int64))


def _holes(stained: NDArray[np.bool_], *, um_per_px: float) -> NDArray[np.int64]:
    """Return (n, 2) the middle of every hole no larger than an island; a hole does not leak through a corner."""
    labels, count = cast("tuple[NDArray[np.int32], int]", ndimage.label(~stained))
    chosen, area = _of_size(labels, count, um_per_px=um_per_px)
    return _moments(labels, chosen, area)[0][chosen].round().astype(np.int64)


def _of_size(
    labels: NDArray[np.int32], count: int, *, um_per_px: float
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return (n + 1,) which pieces have the size of an island, and the area of all in px."""
    area = np.bincount(labels.ravel(), minlength=count + 1).astype(np.float64)
    least, most = (np.pi / 4 * (side / um_per_px) ** 2 for side in ISLAND_UM)
    chosen = (area >= least) & (area <= most)
    chosen[0] = False
    return chosen, area


def _moments(
    labels: NDArray[np.int32], chosen: NDArray[np.bool_], area: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n + 1, 2) the middle of the chosen pieces, and (n + 1,) the mean squared distance from it, px."""
    rows, columns = np.nonzero(chosen[labels])
    own, size = labels[rows, columns], np.maximum(area, 1)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(own, weights=values, minlength=len(chosen)) / size

    row, column = mean(rows.astype(np.float64)), mean(columns.astype(np.float64))
    spread = mean((rows - row[own]) ** 2) + mean((columns - column[own]) ** 2)
    return np.stack([row, column], axis=-1), spread


def _beside_a_section(stained: NDArray[np.bool_], grid: _Grid) -> NDArray[np.bool_]:
    """Tell where a section is near; on a picture so small that it may lie beyond the border it always may be."""
    coarse, coarse_um = reduced(stained, grid.factor) > 0.5, grid.um_per_px * grid.factor
    if min(stained.shape) * grid.um_per_px < 2 * BESIDE_UM:
        return np.ones_like(coarse)
    solid = close_gaps(coarse, radius_px=GLASS_UM / coarse_um)
    body = opened(solid, edge_px=2 * max(1, round(BODY_UM / coarse_um / 2)) + 1)
    if not body.any():
        return body
    return np.asarray(ndimage.distance_transform_edt(~body)) * coarse_um <= BESIDE_UM
