"""Folds: doubled strips are outlined to their area, and what only resembles one is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from qc_kit import PINK, VIOLET, blurred, by_channel, disc, on_glass, tissue_density

from core.qc.detectors.fold import SURE, fold_evidence, strips_of
from core.qc.detectors.ribbon import outlined
from core.qc.detectors.strips import find_strips

SHAPE = (300, 400)
UM = 4.0
PALE = (0.05, 0.085, 0.06)
PALE_NUCLEI = (0.08, 0.10, 0.05)
EVERYWHERE = np.ones(SHAPE, np.bool_)


def bent(half_width: float, *, ends: tuple[int, int] = (60, 340), row: float = 150) -> NDArray[np.bool_]:
    """A strip that bends twice and tapers at both ends, half its greatest width given in pixels."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    along = (columns - sum(ends) / 2) / ((ends[1] - ends[0]) / 2)
    half = half_width * np.sqrt(np.clip(1 - along**4, 0, 1))
    return np.abs(rows - row - 25 * np.sin(columns / 60)) < half


def added(density: NDArray[np.float32], where: NDArray[np.bool_], second: NDArray[np.float32]) -> NDArray[np.float32]:
    return by_channel([density[..., c] + where * second[..., c] for c in range(3)])


def grounds(*, pale: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Two layers of the same tissue."""
    dyes = (PALE, PALE_NUCLEI) if pale else (PINK, VIOLET)
    first, second = (tissue_density(*SHAPE, ground=dyes[0], nuclei=dyes[1], seed=seed) for seed in (1, 2))
    return first, second


@pytest.mark.parametrize("pale", [False, True])
@pytest.mark.parametrize("half_width", [7, 14, 25])
def test_a_second_layer_is_outlined_to_its_area(half_width: float, pale: bool) -> None:
    first, second = grounds(pale=pale)
    fold = bent(half_width)
    found = fold_evidence(added(first, fold, second), EVERYWHERE, um_per_px=UM).sure
    assert found.sum() == pytest.approx(fold.sum(), rel=0.1)
    assert (found & fold).sum() > 0.9 * fold.sum()


def test_the_shadow_of_a_raised_edge_is_no_part_of_the_fold() -> None:
    """It is grey, and in pale tissue as dark as the fold itself."""
    first, second = grounds(pale=True)
    fold = bent(14)
    shadow = np.roll(fold, 5, axis=0) & ~fold
    grey = np.full((*SHAPE, 3), 0.08, np.float32)
    found = fold_evidence(added(added(first, fold, second), shadow, grey), EVERYWHERE, um_per_px=UM).sure
    assert (found & fold).sum() > 0.85 * fold.sum()
    assert (found & shadow).sum() < 0.25 * shadow.sum()


def test_tissue_of_one_layer_has_no_fold() -> None:
    for pale in (False, True):
        assert not fold_evidence(grounds(pale=pale)[0], EVERYWHERE, um_per_px=UM).maybe.any()


def _other_hue(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, bent(14), np.broadcast_to(np.float32((0.35, 0.40, 0.2)), (*SHAPE, 3)))


def _grey(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, bent(14), np.full((*SHAPE, 3), 0.3, np.float32))


def _round(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, disc(SHAPE, 150, 200, 40), first)


def _ring(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, disc(SHAPE, 150, 200, 60) & ~disc(SHAPE, 150, 200, 45), first)


def _gradual(first: NDArray[np.float32]) -> NDArray[np.float32]:
    soft = blurred(np.repeat(bent(14)[..., None], 3, axis=2).astype(np.float32), 12)
    return np.asarray(first * (1 + soft), np.float32)


def _slightly(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, bent(14), np.asarray(0.3 * first, np.float32))


def _short(first: NDArray[np.float32]) -> NDArray[np.float32]:
    return added(first, bent(7, ends=(190, 225)), first)


@pytest.mark.parametrize("altered", [_other_hue, _grey, _round, _ring, _gradual, _slightly, _short])
def test_what_only_resembles_a_fold_is_none(altered) -> None:
    assert not fold_evidence(altered(grounds(pale=False)[0]), EVERYWHERE, um_per_px=UM).sure.any()


def test_a_strand_of_tissue_between_glass_is_no_fold() -> None:
    strand = bent(14)
    density = on_glass(grounds(pale=False)[0], strand)
    assert not fold_evidence(density, strand, um_per_px=UM).maybe.any()
    assert not fold_evidence(density, EVERYWHERE, um_per_px=UM).sure.any()


def test_a_picture_too_small_to_compare_in_has_no_fold() -> None:
    first, second = grounds(pale=False)
    density = added(first, bent(14), second)
    assert strips_of(density[:80, :80], EVERYWHERE[:80, :80], um_per_px=UM) == []
    assert strips_of(density, ~EVERYWHERE, um_per_px=UM) == []


@pytest.mark.parametrize("um_per_px", [2.0, 8.0])
def test_the_same_fold_is_found_at_other_scales(um_per_px: float) -> None:
    first, second = grounds(pale=False)
    fold = bent(10)
    found = fold_evidence(added(first, fold, second), EVERYWHERE, um_per_px=um_per_px).sure
    assert (found & fold).sum() > 0.8 * fold.sum()
    assert found.sum() < 1.2 * fold.sum()


def test_a_strip_is_traced_along_its_middle_and_its_edges_are_met() -> None:
    strip = bent(10)
    amount = np.where(strip, 2.0, 1.0).astype(np.float32)
    seen = np.ones(SHAPE, np.float32)
    traced, *_ = find_strips(amount, seen, um_per_px=10.0)
    rows, columns = np.rint(traced.path_px).astype(int).T
    assert strip[rows, columns].mean() > 0.8
    ribbon = outlined(traced.path_px, traced.width_px, amount, seen, um_per_px=UM)
    assert ribbon is not None
    drawn = ribbon.drawn(SHAPE, um_per_px=UM)
    assert 2 * (drawn & strip).sum() / (drawn.sum() + strip.sum()) > 0.93
    even = np.ones(SHAPE, np.float32)
    assert find_strips(even, even, um_per_px=10.0) == ()
    assert outlined(traced.path_px, traced.width_px, even, even, um_per_px=UM) is None


def test_a_doubled_strip_has_the_facts_of_one() -> None:
    first, second = grounds(pale=False)
    facts = max(
        (facts for _, facts in strips_of(added(first, bent(14), second), EVERYWHERE, um_per_px=UM)),
        key=lambda f: f.area_um2,
    )
    assert SURE.hold(facts)
    assert facts.ratio == pytest.approx(2.0, abs=0.15)
    assert facts.width_um == pytest.approx(8 * 14 * 0.87, rel=0.1)
    assert facts.hue_degrees < 2
    assert facts.both_sides == pytest.approx(1.0, abs=0.05)
