"""Masks of GrandQC: an image of class numbers over the whole slide, as our artefact classes.

Values: 1 tissue, 2 fold, 3 dark spot and foreign object, 4 pen, 5 edge and bubble, 6 out of focus, 7 background. 0 is
the margin at the right and the lower end that its grid of patches leaves out: nobody judged it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from core.domain import Size
from core.errors import InputError
from core.interop.reference_masks import ReferenceMask, check_proportions, read_index_image, thinned
from core.qc.classes import NO_TISSUE, ArtefactClass
from core.qc.comparison import NOT_JUDGED

SYSTEM = "GrandQC"
CLASSES: Mapping[int, ArtefactClass] = {
    1: ArtefactClass.CLEAN,
    2: ArtefactClass.FOLD,
    3: ArtefactClass.DARK_SPOT_FOREIGN,
    4: ArtefactClass.PEN,
    5: ArtefactClass.BUBBLE_EDGE,
    6: ArtefactClass.OUT_OF_FOCUS,
}
BACKGROUND, MARGIN = 7, 0
TOLD_APART = tuple(kind for kind in CLASSES.values() if kind is not ArtefactClass.CLEAN)
"""Artefact classes that GrandQC tells apart; it knows no damage and no bad stain."""
MASK_SUFFIX = "_mask.png"


def slide_of(path: Path) -> str:
    """Return the name of the slide file that a mask belongs to: `case.svs` of `case.svs_mask.png`."""
    return path.name.removesuffix(MASK_SUFFIX)


def read_grandqc_mask(path: Path, *, slide: Size) -> ReferenceMask:
    """Read a mask.

    Args:
        path: PNG with one class number a pixel.
        slide: Size of the slide at level 0, which the mask must cover.

    Raises:
        InputError: it is no such image, holds other values, or its proportions are not those of the slide.
    """
    values = read_index_image(path)
    check_proportions(path.name, Size(values.shape[1], values.shape[0]), slide=slide)
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    unknown = [int(value) for value in present if value not in (*CLASSES, BACKGROUND, MARGIN)]
    if unknown:
        told = ", ".join(map(str, unknown[:8]))
        raise InputError(
            f"{path.name} holds the values {told}, which GrandQC does not have: its masks hold 0 to 7. "
            "Take the file from mask_qc, not the coloured map or the tissue mask."
        )
    if not set(present.tolist()) - {BACKGROUND, MARGIN}:
        raise InputError(f"{path.name} shows no tissue at all. Take the file from mask_qc, not the tissue mask.")
    table = np.full(256, NO_TISSUE, np.uint8)
    table[MARGIN] = NOT_JUDGED
    for value, kind in CLASSES.items():
        table[value] = kind.code
    return ReferenceMask(thinned(table[values]), TOLD_APART)
