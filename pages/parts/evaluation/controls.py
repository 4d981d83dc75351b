"""Choosing what is evaluated: model, reference, unit, cohort, rule; and what is hidden from whoever looks."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from core.domain import Stain
from core.roles import Permission
from core.server.identity import User
from core.services.cases.review import reveal_model
from core.services.evaluation.choices import Choices, import_labels
from core.services.evaluation.values import Cohort, EvaluationRequest, Unit
from core.settings import Settings
from pages.parts.common.actions import attempt
from pages.parts.common.badges import STAINS, in_words

_UNITS = {"As the reference speaks": None, "Slides": Unit.SLIDE, "Cases": Unit.CASE}


def choose_request(choices: Choices) -> EvaluationRequest:
    """Show the controls and return what they say; everything stands in the address."""
    titles, references = dict(choices.models), dict(choices.references)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        model = st.selectbox(
            "Model",
            list(titles),
            key="ev_model",
            width=260,
            bind="query-params",
            help="Models with a result on some slide, and systems whose predictions were imported.",
        )
        reference = st.selectbox(
            "Reference",
            list(references),
            format_func=lambda name: references.get(name, name),
            key="ev_reference",
            width=330,
            bind="query-params",
            help="What the model is compared with. Only reads given before the model was shown count.",
        )
        unit = st.segmented_control(
            "Counted once",
            list(_UNITS),
            default=next(iter(_UNITS)),
            required=True,
            key="ev_unit",
            bind="query-params",
            help="A case is as suspicious as its most suspicious slide. Readers have a place on the ROC of cases.",
        )
        cohort = _choose_cohort(choices)
    return EvaluationRequest(model=model or "", reference=reference or "", unit=_UNITS[unit], cohort=cohort)


def choose_rule(rules: Sequence[str], decides: str) -> str | None:
    """Let the person roll tiles up by another rule; None = what decides."""
    found = st.selectbox(
        "Rule",
        ["", *rules],
        format_func=lambda name: in_words(name) if name else f"What decides ({decides})",
        key="ev_rule",
        width=260,
        bind="query-params",
        help="How tiles become a slide's score. The threshold is that of the rule that decides.",
    )
    return found or None


def show_hidden(settings: Settings, user: User, choices: Choices) -> None:
    """Say what is hidden from this person, and offer the way that the log records."""
    if choices.blinded:
        st.info(
            f"Left out everywhere on this page: {_cases(choices.blinded)} on which your blinded second opinion is "
            "awaited.",
            icon=":material/visibility_off:",
        )
    if not choices.unread:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f":material/visibility_off: Left out: {_cases(len(choices.unread))} that nobody has read. Figures over few "
            "cases would tell the model's result before a diagnosis is locked."
        )
        if user.may(Permission.RECORD_READS):
            with st.popover("Reveal them to me", icon=":material/visibility:", type="tertiary"):
                _offer_reveal(settings, user, choices.unread)


def show_label_import(settings: Settings, user: User) -> None:
    """Take in a table of labels as a reference."""
    if not user.may(Permission.IMPORT_READS):
        return
    with st.popover("Add a table of labels", icon=":material/upload_file:"):
        st.caption("A CSV with the columns slide_id and label (1 or 0), and perhaps group for the patient.")
        file = st.file_uploader("Table of labels", type="csv", key="ev_labels_file")
        name = st.text_input(
            "Name of the reference", key="ev_labels_name", placeholder="For example: tumour board 2026"
        )
        if st.button("Keep", key="ev_labels_keep", disabled=file is None or not name) and file is not None:
            content = file.getvalue()
            if attempt(
                lambda: import_labels(settings, name, content, actor=user.actor), done=f"{name} is a reference now."
            ):
                st.rerun()


def _offer_reveal(settings: Settings, user: User, cases: Sequence[str]) -> None:
    st.markdown(
        f"The model's results on {_cases(len(cases))} that nobody has read will be shown to you. The log keeps this "
        "for every one of them, and a read of yours counts as given after the model from then on."
    )
    if st.button("Reveal and record it", key="ev_reveal", type="primary"):

        def reveal() -> None:
            for case_id in cases:
                reveal_model(settings, case_id, actor=user.actor)

        if attempt(reveal, done=f"{_cases(len(cases))} revealed to you."):
            st.rerun()


def _cases(count: int) -> str:
    return "one case" if count == 1 else f"{count} cases"


def _choose_cohort(choices: Choices) -> Cohort:
    with st.popover("Cohort", icon=":material/filter_alt:"):
        sites = st.pills("Site", choices.sites, selection_mode="multi", key="ev_sites", bind="query-params")
        scanners = st.pills("Scanner", choices.scanners, selection_mode="multi", key="ev_scanners", bind="query-params")
        stains = st.pills(
            "Stain",
            choices.stains,
            selection_mode="multi",
            format_func=lambda name: STAINS[Stain(name)],
            key="ev_stains",
            bind="query-params",
        )
    return Cohort(tuple(sites), tuple(scanners), tuple(stains))
