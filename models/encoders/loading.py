"""One door to all encoders: from a word or a folder to an encoder that may be used."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from core.errors import InputError
from models.cards import SHIPPED
from models.device import Device, choose_device
from models.encoders.builtin import backbone_encoder, backbone_licence, backbone_name, default_start, tile_model_encoder
from models.encoders.folders import read_folder
from models.encoders.licences import require_accepted
from models.encoders.local import local_encoder
from models.encoders.protocol import Encoder
from models.networks import ARCHITECTURES

MODEL_PREFIX = "model:"


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
    if spec.startswith(MODEL_PREFIX):
        return tile_model_encoder(spec.removeprefix(MODEL_PREFIX), device=chosen, root=root)
    architecture, _, start = spec.partition("=")
    if architecture in ARCHITECTURES:
        start = start or default_start(architecture)
        require_accepted(backbone_name(architecture, start=start), backbone_licence(start), accepted_licences)
        return backbone_encoder(architecture, start=start, device=chosen)
    if Path(spec).is_dir():
        folder = read_folder(Path(spec))
        require_accepted(folder.name, folder.licence, accepted_licences)
        return local_encoder(folder, device=chosen)
    raise InputError(
        f"{spec!r} is no encoder. Name a tile model (model:idc), a backbone (efficientnet_lite0, "
        "resnet50=FILE.safetensors), or a folder with an encoder's files."
    )
