"""The plan of a slide: what lies where, at 2 um a pixel, before anything is drawn at full resolution."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt, map_coordinates

from core.phantom.nuclei import Nuclei
from core.phantom.spec import PhantomSpec, TissueMix
from core.phantom.texture import FloatImage, as_float32, cells, value_noise

STEP_UM = 2.0
"""um per pixel of the plan."""
_COARSE = 4
"""Plan pixels per pixel of the outline's distance map."""


@dataclass(slots=True, eq=False)
class Plan:
    """Maps of one slide, float32 (H, W) at STEP_UM, filled in by the structures one after the other."""

    shape: tuple[int, int]
    tissue: FloatImage
    """Distance to the tissue's edge in um, positive inside."""
    void: FloatImage
    """Distance to the nearest tissue in um where there is none (glass, fat vacuoles, lumina), else negative."""
    eosin: FloatImage
    haematoxylin: FloatImage
    third: FloatImage
    """Red cells on H&E, diffuse DAB on IHC."""
    fibre: FloatImage
    """0-1: how much of the collagen texture shows; 0 in epithelium."""
    loose: FloatImage
    """How wide the clefts between collagen bundles gape: 0.5 wide, -0.16 closed."""
    along: FloatImage
    """Coordinate along the collagen fibres in um."""
    across: FloatImage
    """Coordinate across the collagen fibres in um."""
    fat: NDArray[np.int32]
    """Number of the adipocyte a pixel belongs to, 0 elsewhere."""
    lesions: list[NDArray[np.bool_]] = field(default_factory=list[NDArray[np.bool_]])
    """One mask a planted tumour, in the spec's order."""
    nuclei: list[Nuclei] = field(default_factory=list[Nuclei])

    def at(self, values: FloatImage, x_um: FloatImage, y_um: FloatImage) -> FloatImage:
        """Return a map's values at points (linear)."""
        points = np.stack([y_um, x_um]) / STEP_UM - 0.5
        return map_coordinates(values, points, order=1, mode="nearest").astype(np.float32)

    def clip(self, x_um: float, y_um: float) -> tuple[int, int]:
        """Return (row, column) of the pixel at a point, or of the nearest one on the map."""
        row, column = int(y_um / STEP_UM), int(x_um / STEP_UM)
        return min(max(row, 0), self.shape[0] - 1), min(max(column, 0), self.shape[1] - 1)

    def axes_um(self) -> tuple[FloatImage, FloatImage]:
        """Return x (1, W) and y (H, 1) of the pixel centres in um."""
        x = (np.arange(self.shape[1], dtype=np.float32)[None, :] + 0.5) * STEP_UM
        y = (np.arange(self.shape[0], dtype=np.float32)[:, None] + 0.5) * STEP_UM
        return x, y

    @property
    def tissue_mm2(self) -> float:
        """Area inside the tissue outlines."""
        return float((self.tissue > 0).sum()) * STEP_UM**2 / 1e6


def empty_plan(spec: PhantomSpec) -> Plan:
    """Lay out tissue pieces, fibre directions and adipose tissue of a slide; no structures yet."""
    shape = (
        int(np.ceil(spec.size_px.height * spec.mpp / STEP_UM)),
        int(np.ceil(spec.size_px.width * spec.mpp / STEP_UM)),
    )
    rng = np.random.default_rng([spec.seed, 1])
    tissue = _outline(rng, shape, pieces=spec.tissue.pieces)
    along, across = _fibre_coordinates(rng, shape)
    coarse_lumps = value_noise(rng, shape, cell_px=220, octaves=2)
    plan = Plan(
        shape=shape,
        tissue=tissue,
        void=-tissue,
        eosin=np.clip(0.295 + 0.045 * coarse_lumps, 0.16, 0.5).astype(np.float32),
        haematoxylin=np.clip(0.045 + 0.02 * value_noise(rng, shape, cell_px=90, octaves=2), 0.01, 0.12),
        third=np.zeros(shape, np.float32),
        fibre=np.ones(shape, np.float32),
        loose=np.clip(-0.02 + 0.10 * value_noise(rng, shape, cell_px=170, octaves=2), -0.16, 0.5),
        along=along,
        across=across,
        fat=np.zeros(shape, np.int32),
    )
    _add_fat(plan, np.random.default_rng([spec.seed, 2]), mix=spec.tissue)
    return plan


