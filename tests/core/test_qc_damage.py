"""Damage: debris, splits and tears, found on drawn tissue, and what looks like them but is sound."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from qc_kit import disc, on_glass, strip, tissue_density
from scipy import ndimage

from core.qc.detectors.debris import debris_evidence
from core.qc.detectors.split import split_evidence
from core.qc.detectors.tear import beside_openings, glass_limit, tear_evidence
from core.qc.sections import count_sections

SHAPE = (300, 400)
NOTHING = np.zeros(SHAPE, np.bool_)
ROWS, COLUMNS = np.indices(SHAPE)
SECTION = COLUMNS < 150
BEYOND = (COLUMNS > 165) & (COLUMNS < 300)


def scattered(*, spacing: int, radius: float, seed: int = 0) -> NDArray[np.bool_]:
    """Return discs beside the section that do not touch each other."""
    rng = np.random.default_rng(seed)
    found = NOTHING.copy()
    for row in range(20, 290, spacing):
        for column in range(175, 295, spacing):
            y, x = (at + rng.uniform(-1.5, 1.5) for at in (row, column))
            found |= disc(SHAPE, y, x, radius * rng.uniform(0.8, 1.2))
    return found


def debris(matter: NDArray[np.bool_], *, ground: tuple[float, float, float] | None = None):
    density = tissue_density(*SHAPE) if ground is None else tissue_density(*SHAPE, ground=ground, nuclei=ground)
    return debris_evidence(on_glass(density, matter), matter, ignored=NOTHING, um_per_px=4.0)


# --------------------------------------------------------------------------------------------------------------- debris


def test_islands_beside_a_section_are_debris() -> None:
    islands = scattered(spacing=14, radius=3.5)
    found = debris(SECTION | islands)
    assert found.sure[islands].mean() > 0.7
    assert found.sure[BEYOND].mean() > 0.6  # the glass between them as well
    assert found.maybe[found.sure].all()
    assert not found.maybe[:, :130].any()
    assert not found.maybe[:, 330:].any()


@pytest.mark.parametrize(
    "matter",
    [
        SECTION,
        SECTION | scattered(spacing=60, radius=3.5),  # a few loose cells, as beside most sections
        SECTION | disc(SHAPE, 100, 230, 40) | disc(SHAPE, 220, 230, 40),  # pieces of their own
        SECTION | (BEYOND & ~scattered(spacing=14, radius=5)),  # fat: the same discs, but as holes
        SECTION | (BEYOND & (ROWS % 12 < 4)),  # fronds, fibres
    ],
)
def test_what_hangs_together_is_no_debris(matter: NDArray[np.bool_]) -> None:
    assert not debris(matter).maybe.any()


def test_red_cells_are_no_debris() -> None:
    """Loose blood is all islands too, but takes no red light."""
    assert not debris(SECTION | scattered(spacing=14, radius=3.5), ground=(0.03, 0.35, 0.25)).maybe.any()


def test_a_smear_without_a_section_is_no_debris() -> None:
    wide = np.zeros((900, 900), np.bool_)
    wide[::20, ::20] = True
    cells = np.asarray(ndimage.binary_dilation(wide, iterations=3), np.bool_)
    density = on_glass(tissue_density(900, 900), cells)
    nothing = np.zeros_like(cells)
    assert not debris_evidence(density, cells, ignored=nothing, um_per_px=4.0).maybe.any()
    cells[400:500] = True
    density = on_glass(tissue_density(900, 900), cells)
    assert debris_evidence(density, cells, ignored=nothing, um_per_px=4.0).maybe.any()


def test_without_tissue_there_is_no_damage() -> None:
    glass = np.zeros((*SHAPE, 3), np.float32)
    found = debris_evidence(glass, NOTHING, ignored=NOTHING, um_per_px=4.0)
    assert not found.maybe.any()
    assert not split_evidence(glass, NOTHING, um_per_px=4.0).any()
    assert not tear_evidence(glass, NOTHING, um_per_px=4.0).maybe.any()


# --------------------------------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize("half_width", [8, 25, 45])
def test_a_gap_between_parallel_edges_may_be_a_split(half_width: int) -> None:
    gap = strip(SHAPE, 150, half_width)
    found = split_evidence(on_glass(tissue_density(*SHAPE), ~gap), ~gap, um_per_px=4.0)
    assert found[gap].mean() > 0.9
    assert not found[~np.asarray(ndimage.binary_dilation(gap, iterations=10), np.bool_)].any()


def test_a_sliver_along_the_gap_is_part_of_the_split() -> None:
    gap, sliver = strip(SHAPE, 150, 40), strip(SHAPE, 160, 3)
    found = split_evidence(on_glass(tissue_density(*SHAPE), ~gap | sliver), ~gap | sliver, um_per_px=4.0)
    assert found[gap].mean() > 0.9


@pytest.mark.parametrize(
    "gap",
    [
        disc(SHAPE, 150, 200, 45),  # a lumen
        strip(SHAPE, 150, 3),  # a cleft
        strip(SHAPE, 150, 80),  # glass between two sections
        COLUMNS > 200,  # the end of the section
        (np.abs(ROWS - 150) < (COLUMNS - 100) / 3) & (COLUMNS > 100),  # a notch
    ],
)
def test_other_gaps_are_no_splits(gap: NDArray[np.bool_]) -> None:
    assert not split_evidence(on_glass(tissue_density(*SHAPE), ~gap), ~gap, um_per_px=4.0).any()


# ---------------------------------------------------------------------------------------------------------------- tears


def test_glass_is_measured_by_the_tissue() -> None:
    assert glass_limit(0.3) == 0.035
    assert glass_limit(0.08) == pytest.approx(0.024)
    assert glass_limit(0.0) == 0.012


def test_pale_tissue_is_not_one_gap() -> None:
    """With a ground below what is glass in H&E a tear is a tear still."""
    gap = strip(SHAPE, 150, 6) & (COLUMNS > 60) & (COLUMNS < 340)
    pale = tissue_density(*SHAPE, ground=(0.03, 0.034, 0.025), nuclei=(0.2, 0.25, 0.15))
    found = tear_evidence(on_glass(pale, ~gap), ~gap, um_per_px=4.0)
    assert found.sure[gap].mean() > 0.7
    assert found.sure[~np.asarray(ndimage.binary_dilation(gap, iterations=4), np.bool_)].mean() < 0.005


def test_an_opening_is_wider_than_a_cleft() -> None:
    gaps = (np.abs(COLUMNS - 100) < 8) | (np.abs(COLUMNS - 300) < 2)  # 60 and 12 um wide
    near = beside_openings(on_glass(tissue_density(*SHAPE), ~gaps), ~gaps, um_per_px=4.0)
    assert near[:, 85:116].all()
    assert not near[:, 140:].any()
    assert not beside_openings(tissue_density(*SHAPE), ~NOTHING, um_per_px=4.0).any()


def test_a_tear_goes_on_behind_fibres_that_bridge_it() -> None:
    tear = strip(SHAPE, 150, 6) & (COLUMNS > 40) & (COLUMNS < 300)
    bridge = (COLUMNS > 200) & (COLUMNS < 207)
    aside = disc(SHAPE, 60, 290, 12)
    gap = (tear & ~bridge) | aside
    found = tear_evidence(on_glass(tissue_density(*SHAPE), ~gap), ~gap, um_per_px=4.0)
    assert found.sure[tear & (COLUMNS > 215) & (COLUMNS < 290)].mean() > 0.7
    assert not found.sure[aside].any()


# ------------------------------------------------------------------------------------------------------------- sections


@pytest.mark.parametrize(("gap_px", "expected"), [(2, 2), (30, 2)])
def test_round_pieces_that_come_near_each_other_are_two(gap_px: int, expected: int) -> None:
    tissue = disc(SHAPE, 150, 100, 60) | disc(SHAPE, 150, 221 + gap_px, 60)
    assert count_sections(tissue, um_per_px=16.0) == expected


def test_halves_of_a_torn_section_are_one() -> None:
    assert count_sections(disc(SHAPE, 150, 200, 100) & ~strip(SHAPE, 150, 2, slope=0.5), um_per_px=16.0) == 1
