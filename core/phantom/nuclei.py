"""Nuclei: a bank of pre-rendered sprites and the lists of where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from core.phantom.texture import smoothstep

ANGLES: Final = 16
"""Orientations in the bank, over half a turn."""
VARIANTS: Final = 12
"""Different nuclei of each kind at each orientation."""


class NucleusKind(IntEnum):
    """Cell types that differ in their nucleus."""

    LYMPHOCYTE = 0
    FIBROBLAST = 1
    EPITHELIUM = 2
    MYOEPITHELIUM = 3
    TUMOUR_1 = 4
    TUMOUR_2 = 5
    TUMOUR_3 = 6


@dataclass(frozen=True, slots=True)
class _Form:
    length_um: float
    ratio: float
    """Length over width."""
    spread: float
    """Relative standard deviation of the size."""
    irregular: float
    """Amplitude of the outline's lobes, share of the radius."""
    density: float
    """Haematoxylin in the nucleus, in units of optical density."""
    clumps: float
    """Relative depth of the chromatin texture."""
    vesicular: float
    """How much paler the inside is than the rim."""
    nucleolus: float


# Sizes: lymphocyte about 6-7 um, ductal epithelium 8-10 um, tumour nuclei 1.5 to over 2 times a normal epithelial
# nucleus with grade (Elston & Ellis, Histopathology 1991;19:403-410, pleomorphism score).
_FORMS: Final = {
    NucleusKind.LYMPHOCYTE: _Form(6.8, 1.12, 0.08, 0.04, 0.92, 0.28, 0.0, 0.0),
    NucleusKind.FIBROBLAST: _Form(13.0, 3.4, 0.22, 0.10, 0.66, 0.18, 0.0, 0.0),
    NucleusKind.EPITHELIUM: _Form(8.8, 1.4, 0.09, 0.03, 0.62, 0.20, 0.22, 0.15),
    NucleusKind.MYOEPITHELIUM: _Form(9.0, 2.6, 0.15, 0.08, 0.85, 0.18, 0.0, 0.0),
    NucleusKind.TUMOUR_1: _Form(10.2, 1.3, 0.12, 0.035, 0.58, 0.20, 0.25, 0.3),
    NucleusKind.TUMOUR_2: _Form(11.6, 1.35, 0.16, 0.05, 0.64, 0.22, 0.32, 0.45),
    NucleusKind.TUMOUR_3: _Form(13.6, 1.4, 0.22, 0.075, 0.72, 0.26, 0.36, 0.6),
}

SPRITE_UNIT: Final = 96.0
"""Sprite value of one unit of haematoxylin."""


@dataclass(frozen=True, slots=True, eq=False)
class Nuclei:
    """Positions and sprites of nuclei; arrays of one length."""

    x_um: NDArray[np.float32]
    y_um: NDArray[np.float32]
    kind: NDArray[np.int8]
    angle: NDArray[np.float32]
    """Direction of the long axis in radians, x towards y."""
    positive: NDArray[np.bool_]
    """Stained by the antibody on an IHC slide."""

    def __len__(self) -> int:
        return len(self.x_um)

    def take(self, keep: NDArray[np.bool_] | NDArray[np.intp]) -> Nuclei:
        """Return the chosen nuclei."""
        return Nuclei(self.x_um[keep], self.y_um[keep], self.kind[keep], self.angle[keep], self.positive[keep])


def nuclei_at(
    x_um: NDArray[np.floating],
    y_um: NDArray[np.floating],
    kind: NucleusKind,
    angle: NDArray[np.floating] | None = None,
    *,
    rng: np.random.Generator,
    positive: float = 0.0,
) -> Nuclei:
    """Return nuclei of one kind; without `angle` they lie in all directions. `positive` is a probability."""
    count = len(x_um)
    turned = rng.uniform(0, np.pi, count) if angle is None else angle
    return Nuclei(
        np.asarray(x_um, np.float32),
        np.asarray(y_um, np.float32),
        np.full(count, kind, np.int8),
        np.asarray(turned, np.float32),
        rng.random(count) < positive,
    )


def join(parts: Sequence[Nuclei]) -> Nuclei:
    """Return one list of all nuclei."""
    if not parts:
        empty = np.zeros(0, np.float32)
        return Nuclei(empty, empty, empty.astype(np.int8), empty, empty.astype(np.bool_))
    return Nuclei(
        np.concatenate([part.x_um for part in parts]),
        np.concatenate([part.y_um for part in parts]),
        np.concatenate([part.kind for part in parts]),
        np.concatenate([part.angle for part in parts]),
        np.concatenate([part.positive for part in parts]),
    )


