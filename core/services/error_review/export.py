"""Coded errors as training data: patches as PNG, outlines as QuPath reads them, and a table with the reasons."""

from __future__ import annotations

import csv
import io
import json
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.domain import NOT_FOR_DIAGNOSIS, Region, Size
from core.errors import InputError, NotFoundError, SecondReadError
from core.interop.qupath import Mark, feature_collection
from core.roles import Permission
from core.services.cases.visibility import of_slide
from core.services.error_review.reviews import codes_by_error
from core.services.error_review.values import REASON_WORDS, Direction, Level, Reason
from core.services.evaluation.cohort import reader_names, visible_slides
from core.services.evaluation.values import Cohort
from core.services.people.authority import permissions_of_actor, require, require_now
from core.settings import Settings
from core.slides import open_slide
from core.store.cases import get_slide
from core.store.connection import open_log, reading
from core.store.error_reviews import ErrorReviewRecord, standing_error_reviews
from core.store.people import name_key
from core.store.records import SlideRecord
from models.cards import ModelCard, load_card

MOST_PATCHES = 3000
COLUMNS = (
    *(
        "slide_id",
        "case_id",
        "level",
        "error",
        "target",
        "x",
        "y",
        "width",
        "height",
        "score",
        "threshold",
        "reference",
    ),
    *("first_reason", "second_reason", "agreed", "first_reader", "second_reader", "notes", "patch"),
)
_SPACE = uuid.UUID("5ec0d2ea-d000-5000-8000-000000000002")


