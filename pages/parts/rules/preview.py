"""What a draft would change on the cohort, shown before anybody keeps or activates it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
import streamlit as st

from core.domain import FlagKind
from core.services.rules.rules import CaseChange, RulesPreview
from pages.parts.common.badges import FLAGS, plain
from pages.parts.common.tables import csv_bytes, harmless

SHOWN = 500


def show_preview(preview: RulesPreview) -> None:
    """Show how many cases change side, by which flags, and which cases they are."""
    st.subheader(f"Preview of {plain(preview.rules.version)} against {plain(preview.compared_with)}")
    if preview.hidden:
        st.caption(
            f":material/visibility_off: {preview.hidden:,} cases are left out: the model's result on them is hidden "
            "from you, and a change would tell of it."
        )
    if not preview.cases:
        st.info("There is no case to try the rules on yet.", icon=":material/inbox:")
        return
    with st.container(horizontal=True):
        change = preview.flagged_after - preview.flagged_before
        st.metric(
            "Flagged cases",
            f"{preview.flagged_after:,} of {preview.cases:,}",
            f"{change:+,} (now {preview.flagged_before:,})",
            delta_color="off",
            border=True,
        )
        st.metric("Newly flagged", f"{len(preview.entering):,}", border=True)
        st.metric("No longer flagged", f"{len(preview.leaving):,}", border=True)
        st.metric("Flagged otherwise", f"{len(preview.changed):,}", border=True)
    for threshold in preview.rules.thresholds:
        if threshold.by_capacity:
            st.caption(f"{threshold.words}: on this cohort a probability from {threshold.probability:.3f} on.")
    _show_kinds(preview)
    _show_cases(preview)


def _show_kinds(preview: RulesPreview) -> None:
    kinds = [kind for kind in FlagKind if preview.before.get(kind) or preview.after.get(kind)]
    if not kinds:
        return
    st.table(
        {
            "Flag": [FLAGS[kind].label for kind in kinds],
            "Cases now": [preview.before.get(kind, 0) for kind in kinds],
            "Cases with the draft": [preview.after.get(kind, 0) for kind in kinds],
        },
        border="horizontal",
        hide_index=True,
        alt="Cases with each flag now and with the draft",
    )


def changes_frame(preview: RulesPreview) -> pd.DataFrame:
    """Return one row a case that the draft judges otherwise."""
    sides = (("newly flagged", preview.entering), ("no longer flagged", preview.leaving), ("other", preview.changed))
    rows: list[tuple[str, str, str, str]] = []
    for side, changes in sides:
        rows += [(one.case_id, side, _words(one.before), _words(one.after)) for one in _sorted(changes)]
    return pd.DataFrame(rows, columns=["Case", "Change", "Flags now", "Flags with the draft"])


def _show_cases(preview: RulesPreview) -> None:
    frame = changes_frame(preview)
    if frame.empty:
        st.success("No case changes.", icon=":material/check_circle:")
        return
    event = st.dataframe(
        frame.head(SHOWN),
        key="rules_changes",
        hide_index=True,
        height="content" if len(frame) < 12 else 420,
        on_select="rerun",
        selection_mode="single-cell",
        alt="Cases that the draft judges otherwise",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{min(len(frame), SHOWN)} of {len(frame)} shown. Click a row to open the case.")
        st.download_button(
            "Export CSV",
            csv_bytes(frame.assign(Case=[harmless(one) for one in frame["Case"]])),
            file_name="second-read-rules-preview.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="rules_preview_export",
        )
    if event.selection.cells:
        st.switch_page("case.py", query_params={"case": str(frame["Case"].iloc[event.selection.cells[0][0]])})


def _sorted(changes: Sequence[CaseChange]) -> list[CaseChange]:
    return sorted(changes, key=lambda one: one.case_id)


def _words(kinds: Iterable[FlagKind]) -> str:
    present = frozenset(kinds)
    return ", ".join(FLAGS[kind].label for kind in FlagKind if kind in present) or "none"
