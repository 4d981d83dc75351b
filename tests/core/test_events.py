"""The chain finds every change made behind its back, and names the first broken row."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from store_kit import PROJECT, add_slide, flag_of_kind, run_of, save, set_flags

from core.domain import FlagKind, ReadCategory, ReviewVerdict
from core.errors import ConflictError
from core.services.cases import review
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.events import GENESIS, append_event, chained_text, events_of
from core.store.migrations import LOG_TABLES
from core.store.values import canonical_json
from core.store.verification import verify


def write_events(settings: Settings, count: int) -> None:
    with open_log(settings) as database, writing(database):
        for number in range(count):
            append_event(database, "x.y", entity="system", actor="ann", payload={"number": number})


def tamper(settings: Settings, *statements: str) -> None:
    """Change the file as somebody would who can write it: without our code and without its triggers."""
    connection = sqlite3.connect(settings.log_path, isolation_level=None)
    for table in LOG_TABLES:
        for change in ("update", "delete"):
            connection.execute(f"DROP TRIGGER {table}_no_{change}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


def rehash_from(settings: Settings, first: int) -> None:
    """Recompute the chain from one event on, as somebody would who knows how it is made."""
    connection = sqlite3.connect(settings.log_path, isolation_level=None)
    names = ("seq", "at_utc", "actor", "action", "entity", "payload")
    prev = connection.execute("SELECT hash FROM events WHERE seq = ?", (first - 1,)).fetchone()
    prev_hash = prev[0] if prev else GENESIS
    query = f"SELECT {', '.join(names)} FROM events WHERE seq >= ? ORDER BY seq"  # noqa: S608
    for row in connection.execute(query, (first,)).fetchall():
        text = json.dumps(dict(zip(names, row, strict=True)), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(f"{prev_hash}|{text}".encode()).hexdigest()
        connection.execute("UPDATE events SET prev_hash = ?, hash = ? WHERE seq = ?", (prev_hash, digest, row[0]))
        prev_hash = digest
    connection.close()


def test_an_empty_log_is_whole(settings: Settings) -> None:
    result = verify(settings)
    assert (result.ok, result.rows, result.first_broken_seq) == (True, 0, None)


def test_hashes_are_those_of_the_published_rule(settings: Settings) -> None:
    """Written out anew from the definition: SHA-256(prev_hash | canonical JSON), so that others can check the log."""
    write_events(settings, 3)
    with open_log(settings) as database:
        events = events_of(database, ["system"])
    stored = [event.hash for event in events]
    tamper(settings)
    rehash_from(settings, 1)
    with open_log(settings) as database:
        assert [event.hash for event in events_of(database, ["system"])] == stored
    assert events[0].prev_hash == GENESIS
    assert events[2].prev_hash == events[1].hash


def test_an_event_needs_the_transaction_of_its_change(settings: Settings) -> None:
    with open_log(settings) as database, pytest.raises(ConflictError):
        append_event(database, "x.y", entity="system", actor="ann")


def test_an_event_goes_when_its_change_goes(settings: Settings) -> None:
    def fail() -> None:
        with open_log(settings) as database, writing(database):
            append_event(database, "x.y", entity="system", actor="ann")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    write_events(settings, 1)
    assert verify(settings).rows == 1


SWAP = (
    "UPDATE events SET seq = -1 WHERE seq = 4",
    "UPDATE events SET seq = 4 WHERE seq = 5",
    "UPDATE events SET seq = 5 WHERE seq = -1",
)


@pytest.mark.parametrize(
    ("statements", "seq", "word"),
    [
        (("UPDATE events SET actor = 'eve' WHERE seq = 5",), 5, "altered"),
        (("UPDATE events SET payload = '{\"number\":99}' WHERE seq = 5",), 5, "altered"),
        (("UPDATE events SET at_utc = '2001-01-01T00:00:00.000000Z' WHERE seq = 1",), 1, "altered"),
        (("UPDATE events SET hash = 'f' WHERE seq = 10",), 10, "altered"),
        (("UPDATE events SET prev_hash = hash WHERE seq = 5",), 5, "reordered"),
        (("DELETE FROM events WHERE seq = 5",), 5, "missing"),
        (("DELETE FROM events WHERE seq BETWEEN 5 AND 7",), 5, "Events 5 to 7 are missing"),
        (("DELETE FROM events WHERE seq = 1",), 1, "missing"),
        (SWAP, 4, "reordered"),
        (("DELETE FROM events WHERE seq >= 9",), 9, "cut off"),
        (("DELETE FROM events",), 1, "cut off"),
        (("INSERT INTO events VALUES (11, 't', 'eve', 'x', 'system', '{}', 'p', 'h')",), 11, "inserted"),
    ],
)
def test_tampering_is_found(settings: Settings, statements: tuple[str, ...], seq: int, word: str) -> None:
    write_events(settings, 10)
    tamper(settings, *statements)
    result = verify(settings)
    assert (result.ok, result.first_broken_seq) == (False, seq)
    assert word in result.message


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    victim=st.integers(1, 12),
    column=st.sampled_from(["at_utc", "actor", "action", "entity", "payload", "prev_hash", "hash"]),
    text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1),
)
def test_any_change_of_any_cell_is_found_at_its_row(
    tmp_path_factory: pytest.TempPathFactory, victim: int, column: str, text: str
) -> None:
    settings = Settings(home=tmp_path_factory.mktemp("h") / "home")
    write_events(settings, 12)
    tamper(settings)
    connection = sqlite3.connect(settings.log_path)
    connection.execute(f"UPDATE events SET {column} = ? WHERE seq = ?", (text, victim))  # noqa: S608
    connection.commit()
    connection.close()
    assert verify(settings).first_broken_seq == victim


@pytest.fixture
def read_case(settings: Settings) -> Settings:
    slide_id = add_slide(settings, "a", case_id="C1")
    save(settings, run_of(slide_id))
    review.record_diagnosis(settings, "C1", category=ReadCategory.BENIGN, actor="ann")
    set_flags(settings, "C1", flag_of_kind(FlagKind.MODEL_HIGHER))
    review.record_review(settings, "C1", verdict=ReviewVerdict.AGREE, note="", actor="ann")
    assert verify(settings).ok
    return settings


@pytest.mark.parametrize(
    ("statement", "action", "word"),
    [
        ("UPDATE diagnoses SET category = 'malignant'", "diagnosis.recorded", "altered"),
        ("UPDATE reviews SET verdict = 'disagree'", "review.recorded", "altered"),
        ("UPDATE runs SET decision_score = 0.1", "run.saved", "altered"),
        ("UPDATE predictions SET probability = 0.1", "run.saved", "altered"),
        ("DELETE FROM predictions WHERE class = 'idc'", "run.saved", "altered"),
        ("UPDATE qc SET score = 1.0", "run.saved", "altered"),
        ("UPDATE flags SET reason = 'nothing' WHERE kind = 'model_higher'", "flags.evaluated", "altered"),
        ("DELETE FROM reviews", "review.recorded", "missing"),
    ],
)
def test_the_chain_covers_the_rows_beside_it(read_case: Settings, statement: str, action: str, word: str) -> None:
    tamper(read_case, statement)
    result = verify(read_case)
    assert not result.ok
    assert word in result.message
    with open_log(read_case) as database:
        found = database.conn.execute("SELECT action FROM events WHERE seq = ?", (result.first_broken_seq,)).fetchone()
    assert found == (action,)


def test_rows_added_past_the_log_are_found(read_case: Settings) -> None:
    tamper(
        read_case,
        "INSERT INTO diagnoses (case_id, reader, category, text, stage, created_at) "
        "VALUES ('C1', 'eve', 'malignant', '', 'before_model', 't')",
    )
    result = verify(read_case)
    assert not result.ok
    assert "diagnoses holds 2 entries, but the log tells of 1" in result.message


def test_processes_that_begin_a_log_together_write_one_whole_chain(settings: Settings) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from core.settings import Settings\n"
        "from core.store.connection import open_log, writing\n"
        "from core.store.events import append_event\n"
        "settings = Settings(home=Path(sys.argv[1]))\n"
        "for number in range(40):\n"
        "    with open_log(settings) as database, writing(database):\n"
        "        append_event(database, 'x.y', entity='system', actor=sys.argv[2], payload={'number': number})\n"
    )
    command = [sys.executable, "-c", script, str(settings.home)]
    processes = [subprocess.Popen([*command, f"reader{number}"], cwd=PROJECT) for number in range(4)]
    assert [process.wait(timeout=60) for process in processes] == [0] * 4
    result = verify(settings)
    assert (result.ok, result.rows) == (True, 160)


@given(st.integers(1, 2**62), st.lists(st.text(), min_size=5, max_size=5))
def test_the_chained_text_is_the_canonical_json(seq: int, words: list[str]) -> None:
    at_utc, actor, action, entity, payload = words
    content = {"seq": seq, "at_utc": at_utc, "actor": actor, "action": action, "entity": entity, "payload": payload}
    assert chained_text("ab", seq, at_utc, actor, action, entity, payload) == f"ab|{canonical_json(content)}"
