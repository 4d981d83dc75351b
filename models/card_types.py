"""What a model card states, as values, and what must hold between its fields."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.domain import Stain
from core.errors import ModelError

Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Set of patients or baseline -> metric -> value, low, high (95 % bootstrap interval over patients)."""

Channels = tuple[float, float, float]
"""A value for R, G and B."""


Values = Mapping[str, Any]
"""Field -> value; fields whose value is of the wrong kind are left out."""

Check = tuple[Callable[[Values], object], str]
"""What must be true of some fields, as a test and in words."""


def _not_empty(name: str) -> Check:
    return (lambda card: card[name], f"{name} must not be empty")


def _distinct(name: str) -> Check:
    return (lambda card: len(set(card[name])) == len(card[name]), f"{name} must be distinct")


MEMBER_CHECKS: tuple[Check, ...] = (
    _not_empty("architecture"),
    (lambda member: member["input_px"] >= 1, "input_px must be positive"),
    (lambda member: member["weights"].endswith(".safetensors"), "weights must be .safetensors, never a pickle"),
    (lambda member: Path(member["weights"]).name == member["weights"], "weights must be a file name without a folder"),
    (lambda member: re.fullmatch("[0-9a-f]{64}", member["sha256"]), "sha256 must be 64 hexadecimal digits, lower case"),
    (lambda member: 0 < member["temperature"] < math.inf, "temperature must be positive"),
    (lambda member: all(0 <= value <= 255 for value in member["mean_255"]), "mean_255 must lie between 0 and 255"),
    (lambda member: all(0 < value <= 255 for value in member["std_255"]), "std_255 must be positive, at most 255"),
)

_TEXTS = (
    "name",
    "title",
    "target",
    "positive_title",
    "tissue",
    "mpp_note",
    "slide_threshold_note",
    "licence_of_data",
    "limits",
)

CARD_CHECKS: tuple[Check, ...] = (
    *(_not_empty(name) for name in _TEXTS),
    (lambda card: len(card["classes"]) >= 2, "classes must be at least two"),
    _distinct("classes"),
    _not_empty("positive_classes"),
    _distinct("positive_classes"),
    (lambda card: set(card["positive_classes"]) <= set(card["classes"]), "positive_classes must be among classes"),
    (
        lambda card: card["normal_class"] in set(card["classes"]) - set(card["positive_classes"]),
        "normal_class must be one of classes that is not positive",
    ),
    (lambda card: card["stain"], "stain must name at least one stain"),
    (lambda card: 0 < card["mpp"] < math.inf, "mpp must be positive"),
    (lambda card: card["tile_px"] >= 1, "tile_px must be positive"),
    (
        lambda card: math.isclose(card["tile_um"], card["tile_px"] * card["mpp"], rel_tol=0.01),
        "tile_um must be tile_px x mpp",
    ),
    (lambda card: 0 <= card["threshold"] <= 1, "threshold must lie between 0 and 1"),
    (lambda card: 0 < card["slide_threshold"] < 1, "slide_threshold must lie between 0 and 1"),
    (lambda card: card["isometries"] in (1, 2, 4, 8), "isometries must be 1, 2, 4 or 8"),
    (lambda card: card["for_slides"] or card["for_slides_note"], "for_slides_note must say why it is not for slides"),
    (lambda card: card["members"], "members must name at least one network"),
)


def contradictions(values: Values, checks: tuple[Check, ...]) -> Iterator[str]:
    """Yield in words what does not hold; a check of a field that is not there is left out."""
    for holds, text in checks:
        with suppress(KeyError):
            if not holds(values):
                yield text


@dataclass(frozen=True, slots=True)
class Member:
    """One network of a model, with everything its input and output go through."""

    architecture: str
    """Name in `networks.ARCHITECTURES`."""
    input_px: int
    """Side to which tiles are resized before the network."""
    weights: str
    """File name of the weights; safetensors only, since pickles can execute code."""
    sha256: str
    """Of that file, 64 hexadecimal digits."""
    temperature: float
    """Logits are divided by it; fitted on the validation patients."""
    mean_255: Channels
    """Mean R, G, B of the training data, 0-255."""
    std_255: Channels
    """Deviation of R, G, B of the training data, 0-255."""

    def __post_init__(self) -> None:
        _refuse(f"The network {self.weights!r} of a model card", _values_of(self), MEMBER_CHECKS)


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model, as its TOML file states it. Every field is shown to users."""

    name: str
    """Short id; also the stem of the card's file."""
    title: str
    target: str
    """In words: what a positive answer means, and what a negative one does not."""
    positive_classes: tuple[str, ...]
    """The entries of `classes` that the target describes; its probability is the sum of theirs."""
    positive_title: str
    """The target in words, as it stands in the reason of a flag."""
    normal_class: str
    """The entry of `classes` that is reported where no other is present."""
    classes: tuple[str, ...]
    """Names of the networks' outputs, in order."""
    tissue: str
    """Organ or site of the tissue that the model may be run on."""
    stain: tuple[Stain, ...]
    """Stains that the model may be run on."""
    for_slides: bool
    """Whether the model may be run on slides; False where the scale of its training data is unknown."""
    for_slides_note: str
    """Why not; may be empty where it may."""
    mpp: float
    """um/px of the tiles."""
    mpp_note: str
    """Where that scale comes from."""
    tile_um: float
    tile_px: int
    """Side of a tile at `mpp`."""
    isometries: int
    """Symmetries of the square over which every prediction is averaged: 1 (none), 2, 4 or 8."""
    threshold: float
    """Probability of the target at which a TILE is called, chosen on the validation patients; 0-1."""
    slide_threshold: float
    """SLIDE score of the default aggregation at which the target is called present; 0-1. Not the tile's threshold."""
    slide_threshold_note: str
    """How it was chosen."""
    data: str
    licence_of_data: str
    split: str
    """How many patients were trained on, selected on and measured on."""
    training: str
    """How the weights came about, with the command."""
    limits: tuple[str, ...]
    created: str
    """Date, ISO 8601."""
    members: tuple[Member, ...]
    """The networks whose probabilities are averaged."""
    metrics: Metrics

    def __post_init__(self) -> None:
        _refuse(f"The model card {self.name!r}", _values_of(self), CARD_CHECKS)

    @property
    def positive_class(self) -> str:
        """The first of `positive_classes`, for display where there is room for one."""
        return self.positive_classes[0]

    @property
    def positive_indices(self) -> tuple[int, ...]:
        """Columns of the target's classes in the probabilities."""
        return tuple(self.classes.index(name) for name in self.positive_classes)

    @property
    def weights_sha256(self) -> str:
        """The digest of the one member, or the SHA-256 over the members' digests in their order."""
        if len(self.members) == 1:
            return self.members[0].sha256
        return hashlib.sha256("".join(member.sha256 for member in self.members).encode()).hexdigest()

    def target_probability(self, probabilities: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the probability of the target, (...), for probabilities of the classes, (..., C)."""
        if len(self.positive_indices) == 1:  # a view, with the very bits of the column
            return probabilities[..., self.positive_indices[0]]
        return np.minimum(probabilities[..., list(self.positive_indices)].sum(axis=-1), 1)


def _values_of(value: Member | ModelCard) -> dict[str, object]:
    return {item.name: getattr(value, item.name) for item in fields(value)}


def _refuse(what: str, values: Mapping[str, object], checks: tuple[Check, ...]) -> None:
    found = list(contradictions(values, checks))
    if found:
        raise ModelError(f"{what} cannot be used: {'; '.join(found)}.")
