"""Random changes of patches that leave their meaning as it is, for a whole batch at once."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: torch is typed in part only.
from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from core.errors import InputError
from models.training.jpeg import jpeg

RGB_FROM_HED = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Density in R, G, B of haematoxylin, eosin and DAB. Ruifrok & Johnston, Anal Quant Cytol Histol 2001;23:291-299."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How strongly patches are changed; 0 switches a change off."""

    isometries: int = 8
    """Symmetries of the square, equally likely: 8 or, for none but the patch itself, 0."""
    shift_px: float = 3.0
    """Largest shift in patch pixels along x and y."""
    scale: float = 0.15
    """Largest relative change of size: the scale of the data is inferred, that of a slide measured."""
    rotation_deg: float = 30.0
    """Largest rotation on top of the isometries, degrees."""
    stain_scale: float = 0.25
    """Largest relative change of the amount of each stain."""
    stain_offset: float = 0.04
    """Largest optical density of a stain that is added everywhere."""
    blur_px: float = 0.0
    """Largest sigma of a Gaussian blur, in pixels of the network's input."""
    jpeg_loss: float = 0.0
    """Largest loss of JPEG quality: a quality between 100 less this and 100 is drawn."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise InputError(f"{item.name} of [augmentation] is {value!r}; it must be a number of at least 0.")
        if self.isometries not in (0, 8):
            raise InputError(f"isometries of [augmentation] is {self.isometries}; it must be 8 or 0.")
        for name, limit in (("scale", 1), ("stain_scale", 1), ("jpeg_loss", 100)):
            if getattr(self, name) >= limit:
                raise InputError(f"{name} of [augmentation] is {getattr(self, name)}; it must be less than {limit}.")


def augment(batch: Tensor, *, settings: Augmentation, out_px: int, random: torch.Generator) -> Tensor:
    """Return a randomly changed batch, resized to the side the network takes.

    Args:
        batch: (N, 3, H, H) float RGB, 0-255.
        settings: Strengths.
        out_px: Side of the result in pixels.
        random: Generator on the batch's device; the same state gives the same result.

    Returns:
        (N, 3, out_px, out_px) float RGB, 0-255.
    """
    if settings.stain_scale or settings.stain_offset:
        batch = jitter_stain(batch, settings=settings, random=random)
    if settings.isometries:
        batch = random_isometry(batch, random=random)
    batch = warp(batch, settings=settings, out_px=out_px, random=random)
    if settings.blur_px:
        batch = blur(batch, settings=settings, random=random)
    if settings.jpeg_loss:
        quality = 100 - settings.jpeg_loss * torch.rand(len(batch), generator=random, device=random.device)
        batch = jpeg(batch, quality=quality)
    return batch


def random_isometry(batch: Tensor, *, random: torch.Generator) -> Tensor:
    """Apply one of the eight symmetries of the square, equally likely, to each of (N, C, H, H)."""
    for axis in (-1, -2, None):
        chosen = torch.rand(len(batch), generator=random, device=random.device).lt(0.5).view(-1, 1, 1, 1)
        turned = batch.transpose(-1, -2) if axis is None else batch.flip(axis)
        batch = torch.where(chosen, turned, batch)
    return batch


def warp(batch: Tensor, *, settings: Augmentation, out_px: int, random: torch.Generator) -> Tensor:
    """Rotate, scale and shift each of (N, C, H, H) about its centre and resample bilinearly to `out_px`.

    What comes from beyond the patch is its mirror image: a neighbouring tile would look alike, a white border not.
    """
    count = len(batch)
    angle = math.radians(settings.rotation_deg) * _symmetric(count, random)
    factor = 1 + settings.scale * _symmetric(count, random)
    shift = settings.shift_px * 2 / batch.shape[-1]  # affine_grid counts in half sides
    theta = torch.zeros(count, 2, 3, device=batch.device)
    theta[:, 0, 0] = theta[:, 1, 1] = factor * angle.cos()
    theta[:, 0, 1], theta[:, 1, 0] = -factor * angle.sin(), factor * angle.sin()
    theta[:, 0, 2], theta[:, 1, 2] = shift * _symmetric(count, random), shift * _symmetric(count, random)
    size = [count, batch.shape[1], out_px, out_px]
    grid = functional.affine_grid(theta, size, align_corners=False)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def blur(batch: Tensor, *, settings: Augmentation, random: torch.Generator) -> Tensor:
    """Blur each of (N, 3, H, W) with a Gaussian of its own sigma, uniform in 0 to `blur_px`.

    As for a plane slightly out of focus. Beyond the edge lies the patch's mirror image.
    """
    radius = min(math.ceil(3 * settings.blur_px), batch.shape[-1] - 1)
    sigma = settings.blur_px * torch.rand(len(batch), generator=random, device=random.device).clamp(min=1e-3)
    distance = torch.arange(-radius, radius + 1, device=batch.device)
    weight = torch.exp(-0.5 * (distance / sigma.view(-1, 1)) ** 2)
    weight = weight / weight.sum(dim=1, keepdim=True)
    for axis in (2, 3):
        margin = [0, 0, radius, radius] if axis == 2 else [radius, radius, 0, 0]
        padded = functional.pad(batch, margin, mode="reflect")
        shifted = (padded.narrow(axis, index, batch.shape[axis]) for index in range(2 * radius + 1))
        batch = torch.zeros_like(batch)
        for index, neighbour in enumerate(shifted):
            batch.addcmul_(neighbour, weight[:, index].view(-1, 1, 1, 1))
    return batch


def jitter_stain(batch: Tensor, *, settings: Augmentation, random: torch.Generator) -> Tensor:
    """Change the amounts of haematoxylin, eosin and the residue in each of (N, 3, H, W) RGB, 0-255.

    Works on optical density, where stains add up (Tellez et al., IEEE TMI 2018;37:2126).
    """
    stains = torch.tensor(RGB_FROM_HED, device=batch.device)
    stains = stains / stains.norm(dim=1, keepdim=True)
    factor = 1 + settings.stain_scale * _symmetric(len(batch) * 3, random).view(-1, 3)
    offset = settings.stain_offset * _symmetric(len(batch) * 3, random).view(-1, 3)
    # density' = ((density @ stains^-1) * factor + offset) @ stains, gathered into one 3x3 matrix per patch
    mixing = torch.linalg.inv(stains) @ torch.diag_embed(factor) @ stains
    density = -torch.log((batch + 1) / 256)
    changed = torch.einsum("nchw,ncd->ndhw", density, mixing) + (offset @ stains).view(-1, 3, 1, 1)
    return (torch.exp(-changed) * 256 - 1).clamp(0, 255)


def _symmetric(count: int, random: torch.Generator) -> Tensor:
    """(count,) uniform in -1..1."""
    return torch.rand(count, generator=random, device=random.device) * 2 - 1
