"""The dyes of a slide by colour deconvolution: which direction of colour each takes, and how much there is.

Vectors are estimated as Macenko et al. do (ISBI 2009: the extreme angles of optical density in the plane of its two
largest components); where tissue is too little or of one colour, those of Ruifrok and Johnston stand in (Anal Quant
Cytol Histol 23:291, 2001).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.qc.report import StainFacts

RUIFROK: dict[str, tuple[float, float, float]] = {
    "haematoxylin": (0.650, 0.704, 0.286),
    "eosin": (0.072, 0.990, 0.105),
    "dab": (0.268, 0.570, 0.776),
}
"""Optical density in R, G, B of one unit of each dye (Ruifrok & Johnston 2001)."""
MACENKO_HE: tuple[tuple[float, float, float], tuple[float, float, float]] = (
    (0.5626, 0.7201, 0.4062),
    (0.2159, 0.8012, 0.5581),
)
"""Haematoxylin and eosin of the reference slide of Macenko et al. 2009, as scanners record them."""
MIN_DENSITY = 0.15
"""Optical density below which a pixel is not stained (Macenko's beta)."""
EXTREME_PERCENT = 1.0
"""Percentile of the angles taken as an extreme (Macenko's alpha)."""
MIN_PIXELS = 300
"""Stained pixels needed for an estimate."""
MAX_PIXELS = 200_000
"""Pixels drawn for an estimate: more change no digit."""
MIN_ANGLE_DEGREES = 8.0
"""Two vectors nearer than this are one dye seen twice."""
BROWN_SHARE = 0.004
"""Share of stained tissue that is brown from which a slide may be IHC."""
PINK_SHARE = 0.03
"""Share as pink as only eosin makes it from which it may be H&E; IHC phantoms stay below 0.012."""
GROUND_SHARE = 0.25
"""Share of tissue that is stained from which the ground is: of eosin. Without a positive cell IHC stains nuclei alone,
a tenth of the tissue at most; the real H&E templates, lung tiles and CMU-1 region have 0.42 to 0.98."""
MATTER_DENSITY = 0.03
"""Optical density from which a pixel of tissue is no glass."""

StainKind = Literal["he", "ihc", "unknown"]


def stain_facts(density: NDArray[np.float32]) -> StainFacts:
    """Describe the stain of tissue.

    Args:
        density: (N, 3) optical density of tissue pixels without ink or dirt.
    """
    highest_density = density.max(-1, initial=0)
    some = density[highest_density > MIN_DENSITY]
    matter = int((highest_density > MATTER_DENSITY).sum())
    stained = some[:: max(1, len(density) // MAX_PIXELS)]
    kind = stain_kind(stained, share=len(some) / max(1, matter))
    names = ("haematoxylin", "dab" if kind == "ihc" else "eosin")
    estimated = macenko_vectors(stained)
    vectors = fixed_vectors(kind) if estimated is None else _in_order(estimated)
    method = "ruifrok" if estimated is None else "macenko"
    amounts = concentrations(stained, vectors) if len(stained) else np.zeros((0, 2))
    highest = np.percentile(amounts, 99, axis=0) if len(amounts) else np.zeros(2)
    return StainFacts(
        kind=kind,
        method=method,
        names=names,
        vectors=tuple((round(float(v[0]), 4), round(float(v[1]), 4), round(float(v[2]), 4)) for v in vectors),
        angle_degrees=round(angle_degrees(vectors[0], vectors[1]), 2),
        concentrations=tuple(round(float(value), 4) for value in highest),
    )


def stain_kind(stained: NDArray[np.float32], *, share: float) -> StainKind:
    """Tell H&E from IHC by colour: DAB is brown (blue light is absorbed most), eosin pink (green most, red hardly).

    Haematoxylin on nuclei alone is what IHC without a positive cell looks like; violet tissue whose ground is stained
    as well is H&E with little eosin.

    Args:
        stained: (N, 3) optical density of stained pixels.
        share: Of the tissue that is stained, 0-1.
    """
    if len(stained) < MIN_PIXELS:
        return "unknown"
    red, green, blue = stained[:, 0], stained[:, 1], stained[:, 2]
    brown = float(((blue > 1.15 * green) & (red > 0.3 * blue)).mean())
    pink = float(((green > 1.25 * blue) & (red < 0.45 * green)).mean())
    if brown > BROWN_SHARE and brown > pink:
        return "ihc"
    return "he" if pink > PINK_SHARE or share > GROUND_SHARE else "ihc"


def macenko_vectors(stained: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Estimate the two dyes of stained pixels.

    Args:
        stained: (N, 3) optical density, glass left out.

    Returns:
        (2, 3) unit vectors without negative parts; None where the pixels are too few or of one colour.
    """
    if len(stained) < MIN_PIXELS:
        return None
    _, axes = np.linalg.eigh(np.cov(stained.T.astype(np.float64)))
    plane = axes[:, [2, 1]]
    plane = plane * np.where(plane.sum(0) < 0, -1, 1)
    projected = stained @ plane
    angles = np.arctan2(projected[:, 1], projected[:, 0])
    low, high = np.percentile(angles, [EXTREME_PERCENT, 100 - EXTREME_PERCENT])
    found = np.stack([plane @ (np.cos(angle), np.sin(angle)) for angle in (low, high)])
    found = np.maximum(found, 0)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    if (lengths < 0.5).any():
        return None
    found = found / lengths
    return found if angle_degrees(found[0], found[1]) >= MIN_ANGLE_DEGREES else None


def _in_order(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Haematoxylin first: it absorbs more red in proportion than eosin or DAB."""
    share = vectors[:, 0] / vectors.sum(1)
    return vectors[np.argsort(-share)]


def fixed_vectors(kind: StainKind) -> NDArray[np.float64]:
    """Return the published vectors (2, 3) of a stain, unit length."""
    second = RUIFROK["dab" if kind == "ihc" else "eosin"]
    found = np.array([RUIFROK["haematoxylin"], second])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def concentrations(density: NDArray[np.floating], vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the amounts of two dyes that explain densities best.

    Args:
        density: (..., 3) optical density.
        vectors: (2, 3) of the dyes.

    Returns:
        (..., 2), never negative.
    """
    inverse = np.linalg.pinv(np.asarray(vectors, np.float64))
    return np.maximum(np.asarray(density, np.float64) @ inverse, 0)


def angle_degrees(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the angle between two vectors."""
    cosine = float(first @ second / (np.linalg.norm(first) * np.linalg.norm(second)))
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
