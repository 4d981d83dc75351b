"""Where the tissue is: a stain-agnostic mask of the whole slide at a low level.

Everything is measured in optical density against the slide's own glass, so that neither the lamp nor the white
balance matters. Tissue is whatever takes colour out of the light; glass edges, shadows, black ink and scanner padding
take out all colours alike; coloured ink takes out those that no stain in use takes out (see `core/ink.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.domain import Mpp, Region, Size
from core.errors import MissingMppError
from core.ink import SQUARE, find_ink, large_pieces
from core.optics import DEFAULT_GLASS, glass_colour, optical_density
from core.settings import TissueSettings
from core.slides.protocol import RgbImage, SlideReader

STRIP_ROWS = 64
"""Mask rows read at once: bounds the memory on slides whose coarsest level is large."""
MAX_MASK_PX = 8_000_000
"""Above this the mask is made coarser than asked; a whole 25 x 75 mm slide at 16 um/px has 7.3 million."""
SMOOTHING_UM = 24.0
"""Sigma over which colour is averaged: wider than a fat cell's wall, narrower than a gland."""
SURE_COLOUR = 0.03
"""Optical-density difference between channels that only tissue reaches: real fat at such a scale lies at 0.025 to
0.05, uneven glass below 0.013."""
MAYBE_COLOUR = 0.018
"""The same for pixels beside sure tissue."""
GREY_SHARE = 0.14
"""Colour per density below which something is grey: coverslip edges lie below 0.12, tissue of any stain above 0.2."""
CLOSING_UM = 48.0
"""Radius of the closing: a fat cell is up to 150 um wide."""
MAX_CLOSING_PX = 6.0
"""Bound of that radius on images much finer than an overview."""
NOISE_SIGMAS = 4.0
"""A colour must exceed this many standard deviations of the smoothed pixel noise."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueMask:
    """Tissue of one slide."""

    mask: NDArray[np.bool_]
    """(h, w), True on tissue; covers the slide exactly."""
    downsample: tuple[float, float]
    """Level-0 pixels per mask pixel along x and y."""
    area_mm2: float
    """Area of the True pixels in mm2."""
    ink: NDArray[np.bool_] | None = None
    """(h, w), True on pen, never on tissue; None if ink was not looked for."""
    glass: tuple[float, float, float] = DEFAULT_GLASS
    """Colour of this slide's glass, R, G, B in 0-255."""

    def fraction(
        self, x: NDArray[np.number], y: NDArray[np.number], width: NDArray[np.number], height: NDArray[np.number]
    ) -> NDArray[np.float64]:
        """Share of each rectangle that is tissue, 0-1; what lies beyond the slide counts as glass.

        Args:
            x: Left edges in level-0 pixels, any shape; the others broadcast against it.
            y: Top edges in level-0 pixels.
            width: Widths in level-0 pixels.
            height: Heights in level-0 pixels.

        Returns:
            Exact shares of area: mask pixels that a rectangle cuts count by the part inside it.
        """
        return area_fraction(self.mask, self.downsample, x=x, y=y, width=width, height=height)


def area_fraction(
    mask: NDArray[np.bool_],
    downsample: tuple[float, float],
    *,
    x: NDArray[np.number],
    y: NDArray[np.number],
    width: NDArray[np.number],
    height: NDArray[np.number],
) -> NDArray[np.float64]:
    """Share of each level-0 rectangle that `mask` covers, by bilinear look-up in its integral image.

    Args:
        mask: (h, w) bool, covering the slide.
        downsample: Level-0 pixels per mask pixel along x and y.
        x: Left edges in level-0 pixels.
        y: Top edges in level-0 pixels.
        width: Widths in level-0 pixels, positive.
        height: Heights in level-0 pixels, positive.
    """
    integral = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1))
    np.cumsum(np.cumsum(mask, axis=0, dtype=np.float64), axis=1, out=integral[1:, 1:])
    left = np.asarray(x, np.float64) / downsample[0]
    top = np.asarray(y, np.float64) / downsample[1]
    right = left + np.asarray(width, np.float64) / downsample[0]
    bottom = top + np.asarray(height, np.float64) / downsample[1]

    def upto(row: NDArray[np.float64], column: NDArray[np.float64]) -> NDArray[np.float64]:
        points = np.broadcast_arrays(np.clip(row, 0, mask.shape[0]), np.clip(column, 0, mask.shape[1]))
        looked_up = ndimage.map_coordinates(integral, points, order=1, mode="nearest", prefilter=False)
        return np.asarray(looked_up, np.float64)

    inside = upto(bottom, right) - upto(top, right) - upto(bottom, left) + upto(top, left)
    return np.clip(inside / ((right - left) * (bottom - top)), 0.0, 1.0)


def find_tissue(reader: SlideReader, settings: TissueSettings) -> TissueMask:
    """Find the tissue of a slide at `settings.mpp`, or at level 0 if that is coarser.

    Raises:
        MissingMppError: the slide has no scale, so that no area could be stated.
        UnreadableSlideError: the file broke while being read.
    """
    mpp = reader.info.mpp
    if mpp is None:
        raise MissingMppError(
            f"{reader.info.path.name} states no micrometres per pixel, so tissue cannot be measured. "
            "Give its scale with --mpp or in the manifest's mpp column."
        )
    image, downsample = read_overview(reader, mpp=mpp, um_per_px=settings.mpp)
    um_per_px = float(np.sqrt(downsample[0] * mpp.x * downsample[1] * mpp.y))
    glass = glass_colour(image)
    tissue, ink = _segment(image, glass=glass, um_per_px=um_per_px, settings=settings)
    area_mm2 = mpp.area_mm2(float(tissue.sum()) * downsample[0] * downsample[1])
    return TissueMask(mask=tissue, downsample=downsample, area_mm2=area_mm2, ink=ink, glass=tuple(glass.tolist()))


