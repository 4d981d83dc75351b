"""The worklist's table as it is shown and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from core.server.identity import short_name
from core.services.cases.worklist import CaseRow
from core.services.cases.worklist_pages import Benefit, PagedCase
from pages.parts.common.badges import CASES, CATEGORIES, FLAGS
from pages.parts.common.tables import csv_bytes, harmless

HIDDEN_RESULT = "Hidden until read"


def worklist_frame(cases: Sequence[PagedCase], *, thumbnails: Mapping[str, str | None]) -> pd.DataFrame:
    """Return one table row a case.

    Args:
        cases: In the order of the page.
        thumbnails: Case id -> picture address.
    """
    rows = [case.row for case in cases]
    return pd.DataFrame(
        {
            "Slide": [thumbnails.get(row.case_id) for row in rows],
            "Case": [row.case_id for row in rows],
            "Flags": [flag_labels(row) for row in rows],
            "Status": [[CASES[row.status].label] for row in rows],
            "Diagnosis": [_diagnosis(row) for row in rows],
            "Model result": [_model_result(row) for row in rows],
            "Benefit": [_benefit(case.benefit) for case in cases],
            "QC score": [row.qc_score for row in rows],
            "Slides": [_slides(row) for row in rows],
            "Site": [row.site or "-" for row in rows],
            "Assigned to": [row.assigned_to or "-" for row in rows],
            "Waiting since": pd.to_datetime([row.waiting_since for row in rows], utc=True),
        }
    )


def with_short_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with names as the banner allows them on the screen: it says for all that nobody checked them."""
    return frame.assign(**{"Assigned to": [short_name(name) for name in frame["Assigned to"]]})


def flag_labels(row: CaseRow) -> list[str]:
    """Return the labels of a case's flags, each once, in the order of the vocabulary."""
    present = {flag.kind for flag in row.flags}
    return [FLAGS[kind].label for kind in FLAGS if kind in present]


def export_csv(frame: pd.DataFrame) -> bytes:
    """Return the list as CSV (UTF-8 with a mark for spreadsheets), under the two sentences.

    Text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    table = frame.drop(columns="Slide").copy()
    for column in ("Flags", "Status"):
        table[column] = ["; ".join(labels) for labels in table[column]]
    for column in table.select_dtypes(exclude=["number", "datetime", "datetimetz"]):
        table[column] = [harmless(value) for value in table[column]]
    return csv_bytes(table)


def _diagnosis(row: CaseRow) -> str:
    return CATEGORIES[row.diagnosis] if row.diagnosis is not None else "-"


def _benefit(benefit: Benefit | None) -> str:
    if benefit is None:
        return "-"
    if not benefit.value:
        return "0"
    return f"{benefit.value:.2f} = {benefit.severity:g} x {benefit.probability:.2f} x {benefit.quality:.2f}"


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
