"""What a training run needs to know, read from a TOML file in which nothing is ignored silently."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from core.errors import InputError
from models.artefacts.sources import TilePlan
from models.data.artefact_tiles import ARTEFACTS
from models.data.cutting import Cutting
from models.data.patches import LAYOUTS
from models.networks import architecture_of
from models.training.augment import Augmentation
from models.training.balance import Balance, positives_in_batch

Criterion = Literal["auc", "auprc", "balanced_accuracy", "cost", "loss"]
"""What the best epoch is best at, on the validation patients. "cost" is the lowest mean cost a patch over all
thresholds, with `balance_cost` for a missed target and 1 for a false alarm."""

SLIDES = "slides"
"""The layout whose patches are cut by `core.services.training.patch_cutting`."""

_NO_ACCURACY = (
    "Accuracy picks the wrong model where classes are unequal: with 74 % negatives, a network that never finds "
    "anything is 74 % accurate."
)

_POSITIVE = ("epochs", "batch_size", "patience", "tile_px", "input_px", "mpp", "learning_rate", "bootstrap_draws")


@dataclass(frozen=True, slots=True)
class CardTexts:
    """What a person has to say about the model, since no number does."""

    title: str
    target: str
    positive_title: str
    normal_class: str
    tissue: str
    stain: tuple[str, ...]
    mpp_note: str
    data: str
    licence_of_data: str
    limits: tuple[str, ...]
    for_slides: bool = True
    """Whether the model may be run on slides; False where the scale of the data is unknown."""
    for_slides_note: str = ""
    """Why not."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run. Paths in the file are relative to the file."""

    name: str
    data: Path
    """Folder of patches; for the layout "slides" a manifest (CSV) of slides."""
    split: Path
    """CSV of the split by patient or group; written if it does not exist, otherwise obeyed."""
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
    positive_classes: tuple[str, ...] = ()
    """The classes that together are the target; empty means all but `normal_class` of [card]."""
    layout: str = "idc"
    """A name in `models.data.patches.LAYOUTS`, "slides" or "artefacts"."""
    cutting: Cutting | None = None
    """How patches are cut; for the layout "slides"."""
    artefacts: TilePlan | None = None
    """How tiles are made; for the layout "artefacts", whose `data` is the folder in which its sources lie."""
    groups: Path | None = None
    """For "class_folders": CSV with the columns file and group. Without it every file is a group of its own."""
    architecture: str = "resnet18"
    start: str = "none"
    """Weights to start from: "none", a .safetensors file, or a name that `models.pretrained` knows."""
    seed: int = 0
    members: int = 1
    """Networks of the ensemble, trained one after the other with seeds of their own."""
    isometries: int = 1
    """Symmetries of the square over which the finished model averages: 1, 2, 4 or 8."""
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    """Highest rate of a one-cycle schedule (AdamW)."""
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    balance: Balance = "none"
    balance_cost: float | None = None
    """What a missed target costs in false alarms: the weight of "weighted" and of the criterion "cost". Without it
    "weighted" weighs classes by their inverse frequency."""
    positive_share: float = 0.5
    """Share of target patches in every batch; used by the balance "share"."""
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
        _check_choices(self)
        _check_classes(self)
        _check_layout(self)
        smallest = architecture_of(self.architecture).min_input_px
        if self.input_px < smallest:
            raise InputError(f"input_px is {self.input_px}; {self.architecture} needs {smallest} or more.")
        if not 0 <= self.ema_decay < 1 or not 0 <= self.label_smoothing < 1:
            raise InputError("ema_decay and label_smoothing must be at least 0 and less than 1.")
        if self.isometries not in (1, 2, 4, 8):
            raise InputError(f"isometries is {self.isometries}; it must be 1, 2, 4 or 8.")
        if self.members < 1:
            raise InputError(f"members is {self.members}; an ensemble has at least one.")
        if self.balance_cost is not None and not (math.isfinite(self.balance_cost) and self.balance_cost > 0):
            raise InputError(f"balance_cost is {self.balance_cost}; a missed target must cost more than nothing.")
        if self.criterion == "cost" and self.balance_cost is None:
            raise InputError('The criterion "cost" needs balance_cost: what a missed target costs in false alarms.')
        if self.balance == "share":
            positives_in_batch(self.positive_share, self.batch_size)

    @property
    def targets(self) -> tuple[str, ...]:
        """The target classes, with the default filled in."""
        return self.positive_classes or tuple(name for name in self.classes if name != self.card.normal_class)

    @property
    def positive_indices(self) -> tuple[int, ...]:
        """Columns of the target classes; the probability of the target is their sum."""
        return tuple(self.classes.index(name) for name in self.targets)

    @property
    def positive_index(self) -> int:
        """Column of the first target class."""
        return self.positive_indices[0]

    @property
    def member_seeds(self) -> tuple[int, ...]:
        """One seed a member; the first is `seed` itself."""
        return tuple(self.seed + 1009 * index for index in range(self.members))


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
    for name in ("data", "split", "output", "groups"):
        if isinstance(table.get(name), str):
            table[name] = _beside(path, table[name])
    if str(table.get("start", "")).endswith(".safetensors"):
        table["start"] = str(_beside(path, table["start"]))
    if "cutting" in table:
        table["cutting"] = _cutting(table["cutting"], path)
    if "artefacts" in table:
        table["artefacts"] = _tile_plan(table["artefacts"], path)
    table["card"] = _build(CardTexts, table.get("card", {}), where=f"[card] of {path}")
    table["augmentation"] = _build(Augmentation, table.get("augmentation", {}), where=f"[augmentation] of {path}")
    return _build(TrainingConfig, table, where=str(path))


