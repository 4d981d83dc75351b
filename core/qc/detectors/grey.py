"""What takes out all colours alike and so is no stain: dust and dirt, rims of bubbles, edges of the coverslip.

Tissue of any stain keeps more than a fifth of its density as colour at 4 um/px; what lies in or on the mounting medium
scatters or blocks light of every colour, and so does black ink. Shape tells them apart: rings enclose something, edges
are long and thin or leave the slide, strokes of ink are broad, and everything else is dirt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import MIN_STROKE_UM2, large_pieces
from core.qc.detectors.edge import followed_edges
from core.qc.shapes import Pieces, enlarged, grown, opened, pieces_of, reduced, smooth_density
from core.tissue import close_gaps

SMOOTHING_UM = 2.0
"""Sigma that brings a finer image to about 4 um/px, where single nuclei no longer look black."""
SURE_DENSITY = 0.30
SURE_COLOUR = 0.13
"""Colour per density of sure grey: clean H&E lies above 0.23, clean IHC above 0.13 in its darkest thousandth."""
DARK_DENSITY = 0.5
DARK_COLOUR = 0.23
"""The same for matter over stained tissue, which lends it colour; dense clean tissue keeps more."""
MAYBE_DENSITY = 0.11
MAYBE_COLOUR = 0.22
GROWTH_UM = 16.0
"""How far grey fades from what is surely grey: half the rim of a bubble."""
GAP_UM = 16.0
"""Half of a gap in a rim that is closed."""
RIM_DENSITY = 0.20
RIM_COLOUR = 0.45
RIM_UM = 80.0
"""A bubble's rim over tissue keeps some of its colour; it is told from dense tissue by being thinner than this."""
FADED_DENSITY = 0.07
"""How much darker than what surrounds it the faded border of a grain is at least."""
FADED_UM = 8.0
GRAIN_EXCESS = 0.17
"""How much darker than the tissue around, in its clearest channel, what may be a grain is."""
GRAIN_COLOUR = 0.45
"""Colour per density of a grain over stained tissue, at most; above, it is a nucleus or DAB."""
GRAIN_UM = 100.0
"""Edge of the square of tissue that it is compared with."""
PINHOLE_UM2 = 1_000.0
"""Holes smaller than this in grey matter are single coloured nuclei that show through."""
MIN_SPECK_UM2 = 60.0
"""Smaller pieces are noise, or one pyknotic nucleus."""
MIN_EDGE_UM = 600.0
EDGE_SHARE = 0.4
"""Share of the image's shorter side that a line must run to be an edge where that is less than `MIN_EDGE_UM`."""
EDGE_SLENDERNESS = 8.0
"""Length per width from which a piece is a line."""
MAX_EDGE_UM = 60.0
"""Width of a line above which it is an edge only if it leaves the image; a marker's stroke is wider."""
EDGE_WIDTH_SHARE = 0.03
"""The same as a share of the image's shorter side, for a plain piece that is followed."""
CROSSING_SHARE = 0.6
"""Share of the image's shorter side that a wide line must run."""
STROKE_SHARE = 1 / 120
"""Share of a crop that black ink must fill where its area would be too small otherwise."""
MIN_STROKE_WIDTH_UM = 60.0
MIN_BUBBLE_UM2 = 8_000.0
"""Smallest area that a ring encloses: a bubble of 100 um."""
RING_SHARE = 0.6
"""Share of the square over its box's diagonal that the inside of a ring fills at least: a disc fills 0.79."""
SURE_BORDER = 0.05
"""Share of the border of a ring's inside that is surely grey at least; over tissue some of a rim keeps colour."""


@dataclass(frozen=True, slots=True, eq=False)
class GreyMatter:
    """The kinds of grey, each (H, W)."""

    specks: NDArray[np.bool_]
    """Dust, dirt, pigment."""
    maybe_specks: NDArray[np.bool_]
    """What may be dust: also grains that tissue lends its colour, and clusters of dark nuclei. Contains `specks`."""
    edges: NDArray[np.bool_]
    """Long dark lines: the coverslip's edge, cracks, threads of glue."""
    bubbles: NDArray[np.bool_]
    """Rings with what they enclose."""
    strokes: NDArray[np.bool_]
    """Black ink."""


def grey_matter(density: NDArray[np.float32], *, um_per_px: float, ink: NDArray[np.bool_]) -> GreyMatter:
    """Find grey matter and sort it by shape.

    Args:
        density: (H, W, 3) optical density against glass.
        um_per_px: Its scale.
        ink: (H, W) what is already known as pen.
    """
    clear = smooth_density(density, sigma_px=SMOOTHING_UM / um_per_px if um_per_px < SMOOTHING_UM else 0)
    low, high = clear.min(-1), clear.max(-1)
    sure = (low > SURE_DENSITY) & (high - low < SURE_COLOUR * high) & ~ink
    sure |= (low > DARK_DENSITY) & (high - low < DARK_COLOUR * high) & ~ink
    if not sure.any():
        nothing = np.zeros(ink.shape, np.bool_)
        return GreyMatter(nothing, _grains(low, high, um_per_px=um_per_px) & ~ink, nothing, nothing, nothing)
    maybe = (low > MAYBE_DENSITY) & (high - low < MAYBE_COLOUR * high) & ~ink
    found = grown(sure, into=maybe, steps=round(GROWTH_UM / um_per_px))
    bubbles = _bubbles(found, _rims(low, high, um_per_px=um_per_px) & ~ink, um_per_px=um_per_px)
    around = np.asarray(ndimage.uniform_filter(low, 2 * max(2, round(4 * FADED_UM / um_per_px)) + 1), np.float32)
    faded = grown(found, into=(low - around > FADED_DENSITY) & ~ink, steps=round(FADED_UM / um_per_px))
    solid = ~large_pieces(~faded, at_least_px=PINHOLE_UM2 / um_per_px**2)
    rest = pieces_of(solid & ~bubbles & ~ink, at_least_px=min(MIN_SPECK_UM2 / um_per_px**2, 16.0))
    lines = _lines(rest, um_per_px=um_per_px)
    thin_px = min(MAX_EDGE_UM / um_per_px, EDGE_WIDTH_SHARE * min(low.shape))
    followed = followed_edges(rest, low - around, max_width_px=max(4.0, thin_px)) & ~bubbles & ~ink
    strokes = _strokes(rest, um_per_px=um_per_px) & ~lines
    specks, edges, black = (rest.where(chosen) for chosen in (~lines & ~strokes, lines, strokes))
    edges, specks, black = edges | followed, specks & ~followed, black & ~followed
    grains = _grains(low, high, um_per_px=um_per_px) & ~ink & ~bubbles & ~edges & ~black
    return GreyMatter(specks, specks | grains, edges, bubbles, black)


