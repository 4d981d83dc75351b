"""Case: the slides of one case, the reader's own diagnosis first, then the model's result and the answer to it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.domain import CaseStatus
from core.errors import NotFoundError
from core.services.cases.review import case_history, open_case
from core.services.cases.worklist import case_detail
from core.services.consultations.lists import case_consult
from core.services.consultations.next_step import Turn, next_step
from pages.parts.case.answer_form import note_opening
from pages.parts.case.details import show_flags, show_history, show_provenance, show_result
from pages.parts.case.header import choose_case, show_header, show_reads, walking_order
from pages.parts.case.other_systems import show_other_systems
from pages.parts.case.reading import show_diagnosis, show_no_result, show_reveal, show_review
from pages.parts.case.slides import choose_slide, follow_address, show_case_slide, show_flag_on_slide
from pages.parts.common.actions import has_notice, show_notice
from pages.parts.common.forms import show_refusal
from pages.parts.common.session import current_settings, require_role
from pages.parts.consultations.details import show_consult
from pages.parts.consultations.opinion import show_not_taken, show_opinion_form
from pages.parts.consultations.turn import CaseScene, note_moved_on, show_turn
from pages.parts.quality.report import show_case_quality

# Nothing is added to such a case until somebody opens it again.
SETTLED = (CaseStatus.RESOLVED, CaseStatus.SIGNED)

user = require_role()
settings = current_settings()
own_doing = has_notice()
show_notice()

case_id = st.query_params.get("case") or choose_case(settings, user=user)
try:
    detail = case_detail(settings, case_id, actor=user.actor)
except NotFoundError as err:
    st.title("Case not found")
    st.error(str(err), icon=":material/error:")
    st.page_link("worklist.py", label="Back to the worklist", icon=":material/format_list_bulleted:")
    st.stop()

order = walking_order(settings, case_id, actor=user.actor)
revealed = open_case(settings, case_id, actor=user.actor)
note_opening(case_id)
consult = case_consult(settings, case_id, actor=user.actor)
step = next_step(settings, case_id, consult, actor=user.actor)
scene = CaseScene(settings, detail, consult, step, user)
show_header(scene, order=order, revealed=revealed)
note_moved_on(scene, own=own_doing)
show_turn(scene)
show_refusal()
follow_address(detail.slides)
slide, look = choose_slide(detail.slides, flags=detail.flags if revealed else ())
run = detail.runs.get(slide.slide_id)
show_case_slide(settings, detail, slide, look, user=user, revealed=revealed)

reading, details = st.columns([4, 5], gap="medium")
with reading:
    if step.turn is Turn.GIVE and step.request is not None:
        show_opinion_form(settings, step.request, user=user)
    elif step.turn is Turn.TAKE_ON:
        show_not_taken(consult.visibility)
    else:
        free, settled = step.turn in (Turn.ASK, Turn.NOTHING), consult.status in SETTLED
        show_diagnosis(settings, case_id, user=user, diagnoses=detail.diagnoses, primary=free, settled=settled)
    if not detail.has_result:
        show_no_result()
    elif revealed and step.turn not in (Turn.GIVE, Turn.TAKE_ON) and consult.status not in SETTLED:
        show_review(settings, case_id, user=user, reviews=detail.reviews)
    elif not revealed and not consult.visibility.is_blinded:
        show_reveal(settings, case_id, user=user)
with details:
    flags = f"Flags ({len(detail.flags)})"
    names = ["Second opinion"] if consult.requests and revealed else []
    names += [flags, "Model result"] if revealed else []
    names += ["Quality", "Provenance", *(["All reads"] if revealed or detail.diagnoses else []), "History"]
    # Another set of tabs is another choice: what was just revealed opens on its first tab.
    tabs = dict(zip(names, st.tabs(names, key=f"details_{len(names)}"), strict=True))
    if "Second opinion" in tabs:
        with tabs["Second opinion"]:
            show_consult(scene)
    if revealed:
        with tabs[flags]:
            show_flags(detail.flags, show_on_slide=partial(show_flag_on_slide, detail.slides))
        with tabs["Model result"]:
            show_result(run)
            show_other_systems(settings, case_id, user=user)
            if run is not None and run.scores:
                st.page_link(
                    "explanation.py",
                    label="What does this call rest on?",
                    icon=":material/insights:",
                    query_params={"case": case_id, "slide": slide.slide_id},
                )
    if "All reads" in tabs:
        with tabs["All reads"]:
            show_reads(settings, detail, user=user)
    with tabs["Quality"]:
        show_case_quality(settings, slide.slide_id, user=user)
    with tabs["Provenance"]:
        show_provenance(slide, run)
    with tabs["History"]:
        show_history(case_history(settings, case_id, actor=user.actor))
