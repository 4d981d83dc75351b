"""What an evaluation is asked for and what it answers: one value that the page and the report both render."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from core.evaluation.binary import BoolArray, FloatArray
from core.evaluation.calibration import Calibration
from core.evaluation.classes import ClassTable
from core.evaluation.delong import AucEstimate
from core.evaluation.intervals import Estimate
from core.evaluation.operating import Operating
from core.evaluation.subgroups import Subgroup
from core.shares import Share

SYSTEM_PREFIX = "system:"
"""Begins the name of another system whose predictions were imported, as a model or as a reference."""
READER_PREFIX = "reader:"


class Unit(StrEnum):
    """What is counted once."""

    CASE = "case"
    SLIDE = "slide"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Which slides take part; an empty filter lets everything through."""

    sites: tuple[str, ...] = ()
    scanners: tuple[str, ...] = ()
    stains: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The cohort in words."""
        named = (("site", self.sites), ("scanner", self.scanners), ("stain", self.stains))
        parts = [f"{name} {' or '.join(values)}" for name, values in named if values]
        return "slides of " + ", ".join(parts) if parts else "all slides"


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """Which model is compared with which reference, and on what."""

    model: str
    """Name of a model card, or `system:NAME`."""
    reference: str
    """truth | reads | consensus | reader:NAME | system:NAME | labels:NAME, or the path of a CSV."""
    unit: Unit | None = None
    """None = what the reference speaks of: slides for truth and tables, cases for reads and systems."""
    aggregation: str | None = None
    """None = what decides; otherwise a rule or an aggregator, at the same threshold."""
    cohort: Cohort = field(default_factory=Cohort)


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What was compared, one row a slide or case; only what whoever asks may see."""

    ids: tuple[str, ...]
    """Slide or case ids."""
    case_ids: tuple[str, ...]
    slide_ids: tuple[str, ...]
    """The slide whose score it is; "" for other systems."""
    groups: NDArray[np.str_]
    """(N,) patient: the case, or what a table of labels states."""
    truth: BoolArray
    """(N,) what the reference says."""
    score: FloatArray
    """(N,) what the model says, 0-1."""
    properties: Mapping[str, NDArray[np.str_]]
    """site, scanner, stain, quality -> (N,); "" = not stated."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ReaderPoint:
    """A reader in the ROC plane, on the cases that both the reader and the reference have."""

    reader: str
    sensitivity: Share
    specificity: Share

    @property
    def n(self) -> int:
        """Cases."""
        return self.sensitivity.of + self.specificity.of


@dataclass(frozen=True, slots=True)
class Baseline:
    """What asks for no understanding at all."""

    name: str
    meaning: str
    auc: Estimate
    table: ClassTable
    """At the threshold that suits it best ON THESE units: that favours the baseline."""


@dataclass(frozen=True, slots=True)
class ThresholdView:
    """What calling from one threshold on does."""

    threshold: float
    table: ClassTable
    estimates: Mapping[str, Estimate]
    """Names of `core.evaluation.calls.NAMES` -> value with 95 % interval over patients."""
    called: int
    flag_rate: float
    """Share of all units that is called."""
    subgroups: tuple[Subgroup, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RuleRow:
    """Another way of rolling up the same tiles."""

    name: str
    auc: AucEstimate
    scores: FloatArray
    """(N,) of the units."""


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """The tiles of slides with outlines beside them."""

    n_tiles: int
    n_positive: int
    n_slides: int
    n_cases: int
    auc: AucEstimate
    average_precision: float
    darkness_auc: float
    """Of the tile's darkness alone; nan where it was not measured."""
    threshold: float
    table: ClassTable
    operating: Operating
    """Thinned to at most some hundred points."""
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What takes no part, and why: nothing vanishes."""

    blinded: int
    """Cases on which a blinded opinion is awaited from whoever asks."""
    unread: int
    """Cases that nobody has read yet and that were not revealed to whoever asks."""
    without_result: Mapping[str, str]
    """Unit -> why the model has no result."""
    without_label: Mapping[str, str]
    """Unit -> why the reference says nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """Everything about one model against one reference."""

    request: EvaluationRequest
    unit: Unit
    model_title: str
    positive: str
    """The target in words."""
    weights_sha256: tuple[str, ...]
    """Of the runs; several if the weights changed meanwhile."""
    reference: str
    """In words."""
    caution: tuple[str, ...]
    """What has to be known beside the figures."""
    threshold: float
    """That of the card, from which slides are called."""
    threshold_note: str
    units: Units
    n_slides: int
    n_cases: int
    n_positive: int
    n_tiles: int
    """All tiles that the model saw on these slides."""
    left_out: LeftOut
    auc: AucEstimate
    average_precision: Estimate
    operating: Operating
    calibration: Calibration
    rules: tuple[RuleRow, ...]
    readers: tuple[ReaderPoint, ...]
    baselines: tuple[Baseline, ...]
    at: ThresholdView
    """At the card's threshold."""
    tiles: TileResult | None
    data_sha256: str
    """Of everything that went in: equal hashes, equal figures."""
    code_version: str

    @property
    def both_classes(self) -> bool:
        """Whether the reference has units with and without the target."""
        return 0 < self.n_positive < len(self.units)
