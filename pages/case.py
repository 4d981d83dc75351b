"""Case: the slides of one case, the reader's own diagnosis first, then the model's result and the answer to it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from core.errors import NotFoundError
from core.services.review import case_history, open_case
from core.services.worklist import case_detail, worklist
from pages.parts.actions import show_notice
from pages.parts.case_parts import choose_case, show_header, show_reads, walking_order
from pages.parts.case_slides import choose_slide, show_case_slide, show_flag_on_slide
from pages.parts.details import show_flags, show_history, show_provenance, show_quality, show_result
from pages.parts.reading import show_diagnosis, show_no_result, show_reveal, show_review
from pages.parts.session import current_settings, require_role

user = require_role()
settings = current_settings()
show_notice()

order = walking_order([row.case_id for row in worklist(settings, actor=user.actor)])
case_id = st.query_params.get("case") or choose_case(order, user=user)
try:
    detail = case_detail(settings, case_id, actor=user.actor)
except NotFoundError as err:
    st.title("Case not found")
    st.error(str(err), icon=":material/error:")
    st.page_link("worklist.py", label="Back to the worklist", icon=":material/format_list_bulleted:")
    st.stop()

revealed = open_case(settings, case_id, actor=user.actor)
show_header(settings, detail, order=order, user=user, revealed=revealed)
slide, look = choose_slide(detail.slides, flags=detail.flags if revealed else ())
run = detail.runs.get(slide.slide_id)
show_case_slide(settings, detail, slide, look, user=user, revealed=revealed)

reading, details = st.columns([4, 5], gap="medium")
with reading:
    show_diagnosis(settings, case_id, user=user, diagnoses=detail.diagnoses)
    if not detail.has_result:
        show_no_result()
    elif revealed:
        show_review(settings, case_id, user=user, reviews=detail.reviews)
    else:
        show_reveal(settings, case_id, user=user)
with details:
    if revealed:
        flags, result, quality, provenance, reads, history = st.tabs(
            [f"Flags ({len(detail.flags)})", "Model result", "Quality", "Provenance", "All reads", "History"]
        )
        with flags:
            show_flags(detail.flags, show_on_slide=partial(show_flag_on_slide, detail.slides))
        with result:
            show_result(run)
        with reads:
            show_reads(detail)
    else:
        quality, provenance, history = st.tabs(["Quality", "Provenance", "History"])
    with quality:
        show_quality(run)
    with provenance:
        show_provenance(slide, run)
    with history:
        show_history(case_history(settings, case_id, actor=user.actor))
