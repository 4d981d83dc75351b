"""The schema, as steps that are applied once and in order. A released step is never edited; add another one."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from core.store.consult_schema import CONSULT_STATEMENTS, CONSULT_TABLES
from core.store.error_schema import ERROR_STATEMENTS, ERROR_TABLES
from core.store.quality_schema import QUALITY_STATEMENTS, QUALITY_TABLES
from core.store.summary_schema import COLUMNS, SUMMARY_TABLE, SUMMARY_TRIGGERS, TRIGGER_NAMES, summary_query

SCHEMA_VERSION = 13
"""Number of steps below; kept in the file's user_version so that opening an up-to-date log costs one number."""

_FIRST_LOG_TABLES = ("events", "runs", "predictions", "qc", "evaluations", "flags", "diagnoses", "reviews")
LOG_TABLES = (
    *_FIRST_LOG_TABLES,
    "annotations",
    *CONSULT_TABLES,
    "imported_predictions",
    *QUALITY_TABLES,
    *ERROR_TABLES,
)
"""Tables whose rows are never changed or deleted."""

migrations = Migrations("second_read")


def migrate(database: Database) -> None:
    """Apply the steps that are missing. Call inside a transaction."""
    migrations.apply(database)
    database.conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@migrations(name="0001_first")
def first(database: Database) -> None:
    """Create all tables, their indices and the triggers that keep the log tables append-only."""
    for statement in (*_CATALOGUE, *_JOBS, *_RESULTS, *_READS, _EVENTS, *_INDICES):
        database.conn.execute(statement)
    _keep_append_only(database, _FIRST_LOG_TABLES)


@migrations(name="0002_annotations")
def second(database: Database) -> None:
    """Create the table of marks on slides; a change or a removal is a new row that supersedes."""
    for statement in _ANNOTATIONS:
        database.conn.execute(statement)
    _keep_append_only(database, ("annotations",))


@migrations(name="0003_fit")
def third(database: Database) -> None:
    """Let a slide state its tissue, and a job say why a model is run on a slide it is not made for."""
    database.conn.execute("ALTER TABLE slides ADD COLUMN tissue TEXT")
    database.conn.execute("ALTER TABLE jobs ADD COLUMN override_reason TEXT")


@migrations(name="0004_people")
def fourth(database: Database) -> None:
    """Create people and their sessions: what is so now. How it came to be so is told by events."""
    for statement in _PEOPLE:
        database.conn.execute(statement)


@migrations(name="0005_consult")
def fifth(database: Database) -> None:
    """Let a read say how it was made, and create second opinions, resolutions, signatures and the states of a case."""
    for statement in CONSULT_STATEMENTS:
        database.conn.execute(statement)
    _keep_append_only(database, CONSULT_TABLES)


@migrations(name="0006_imported_predictions")
def sixth(database: Database) -> None:
    """Create the table of what other systems said about a case; a row a case, system and version."""
    for statement in _IMPORTED_PREDICTIONS:
        database.conn.execute(statement)
    _keep_append_only(database, ("imported_predictions",))


@migrations(name="0007_rules")
def seventh(database: Database) -> None:
    """Let an evaluation name its rule set and a flag its severity, and create the derived summary of each case."""
    database.conn.execute("ALTER TABLE evaluations ADD COLUMN rule_version TEXT")
    database.conn.execute("ALTER TABLE flags ADD COLUMN severity TEXT CHECK (severity IN ('none', 'minor', 'major'))")
    _create_summary(database)


@migrations(name="0008_job_kinds")
def eighth(database: Database) -> None:
    """Let a job do something else with its slide than analyse it; one live job a slide, kind and payload."""
    database.conn.execute("ALTER TABLE jobs ADD COLUMN kind TEXT NOT NULL DEFAULT 'analyse'")
    database.conn.execute("ALTER TABLE jobs ADD COLUMN payload TEXT NOT NULL DEFAULT '{}'")
    database.conn.execute("DROP INDEX jobs_live")
    database.conn.execute(
        "CREATE UNIQUE INDEX jobs_live ON jobs(slide_id, kind, payload) WHERE state IN ('queued', 'running')"
    )


