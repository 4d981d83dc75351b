"""The store keeps what it is given, refuses to change the log, and says in one sentence what is wrong."""

from __future__ import annotations

import io
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from consult_kit import settled
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from people_kit import CLERK, enrol
from store_kit import add_slide, flag_of_kind, run_of, save, set_flags
from verdict_kit import fill_quality

from core.domain import FlagKind, MppSource, ReadCategory, ReviewVerdict, SlideStatus, Stain
from core.errors import InputError, InvalidMppError, NotFoundError, StorageError
from core.services import catalogue
from core.services.cases import review
from core.services.catalogue import SlideRequest
from core.services.viewing.annotations import save_annotation
from core.settings import Settings
from core.store import results
from core.store.annotations import Shape
from core.store.connection import Log, open_log, reading, writing
from core.store.error_reviews import NewErrorReview, insert_error_review, insert_overlap_score
from core.store.events import append_event
from core.store.imports import NewPrediction, insert_prediction
from core.store.migrations import LOG_TABLES, SCHEMA_VERSION
from core.store.records import EventRecord
from core.store.verification import verify


def fill_errors(database: Log, slide_id: str) -> None:
    """One row in each table of error review."""
    error = NewErrorReview(
        slide_id=slide_id,
        run_id="r1",
        level="tile",
        direction="false_positive",
        x=0,
        y=0,
        width=50,
        height=50,
        reference="outlines",
        score=0.9,
        threshold=0.5,
        role="first",
        reason="keratin",
        note="",
    )
    insert_error_review(database, error, supersedes=None, actor="ann")
    insert_overlap_score(database, slide_id, run_id="r1", threshold=0.5, score=3, note="", actor="ann")


def fill(settings: Settings) -> str:
    """One row at least in every log table."""
    slide_id = add_slide(settings, "a", case_id="C1")
    save(settings, run_of(slide_id))
    review.record_diagnosis(settings, "C1", category=ReadCategory.BENIGN, actor="ann")
    set_flags(settings, "C1", flag_of_kind(FlagKind.MODEL_HIGHER, slide_id=slide_id))
    review.record_review(settings, "C1", verdict=ReviewVerdict.DISAGREE, note="no", actor="ann")
    point = {"type": "Point", "coordinates": [1.5, 2]}
    save_annotation(
        settings,
        slide_id,
        annotation_id="0b6f6f0e-6e3c-4c57-9a55-0f3f1c1f0001",
        shape=Shape.POINT,
        geometry=point,
        label="x",
        note="",
        actor="ann",
    )
    settled(settings, key="form")
    foreign = NewPrediction(
        case_id="C1", system="other", system_version="1", probabilities={"idc": 0.4}, source="a.csv", import_key="k1"
    )
    with open_log(settings) as database, writing(database):
        insert_prediction(database, foreign, actor="ann")
        fill_quality(database, slide_id)
        fill_errors(database, slide_id)
    return slide_id


def history(settings: Settings, case_id: str) -> list[tuple[str, EventRecord]]:
    return [(event.action, event) for event in review.case_history(settings, case_id)]


def test_schema_is_strict_with_foreign_keys_and_wal(settings: Settings) -> None:
    with open_log(settings) as database:
        tables = {row[1]: row[5] for row in database.conn.execute("PRAGMA table_list") if row[2] == "table"}
        ours = {name: strict for name, strict in tables.items() if not name.startswith(("sqlite_", "_sqlite"))}
        assert set(LOG_TABLES) | {
            "cases",
            "slides",
            "jobs",
            "workers",
            "people",
            "sessions",
            "case_summary",
            "drafts",
            "slide_quality",
        } == set(ours)
        assert all(ours.values())
        assert database.journal_mode == "wal"
        assert database.conn.execute("PRAGMA foreign_keys").fetchone() == (1,)


@pytest.mark.parametrize("table", LOG_TABLES)
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_log_tables_refuse_change(settings: Settings, table: str, change: str) -> None:
    fill(settings)
    connection = sqlite3.connect(settings.log_path)
    before = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
    assert before
    with pytest.raises(sqlite3.IntegrityError, match=f"{table} is append-only"):
        connection.execute(change.format(table))
    assert connection.execute(f"SELECT * FROM {table}").fetchall() == before  # noqa: S608
    connection.close()


@pytest.mark.parametrize("table", ["events", "runs", "flags", "diagnoses", "reviews", "qc", "predictions"])
def test_log_tables_refuse_replacement(settings: Settings, table: str) -> None:
    """INSERT OR REPLACE deletes first; with recursive triggers, as the store sets them, that too is refused."""
    fill(settings)
    with (
        pytest.raises(StorageError, match=f"{table} is append-only"),
        open_log(settings) as database,
        writing(database),
    ):
        database.conn.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608


