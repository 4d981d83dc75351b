"""Cards of what is trained on top of a network, aggregators and heads, as files: TOML, and numbers as safetensors.

Both kinds keep the same rules: a card has every field and no other, its numbers are those whose digest it states, and a
pickle is never read.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# Reason: safetensors is typed in part only.
from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import ModelError

Arrays = Mapping[str, NDArray[Any]]


class SmallCard(Protocol):
    """What both kinds of cards state of their numbers."""

    @property
    def name(self) -> str:
        """Also the stem of the card's file."""
        ...

    @property
    def weights(self) -> str:
        """File name beside the card."""
        ...

    @property
    def weights_sha256(self) -> str:
        """Of that file."""
        ...

    @property
    def metrics(self) -> Mapping[str, Mapping[str, float]]:
        """Metric -> value, low, high."""
        ...


def pack(arrays: Arrays) -> bytes:
    """Return arrays as the bytes of a safetensors file."""
    return save({name: np.ascontiguousarray(value) for name, value in arrays.items()})


def digest(content: bytes) -> str:
    """Return the SHA-256 by which a card names its numbers."""
    return hashlib.sha256(content).hexdigest()


def write_small_card(card: SmallCard, content: bytes, folder: Path) -> Path:
    """Write `<weights>` and `<name>.toml` and return the card's path.

    Args:
        card: A frozen dataclass whose `weights_sha256` is that of `content`.
        content: From `pack`.
        folder: Made if need be.

    Raises:
        ModelError: the card states another digest.
    """
    if digest(content) != card.weights_sha256:
        raise ModelError(f"The card of {card.name} states another digest than that of its numbers.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / card.weights).write_bytes(content)
    path = folder / f"{card.name}.toml"
    path.write_text(_as_toml(card), encoding="utf-8")
    return path


def read_fields(path: Path, *, names: Sequence[str], tuples: Sequence[str], what: str) -> dict[str, Any]:
    """Return the fields of a card, all of them and no other; what they say is not checked.

    Args:
        path: The TOML file.
        names: Of the fields.
        tuples: Those that hold lists; they come back as tuples.
        what: The kind of card in words, for the sentences.

    Raises:
        ModelError: the file is missing, no TOML, lacks a field, has one too many, or holds no list where one belongs.
    """
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise ModelError(f"The {what} card {path.name} cannot be read: {err}.") from err
    if set(table) != set(names):
        wrong = ", ".join(sorted(set(table) ^ set(names)))
        raise ModelError(f"The {what} card {path.name} lacks or does not know these fields: {wrong}.")
    try:
        return table | {name: tuple(table[name]) for name in tuples}
    except TypeError as err:
        raise ModelError(f"The {what} card {path.name} holds a value of the wrong kind: {err}.") from err


def read_numbers(card: SmallCard, folder: Path, *, what: str) -> dict[str, NDArray[Any]]:
    """Return the numbers beside a card, after checking that they are the ones it was written for.

    Raises:
        ModelError: they are missing, altered, or no safetensors file.
    """
    path = folder / card.weights
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ModelError(f"The weights {path.name} of the {what} {card.name!r} are missing; train it again.") from err
    found = digest(content)
    if found != card.weights_sha256:
        raise ModelError(
            f"The weights {path.name} are not those of the card: SHA-256 {found[:12]}... instead of "
            f"{card.weights_sha256[:12]}.... They are not used; restore the file or train the {what} again."
        )
    try:
        return load(content)
    except SafetensorError as err:
        raise ModelError(f"{path.name} is not a safetensors file ({err}); other formats are refused.") from err


def _as_toml(card: Any) -> str:
    plain: dict[str, Any] = {item.name: getattr(card, item.name) for item in fields(card)}
    metrics: Mapping[str, Mapping[str, float]] = plain.pop("metrics")
    # A JSON string, number or list is one of TOML as well.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    lines += ["", "[metrics]"]
    for name, numbers in metrics.items():
        inner = ", ".join(f"{key} = {float(value)!r}" for key, value in numbers.items())
        lines.append(f"{json.dumps(name)} = {{ {inner} }}")
    return "\n".join(lines) + "\n"
