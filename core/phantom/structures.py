"""Benign structures painted into a plan: ducts, lobules, lymphocyte aggregates, vessels, stromal cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.phantom.nuclei import NucleusKind, nuclei_at
from core.phantom.texture import FloatImage, smoothstep, value_noise
from core.phantom.tissue_layout import STEP_UM, Plan

_WAVES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """A closed, wavy, stretched outline around a centre."""

    x_um: float
    y_um: float
    radius_um: float
    stretch: float
    turn: float
    heights: FloatImage
    phases: FloatImage

    def radius(self, theta: FloatImage) -> FloatImage:
        """Return the distance from the centre to the outline in a direction (radians), in um."""
        bent = theta - self.turn
        oval = 1 / np.sqrt((np.cos(bent) / self.stretch) ** 2 + (np.sin(bent) * self.stretch) ** 2)
        waves = sum(self.heights[k] * np.cos((k + 2) * theta + self.phases[k]) for k in range(_WAVES))
        return (self.radius_um * oval * (1 + waves)).astype(np.float32)

    def walk(self, *, depth_um: float, spacing_um: float) -> tuple[FloatImage, FloatImage, FloatImage]:
        """Return points along the outline at a depth inside it: x, y in um and the direction outwards in radians."""
        theta = np.linspace(0, 2 * np.pi, 256, endpoint=False, dtype=np.float32)
        inner = np.maximum(self.radius(theta) - depth_um, 0.5)
        x, y = inner * np.cos(theta), inner * np.sin(theta)
        steps = np.hypot(np.diff(x, append=x[0]), np.diff(y, append=y[0]))
        length = np.concatenate([[0], np.cumsum(steps)])
        at = np.interp(np.arange(0, length[-1] - spacing_um / 2, spacing_um), length[:-1], np.arange(256))
        chosen = at.astype(int)
        outward = np.arctan2(np.roll(x, 1) - np.roll(x, -1), np.roll(y, -1) - np.roll(y, 1))[chosen]
        return (x[chosen] + self.x_um).astype(np.float32), (y[chosen] + self.y_um).astype(np.float32), outward


def outline_at(
    rng: np.random.Generator, x_um: float, y_um: float, radius_um: float, *, wavy: float = 0.05, stretch: float = 1.3
) -> Outline:
    """Return a random outline around a point; `stretch` is the largest ratio of its axes' square root."""
    return Outline(
        x_um,
        y_um,
        radius_um,
        rng.uniform(1, stretch),
        rng.uniform(0, np.pi),
        rng.normal(0, wavy, _WAVES).astype(np.float32),
        rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32),
    )


def _window(plan: Plan, outline: Outline, reach_um: float) -> tuple[tuple[slice, slice], FloatImage]:
    """Return the plan's pixels around an outline and there the depth inside it in um (negative outside)."""
    reach = outline.radius_um * outline.stretch * 1.3 + reach_um
    left, right = (int(np.clip((outline.x_um + s * reach) / STEP_UM, 0, plan.shape[1])) for s in (-1, 1))
    top, bottom = (int(np.clip((outline.y_um + s * reach) / STEP_UM, 0, plan.shape[0])) for s in (-1, 1))
    x = (np.arange(left, right, dtype=np.float32)[None, :] + 0.5) * STEP_UM - outline.x_um
    y = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5) * STEP_UM - outline.y_um
    depth = outline.radius(np.arctan2(y, x)) - np.hypot(x, y)
    return (slice(top, bottom), slice(left, right)), depth


def blend(target: FloatImage, window: tuple[slice, slice], value: FloatImage | float, weight: FloatImage) -> None:
    """Move a map towards a value inside a window, in place."""
    target[window] += (value - target[window]) * weight


def clear_fat(plan: Plan, window: tuple[slice, slice], depth: FloatImage, *, reach_um: float) -> None:
    """Replace the adipocytes that reach deeper than `reach_um` by stroma; whole ones: a cut vacuole looks wrong."""
    cell = plan.fat[window]
    touched = np.unique(cell[depth > reach_um])
    filled = np.isin(cell, touched[touched > 0])
    plan.void[window] = np.where(filled, np.minimum(plan.void[window], -3), plan.void[window])
    plan.fibre[window] = np.where(filled, 1.0, plan.fibre[window])
    plan.fat[window] = np.where(filled, 0, cell)


