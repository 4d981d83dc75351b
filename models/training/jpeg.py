"""What JPEG does to a picture, for a batch at once and on any device: loss of chroma detail and of fine frequencies.

The steps are those of ITU-T T.81 and JFIF that lose something: colour to luma and chroma, chroma at half the
resolution, cosine transform of 8 x 8 blocks, division by a table and rounding. The coding that follows in a file loses
nothing, so it is left out.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# Reason: torch is typed in part only.
from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

_YCC_FROM_RGB = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
"""JFIF 1.02, ITU-R BT.601 luma."""

# fmt: off
_LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)
"""ITU-T T.81, table K.1, row by row."""
_CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99,
    *(99,) * 36,
)
"""ITU-T T.81, table K.2."""
# fmt: on

_BLOCK = 8


def jpeg(batch: Tensor, *, quality: Tensor) -> Tensor:
    """Return (N, 3, H, W) RGB, 0-255, as it comes back from a JPEG file with chroma at half the resolution.

    Args:
        batch: (N, 3, H, W) float RGB, 0-255; H and W of any size.
        quality: (N,) 1-100 on the scale of the Independent JPEG Group's library; 100 loses the least.
    """
    height, width = batch.shape[2:]
    padded = functional.pad(batch, (0, -width % (2 * _BLOCK), 0, -height % (2 * _BLOCK)), mode="replicate")
    to_ycc = torch.tensor(_YCC_FROM_RGB, device=batch.device)
    ycc = _mixed(padded - 128, to_ycc)  # centred, as the transform wants it
    scale = _table_scale(quality)
    planes = [_quantised(ycc[:, :1], _table(_LUMA_TABLE, batch.device), scale=scale)]
    for channel in (1, 2):
        half = functional.avg_pool2d(ycc[:, channel : channel + 1], 2)
        plane = _quantised(half, _table(_CHROMA_TABLE, batch.device), scale=scale)
        planes.append(functional.interpolate(plane, scale_factor=2, mode="bilinear", align_corners=False))
    rgb = _mixed(torch.cat(planes, dim=1), torch.linalg.inv(to_ycc)) + 128
    return rgb[:, :, :height, :width].clamp(0, 255)


def _mixed(batch: Tensor, matrix: Tensor) -> Tensor:
    """Apply a (3, 3) matrix to the channels of (N, 3, H, W)."""
    return (matrix @ batch.flatten(2)).view(batch.shape)


def _quantised(plane: Tensor, table: Tensor, *, scale: Tensor) -> Tensor:
    """Transform, round and transform back (N, 1, H, W), H and W multiples of 8."""
    transform = _transform(plane.device)
    steps = (table * scale.view(-1, 1)).add_(0.5).floor_().clamp_(1, 255).unsqueeze(2)
    blocks = functional.pixel_unshuffle(plane, _BLOCK)  # (N, 64, H / 8, W / 8): a block's pixels as channels
    found = transform @ blocks.flatten(2)
    found = found.div_(steps).round_().mul_(steps)
    return functional.pixel_shuffle((transform.T @ found).view(blocks.shape), _BLOCK)


def _table_scale(quality: Tensor) -> Tensor:
    """Factor of the tables: 50/q below quality 50 and 2 - q/50 from there on, as in the IJG library."""
    quality = quality.clamp(1, 100)
    return torch.where(quality < 50, 50 / quality, 2 - quality / 50)


@cache
def _table(values: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)


@cache
def _transform(device: torch.device) -> Tensor:
    """(64, 64) orthonormal cosine transform of a block: row = frequency, column = pixel, both row by row."""
    place = torch.arange(_BLOCK, dtype=torch.float32)
    cosines = torch.cos((2 * place + 1) * place.view(-1, 1) * math.pi / (2 * _BLOCK)) / 2
    cosines[0] /= math.sqrt(2)
    return torch.kron(cosines, cosines).to(device)
