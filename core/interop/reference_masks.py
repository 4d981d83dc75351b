"""What a person drew, as a class map of the slide: GeoJSON as QuPath writes it, or a mask image of one artefact."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from core.domain import Size
from core.errors import InputError
from core.interop.qupath import classified_marks
from core.interop.raster import mask_shape, paint, polygons_of
from core.qc.classes import ARTEFACTS, ArtefactClass
from core.qc.comparison import NOT_JUDGED, UNSTATED

SAME_SHAPE = 0.01
"""Relative difference of the scales along x and y below which a mask is taken to cover the slide."""
KEPT_PX = 16_000_000
"""Pixels of a mask that are kept at most; a larger one is thinned out."""
PAINTED_PX = 4_000_000
"""Pixels of a map that outlines are painted into."""
SIZE_LIMIT = 256 * 2**20
"""Bytes of a GeoJSON file."""

_WORDS: Mapping[str, ArtefactClass] = {
    **{kind.value: kind for kind in ARTEFACTS},
    **{kind.about.title.casefold(): kind for kind in ARTEFACTS},
    **dict.fromkeys(("oof", "blur", "blurry", "blurred", "defocus", "unsharp"), ArtefactClass.OUT_OF_FOCUS),
    **dict.fromkeys(("folds", "tissue fold", "folded"), ArtefactClass.FOLD),
    **dict.fromkeys(("marker", "ink", "pen marking", "pen markings", "pen mark"), ArtefactClass.PEN),
    **dict.fromkeys(
        ("bubble", "air bubble", "edge", "coverslip edge", "coverslip", "edge & bubble", "edge and bubble"),
        ArtefactClass.BUBBLE_EDGE,
    ),
    **dict.fromkeys(
        ("dust", "dirt", "foreign object", "foreign", "dark spot", "pigment"), ArtefactClass.DARK_SPOT_FOREIGN
    ),
    **dict.fromkeys(("damage", "tear", "torn", "crush", "tissue damage", "hole"), ArtefactClass.DAMAGED),
    **dict.fromkeys(("pale", "over-stained", "overstained", "stain fault", "staining"), ArtefactClass.STAIN),
}
"""What people call the artefacts, in small letters."""
_ANY = frozenset({"", "artefact", "artifact", "artefacts", "artifacts", "any"})
_REGION = frozenset({"region*", "region", "roi", "annotated area", "annotated region"})
"""Names of outlines that say where somebody looked; what lies outside is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceMask:
    """A class map of a whole slide."""

    labels: NDArray[np.uint8]
    """(h, w) codes of `ArtefactClass`, `NO_TISSUE`, `UNSTATED` or `NOT_JUDGED`."""
    told_apart: tuple[ArtefactClass, ...]
    """Classes that it tells apart; none where it only says that there is an artefact."""


def read_annotation(path: Path, *, slide: Size) -> ReferenceMask:
    """Read outlines that a person drew over a slide.

    The class of an outline says which artefact it is, in our words or usual ones; an outline called artefact, or
    nothing, is one of any class. Outlines called Region* or ROI say where somebody looked.

    Args:
        path: GeoJSON in level-0 pixels.
        slide: Size of the slide at level 0.

    Raises:
        InputError: it is no GeoJSON, has no outline, names an artefact that nobody knows, or lies beside the slide.
    """
    outlines = [(name, mark.geometry) for name, mark in classified_marks(_json(path))]
    shape = mask_shape(slide, cell=Size(1, 1), most_px=PAINTED_PX)
    downsample = (slide.width / shape[1], slide.height / shape[0])
    labels = np.full(shape, ArtefactClass.CLEAN.code, np.uint8)
    looked_at: NDArray[np.bool_] | None = None
    told: set[ArtefactClass] = set()
    painted = 0
    for name, geometry in outlines:
        mask = np.zeros(shape, np.bool_)
        for polygon in polygons_of(geometry):
            paint(mask, polygon, downsample=downsample)
        if name.strip().casefold() in _REGION:
            looked_at = mask if looked_at is None else looked_at | mask
            continue
        kind = artefact_of_name(name)
        labels[mask] = UNSTATED if kind is None else kind.code
        painted += int(mask.sum())
        told |= {kind} if kind else set()
    if not painted and looked_at is None:
        raise InputError(
            f"{path.name} has no outline on this slide of {slide.width} x {slide.height} pixels. Export annotations of "
            "this very slide from QuPath, at full resolution; an outline called Region* says where nothing was found."
        )
    if looked_at is not None:
        labels[~looked_at] = NOT_JUDGED
    return ReferenceMask(labels, tuple(kind for kind in ARTEFACTS if kind in told))


