"""How checkpoints name their tensors: a table a layout, from the network's own names back to those of the file.

Going backwards makes both kinds of mistake nameable in the user's own words: a tensor that the network needs and the
file lacks, and a tensor in the file that nothing asked for.

Sources: transformers' convert_dinov2_to_hf.py states the renaming of DINOv2 and that query, key and value are the
rows of qkv in this order; its Dinov2WithRegistersEmbeddings adds position embeddings before it inserts the registers,
so the class token has a position and the registers have none. mahmoodlab/CONCH vision_tower.py names the pooler.
KimiaNet_PyTorch_Feature_Extraction.py wraps torchvision's features twice and the whole in DataParallel.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from core.errors import ModelError
from models.encoders.shapes import Layout

Shape = tuple[int, ...]
ANY = -1
"""In an expected shape: whatever length."""
_NAMED = 6
"""Tensors of one kind of mistake that a sentence names before it counts the rest."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Where one kind of tensor of the network comes from."""

    pattern: str
    """Regular expression for the whole name in the network."""
    sources: tuple[str, ...]
    """Names in the file, as replacements of the pattern."""
    combine: Callable[[Sequence[Tensor]], Tensor]
    """Tensors of the file -> tensor of the network."""
    shapes: Callable[[Shape], tuple[Shape, ...]]
    """Shape in the network -> shapes in the file."""


def _copy(pattern: str, source: str) -> _Rule:
    return _Rule(pattern, (source,), lambda parts: parts[0], lambda shape: (shape,))