def _cutting(table: Any, path: Path) -> Cutting:
    where = f"[cutting] of {path}"
    try:
        values = dict(table)
        if "annotations" in values:
            values["annotations"] = _beside(path, values["annotations"])
        values["names"] = {name: tuple(map(str, texts)) for name, texts in values.get("names", {}).items()}
        values["stride"] = {name: float(step) for name, step in values.get("stride", {}).items()}
    except (TypeError, ValueError, AttributeError) as err:
        raise InputError(f"{where} holds a value of the wrong kind: {err}.") from err
    return _build(Cutting, values, where=where)


def _tile_plan(table: Any, path: Path) -> TilePlan:
    plan = _build(TilePlan, table, where=f"[artefacts] of {path}")
    return replace(plan, seen=str(_beside(path, plan.seen))) if plan.seen else plan


def _beside(path: Path, text: str) -> Path:
    return (path.parent / Path(text).expanduser()).resolve()


def _check_numbers(config: TrainingConfig) -> None:
    for item in fields(config):
        value = getattr(config, item.name)
        kinds = {"int": int, "float": (int, float), "float | None": (int, float, type(None))}.get(str(item.type))
        if kinds is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
            raise InputError(f"{item.name} is {value!r}; it must be a number, and a whole one for a count.")
        if item.name in _POSITIVE and not float(value or 0) > 0:
            raise InputError(f"{item.name} is {value}; it must be greater than zero.")


def _check_choices(config: TrainingConfig) -> None:
    for name, choices in (("criterion", get_args(Criterion)), ("balance", get_args(Balance))):
        value = getattr(config, name)
        if value not in choices:
            reason = f" {_NO_ACCURACY}" if value == "accuracy" else ""
            raise InputError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.{reason}")


def _check_layout(config: TrainingConfig) -> None:
    known = (*LAYOUTS, SLIDES, ARTEFACTS)
    if config.layout not in known:
        raise InputError(f"There is no layout {config.layout!r}; known are {', '.join(known)}.")
    if (config.layout == SLIDES) != (config.cutting is not None):
        raise InputError(
            f'The layout "{SLIDES}" and the table [cutting] belong together; one is there without the other.'
        )
    if (config.layout == ARTEFACTS) != (config.artefacts is not None):
        raise InputError(f'The layout "{ARTEFACTS}" and the table [{ARTEFACTS}] belong together; one is missing.')
    if config.cutting is not None:
        config.cutting.check_names(config.classes)


def _check_classes(config: TrainingConfig) -> None:
    if len(config.classes) < 2 or len(set(config.classes)) != len(config.classes):
        raise InputError("classes must be at least two different names.")
    if config.card.normal_class not in config.classes:
        raise InputError(f"normal_class of [card] is {config.card.normal_class!r}; it must be one of classes.")
    unknown = sorted(set(config.positive_classes) - set(config.classes))
    if unknown:
        raise InputError(f"positive_classes names {', '.join(unknown)}, which classes does not.")
    if config.card.normal_class in config.positive_classes or len(set(config.positive_classes)) != len(
        config.positive_classes
    ):
        raise InputError("positive_classes must be different names, and normal_class of [card] none of them.")


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
