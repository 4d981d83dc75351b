"""A report as a CSV table, and as a printable document (HTML, PDF)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import numpy as np

from core.documents import Block, Document, Figure, Heading, Paragraph, Table
from core.domain import NOT_FOR_DIAGNOSIS
from core.services.reports.reports import Measure, Report

_COLUMNS = ("measure", "value", "unit", "low_95", "high_95", "count", "n", "meaning", "detail", "literature")
_TREND = ("second_review_rate", "major_rate", "days_to_opinion", "override_rate")
"""Measures that the printed report draws over time."""


def report_csv(report: Report) -> str:
    """Return the report as CSV: a row a measure, then what it is of and what it may be used for."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for one in report.measures:
        table.writerow(_row(one))
    table.writerow([])
    table.writerow(["period", report.period.words])
    table.writerow(["note", NOT_FOR_DIAGNOSIS])
    return text.getvalue()


def trend_csv(labelled: Sequence[tuple[str, Report]]) -> str:
    """Return several periods as CSV: a row a period and measure."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["period", *_COLUMNS])
    for label, report in labelled:
        table.writerows([label, *_row(one)] for one in report.measures)
    table.writerow([])
    table.writerow(["note", NOT_FOR_DIAGNOSIS])
    return text.getvalue()


def report_document(
    report: Report, trend: Sequence[tuple[str, Report]] = (), *, department: str = "", made_by: str = ""
) -> Document:
    """Return the report for printing.

    Args:
        report: What to show.
        trend: Label -> report of the periods in order; drawn where there are two or more.
        department: Name in the heading, as the user wrote it.
        made_by: Program and version, for the foot of every page.
    """
    blocks: list[Block] = [Paragraph(_made(report))]
    if report.hidden:
        blocks.append(
            Paragraph(
                f"{report.hidden} cases are left out: a blinded opinion on them is awaited from the person who asked."
            )
        )
    blocks.append(
        Table(
            columns=("Measure", "Value", "95 % interval", "n", "Literature"),
            rows=tuple(_printed(one) for one in report.measures),
            caption="Intervals are Wilson's for shares and by order statistics for the median.",
            number_columns=frozenset({1, 2, 3}),
            widths=(42, 14, 16, 12, 30),
        )
    )
    if len(trend) > 1:
        blocks.append(Heading("Over time"))
        blocks += [figure for name in _TREND if (figure := _figure(name, trend)) is not None]
    title = f"Second opinions: {department}" if department else "Second opinions"
    return Document(title=title, blocks=blocks, subtitle=report.period.words, made_by=made_by)


def _made(report: Report) -> str:
    return f"Period: {report.period.words}. Made {report.made_at:%Y-%m-%d %H:%M} UTC by {report.made_by}."


def _figure(name: str, trend: Sequence[tuple[str, Report]]) -> Figure | None:
    # Imported late: it brings matplotlib, for which no page should wait that only offers the file.
    from core.documents.figures import Series, line_chart

    found = [
        (place, next(one for one in report.measures if one.name == name)) for place, (_, report) in enumerate(trend)
    ]
    known = [(place, one) for place, one in found if one.value is not None]
    if len(known) < 2:
        return None
    places = np.array([float(place) for place, _ in known])
    ends = [np.array([np.nan if value is None else value for value in row]) for row in _ends(known)]
    first = known[0][1]
    drawn = Series(first.title, places, ends[0], ends[1], ends[2])
    labels = f"{trend[known[0][0]][0]} to {trend[known[-1][0]][0]}"
    png = line_chart([drawn], x_label=f"period, {labels}", y_label=f"{first.title}, {first.unit}", size_in=(6.0, 2.6))
    caption = f"{first.title} ({first.unit}) by period, {labels}, with 95 % intervals: {first.meaning}."
    return Figure(png, caption, alt=f"{first.title} over {len(known)} periods", width_mm=150)


def _ends(known: Sequence[tuple[int, Measure]]) -> tuple[list[float | None], ...]:
    return (
        [one.value for _, one in known],
        [one.value if one.low is None else one.low for _, one in known],
        [one.value if one.high is None else one.high for _, one in known],
    )


def _row(one: Measure) -> list[object]:
    return [
        one.name,
        *(_plain(one.value), one.unit, _plain(one.low), _plain(one.high)),
        "" if one.count is None else one.count,
        *(one.n, one.meaning, one.detail, one.literature),
    ]


def _printed(one: Measure) -> tuple[str, ...]:
    of = str(one.n) if one.count is None else f"{one.count} of {one.n}"
    interval = "-" if one.low is None or one.high is None else f"{one.low:.1f} to {one.high:.1f}"
    value = "none yet" if one.value is None else f"{one.value:.1f} {one.unit}"
    told = f"{one.title}: {one.meaning}" + (f". {one.detail}" if one.detail else "")
    return (told, value, interval, of, one.literature or "-")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