@migrations(name="0009_quality")
def ninth(database: Database) -> None:
    """Create quality measurements, verdicts, second reads and references, and the derived quality of each slide."""
    for statement in QUALITY_STATEMENTS:
        database.conn.execute(statement)
    _keep_append_only(database, QUALITY_TABLES)


@migrations(name="0011_drafts")
def eleventh(database: Database) -> None:
    """Create the drafts of forms: no part of the log, so they are changed and deleted."""
    database.conn.execute(_DRAFTS)


@migrations(name="0012_summary_orders")
def twelfth(database: Database) -> None:
    """Give the derived summary of each case what the worklist sorts by, and its orders as indices."""
    _create_summary_anew(database)


@migrations(name="0013_error_reviews")
def thirteenth(database: Database) -> None:
    """Create the codes of why a model was wrong, and people's scores of how well its areas fit."""
    for statement in ERROR_STATEMENTS:
        database.conn.execute(statement)
    _keep_append_only(database, ERROR_TABLES)


@migrations(name="0014_summary_words")
def fourteenth(database: Database) -> None:
    """Give the derived summary of each case what the worklist searches in."""
    _create_summary_anew(database)


def _create_summary_anew(database: Database) -> None:
    for name in TRIGGER_NAMES:
        database.conn.execute(f"DROP TRIGGER IF EXISTS {name}")
    database.conn.execute("DROP TABLE case_summary")
    _create_summary(database)


def _create_summary(database: Database) -> None:
    for statement in SUMMARY_TABLE:
        database.conn.execute(statement)
    names = ", ".join(COLUMNS)
    database.conn.execute(f"INSERT INTO case_summary ({names}) {summary_query('true')}")
    for statement in SUMMARY_TRIGGERS:
        database.conn.execute(statement)


def _keep_append_only(database: Database, tables: tuple[str, ...]) -> None:
    for table in tables:
        for change in ("UPDATE", "DELETE"):
            database.conn.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} BEGIN "
                f"SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


_CATALOGUE = (
    """CREATE TABLE cases (
        case_id TEXT PRIMARY KEY,
        site TEXT,
        added_at TEXT NOT NULL,
        assigned_to TEXT
    ) STRICT""",
    """CREATE TABLE slides (
        slide_id TEXT PRIMARY KEY,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        path TEXT NOT NULL UNIQUE,
        stain TEXT NOT NULL,
        site TEXT,
        scanner TEXT,
        mpp_override REAL,
        mpp_x REAL,
        mpp_y REAL,
        mpp_source TEXT,
        sha256 TEXT,
        vendor TEXT,
        width INTEGER,
        height INTEGER,
        levels INTEGER,
        objective_power REAL,
        tissue_mm2 REAL,
        added_at TEXT NOT NULL
    ) STRICT""",
)

_JOBS = (
    """CREATE TABLE workers (
        worker_id INTEGER PRIMARY KEY AUTOINCREMENT,
        pid INTEGER NOT NULL,
        host TEXT NOT NULL,
        started_at TEXT NOT NULL,
        heartbeat_at TEXT NOT NULL,
        ended_at TEXT
    ) STRICT""",
    """CREATE TABLE jobs (
        job_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        model TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
        stage TEXT NOT NULL DEFAULT '',
        done INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        message TEXT NOT NULL DEFAULT '',
        cancel_requested INTEGER NOT NULL DEFAULT 0 CHECK (cancel_requested IN (0, 1)),
        worker_id INTEGER REFERENCES workers(worker_id),
        created_at TEXT NOT NULL,
        started_at TEXT,
        heartbeat_at TEXT,
        finished_at TEXT
    ) STRICT""",
)