def _grains(low: NDArray[np.float32], high: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    """Small spots darker than what surrounds them, and greyer than stain."""
    factor = max(1, round(8.0 / um_per_px))
    edge_px = 2 * max(1, round(GRAIN_UM / um_per_px / factor / 2)) + 1
    around = enlarged(np.asarray(ndimage.median_filter(reduced(low, factor), edge_px), np.float32), low.shape)
    return (low - around > GRAIN_EXCESS) & (high - low < GRAIN_COLOUR * high)


def _lines(pieces: Pieces, *, um_per_px: float) -> NDArray[np.bool_]:
    """Slender long pieces: thin ones, and those of any width that leave the image."""
    shape = pieces.labels.shape
    long_px = min(MIN_EDGE_UM / um_per_px, EDGE_SHARE * min(shape))
    slender = pieces.length_px >= EDGE_SLENDERNESS * pieces.width_px
    thin = pieces.width_px * um_per_px <= MAX_EDGE_UM
    at_border = np.zeros(len(pieces.area_px), np.bool_)
    for labels in (pieces.labels, pieces.labels.T):
        at_border[np.union1d(labels[0], labels[-1])] = True
    across = at_border & (pieces.extent_px >= CROSSING_SHARE * min(shape))
    return slender & (pieces.extent_px >= long_px) & (thin | across)


def _strokes(pieces: Pieces, *, um_per_px: float) -> NDArray[np.bool_]:
    """Large and broad pieces: black ink."""
    area_px = min(MIN_STROKE_UM2 / um_per_px**2, pieces.labels.size * STROKE_SHARE)
    broad_px = min(MIN_STROKE_WIDTH_UM / um_per_px, 0.01 * float(np.hypot(*pieces.labels.shape)))
    return (pieces.area_px >= area_px) & (pieces.width_px >= broad_px)


def _rims(low: NDArray[np.float32], high: NDArray[np.float32], *, um_per_px: float) -> NDArray[np.bool_]:
    """Thin dark structures that a bubble's rim over tissue may be."""
    dark = (low > RIM_DENSITY) & (high - low < RIM_COLOUR * high)
    return dark & ~opened(dark, edge_px=_odd(RIM_UM, um_per_px))


def _bubbles(found: NDArray[np.bool_], rims: NDArray[np.bool_], *, um_per_px: float) -> NDArray[np.bool_]:
    """Rings among the pieces, filled: what they enclose is nearly oval, and much of its border is surely grey."""
    large = large_pieces(found, at_least_px=MIN_BUBBLE_UM2 / 8 / um_per_px**2)
    if not large.any():
        return large
    ring = grown(large, into=rims)
    closed = ring | close_gaps(ring, radius_px=GAP_UM / um_per_px)
    # Some px of opening part the inside of a ring from what it holds and from gaps between other things.
    inside = opened(_filled(closed) & ~closed, edge_px=_odd(GAP_UM, um_per_px))
    pieces = pieces_of(inside, at_least_px=MIN_BUBBLE_UM2 / um_per_px**2)
    bubbles = np.zeros_like(found)
    reach = max(2, round(RIM_UM / um_per_px))
    for label, box in enumerate(ndimage.find_objects(pieces.labels), start=1):
        if pieces.area_px[label] < RING_SHARE * pieces.extent_px[label] ** 2 / 2:
            continue
        rows, columns = (slice(max(side.start - reach, 0), side.stop + reach) for side in box)
        hole = pieces.labels[rows, columns] == label
        near = np.asarray(ndimage.distance_transform_edt(~hole)) <= reach
        border = near & ~hole & closed[rows, columns]
        if border.any() and found[rows, columns][border].mean() >= SURE_BORDER:
            bubbles[rows, columns] |= hole | border
    return np.asarray(ndimage.binary_fill_holes(bubbles), np.bool_) if bubbles.any() else bubbles


def _filled(rings: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill rings; one that the image's border cuts is closed by that border."""
    filled = np.asarray(ndimage.binary_fill_holes(rings), np.bool_)
    for side in range(4):
        turned = np.rot90(rings, side)
        if turned[0].any():
            sealed = np.pad(turned, ((1, 0), (0, 0)), constant_values=True)
            filled |= np.rot90(np.asarray(ndimage.binary_fill_holes(sealed), np.bool_)[1:], -side)
    return filled


def _odd(length_um: float, um_per_px: float) -> int:
    return 2 * max(1, round(length_um / um_per_px / 2)) + 1
