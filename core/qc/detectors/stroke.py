"""From the plain core of a marker's stroke to the whole of it: pale ends, dry streaks, smears.

The amount of a known dye among unknown others is estimated by the linear filter that answers 1 to the dye and as
little as possible to everything else on the slide (constrained energy minimisation: Harsanyi, PhD thesis, UMBC 1993).
Densities add (Beer-Lambert), so that the same filter works on glass and over tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from core.ink import large_pieces
from core.qc.shapes import grown, pieces_of
from core.tissue import close_gaps

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

STAINS = np.array([(0.60, 0.70, 0.33), (0.20, 1.0, 0.62), (0.17, 1.0, 0.78), (0.45, 0.85, 1.0)], np.float32)
"""Haematoxylin, eosin, blood and DAB as overviews show them: density of red, green, blue."""
STAIN_DENSITY = 0.3
STAIN_WEIGHT = 0.05
"""Weight of the stains in general beside the slide's own colours."""
NOISE = 0.015
"""Density that noise and compression leave in a smoothed pixel."""
VISIBLE = 0.06
"""Density of ink that a reader sees."""
TAIL = 0.01
"""Share of pixels beyond which the filter's answer to tissue is left out of account."""
MARGIN = 1.3
"""Ink must exceed by this factor what the filter is off at the other end, where there can be no ink."""
TISSUE_DENSITY = 0.1
"""Density from which something with structure is tissue."""
FAR_WIDTHS = 1.0
"""Widths of a stroke beyond which there is rarely ink."""
FAR_SHARE = 0.02
"""Share of the image that such tissue must fill for its colours to be known."""
CALM_PX = 9
CALM_SHARE = 0.1
"""Share of a square of so many pixels that may have structure beside a film."""
AKIN = 0.975
"""Cosine between a pixel and the core from which they are of one hue where no tissue is of a similar one."""
HUE_SHARE = 0.05
HUE_NOISE = 0.006
"""How far red may be off the ink's hue, per density and besides, where tissue is of a similar one; blue twice that."""
BORDER_SHARE = 0.5
"""Share of the ink near by at which a stroke ends: half way, as for tears and folds."""
NEAR_WIDTHS = 0.25
"""How near that is, in widths of a stroke: pale ends are compared with themselves."""
FILM = 0.12
"""Roughness below which something pale and of the ink's hue is its film."""


@dataclass(frozen=True, slots=True, eq=False)
class Colours:
    """What hue and structure are judged by, (H, W) each, smoothed over three pixels."""

    red: Plane
    green: Plane
    blue: Plane
    high: Plane
    """The highest of the three."""
    rough: Plane
    """Structure per density: root mean square of what three pixels' smoothing removes, over the density."""


def colours_of(density: NDArray[np.float32]) -> Colours:
    """Smooth densities (H, W, 3) and measure structure."""
    red, green, blue = (np.asarray(ndimage.uniform_filter(density[..., c], 3), np.float32) for c in range(3))
    high = np.maximum(np.maximum(red, green), blue)
    fine = density.mean(-1) - (red + green + blue) / 3
    power = np.asarray(ndimage.uniform_filter(fine * fine, 5), np.float32)
    around = np.asarray(ndimage.uniform_filter(high, 5), np.float32)
    rough = np.sqrt(np.maximum(power - (NOISE / 4) ** 2, 0)) / np.maximum(around, 0.03)
    return Colours(red, green, blue, high, np.asarray(rough, np.float32))


def whole_stroke(core: Mask, colours: Colours, *, stained: bool, visible: float = VISIBLE) -> Mask:
    """Follow strokes from their cores.

    Args:
        core: (H, W) sure ink of one colour.
        colours: Of the image.
        stained: Whether tissue may be of nearly that hue.
        visible: Density from which a film of that hue is ink.
    """
    planes = np.stack([colours.red, colours.green, colours.blue])
    ink = _hue(planes[:, core])
    amount = _amount(planes, ink, ~core & (colours.high > VISIBLE))
    width_px = float(pieces_of(core).width_px.max())
    seen = amount > _tissue_limit(amount, core, colours, width_px=width_px if stained else None)
    near_hue = _alike(planes, ink, colours.high) if stained else _akin(planes, ink)
    film = near_hue & (colours.high > visible) & (calm(colours) if stained else colours.rough < FILM)
    strokes = grown(core, into=core | _outlined(seen | film, amount, width_px=width_px))
    solid = strokes | close_gaps(strokes, radius_px=max(1.0, 0.25 * width_px))
    return ~large_pieces(~solid, at_least_px=max(9.0, width_px**2))


