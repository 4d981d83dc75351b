"""Model cards: what a model answers, for which slides, how well it was measured, and which weights it means."""

from __future__ import annotations

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.domain import Stain
from core.errors import ModelError, NotFoundError

Metrics = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Set of patients or baseline -> metric -> value, low, high (95 % bootstrap interval over patients)."""

_TUPLES = ("classes", "limits", "mean_255", "std_255")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model, as its TOML file states it. Every field is shown to users."""

    name: str
    """Short id; also the stem of the card's file."""
    title: str
    target: str
    """In words: what a positive answer means, and what a negative one does not."""
    positive_class: str
    """The entry of `classes` that the target describes."""
    positive_title: str
    """The same in words, as it stands in the reason of a flag."""
    normal_class: str
    """The entry of `classes` that is reported where no other is present."""
    classes: tuple[str, ...]
    """Names of the network's outputs, in order."""
    tissue: str
    stain: tuple[Stain, ...]
    """Stains that the model may be run on."""
    mpp: float
    """um/px of the tiles."""
    mpp_note: str
    """Where that scale comes from."""
    tile_um: float
    tile_px: int
    """Side of a tile at `mpp`."""
    input_px: int
    """Side to which tiles are resized before the network."""
    architecture: str
    """Name in `networks.ARCHITECTURES`."""
    weights: str
    """File name of the weights; safetensors only, since pickles can execute code."""
    weights_sha256: str
    temperature: float
    """Logits are divided by it; fitted on the validation patients."""
    threshold: float
    """Probability of the target class at which a TILE is called, chosen on the validation patients; 0-1."""
    slide_threshold: float
    """SLIDE score of the default aggregation at which the target is called present; 0-1. Not the tile's threshold."""
    slide_threshold_note: str
    """How it was chosen."""
    mean_255: tuple[float, float, float]
    """Mean R, G, B of the training data, 0-255."""
    std_255: tuple[float, float, float]
    """Deviation of R, G, B of the training data, 0-255."""
    data: str
    licence_of_data: str
    split: str
    """How many patients were trained on, selected on and measured on."""
    training: str
    """How the weights came about, with the command."""
    metrics: Metrics
    limits: tuple[str, ...]
    created: str
    """Date, ISO 8601."""

    def __post_init__(self) -> None:
        problems = [
            text
            for wrong, text in (
                (len(self.classes) < 2 or len(set(self.classes)) != len(self.classes), "classes must be distinct"),
                (self.positive_class not in self.classes, "positive_class must be one of classes"),
                (
                    self.normal_class not in self.classes or self.normal_class == self.positive_class,
                    "normal_class must be another one of classes",
                ),
                (not self.stain, "stain must name at least one stain"),
                (min(self.mpp, self.tile_um, self.temperature, *self.std_255) <= 0, "scales must be positive"),
                (min(self.tile_px, self.input_px) < 1, "tile_px and input_px must be positive"),
                (
                    not math.isclose(self.tile_um, self.tile_px * self.mpp, rel_tol=0.01),
                    "tile_um must be tile_px x mpp",
                ),
                (not 0 <= self.threshold <= 1, "threshold must lie between 0 and 1"),
                (not 0 < self.slide_threshold < 1, "slide_threshold must lie between 0 and 1"),
                (not self.weights.endswith(".safetensors"), "weights must be a .safetensors file, never a pickle"),
                (Path(self.weights).name != self.weights, "weights must be a file name without a folder"),
                (len(self.weights_sha256) != 64, "weights_sha256 must have 64 hexadecimal digits"),
                (not all(self._texts), "texts must not be empty"),
            )
            if wrong
        ]
        if problems:
            raise ModelError(f"The model card {self.name!r} cannot be used: {'; '.join(problems)}.")

    @property
    def _texts(self) -> tuple[object, ...]:
        return (
            self.positive_title,
            self.target,
            self.mpp_note,
            self.licence_of_data,
            self.slide_threshold_note,
            self.limits,
        )

    @property
    def positive_index(self) -> int:
        """Column of the target class in the probabilities."""
        return self.classes.index(self.positive_class)


SHIPPED = Path(__file__).resolve().parent
"""Root of the models that come with the program. A training run's output folder is a root as well."""


def list_cards(*, root: Path = SHIPPED) -> tuple[ModelCard, ...]:
    """Return all cards below a root, sorted by name. Needs no torch, so the dashboard can show them.

    Raises:
        ModelError: a card cannot be used.
    """
    return tuple(read_card(path) for path in sorted((root / "cards").glob("*.toml")))


def load_card(name: str, *, root: Path = SHIPPED) -> ModelCard:
    """Return the card of that name.

    Raises:
        NotFoundError: there is none; the sentence lists those there are.
        ModelError: the card cannot be used, or states another name than its file.
    """
    known = sorted(path.stem for path in (root / "cards").glob("*.toml"))
    if name not in known:
        raise NotFoundError(f"There is no model {name!r}; known are: {', '.join(known) or 'none'}.")
    card = read_card(root / "cards" / f"{name}.toml")
    if card.name != name:
        raise ModelError(f"The card in {name}.toml calls itself {card.name!r}; the two names must be the same.")
    return card


def read_card(path: Path) -> ModelCard:
    """Read a card.

    Raises:
        ModelError: the file is missing, no TOML, lacks a field, has one too many, or contradicts itself.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as err:
        raise ModelError(f"The model card {path} cannot be read: {err}.") from err
    names = {item.name for item in fields(ModelCard)}
    if set(table) != names:
        wrong = ", ".join(sorted(set(table) ^ names))
        raise ModelError(f"The model card {path} lacks or does not know these fields: {wrong}.")
    try:
        table |= {key: tuple(table[key]) for key in _TUPLES}
        table["stain"] = tuple(Stain(stain) for stain in table["stain"])
        return ModelCard(**table)
    except (TypeError, ValueError) as err:
        if isinstance(err, ModelError):
            raise
        raise ModelError(f"The model card {path} holds a value of the wrong kind: {err}.") from err


def write_card(card: ModelCard, path: Path) -> None:
    """Write a card as TOML that `read_card` reads back as an equal value."""
    plain: dict[str, Any] = {item.name: getattr(card, item.name) for item in fields(card)}
    metrics: Metrics = plain.pop("metrics")
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for group, table in metrics.items():
        lines += ["", f"[metrics.{group}]"]
        for name, numbers in table.items():
            inner = ", ".join(f"{key} = {value}" for key, value in numbers.items())
            lines.append(f"{name} = {{ {inner} }}")
    if not metrics:
        lines += ["", "[metrics]"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        items: tuple[object, ...] = value  # pyright: ignore[reportUnknownVariableType]  (isinstance loses the item)
        return f"[{', '.join(_toml(item) for item in items)}]"
    return json.dumps(value, ensure_ascii=False)  # a JSON string or number is a TOML string or number
