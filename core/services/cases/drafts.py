"""Drafts of reads, opinions and answers: kept for who writes them until they are sent, so that no browser loses them.

They are no part of the append-only log. Only their author ever gets one back; sending the form deletes it in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.errors import InputError
from core.roles import Permission
from core.services.people.authority import require
from core.settings import Settings
from core.store.cases import get_case
from core.store.connection import open_log, reading, writing
from core.store.drafts import Draft, DraftForm, DraftPlace, delete_draft, find_draft, save_draft
from core.store.values import canonical_json

__all__ = ["Draft", "DraftForm", "DraftPlace", "discard_draft", "draft_of", "keep_draft"]

LONGEST = 20_000
"""Characters of a draft: several times what the fields of a form take."""
_NEEDED = {
    DraftForm.READ: Permission.RECORD_READS,
    DraftForm.CONSENSUS: Permission.RECORD_READS,
    DraftForm.OPINION: Permission.GIVE_OPINION,
    DraftForm.ANSWER: Permission.RECORD_READS,
}


def keep_draft(
    settings: Settings, place: DraftPlace, content: Mapping[str, str | int | list[str] | None], *, actor: str
) -> Draft | None:
    """Keep what an actor has filled in so far; nothing filled in deletes the draft.

    Args:
        settings: Names the home folder.
        place: The form.
        content: Field -> value; empty values are left out.
        actor: Who fills it in.

    Returns:
        The draft, or None where there is nothing to keep.

    Raises:
        NotFoundError: there is no such case.
        NotAllowedError: the actor may not send such a form.
        InputError: it is too long.
    """
    filled = {field: value for field, value in content.items() if value not in (None, "", [])}
    if len(canonical_json(filled)) > LONGEST:
        raise InputError(f"A draft holds at most {LONGEST:,} characters. Shorten the note.")
    with open_log(settings) as database, writing(database):
        require(database, actor, _NEEDED[place.form])
        get_case(database, place.case_id)
        if not filled:
            delete_draft(database, place, author=actor)
            return None
        return save_draft(database, place, filled, author=actor)


def draft_of(settings: Settings, place: DraftPlace, *, actor: str) -> Draft | None:
    """Return the actor's own draft of a form, or None; nobody gets that of another.

    Raises:
        NotAllowedError: the actor may not send such a form.
    """
    with open_log(settings) as database, reading(database):
        require(database, actor, _NEEDED[place.form])
        return find_draft(database, place, author=actor)


def discard_draft(settings: Settings, place: DraftPlace, *, actor: str) -> None:
    """Delete the actor's own draft of a form.

    Raises:
        NotAllowedError: the actor may not send such a form.
    """
    with open_log(settings) as database, writing(database):
        require(database, actor, _NEEDED[place.form])
        delete_draft(database, place, author=actor)
