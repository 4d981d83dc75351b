"""What is unusable on a slide, how much tissue that is, and one score with its formula."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import cast

import numpy as np
from numpy.typing import NDArray

from core.domain import Mpp
from core.qc.metrics import QC_COLUMNS, column
from core.tiles import TileGrid
from core.tissue import TissueMask, close_gaps

QC_VERSION = "qc-1"
MIN_FOCUS = 0.5
"""Focus below which a tile is out of focus: a Gaussian blur of about 1.5 um, a cell nucleus without chromatin."""
MAX_PEN = 0.1
"""Share of a tile under ink above which the tile is not to be trusted."""
MIN_BRIGHTNESS = 0.12
"""Light through tissue below this is a fold, foreign matter or black ink; densely stained tissue lies above 0.25."""
MAX_BRIGHTNESS = 0.89
"""Light above this is stain too pale to show structure; 1 in 200 real IDC patches passes 0.87."""
MIN_CONTRAST = 0.012
"""Density contrast below this at 4 um/px is a featureless film."""
MIN_TISSUE = 0.06
"""Share of tissue left in a tile that the overview took for tissue; walls of fat cells alone make 0.1."""


class Origin(StrEnum):
    """Where an artefact came into being, which decides what helps: a recut or a rescan."""

    PREPARATION = "preparation"
    ACQUISITION = "acquisition"


class Artefact(IntEnum):
    """Artefact class of a tile; where several apply, the one with the lowest number wins."""

    NONE = 0
    PEN = 1
    TISSUE_LOSS = 2
    TOO_DARK = 3
    OUT_OF_FOCUS = 4
    LOW_CONTRAST = 5
    TOO_BRIGHT = 6


@dataclass(frozen=True, slots=True)
class ArtefactKind:
    """What is known of an artefact class before any slide is looked at."""

    origin: Origin
    reason: str
    """Reason of a QC verdict that it supports, in the words of the log."""
    weight: float
    """Share of its tissue that the score takes away."""


KINDS: Mapping[Artefact, ArtefactKind] = {
    Artefact.PEN: ArtefactKind(Origin.PREPARATION, "pen", 1.0),
    Artefact.TISSUE_LOSS: ArtefactKind(Origin.PREPARATION, "damaged", 1.0),
    Artefact.TOO_DARK: ArtefactKind(Origin.PREPARATION, "dark_spot_foreign", 1.0),
    Artefact.OUT_OF_FOCUS: ArtefactKind(Origin.ACQUISITION, "out_of_focus", 1.0),
    Artefact.LOW_CONTRAST: ArtefactKind(Origin.PREPARATION, "stain", 1.0),
    Artefact.TOO_BRIGHT: ArtefactKind(Origin.PREPARATION, "stain", 0.5),
}
FORMULA = (
    "1 minus the share of tissue under pen, lost, too dark, out of focus or without contrast, "
    "minus half the share stained too pale; a tile counts once, under the first of these that applies."
)


@dataclass(frozen=True, slots=True)
class QcPart:
    """One kind of artefact on one slide."""

    name: str
    area_mm2: float
    """Tissue it affects, mm2."""
    fraction_of_tissue: float
    origin: Origin
    reason: str
    """Reason of a QC verdict, in the words of the log."""

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> QcPart:
        """Read a part back; keys that others added are ignored.

        Raises:
            KeyError: a field is missing.
            ValueError: a field holds something else than it should.
        """
        return cls(
            name=str(values["name"]),
            area_mm2=float(str(values["area_mm2"])),
            fraction_of_tissue=float(str(values["fraction_of_tissue"])),
            origin=Origin(str(values["origin"])),
            reason=str(values["reason"]),
        )


@dataclass(frozen=True, slots=True)
class QcReport:
    """Quality of one slide. The method may change with `version`; these fields stay."""

    score: float
    """0 (nothing usable) to 1 (no artefact found)."""
    tissue_mm2: float
    """All tissue: what the mask shows and what lies under pen."""
    usable_mm2: float
    """Tissue that no artefact makes unusable; pale tissue is usable."""
    usable_fraction: float
    parts: tuple[QcPart, ...]
    """Every kind that is looked for, also those with no area."""
    formula: str
    """How the score is made, in words."""
    warnings: tuple[str, ...] = ()
    version: str = QC_VERSION

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON; `from_dict` is the way back."""
        return {
            **asdict(self),
            "parts": [{**asdict(part), "origin": part.origin.value} for part in self.parts],
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> QcReport:
        """Read a report back; keys that others added are ignored.

        Raises:
            KeyError: a field is missing.
            ValueError: a field holds something else than it should.
        """
        if not (isinstance(values["parts"], list) and isinstance(values["warnings"], list)):
            raise ValueError("A quality report needs lists of parts and warnings. Analyse the slide again.")
        parts = cast("list[Mapping[str, object]]", values["parts"])
        warnings = cast("list[object]", values["warnings"])
        return cls(
            score=float(str(values["score"])),
            tissue_mm2=float(str(values["tissue_mm2"])),
            usable_mm2=float(str(values["usable_mm2"])),
            usable_fraction=float(str(values["usable_fraction"])),
            parts=tuple(map(QcPart.from_dict, parts)),
            formula=str(values["formula"]),
            warnings=tuple(map(str, warnings)),
            version=str(values["version"]),
        )


def artefact_of(qc: NDArray[np.float32]) -> NDArray[np.int8]:
    """Artefact class of each tile, as `Artefact` numbers.

    Args:
        qc: (N, len(QC_COLUMNS)); a measure that is NaN accuses nobody.

    Returns:
        (N,) int8.
    """
    value = {name: qc[:, column(name)] for name in QC_COLUMNS}
    found = {
        Artefact.PEN: value["pen_fraction"] > MAX_PEN,
        Artefact.TISSUE_LOSS: value["tissue_fraction"] < MIN_TISSUE,
        Artefact.TOO_DARK: value["brightness"] < MIN_BRIGHTNESS,
        Artefact.OUT_OF_FOCUS: value["focus"] < MIN_FOCUS,
        Artefact.LOW_CONTRAST: value["contrast"] < MIN_CONTRAST,
        Artefact.TOO_BRIGHT: value["brightness"] > MAX_BRIGHTNESS,
    }
    return np.select(list(found.values()), [int(kind) for kind in found], default=0).astype(np.int8)


def unusable(qc: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return (N,) True for tiles whose tissue cannot be judged; pale tissue can, with a limitation."""
    artefact = artefact_of(qc)
    return (artefact != Artefact.NONE) & (artefact != Artefact.TOO_BRIGHT)


def qc_report(qc: NDArray[np.float32], grid: TileGrid, mask: TissueMask, mpp: Mpp) -> QcReport:
    """Sum the tiles of a slide up to a report.

    Every tile counts by the tissue the mask sees in it. Tissue that lies in no tile of the grid is taken to be like
    the rest. Tissue under pen is in no mask and is added from the overview.

    Args:
        qc: (N, len(QC_COLUMNS)) of `tile_qc`, focus filled in by `focus_probe`.
        grid: The same N tiles.
        mask: Tissue and ink.
        mpp: Scale of the slide.
    """
    um_per_px = float(np.sqrt(mask.downsample[0] * mpp.x * mask.downsample[1] * mpp.y))
    covered_mm2 = float(ink_over_tissue(mask, um_per_px=um_per_px).sum()) * um_per_px**2 / 1e6
    tissue_mm2 = mask.area_mm2 + covered_mm2
    share = _shares(artefact_of(qc), grid, mask)
    areas = {kind: share[kind] * mask.area_mm2 for kind in KINDS}
    areas[Artefact.PEN] += covered_mm2
    parts = tuple(_part(kind, area, tissue_mm2=tissue_mm2) for kind, area in areas.items())
    lost_mm2 = sum(area for kind, area in areas.items() if kind != Artefact.TOO_BRIGHT)
    usable_mm2 = max(0.0, tissue_mm2 - lost_mm2)
    weighted_mm2 = sum(KINDS[kind].weight * area for kind, area in areas.items())
    return QcReport(
        score=round(_ratio(max(0.0, tissue_mm2 - weighted_mm2), tissue_mm2), 6),
        tissue_mm2=tissue_mm2,
        usable_mm2=usable_mm2,
        usable_fraction=_ratio(usable_mm2, tissue_mm2),
        parts=parts,
        formula=FORMULA,
        warnings=_warnings(qc, mask),
    )


def _shares(artefact: NDArray[np.int8], grid: TileGrid, mask: TissueMask) -> NDArray[np.float64]:
    """Share of the grid's tissue in each class, indexed by `Artefact`."""
    size = grid.size_level0
    tissue = mask.fraction(grid.xy_level0[:, 0], grid.xy_level0[:, 1], np.asarray(size.width), np.asarray(size.height))
    total = float(tissue.sum())
    counts = np.bincount(artefact, weights=tissue, minlength=len(Artefact))
    return counts / total if total > 0 else np.zeros(len(Artefact))


def _part(kind: Artefact, area_mm2: float, *, tissue_mm2: float) -> QcPart:
    about = KINDS[kind]
    return QcPart(kind.name.lower(), float(area_mm2), _ratio(area_mm2, tissue_mm2), about.origin, about.reason)


def _ratio(part: float, whole: float) -> float:
    return float(min(1.0, part / whole)) if whole > 0 else 0.0


def _warnings(qc: NDArray[np.float32], mask: TissueMask) -> tuple[str, ...]:
    found: list[str] = []
    blind = int(np.isnan(qc[:, column("focus")]).sum())
    if blind:
        found.append(f"Focus could not be measured on {blind:,} of {len(qc):,} tiles; they do not count as blurred.")
    if not mask.mask.any():
        found.append("No tissue was found, so there is nothing to judge.")
    return tuple(found)


STROKE_REACH_UM = 750.0
"""Half the width of a broad marker stroke: ink with tissue within this on both sides lies over tissue."""


def ink_over_tissue(mask: TissueMask, *, um_per_px: float) -> NDArray[np.bool_]:
    """Ink pixels that have tissue around them, and so most likely beneath.

    Args:
        mask: Tissue and ink of a slide; without ink nothing is covered.
        um_per_px: Scale of the mask's pixels.

    Returns:
        (h, w) bool, a part of `mask.ink`.
    """
    if mask.ink is None or not mask.ink.any():
        return np.zeros(mask.mask.shape, np.bool_)
    return mask.ink & close_gaps(mask.mask, radius_px=STROKE_REACH_UM / um_per_px)
