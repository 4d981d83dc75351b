"""What an encoder looks like from outside: its shape, its pooling and its input. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from core.errors import ModelError
from models.card_types import Channels

IMAGENET_MEAN_255: Channels = (123.675, 116.28, 103.53)
IMAGENET_STD_255: Channels = (58.395, 57.12, 57.375)
"""0.485 0.456 0.406 and 0.229 0.224 0.225 on the scale 0-255."""


class Layout(StrEnum):
    """How the tensors of a checkpoint are named; `layouts` maps each to the network's own names."""

    TIMM = "timm"
    """A vision transformer of timm: blocks.0.attn.qkv.weight."""
    DINOV2 = "dinov2"
    """Dinov2Model of Hugging Face transformers: encoder.layer.0.attention.attention.query.weight."""
    CONCH = "conch"
    """timm below visual.trunk, with an attentional pooler; a text tower beside it is left alone."""
    DENSENET = "densenet121"
    """torchvision's DenseNet-121, or the same below module.model.0 as KimiaNet stores it."""


class Pooling(StrEnum):
    """How one vector is made of an image's tokens."""

    CLASS = "class"
    """The class token after the last norm."""
    CLASS_AND_MEAN = "class_and_mean"
    """The class token and, behind it, the mean of the patch tokens, without registers."""
    ATTENTION = "attention"
    """A learned query attends over all tokens (CONCH)."""
    AVERAGE = "average"
    """The mean over the last feature map (convolutional networks)."""


@dataclass(frozen=True, slots=True)
class VitShape:
    """A vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) with the variations that encoders use."""

    img_size: int = 224
    """Side of the images that the position embeddings are made for."""
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4.0
    """Width of the first MLP layer over `embed_dim`; a gated MLP counts both halves."""
    init_values: float | None = None
    """Start value of the layer scale; None = the blocks have none. Only whether there is one matters here."""
    swiglu: bool = False
    """Gated MLP with both halves in one matrix, SiLU on the first (Shazeer 2020, arXiv:2002.05202)."""
    reg_tokens: int = 0
    """Registers between the class token and the patches (Darcet et al. 2024, arXiv:2309.16588)."""
    no_embed_class: bool = False
    """Whether class token and registers go without position embeddings."""
    qkv_bias: bool = True
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        sizes = (self.img_size, self.patch_size, self.embed_dim, self.depth, self.num_heads)
        _check_whole(*sizes, self.reg_tokens)
        if min(sizes) < 1 or self.reg_tokens < 0 or self.norm_eps <= 0:
            raise ModelError("A vision transformer needs positive sizes.")
        if self.img_size % self.patch_size or self.embed_dim % self.num_heads:
            raise ModelError(
                f"A vision transformer of {self.img_size} px, patches of {self.patch_size} px, {self.embed_dim} "
                f"dimensions and {self.num_heads} heads does not come out even."
            )
        if not (math.isfinite(self.mlp_ratio) and self.mlp_ratio > 0):
            raise ModelError(f"The MLP ratio must be positive, got {self.mlp_ratio}.")


@dataclass(frozen=True, slots=True)
class PoolerShape:
    """The attentional pooler of CONCH: one query, `heads` heads, vectors of length `embed_dim`."""

    embed_dim: int = 512
    heads: int = 8


@dataclass(frozen=True, slots=True)
class InputFacts:
    """What an encoder wants to be shown."""

    input_px: int = 224
    """Side to which tiles are resized."""
    tile_px: int = 224
    """Side of the tiles at `mpp`."""
    mpp: float | None = 0.5
    """um/px; None = no scale of its own."""
    mean_255: Channels = IMAGENET_MEAN_255
    std_255: Channels = IMAGENET_STD_255

    def __post_init__(self) -> None:
        _check_whole(self.input_px, self.tile_px)
        if min(self.input_px, self.tile_px) < 1 or min(self.std_255) <= 0 or (self.mpp is not None and self.mpp <= 0):
            raise ModelError("An encoder's input needs positive sizes, a positive scale and positive deviations.")


def _check_whole(*sizes: object) -> None:
    """Refuse sizes that a file gives as anything but whole numbers."""
    wrong = [size for size in sizes if type(size) is not int]
    if wrong:
        raise ModelError(f"Sizes must be whole numbers, got {wrong[0]!r}.")


_B16 = VitShape()
_S16 = replace(_B16, embed_dim=384, num_heads=6)
_L16 = replace(_B16, embed_dim=1024, depth=24, num_heads=16)
_H14 = replace(_B16, patch_size=14, embed_dim=1280, depth=32, num_heads=16)
_REG4 = {"patch_size": 14, "img_size": 518, "init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}

TIMM_SHAPES: Mapping[str, VitShape] = MappingProxyType(
    {
        "vit_tiny_patch16_224": replace(_B16, embed_dim=192, num_heads=3),
        "vit_small_patch16_224": _S16,
        "vit_small_patch8_224": replace(_S16, patch_size=8),
        "vit_base_patch16_224": _B16,
        "vit_base_patch8_224": replace(_B16, patch_size=8),
        "vit_large_patch16_224": _L16,
        "vit_large_patch14_reg4_dinov2": replace(_L16, **_REG4),
        "vit_huge_patch14_224": _H14,
        "vit_giant_patch14_224": replace(_H14, embed_dim=1408, depth=40, mlp_ratio=48 / 11),
    }
)
"""Architecture names of timm 1.0 with their defaults; tests/models/test_encoder_layouts.py compares them with timm."""
