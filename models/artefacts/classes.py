"""The classes of the artefact network, in the order of its outputs: the words of the log's reasons."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from models.artefacts.change import Simulation
from models.artefacts.damage import damaged
from models.artefacts.defocus import out_of_focus
from models.artefacts.fold import fold
from models.artefacts.foreign import dark_spot_foreign
from models.artefacts.pen import pen
from models.artefacts.refraction import bubble_edge
from models.artefacts.stain import stain

CLEAN = "clean"

SIMULATIONS: Mapping[str, Simulation] = MappingProxyType(
    {
        "out_of_focus": out_of_focus,
        "fold": fold,
        "pen": pen,
        "bubble_edge": bubble_edge,
        "dark_spot_foreign": dark_spot_foreign,
        "damaged": damaged,
        "stain": stain,
    }
)
"""Class -> how it is made on a clean tile."""

CLASSES = (CLEAN, *SIMULATIONS)

NEEDS_TISSUE = frozenset({"out_of_focus", "fold", "damaged", "stain"})
"""Classes that say something about tissue: glass alone cannot show them."""
