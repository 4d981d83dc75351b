"""Pieces of the case screen: choosing a case, the header with its way to the neighbours, all reads."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.roles import Permission
from core.server.identity import User
from core.services.cases.document import case_document
from core.services.cases.review import assign
from core.services.cases.worklist import CaseDetail
from core.services.cases.worklist_pages import WorklistQuery, worklist_names, worklist_page
from core.services.consultations.signing import signatures
from core.settings import Settings
from pages.parts.case.read_signing import show_read_signing
from pages.parts.case.reading import show_read
from pages.parts.common.actions import attempt
from pages.parts.common.badges import CASES, FLAGS, VERDICTS, plain, show_badges, time_in_words
from pages.parts.common.document_files import offer_document
from pages.parts.consultations.turn import CaseScene, show_ask_button
from pages.parts.worklist.pieces import show_empty

_WALK = "walk"
CHOICES = 100
"""Cases offered to choose from; a longer list is searched."""


def walking_order(settings: Settings, case_id: str, *, actor: str) -> list[str]:
    """Return the order in which J and K walk through the cases: the worklist's, as it was when the walk began.

    An answer moves its case down the worklist at once; the next case must still be the one that came after it. The
    walk begins anew on the worklist, and on a case that it does not lead to.
    """
    kept: list[str] | None = st.session_state.get(_WALK)
    if kept is None or case_id not in kept:
        kept = st.session_state[_WALK] = list(worklist_names(settings, actor=actor))
    return kept


def start_walk(order: Sequence[str]) -> None:
    """Let J and K walk through the cases of a list, in its order."""
    st.session_state[_WALK] = list(order)


def end_walk() -> None:
    """Let the next walk follow the worklist as it is then."""
    st.session_state.pop(_WALK, None)


def choose_case(settings: Settings, *, user: User) -> str:
    """Let the reader choose a case where the address names none; stop the page until then."""
    st.title("Case")
    text = st.text_input(
        "Search",
        key="find_case",
        placeholder="Case, slide, site, diagnosis, person",
        icon=":material/search:",
        width=420,
        live=True,
    )
    found = worklist_page(settings, actor=user.actor, query=WorklistQuery(text=text or ""), limit=CHOICES)
    if not found.total and not text:
        show_empty(user)
        st.stop()
    chosen = st.selectbox(
        "Open a case",
        [case.row.case_id for case in found.cases],
        index=None,
        placeholder=f"{found.total:,} cases" if found.total <= CHOICES else f"{CHOICES} of {found.total:,} cases",
        key="choose_case",
        width=420,
        help="The worklist's order. Search to narrow it.",
    )
    if chosen is None:
        st.caption("Or click a row in the worklist.")
        st.stop()
    st.query_params["case"] = chosen
    st.rerun()


def show_header(scene: CaseScene, *, order: Sequence[str], revealed: bool) -> None:
    """Show the case's name, its state, who has it, and the way to the cases before and after it."""
    detail = scene.detail
    row = detail.case
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title(f"Case {plain(row.case_id)}", width="content")
        with st.container(width="content"):
            flags = {flag.kind for flag in detail.flags} if revealed else set()
            show_badges([CASES[row.status], *(look for kind, look in FLAGS.items() if kind in flags)])
    facts = [f"Site {plain(row.site)}"] if row.site else []
    facts.append(f"{row.slides} slides" if row.slides != 1 else "1 slide")
    facts += [f"waiting since {time_in_words(row.waiting_since)}"] if row.waiting_since else []
    facts.append(f"assigned to {plain(row.assigned_to)}" if row.assigned_to else "not assigned")
    facts_place, buttons = st.columns([3, 8], vertical_alignment="center")
    facts_place.caption(", ".join(facts))
    told = row.carried_by if revealed else row.without_result
    if row.slides > 1 and told:
        st.caption(plain(told))
    with buttons, st.container(horizontal=True, horizontal_alignment="right", gap="xsmall"):
        show_ask_button(scene)
        _show_summary(scene)
        _show_assignment(scene.settings, row.case_id, assigned_to=row.assigned_to, user=scene.user)
        _show_neighbours(row.case_id, order=order)


def _show_summary(scene: CaseScene) -> None:
    """Offer the case on one page, with what this person may see of it."""
    case_id = scene.detail.case.case_id
    if scene.user.may(Permission.EXPORT):
        offer_document(
            lambda: case_document(scene.settings, case_id, actor=scene.user.actor),
            label="Summary",
            file_name=case_id,
            key="case_summary",
            help="The case on one page, for a tumour board, with what you may see of it.",
        )


def _show_assignment(settings: Settings, case_id: str, *, assigned_to: str | None, user: User) -> None:
    if not user.can_operate:
        return
    mine = assigned_to == user.actor
    label, icon = ("Unassign", ":material/person_remove:") if mine else ("Assign to me", ":material/person_add:")
    if st.button(label, key="assign", icon=icon) and attempt(
        lambda: assign(settings, case_id, assignee=None if mine else user.actor, actor=user.actor),
        done="The case is free again." if mine else "The case is yours.",
    ):
        st.rerun()


def _show_neighbours(case_id: str, *, order: Sequence[str]) -> None:
    position = order.index(case_id) if case_id in order else -1
    before = order[position - 1] if position > 0 else None
    after = order[position + 1] if 0 <= position < len(order) - 1 else None
    previous = st.button(
        "Previous",
        key="previous_case",
        icon=":material/chevron_left:",
        disabled=before is None,
        shortcut="k",
        help=f"Case {before} in the worklist's order" if before else "This is the first case of the worklist",
    )
    following = st.button(
        "Next",
        key="next_case",
        icon=":material/chevron_right:",
        icon_position="right",
        disabled=after is None,
        shortcut="j",
        help=f"Case {after} in the worklist's order" if after else "This is the last case of the worklist",
    )
    target = before if previous else after if following else None
    if target is not None:
        st.query_params.from_dict({"case": target})  # a slide and a place of the other case mean nothing here
        st.rerun()


def show_reads(settings: Settings, detail: CaseDetail, *, user: User) -> None:
    """Show every diagnosis and every answer of the case, superseded ones too, newest first, and who signed them."""
    if not detail.diagnoses and not detail.reviews:
        st.caption("Nobody has recorded a diagnosis or an answer yet.")
    superseded = {read.supersedes for read in detail.diagnoses}
    signed = signatures(settings, detail.case.case_id, actor=user.actor)
    for read in sorted(detail.diagnoses, key=lambda read: read.created_at, reverse=True):
        with st.container(border=True):
            if read.diagnosis_id in superseded:
                st.badge("Superseded", color="gray", icon=":material/history:")
            show_read(read)
            if read.diagnosis_id not in superseded:
                show_read_signing(settings, read, signed=signed, user=user, place="all")
    replaced = {review.supersedes for review in detail.reviews}
    for review in sorted(detail.reviews, key=lambda review: review.created_at, reverse=True):
        with st.container(border=True):
            looks = [VERDICTS[review.verdict]]
            show_badges(looks)
            if review.review_id in replaced:
                st.badge("Superseded", color="gray", icon=":material/history:")
            if review.note:
                st.markdown(plain(review.note))
            st.caption(f"{plain(review.reader)}, {time_in_words(review.created_at)}")
