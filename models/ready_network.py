"""A network made ready for inference: fused, scaled, on its device, and taken apart into body and head."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.cards import Channels
from models.device import Device
from models.networks import fold_input_scale, fuse_batch_norms, split_head


@dataclass(frozen=True, slots=True, eq=False)
class ReadyNetwork:
    """One network, fused, scaled and on the device."""

    body: nn.Module
    """Centred (N, 3, input_px, input_px) -> embeddings (N, D)."""
    head: nn.Module
    """Embeddings -> logits (N, C)."""
    input_px: int
    temperature: float
    mean: Tensor
    """(1, 3, 1, 1), 0-255, in the device's number format."""


def prepare_network(
    network: nn.Module,
    *,
    architecture: str | None,
    input_px: int,
    device: Device,
    temperature: float,
    mean_255: Channels,
    std_255: Channels,
) -> ReadyNetwork:
    """Make a network ready for inference; the one given stays as it is.

    Args:
        network: Normalised (N, 3, H, W) -> logits (N, C).
        architecture: Name in `networks.ARCHITECTURES`. A network of no registered architecture (None) runs as it is:
            its batch norms are not fused, and its logits stand in for embeddings.
        input_px: Side to which tiles are resized.
        device: Where it shall run.
        temperature: Logits are divided by it before the softmax (Guo et al. 2017, arXiv:1706.04599).
        mean_255: Mean R, G, B that the network was trained with, 0-255.
        std_255: Standard deviation of R, G, B that the network was trained with, 0-255.

    Raises:
        ModelError: the network does not start with a convolution over RGB.
    """
    ready = copy.deepcopy(network).float().eval().requires_grad_(requires_grad=False)
    if architecture is not None:
        fuse_batch_norms(ready)
    fold_input_scale(ready, std_255)
    ready = ready.to(device.target, device.dtype).to(memory_format=torch.channels_last)
    body, head = (ready, nn.Identity()) if architecture is None else split_head(ready, architecture=architecture)
    mean = torch.tensor(mean_255, device=device.target, dtype=device.dtype).view(1, 3, 1, 1)
    return ReadyNetwork(body, head, input_px, temperature, mean)