def test_a_run_comes_back_as_it_was_given(settings: Settings) -> None:
    slide_id = add_slide(settings, "a")
    run = run_of(slide_id)
    assert save(settings, run)
    with open_log(settings) as database, reading(database):
        found = results.latest_runs(database, slide_id)[slide_id]
    assert found == replace(run, facts=None)


def test_saving_a_run_again_changes_nothing(settings: Settings) -> None:
    slide_id = add_slide(settings, "a")
    save(settings, run_of(slide_id, score=0.9))
    rows = verify(settings).rows
    assert not save(settings, run_of(slide_id, score=0.1))
    assert verify(settings).rows == rows
    assert catalogue.slide_runs(settings, slide_id)[0].decision_score == 0.9


def test_slide_shows_its_latest_run_and_facts(settings: Settings) -> None:
    slide_id = add_slide(settings, "a")
    assert catalogue.get_slide(settings, slide_id).status is None
    save(settings, run_of(slide_id))
    failed = replace(run_of(slide_id, run_id="r2", status=SlideStatus.UNREADABLE), mpp_x=None, facts=None)
    save(settings, failed)
    slide = catalogue.get_slide(settings, slide_id)
    assert (slide.status, slide.message, slide.run_id) == (SlideStatus.UNREADABLE, "It broke.", "r2")
    assert (slide.mpp_x, slide.mpp_source, slide.vendor, slide.width) == (0.499, MppSource.OPENSLIDE, "aperio", 2220)
    assert [run.run_id for run in catalogue.slide_runs(settings, slide_id)] == ["r2", "r1"]


def test_a_failing_write_leaves_nothing_behind(settings: Settings) -> None:
    slide_id = add_slide(settings, "a")
    rows = verify(settings).rows
    bad = replace(run_of(slide_id), scores={"max": {"idc": 1.5}})
    with pytest.raises(StorageError, match="refused the change"):
        save(settings, bad)
    assert verify(settings).rows == rows
    assert catalogue.slide_runs(settings, slide_id) == ()


def test_run_of_an_unknown_slide_is_refused(settings: Settings) -> None:
    with pytest.raises(StorageError, match="FOREIGN KEY"):
        save(settings, run_of("nobody"))


