"""Drafts: their author's alone, changed freely, gone when the form is sent, and no part of the log."""

from __future__ import annotations

from datetime import timedelta

import pytest
from consult_kit import BENIGN, MALIGNANT, ask, department, flagged_case
from store_kit import add_slide

from core.domain import ReviewVerdict
from core.errors import InputError, NotAllowedError, NotFoundError
from core.services.cases import review
from core.services.cases.drafts import LONGEST, DraftForm, DraftPlace, discard_draft, draft_of, keep_draft
from core.services.catalogue import verify_log
from core.services.consultations import opinion
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.drafts import KEPT_DAYS
from core.store.values import time_text, utc_now
from core.vocabulary import ReadRole

READ = DraftPlace("C1", DraftForm.READ)
HALF = {"category": "benign", "text": "Half a thought", "confidence": 3, "grade": "", "work": []}


@pytest.fixture
def unread(settings: Settings) -> Settings:
    add_slide(settings, "slide-C1", case_id="C1")
    department(settings)
    return settings


def test_a_draft_is_its_authors_alone_and_leaves_no_trace_in_the_log(unread: Settings) -> None:
    before = verify_log(unread).rows
    keep_draft(unread, READ, HALF, actor="ann")
    keep_draft(unread, READ, HALF | {"text": "A whole one"}, actor="ann")
    found = draft_of(unread, READ, actor="ann")
    assert found is not None
    assert dict(found.content) == {"category": "benign", "text": "A whole one", "confidence": 3}
    assert draft_of(unread, READ, actor="bob") is None
    assert draft_of(unread, READ, actor="Eve") is None, "nor a lead's to see"
    assert verify_log(unread).rows == before
    assert [event for event in review.case_history(unread, "C1") if "whole" in str(event.payload)] == []
    discard_draft(unread, READ, actor="bob")
    assert draft_of(unread, READ, actor="ann") is not None, "only its author discards it"
    discard_draft(unread, READ, actor="ann")
    assert draft_of(unread, READ, actor="ann") is None


def test_emptied_fields_delete_the_draft(unread: Settings) -> None:
    keep_draft(unread, READ, HALF, actor="ann")
    assert keep_draft(unread, READ, {"category": None, "text": "", "work": []}, actor="ann") is None
    assert draft_of(unread, READ, actor="ann") is None


@pytest.mark.parametrize(
    ("place", "actor", "text", "error"),
    [
        (READ, "vic", "x", NotAllowedError),
        (READ, "quinn", "x", NotAllowedError),
        (DraftPlace("C1", DraftForm.OPINION, 1), "quinn", "x", NotAllowedError),
        (READ, "ann", "x" * LONGEST, InputError),
        (DraftPlace("C9", DraftForm.READ), "ann", "x", NotFoundError),
    ],
)
def test_who_may_not_send_the_form_keeps_no_draft(unread, place, actor, text, error) -> None:
    with pytest.raises(error):
        keep_draft(unread, place, {"text": text}, actor=actor)
    with open_log(unread) as database:
        assert database.conn.execute("SELECT count(*) FROM drafts").fetchone() == (0,)


def test_a_draft_goes_with_its_form_and_no_other(settings: Settings) -> None:
    flagged_case(settings)
    asked = ask(settings)
    places = {
        "cleo": DraftPlace("C1", DraftForm.OPINION, asked.consultation_id),
        "bob": DraftPlace("C1", DraftForm.CONSENSUS),
        "ann": DraftPlace("C1", DraftForm.ANSWER),
        "dan": READ,
    }
    for who, place in places.items():
        keep_draft(settings, place, {"text": who}, actor=who)
    keep_draft(settings, READ, {"text": "bob's own"}, actor="bob")

    def left() -> set[str]:
        return {who for who, place in places.items() if draft_of(settings, place, actor=who) is not None}

    opinion.acknowledge(settings, asked.consultation_id, actor="cleo")
    assert left() == set(places)
    opinion.submit_opinion(settings, asked.consultation_id, MALIGNANT, actor="cleo")
    assert left() == {"bob", "ann", "dan"}
    review.record_read(settings, "C1", BENIGN, role=ReadRole.CONSENSUS, actor="bob")
    assert left() == {"ann", "dan"}
    assert draft_of(settings, READ, actor="bob") is not None
    review.record_review(settings, "C1", verdict=ReviewVerdict.AGREE, actor="ann")
    review.record_read(settings, "C1", BENIGN, actor="dan")
    assert left() == set()
    assert verify_log(settings).ok


def test_what_was_not_touched_for_long_is_forgotten(unread: Settings) -> None:
    keep_draft(unread, READ, HALF, actor="ann")
    keep_draft(unread, READ, HALF, actor="bob")
    old = time_text(utc_now() - timedelta(days=KEPT_DAYS + 1))
    with open_log(unread) as database, writing(database):
        database.conn.execute("UPDATE drafts SET saved_at = ?", (old,))
    keep_draft(unread, DraftPlace("C1", DraftForm.ANSWER), {"note": "new"}, actor="ann")
    assert draft_of(unread, READ, actor="ann") is None
    assert draft_of(unread, READ, actor="bob") is not None, "only one's own are tidied"
