"""Quality verdicts: given, superseded, taken back, many at once; a second reader does not see the first verdict."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from people_kit import CLERK
from store_kit import add_slide
from verdict_kit import measure_again, measured, measured_many, people, report_of

from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.services.cases.review import case_history
from core.services.quality.agreement import qc_agreement
from core.services.quality.bulk import bulk_accept, undo_bulk
from core.services.quality.references import add_reference
from core.services.quality.second_reads import (
    ask_second_reads,
    awaited_second_reads,
    draw_second_reads,
    second_reads_to_do,
    withdraw_second_read,
)
from core.services.quality.table import DISPUTED, UNJUDGED, QualityQuery, quality_row, quality_table
from core.services.quality.verdicts import (
    NewQcVerdict,
    judge,
    reveal_verdicts,
    slide_verdicts,
    withdraw_verdict,
)
from core.settings import Settings
from core.store.verification import verify
from core.vocabulary import QcDisposition, QcOrigin, QcReason, QcRole

ACCEPT = NewQcVerdict(disposition=QcDisposition.ACCEPT)
RESCAN = NewQcVerdict(disposition=QcDisposition.RESCAN, reason=QcReason.OUT_OF_FOCUS)
RECUT = NewQcVerdict(disposition=QcDisposition.RECUT, reason=QcReason.FOLD, note="fold over the tumour")


@pytest.fixture
def slide(settings: Settings) -> str:
    people(settings)
    return measured(settings, "a")


def test_a_verdict_keeps_what_lay_before_the_reader(settings: Settings, slide: str) -> None:
    made = judge(settings, slide, RECUT, actor="quentin")
    assert (made.reader, made.role, made.disposition) == ("quentin", QcRole.FIRST, QcDisposition.RECUT)
    assert (made.reason, made.origin, made.note) == (QcReason.FOLD, QcOrigin.PREPARATION, "fold over the tumour")
    assert (made.suggested, made.score, made.limits_version) == (QcDisposition.ACCEPT, 1.0, "qc-limits-1")
    assert made.source_id == "measurement:1"
    assert made.blinded_to_first is None, "there was no other verdict"
    assert verify(settings).ok


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (NewQcVerdict(disposition=QcDisposition.ACCEPT, reason=QcReason.FOLD), "has no fault"),
        (NewQcVerdict(disposition=QcDisposition.RESCAN), "needs a reason"),
        (NewQcVerdict(disposition=QcDisposition.EXCLUDE, reason=QcReason.OTHER), "note is needed"),
        (NewQcVerdict(disposition=QcDisposition.EXCLUDE, reason=QcReason.OTHER, note="x"), "preparation or in acqu"),
        (NewQcVerdict(disposition=QcDisposition.ACCEPT, note="x" * 5000), "4000 characters"),
    ],
)
def test_a_verdict_that_does_not_fit_together_is_refused(
    settings: Settings, slide: str, verdict: NewQcVerdict, words: str
) -> None:
    rows = verify(settings).rows
    with pytest.raises(InputError, match=words):
        judge(settings, slide, verdict, actor="quentin")
    assert verify(settings).rows == rows


def test_another_verdict_supersedes_and_both_stay(settings: Settings, slide: str) -> None:
    first = judge(settings, slide, RESCAN, actor="quentin")
    second = judge(settings, slide, ACCEPT, actor="quentin")
    assert second.supersedes == first.verdict_id
    seen = slide_verdicts(settings, slide, actor="vic")
    assert [one.verdict_id for one in seen.history] == [first.verdict_id, second.verdict_id]
    assert seen.standing == (second,)
    assert not seen.may_judge
    assert quality_row(settings, slide, actor="vic").entry.verdict is QcDisposition.ACCEPT


def test_a_form_sent_twice_is_one_verdict_and_another_content_is_refused(settings: Settings, slide: str) -> None:
    made = judge(settings, slide, RESCAN, key="form", actor="quentin")
    assert judge(settings, slide, RESCAN, key="form", actor="quentin") == made
    with pytest.raises(ConflictError, match="sent before"):
        judge(settings, slide, ACCEPT, key="form", actor="quentin")
    assert len(slide_verdicts(settings, slide, actor="quentin").history) == 1


def test_a_verdict_is_taken_back_and_can_be_given_anew(settings: Settings, slide: str) -> None:
    judge(settings, slide, RESCAN, actor="quentin")
    assert withdraw_verdict(settings, slide, actor="quentin").withdrawn
    assert slide_verdicts(settings, slide, actor="quentin").standing == ()
    with pytest.raises(ConflictError, match="no verdict"):
        withdraw_verdict(settings, slide, actor="quentin")
    assert judge(settings, slide, ACCEPT, actor="quinn").role is QcRole.FIRST
    assert judge(settings, slide, ACCEPT, actor="quentin").role is QcRole.SECOND
    assert verify(settings).ok


@pytest.mark.parametrize("actor", ["vic", "paula", "nobody", CLERK])
def test_only_people_who_judge_quality_give_verdicts(settings: Settings, slide: str, actor: str) -> None:
    rows = verify(settings).rows
    with pytest.raises(NotAllowedError):
        judge(settings, slide, ACCEPT, actor=actor)
    with pytest.raises(NotAllowedError):
        bulk_accept(settings, [slide], actor=actor)
    assert verify(settings).rows == rows


def test_an_unknown_slide_is_refused(settings: Settings, slide: str) -> None:
    with pytest.raises(NotFoundError):
        judge(settings, "b", ACCEPT, actor="quentin")
    with pytest.raises(NotFoundError):
        bulk_accept(settings, [slide, "b"], actor="quentin")
    assert slide_verdicts(settings, slide, actor="quentin").history == ()


def test_many_are_accepted_at_once_and_what_was_judged_is_left_alone(settings: Settings, slide: str) -> None:
    others = [measured(settings, name) for name in "bcd"]
    judge(settings, "b", RESCAN, actor="quinn")
    ask_second_reads(settings, ["c"], reader="quentin", actor="quinn")
    done = bulk_accept(settings, [slide, *others, slide], note="clean day", key="form", actor="quentin")
    assert done.judged == ("a", "d")
    assert dict(done.skipped).keys() == {"b", "c"}
    assert bulk_accept(settings, [slide, *others, slide], note="clean day", key="form", actor="quentin").batch == (
        done.batch
    )
    made = slide_verdicts(settings, "d", actor="quentin").standing[0]
    assert (made.batch, made.note, made.disposition) == (done.batch, "clean day", QcDisposition.ACCEPT)
    judge(settings, "a", RESCAN, actor="quentin")
    assert done.batch is not None
    with pytest.raises(NotFoundError):
        undo_bulk(settings, done.batch, actor="quinn")
    undone = undo_bulk(settings, done.batch, actor="quentin")
    assert (undone.judged, [slide for slide, _ in undone.skipped]) == (("d",), ["a"])
    assert slide_verdicts(settings, "d", actor="quentin").standing == ()
    assert slide_verdicts(settings, "a", actor="quentin").standing[0].disposition is QcDisposition.RESCAN
    assert verify(settings).ok


def test_an_unmeasured_slide_is_not_accepted_in_bulk(settings: Settings, slide: str) -> None:
    bare = add_slide(settings, "bare")
    done = bulk_accept(settings, [slide, bare], actor="quentin")
    assert done.judged == (slide,)
    assert done.skipped == ((bare, "Its quality has not been measured yet."),)
    with pytest.raises(InputError, match="Choose 1 to"):
        bulk_accept(settings, [], actor="quentin")


def hidden_from(settings: Settings, slide: str, actor: str) -> bool:
    """Whether nothing of the verdict of others reaches somebody, by whatever way."""
    seen = slide_verdicts(settings, slide, actor=actor)
    row = quality_row(settings, slide, actor=actor)
    ways = [
        any(one.reader != actor for one in (*seen.history, *seen.standing, *row.verdicts)),
        row.entry.verdict is not None,
        row.entry.disputed,
        quality_table(settings, actor=actor, query=QualityQuery(verdicts=("rescan",))).total > 0,
        quality_table(settings, actor=actor).facets["verdict"].get("rescan", 0) > 0,
        any(pair.slide_id == slide for pair in qc_agreement(settings, actor=actor).pairs),
        any(event.actor == "quentin" for event in case_history(settings, slide, actor=actor)),
    ]
    return not any(ways)


def test_a_second_reader_sees_the_first_verdict_only_after_the_own(settings: Settings, slide: str) -> None:
    judge(settings, slide, RESCAN, actor="quentin")
    assert not hidden_from(settings, slide, "quinn")
    ask_second_reads(settings, [slide], reader="quinn", reason="audit", actor="quentin")
    assert hidden_from(settings, slide, "quinn")
    assert not hidden_from(settings, slide, "quirin"), "nobody else is blinded"
    seen = slide_verdicts(settings, slide, actor="quinn")
    assert (seen.hidden, seen.seen) == (1, 0)
    assert "asked" in seen.because
    made = judge(settings, slide, RECUT, seen=seen.seen, actor="quinn")
    assert (made.role, made.blinded_to_first, made.ask_id) == (QcRole.SECOND, True, 1)
    assert not hidden_from(settings, slide, "quinn")
    assert second_reads_to_do(settings, actor="quinn") == ()
    found = qc_agreement(settings, actor="vic")
    assert [(pair.first.reader, pair.second.reader, pair.agrees) for pair in found.pairs] == [
        ("quentin", "quinn", False)
    ]
    page = quality_table(settings, actor="vic", query=QualityQuery(verdicts=(DISPUTED,)))
    assert [row.entry.slide_id for row in page.rows] == [slide]


def test_anybody_may_answer_for_all_but_who_asked_and_who_judged(settings: Settings, slide: str) -> None:
    judge(settings, slide, RESCAN, actor="quentin")
    ask_second_reads(settings, [slide], actor="quinn")
    assert [hidden_from(settings, slide, name) for name in ("quentin", "quinn", "quirin", "vic")] == [
        False,
        False,
        True,
        False,
    ]
    assert [ask.slide_id for ask in second_reads_to_do(settings, actor="quirin")] == [slide]
    assert second_reads_to_do(settings, actor="quinn") == ()


def test_whoever_has_the_verdict_revealed_is_no_longer_blinded(settings: Settings, slide: str) -> None:
    judge(settings, slide, RESCAN, actor="quentin")
    ask_second_reads(settings, [slide], reader="quinn", actor="quentin")
    reveal_verdicts(settings, slide, actor="quinn")
    assert not hidden_from(settings, slide, "quinn")
    with pytest.raises(ConflictError, match="hidden from you"):
        reveal_verdicts(settings, slide, actor="quinn")
    assert judge(settings, slide, RESCAN, actor="quinn").blinded_to_first is False
    found = qc_agreement(settings, actor="quentin")
    assert (found.pairs, found.left_out) == ((), 1)


def test_two_who_judge_at_once_are_two_independent_reads(settings: Settings, slide: str) -> None:
    before = slide_verdicts(settings, slide, actor="quinn")
    judge(settings, slide, RESCAN, actor="quentin")
    made = judge(settings, slide, RESCAN, seen=before.seen, actor="quinn")
    assert (made.role, made.blinded_to_first) == (QcRole.SECOND, True)
    late = judge(settings, slide, RESCAN, seen=slide_verdicts(settings, slide, actor="quirin").seen, actor="quirin")
    assert late.blinded_to_first is False


def test_a_second_read_before_the_first_stays_hidden_from_the_first_reader(settings: Settings, slide: str) -> None:
    ask_second_reads(settings, [slide], reader="quinn", actor="quirin")
    judge(settings, slide, RESCAN, actor="quinn")
    assert hidden_from(settings, slide, "quentin")
    made = judge(settings, slide, ACCEPT, actor="quentin")
    assert (made.role, made.blinded_to_first) == (QcRole.FIRST, True)
    assert len(qc_agreement(settings, actor="quentin").pairs) == 1


@pytest.mark.usefixtures("slide")
def test_agreement_counts_what_was_said_independently(settings: Settings) -> None:
    """The shares of [[20, 5], [10, 15]]: kappa .400, AC1 .406; then a reader who comes round afterwards."""
    names = measured_many(settings, {f"s{place:02}": report_of() for place in range(10)})
    bulk_accept(settings, names[:5], actor="quentin")
    for name in names[5:]:
        judge(settings, name, RESCAN, actor="quentin")
    ask_second_reads(settings, names, reader="quinn", actor="quentin")
    for place, name in enumerate(names):
        accepted = place < 4 or 5 <= place < 7
        judge(settings, name, ACCEPT if accepted else RESCAN, actor="quinn")
    found = qc_agreement(settings, actor="vic")
    assert (found.table[0, 0], found.table[2, 2]) == (4, 3)
    for statistics in (found.by_disposition, found.by_acceptance):
        assert statistics["po"].value == pytest.approx(0.70)
        assert statistics["kappa"].value == pytest.approx(0.40)
    assert found.by_acceptance["ac1"].value == pytest.approx(0.406, abs=5e-4)
    judge(settings, names[4], ACCEPT, actor="quinn")
    assert qc_agreement(settings, actor="vic").table.tolist() == found.table.tolist()


@pytest.mark.usefixtures("slide")
def test_slides_are_drawn_again_by_the_same_seed(settings: Settings) -> None:
    with pytest.raises(InputError, match="exactly one verdict"):
        draw_second_reads(settings, share=0.5, seed=3, actor="quinn")
    names = measured_many(settings, {f"s{place}": report_of() for place in range(10)})
    bulk_accept(settings, names, actor="quentin")
    drawn = draw_second_reads(settings, share=0.3, seed=3, actor="quinn")
    assert len(drawn.asked) == 3
    asks = awaited_second_reads(settings, actor="vic")
    assert {ask.seed for ask in asks} == {3}
    assert "3 of 10" in asks[0].reason
    for ask in asks:
        withdraw_second_read(settings, ask.ask_id, reason="again", actor="quinn")
    with pytest.raises(ConflictError):
        withdraw_second_read(settings, asks[0].ask_id, actor="quinn")
    assert draw_second_reads(settings, share=0.3, seed=3, actor="quinn").asked == drawn.asked
    for share, seed in ((0.0, 1), (1.5, 1), (0.5, -1)):
        with pytest.raises(InputError, match="Draw a share"):
            draw_second_reads(settings, share=share, seed=seed, actor="quinn")
    assert verify(settings).ok


@pytest.mark.parametrize(
    ("reader", "error"), [("ghost", NotFoundError), ("vic", NotAllowedError), ("quentin", InputError)]
)
def test_a_second_read_is_asked_of_somebody_who_can_give_it(
    settings: Settings, slide: str, reader: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        ask_second_reads(settings, [slide], reader=reader, actor="quentin")


def test_who_judged_is_not_asked_and_nobody_is_asked_twice(settings: Settings, slide: str) -> None:
    judge(settings, slide, ACCEPT, actor="quinn")
    assert ask_second_reads(settings, [slide], reader="quinn", actor="quentin").asked == ()
    assert ask_second_reads(settings, [slide], actor="quentin").asked == (slide,)
    assert "already" in ask_second_reads(settings, [slide], actor="quinn").skipped[0][1]
    with pytest.raises(InputError, match="at least one"):
        ask_second_reads(settings, [], actor="quinn")
    with pytest.raises(NotFoundError):
        ask_second_reads(settings, ["ghost"], actor="quinn")


def test_two_processes_leave_one_first_and_one_second_verdict(settings: Settings, slide: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda name: judge(settings, slide, RESCAN, seen=0, actor=name), ("quentin", "quinn")))
    assert {one.role for one in made} == {QcRole.FIRST, QcRole.SECOND}
    assert sorted(str(one.blinded_to_first) for one in made) == ["None", "True"]
    assert verify(settings).ok


@pytest.mark.parametrize("table", ["qc_verdicts", "qc_second_reads", "qc_measurements", "qc_references"])
def test_a_change_behind_the_log_is_found(settings: Settings, slide: str, table: str) -> None:
    judge(settings, slide, RESCAN, actor="quentin")
    ask_second_reads(settings, [slide], actor="quentin")
    add_reference(settings, slide, None, name="quentin", usable=True, human_score=3, actor="quentin")
    assert verify(settings).ok
    connection = sqlite3.connect(settings.log_path, isolation_level=None)
    connection.execute(f"DROP TRIGGER {table}_no_update")
    changes = {
        "qc_verdicts": "disposition = 'accept'",
        "qc_second_reads": "reader = 'eve'",
        "qc_measurements": "score = 0.5",
        "qc_references": "human_score = 5",
    }
    connection.execute(f"UPDATE {table} SET {changes[table]}")  # noqa: S608
    connection.close()
    assert not verify(settings).ok


def test_the_latest_measurement_counts_and_the_verdict_keeps_its_own(settings: Settings, slide: str) -> None:
    judge(settings, slide, ACCEPT, actor="quentin")
    measure_again(settings, slide, report_of({"pen": 0.4}))
    row = quality_row(settings, slide, actor="quentin")
    assert row.entry.quality is not None
    assert row.entry.quality.source_id == "measurement:2"
    assert row.entry.quality.fractions["pen"] == pytest.approx(0.4)
    assert row.verdicts[0].source_id == "measurement:1"
    assert quality_table(settings, actor="quentin", query=QualityQuery(verdicts=(UNJUDGED,))).total == 0
