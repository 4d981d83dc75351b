"""The classical detectors, each on drawn tissue that does and does not have what it looks for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from qc_kit import BROWN, PINK, as_rgb, blurred, disc, on_glass, strip, tissue_density
from scipy import ndimage

from core.optics import glass_colour, mean_density, optical_density
from core.qc.compression import STRONG, blockiness
from core.qc.detectors.focus import MIN_FOCUS, band_sums, tile_focus
from core.qc.detectors.fold import fold_evidence
from core.qc.detectors.grey import grey_matter
from core.qc.detectors.pen import pen_mask
from core.qc.detectors.stain import angle_degrees, concentrations, macenko_vectors, stain_facts
from core.qc.detectors.stain_level import StainLevels, badly_stained, stain_levels
from core.qc.detectors.tear import tear_evidence
from core.qc.sections import count_sections
from core.qc.shapes import by_channel, pieces_of

SHAPE = (300, 400)
NOTHING = np.zeros(SHAPE, np.bool_)
EVERYWHERE = ~NOTHING


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


# --------------------------------------------------------------------------------------------------------------- focus


def test_focus_falls_with_blur_and_not_with_pale_stain() -> None:
    density = tissue_density(256, 256, um_per_px=1.0)
    sharp = tile_focus(density.mean(-1), um_per_px=1.0)
    values = [tile_focus(blurred(density, sigma).mean(-1), um_per_px=1.0) for sigma in (1.0, 2.0, 4.0)]
    assert sharp > 0.85
    assert sharp > values[0] > values[1] > values[2]
    assert values[2] < MIN_FOCUS
    assert tile_focus(0.6 * density.mean(-1), um_per_px=1.0) == pytest.approx(sharp, abs=0.1)


def test_focus_looks_at_tissue_and_not_at_glass() -> None:
    density = tissue_density(256, 256, um_per_px=1.0).mean(-1)
    half = density.copy()
    half[:, 128:] = 0.0
    assert tile_focus(half, um_per_px=1.0) == pytest.approx(tile_focus(density, um_per_px=1.0), abs=0.1)
    assert np.isnan(tile_focus(np.zeros((64, 64), np.float32), um_per_px=1.0))


def test_focus_is_told_cell_by_cell() -> None:
    density = tissue_density(512, 512, um_per_px=1.0)
    density[:, 256:] = blurred(density, 4.0)[:, 256:]
    focus = band_sums(density.mean(-1), um_per_px=1.0, cell_px=32).focus()
    assert focus.shape == (16, 16)
    assert focus[:, :7].min() > MIN_FOCUS > focus[:, 9:].max()


# ----------------------------------------------------------------------------------------------------------------- pen


@pytest.mark.parametrize(
    ("name", "ink"),
    [
        ("green", (0.9, 0.25, 0.6)),
        ("blue", (1.0, 0.6, 0.25)),
        ("turquoise", (1.0, 0.35, 0.4)),
        ("red", (0.08, 0.9, 0.85)),
        ("yellow", (0.03, 0.15, 0.9)),
    ],
)
@pytest.mark.parametrize("um_per_px", [4.0, 0.5])
def test_a_stroke_of_any_colour_is_found_on_tissue_and_glass(
    name: str, ink: tuple[float, float, float], um_per_px: float
) -> None:
    """The same picture at another assumed scale too: a crop's scale is often a guess."""
    del name
    tissue = disc(SHAPE, 150, 150, 130)
    stroke = strip(SHAPE, 150, 24)
    density = on_glass(tissue_density(*SHAPE), tissue) + stroke[..., None] * np.array(ink, np.float32) * 0.8
    found = pen_mask(density.astype(np.float32), um_per_px=um_per_px)
    assert dice(found, stroke) > 0.87


INKS = {
    "red": (0.08, 1.0, 0.85),
    "rose": (0.06, 1.0, 0.62),
    "orange": (0.04, 0.6, 1.0),
    "green": (1.0, 0.4, 0.9),
    "blue": (1.0, 0.65, 0.2),
    "black": (1.0, 1.0, 1.0),
}


@pytest.mark.parametrize("name", sorted(INKS))
@pytest.mark.parametrize("um_per_px", [8.0, 1.0])
def test_a_stroke_is_followed_to_its_pale_end(name: str, um_per_px: float) -> None:
    """Ink from plain to a seventh of that, from glass over tissue to glass, whatever scale the image is taken for."""
    tissue = disc(SHAPE, 150, 200, 70)
    stroke = strip(SHAPE, 150, 22)
    fading = np.linspace(1.0, 0.15, SHAPE[1], dtype=np.float32)[None, :]
    ink = np.array(INKS[name], np.float32) * (stroke * fading)[..., None]
    found = pen_mask((on_glass(tissue_density(*SHAPE), tissue) + ink).astype(np.float32), um_per_px=um_per_px)
    assert dice(found, stroke) > 0.87
    assert found[stroke & (np.arange(SHAPE[1]) > 0.8 * SHAPE[1])].mean() > 0.7