def _stack_rows(pattern: str, *sources: str) -> _Rule:
    count = len(sources)

    def shapes(shape: Shape) -> tuple[Shape, ...]:
        return ((shape[0] // count, *shape[1:]),) * count

    return _Rule(pattern, sources, lambda parts: torch.cat(list(parts)), shapes)


_KEEP = _copy(r"(.+)", r"\1")

_TIMM = (_KEEP,)

_DINOV2 = (
    _copy(r"cls_token", "embeddings.cls_token"),
    _copy(r"pos_embed", "embeddings.position_embeddings"),
    _copy(r"patch_embed\.proj\.(weight|bias)", r"embeddings.patch_embeddings.projection.\1"),
    _copy(r"blocks\.(\d+)\.norm([12])\.(weight|bias)", r"encoder.layer.\1.norm\2.\3"),
    _stack_rows(
        r"blocks\.(\d+)\.attn\.qkv\.(weight|bias)",
        r"encoder.layer.\1.attention.attention.query.\2",
        r"encoder.layer.\1.attention.attention.key.\2",
        r"encoder.layer.\1.attention.attention.value.\2",
    ),
    _copy(r"blocks\.(\d+)\.attn\.proj\.(weight|bias)", r"encoder.layer.\1.attention.output.dense.\2"),
    _copy(r"blocks\.(\d+)\.ls([12])\.gamma", r"encoder.layer.\1.layer_scale\2.lambda1"),
    _copy(r"norm\.(weight|bias)", r"layernorm.\1"),
)
_DINOV2_MLP = (_copy(r"blocks\.(\d+)\.mlp\.fc([12])\.(weight|bias)", r"encoder.layer.\1.mlp.fc\2.\3"),)
_DINOV2_SWIGLU = (
    _copy(r"blocks\.(\d+)\.mlp\.fc1\.(weight|bias)", r"encoder.layer.\1.mlp.weights_in.\2"),
    _copy(r"blocks\.(\d+)\.mlp\.fc2\.(weight|bias)", r"encoder.layer.\1.mlp.weights_out.\2"),
)
_DINOV2_REGISTERS = (
    # The class token's position, which the network does not know, is added to the token once and for all.
    _Rule(
        r"cls_token",
        ("embeddings.cls_token", "embeddings.position_embeddings"),
        lambda parts: parts[0] + parts[1][:, :1],
        lambda shape: (shape, (1, ANY, shape[-1])),  # how many positions there are, the next rule checks
    ),
    _Rule(
        r"pos_embed",
        ("embeddings.position_embeddings",),
        lambda parts: parts[0][:, 1:],
        lambda shape: ((shape[0], shape[1] + 1, shape[2]),),
    ),
    _copy(r"reg_token", "embeddings.register_tokens"),
)
_CONCH = (
    _copy(r"trunk\.(.+)", r"visual.trunk.\1"),
    _copy(r"pooler\.(.+)", r"visual.attn_pool_contrast.\1"),
    _copy(r"norm\.(.+)", r"visual.ln_contrast.\1"),
)
_TORCHVISION = (_copy(r"(.+)", r"features.\1"),)
_KIMIANET = (_copy(r"(.+)", r"module.model.0.\1"),)

_LEFT_ALONE: Mapping[Layout, str] = MappingProxyType(
    {
        Layout.TIMM: r"(?!)",
        Layout.DINOV2: r"embeddings\.mask_token",  # only ever used in training
        Layout.CONCH: r"text\..*|text_decoder\..*|logit_scale|visual\.(attn_pool_caption|ln_caption)\..*"
        r"|visual\.proj_contrast",  # the other tower, captions, and the projection into the space shared with text
        Layout.DENSENET: r"classifier\.(weight|bias)|module\.fc_4\.(weight|bias)|.*\.num_batches_tracked",
    }
)
"""Tensors of a layout that a vector needs no part in, by name; everything else must be asked for."""


def translate(
    tensors: Mapping[str, Tensor],
    *,
    layout: Layout,
    wanted: Mapping[str, Tensor],
    swiglu: bool = False,
    registers: bool = False,
    source: str,
) -> dict[str, Tensor]:
    """Return the tensors of a file under the names of the network, in float32.

    Args:
        tensors: The file's.
        layout: How it names them.
        wanted: The network's own tensors, for their names and shapes.
        swiglu: Whether the MLPs are gated (layout DINOV2 names them differently).
        registers: Whether there are registers (layout DINOV2 then keeps positions differently).
        source: The file, for the sentence.

    Raises:
        ModelError: tensors are missing, unexpected or of another shape; the sentence names them as the file does.
    """
    rules = _rules(layout, tensors, swiglu=swiglu, registers=registers)
    result: dict[str, Tensor] = {}
    used: set[str] = set()
    missing: list[str] = []
    misshapen: list[str] = []
    for name, target in wanted.items():
        if name.endswith("num_batches_tracked"):  # counts training steps; nothing that is computed depends on it
            result[name] = torch.zeros_like(target, device="cpu")
            continue
        rule, sources = _sources(name, rules)
        used.update(sources)
        missing += [part for part in sources if part not in tensors]
        if any(part not in tensors for part in sources):
            continue
        wrong = _wrong_shapes(sources, tensors, rule.shapes(tuple(target.shape)))
        misshapen += wrong
        if not wrong:
            result[name] = rule.combine([tensors[part].float() for part in sources])
    unexpected = [name for name in tensors if name not in used and not re.fullmatch(_LEFT_ALONE[layout], name)]
    _refuse(source, layout, missing=missing, unexpected=unexpected, misshapen=misshapen)
    return result


def _rules(layout: Layout, tensors: Mapping[str, Tensor], *, swiglu: bool, registers: bool) -> tuple[_Rule, ...]:
    if layout is Layout.DINOV2:
        # The first rule that fits a name wins, so those for registers stand before the plain ones.
        return (*(_DINOV2_REGISTERS if registers else ()), *_DINOV2, *(_DINOV2_SWIGLU if swiglu else _DINOV2_MLP))
    if layout is Layout.CONCH:
        return _CONCH
    if layout is Layout.DENSENET:
        return _KIMIANET if any(name.startswith("module.") for name in tensors) else _TORCHVISION
    return _TIMM


def _sources(name: str, rules: Sequence[_Rule]) -> tuple[_Rule, tuple[str, ...]]:
    for rule in rules:
        if found := re.fullmatch(rule.pattern, name):
            return rule, tuple(found.expand(part) for part in rule.sources)
    return _KEEP, (name,)


def _wrong_shapes(sources: Sequence[str], tensors: Mapping[str, Tensor], expected: Sequence[Shape]) -> list[str]:
    """Name tensors of another shape than expected."""
    return [
        f"{name} {tuple(tensors[name].shape)} instead of {shape}".replace(str(ANY), "any")
        for name, shape in zip(sources, expected, strict=True)
        if not _fits(tuple(tensors[name].shape), shape)
    ]


def _fits(found: Shape, expected: Shape) -> bool:
    return len(found) == len(expected) and all(want in (ANY, have) for have, want in zip(found, expected, strict=True))


def _refuse(
    source: str, layout: Layout, *, missing: Sequence[str], unexpected: Sequence[str], misshapen: Sequence[str]
) -> None:
    kinds = (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", misshapen))
    found = [f"{kind} {_some(list(dict.fromkeys(names)))}" for kind, names in kinds if names]
    if found:
        raise ModelError(
            f"The tensors of {source} are not those of this encoder in the layout {layout.value}: {'; '.join(found)}."
        )


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
