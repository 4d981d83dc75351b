"""Reads: any number, by any scheme, with how they were made; superseded, never overwritten; old seals hold."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from consult_kit import BENIGN, department
from sqlite_utils import Database
from store_kit import add_slide, run_of, save

from core.discordance import Proposal, Said, propose
from core.domain import ReadCategory
from core.errors import ConflictError, InputError, NotAllowedError, NotFoundError
from core.schemes import load_scheme
from core.services.cases import review
from core.services.cases.deep_link import View, link_of, params_of, view_of
from core.services.cases.worklist import case_detail
from core.services.consultations.answers import Answer
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.events import append_event, case_entity
from core.store.migrations import migrations
from core.store.records import NewRead, ReadStage
from core.store.reviews import counting_diagnosis, diagnoses_of_case, insert_read
from core.store.seals import Sealed, seal
from core.store.verification import verify
from core.vocabulary import Basis, Discordance, ReadRole


@pytest.fixture
def case(settings: Settings) -> Settings:
    """An analysed case that nobody has read."""
    save(settings, run_of(add_slide(settings, "a", case_id="C1"), score=0.05))
    department(settings)
    return settings


def test_a_read_keeps_everything_about_how_it_was_made(case: Settings) -> None:
    opened = datetime.now(UTC) - timedelta(minutes=3)
    answer = Answer(
        scheme="isup",
        code="Grade group 3",
        grade="4+3=7",
        text=" cribriform ",
        confidence=4,
        opened_at=opened,
        seconds_on_case=171.25,
    )
    made = review.record_read(case, "C1", answer, actor="ann")
    assert (made.scheme, made.scheme_version, made.code, made.ordinal) == ("isup", "1", "3", 3)
    assert (made.category, made.grade, made.text, made.confidence) == (
        ReadCategory.MALIGNANT,
        "4+3=7",
        "cribriform",
        4,
    )
    assert (made.role, made.stage) == (ReadRole.PRIMARY, ReadStage.BEFORE_MODEL)
    assert (made.blinded_to_model, made.blinded_to_first) == (True, True)
    assert (made.opened_at, made.seconds_on_case) == (opened, 171.25)
    assert case_detail(case, "C1").diagnoses == (made,)
    assert verify(case).ok


def test_indeterminate_has_no_place_in_the_order(case: Settings) -> None:
    made = review.record_read(case, "C1", Answer(scheme="isup", code="unsure"), actor="ann")
    assert (made.category, made.code, made.ordinal) == (ReadCategory.INDETERMINATE, "indeterminate", None)


def test_the_second_reader_after_the_reveal_was_not_blinded(case: Settings) -> None:
    review.record_read(case, "C1", BENIGN, actor="ann")
    review.open_case(case, "C1", actor="bob")
    later = review.record_read(case, "C1", BENIGN, actor="bob")
    assert (later.blinded_to_model, later.blinded_to_first, later.stage) == (False, False, ReadStage.AFTER_MODEL)


def test_later_reads_supersede_within_a_role_and_all_stay(case: Settings) -> None:
    first = review.record_read(case, "C1", BENIGN, actor="ann")
    second = review.record_read(case, "C1", Answer(category=ReadCategory.MALIGNANT), actor="ann")
    report = review.record_read(case, "C1", BENIGN, role=ReadRole.REPORT, actor="ann")
    assert (second.supersedes, report.supersedes) == (first.diagnosis_id, None)
    with open_log(case) as database:
        recorded = diagnoses_of_case(database, "C1")
    assert recorded == (first, second, report)
    assert counting_diagnosis(recorded) == report
    assert case_detail(case, "C1").case.diagnosis is ReadCategory.BENIGN


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(), "needs a category"),
        (Answer(scheme="isup"), "needs one of its categories"),
        (Answer(scheme="isup", code="9"), "no category of Prostate"),
        (Answer(scheme="isup", code="0", category=ReadCategory.MALIGNANT), "means benign"),
        (Answer(category=ReadCategory.BENIGN, confidence=0), "between 1"),
        (Answer(category=ReadCategory.BENIGN, seconds_on_case=-1.0), "0 or more"),
        (Answer(category=ReadCategory.BENIGN, seconds_on_case=float("nan")), "0 or more"),
        (Answer(category=ReadCategory.BENIGN, opened_at=datetime(2999, 1, 1, tzinfo=UTC)), "to come"),
        (Answer(category=ReadCategory.BENIGN, opened_at=datetime(2020, 1, 1)), "no time zone"),  # noqa: DTZ001
        (Answer(category=ReadCategory.BENIGN, text="x" * 4001), "4000 characters"),
    ],
)
def test_an_answer_that_cannot_be_used_leaves_nothing(case: Settings, answer: Answer, words: str) -> None:
    with pytest.raises(InputError, match=words):
        review.record_read(case, "C1", answer, actor="ann")
    assert case_detail(case, "C1").diagnoses == ()


def test_unknown_schemes_roles_and_people_are_refused(case: Settings) -> None:
    with pytest.raises(NotFoundError, match="no reading scheme"):
        review.record_read(case, "C1", Answer(scheme="nowhere", code="1"), actor="ann")
    for role in (ReadRole.SECOND, ReadRole.ADJUDICATOR):
        with pytest.raises(InputError, match="answers a request"):
            review.record_read(case, "C1", BENIGN, role=role, actor="ann")
    for actor in ("vic", "quinn", "nobody"):
        with pytest.raises(NotAllowedError):
            review.record_read(case, "C1", BENIGN, actor=actor)


def test_a_form_sent_twice_is_one_read(case: Settings) -> None:
    first = review.record_read(case, "C1", BENIGN, key="form", actor="ann")
    assert review.record_read(case, "C1", BENIGN, key="form", actor="ann") == first
    with pytest.raises(ConflictError, match="other content"):
        review.record_read(case, "C1", Answer(category=ReadCategory.MALIGNANT), key="form", actor="ann")
    assert case_detail(case, "C1").diagnoses == (first,)


def test_an_imported_read_keeps_reader_time_and_source(case: Settings) -> None:
    then = datetime(2019, 5, 4, 3, 2, 1, tzinfo=UTC)
    new = NewRead(
        category=ReadCategory.MALIGNANT,
        stage=ReadStage.BEFORE_MODEL,
        submitted_at=then,
        source="readers.csv",
        import_key="k",
    )
    with open_log(case) as database, writing(database):
        made = insert_read(database, "C1", new, actor="quinn", reader="pathologist 3")
    assert (made.reader, made.submitted_at, made.source, made.blinded_to_model) == (
        "pathologist 3",
        then,
        "readers.csv",
        None,
    )
    assert verify(case).ok


def test_reads_of_an_older_log_come_through_the_upgrade_with_their_seals(settings: Settings) -> None:
    """A log as the fourth step left it, with a read sealed as it was then."""
    settings.home.mkdir(parents=True)
    connection = sqlite3.connect(settings.log_path, isolation_level=None)
    database = Database(connection, execute_plugins=False)
    with writing(database):
        migrations.apply(database, stop_before="0005_consult")
        database.conn.execute("PRAGMA user_version = 4")
    assert "role" not in database["diagnoses"].columns_dict
    with writing(database):
        database.conn.execute("INSERT INTO cases (case_id, added_at) VALUES ('C1', '2030-01-01T00:00:00.000000Z')")
        database.conn.execute(
            "INSERT INTO diagnoses (case_id, reader, category, text, stage, created_at) "
            "VALUES ('C1', 'ann', 'benign', '', 'before_model', '2030-01-01T00:00:00.000000Z')"
        )
        payload = {"diagnosis_id": 1, "sealed": seal(database, Sealed.DIAGNOSIS, 1)}
        append_event(database, "diagnosis.recorded", entity=case_entity("C1"), actor="ann", payload=payload)
    connection.close()
    assert verify(settings).ok
    with open_log(settings) as upgraded:
        (read,) = diagnoses_of_case(upgraded, "C1")
    assert (read.role, read.scheme, read.blinded_to_model, read.opened_at) == (ReadRole.PRIMARY, None, None, None)
    department(settings)
    review.record_read(settings, "C1", BENIGN, actor="ann")
    assert case_detail(settings, "C1").diagnoses[1].supersedes == 1
    assert verify(settings).ok


# -- what a difference means ------------------------------------------------------------------------------------------

B, M, U = ReadCategory.BENIGN, ReadCategory.MALIGNANT, ReadCategory.INDETERMINATE


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (Said(B), Said(B), Proposal(Discordance.AGREEMENT, None)),
        (Said(B), Said(M), Proposal(Discordance.MAJOR, Basis.BENIGN_VS_MALIGNANT)),
        (Said(M, "Grade 1"), Said(M, "grade  1"), Proposal(Discordance.AGREEMENT, None)),
        (Said(M, "Grade 1"), Said(M, "Grade 2"), Proposal(Discordance.MINOR, Basis.GRADE)),
        (Said(U), Said(M), Proposal(Discordance.DEFERRED, None)),
        (Said(M, scheme="isup", code="2"), Said(M), Proposal(Discordance.NOT_COMPARABLE, None)),
        (Said(B, scheme="isup", code="0"), Said(M), Proposal(Discordance.MAJOR, Basis.BENIGN_VS_MALIGNANT)),
    ],
)
def test_without_a_shared_scheme(first: Said, second: Said, wanted: Proposal) -> None:
    assert propose(first, second, scheme=None) == wanted


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ("2", "2", Proposal(Discordance.AGREEMENT, None)),
        ("2", "3", Proposal(Discordance.MINOR, Basis.GRADE)),
        ("1", "2", Proposal(Discordance.MAJOR, Basis.GRADE)),
        ("0", "5", Proposal(Discordance.MAJOR, Basis.BENIGN_VS_MALIGNANT)),
        ("2", "indeterminate", Proposal(Discordance.DEFERRED, None)),
    ],
)
def test_by_the_severities_of_a_scheme(first: str, second: str, wanted: Proposal) -> None:
    isup = load_scheme("isup")
    said = [Said(isup.read_category(code), None, "isup", code) for code in (first, second)]
    assert propose(*said, scheme=isup) == wanted
    assert propose(*reversed(said), scheme=isup) == wanted


# -- the address of a place -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "link"),
    [
        (View(case_id="C 1/2"), "?case=C+1%2F2"),
        (View(case_id="C1", slide_id="a.1"), "?case=C1&slide=a.1"),
        (View(case_id="C1", slide_id="a", x=1200.04, y=-3.5), "?case=C1&slide=a&x=1200&y=-3.5"),
        (View(case_id="C1", slide_id="a", x=0, y=0, z=0.00390625), "?case=C1&slide=a&x=0&y=0&z=0.00390625"),
    ],
)
def test_a_link_leads_back_to_its_view(view: View, link: str) -> None:
    assert link_of(view) == link
    back = view_of(params_of(view))
    assert back is not None
    assert params_of(back) == params_of(view)


def test_what_cannot_be_read_in_an_address_is_left_out() -> None:
    assert view_of({}) is None
    plain = View(case_id="C1", slide_id="a")
    for broken in ({"x": "nan", "y": "1"}, {"x": "1"}, {"x": "1e999", "y": "1"}, {"x": "one", "y": "two", "z": "3"}):
        assert view_of({"case": "C1", "slide": "a", **broken}) == plain
    assert view_of({"case": "C1", "slide": "a", "x": "1", "y": "2", "z": "-1"}) == View(
        case_id="C1", slide_id="a", x=1.0, y=2.0
    )
    with pytest.raises(InputError):
        View(case_id="C1", x=1.0, y=1.0)