def add_duct(
    plan: Plan,
    rng: np.random.Generator,
    outline: Outline,
    *,
    layers: int,
    collar_um: float,
    secretion: bool,
    positive: float,
) -> None:
    """Paint a duct or acinus: myoepithelium, one or more layers of epithelium, a lumen, a collar of collagen.

    Args:
        plan: Painted into.
        rng: Source of randomness; advanced.
        outline: The basement membrane.
        layers: Rows of epithelial nuclei; 99 fills the duct (usual hyperplasia) and leaves slits.
        collar_um: Width of the dense collagen around it.
        secretion: Pink content instead of an empty lumen.
        positive: Probability that a nucleus takes the antibody.
    """
    window, depth = _window(plan, outline, collar_um * 2 + 70)
    wall_um = 9.5 + 6.5 * (min(layers, 4) - 1) + 2
    inside = smoothstep(-1.5, 1.5, depth)
    collar = smoothstep(-2 * collar_um - 1, -0.3 * collar_um, depth)
    clear_fat(plan, window, depth, reach_um=-0.5 * collar_um)
    blend(plan.loose, window, -0.1, collar)
    blend(plan.fibre, window, 1.0, collar)
    if collar_um > 8:  # fibres run around the duct; relative to its middle, or the bend would be too steep to draw
        middle = plan.across[plan.clip(outline.x_um, outline.y_um)]
        blend(plan.across, window, middle + depth * 0.9, (collar * 0.85).astype(np.float32))
    blend(plan.fibre, window, 0.0, inside)
    blend(plan.eosin, window, 0.22, inside)
    blend(plan.haematoxylin, window, rng.uniform(0.13, 0.21), inside)
    plan.third[window] *= 1 - inside
    if layers >= 99:
        slits = value_noise(rng, depth.shape, cell_px=14, octaves=2)
        plan.void[window] = np.where(depth > 12, np.maximum(plan.void[window], (slits - 1.5) * 7), plan.void[window])
        _fill(plan, rng, outline, positive=positive)
    elif secretion:
        blend(plan.eosin, window, 0.24, smoothstep(wall_um - 1, wall_um + 1, depth))
        blend(plan.haematoxylin, window, 0.03, smoothstep(wall_um - 1, wall_um + 1, depth))
    else:
        ragged = 1.5 * value_noise(rng, depth.shape, cell_px=5)
        plan.void[window] = np.maximum(plan.void[window], depth - wall_um + ragged)
    _ring_nuclei(plan, rng, outline, layers=min(layers, 4), positive=positive)


def _ring_nuclei(plan: Plan, rng: np.random.Generator, outline: Outline, *, layers: int, positive: float) -> None:
    x, y, outward = outline.walk(depth_um=1.5, spacing_um=11)
    keep = rng.random(len(x)) < 0.75
    plan.nuclei.append(
        nuclei_at(x[keep], y[keep], NucleusKind.MYOEPITHELIUM, outward[keep] + np.pi / 2, rng=rng, positive=0)
    )
    for layer in range(layers):
        depth_um = 6.8 + 6.3 * layer
        if depth_um > outline.radius_um / outline.stretch - 1:
            break
        x, y, outward = outline.walk(depth_um=depth_um, spacing_um=7.0 + 0.5 * layer)
        x, y = (values + rng.normal(0, 0.8, len(values)) for values in (x, y))
        turned = outward + rng.normal(0, 0.25, len(x))
        plan.nuclei.append(nuclei_at(x, y, NucleusKind.EPITHELIUM, turned, rng=rng, positive=positive))


def scatter(
    rng: np.random.Generator, *, box_um: tuple[float, float, float, float], spacing_um: float, jitter: float = 0.32
) -> tuple[FloatImage, FloatImage]:
    """Return points of a jittered hexagonal grid in a box (left, top, right, bottom), x and y in um."""
    left, top, right, bottom = box_um
    rows = np.arange(top, bottom, spacing_um * 0.87)
    columns = np.arange(left, right, spacing_um)
    x, y = np.meshgrid(columns, rows)
    x += (np.arange(len(rows)) % 2)[:, None] * spacing_um / 2
    x += rng.uniform(-jitter, jitter, x.shape) * spacing_um
    y += rng.uniform(-jitter, jitter, y.shape) * spacing_um
    return x.ravel().astype(np.float32), y.ravel().astype(np.float32)


def _inside_points(
    rng: np.random.Generator, outline: Outline, *, spacing_um: float, depth_um: float
) -> tuple[FloatImage, FloatImage, FloatImage]:
    reach = outline.radius_um * outline.stretch * 1.3
    box = (outline.x_um - reach, outline.y_um - reach, outline.x_um + reach, outline.y_um + reach)
    x, y = scatter(rng, box_um=box, spacing_um=spacing_um)
    dx, dy = x - outline.x_um, y - outline.y_um
    depth = outline.radius(np.arctan2(dy, dx)) - np.hypot(dx, dy)
    keep = depth > depth_um
    return x[keep], y[keep], depth[keep]


