"""Models by name: `<root>/cards/<name>.toml` with `<root>/weights/<file>` of every member beside it."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from core.errors import ModelError
from models.cards import SHIPPED, Member, ModelCard, load_card, sha256_of_file
from models.device import Device
from models.networks import architecture_of, build_network
from models.tensors import load_tensors, read_tensors, save_weights
from models.torch_model import TorchTileModel

__all__ = ["load_model", "load_network", "save_weights"]


def load_model(name: str, *, device: str | Device = "auto", root: Path = SHIPPED) -> TorchTileModel:
    """Load a model for inference, after checking that its weights are the ones its card was written for.

    Args:
        name: Name of the card.
        device: "auto" (CUDA, then CPU), "cpu" or "cuda", or one that is chosen already (`device.prepare_for_tiles`).
        root: Folder with `cards/` and `weights/`.

    Raises:
        NotFoundError: no card of that name.
        ModelError: card or weights are missing, altered or do not fit each other.
        InputError: no such device.
    """
    card = load_card(name, root=root)
    networks = [load_network(card, member, root=root) for member in card.members]
    return TorchTileModel.from_members(
        tuple(zip(networks, card.members, strict=True)),
        name=card.name,
        classes=card.classes,
        tile_px=card.tile_px,
        mpp=card.mpp,
        isometries=card.isometries,
        device=device,
    )


def load_network(card: ModelCard, member: Member, *, root: Path = SHIPPED) -> nn.Module:
    """Build one network of a model and load its weights, in float32 and unfused.

    Raises:
        ModelError: weights are missing, altered, a pickle, or do not fit the architecture; tensors are then named.
    """
    smallest = architecture_of(member.architecture).min_input_px
    if member.input_px < smallest:
        raise ModelError(
            f"The card of {card.name!r} shows {member.architecture} {member.input_px} px; it needs {smallest} or more."
        )
    path = root / "weights" / member.weights
    if not path.is_file():
        raise ModelError(f"The weights {path.name} of model {card.name!r} are missing; install the program again.")
    found = sha256_of_file(path)
    if found != member.sha256:
        raise ModelError(
            f"The weights {path.name} are not those of the card: SHA-256 {found[:12]}... instead of "
            f"{member.sha256[:12]}.... They are not used; restore the file or write a new card."
        )
    network = build_network(member.architecture, classes=len(card.classes))
    load_tensors(network, read_tensors(path), source=f"{path.name} ({member.architecture})")
    return network
