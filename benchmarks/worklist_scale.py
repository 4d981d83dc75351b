"""How fast are the worklist and the check of the log with 100,000 cases and 1,000,000 events?

Run from the project's root: `python benchmarks/worklist_scale.py [--home FOLDER]`. The log is written once (a few
minutes) in the shape that the services leave: a run, an evaluation and often a read and a review a case, each sealed by
its event, and the events of its job. With `--home`, a log that is there is used again. Nothing is simulated in what is
measured: the same calls as the pages make, on a log opened anew each time.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlite_utils import Database

from core.domain import FlagKind
from core.roles import Role
from core.services.cases.day import day_view
from core.services.cases.worklist_pages import WorklistOrder, WorklistQuery, worklist_names, worklist_page
from core.services.consultations.lists import waiting
from core.services.triage.board import board
from core.services.triage.setting import Setting, SettingKind
from core.settings import Settings
from core.store.connection import open_log, writing
from core.store.events import COLUMNS, GENESIS, Action, event_hash
from core.store.people import insert_person
from core.store.records import RolesFrom
from core.store.seals import Sealed, seal
from core.store.summary import differing_cases, rebuild
from core.store.summary_schema import TRIGGER_NAMES
from core.store.values import canonical_json, time_text
from core.store.verification import verify

ROUNDS = 5
START = datetime(2026, 1, 1, tzinfo=UTC)
SITES = ("Aachen", "Bergen", "Cork", "Delft", None)


class Chain:
    """Writes events with their hashes, many at a time."""

    def __init__(self, database: Database) -> None:
        last = database.conn.execute("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        self.database = database
        self.seq, self.last = last or (0, GENESIS)
        self.rows: list[tuple[object, ...]] = []

    def add(self, action: Action, entity: str, payload: dict[str, object], *, actor: str = "system") -> None:
        """Add an event to the chain."""
        self.seq += 1
        row = (self.seq, time_text(START + timedelta(seconds=self.seq)), actor, action.value, entity)
        row = (*row, canonical_json(payload))
        digest = event_hash(self.last, row)
        self.rows.append((*row, self.last, digest))
        self.last = digest
        if len(self.rows) >= 5_000:
            self.write()

    def write(self) -> None:
        """Write the events that wait."""
        marks = ", ".join("?" * 8)
        self.database.conn.executemany(f"INSERT INTO events ({COLUMNS}) VALUES ({marks})", self.rows)  # noqa: S608
        self.rows.clear()


def populate(settings: Settings, *, cases: int, events: int) -> None:
    draw = random.Random(7)  # noqa: S311 - a drawn cohort
    with open_log(settings) as database, writing(database):
        database.conn.execute("PRAGMA cache_size = -200000")
        insert_person(
            database,
            issuer="https://accounts.example",
            subject="ann",
            log_name="ann",
            roles=(Role.PATHOLOGIST,),
            roles_from=RolesFrom.HAND,
            actor="bench (command line)",
        )
        for name in TRIGGER_NAMES:
            database.conn.execute(f"DROP TRIGGER {name}")
        chain = Chain(database)
        for number in range(cases):
            add_case(database, chain, number, draw)
        while chain.seq < events:
            chain.add(Action.JOB_STARTED, f"slide:S{chain.seq % cases:06d}", {"job_id": chain.seq, "attempt": 2})
        chain.write()
    with open_log(settings) as database:
        started = time.perf_counter()
        rebuild(database)
        print(f"summaries rebuilt in {time.perf_counter() - started:.1f} s")
        database.conn.execute("ANALYZE")


def add_case(database: Database, chain: Chain, number: int, draw: random.Random) -> None:
    case_id, slide_id, at = f"C{number:06d}", f"S{number:06d}", time_text(START + timedelta(minutes=number))
    execute = database.conn.execute
    execute(
        "INSERT INTO cases VALUES (?, ?, ?, ?)", (case_id, draw.choice(SITES), at, draw.choice((None, "ann", "bob")))
    )
    chain.add(Action.CASE_ADDED, f"case:{case_id}", {"site": None})
    execute(
        "INSERT INTO slides (slide_id, case_id, path, stain, added_at) VALUES (?, ?, ?, 'he', ?)",
        (slide_id, case_id, f"/slides/{slide_id}.svs", at),
    )
    chain.add(Action.SLIDE_ADDED, f"slide:{slide_id}", {"case_id": case_id})
    for action in (Action.JOB_QUEUED, Action.JOB_STARTED, Action.JOB_DONE):
        chain.add(action, f"slide:{slide_id}", {"job_id": number})
    score = draw.random()
    execute(
        """INSERT INTO runs (run_id, slide_id, model, model_version, weights_sha256, status, message, tiles_total,
           tiles_kept, tiles_dropped, label, decision_aggregation, decision_score, threshold, seconds, device, settings,
           code_version, created_at)
           VALUES (?, ?, 'idc', '1', ?, 'ok', '', 900, 500, '{"background":400}', 'idc', 'top_k', ?, 0.5, 9.5, 'cpu',
           '{"batch_size":32}', '0.1', ?)""",
        (f"r{number}", slide_id, "ab" * 32, score, at),
    )
    execute("INSERT INTO predictions VALUES (?, 'top_k', 'idc', ?)", (f"r{number}", score))
    report = canonical_json({"score": 0.9, "carrying_artefact_fraction": draw.random() / 4})
    execute("INSERT INTO qc VALUES (?, 0.9, ?)", (f"r{number}", report))
    sealed = seal(database, Sealed.RUN, f"r{number}")
    chain.add(Action.RUN_SAVED, f"slide:{slide_id}", {"run_id": f"r{number}", "sealed": sealed})
    if number % 10 < 6:
        add_read(database, chain, number, case_id, at, draw, score=score)
    else:
        evaluate(database, chain, case_id, slide_id, at, kind=None, number=number, diagnosis=0)


def add_read(
    database: Database, chain: Chain, number: int, case_id: str, at: str, draw: random.Random, *, score: float
) -> None:
    category = draw.choice(("benign", "benign", "malignant"))
    cursor = database.conn.execute(
        "INSERT INTO diagnoses (case_id, reader, category, text, stage, role, created_at) "
        "VALUES (?, 'ann', ?, '', 'before_model', 'primary', ?)",
        (case_id, category, at),
    )
    sealed = seal(database, Sealed.READ, int(cursor.lastrowid or 0))
    entity = f"case:{case_id}"
    chain.add(Action.DIAGNOSIS_RECORDED, entity, {"category": category, "sealed": sealed}, actor="ann")
    chain.add(Action.MODEL_REVEALED, entity, {"because": "diagnosis recorded"}, actor="ann")
    wrong = (category == "benign") == (score > 0.5)
    kind = (FlagKind.MODEL_HIGHER if category == "benign" else FlagKind.MODEL_LOWER) if wrong else None
    diagnosis = int(cursor.lastrowid or 0)
    evaluate(database, chain, case_id, f"S{number:06d}", at, kind=kind, number=number, diagnosis=diagnosis)
    cursor = database.conn.execute(
        "INSERT INTO case_states (case_id, step, from_state, to_state, reason, actor, created_at) "
        "VALUES (?, 'lock_read', 'unread', 'first_read_locked', '', 'ann', ?)",
        (case_id, at),
    )
    sealed = seal(database, Sealed.CASE_STATE, int(cursor.lastrowid or 0))
    chain.add(Action.CASE_STATE_CHANGED, entity, {"to": "first_read_locked", "sealed": sealed}, actor="ann")


def evaluate(
    database: Database,
    chain: Chain,
    case_id: str,
    slide_id: str,
    at: str,
    *,
    kind: FlagKind | None,
    number: int,
    diagnosis: int,
) -> None:
    cursor = database.conn.execute(
        "INSERT INTO evaluations (case_id, run_seq, diagnosis_id, created_at, rule_version) "
        "VALUES (?, ?, ?, ?, 'flags-1')",
        (case_id, number + 1, diagnosis, at),
    )
    evaluation = int(cursor.lastrowid or 0)
    if kind is not None:
        database.conn.execute(
            "INSERT INTO flags (evaluation_id, kind, direction, reason, score, slide_id, rule_version, created_at) "
            "VALUES (?, ?, 'higher', 'because', 0.7, ?, 'flags-1', ?)",
            (evaluation, kind.value, slide_id, at),
        )
    sealed = seal(database, Sealed.RATED_EVALUATION, evaluation)
    chain.add(Action.FLAGS_EVALUATED, f"case:{case_id}", {"evaluation_id": evaluation, "sealed": sealed})


def timed(name: str, call: Callable[[], object]) -> None:
    """Print wall and processor time: on a machine that is busy with other work, the wall tells of that work."""
    call()
    walls: list[float] = []
    processor: list[float] = []
    for _ in range(ROUNDS):
        started, spent = time.perf_counter(), time.process_time()
        call()
        walls.append((time.perf_counter() - started) * 1000)
        processor.append((time.process_time() - spent) * 1000)
    wall, own = statistics.median(walls), statistics.median(processor)
    print(f"{name:40} median {wall:6.0f} ms (processor {own:5.0f} ms), worst {max(walls):6.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=options.home or Path(folder))
        if not settings.log_path.exists():
            populate(settings, cases=options.cases, events=options.events)
        measure(settings)


def measure(settings: Settings) -> None:
    queries = {
        "first page by benefit, the program": (None, WorklistQuery(), WorklistOrder.BENEFIT),
        "first page by benefit, a pathologist": ("ann", WorklistQuery(), WorklistOrder.BENEFIT),
        "first page by priority": ("ann", WorklistQuery(), WorklistOrder.PRIORITY),
        "search in names": ("ann", WorklistQuery(text="C0123"), WorklistOrder.BENEFIT),
        "flag and assignee": (
            "ann",
            WorklistQuery(kinds=(FlagKind.MODEL_HIGHER,), assigned_to="ann"),
            WorklistOrder.BENEFIT,
        ),
    }
    for name, (actor, query, order) in queries.items():
        timed(name, lambda a=actor, q=query, o=order: worklist_page(settings, actor=a, query=q, order=o, limit=200))
    for order in (WorklistOrder.BENEFIT, WorklistOrder.WAITING, WorklistOrder.QUALITY):
        timed(
            f"page 400 by {order.value}",
            lambda o=order: worklist_page(settings, actor="ann", order=o, offset=79_800, limit=200),
        )
    timed("the page's 25 cases", lambda: worklist_page(settings, actor="ann", limit=25))
    timed("a person's day", lambda: day_view(settings, actor="ann"))
    timed("the way that J and K walk", lambda: worklist_names(settings, actor="ann"))
    timed("cases that wait for anybody", lambda: waiting(settings, actor="ann"))
    timed("triage board", lambda: board(settings, Setting(SettingKind.CASES, 20), actor="ann"))
    started, spent = time.perf_counter(), time.process_time()
    result = verify(settings)
    seconds, own = time.perf_counter() - started, time.process_time() - spent
    print(
        f"{result.message} {seconds:.1f} s, {result.rows / seconds:,.0f} events/s "
        f"(processor {own:.1f} s, {result.rows / own:,.0f} events/s)"
    )
    with open_log(settings) as database:
        started = time.perf_counter()
        wrong = differing_cases(database)
    print(f"{len(wrong)} summaries differ from the log ({time.perf_counter() - started:.1f} s)")


if __name__ == "__main__":
    main()
