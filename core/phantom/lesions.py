"""Planted tumours: an irregular lesion of cell nests in desmoplastic stroma."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes, label

from core.phantom.nuclei import NucleusKind, nuclei_at
from core.phantom.spec import GrowthPattern, Lesion
from core.phantom.structures import blend, scatter
from core.phantom.texture import FloatImage, as_float32, smoothstep, value_noise
from core.phantom.tissue_layout import STEP_UM, Plan, direction

_KINDS = (NucleusKind.TUMOUR_1, NucleusKind.TUMOUR_2, NucleusKind.TUMOUR_3)
_SPACING_UM = (10.6, 11.8, 13.2)


def add_lesion(plan: Plan, rng: np.random.Generator, lesion: Lesion, *, x_um: float, y_um: float) -> None:
    """Paint one tumour around a point and remember its mask in the plan.

    The mask is what a pathologist would draw: the outline around nests and the stroma between them, within tissue.
    """
    radius = lesion.diameter_um / 2
    reach = radius * 1.7
    left, right = (int(np.clip((x_um + s * reach) / STEP_UM, 0, plan.shape[1])) for s in (-1, 1))
    top, bottom = (int(np.clip((y_um + s * reach) / STEP_UM, 0, plan.shape[0])) for s in (-1, 1))
    window = (slice(top, bottom), slice(left, right))
    x = (np.arange(left, right, dtype=np.float32)[None, :] + 0.5) * STEP_UM - x_um
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5) * STEP_UM - y_um
    shape = (bottom - top, right - left)
    spiky = 0.17 * value_noise(rng, shape, cell_px=max(radius * 0.6 / STEP_UM, 6), octaves=3)
    depth = (1 - np.hypot(x, y) / radius + spiky) * radius
    depth = np.minimum(depth, plan.tissue[window] - 4)
    nest, lumen = _nests(rng, lesion, shape)
    nest = np.minimum(nest, depth + 12)
    bed = smoothstep(-40, 30, depth)
    _clear_fat(plan, rng, window, depth)
    blend(plan.loose, window, -0.08, bed)
    blend(plan.haematoxylin, window, 0.10, bed * 0.8)
    blend(plan.eosin, window, 0.24, bed * 0.6)
    _paint_nests(plan, rng, window, nest, lumen)
    plan.lesions.append(_mask(plan, window, depth))
    _nuclei(plan, rng, lesion, window, nest, depth)


def _nests(rng: np.random.Generator, lesion: Lesion, shape: tuple[int, int]) -> tuple[FloatImage, FloatImage | None]:
    """Return the depth inside cell nests and inside their lumina (um, positive inside)."""
    if lesion.pattern is GrowthPattern.CORDS:
        bands = -np.abs(value_noise(rng, shape, cell_px=24, octaves=2)) + 0.2 * value_noise(rng, shape, cell_px=60)
        return as_float32((bands - np.quantile(bands, 1 - lesion.density)) * np.float32(34)), None
    cell_px = 42 if lesion.pattern is GrowthPattern.SOLID else 21
    lumps = value_noise(rng, shape, cell_px=cell_px, octaves=3)
    nest = (lumps - np.quantile(lumps, 1 - lesion.density)) * np.float32(cell_px * 0.75)
    if lesion.pattern is GrowthPattern.SOLID:
        return nest, None
    high = np.quantile(lumps, 1 - 0.08 * lesion.density)
    return nest, (lumps - high) * np.float32(cell_px * 0.75)


def _clear_fat(plan: Plan, rng: np.random.Generator, window: tuple[slice, slice], depth: FloatImage) -> None:
    """Replace most adipose tissue inside the lesion; some vacuoles stay, as in invaded fat."""
    cell = plan.fat[window]
    count = np.bincount(cell.ravel())
    mean_depth = np.bincount(cell.ravel(), weights=depth.ravel()) / np.maximum(count, 1)
    gone = mean_depth > rng.normal(0, 25, len(count))  # whole cells: a half vacuole would look cut
    gone[0] = False
    filled = gone[cell]
    plan.void[window] = np.where(filled, np.minimum(plan.void[window], -3), plan.void[window])
    plan.fibre[window] = np.where(filled, 1.0, plan.fibre[window])
    plan.fat[window] = np.where(filled, 0, cell)
    droplets = value_noise(rng, depth.shape, cell_px=20) - 2.1  # what is left of the fat: single round vacuoles
    left = np.where(filled & (depth > 0), droplets * 22, -99).astype(np.float32)
    plan.void[window] = np.maximum(plan.void[window], left)


def _paint_nests(
    plan: Plan, rng: np.random.Generator, window: tuple[slice, slice], nest: FloatImage, lumen: FloatImage | None
) -> None:
    inside = smoothstep(-1.5, 1.5, nest)
    cytoplasm = np.float32(rng.uniform(0.07, 0.20)) + 0.04 * value_noise(rng, nest.shape, cell_px=30)
    blend(plan.fibre, window, 0.0, inside)
    blend(plan.eosin, window, 0.20, inside)
    blend(plan.haematoxylin, window, cytoplasm, inside)
    cracks = value_noise(rng, nest.shape, cell_px=20, octaves=2)
    retraction = np.where(cracks > 0.7, 1.5 - np.abs(nest + 2.0), -5.0).astype(np.float32)  # shrinkage at the rim
    plan.void[window] = np.where(plan.void[window] < 0, np.maximum(plan.void[window], retraction), plan.void[window])
    if lumen is not None:
        plan.void[window] = np.maximum(plan.void[window], lumen)


def _mask(plan: Plan, window: tuple[slice, slice], depth: FloatImage) -> np.ndarray:
    mask = np.zeros(plan.shape, np.bool_)
    region = binary_closing(depth > 0, iterations=4)
    region = binary_fill_holes(region)
    labels, count = label(region)
    if count > 1:  # specks off the main mass belong to its fringe, not to the outline
        sizes = np.bincount(labels.ravel())
        sizes[0] = 0
        region = labels == sizes.argmax()
    mask[window] = region
    return mask


def _nuclei(
    plan: Plan,
    rng: np.random.Generator,
    lesion: Lesion,
    window: tuple[slice, slice],
    nest: FloatImage,
    depth: FloatImage,
) -> None:
    top, left = window[0].start, window[1].start
    box = (left * STEP_UM, top * STEP_UM, window[1].stop * STEP_UM, window[0].stop * STEP_UM)
    x, y = scatter(rng, box_um=box, spacing_um=_SPACING_UM[lesion.grade - 1], jitter=0.36)
    row = np.clip((y / STEP_UM).astype(int) - top, 0, nest.shape[0] - 1)
    column = np.clip((x / STEP_UM).astype(int) - left, 0, nest.shape[1] - 1)
    keep = (nest[row, column] > 2.5) & (plan.at(plan.void, x, y) < -1.5) & (rng.random(len(x)) < 0.93)
    plan.nuclei.append(nuclei_at(x[keep], y[keep], _KINDS[lesion.grade - 1], rng=rng, positive=0.86))
    x, y = scatter(rng, box_um=box, spacing_um=19, jitter=0.48)
    row = np.clip((y / STEP_UM).astype(int) - top, 0, nest.shape[0] - 1)
    column = np.clip((x / STEP_UM).astype(int) - left, 0, nest.shape[1] - 1)
    stroma = (nest[row, column] < -3) & (depth[row, column] > -30) & (plan.at(plan.void, x, y) < -1.5)
    immune = rng.random(len(x)) < 0.4
    spindle = stroma & ~immune
    slope = direction(plan, plan.across, x[spindle], y[spindle])
    turned = slope + np.pi / 2 + rng.normal(0, 0.3, len(slope))
    plan.nuclei.append(nuclei_at(x[spindle], y[spindle], NucleusKind.FIBROBLAST, turned, rng=rng))
    plan.nuclei.append(nuclei_at(x[stroma & immune], y[stroma & immune], NucleusKind.LYMPHOCYTE, rng=rng))
