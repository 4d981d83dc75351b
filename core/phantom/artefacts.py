"""Planted artefacts as maps over a plan; the renderer applies them, the truth file outlines them."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from core.phantom.populate import drop_lost_nuclei
from core.phantom.spec import Artefact, ArtefactKind, PhantomSpec
from core.phantom.texture import FloatImage, smoothstep, value_noise
from core.phantom.tissue_layout import STEP_UM, Plan

BLUR_UM = 5.0
"""Standard deviation of a blur of strength 1: about 20 um of depth out of focus with a 20x objective."""
PALE_GAIN = 0.32
"""Share of the dye left in pale stain of strength 1."""
PEN_WIDTH_UM = (150.0, 230.0)
"""Width of a marker's stroke; real markers are wider, the slides here are smaller than real ones."""


@dataclass(slots=True, eq=False)
class Overlay:
    """What artefacts change, at STEP_UM a pixel. None: nothing of that sort on the slide."""

    extra: FloatImage | None = None
    """Optical density added in red, green and blue, (3, H, W)."""
    gain: FloatImage | None = None
    """Factor on all dyes."""
    fold: FloatImage | None = None
    """0-1: a second layer of tissue."""
    blur_um: FloatImage | None = None
    """Standard deviation of the blur in um."""
    masks: list[NDArray[np.bool_]] = field(default_factory=list[NDArray[np.bool_]])
    """Where each artefact of the spec is, in its order."""


def plant_artefacts(plan: Plan, spec: PhantomSpec) -> Overlay:
    """Return the artefacts of a slide. A tear changes the plan itself, in place."""
    overlay = Overlay()
    for number, artefact in enumerate(spec.artefacts):
        rng = np.random.default_rng([spec.seed, 70, number])
        overlay.masks.append(_PLANTERS[artefact.kind](plan, overlay, rng, artefact))
    return overlay


def _place(plan: Plan, rng: np.random.Generator, margin_um: float) -> tuple[float, float]:
    """Return a random point of the tissue at least that deep, or the deepest point."""
    coarse = plan.tissue[::8, ::8]
    deep = np.argwhere(coarse >= min(margin_um, float(coarse.max())))
    row, column = deep[rng.integers(len(deep))] * 8
    return (float(column) + 0.5) * STEP_UM, (float(row) + 0.5) * STEP_UM


def _firm_place(plan: Plan, rng: np.random.Generator, margin_um: float) -> tuple[float, float]:
    """Return a place of the tissue without fat around it, as far as eight tries find one."""
    places = [_place(plan, rng, margin_um) for _ in range(8)]
    reach = int(150 / STEP_UM)

    def fat_around(place: tuple[float, float]) -> float:
        column, row = (int(value / STEP_UM) for value in place)
        return float((plan.fat[max(row - reach, 0) : row + reach, max(column - reach, 0) : column + reach] > 0).mean())

    return min(places, key=fat_around)


def _extent_um(plan: Plan, artefact: Artefact) -> float:
    return artefact.extent * min(plan.shape) * STEP_UM


def _blob(plan: Plan, rng: np.random.Generator, x_um: float, y_um: float, radius_um: float) -> FloatImage:
    """Return the depth in um inside a rounded irregular area."""
    x, y = plan.axes_um()
    wavy = value_noise(rng, plan.shape, cell_px=max(radius_um / STEP_UM, 8))
    return (radius_um * (1 + 0.18 * wavy) - np.hypot(x - x_um, y - y_um)).astype(np.float32)


def _strip(
    plan: Plan, rng: np.random.Generator, x_um: float, y_um: float, *, length_um: float, bend_um: float
) -> tuple[FloatImage, FloatImage]:
    """Return position along (-1 to 1 from end to end) and signed distance in um across a curved strip."""
    x, y = plan.axes_um()
    turn = rng.uniform(0, np.pi)
    s = np.cos(turn) * (x - x_um) + np.sin(turn) * (y - y_um)
    t = -np.sin(turn) * (x - x_um) + np.cos(turn) * (y - y_um)
    phase = rng.uniform(0, 2 * np.pi, 3)
    curve = sum(bend_um / (k + 1) ** 1.3 * np.sin(s / length_um * np.pi * (1.3 * k + 0.9) + phase[k]) for k in range(3))
    return (s / (length_um / 2)).astype(np.float32), (t - curve).astype(np.float32)


