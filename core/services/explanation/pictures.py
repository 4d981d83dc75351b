"""Pictures for explanations: tiles from the slide, maps over their tile, the legend, and the words beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.domain import Region, Size
from core.explain import METHODS, NOT_A_REASON, Method, overlay, relative
from core.explain.agreement import LEAST_CORRELATION, LEAST_OVERLAP, TOP_SHARE
from core.explain.maps import coloured
from core.explain.methods import MethodFacts
from core.explain.removal import KEPT_WORDS, Kept
from core.explain.sanity import MOST_ALIKE, MOST_SPREAD
from core.roles import Permission
from core.services.explanation.records import TileExplanation
from core.services.people.authority import require
from core.settings import Settings
from core.slides import open_slide
from core.store import cases
from core.store.connection import open_log, reading

__all__ = [
    "KEPT_WORDS",
    "LEGEND_SENTENCE",
    "METHODS",
    "NOT_A_REASON",
    "Kept",
    "Method",
    "MethodFacts",
    "agreement_words",
    "legend",
    "map_picture",
    "sanity_words",
    "tile_pictures",
]

LEGEND_PX = (240, 12)
"""Width and height of the legend."""
LEGEND_SENTENCE = (
    "Brown: speaks against the target. Clear: no influence. Green: speaks for it. Colours are relative to each map's "
    "strongest place in this tile; two maps, or two tiles, have no common scale, and none of them is a probability."
)


def tile_pictures(
    settings: Settings, slide_id: str, regions: Sequence[Region], *, px: int, actor: str
) -> tuple[NDArray[np.uint8], ...]:
    """Return pictures of places on a slide, in the order asked, each `px` wide and high.

    Raises:
        NotFoundError: no such slide.
        NotAllowedError: the actor may not see cases.
        UnreadableSlideError: the file cannot be read.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        slide = cases.get_slide(database, slide_id)
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        return tuple(reader.read(region, Size(px, px)) for region in regions)


def map_picture(explanation: TileExplanation, method: Method, *, opacity: float) -> NDArray[np.uint8]:
    """Return one map over the picture of its tile, (h, w, 3)."""
    return overlay(explanation.view, relative(explanation.map_of(method).values), opacity=opacity)


def legend() -> NDArray[np.uint8]:
    """Return the colours of all maps from against to for the target, (h, w, 3)."""
    width, height = LEGEND_PX
    return np.tile(coloured(np.linspace(-1, 1, width))[None], (height, 1, 1))


def agreement_words(explanation: TileExplanation) -> tuple[bool, str]:
    """Return whether the maps disagree, and what that means, with the limits."""
    found = explanation.agreement
    figures = (
        f"Mean rank correlation {found.mean_correlation:.2f} (limit {LEAST_CORRELATION:g}), mean overlap of the "
        f"strongest {TOP_SHARE:.0%} of pixels {found.mean_overlap:.2f} (limit {LEAST_OVERLAP:g})."
    )
    if not found.disagree:
        return False, f"The maps agree as far as their limits ask. {figures}"
    names = [METHODS[method].title for method in found.apart]
    every = len(names) == len(explanation.maps)
    apart = " Every map stands apart from the others." if every else f" Apart from the others: {', '.join(names)}."
    return True, f"The maps disagree: do not read any one of them as the explanation. {figures}{apart if names else ''}"


def sanity_words(explanation: TileExplanation) -> tuple[str, ...]:
    """Return what the checks of the maps say, one sentence each; the uninformative ones first."""
    same = [METHODS[method].title for method in explanation.uninformative]
    spread = explanation.spread
    stable = "stable" if spread.is_stable else "NOT stable: ask what the pieces have in common, not what one weighs"
    adds = "add up" if explanation.is_complete else "do NOT add up: read that map with care"
    weights = f"Every map changes when the networks' weights are random (rank correlation at most {MOST_ALIKE:g})."
    if same:
        weights = (
            f"Uninformative, because hardly changed when the weights are random (rank correlation above "
            f"{MOST_ALIKE:g}): {', '.join(same)}."
        )
    return (
        weights,
        f"LIME, the mean of {spread.seeds} seeds: standard error of a superpixel's weight {spread.relative:.0%} of the "
        f"strongest weight, on average (limit {MOST_SPREAD:.0%}): {stable}.",
        f"Integrated gradients: from {explanation.of_glass:.2f} (blank glass) to {explanation.probability:.2f}, "
        f"{abs(explanation.missing):.3f} missing: the shares {adds}.",
    )
