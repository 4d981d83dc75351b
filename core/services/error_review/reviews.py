"""Where a model was wrong, the worst first, and why, as two readers see it.

The second reader does not see what the first one chose until both have: the page, the order and the export keep to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.agreement.estimates import Bootstrap
from core.agreement.pairs import pair_estimates
from core.errors import ConflictError, InputError
from core.roles import Permission
from core.services.cases.visibility import of_slide
from core.services.error_review.found import errors_of
from core.services.error_review.values import (
    CodingAgreement,
    Direction,
    ErrorGallery,
    ErrorItem,
    Level,
    Reason,
)
from core.services.evaluation.gather import prepare
from core.services.evaluation.values import EvaluationRequest
from core.services.people.authority import permissions_of_actor, require
from core.settings import Settings
from core.store import reviews
from core.store.cases import get_slide
from core.store.connection import open_log, reading, writing
from core.store.error_reviews import (
    ErrorKey,
    ErrorReviewRecord,
    NewErrorReview,
    insert_error_review,
    standing_error_reviews,
)
from core.store.people import name_key

MOST_NOTE = 500
BECAUSE = "an error of the model on the case was coded"


def error_gallery(
    settings: Settings,
    request: EvaluationRequest,
    *,
    direction: Direction,
    level: Level,
    start: int = 0,
    size: int = 24,
    actor: str,
) -> ErrorGallery:
    """Return a page of the errors of a model against a reference.

    Tiles are called at the card's tile threshold and compared with outlines beside their slides; slides at the slide
    threshold, compared with the reference.

    Raises:
        NotAllowedError: the actor may not see reports.
        NotFoundError: there is no such model or reference.
        InputError: nothing can be compared.
    """
    prepared = prepare(settings, request, actor=actor)
    found, compared = errors_of(settings, prepared, direction=direction, level=level)
    with open_log(settings) as database, reading(database):
        may_code = Permission.ANNOTATE in permissions_of_actor(database, actor)
        codes = standing_error_reviews(database, [slide.slide_id for slide in prepared.visible.slides])
    by_key = codes_by_error(codes)
    shown = [with_codes(one, by_key.get(one.key, ()), actor=actor, may_code=may_code) for one in found]
    mine = [one.own for one in shown if one.own is not None]
    return ErrorGallery(
        items=tuple(shown[start : start + size]),
        total=len(found),
        n_units=compared,
        hidden=len(prepared.visible.blinded) + len(prepared.visible.unread),
        agreement=coding_agreement(codes),
        codes={reason: sum(one.reason == reason.value for one in mine) for reason in Reason},
    )


def code_error(settings: Settings, item: ErrorItem, *, reason: Reason, note: str = "", actor: str) -> ErrorReviewRecord:
    """Record why the model was wrong, as one reader sees it; the same reader's earlier code is superseded.

    Raises:
        NotFoundError: there is no such slide.
        NotAllowedError: the actor may not mark slides.
        ConflictError: the model's result on the case is hidden from the actor, or two others have coded it.
        InputError: the note is too long.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, Permission.ANNOTATE)
        if len(note) > MOST_NOTE:
            raise InputError(f"Keep the note below {MOST_NOTE} characters.")
        if not of_slide(database, item.slide_id, actor=actor).model:
            raise ConflictError(f"The model's result on slide {item.slide_id} is hidden from you at the moment.")
        standing = codes_by_error(standing_error_reviews(database, [item.slide_id])).get(item.key, ())
        own = next((one for one in standing if name_key(one.reader) == name_key(actor)), None)
        if own is None and len(standing) >= 2:
            raise ConflictError("Two readers have coded this error already.")
        role = own.role if own is not None else "second" if standing else "first"
        case_id = get_slide(database, item.slide_id).case_id
        if not reviews.has_reveal(database, case_id, actor=actor):
            reviews.insert_reveal(database, case_id, because=BECAUSE, actor=actor)
        return insert_error_review(
            database, _new(item, role, reason, note.strip()), supersedes=own.error_id if own else None, actor=actor
        )


def codes_by_error(codes: Sequence[ErrorReviewRecord]) -> dict[ErrorKey, tuple[ErrorReviewRecord, ...]]:
    """Return the standing codes of each error, the first reader's first."""
    found: dict[ErrorKey, tuple[ErrorReviewRecord, ...]] = {}
    for one in codes:
        found[one.key] = (*found.get(one.key, ()), one)
    return {key: tuple(sorted(own, key=lambda one: one.role != "first")) for key, own in found.items()}


def with_codes(item: ErrorItem, codes: Sequence[ErrorReviewRecord], *, actor: str, may_code: bool) -> ErrorItem:
    """Return an error with the codes that an actor may see: those of others once the actor's own stands."""
    own = next((one for one in codes if name_key(one.reader) == name_key(actor)), None)
    others = [one for one in codes if one is not own]
    open_to = own is not None or not may_code or len(codes) >= 2
    return replace(item, own=own, other=others[0] if others and open_to else None, coded=len(codes))


def coding_agreement(codes: Sequence[ErrorReviewRecord]) -> CodingAgreement:
    """Return how the two readers of the same errors agree."""
    pairs = [own for own in codes_by_error(codes).values() if len(own) == 2]
    if not pairs:
        return CodingAgreement(0, {})
    names = [reason.value for reason in Reason]
    table: NDArray[np.float64] = np.zeros((len(names), len(names)))
    for first, second in pairs:
        table[names.index(first.reason), names.index(second.reason)] += 1
    found = pair_estimates(table, ordinal=False, positive_from=None, bootstrap=Bootstrap())
    return CodingAgreement(len(pairs), found)


def _new(item: ErrorItem, role: str, reason: Reason, note: str) -> NewErrorReview:
    region = item.region
    return NewErrorReview(
        slide_id=item.slide_id,
        run_id=item.run_id,
        level=item.level.value,
        direction=item.direction.value,
        x=None if region is None else region.x,
        y=None if region is None else region.y,
        width=None if region is None else region.width,
        height=None if region is None else region.height,
        reference=item.reference,
        score=item.score,
        threshold=item.threshold,
        role=role,
        reason=reason.value,
        note=note,
    )