def test_a_film_of_the_slides_own_hue_is_no_pen() -> None:
    """Serum on glass beside pink tissue, and tissue that is out of focus."""
    density = on_glass(tissue_density(*SHAPE), disc(SHAPE, 150, 120, 90))
    serum = disc(SHAPE, 150, 320, 60)[..., None] * np.array((0.05, 0.30, 0.20), np.float32)
    assert not pen_mask((density + serum).astype(np.float32), um_per_px=4.0).any()
    for ground in (PINK, BROWN, (0.30, 0.28, 0.12)):
        tissue = on_glass(tissue_density(*SHAPE, ground=ground), disc(SHAPE, 150, 200, 110))
        assert not pen_mask(blurred(tissue, 4.0), um_per_px=4.0).any()


def test_a_small_film_of_a_hue_that_tissue_may_have_is_no_pen() -> None:
    """Colloid in a gland is as smooth and as rose as ink; as broad as a stroke it would be one."""
    section = on_glass(tissue_density(*SHAPE), disc(SHAPE, 150, 200, 130))
    rose = np.array(INKS["rose"], np.float32) * 0.5
    small, broad = (disc(SHAPE, 150, 200, radius)[..., None] * rose for radius in (11, 40))
    assert not pen_mask((section + small).astype(np.float32), um_per_px=8.0).any()
    assert pen_mask((section + broad).astype(np.float32), um_per_px=8.0).any()


def test_glass_beyond_a_coverslip_is_no_black_pen() -> None:
    density = on_glass(tissue_density(*SHAPE), disc(SHAPE, 150, 120, 90))
    beyond = (np.arange(SHAPE[1]) > 300)[None, :, None] * np.float32(0.25)
    assert not pen_mask((density + beyond).astype(np.float32), um_per_px=4.0).any()


@pytest.mark.parametrize("ground", [PINK, (0.12, 0.14, 0.09), BROWN, (0.13, 0.74, 0.64)])
def test_stained_tissue_is_no_pen(ground: tuple[float, float, float]) -> None:
    """H&E, counterstain alone, DAB, and a lake of blood."""
    density = on_glass(tissue_density(*SHAPE, ground=ground), disc(SHAPE, 150, 150, 90))
    assert pen_mask(density, um_per_px=4.0).mean() < 0.01


# ---------------------------------------------------------------------------------------------------------------- grey


def test_dust_an_edge_a_bubble_and_black_ink_are_told_apart() -> None:
    shape = (500, 700)
    density = tissue_density(*shape)
    speck, black = disc(shape, 60, 80, 5), strip(shape, 250, 22, slope=0.0) & (np.arange(700) < 260)
    line = strip(shape, 430, 3, slope=0.1)
    far = np.hypot(*np.ogrid[-150:350, -520:180])
    rim, inside = np.abs(far - 90) <= 5, far <= 95
    for mask, amount in ((speck, 0.9), (black, 1.1), (line, 0.8), (rim, 0.8)):
        density = density + mask[..., None] * np.float32(amount)
    found = grey_matter(density.astype(np.float32), um_per_px=4.0, ink=np.zeros(shape, np.bool_))
    assert dice(found.bubbles, inside) > 0.95
    assert dice(found.strokes, black) > 0.85
    assert found.edges[line & ~inside].mean() > 0.9
    assert found.specks[speck].mean() > 0.8
    for other in (found.bubbles, found.strokes, found.edges):
        assert not other[speck].any()


def test_a_bent_pair_of_lines_is_followed_over_tissue_that_lends_it_colour() -> None:
    """The edge of a coverslip: plain on glass, and over tissue as coloured as that."""
    shape = (300, 420)
    density = on_glass(tissue_density(*shape), disc(shape, 150, 250, 110))
    columns = np.arange(shape[1])[None, :]
    course = 120 + 0.1 * columns + 8e-5 * (columns - 200) ** 2
    off = np.arange(shape[0])[:, None] - course
    edge = 0.35 * (np.abs(off) < 2) + 0.25 * (np.abs(off - 9) < 1.5)
    found = grey_matter((density + edge[..., None]).astype(np.float32), um_per_px=8.0, ink=np.zeros(shape, np.bool_))
    truth = (off > -2) & (off < 10.5)
    assert dice(found.edges, truth) > 0.75
    assert found.edges[truth & disc(shape, 150, 250, 100)].mean() > 0.7
    assert not found.edges[np.abs(off - 4) > 12].any()