def test_adding_the_same_path_twice_is_one_slide(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.b.svs"
    path.touch()
    first = catalogue.add_slides(settings, [SlideRequest(path)] * 2, actor=CLERK)
    assert (first.added, first.existing, first.slide_ids) == (("a.b",), (), ("a.b",))
    (tmp_path / "x").mkdir()
    enrol(settings, "bob")
    again = catalogue.add_slides(settings, [SlideRequest(tmp_path / "x" / ".." / "a.b.svs", mpp=0.25)], actor="bob")
    assert (again.added, again.existing) == ((), ("a.b",))
    assert catalogue.get_slide(settings, "a.b").mpp_override == 0.25
    changes = [event for action, event in history(settings, "a.b") if action == "slide.changed"]
    assert [dict(event.payload) for event in changes] == [
        {"old": {"mpp_override": None}, "new": {"mpp_override": 0.25}}
    ]
    assert changes[0].actor == "bob"


def test_a_request_that_leaves_things_open_changes_nothing(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    path.touch()
    catalogue.add_slides(settings, [SlideRequest(path, "C1", 0.5, Stain.HE, "north", "scanner")], actor=CLERK)
    before = catalogue.get_slide(settings, "a")
    rows = verify(settings).rows
    result = catalogue.add_slides(settings, [SlideRequest(path, "C2")], actor=CLERK)
    assert catalogue.get_slide(settings, "a") == before
    assert verify(settings).rows == rows
    assert result.warnings == ("a is known already and stays in case C1, not C2.",)


def test_another_file_of_the_same_name_gets_its_own_id(settings: Settings, tmp_path: Path) -> None:
    names = ["one/a.svs", "two/a.svs", "three/A.tif"]
    paths = [tmp_path / name for name in names]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    result = catalogue.add_slides(settings, [SlideRequest(path) for path in paths], actor=CLERK)
    assert result.added == ("a", "a~2", "A~3")  # ids share folders: they differ in more than upper and lower case
    assert {slide.path for slide in catalogue.list_slides(settings)} == {str(path) for path in paths}
    assert len(result.warnings) == 2


def test_wrong_requests_add_nothing(settings: Settings, tmp_path: Path) -> None:
    good = tmp_path / "a.svs"
    good.touch()
    with pytest.raises(InputError, match=r"missing\.svs does not exist"):
        catalogue.add_slides(settings, [SlideRequest(good), SlideRequest(tmp_path / "missing.svs")], actor=CLERK)
    with pytest.raises(InvalidMppError):
        catalogue.add_slides(settings, [SlideRequest(good, mpp=-1.0)], actor=CLERK)
    assert catalogue.list_slides(settings) == ()
    with pytest.raises(NotFoundError, match="no slide 'a'"):
        catalogue.get_slide(settings, "a")


def test_uploads_are_kept_once_and_never_leave_their_folder(settings: Settings) -> None:
    first = catalogue.save_upload(settings, "../../etc/a.svs", io.BytesIO(b"one"), actor=CLERK)
    again = catalogue.save_upload(settings, "a.svs", io.BytesIO(b"one"), actor=CLERK)
    other = catalogue.save_upload(settings, "C:\\slides\\a.svs", io.BytesIO(b"two"), actor=CLERK)
    assert (first.added, again.existing, other.added) == (("a",), ("a",), ("a~2",))
    for slide_id, content in (("a", b"one"), ("a~2", b"two")):
        path = Path(catalogue.get_slide(settings, slide_id).path)
        assert path.is_relative_to(settings.uploads_dir)
        assert path.read_bytes() == content
    assert not list(settings.uploads_dir.glob("*.part"))


@pytest.mark.parametrize("name", ["", "/", ".hidden", "  "])
def test_upload_without_a_name_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(InputError, match="not a file name"):
        catalogue.save_upload(settings, name, io.BytesIO(b""), actor=CLERK)


def test_upload_above_the_limit_is_refused_and_removed(settings: Settings) -> None:
    small = replace(settings, upload_limit_mib=1)
    with pytest.raises(InputError, match="larger than 1 MiB"):
        catalogue.save_upload(small, "a.svs", io.BytesIO(bytes(1024 * 1024 + 1)), actor=CLERK)
    assert [path for path in settings.uploads_dir.rglob("*") if path.is_file()] == []


def test_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("x")
    for home in (tmp_path / "home", tmp_path / "home" / "below"):
        with pytest.raises(StorageError, match="is a file or lies below one"), open_log(Settings(home=home)):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot be created"), open_log(Settings(home=tmp_path / "home")):
        pass
    tmp_path.chmod(0o700)


def test_a_file_that_is_no_log(settings: Settings) -> None:
    settings.home.mkdir()
    settings.log_path.write_bytes(b"hello" * 1000)
    with pytest.raises(StorageError, match="is not a database file"), open_log(settings):
        pass
    assert settings.log_path.read_bytes() == b"hello" * 1000


def test_a_log_of_a_newer_version(settings: Settings) -> None:
    with open_log(settings) as database:
        database.conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StorageError, match="newer Second Read"), open_log(settings):
        pass


@pytest.mark.parametrize(
    ("pragma", "sentence"),
    [("PRAGMA max_page_count = 1", "The disk is full"), ("PRAGMA query_only = ON", "is read-only")],
)
def test_refusals_of_sqlite_become_a_sentence_and_leave_the_log_whole(
    settings: Settings, pragma: str, sentence: str
) -> None:
    fill(settings)
    rows = verify(settings).rows

    def write_much() -> None:
        with open_log(settings) as database:
            database.conn.execute(pragma)
            with writing(database):
                for _ in range(200):
                    append_event(database, "x.y", entity="system", actor="ann", payload={"text": "x" * 1000})

    with pytest.raises(StorageError, match=sentence) as caught:
        write_much()
    assert str(settings.log_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert verify(settings).ok
    assert verify(settings).rows == rows


def test_a_locked_log_is_said_so(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_log(settings):
        pass
    monkeypatch.setattr("core.store.connection.BUSY_TIMEOUT_S", 0.05)
    other = sqlite3.connect(settings.log_path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageError, match="is locked by another program"), open_log(settings) as database:
        database.conn.execute("BEGIN IMMEDIATE")
    other.close()


_WORD = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(ReadCategory), _WORD, st.integers(1, 5)), max_size=6
    )
)
def test_reads_of_any_text_are_kept_and_superseded_in_order(
    tmp_path_factory: pytest.TempPathFactory, reads: list[tuple[str, ReadCategory, str, int]]
) -> None:
    from core.store import reviews

    settings = Settings(home=tmp_path_factory.mktemp("h") / "home")
    add_slide(settings, "a", case_id="C")
    for reader, category, text, confidence in reads:
        review.record_diagnosis(settings, "C", category=category, text=text, confidence=confidence, actor=reader)
    with open_log(settings) as database:
        kept = reviews.diagnoses_of_case(database, "C")
        current = reviews.current_diagnoses(database, "C")
    assert [(one.reader, one.category, one.text, one.confidence) for one in kept] == [
        (reader, category, text.strip(), confidence) for reader, category, text, confidence in reads
    ]
    assert {one.reader: one.category for one in current} == {reader: category for reader, category, _, _ in reads}
    assert len(current) == len({one.reader for one in current})
    assert verify(settings).ok
