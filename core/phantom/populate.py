"""Where structures go: from an empty plan to a full one."""

from __future__ import annotations

import numpy as np

from core.domain import Stain
from core.phantom.lesions import add_lesion
from core.phantom.nuclei import NucleusKind, join, nuclei_at
from core.phantom.spec import PhantomSpec
from core.phantom.structures import add_aggregate, add_duct, add_lobule, add_vessel, outline_at
from core.phantom.texture import value_noise
from core.phantom.tissue_layout import STEP_UM, Plan, direction, empty_plan

_TRIES = 400


class _Sites:
    """Hands out places in tissue that do not overlap."""

    def __init__(self, plan: Plan, rng: np.random.Generator) -> None:
        self._plan = plan
        self._rng = rng
        self._taken: list[tuple[float, float, float]] = []
        self._inside = np.argwhere(plan.tissue[::8, ::8] > 0) * 8

    def deepest(self, *, at_least_um: float) -> tuple[float, float] | None:
        """Return the point furthest from the tissue's edge, or None if even that is not deep enough or is taken."""
        depth = self._plan.tissue.copy()
        x, y = self._plan.axes_um()
        for taken_x, taken_y, radius in self._taken:
            depth[np.hypot(x - taken_x, y - taken_y) < radius + at_least_um] = -1
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        if depth[row, column] < at_least_um:
            return None
        place = (float(x[0, column]), float(y[row, 0]))
        self._taken.append((*place, at_least_um))
        return place

    def find(self, radius_um: float, *, in_fat: bool = False) -> tuple[float, float] | None:
        """Return a free place of that radius, or None when none is found."""
        best: tuple[float, float] | None = None
        for _ in range(_TRIES if not self._taken else 60):
            row, column = self._inside[self._rng.integers(len(self._inside))]
            x, y = (float(column) + 0.5) * STEP_UM, (float(row) + 0.5) * STEP_UM
            if self._plan.tissue[row, column] < radius_um + 15 or (self._plan.fat[row, column] > 0 and not in_fat):
                continue
            if all(np.hypot(x - tx, y - ty) > radius_um + taken for tx, ty, taken in self._taken):
                best = (x, y)
                break
        if best is not None:
            self._taken.append((*best, radius_um))
        return best


def make_plan(spec: PhantomSpec) -> Plan:
    """Return the finished plan of a slide: all structures and nuclei, no artefacts.

    Raises:
        ValueError: a lesion is too large for the tissue.
    """
    plan = empty_plan(spec)
    sites = _Sites(plan, np.random.default_rng([spec.seed, 3]))
    for number, lesion in enumerate(spec.lesions):
        place = sites.find(lesion.diameter_um / 2) or sites.find(lesion.diameter_um / 2.8, in_fat=True)
        place = place or sites.deepest(at_least_um=lesion.diameter_um / 5)
        if place is None:
            raise ValueError(f"No room for a lesion of {lesion.diameter_um:g} um on phantom {spec.seed}.")
        add_lesion(plan, np.random.default_rng([spec.seed, 40, number]), lesion, x_um=place[0], y_um=place[1])
    _add_benign(plan, sites, np.random.default_rng([spec.seed, 5]), spec)
    _add_stromal_cells(plan, np.random.default_rng([spec.seed, 6]), cellularity=spec.tissue.cellularity)
    drop_lost_nuclei(plan)
    return plan


def _add_benign(plan: Plan, sites: _Sites, rng: np.random.Generator, spec: PhantomSpec) -> None:
    mix, area = spec.tissue, plan.tissue_mm2
    # Drawn whatever the stain: an IHC slide of the same seed is the next section of the same tissue.
    positive = rng.uniform(0.2, 0.5)
    for _ in range(rng.poisson(mix.lobules_per_mm2 * area)):
        radius = rng.uniform(90, 230)
        if (place := sites.find(radius + 10)) is not None:
            add_lobule(plan, rng, outline_at(rng, *place, radius, wavy=0.07), positive=positive)
    for _ in range(rng.poisson(mix.ducts_per_mm2 * area)):
        radius = float(np.clip(rng.lognormal(float(np.log(62)), 0.45), 30, 220))
        if (place := sites.find(radius * 1.25 + 20)) is not None:
            layers = 99 if rng.random() < 0.22 and radius > 45 else int(rng.integers(1, 4))
            add_duct(
                plan,
                rng,
                outline_at(rng, *place, radius, wavy=0.06, stretch=1.5),
                layers=layers,
                collar_um=rng.uniform(15, 45),
                secretion=bool(rng.random() < 0.25),
                positive=positive,
            )
    for _ in range(rng.poisson(mix.aggregates_per_mm2 * area)):
        radius = rng.uniform(45, 150)
        if (place := sites.find(radius)) is not None:
            add_aggregate(plan, rng, outline_at(rng, *place, radius, wavy=0.12, stretch=1.5))
    for _ in range(rng.poisson(mix.vessels_per_mm2 * area)):
        radius = float(np.clip(rng.lognormal(float(np.log(17)), 0.5), 8, 90))
        if (place := sites.find(radius + 8, in_fat=True)) is not None:
            red = rng.uniform(0.35, 0.6) if rng.random() < 0.55 else 0.0
            red = red if spec.stain is Stain.HE else 0.0
            add_vessel(plan, rng, outline_at(rng, *place, radius, wavy=0.05, stretch=1.7), red=red)


def _add_stromal_cells(plan: Plan, rng: np.random.Generator, *, cellularity: float) -> None:
    """Scatter fibroblasts along the fibres, a few lymphocytes, and flat nuclei in the rims of fat cells."""
    height_um, width_um = plan.shape[0] * STEP_UM, plan.shape[1] * STEP_UM
    count = int(1500e-6 * cellularity * height_um * width_um)
    x = rng.uniform(0, width_um, count).astype(np.float32)
    y = rng.uniform(0, height_um, count).astype(np.float32)
    crowding = plan.at(value_noise(rng, plan.shape, cell_px=110, octaves=2), x, y)
    void, fibre = plan.at(plan.void, x, y), plan.at(plan.fibre, x, y)
    stroma = (void < -2) & (fibre > 0.8) & (rng.random(count) < np.clip(0.55 + 0.3 * crowding, 0.1, 1))
    immune = rng.random(count) < 0.12
    spindle = stroma & ~immune
    slope = direction(plan, plan.across, x[spindle], y[spindle])
    turned = slope + np.pi / 2 + rng.normal(0, 0.22, int(spindle.sum()))
    plan.nuclei.append(nuclei_at(x[spindle], y[spindle], NucleusKind.FIBROBLAST, turned, rng=rng))
    plan.nuclei.append(nuclei_at(x[stroma & immune], y[stroma & immune], NucleusKind.LYMPHOCYTE, rng=rng))
    rims = (void < 0.5) & (fibre < 0.6) & (fibre > 0.2) & (rng.random(count) < 0.3)
    slope = direction(plan, plan.void, x[rims], y[rims])
    plan.nuclei.append(nuclei_at(x[rims], y[rims], NucleusKind.FIBROBLAST, slope + np.pi / 2, rng=rng))


def drop_lost_nuclei(plan: Plan) -> None:
    """Drop nuclei that a later structure or a tear left hanging over glass; joins the plan's lists into one."""
    nuclei = join(plan.nuclei)
    plan.nuclei = [nuclei.take(plan.at(plan.void, nuclei.x_um, nuclei.y_um) < 1.5)]
