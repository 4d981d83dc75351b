"""What an error of a model is, why it may have come about, and how readers of errors agree: values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.agreement.estimates import Estimate
from core.domain import Region
from core.store.error_reviews import ErrorKey, ErrorReviewRecord


class Reason(StrEnum):
    """What the model stumbled over."""

    KERATIN = "keratin"
    CALCIUM = "calcium"
    CRUSH = "crush"
    LYMPHOCYTES = "lymphocytes"
    DCIS = "dcis"
    FAT_NECROSIS = "fat_necrosis"
    ARTEFACT = "artefact"
    LABEL_WRONG = "label_wrong"
    OTHER = "other"


REASON_WORDS: Mapping[Reason, str] = {
    Reason.KERATIN: "Keratin",
    Reason.CALCIUM: "Calcium",
    Reason.CRUSH: "Crush",
    Reason.LYMPHOCYTES: "Lymphocytes",
    Reason.DCIS: "DCIS",
    Reason.FAT_NECROSIS: "Fat necrosis",
    Reason.ARTEFACT: "Artefact",
    Reason.LABEL_WRONG: "The label is wrong",
    Reason.OTHER: "Other",
}


class Direction(StrEnum):
    """Which way the model was wrong."""

    FALSE_NEGATIVE = "false_negative"
    FALSE_POSITIVE = "false_positive"


class Level(StrEnum):
    """What was called wrongly."""

    TILE = "tile"
    SLIDE = "slide"


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorItem:
    """One error as one person may see it."""

    slide_id: str
    case_id: str
    run_id: str
    level: Level
    direction: Direction
    region: Region | None
    """Level-0 px; None for a whole slide."""
    score: float
    threshold: float
    reference: str
    own: ErrorReviewRecord | None = None
    """This person's code."""
    other: ErrorReviewRecord | None = None
    """Somebody else's code; hidden from whoever may still code it and has not."""
    coded: int = 0
    """Readers who have coded it."""

    @property
    def wrongness(self) -> float:
        """Distance of the score from the threshold."""
        return abs(self.score - self.threshold)

    @property
    def key(self) -> ErrorKey:
        """What tells errors apart."""
        x, y = (None, None) if self.region is None else (self.region.x, self.region.y)
        return (self.run_id, self.level.value, self.direction.value, x, y)


@dataclass(frozen=True, slots=True)
class CodingAgreement:
    """How two readers agree on why the model was wrong."""

    n: int
    """Errors that two have coded."""
    estimates: Mapping[str, Estimate]
    """observed, kappa, ac1 ...; empty where nothing was coded twice."""


@dataclass(frozen=True, slots=True)
class ErrorGallery:
    """Errors of one kind, the worst first."""

    items: tuple[ErrorItem, ...]
    total: int
    """All of the kind, of which `items` are a page."""
    n_units: int
    """Tiles or slides that were compared."""
    hidden: int
    """Cases left out for whoever asks."""
    agreement: CodingAgreement
    codes: Mapping[Reason, int]
    """Own codes on errors of this kind."""
