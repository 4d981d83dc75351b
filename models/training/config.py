"""What a training run needs to know, read from a TOML file in which nothing is ignored silently."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from core.errors import InputError
from models.training.augment import Augmentation

Criterion = Literal["auc", "auprc", "balanced_accuracy", "loss"]
"""What the best epoch is best at, on the validation patients. Accuracy is not among them: with 74 % negatives, a
network that never finds anything is 74 % accurate."""


_POSITIVE = (
    "epochs",
    "batch_size",
    "patience",
    "tile_px",
    "input_px",
    "mpp",
    "learning_rate",
    "bootstrap_draws",
)


@dataclass(frozen=True, slots=True)
class CardTexts:
    """What a person has to say about the model, since no number does."""

    title: str
    target: str
    positive_class: str
    positive_title: str
    normal_class: str
    tissue: str
    stain: tuple[str, ...]
    mpp_note: str
    data: str
    licence_of_data: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run. Paths in the file are relative to the file."""

    name: str
    data: Path
    """Folder of patches."""
    split: Path
    """CSV of the patient-wise split; written if it does not exist, otherwise obeyed."""
    output: Path
    """Folder for checkpoints, logs and, at the end, `cards/` and `weights/`."""
    classes: tuple[str, ...]
    """Names of the labels, in the order of the labels."""
    mpp: float
    """um/px of the patches."""
    tile_px: int
    """Side of the patches in pixels."""
    input_px: int
    """Side to which they are resized before the network."""
    card: CardTexts
    layout: str = "idc"
    architecture: str = "resnet18"
    seed: int = 0
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    """Highest rate of a one-cycle schedule (AdamW)."""
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    """"balanced" weighs classes by their inverse frequency; probabilities then no longer mean frequencies."""
    ema_decay: float = 0.99
    """Per step; the averaged weights are the ones validated and shipped. 0 switches averaging off."""
    criterion: Criterion = "auc"
    patience: int = 10
    """Epochs without a better criterion after which training stops."""
    evaluate_test: bool = True
    """Whether to measure on the test patients at the end. Off while choosing settings."""
    bootstrap_draws: int = 1000
    """Samples of patients from which the intervals on the card are taken."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        _check_numbers(self)
        if not 0 <= self.ema_decay < 1 or not 0 <= self.label_smoothing < 1:
            raise InputError("ema_decay and label_smoothing must be at least 0 and less than 1.")
        if self.criterion not in get_args(Criterion):
            raise InputError(f"criterion is {self.criterion!r}; it must be one of {', '.join(get_args(Criterion))}.")
        if self.class_weights not in ("none", "balanced"):
            raise InputError(f'class_weights is {self.class_weights!r}; it must be "none" or "balanced".')
        if self.card.positive_class not in self.classes or len(self.classes) != 2:
            raise InputError("classes must be two names, and positive_class of [card] one of them.")

    @property
    def positive_index(self) -> int:
        """Column of the target class."""
        return self.classes.index(self.card.positive_class)


def read_config(path: Path) -> TrainingConfig:
    """Read a training configuration.

    Raises:
        InputError: the file is missing or no TOML, or a key is unknown, missing or of the wrong kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise InputError(f"The training configuration {path} cannot be read: {err.strerror}.") from err
    except tomllib.TOMLDecodeError as err:
        raise InputError(f"The training configuration {path} is not valid TOML: {err}.") from err
    for name in ("data", "split", "output"):
        if isinstance(table.get(name), str):
            table[name] = (path.parent / Path(table[name]).expanduser()).resolve()
    table["card"] = _build(CardTexts, table.get("card", {}), where=f"[card] of {path}")
    table["augmentation"] = _build(Augmentation, table.get("augmentation", {}), where=f"[augmentation] of {path}")
    return _build(TrainingConfig, table, where=str(path))


def _check_numbers(config: TrainingConfig) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        kinds = {"int": int, "float": (int, float)}.get(str(item.type))
        if kinds is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"{item.name} is {value!r}; it must be a number, and a whole one for a count.")
        if item.name in _POSITIVE and not value > 0:
            raise InputError(f"{item.name} is {value}; it must be greater than zero.")


def _build(kind: type[Any], table: dict[str, Any], *, where: str) -> Any:
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise InputError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}.")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  (TOML)
    try:
        return kind(**values)
    except TypeError as err:
        raise InputError(f"{where} is incomplete or holds a value of the wrong kind: {err}.") from err