def _blur(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    sigma = np.float32(BLUR_UM * artefact.strength)
    if artefact.whole_slide:
        weight = 1 + 0.15 * value_noise(rng, plan.shape, cell_px=300)
        mask = plan.tissue > 0
    else:
        radius = _extent_um(plan, artefact) / 2
        depth = _blob(plan, rng, *_place(plan, rng, radius * 0.6), radius)
        weight = smoothstep(-0.15 * radius, 0.15 * radius, depth)
        mask = (depth > 0) & (plan.tissue > 0)
    overlay.blur_um = np.maximum(0 if overlay.blur_um is None else overlay.blur_um, sigma * weight).astype(np.float32)
    return mask


def _pale(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    left = PALE_GAIN ** min(artefact.strength, 2.0)
    if artefact.whole_slide:
        gain = left * (1 + 0.08 * value_noise(rng, plan.shape, cell_px=300))
        mask = plan.tissue > 0
    else:
        radius = _extent_um(plan, artefact) / 2
        depth = _blob(plan, rng, *_place(plan, rng, radius * 0.5), radius)
        gain = 1 - (1 - left) * smoothstep(-0.25 * radius, 0.25 * radius, depth)
        mask = (depth > 0) & (plan.tissue > 0)
    overlay.gain = (gain if overlay.gain is None else overlay.gain * gain).astype(np.float32)
    return mask


def _fold(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    length = _extent_um(plan, artefact)
    s, t = _strip(plan, rng, *_firm_place(plan, rng, length * 0.12), length_um=length, bend_um=length * 0.06)
    width = rng.uniform(45, 80) * (1 + 0.25 * value_noise(rng, plan.shape, cell_px=60))
    taper = np.sqrt(np.clip(1 - s**2, 0, 1))
    depth = np.where(np.abs(s) < 1, width * taper - np.abs(t), -99).astype(np.float32)
    layer = smoothstep(-1.5, 2.5, depth) * np.float32(min(artefact.strength, 1.6))
    # The crease on one side stands up: a dark line and a soft shadow beside it.
    shadow = 0.16 * np.exp(-np.maximum(-depth, 0) / 14) * (t > 0) * (np.abs(s) < 0.97) * (depth < 0)
    crease = 0.22 * np.exp(-((depth - 4) ** 2) / 12) * (t > 0)
    over_tissue = smoothstep(-4, 4, plan.tissue)
    overlay.fold = np.maximum(0 if overlay.fold is None else overlay.fold, layer * over_tissue).astype(np.float32)
    _add_density(overlay, plan, (shadow + crease) * over_tissue, (1.0, 1.05, 0.95))
    return (depth > 0) & (plan.tissue > 0)


def _tear(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:  # noqa: ARG001
    length = _extent_um(plan, artefact)
    s, t = _strip(plan, rng, *_place(plan, rng, length * 0.1), length_um=length, bend_um=length * 0.09)
    width = rng.uniform(28, 55) * artefact.strength * (1 + 0.35 * value_noise(rng, plan.shape, cell_px=40, octaves=2))
    depth = np.where(np.abs(s) < 1, width * np.clip(1 - np.abs(s) ** 1.5, 0, 1) - np.abs(t), -99)
    depth = np.clip(depth + 4 * value_noise(rng, plan.shape, cell_px=7, octaves=2), -99, 60).astype(np.float32)
    plan.void = np.maximum(plan.void, depth)
    drop_lost_nuclei(plan)
    return (depth > 0) & (plan.tissue > 0)


def _pen(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    length = _extent_um(plan, artefact)
    width = rng.uniform(*PEN_WIDTH_UM) / 2
    x_um, y_um = _place(plan, rng, length * 0.05)
    if plan.lesions:  # marked as a pathologist would: a ring around the tumour
        rows, columns = np.nonzero(plan.lesions[0])
        x_um, y_um = float(columns.mean()) * STEP_UM, float(rows.mean()) * STEP_UM
        length = 2 * (np.sqrt(len(rows) / np.pi) * STEP_UM * 1.3 + width)
    if plan.lesions or rng.random() < 0.4:
        x, y = plan.axes_um()
        theta = np.arctan2(y - y_um, x - x_um)
        wobble = 1 + 0.10 * np.cos(2 * theta + rng.uniform(0, 6)) + 0.05 * np.cos(3 * theta + rng.uniform(0, 6))
        depth = width - np.abs(np.hypot(x - x_um, y - y_um) - length / 2 * wobble)
        grain_along = theta / np.pi
    else:
        s, t = _strip(plan, rng, x_um, y_um, length_um=length, bend_um=length * 0.08)
        beyond = np.maximum(np.abs(s) - 1, 0) * length / 2
        depth, grain_along = width - np.hypot(t, beyond), s
    depth = (depth + 7 * value_noise(rng, plan.shape, cell_px=45, octaves=2)).astype(np.float32)
    streaks = 0.10 * np.sin(depth / 9 + 3 * grain_along) + 0.16 * value_noise(rng, plan.shape, cell_px=70, octaves=3)
    edge = 0.28 * np.exp(-((depth - 12) ** 2) / 160)  # ink gathers at the border of a stroke
    amount = smoothstep(-7, 7, depth) * np.clip(0.8 + streaks + edge, 0.25, 1.5) * 0.8 * artefact.strength
    _add_density(overlay, plan, amount, ink_density(artefact.hue))
    return depth > 0


def ink_density(hue: float) -> tuple[float, float, float]:
    """Return the optical density of marker ink in red, green and blue; a negative hue is black."""
    if hue < 0:
        return (1.05, 1.05, 1.0)
    red, green, blue = (
        float(min(-np.log10(max(value, 0.06)), 1.1)) for value in colorsys.hsv_to_rgb(hue % 1, 0.80, 0.62)
    )
    return red, green, blue


def _bubble(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    radius = _extent_um(plan, artefact) / 2
    x_um, y_um = _place(plan, rng, radius * 0.3)
    x, y = plan.axes_um()
    theta = np.arctan2(y - y_um, x - x_um)
    oval = radius * (1 + 0.06 * np.cos(2 * theta + rng.uniform(0, 6)) + 0.03 * np.cos(3 * theta + rng.uniform(0, 6)))
    depth = (oval - np.hypot(x - x_um, y - y_um)).astype(np.float32)
    # Air refracts: a dark double rim with a bright line between, and a paler, unsharp inside.
    rim = 0.75 * np.exp(-((depth - 8) ** 2) / 90) + 0.3 * np.exp(-((depth - 34) ** 2) / 60)
    bright = -0.10 * np.exp(-((depth - 22) ** 2) / 40)
    lit = 0.75 + 0.25 * np.cos(theta - 0.8)
    inside = smoothstep(0, 30, depth)
    _add_density(overlay, plan, rim * lit + bright + 0.035 * inside, (1.0, 1.0, 0.97))
    gain = 1 - 0.38 * inside * artefact.strength
    overlay.gain = (gain if overlay.gain is None else overlay.gain * gain).astype(np.float32)
    blur = 2.2 * inside
    overlay.blur_um = np.maximum(0 if overlay.blur_um is None else overlay.blur_um, blur).astype(np.float32)
    return depth > 0


def _dust(plan: Plan, overlay: Overlay, rng: np.random.Generator, artefact: Artefact) -> NDArray[np.bool_]:
    mask = np.zeros(plan.shape, np.bool_)
    reach = _extent_um(plan, artefact) / 2
    centre = _place(plan, rng, 0.4 * reach)
    x, y = plan.axes_um()
    amount = np.zeros(plan.shape, np.float32)
    for _ in range(int(26 * artefact.strength)):
        px, py = (value + rng.normal(0, 0.6 * reach) for value in centre)
        size = float(np.clip(rng.lognormal(float(np.log(8)), 0.55), 4, 32))
        rows = slice(max(int((py - 4 * size) / STEP_UM), 0), max(int((py + 4 * size) / STEP_UM), 0))
        columns = slice(max(int((px - 4 * size) / STEP_UM), 0), max(int((px + 4 * size) / STEP_UM), 0))
        dx, dy = x[:, columns] - px, y[rows] - py
        if dx.size == 0 or dy.size == 0:
            continue
        turn, ratio = rng.uniform(0, np.pi), rng.uniform(1, 5) if rng.random() < 0.75 else rng.uniform(15, 40)
        along = (np.cos(turn) * dx + np.sin(turn) * dy) / ratio**0.5
        across = (-np.sin(turn) * dx + np.cos(turn) * dy + dx * dx / (8 * size)) * ratio**0.5
        rough = 0.35 * value_noise(rng, along.shape, cell_px=max(size / STEP_UM / 2, 3), octaves=2)
        depth = (1 - np.hypot(along, across) / size + rough).astype(np.float32)
        amount[rows, columns] = np.maximum(amount[rows, columns], rng.uniform(0.35, 0.95) * smoothstep(0, 0.6, depth))
        mask[rows, columns] |= depth > 0.1
    _add_density(overlay, plan, amount, (0.95, 1.0, 1.08))
    return mask


def _add_density(
    overlay: Overlay, plan: Plan, amount: NDArray[np.floating], colour: tuple[float, float, float]
) -> None:
    if overlay.extra is None:
        overlay.extra = np.zeros((3, *plan.shape), np.float32)
    for channel in range(3):
        overlay.extra[channel] += amount * np.float32(colour[channel])


_PLANTERS = {
    ArtefactKind.BLUR: _blur,
    ArtefactKind.FOLD: _fold,
    ArtefactKind.PEN: _pen,
    ArtefactKind.BUBBLE: _bubble,
    ArtefactKind.DUST: _dust,
    ArtefactKind.TEAR: _tear,
    ArtefactKind.PALE: _pale,
}
