"""Cases and slides in the log. Functions that write must be called inside `writing`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from core.domain import MppSource, SlideStatus, Stain
from core.errors import NotFoundError
from core.store.connection import insert_rows, rows_of
from core.store.events import Action, append_event, case_entity, slide_entity
from core.store.records import CaseRecord, SlideFacts, SlideRecord
from core.store.values import time_of, time_text, utc_now

_SLIDES = """
    SELECT slides.*, runs.status AS status, runs.message AS message, runs.run_id AS run_id
    FROM slides
    LEFT JOIN runs ON runs.seq = (SELECT max(seq) FROM runs WHERE runs.slide_id = slides.slide_id)
"""


def ensure_case(database: Database, case_id: str, *, site: str | None, actor: str) -> None:
    """Add a case unless it exists."""
    added = database.conn.execute(
        "INSERT INTO cases (case_id, site, added_at) VALUES (?, ?, ?) ON CONFLICT (case_id) DO NOTHING",
        (case_id, site, time_text(utc_now())),
    )
    if added.rowcount:
        append_event(database, Action.CASE_ADDED, entity=case_entity(case_id), actor=actor, payload={"site": site})


def insert_slide(database: Database, slide: SlideRecord, *, actor: str) -> None:
    """Add a slide to its case, which must exist."""
    row = {
        "slide_id": slide.slide_id,
        "case_id": slide.case_id,
        "path": slide.path,
        "stain": slide.stain.value,
        "tissue": slide.tissue,
        "site": slide.site,
        "scanner": slide.scanner,
        "mpp_override": slide.mpp_override,
        "added_at": time_text(slide.added_at),
    }
    insert_rows(database, "slides", [row])
    append_event(database, Action.SLIDE_ADDED, entity=slide_entity(slide.slide_id), actor=actor, payload=row)


def change_slide(database: Database, slide_id: str, changes: Mapping[str, str | float | None], *, actor: str) -> None:
    """Change what the user states about a slide (stain, tissue, site, scanner, mpp); old and new go into the event."""
    columns = ", ".join(changes)
    row = database.conn.execute(f"SELECT {columns} FROM slides WHERE slide_id = ?", (slide_id,)).fetchone()  # noqa: S608
    old = dict(zip(changes, row, strict=True))
    assignments = ", ".join(f"{column} = ?" for column in changes)
    database.conn.execute(f"UPDATE slides SET {assignments} WHERE slide_id = ?", (*changes.values(), slide_id))  # noqa: S608
    append_event(
        database,
        Action.SLIDE_CHANGED,
        entity=slide_entity(slide_id),
        actor=actor,
        payload={"old": old, "new": dict(changes)},
    )


def save_facts(database: Database, slide_id: str, facts: SlideFacts) -> None:
    """Write what analysis found out about the file; None leaves what is known. The run's event tells of it."""
    database.conn.execute(
        """UPDATE slides SET sha256 = coalesce(?, sha256), vendor = coalesce(?, vendor), width = coalesce(?, width),
           height = coalesce(?, height), levels = coalesce(?, levels),
           objective_power = coalesce(?, objective_power) WHERE slide_id = ?""",
        (facts.sha256, facts.vendor, facts.width, facts.height, facts.levels, facts.objective_power, slide_id),
    )


def save_scale(
    database: Database, slide_id: str, *, mpp_x: float | None, mpp_y: float | None, mpp_source: str | None
) -> None:
    """Write the scale that was found in the file or given for it, um per level-0 px; None leaves what is known."""
    database.conn.execute(
        """UPDATE slides SET mpp_x = coalesce(?, mpp_x), mpp_y = coalesce(?, mpp_y),
           mpp_source = coalesce(?, mpp_source) WHERE slide_id = ?""",
        (mpp_x, mpp_y, mpp_source, slide_id),
    )


def assign_case(database: Database, case_id: str, *, assignee: str | None, actor: str) -> None:
    """Assign a case to a person, or to nobody."""
    case = get_case(database, case_id)
    if case.assigned_to == assignee:
        return
    database.conn.execute("UPDATE cases SET assigned_to = ? WHERE case_id = ?", (assignee, case_id))
    append_event(
        database,
        Action.CASE_ASSIGNED,
        entity=case_entity(case_id),
        actor=actor,
        payload={"old": case.assigned_to, "new": assignee},
    )


def get_case(database: Database, case_id: str) -> CaseRecord:
    """Return a case.

    Raises:
        NotFoundError: there is none of that name.
    """
    row = database.conn.execute(
        "SELECT case_id, site, added_at, assigned_to FROM cases WHERE case_id = ?", (case_id,)
    ).fetchone()
    if row is None:
        raise NotFoundError(f"There is no case {case_id!r}. The worklist shows the cases there are.")
    return CaseRecord(case_id=row[0], site=row[1], added_at=time_of(row[2]), assigned_to=row[3])


def get_slide(database: Database, slide_id: str) -> SlideRecord:
    """Return a slide with the outcome of its latest run.

    Raises:
        NotFoundError: there is none of that name.
    """
    found = _slides(database, "WHERE slides.slide_id = ?", (slide_id,))
    if not found:
        raise NotFoundError(f"There is no slide {slide_id!r}. Add it first with `second-read add`.")
    return found[0]


def slide_at(database: Database, path: str) -> SlideRecord | None:
    """Return the slide that was added from a path, or None."""
    found = _slides(database, "WHERE slides.path = ?", (path,))
    return found[0] if found else None


def slides_of_case(database: Database, case_id: str) -> tuple[SlideRecord, ...]:
    """Return the slides of a case, in the order of their ids."""
    return _slides(database, "WHERE slides.case_id = ? ORDER BY slides.slide_id", (case_id,))


def all_slides(database: Database) -> tuple[SlideRecord, ...]:
    """Return all slides, case by case."""
    return _slides(database, "ORDER BY slides.case_id, slides.slide_id", ())


def slide_exists(database: Database, slide_id: str) -> bool:
    """Say whether the id is taken; ids that differ only in case count as one, since they share a results folder."""
    query = "SELECT 1 FROM slides WHERE lower(slide_id) = lower(?)"
    return database.conn.execute(query, (slide_id,)).fetchone() is not None


def _slides(database: Database, condition: str, parameters: tuple[str, ...]) -> tuple[SlideRecord, ...]:
    return tuple(_slide(row) for row in rows_of(database, f"{_SLIDES} {condition}", parameters))


def _slide(row: dict[str, Any]) -> SlideRecord:
    values = dict(row)
    values["stain"] = Stain(row["stain"])
    values["added_at"] = time_of(row["added_at"])
    values["mpp_source"] = MppSource(row["mpp_source"]) if row["mpp_source"] else None
    values["status"] = SlideStatus(row["status"]) if row["status"] else None
    values["message"] = row["message"] or ""
    return SlideRecord(**values)
