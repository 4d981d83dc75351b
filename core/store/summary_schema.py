"""The table behind the worklist at scale: one row a case, derived from the log and kept up to date by triggers.

It holds nothing that the log does not say, so it may be emptied and rebuilt at any time (`core.store.summary.rebuild`).
The triggers run inside the statement that changes the log: no commit can separate the two.
"""

from __future__ import annotations

from core.domain import BANDS, DIFFERENCE_WEIGHTS, KIND_WEIGHTS, FlagKind

BITS = {kind: 1 << place for place, kind in enumerate(FlagKind)}
"""How the kinds of a case's flags stand in one number."""

COLUMNS = (
    *("case_id", "site", "added_at", "assigned_to", "slides", "slides_ok", "diagnosis", "diagnosis_by", "status"),
    *("kinds", "priority", "severity", "probability", "quality", "benefit", "revealed_to", "qc_score", "slide_names"),
    "words",
)
SETTLED = "status IN ('reviewed', 'resolved', 'signed')"
"""Condition on the summary: nobody has to look at the case again."""

_MARGIN = """CASE WHEN runs.decision_score >= coalesce(runs.threshold, 1.0)
        THEN CASE WHEN coalesce(runs.threshold, 1.0) < 1.0
            THEN (runs.decision_score - runs.threshold) / (1.0 - runs.threshold) ELSE 0.0 END
        ELSE (runs.decision_score - coalesce(runs.threshold, 1.0)) / coalesce(runs.threshold, 1.0) END"""


def _by_kind(values: dict[FlagKind, str], *, otherwise: str) -> str:
    arms = " ".join(f"WHEN '{kind.value}' THEN {value}" for kind, value in values.items())
    return f"CASE flags.kind {arms} ELSE {otherwise} END"


_BIT = _by_kind({kind: str(bit) for kind, bit in BITS.items()}, otherwise="0")
_BAND = _by_kind({kind: str(band) for kind, band in BANDS.items()}, otherwise="1")
_WEIGHT = (
    "CASE flags.severity "
    + " ".join(f"WHEN '{word}' THEN {weight}" for word, weight in DIFFERENCE_WEIGHTS.items())
    + f" ELSE {_by_kind({kind: str(weight) for kind, weight in KIND_WEIGHTS.items()}, otherwise='1.0')} END"
)
_OF_THE_MODEL = ", ".join(
    f"'{kind.value}'" for kind in (FlagKind.MODEL_HIGHER, FlagKind.MODEL_LOWER, FlagKind.OTHER_CATEGORY)
)
_SCORE = "min(max(coalesce({0}, 0.0), 0.0), 0.999)"

# What the case consists of now. {where} names the case, or is "true". The LIMIT keeps SQLite from merging the steps,
# which would compute each of these columns anew wherever it is used.
_NOW = """
    SELECT cases.case_id, cases.site, cases.added_at, cases.assigned_to,
        (SELECT count(*) FROM slides WHERE slides.case_id = cases.case_id) AS slides,
        (SELECT count(*) FROM slides JOIN runs
            ON runs.seq = (SELECT max(newer.seq) FROM runs AS newer WHERE newer.slide_id = slides.slide_id)
            WHERE slides.case_id = cases.case_id AND runs.status = 'ok') AS slides_ok,
        (SELECT runs.seq FROM slides JOIN runs
            ON runs.seq = (SELECT max(newer.seq) FROM runs AS newer WHERE newer.slide_id = slides.slide_id)
            WHERE slides.case_id = cases.case_id AND runs.status = 'ok' AND runs.decision_score IS NOT NULL
            ORDER BY {margin} DESC, runs.decision_score DESC, slides.slide_id LIMIT 1) AS carrier,
        (SELECT max(evaluation_id) FROM evaluations WHERE evaluations.case_id = cases.case_id) AS evaluation_id,
        (SELECT max(review_id) FROM reviews WHERE reviews.case_id = cases.case_id) AS review_id,
        (SELECT max(diagnosis_id) FROM diagnoses WHERE diagnoses.case_id = cases.case_id
            AND coalesce(role, 'primary') NOT IN ('second', 'adjudicator')) AS diagnosis_id,
        coalesce((SELECT to_state FROM case_states WHERE case_states.case_id = cases.case_id
            ORDER BY change_id DESC LIMIT 1), 'unread') AS recorded,
        (SELECT min(qc.score) FROM slides JOIN runs
            ON runs.seq = (SELECT max(newer.seq) FROM runs AS newer WHERE newer.slide_id = slides.slide_id)
            JOIN qc ON qc.run_id = runs.run_id WHERE slides.case_id = cases.case_id) AS qc_score,
        (SELECT group_concat(slide_id, char(10)) FROM (SELECT slide_id FROM slides
            WHERE slides.case_id = cases.case_id ORDER BY slide_id)) AS slide_names
    FROM cases WHERE {where} LIMIT -1
"""