@lru_cache(maxsize=4)
def sprite_bank(mpp: float) -> tuple[NDArray[np.uint8], ...]:
    """Return the sprites of every kind at a scale.

    Returns:
        One uint8 array (VARIANTS * ANGLES, side, side) a kind: haematoxylin in steps of 1 / SPRITE_UNIT; sprite
        `variant * ANGLES + angle`.
    """
    return tuple(_sprites(_FORMS[kind], mpp=mpp, seed=77 + kind) for kind in NucleusKind)


def _sprites(form: _Form, *, mpp: float, seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    side = int(np.ceil(form.length_um * (1 + 2.2 * form.spread) * (1 + form.irregular) / mpp)) + 4
    axis = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * np.float32(mpp)
    y, x = axis[:, None], axis[None, :]
    bank = np.zeros((VARIANTS, ANGLES, side, side), np.uint8)
    for variant in range(VARIANTS):
        scale = 1 + form.spread * float(np.clip(rng.standard_normal(), -1.7, 2.2))
        lobes = rng.normal(0, form.irregular, 4)
        phases = rng.uniform(0, 2 * np.pi, 4)
        darkness = form.density * (1 + 0.14 * rng.standard_normal())
        texture = _chromatin(rng, side, mpp)
        spot = rng.uniform(-0.28, 0.28, 2)
        for angle in range(ANGLES):
            theta = np.pi * angle / ANGLES
            along = (np.cos(theta) * x + np.sin(theta) * y) / (form.length_um * scale / 2)
            across = (-np.sin(theta) * x + np.cos(theta) * y) / (form.length_um * scale / form.ratio / 2)
            polar = np.arctan2(across, along)
            edge = 1 + sum(lobes[k] * np.cos((k + 2) * polar + phases[k]) for k in range(4))
            radius = np.hypot(along, across) / edge
            soft = 1.3 * mpp / (form.length_um * scale / form.ratio / 2)
            body = 1 - smoothstep(1 - soft, 1 + soft * 0.6, radius.astype(np.float32))
            inside = 1 - form.vesicular * (1 - smoothstep(0.45, 0.95, radius.astype(np.float32)))
            nucleolus = form.nucleolus * np.exp(-((along - spot[0]) ** 2 + (across - spot[1]) ** 2) / 0.03)
            amount = darkness * body * (inside * (1 + form.clumps * texture) + nucleolus)
            bank[variant, angle] = np.clip(amount * SPRITE_UNIT, 0, 255).astype(np.uint8)
    return bank.reshape(VARIANTS * ANGLES, side, side)


def _chromatin(rng: np.random.Generator, side: int, mpp: float) -> NDArray[np.float32]:
    """Return lumpy chromatin of about 1 um grain, deviation 1."""
    noise = gaussian_filter(rng.standard_normal((side, side)), max(0.55 / mpp, 0.4))
    return (noise / noise.std()).astype(np.float32)


def stamp(
    canvas: NDArray[np.uint8],
    nuclei: Nuclei,
    variants: NDArray[np.integer],
    *,
    mpp: float,
    origin_px: tuple[int, int],
    margin_px: int,
) -> None:
    """Draw nuclei into a canvas, in place; where two overlap the darker wins.

    Args:
        canvas: uint8, haematoxylin in steps of 1 / SPRITE_UNIT, with `margin_px` spare pixels on every side.
        nuclei: Those whose centre lies no further than half a margin outside the canvas's inner part.
        variants: Which variant each nucleus is.
        mpp: um per pixel of the canvas.
        origin_px: (x, y) of the inner part's first pixel.
        margin_px: Width of the spare border, at least the largest sprite.
    """
    bank = sprite_bank(mpp)
    sides = np.array([sprites.shape[1] for sprites in bank])[nuclei.kind]
    left = np.rint(nuclei.x_um / mpp).astype(np.int64) - sides // 2 - origin_px[0] + margin_px
    top = np.rint(nuclei.y_um / mpp).astype(np.int64) - sides // 2 - origin_px[1] + margin_px
    turned = np.rint(nuclei.angle / np.pi * ANGLES).astype(np.int64) % ANGLES
    sprite = variants * ANGLES + turned
    for x, y, kind, which in zip(left.tolist(), top.tolist(), nuclei.kind.tolist(), sprite.tolist(), strict=True):
        image: NDArray[np.uint8] = bank[int(kind)][int(which)]
        side = image.shape[0]
        view = canvas[y : y + side, x : x + side]
        np.maximum(view, image, out=view)