_RESULTS = (
    """CREATE TABLE runs (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL UNIQUE,
        job_id INTEGER REFERENCES jobs(job_id),
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        model TEXT NOT NULL,
        model_version TEXT NOT NULL,
        weights_sha256 TEXT NOT NULL,
        status TEXT NOT NULL,
        message TEXT NOT NULL,
        mpp_x REAL,
        mpp_y REAL,
        mpp_source TEXT,
        tissue_mm2 REAL,
        tiles_total INTEGER NOT NULL,
        tiles_kept INTEGER NOT NULL,
        tiles_dropped TEXT NOT NULL,
        label TEXT,
        decision_aggregation TEXT,
        decision_score REAL,
        threshold REAL,
        peak_x INTEGER,
        peak_y INTEGER,
        peak_width INTEGER,
        peak_height INTEGER,
        seconds REAL NOT NULL,
        tiles_per_second REAL,
        device TEXT NOT NULL,
        settings TEXT NOT NULL,
        code_version TEXT NOT NULL,
        results_dir TEXT,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE predictions (
        run_id TEXT NOT NULL REFERENCES runs(run_id),
        aggregation TEXT NOT NULL,
        class TEXT NOT NULL,
        probability REAL NOT NULL CHECK (probability BETWEEN 0 AND 1),
        PRIMARY KEY (run_id, aggregation, class)
    ) STRICT""",
    """CREATE TABLE qc (
        run_id TEXT PRIMARY KEY REFERENCES runs(run_id),
        score REAL,
        report TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE evaluations (
        evaluation_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        run_seq INTEGER NOT NULL,
        diagnosis_id INTEGER NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE flags (
        flag_id INTEGER PRIMARY KEY AUTOINCREMENT,
        evaluation_id INTEGER NOT NULL REFERENCES evaluations(evaluation_id),
        kind TEXT NOT NULL,
        direction TEXT NOT NULL,
        reason TEXT NOT NULL,
        score REAL,
        slide_id TEXT REFERENCES slides(slide_id),
        x INTEGER,
        y INTEGER,
        width INTEGER,
        height INTEGER,
        rule_version TEXT NOT NULL,
        model TEXT,
        weights_sha256 TEXT,
        created_at TEXT NOT NULL
    ) STRICT""",
)

_READS = (
    """CREATE TABLE diagnoses (
        diagnosis_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        reader TEXT NOT NULL,
        category TEXT NOT NULL,
        grade TEXT,
        text TEXT NOT NULL,
        confidence INTEGER CHECK (confidence BETWEEN 1 AND 5),
        stage TEXT NOT NULL CHECK (stage IN ('before_model', 'after_model')),
        supersedes INTEGER UNIQUE REFERENCES diagnoses(diagnosis_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE reviews (
        review_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        reader TEXT NOT NULL,
        verdict TEXT NOT NULL,
        note TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES reviews(review_id),
        evaluation_id INTEGER REFERENCES evaluations(evaluation_id),
        created_at TEXT NOT NULL
    ) STRICT""",
)

_EVENTS = """CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at_utc TEXT NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        entity TEXT NOT NULL,
        payload TEXT NOT NULL,
        prev_hash TEXT NOT NULL,
        hash TEXT NOT NULL UNIQUE
    ) STRICT"""

_INDICES = (
    # One live job per slide, whoever asks and however often.
    "CREATE UNIQUE INDEX jobs_live ON jobs(slide_id) WHERE state IN ('queued', 'running')",
    "CREATE INDEX jobs_state ON jobs(state, job_id)",
    "CREATE INDEX slides_case ON slides(case_id)",
    "CREATE INDEX runs_slide ON runs(slide_id, seq)",
    "CREATE INDEX evaluations_case ON evaluations(case_id, evaluation_id)",
    "CREATE INDEX flags_evaluation ON flags(evaluation_id)",
    "CREATE INDEX diagnoses_case ON diagnoses(case_id, diagnosis_id)",
    "CREATE INDEX reviews_case ON reviews(case_id, review_id)",
    "CREATE INDEX events_entity ON events(entity, action)",
    "CREATE INDEX events_actor ON events(actor, action)",
)

