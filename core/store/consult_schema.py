"""Tables of reads, second opinions, resolutions and signatures: the fifth step of the schema, all append-only."""

from __future__ import annotations

CONSULT_TABLES = (
    "consultations",
    "consultation_steps",
    "opinions",
    "comparisons",
    "resolutions",
    "signatures",
    "case_states",
    "submissions",
)

CONSULT_STATEMENTS = (
    # Nullable, so that rows of before and their seals stay as they are; role tells which rows are sealed as reads.
    "ALTER TABLE diagnoses ADD COLUMN role TEXT "
    "CHECK (role IN ('primary', 'second', 'adjudicator', 'consensus', 'report'))",
    "ALTER TABLE diagnoses ADD COLUMN scheme TEXT",
    "ALTER TABLE diagnoses ADD COLUMN scheme_version TEXT",
    "ALTER TABLE diagnoses ADD COLUMN code TEXT",
    "ALTER TABLE diagnoses ADD COLUMN ordinal INTEGER",
    "ALTER TABLE diagnoses ADD COLUMN blinded_to_model INTEGER CHECK (blinded_to_model IN (0, 1))",
    "ALTER TABLE diagnoses ADD COLUMN blinded_to_first INTEGER CHECK (blinded_to_first IN (0, 1))",
    "ALTER TABLE diagnoses ADD COLUMN opened_at TEXT",
    "ALTER TABLE diagnoses ADD COLUMN submitted_at TEXT",
    "ALTER TABLE diagnoses ADD COLUMN seconds_on_case REAL CHECK (seconds_on_case >= 0)",
    "ALTER TABLE diagnoses ADD COLUMN source TEXT",
    "ALTER TABLE diagnoses ADD COLUMN import_key TEXT",
    "CREATE UNIQUE INDEX diagnoses_import ON diagnoses(import_key) WHERE import_key IS NOT NULL",
    "CREATE INDEX diagnoses_reader ON diagnoses(reader, case_id)",
    """CREATE TABLE consultations (
        consultation_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        requester TEXT NOT NULL,
        consultant TEXT,
        pool TEXT,
        role TEXT NOT NULL CHECK (role IN ('second', 'adjudicator')),
        type TEXT NOT NULL,
        question TEXT NOT NULL,
        urgency TEXT NOT NULL,
        due_at TEXT,
        blinding TEXT NOT NULL CHECK (blinding IN ('full', 'model_hidden', 'open')),
        view TEXT NOT NULL,
        created_at TEXT NOT NULL,
        CHECK ((consultant IS NULL) <> (pool IS NULL))
    ) STRICT""",
    """CREATE TABLE consultation_steps (
        step_id INTEGER PRIMARY KEY AUTOINCREMENT,
        consultation_id INTEGER NOT NULL REFERENCES consultations(consultation_id),
        state TEXT NOT NULL CHECK (state IN ('requested', 'acknowledged', 'declined', 'withdrawn', 'answered')),
        actor TEXT NOT NULL,
        consultant TEXT,
        pool TEXT,
        reason TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE opinions (
        opinion_id INTEGER PRIMARY KEY AUTOINCREMENT,
        consultation_id INTEGER NOT NULL UNIQUE REFERENCES consultations(consultation_id),
        diagnosis_id INTEGER NOT NULL UNIQUE REFERENCES diagnoses(diagnosis_id),
        author TEXT NOT NULL,
        additional_work TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE comparisons (
        comparison_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        opinion_id INTEGER NOT NULL REFERENCES opinions(opinion_id),
        first_id INTEGER NOT NULL REFERENCES diagnoses(diagnosis_id),
        second_id INTEGER NOT NULL REFERENCES diagnoses(diagnosis_id),
        proposed TEXT NOT NULL,
        discordance TEXT NOT NULL,
        basis TEXT,
        management_impact TEXT NOT NULL,
        error_type TEXT,
        note TEXT NOT NULL,
        author TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES comparisons(comparison_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE resolutions (
        resolution_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        method TEXT NOT NULL,
        diagnosis_id INTEGER REFERENCES diagnoses(diagnosis_id),
        report_action TEXT NOT NULL,
        communicated_to TEXT NOT NULL,
        communicated_at TEXT,
        learning_note TEXT NOT NULL,
        author TEXT NOT NULL,
        supersedes INTEGER UNIQUE REFERENCES resolutions(resolution_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE signatures (
        signature_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        kind TEXT NOT NULL CHECK (kind IN ('read', 'resolution')),
        record_id INTEGER NOT NULL,
        record_sha256 TEXT NOT NULL,
        signer TEXT NOT NULL,
        printed_name TEXT NOT NULL,
        meaning TEXT NOT NULL CHECK (meaning IN ('authorship', 'review', 'approval', 'responsibility')),
        created_at TEXT NOT NULL,
        UNIQUE (kind, record_id, signer, meaning)
    ) STRICT""",
    """CREATE TABLE case_states (
        change_id INTEGER PRIMARY KEY AUTOINCREMENT,
        case_id TEXT NOT NULL REFERENCES cases(case_id),
        step TEXT NOT NULL,
        from_state TEXT NOT NULL,
        to_state TEXT NOT NULL,
        reason TEXT NOT NULL,
        actor TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    # What a form sent under its own key was taken in as: sent again, it is not taken in twice.
    """CREATE TABLE submissions (
        key TEXT PRIMARY KEY,
        action TEXT NOT NULL,
        actor TEXT NOT NULL,
        content_sha256 TEXT NOT NULL,
        record_id INTEGER NOT NULL,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX consultations_case ON consultations(case_id, consultation_id)",
    "CREATE INDEX consultation_steps_of ON consultation_steps(consultation_id, step_id)",
    "CREATE UNIQUE INDEX consultation_steps_end ON consultation_steps(consultation_id) "
    "WHERE state IN ('withdrawn', 'answered')",
    "CREATE INDEX comparisons_case ON comparisons(case_id, comparison_id)",
    "CREATE INDEX resolutions_case ON resolutions(case_id, resolution_id)",
    "CREATE INDEX signatures_record ON signatures(kind, record_id)",
    "CREATE INDEX signatures_case ON signatures(case_id)",
    "CREATE INDEX case_states_case ON case_states(case_id, change_id)",
)
