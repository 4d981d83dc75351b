"""The artefact classes: their order in every map and network, their names, colours and consequences.

The names are the reasons of a QC verdict. The order is fixed: maps store the index, networks the column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from core.vocabulary import QcOrigin, QcReason


class ArtefactClass(StrEnum):
    """What a piece of tissue suffers from; `code` is its value in maps."""

    CLEAN = "clean"
    OUT_OF_FOCUS = "out_of_focus"
    FOLD = "fold"
    PEN = "pen"
    BUBBLE_EDGE = "bubble_edge"
    """An air bubble or the edge of the coverslip."""
    DARK_SPOT_FOREIGN = "dark_spot_foreign"
    """Dust, dirt, pigment or another foreign object."""
    DAMAGED = "damaged"
    """Torn or crushed."""
    STAIN = "stain"
    """Too pale to show structure, or stained over."""

    @property
    def code(self) -> int:
        """Value of this class in an artefact map."""
        return CLASSES.index(self)

    @property
    def about(self) -> ArtefactFacts:
        """What is known of the class before any slide is looked at."""
        return FACTS[self]


@dataclass(frozen=True, slots=True)
class ArtefactFacts:
    """What is known of an artefact class before any slide is looked at."""

    title: str
    colour: tuple[int, int, int]
    """R, G, B in maps and legends: the colours of Okabe and Ito, which people of any colour vision tell apart."""
    origin: QcOrigin
    unusable: bool
    """Whether its tissue is left out of the usable area; badly stained tissue can still be read, with a limitation."""
    weight: float
    """Share of its tissue that the score takes away, 0-1."""
    reason: QcReason | None
    """Reason of a verdict that it supports."""


CLASSES: tuple[ArtefactClass, ...] = tuple(ArtefactClass)
"""All classes in the order of their indices."""
ARTEFACTS: tuple[ArtefactClass, ...] = CLASSES[1:]
"""All but clean."""
NO_TISSUE = 255
"""Value of a map where there is no tissue."""

_PREPARATION, _ACQUISITION = QcOrigin.PREPARATION, QcOrigin.ACQUISITION


def _fault(title: str, colour: tuple[int, int, int], origin: QcOrigin, reason: QcReason) -> ArtefactFacts:
    return ArtefactFacts(title, colour, origin, unusable=True, weight=1.0, reason=reason)


FACTS: Mapping[ArtefactClass, ArtefactFacts] = {
    ArtefactClass.CLEAN: ArtefactFacts("Clean", (189, 189, 189), _PREPARATION, unusable=False, weight=0.0, reason=None),
    ArtefactClass.OUT_OF_FOCUS: _fault("Out of focus", (86, 180, 233), _ACQUISITION, QcReason.OUT_OF_FOCUS),
    ArtefactClass.FOLD: _fault("Fold", (213, 94, 0), _PREPARATION, QcReason.FOLD),
    ArtefactClass.PEN: _fault("Pen", (0, 158, 115), _PREPARATION, QcReason.PEN),
    ArtefactClass.BUBBLE_EDGE: _fault("Bubble or coverslip edge", (0, 114, 178), _PREPARATION, QcReason.BUBBLE_EDGE),
    ArtefactClass.DARK_SPOT_FOREIGN: _fault(
        "Dust or foreign object", (0, 0, 0), _PREPARATION, QcReason.DARK_SPOT_FOREIGN
    ),
    ArtefactClass.DAMAGED: _fault("Damaged", (230, 159, 0), _PREPARATION, QcReason.DAMAGED),
    ArtefactClass.STAIN: ArtefactFacts(
        "Pale or over-stained", (240, 228, 66), _PREPARATION, unusable=False, weight=0.5, reason=QcReason.STAIN
    ),
}
