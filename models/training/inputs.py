"""What goes into a network while it is trained and validated, and what comes out: scale, size, format, logits."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: torch is typed in part only.
from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.data.patches import Patches
from models.device import Device
from models.networks import ARCHITECTURES
from models.pretrained import NONE
from models.torch_model import isometric_views
from models.training.augment import Augmentation
from models.training.checkpoint import InputScale
from models.training.config import TrainingConfig


def input_scale(config: TrainingConfig, train: Patches) -> InputScale:
    """Return the start weights' convention, or without them the training patches' own mean and deviation.

    The latter in whole numbers: bf16 subtracts them from 0-255 without rounding.
    """
    if config.start != NONE:
        architecture = ARCHITECTURES[config.architecture]
        return InputScale(architecture.mean_255, architecture.std_255)
    total, squares = np.zeros(3), np.zeros(3)
    for start in range(0, len(train), 256):
        part = train.images[start : start + 256].reshape(-1, 3).astype(np.float64)
        total, squares = total + part.sum(axis=0), squares + (part**2).sum(axis=0)
    pixels = train.images[..., 0].size
    mean = total / pixels
    std = np.sqrt((squares / pixels - mean**2).clip(1))
    red, green, blue = (float(round(value)) for value in mean)
    return InputScale((red, green, blue), (float(round(std[0])), float(round(std[1])), float(round(std[2]))))


def predict_logits(
    network: nn.Module, images: NDArray[np.uint8], *, config: TrainingConfig, scale: InputScale, device: Device
) -> NDArray[np.float64]:
    """Return (N, C) logits of unchanged patches, in evaluation mode."""
    return predict_views(network, images, config=config, scale=scale, device=device, views=1)[0]


def predict_views(
    network: nn.Module,
    images: NDArray[np.uint8],
    *,
    config: TrainingConfig,
    scale: InputScale,
    device: Device,
    views: int,
) -> NDArray[np.float64]:
    """Return (V, N, C) logits of patches under the first V symmetries of the square, in evaluation mode."""
    network.eval()
    parts: list[NDArray[np.float64]] = []
    with torch.inference_mode():
        for start in range(0, len(images), 256):
            batch = resized(to_device(images[start : start + 256], device), out_px=config.input_px)
            with autocast(config, device):
                logits = [network(normalised(view, scale)) for view in isometric_views(batch, number=views)]
            parts.append(torch.stack(logits).double().cpu().numpy())
    return np.concatenate(parts, axis=1)


def images_of(
    train: Patches, batches: Sequence[NDArray[np.intp]], *, seed: Sequence[int]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the (N, H, H, 3) images of each batch; where they are made anew, the next is made meanwhile.

    Args:
        train: Patches to learn from.
        batches: Rows of each batch.
        seed: With the number of the batch it decides what is made anew.
    """
    fresh = train.fresh
    if fresh is None:
        yield from (train.images[rows] for rows in batches)
        return
    with ThreadPoolExecutor(1) as pool:
        coming = deque[Future[NDArray[np.uint8]]]()
        for index, rows in enumerate(batches):
            coming.append(pool.submit(fresh.draw, train.labels[rows], seed=(*seed, index)))
            if len(coming) > 1:
                yield coming.popleft().result()
        yield from (batch.result() for batch in coming)


def resized(batch: Tensor, *, out_px: int) -> Tensor:
    """Resize (N, 3, H, H) as inference does: bilinearly, and without aliasing where it gets smaller."""
    smaller = batch.shape[-1] > out_px
    return functional.interpolate(batch, size=[out_px, out_px], mode="bilinear", align_corners=False, antialias=smaller)


def at_input_size(train: Patches, config: TrainingConfig) -> tuple[Patches, Augmentation]:
    """Shrink patches that are larger than the network's input once, not in every step, and settings in pixels too."""
    settings = config.augmentation
    side = train.images.shape[1]
    if side <= config.input_px:
        return train, settings
    images = np.empty((len(train), config.input_px, config.input_px, 3), np.uint8)
    for start in range(0, len(train), 256):
        batch = torch.as_tensor(train.images[start : start + 256]).permute(0, 3, 1, 2).float()
        images[start : start + 256] = resized(batch, out_px=config.input_px).round_().byte().permute(0, 2, 3, 1).numpy()
    return replace(train, images=images), replace(settings, shift_px=settings.shift_px * config.input_px / side)


def to_device(images: NDArray[np.uint8], device: Device) -> Tensor:
    """Return (N, H, W, 3) bytes as (N, 3, H, W) float on the device."""
    return torch.as_tensor(images, device=device.target).permute(0, 3, 1, 2).float()


def normalised(batch: Tensor, scale: InputScale) -> Tensor:
    """Subtract the mean of (N, 3, H, W) RGB, 0-255, divide by the deviation, and lay the channels last."""
    mean = torch.tensor(scale.mean_255, device=batch.device).view(1, 3, 1, 1)
    std = torch.tensor(scale.std_255, device=batch.device).view(1, 3, 1, 1)
    return ((batch - mean) / std).contiguous(memory_format=torch.channels_last)


def autocast(config: TrainingConfig, device: Device) -> torch.autocast:
    """Compute in bf16 where the device has it and the architecture is faster with it."""
    in_bf16 = ARCHITECTURES[config.architecture].trains_in_bf16
    return torch.autocast(device.target.type, torch.bfloat16, enabled=in_bf16 and device.dtype != torch.float32)