def _fill(plan: Plan, rng: np.random.Generator, outline: Outline, *, positive: float) -> None:
    x, y, _ = _inside_points(rng, outline, spacing_um=8.2, depth_um=14)
    keep = plan.at(plan.void, x, y) < -1
    plan.nuclei.append(nuclei_at(x[keep], y[keep], NucleusKind.EPITHELIUM, rng=rng, positive=positive))


def add_lobule(plan: Plan, rng: np.random.Generator, outline: Outline, *, positive: float) -> None:
    """Paint a terminal duct lobular unit: acini crowded in loose, cellular, paler stroma."""
    window, depth = _window(plan, outline, 80)
    bed = smoothstep(-15, 15, depth)
    clear_fat(plan, window, depth, reach_um=8)
    blend(plan.eosin, window, 0.18, bed)
    blend(plan.haematoxylin, window, 0.09, bed)
    blend(plan.fibre, window, 0.8, bed)
    blend(plan.loose, window, 0.06, bed)
    placed: list[tuple[float, float, float]] = []
    x, y, space = _inside_points(rng, outline, spacing_um=34, depth_um=14)
    for index in rng.permutation(len(x)):
        radius = min(rng.uniform(13, 27), space[index])
        if all(np.hypot(x[index] - px, y[index] - py) > radius + pr + 4 for px, py, pr in placed):
            placed.append((float(x[index]), float(y[index]), float(radius)))
    for px, py, pr in placed:
        acinus = outline_at(rng, px, py, pr, wavy=0.05, stretch=1.2)
        secretion = bool(rng.random() < 0.25)
        add_duct(plan, rng, acinus, layers=1, collar_um=2, secretion=secretion, positive=positive)
    x, y, _ = _inside_points(rng, outline, spacing_um=17, depth_um=0)
    kinds = rng.random(len(x)) < 0.45
    for chosen, kind in ((kinds, NucleusKind.LYMPHOCYTE), (~kinds, NucleusKind.FIBROBLAST)):
        free = chosen & (plan.at(plan.fibre, x, y) > 0.6)
        plan.nuclei.append(nuclei_at(x[free], y[free], kind, rng=rng))


def add_aggregate(plan: Plan, rng: np.random.Generator, outline: Outline) -> None:
    """Paint a lymphocyte aggregate: small dark round nuclei, crowded in the middle, thinning outwards."""
    window, depth = _window(plan, outline, 40)
    bed = smoothstep(-0.3 * outline.radius_um, 0.5 * outline.radius_um, depth)
    blend(plan.haematoxylin, window, 0.13, bed)
    blend(plan.eosin, window, 0.20, bed)
    blend(plan.fibre, window, 0.45, bed)
    blend(plan.loose, window, 0.05, bed)
    x, y, depth_at = _inside_points(rng, outline, spacing_um=7.4, depth_um=-0.35 * outline.radius_um)
    keep = rng.random(len(x)) < np.clip(0.25 + 1.3 * depth_at / outline.radius_um, 0.05, 0.92)
    plan.nuclei.append(nuclei_at(x[keep], y[keep], NucleusKind.LYMPHOCYTE, rng=rng))


def add_vessel(plan: Plan, rng: np.random.Generator, outline: Outline, *, red: float) -> None:
    """Paint a vessel: muscular wall, flat endothelium, a lumen with or without red cells (`red`, amount of dye)."""
    wall_um = float(np.clip(outline.radius_um * 0.3, 4, 14))
    window, depth = _window(plan, outline, 70)
    wall = smoothstep(-2, 2, depth)
    clear_fat(plan, window, depth, reach_um=-1)
    blend(plan.across, window, plan.across[plan.clip(outline.x_um, outline.y_um)] + depth, wall)
    blend(plan.loose, window, 0.0, wall)
    blend(plan.eosin, window, 0.34, wall)
    blend(plan.haematoxylin, window, 0.09, wall)
    lumen = depth - wall_um
    clotted = value_noise(rng, depth.shape, cell_px=4, octaves=2)
    if red > 0:
        blend(plan.third, window, red, smoothstep(-1, 1, lumen))
        blend(plan.eosin, window, 0.0, smoothstep(-1, 1, lumen))
        blend(plan.fibre, window, 0.0, smoothstep(-1, 1, lumen))
        plan.void[window] = np.maximum(plan.void[window], np.minimum(lumen, (clotted - 0.9) * 4))
    else:
        plan.void[window] = np.maximum(plan.void[window], lumen)
    x, y, outward = outline.walk(depth_um=wall_um - 1.5, spacing_um=16)
    plan.nuclei.append(nuclei_at(x, y, NucleusKind.FIBROBLAST, outward + np.pi / 2, rng=rng))
    x, y, outward = outline.walk(depth_um=wall_um * 0.4, spacing_um=22)
    plan.nuclei.append(nuclei_at(x, y, NucleusKind.FIBROBLAST, outward + np.pi / 2, rng=rng))