def read_overview(reader: SlideReader, *, mpp: Mpp, um_per_px: float) -> tuple[RgbImage, tuple[float, float]]:
    """Read the whole slide at about `um_per_px`, strip by strip, never finer than level 0.

    Returns:
        The image and its level-0 pixels per pixel along x and y; the image covers the slide exactly.
    """
    size = reader.info.size
    coarser = max(1.0, np.sqrt(size.width * size.height * mpp.x * mpp.y / um_per_px**2 / MAX_MASK_PX))
    columns = max(1, round(size.width / max(1.0, coarser * um_per_px / mpp.x)))
    rows = max(1, round(size.height / max(1.0, coarser * um_per_px / mpp.y)))
    image = np.empty((rows, columns, 3), np.uint8)
    for row in range(0, rows, STRIP_ROWS):
        end = min(rows, row + STRIP_ROWS)
        top, bottom = round(row * size.height / rows), round(end * size.height / rows)
        image[row:end] = reader.read(Region(0, top, size.width, bottom - top), Size(columns, end - row))
    return image, (size.width / columns, size.height / rows)


def segment_tissue(rgb: RgbImage, *, um_per_px: float, settings: TissueSettings) -> NDArray[np.bool_]:
    """Tell tissue from glass, ink, glass edges and padding.

    Args:
        rgb: Overview of a slide, uint8 (H, W, 3).
        um_per_px: Its scale; areas and smoothing follow it.
        settings: Sizes of specks and holes.

    Returns:
        (H, W), True on tissue; all False if there is none.
    """
    return _segment(rgb, glass=glass_colour(rgb), um_per_px=um_per_px, settings=settings)[0]


def _segment(
    rgb: RgbImage, *, glass: NDArray[np.float32], um_per_px: float, settings: TissueSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the masks of tissue and of ink."""
    density = optical_density(rgb, glass=glass)
    sigma_px = float(np.clip(SMOOTHING_UM / um_per_px, 0.7, 3.0))
    ink = find_ink(density, um_per_px=um_per_px)
    coloured = _coloured(density, sigma_px=sigma_px) & ~ink
    return remove_specks_and_holes(coloured, um_per_px=um_per_px, settings=settings) & ~ink, ink


def _coloured(density: NDArray[np.float32], *, sigma_px: float) -> NDArray[np.bool_]:
    """Pixels with more colour than noise: sure after wide smoothing, grown to maybe after narrow smoothing."""
    sure = _above_noise(density, sigma_px=sigma_px, limit=SURE_COLOUR)
    maybe = _above_noise(density, sigma_px=sigma_px / 2, limit=MAYBE_COLOUR)
    return np.asarray(ndimage.binary_propagation(sure & maybe, SQUARE, mask=maybe), np.bool_)


def _above_noise(density: NDArray[np.float32], *, sigma_px: float, limit: float) -> NDArray[np.bool_]:
    """Pixels whose smoothed density differs between channels by more than `limit` and more than noise would."""
    smooth = np.stack([ndimage.gaussian_filter(density[..., c], sigma_px) for c in range(3)], axis=-1)
    colour = smooth.max(-1) - smooth.min(-1)
    rough = density - smooth
    residue = float(np.median(rough.max(-1) - rough.min(-1)))
    noise = NOISE_SIGMAS * residue / (2 * np.sqrt(np.pi) * max(sigma_px, 0.7))
    return (colour > max(limit, noise)) & (colour > GREY_SHARE * smooth.max(-1))


def remove_specks_and_holes(
    mask: NDArray[np.bool_], *, um_per_px: float, settings: TissueSettings
) -> NDArray[np.bool_]:
    """Drop pieces below `min_speck_um2` and fill holes below `max_hole_um2`.

    An image so small that a speck would be a twentieth of it (a crop, a tile) is cleaned of smaller specks only.
    Holes are 4-connected, so a diagonal slit does not open one to the outside; pieces are 8-connected.
    """
    px_um2 = um_per_px**2
    closed = mask | close_gaps(mask, radius_px=min(CLOSING_UM / um_per_px, MAX_CLOSING_PX))
    filled = ~large_pieces(~closed, at_least_px=settings.max_hole_um2 / px_um2, neighbours=4)
    below_px = min(settings.min_speck_um2 / px_um2, mask.size / 20)
    return large_pieces(filled, at_least_px=below_px)


def close_gaps(mask: NDArray[np.bool_], *, radius_px: float) -> NDArray[np.bool_]:
    """Close gaps narrower than twice `radius_px` (the walls between fat cells join), by distance transforms."""
    if radius_px < 1 or not mask.any():
        return mask
    padded = np.pad(mask, int(radius_px) + 2)
    grown = np.asarray(ndimage.distance_transform_edt(~padded)) <= radius_px
    closed = np.asarray(ndimage.distance_transform_edt(grown)) > radius_px
    inner = int(radius_px) + 2
    return closed[inner:-inner, inner:-inner]