@pytest.mark.parametrize("ground", [PINK, (0.12, 0.14, 0.09), BROWN])
def test_clean_tissue_has_no_grey_matter(ground: tuple[float, float, float]) -> None:
    found = grey_matter(tissue_density(*SHAPE, ground=ground), um_per_px=4.0, ink=NOTHING)
    assert not (found.specks | found.edges | found.bubbles | found.strokes).any()


# ---------------------------------------------------------------------------------------------------------- fold, tear


def test_a_doubled_strip_is_a_fold_and_a_cluster_of_another_hue_is_not() -> None:
    density = tissue_density(*SHAPE)
    band = strip(SHAPE, 100, 12) & (np.arange(400) > 60) & (np.arange(400) < 340)
    cluster = strip(SHAPE, 230, 12) & (np.arange(400) > 100) & (np.arange(400) < 300)
    density[band] *= 2.6
    density[cluster] = np.array((0.6, 0.55, 0.35)) * 1.3
    found = fold_evidence(density, EVERYWHERE, um_per_px=4.0)
    assert dice(found.sure & strip(SHAPE, 100, 40), band) > 0.8
    assert found.sure[cluster].mean() < 0.05
    assert not fold_evidence(tissue_density(*SHAPE), EVERYWHERE, um_per_px=4.0).maybe.any()
    assert not fold_evidence(density, NOTHING, um_per_px=4.0).maybe.any()


def test_a_slit_in_solid_tissue_is_a_tear_and_a_lumen_is_none() -> None:
    gap = strip(SHAPE, 100, 6) & (np.arange(400) > 60) & (np.arange(400) < 340)
    lumen = disc(SHAPE, 220, 200, 25)
    density = on_glass(tissue_density(*SHAPE), ~gap & ~lumen)
    found = tear_evidence(density, ~gap & ~lumen, um_per_px=4.0)
    assert found.sure[gap].mean() > 0.75
    assert not found.maybe[lumen].any()


def test_slits_side_by_side_may_be_anything() -> None:
    """Spaces between fronds or fat cells: for a tear the network has to agree."""
    rows = np.arange(300)[:, None] + 0.15 * np.arange(400)
    fronds = (rows % 24 < 9) & (np.abs(np.arange(400) - 200) < 150)
    found = tear_evidence(on_glass(tissue_density(*SHAPE), ~fronds), EVERYWHERE, um_per_px=4.0)
    assert not found.sure.any()
    assert found.maybe[fronds].mean() > 0.5


# --------------------------------------------------------------------------------------------------------------- stain


def test_vectors_and_amounts_of_mixed_dyes_come_back() -> None:
    rng = np.random.default_rng(3)
    dyes = np.array([[0.65, 0.70, 0.29], [0.12, 0.80, 0.58]])
    dyes /= np.linalg.norm(dyes, axis=1, keepdims=True)
    amounts = rng.uniform(0, 1, (20_000, 2)) * rng.choice([0.05, 1.0], (20_000, 2))
    density = (amounts @ dyes + rng.normal(0, 0.005, (20_000, 3))).astype(np.float32)
    stained = density[(density > 0.15).any(-1)]
    found = macenko_vectors(stained)
    assert found is not None
    found = found[np.argsort(-found[:, 0] / found.sum(1))]
    assert max(angle_degrees(one, other) for one, other in zip(found, dyes, strict=True)) < 6
    assert np.abs(concentrations(density, dyes) - amounts).mean() < 0.02
    facts = stain_facts(density)
    assert (facts.kind, facts.method, facts.names) == ("he", "macenko", ("haematoxylin", "eosin"))
    assert facts.angle_degrees == pytest.approx(angle_degrees(*dyes), abs=6)


def test_too_little_tissue_gets_the_published_vectors() -> None:
    facts = stain_facts(np.zeros((5, 3), np.float32))
    assert (facts.kind, facts.method) == ("unknown", "ruifrok")
    assert facts.vectors[0] == pytest.approx((0.650, 0.704, 0.286), abs=0.01)
    assert stain_facts(np.zeros((0, 3), np.float32)).concentrations == (0.0, 0.0)


@pytest.mark.parametrize(
    ("ground", "kind"), [(PINK, "he"), (BROWN, "ihc"), ((0.04, 0.06, 0.04), "ihc"), ((0.16, 0.24, 0.13), "he")]
)
def test_the_kind_of_stain_is_told_by_colour(ground: tuple[float, float, float], kind: str) -> None:
    """The last two: a counterstain alone, whose ground is pale, and violet H&E with little eosin."""
    assert stain_facts(tissue_density(*SHAPE, ground=ground).reshape(-1, 3)).kind == kind


