"""Models by name: `<root>/cards/<name>.toml` with `<root>/weights/<file>` beside it."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: safetensors is typed in part only.
from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from core.errors import ModelError
from models.cards import SHIPPED, ModelCard, load_card, sha256_of_file
from models.device import Device
from models.networks import build_network
from models.torch_model import TorchTileModel


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
    network = build_network(card.architecture, classes=len(card.classes))
    _load_weights(network, card, root / "weights" / card.weights)
    return TorchTileModel.from_network(
        network,
        name=card.name,
        classes=card.classes,
        tile_px=card.tile_px,
        mpp=card.mpp,
        input_px=card.input_px,
        device=device,
        temperature=card.temperature,
        mean_255=card.mean_255,
        std_255=card.std_255,
    )


def save_weights(weights: dict[str, Tensor], path: Path) -> str:
    """Write weights as fp16 safetensors (counters keep their type) and return the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in weights.items()
    }
    path.write_bytes(save(halves))  # save_file would make the file unreadable for other users
    return sha256_of_file(path)


def _load_weights(network: nn.Module, card: ModelCard, path: Path) -> None:
    if not path.is_file():
        raise ModelError(f"The weights {path.name} of model {card.name!r} are missing; install the program again.")
    found = sha256_of_file(path)
    if found != card.weights_sha256:
        raise ModelError(
            f"The weights {path.name} are not those of the card: SHA-256 {found[:12]}... instead of "
            f"{card.weights_sha256[:12]}.... They are not used; restore the file or write a new card."
        )
    try:
        weights = load_file(path)
        network.load_state_dict({name: _single(tensor) for name, tensor in weights.items()})
    except SafetensorError as err:
        raise ModelError(f"{path.name} is not a safetensors file ({err}); other formats are refused.") from err
    except RuntimeError as err:
        raise ModelError(f"The weights {path.name} do not fit the architecture {card.architecture!r}.") from err


def _single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor
