"""Tables of quality control: measurements, verdicts, second reads and references (append-only), and what derives."""

from __future__ import annotations

from collections.abc import Mapping

QUALITY_TABLES = ("qc_measurements", "qc_verdicts", "qc_second_reads", "qc_references")

ARTEFACT_NAMES = ("out_of_focus", "fold", "pen", "bubble_edge", "dark_spot_foreign", "damaged", "stain")
"""Artefact classes with a column each in `slide_quality`, as `core.qc.classes.ARTEFACTS` names and orders them."""

_MEASUREMENT_COLUMNS = (
    "measurement_id, slide_id, score, report, weights_sha256, mpp_x, mpp_y, mpp_source, limits_version, code_version, "
    "seconds, results_dir, created_at"
)
_VERDICT_COLUMNS = (
    "verdict_id, slide_id, reader, role, withdrawn, disposition, reason, origin, note, blinded_to_first, source_id, "
    "suggested, score, limits_version, batch, ask_id, supersedes, created_at"
)
_ASK_COLUMNS = "ask_id, slide_id, reader, asked_by, reason, seed, withdraws, created_at"
_REFERENCE_COLUMNS = (
    "reference_id, slide_id, kind, name, version, author, source, content_sha256, mask_path, metrics, figures, "
    "source_id, usable, human_score, note, import_key, created_at"
)

QUALITY_SEALS: Mapping[str, str] = {
    "qc_measurement": f"SELECT {_MEASUREMENT_COLUMNS} FROM qc_measurements WHERE measurement_id = ?",  # noqa: S608
    "qc_verdict": f"SELECT {_VERDICT_COLUMNS} FROM qc_verdicts WHERE verdict_id = ?",  # noqa: S608
    "qc_second_read": f"SELECT {_ASK_COLUMNS} FROM qc_second_reads WHERE ask_id = ?",  # noqa: S608
    "qc_reference": f"SELECT {_REFERENCE_COLUMNS} FROM qc_references WHERE reference_id = ?",  # noqa: S608
}
"""Kind of seal -> the query of the sealed row; columns are named, so that a later one changes no digest."""