_ANNOTATIONS = (
    """CREATE TABLE annotations (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        annotation_id TEXT NOT NULL,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        shape TEXT NOT NULL CHECK (shape IN ('rectangle', 'polygon', 'point', 'line')),
        geometry TEXT NOT NULL,
        label TEXT NOT NULL,
        note TEXT NOT NULL,
        removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
        author TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES annotations(revision),
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX annotations_slide ON annotations(slide_id, annotation_id, revision)",
)

_PEOPLE = (
    # subject is NULL for somebody invited by e-mail who has not signed in yet.
    """CREATE TABLE people (
        person_id INTEGER PRIMARY KEY AUTOINCREMENT,
        issuer TEXT NOT NULL,
        subject TEXT,
        log_name TEXT NOT NULL,
        name_key TEXT NOT NULL UNIQUE,
        email TEXT,
        roles TEXT NOT NULL,
        roles_from TEXT NOT NULL CHECK (roles_from IN ('hand', 'claims', 'sign_in')),
        active INTEGER NOT NULL CHECK (active IN (0, 1)),
        added_at TEXT NOT NULL,
        UNIQUE (issuer, subject)
    ) STRICT""",
    "CREATE UNIQUE INDEX people_log_name ON people(log_name)",
    "CREATE UNIQUE INDEX people_invited ON people(issuer, email) WHERE subject IS NULL",
    """CREATE TABLE sessions (
        session_id TEXT PRIMARY KEY,
        person_id INTEGER NOT NULL REFERENCES people(person_id),
        started_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        expires_at TEXT NOT NULL,
        revoked_at TEXT,
        revoked_by TEXT,
        user_agent TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX sessions_person ON sessions(person_id, started_at)",
    "CREATE TRIGGER people_no_delete BEFORE DELETE ON people BEGIN SELECT RAISE(ABORT, 'people stay'); END",
    """CREATE TRIGGER people_keep_name BEFORE UPDATE ON people
       WHEN OLD.person_id <> NEW.person_id OR OLD.issuer <> NEW.issuer OR OLD.log_name <> NEW.log_name
         OR OLD.name_key <> NEW.name_key OR OLD.added_at <> NEW.added_at
         OR (OLD.subject IS NOT NULL AND NEW.subject IS NOT OLD.subject)
       BEGIN SELECT RAISE(ABORT, 'the name of a person never changes'); END""",
    "CREATE TRIGGER sessions_no_delete BEFORE DELETE ON sessions BEGIN SELECT RAISE(ABORT, 'sessions stay'); END",
    """CREATE TRIGGER sessions_keep BEFORE UPDATE ON sessions
       WHEN OLD.session_id <> NEW.session_id OR OLD.person_id <> NEW.person_id OR OLD.started_at <> NEW.started_at
         OR OLD.expires_at <> NEW.expires_at OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NOT OLD.revoked_at)
       BEGIN SELECT RAISE(ABORT, 'a session is never lengthened, given away or revived'); END""",
)

_IMPORTED_PREDICTIONS = (
    """CREATE TABLE imported_predictions (
        prediction_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        system TEXT NOT NULL,
        system_version TEXT NOT NULL,
        label TEXT,
        probabilities TEXT NOT NULL,
        source TEXT NOT NULL,
        import_key TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX imported_predictions_case ON imported_predictions(case_id, system)",
)

# The content is what the fields of a form hold, as JSON; a draft goes when its form is sent.
_DRAFTS = """CREATE TABLE drafts (
        author TEXT NOT NULL,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        form TEXT NOT NULL CHECK (form IN ('read', 'consensus', 'opinion', 'answer')),
        about INTEGER NOT NULL,
        content TEXT NOT NULL,
        saved_at TEXT NOT NULL,
        PRIMARY KEY (author, case_id, form, about)
    ) STRICT"""
