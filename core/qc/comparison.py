"""What was found against what somebody annotated: figures over tissue, and the map in three colours.

Works on any two masks: artefacts here, lesions in the evaluation. What is found but not annotated is not called a false
positive: references are rarely complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InputError
from core.qc.classes import ARTEFACTS, NO_TISSUE, ArtefactClass

BoolMask = NDArray[np.bool_]

COLOURS: Mapping[str, tuple[int, int, int]] = {
    "annotated and found": (0, 0, 255),
    "found but not annotated": (255, 0, 0),
    "annotated and missed": (0, 0, 0),
}
"""Words and colours of the map, R, G, B (A. Foucart, thesis on artefact detection: blue, red, black)."""
OPACITY = 200
"""Alpha of a coloured pixel, 0-255: the tissue below stays visible."""
UNSTATED = 253
"""Value of a reference where there is an artefact, and nobody says which."""
NOT_JUDGED = 254
"""Value of a reference where nobody judged, such as the margin of a mask; neither annotated nor free of it."""


@dataclass(frozen=True, slots=True)
class MaskComparison:
    """Two masks over tissue, counted in pixels."""

    both: int
    """Annotated and found."""
    found_only: int
    """Found but not annotated."""
    missed: int
    """Annotated and missed."""
    neither: int
    px_mm2: float
    """Area of a pixel."""

    @property
    def tissue(self) -> int:
        """All pixels compared."""
        return self.both + self.found_only + self.missed + self.neither

    @property
    def accuracy(self) -> float | None:
        """Share of tissue on which both say the same; None without tissue, as the others where nothing is divided."""
        return _ratio(self.both + self.neither, self.tissue)

    @property
    def tpr(self) -> float | None:
        """Share of what is annotated that was found (sensitivity)."""
        return _ratio(self.both, self.both + self.missed)

    @property
    def tnr(self) -> float | None:
        """Share of what is not annotated that was not found either (specificity)."""
        return _ratio(self.neither, self.neither + self.found_only)

    @property
    def npv(self) -> float | None:
        """Share of what was not found that is not annotated either: how far clean tissue can be trusted."""
        return _ratio(self.neither, self.neither + self.missed)

    @property
    def dice(self) -> float | None:
        """Twice the common area over the sum of both."""
        return _ratio(2 * self.both, 2 * self.both + self.found_only + self.missed)

    @property
    def iou(self) -> float | None:
        """Common area over the area of either."""
        return _ratio(self.both, self.both + self.found_only + self.missed)

    def to_dict(self) -> dict[str, float | int | None]:
        """Return counts, areas in mm2 and figures for JSON."""
        areas = {f"{name}_mm2": getattr(self, name) * self.px_mm2 for name in ("both", "found_only", "missed")}
        figures = {name: getattr(self, name) for name in ("accuracy", "tpr", "tnr", "npv", "dice", "iou")}
        counts = {name: getattr(self, name) for name in ("both", "found_only", "missed", "neither")}
        return {**counts, **areas, "tissue_mm2": self.tissue * self.px_mm2, **figures}


@dataclass(frozen=True, slots=True)
class MapComparison:
    """Two class maps over tissue."""

    any_artefact: MaskComparison
    """All classes that the reference tells apart, together; all of ours where it does not say which."""
    classes: Mapping[ArtefactClass, MaskComparison]
    """Each class that the reference tells apart."""
    px_not_judged: int
    """Tissue left out because the reference does not judge it."""

    def to_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "any": self.any_artefact.to_dict(),
            "classes": {name.value: comparison.to_dict() for name, comparison in self.classes.items()},
            "not_judged_mm2": self.px_not_judged * self.any_artefact.px_mm2,
        }


def compare_masks(found: BoolMask, annotated: BoolMask, *, tissue: BoolMask, px_mm2: float) -> MaskComparison:
    """Compare two masks where there is tissue.

    Args:
        found: (H, W) what the program says.
        annotated: (H, W) what the reference says.
        tissue: (H, W) where both are compared.
        px_mm2: Area of a pixel in mm2.

    Raises:
        InputError: the masks differ in size.
    """
    _same_size(found, annotated, tissue)
    return MaskComparison(
        both=int((found & annotated & tissue).sum()),
        found_only=int((found & ~annotated & tissue).sum()),
        missed=int((~found & annotated & tissue).sum()),
        neither=int((~found & ~annotated & tissue).sum()),
        px_mm2=px_mm2,
    )


def compare_maps(
    labels: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    *,
    tissue: BoolMask,
    px_mm2: float,
    classes: Sequence[ArtefactClass] = ARTEFACTS,
) -> MapComparison:
    """Compare two class maps where there is tissue.

    Args:
        labels: (H, W) codes of `ArtefactClass` by the program.
        reference: (H, W) the same by the reference; `UNSTATED` is an artefact of any class, `NOT_JUDGED` leaves a
            pixel out.
        tissue: (H, W) where both are compared.
        px_mm2: Area of a pixel in mm2.
        classes: What the reference tells apart; whatever else the program found counts as nothing, unless the
            reference has artefacts of unstated class.

    Raises:
        InputError: the maps differ in size.
    """
    _same_size(labels, reference, tissue)
    judged = tissue & (reference != NOT_JUDGED)
    found, annotated = any_artefact_masks(labels, reference, classes=classes)
    return MapComparison(
        any_artefact=compare_masks(found, annotated, tissue=judged, px_mm2=px_mm2),
        classes={
            kind: compare_masks(labels == kind.code, reference == kind.code, tissue=judged, px_mm2=px_mm2)
            for kind in classes
        },
        px_not_judged=int((tissue & (reference == NOT_JUDGED)).sum()),
    )


def any_artefact_masks(
    labels: NDArray[np.uint8], reference: NDArray[np.uint8], *, classes: Sequence[ArtefactClass]
) -> tuple[BoolMask, BoolMask]:
    """Return where the program and where the reference say that there is any artefact the reference tells apart."""
    told = [kind.code for kind in classes]
    unstated = reference == UNSTATED
    ours = [kind.code for kind in ARTEFACTS] if unstated.any() or not told else told
    return np.isin(labels, ours), np.isin(reference, told) | unstated


def comparison_map(found: BoolMask, annotated: BoolMask, *, tissue: BoolMask) -> NDArray[np.uint8]:
    """Return the map in three colours, (H, W, 4) RGBA, transparent where neither mask is set or there is no tissue.

    Raises:
        InputError: the masks differ in size.
    """
    _same_size(found, annotated, tissue)
    picture = np.zeros((*found.shape, 4), np.uint8)
    parts = (found & annotated, found & ~annotated, ~found & annotated)
    for part, colour in zip(parts, COLOURS.values(), strict=True):
        picture[part & tissue] = (*colour, OPACITY)
    return picture


def resample(labels: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Return a class map of the same slide in another size (rows, columns): the class at each pixel's centre."""
    rows = ((np.arange(shape[0]) + 0.5) * labels.shape[0] / shape[0]).astype(np.intp)
    columns = ((np.arange(shape[1]) + 0.5) * labels.shape[1] / shape[1]).astype(np.intp)
    return labels[rows[:, None], columns[None]]


def reference_tissue(reference: NDArray[np.uint8]) -> BoolMask:
    """Return where a reference map says that there is tissue, clean or not."""
    return (reference != NO_TISSUE) & (reference != NOT_JUDGED)


def _same_size(*masks: NDArray[np.generic]) -> None:
    shapes = {mask.shape for mask in masks}
    if len(shapes) > 1:
        told = ", ".join(f"{shape[1]} x {shape[0]}" for shape in sorted(shapes))
        raise InputError(f"The masks differ in size ({told} pixels). Bring them to one size first.")


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
