"""Tiny checkpoints with the tensor names and the files of published encoders, and random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from models.device import Device

CPU = Device(torch.device("cpu"), torch.float32, "cpu (fp32)")
LICENCE_TEXT = "Terms of a test: any use."

Tensors = dict[str, torch.Tensor]


def tiles(count: int = 3, *, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def random_like(shapes: dict[str, tuple[int, ...]], *, seed: int = 0) -> Tensors:
    """Weights large enough that every tensor changes the result."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes.items()}


def dinov2_tensors(
    *, width: int = 24, depth: int = 2, patches: int = 4, patch: int = 8, registers: int = 0, swiglu: bool = False
) -> Tensors:
    """A checkpoint with the names of transformers' Dinov2Model (or Dinov2WithRegistersModel)."""
    hidden = (int(4 * width * 2 / 3) + 7) // 8 * 8 if swiglu else 4 * width
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.mask_token": (1, width),
        "embeddings.position_embeddings": (1, 1 + patches, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, patch, patch),
        "embeddings.patch_embeddings.projection.bias": (width,),
        "layernorm.weight": (width,),
        "layernorm.bias": (width,),
    }
    if registers:
        shapes["embeddings.register_tokens"] = (1, registers, width)
    for layer in range(depth):
        at = f"encoder.layer.{layer}"
        for norm in ("norm1", "norm2"):
            shapes |= {f"{at}.{norm}.weight": (width,), f"{at}.{norm}.bias": (width,)}
        for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
            shapes |= {f"{at}.attention.{part}.weight": (width, width), f"{at}.attention.{part}.bias": (width,)}
        shapes |= {f"{at}.layer_scale1.lambda1": (width,), f"{at}.layer_scale2.lambda1": (width,)}
        first, second = ("weights_in", "weights_out") if swiglu else ("fc1", "fc2")
        inner = 2 * hidden if swiglu else hidden
        shapes |= {f"{at}.mlp.{first}.weight": (inner, width), f"{at}.mlp.{first}.bias": (inner,)}
        shapes |= {f"{at}.mlp.{second}.weight": (width, hidden), f"{at}.mlp.{second}.bias": (width,)}
    return random_like(shapes)


def dinov2_config(
    *, width: int = 24, depth: int = 2, heads: int = 4, registers: int = 0, swiglu: bool = False
) -> dict[str, Any]:
    config: dict[str, Any] = {
        "architectures": ["Dinov2WithRegistersModel" if registers else "Dinov2Model"],
        "model_type": "dinov2_with_registers" if registers else "dinov2",
        "hidden_size": width,
        "image_size": 16,
        "patch_size": 8,
        "num_hidden_layers": depth,
        "num_attention_heads": heads,
        "mlp_ratio": 4,
        "use_swiglu_ffn": swiglu,
        "layerscale_value": 1.0,
        "qkv_bias": True,
        "layer_norm_eps": 1e-6,
    }
    return config | ({"num_register_tokens": registers} if registers else {})


def write_folder(
    path: Path,
    tensors: Tensors,
    *,
    config: dict[str, Any] | None = None,
    toml: str = "",
    weights: str = "model.safetensors",
    licence: bool = True,
) -> Path:
    """Write a folder as a user would have it."""
    path.mkdir(parents=True)
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path / weights)
    if config is not None:
        (path / "config.json").write_text(json.dumps(config))
    if toml:
        (path / "encoder.toml").write_text(toml)
    if licence:
        (path / "LICENSE").write_text(LICENCE_TEXT)
    return path


def normalised(images: np.ndarray, *, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """(N, H, W, 3) bytes -> (N, 3, H, W), as torchvision's ToTensor and Normalize; mean and std on the scale 0-1."""
    batch = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 255
    return (batch - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
