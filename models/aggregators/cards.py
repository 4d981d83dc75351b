"""Cards of trained slide aggregators: what they answer, from what, trained on how much. Read without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.aggregation import Aggregation
from core.errors import ModelError, NotFoundError
from models.small_cards import digest, pack, read_fields, read_numbers, write_small_card

KINDS: Mapping[str, str] = {
    "logistic": "Logistic regression on tile statistics",
    "svm": "Support vector machine on tile statistics",
    "forest": "Random forest on tile statistics",
    "abmil": "Gated attention over tile embeddings",
}
"""Kinds of aggregators and what they are, in words."""
ATTENTION_KIND = "abmil"
ENOUGH_SLIDES = 1000
"""Below this number of training slides a trained aggregator is refused unless the user accepts it by name."""
_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_TUPLES = ("classes", "positive_classes", "features", "limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregatorCard:
    """One trained aggregator, as its TOML file states it. Every field is shown to users."""

    name: str
    """Also the stem of the card's file, and the name of its row among the slide's scores."""
    kind: str
    """An entry of `KINDS`."""
    classes: tuple[str, ...]
    """Of the tile model, in its order."""
    positive_classes: tuple[str, ...]
    """What the probability is of: at least one of these is on the slide."""
    tile_model: str
    """Whose tile probabilities, or on whose tiles, it was trained."""
    tile_model_sha256: str
    """Weights of that model: with others the statistics mean something else."""
    tiles: str
    """Size, step and least tissue of the tiles, in words; the numbers of tiles that touch or are high follow them."""
    encoder: str
    """Name of the encoder for attention; empty for statistics."""
    encoder_sha256: str
    features: tuple[str, ...]
    """Names of the tile statistics, in order; empty for attention."""
    statistics_version: str
    slides: int
    """Trained and selected on."""
    positives: int
    """Of them, slides with the target."""
    groups: int
    """Cases, or whatever the split was made by."""
    warning: str
    """Sentence about too few slides; empty from `ENOUGH_SLIDES` on."""
    labels: str
    """Where the labels came from, in words."""
    split: str
    training: str
    """How it came about, with the command."""
    data_sha256: str
    """Over slides, labels, groups and inputs."""
    threshold: float
    """Slide probability from which the target is called; 0-1."""
    threshold_note: str
    metrics: Mapping[str, Mapping[str, float]]
    """Metric -> value, low, high on slides that were held out."""
    limits: tuple[str, ...]
    created: str
    """Date, ISO 8601."""
    weights: str
    """File name beside the card; safetensors only."""
    weights_sha256: str

    def __post_init__(self) -> None:
        statistics = self.kind != ATTENTION_KIND
        problems = [
            text
            for wrong, text in (
                (not _NAME.fullmatch(self.name), "name must be lower-case letters, digits, - and _"),
                (self.name in {rule.value for rule in Aggregation}, "name is that of a rule without training"),
                (self.kind not in KINDS, f"kind must be one of {', '.join(KINDS)}"),
                (
                    not self.positive_classes or not set(self.positive_classes) < set(self.classes),
                    "positive_classes must be some of classes, and not all",
                ),
                (statistics != bool(self.features), "features belong to statistics, and only there"),
                (statistics == bool(self.encoder), "an encoder belongs to attention, and only there"),
                (statistics == bool(self.encoder_sha256), "encoder_sha256 belongs to the encoder"),
                (len(self.tile_model_sha256) != 64, "tile_model_sha256 must have 64 hexadecimal digits"),
                (len(self.weights_sha256) != 64, "weights_sha256 must have 64 hexadecimal digits"),
                (not 0 < self.threshold < 1, "threshold must lie between 0 and 1"),
                (self.slides < ENOUGH_SLIDES and not self.warning, "few slides need a warning"),
                (not self.weights.endswith(".safetensors"), "weights must be a .safetensors file, never a pickle"),
                (Path(self.weights).name != self.weights, "weights must be a file name without a folder"),
            )
            if wrong
        ]
        if problems:
            raise ModelError(f"The aggregator card {self.name!r} cannot be used: {'; '.join(problems)}.")

    @property
    def target(self) -> str:
        """The positive classes in one word: the column that its probability stands in."""
        return " + ".join(self.positive_classes)

    @property
    def meaning(self) -> str:
        """What it asks, in the words that stand beside its score."""
        source = f"embeddings by {self.encoder}" if self.encoder else f"statistics of {self.tile_model}'s tiles"
        text = f"{KINDS[self.kind]} ({source}), trained on {self.slides} slides, threshold {self.threshold:.2f}."
        return f"{text} {self.warning}".rstrip()


@dataclass(frozen=True, slots=True, eq=False)
class StoredAggregator:
    """A card with its weights, whose digest was found right."""

    card: AggregatorCard
    arrays: Mapping[str, NDArray[np.floating]]


def write_aggregator(card: AggregatorCard, arrays: Mapping[str, NDArray[np.floating]], folder: Path) -> Path:
    """Write `<name>.safetensors` and `<name>.toml` and return the card's path.

    Raises:
        ModelError: the card states another digest than that of the arrays.
    """
    return write_small_card(card, pack(arrays), folder)


def digest_of(arrays: Mapping[str, NDArray[np.floating]]) -> str:
    """Return the SHA-256 of the file that `write_aggregator` writes."""
    return digest(pack(arrays))


def find_aggregator(spec: str, *, folder: Path) -> Path:
    """Return the card that a name or path means.

    Args:
        spec: Path of a card, path of a folder with one card, or a name of `<folder>/<name>/<name>.toml`.
        folder: Where trained aggregators lie by name.

    Raises:
        NotFoundError: there is none; the sentence lists those there are.
    """
    for path in (Path(spec), Path(spec) / f"{Path(spec).name}.toml", folder / spec / f"{spec}.toml"):
        if path.suffix == ".toml" and path.is_file():
            return path
    known = sorted(path.parent.name for path in folder.glob("*/*.toml") if path.stem == path.parent.name)
    raise NotFoundError(f"There is no aggregator {spec!r}; known are: {', '.join(known) or 'none'}.")


def read_aggregator_card(path: Path) -> AggregatorCard:
    """Read a card.

    Raises:
        ModelError: the file is missing, no TOML, lacks a field, has one too many, or contradicts itself.
    """
    names = [item.name for item in fields(AggregatorCard)]
    values = read_fields(path, names=names, tuples=_TUPLES, what="aggregator")
    try:
        return AggregatorCard(**values)
    except TypeError as err:
        raise ModelError(f"The aggregator card {path.name} holds a value of the wrong kind: {err}.") from err


def read_aggregator(path: Path) -> StoredAggregator:
    """Read a card and the weights beside it.

    Raises:
        ModelError: the card cannot be used, or the weights are missing or not those of the card.
    """
    card = read_aggregator_card(path)
    return StoredAggregator(card, read_numbers(card, path.parent, what="aggregator"))