_TABLES = (
    # Quality measured by a job of its own; what an analysis measures lies in `qc`.
    """CREATE TABLE qc_measurements (
        measurement_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        score REAL,
        report TEXT NOT NULL,
        weights_sha256 TEXT NOT NULL,
        mpp_x REAL,
        mpp_y REAL,
        mpp_source TEXT,
        limits_version TEXT NOT NULL,
        code_version TEXT NOT NULL,
        seconds REAL NOT NULL,
        results_dir TEXT,
        created_at TEXT NOT NULL
    ) STRICT""",
    # Asking twice is one row each; a row that withdraws another ends it.
    """CREATE TABLE qc_second_reads (
        ask_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        reader TEXT,
        asked_by TEXT NOT NULL,
        reason TEXT NOT NULL,
        seed INTEGER,
        withdraws INTEGER UNIQUE REFERENCES qc_second_reads(ask_id),
        created_at TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE qc_verdicts (
        verdict_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        reader TEXT NOT NULL,
        role TEXT NOT NULL CHECK (role IN ('first', 'second')),
        withdrawn INTEGER NOT NULL CHECK (withdrawn IN (0, 1)),
        disposition TEXT CHECK (disposition IN
            ('accept', 'accept_with_limitation', 'rescan', 'recut', 'restain', 'exclude')),
        reason TEXT,
        origin TEXT CHECK (origin IN ('preparation', 'acquisition')),
        note TEXT NOT NULL,
        blinded_to_first INTEGER CHECK (blinded_to_first IN (0, 1)),
        source_id TEXT,
        suggested TEXT,
        score REAL,
        limits_version TEXT,
        batch TEXT,
        ask_id INTEGER REFERENCES qc_second_reads(ask_id),
        supersedes INTEGER UNIQUE REFERENCES qc_verdicts(verdict_id),
        created_at TEXT NOT NULL,
        CHECK ((withdrawn = 1) = (disposition IS NULL))
    ) STRICT""",
    """CREATE TABLE qc_references (
        reference_id INTEGER PRIMARY KEY AUTOINCREMENT,
        slide_id TEXT NOT NULL REFERENCES slides(slide_id),
        kind TEXT NOT NULL CHECK (kind IN ('annotation', 'grandqc', 'histoqc')),
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        author TEXT NOT NULL,
        source TEXT NOT NULL,
        content_sha256 TEXT NOT NULL,
        mask_path TEXT,
        metrics TEXT NOT NULL,
        figures TEXT,
        source_id TEXT,
        usable INTEGER CHECK (usable IN (0, 1)),
        human_score INTEGER CHECK (human_score BETWEEN 0 AND 5),
        note TEXT NOT NULL,
        import_key TEXT NOT NULL UNIQUE,
        created_at TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX qc_measurements_slide ON qc_measurements(slide_id, measurement_id)",
    "CREATE INDEX qc_verdicts_slide ON qc_verdicts(slide_id, verdict_id)",
    "CREATE INDEX qc_verdicts_reader ON qc_verdicts(reader, slide_id)",
    "CREATE INDEX qc_verdicts_batch ON qc_verdicts(batch) WHERE batch IS NOT NULL",
    "CREATE INDEX qc_verdicts_ask ON qc_verdicts(ask_id) WHERE ask_id IS NOT NULL",
    "CREATE INDEX qc_second_reads_slide ON qc_second_reads(slide_id)",
    "CREATE INDEX qc_references_slide ON qc_references(slide_id, reference_id)",
)

_PARTS = tuple((name, f"fraction_{name}", f"mm2_{name}") for name in ARTEFACT_NAMES)

_DERIVED_TABLE = f"""CREATE TABLE slide_quality (
        slide_id TEXT PRIMARY KEY REFERENCES slides(slide_id),
        source_id TEXT NOT NULL,
        results_dir TEXT,
        measured_at TEXT NOT NULL,
        score REAL,
        tissue_mm2 REAL,
        usable_mm2 REAL,
        usable_fraction REAL,
        sections INTEGER,
        disposition TEXT,
        reason TEXT,
        origin TEXT,
        limits_version TEXT,
        stain_kind TEXT,
        stain_angle REAL,
        stain_first REAL,
        stain_second REAL,
        {", ".join(f"{fraction} REAL, {mm2} REAL" for _, fraction, mm2 in _PARTS)}
    ) STRICT"""

MEASURED_COLUMNS = (
    *("slide_id", "source_id", "results_dir", "measured_at", "score", "tissue_mm2", "usable_mm2", "usable_fraction"),
    *("sections", "disposition", "reason", "origin", "limits_version"),
    *("stain_kind", "stain_angle", "stain_first", "stain_second"),
    *(column for _, *columns in _PARTS for column in columns),
)
"""Columns of `slide_quality`."""


def _number(path: str, *, kind: str = "REAL") -> str:
    """Return the expression of a number in a report; NULL where it is absent, or no number."""
    inside = f"json_extract(report, '$.{path}')"
    return f"CASE WHEN json_type(report, '$.{path}') IN ('integer', 'real') THEN CAST({inside} AS {kind}) END"


def _text(path: str) -> str:
    return f"CASE WHEN json_type(report, '$.{path}') = 'text' THEN json_extract(report, '$.{path}') END"


_MEASURED = f"""
    SELECT slide_id, source_id, results_dir, measured_at, score, {_number("tissue_mm2")}, {_number("usable_mm2")},
        {_number("usable_fraction")}, {_number("sections", kind="INTEGER")}, {_text("disposition")}, {_text("reason")},
        {_text("origin")}, {_text("limits")}, {_text("stain.kind")}, {_number("stain.angle_degrees")},
        {_number("stain.concentrations[0]")}, {_number("stain.concentrations[1]")},
        {
    ", ".join(
        f"{_number(f'classes.{name}.fraction_of_tissue')}, {_number(f'classes.{name}.mm2')}" for name, *_ in _PARTS
    )
}
    FROM ({{source}}) AS source
"""  # noqa: S608 - constants

_OF_RUN = """SELECT runs.slide_id, runs.run_id AS source_id, runs.results_dir, runs.created_at AS measured_at, qc.score,
        qc.report FROM qc JOIN runs ON runs.run_id = qc.run_id"""
_OF_MEASUREMENT = """SELECT slide_id, 'measurement:' || measurement_id AS source_id, results_dir,
        created_at AS measured_at, score, report FROM qc_measurements"""

_FILL = f"INSERT OR REPLACE INTO slide_quality ({', '.join(MEASURED_COLUMNS)}) {_MEASURED}"

REBUILD_QUALITY = (
    "DELETE FROM slide_quality",
    _FILL.replace("{source}", f"SELECT * FROM ({_OF_RUN} UNION ALL {_OF_MEASUREMENT}) ORDER BY measured_at"),  # noqa: S608
)
"""Derive `slide_quality` anew; what is written last, the latest, stays."""

QUALITY_TRIGGERS = (
    f"CREATE TRIGGER quality_of_run AFTER INSERT ON qc BEGIN "
    f"{_FILL.replace('{source}', f'{_OF_RUN} WHERE qc.run_id = NEW.run_id')}; END",
    f"CREATE TRIGGER quality_of_measurement AFTER INSERT ON qc_measurements BEGIN "
    f"{_FILL.replace('{source}', f'{_OF_MEASUREMENT} WHERE measurement_id = NEW.measurement_id')}; END",
)

QUALITY_STATEMENTS = (*_TABLES, _DERIVED_TABLE, *REBUILD_QUALITY, *QUALITY_TRIGGERS)
"""What the step 0009 does."""
