"""Heads as files: numbers as safetensors and a card in TOML beside them; never a pickle. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError
from models.encoders.heads import Head, LinearProbe
from models.encoders.prototypes import Prototypes
from models.small_cards import pack, read_fields, read_numbers, write_small_card

LINEAR_PROBE = "linear_probe"
PROTOTYPES = "prototypes"
KINDS: Mapping[str, str] = {
    LINEAR_PROBE: "Logistic regression on frozen embeddings; its scores are probabilities",
    PROTOTYPES: "Nearest class mean of frozen embeddings; its scores are differences of cosine distances",
}
"""Kinds of heads and what their scores are."""
HEAD_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCard:
    """One head, as its TOML file states it."""

    name: str
    kind: str
    """An entry of `KINDS`."""
    classes: tuple[str, ...]
    encoder: str
    """Name of the encoder whose vectors it reads."""
    encoder_sha256: str
    """Of that encoder; with other weights or another input the vectors mean something else."""
    encoder_licence: str
    """Whose terms hold for what is derived from it as well, unless they say otherwise."""
    embedding_size: int
    data: str
    """What it was fitted on, in words."""
    data_sha256: str
    vectors: int
    groups: int
    """Patients."""
    settings: str
    """How it was fitted: penalty, balance, shots, seed."""
    evaluation: str
    """How the metrics came about."""
    metrics: Mapping[str, Mapping[str, float]]
    """Metric -> value, low, high (95 % interval over patients)."""
    limits: tuple[str, ...]
    created: str
    """Date, ISO 8601."""
    weights: str
    """File name beside the card."""
    weights_sha256: str

    def __post_init__(self) -> None:
        problems = [
            text
            for wrong, text in (
                (not HEAD_NAME.fullmatch(self.name), "name must be lower-case letters, digits, - and _"),
                (self.kind not in KINDS, f"kind must be one of {', '.join(KINDS)}"),
                (len(self.classes) < 2 or len(set(self.classes)) != len(self.classes), "classes must be distinct"),
                (self.embedding_size < 1, "embedding_size must be positive"),
                (len(self.encoder_sha256) != 64, "encoder_sha256 must have 64 hexadecimal digits"),
                (len(self.weights_sha256) != 64, "weights_sha256 must have 64 hexadecimal digits"),
                (not self.weights.endswith(".safetensors"), "weights must be a .safetensors file, never a pickle"),
                (Path(self.weights).name != self.weights, "weights must be a file name without a folder"),
            )
            if wrong
        ]
        if problems:
            raise ModelError(f"The head card {self.name!r} cannot be used: {'; '.join(problems)}.")


@dataclass(frozen=True, slots=True, eq=False)
class StoredHead:
    """A head with its card."""

    card: HeadCard
    head: Head

    def check_encoder(self, sha256: str) -> None:
        """Refuse vectors of another encoder.

        Raises:
            ModelError: the encoder is another one, or its weights or input changed.
        """
        if sha256 != self.card.encoder_sha256:
            raise ModelError(
                f"The head {self.card.name} reads vectors of {self.card.encoder} ({self.card.encoder_sha256[:12]}...), "
                f"and this encoder is {sha256[:12]}.... Use that encoder, or train the head again."
            )


def pack_head(head: LinearProbe | Prototypes) -> bytes:
    """Return the numbers of a head as the bytes of a safetensors file."""
    if isinstance(head, LinearProbe):
        arrays = {"weight": head.weight, "bias": head.bias, "strength": np.array([head.strength])}
    else:
        arrays = {"centre": head.centre, "directions": head.directions, "shots": np.array(head.shots, np.int64)}
    return pack(arrays)


def write_head(card: HeadCard, content: bytes, folder: Path) -> Path:
    """Write `<weights>` and `<name>.toml` and return the card's path.

    Args:
        card: Whose `weights_sha256` is that of `content`.
        content: From `pack_head`.
        folder: Made if need be.

    Raises:
        ModelError: the card states another digest.
    """
    return write_small_card(card, content, folder)


def read_head(path: Path) -> StoredHead:
    """Read a head by its card.

    Raises:
        ModelError: the card or the numbers are missing, altered, or do not fit each other.
    """
    card = _read_card(path)
    return StoredHead(card, _head_of(card, read_numbers(card, path.parent, what="head")))


def _head_of(card: HeadCard, arrays: Mapping[str, NDArray[Any]]) -> Head:
    count, size = len(card.classes), card.embedding_size
    expected: dict[str, tuple[int, ...]] = (
        {"weight": (count, size), "bias": (count,), "strength": (1,)}
        if card.kind == LINEAR_PROBE
        else {"centre": (size,), "directions": (count, size), "shots": (count,)}
    )
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected:
        raise ModelError(f"The numbers of the head {card.name} have the shapes {found} instead of {expected}.")
    if card.kind == LINEAR_PROBE:
        return LinearProbe(card.classes, arrays["weight"], arrays["bias"], float(arrays["strength"][0]))
    shots = tuple(int(value) for value in arrays["shots"])
    return Prototypes(card.classes, arrays["centre"], arrays["directions"], shots)


def _read_card(path: Path) -> HeadCard:
    names = [item.name for item in fields(HeadCard)]
    values = read_fields(path, names=names, tuples=("classes", "limits"), what="head")
    try:
        return HeadCard(**values)
    except TypeError as err:
        raise ModelError(f"The head card {path.name} holds a value of the wrong kind: {err}.") from err
