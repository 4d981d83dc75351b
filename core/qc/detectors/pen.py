"""Coloured marker ink on tissue and glass, of any hue; black lines are found among other grey matter (see `grey`).

A stroke is first recognised where it is plain (its core) and then followed as far as it goes. Ink is told from tissue
by two things together: a hue that stains do not have, and that it is a film without structure, where tissue shows
cells and fibres down to the last pixel. What belongs to a core is told by the ink's own colour, measured on the core,
against the colours of this very slide (`core.qc.detectors.stroke`).

Crops whose scale is only assumed must work too, so that the smallest stroke is also bound by a share of the image and
textures are measured in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import MIN_STROKE_UM2, large_pieces
from core.qc.detectors.stroke import Colours, colours_of, whole_stroke
from core.qc.shapes import by_channel, enlarged, grown, opened, pieces_of, reduced

WORK_UM_PER_PX = 8.0
"""Scale at which ink is looked for: the thinnest stroke still has 20 pixels."""
WORK_PX = 400
"""Shorter side below which an image is not made coarser for that."""
CORE_SHARE = 1 / 600
"""Share of a crop that a stroke fills at least, where its area would be too small otherwise."""
MAX_SHARE = 0.85
"""Above this share the colours of the image are wrong, and hue tells nothing."""
SMOOTH = 0.08
"""Roughness below which a film has no structure; 98 in 100 pixels of tissue lie above 0.1."""
MIN_CORE_PX = 12.0
"""Pixels of a core at least, whatever the scale."""
MIN_FILM_PX = 100.0
"""Pixels over which structure must be missing."""
DOUBTFUL_FILM_UM2 = 100_000.0
DOUBTFUL_FILM_SHARE = 1 / 100
"""Area of a film, in a crop its share, whose hue no ink has for itself: blood, colloid and muscle come in smaller
films. A stroke of 0.2 mm is that large when it is 0.5 mm long."""
MAX_LEAK = 8.0
"""Area of a followed stroke per that of its core above which it has leaked into tissue of its hue."""
TEXTURED = 0.12
"""Roughness above which something is tissue in focus, whose hues are then known."""
TISSUE_DENSITY = 0.08
"""Density from which something with structure is tissue."""
MIN_TISSUE_SHARE = 0.02
"""Share of the image that tissue in focus must fill for its hues to be known."""
MAX_OWN_SHARE = 0.03
"""Share of that tissue that may have the hue of an ink; above, the hue is the tissue's own."""
BLACK_DENSITY = 0.18
"""Density of plain black ink, at least; half of that in its pale parts. Shadows stay below."""
BLACK_COLOUR = 0.14
"""Colour per density of black ink: as `SURE_COLOUR` of `core.qc.detectors.grey`, for film."""
BLACK_WIDTH = 0.02
"""Width of a stroke of black ink as a share of the image's diagonal, at least: whatever the scale, rims are thinner."""
MAX_LINING = 0.2
"""Share of the image's border that black ink lines at most."""
PADDING_DENSITY = 2.2
"""Density of what no light passes: black padding."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Family:
    """Inks of related hue."""

    name: str
    sure: Callable[[Colours], Mask]
    """Pixels of a hue and depth that no tissue has."""
    like: Callable[[Colours], Mask]
    """Pixels of a hue that some tissue has: ink where they are a film, and the tissue of this slide is another."""
    stained: bool
    """Whether tissue may have nearly that hue, so that growth is bound."""

    @property
    def smooth(self) -> float:
        """Roughness below which it is a film."""
        return SMOOTH if self.stained else 1.5 * SMOOTH


def _green_blue(c: Colours) -> Mask:
    """Red light is absorbed most, as by no stain in use."""
    green = (c.red > 1.35 * c.green) & (c.red > 0.22) & (c.blue > 0.8 * c.green)
    blue = ((c.red > 1.35 * c.green) & (c.red > 0.45)) | ((c.red > 1.05 * c.green) & (c.red > 0.75))
    return green | blue


def _cold(c: Colours) -> Mask:
    return (c.high > 0.1) & (c.red > 1.1 * c.green)


def _yellow(c: Colours) -> Mask:
    """Blue light is absorbed far more than green, and red hardly; DAB takes out red too."""
    return (c.blue > 2.0 * c.green) & (c.blue > 0.3) & (c.red < 0.5 * c.green + 0.05)


def _orange(c: Colours) -> Mask:
    yellow = (c.blue > 1.6 * c.green) | ((c.blue > 1.1 * c.green) & (c.red < 0.3 * c.green))
    return yellow & (c.blue > 0.12) & (c.red < 0.5 * c.blue)


def _red(c: Colours) -> Mask:
    """Green and blue light alike, red hardly. Blood lets less red through."""
    deep = (c.blue > 0.68 * c.green) & (c.red < 0.13 * c.green) & (c.green > 0.45)
    return deep | ((c.blue > 0.72 * c.green) & (c.red < 0.11 * c.green) & (c.green > 0.3))


def _pale_red(c: Colours) -> Mask:
    hue = (c.blue > 0.72 * c.green) & (c.red < 0.17 * c.green) & (c.green > 0.14)
    return hue & ((c.red < 0.135 * c.green) | (c.rough < 0.6 * SMOOTH))


def _rose(c: Colours) -> Mask:
    """Pink dyes of eosin's own kind."""
    return (c.blue > 0.45 * c.green) & (c.red < 0.13 * c.green) & (c.green > 0.3)


