"""What a folder with an encoder's files says about itself. Needs no torch.

A folder holds the weights as safetensors and one or both of: `encoder.toml`, our own description, and `config.json`
as timm or Hugging Face write it. What neither says comes from the published encoder that the folder's name or
`encoder = "..."` means. Nothing in a folder is ever run.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.errors import ModelError
from models.card_types import Channels
from models.encoders.foreign_configs import dinov2_shape, timm_pooling, timm_shape
from models.encoders.licences import Licence
from models.encoders.published import PUBLISHED, Published, published_name
from models.encoders.shapes import InputFacts, Layout, PoolerShape, Pooling, VitShape

DESCRIPTION = "encoder.toml"
CONFIG = "config.json"
PROCESSOR = "preprocessor_config.json"
WEIGHTS = "model.safetensors"
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md")

_TOML_KEYS = frozenset({"encoder", "weights", "layout", "pooling", "shape", "pooler", "input", "licence"})


@dataclass(frozen=True, slots=True)
class EncoderFolder:
    """An encoder that lies in a folder; its weights have not been looked at yet."""

    name: str
    title: str
    layout: Layout
    shape: VitShape | None
    """None for a convolutional network."""
    pooling: Pooling
    pooler: PoolerShape
    input: InputFacts
    licence: Licence
    source: str
    """Where such weights are offered, and the paper."""
    weights: Path

    @property
    def embedding_size(self) -> int:
        """Length of a vector."""
        if self.shape is None:
            return 1024  # the last map of DenseNet-121
        if self.pooling is Pooling.ATTENTION:
            return self.pooler.embed_dim
        return self.shape.embed_dim * (2 if self.pooling is Pooling.CLASS_AND_MEAN else 1)


def read_folder(path: Path) -> EncoderFolder:
    """Read what a folder says about the encoder in it.

    Raises:
        ModelError: it does not say enough, contradicts itself, or holds a word nobody knows; the sentence says which.
    """
    if not path.is_dir():
        raise ModelError(f"There is no folder {path} with an encoder.")
    path = path.resolve()  # "." has no name that could say what it is
    described = _toml(path / DESCRIPTION)
    unknown = sorted(set(described) - _TOML_KEYS)
    if unknown:
        raise ModelError(f"{DESCRIPTION} does not know {', '.join(unknown)}; it knows {', '.join(sorted(_TOML_KEYS))}.")
    try:
        return _read(path, described, _json(path / CONFIG), _json(path / PROCESSOR))
    except (TypeError, ValueError, KeyError, AttributeError) as err:
        if isinstance(err, ModelError):
            raise
        raise ModelError(f"The description of the encoder in {path.name} holds a wrong value ({err}).") from err


def _read(
    path: Path, described: Mapping[str, Any], config: Mapping[str, Any], processor: Mapping[str, Any]
) -> EncoderFolder:
    name = str(described.get("encoder", path.name))
    known_as = published_name(name)
    known = PUBLISHED.get(known_as or "")
    layout = Layout(described["layout"]) if "layout" in described else _layout(path, config, known)
    shape = _shape(layout, described, config, known)
    pooling = Pooling(described["pooling"]) if "pooling" in described else _pooling(layout, config, known)
    folder = EncoderFolder(
        name=known_as or name,
        title=known.title if known else name,
        layout=layout,
        shape=shape,
        pooling=pooling,
        pooler=replace(known.pooler if known else PoolerShape(), **described.get("pooler", {})),
        input=_input(described, config, processor, known, layout),
        licence=_licence(path, described, known),
        source=known.source if known else f"the folder {path.name}",
        weights=_weights(path, described),
    )
    _check(folder)
    return folder


def _layout(path: Path, config: Mapping[str, Any], known: Published | None) -> Layout:
    if "architecture" in config:
        return Layout.TIMM
    if str(config.get("model_type", "")).startswith("dinov2") or "Dinov2" in str(config.get("architectures", "")):
        return Layout.DINOV2
    if known is None:
        raise ModelError(
            f"The folder {path.name} does not say what it holds. Give it the name of a published encoder "
            f"({', '.join(PUBLISHED)}), or write {DESCRIPTION} with encoder = ... or layout = ... in it."
        )
    return known.layout


def _pooling(layout: Layout, config: Mapping[str, Any], known: Published | None) -> Pooling:
    if known is not None:
        return known.pooling
    if layout is Layout.TIMM:
        return timm_pooling(config)
    return {Layout.CONCH: Pooling.ATTENTION, Layout.DENSENET: Pooling.AVERAGE}.get(layout, Pooling.CLASS)


def _shape(
    layout: Layout, described: Mapping[str, Any], config: Mapping[str, Any], known: Published | None
) -> VitShape | None:
    if layout is Layout.DENSENET:
        return None
    base = known.shape if known and known.shape else VitShape()
    if layout is Layout.TIMM and "architecture" in config:
        base = timm_shape(config, swiglu=base.swiglu)
    elif layout is Layout.DINOV2 and "hidden_size" in config:
        base = dinov2_shape(config)
    return replace(base, **described.get("shape", {}))


def _input(
    described: Mapping[str, Any],
    config: Mapping[str, Any],
    processor: Mapping[str, Any],
    known: Published | None,
    layout: Layout,
) -> InputFacts:
    """Published facts, overridden by what the files say, overridden by `encoder.toml`."""
    facts = known.input if known else InputFacts(mpp=None)
    pretrained: Mapping[str, Any] = config.get("pretrained_cfg") or {}
    for mean, std in ((pretrained.get("mean"), pretrained.get("std")), _processor_colours(processor)):
        if mean is not None and std is not None:
            facts = replace(facts, mean_255=_times_255(mean), std_255=_times_255(std))
    if layout is Layout.TIMM and known is None and "input_size" in pretrained:
        side = int(pretrained["input_size"][-1])
        facts = replace(facts, input_px=side, tile_px=side)
    own = dict(described.get("input", {}))
    colours = {f"{key}_255": _times_255(own.pop(key)) for key in ("mean", "std") if key in own}
    return replace(facts, **colours, **own)


def _processor_colours(processor: Mapping[str, Any]) -> tuple[Any, Any]:
    return processor.get("image_mean"), processor.get("image_std")


def _licence(path: Path, described: Mapping[str, Any], known: Published | None) -> Licence:
    """Terms in the folder, in full, before the summary of what is published: the folder may be another version."""
    own: Mapping[str, Any] = described.get("licence", {})
    file = next((path / name for name in LICENCE_FILES if (path / name).is_file()), None)
    text = None if file is None else file.read_text(encoding="utf-8", errors="replace")
    if known is None and not own and text is None:
        raise ModelError(
            f"The folder {path.name} does not say under which licence its weights stand. Put the licence's text beside "
            f"them as LICENSE, or write [licence] with name and terms into {DESCRIPTION}."
        )
    name = str(own.get("name") or (known.licence.name if known else "licence file in the folder"))
    summary = str(own.get("terms") or (known.licence.terms if known else ""))
    terms = "\n\n".join(part for part in (summary, text) if part)
    return Licence(name, terms, str(own.get("url") or (known.licence.url if known else "")))


def _weights(path: Path, described: Mapping[str, Any]) -> Path:
    """Return the weights file; a pickle is returned as well, so that reading it gives the way to convert it."""
    if "weights" in described:
        name = str(described["weights"])
        if Path(name).name != name:
            raise ModelError(f"weights in {DESCRIPTION} must be a file name in the same folder, got {name!r}.")
        return path / name
    found = sorted(path.glob("*.safetensors"))
    if (path / WEIGHTS).is_file() or not found:
        pickles = [file for suffix in ("*.bin", "*.pth", "*.pt") for file in sorted(path.glob(suffix))]
        return pickles[0] if pickles and not found else path / WEIGHTS
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise ModelError(f"{path.name} holds several weights ({names}); say in {DESCRIPTION} which: weights = ...")
    return found[0]


def _check(folder: EncoderFolder) -> None:
    """Refuse combinations that would give other vectors than the authors'."""
    fits = {
        Layout.CONCH: (Pooling.ATTENTION,),
        Layout.DENSENET: (Pooling.AVERAGE,),
    }.get(folder.layout, (Pooling.CLASS, Pooling.CLASS_AND_MEAN))
    if folder.pooling not in fits:
        raise ModelError(f"The layout {folder.layout.value} has no pooling {folder.pooling.value!r}.")
    shape = folder.shape
    if shape is None:
        return
    if folder.input.input_px % shape.patch_size:
        raise ModelError(f"{folder.input.input_px} px do not divide into patches of {shape.patch_size} px.")
    if folder.layout is Layout.DINOV2 and not shape.reg_tokens and folder.input.input_px != shape.img_size:
        # Without registers transformers stretches positions without antialiasing, which timm does not do.
        raise ModelError(f"{folder.name} is for images of {shape.img_size} px, not {folder.input.input_px}.")


def _times_255(values: Any) -> Channels:
    red, green, blue = (round(float(value) * 255, 6) for value in values)
    return red, green, blue


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as err:
        raise ModelError(f"{path.name} in {path.parent.name} cannot be read: {err}.") from err


def _json(path: Path) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError) as err:
        raise ModelError(f"{path.name} in {path.parent.name} cannot be read: {err}.") from err
    if not isinstance(found, dict):
        raise ModelError(f"{path.name} in {path.parent.name} holds no table.")
    return found  # pyright: ignore[reportUnknownVariableType]  (JSON edge)
