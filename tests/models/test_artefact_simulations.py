"""Every simulated artefact: seeded, plain where it says, and nowhere else; and each does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from models.artefacts.change import changed, density, light
from models.artefacts.classes import CLASSES, CLEAN, NEEDS_TISSUE, SIMULATIONS
from models.artefacts.damage import crush, open_gap, smear
from models.artefacts.debris import debris
from models.artefacts.defocus import disc, disc_blur, gaussian
from models.artefacts.pen import pen
from models.artefacts.shapes import Line, any_colour, band, hue_colour, random_line, smooth_noise, soft_step
from models.artefacts.stain import ORDINARY, OVER, PALE, stain, tissue_density
from models.artefacts.staining import as_ihc, ordinary, vary_he
from models.artefacts.structures import border, fat, lumens
from tests.models.artefact_kit import tissue

NAMES = tuple(SIMULATIONS)


def test_the_classes_are_the_words_of_the_log_in_their_order() -> None:
    assert CLASSES == (
        "clean",
        "out_of_focus",
        "fold",
        "pen",
        "bubble_edge",
        "dark_spot_foreign",
        "damaged",
        "stain",
    )
    assert CLASSES[0] == CLEAN
    assert set(CLASSES) > NEEDS_TISSUE


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_a_change_keeps_to_its_mask_and_its_core_to_the_mask(name: str, seed: int) -> None:
    clean = tissue(seed=seed % 5)
    found = SIMULATIONS[name](clean, np.random.default_rng(seed))
    assert found.image.dtype == np.float32
    assert found.image.shape == clean.shape
    assert found.image.min() >= 0
    assert found.image.max() <= 255
    assert (found.image[~found.mask] == clean[~found.mask]).all()
    assert not (found.core & ~found.mask).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_tile_and_another_another(name: str) -> None:
    clean = tissue()
    first, again, other = (SIMULATIONS[name](clean, np.random.default_rng(seed)).image for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_clean_tile_is_left_as_it_was(name: str) -> None:
    clean = tissue()
    before = clean.copy()
    SIMULATIONS[name](clean, np.random.default_rng(1))
    assert (clean == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_called_plain_is_seen_in_the_picture(name: str) -> None:
    clean = tissue()
    plain = [SIMULATIONS[name](clean, np.random.default_rng(seed)) for seed in range(20)]
    moved = [np.abs(found.image - clean)[found.core].mean() for found in plain if found.core.any()]
    assert len(moved) >= 15
    assert np.median(moved) > 5  # grey levels


def test_changed_cuts_off_what_lies_outside_its_mask_and_range() -> None:
    clean = np.full((2, 2, 3), 100, np.float32)
    mask = np.array([[True, False], [False, False]])
    found = changed(clean, np.full((2, 2, 3), 999.0), mask=mask, core=np.ones((2, 2), bool))
    assert found.image[0, 0].tolist() == [255, 255, 255]
    assert (found.image[1] == 100).all()
    assert (found.core == mask).all()


def test_light_is_the_reverse_of_density() -> None:
    image = tissue()
    assert light(density(image)) == pytest.approx(image, abs=1e-2)
    assert density(np.full((1, 1, 3), 255.0)).tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize("radius", [0.4, 1.0, 2.5, 7.0])
def test_a_disc_sums_to_one_is_round_and_of_its_radius(radius: float) -> None:
    found = disc(radius)
    assert found.sum() == pytest.approx(1)
    assert (found == found.T).all()
    assert (found == found[::-1]).all()
    if radius > 2:
        assert 1 / found.max() == pytest.approx(np.pi * radius**2, rel=0.35)


@pytest.mark.parametrize(
    "blur", [lambda image: gaussian(image, sigma_px=2), lambda image: disc_blur(image, radius_px=4)]
)
def test_defocus_takes_detail_and_keeps_brightness(blur) -> None:
    image = tissue()
    found = blur(image)
    assert found.shape == image.shape
    assert found.mean() == pytest.approx(image.mean(), abs=1)
    assert ndimage.laplace(found.mean(-1)).std() < 0.2 * ndimage.laplace(image.mean(-1)).std()


def test_a_fold_is_denser_than_what_it_lies_on() -> None:
    clean = tissue()
    denser = []
    for seed in range(12):
        found = SIMULATIONS["fold"](clean, np.random.default_rng(seed))
        if found.core.any():
            denser.append(density(found.image)[found.core].mean() - density(clean)[found.core].mean())
    assert min(denser) > 0
    assert np.median(denser) > 0.15


@pytest.mark.parametrize("hue", np.arange(12) / 12)
def test_hues_go_once_round_the_circle(hue: float) -> None:
    import colorsys

    expected = np.array(colorsys.hsv_to_rgb(float(hue), 0.8, 0.9)) * 255
    assert hue_colour(float(hue), saturation=0.8, value=0.9) == pytest.approx(expected, abs=0.5)


def test_pens_have_any_hue_and_some_are_black() -> None:
    colours = np.array([any_colour(np.random.default_rng(seed)) for seed in range(400)])
    spread = colours.max(axis=1) - colours.min(axis=1)
    grey = spread < 25
    assert 0.1 < grey.mean() < 0.4
    vivid = colours[~grey]
    angle = np.arctan2(np.sqrt(3) * (vivid[:, 1] - vivid[:, 2]), 2 * vivid[:, 0] - vivid[:, 1] - vivid[:, 2])
    counts, _ = np.histogram(angle, bins=12, range=(-np.pi, np.pi))
    assert counts.min() >= 8


def test_pen_on_glass_is_seen_as_well() -> None:
    glass = np.full((88, 88, 3), 242, np.float32)
    shares = [pen(glass, np.random.default_rng(seed)).core.mean() for seed in range(20)]
    assert np.mean(np.array(shares) > 0.02) >= 0.8


def test_a_torn_gap_shows_glass_and_leaves_the_rest() -> None:
    clean = tissue()
    gap = np.zeros(clean.shape[:2], np.float32)
    gap[40:48] = 1
    found = open_gap(clean, gap, np.random.default_rng(0), curled=1.0)
    assert found.image[42:46].min() > 215
    assert (found.image[60:] == clean[60:]).all()


def test_the_edge_of_a_gap_is_the_denser_the_more_it_has_curled() -> None:
    clean = np.full((88, 88, 3), (215, 150, 190), np.float32)
    gap = np.zeros(clean.shape[:2], np.float32)
    gap[40:48] = 1
    flat, curled = (open_gap(clean, gap, np.random.default_rng(0), curled=amount).image for amount in (0.0, 3.0))
    assert density(flat[38]).mean() == pytest.approx(density(clean[38]).mean(), rel=1e-4)
    assert density(curled[38]).mean() > 1.2 * density(clean[38]).mean()


def test_debris_thins_out_and_leaves_whole_tissue_alone() -> None:
    clean = np.full((88, 88, 3), (215, 150, 190), np.float32)
    for seed in range(12):
        found = debris(clean, np.random.default_rng(seed))
        empty = (found.image > 222).all(axis=-1)
        untouched = (found.image == clean).all(axis=-1)
        assert empty.any(), seed
        assert not (empty & untouched).any()
        assert (empty[found.core]).mean() > 0.5, seed


def test_a_fold_has_two_borders_or_those_of_a_flap() -> None:
    clean = np.full((88, 88, 3), (215, 150, 190), np.float32)
    shares = [SIMULATIONS["fold"](clean, np.random.default_rng(seed)).core.mean() for seed in range(40)]
    assert min(shares) >= 0
    assert max(shares) > 0.35  # flaps cover more than any band within the tile's third
    assert np.median(shares) < 0.35


def test_smearing_evens_out_along_its_direction_only() -> None:
    image = np.zeros((32, 32, 3), np.float32)
    image[16, 16] = 90
    found = smear(image, angle=0.0, length_px=9)
    assert np.flatnonzero(found[16, :, 0]).tolist() == list(range(12, 21))
    assert np.flatnonzero(found[:, 16, 0]).tolist() == [16]
    assert found.sum() == pytest.approx(image.sum(), rel=1e-5)


def test_crushed_tissue_has_a_direction() -> None:
    clean = tissue()

    def coherence(image) -> float:
        y, x = np.gradient(ndimage.gaussian_filter(image.mean(-1), 1))
        return float(np.hypot((x * x).mean() - (y * y).mean(), 2 * (x * y).mean()) / ((x * x) + (y * y)).mean())

    found = [coherence(crush(clean, np.random.default_rng(seed)).image[20:70, 20:70]) for seed in range(8)]
    assert np.median(found) > 2 * coherence(clean[20:70, 20:70])


def test_stain_leaves_the_ordinary_far_behind() -> None:
    clean = tissue()
    assert ORDINARY[0] < tissue_density(clean) < ORDINARY[1]
    found = []
    for seed in range(30):
        change = stain(clean, np.random.default_rng(seed))
        if change.mask.all():
            found.append(float(density(change.image).mean() / density(clean).mean()))
    assert min(found) < 0.6
    assert max(found) > 1.8
    assert not any(0.8 < ratio < 1.2 for ratio in found)
    assert PALE[1] < ORDINARY[0]
    assert ORDINARY[1] < OVER[0]


@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.1, 4))
@settings(max_examples=30, deadline=None)
def test_ordinary_variety_stays_between_its_limits(seed: int, factor: float) -> None:
    random = np.random.default_rng(seed)
    tile = light(density(tissue()) * np.float32(factor))
    now = tissue_density(np.clip(ordinary(tile, random), 0, 255))
    # what counts as tissue changes with the density, so the limits hold nearly
    assert not now < 0.8 * ORDINARY[0]
    assert not now > 1.2 * ORDINARY[1]


def test_recoloured_tissue_is_blue_and_brown_and_varied_tissue_stays_pink() -> None:
    clean = tissue()
    brown = [np.clip(as_ihc(clean, np.random.default_rng(seed)), 0, 255) for seed in range(20)]
    blueness = [float((image[..., 2] - image[..., 0]).max()) for image in brown]
    brownness = [float((image[..., 0] - image[..., 2]).max()) for image in brown]
    assert np.mean(np.array(blueness) > 10) > 0.8
    assert 0.3 < np.mean(np.array(brownness) > 25) < 0.95  # in some tiles there is no DAB
    pink = np.clip(vary_he(clean, np.random.default_rng(1)), 0, 255)
    assert pink[60, 60, 0] > pink[60, 60, 1]


@pytest.mark.parametrize("structure", [fat, lumens, border])
def test_ordinary_gaps_show_glass_within_tissue(structure) -> None:
    clean = tissue()
    opened = [structure(clean, np.random.default_rng(seed)) for seed in range(10)]
    assert np.mean([(image > 225).all(axis=-1).mean() > (clean > 225).all(axis=-1).mean() for image in opened]) >= 0.7


def test_a_band_is_as_wide_as_asked() -> None:
    across = np.tile(np.arange(-20, 21, dtype=np.float32), (3, 1))
    found = band(Line(across, across, 0.0), half_width_px=5.0, edge_px=0.5)
    assert (found > 0.5).sum(axis=1).tolist() == [9, 9, 9]  # the pixels at exactly 5 are half covered
    assert found[0, 15] == pytest.approx(0.5)


def test_steps_and_fields_have_the_range_they_promise() -> None:
    step = soft_step(np.array([-1e6, -1.0, 0.0, 1.0, 1e6]), width_px=1)
    assert step[2] == 0.5
    assert (np.diff(step) >= 0).all()
    assert step[0] < 1e-6
    assert step[-1] > 1 - 1e-6
    field = np.stack([smooth_noise((64, 48), np.random.default_rng(seed), scale_px=8) for seed in range(20)])
    assert field.shape[1:] == (64, 48)
    assert abs(field.mean()) < 0.15
    assert 0.6 < field.std() < 1.4


def test_lines_pass_near_the_middle() -> None:
    for seed in range(30):
        line = random_line((88, 88), np.random.default_rng(seed))
        assert np.abs(line.across[32:56, 32:56]).min() < 14