def _outlined(ink: Mask, amount: Plane, *, width_px: float) -> Mask:
    """Cut ink off where there is less than half of what is near: smoothing carries it beyond its border."""
    reach = 2 * round(NEAR_WIDTHS * width_px) + 1
    most = np.asarray(ndimage.maximum_filter(np.where(ink, amount, 0), max(3, reach)), np.float32)
    return ink & (amount > BORDER_SHARE * np.asarray(ndimage.uniform_filter(most, 5), np.float32))


def _akin(planes: NDArray[np.float32], ink: NDArray[np.float32]) -> Mask:
    return np.asarray(np.tensordot(ink, planes, 1) > AKIN * np.sqrt((planes**2).sum(0)), np.bool_)


def _alike(planes: NDArray[np.float32], ink: NDArray[np.float32], high: Plane) -> Mask:
    """Of the ink's own hue, as far as noise lets that be told: eosin is close to red ink."""
    allowed = HUE_SHARE * high + HUE_NOISE
    off = np.abs(planes - ink[:, None, None] / ink.max() * high)
    return (off < np.array([1.0, 2.0, 2.0], np.float32)[:, None, None] * allowed).all(0)


def calm(colours: Colours) -> Mask:
    """Where nothing near has structure: smooth bits of tissue lie among others that are not."""
    textured = (colours.rough > FILM).astype(np.float32)
    return np.asarray(ndimage.uniform_filter(textured, CALM_PX), np.float32) < CALM_SHARE


def _tissue_limit(amount: Plane, core: Mask, colours: Colours, *, width_px: float | None) -> float:
    """Amount that hardly any tissue seems to have: farther than a width from a stroke that tissue may resemble.

    Elsewhere (None) ink may lie on much of the tissue, and what the filter is off below nothing tells its error.
    """
    tissue = (colours.rough > FILM) & (colours.high > TISSUE_DENSITY)
    reach = 0 if width_px is None else round(FAR_WIDTHS * width_px)
    near = np.asarray(ndimage.maximum_filter(core.astype(np.uint8), 2 * reach + 1), np.bool_)
    far = amount[tissue & ~near]
    if width_px is None or far.size < FAR_SHARE * amount.size:
        far = amount[tissue & ~core]
        return max(VISIBLE, -MARGIN * float(np.quantile(far, TAIL))) if far.size else VISIBLE
    return max(VISIBLE, float(np.quantile(far, 1 - 2 * TAIL)))


def _hue(core: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vector (3,) of the dye from core pixels (3, N)."""
    length = np.sqrt((core**2).sum(0))
    hue = np.median(core / np.maximum(length, 1e-6), axis=1)
    return np.asarray(hue / np.linalg.norm(hue), np.float32)


def _amount(planes: NDArray[np.float32], ink: NDArray[np.float32], others: Mask) -> Plane:
    """Density of the dye at every pixel (H, W), given where other things are."""
    stains = STAIN_DENSITY * STAINS / np.linalg.norm(STAINS, axis=1, keepdims=True)
    energy = STAIN_WEIGHT * stains.T @ stains / len(stains) + NOISE**2 * np.eye(3, dtype=np.float32)
    seen = planes[:, others]
    if seen.shape[1]:
        energy = energy + seen @ seen.T / others.size
    weights = np.asarray(np.linalg.solve(energy, ink), np.float32)
    weights = weights / float(ink @ weights)
    return np.asarray(np.tensordot(weights, planes, 1), np.float32)
