from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.training.augment import Augmentation, augment, jitter_stain, random_isometry, warp

NOTHING = Augmentation(shift_px=0, scale=0, rotation_deg=0, stain_scale=0, stain_offset=0)


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
