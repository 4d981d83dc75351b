"""Courses of quality: medians with their quantiles, shares not accepted, control limits, and the way to the slides."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import pandas as pd
import streamlit as st

from core.domain import NOT_FOR_DIAGNOSIS, Stain
from core.qc.classes import ARTEFACTS
from core.roles import Permission
from core.server.identity import User
from core.services.quality.trends import ControlLimits, QualityTrends, TrendPoint
from pages.parts.common.badges import STAINS, plain
from pages.parts.common.frame import PHANTOM_SENTENCE
from pages.parts.common.tables import harmless
from pages.parts.quality.charts import CONFIG
from pages.parts.quality.filters import NOT_STATED
from pages.parts.quality.words import not_measured
from pages.parts.trends.charts import Bar, Control, Step, course_figure, share_figure

GROUPINGS = {
    "day": "Day",
    "week": "Week",
    "month": "Month",
    "scanner": "Scanner",
    "stain": "Stain",
    "site": "Site",
}
PARTS: Mapping[str, str] = {
    "score": "Score (0 to 1)",
    "usable_fraction": "Usable share of tissue",
    **{kind.value: f"{kind.about.title}, share of tissue" for kind in ARTEFACTS},
}


def show_trends(trends: QualityTrends, *, user: User) -> None:
    """Show the courses; a click on a point opens its slides in the table."""
    if not trends.points:
        st.info(
            "No slide of these filters has a quality measurement. Clear a filter, or analyse slides first.",
            icon=":material/monitoring:",
        )
        return
    _show_caption(trends)
    _show_charts(trends)
    frame = trends_frame(trends)
    st.dataframe(
        frame, hide_index=True, height="content", column_config=_COLUMNS, placeholder="-", alt="Quality by group"
    )
    if user.may(Permission.EXPORT):
        st.download_button(
            "Export CSV",
            export_trends(trends),
            file_name=f"second-read-quality-by-{trends.by}.csv",
            mime="text/csv",
            icon=":material/download:",
            on_click="ignore",
            key="t_export",
        )


def _show_caption(trends: QualityTrends) -> None:
    slides = sum(point.slides for point in trends.points)
    groups = f"{len(trends.points)} groups" if len(trends.points) != 1 else "1 group"
    told = f"n = {slides} measured slides in {groups}."
    told += f" {not_measured(trends.unmeasured).capitalize()}." if trends.unmeasured else ""
    told += f" Verdicts on {trends.hidden} slides are hidden from you and not counted." if trends.hidden else ""
    st.caption(f"{told} {plain(trends.rule)}")


@st.fragment
def _show_charts(trends: QualityTrends) -> None:
    part = st.selectbox("Part", list(PARTS), format_func=PARTS.__getitem__, key="t_part", width=300)
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Median with 10 % and 90 % quantiles**")
        course = st.plotly_chart(
            course_figure(_steps(trends, part), title=PARTS[part], form=_form(part), control=_control_of(trends, part)),
            config=CONFIG,
            key="t_course",
            on_select="rerun",
            selection_mode="points",
            alt=f"{PARTS[part]} by {GROUPINGS[trends.by].lower()}: median and quantiles",
        )
    with right:
        st.markdown("**Share suggested as not accepted, with 95 % interval**")
        bars = st.plotly_chart(
            share_figure(_bars(trends), title="Not accepted", control=_control(trends.suggested_limits, trends)),
            config=CONFIG,
            key="t_shares",
            on_select="rerun",
            selection_mode="points",
            alt=f"Share of slides not accepted by {GROUPINGS[trends.by].lower()}",
        )
    st.caption("Click a point or a bar to see its slides.")
    clicked = next((str(point["x"]) for point in (*course.selection.points, *bars.selection.points)), None)
    if clicked is not None:
        point = next(point for point in trends.points if label_of(trends, point) == clicked)
        st.switch_page("quality.py", query_params=filters_of(trends, point))


def label_of(trends: QualityTrends, point: TrendPoint) -> str:
    """Return a group as it stands on an axis."""
    if trends.by == "stain":
        return STAINS[Stain(point.group)]
    return point.group or NOT_STATED


def filters_of(trends: QualityTrends, point: TrendPoint) -> dict[str, str]:
    """Return the query parameters under which the quality table shows the slides of a group."""
    if trends.by in ("scanner", "site", "stain"):
        return {f"show_{trends.by}": label_of(trends, point)}
    first, last = days_of(trends.by, point.group)
    return {"show_from": first.isoformat(), "show_to": last.isoformat()}


def days_of(by: str, group: str) -> tuple[date, date]:
    """Return the first and the last day of a day, week (2030-W05) or month (2030-01)."""
    if by == "week":
        first = datetime.strptime(f"{group}-1", "%G-W%V-%u").date()  # noqa: DTZ007 - a day has no time zone
        return first, first + timedelta(days=6)
    if by == "month":
        first = date.fromisoformat(f"{group}-01")
        return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    day = date.fromisoformat(group)
    return day, day


def _form(part: str) -> str:
    return ".2f" if part == "score" else ".1%"


def _steps(trends: QualityTrends, part: str) -> list[Step]:
    return [
        Step(
            label=label_of(trends, point),
            n=point.parts[part].n,
            low=point.parts[part].q10,
            middle=point.parts[part].median,
            high=point.parts[part].q90,
        )
        for point in trends.points
    ]


def _bars(trends: QualityTrends) -> list[Bar]:
    shares = [(point, point.suggested_not_accepted) for point in trends.points]
    return [
        Bar(label=label_of(trends, point), share=share.value, low=share.low, high=share.high, of=share.of)
        for point, share in shares
    ]


def _control_of(trends: QualityTrends, part: str) -> Control | None:
    limits = trends.score_limits if part == "score" else trends.class_limits.get(part)
    return _control(limits, trends)


def _control(limits: ControlLimits | None, trends: QualityTrends) -> Control | None:
    if limits is None or not trends.points:
        return None
    return Control(
        centre=limits.centre, low=_known(limits.low), high=_known(limits.high), signals=frozenset(limits.signals)
    )


def _known(values: Sequence[float]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else float(value) for value in values)


_COLUMNS = {
    **{
        name: st.column_config.NumberColumn(name, format="%.2f")
        for name in ("Score, median", "Score, 10 %", "Score, 90 %")
    },
    **{
        name: st.column_config.NumberColumn(name, format="percent")
        for name in ("Usable, median", "Suggested not accepted", "Judged not accepted")
    },
    **{kind.about.title: st.column_config.NumberColumn(kind.about.title, format="percent") for kind in ARTEFACTS},
}


def trends_frame(trends: QualityTrends) -> pd.DataFrame:
    """Return one row a group: n, quantiles of the score, medians of the parts, shares not accepted."""
    return pd.DataFrame(
        [
            {
                GROUPINGS[trends.by]: label_of(trends, point),
                "Slides": point.slides,
                "Score, median": point.parts["score"].median,
                "Score, 10 %": point.parts["score"].q10,
                "Score, 90 %": point.parts["score"].q90,
                "Usable, median": point.parts["usable_fraction"].median,
                "Suggested not accepted": point.suggested_not_accepted.value,
                "Of suggestions": point.suggested_not_accepted.of,
                "Judged not accepted": point.not_accepted.value,
                "Of verdicts": point.not_accepted.of,
                **{kind.about.title: point.parts[kind.value].median for kind in ARTEFACTS},
            }
            for point in trends.points
        ]
    )


def export_trends(trends: QualityTrends) -> bytes:
    """Return the table as CSV (UTF-8 with a mark for spreadsheets), under the two sentences."""
    table = trends_frame(trends)
    for column in table.select_dtypes(exclude="number"):
        table[column] = [harmless(value) for value in table[column]]
    text = io.StringIO()
    text.write(f"# {NOT_FOR_DIAGNOSIS} {PHANTOM_SENTENCE}\n")
    table.to_csv(text, index=False)
    return text.getvalue().encode("utf-8-sig")