_STATUS = """CASE
        WHEN recorded NOT IN ('unread', 'first_read_locked', 'compared', 'concordant', 'flagged', 'reviewed')
            THEN recorded
        WHEN now.review_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM flags WHERE flags.evaluation_id = now.evaluation_id AND NOT EXISTS (
                SELECT 1 FROM reviews JOIN flags AS seen ON seen.evaluation_id = reviews.evaluation_id
                WHERE reviews.review_id = now.review_id AND seen.kind = flags.kind
                    AND seen.slide_id IS flags.slide_id)) THEN 'reviewed'
        WHEN now.diagnosis_id IS NULL THEN 'unread'
        WHEN EXISTS (SELECT 1 FROM flags WHERE flags.evaluation_id = now.evaluation_id) THEN 'flagged'
        WHEN slides_ok = 0 THEN 'first_read_locked'
        WHEN slides_ok = slides THEN 'concordant'
        ELSE 'compared' END"""

_JUDGED = f"""
    SELECT now.*, diagnoses.category AS diagnosis, diagnoses.reader AS diagnosis_by, {_STATUS} AS status,
        runs.decision_score AS score, runs.threshold, {_MARGIN} AS margin,
        coalesce((SELECT sum(DISTINCT {_BIT}) FROM flags WHERE flags.evaluation_id = now.evaluation_id), 0) AS kinds,
        (SELECT max({_BAND} + {_SCORE.format("flags.score")}) FROM flags
            WHERE flags.evaluation_id = now.evaluation_id) AS pressing,
        coalesce((SELECT max({_WEIGHT}) FROM flags WHERE flags.evaluation_id = now.evaluation_id
                AND flags.kind IN ({_OF_THE_MODEL})),
            CASE WHEN diagnoses.category = 'indeterminate' THEN 1.0 ELSE 2.0 END) AS model_weight,
        (SELECT max({_WEIGHT}) FROM flags WHERE flags.evaluation_id = now.evaluation_id
            AND flags.kind = 'reader_disagreement') AS reader_weight,
        coalesce((SELECT max(flags.score) FROM flags WHERE flags.evaluation_id = now.evaluation_id
            AND flags.kind = 'reader_disagreement'), 0.0) AS reader_share,
        1.0 - min(max(coalesce(json_extract(qc.report, '$.carrying_artefact_fraction'), 0.0), 0.0), 1.0) AS quality
    FROM ({{now}}) AS now
    LEFT JOIN diagnoses ON diagnoses.diagnosis_id = now.diagnosis_id
    LEFT JOIN runs ON runs.seq = now.carrier
    LEFT JOIN qc ON qc.run_id = runs.run_id
    LIMIT -1
"""  # noqa: S608 - constants

_WEIGHED = """
    SELECT judged.*, CASE
            WHEN margin IS NULL THEN 0.5
            WHEN diagnosis = 'malignant' THEN (1.0 - margin) / 2.0
            WHEN diagnosis = 'indeterminate' THEN (1.0 + abs(margin)) / 2.0
            ELSE (1.0 + margin) / 2.0 END AS model_share
    FROM ({judged}) AS judged LIMIT -1
"""

_READERS_WEIGH_MORE = "coalesce(reader_weight, 0.0) * reader_share > model_weight * model_share"
_SUMMARY = f"""
    SELECT case_id, site, added_at, assigned_to, slides, slides_ok, diagnosis, diagnosis_by, status, kinds,
        CASE WHEN {SETTLED} THEN 0 + {_SCORE.format("score")}
            WHEN pressing IS NOT NULL THEN pressing
            WHEN status = 'unread' AND threshold IS NOT NULL AND score >= threshold THEN 2 + {_SCORE.format("score")}
            ELSE 1 + {_SCORE.format("score")} END AS priority,
        CASE WHEN {_READERS_WEIGH_MORE} THEN reader_weight ELSE model_weight END AS severity,
        CASE WHEN {_READERS_WEIGH_MORE} THEN reader_share ELSE model_share END AS probability,
        quality,
        CASE WHEN {SETTLED} THEN 0.0
            ELSE max(coalesce(reader_weight, 0.0) * reader_share, model_weight * model_share) * quality END AS benefit,
        -- Who had the result of an unread case revealed, a name a line; of a read case everybody may see it.
        CASE WHEN diagnosis IS NULL THEN (SELECT char(10) || group_concat(actor, char(10)) || char(10) FROM (
            SELECT DISTINCT events.actor FROM events
            WHERE events.entity = 'case:' || weighed.case_id AND events.action = 'model.revealed'
            ORDER BY events.actor)) END AS revealed_to,
        qc_score, slide_names,
        -- What is searched in, of a case that hides nothing: one column is scanned several times faster than six.
        case_id || ' ' || coalesce(slide_names, '') || ' ' || coalesce(site, '') || ' ' || coalesce(diagnosis, '')
            || ' ' || coalesce(diagnosis_by, '') || ' ' || coalesce(assigned_to, '') AS words
    FROM ({{weighed}}) AS weighed
"""  # noqa: S608 - constants


