"""From a plan to pixels, strip by strip, so that memory does not grow with the slide's height."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from core.domain import Stain
from core.phantom.artefacts import Overlay
from core.phantom.nuclei import SPRITE_UNIT, VARIANTS, Nuclei, stamp
from core.phantom.optics import stain_matrix, transmit
from core.phantom.spec import PhantomSpec
from core.phantom.texture import (
    ATLAS_PX,
    ATLAS_UM_PER_PX,
    FloatImage,
    as_float32,
    fibre_atlas,
    grain_atlas,
    smoothstep,
)
from core.phantom.tissue_layout import STEP_UM, Plan

STRIP_PX = 512
"""Rows rendered at a time; a multiple of the file's tile."""
_BLOCK_PX = 1024
_MARGIN_PX = 96
"""Spare border of the nucleus canvas: more than half a nucleus at 0.2 um/px."""
_COUNTERSTAIN = 0.7
"""Haematoxylin of an IHC slide relative to H&E."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """Pixels to render: level-0 left, top, width, height; may reach beyond the slide."""

    x: int
    y: int
    width: int
    height: int


def render_strips(plan: Plan, overlay: Overlay, spec: PhantomSpec) -> Iterator[NDArray[np.uint8]]:
    """Yield the slide from top to bottom in strips of STRIP_PX rows (the last may be shorter), uint8 (rows, W, 3)."""
    renderer = _Renderer(plan, overlay, spec)
    for top in range(0, spec.size_px.height, STRIP_PX):
        rows = min(STRIP_PX, spec.size_px.height - top)
        strip = np.empty((rows, spec.size_px.width, 3), np.uint8)
        for left in range(0, spec.size_px.width, _BLOCK_PX):
            frame = _Frame(left, top, min(_BLOCK_PX, spec.size_px.width - left), rows)
            strip[:, left : left + frame.width] = renderer.block(frame)
        yield strip


class _Renderer:
    """Holds what all blocks of one slide share."""

    def __init__(self, plan: Plan, overlay: Overlay, spec: PhantomSpec) -> None:
        self.plan, self.overlay, self.spec = plan, overlay, spec
        self.matrix = stain_matrix(spec.stain, spec.scanner)
        rng = np.random.default_rng([spec.seed, 9])
        nuclei = plan.nuclei[0]
        order = np.argsort(nuclei.y_um, kind="stable")
        self.nuclei = nuclei.take(order)
        self.variants = rng.integers(0, VARIANTS, len(order))
        self.shift_um = rng.uniform(60, 120, 2).astype(np.float32)

    def block(self, frame: _Frame) -> NDArray[np.uint8]:
        """Return the pixels of a frame, blurred where the slide is out of focus."""
        blur = self._map(self.overlay.blur_um, frame)
        if blur is None or float(blur.max()) < 0.2:
            return self._sharp(frame)
        most = float(blur.max()) / self.spec.mpp
        halo = int(np.ceil(2.5 * most))
        wide = _Frame(frame.x - halo, frame.y - halo, frame.width + 2 * halo, frame.height + 2 * halo)
        return _defocus(self._sharp(wide), blur / np.float32(self.spec.mpp), most=most, halo=halo)

    def _map(self, values: FloatImage | None, frame: _Frame) -> FloatImage | None:
        return None if values is None else upsample(values, frame, scale=STEP_UM / self.spec.mpp)

    def _sharp(self, frame: _Frame) -> NDArray[np.uint8]:
        plan, look = self.plan, self.spec.scanner
        void = upsample(plan.void, frame, scale=STEP_UM / self.spec.mpp)
        extra = self._extra(frame)
        if float(void.min()) > 8 and extra is None:
            return np.broadcast_to(np.array(look.glass, np.uint8), (frame.height, frame.width, 3)).copy()
        dyes = self._dyes(frame, void, self._maps(frame))
        fold = self._map(self.overlay.fold, frame)
        if fold is not None and float(fold.max()) > 0:
            dyes = self._folded(frame, dyes, fold)
        gain = self._map(self.overlay.gain, frame)
        if gain is not None:
            dyes = dyes[0] * gain, dyes[1] * gain, dyes[2] * gain
        return transmit(dyes, matrix=self.matrix, glass=look.glass, extra=extra)

    def _extra(self, frame: _Frame) -> FloatImage | None:
        if self.overlay.extra is None:
            return None
        extra = np.stack([upsample(channel, frame, scale=STEP_UM / self.spec.mpp) for channel in self.overlay.extra])
        return extra if float(np.abs(extra).max()) > 1e-3 else None

    def _dyes(
        self, frame: _Frame, void: FloatImage, maps: dict[str, FloatImage]
    ) -> tuple[FloatImage, FloatImage, FloatImage]:
        look, fibre = self.spec.scanner, maps["fibre"]
        streak, gap = _collagen(maps["along"], maps["across"])
        grain = _grain(frame)
        open_um = smoothstep(0.0, 0.16, gap - maps["loose"])
        body = np.float32(0.38) + np.float32(1.24) * streak
        ground = fibre * (body * (np.float32(0.10) + np.float32(0.90) * open_um) - 1) + 1
        ground *= 1 + np.float32(0.17) * grain
        solid = smoothstep(-0.9, 0.9, (np.float32(0.5) - streak) * 5 * fibre - void)
        ground *= solid
        dark, marked = self._nuclei(frame)
        displaced = 1 - np.float32(0.6) * np.minimum(np.maximum(dark, marked) * 1.5, 1)
        eosin = maps["eosin"] * ground * displaced
        haematoxylin = maps["haematoxylin"] * ground
        third = maps["third"] * ground
        if self.spec.stain is Stain.IHC:
            dark = dark * np.float32(_COUNTERSTAIN)
            third = third + marked * np.float32(1.25) + np.float32(0.08) * eosin
            eosin = eosin * np.float32(0.16)
            haematoxylin = haematoxylin * np.float32(0.5) + np.float32(0.07) * maps["eosin"] * ground
        haematoxylin = np.maximum(haematoxylin, np.float32(0.25) * haematoxylin + dark * solid)
        haematoxylin, eosin = haematoxylin * np.float32(look.haematoxylin), eosin * np.float32(look.eosin)
        return as_float32(haematoxylin), as_float32(eosin), as_float32(third)

    def _folded(
        self, frame: _Frame, dyes: tuple[FloatImage, FloatImage, FloatImage], fold: FloatImage
    ) -> tuple[FloatImage, FloatImage, FloatImage]:
        """Lay a second layer over the first: the tissue from beside the fold, its fibres and nuclei with it."""
        shift = np.rint(self.shift_um / self.spec.mpp).astype(int)
        other = _Frame(frame.x + int(shift[0]), frame.y + int(shift[1]), frame.width, frame.height)
        void = upsample(self.plan.void, other, scale=STEP_UM / self.spec.mpp)
        second = self._dyes(other, void, self._maps(other))
        haematoxylin, eosin, third = (as_float32(dye + fold * layer) for dye, layer in zip(dyes, second, strict=True))
        return haematoxylin, eosin, third

    def _maps(self, frame: _Frame) -> dict[str, FloatImage]:
        names = ("eosin", "haematoxylin", "third", "fibre", "loose", "along", "across")
        return {name: upsample(getattr(self.plan, name), frame, scale=STEP_UM / self.spec.mpp) for name in names}

    def _nuclei(self, frame: _Frame) -> tuple[FloatImage, FloatImage]:
        """Return haematoxylin of unmarked nuclei and the amount of antibody stain of marked ones."""
        mpp = self.spec.mpp
        reach = _MARGIN_PX // 2 * mpp
        low, high = np.searchsorted(self.nuclei.y_um, [frame.y * mpp - reach, (frame.y + frame.height) * mpp + reach])
        x = self.nuclei.x_um[low:high]
        near = np.flatnonzero((x > frame.x * mpp - reach) & (x < (frame.x + frame.width) * mpp + reach)) + low
        chosen, variants = self.nuclei.take(near), self.variants[near]
        marked = chosen.positive if self.spec.stain is Stain.IHC else np.zeros(len(chosen), np.bool_)
        plain = self._canvas(frame, chosen.take(~marked), variants[~marked])
        if not marked.any():
            return plain, np.zeros_like(plain)
        return plain, self._canvas(frame, chosen.take(marked), variants[marked])

    def _canvas(self, frame: _Frame, nuclei: Nuclei, variants: NDArray[np.integer]) -> FloatImage:
        margin = _MARGIN_PX
        canvas = np.zeros((frame.height + 2 * margin, frame.width + 2 * margin), np.uint8)
        stamp(canvas, nuclei, variants, mpp=self.spec.mpp, origin_px=(frame.x, frame.y), margin_px=margin)
        inner = canvas[margin : margin + frame.height, margin : margin + frame.width]
        return inner.astype(np.float32) * np.float32(1 / SPRITE_UNIT)


def upsample(values: FloatImage, frame: _Frame, *, scale: float) -> FloatImage:
    """Return a plan map at the frame's pixels, linear, repeating the border; `scale` is pixels per plan pixel."""
    rows, weight_y = _weights(frame.y, frame.height, values.shape[0], scale)
    columns, weight_x = _weights(frame.x, frame.width, values.shape[1], scale)
    # Two small dense products beat index arithmetic: BLAS runs them at a few ns a pixel.
    return as_float32(weight_y @ values[rows, columns] @ weight_x.T)


