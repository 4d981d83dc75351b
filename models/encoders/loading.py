"""One door to all encoders: from a word or a folder to an encoder that may be used."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from models.cards import SHIPPED, load_card
from models.device import Device, choose_device
from models.encoders.builtin import (
    backbone_encoder,
    backbone_facts,
    backbone_licence,
    backbone_name,
    check_start,
    default_start,
    tile_model_encoder,
    tile_model_input,
    tile_model_size,
)
from models.encoders.folders import read_folder
from models.encoders.licences import OWN, Licence, require_accepted
from models.encoders.local import local_encoder
from models.encoders.protocol import Encoder
from models.encoders.shapes import InputFacts
from models.networks import ARCHITECTURES

MODEL_PREFIX = "model:"


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What can be said about an encoder without loading its weights."""

    spec: str
    """What `load_encoder` takes."""
    name: str
    title: str
    embedding_size: int
    input: InputFacts
    licence: Licence
    source: str


def describe_encoder(spec: str, *, root: Path = SHIPPED) -> EncoderFacts:
    """Say what an encoder is and under which terms it stands, without touching its weights.

    Args:
        spec: As for `load_encoder`.
        root: Where tile models lie.

    Raises:
        InputError: the spec means nothing.
        NotFoundError: no tile model of that name.
        ModelError: a folder does not say enough, or a backbone has no weights.
    """
    if spec.startswith(MODEL_PREFIX):
        card = load_card(spec.removeprefix(MODEL_PREFIX), root=root)
        return EncoderFacts(
            spec, spec, card.title, tile_model_size(card), tile_model_input(card), OWN, "a model card of Second Read"
        )
    architecture, _, start = spec.partition("=")
    if architecture in ARCHITECTURES:
        start = start or default_start(architecture)
        check_start(architecture, start)
        return EncoderFacts(
            spec,
            backbone_name(architecture, start=start),
            f"{architecture} with weights of {Path(start).name}",
            ARCHITECTURES[architecture].embedding_size,
            backbone_facts(architecture),
            backbone_licence(start),
            ARCHITECTURES[architecture].reference,
        )
    if spec and Path(spec).is_dir():
        folder = read_folder(Path(spec))
        return EncoderFacts(
            spec, folder.name, folder.title, folder.embedding_size, folder.input, folder.licence, folder.source
        )
    raise InputError(
        f"{spec!r} is no encoder. Name a tile model (model:idc), a backbone (efficientnet_lite0, "
        "resnet50=FILE.safetensors), or a folder with an encoder's files."
    )


def load_encoder(
    spec: str,
    *,
    device: str | Device = "auto",
    accepted_licences: Collection[str] = (),
    root: Path = SHIPPED,
) -> Encoder:
    """Load an encoder. Nothing is ever fetched from a network.

    Args:
        spec: "model:NAME" (what the last layer of a tile model sees); "ARCHITECTURE" or "ARCHITECTURE=FILE.safetensors"
            (a backbone of `models.networks` with the weights that are installed, or with a file); or the path of a
            folder with a published encoder's files.
        device: "auto" (CUDA, then CPU), "cpu" or "cuda", or one that is chosen already (`device.prepare_for_tiles`).
        accepted_licences: Keys (`licences.acceptance_key`) of the terms that somebody has accepted.
        root: Where tile models lie.

    Raises:
        InputError: the spec means nothing, or no such device.
        NotFoundError: no tile model of that name.
        ModelError: the licence is not accepted, or the weights are missing, altered, a pickle, or do not fit; tensors
            are then named.
    """
    chosen = device if isinstance(device, Device) else choose_device(device)
    facts = describe_encoder(spec, root=root)
    require_accepted(facts.name, facts.licence, accepted_licences)
    if spec.startswith(MODEL_PREFIX):
        return tile_model_encoder(spec.removeprefix(MODEL_PREFIX), device=chosen, root=root)
    architecture, _, start = spec.partition("=")
    if architecture in ARCHITECTURES:
        return backbone_encoder(architecture, start=start or default_start(architecture), device=chosen)
    return local_encoder(read_folder(Path(spec)), device=chosen)
