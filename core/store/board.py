"""What the triage board and the reports count: reads compared, cases settled, requests and answers, in few queries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from core.domain import FlagKind, ReadCategory
from core.store.connection import rows_of
from core.store.values import time_of, time_or_none
from core.vocabulary import Discordance, ReportAction


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledCase:
    """A case whose resolution stands, with the comparison that is the last word on its first read."""

    case_id: str
    site: str | None
    at: datetime
    """Of the resolution."""
    discordance: Discordance | None
    """None where no opinion was compared."""
    report_action: ReportAction
    category: ReadCategory | None
    """Of the read that stands; None while unresolved."""
    score: float
    """Probability of a difference when it was first asked about, as the model told it; higher = look first."""
    flagged: bool
    """Whether the rules flagged it then, the audit sample aside."""
    audited: bool
    """Whether it was drawn for the audit then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRequest:
    """A request for an opinion and when it was answered."""

    case_id: str
    requested_at: datetime
    answered_at: datetime | None
    due_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCase:
    """A case that may be reviewed next, with what a second look at it is worth."""

    case_id: str
    benefit: float
    severity: float
    probability: float
    quality: float
    flagged: bool
    assigned_to: str | None


# The evaluation that stood when the case was first asked about: what triage said before anybody looked again.
_SETTLED = """
    SELECT cases.case_id, cases.site, resolutions.created_at, resolutions.report_action, standing.category,
        (SELECT discordance FROM comparisons WHERE comparisons.case_id = cases.case_id
            ORDER BY comparison_id DESC LIMIT 1) AS discordance,
        runs.decision_score AS score, runs.threshold AS threshold, first.category AS first_category,
        (SELECT group_concat(kind) FROM flags WHERE flags.evaluation_id = asked.evaluation_id) AS kinds
    FROM resolutions
    JOIN cases USING (case_id)
    LEFT JOIN diagnoses AS standing ON standing.diagnosis_id = resolutions.diagnosis_id
    LEFT JOIN consultations ON consultations.consultation_id =
        (SELECT min(consultation_id) FROM consultations AS one WHERE one.case_id = cases.case_id)
    LEFT JOIN evaluations AS asked ON asked.evaluation_id =
        (SELECT max(evaluation_id) FROM evaluations AS one
         WHERE one.case_id = cases.case_id AND one.created_at <= consultations.created_at)
    LEFT JOIN diagnoses AS first ON first.diagnosis_id =
        (SELECT max(diagnosis_id) FROM diagnoses AS one
         WHERE one.case_id = cases.case_id AND one.created_at <= consultations.created_at
            AND coalesce(one.role, 'primary') NOT IN ('second', 'adjudicator'))
    LEFT JOIN runs ON runs.seq =
        (SELECT one.seq FROM runs AS one JOIN slides USING (slide_id)
         WHERE slides.case_id = cases.case_id AND one.seq <= asked.run_seq AND one.status = 'ok'
            AND one.decision_score IS NOT NULL AND one.seq =
                (SELECT max(newer.seq) FROM runs AS newer
                 WHERE newer.slide_id = one.slide_id AND newer.seq <= asked.run_seq)
         ORDER BY one.decision_score - coalesce(one.threshold, 1.0) DESC LIMIT 1)
    WHERE resolutions.resolution_id =
        (SELECT max(resolution_id) FROM resolutions AS newer WHERE newer.case_id = cases.case_id)
    ORDER BY resolutions.resolution_id
"""

_REQUESTS = """
    SELECT consultations.case_id, consultations.created_at, consultations.due_at, opinions.created_at AS answered_at,
        (SELECT state FROM consultation_steps AS step WHERE step.consultation_id = consultations.consultation_id
            ORDER BY step_id DESC LIMIT 1) AS state
    FROM consultations LEFT JOIN opinions USING (consultation_id) ORDER BY consultation_id
"""


def settled_cases(database: Database) -> tuple[SettledCase, ...]:
    """Return the cases whose last resolution stands, in the order they were resolved."""
    return tuple(_settled(row) for row in rows_of(database, _SETTLED))