def _weights(start: int, count: int, length: int, scale: float) -> tuple[slice, FloatImage]:
    position = np.clip((np.arange(start, start + count) + 0.5) / scale - 0.5, 0, length - 1)
    low = np.minimum(position.astype(np.int64), length - 2)
    fraction = (position - low).astype(np.float32)
    first, last = int(low[0]), int(low[-1]) + 2
    weights = np.zeros((count, last - first), np.float32)
    rows = np.arange(count)
    weights[rows, low - first] = 1 - fraction
    weights[rows, low - first + 1] = fraction
    return slice(first, last), weights


def _collagen(along: FloatImage, across: FloatImage) -> tuple[FloatImage, FloatImage]:
    """Return collagen amount (0.5 on average) and distance from the next cleft at the given fibre coordinates (um)."""
    streak, gap = fibre_atlas()
    per_um = np.float32(1 / ATLAS_UM_PER_PX)
    column = (along * per_um).astype(np.int32) & (ATLAS_PX - 1)
    row = (across * per_um).astype(np.int32) & (ATLAS_PX - 1)
    flat = (row * ATLAS_PX) | column
    byte = np.float32(1 / 255)
    return streak.ravel()[flat] * byte, gap.ravel()[flat] * byte


def _grain(frame: _Frame) -> FloatImage:
    """Return the frame's part of the grain pattern, deviation about 1."""
    rows = np.arange(frame.y, frame.y + frame.height) & (ATLAS_PX - 1)
    columns = np.arange(frame.x, frame.x + frame.width) & (ATLAS_PX - 1)
    return grain_atlas()[np.ix_(rows, columns)] * np.float32(1 / 40)


def _defocus(wide: NDArray[np.uint8], sigma_px: FloatImage, *, most: float, halo: int) -> NDArray[np.uint8]:
    """Blur by a width that varies: a mixture of the sharp image and three blurred ones."""
    height, width = sigma_px.shape
    source = Image.fromarray(wide)
    levels = (0.0, 0.3, 0.6, 1.0)
    result = np.zeros((height, width, 3), np.float32)
    share = np.clip(sigma_px / np.float32(most), 0, 1)
    for index, level in enumerate(levels):
        below = levels[index - 1] if index else -1.0
        above = levels[index + 1] if index + 1 < len(levels) else 2.0
        weight = np.clip(np.minimum((share - below) / (level - below), (above - share) / (above - level)), 0, 1)
        if not weight.any():
            continue
        image = source if level == 0 else source.filter(ImageFilter.GaussianBlur(level * most))
        result += np.asarray(image)[halo : halo + height, halo : halo + width] * weight[..., None].astype(np.float32)
    return (result + np.float32(0.5)).astype(np.uint8)
