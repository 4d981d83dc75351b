"""The whole way of a second opinion, below the slide: requests, reads side by side, resolution, signatures."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.domain import CaseStatus
from core.server.identity import short_name
from core.services.consultations.request_rows import RequestRow
from core.services.consultations.signing import signatures
from core.store.consult_records import ComparisonRecord
from core.vocabulary import SignedKind, Urgency
from pages.parts.case.read_signing import show_signature
from pages.parts.common.badges import CASES, in_words, plain, show_badges, time_in_words
from pages.parts.consultations.compare import show_pair
from pages.parts.consultations.resolving import resolution_rows
from pages.parts.consultations.turn import CaseScene
from pages.parts.consultations.words import (
    BASES,
    BLINDINGS,
    DISCORDANCES,
    ERRORS,
    IMPACTS,
    STATES,
    TYPES,
    URGENCIES,
    due_in_words,
)


def show_consult(scene: CaseScene) -> None:
    """Show everything of the second opinions of a case that its reader may see, the latest result first."""
    consult = scene.consult
    if not consult.requests:
        st.caption("Nobody was asked for a second opinion on this case.")
        return
    _show_resolutions(scene)
    _show_opinions(scene)
    for asked in reversed(consult.requests):
        _show_request(asked)
    if consult.changes:
        with st.expander("Every step of the case", icon=":material/timeline:"):
            _show_changes(scene)


def _show_resolutions(scene: CaseScene) -> None:
    made = scene.consult.resolutions
    if not made:
        return
    latest = made[-1]
    settled = scene.status in (CaseStatus.RESOLVED, CaseStatus.SIGNED)
    with st.container(border=True):
        st.markdown("**Resolution**" if settled else "**Resolution of an earlier round**")
        st.table(resolution_rows(latest, scene.detail.diagnoses), border="horizontal", alt="How the case was settled")
        for one in signatures(scene.settings, scene.case_id, actor=scene.user.actor):
            if one.signature.kind is SignedKind.RESOLUTION:
                show_signature(one)


def _show_opinions(scene: CaseScene) -> None:
    """Show every opinion beside the read it was asked about, the latest first."""
    reads = {read.diagnosis_id: read for read in scene.detail.diagnoses}
    compared = {one.opinion_id: one for one in scene.consult.comparisons}
    for opinion in reversed(scene.consult.opinions):
        comparison = compared.get(opinion.opinion_id)
        with st.container(border=True):
            if comparison is None or comparison.first_id not in reads:
                st.markdown(f"**Opinion of {plain(short_name(opinion.author))}**, not compared yet")
                earlier = [read for read in reads.values() if read.diagnosis_id < opinion.read.diagnosis_id]
                show_pair(earlier[0], opinion)
            else:
                _show_comparison(comparison)
                show_pair(reads[comparison.first_id], opinion)


def _show_comparison(made: ComparisonRecord) -> None:
    show_badges([DISCORDANCES[made.discordance]])
    parts = [f"Change of management: {IMPACTS[made.management_impact].lower()}"]
    parts += [f"differs in: {BASES[made.basis].lower()}"] if made.basis else []
    parts += [f"came from: {ERRORS[made.error_type].lower()}"] if made.error_type else []
    if made.proposed is not made.discordance:
        parts.append(f"the reading scheme says {DISCORDANCES[made.proposed].label.lower()}")
    st.caption(f"{'; '.join(parts)}. {plain(short_name(made.author))}, {time_in_words(made.created_at)}")
    if made.note:
        st.markdown(plain(made.note))


def _show_request(asked: RequestRow) -> None:
    looks = [STATES[asked.state], BLINDINGS[asked.blinding]]
    looks += [URGENCIES[asked.urgency]] if asked.urgency is not Urgency.ROUTINE else []
    whom = short_name(asked.consultant) if asked.consultant else asked.pool or ""
    with st.container(border=True):
        show_badges(looks)
        st.markdown(plain(asked.question))
        kind = f", {TYPES[asked.type].lower()}" if asked.type else ""
        st.caption(
            f"{plain(short_name(asked.requester))} asked {plain(whom)}, {time_in_words(asked.created_at)}, "
            f"{due_in_words(asked.due_at, overdue=asked.is_overdue)}{kind}"
        )
        if asked.declined_reason:
            st.caption(f"Declined: {plain(asked.declined_reason)}")


def _show_changes(scene: CaseScene) -> None:
    changes = scene.consult.changes
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [change.created_at for change in changes],
                "Who": [short_name(change.actor) for change in changes],
                "Step": [in_words(change.step) for change in changes],
                "The case is then": [CASES[change.to_state].label for change in changes],
                "Reason": [change.reason or "-" for change in changes],
            }
        ),
        hide_index=True,
        height="content",
        column_config={"Time (UTC)": st.column_config.DatetimeColumn("Time (UTC)", format="YYYY-MM-DD HH:mm:ss")},
        alt="Every step of the case, in order",
    )
