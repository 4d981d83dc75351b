"""Shapes of vision transformers from the config.json that timm and Hugging Face transformers write. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from core.errors import ModelError
from models.encoders.shapes import TIMM_SHAPES, Pooling, VitShape

_TIMM_ARGUMENTS = frozenset(item.name for item in fields(VitShape)) - {"swiglu", "norm_eps"}
_TIMM_FIXED = {"in_chans": (3,), "class_token": (True,)}
"""Arguments of timm with the only values that an encoder here can have."""
_TIMM_HARMLESS = frozenset({"num_classes", "dynamic_img_size", "global_pool", *_TIMM_FIXED})
"""Arguments of timm that say nothing about the shape; the pooling is asked for by `timm_pooling`."""


def timm_shape(config: Mapping[str, Any], *, swiglu: bool) -> VitShape:
    """Return the shape that a timm config describes.

    Args:
        config: The table of config.json.
        swiglu: Whether the MLPs are gated, which such a config cannot say.

    Raises:
        ModelError: an architecture or an argument that is not known; it is named.
    """
    name = str(config["architecture"])
    if name not in TIMM_SHAPES:
        raise ModelError(f"config.json names the architecture {name!r}; known are {', '.join(TIMM_SHAPES)}.")
    arguments: Mapping[str, Any] = config.get("model_args") or {}
    unknown = sorted(set(arguments) - _TIMM_ARGUMENTS - _TIMM_HARMLESS)
    if unknown:
        raise ModelError(f"config.json gives arguments that are not understood: {', '.join(unknown)}.")
    for key, values in _TIMM_FIXED.items():
        if key in arguments and arguments[key] not in values:
            raise ModelError(f"config.json asks for {key} = {arguments[key]}; only {values[0]} can be used.")
    return replace(
        TIMM_SHAPES[name], swiglu=swiglu, **{key: value for key, value in arguments.items() if key in _TIMM_ARGUMENTS}
    )


def timm_pooling(config: Mapping[str, Any]) -> Pooling:
    """Return the pooling that a timm config describes.

    Raises:
        ModelError: one that is not offered; it is named.
    """
    arguments: Mapping[str, Any] = config.get("model_args") or {}
    named = str(arguments.get("global_pool", config.get("global_pool", "token")))
    if named not in ("", "token"):  # "" gives all tokens, of which the first is the class token
        raise ModelError(
            f"config.json pools by {named!r}, which is not offered. If the class token is what you want, write "
            'pooling = "class" into encoder.toml.'
        )
    return Pooling.CLASS


def dinov2_shape(config: Mapping[str, Any]) -> VitShape:
    """Return the shape that a config of transformers' Dinov2Model describes; the defaults are its Dinov2Config's."""
    width = int(config["hidden_size"])
    ratio = float(config.get("mlp_ratio", 4))
    gated = bool(config.get("use_swiglu_ffn", False))
    if gated:  # both halves together, as its Dinov2SwiGLUFFN rounds them to multiples of 8
        ratio = 2 * ((int(int(width * ratio) * 2 / 3) + 7) // 8 * 8) / width
    registers = int(config.get("num_register_tokens", 0))
    return VitShape(
        img_size=int(config.get("image_size", 224)),
        patch_size=int(config.get("patch_size", 14)),
        embed_dim=width,
        depth=int(config.get("num_hidden_layers", 12)),
        num_heads=int(config.get("num_attention_heads", 12)),
        mlp_ratio=ratio,
        init_values=float(config.get("layerscale_value", 1.0)),
        swiglu=gated,
        reg_tokens=registers,
        no_embed_class=registers > 0,
        qkv_bias=bool(config.get("qkv_bias", True)),
        norm_eps=float(config.get("layer_norm_eps", 1e-6)),
    )
