"""Limits of quality control: drafting changes nothing, a preview names slides, activating moves suggestions only."""

from __future__ import annotations

import pytest
from people_kit import enrol
from verdict_kit import measure_again, measured_many, people, report_of

from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.roles import Role
from core.services.quality.limits import (
    QcLimits,
    activate_limits,
    active_limits,
    draft_limits,
    limits_of,
    list_limits,
    preview_limits,
)
from core.services.quality.table import quality_row, quality_table
from core.services.quality.verdicts import NewQcVerdict, judge, slide_verdicts
from core.settings import Settings
from core.store.connection import open_log
from core.store.quality_results import rebuild_quality
from core.store.verification import verify
from core.vocabulary import QcDisposition

SLIDES = {
    "clean": report_of(),
    "inky": report_of({"pen": 0.08}, disposition=QcDisposition.ACCEPT_WITH_LIMITATION),
    "blurred": report_of({"out_of_focus": 0.25}, disposition=QcDisposition.ACCEPT_WITH_LIMITATION),
    "lost": report_of({"fold": 0.5}, disposition=QcDisposition.RECUT),
}
STRICT = QcLimits(version="strict", limitation_usable=0.8)


@pytest.fixture
def home(settings: Settings) -> Settings:
    people(settings)
    measured_many(settings, SLIDES)
    return settings


def suggestions(settings: Settings) -> dict[str, QcDisposition | None]:
    page = quality_table(settings, actor="vic")
    return {row.entry.slide_id: row.entry.quality.disposition for row in page.rows if row.entry.quality}


def test_a_preview_names_the_slides_that_change_side(home: Settings) -> None:
    rows = verify(home).rows
    found = preview_limits(home, STRICT, actor="quentin")
    assert (found.slides, found.compared_with, found.without_report) == (4, "qc-limits-1", 0)
    assert [(one.slide_id, one.before, one.after) for one in found.change_side] == [
        ("blurred", QcDisposition.ACCEPT_WITH_LIMITATION, QcDisposition.RESCAN)
    ]
    assert found.before[QcDisposition.RECUT] == found.after[QcDisposition.RECUT] == 1
    assert verify(home).rows == rows
    assert suggestions(home)["blurred"] is QcDisposition.ACCEPT_WITH_LIMITATION


def test_activated_limits_move_suggestions_but_not_what_was_said_under_others(home: Settings) -> None:
    before = judge(home, "blurred", NewQcVerdict(disposition=QcDisposition.ACCEPT), actor="quentin")
    assert before.limits_version == "qc-limits-1"
    draft_limits(home, STRICT, actor="quentin")
    assert active_limits(home).version == "qc-limits-1"
    state = activate_limits(home, "strict", reason="too many blurred slides", expected="qc-limits-1", actor="quentin")
    assert (state.active, state.activated_by, state.reason) == (True, "quentin", "too many blurred slides")
    row = quality_row(home, "blurred", actor="vic")
    assert row.entry.quality is not None
    assert (row.entry.quality.disposition, row.entry.quality.limits_version) == (QcDisposition.RESCAN, "strict")
    assert row.report is not None
    assert row.report.limits == "qc-limits-1", "the report stays as it was made"
    assert slide_verdicts(home, "blurred", actor="vic").standing == (before,)
    after = judge(home, "blurred", NewQcVerdict(disposition=QcDisposition.ACCEPT), actor="quentin")
    assert (after.limits_version, after.suggested) == ("strict", QcDisposition.RESCAN)
    assert verify(home).ok


def test_what_is_measured_or_rebuilt_later_follows_the_limits_too(home: Settings) -> None:
    draft_limits(home, STRICT, actor="quentin")
    activate_limits(home, "strict", reason="x", actor="quentin")
    measure_again(home, "clean", report_of({"out_of_focus": 0.25}, disposition=QcDisposition.ACCEPT))
    assert suggestions(home)["clean"] is QcDisposition.RESCAN
    with open_log(home) as database:
        assert rebuild_quality(database) == 4
    assert suggestions(home)["blurred"] is QcDisposition.RESCAN
    activate_limits(home, "qc-limits-1", reason="back", expected="strict", actor="quentin")
    assert suggestions(home)["blurred"] is QcDisposition.ACCEPT_WITH_LIMITATION
    assert [state.limits.version for state in list_limits(home) if state.active] == ["qc-limits-1"]


def test_drafts_are_kept_once_and_versions_are_not_reused(home: Settings) -> None:
    assert draft_limits(home, STRICT, actor="quentin") == draft_limits(home, STRICT, actor="quinn")
    with pytest.raises(ConflictError, match="new version"):
        draft_limits(home, QcLimits(version="strict", accept_usable=0.95), actor="quentin")
    with pytest.raises(ConflictError, match="other limits"):
        draft_limits(home, QcLimits(version="qc-limits-1", accept_usable=0.95), actor="quentin")
    assert [state.limits.version for state in list_limits(home)] == ["qc-limits-1", "strict"]


def test_two_who_activate_at_once_are_told(home: Settings) -> None:
    draft_limits(home, STRICT, actor="quentin")
    activate_limits(home, "strict", reason="x", expected="qc-limits-1", actor="quentin")
    with pytest.raises(ConflictError, match="Reload"):
        activate_limits(home, "qc-limits-1", reason="y", expected="qc-limits-1", actor="quinn")
    with pytest.raises(NotFoundError, match="There are qc-limits-1, strict"):
        activate_limits(home, "ghost", reason="x", actor="quentin")
    with pytest.raises(InputError, match="reason is needed"):
        activate_limits(home, "qc-limits-1", reason=" ", actor="quentin")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {**STRICT.to_dict(), "accept_usable": 1.5},
        {**STRICT.to_dict(), "accept_usable": "much"},
        {**STRICT.to_dict(), "more": 1},
        {**STRICT.to_dict(), "version": " "},
        {**STRICT.to_dict(), "exclude_usable": 0.99},
    ],
)
def test_limits_that_make_no_sense_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(InputError):
        limits_of(values)


@pytest.mark.parametrize("role", [Role.PATHOLOGIST, Role.CONSULTANT, Role.VIEWER])
def test_only_quality_control_and_leads_set_limits(home: Settings, role: Role) -> None:
    enrol(home, "somebody", roles=(role,))
    for act in (
        lambda: draft_limits(home, STRICT, actor="somebody"),
        lambda: preview_limits(home, STRICT, actor="somebody"),
        lambda: activate_limits(home, "qc-limits-1", reason="x", actor="somebody"),
    ):
        with pytest.raises(NotAllowedError):
            act()
