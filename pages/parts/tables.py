"""Rows of the worklist: filtering, ordering, and the table as it is shown and exported."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import pandas as pd

from core.domain import NOT_FOR_DIAGNOSIS, CaseStatus, FlagKind
from core.server.identity import short_name
from core.services.worklist import CaseRow
from pages.parts.badges import CASES, CATEGORIES, FLAGS
from pages.parts.frame import PHANTOM_SENTENCE

HIDDEN_RESULT = "Hidden until read"


class Order(StrEnum):
    """How the worklist is ordered."""

    PRIORITY = "Likely missed disease first"
    WAITING = "Waiting longest first"
    QUALITY = "Lowest quality first"
    CASE = "Case id"


class Assignment(StrEnum):
    """Whose cases are shown."""

    ALL = "All"
    MINE = "Mine"
    NOBODY = "Unassigned"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which cases are shown; empty collections let everything pass."""

    search: str = ""
    flags: frozenset[FlagKind] = frozenset()
    statuses: frozenset[CaseStatus] = frozenset()
    assignment: Assignment = Assignment.ALL


def select_rows(rows: Iterable[CaseRow], *, wanted: Filter, order: Order, actor: str) -> list[CaseRow]:
    """Return the rows that pass the filter, in the wanted order.

    Args:
        rows: In the service's order, which is `Order.PRIORITY`.
        wanted: The filter.
        order: The order.
        actor: Who looks, for "mine".
    """
    found = [row for row in rows if _passes(row, wanted=wanted, actor=actor)]
    if order is Order.WAITING:
        return sorted(found, key=lambda row: row.waiting_since or datetime.max.replace(tzinfo=UTC))
    if order is Order.QUALITY:
        return sorted(found, key=lambda row: -1.0 if row.qc_score is None else row.qc_score)
    if order is Order.CASE:
        return sorted(found, key=lambda row: row.case_id.casefold())
    return found


def worklist_frame(rows: Sequence[CaseRow], *, thumbnails: Mapping[str, str | None]) -> pd.DataFrame:
    """Return one table row a case.

    Args:
        rows: Selected and ordered.
        thumbnails: Case id -> picture address.
    """
    return pd.DataFrame(
        {
            "Slide": [thumbnails.get(row.case_id) for row in rows],
            "Case": [row.case_id for row in rows],
            "Flags": [flag_labels(row) for row in rows],
            "Status": [[CASES[row.status].label] for row in rows],
            "Diagnosis": [_diagnosis(row) for row in rows],
            "Model result": [_model_result(row) for row in rows],
            "QC score": [row.qc_score for row in rows],
            "Slides": [_slides(row) for row in rows],
            "Site": [row.site or "-" for row in rows],
            "Assigned to": [row.assigned_to or "-" for row in rows],
            "Waiting since": [row.waiting_since for row in rows],
        }
    )


def with_short_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with names as the banner allows them on the screen: it says for all that nobody checked them."""
    return frame.assign(**{"Assigned to": [short_name(name) for name in frame["Assigned to"]]})


def kinds_present(rows: Iterable[CaseRow]) -> list[FlagKind]:
    """Return the kinds of flags anywhere in the list, in the order of the vocabulary."""
    present = {flag.kind for row in rows for flag in row.flags}
    return [kind for kind in FLAGS if kind in present]


def flag_labels(row: CaseRow) -> list[str]:
    """Return the labels of a case's flags, each once, in the order of the vocabulary."""
    return [FLAGS[kind].label for kind in kinds_present([row])]


def export_csv(frame: pd.DataFrame) -> bytes:
    """Return the visible list as CSV (UTF-8 with a mark for spreadsheets), under the two sentences.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    table = frame.drop(columns="Slide").copy()
    for column in ("Flags", "Status"):
        table[column] = ["; ".join(labels) for labels in table[column]]
    for column in table.select_dtypes(exclude=["number", "datetime", "datetimetz"]):
        table[column] = [harmless(value) for value in table[column]]
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}\n")
    table.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")


def harmless(value: object) -> object:
    """Return a cell of an export; text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and len(value) > 1 and value[0] in "=+-@\t\r" else value


def _passes(row: CaseRow, *, wanted: Filter, actor: str) -> bool:
    if wanted.flags and not wanted.flags.intersection(kinds_present([row])):
        return False
    if wanted.statuses and row.status not in wanted.statuses:
        return False
    if wanted.assignment is Assignment.MINE and row.assigned_to != actor:
        return False
    if wanted.assignment is Assignment.NOBODY and row.assigned_to is not None:
        return False
    texts = (
        row.case_id,
        row.site or "",
        _diagnosis(row),
        row.diagnosis_by or "",
        _model_result(row),
        row.assigned_to or "",
        CASES[row.status].label,
        *flag_labels(row),
        *(f"{slide_id} {reason}" for slide_id, reason in row.slides_failed),
    )
    return all(word in " ".join(texts).casefold() for word in wanted.search.casefold().split())


def _diagnosis(row: CaseRow) -> str:
    return CATEGORIES[row.diagnosis] if row.diagnosis is not None else "-"


def _model_result(row: CaseRow) -> str:
    if row.slides == row.slides_pending + len(row.slides_failed):
        return "No result yet" if row.slides_pending else "No result"
    if not row.revealed:
        return HIDDEN_RESULT
    score = "" if row.model_score is None else f", score {row.model_score:.2f}"
    return f"{(row.model_label or 'no call').replace('_', ' ')}{score}"


def _slides(row: CaseRow) -> str:
    parts = [str(row.slides)]
    parts += [f"{len(row.slides_failed)} failed"] * bool(row.slides_failed)
    parts += [f"{row.slides_pending} waiting"] * bool(row.slides_pending)
    return ", ".join(parts)
