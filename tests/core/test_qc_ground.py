"""The ground of the stain: glass by the slide's own tissue, and pale places drawn out to half way."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from qc_kit import disc, on_glass, tissue_density

from core.qc.detectors.ground import stain_ground
from core.qc.detectors.stain_level import StainLevels, badly_stained

SHAPE = (320, 400)
EVERYWHERE = np.ones(SHAPE, np.bool_)


def fading(centre: tuple[int, int], radius: float, *, left: float, border: float = 0.0) -> NDArray[np.float32]:
    """Return (H, W) the share of dye left: a disc whose border fades over so many px on either side."""
    rows, columns = np.indices(SHAPE)
    away = np.hypot(rows - centre[0], columns - centre[1]) - radius
    weight = np.clip(0.5 - away / (2 * max(border, 0.5)), 0, 1)
    return (1 - (1 - left) * weight).astype(np.float32)


@pytest.mark.parametrize("strength", [1.0, 0.25])
def test_glass_is_told_by_the_slides_own_tissue(strength: float) -> None:
    """A quarter of the dye is still no glass, and holes are."""
    holes = np.zeros(SHAPE, np.bool_)
    holes[:, 200:] = np.indices(SHAPE)[1][:, 200:] % 20 < 14
    density = on_glass(tissue_density(*SHAPE), ~holes).mean(-1) * np.float32(strength)
    ground = stain_ground(density, EVERYWHERE, um_per_px=4.0)
    assert ground.um_per_px == 16.0
    assert ground.glass.shape == ground.mean.shape == (80, 100)
    assert ground.solid[:, :40].all()
    assert not ground.solid[5:-5, 60:95].any()
    assert float(np.median(ground.mean[:, :40])) == pytest.approx(0.23 * strength, rel=0.3)


def test_a_pale_place_ends_half_way() -> None:
    share = fading((160, 200), 80, left=0.3, border=30)
    ground = stain_ground(tissue_density(*SHAPE).mean(-1) * share, EVERYWHERE, um_per_px=4.0)
    found = ground.pale_extent(share < 0.45)
    truth = disc(SHAPE, 160, 200, 80)
    assert found.sum() == pytest.approx(truth.sum(), rel=0.1)
    assert (share < 0.45).sum() < 0.8 * truth.sum()  # there was something to extend


def test_small_pale_places_keep_their_size() -> None:
    ground = stain_ground(tissue_density(*SHAPE).mean(-1), EVERYWHERE, um_per_px=4.0)
    seed = disc(SHAPE, 160, 200, 12)
    assert (ground.pale_extent(seed) == seed).all()


def test_without_tissue_nothing_is_solid() -> None:
    ground = stain_ground(np.zeros(SHAPE, np.float32), ~EVERYWHERE, um_per_px=4.0)
    assert not ground.solid.any()
    assert not ground.pale_extent(~EVERYWHERE).any()


@pytest.mark.parametrize(
    ("peak", "ground", "pale"),
    [
        (0.15, 0.05, True),  # a third of the dye
        (0.15, 0.17, False),  # collagen without nuclei
        (0.40, 0.05, False),  # nuclei in mucus
        (0.40, 0.17, False),
    ],
)
def test_pale_needs_nuclei_and_ground(peak: float, ground: float, pale: bool) -> None:
    cells = np.ones((8, 8), np.float32)
    peaks, grounds = np.where(np.arange(8) < 4, peak, 0.4) * cells, np.where(np.arange(8) < 4, ground, 0.17) * cells
    levels = StainLevels(peaks.astype(np.float32), grounds.astype(np.float32))
    found, over = badly_stained(levels, cells > 0, ground=levels.mean, kind="he", um_per_px=1.0)
    assert bool(found[:, :3].all()) is pale
    assert not found[:, 5:].any()
    assert not over.any()
