from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from core.errors import InputError
from models.training.augment import Augmentation, augment, blur, jitter_stain, random_isometry, warp
from models.training.inputs import resized
from models.training.jpeg import jpeg

NOTHING = Augmentation(isometries=0, shift_px=0, scale=0, rotation_deg=0, stain_scale=0, stain_offset=0)


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.fixture
def batch(random: torch.Generator) -> Tensor:
    return torch.randint(0, 256, (16, 3, 20, 20), generator=random).float()


def test_all_eight_isometries_occur_and_nothing_else(random: torch.Generator) -> None:
    patch = torch.arange(9.0).view(1, 1, 3, 3)
    turned = random_isometry(patch.repeat(400, 1, 1, 1), random=random)
    expected = {
        tuple(torch.rot90(side, turns, (2, 3)).flatten().tolist())
        for side in (patch, patch.flip(-1))
        for turns in range(4)
    }
    assert {tuple(one.flatten().tolist()) for one in turned} == expected
    assert len(expected) == 8


def test_colours_are_kept_together_under_isometries(batch: Tensor, random: torch.Generator) -> None:
    before = {tuple(pixel) for pixel in batch[0].flatten(1).T.tolist()}
    after = {tuple(pixel) for pixel in random_isometry(batch, random=random)[0].flatten(1).T.tolist()}
    assert after == before


def test_without_strength_a_warp_is_the_resize_of_inference(batch: Tensor, random: torch.Generator) -> None:
    found = warp(batch, settings=NOTHING, out_px=32, random=random)
    expected = functional.interpolate(batch, size=[32, 32], mode="bilinear")
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_a_shift_moves_by_at_most_its_pixels(random: torch.Generator) -> None:
    batch = torch.zeros(64, 3, 21, 21)
    batch[:, :, 10, 10] = 100
    settings = Augmentation(shift_px=4, scale=0, rotation_deg=0)
    moved = warp(batch, settings=settings, out_px=21, random=random)[:, 0]
    axis = torch.arange(21.0)
    offset = (moved.sum(1) * axis).sum(1) / moved.sum((1, 2)) - 10
    assert 3 < offset.abs().max() <= 4.001
    assert offset.min() < -2 < 2 < offset.max()


def test_without_strength_stains_stay(batch: Tensor, random: torch.Generator) -> None:
    torch.testing.assert_close(jitter_stain(batch, settings=NOTHING, random=random), batch, atol=0.01, rtol=0)


def test_stain_jitter_changes_stains_but_not_glass(random: torch.Generator) -> None:
    settings = Augmentation(stain_scale=0.3, stain_offset=0)
    white = torch.full((8, 3, 2, 2), 255.0)
    torch.testing.assert_close(jitter_stain(white, settings=settings, random=random), white)
    violet = torch.tensor([120.0, 70.0, 150.0]).view(1, 3, 1, 1).repeat(200, 1, 1, 1)
    changed = jitter_stain(violet, settings=settings, random=random).squeeze()
    assert changed.std(dim=0).min() > 5
    assert (changed[:, 1] < changed[:, 0]).all()  # it stays a violet: less green than red, less red than blue
    assert (changed[:, 0] < changed[:, 2]).float().mean() > 0.95


