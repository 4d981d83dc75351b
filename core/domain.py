"""Values every stage shares: geometry with its frame, scale with its source, and the closed vocabularies.

Sizes are (width, height), points (x, y), arrays (H, W, C). "Level 0" is the full-resolution pixel frame of a slide,
origin at the top left corner, x to the right, y down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from core.errors import InvalidMppError

NOT_FOR_DIAGNOSIS = "For research and quality assurance; not for primary diagnosis."
"""Stands on every page and every export."""


@dataclass(frozen=True, slots=True)
class Point:
    """A position in level-0 pixels."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Size:
    """A width and a height in pixels of whatever frame the name beside it says."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"A size needs a positive width and height, got {self.width} x {self.height}.")


@dataclass(frozen=True, slots=True)
class Region:
    """An axis-aligned rectangle in level-0 pixels; it may reach beyond the slide, where everything is white."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"A region needs a positive width and height, got {self.width} x {self.height}.")

    @property
    def right(self) -> int:
        """First column to the right of the region."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the region."""
        return self.y + self.height

    @property
    def centre(self) -> Point:
        """The middle of the region."""
        return Point(self.x + self.width / 2, self.y + self.height / 2)


class MppSource(StrEnum):
    """Where micrometres per pixel came from, in the order they are tried."""

    OPENSLIDE = "openslide.mpp"
    VENDOR = "vendor"
    TIFF_RESOLUTION = "tiff.resolution"
    USER = "user"


MPP_PLAUSIBLE = (0.1, 2.0)
"""um/px at level 0 of a slide scanner; outside, a warning is shown, since plain images and phantoms may differ."""

MPP_POSSIBLE = (0.01, 100.0)
"""um/px outside which a value is refused as a mistake of unit."""

MPP_ANISOTROPY_WARNING = 0.01
"""Relative difference of x and y above which a warning is shown."""