def _violet(c: Colours) -> Mask:
    return (c.blue < 0.42 * c.green) & (c.red > 0.6 * c.green) & (c.green > 0.3)


def _brown(c: Colours) -> Mask:
    return (c.blue > 1.0 * c.green) & (c.red > 0.3 * c.green) & (c.red < 0.75 * c.green) & (c.green > 0.25)


def _never(c: Colours) -> Mask:
    return np.zeros(c.high.shape, np.bool_)


FAMILIES = (
    Family("cold", _green_blue, _cold, stained=False),
    Family("yellow", _yellow, _orange, stained=False),
    Family("red", _red, _pale_red, stained=True),
    Family("rose", _never, _rose, stained=True),
    Family("violet", _never, _violet, stained=True),
    Family("brown", _never, _brown, stained=True),
)


def _core(family: Family, colours: Colours, at_least_px: float, *, um_per_px: float) -> Mask:
    """Return what is plainly such ink, in large pieces."""
    sure = large_pieces(family.sure(colours), at_least_px=at_least_px)
    like = family.like(colours)
    film_px = max(at_least_px, MIN_FILM_PX)
    if family.sure is _never:
        film_px = max(film_px, min(DOUBTFUL_FILM_UM2 / um_per_px**2, DOUBTFUL_FILM_SHARE * like.size))
    film = large_pieces(like & (colours.rough < family.smooth), at_least_px=film_px)
    if film.any() and _own_share(like, film, colours) <= MAX_OWN_SHARE:
        sure |= film
    return sure


def _black_core(colours: Colours) -> Mask:
    """Return broad films of black ink: rims, edges and dirt are thin, glass beyond a coverslip lines the image."""
    low = np.minimum(np.minimum(colours.red, colours.green), colours.blue)
    film = (low > BLACK_DENSITY) & (colours.high - low < BLACK_COLOUR * colours.high) & (colours.rough < SMOOTH)
    # Padding by the scanner is of one level without noise.
    film &= low < PADDING_DENSITY
    if not film.any():
        return film
    broad = opened(film, edge_px=2 * max(1, round(BLACK_WIDTH * float(np.hypot(*film.shape)) / 2)) + 1)
    pieces = pieces_of(broad, at_least_px=MIN_FILM_PX)
    border = np.concatenate([pieces.labels[0], pieces.labels[-1], pieces.labels[:, 0], pieces.labels[:, -1]])
    lining = np.bincount(border, minlength=len(pieces.area_px)) / border.size
    return grown(pieces.where(lining < MAX_LINING), into=film) if pieces.labels.any() else broad


def _own_share(hue: Mask, stroke: Mask, colours: Colours) -> float:
    """Share of that hue in tissue in focus away from the stroke; 1 where there is too little such tissue to tell."""
    reach = max(3, round(float(pieces_of(stroke).width_px.max())))
    near = np.asarray(ndimage.maximum_filter(stroke.astype(np.uint8), 2 * reach + 1), np.bool_)
    tissue = (colours.rough > TEXTURED) & (colours.high > TISSUE_DENSITY) & ~near
    seen = int(tissue.sum())
    return float((hue & tissue).sum()) / seen if seen >= MIN_TISSUE_SHARE * tissue.size else 1.0


def pen_mask(density: NDArray[np.float32], *, um_per_px: float) -> Mask:
    """Find pen strokes.

    Args:
        density: (H, W, 3) optical density against glass.
        um_per_px: Its scale.

    Returns:
        (H, W), True on ink, on tissue and on glass.
    """
    shape = density.shape[:2]
    factor = max(1, min(round(WORK_UM_PER_PX / um_per_px), min(shape) // WORK_PX))
    coarse = reduced(density, factor) if factor > 1 else by_channel([density[..., c] for c in range(3)])
    coarse_um = um_per_px * factor
    colours = colours_of(coarse)
    stroke_px = max(6.0, min(MIN_STROKE_UM2 / coarse_um**2, colours.high.size * CORE_SHARE))
    found = np.zeros(colours.high.shape, np.bool_)
    for family in FAMILIES:
        core = _core(family, colours, max(MIN_CORE_PX, stroke_px / 3), um_per_px=coarse_um) & ~found
        if core.any():
            stroke = whole_stroke(core, colours, stained=family.stained)
            leaked = family.stained and int(stroke.sum()) > MAX_LEAK * int(core.sum())
            found |= core if leaked else stroke
    black = _black_core(colours) & ~found
    if black.any():
        found |= whole_stroke(black, colours, stained=True, visible=BLACK_DENSITY / 2)
    found = large_pieces(found, at_least_px=stroke_px)
    if found.mean() > MAX_SHARE:
        found[:] = False
    return enlarged(found, shape) > 0.5 if factor > 1 else found
