"""From a PyTorch pickle to safetensors: the tensors and nothing else, without running anything the file carries."""

# pyright: reportUnknownMemberType=false
# Reason: torch is typed in part only.
from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from core.errors import ConflictError, InputError, ModelError
from models.tensors import is_pickle, save_tensors

WRAPPERS = ("state_dict", "model_state_dict", "model", "network", "net", "weights", "teacher")
"""Names under which training programs put the weights into a checkpoint, the usual ones first."""

_PARALLEL = "module."
"""What torch's DataParallel puts before every name."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion did."""

    tensors: int
    numbers: int
    """Values in all tensors."""
    taken_from: str | None
    """Entry of the checkpoint that held the weights; None if they lay bare."""
    left_out: tuple[str, ...]
    """Entries that are no weights: counters, optimisers, settings."""
    prefix_removed: str
    """Beginning that all names had; empty if none."""
    sha256: str
    """Of the file written."""


def convert_weights(source: Path, target: Path, *, key: str | None = None) -> Converted:
    """Write the tensors of a PyTorch pickle as safetensors, with their names and number formats.

    The pickle is read with PyTorch's restricted unpickler (`weights_only`), which builds tensors and plain containers
    and refuses everything that could run code.

    Args:
        source: A file of `torch.save`: a state dict, or a checkpoint that holds one.
        target: A .safetensors file that does not exist yet.
        key: The entry that holds the weights, where a checkpoint holds several.

    Raises:
        InputError: the source is missing or no pickle, the target is no .safetensors name, or the entry is unclear.
        ConflictError: the target exists.
        ModelError: the file holds more than tensors, holds none, or is damaged.
    """
    if target.suffix != ".safetensors":
        raise InputError(f"{target.name} must end in .safetensors.")
    if target.exists():
        raise ConflictError(f"{target} exists already; remove it or choose another name.")
    content = _read(source)
    weights, taken_from = _weights_in(content, key=key, source=source)
    left_out = _left_out(content, weights, taken_from=taken_from)
    tensors = {name: value for name, value in weights.items() if isinstance(value, Tensor)}
    prefix = _PARALLEL if all(name.startswith(_PARALLEL) for name in tensors) else ""
    digest = save_tensors({name.removeprefix(prefix): tensor for name, tensor in tensors.items()}, target)
    numbers = sum(tensor.numel() for tensor in tensors.values())
    return Converted(len(tensors), numbers, taken_from, left_out, prefix, digest)


def _read(source: Path) -> Mapping[str, object]:
    if not source.is_file():
        raise InputError(f"There is no file {source}.")
    if not is_pickle(source):
        raise InputError(f"{source.name} is no pickle of PyTorch; a safetensors file needs no conversion.")
    try:
        content: object = torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as err:
        called = re.search(r"GLOBAL ([\w.]+)", str(err))
        what = f"asks for {called[1]}" if called else "holds more than tensors, or is damaged"
        raise ModelError(
            f"{source.name} {what} and was not loaded: that could run code. On a machine where you may trust the file, "
            "load it, save its state_dict() alone with torch.save, and convert that."
        ) from err
    if not isinstance(content, Mapping):
        raise ModelError(f"{source.name} holds a {type(content).__name__}, not a state dict with named tensors.")
    return {str(name): value for name, value in cast(Mapping[object, object], content).items()}


def _weights_in(
    content: Mapping[str, object], *, key: str | None, source: Path
) -> tuple[Mapping[str, object], str | None]:
    inside = {name: cast(Mapping[str, object], value) for name, value in content.items() if _has_tensors(value)}
    if key is not None:
        if key not in inside:
            raise InputError(f"{source.name} has no weights under {key!r}; it has {', '.join(inside) or 'none'}.")
        return inside[key], key
    if _has_tensors(content):
        return content, None
    usual = [name for name in WRAPPERS if name in inside]
    if len(inside) != 1 and len(usual) != 1:
        raise InputError(
            f"{source.name} has weights under {', '.join(inside)}; say which with --key."
            if inside
            else f"{source.name} holds no tensors."
        )
    name = usual[0] if len(usual) == 1 else next(iter(inside))
    return inside[name], name


def _has_tensors(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(item, Tensor) for item in cast(Mapping[object, object], value).values())


def _left_out(
    content: Mapping[str, object], weights: Mapping[str, object], *, taken_from: str | None
) -> tuple[str, ...]:
    beside = () if taken_from is None else tuple(name for name in content if name != taken_from)
    return (*beside, *(str(name) for name, value in weights.items() if not isinstance(value, Tensor)))
