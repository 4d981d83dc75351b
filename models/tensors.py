"""Weights as files of tensors: safetensors only, and every tensor that does not belong named."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Reason: safetensors is typed in part only.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from core.errors import ModelError
from models.cards import sha256_of_file

PICKLE_SUFFIXES = (".pth", ".pt", ".bin", ".pkl", ".pickle", ".ckpt", ".tar")
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How files of torch.save begin: as a zip archive, or, before PyTorch 1.6, as a pickle of that protocol."""

_NAMED = 6
"""Tensors of one kind of mistake that a sentence names before it counts the rest."""


def is_pickle(path: Path) -> bool:
    """Say whether a file is a pickle by its first bytes, or by its name where these tell nothing."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # safetensors: eight bytes of length, which may look like anything, then JSON
        return False
    return start.startswith(_PICKLE_STARTS) or path.suffix.lower() in PICKLE_SUFFIXES


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, as they are stored, onto the CPU.

    Raises:
        ModelError: the file is missing, a pickle (with the command that converts it), or damaged.
    """
    if not path.is_file():
        raise ModelError(f"There is no weights file {path}.")
    if is_pickle(path):
        converted = f"{path.stem}.safetensors" if path.suffix != ".safetensors" else f"{path.stem}-new.safetensors"
        raise ModelError(
            f"{path.name} is a pickle, not a safetensors file. Loading a pickle can execute code that it carries, so "
            f"it is refused; convert it: second-read convert-weights {path.name} {converted}"
        )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as err:
        raise ModelError(f"{path.name} is not a safetensors file ({err}); other formats are refused.") from err


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], *, source: str) -> None:
    """Load tensors into a network, in float32, if they are exactly the ones it has.

    Args:
        network: Keeps its weights if the tensors are refused.
        tensors: All of them: parameters and buffers.
        source: Where they come from, for the sentence.

    Raises:
        ModelError: tensors are missing, unexpected or of another shape; the sentence names them.
    """
    wrong = misfits(network, tensors)
    if wrong:
        raise ModelError(f"The weights of {source} do not fit the network: {'; '.join(wrong)}.")
    network.load_state_dict({name: _single(tensor) for name, tensor in tensors.items()})


def misfits(network: nn.Module, tensors: Mapping[str, Tensor], *, but: Sequence[str] = ()) -> tuple[str, ...]:
    """Say which tensors do not fit a network, in one phrase a kind of mistake; none if they fit.

    Args:
        network: States the names and shapes.
        tensors: What is offered.
        but: Names that the network has and that need not be offered.
    """
    wanted = network.state_dict()
    missing = [name for name in wanted if name not in tensors and name not in but]
    unexpected = [name for name in tensors if name not in wanted]
    shapes = [
        f"{name} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
        for name, tensor in tensors.items()
        if name in wanted and tensor.shape != wanted[name].shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of the wrong shape", shapes))
    return tuple(f"{kind} {_some(names)}" for kind, names in kinds if names)


def save_weights(weights: Mapping[str, Tensor], path: Path) -> str:
    """Write weights as fp16 safetensors (counters keep their type) and return the file's SHA-256."""
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    return save_tensors(halves, path)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> str:
    """Write tensors as safetensors in the type they have, and return the file's SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    path.write_bytes(save(own))  # save_file would make the file unreadable for other users
    return sha256_of_file(path)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _single(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float32) if tensor.is_floating_point() else tensor
