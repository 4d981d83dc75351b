"""The network definitions that a card may name, and how one is taken apart and made ready for inference."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# Reason: torchvision and timm ship no type stubs.
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from types import MappingProxyType

import timm
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import get_model

from core.errors import ModelError

Channels = tuple[float, float, float]
"""A value for R, G and B."""

_IMAGENET_MEAN_255: Channels = (123.675, 116.28, 103.53)
_IMAGENET_STD_255: Channels = (58.395, 57.12, 57.375)
"""torchvision's, 0.485 0.456 0.406 and 0.229 0.224 0.225, on the scale 0-255."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network that can be built from its number of classes alone."""

    build: Callable[[int], nn.Module]
    """Number of classes -> network with random weights, taking normalised (N, 3, H, W) and giving (N, C) logits."""
    reference: str
    """The paper that the architecture comes from."""
    embedding_size: int
    """Length of the vector that its last layer sees."""
    head: str
    """Dotted name of its last layer, the only one whose shape depends on the classes."""
    min_input_px: int = 32
    """Smallest image side that its strides leave something of."""
    trains_in_bf16: bool = True
    """Whether bf16 is the faster format for training on a CPU that has it. Depthwise convolutions are slower in it:
    efficientnet_lite0 at 64 px trained 250 patches/s in fp32, channels last, and 119 in bf16 (two cores, AMD EPYC)."""
    mean_255: Channels = _IMAGENET_MEAN_255
    """Mean R, G, B that its ImageNet weights were trained with, 0-255."""
    std_255: Channels = _IMAGENET_STD_255
    """Deviation of R, G, B that its ImageNet weights were trained with, 0-255."""


_LITE0_FEATURES = 1280


def _torchvision(name: str, classes: int) -> nn.Module:
    return get_model(name, weights=None, num_classes=classes)


def _timm(name: str, classes: int) -> nn.Module:
    network = timm.create_model(name, pretrained=False)
    # timm draws a last layer by its number of OUTPUTS: with two classes 25 times too wide, and fine-tuning starts with
    # a loss of 1 to 5. The new layer is drawn by its inputs, as torch does.
    network.set_submodule("classifier", nn.Linear(_LITE0_FEATURES, classes))
    return network


_RESNET = "He et al. 2016, arXiv:1512.03385, as built by torchvision"
_MOBILENET = "Howard et al. 2019, arXiv:1905.02244, as built by torchvision"

ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "alexnet": Architecture(
            partial(_torchvision, "alexnet"),
            "Krizhevsky 2014, arXiv:1404.5997, as built by torchvision",
            embedding_size=4096,
            head="classifier.6",
            min_input_px=63,
        ),
        "resnet18": Architecture(partial(_torchvision, "resnet18"), _RESNET, embedding_size=512, head="fc"),
        "resnet34": Architecture(partial(_torchvision, "resnet34"), _RESNET, embedding_size=512, head="fc"),
        "resnet50": Architecture(partial(_torchvision, "resnet50"), _RESNET, embedding_size=2048, head="fc"),
        "densenet121": Architecture(
            partial(_torchvision, "densenet121"),
            "Huang et al. 2017, arXiv:1608.06993, as built by torchvision",
            embedding_size=1024,
            head="classifier",
        ),
        "efficientnet_b0": Architecture(
            partial(_torchvision, "efficientnet_b0"),
            "Tan & Le 2019, arXiv:1905.11946, as built by torchvision",
            embedding_size=1280,
            head="classifier.1",
            trains_in_bf16=False,
        ),
        "efficientnet_lite0": Architecture(
            partial(_timm, "tf_efficientnet_lite0"),
            "Tan & Le 2019, arXiv:1905.11946, the Lite variant (no squeeze-and-excitation), as built by timm",
            embedding_size=_LITE0_FEATURES,
            head="classifier",
            trains_in_bf16=False,
            mean_255=(127.0, 127.0, 127.0),  # the Lite weights were trained with (x - 127) / 128
            std_255=(128.0, 128.0, 128.0),
        ),
        "mobilenet_v3_large": Architecture(
            partial(_torchvision, "mobilenet_v3_large"),
            _MOBILENET,
            embedding_size=1280,
            head="classifier.3",
            trains_in_bf16=False,
        ),
        "mobilenet_v3_small": Architecture(
            partial(_torchvision, "mobilenet_v3_small"),
            _MOBILENET,
            embedding_size=1024,
            head="classifier.3",
            trains_in_bf16=False,
        ),
    }
)
"""Every architecture by the name that cards and training configurations use. `fuse_batch_norms` must be right for each;
tests/models/test_networks.py compares every one with its unfused self."""


def architecture_of(name: str) -> Architecture:
    """Return the architecture of that name.

    Raises:
        ModelError: there is none; the sentence lists those there are.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ModelError(f"There is no network architecture {name!r}; known are: {known}.")
    return ARCHITECTURES[name]


def build_network(architecture: str, *, classes: int) -> nn.Module:
    """Build a network with random weights.

    Raises:
        ModelError: no architecture of that name.
    """
    return architecture_of(architecture).build(classes)


def replace_head(network: nn.Module, *, architecture: str, classes: int) -> None:
    """Give a network a new last layer with random weights, in place.

    Raises:
        ModelError: no architecture of that name.
    """
    network.set_submodule(
        architecture_of(architecture).head, nn.Linear(architecture_of(architecture).embedding_size, classes)
    )


def split_head(network: nn.Module, *, architecture: str) -> tuple[nn.Module, nn.Module]:
    """Return a network's body, which ends in (N, D) embeddings, and its last layer, which makes logits of them.

    Both share their weights and buffers with the network, which stays as it is; modules are copied because another
    thread may be using it.

    Raises:
        ModelError: no architecture of that name.
    """
    head = architecture_of(architecture).head
    shared = {id(tensor): tensor for tensor in chain(network.parameters(), network.buffers())}
    body = copy.deepcopy(network, dict[int, object](shared))
    body.set_submodule(head, nn.Identity())
    return body, network.get_submodule(head)


def embed(network: nn.Module, architecture: str, x: Tensor) -> Tensor:
    """Return what the last layer of a network sees. For many batches, `split_head` once and call the body.

    Args:
        network: A network of that architecture; in eval mode its dropout, if it has any, does nothing.
        architecture: Name in ARCHITECTURES.
        x: Normalised images, (N, 3, H, W).

    Returns:
        (N, D).
    """
    body, _head = split_head(network, architecture=architecture)
    return body(x)


def fuse_batch_norms(network: nn.Module) -> None:
    """Fold every batch norm that directly follows a convolution into it, in place; the network must be in eval mode.

    "Follows" means the order in which a module names its children. In every architecture of ARCHITECTURES a
    convolution whose next sibling is a batch norm is followed by it in the computation as well, and a batch norm that
    comes BEFORE its convolution (DenseNet's first of each layer, with an activation between) has no convolution as its
    previous sibling and stays. For any other network this order must be checked first.
    """
    for module in list(network.modules()):
        children = list(module.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(module, norm_name, _activation_of(norm))


def _activation_of(norm: nn.BatchNorm2d) -> nn.Module:
    """Return what is left of a folded batch norm: timm's carry their activation with them, torch's nothing."""
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def fold_input_scale(network: nn.Module, std_255: Channels) -> None:
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