@dataclass(frozen=True, slots=True)
class Mpp:
    """Micrometres per level-0 pixel, along x and y, and who said so."""

    x: float
    y: float
    source: MppSource

    def __post_init__(self) -> None:
        low, high = MPP_POSSIBLE
        for value in (self.x, self.y):
            if not math.isfinite(value) or not low <= value <= high:
                raise InvalidMppError(
                    f"{value:g} is not a usable scale: micrometres per pixel must lie between {low:g} and {high:g}. "
                    "Give the value the scanner states, for example 0.25 for a 40x scan."
                )

    @property
    def mean(self) -> float:
        """Geometric mean of x and y, in um/px: preserves areas."""
        return math.sqrt(self.x * self.y)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about values that are possible but unusual; empty when all is well."""
        found: list[str] = []
        if abs(self.x - self.y) / self.mean > MPP_ANISOTROPY_WARNING:
            found.append(f"Scale differs between x ({self.x:g}) and y ({self.y:g} um/px) by more than 1 %.")
        low, high = MPP_PLAUSIBLE
        if not low <= self.mean <= high:
            found.append(f"Scale {self.mean:g} um/px lies outside the usual {low:g} to {high:g} um/px.")
        return tuple(found)

    def area_mm2(self, pixels_level0: float) -> float:
        """Area in mm2 of a number of level-0 pixels."""
        return pixels_level0 * self.x * self.y / 1e6


class Stain(StrEnum):
    """How a slide is stained, as given by the user; never guessed."""

    HE = "he"
    IHC = "ihc"
    UNKNOWN = "unknown"


class SlideStatus(StrEnum):
    """The outcome of analysing one slide. Every slide has one; none disappears."""

    OK = "ok"
    NO_TISSUE = "no_tissue"
    NO_MPP = "no_mpp"
    UNREADABLE = "unreadable"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


class FlagKind(StrEnum):
    """Why a case deserves a second look."""

    MODEL_HIGHER = "model_higher"
    MODEL_LOWER = "model_lower"
    OTHER_CATEGORY = "other_category"
    ABSTAINED = "abstained"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    QC_LIMITED = "qc_limited"
    AUDIT_SAMPLE = "audit_sample"
    NO_RESULT = "no_result"
    # Beyond the vocabulary of the field: disagreement that needs no model, or needs no reader.
    READER_DISAGREEMENT = "reader_disagreement"
    """Two readers of the case differ."""
    MODEL_DISAGREEMENT = "model_disagreement"
    """Two models, or a model and another system, call the same case differently."""
    AGGREGATION_DISAGREEMENT = "aggregation_disagreement"
    """Two ways of rolling up the same tiles, each with a threshold of its own, call a slide differently."""


BANDS: Mapping[FlagKind, int] = {
    FlagKind.MODEL_HIGHER: 13,
    FlagKind.MODEL_LOWER: 12,
    FlagKind.READER_DISAGREEMENT: 11,
    FlagKind.OTHER_CATEGORY: 10,
    FlagKind.MODEL_DISAGREEMENT: 9,
    FlagKind.ABSTAINED: 8,
    FlagKind.AGGREGATION_DISAGREEMENT: 7,
    FlagKind.OUT_OF_DISTRIBUTION: 6,
    FlagKind.QC_LIMITED: 5,
    FlagKind.NO_RESULT: 4,
    FlagKind.AUDIT_SAMPLE: 3,
}
"""Where a case stands by its most pressing flag; possible missed disease above everything else."""

DIFFERENCE_WEIGHTS: Mapping[str, float] = {"none": 0.0, "minor": 1.0, "major": 2.0}
"""Weight of a difference by what a scheme calls it."""

KIND_WEIGHTS: Mapping[FlagKind, float] = {
    FlagKind.MODEL_HIGHER: 2.0,
    FlagKind.MODEL_LOWER: 2.0,
    FlagKind.OTHER_CATEGORY: 1.0,
    FlagKind.READER_DISAGREEMENT: 1.0,
}
"""Weight of a difference on which no scheme says anything: benign against malignant is major, anything else minor."""


class FlagDirection(StrEnum):
    """Which way the model lies from the recorded diagnosis."""

    HIGHER = "higher"
    LOWER = "lower"
    NONE = "none"


class JobKind(StrEnum):
    """What a job does with its slide."""

    ANALYSE = "analyse"
    """Run a model over the slide and keep the run in the log."""
    QC = "qc"
    """Measure its quality alone."""
    EXPLAIN = "explain"
    """Compute maps or features that somebody waits for at the screen; taken before all other kinds."""
    ROBUSTNESS = "robustness"
    """Predict the same tiles again under changes of the picture."""


class JobState(StrEnum):
    """Life of one job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ReadCategory(StrEnum):
    """What a pathologist recorded about a case, ordered from least to most severe."""

    BENIGN = "benign"
    MALIGNANT = "malignant"
    INDETERMINATE = "indeterminate"


class ReviewVerdict(StrEnum):
    """A reader's answer to the revealed model result."""

    AGREE = "agree"
    DISAGREE = "disagree"
    UNSURE = "unsure"


class CaseStatus(StrEnum):
    """Where a case stands. `core.states` holds the moves between them."""

    UNREAD = "unread"
    READ = "first_read_locked"
    COMPARED = "compared"
    """Nothing speaks against the read on the slides that have a result; others still wait for theirs."""
    FLAGGED = "flagged"
    CONCORDANT = "concordant"
    REVIEWED = "reviewed"
    """A reader has answered the model, which settles what was flagged."""
    SECOND_OPINION_REQUESTED = "second_opinion_requested"
    OPINION_RECEIVED = "opinion_received"
    AGREED = "agreed"
    ADJUDICATION = "adjudication"
    RESOLVED = "resolved"
    SIGNED = "signed"


def slide_id_from_path(path: Path) -> str:
    """Return the id of a slide: its file name without the last extension, inner dots kept; a folder's whole name."""
    return path.name if path.is_dir() else path.stem