def test_the_same_seed_gives_the_same_patches_within_range(batch: Tensor) -> None:
    first, again, other = (
        augment(batch, settings=Augmentation(), out_px=24, random=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == (16, 3, 24, 24)
    assert first.min() >= 0
    assert first.max() <= 255.001


def test_with_everything_off_a_patch_is_what_inference_sees(batch: Tensor, random: torch.Generator) -> None:
    found = augment(batch, settings=NOTHING, out_px=32, random=random)
    torch.testing.assert_close(found, resized(batch, out_px=32), atol=0.01, rtol=0)


@pytest.mark.parametrize(
    "setting",
    [
        {"isometries": 8},
        {"shift_px": 4.0},
        {"scale": 0.3},
        {"rotation_deg": 30.0},
        {"stain_scale": 0.4},
        {"stain_offset": 0.1},
        {"blur_px": 2.0},
        {"jpeg_loss": 80.0},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_each_setting_changes_patches_by_itself_and_each_patch_in_its_own_way(
    setting: dict[str, float], random: torch.Generator
) -> None:
    one = torch.randint(0, 256, (1, 3, 24, 24), generator=random).float()
    same = one.repeat(12, 1, 1, 1)
    found = augment(same, settings=replace(NOTHING, **setting), out_px=24, random=random)
    plain = augment(same, settings=NOTHING, out_px=24, random=random)
    assert (found - plain).abs().max() > 2
    assert len({tuple(patch.flatten().tolist()) for patch in found}) > 3


def test_blur_spreads_a_point_like_a_gaussian_and_keeps_its_light(random: torch.Generator) -> None:
    batch = torch.zeros(200, 1, 25, 25)
    batch[:, :, 12, 12] = 1000
    found = blur(batch, settings=replace(NOTHING, blur_px=2.0), random=random)
    torch.testing.assert_close(found.sum((1, 2, 3)), torch.full((200,), 1000.0), rtol=1e-3, atol=0)
    distance = (torch.arange(25.0) - 12) ** 2
    sigma = ((found[:, 0].sum(1) * distance).sum(1) / 1000).sqrt()
    assert 1.8 < sigma.max() <= 2.01
    assert sigma.min() < 0.3
    torch.testing.assert_close(found, found.transpose(2, 3))


def test_blur_leaves_even_colour_alone_up_to_the_edge(random: torch.Generator) -> None:
    batch = torch.full((5, 3, 9, 9), 140.0)
    torch.testing.assert_close(blur(batch, settings=replace(NOTHING, blur_px=3.0), random=random), batch)


def patch_like_tissue(side: int) -> np.ndarray:
    """Violet spots on pink, smooth as a scanner makes them: (side, side, 3) uint8."""
    random = np.random.default_rng(2)
    spots = gaussian_filter(random.normal(0, 1, (side, side)), 2)[..., None] * 12
    image = np.array([200, 140, 180]) - spots.clip(0, 3) * np.array([45, 40, 20]) + random.normal(0, 4, (side, side, 3))
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("quality", [90, 75, 50, 30])
@pytest.mark.parametrize("side", [48, 50])
def test_jpeg_loses_what_a_jpeg_file_loses(quality: int, side: int) -> None:
    image = patch_like_tissue(side)
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    expected = np.asarray(Image.open(file)).astype(float)
    batch = torch.as_tensor(image).permute(2, 0, 1)[None].float()
    found = jpeg(batch, quality=torch.tensor([float(quality)]))[0].permute(1, 2, 0).numpy()
    lost = np.abs(expected - image).mean()
    assert lost > 1
    assert (
        np.abs(found - expected).mean() < 0.33 * lost
    )  # what remains are whole numbers and the way chroma is enlarged
    assert np.corrcoef((found - image).ravel(), (expected - image).ravel())[0, 1] > 0.9


def test_jpeg_keeps_even_colour_and_loses_more_at_lower_quality() -> None:
    even = torch.tensor([207.0, 162.0, 187.0]).view(1, 3, 1, 1).repeat(1, 1, 16, 16)
    torch.testing.assert_close(jpeg(even, quality=torch.tensor([100.0])), even, atol=1.1, rtol=0)
    batch = torch.as_tensor(patch_like_tissue(32)).permute(2, 0, 1)[None].float().repeat(3, 1, 1, 1)
    lost = (jpeg(batch, quality=torch.tensor([95.0, 60.0, 20.0])) - batch).abs().mean((1, 2, 3)).tolist()
    assert lost == sorted(lost)
    assert lost[0] < 0.5 * lost[2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"blur_px": -1.0},
        {"jpeg_loss": 100.0},
        {"scale": 1.0},
        {"stain_scale": float("nan")},
        {"isometries": 4},
        {"shift_px": "far"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_strengths_that_mean_nothing_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        replace(NOTHING, **wrong)