def read_mask(path: Path, *, slide: Size, artefact: ArtefactClass | None, marks_usable: bool = False) -> ReferenceMask:
    """Read a mask image of two values over the whole slide, such as those of HistoQC.

    Args:
        path: Image with one channel: 0, and one other value.
        slide: Size of the slide at level 0, which the mask must cover.
        artefact: What is marked; None = an artefact, nobody says which.
        marks_usable: Whether the other value marks usable tissue, as in HistoQC's `mask_use`, and 0 the rest.

    Raises:
        InputError: it is no such image, or its proportions are not those of the slide.
    """
    values = read_index_image(path)
    check_proportions(path.name, Size(values.shape[1], values.shape[0]), slide=slide)
    present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    if len(set(present.tolist()) - {0}) > 1:
        told = ", ".join(map(str, present[:8]))
        raise InputError(
            f"{path.name} holds the values {told}. A mask of an artefact has two: 0, and another where it is marked. "
            "Import masks of GrandQC as such, and several artefacts as GeoJSON."
        )
    marked = (values == 0) if marks_usable else (values > 0)
    code = UNSTATED if artefact is None else artefact.code
    labels = np.where(marked, code, ArtefactClass.CLEAN.code).astype(np.uint8)
    return ReferenceMask(thinned(labels), () if artefact is None else (artefact,))


def artefact_of_name(name: str) -> ArtefactClass | None:
    """Return the artefact that a name means; None for an artefact of any class.

    Raises:
        InputError: nobody knows what is meant.
    """
    word = re.sub(r"[\s_]+", " ", name.strip().casefold())
    if word in _ANY:
        return None
    found = _WORDS.get(word) or _WORDS.get(word.replace(" ", "_"))
    if found is None:
        known = ", ".join(kind.value for kind in ARTEFACTS)
        raise InputError(f"{name!r} names no artefact. Call the outlines {known}, artefact, or Region*.")
    return found


def _json(path: Path) -> object:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise InputError(f"{path.name} is larger than {SIZE_LIMIT // 2**20} MB. Export fewer annotations.")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as err:
        raise InputError(f"{path} cannot be read ({err.strerror}). Check the path.") from err
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as err:
        raise InputError(f"{path.name} is no GeoJSON. Export annotations from QuPath as GeoJSON.") from err


def read_index_image(path: Path) -> NDArray[np.uint8]:
    """Return (h, w) numbers of an image with one channel; the indices of a palette, and 0 or 1 of a bitmap.

    Raises:
        InputError: it cannot be read, is too large, or has several channels.
    """
    try:
        with warnings.catch_warnings():
            # A mask of a whole slide is larger than what Pillow takes for an attack; twice that is still refused.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                mode, values = image.mode, np.asarray(image)
    except Image.DecompressionBombError as err:
        raise InputError(f"{path.name} has too many pixels. Save the mask at a coarser scale.") from err
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as err:
        raise InputError(f"{path.name} cannot be read as an image. Save the mask as PNG.") from err
    if values.ndim != 2:
        raise InputError(f"{path.name} is a picture in colours ({mode}). A mask has one number a pixel.")
    if values.dtype != np.bool_ and (values.min() < 0 or values.max() > 255):
        raise InputError(f"{path.name} holds values beyond 0 to 255, so it is no mask.")
    return values.astype(np.uint8)


def check_proportions(name: str, mask: Size, *, slide: Size) -> None:
    """Go on only if a mask has the proportions of the slide, to a pixel of the mask or one in a hundred.

    Raises:
        InputError: it has not, so it covers something else.
    """
    across, down = slide.width / mask.width, slide.height / mask.height
    finest = max(across, down)
    # A mask may end up to one of its pixels before the slide does.
    slack = max(SAME_SHAPE * finest, finest / min(mask.width, mask.height))
    if abs(across - down) > slack or finest < 0.5:
        raise InputError(
            f"{name} is {mask.width} x {mask.height} pixels and does not fit the slide of "
            f"{slide.width} x {slide.height}: their proportions differ. It is of another slide, or cut."
        )


def thinned(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a map of at most `KEPT_PX` pixels: every n-th of each row and column."""
    step = int(np.ceil(np.sqrt(labels.size / KEPT_PX)))
    return labels if step <= 1 else np.ascontiguousarray(labels[step // 2 :: step, step // 2 :: step])