def _outline(rng: np.random.Generator, shape: tuple[int, int], *, pieces: int) -> FloatImage:
    """Return the signed distance in um to irregular tissue outlines."""
    rows, columns = -(-shape[0] // _COARSE), -(-shape[1] // _COARSE)
    y = np.arange(rows, dtype=np.float32)[:, None] / rows
    x = np.arange(columns, dtype=np.float32)[None, :] / columns
    lumps = value_noise(rng, (rows, columns), cell_px=0.28 * min(rows, columns), octaves=2)
    ripples = value_noise(rng, (rows, columns), cell_px=26, octaves=3)
    inside = np.full((rows, columns), -1.0, np.float32)
    for piece in range(pieces):
        centre_x = (piece + 0.5 + rng.uniform(-0.05, 0.05)) / pieces
        centre_y = 0.5 + rng.uniform(-0.05, 0.05)
        radius_x = rng.uniform(0.39, 0.44) / pieces
        radius_y = rng.uniform(0.34, 0.43)
        tilt = rng.uniform(-0.25, 0.25)
        dx = (x - centre_x + tilt * (y - 0.5) / pieces) / radius_x
        dy = (y - centre_y) / radius_y
        inside = np.maximum(inside, 1 - (np.abs(dx) ** 2.6 + np.abs(dy) ** 2.6) ** (1 / 2.6))
    border = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    mask = (inside + 0.10 * lumps + 0.02 * ripples > 0) & (border > 0.025)
    step = STEP_UM * _COARSE
    distance = np.where(mask, distance_transform_edt(mask), 0.5 - distance_transform_edt(~mask)) * step
    fine = _enlarge(distance.astype(np.float32), shape)
    return as_float32(fine + 5.0 * value_noise(rng, shape, cell_px=22, octaves=3))


def _enlarge(values: FloatImage, shape: tuple[int, int]) -> FloatImage:
    box = (0.0, 0.0, shape[1] / _COARSE, shape[0] / _COARSE)
    image = Image.fromarray(values).resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box)
    return np.array(image, np.float32)


def _fibre_coordinates(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[FloatImage, FloatImage]:
    """Return coordinates along and across the fibres: a rotated frame, bent on several scales."""
    x = np.arange(shape[1], dtype=np.float32)[None, :] * STEP_UM
    y = np.arange(shape[0], dtype=np.float32)[:, None] * STEP_UM
    angle = rng.uniform(0, np.pi)
    bend = 170 * value_noise(rng, shape, cell_px=330) + 30 * value_noise(rng, shape, cell_px=80)
    shear = 150 * value_noise(rng, shape, cell_px=420) + 20 * value_noise(rng, shape, cell_px=95)
    along = np.cos(angle) * x + np.sin(angle) * y + shear
    across = -np.sin(angle) * x + np.cos(angle) * y + bend
    return along.astype(np.float32), across.astype(np.float32)


def _add_fat(plan: Plan, rng: np.random.Generator, *, mix: TissueMix) -> None:
    """Turn part of the tissue into adipocytes: whole cells, so that fat ends in rounded vacuoles."""
    if mix.fat <= 0:
        return
    spacing_px = rng.uniform(27, 35)  # 54-70 um: adipocytes of 50-100 um
    nearest, second, index, centres = cells(rng, plan.shape, spacing_px=spacing_px)
    field_map = value_noise(rng, plan.shape, cell_px=330, octaves=2) + 0.35 * value_noise(rng, plan.shape, cell_px=60)
    limit = np.quantile(field_map[plan.tissue > 0], 1 - mix.fat)
    column = np.clip(centres[:, 0].astype(np.int32), 0, plan.shape[1] - 1)
    row = np.clip(centres[:, 1].astype(np.int32), 0, plan.shape[0] - 1)
    is_fat = (field_map[row, column] + 0.15 * rng.standard_normal(len(row)) > limit)[index]
    rim_um = rng.uniform(1.0, 1.7)
    vacuole = np.minimum((second - nearest) / 2 * STEP_UM - rim_um, (0.66 * spacing_px - nearest) * STEP_UM)
    plan.fat = np.where(is_fat, index + 1, 0).astype(np.int32)
    plan.void = np.where(is_fat, np.maximum(plan.void, vacuole), plan.void)
    plan.fibre = np.where(is_fat, np.float32(0.35), plan.fibre)
    plan.loose = np.where(is_fat, np.float32(0), plan.loose)
    plan.eosin = np.where(is_fat, plan.eosin * np.float32(0.85), plan.eosin)


def direction(plan: Plan, values: FloatImage, x_um: FloatImage, y_um: FloatImage) -> FloatImage:
    """Return the direction of steepest ascent of a map at points, in radians."""
    reach = np.float32(2 * STEP_UM)
    step_x = plan.at(values, x_um + reach, y_um) - plan.at(values, x_um - reach, y_um)
    step_y = plan.at(values, x_um, y_um + reach) - plan.at(values, x_um, y_um - reach)
    return np.arctan2(step_y, step_x)
