"""The network definitions that a card may name, and how one is made ready for inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet18  # pyright: ignore[reportMissingTypeStubs]  (torchvision ships none)

from core.errors import ModelError


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built from its number of classes alone."""

    build: Callable[[int], nn.Module]
    """Number of classes -> network with random weights, taking normalised (N, 3, H, W) and giving (N, C) logits."""
    reference: str
    """The paper that the architecture comes from."""


def _resnet18(classes: int) -> nn.Module:
    return resnet18(weights=None, num_classes=classes)


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {"resnet18": Architecture(_resnet18, "He et al. 2016, arXiv:1512.03385, as built by torchvision")}
)
"""Every architecture by the name that cards and training configurations use."""


def build_network(architecture: str, *, classes: int) -> nn.Module:
    """Build a network with random weights.

    Raises:
        ModelError: no architecture of that name.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ModelError(f"There is no network architecture {architecture!r}; known are: {known}.")
    return ARCHITECTURES[architecture].build(classes)


def fuse_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm that directly follows a convolution into it, in place; the network must be in eval mode.

    "Follows" means the order in which a module names its children. That is the order of computation in torchvision's
    ResNets and must be checked for an architecture before it enters ARCHITECTURES.
    """
    for module in list(network.modules()):
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, nn.Identity())


def fold_input_scale(network: nn.Module, std_255: tuple[float, float, float]) -> None:
    """Divide the first convolution's weights by the channels' deviation, in place, so that inputs need no division.

    The mean cannot be folded as well: the convolution pads with zeros, which stand for the mean colour.

    Args:
        network: A network whose first convolution takes the RGB image.
        std_255: Standard deviation of R, G, B on the scale 0-255.

    Raises:
        ModelError: the network has no convolution that takes three channels first.
    """
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is None or first.in_channels != 3:
        raise ModelError("The network does not start with a convolution over three channels.")
    with torch.no_grad():
        first.weight.div_(torch.tensor(std_255, dtype=first.weight.dtype, device=first.weight.device).view(1, 3, 1, 1))