def requests(database: Database) -> tuple[AnsweredRequest, ...]:
    """Return every request for an opinion, in the order they were made."""
    return tuple(
        AnsweredRequest(
            case_id=row["case_id"],
            requested_at=time_of(row["created_at"]),
            answered_at=time_or_none(row["answered_at"]),
            due_at=time_or_none(row["due_at"]),
            state=row["state"],
        )
        for row in rows_of(database, _REQUESTS)
    )


def open_cases(database: Database, *, hidden: Iterable[str]) -> tuple[OpenCase, ...]:
    """Return the read cases that nobody looks at again yet, most worth it first; the hidden ones are left out."""
    left_out = frozenset(hidden)
    rows = rows_of(
        database,
        """SELECT case_id, benefit, severity, probability, quality, kinds, assigned_to FROM case_summary
           WHERE diagnosis IS NOT NULL
             AND status IN ('first_read_locked', 'compared', 'concordant', 'flagged')
           ORDER BY benefit DESC, added_at, case_id""",
    )
    return tuple(
        OpenCase(
            case_id=row["case_id"],
            benefit=row["benefit"],
            severity=row["severity"],
            probability=row["probability"],
            quality=row["quality"],
            flagged=row["kinds"] != 0,
            assigned_to=row["assigned_to"],
        )
        for row in rows
        if row["case_id"] not in left_out
    )


def read_cases(database: Database) -> tuple[tuple[str, datetime], ...]:
    """Return every case that was read, with the time of its first read."""
    rows = database.conn.execute(
        "SELECT case_id, min(created_at) FROM diagnoses "
        "WHERE coalesce(role, 'primary') NOT IN ('second', 'adjudicator') GROUP BY case_id ORDER BY 2, 1"
    )
    return tuple((case_id, time_of(at)) for case_id, at in rows)


def answered_flags(database: Database) -> tuple[tuple[str, datetime, str], ...]:
    """Return (case, time, verdict) of the last answer to each case whose evaluation flagged the model against it."""
    rows = database.conn.execute(
        """SELECT reviews.case_id, reviews.created_at, reviews.verdict FROM reviews
           WHERE reviews.review_id =
               (SELECT max(review_id) FROM reviews AS newer WHERE newer.case_id = reviews.case_id)
             AND EXISTS (SELECT 1 FROM flags WHERE flags.evaluation_id = reviews.evaluation_id
                AND flags.kind IN ('model_higher', 'model_lower', 'other_category'))
           ORDER BY reviews.review_id"""
    )
    return tuple((case_id, time_of(at), verdict) for case_id, at, verdict in rows)


def first_signatures(database: Database) -> dict[str, datetime]:
    """Return when the read or resolution of each case was first signed: when its report went out."""
    rows = database.conn.execute("SELECT case_id, min(created_at) FROM signatures GROUP BY case_id")
    return {case_id: time_of(at) for case_id, at in rows}


def _settled(row: dict[str, Any]) -> SettledCase:
    kinds = {FlagKind(word) for word in (row["kinds"] or "").split(",") if word}
    return SettledCase(
        case_id=row["case_id"],
        site=row["site"],
        at=time_of(row["created_at"]),
        discordance=Discordance(row["discordance"]) if row["discordance"] else None,
        report_action=ReportAction(row["report_action"]),
        category=ReadCategory(row["category"]) if row["category"] else None,
        score=_score(row["score"], row["threshold"], row["first_category"]),
        flagged=bool(kinds - {FlagKind.AUDIT_SAMPLE}),
        audited=FlagKind.AUDIT_SAMPLE in kinds,
    )


def _score(score: float | None, threshold: float | None, first: str | None) -> float:
    """Return the probability of a difference as the summary has it: one half at the threshold or without a result."""
    if score is None:
        return 0.5
    limit = 1.0 if threshold is None else threshold
    room = 1 - limit if score >= limit else limit
    present = (1 + ((score - limit) / room if room > 0 else 0.0)) / 2
    if first == ReadCategory.MALIGNANT.value:
        return 1 - present
    return max(present, 1 - present) / 2 if first == ReadCategory.INDETERMINATE.value else present