def error_picture(
    settings: Settings, slide_id: str, region: Region | None, *, px: int, around: float = 1.0, actor: str
) -> NDArray[np.uint8]:
    """Return a place of a slide, or the whole slide, as RGB (H, W, 3).

    Args:
        settings: Names the home folder.
        slide_id: The slide.
        region: Level-0 px; None = the whole slide.
        px: Longer side of the picture.
        around: How many tile sides are shown, with the tile in the middle.
        actor: Who looks.

    Raises:
        NotAllowedError: the actor may not see cases.
        NotFoundError: there is no such slide, or the model's result on it is hidden from the actor.
        UnreadableSlideError: the slide cannot be read.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, Permission.SEE_CASES)
        slide = get_slide(database, slide_id)
        if not of_slide(database, slide_id, actor=actor).model:
            raise NotFoundError(f"The model's result on slide {slide_id} is hidden from you at the moment.")
    with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
        if region is None:
            return reader.thumbnail(px)
        wide, high = round(region.width * around), round(region.height * around)
        left, top = round(region.centre.x - wide / 2), round(region.centre.y - high / 2)
        out = Size(px, max(1, round(px * high / wide)))
        return reader.read(Region(left, top, wide, high), out)


def export_errors(settings: Settings, *, model: str, actor: str) -> bytes:
    """Return a zip of the coded errors of a model: `patches/`, `outlines/`, `errors.csv` and a NOTICE.

    What a reader may not see yet is not in it: cases under a blinded request, and errors that somebody else has coded
    and this person still may.

    Raises:
        NotAllowedError: the actor may not export.
        NotFoundError: there is no such model.
        InputError: nothing was coded, or too much for one file.
    """
    require_now(settings, actor, Permission.EXPORT)
    card = load_card(model)
    with open_log(settings) as database, reading(database):
        slides = {one.slide_id: one for one in visible_slides(database, cohort=Cohort(), actor=actor).slides}
        may_code = Permission.ANNOTATE in permissions_of_actor(database, actor)
        codes = standing_error_reviews(database, list(slides), model=model)
        names = reader_names(database, actor=actor).shown
    pairs = [
        own
        for own in codes_by_error(codes).values()
        if not may_code or len(own) >= 2 or any(name_key(one.reader) == name_key(actor) for one in own)
    ]
    if not pairs:
        raise InputError("No error was coded yet that you may take out. Code some first.")
    if len(pairs) > MOST_PATCHES:
        raise InputError(f"{len(pairs):,} errors are too many for one file; at most {MOST_PATCHES:,}.")
    return _packed(pairs, slides, card, names)


def _packed(
    pairs: Sequence[Sequence[ErrorReviewRecord]],
    slides: dict[str, SlideRecord],
    card: ModelCard,
    names: dict[str, str],
) -> bytes:
    buffer, table = io.BytesIO(), io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    unread: list[str] = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for slide_id, slide in slides.items():
            own = [pair for pair in pairs if pair[0].slide_id == slide_id]
            if not own:
                continue
            outlines = feature_collection([_mark(pair) for pair in own if pair[0].level == Level.TILE])
            archive.writestr(f"outlines/{slide_id}.geojson", json.dumps(outlines, indent=1))
            patches = _patches(archive, slide, own, card, unread)
            for pair, patch in zip(own, patches, strict=True):
                writer.writerow(_row(pair, slide, patch, names))
        archive.writestr("errors.csv", table.getvalue())
        archive.writestr("NOTICE.txt", _notice(card, unread))
    return buffer.getvalue()


def _patches(
    archive: zipfile.ZipFile,
    slide: SlideRecord,
    pairs: Sequence[Sequence[ErrorReviewRecord]],
    card: ModelCard,
    unread: list[str],
) -> list[str]:
    """Write the tiles of a slide and return their names; "" for whole slides and where the slide cannot be read."""
    found = [""] * len(pairs)
    try:
        with open_slide(Path(slide.path), mpp=slide.mpp_override) as reader:
            for place, (first, *_) in enumerate(pairs):
                if first.x is None or first.y is None or first.width is None or first.height is None:
                    continue
                region = Region(first.x, first.y, first.width, first.height)
                pixels = reader.read(region, Size(card.tile_px, card.tile_px))
                found[place] = f"patches/{slide.slide_id}/{_target(first)}/{slide.slide_id}_x{first.x}_y{first.y}.png"
                image = io.BytesIO()
                Image.fromarray(pixels).save(image, "PNG")
                archive.writestr(found[place], image.getvalue())
    except SecondReadError as err:
        unread.append(f"{slide.slide_id}: {err}")
        return [""] * len(pairs)
    return found


def _target(code: ErrorReviewRecord) -> int:
    """Return what the reference says: 1 with the target. Where a reader calls the label wrong, the reason says so."""
    return int(code.direction == Direction.FALSE_NEGATIVE)


def _row(
    pair: Sequence[ErrorReviewRecord], slide: SlideRecord, patch: str, names: dict[str, str]
) -> tuple[object, ...]:
    first, second = pair[0], pair[1] if len(pair) > 1 else None
    place = (first.x, first.y, first.width, first.height)
    return (
        *(slide.slide_id, slide.case_id, first.level, first.direction, _target(first)),
        *("" if one is None else one for one in place),
        *(f"{first.score:.6f}", f"{first.threshold:.6f}", first.reference),
        *(first.reason, "" if second is None else second.reason),
        "" if second is None else int(first.reason == second.reason),
        *(names.get(first.reader, first.reader), "" if second is None else names.get(second.reader, second.reader)),
        *(" | ".join(one.note for one in pair if one.note), patch),
    )


def _mark(pair: Sequence[ErrorReviewRecord]) -> Mark:
    first = pair[0]
    left, top = first.x or 0, first.y or 0
    right, bottom = left + (first.width or 1), top + (first.height or 1)
    corners = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    words = " / ".join(REASON_WORDS[Reason(one.reason)] for one in pair)
    return Mark(
        id=str(uuid.uuid5(_SPACE, repr(first.key))),
        shape="rectangle",
        geometry={"type": "Polygon", "coordinates": [corners]},
        label=f"{first.direction.replace('_', ' ')}: {words}",
        note=" | ".join(one.note for one in pair if one.note),
        at_utc=first.created_at.isoformat(timespec="seconds"),
    )


def _notice(card: ModelCard, unread: Sequence[str]) -> str:
    lines = [
        NOT_FOR_DIAGNOSIS,
        f"Errors of the model {card.name} (weights {card.weights_sha256}), with the reasons that readers gave.",
        "target: what the reference says, 1 with the target. Check rows whose reason is label_wrong before training.",
        *(["Slides that could not be read, without patches:", *unread] if unread else []),
    ]
    return "\n".join(lines) + "\n"
