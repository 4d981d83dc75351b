"""The derived summary of each case: always what the log says, and the same status and priority as the worklist's."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from store_kit import add_slide, flag_of_kind, listed, run_of

from core.domain import CaseStatus, FlagKind, ReadCategory, ReviewVerdict, SlideStatus
from core.errors import NotFoundError
from core.settings import Settings
from core.store import cases, results, reviews
from core.store.case_states import insert_change
from core.store.connection import open_log, rows_of, writing
from core.store.records import NewRead, ReadStage
from core.store.summary import differing_cases, rebuild
from core.store.summary_schema import BITS, TRIGGER_NAMES
from core.vocabulary import ReadRole

CASES = {"A": ("A1", "A2"), "B": ("B1",), "C": ("C1", "C2", "C3")}
SCORES = st.sampled_from((0.0, 0.2, 0.49, 0.5, 0.7, 1.0))

runs = st.tuples(
    st.just("run"),
    st.sampled_from([slide for slides in CASES.values() for slide in slides]),
    SCORES,
    st.sampled_from((0.3, 0.5, 1.0)),
    st.sampled_from((SlideStatus.OK, SlideStatus.OK, SlideStatus.FAILED)),
    st.sampled_from((None, 0.0, 0.25, 1.0)),
)
flag = st.tuples(
    st.sampled_from(FlagKind),
    st.sampled_from((None, 0.0, 0.4, 1.0, 1.7)),
    st.sampled_from((None, "A1", "A2")),
    st.sampled_from((None, "none", "minor", "major")),
)
flagged = st.tuples(st.just("flags"), st.sampled_from(sorted(CASES)), st.lists(flag, max_size=3))
reads = st.tuples(
    st.just("read"), st.sampled_from(sorted(CASES)), st.sampled_from(ReadCategory), st.sampled_from(ReadRole)
)
answers = st.tuples(st.just("review"), st.sampled_from(sorted(CASES)), st.sampled_from(("ann", "bob")))
reveals = st.tuples(st.just("reveal"), st.sampled_from(sorted(CASES)), st.sampled_from(("ann", "bob")))
moves = st.tuples(st.just("state"), st.sampled_from(sorted(CASES)), st.sampled_from(CaseStatus))
assigned = st.tuples(st.just("assign"), st.sampled_from(sorted(CASES)), st.sampled_from((None, "bob")))
steps = st.lists(st.one_of(runs, flagged, reads, answers, reveals, moves, assigned), max_size=14)


def prepared(settings: Settings) -> None:
    for case_id, slides in CASES.items():
        for name in slides:
            add_slide(settings, name, case_id=case_id)


def do(database, number: int, step) -> None:
    match step:
        case ("run", slide_id, score, threshold, status, artefact):
            run = replace(run_of(slide_id, run_id=f"run {number}", score=score, status=status), threshold=threshold)
            qc = run.qc if artefact is None else {"score": 0.5, "carrying_artefact_fraction": artefact}
            results.save_run(database, replace(run, qc=qc))
        case ("flags", case_id, flags):
            found = [
                replace(flag_of_kind(kind, slide_id=slide), score=score, severity=severity)
                for kind, score, slide, severity in flags
            ]
            results.save_flags(database, case_id, found, rule_version="rules-1")
        case ("read", case_id, category, role):
            reviews.insert_read(
                database, case_id, NewRead(category=category, stage=ReadStage.BEFORE_MODEL, role=role), actor="ann"
            )
        case ("review", case_id, actor):
            reviews.insert_review(database, case_id, verdict=ReviewVerdict.AGREE, note="", actor=actor)
        case ("reveal", case_id, actor):
            reviews.insert_reveal(database, case_id, because="chosen by the reader", actor=actor)
        case ("state", case_id, after):
            insert_change(database, case_id, step="x", before=CaseStatus.UNREAD, after=after, actor="ann")
        case ("assign", case_id, who):
            cases.assign_case(database, case_id, assignee=who, actor="ann")


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(drawn=steps)
def test_the_maintained_table_is_the_rebuilt_one_and_says_what_the_worklist_says(tmp_path_factory, drawn) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("summary") / "home")
    prepared(settings)
    with open_log(settings) as database:
        with writing(database):
            for number, step in enumerate(drawn):
                do(database, number, step)
        assert differing_cases(database) == ()
        kept = rows_of(database, "SELECT * FROM case_summary ORDER BY case_id")
        assert rebuild(database) == len(CASES)
        assert rows_of(database, "SELECT * FROM case_summary ORDER BY case_id") == kept
    rows = {row.case_id: row for row in listed(settings)}
    for found in kept:
        row = rows[found["case_id"]]
        assert found["status"] == row.status.value
        assert found["priority"] == pytest.approx(row.priority)
        assert (found["diagnosis"], found["diagnosis_by"]) == (row.diagnosis and row.diagnosis.value, row.diagnosis_by)
        assert (found["slides"], found["assigned_to"]) == (row.slides, row.assigned_to)
        assert found["kinds"] == sum({BITS[flag.kind] for flag in row.flags})
        told = [case_id for case_id in CASES if case_id == found["case_id"] and row.diagnosis is None]
        names = sorted({step[2] for step in drawn if step[0] == "reveal" and step[1] in told})
        assert (found["revealed_to"] or "").split() == names
        settled = row.status in (CaseStatus.REVIEWED, CaseStatus.RESOLVED, CaseStatus.SIGNED)
        product = found["severity"] * found["probability"] * found["quality"]
        assert math.isclose(found["benefit"], 0.0 if settled else product, abs_tol=1e-12)


def summary_of(settings: Settings, case_id: str) -> dict[str, object]:
    with open_log(settings) as database:
        return rows_of(database, "SELECT * FROM case_summary WHERE case_id = ?", (case_id,))[0]


@pytest.mark.parametrize(
    ("category", "score", "artefact", "flags", "expected"),
    [
        # severity, probability, quality: half of the distance from the threshold (0.5) is added to one half.
        (ReadCategory.BENIGN, 0.9, None, [], (2.0, 0.9, 1.0)),
        (ReadCategory.BENIGN, 0.1, None, [], (2.0, 0.1, 1.0)),
        (ReadCategory.MALIGNANT, 0.9, None, [], (2.0, 0.1, 1.0)),
        (ReadCategory.MALIGNANT, 0.1, 0.25, [], (2.0, 0.9, 0.75)),
        (ReadCategory.INDETERMINATE, 0.1, None, [], (1.0, 0.9, 1.0)),
        (None, 0.7, None, [], (2.0, 0.7, 1.0)),
        (ReadCategory.BENIGN, None, None, [], (2.0, 0.5, 1.0)),
        (ReadCategory.BENIGN, 0.9, None, [(FlagKind.MODEL_HIGHER, 0.8, "minor")], (1.0, 0.9, 1.0)),
        (ReadCategory.BENIGN, 0.1, None, [(FlagKind.READER_DISAGREEMENT, 0.5, "major")], (2.0, 0.5, 1.0)),
        (ReadCategory.BENIGN, 0.9, None, [(FlagKind.READER_DISAGREEMENT, 0.5, "major")], (2.0, 0.9, 1.0)),
        (ReadCategory.BENIGN, 0.1, None, [(FlagKind.READER_DISAGREEMENT, 0.5, None)], (1.0, 0.5, 1.0)),
    ],
)
def test_the_parts_of_expected_benefit(settings: Settings, category, score, artefact, flags, expected) -> None:
    add_slide(settings, "A1", case_id="A")
    with open_log(settings) as database, writing(database):
        if score is not None:
            do(database, 1, ("run", "A1", score, 0.5, SlideStatus.OK, artefact))
        if category is not None:
            do(database, 2, ("read", "A", category, ReadRole.PRIMARY))
        do(database, 3, ("flags", "A", [(kind, value, None, severity) for kind, value, severity in flags]))
    found = summary_of(settings, "A")
    assert (found["severity"], found["probability"], found["quality"]) == pytest.approx(expected)
    assert found["benefit"] == pytest.approx(math.prod(expected))


def test_a_table_that_went_wrong_is_found_and_rebuilt(settings: Settings) -> None:
    prepared(settings)
    with open_log(settings) as database:
        with writing(database):
            database.conn.execute("UPDATE case_summary SET benefit = 7 WHERE case_id = 'B'")
            database.conn.execute("DELETE FROM case_summary WHERE case_id = 'C'")
            for name in TRIGGER_NAMES:
                database.conn.execute(f"DROP TRIGGER {name}")
        assert differing_cases(database) == ("B", "C")
        assert rebuild(database) == len(CASES)
        assert differing_cases(database) == ()
        with writing(database):
            do(database, 1, ("read", "B", ReadCategory.BENIGN, ReadRole.PRIMARY))
        assert differing_cases(database) == ()
    assert summary_of(settings, "B")["diagnosis_by"] == "ann"


def test_a_refused_change_leaves_the_summary_as_it_was(settings: Settings) -> None:
    prepared(settings)
    with open_log(settings) as database:
        before = rows_of(database, "SELECT * FROM case_summary")
        with pytest.raises(NotFoundError), writing(database):  # noqa: PT012 - the change before the refusal is the point
            do(database, 1, ("read", "B", ReadCategory.BENIGN, ReadRole.PRIMARY))
            cases.get_case(database, "no such case")
        assert rows_of(database, "SELECT * FROM case_summary") == before