def summary_query(where: str) -> str:
    """Return the query of the summary rows of the cases that a condition on `cases.case_id` names."""
    now = _NOW.replace("{margin}", _MARGIN).replace("{where}", where)
    judged = _JUDGED.replace("{now}", now)
    return _SUMMARY.replace("{weighed}", _WEIGHED.replace("{judged}", judged))


SUMMARY_TABLE = (
    """CREATE TABLE case_summary (
        case_id TEXT PRIMARY KEY REFERENCES cases(case_id),
        site TEXT,
        added_at TEXT NOT NULL,
        assigned_to TEXT,
        slides INTEGER NOT NULL,
        slides_ok INTEGER NOT NULL,
        diagnosis TEXT,
        diagnosis_by TEXT,
        status TEXT NOT NULL,
        kinds INTEGER NOT NULL,
        priority REAL NOT NULL,
        severity REAL NOT NULL,
        probability REAL NOT NULL,
        quality REAL NOT NULL,
        benefit REAL NOT NULL,
        revealed_to TEXT,
        qc_score REAL,
        slide_names TEXT,
        words TEXT NOT NULL
    ) STRICT""",
    # The orders of the worklist as far as they do not depend on who looks, and its counts: see `summary_parts`.
    "CREATE INDEX summary_benefit ON case_summary(benefit DESC, added_at, case_id) WHERE diagnosis IS NOT NULL",
    "CREATE INDEX summary_priority ON case_summary(priority DESC, added_at, case_id) WHERE diagnosis IS NOT NULL",
    f"CREATE INDEX summary_waiting ON case_summary(({SETTLED}), added_at, case_id)",
    "CREATE INDEX summary_unread ON case_summary(added_at, case_id, status, revealed_to) WHERE diagnosis IS NULL",
    "CREATE INDEX summary_quality ON case_summary(qc_score, added_at, case_id)",
    "CREATE INDEX summary_read_kinds ON case_summary(status, kinds, case_id) WHERE diagnosis IS NOT NULL",
    "CREATE INDEX summary_unread_kinds ON case_summary(status, kinds, revealed_to, case_id) WHERE diagnosis IS NULL",
)

_CHANGES = {
    "cases_insert": ("AFTER INSERT ON cases", "= NEW.case_id"),
    "cases_update": ("AFTER UPDATE ON cases", "= NEW.case_id"),
    "slides_insert": ("AFTER INSERT ON slides", "= NEW.case_id"),
    "slides_update": ("AFTER UPDATE OF case_id ON slides", "IN (OLD.case_id, NEW.case_id)"),
    "runs_insert": ("AFTER INSERT ON runs", "= (SELECT case_id FROM slides WHERE slide_id = NEW.slide_id)"),
    "qc_insert": (
        "AFTER INSERT ON qc",
        "= (SELECT case_id FROM slides JOIN runs USING (slide_id) WHERE runs.run_id = NEW.run_id)",
    ),
    "evaluations_insert": ("AFTER INSERT ON evaluations", "= NEW.case_id"),
    "flags_insert": (
        "AFTER INSERT ON flags",
        "= (SELECT case_id FROM evaluations WHERE evaluation_id = NEW.evaluation_id)",
    ),
    "diagnoses_insert": ("AFTER INSERT ON diagnoses", "= NEW.case_id"),
    "reviews_insert": ("AFTER INSERT ON reviews", "= NEW.case_id"),
    "case_states_insert": ("AFTER INSERT ON case_states", "= NEW.case_id"),
    "reveals_insert": ("AFTER INSERT ON events WHEN NEW.action = 'model.revealed'", "= substr(NEW.entity, 6)"),
}

TRIGGER_NAMES = tuple(f"summary_{name}" for name in _CHANGES)


def _trigger(name: str, event: str, which: str) -> str:
    emptied = f"DELETE FROM case_summary WHERE case_id {which}"  # noqa: S608 - constants
    filled = f"INSERT INTO case_summary ({', '.join(COLUMNS)}) {summary_query(f'cases.case_id {which}')}"
    return f"CREATE TRIGGER summary_{name} {event} BEGIN {emptied}; {filled}; END"


SUMMARY_TRIGGERS = tuple(_trigger(name, event, which) for name, (event, which) in _CHANGES.items())
