"""What stands behind a case: the model's table, the flags, the slide's quality, and where every number came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import streamlit as st

from core.services.analysis.fit import not_checked
from core.services.viewing.display import aggregator_notes, rule_meanings
from core.store.records import EventRecord, FlagRecord, RunRecord, SlideRecord
from pages.parts.common.badges import FLAGS, MPP_SOURCES, STAINS, in_words, plain, time_in_words


def show_flags(flags: Sequence[FlagRecord], *, show_on_slide: Callable[[FlagRecord], None]) -> None:
    """List the flags with their reasons, numbered as on the slide.

    Args:
        flags: Of the case.
        show_on_slide: Lets the page show the place of a flag.
    """
    if not flags:
        st.success("No rule raised a flag on this case.", icon=":material/check_circle:")
        return
    for number, flag in enumerate(flags, start=1):
        look = FLAGS[flag.kind]
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.markdown(f"**{number}**", width="content")
                st.badge(look.label, icon=look.icon, color=look.colour, help=look.meaning or None)
                if flag.slide_id:
                    st.caption(f"Slide {plain(flag.slide_id)}", width="content")
                if flag.slide_id and flag.x is not None:
                    st.space("stretch")
                    st.button(
                        "Show on slide",
                        key=f"show_flag_{number}",
                        icon=":material/my_location:",
                        type="tertiary",
                        on_click=show_on_slide,
                        args=(flag,),
                    )
            st.markdown(plain(flag.reason))
            st.caption(_flag_source(flag))


def _flag_source(flag: FlagRecord) -> str:
    parts = [f"Rule {flag.rule_version}"]
    if flag.score is not None:
        parts.append(f"score {flag.score:.3f}")
    if flag.x is not None and flag.y is not None:
        parts.append(f"at x {flag.x}, y {flag.y} px of the full resolution")
    if flag.model:
        parts.append(f"model {flag.model}")
    return ", ".join([*parts, time_in_words(flag.created_at)])


def show_result(run: RunRecord | None) -> None:
    """Show the slide's probabilities under every rule, the one that decides first."""
    if run is None or not run.scores:
        st.info("The model has no result for this slide; its state says why.", icon=":material/block:")
        return
    for sentence in not_checked(run):
        st.warning(plain(sentence), icon=":material/help:")
    call = f"**{plain(run.label)}**" if run.label else "**No call**"
    if run.decision_score is not None and run.decision_aggregation:
        call += f": score {run.decision_score:.3f} by {in_words(run.decision_aggregation).lower()}"
        if run.threshold is not None:
            call += f", threshold {run.threshold:.2f}"
    st.markdown(f"Model's call for this slide: {call}.")
    for sentence in aggregator_notes(run):
        st.warning(plain(sentence), icon=":material/function:")
    classes = list(dict.fromkeys(name for row in run.scores.values() for name in row))
    st.dataframe(
        scores_frame(run.scores, decides=run.decision_aggregation, meanings=rule_meanings(run)),
        hide_index=True,
        height="content",
        column_config={
            name: st.column_config.ProgressColumn(name, min_value=0, max_value=1, format="%.3f", width=130)
            for name in classes
        }
        | {
            "Rule": st.column_config.TextColumn("Rule", width=170),
            "What it asks": st.column_config.TextColumn("What it asks", width="large"),
        },
        alt="Probability of each class under every aggregation rule",
    )


def scores_frame(
    scores: Mapping[str, Mapping[str, float]], *, decides: str | None, meanings: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row a rule or aggregator, in the order of `meanings`: name, a column a class, and what it asks."""
    order = {rule: position for position, rule in enumerate(meanings)}
    rows = [
        {
            "Rule": in_words(rule) + (" (decides)" if rule == decides else ""),
            **values,
            "What it asks": meanings.get(rule, ""),
        }
        for rule, values in sorted(scores.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    return pd.DataFrame(rows)


def show_provenance(slide: SlideRecord, run: RunRecord | None) -> None:
    """Show where the slide, its scale and its numbers came from."""
    source = MPP_SOURCES[slide.mpp_source] if slide.mpp_source else "unknown"
    size = f"{slide.width} x {slide.height} px, {slide.levels or '?'} levels" if slide.width else "not read"
    rows = {
        "Slide": plain(slide.slide_id),
        "Size": size,
        "Scale": f"{slide.mpp_x:.4g} x {slide.mpp_y or slide.mpp_x:.4g} µm/px, {source}" if slide.mpp_x else "unknown",
        "Stain": STAINS[slide.stain],
        "Tissue stated": plain(slide.tissue) if slide.tissue else "not stated",
        "Vendor and scanner": plain(", ".join(filter(None, (slide.vendor, slide.scanner))) or "not stated"),
        "File SHA-256": f"`{slide.sha256}`" if slide.sha256 else "not read",
    }
    st.table(
        rows | (_run_rows(run) if run else {"Analysis": "has not run yet"}),
        border="horizontal",
        alt="Where the numbers of this slide came from",
    )


def _run_rows(run: RunRecord) -> dict[str, str]:
    dropped = ", ".join(f"{count} {in_words(reason).lower()}" for reason, count in run.tiles_dropped.items())
    rate = f", {run.tiles_per_second:.0f} tiles/s" if run.tiles_per_second else ""
    return {
        "Model": f"{plain(run.model)} {plain(run.model_version)}",
        "Weights SHA-256": f"`{run.weights_sha256}`" if run.weights_sha256 else "none used",
        "Tiles": f"{run.tiles_kept} kept of {run.tiles_total}; dropped: {dropped or 'none'}",
        "Tissue": f"{run.tissue_mm2:.2f} mm²" if run.tissue_mm2 is not None else "not measured",
        "Device and time": f"{plain(run.device) or 'none'}, {run.seconds:.1f} s{rate}",
        "Run": f"`{run.run_id}`, {time_in_words(run.created_at)}",
        "Code version": plain(run.code_version) or "-",
    }


def show_history(events: Sequence[EventRecord]) -> None:
    """Show what happened to the case, newest first. Results stand elsewhere, so that this list reveals none."""
    if not events:
        st.caption("Nothing has happened to this case yet.")
        return
    st.dataframe(
        pd.DataFrame(
            {
                "Time (UTC)": [event.at_utc for event in reversed(events)],
                "Who": [event.actor for event in reversed(events)],
                "What": [in_words(event.action.replace(".", " ")) for event in reversed(events)],
                "Where": [event.entity.replace(":", " ", 1) for event in reversed(events)],
                "No.": [event.seq for event in reversed(events)],
                "Entry hash": [event.hash[:12] for event in reversed(events)],
            }
        ),
        hide_index=True,
        height="content",
        column_config={"Time (UTC)": st.column_config.DatetimeColumn("Time (UTC)", format="YYYY-MM-DD HH:mm:ss")},
        alt="History of the case from the log, newest first",
    )
    st.caption(
        "Entries are never changed; corrections are new entries. Check the whole chain with `second-read log verify`."
    )