@pytest.mark.parametrize(("share", "pale", "over"), [(1.0, 0.0, 0.0), (0.25, 1.0, 0.0), (5.0, 0.0, 1.0)])
def test_pale_and_over_stained_cells(share: float, pale: float, over: float) -> None:
    density = tissue_density(256, 256, um_per_px=1.0) * np.float32(share)
    levels = stain_levels(density.mean(-1), cell_px=32)
    found = badly_stained(levels, np.ones((8, 8), np.bool_), ground=levels.mean, kind="he", um_per_px=1.0)
    assert (found[0].mean(), found[1].mean()) == (pale, over)


def test_a_pale_half_is_found_by_the_other_half() -> None:
    density = tissue_density(512, 512, um_per_px=1.0).mean(-1)
    density[:, 256:] *= 0.36
    levels = stain_levels(density, cell_px=32)
    pale, _ = badly_stained(levels, np.ones((16, 16), np.bool_), ground=levels.mean, kind="he", um_per_px=1.0)
    assert pale[:, 9:].mean() > 0.9
    assert pale[:, :7].mean() < 0.1


# ------------------------------------------------------------------------------------------------ compression, sections


def test_blockiness_rises_with_compression(tmp_path: Path) -> None:
    rgb = as_rgb(tissue_density(256, 256, um_per_px=0.5))
    plain = blockiness(rgb.mean(-1))
    values = []
    for quality in (85, 10):
        Image.fromarray(rgb).save(tmp_path / "x.jpg", quality=quality)
        values.append(blockiness(np.asarray(Image.open(tmp_path / "x.jpg")).mean(-1)))
    assert plain == pytest.approx(1.0, abs=0.1)
    assert plain <= values[0] < STRONG < values[1]
    assert np.isnan(blockiness(np.zeros((20, 200))))
    assert np.isnan(blockiness(np.zeros((200, 200))))


@pytest.mark.parametrize(("centres", "expected"), [((), 0), ((80,), 1), ((80, 300), 2)])
def test_sections_are_counted_without_crumbs(centres: tuple[int, ...], expected: int) -> None:
    tissue = NOTHING.copy()
    for column in centres:
        tissue |= disc(SHAPE, 150, column, 60)
    if centres:
        tissue |= disc(SHAPE, 20, 200, 3)
    assert count_sections(tissue, um_per_px=16.0) == expected


def test_a_cracked_section_is_one() -> None:
    tissue = disc(SHAPE, 150, 200, 100) & ~strip(SHAPE, 150, 2)
    assert count_sections(tissue, um_per_px=16.0) == 1


def test_pieces_know_their_width_and_length() -> None:
    mask = NOTHING.copy()
    mask[50:60, 20:320] = True
    mask |= disc(SHAPE, 200, 200, 30)
    found = pieces_of(mask)
    band, blob = found.labels[55, 100], found.labels[200, 200]
    assert found.width_px[band] == pytest.approx(10, rel=0.1)
    assert found.length_px[band] == pytest.approx(300, rel=0.1)
    assert found.length_px[blob] / found.width_px[blob] < 2.5
    assert found.where(found.area_px > 2500).sum() == mask.sum()
    assert not found.where(np.ones(len(found.area_px), np.bool_))[0, 0]


def test_mean_density_is_the_mean_of_optical_density() -> None:
    rgb = as_rgb(tissue_density(40, 50))
    glass = glass_colour(rgb)
    assert np.allclose(mean_density(rgb, glass=glass), optical_density(rgb, glass=glass).mean(-1), atol=1e-5)


def test_channels_in_one_piece_are_the_same_array() -> None:
    planes = [np.full((3, 4), value, np.float32) for value in (1, 2, 3)]
    assert by_channel(planes)[2, 3].tolist() == [1, 2, 3]
    assert ndimage.sum(by_channel(planes)) == 72


@pytest.mark.parametrize(
    ("density", "um_per_px", "pale"),
    [(0.13, 1.0, True), (0.17, 3.0, False), (0.13, 3.0, True), (0.13, 8.0, False), (0.06, 8.0, True)],
)
def test_what_coarse_pixels_mix_is_not_pale_for_that(density: float, um_per_px: float, pale: bool) -> None:
    cells = np.full((6, 6), density, np.float32)
    levels, solid = StainLevels(cells, cells), np.ones(cells.shape, np.bool_)
    found, over = badly_stained(levels, solid, ground=cells / 2, kind="he", um_per_px=um_per_px)
    assert bool(found.all()) is pale
    assert bool(found.any()) is pale
    assert not over.any()
